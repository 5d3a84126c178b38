//! A text that is read in one pass gives what it gives when all of it is checked first.

#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use random_values::value;
use sente_edn::serde::{
    Deserializer, Error, Options, RawEdn, from_slice_with, from_str, to_string,
};
use sente_edn::{Dialect, Inst, Keyword, Limits, Symbol, Tagged, Uuid, Value};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    #[serde(rename = "a/int")]
    int: i64,
    float: f64,
    text: String,
    flag: Option<bool>,
    #[serde(rename = "a/key")]
    key: Option<Keyword>,
    at: Option<Inst>,
    id: Option<Uuid>,
    any: Value,
    numbers: Vec<u16>,
    pairs: BTreeMap<i32, (char, Option<String>)>,
    kinds: Vec<Kind>,
    inner: Option<Box<Self>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    #[serde(rename = "kind/new")]
    New(Value),
    Two(i8, Option<Symbol>),
    Named {
        x: f32,
        y: Option<Value>,
    },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(f64),
    Text(String),
    Many(Vec<Self>),
    Rest(serde_json::Value),
}

/// Takes the first item of a sequence and passes over errors.
#[derive(Debug, PartialEq)]
struct Lenient(Vec<Option<i64>>);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Lenient;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Lenient, A::Error> {
                let mut items = Vec::new();
                loop {
                    match access.next_element() {
                        Ok(Some(item)) => items.push(Some(item)),
                        Ok(None) => return Ok(Lenient(items)),
                        Err(_) => items.push(None),
                    }
                }
            }
        }

        deserializer.deserialize_seq(Items)
    }
}

/// What is read when the text is checked first.
fn checked<'de, T: Deserialize<'de>>(text: &'de [u8], options: &Options) -> Result<T, Error> {
    T::deserialize(&mut Deserializer::from_slice(text, options)?)
}

fn agrees<'de, T: Deserialize<'de> + Debug>(
    text: &'de [u8],
    options: &Options,
) -> Result<(), TestCaseError> {
    let ours = from_slice_with::<T>(text, options);
    let shown = String::from_utf8_lossy(text);
    match (&ours, &checked::<T>(text, options)) {
        // Their texts: `NaN` is not equal to itself.
        (Ok(ours), Ok(other)) => {
            prop_assert_eq!(format!("{ours:?}"), format!("{other:?}"), "{}", shown);
        }
        (Err(ours), Err(other)) if other.offset().is_some() => {
            prop_assert_eq!(ours, other, "{}", shown);
        }
        // Only what is done for a whole text says where the outermost form is.
        (Err(ours), Err(other)) => {
            let (ours, other) = (ours.to_string(), other.to_string());
            prop_assert!(ours.starts_with(&other), "{}: {}, {}", shown, ours, other);
        }
        _ => prop_assert!(false, "{}: {:?}", shown, ours),
    }
    Ok(())
}

fn agree(text: &[u8], options: &Options) -> Result<(), TestCaseError> {
    agrees::<Value>(text, options)?;
    agrees::<Fields>(text, options)?;
    agrees::<Kind>(text, options)?;
    agrees::<Vec<Kind>>(text, options)?;
    agrees::<Loose>(text, options)?;
    agrees::<Lenient>(text, options)?;
    agrees::<BTreeMap<String, Value>>(text, options)?;
    agrees::<Vec<(Keyword, f64)>>(text, options)?;
    agrees::<Vec<Option<Value>>>(text, options)?;
    agrees::<Vec<IgnoredAny>>(text, options)?;
    agrees::<BTreeMap<Cow<'_, str>, IgnoredAny>>(text, options)?;
    agrees::<Tagged>(text, options)?;
    agrees::<serde_json::Value>(text, options)?;
    agrees::<Option<bool>>(text, options)?;
    agrees::<f64>(text, options)?;
    agrees::<IgnoredAny>(text, options)?;
    // What is kept raw is checked again, by the default limits.
    if *options == Options::default() {
        agrees::<RawEdn>(text, options)?;
        agrees::<Vec<RawEdn>>(text, options)?;
    }
    Ok(())
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        value().prop_map(Kind::New),
        any::<i8>().prop_map(|n| Kind::Two(n, Symbol::new("a/b").ok())),
        (any::<f32>(), value()).prop_map(|(x, y)| Kind::Named { x, y: Some(y) }),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    let atoms = (
        any::<i64>(),
        any::<f64>(),
        any::<String>(),
        any::<Option<bool>>(),
        any::<Option<u128>>(),
        any::<Option<u32>>(),
    );
    let others = (
        value(),
        any::<Vec<u16>>(),
        any::<BTreeMap<i32, (char, Option<String>)>>(),
        proptest::collection::vec(kind(), 0..3),
    );
    let leaf = (atoms, others).prop_map(
        |((int, float, text, flag, id, at), (any, numbers, pairs, kinds))| Fields {
            int,
            float,
            text,
            flag,
            key: Keyword::new("k/ey").ok(),
            at: at.map(|at| Inst::from_millis(i64::from(at)).unwrap()),
            id: id.map(Uuid::from_u128),
            any,
            numbers,
            pairs,
            kinds,
            inner: None,
        },
    );
    leaf.prop_recursive(2, 4, 1, |inner| {
        (inner.clone(), inner).prop_map(|(outer, inner)| Fields {
            inner: Some(Box::new(inner)),
            ..outer
        })
    })
}

/// Texts that are EDN.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => value().prop_map(|value| value.to_string()),
        2 => fields().prop_map(|fields| to_string(&fields).unwrap()),
        1 => proptest::collection::vec(kind(), 0..4).prop_map(|kinds| to_string(&kinds).unwrap()),
        1 => any::<Vec<(f64, i64)>>().prop_map(|all| to_string(&all).unwrap()),
        1 => any::<BTreeMap<String, Option<f64>>>().prop_map(|all| to_string(&all).unwrap()),
    ]
}

/// What can stand between forms, or break them.
const PIECES: &[&str] = &[
    "#_ x ",
    "#_#_ 1 2 ",
    "#_{:a 1 :a 2} ",
    "; c\n",
    "\n",
    ",,",
    "\u{2003}",
    "^:m ",
    "^{:a 1} ",
    "#^\"s\" ",
    "#:ns",
    "#:a{:b 1 c 2 :_/d 3} ",
    "#a ",
    "#a/b #c ",
    "#é ",
    "#inst ",
    "#uuid ",
    "#inst \"2020\" ",
    "#{} ",
    "#{1 2} ",
    "#{[1] (1)} ",
    "#{#{1} #{2}} ",
    "##NaN ",
    "##Inf ",
    "nil ",
    "nil",
    "true",
    " nilx ",
    "0",
    "00",
    "-",
    "+1 ",
    "1e3 ",
    "1.5",
    "2N ",
    "3M ",
    "1/2 ",
    "\\a ",
    "\\space ",
    "\"\\u00e9\" ",
    "\"",
    ":k ",
    ":k",
    ":é ",
    ":a/b/c ",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "{[1] 2 (1) 3} ",
    "{#t 1 2} ",
    "{{:a 1} 1 {:a 2} 2} ",
    "1:a",
    "#!x\n",
    "# t ",
    "\\(a",
];

/// A text with pieces put in and taken out at random places.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(PIECES);
    let change = (any::<prop::sample::Index>(), piece, 0..4_u8, any::<u8>());
    (texts(), proptest::collection::vec(change, 0..6)).prop_map(|(text, changes)| {
        let mut text = text.into_bytes();
        for (index, piece, how, byte) in changes {
            // Most of the time between two forms, where most pieces do no harm.
            let gaps = text.iter().enumerate();
            let gaps = gaps.filter(|(_, byte)| matches!(byte, b' ' | b'[' | b'{' | b'('));
            let gaps: Vec<usize> = gaps.map(|(at, _)| at + 1).collect();
            let near = index.index(text.len() + 1);
            let at = if gaps.is_empty() {
                near
            } else {
                *index.get(&gaps)
            };
            match how {
                0 | 1 => drop(text.splice(at..at, piece.bytes())),
                2 if near < text.len() => drop(text.remove(near)),
                _ if near < text.len() => text[near] = byte,
                _ => text.push(byte),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_text_reads_in_one_pass_as_in_two(text in texts()) {
        agree(text.as_bytes(), &Options::default())?;
    }

    #[test]
    fn a_changed_text_reads_in_one_pass_as_in_two(text in broken(), wide in any::<bool>()) {
        let dialect = if wide { Dialect::Either } else { Dialect::Clojure };
        let limits = Limits::default().max_depth(128).dialect(dialect);
        agree(&text, &Options::default().limits(limits))?;
    }

    #[test]
    fn the_limits_are_the_same_in_one_pass_as_in_two(
        text in broken(),
        depth in 0..6_usize,
        elements in 0..40_usize,
    ) {
        let limits = Limits::default().max_depth(depth);
        agree(&text, &Options::default().limits(limits))?;
        let limits = Limits::default().max_depth(128).max_elements(elements);
        agree(&text, &Options::default().limits(limits))?;
    }
}

#[test]
fn every_piece_reads_in_one_pass_as_in_two_wherever_it_stands() {
    let around = [
        ("", ""),
        ("", "1"),
        ("[", "]"),
        ("[1 ", " 2]"),
        ("{:a ", "}"),
        ("{", " 1}"),
        ("#{", "}"),
        ("#{1 ", "[2]}"),
        ("#t ", "[1]"),
        ("#t [", "]"),
        ("{:a/int ", " :b 1}"),
        ("(\"a\" ", ")"),
        ("{[", "] 1}"),
        ("#:n{:a ", "}"),
        ("{:Two [1 ", "]}"),
        ("[[:a ", "]]"),
    ];
    let options = Options::default();
    for first in PIECES {
        for second in PIECES {
            for (before, behind) in around {
                let text = format!("{before}{first}{second}{behind}");
                agrees::<Value>(text.as_bytes(), &options).unwrap();
                agrees::<Vec<Option<Value>>>(text.as_bytes(), &options).unwrap();
                agrees::<serde_json::Value>(text.as_bytes(), &options).unwrap();
            }
        }
    }
}

#[test]
fn a_repeated_key_is_an_error_wherever_it_is() {
    for text in [
        "{:a 1 :b 2 :a 3}",
        "[{:a {\"b\" 1 \"b\" 2}}]",
        "#{1 2 1}",
        "[#{[1] (1)}]",
        "{#{1 2} 1 #{2 1} 2}",
        "{{:a [1 2]} 1 {:a (1 2)} 2}",
        "{#t 1 1 #t 1 2}",
        "{:n/a 1 :n/b #:n{:c 1 :n/c 2}}",
        "{^:m a 1 a 2}",
        "{1 2 #_ x 1 3}",
    ] {
        let error = from_str::<Value>(text).unwrap_err();
        assert!(error.read_error().is_some(), "{text}: {error}");
        let plain = sente_edn::from_str(text).unwrap_err();
        assert_eq!(error.read_error(), Some(&plain), "{text}");
        // What is not asked for is checked all the same.
        assert!(from_str::<IgnoredAny>(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_behind_a_wrong_type_is_still_checked() {
    let error = from_str::<Vec<i32>>("[:a {1 2 1 3}]").unwrap_err();
    assert_eq!(error.read_error().map(sente_edn::Error::offset), Some(9));
    let error = from_str::<Vec<i32>>("[:a] ; fine\n )").unwrap_err();
    assert_eq!(error.offset(), Some(13));
}

#[test]
fn a_type_that_reads_nothing_still_has_the_text_checked() {
    #[derive(Debug)]
    struct Nothing;

    impl<'de> Deserialize<'de> for Nothing {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    from_str::<Nothing>("[1]").unwrap();
    from_str::<Nothing>("[1").unwrap_err();
    from_str::<Nothing>("1 2").unwrap_err();
}
