//! Keys that a peer has made to collide, on the ways of `sente-edn` that are behind features.
//!
//! There are no timings here: a quadratic algorithm would simply not finish.

#[path = "../../core/edn/tests/colliding/mod.rs"]
mod colliding;

use std::collections::{BTreeMap, BTreeSet};

use colliding::{TWINS, colliding};
use edn_rs::Edn;
use sente_edn::serde::{
    Options, as_set, from_slice, from_slice_with, from_value, to_value, to_value_with,
};
use sente_edn::{Limits, List, Map, Set, Value};
use serde::{Deserialize, Serialize};

fn unlimited() -> Limits {
    Limits::unlimited()
}

fn texts(length: u32) -> [String; 2] {
    let keys: Vec<String> = colliding(length).collect();
    let entries: Vec<String> = keys.iter().map(|key| format!("{key} 1")).collect();
    [
        format!("#{{{}}}", keys.join(" ")),
        format!("{{{}}}", entries.join(", ")),
    ]
}

/// A regression: each key was compared with all before it.
#[test]
fn tens_of_thousands_of_keys_that_share_a_fingerprint_pass_through_serde() {
    let options = Options::default().limits(unlimited());
    for text in texts(14) {
        let value: Value = from_slice_with(text.as_bytes(), &options).unwrap();
        assert_eq!(value.to_string(), text);
        assert!(sente_edn::from_slice_with(text.as_bytes(), &unlimited()).unwrap() == value);
        let again = to_value_with(&value, &options).unwrap();
        assert_eq!(again.to_string(), text);
        let again: Value = from_value(&value).unwrap();
        assert_eq!(again.to_string(), text);
    }
}

#[derive(Serialize)]
struct Elements<'a>(#[serde(with = "as_set")] &'a [Value]);

#[test]
fn what_is_equal_in_edn_only_is_found_among_keys_that_share_a_fingerprint() {
    let mut keys: Vec<Value> = colliding(12)
        .map(|key| sente_edn::from_str(&key).unwrap())
        .collect();
    assert!(to_value(&Elements(&keys)).is_ok());
    let one = keys[77].as_sequence().unwrap().to_vec();
    keys.push(Value::from(List::from(one)));
    let error = to_value(&Elements(&keys)).unwrap_err();
    assert_eq!(error.to_string(), "two elements of a set are equal in EDN");
}

#[test]
fn keys_of_another_format_that_share_a_fingerprint_become_a_map() {
    // As serde collects it from any format, with the repeated keys of a careless one.
    let pairs: Vec<(Vec<i64>, u32)> = (0..1_u32 << 15)
        .chain(0..1 << 14)
        .enumerate()
        .map(|(at, bits)| {
            let items = (0..15).map(|bit| TWINS[(bits >> bit & 1) as usize]);
            (items.collect(), u32::try_from(at).unwrap())
        })
        .collect();
    let pairs = pairs.into_iter();
    let access = serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(pairs);
    let map = Map::deserialize(serde::de::value::MapAccessDeserializer::new(access)).unwrap();
    assert_eq!(map.len(), 1 << 15);
    let first = map.iter().next().unwrap();
    assert_eq!(first.1, &Value::Int(1 << 15));
}

#[test]
fn keys_that_share_a_fingerprint_come_from_edn_rs() {
    let keys = (0..1_u32 << 13).map(|bits| {
        let items = (0..13).map(|bit| Edn::Int(TWINS[(bits >> bit & 1) as usize]));
        Edn::Vector(edn_rs::Vector::new(items.collect()))
    });
    let mut keys: BTreeSet<Edn> = keys.collect();
    let set = Edn::Set(edn_rs::Set::new(keys.clone()));
    let value = Value::try_from(&set).unwrap();
    assert_eq!(value.as_set().map(Set::len), Some(1 << 13));
    let list = [TWINS[0]; 13].map(Edn::Int).to_vec();
    keys.insert(Edn::List(edn_rs::List::new(list)));
    let repeated = Edn::Set(edn_rs::Set::new(keys));
    assert!(Value::try_from(&repeated).is_err());
    let entries = colliding(13).map(|key| (key, Edn::Nil));
    let map = Edn::Map(edn_rs::Map::new(entries.collect::<BTreeMap<_, _>>()));
    let value = Value::try_from(&map).unwrap();
    assert_eq!(value.as_map().map(Map::len), Some(1 << 13));
}

#[test]
fn a_keyword_and_a_string_are_one_key_where_keys_are_strings() {
    let text = br#"{:a 1 "a" 2}"#;
    let map: BTreeMap<String, u8> = from_slice(text).unwrap();
    assert_eq!(map.get("a"), Some(&2));
    let value: Value = from_slice(text).unwrap();
    assert_eq!(value.as_map().map(Map::len), Some(2));
}

#[test]
fn a_number_beyond_an_f32_is_infinite() {
    let read: f32 = from_slice(b"1e300").unwrap();
    assert!(read.is_infinite());
}
