//! Rust types by serde: what is read is written, and read again as the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use sente_edn::serde::{
    Options, RawEdn, RawEdnRef, from_slice_with, from_value_with, to_string_with, to_value_with,
};
use sente_edn::{
    BigInt, Decimal, ErrorKind, Inst, Keyword, Limits, List, Map, Ratio, Set, Symbol, Tagged, Uuid,
    Value, Vector,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::dialects;

/// Every kind of Rust type that serde tells apart, and every type of EDN's own.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Everything {
    flag: bool,
    integers: (i8, i16, i32, i64, i128),
    #[serde(rename = "naturals/all")]
    naturals: (u8, u16, u32, u64, u128),
    floats: (f32, f64),
    letter: char,
    text: String,
    unit: (),
    unit_struct: Unit,
    newtype: Newtype,
    pair: Pair,
    choice: Choice,
    tagged_choice: Option<Internally>,
    adjacent_choice: Option<Adjacently>,
    untagged_choice: Option<Untagged>,
    choices: Vec<Choice>,
    by_name: BTreeMap<String, Option<i64>>,
    by_pair: BTreeMap<(i64, bool), Choice>,
    by_choice: BTreeMap<Name, u8>,
    numbers: BTreeSet<u16>,
    #[serde(with = "sente_edn::serde::as_set")]
    set_of_rust: BTreeSet<u8>,
    #[serde(with = "sente_edn::serde::as_list")]
    list_of_rust: Vec<u8>,
    next: Option<Box<Self>>,
    big: Option<BigInt>,
    decimal: Option<Decimal>,
    ratio: Option<Ratio>,
    inst: Option<Inst>,
    uuid: Option<Uuid>,
    keyword: Option<Keyword>,
    symbol: Option<Symbol>,
    list: List,
    vector: Vector,
    set: Set,
    map: Map,
    tagged: Option<Tagged>,
    value: Value,
    raw: Option<RawEdn>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Newtype(Option<u8>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Pair(i8, Option<String>);

#[derive(Debug, Default, Serialize, Deserialize)]
enum Choice {
    #[default]
    Unit,
    New(Value),
    Tuple(i8, Option<Box<Self>>),
    #[serde(rename = "choice/fields")]
    Fields {
        a: Option<Value>,
        b: Vec<Self>,
    },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Name {
    First,
    #[serde(rename = "name/second")]
    Second,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internally {
    Unit,
    Fields { a: Option<i64>, b: Option<String> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacently {
    Unit,
    New(Keyword),
    Tuple(i64, f64),
    Fields { a: Option<bool> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Number(i64),
    Numbers(Vec<i64>),
    Fields { a: i64 },
}

/// What a type can borrow from the text.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Borrowed<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    slice: Option<&'a str>,
    #[serde(borrow)]
    raw: Option<RawEdnRef<'a>>,
}

/// Less than the default: the frames of what serde derives for [`Everything`] are large where code
/// is not optimised.
const MAX_DEPTH: usize = 32;

/// What is read as a Rust type is written, and read again as the same; what is read as a [`Value`]
/// is what the reader without serde reads.
///
/// # Panics
///
/// If that does not hold.
pub fn edn_serde(data: &[u8]) {
    for limits in dialects() {
        let limits = limits.max_depth(MAX_DEPTH);
        let options = Options::default().limits(limits);
        let plain = sente_edn::from_slice_with(data, &limits);
        let ours = from_slice_with::<Value>(data, &options);
        match (&plain, &ours) {
            (Ok(plain), Ok(ours)) => assert!(plain.identical(ours)),
            (Err(plain), Err(ours)) => {
                // Of what follows the form the plain reader says what is wrong with it, if anything.
                let trails = ours.read_error().filter(|error| {
                    *error.kind() == ErrorKind::TrailingForm && error.offset() <= plain.offset()
                });
                assert!(trails.is_some() || ours.read_error() == Some(plain));
            }
            _ => panic!("{plain:?}, but by serde {ours:?}"),
        }
        let ignored = from_slice_with::<IgnoredAny>(data, &options);
        assert_eq!(ignored.is_ok(), plain.is_ok());
        round_trip::<Everything>(data, &limits);
        round_trip::<Vec<Choice>>(data, &limits);
        round_trip::<Internally>(data, &limits);
        round_trip::<Adjacently>(data, &limits);
        round_trip::<Untagged>(data, &limits);
        round_trip::<BTreeMap<String, RawEdn>>(data, &limits);
        round_trip::<Value>(data, &limits);
        if let Ok(borrowed) = from_slice_with::<Borrowed<'_>>(data, &options) {
            write(&borrowed, &options);
        }
    }
}

fn round_trip<T: Serialize + DeserializeOwned + Debug>(data: &[u8], limits: &Limits) {
    let options = &Options::default().limits(*limits);
    let Ok(value) = from_slice_with::<T>(data, options) else {
        return;
    };
    let text = write(&value, options);
    let again: T =
        from_slice_with(text.as_bytes(), options).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(write(&again, options), text);
    // Forms that are kept as text lose their line breaks when they are written.
    if !data.contains(&b'\n') && !data.contains(&b'\r') {
        assert_eq!(format!("{again:?}"), format!("{value:?}"));
    }
    let tree = to_value_with(&value, options).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    let plain = sente_edn::from_slice_with(text.as_bytes(), limits).ok();
    assert!(
        plain.is_some_and(|plain| plain.identical(&tree)),
        "{tree} instead of {text}"
    );
    let by_tree: T =
        from_value_with(&tree, options).unwrap_or_else(|error| panic!("{error}: {tree}"));
    // Not by `Debug`: forms that are kept as text are printed anew when they come from a value.
    let tree_again = to_value_with(&by_tree, options);
    assert!(tree_again.is_ok_and(|again| again.identical(&tree)));
}

fn write<T: Serialize + Debug>(value: &T, options: &Options) -> String {
    let text = to_string_with(value, options).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    assert!(!text.contains(['\n', '\r']));
    text
}
