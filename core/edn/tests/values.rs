//! Values: how they are made, asked, changed, compared and printed.
#![allow(missing_docs)]

use std::collections::HashSet;

use sente_edn::{
    BigInt, Cursor, Decimal, Inst, Keyword, Limits, List, Map, Ratio, Set, StreamReader, Symbol,
    Tagged, Tree, Uuid, Value, Vector, from_str, to_string, to_vec, write, write_fmt,
};

fn read(text: &str) -> Value {
    from_str(text).unwrap()
}

#[test]
fn values_are_made_from_what_rust_has() {
    let rows: Vec<(Value, &str)> = vec![
        (Value::default(), "nil"),
        (true.into(), "true"),
        (7_i32.into(), "7"),
        (u64::MAX.into(), "18446744073709551615N"),
        (7_u64.into(), "7"),
        (1.5_f32.into(), "1.5"),
        ('a'.into(), "\\a"),
        ("a".into(), "\"a\""),
        (String::from("a").into(), "\"a\""),
        (Keyword::new("a/b").unwrap().into(), ":a/b"),
        (Symbol::new("a/b").unwrap().into(), "a/b"),
        (vec![Value::from(1), "a".into()].into(), "[1 \"a\"]"),
        ((0..3).map(Value::from).collect(), "[0 1 2]"),
        (List::from_iter([1, 2]).into(), "(1 2)"),
        (Set::from([2, 1]).into(), "#{2 1}"),
        (Map::from([("b", 1), ("a", 2)]).into(), "{\"b\" 1, \"a\" 2}"),
        (
            Inst::from_millis(0).unwrap().into(),
            "#inst \"1970-01-01T00:00:00.000-00:00\"",
        ),
        (
            Uuid::from_u128(0xab).into(),
            "#uuid \"00000000-0000-0000-0000-0000000000ab\"",
        ),
        (
            Tagged::new(Symbol::new("my/t").unwrap(), 1).unwrap().into(),
            "#my/t 1",
        ),
        (BigInt::new("+007").unwrap().into(), "7N"),
        (BigInt::new("-0").unwrap().into(), "0N"),
        (Decimal::new("-1.50").unwrap().into(), "-1.50M"),
        (Some(1).into(), "1"),
        (None::<i64>.into(), "nil"),
        (Value::keyword("a").unwrap(), ":a"),
        (Value::symbol("a").unwrap(), "a"),
    ];
    for (value, text) in rows {
        assert_eq!(value.to_string(), text);
        assert!(read(text).identical(&value));
    }
}

#[test]
fn values_can_be_asked_for_what_they_are() {
    assert!(Value::Nil.is_nil() && !read("()").is_nil());
    assert_eq!(read("true").as_bool(), Some(true));
    assert_eq!(
        (read("7").as_i64(), read("7N").as_i64()),
        (Some(7), Some(7))
    );
    assert_eq!(read("99999999999999999999").as_i64(), None);
    assert_eq!(read("7.0").as_i64(), None);
    for (text, value) in [
        ("7", 7.0),
        ("7N", 7.0),
        ("1/2", 0.5),
        ("1.5M", 1.5),
        ("1e3M", 1000.0),
    ] {
        assert_eq!(read(text).as_f64(), Some(value), "{text}");
    }
    assert_eq!(read("\"7\"").as_f64(), None);
    assert_eq!(read("\\a").as_char(), Some('a'));
    assert_eq!(read("\"a\"").as_str(), Some("a"));
    assert_eq!(read(":a").as_str(), None);
    assert_eq!(read(":a/b").as_keyword().unwrap().name(), "b");
    assert_eq!(read("a/b").as_symbol().unwrap().namespace(), Some("a"));
    assert_eq!(read("(1 2)").as_list().unwrap().len(), 2);
    assert_eq!(read("[1 2]").as_vector().unwrap()[1], Value::Int(2));
    assert_eq!(read("(1 2)").as_sequence(), read("[1 2]").as_sequence());
    assert!(read("#{1}").as_set().unwrap().contains(&Value::from(1)));
    assert_eq!(read("{:a 1}").as_map().unwrap().len(), 1);
    assert_eq!(
        read("{:a 1, \"b\" 2}").get_keyword("a"),
        Some(&Value::Int(1))
    );
    assert_eq!(
        read("{:a 1, \"b\" 2}").get(&Value::from("b")),
        Some(&Value::Int(2))
    );
    assert_eq!(read("[1]").get_keyword("a"), None);
    assert_eq!(
        read("#inst \"1970-01-01T00:00:01Z\"")
            .as_inst()
            .unwrap()
            .as_millis(),
        1000
    );
    assert_eq!(read("#uuid \"0-0-0-0-f\"").as_uuid().unwrap().as_u128(), 15);
    let tagged = read("#t [1]");
    let tagged = tagged.as_tagged().unwrap();
    assert_eq!((tagged.tag().as_str(), tagged.value()), ("t", &read("[1]")));
}

#[test]
fn values_can_be_moved_out_of() {
    match read("\"a\"") {
        Value::String(text) => assert_eq!(text, "a"),
        other => panic!("{other}"),
    }
    match read("{:a [1 2], :b #t 3}") {
        Value::Map(map) => {
            for (key, value) in map {
                match value {
                    Value::Vector(items) => assert_eq!(items.into_iter().count(), 2, "{key}"),
                    Value::Tagged(tagged) => assert_eq!(tagged.into_value(), Value::Int(3)),
                    other => panic!("{other}"),
                }
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn equality_is_clojures() {
    for (a, b) in [
        ("1", "1N"),
        ("0.0", "-0.0"),
        ("1.0M", "1.00M"),
        ("0M", "0.000M"),
        ("100M", "1e2M"),
        ("##NaN", "##NaN"),
        ("[1 2]", "(1 2N)"),
        ("[]", "()"),
        ("{:a 1 :b [2]}", "{:b (2N) :a 1}"),
        ("#{1 [2]}", "#{(2) 1N}"),
        ("#inst \"2020\"", "#inst \"2020-01-01T01:00+01:00\""),
        ("#a {1 #{2}}", "#a {1N #{2N}}"),
    ] {
        let (a, b) = (read(a), read(b));
        assert_eq!(a, b);
        assert_eq!(b, a);
        let identical = a.to_string() == b.to_string();
        assert_eq!(a.identical(&b), identical, "{a} {b}");
        let hashed = HashSet::from([a, b]);
        assert_eq!(hashed.len(), 1);
    }
    for (a, b) in [
        ("1", "1.0"),
        ("1", "1M"),
        ("1.0", "1.0M"),
        ("1/2", "0.5"),
        ("\\a", "\"a\""),
        ("a", ":a"),
        ("nil", "false"),
        ("[1 2]", "[2 1]"),
        ("[1]", "#{1}"),
        ("{}", "#{}"),
        ("{:a 1}", "{:a 2}"),
        ("{:a 1, :b 2}", "{:b 1, :a 2}"),
        ("#{1 2}", "#{1 3}"),
        ("#a 1", "#b 1"),
        ("#a 1", "1"),
        ("#a 1", "#a 1N"),
        ("#a [0.0]", "#a [-0.0]"),
    ] {
        let (a, b) = (read(a), read(b));
        assert_ne!(a, b);
        assert_ne!(b, a);
        assert!(!a.identical(&b), "{a} {b}");
    }
}

#[test]
fn collections_compare_like_the_values_around_them() {
    assert_eq!(
        Map::from([("a", 1), ("b", 2)]),
        Map::from([("b", 2), ("a", 1)])
    );
    assert_ne!(Map::from([("a", 1)]), Map::from([("a", 2)]));
    assert_eq!(Set::from([1, 2]), Set::from([2, 1]));
    assert_ne!(Set::from([1, 2]), Set::from([1, 2, 3]));
    assert_eq!(Vector::from_iter([1]), Vector::from_iter([1_u64]));
    let tagged = |value: i64| Tagged::new(Symbol::new("t").unwrap(), value).unwrap();
    assert_eq!(tagged(1), tagged(1));
    assert_ne!(tagged(1), tagged(2));
}

#[test]
fn maps_keep_the_order_of_insertion() {
    let mut map: Map = (0..40).map(|n| (n, n)).collect();
    map.insert(5, "five");
    map.remove(&Value::from(7));
    map.insert(7, "seven");
    *map.get_mut(&Value::from(0)).unwrap() = "zero".into();
    let keys: Vec<i64> = map.keys().filter_map(Value::as_i64).collect();
    let expected: Vec<i64> = (0..40).filter(|n| *n != 7).chain([7]).collect();
    assert_eq!(keys, expected);
    assert_eq!(
        map.get(&Value::from(5)).and_then(Value::as_str),
        Some("five")
    );
    assert_eq!(map.values().next().and_then(Value::as_str), Some("zero"));
    assert_eq!(
        map.iter().next_back().map(|(key, _)| key),
        Some(&Value::Int(7))
    );
    assert!(map.contains_key(&read("7N")) && !map.contains_key(&read("7.0")));
}

#[test]
fn names_that_would_not_read_back_can_not_be_made() {
    for text in [
        "",
        " ",
        "a b",
        "a,b",
        "a/",
        "/a/",
        ":a",
        "a:",
        "a::b",
        "a@",
        "a\"",
        "a/1",
        "a\n",
        "a\u{2028}",
        "a(",
        "a;",
    ] {
        assert!(Keyword::new(text).is_err(), "{text:?}");
        assert!(Symbol::new(text).is_err(), "{text:?}");
    }
    for text in [
        "nil", "true", "false", "1", "+1", "-1a", "#a", ":a", "٣", "-٣", "//",
    ] {
        assert!(Symbol::new(text).is_err(), "{text:?}");
    }
    for text in [
        "a", "a/b", "/", "a//", "a.b/c", "+", "-", "+a", "->x", "a'", "a#", "é", "😀", "nil/a",
        "a/b/c",
    ] {
        assert_eq!(Keyword::new(text).unwrap().to_string(), format!(":{text}"));
        assert_eq!(Symbol::new(text).unwrap().to_string(), text);
    }
    for text in ["1", "1/a", "nil", "#a", "/a/b", "-1"] {
        let keyword = Value::keyword(text).unwrap();
        assert!(read(&keyword.to_string()).identical(&keyword), "{text}");
    }
}

#[test]
fn names_split_at_their_first_slash() {
    for (text, namespace, name) in [
        ("a", None, "a"),
        ("a/b", Some("a"), "b"),
        ("/", None, "/"),
        ("a//", Some("a"), "/"),
        ("a/b/c", Some("a"), "b/c"),
    ] {
        let keyword = Keyword::new(text).unwrap();
        assert_eq!((keyword.namespace(), keyword.name()), (namespace, name));
        let symbol = Symbol::new(text).unwrap();
        assert_eq!((symbol.namespace(), symbol.name()), (namespace, name));
    }
}

#[test]
fn tags_that_would_not_read_back_can_not_be_made() {
    for tag in ["inst", "uuid", "+a", "_a", "λ"] {
        assert!(Tagged::new(Symbol::new(tag).unwrap(), 1).is_err(), "{tag}");
    }
}

#[test]
fn numbers_of_any_size_are_exact() {
    let divide = |a: &str, b: &str| {
        let (a, b) = (BigInt::new(a).unwrap(), BigInt::new(b).unwrap());
        Ratio::divide(&a, &b).map(|value| value.to_string()).ok()
    };
    assert_eq!(divide("4", "2").as_deref(), Some("2"));
    assert_eq!(divide("4", "-6").as_deref(), Some("-2/3"));
    assert_eq!(divide("-4", "-6").as_deref(), Some("2/3"));
    assert_eq!(divide("0", "-6").as_deref(), Some("0"));
    assert_eq!(divide("1", "0"), None);
    assert_eq!(
        divide("36893488147419103232", "2").as_deref(),
        Some("18446744073709551616N")
    );
    assert!(BigInt::new("1a").is_err() && BigInt::new("").is_err() && BigInt::new("-").is_err());
    for text in [
        "",
        "M",
        "1M",
        "a",
        "1e",
        "1e2147483648",
        "1/2",
        "0x1",
        ".5",
        "1 ",
    ] {
        assert!(Decimal::new(text).is_err(), "{text}");
    }
    let ratio = read("-6/4");
    let Value::Ratio(ratio) = ratio else {
        panic!("a ratio")
    };
    assert_eq!(
        (ratio.numerator().as_str(), ratio.denominator().as_str()),
        ("-3", "2")
    );
}

#[test]
fn floats_are_printed_as_java_prints_them() {
    for (value, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (100.0, "100.0"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (12_345_678.9, "1.23456789E7"),
        (0.001, "0.001"),
        (0.012_34, "0.01234"),
        (0.000_999, "9.99E-4"),
        (1e22, "1.0E22"),
        (1e23, "1.0E23"),
        (1.797_693_134_862_315_7e308, "1.7976931348623157E308"),
        (5e-324, "5.0E-324"),
        (f64::NAN, "##NaN"),
        (f64::INFINITY, "##Inf"),
        (f64::NEG_INFINITY, "##-Inf"),
    ] {
        assert_eq!(to_string(&Value::from(value)), text);
        assert!(read(text).identical(&Value::from(value)));
    }
}

#[test]
fn strings_and_characters_stay_on_their_line() {
    let text = "\"\\\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}\u{85}\u{2028}é😀";
    let printed = to_string(&Value::from(text));
    let expected = "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0000\\u001f\\u007f\u{85}\u{2028}é😀\"";
    assert_eq!(printed, expected);
    assert_eq!(read(&printed).as_str(), Some(text));
    for c in (0..=0xffff).filter_map(char::from_u32) {
        let printed = to_string(&Value::from(c));
        assert!(!printed.contains(['\n', '\r']));
        assert!(read(&printed).identical(&Value::from(c)), "{c:?}");
        let string = Value::from(String::from(c));
        assert!(read(&to_string(&string)).identical(&string), "{c:?}");
    }
}

#[test]
fn a_character_clojure_has_none_of_is_written_as_a_string() {
    assert_eq!(to_string(&Value::from('😀')), "\"😀\"");
}

#[test]
fn all_ways_of_writing_write_the_same() {
    let value = read("{:a [1 (2.5 nil) #{x}], \"k\" #t {} \\a #inst \"2020\"}");
    let text = "{:a [1 (2.5 nil) #{x}], \"k\" #t {}, \\a #inst \"2020-01-01T00:00:00.000-00:00\"}";
    assert_eq!(to_string(&value), text);
    assert_eq!(to_vec(&value), text.as_bytes());
    assert_eq!(format!("{value} {value:?}"), format!("{text} {text}"));
    let mut bytes = b"> ".to_vec();
    write(&value, &mut bytes);
    assert_eq!(bytes, format!("> {text}").as_bytes());
    let mut out = String::new();
    write_fmt(&value, &mut out).unwrap();
    assert_eq!(out, text);
    let map = value.as_map().unwrap();
    assert_eq!(format!("{map} {map:?}"), format!("{text} {text}"));
    let vector = map.get_keyword("a").unwrap().as_vector().unwrap();
    assert_eq!(
        format!("{vector} {vector:?}"),
        "[1 (2.5 nil) #{x}] [1 (2.5 nil) #{x}]"
    );
}

#[test]
fn dates_have_their_range() {
    let first = Inst::parse("0000-01-01T00:00+23:59").unwrap();
    let last = Inst::parse("9999-12-31T23:59:60.999-23:59").unwrap();
    for inst in [first, last, Inst::from_millis(-1).unwrap()] {
        assert_eq!(Inst::parse(&inst.to_string()), Ok(inst));
        assert_eq!(Inst::from_millis(inst.as_millis()), Ok(inst));
    }
    assert!(Inst::from_millis(first.as_millis() - 1).is_err());
    assert!(Inst::from_millis(last.as_millis() + 1).is_err());
    for day in (-719_530..2_932_897).step_by(17) {
        let inst = Inst::from_millis(day * 86_400_000 + 12_345).unwrap();
        assert_eq!(Inst::parse(&inst.to_string()), Ok(inst));
    }
}

// Found by printing random values and reading them back.
#[test]
fn leap_days_of_the_julian_calendar_alone_are_written_so_that_they_are_read() {
    for text in [
        "1500-02-28T23:59:60.5Z",
        "1000-03-01T00:00+00:30",
        "0100-03-01T00:00+23:59",
    ] {
        let inst = Inst::parse(text).unwrap();
        assert_eq!(
            Inst::parse(&inst.to_string()),
            Ok(inst),
            "{text} prints as {inst}"
        );
    }
    assert!(Inst::parse("1500-02-29").is_err());
}

#[test]
fn unpaired_surrogates_become_the_replacement_character() {
    for (text, value) in [
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""a\ud83db\ude00c""#, "a\u{fffd}b\u{fffd}c"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
    ] {
        assert_eq!(read(text).as_str(), Some(value), "{text}");
    }
}

/// Whoever keeps one in a struct of their own wants to derive it.
#[test]
fn everything_that_reads_can_be_shown_for_debugging() {
    let limits = Limits::default();
    let mut cursor = Cursor::new(b"[1 ]]", &limits);
    drop(cursor.skip());
    assert_eq!(
        format!("{cursor:?}"),
        "Cursor { offset: 4, fault: None, .. }"
    );
    let mut reader = StreamReader::new(&limits);
    reader.feed(b"[1] [2");
    drop(reader.next_form());
    let shown = "StreamReader { offset: 3, unread: 3, fault: None, .. }";
    assert_eq!(format!("{reader:?}"), shown);
    let tree = Tree::parse(b"[{:a 1} \"x\"]").unwrap();
    let items = tree.root().items();
    assert_eq!(format!("{items:?}"), "[{:a 1}, \"x\"]");
    let entries = items.clone().next().unwrap().entries();
    assert_eq!(format!("{entries:?}"), "{:a: 1}");
}
