//! A stream in chunks gives the forms and errors of the whole, however it is split.
#![allow(missing_docs)]

mod random_values;
mod support;

use proptest::prelude::*;
use random_values::value;
use sente_edn::{
    Cursor, Dialect, ErrorKind, Inside, Limits, Shape, StreamError, StreamReader, from_str,
    read_first, to_string,
};

/// A form as it stands in the stream: where, its text, shape and whether it is portable.
type Seen = (u64, String, Shape, bool);
/// The forms before the end or the first error, and that error's kind and offset.
type Outcome = (Vec<Seen>, Result<(), (ErrorKind, u64)>);

/// Reads the whole text form by form, without the reader under test.
fn by_the_whole(text: &[u8], limits: &Limits) -> Outcome {
    let mut forms = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let (value, end) = match read_first(rest, limits) {
            Ok(Some(first)) => first,
            Ok(None) => return (forms, Ok(())),
            Err(error) => {
                let offset = (at + error.offset()) as u64;
                return (forms, Err((error.kind().clone(), offset)));
            }
        };
        let form = Cursor::new(rest, limits).skip().unwrap();
        assert_eq!(form.end(), end);
        let again = read_first(form.text(), limits).unwrap().unwrap().0;
        assert!(again.identical(&value));
        forms.push(seen(
            (at + form.start()) as u64,
            form.text(),
            form.shape(),
            form.is_portable(),
        ));
        at += end;
    }
}

fn seen(start: u64, text: &[u8], shape: Shape, is_portable: bool) -> Seen {
    let text = String::from_utf8(text.to_vec()).unwrap();
    (start, text, shape, is_portable)
}

fn take_all(reader: &mut StreamReader, forms: &mut Vec<Seen>) -> Result<(), StreamError> {
    while let Some(form) = reader.next_form()? {
        assert_eq!(form.end() - form.start(), form.text().len() as u64);
        forms.push(seen(
            form.start(),
            form.text(),
            form.shape(),
            form.is_portable(),
        ));
    }
    Ok(())
}

fn by_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut reader = StreamReader::new(limits);
    let mut forms = Vec::new();
    let mut stream = Vec::new();
    let read = || {
        for chunk in chunks {
            reader.feed(chunk);
            stream.extend_from_slice(chunk);
            take_all(&mut reader, &mut forms)?;
        }
        reader.finish();
        take_all(&mut reader, &mut forms)
    };
    let result = read();
    if let Err(error) = &result {
        assert_eq!(reader.next_form().as_ref(), Err(error));
        assert_eq!(
            error.is_incomplete(),
            matches!(error.kind(), ErrorKind::UnexpectedEnd { .. })
        );
        let before = &stream[..usize::try_from(error.offset()).unwrap()];
        let before = String::from_utf8_lossy(before);
        let line = before.split('\n').next_back().unwrap();
        assert_eq!(error.line(), before.split('\n').count() as u64);
        assert_eq!(error.column(), line.chars().count() as u64 + 1);
    }
    (
        forms,
        result.map_err(|error| (error.kind().clone(), error.offset())),
    )
}

fn bytewise(text: &[u8], limits: &Limits) -> Outcome {
    by_chunks(text.chunks(1), limits)
}

fn dialects() -> [Limits; 2] {
    [Dialect::Clojure, Dialect::Either].map(|dialect| Limits::default().dialect(dialect))
}

/// Every captured text there is.
fn captured() -> Vec<String> {
    let edn = support::vectors(include_str!("../../../tests/vectors/edn/clojure-edn.json"));
    let rules = support::vectors(include_str!("data/clojure_rules.json"));
    let texts = edn.iter().map(|row| &row["input"]);
    let texts = texts.chain(rules.iter().map(|row| &row["text"]));
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_captured_text_is_the_same_byte_by_byte() {
    let texts = captured();
    assert!(texts.len() > 4500);
    for limits in dialects() {
        for text in &texts {
            let whole = by_the_whole(text.as_bytes(), &limits);
            assert_eq!(bytewise(text.as_bytes(), &limits), whole, "{text:?}");
            assert_eq!(by_chunks([text.as_bytes()], &limits), whole, "{text:?}");
        }
    }
}

#[test]
fn every_captured_text_is_the_same_in_two_pieces() {
    let limits = Limits::default();
    let mut splits = 0;
    for text in captured().iter().filter(|text| text.len() < 80) {
        let text = text.as_bytes();
        let whole = by_the_whole(text, &limits);
        for at in 0..=text.len() {
            let (first, second) = text.split_at(at);
            assert_eq!(by_chunks([first, second], &limits), whole, "{text:?}");
            splits += 1;
        }
    }
    assert!(splits > 50_000, "only {splits}");
}

#[test]
fn all_captured_forms_are_one_stream() {
    let mut texts = captured();
    texts.retain(|text| from_str(text).is_ok());
    assert!(texts.len() > 2000);
    let stream = texts.join("\n");
    for limits in dialects() {
        let whole = by_the_whole(stream.as_bytes(), &limits);
        assert_eq!((whole.0.len() >= texts.len(), &whole.1), (true, &Ok(())));
        assert_eq!(bytewise(stream.as_bytes(), &limits), whole);
        assert_eq!(by_chunks([stream.as_bytes()], &limits), whole);
    }
}

#[test]
fn limits_hold_for_each_form_and_do_not_depend_on_the_split() {
    let limits = Limits::default().max_bytes(8).max_depth(2).max_elements(4);
    let too_long = ErrorKind::TooLong {
        length: 9,
        limit: 8,
    };
    let too_deep = ErrorKind::TooDeep { limit: 2 };
    let too_many = ErrorKind::TooManyElements { limit: 4 };
    for (text, forms, result) in [
        ("12345678 ; a long comment\n[1 2 3 ]", 2, Ok(())),
        ("#_123456 #_123456 #_123456 \"123456\"", 1, Ok(())),
        ("1 123456789", 1, Err((too_long.clone(), 10))),
        ("\"1234567\"", 0, Err((too_long.clone(), 8))),
        ("[1     2]", 0, Err((too_long.clone(), 8))),
        ("[;      ]", 0, Err((too_long.clone(), 8))),
        ("[1x     2]", 0, Err((ErrorKind::InvalidNumber, 1))),
        ("1234567é ", 0, Err((too_long.clone(), 8))),
        ("[abcdef@", 0, Err((ErrorKind::BannedCharacter('@'), 7))),
        ("[abcdefg@", 0, Err((too_long, 8))),
        ("[[]] [[[]]]", 1, Err((too_deep.clone(), 7))),
        ("#_#_#_a", 0, Err((too_deep.clone(), 4))),
        ("#a #b #c 1", 0, Err((too_deep.clone(), 6))),
        ("#a #:b{}", 1, Ok(())),
        ("^a ^b ^c", 0, Err((too_deep, 6))),
        ("[1 2 3] 1 2 3 4 5", 6, Ok(())),
        ("[1[]3 4]", 0, Err((too_many.clone(), 0))),
        (
            "[#_1 2 3",
            0,
            Err((
                ErrorKind::UnexpectedEnd {
                    inside: Inside::Vector,
                },
                0,
            )),
        ),
        (
            "[1 2 3 [",
            0,
            Err((
                ErrorKind::UnexpectedEnd {
                    inside: Inside::Vector,
                },
                7,
            )),
        ),
        ("[1 2 ()]", 1, Ok(())),
        ("[1()()2]", 0, Err((too_many, 0))),
    ] {
        let outcome = bytewise(text.as_bytes(), &limits);
        assert_eq!((outcome.0.len(), &outcome.1), (forms, &result), "{text}");
        for size in 2..=text.len() {
            assert_eq!(by_chunks(text.as_bytes().chunks(size), &limits), outcome);
        }
    }
}

#[test]
fn no_bytes_at_all_means_no_forms_at_all() {
    for limits in dialects() {
        let limits = limits.max_bytes(0);
        for text in ["", " ; c", "1", "[", "]", "#_a", "#!c\n", "#a 1", "#", "é"] {
            let outcome = bytewise(text.as_bytes(), &limits);
            assert_eq!(by_chunks([text.as_bytes()], &limits), outcome, "{text}");
            assert_eq!(outcome.0, []);
        }
    }
    // A `#` where a chunk ends may begin a comment only where no form has begun.
    let limits = Limits::default().max_bytes(0).max_elements(0);
    let chunks = [&b"#{a #"[..], b"b c}"];
    assert_eq!(by_chunks(chunks, &limits), bytewise(b"#{a #b c}", &limits));
    let either = Limits::default().dialect(Dialect::Either).max_bytes(0);
    assert_eq!(bytewise(b"#!c\n", &either).1, Ok(()));
}

/// Pieces of texts, so that random ones come near to being valid.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "#{",
        "#_",
        "^",
        "#^",
        "##NaN",
        "##",
        "##N",
        "#:a{",
        "#:a ",
        "#a ",
        "# a ",
        "#;c\na ",
        "# #!c\na ",
        "#inst \"2020\"",
        "#inst ",
        "\"",
        "\"a\\n\"",
        "\"\\",
        "\\",
        "\\(",
        "\\a",
        "\\u00e9",
        "\\newline",
        "; c\n",
        "#!c\r",
        "#",
        "\n",
        " ",
        " ",
        " ",
        ",",
        "\u{2028}",
        "\u{85}",
        "nil",
        "true",
        "a",
        "a/",
        "a/b",
        "a#b",
        "/",
        ":",
        ":a",
        ":a/b",
        "::",
        "'",
        "1",
        "1#",
        "-",
        "-a",
        "+1",
        "1N",
        "1.0e",
        "2/4",
        "08",
        "1:a",
        "@",
        "~",
        "é",
        "😀",
        "٣",
        "-٣",
    ];
    prop_oneof![
        20 => proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        4 => value().prop_map(|value| to_string(&value).into_bytes()),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 1..3),
    ]
}

fn nearly_edn() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(piece(), 0..16).prop_map(|pieces| pieces.concat())
}

fn split<'a>(text: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = text;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        let (chunk, more) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    chunks
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![4 => 1..8_usize, 1 => 8..200_usize];
    proptest::collection::vec(size, 1..10)
}

proptest! {
    // More with `PROPTEST_CASES=20000`.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_values_are_the_same_in_any_split(
        values in proptest::collection::vec((value(), " |\n|, ;é\r"), 0..8),
        sizes in sizes(),
    ) {
        let text: String = values.iter().map(|(value, blank)| format!("{value}{blank}")).collect();
        let limits = Limits::default();
        let (whole, result) = by_the_whole(text.as_bytes(), &limits);
        prop_assert_eq!((whole.len(), &result), (values.len(), &Ok(())));
        prop_assert_eq!(by_chunks(split(text.as_bytes(), &sizes), &limits), (whole, Ok(())));
        let mut reader = StreamReader::new(&limits);
        reader.feed(text.as_bytes());
        for (value, _) in values {
            prop_assert!(reader.next_value().unwrap().unwrap().identical(&value));
        }
    }

    #[test]
    fn texts_that_are_nearly_edn_are_the_same_in_any_split(text in nearly_edn(), sizes in sizes()) {
        for limits in dialects() {
            let whole = by_the_whole(&text, &limits);
            prop_assert_eq!(&by_chunks(split(&text, &sizes), &limits), &whole);
            prop_assert_eq!(&bytewise(&text, &limits), &whole);
        }
    }

    #[test]
    fn tight_limits_are_met_alike_in_any_split(
        text in nearly_edn(),
        sizes in sizes(),
        (bytes, depth, elements) in (0..30_usize, 0..4_usize, 0..6_usize),
    ) {
        for limits in dialects() {
            let limits = limits.max_bytes(bytes).max_depth(depth).max_elements(elements);
            let whole = by_chunks([&text[..]], &limits);
            prop_assert_eq!(&by_chunks(split(&text, &sizes), &limits), &whole);
            prop_assert_eq!(&bytewise(&text, &limits), &whole);
        }
    }
}
