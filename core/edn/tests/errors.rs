//! An error says what is wrong, where, and whether more text could mend it.
#![allow(missing_docs)]

mod support;

use sente_edn::{
    Cursor, Error, ErrorKind, Expected, Inside, Limits, Shape, Tree, from_slice, from_slice_with,
    from_str, read_first,
};

fn error(text: &str) -> Error {
    let error = from_str(text).unwrap_err();
    if *error.kind() != ErrorKind::TrailingForm {
        let skipped = Cursor::new(text.as_bytes(), &Limits::default()).skip();
        assert_eq!(skipped.unwrap_err(), error, "{text}");
    }
    error
}

#[test]
fn an_error_names_the_fault_and_its_place() {
    let unmatched = |found, expected| ErrorKind::UnmatchedDelimiter { found, expected };
    let rows: &[(&str, ErrorKind, usize)] = &[
        ("[1 @a]", ErrorKind::BannedCharacter('@'), 3),
        ("[1 a`]", ErrorKind::BannedCharacter('`'), 4),
        ("[\\ab]", ErrorKind::InvalidCharacter, 1),
        ("[ #(a)]", ErrorKind::InvalidDispatch, 2),
        ("[\"ab\\q\"]", ErrorKind::InvalidEscape, 4),
        ("[#inst \"2020-13\"]", ErrorKind::InvalidInst, 1),
        ("[^1 a]", ErrorKind::InvalidMetadata, 2),
        ("[^a 1]", ErrorKind::InvalidMetadataTarget, 4),
        ("[#:a 1]", ErrorKind::InvalidNamespacedMap, 1),
        ("[1 2x]", ErrorKind::InvalidNumber, 3),
        ("[##Nan]", ErrorKind::InvalidSymbolic, 1),
        ("[#nil 1]", ErrorKind::InvalidTag, 1),
        ("[:a ::b]", ErrorKind::InvalidToken, 4),
        ("[#uuid \"x\"]", ErrorKind::InvalidUuid, 1),
        ("[{:a 1 :b}]", ErrorKind::MissingValue, 9),
        ("[{:a 1, :b 2, :a 3}]", ErrorKind::RepeatedKey, 14),
        ("[#{1 [2] 3 (2) 1}]", ErrorKind::RepeatedElement, 11),
        ("[1] [2]", ErrorKind::TrailingForm, 4),
        ("[(1]", unmatched(']', Some(')')), 3),
        ("[#_]", unmatched(']', None), 3),
        (")", unmatched(')', None), 0),
        ("[#:a{:1 2}]", ErrorKind::UnreadableKey, 5),
        ("[1/0]", ErrorKind::ZeroDenominator, 1),
    ];
    for (text, kind, offset) in rows {
        let error = error(text);
        assert_eq!((error.kind(), error.offset()), (kind, *offset), "{text}");
        assert!(!error.is_incomplete());
        assert!(error.to_string().ends_with(&format!(" at byte {offset}")));
    }
}

#[test]
fn a_text_that_ends_too_early_says_what_is_still_open() {
    let rows: &[(&str, Inside, usize)] = &[
        ("", Inside::Text, 0),
        (" ; a\n", Inside::Text, 5),
        ("[1 \\", Inside::Character, 3),
        ("[1 #_", Inside::Discard, 3),
        ("[1 #", Inside::Dispatch, 3),
        ("[1 (2", Inside::List, 3),
        ("[{:a 1", Inside::Map, 1),
        ("[#:a{:b", Inside::Map, 1),
        ("[^a", Inside::Metadata, 1),
        ("[#:a ", Inside::NamespacedMap, 1),
        ("[1 2e", Inside::Number, 3),
        ("[#{1", Inside::Set, 1),
        ("[\"ab", Inside::String, 1),
        ("[##", Inside::Symbolic, 1),
        ("[#a ", Inside::Tag, 1),
        ("[:a/", Inside::Token, 1),
        ("[1", Inside::Vector, 0),
    ];
    for (text, inside, offset) in rows {
        let error = error(text);
        assert_eq!(
            *error.kind(),
            ErrorKind::UnexpectedEnd { inside: *inside },
            "{text}"
        );
        assert_eq!(error.offset(), *offset, "{text}");
        assert!(error.is_incomplete());
    }
}

#[test]
fn what_comes_before_the_end_of_a_valid_text_is_incomplete() {
    let rows = support::vectors(include_str!("../../../tests/vectors/edn/clojure-edn.json"));
    let rules = support::vectors(include_str!("data/clojure_rules.json"));
    let texts = rows
        .iter()
        .map(|row| &row["input"])
        .chain(rules.iter().map(|row| &row["text"]));
    let mut prefixes = 0;
    for text in texts {
        let text = text.as_str().unwrap();
        let mut cursor = Cursor::new(text.as_bytes(), &Limits::default());
        let Ok(form) = cursor.skip() else { continue };
        // Other shapes may be complete sooner: `12` before `123`.
        if !matches!(form.text(), [b'(' | b'[' | b'{' | b'"' | b'#' | b'^', ..]) {
            continue;
        }
        for length in 0..form.text().len() {
            let prefix = &form.text()[..length];
            match from_slice(prefix) {
                Err(error) => assert!(error.is_incomplete(), "{error}: {prefix:?} of {text}"),
                // A tagged or symbolic value may be complete sooner, too: `#a 12` before `#a 123`.
                Ok(value) => {
                    assert!(matches!(form.text(), [b'#', ..]), "{value} of {text:?}");
                }
            }
            prefixes += 1;
        }
    }
    assert!(prefixes > 100_000, "only {prefixes}");
}

#[test]
fn what_no_more_text_could_mend_is_not_incomplete() {
    for text in [
        "[1x",
        "::",
        "a::",
        "[/a",
        "1/x",
        "08x",
        "\\abc",
        "\\uzz",
        "\"\\q",
        "#(",
        "##X",
        "^1",
        "[)",
        "1.2.",
        "[ð@",
        "0xg",
        "37r",
        "{:a}",
        "#{1 1}",
        "#inst \"x\"",
        "@",
        "#:a/b",
        "[#_)",
        "^a 1",
    ] {
        let error = from_str(text).unwrap_err();
        assert!(!error.is_incomplete(), "{text}: {error}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_at_their_place() {
    for (text, offset) in [
        (&b"[1 \xff 2]"[..], 3),
        (b"\"ab\xc3\"", 3),
        (b"[ab\xf0\x28", 3),
        (b"; c\xff\n1", 3),
        (b"1 \xff", 2),
        (b"\xed\xa0\x80", 0),
        (b"1\xff", 1),
        (b"\\a\xff", 2),
    ] {
        let error = from_slice(text).unwrap_err();
        assert_eq!(
            (error.kind(), error.offset()),
            (&ErrorKind::InvalidUtf8, offset),
            "{text:?}"
        );
    }
    let error = from_slice(b"[\"\xf0\x9f\x98").unwrap_err();
    assert_eq!(
        *error.kind(),
        ErrorKind::UnexpectedEnd {
            inside: Inside::CodePoint
        }
    );
    assert_eq!(error.offset(), 2);
}

#[test]
fn bytes_behind_the_first_form_are_not_looked_at() {
    let (value, end) = read_first(b"[1]\xff", &Limits::default()).unwrap().unwrap();
    assert_eq!((value.to_string().as_str(), end), ("[1]", 3));
    // But a name may go on in what is no UTF-8.
    assert!(read_first(b"ab\xff", &Limits::default()).is_err());
    assert_eq!(
        Cursor::new(b"[1]\xff", &Limits::default())
            .skip()
            .unwrap()
            .end(),
        3
    );
}

#[test]
fn a_byte_order_mark_is_no_blank() {
    assert_eq!(*error("\u{feff}[1]").kind(), ErrorKind::TrailingForm);
}

/// How many forms a text is to each reader that reads a whole text.
#[test]
fn every_reader_counts_the_forms_of_a_text_alike() {
    let rows = [
        ("1", 1),
        ("[1 2]", 3),
        ("#_2 1", 2),
        ("1 #_2", 2),
        ("#_#_1 2 3", 3),
        ("#a 1", 2),
        ("##Inf", 2),
        ("#inst \"2020\"", 2),
        ("#inst ;\n \"2020\"", 2),
        ("#:a{:b 1}", 4),
        ("^:a [1]", 3),
        ("^:a ^:b [1]", 4),
        ("[^:a ^{:b c} [1] ^d e]", 9),
        ("[1] ; c", 2),
        ("[1] #_[2 #inst \"2020\"] ", 6),
    ];
    for (text, forms) in rows {
        let text = text.as_bytes();
        let fewest = |reads: &dyn Fn(&Limits) -> bool| {
            (0..20).find(|most| reads(&Limits::default().max_elements(*most)))
        };
        let by_value = fewest(&|limits| from_slice_with(text, limits).is_ok());
        let by_tree = fewest(&|limits| Tree::parse_with(text, limits).is_ok());
        let by_cursor = fewest(&|limits| {
            let mut cursor = Cursor::new(text, limits);
            cursor.skip().is_ok() && cursor.peek() == Ok(None)
        });
        let counted = [by_value, by_tree, by_cursor];
        assert_eq!(counted, [Some(forms); 3], "{}", text.escape_ascii());
    }
}

#[test]
fn limits_are_errors_that_name_them() {
    let limits = Limits::default().max_bytes(7).max_elements(3);
    let kind = |text: &str| {
        let error = from_slice_with(text.as_bytes(), &limits).unwrap_err();
        let skipped = Cursor::new(text.as_bytes(), &limits).skip().unwrap_err();
        assert_eq!(error, skipped);
        error.kind().clone()
    };
    assert_eq!(
        kind("[1 2345]"),
        ErrorKind::TooLong {
            length: 8,
            limit: 7
        }
    );
    assert_eq!(
        kind("[1 2 "),
        ErrorKind::UnexpectedEnd {
            inside: Inside::Vector
        }
    );
    assert_eq!(
        kind("[[[]]"),
        ErrorKind::UnexpectedEnd {
            inside: Inside::Vector
        }
    );
    assert_eq!(kind("[1[]3 ]"), ErrorKind::TooManyElements { limit: 3 });
    let text = format!("1/{}", "3".repeat(4097));
    let error = from_str(&text).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TooManyDigits { limit: 4096 });
    let text = format!("0x{}", "f".repeat(4097));
    let error = from_str(&text).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TooManyDigits { limit: 4096 });
    assert!(from_str(&"7".repeat(100_000)).is_ok());
}

#[test]
fn a_cursor_says_what_it_expected_and_can_be_asked_again() {
    let mut cursor = Cursor::new(b"[:a 1]", &Limits::default());
    let error = cursor.keyword().unwrap_err();
    let expected = ErrorKind::UnexpectedShape {
        expected: Expected::Keyword,
        found: Some(Shape::Vector),
    };
    assert_eq!(*error.kind(), expected);
    assert_eq!(
        error.to_string(),
        "expected a keyword, found a vector at byte 0"
    );
    cursor.enter().unwrap();
    assert!(cursor.enter().is_err());
    assert_eq!(cursor.keyword(), Ok("a"));
    cursor.skip().unwrap();
    let error = cursor.skip().unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a form, found the end at byte 5"
    );
    cursor.leave().unwrap();
    assert!(cursor.leave().unwrap_err().is_incomplete());
    assert!(cursor.skip().unwrap_err().is_incomplete());
}

#[test]
fn lines_and_columns_count_from_one() {
    let place = |text: &str| error(text).line_column(text.as_bytes());
    assert_eq!(place("@"), (1, 1));
    assert_eq!(place("[é @"), (1, 4));
    assert_eq!(place("[\n\n  @"), (3, 3));
    assert_eq!(place("[1 2"), (1, 1));
    assert_eq!(place(""), (1, 1));
}

#[test]
fn messages_say_what_was_expected() {
    for (text, message) in [
        (
            "[1",
            "the text ends inside a vector; expected a form or `]` at byte 0",
        ),
        (
            "(1]",
            "`]` closes nothing here; expected `)` or a form at byte 2",
        ),
        ("]", "`]` closes nothing here; expected a form at byte 0"),
        ("1 2", "expected the end of the text at byte 2"),
        (
            "#(",
            "`#` must be followed by a tag, `{`, `_`, `:`, `^` or `#` at byte 0",
        ),
    ] {
        assert_eq!(error(text).to_string(), message);
    }
}
