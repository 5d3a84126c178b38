//! The cursor: stepping over envelopes without building values.
#![allow(missing_docs)]

use sente_edn::{Cursor, Dialect, Error, ErrorKind, Limits, Shape, from_slice, from_slice_with};

fn cursor(text: &str) -> Cursor<'_> {
    Cursor::new(text.as_bytes(), &Limits::default())
}

#[test]
fn an_envelope_is_taken_apart_in_one_pass() -> Result<(), Error> {
    let text = r#" [[:chat/say {:text "hi", :to #{:a}}] "cb-7"] rest"#;
    let mut cursor = cursor(text);
    assert_eq!(cursor.peek()?, Some(Shape::Vector));
    cursor.enter()?;
    assert_eq!(cursor.peek()?, Some(Shape::Vector));
    cursor.enter()?;
    assert_eq!(cursor.keyword()?, "chat/say");
    let payload = cursor.skip()?;
    assert_eq!(payload.text(), br#"{:text "hi", :to #{:a}}"#);
    assert_eq!(
        (payload.start(), payload.end(), payload.shape()),
        (13, 36, Shape::Map)
    );
    assert_eq!(cursor.peek()?, None);
    cursor.leave()?;
    assert_eq!(cursor.skip()?.text(), br#""cb-7""#);
    assert_eq!(cursor.peek()?, None);
    cursor.leave()?;
    assert_eq!(cursor.offset(), 45);
    assert_eq!(cursor.peek()?, Some(Shape::Symbol));
    cursor.skip()?;
    assert_eq!(cursor.peek()?, None);
    Ok(())
}

#[test]
fn every_shape_is_told_before_it_is_read() {
    for (text, shape) in [
        ("nil", Shape::Nil),
        ("true", Shape::Bool),
        ("false", Shape::Bool),
        ("1", Shape::Number),
        ("-1.5M", Shape::Number),
        ("+1", Shape::Number),
        ("##NaN", Shape::Number),
        ("\\a", Shape::Char),
        ("\"a\"", Shape::String),
        (":a/b", Shape::Keyword),
        ("a/b", Shape::Symbol),
        ("nilx", Shape::Symbol),
        ("-", Shape::Symbol),
        ("-a", Shape::Symbol),
        ("é", Shape::Symbol),
        ("()", Shape::List),
        ("[]", Shape::Vector),
        ("#{}", Shape::Set),
        ("{}", Shape::Map),
        ("#:a{}", Shape::Map),
        ("#a 1", Shape::Tagged),
        ("#inst \"2020\"", Shape::Tagged),
        ("#uuid \"1-2-3-4-5\"", Shape::Tagged),
        ("#_1 ; c\n #_ #a 2 , ^:m ^{:a 1} [4]", Shape::Vector),
    ] {
        let mut cursor = cursor(text);
        assert_eq!(cursor.peek(), Ok(Some(shape)), "{text}");
        assert_eq!(cursor.peek(), Ok(Some(shape)), "{text}");
        let form = cursor.skip().unwrap();
        assert_eq!((form.shape(), form.end()), (shape, text.len()), "{text}");
        assert!(from_slice(form.text()).is_ok());
        assert_eq!(cursor.peek(), Ok(None));
    }
}

#[test]
fn what_is_not_a_form_is_skipped_wherever_it_stands() -> Result<(), Error> {
    let mut cursor = cursor("#_ x [ ;c\n ^:m [ #_ #_ 1 2 :a , #_3 ] #_4 ; c\n ] #_5");
    cursor.enter()?;
    cursor.enter()?;
    assert_eq!(cursor.keyword()?, "a");
    assert_eq!(cursor.peek()?, None);
    cursor.leave()?;
    assert_eq!(cursor.peek()?, None);
    cursor.leave()?;
    assert_eq!(cursor.peek()?, None);
    Ok(())
}

#[test]
fn leaving_checks_what_is_left() {
    for text in [
        "[1 {:a 1 :a 2}]",
        "[1 ::a]",
        "[1 2)",
        "[1 #_]",
        "[1 ^a]",
        "[1 ^a 2]",
        "[1 \"",
        "[1",
    ] {
        let mut cursor = cursor(text);
        cursor.enter().unwrap();
        assert!(cursor.leave().is_err(), "{text}");
    }
    let mut cursor = cursor("([1 (2) {3 4}] 5) 6");
    cursor.enter().unwrap();
    cursor.enter().unwrap();
    cursor.leave().unwrap();
    assert_eq!(cursor.skip().unwrap().text(), b"5");
    cursor.leave().unwrap();
    assert_eq!(cursor.skip().unwrap().text(), b"6");
}

#[test]
fn a_text_that_is_not_edn_stops_the_cursor_for_good() {
    let mut cursor = cursor("[1 @ 2]");
    cursor.enter().unwrap();
    cursor.skip().unwrap();
    let error = cursor.peek().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::BannedCharacter('@'));
    assert_eq!(cursor.peek(), Err(error.clone()));
    assert_eq!(cursor.skip(), Err(error.clone()));
    assert_eq!(cursor.leave(), Err(error.clone()));
    assert_eq!(cursor.enter(), Err(error));
}

#[test]
fn a_form_knows_whether_it_stands_on_one_line() {
    assert!(cursor("[\"a\\nb\" 1]").skip().unwrap().is_line_safe());
    assert!(!cursor("[\"a\nb\"]").skip().unwrap().is_line_safe());
    assert!(!cursor("[1\r2]").skip().unwrap().is_line_safe());
    assert!(cursor("\n[1 2]\n").skip().unwrap().is_line_safe());
}

#[test]
fn a_form_knows_whether_other_readers_take_it() {
    for text in [
        "1/3",
        "1N",
        "1.5M",
        "\\a",
        "#inst \"2020\"",
        "[#uuid \"1-2-3-4-5\"]",
        "#:a{:b 1}",
        "##NaN",
        ":a/b",
        "a//",
        "/",
    ] {
        assert!(cursor(text).skip().unwrap().is_portable(), "{text}");
    }
    for text in [
        "#a 1",
        "[1 {:b #my/t 2}]",
        "[#_ #a 1 2]",
        ":a/b/c",
        "{a/b/c 1}",
    ] {
        assert!(!cursor(text).skip().unwrap().is_portable(), "{text}");
    }
    // Not all of them are Clojure's own reader's, but peers send them.
    for text in [":a/1", "[a/1b]", "{:a::b 1}", ":/a/b"] {
        let limits = Limits::default().dialect(Dialect::Either);
        let form = Cursor::new(text.as_bytes(), &limits).skip();
        assert!(form.is_ok_and(|form| !form.is_portable()), "{text}");
    }
    let mut cursor = cursor("[#a 1 2 #_ #b 3 4]");
    cursor.enter().unwrap();
    assert!(!cursor.skip().unwrap().is_portable());
    assert!(cursor.skip().unwrap().is_portable());
    assert!(
        cursor.skip().unwrap().is_portable(),
        "what was discarded before it is not in it"
    );
}

#[test]
fn limits_hold_for_the_text_as_a_whole() {
    let limits = Limits::default().max_elements(5);
    let mut cursor = Cursor::new(b"[1 [2 3] 4]", &limits);
    cursor.enter().unwrap();
    cursor.skip().unwrap();
    cursor.skip().unwrap();
    cursor.skip().unwrap();
    assert_eq!(
        *cursor.leave().unwrap_err().kind(),
        ErrorKind::TooManyElements { limit: 5 }
    );
    assert!(from_slice_with(b"[1 [2 3] 4]", &limits).is_err());
    let mut cursor = Cursor::new(b"[1]", &Limits::default().max_bytes(2));
    assert_eq!(
        *cursor.peek().unwrap_err().kind(),
        ErrorKind::TooLong {
            length: 3,
            limit: 2
        }
    );
}

#[test]
fn a_peers_names_are_read_in_the_wider_dialect() {
    let wide = Limits::default().dialect(Dialect::Either);
    for (text, reads) in [
        (":user/1", ":user/1"),
        ("a/1", "a/1"),
        ("a::b", "a::b"),
        ("#!x\n1", "1"),
        ("# inst \"2020\"", "#inst \"2020-01-01T00:00:00.000-00:00\""),
        ("#λ/x 1", "#λ/x 1"),
        ("[1:a \\(b \\,]", "[1 :a \\( b \\,]"),
        ("#:a{:1 2}", "{:a/1 2}"),
    ] {
        assert!(
            Cursor::new(text.as_bytes(), &Limits::default())
                .skip()
                .is_err(),
            "{text}"
        );
        let form = Cursor::new(text.as_bytes(), &wide).skip().unwrap();
        let value = from_slice_with(form.text(), &wide).unwrap();
        assert_eq!(value.to_string(), reads);
        assert!(
            from_slice_with(reads.as_bytes(), &wide)
                .unwrap()
                .identical(&value)
        );
    }
    assert_eq!(Cursor::new(b":user/1", &wide).keyword(), Ok("user/1"));
}

// Found by comparing random texts with real readers.

#[test]
fn a_blank_before_a_tag_does_not_make_a_tag_of_a_discard_or_number() {
    let wide = Limits::default().dialect(Dialect::Either);
    for text in ["# _/b {}", "# _a 1", "# !a 1", "# <a 1", "#-2 1", "# 'a 1"] {
        assert!(from_slice_with(text.as_bytes(), &wide).is_err(), "{text}");
    }
}

// Found by comparing the cursor with the reader on random texts.

#[test]
fn metadata_without_a_form_reports_the_last_metadata() {
    let error = cursor("^a ^b").peek().unwrap_err();
    assert_eq!(error.offset(), 3);
    assert_eq!(error, from_slice(b"^a ^b").unwrap_err());
}

#[test]
fn metadata_nests_what_carries_it() {
    for (text, depth) in [
        ("^a ^b [[]]", 4),
        ("^a [[]]", 3),
        ("^a ^b c", 2),
        ("[^a [^b [1]]]", 5),
    ] {
        for limit in 0..6 {
            let limits = Limits::default().max_depth(limit);
            let skipped = Cursor::new(text.as_bytes(), &limits).skip();
            let read = from_slice_with(text.as_bytes(), &limits);
            assert_eq!(skipped.clone().err(), read.clone().err(), "{text}");
            assert_eq!(read.is_ok(), limit >= depth, "{text} {limit}");
            let mut cursor = Cursor::new(text.as_bytes(), &limits);
            let stepped = cursor
                .enter()
                .and_then(|()| cursor.enter())
                .and_then(|()| cursor.leave());
            if text.contains('[') {
                assert_eq!(stepped.err(), read.err(), "{text} {limit}");
            }
        }
    }
}

#[test]
fn metadata_on_a_faulty_form_reports_the_fault_of_the_form() {
    for (text, kind) in [
        ("^a \\##NaN", ErrorKind::InvalidCharacter),
        ("^a 1x", ErrorKind::InvalidNumber),
        ("^a 1", ErrorKind::InvalidMetadataTarget),
    ] {
        assert_eq!(*cursor(text).peek().unwrap_err().kind(), kind);
        assert_eq!(*from_slice(text.as_bytes()).unwrap_err().kind(), kind);
    }
}

/// A regression: the byte 0 was taken for the end of the text.
#[test]
fn a_nul_is_a_symbol() {
    let mut cursor = Cursor::new(b"\0 \0", &Limits::default());
    assert_eq!(cursor.peek().unwrap(), Some(Shape::Symbol));
    assert_eq!(cursor.skip().unwrap().text(), b"\0");
    assert_eq!(cursor.skip().unwrap().end(), 3);
    assert_eq!(cursor.peek().unwrap(), None);
}

/// A regression: the reader counted what carries metadata once for each, the cursor did not.
#[test]
fn what_carries_metadata_is_one_form_however_it_is_read() {
    for (text, forms) in [
        ("^:m [1]", 3),
        ("^:a ^:b [1]", 4),
        ("^:m x", 2),
        ("[^:m x]", 3),
        ("#t ^:m x", 3),
    ] {
        for allowed in [forms - 1, forms] {
            let limits = Limits::default().max_elements(allowed);
            let read = sente_edn::read_first(text.as_bytes(), &limits).map(drop);
            let skipped = Cursor::new(text.as_bytes(), &limits).skip().map(drop);
            assert_eq!(read, skipped, "{text} within {allowed}");
            assert_eq!(read.is_ok(), allowed == forms, "{text} within {allowed}");
        }
    }
}
