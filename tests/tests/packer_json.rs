//! The JSON packer: what it carries comes back, what it loses is listed, and JavaScript agrees.
#![allow(missing_docs)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sente_core::Limits;
use sente_core::packer::{Json, Packer, Shape, UnpackError};
use sente_edn::{Inst, Map, Uuid, Value};
use sente_tests::edn;

fn pack(value: &Value) -> String {
    let mut out = Vec::new();
    Json::new().pack(value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn unpack(text: impl AsRef<[u8]>) -> Result<Value, UnpackError> {
    Json::new().unpack(text.as_ref(), &Limits::default())
}

/// As EDN, JSON, and what that comes back as; `same` if as it was.
const ROWS: &[(&str, &str, &str)] = &[
    ("nil", "null", "same"),
    ("true", "true", "same"),
    ("false", "false", "same"),
    ("0", "0", "same"),
    ("-42", "-42", "same"),
    ("9223372036854775807", "9223372036854775807", "same"),
    ("-9223372036854775808", "-9223372036854775808", "same"),
    (
        "123456789012345678901234567890N",
        "123456789012345678901234567890",
        "same",
    ),
    ("42N", "42", "42"),
    ("1.0", "1.0", "same"),
    ("-0.0", "-0.0", "same"),
    ("1e7", "1.0E7", "same"),
    ("5e-324", "5.0E-324", "same"),
    ("1.7976931348623157e308", "1.7976931348623157E308", "same"),
    ("##NaN", "null", "nil"),
    ("##Inf", "null", "nil"),
    ("##-Inf", "null", "nil"),
    ("1.50M", "1.50", "1.5"),
    ("1E-20M", "1E-20", "1e-20"),
    ("0E+3M", "0E+3", "0.0"),
    ("-12E5M", "-1.2E+6", "-1200000.0"),
    ("1/4", "0.25", "0.25"),
    ("\\a", "\"a\"", "\"a\""),
    ("\\newline", "\"\\n\"", "\"\\n\""),
    ("\"\"", "\"\"", "same"),
    (r#""a\"\\\n\t/é😀""#, r#""a\"\\\n\t/é😀""#, "same"),
    ("\":a/b\"", "\":a/b\"", "same"),
    (":a", "\"a\"", "\"a\""),
    (":a/b", "\"a/b\"", "\"a/b\""),
    ("x/y", "\"x/y\"", "\"x/y\""),
    ("[1 [] [[nil]]]", "[1,[],[[null]]]", "same"),
    ("(1 2)", "[1,2]", "[1 2]"),
    ("#{1}", "[1]", "[1]"),
    ("{}", "{}", "same"),
    ("{:a {:b/c 1}, :d []}", r#"{"a":{"b/c":1},"d":[]}"#, "same"),
    (
        "{\"two words\" 1, \"a;\" 2, \"\" 3}",
        r#"{"two words":1,"a;":2,"":3}"#,
        "same",
    ),
    ("{\"a\" 1}", r#"{"a":1}"#, "{:a 1}"),
    ("{\":a\" 1}", r#"{":a":1}"#, "{:a 1}"),
    (
        "{1 1, 1.5 2, nil 3, true 4, \\a 5, x/y 6}",
        r#"{"1":1,"1.5":2,"null":3,"true":4,"a":5,"x/y":6}"#,
        r#"{:1 1, :1.5 2, :null 3, :true 4, :a 5, :x/y 6}"#,
    ),
    (
        "{[1 :a] 1, {:b \"c\"} 2, #my/tag 1 3}",
        r##"{"[1 :a]":1,"{:b \"c\"}":2,"#my/tag 1":3}"##,
        r##"{"[1 :a]" 1, "{:b \"c\"}" 2, "#my/tag 1" 3}"##,
    ),
    (
        "#inst \"2026-01-02T03:04:05.678-00:00\"",
        "\"2026-01-02T03:04:05.678Z\"",
        "\"2026-01-02T03:04:05.678Z\"",
    ),
    (
        "{#inst \"2026-01-02T03:04:05.678-00:00\" 1}",
        "{\"2026-01-02T03:04:05.678Z\":1}",
        "{:2026-01-02T03:04:05.678Z 1}",
    ),
    (
        "#uuid \"F81D4FAE-7dec-11d0-a765-00a0c91e6bf6\"",
        "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
    ),
    ("#my/point [1 2]", "[1,2]", "[1 2]"),
    ("#a #b {:c #d 1}", "{\"c\":1}", "{:c 1}"),
    ("#bytes/b64 \"AQID\"", "\"AQID\"", "\"AQID\""),
];

#[test]
fn every_kind_of_value_is_packed_and_comes_back_as_the_table_says() {
    for (text, json, back) in ROWS {
        let value = edn(text);
        assert_eq!(pack(&value), *json, "{text}");
        let expected = if *back == "same" { value } else { edn(back) };
        let again = unpack(json).unwrap();
        assert!(again.identical(&expected), "{text} came back as {again}");
        // Another JSON library takes it for the same text.
        let theirs: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(theirs.is_null(), again.is_nil(), "{text}");
    }
}

#[test]
fn keys_that_become_the_same_are_an_error() {
    for text in [
        "{:a 1, \"a\" 2}",
        "[{:a {x 1, :x 2}}]",
        "{1 :a, \"1\" :b}",
        "{nil 1, \"null\" 2}",
        "{[1] 1, \"[1]\" 2}",
        "{1/3 1, 0.3333333333333333 2}",
        "{##NaN 1, ##Inf 2}",
    ] {
        let error = Json::new().pack(&edn(text), &mut Vec::new()).unwrap_err();
        assert_eq!(error.packer, "json");
        assert!(
            error.message.starts_with("two keys of a map are both"),
            "{error}"
        );
    }
    assert_eq!(pack(&edn("{:a 1, \"b\" 2, c 3}")), r#"{"a":1,"b":2,"c":3}"#);
}

#[test]
fn a_key_that_repeats_has_its_last_value() {
    let value = unpack(r#"{"a":1,"b":2,":a":3,"a":{"a":4}}"#).unwrap();
    assert!(value.identical(&edn("{:a {:a 4}, :b 2}")), "{value}");
}

#[test]
fn keys_stay_strings_where_that_is_asked_for() {
    let json = Json::new().keyword_keys(false);
    let text = r#"{"a":1,":b":2,"x y":{"c/d":3}}"#;
    let value = json.unpack(text.as_bytes(), &Limits::default()).unwrap();
    assert!(value.identical(&edn(r#"{"a" 1, ":b" 2, "x y" {"c/d" 3}}"#)));
    assert_eq!(pack(&value), text);
    let mut seen = Vec::new();
    json.entries(text.as_bytes(), &Limits::default(), &mut |key, span| {
        seen.push((String::from(key), &text[span.start..span.end]));
    });
    let expected = [("a", "1"), ("b", "2"), ("x y", r#"{"c/d":3}"#)];
    assert_eq!(seen, expected.map(|(key, value)| (key.to_owned(), value)));
}

#[test]
fn numbers_are_integers_by_their_text_alone() {
    for (text, expected) in [
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1E2", "100.0"),
        ("18446744073709551616", "18446744073709551616N"),
        ("1e400", "##Inf"),
        ("-1e400", "##-Inf"),
        ("1e-400", "0.0"),
    ] {
        let value = unpack(text).unwrap();
        assert!(value.identical(&edn(expected)), "{text}: {value}");
    }
}

#[test]
fn what_follows_the_first_value_is_ignored_and_an_empty_text_is_an_error() {
    assert_eq!(unpack(" [1] [2").unwrap(), edn("[1]"));
    assert_eq!(unpack("1 x").unwrap(), edn("1"));
    for text in ["", " \n"] {
        let error = unpack(text).unwrap_err();
        assert_eq!(
            error,
            UnpackError::Other {
                offset: text.len(),
                message: "expected a JSON value, found nothing".into()
            }
        );
    }
}

#[test]
fn errors_say_what_and_where() {
    for (text, message) in [
        ("[1,]", "expected a JSON value at byte 3"),
        ("{\"a\" 1}", "expected a colon behind a key at byte 5"),
        (
            "[\"\u{1}\"]",
            "a control character in a string must be escaped at byte 2",
        ),
        ("[:a/b 1]", "expected a JSON value at byte 1"),
        ("[\"a\"", "the text ends too early at byte 4"),
    ] {
        assert_eq!(unpack(text).unwrap_err().to_string(), message, "{text}");
    }
    let error = unpack(b"[\"\xff\"]").unwrap_err();
    assert_eq!(error.to_string(), "not UTF-8 at byte 2");
}

#[test]
fn depth_and_elements_are_bounded_and_depth_costs_no_stack() {
    let mut limits = Limits::default();
    limits.max_depth = 3;
    limits.max_elements = 5;
    let json = Json::new();
    assert!(json.unpack(b"[[[1,2]]]", &limits).is_ok());
    assert_eq!(
        json.unpack(b"[{\"a\":[[]]}]", &limits)
            .unwrap_err()
            .to_string(),
        "over the limit of 3 levels of nesting at byte 7"
    );
    assert_eq!(
        json.unpack(b"[1,2,3,4,5]", &limits)
            .unwrap_err()
            .to_string(),
        "over the limit of 5 elements at byte 9"
    );

    let deep = 200_000;
    limits.max_depth = deep;
    limits.max_elements = usize::MAX;
    let text = format!("{}1{}", "[{\"a\":".repeat(deep / 2), "}]".repeat(deep / 2));
    let value = json.unpack(text.as_bytes(), &limits).unwrap();
    assert_eq!(pack(&value), text);
}

#[test]
fn a_whole_message_has_its_events_named() {
    for (frame, message) in [
        (r#"["a/b",{"k":"c/d"}]"#, r#"[:a/b {:k "c/d"}]"#),
        (r#"[":a/b"]"#, "[:a/b]"),
        (r#"["a",1]"#, r#"["a" 1]"#),
        (r#"[["a/b",["x/y"]],"cb"]"#, r#"[[:a/b ["x/y"]] "cb"]"#),
        (r#"[["a/b"],null]"#, "[[:a/b] nil]"),
        (
            r#"[[["a/b",1],["c/d",["e/f"]],["g",2]],null]"#,
            r#"[[[:a/b 1] [:c/d ["e/f"]] ["g" 2]] nil]"#,
        ),
        (
            r#"["batch/events",[["a/b",1],["c/d"]]]"#,
            "[:batch/events [[:a/b 1] [:c/d]]]",
        ),
        (r#"["chsk/recv",["a/b",1]]"#, "[:chsk/recv [:a/b 1]]"),
        (r#"["a/b",["c/d",1]]"#, r#"[:a/b ["c/d" 1]]"#),
        (r#"[{"a/b":1},"cb"]"#, r#"[{:a/b 1} "cb"]"#),
        (r#"["pong","cb"]"#, r#"["pong" "cb"]"#),
        (r#"["a/b ; c",["d/e"]]"#, r#"["a/b ; c" ["d/e"]]"#),
        (r#"["a/b"#, ""),
        ("[]", "[]"),
        ("{}", "{}"),
        (r#""a/b""#, r#""a/b""#),
    ] {
        let read = Json::new().unpack_message(&Bytes::from(frame), &Limits::default());
        match read {
            Ok(value) => assert!(value.identical(&edn(message)), "{frame}: {value}"),
            Err(_) => assert_eq!(message, "", "{frame}"),
        }
    }
}

#[test]
fn a_cursor_sees_a_keyword_only_where_an_event_has_its_id() {
    let text = br#" ["a/b", "c/d", ["\u003ae/1" ,2], ["f"], ["not a/b"], ["a/b ;c"], {"g/h":1}, null, false, [] ]"#;
    Json::new()
        .walk(text, &Limits::default(), &mut |cursor| {
            assert_eq!(cursor.peek()?, Some(Shape::Vector));
            assert!(cursor.keyword().is_err());
            cursor.enter()?;
            assert_eq!(cursor.peek()?, Some(Shape::Keyword));
            assert!(cursor.enter().is_err());
            let (name, span) = cursor.keyword_span()?;
            assert_eq!(name, "a/b");
            assert_eq!(&text[span.start..span.end], b"\"a/b\"");
            assert_eq!(cursor.peek()?, Some(Shape::String));
            assert!(cursor.keyword().is_err());
            assert_eq!(cursor.skip()?.shape, Shape::String);
            cursor.enter()?;
            assert_eq!(cursor.keyword()?, "e/1");
            cursor.leave()?;
            for _ in 0..3 {
                cursor.enter()?;
                assert_eq!(cursor.peek()?, Some(Shape::String));
                assert!(cursor.keyword().is_err());
                cursor.leave()?;
            }
            assert!(cursor.enter().is_err(), "an object is not entered");
            let map = cursor.skip()?;
            assert_eq!(map.shape, Shape::Map);
            assert!(map.truthy && map.line_safe && map.portable);
            assert!(!cursor.skip()?.truthy);
            assert!(!cursor.skip()?.truthy);
            assert!(cursor.skip()?.truthy);
            assert_eq!(cursor.peek()?, None);
            cursor.leave()?;
            assert_eq!(cursor.peek()?, None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn only_blanks_between_tokens_can_hold_line_breaks() {
    for (text, is_safe) in [
        ("[1, 2]", true),
        ("\n[1]\n", true),
        ("[1,\n2]", false),
        ("{\"a\":\r1}", false),
        ("\"a\\n\"", true),
    ] {
        Json::new()
            .walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
                assert_eq!(cursor.skip()?.line_safe, is_safe, "{text:?}");
                Ok(())
            })
            .unwrap();
    }
}

/// Values that JSON carries without loss.
fn carried() -> impl Strategy<Value = Value> {
    let integer = any::<i64>().prop_map(Value::Int);
    let big = "[1-9][0-9]{19,40}".prop_map(|digits| edn(&format!("{digits}N")));
    let float = any::<f64>()
        .prop_filter("JSON has only finite numbers", |value| value.is_finite())
        .prop_map(Value::Float);
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        integer,
        big,
        float,
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((key(), inner), 0..8)
                .prop_map(|entries| Value::Map(entries.into_iter().collect::<Map>())),
        ]
    })
}

/// Keywords, and strings that are none.
fn key() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,5}(/[a-z?!]{1,5})?".prop_map(|name| Value::keyword(&name).unwrap()),
        "[0-9 ]{0,3} \\PC{0,4}".prop_map(Value::String),
    ]
}

/// Values with everything JSON loses.
fn any_value() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(edn("##NaN")),
        Just(edn("7N")),
        Just(edn("1.50M")),
        Just(edn("22/7")),
        any::<char>().prop_map(Value::Char),
        "[a-z]{1,3}/[a-z]{1,3}".prop_map(|name| Value::symbol(&name).unwrap()),
        (0..4_000_000_000_000_i64).prop_map(|at| Value::Inst(Inst::from_millis(at).unwrap())),
        any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))),
        Just(edn("#my/tag {:a (1)}")),
    ];
    let leaf = prop_oneof![carried(), odd];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| Value::List(items.into())),
            vec(inner.clone(), 0..6).prop_map(|items| Value::Set(items.into_iter().collect())),
            vec((inner.clone(), inner), 0..6)
                .prop_map(|entries| Value::Map(entries.into_iter().collect::<Map>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_json_carries_comes_back_as_it_was(value in carried()) {
        let text = pack(&value);
        let back = unpack(&text).unwrap();
        prop_assert!(back.identical(&value), "{text} came back as {back}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn what_json_loses_is_lost_the_first_time(value in any_value()) {
        let mut out = Vec::new();
        if Json::new().pack(&value, &mut out).is_ok() {
            prop_assert!(!out.contains(&b'\n'));
            let once = unpack(&out).unwrap();
            let twice = unpack(pack(&once)).unwrap();
            prop_assert!(twice.identical(&once), "{once} became {twice}");
        }
    }

    #[test]
    fn any_text_is_taken_or_refused_as_serde_json_does(
        text in "[\\[\\]{}:,\"\\\\ 0-9a-fnrtu.eE+\\-]{0,24}"
    ) {
        taken_as_serde_json_does(&text)?;
    }

    #[test]
    fn a_changed_text_is_taken_or_refused_as_serde_json_does(
        value in carried(),
        at in any::<prop::sample::Index>(),
        cut in 0..3_usize,
        with in "[\\[\\]{}:,\"\\\\ 0-9tf.e\n\\-\u{1}]{0,2}",
    ) {
        let mut text: Vec<char> = pack(&value).chars().collect();
        let at = at.index(text.len());
        let end = text.len().min(at + cut);
        text.splice(at..end, with.chars());
        taken_as_serde_json_does(&text.into_iter().collect::<String>())?;
    }
}

fn taken_as_serde_json_does(text: &str) -> Result<(), TestCaseError> {
    let mut end = 0;
    let ours = Json::new()
        .walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
            end = cursor.skip()?.end;
            Ok(())
        })
        .is_ok();
    prop_assert_eq!(ours, unpack(text).is_ok());
    let ours = ours && text[end..].trim_ascii().is_empty();
    let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    prop_assert_eq!(ours, theirs, "{:?}", text);
    Ok(())
}
