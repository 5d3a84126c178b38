//! What the text layer promises its packers.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::limits::Limits;

fn tokens(text: &[u8]) -> Result<String, TextError> {
    let mut out = String::new();
    let mut cursor = TextCursor::new(text, &Limits::default());
    while let Some(token) = cursor.next()? {
        out.push_str(&match token {
            Token::Null => String::from("null "),
            Token::Bool(value) => format!("{value} "),
            Token::Number(number) => format!("{} ", number.text()),
            Token::String(text) => format!("{:?} ", text.decode()),
            Token::Key(text) => format!("{:?}: ", text.decode()),
            Token::Open(Container::Array) => String::from("[ "),
            Token::Open(Container::Object) => String::from("{ "),
            Token::Close => String::from("^ "),
        });
    }
    Ok(out)
}

#[test]
fn tokens_come_in_order_with_keys_told_from_strings() {
    let text = br#" [1,-2.5e+3,"a\"b",{"k":{"l":[]},"m" : null },{},true,false] ignored"#;
    assert_eq!(
        tokens(text).unwrap(),
        r#"[ 1 -2.5e+3 "a\"b" { "k": { "l": [ ^ ^ "m": null ^ { ^ true false ^ "#
    );
    assert_eq!(tokens(b" \n").unwrap(), "");
}

#[test]
fn what_is_not_json_is_an_error_with_its_place() {
    let rows: [(&[u8], usize, &str); 34] = [
        (b"[1,]", 3, "expected a JSON value"),
        (b"[,1]", 1, "expected a JSON value"),
        (b"[1 2]", 3, "expected a comma or ]"),
        (b"[1}", 2, "expected a comma or ]"),
        (b"[1 :2]", 3, "expected a comma or ]"),
        (b"[1", 2, "the text ends too early"),
        (b"[", 1, "the text ends too early"),
        (b"]", 0, "expected a JSON value"),
        (b"{\"a\"}", 4, "expected a colon behind a key"),
        (b"{\"a\",1}", 4, "expected a colon behind a key"),
        (b"{\"a\":1,}", 7, "expected a key in quotes"),
        (b"{\"a\":}", 5, "expected a JSON value"),
        (b"{\"a\":1 \"b\":2}", 7, "expected a comma or }"),
        (b"{1:2}", 1, "expected a key in quotes"),
        (b"{,}", 1, "expected a key in quotes"),
        (b"nul", 0, "expected true, false or null"),
        (b"nulls", 0, "expected true, false or null"),
        (b"True", 0, "expected a JSON value"),
        (b"NaN", 0, "expected a JSON value"),
        (b"-", 1, "expected a digit"),
        (b"-a", 1, "expected a digit"),
        (b"01", 0, "not a number"),
        (b"1.", 2, "expected a digit"),
        (b"1.e3", 2, "expected a digit"),
        (b"1e", 2, "expected a digit"),
        (b".5", 0, "expected a JSON value"),
        (b"1a", 0, "not a number"),
        (b"\"a", 2, "the text ends inside of a string"),
        (
            b"\"\n\"",
            1,
            "a control character in a string must be escaped",
        ),
        (b"\"\\x\"", 1, "not an escape of JSON"),
        (b"\"\\u12g4\"", 1, "expected four hex digits behind \\u"),
        (b"[\"a\xff\"]", 3, "not UTF-8"),
        (b"12\xff", 2, "not UTF-8"),
        (b"\xef\xbb\xbf1", 0, "expected a JSON value"),
    ];
    for (text, offset, message) in rows {
        let error = tokens(text).unwrap_err();
        assert_eq!(error, TextError::new(offset, message), "{text:?}");
    }
}

#[test]
fn escapes_are_undone_and_strings_without_them_borrowed() {
    let decoded = |text: &str| {
        let mut cursor = TextCursor::new(text.as_bytes(), &Limits::default());
        String::from(cursor.string().unwrap().0.decode())
    };
    assert_eq!(decoded(r#""\"\\\/\b\f\n\r\t""#), "\"\\/\u{8}\u{c}\n\r\t");
    assert_eq!(decoded(r#""\u0041\u00e9\uD83D\ude00é""#), "Aé😀é");
    // Unpaired surrogates are one U+FFFD each.
    assert_eq!(decoded(r#""a\ud83db""#), "a\u{fffd}b");
    assert_eq!(decoded(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
    assert_eq!(decoded(r#""\ude00\ud83d""#), "\u{fffd}\u{fffd}");
    assert_eq!(decoded(r#""\ud83d\u0041""#), "\u{fffd}A");

    let mut cursor = TextCursor::new(br#""plain""#, &Limits::default());
    let (text, span) = cursor.string().unwrap();
    assert!(matches!(text.decode(), Cow::Borrowed("plain")));
    assert_eq!((span.start, span.end), (0, 7));
}

#[test]
fn numbers_are_read_by_their_text() {
    let number = |text: &str| {
        let mut cursor = TextCursor::new(text.as_bytes(), &Limits::default());
        match cursor.next().unwrap() {
            Some(Token::Number(number)) => (number.to_i64(), number.to_f64()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number("-1"), (Some(-1), -1.0));
    assert_eq!(number("18446744073709551615").0, None);
    assert_eq!(number("1.0"), (None, 1.0));
    assert_eq!(number("1e2"), (None, 100.0));
    assert_eq!(number("-1e999").1, f64::NEG_INFINITY);
}

#[test]
fn a_cursor_enters_skips_and_leaves() {
    let text = b" [ {\"a\":[1,\n2], \"b\":2}, 3, [4] ]";
    let mut cursor = TextCursor::new(text, &Limits::default());
    assert_eq!(cursor.enter().unwrap(), Container::Array);
    assert_eq!(cursor.peek().unwrap(), Some(Kind::Object));
    assert_eq!(cursor.enter().unwrap(), Container::Object);
    assert_eq!(cursor.string().unwrap().0.decode(), "a");
    let span = cursor.skip().unwrap();
    assert_eq!(&text[span.start..span.end], b"[1,\n2]");
    assert!(!span.line_safe);
    cursor.leave().unwrap();
    // Being asked for what is not there does not stop the cursor.
    assert!(cursor.enter().is_err());
    let span = cursor.skip().unwrap();
    assert_eq!(
        (&text[span.start..span.end], span.line_safe),
        (&b"3"[..], true)
    );
    assert_eq!(cursor.skip().unwrap().kind, Kind::Array);
    assert_eq!(cursor.peek().unwrap(), None);
    assert!(cursor.skip().is_err());
    cursor.leave().unwrap();
    assert_eq!(cursor.pos(), text.len());
    assert_eq!(cursor.next().unwrap(), None);
    assert!(cursor.leave().is_err());
}

#[test]
fn an_error_stays() {
    let mut cursor = TextCursor::new(b"[1,x]", &Limits::default());
    cursor.enter().unwrap();
    cursor.skip().unwrap();
    let error = cursor.peek().unwrap_err();
    assert_eq!(error.offset, 3);
    assert_eq!(cursor.skip(), Err(error));
    assert_eq!(cursor.leave(), Err(error));
    assert_eq!(cursor.next(), Err(error));
}

#[test]
fn depth_and_elements_are_bounded() {
    let limits = Limits {
        max_depth: 2,
        max_elements: 4,
        ..Limits::default()
    };
    let skip = |text: &[u8]| TextCursor::new(text, &limits).skip();
    assert!(skip(b"[[1]]").is_ok());
    assert_eq!(
        skip(b"[[{}]]"),
        Err(TextError::over(2, "levels of nesting", 2))
    );
    assert!(skip(b"{\"a\":[1]}").is_ok());
    assert_eq!(
        skip(b"[1,{\"a\":2}]"),
        Err(TextError::over(8, "elements", 4))
    );
}

#[test]
fn depth_costs_no_stack() {
    let deep = 1_000_000;
    let limits = Limits {
        max_depth: deep,
        ..Limits::default()
    };
    let mut text: Vec<u8> = Vec::new();
    text.resize(deep, b'[');
    text.resize(deep * 2, b']');
    let span = TextCursor::new(&text, &limits).skip().unwrap();
    assert_eq!(span.end, text.len());
}

#[test]
fn strings_are_written_in_two_styles() {
    let written = |text: &str, style| {
        let mut out = Vec::new();
        write_string(text, style, &mut out);
        String::from_utf8(out).unwrap()
    };
    let text = "a\"\\/\u{0}\u{8}\u{c}\n\r\t\u{1f}\u{7f}é\u{2028}😀z";
    assert_eq!(
        written(text, Style::JavaScript),
        "\"a\\\"\\\\/\\u0000\\b\\f\\n\\r\\t\\u001f\u{7f}é\u{2028}😀z\""
    );
    assert_eq!(
        written(text, Style::Jackson),
        "\"a\\\"\\\\/\\u0000\\b\\f\\n\\r\\t\\u001F\u{7f}é\u{2028}\\uD83D\\uDE00z\""
    );
    assert_eq!(
        written("😀😀", Style::Jackson),
        r#""\uD83D\uDE00\uD83D\uDE00""#
    );
}

#[test]
fn floats_are_written_as_java_does() {
    let written = |value| {
        let mut out = Vec::new();
        write_f64(value, &mut out).then(|| String::from_utf8(out).unwrap())
    };
    assert_eq!(written(1.0).unwrap(), "1.0");
    assert_eq!(written(-1e7).unwrap(), "-1.0E7");
    assert_eq!(written(f64::NAN), None);
    assert_eq!(written(f64::INFINITY), None);
}
