//! A stream in chunks: when forms are there, when faults are seen, and what is kept of it.
#![allow(missing_docs)]

use sente_edn::{ErrorKind, Inside, Limits, StreamError, StreamReader, Value};

/// What is taken before more is fed, as text.
fn taken(reader: &mut StreamReader) -> Vec<String> {
    let mut forms = Vec::new();
    while let Some(form) = reader.next_form().unwrap() {
        forms.push(String::from_utf8(form.text().to_vec()).unwrap());
    }
    forms
}

#[test]
fn a_form_is_there_as_soon_as_it_can_not_go_on() {
    for (text, there, rest) in [
        ("[1 2]", &["[1 2]"][..], None),
        ("\"a\\\"b\"", &["\"a\\\"b\""], None),
        ("#{}#:a{:b 1}", &["#{}", "#:a{:b 1}"], None),
        ("12", &[], Some("12")),
        ("12,", &["12"], None),
        ("a;", &["a"], None),
        ("a#", &[], Some("a#")),
        ("1#", &["1"], None),
        (":a\"", &[":a"], None),
        ("\\(", &[], Some("\\(")),
        ("\\(\u{2028}", &["\\("], None),
        ("^:m #_x [1]", &["[1]"], None),
        ("#a #b \"c\"", &["#a #b \"c\""], None),
        ("#_ #_ a b \"c\"", &["\"c\""], None),
        ("-", &[], Some("-")),
        ("nil", &[], Some("nil")),
        (" ; c [", &[], None),
    ] {
        let mut reader = StreamReader::new(&Limits::default());
        reader.feed(text.as_bytes());
        assert_eq!(taken(&mut reader), there, "{text}");
        if rest.is_some() || text.ends_with('#') {
            assert!(reader.open_since().is_some(), "{text}");
        }
        if !text.ends_with(['#', '"']) || there.len() > 1 {
            reader.finish();
            assert_eq!(taken(&mut reader), rest.into_iter().collect::<Vec<_>>());
            assert_eq!(reader.open_since(), None);
        }
    }
}

/// Feeds a text without its end and gives the error.
fn fault(text: &str, limits: &Limits) -> StreamError {
    let mut reader = StreamReader::new(limits);
    reader.feed(text.as_bytes());
    loop {
        match reader.next_form() {
            Ok(form) => assert!(form.is_some(), "no error in {text}"),
            Err(error) => return error,
        }
    }
}

#[test]
fn what_can_not_be_mended_is_an_error_before_the_form_ends() {
    let unmatched = |found, expected| ErrorKind::UnmatchedDelimiter { found, expected };
    for (text, kind, offset) in [
        ("1 ]", unmatched(']', None), 2),
        ("[1 [2)", unmatched(')', Some(']')), 5),
        ("[#_]", unmatched(']', None), 3),
        ("[a@", ErrorKind::BannedCharacter('@'), 2),
        ("[ ~", ErrorKind::BannedCharacter('~'), 2),
        ("(#\"", ErrorKind::InvalidDispatch, 1),
        ("#:a(", ErrorKind::InvalidNamespacedMap, 0),
        ("[1x 2", ErrorKind::InvalidNumber, 1),
        ("[:a/ ", ErrorKind::InvalidToken, 1),
        ("[{:a} ", ErrorKind::MissingValue, 4),
        ("[\"\\q", ErrorKind::InvalidEscape, 2),
    ] {
        let error = fault(text, &Limits::default());
        assert_eq!((error.kind(), error.offset()), (&kind, offset), "{text}");
        assert!(!error.is_incomplete());
    }
    let mut reader = StreamReader::new(&Limits::default());
    reader.feed(b"[\"a\xff");
    let error = reader.next_form().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::InvalidUtf8, 3));
}

#[test]
fn a_fault_that_needs_a_closer_look_is_seen_before_the_form_is_twice_as_long() {
    let mut reader = StreamReader::new(&Limits::default());
    let mut fed = 0;
    let error = loop {
        reader.feed(if fed == 100 { b"1x " } else { b"[1 " });
        fed += 1;
        match reader.next_form() {
            Ok(form) => assert_eq!(form, None),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error.kind(), error.offset()),
        (&ErrorKind::InvalidNumber, 300)
    );
    assert!(fed > 100 && fed <= 202, "{fed}");
}

#[test]
fn a_stream_that_ends_too_early_says_what_is_still_open() {
    for (text, inside, offset) in [
        ("1 [2 {", Inside::Map, 5),
        ("1 \"", Inside::String, 2),
        ("1 #_", Inside::Discard, 2),
        ("[] ^a", Inside::Metadata, 3),
        ("[] #", Inside::Dispatch, 3),
        ("[] 1e", Inside::Number, 3),
        ("[] a/", Inside::Token, 3),
        ("[] \\", Inside::Character, 3),
        ("[] #:a ", Inside::NamespacedMap, 3),
    ] {
        let mut reader = StreamReader::new(&Limits::default());
        reader.feed(text.as_bytes());
        assert_eq!(taken(&mut reader).len(), 1);
        let start = text.find(' ').unwrap() as u64 + 1;
        assert_eq!(reader.open_since(), Some(start));
        reader.finish();
        let error = reader.next_form().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::UnexpectedEnd { inside });
        assert_eq!((error.offset(), error.is_incomplete()), (offset, true));
    }
    let mut reader = StreamReader::new(&Limits::default());
    reader.feed("1 é".as_bytes().split_last().unwrap().1);
    assert_eq!(taken(&mut reader), ["1"]);
    reader.finish();
    let error = reader.next_form().unwrap_err();
    let inside = Inside::CodePoint;
    assert_eq!(*error.kind(), ErrorKind::UnexpectedEnd { inside });
}

#[test]
fn after_an_error_there_is_only_that_error_and_what_was_not_taken() {
    let mut reader = StreamReader::new(&Limits::default());
    reader.feed(b"1 2\n ^:m @x");
    assert_eq!(reader.next_value(), Ok(Some(Value::from(1))));
    assert_eq!(reader.next_value(), Ok(Some(Value::from(2))));
    let error = reader.next_value().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`@` may not stand in EDN outside strings at byte 9 (line 2, column 6)"
    );
    reader.feed(b" 3 ");
    reader.finish();
    assert_eq!(reader.next_form(), Err(error));
    assert_eq!(reader.unread(), b"^:m @x");
}

#[test]
fn a_stream_that_was_finished_can_go_on() {
    let mut reader = StreamReader::new(&Limits::default());
    reader.feed(b"a");
    reader.finish();
    assert_eq!(taken(&mut reader), ["a"]);
    reader.feed(b"b ; c");
    assert_eq!(taken(&mut reader), ["b"]);
    reader.finish();
    assert_eq!(reader.next_form(), Ok(None));
    reader.feed(b" d\ne");
    assert_eq!(reader.next_form(), Ok(None));
    reader.finish();
    let form = reader.next_form().unwrap().unwrap();
    assert_eq!((form.text(), form.start(), form.end()), (&b"e"[..], 9, 10));
}

#[test]
fn what_is_kept_has_a_bound() {
    let limits = Limits::default().max_bytes(100);
    let mut reader = StreamReader::new(&limits);
    for chunk in [" ", "; comment", "\n", "#_ x ", "[1 2] ", "#_ \"y\""] {
        for _ in 0..1000 {
            reader.feed(chunk.as_bytes());
            while reader.next_form().unwrap().is_some() {}
            assert!(reader.unread().len() <= 100);
        }
    }
    reader.feed(b"\n(");
    let error = loop {
        reader.feed(b"1 2 ");
        match reader.next_form() {
            Ok(form) => assert_eq!(form, None),
            Err(error) => break error,
        }
        assert!(reader.unread().len() <= 100);
    };
    let too_long = ErrorKind::TooLong {
        length: 101,
        limit: 100,
    };
    assert_eq!(*error.kind(), too_long);
    for _ in 0..1000 {
        reader.feed(b"1 2 ");
    }
    assert!(reader.unread().len() <= 104);
}

/// There are no timings here: quadratic work over a million bytes would simply not finish.
#[test]
fn a_million_bytes_one_by_one_are_no_more_work_than_at_once() {
    let limits = Limits::unlimited();
    let length = 1_000_000;
    let string = format!("\"{}\"", "a".repeat(length));
    let escapes = format!("\"{}\"", "\\n".repeat(length / 2));
    let vector = format!("[{}]", "1 ".repeat(length / 2));
    let nested = format!("{}{}", "[".repeat(length / 2), "]".repeat(length / 2));
    let tags = format!("{}1 ", "#a ".repeat(length / 3));
    let comments = format!("[{}]", "; c\n".repeat(length / 4));
    let comment = format!(";{}\n1 ", "c".repeat(length));
    let number = format!("{} ", "1".repeat(length));
    for text in [
        string, escapes, vector, nested, tags, comments, comment, number,
    ] {
        let mut reader = StreamReader::new(&limits);
        let mut forms = 0;
        for byte in text.as_bytes().chunks(1) {
            reader.feed(byte);
            while reader.next_form().unwrap().is_some() {
                forms += 1;
            }
        }
        assert_eq!(forms, 1);
        assert_eq!(reader.open_since(), None);
    }
}

#[test]
fn forms_that_are_taken_late_are_no_more_work() {
    let text = "1 [2] \"3\" #_4 ; c\n".repeat(60_000);
    let mut reader = StreamReader::new(&Limits::default());
    reader.feed(text.as_bytes());
    let mut forms = 0;
    while reader.next_form().unwrap().is_some() {
        // Only one of three is taken before more is fed.
        if forms < 60_000 {
            reader.feed(b"nil ");
        }
        forms += 1;
    }
    assert_eq!(forms, 4 * 60_000);
}
