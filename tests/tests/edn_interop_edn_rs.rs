//! Values and the `Edn` of the crate `edn-rs`.

#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::thread;

use edn_rs::{Edn, List, Map, Set, Vector};
use proptest::prelude::*;
use random_values::value;
use sente_edn::interop::edn_rs::{Error, ErrorKind, MAX_DEPTH};
use sente_edn::{BigInt, Dialect, Limits, Tagged, Value, from_slice_with};

fn read(text: &str) -> Value {
    sente_edn::from_str(text).unwrap()
}

fn there(text: &str) -> Result<Edn, Error> {
    Edn::try_from(read(text))
}

fn tagged(tag: &str, inner: Edn) -> Edn {
    Edn::Tagged(tag.into(), Box::new(inner))
}

fn string(text: &str) -> Edn {
    Edn::Str(text.into())
}

fn map(entries: &[(&str, Edn)]) -> Edn {
    let entries = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    Edn::Map(Map::new(entries.collect()))
}

/// A value, what becomes of it, and that it comes back.
#[track_caller]
fn becomes(text: &str, expected: &Edn) {
    let edn = there(text).unwrap();
    assert_eq!(&edn, expected);
    let back = Value::try_from(&edn).unwrap();
    assert!(back.identical(&read(text)), "{text} came back as {back}");
}

#[track_caller]
fn is_refused(text: &str, message: &str) {
    assert_eq!(there(text).unwrap_err().to_string(), message);
}

#[track_caller]
fn cannot_come(edn: &Edn, message: &str) {
    assert_eq!(Value::try_from(edn).unwrap_err().to_string(), message);
}

#[test]
fn atoms_become_what_the_table_says() {
    becomes("nil", &Edn::Nil);
    becomes("true", &Edn::Bool(true));
    becomes("\"a\\n\"", &string("a\n"));
    becomes("\\a", &Edn::Char('a'));
    becomes("7", &Edn::UInt(7));
    becomes("-7", &Edn::Int(-7));
    becomes("9223372036854775808N", &Edn::UInt(1 << 63));
    becomes("18446744073709551615N", &Edn::UInt(u64::MAX));
    becomes("1.0", &Edn::Double(1.0.into()));
    becomes("##NaN", &Edn::Double(f64::NAN.into()));
    becomes("##-Inf", &Edn::Double(f64::NEG_INFINITY.into()));
    becomes("-1/3", &Edn::Rational("-1/3".into()));
    becomes(":a/b", &Edn::Key(":a/b".into()));
    becomes("a/b", &Edn::Symbol("a/b".into()));
    becomes(
        "#inst \"2026-01-02T03:04:05.678-00:00\"",
        &tagged("inst", string("2026-01-02T03:04:05.678-00:00")),
    );
    becomes(
        "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        &tagged("uuid", string("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")),
    );
    let negative_zero = there("-0.0").unwrap().to_float().unwrap();
    assert!(negative_zero.is_sign_negative());
}

#[test]
fn collections_become_what_the_table_says() {
    let items = || vec![Edn::UInt(2), Edn::UInt(1)];
    becomes("[2 1]", &Edn::Vector(Vector::new(items())));
    becomes("(2 1)", &Edn::List(List::new(items())));
    becomes("#{2 1}", &Edn::Set(Set::new(BTreeSet::from_iter(items()))));
    becomes("()", &Edn::List(List::empty()));
    becomes("#{}", &Edn::Set(Set::empty()));
    becomes("{}", &Edn::Map(Map::empty()));
    becomes(
        "{:b 2, :a 1}",
        &map(&[(":a", Edn::UInt(1)), (":b", Edn::UInt(2))]),
    );
    becomes(
        "#my/tag [1]",
        &tagged("my/tag", Edn::Vector(Vector::new(vec![Edn::UInt(1)]))),
    );
    becomes(
        "[[] {:a #{()}}]",
        &Edn::from_str("[[] {:a #{()}}]").unwrap(),
    );
}

#[test]
fn keys_of_every_form_are_texts_that_come_back() {
    becomes(
        "{\"a\" 1, 2 3, [1 (2)] 4, {:a 1} 5, nil 6, 1.0 7, 1.5M 8, 9N 10, \\a 11, #inst \"2020\" 12}",
        &map(&[
            ("\"a\"", Edn::UInt(1)),
            ("2", Edn::UInt(3)),
            ("[1 (2)]", Edn::UInt(4)),
            ("{:a 1}", Edn::UInt(5)),
            ("nil", Edn::UInt(6)),
            ("1.0", Edn::UInt(7)),
            ("1.5M", Edn::UInt(8)),
            ("9N", Edn::UInt(10)),
            ("\\a", Edn::UInt(11)),
            ("#inst \"2020-01-01T00:00:00.000-00:00\"", Edn::UInt(12)),
        ]),
    );
    let looked_up = there("{:a/b 1, c 2, \"d\\n\\\"é\" 3, 4 5}").unwrap();
    assert_eq!(looked_up[Edn::Key(":a/b".into())], Edn::UInt(1));
    assert_eq!(looked_up[Edn::Symbol("c".into())], Edn::UInt(2));
    assert_eq!(looked_up[string("d\n\"é")], Edn::UInt(3));
    assert_eq!(looked_up[Edn::UInt(4)], Edn::UInt(5));
}

#[test]
fn keys_with_rusts_escapes_are_read() {
    // A combining accent and two control characters, the way edn-rs prints them.
    let theirs = Edn::from_str("{\"e\u{301}\u{1}\u{0}1\\\\'\" 1}").unwrap();
    let keys: Vec<_> = theirs
        .map_iter()
        .unwrap()
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(keys, ["\"e\\u{301}\\u{1}\\01\\\\'\""]);
    let value = Value::try_from(&theirs).unwrap();
    assert_eq!(
        value.get(&Value::from("e\u{301}\u{1}\u{0}1\\'")),
        Some(&Value::Int(1))
    );
}

#[test]
fn forms_that_edn_rs_lacks_are_refused_by_name_and_place() {
    is_refused("7N", "edn-rs has no form for `7N`");
    is_refused("[1 (2 -7N)]", "edn-rs has no form for `-7N` at [1 1]");
    is_refused(
        "18446744073709551616",
        "edn-rs has no form for `18446744073709551616N`",
    );
    is_refused(
        "{:a {\"b\" #t [1.0M]}}",
        "edn-rs has no form for `1.0M` at [:a \"b\" 0]",
    );
    is_refused("#{1.0M}", "edn-rs has no form for `1.0M` at [0]");
    is_refused("{[2] {3 1M}}", "edn-rs has no form for `1M` at [[2] 3]");
    let key = sente_edn::Map::from([(Value::Char('😀'), 1)]);
    let key = Value::from(vec![Value::from(key)]);
    let error = Edn::try_from(key).unwrap_err();
    assert_eq!(error.to_string(), "edn-rs has no form for `\"😀\"` at [0]");
    let long = format!("{}N", "7".repeat(100));
    let error = there(&long).unwrap_err();
    assert_eq!(
        *error.kind(),
        ErrorKind::NoForm(format!("{}…", &long[..80]))
    );
    assert_eq!(error.path(), "[]");
}

#[test]
fn a_char_that_is_no_key_is_a_char() {
    let value = Value::Char('😀');
    let edn = Edn::try_from(&value).unwrap();
    assert_eq!(edn, Edn::Char('😀'));
    assert!(Value::try_from(edn).unwrap().identical(&value));
}

#[test]
fn what_is_edn_in_name_only_is_refused() {
    cannot_come(&Edn::Empty, "nothing");
    cannot_come(&Edn::Key("a".into()), "a keyword that is not EDN: `a`");
    cannot_come(
        &Edn::Key(":a b".into()),
        "a keyword that is not EDN: `:a b`",
    );
    cannot_come(&Edn::Key(":a ".into()), "a keyword that is not EDN: `:a `");
    for text in ["", "^", "nil", "1a", "a b", "a]", " a", ":a", "\"a\""] {
        cannot_come(
            &Edn::Symbol(text.into()),
            &format!("a symbol that is not EDN: `{text}`"),
        );
    }
    for text in ["1", "1/0", "1.5/2", "1/-2", "/", "1/2/3", "1/2 ", "a/b"] {
        cannot_come(
            &Edn::Rational(text.into()),
            &format!("a ratio that is not EDN: `{text}`"),
        );
    }
    cannot_come(&tagged(":ns", map(&[])), "a tag that is not EDN: `:ns`");
    cannot_come(&tagged("inst", Edn::Nil), "a tag that is not EDN: `inst`");
    cannot_come(
        &tagged("inst", string("today")),
        "an `#inst` that is not EDN: `today`",
    );
    cannot_come(
        &tagged("uuid", string("mine")),
        "a `#uuid` that is not EDN: `mine`",
    );
    for text in ["", "1 2", "[", "\"\\x\"", "1 #_2]", "\"a\" \"b\""] {
        cannot_come(
            &Edn::Vector(Vector::new(vec![Edn::Nil, map(&[(text, Edn::Nil)])])),
            &format!("a key that is not EDN: `{text}` at [1]"),
        );
    }
    // What edn-rs makes of metadata.
    let meta = Edn::from_str("[^ {:a 1} b]").unwrap();
    cannot_come(&meta, "a symbol that is not EDN: `^` at [0]");
}

#[test]
fn ratios_that_are_not_in_lowest_terms_are_reduced() {
    let value = |text: &str| {
        Value::try_from(Edn::Rational(text.into()))
            .unwrap()
            .to_string()
    };
    assert_eq!(
        (value("4/2"), value("-2/6"), value("+1/2")),
        ("2".into(), "-1/3".into(), "1/2".into())
    );
}

#[test]
fn small_integers_of_both_kinds_are_integers() {
    assert!(
        Value::try_from(Edn::Int(7))
            .unwrap()
            .identical(&Value::Int(7))
    );
    assert!(
        Value::try_from(Edn::UInt(7))
            .unwrap()
            .identical(&Value::Int(7))
    );
    let large = Value::from(BigInt::from(1_i128 << 63));
    assert!(
        Value::try_from(Edn::UInt(1 << 63))
            .unwrap()
            .identical(&large)
    );
}

#[test]
fn what_is_equal_only_in_clojure_is_refused() {
    let set = |items: Vec<Edn>| Edn::Set(Set::new(BTreeSet::from_iter(items)));
    cannot_come(&set(vec![Edn::Int(1), Edn::UInt(1)]), "`1` is repeated");
    let (list, vector) = (Edn::List(List::empty()), Edn::Vector(Vector::empty()));
    let inner = set(vec![list.clone(), vector.clone()]);
    let error =
        Value::try_from(&map(&[(":a", Edn::Vector(Vector::new(vec![inner])))])).unwrap_err();
    assert_eq!(error.path(), "[:a 0]");
    assert!(matches!(error.kind(), ErrorKind::Repeated(_)));
    cannot_come(
        &map(&[("[1]", Edn::Nil), ("(1)", Edn::Nil)]),
        "`[1]` is repeated",
    );
    cannot_come(
        &map(&[("1", Edn::Nil), ("1N", Edn::Nil)]),
        "`1N` is repeated",
    );
    let many = (0..1000).map(Edn::UInt).chain([Edn::Int(999)]).collect();
    cannot_come(&set(many), "`999` is repeated");
}

#[test]
fn two_zeros_behind_a_tag_are_one_to_edn_rs() {
    let error = there("[#{#a 0.0 #a -0.0}]").unwrap_err();
    assert_eq!(error.to_string(), "`#a -0.0` is repeated at [0]");
}

#[test]
fn names_of_the_wider_dialect_come_back() {
    let limits = Limits::default().dialect(Dialect::Either);
    let value = from_slice_with(b"[:a::b x::y :a/1 #t::u 1 {:c::d 2}]", &limits).unwrap();
    let back = Value::try_from(Edn::try_from(&value).unwrap()).unwrap();
    assert!(back.identical(&value), "{back}");
}

const SHAPES: [fn(Value) -> Value; 6] = [
    |inner| Value::Vector(vec![inner].into()),
    |inner| Value::List(vec![inner].into()),
    |inner| Value::Set([inner].into()),
    |inner| Value::Map([(Value::Nil, inner)].into()),
    |inner| Value::Map([(Value::Nil, Value::Nil), (Value::Int(1), inner)].into()),
    |inner| Value::Tagged(Tagged::new(sente_edn::Symbol::new("a").unwrap(), inner).unwrap()),
];

fn nested(wrap: fn(Value) -> Value, levels: usize) -> Value {
    (0..levels).fold(Value::Nil, |inner, _| wrap(inner))
}

#[test]
fn what_nests_as_deep_as_allowed_can_be_used_on_two_mebibytes_of_stack() {
    let on_small_stack = thread::Builder::new().stack_size(2 << 20).spawn(|| {
        for wrap in SHAPES {
            let value = nested(wrap, MAX_DEPTH);
            let edn = Edn::try_from(&value).unwrap();
            assert!(Value::try_from(&edn).unwrap().identical(&value));
            // Whatever edn-rs does with it, it calls itself for each level.
            let copy = edn.clone();
            assert!(copy == edn && copy.cmp(&edn).is_eq());
            assert!(edn.to_string().len() > MAX_DEPTH && format!("{edn:?}").len() > MAX_DEPTH);
        }
    });
    on_small_stack.unwrap().join().unwrap();
}

#[test]
fn what_nests_deeper_than_allowed_is_refused() {
    for wrap in SHAPES {
        for levels in [MAX_DEPTH + 1, 100_000] {
            let error = Edn::try_from(nested(wrap, levels)).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::TooDeep);
        }
    }
    let mut edn = Edn::Nil;
    for _ in 0..=MAX_DEPTH {
        edn = Edn::List(List::new(vec![edn]));
    }
    assert_eq!(
        *Value::try_from(&edn).unwrap_err().kind(),
        ErrorKind::TooDeep
    );
    assert!(
        Value::try_from(edn)
            .unwrap_err()
            .path()
            .starts_with("[0 0 0")
    );
}

#[test]
fn keys_that_nest_deeper_than_allowed_are_refused() {
    let of = |levels| Value::Map([(nested(SHAPES[0], levels), Value::Nil)].into());
    let most = of(MAX_DEPTH);
    let edn = Edn::try_from(&most).unwrap();
    assert!(Value::try_from(edn).unwrap().identical(&most));
    let error = Edn::try_from(of(MAX_DEPTH + 1)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoForm(_)));
    assert!(Edn::try_from(of(100_000)).is_err());
    let error = Value::try_from(map(&[(&"[".repeat(100_000), Edn::Nil)])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotEdn(..)));
}

fn any_edn() -> impl Strategy<Value = Edn> {
    let text = || "[-+:a-c/0-9 \"\\\\#\\[\\]{}^é]{0,5}";
    let atom = prop_oneof![
        Just(Edn::Nil),
        Just(Edn::Empty),
        any::<bool>().prop_map(Edn::Bool),
        any::<i64>().prop_map(Edn::Int),
        (0..3_i64).prop_map(Edn::Int),
        (0..3_u64).prop_map(Edn::UInt),
        any::<u64>().prop_map(Edn::UInt),
        any::<f64>().prop_map(|value| Edn::Double(value.into())),
        any::<char>().prop_map(Edn::Char),
        text().prop_map(Edn::Str),
        "[-+0-9/]{1,5}".prop_map(Edn::Rational),
        ":?[a-c/:1]{1,4}".prop_map(Edn::Key),
        "[a-c/:1]{1,4}".prop_map(Edn::Symbol),
    ];
    atom.prop_recursive(4, 30, 4, move |inner| {
        let items = || proptest::collection::vec(inner.clone(), 0..4);
        let entries = proptest::collection::btree_map(
            prop_oneof![
                "[:a-c0-9]{1,3}",
                text(),
                "[a\\\\\"u{}01n]{0,6}".prop_map(|text| format!("\"{text}\""))
            ],
            inner.clone(),
            0..4,
        );
        prop_oneof![
            items().prop_map(|items| Edn::Vector(Vector::new(items))),
            items().prop_map(|items| Edn::List(List::new(items))),
            items().prop_map(|items| Edn::Set(Set::new(items.into_iter().collect()))),
            entries.prop_map(|entries: BTreeMap<String, Edn>| Edn::Map(Map::new(entries))),
            ("[a-c/:]{1,3}|inst|uuid", inner.clone()).prop_map(|(tag, inner)| tagged(&tag, inner)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_value_comes_back_identical_or_is_an_error(value in value()) {
        if let Ok(edn) = Edn::try_from(&value) {
            let back = Value::try_from(&edn).unwrap();
            prop_assert!(back.identical(&value), "{} became {:?} and {}", value, edn, back);
        }
    }

    #[test]
    fn every_edn_is_a_value_that_is_stable_or_an_error(edn in any_edn()) {
        if let Ok(value) = Value::try_from(&edn) {
            // It is a value that can be written and read.
            let text = value.to_string();
            let limits = Limits::default().dialect(Dialect::Either);
            let read = from_slice_with(text.as_bytes(), &limits);
            prop_assert!(read.is_ok(), "{:?} became {}", edn, text);
            if let Ok(again) = Edn::try_from(&value) {
                prop_assert!(Value::try_from(again).unwrap().identical(&value));
            }
        }
    }
}
