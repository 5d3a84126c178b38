//! What holds for every value and every bytes, tried on random ones.
#![allow(missing_docs)]

mod packer_msgpack_support;
#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use bytes::Bytes;
use packer_msgpack_support::{pack, pack_message};
use proptest::prelude::*;
use random_values::value;
use sente_core::Limits;
use sente_core::packer::msgpack::{Endian, from_slice, to_vec};
use sente_core::packer::{MsgPack, Packer, UnpackError};
use sente_edn::{Ratio, Set, Symbol, Tagged, Value};

/// A value like this one that MessagePack can carry as it is.
fn carried(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(carried).collect(),
        Value::Vector(items) => items.iter().map(carried).collect(),
        Value::Set(items) => Value::Set(items.iter().map(carried).collect::<Set>()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (carried(key), carried(value)))
                .collect(),
        ),
        Value::BigInt(value) => Value::from(value.to_i64()),
        Value::Decimal(value) => Value::Float(value.to_f64()),
        Value::Ratio(ratio) if !fits(ratio) => Value::Nil,
        Value::Tagged(tagged) => carried(tagged.value()),
        other => other.clone(),
    }
}

fn fits(ratio: &Ratio) -> bool {
    ratio.numerator().to_i64().is_some() && ratio.denominator().to_i64().is_some()
}

fn tagged(tag: &str, value: impl Into<Value>) -> Value {
    let tag = Symbol::new(tag).unwrap();
    Tagged::new(tag, value).unwrap().into()
}

/// What only MessagePack has forms for.
fn own() -> impl Strategy<Value = Value> {
    let text = proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| {
        use base64::Engine as _;
        Value::from(base64::engine::general_purpose::STANDARD.encode(bytes))
    });
    prop_oneof![
        text.clone().prop_map(|text| tagged("bytes/b64", text)),
        (10..=127_i8, text)
            .prop_map(|(id, text)| { tagged("msgpack/ext", vec![Value::from(id), text]) }),
        proptest::collection::vec(any::<i32>(), 0..9).prop_map(|items| tagged(
            "array/int",
            items.into_iter().map(Value::from).collect::<Value>()
        )),
        proptest::collection::vec(any::<f64>(), 0..9).prop_map(|items| tagged(
            "array/double",
            items.into_iter().map(Value::from).collect::<Value>()
        )),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let shared = prop_oneof![
        value(),
        own(),
        (value(), own()).prop_map(|(a, b)| {
            [a.clone(), b.clone(), Value::Map([(b, a)].into())]
                .into_iter()
                .collect()
        })
    ];
    shared.prop_map(|value| carried_with_own(&value))
}

/// The same, but for tags that are MessagePack's own.
fn carried_with_own(value: &Value) -> Value {
    match value {
        Value::Tagged(tagged) if is_own(tagged) => value.clone(),
        Value::Vector(items) => items.iter().map(carried_with_own).collect(),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (carried_with_own(key), carried_with_own(value)))
                .collect(),
        ),
        other => carried(other),
    }
}

fn is_own(tagged: &Tagged) -> bool {
    matches!(
        tagged.tag().as_str(),
        "bytes/b64" | "msgpack/ext" | "array/int" | "array/double"
    )
}

/// Bytes that are often the beginning of something.
fn nearly_packed() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        &[0x80],
        &[0x81],
        &[0x82],
        &[0x90],
        &[0x91],
        &[0x92],
        &[0x93],
        &[0xa1, b'a'],
        &[0xa1, b'b'],
        &[0xc0],
        &[0xc2],
        &[0xc3],
        &[0xd4, 0, b'a'],
        &[0xd4, 0, b'b'],
        &[0xd4, 8, 0],
        &[0xd4, 8, 1],
        &[0xd4, 8, 0xff],
        &[0xc7, 1, 8, 0],
        &[0xd4, 4, 0x90],
        &[0xd5, 4, 0x91, 1],
        &[0xc7, 3, 4, 0x91],
        &[0xc7, 5, 4, 0x92],
        &[0xc7, 12, 0xff],
        &[0xd5, 3, 1, 2],
        &[0xd4, 2, b'a'],
        &[0xdc, 0, 2],
        &[0xde, 0, 1],
        &[0xca],
        &[0xcb],
        &[0xcc],
        &[0xcf],
        &[0xd3],
        &[0xd9, 2],
        &[0xc4, 1],
        &[0xd6, 5],
        &[0xd7, 7],
        &[0xd8, 9],
        &[0xd6, 0xff],
        &[0x01],
        &[0xff],
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn skip(packed: &[u8], limits: &Limits) -> Result<usize, UnpackError> {
    let mut end = 0;
    MsgPack::new().walk(packed, limits, &mut |cursor| {
        end = cursor.skip()?.end;
        Ok(())
    })?;
    Ok(end)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_unpacks_to_what_it_was(value in values()) {
        let packed = pack(&value);
        let again = MsgPack::new().unpack(&packed, &Limits::default()).unwrap();
        prop_assert!(again.identical(&value), "{again} instead of {value}");
        prop_assert_eq!(pack(&again), packed.clone());
        prop_assert_eq!(skip(&packed, &Limits::default()).unwrap(), packed.len());
        for (packer, order) in [(MsgPack::new(), Endian::Big), (MsgPack::new(), Endian::Little)] {
            let packer = packer.typed_arrays(order);
            let mut packed = Vec::new();
            packer.pack(&value, &mut packed).unwrap();
            let again = packer.unpack(&packed, &Limits::default()).unwrap();
            prop_assert!(again.identical(&value), "{again} instead of {value}");
        }
    }

    #[test]
    fn what_refers_to_keys_opens_to_what_does_not(value in values()) {
        let packed = pack(&value);
        let frame = Bytes::from(pack_message(&value));
        let opened = MsgPack::new().open(&frame, &Limits::default()).unwrap();
        prop_assert_eq!(&*opened, &*packed);
        let again = MsgPack::new().open(&opened, &Limits::default()).unwrap();
        prop_assert_eq!(again.as_ptr(), opened.as_ptr());
        let mut sealed = Vec::new();
        MsgPack::new().key_cache(true).seal(&packed, &mut sealed).unwrap();
        prop_assert!(sealed.len() <= packed.len());
        let reopened = MsgPack::new().open(&Bytes::from(sealed), &Limits::default()).unwrap();
        prop_assert_eq!(&*reopened, &*packed);
    }

    #[test]
    fn serde_reads_and_writes_values_as_the_packer_does(value in values()) {
        let packed = pack(&value);
        prop_assert_eq!(to_vec(&value).unwrap(), packed.clone());
        let by_serde: Value = from_slice(&packed).unwrap();
        prop_assert!(by_serde.identical(&value), "{by_serde} instead of {value}");
        let by_serde: Value = from_slice(&pack_message(&value)).unwrap();
        prop_assert!(by_serde.identical(&value), "{by_serde} instead of {value}");
    }

    #[test]
    fn items_packed_alone_and_put_together_are_what_is_packed_whole(
        items in proptest::collection::vec(values(), 0..40),
    ) {
        let packer = MsgPack::new();
        let mut spliced = packer.sequence(items.len()).open().to_vec();
        for item in &items {
            spliced.extend(pack(item));
        }
        prop_assert_eq!(spliced, pack(&items.iter().cloned().collect()));
        // A map of them under keys of their own.
        let mut spliced = packer.map(items.len()).open().to_vec();
        for (index, item) in items.iter().enumerate() {
            spliced.extend(pack(&Value::from(index as u64)));
            spliced.extend(pack(item));
        }
        let entries = items.iter().enumerate();
        let entries = entries.map(|(index, item)| (Value::from(index as u64), item.clone()));
        prop_assert_eq!(spliced, pack(&Value::Map(entries.collect())));
    }

    #[test]
    fn random_bytes_read_alike_by_every_way_there_is(frame in nearly_packed()) {
        let limits = Limits::default();
        let frame = Bytes::from(frame);
        let value = MsgPack::new().unpack_message(&frame, &limits);
        let by_serde = from_slice::<Value>(&frame);
        prop_assert_eq!(value.is_ok(), by_serde.is_ok(), "{:?} {:?}", value, by_serde);
        let opened = MsgPack::new().open(&frame, &limits);
        match (value, opened) {
            (Ok(value), Ok(opened)) => {
                prop_assert!(by_serde.unwrap().identical(&value));
                // What is opened stands alone.
                skip(&opened, &limits).unwrap();
                let again = MsgPack::new().unpack(&opened, &limits).unwrap();
                prop_assert!(again.identical(&value));
            }
            (Err(_), Ok(opened)) => prop_assert!(skip(&opened, &limits).is_err()),
            (Err(_), Err(_)) => {}
            (Ok(value), Err(error)) => prop_assert!(false, "{value}, but {error}"),
        }
    }
}
