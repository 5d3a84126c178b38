//! Random values and texts through the feature `serde` of `sente-edn`.

#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use random_values::{name, value};
use sente_edn::serde::{
    Options, RawEdn, from_slice, from_slice_with, from_str, from_value, to_string, to_string_with,
    to_value, to_vec,
};
use sente_edn::{Dialect, Keyword, Limits, Value};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Pieces of texts, so that random ones come near to being valid.
fn nearly_edn() -> impl Strategy<Value = String> {
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
        "#:a{",
        "#:a ",
        "#a ",
        "#inst \"2020\"",
        "#uuid \"1-2-3-4-5\"",
        "#inst ",
        "\"",
        "\"a\\n\"",
        "\\",
        "\\a",
        "\\u00e9",
        "\\newline",
        "; c\n",
        " ",
        ",",
        "\u{2003}",
        "nil",
        "true",
        ":a",
        ":b/c",
        "a",
        "b/c",
        "1",
        "-2N",
        "3.5M",
        "1/2",
        "4e5",
        "0x1f",
        "017",
        "#",
        ":",
        "/",
        "é",
        "#!x\n",
        ":user/1",
        "\\(",
        "1:a",
        "# t ",
    ];
    proptest::collection::vec(proptest::sample::select(PIECES), 0..24)
        .prop_map(|pieces| pieces.concat())
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct All {
    #[serde(rename = "all/integers")]
    integers: (i8, u16, i32, i64, u64, i128, u128),
    floats: Vec<(f64, f32)>,
    text: String,
    letter: char,
    names: BTreeMap<String, Option<Box<Self>>>,
    numbers: BTreeMap<(i64, bool), Shape>,
    set: BTreeSet<u8>,
    unit: (),
    value: Value,
    keyword: Option<Keyword>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(i32, Option<i32>),
    #[serde(rename = "shape/box")]
    Box {
        width: u8,
        depth: Option<Value>,
    },
    Group(Vec<Self>),
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Point),
        (-1e300..1e300).prop_map(Shape::Circle),
        any::<(i32, Option<i32>)>().prop_map(|(a, b)| Shape::Line(a, b)),
        (any::<u8>(), value()).prop_map(|(width, depth)| Shape::Box {
            width,
            depth: Some(depth).filter(|depth| !depth.is_nil()),
        }),
    ];
    leaf.prop_recursive(4, 20, 5, |inner| {
        proptest::collection::vec(inner, 0..5).prop_map(Shape::Group)
    })
}

fn all() -> impl Strategy<Value = All> {
    let leaf = (
        any::<(i8, u16, i32, i64, u64, i128, u128)>(),
        proptest::collection::vec((-1e300..1e300, -1e30_f32..1e30), 0..4),
        any::<String>(),
        any::<char>(),
        proptest::collection::btree_map(any::<(i64, bool)>(), shape(), 0..4),
        any::<BTreeSet<u8>>(),
        value(),
        name(),
    );
    let leaf = leaf
        .prop_map(
            |(integers, floats, text, letter, numbers, set, value, keyword)| All {
                integers,
                floats,
                text,
                letter,
                names: BTreeMap::new(),
                numbers,
                set,
                unit: (),
                value,
                keyword: Keyword::new(&keyword).ok(),
            },
        )
        .boxed();
    (
        leaf.clone(),
        proptest::collection::btree_map(any::<String>(), proptest::option::of(leaf), 0..3),
    )
        .prop_map(|(mut all, inner)| {
            all.names = inner
                .into_iter()
                .map(|(name, one)| (name, one.map(Box::new)))
                .collect();
            all
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_value_survives_as_it_is(value in value()) {
        let text = to_string(&value).unwrap();
        prop_assert_eq!(&text, &value.to_string());
        prop_assert_eq!(to_vec(&value).unwrap(), sente_edn::to_vec(&value));
        prop_assert!(from_str::<Value>(&text).unwrap().identical(&value));
        prop_assert!(to_value(&value).unwrap().identical(&value));
        prop_assert!(from_value::<Value>(&value).unwrap().identical(&value));
    }

    #[test]
    fn every_struct_survives(all in all()) {
        for strings in [false, true] {
            let options = Options::default().string_names(strings);
            let text = to_string_with(&all, &options).unwrap();
            prop_assert_eq!(&from_str::<All>(&text).unwrap(), &all, "{}", text);
            prop_assert!(sente_edn::from_str(&text).is_ok());
        }
        let value = to_value(&all).unwrap();
        prop_assert_eq!(value.to_string(), to_string(&all).unwrap());
        prop_assert_eq!(&from_value::<All>(&value).unwrap(), &all);
    }

    #[test]
    fn every_text_reads_as_it_does_without_serde(text in nearly_edn(), wide in any::<bool>()) {
        let dialect = if wide { Dialect::Either } else { Dialect::Clojure };
        let limits = Limits::default().max_depth(128).dialect(dialect);
        let options = Options::default().limits(limits);
        let value = sente_edn::from_slice_with(text.as_bytes(), &limits);
        let ours = from_slice_with::<Value>(text.as_bytes(), &options);
        prop_assert_eq!(value.is_ok(), ours.is_ok(), "{}: {:?}, {:?}", text, value, ours);
        if let (Ok(value), Ok(ours)) = (value, ours) {
            prop_assert!(value.identical(&ours), "{} became {} and {}", text, value, ours);
            from_slice_with::<IgnoredAny>(text.as_bytes(), &options).unwrap();
            if !wide {
                let raw: RawEdn = from_str(&text).unwrap();
                prop_assert!(raw.to_value().unwrap().identical(&value));
            }
        }
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in any::<Vec<u8>>(), text in nearly_edn()) {
        let _ = from_slice::<Value>(&bytes);
        let _ = from_str::<All>(&text);
        let _ = from_str::<Vec<Shape>>(&text);
        let _ = from_str::<BTreeMap<String, RawEdn>>(&text);
        let _ = from_str::<serde_json::Value>(&text);
    }
}

/// Found by the fuzz target `edn_serde`.
#[test]
fn a_tag_that_only_the_wider_dialect_takes_survives() {
    let limits = Limits::default().dialect(Dialect::Either);
    let options = Options::default().limits(limits);
    for text in ["#λ 1", "#a::b 1", "[#λ/μ {:a #a::b 1}]"] {
        let value = sente_edn::from_slice_with(text.as_bytes(), &limits).unwrap();
        let read: Value = from_slice_with(text.as_bytes(), &options).unwrap();
        assert!(read.identical(&value));
        assert_eq!(to_string(&value).unwrap(), text);
        assert!(to_value(&value).unwrap().identical(&value));
        assert!(from_value::<Value>(&value).unwrap().identical(&value));
    }
}

/// Found by the fuzz target `edn_serde`.
#[test]
fn a_character_beyond_16_bits_is_the_same_string_as_a_value_and_as_text() {
    let value = to_value(&'😀').unwrap();
    assert_eq!(value, Value::from("😀"));
    assert_eq!(value.to_string(), to_string(&'😀').unwrap());
    assert_eq!(from_value::<char>(&value).unwrap(), '😀');
    assert_eq!(to_value(&'\u{ffff}').unwrap(), Value::Char('\u{ffff}'));
}

#[test]
fn names_that_no_reader_reads_back_are_refused_from_other_formats_too() {
    for name in ["a b", "a;b", "a\"", "a)", "a/b c"] {
        let json = serde_json::to_string(name).unwrap();
        assert!(serde_json::from_str::<Keyword>(&json).is_err(), "{name}");
        assert!(
            serde_json::from_str::<sente_edn::Symbol>(&json).is_err(),
            "{name}"
        );
    }
    // Only one of Clojure's readers takes this, and peers send it.
    assert!(serde_json::from_str::<Keyword>("\":user/1\"").is_ok());
}
