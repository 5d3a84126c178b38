//! The MessagePack packer: frames to messages to values to bytes, and Rust types.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bytes::Bytes;
use sente_core::Limits;
use sente_core::packer::msgpack::{Endian, MAX_DEPTH, from_slice, to_vec};
use sente_core::packer::{MsgPack, Packer, Shape, UnpackError};
use sente_edn::serde::RawEdn;
use sente_edn::{Inst, Keyword, Set, Uuid, Value};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::Dice;

/// What is unpacked is packed again, comes back as it was, and is packed alike again; what a frame
/// opens to stands alone, and walking over it finds what is unpacked.
///
/// # Panics
///
/// If that does not hold.
pub fn msgpack_value(data: &[u8]) {
    let mut dice = Dice::new(data);
    check_frame(data, &Limits::default());
    let mut tight = Limits::default();
    tight.max_depth = dice.below(6);
    tight.max_elements = dice.below(20);
    tight.max_opened_bytes = dice.below(200);
    check_frame(data, &tight);
}

fn check_frame(data: &[u8], limits: &Limits) {
    let packer = MsgPack::new();
    let frame = Bytes::copy_from_slice(data);
    let value = packer.unpack_message(&frame, limits);
    let direct = packer.unpack(data, limits);
    assert_eq!(value.is_ok(), direct.is_ok());
    let Ok(opened) = packer.open(&frame, limits) else {
        assert!(value.is_err());
        return;
    };
    if opened != frame {
        assert!(opened.len() <= limits.max_opened_bytes);
        let again = packer.open(&opened, limits).unwrap_or_default();
        assert_eq!(again, opened);
    }
    let end = skip(&opened, limits);
    let steps = step_through(&opened, limits);
    match value {
        Ok(value) => {
            assert!(direct.is_ok_and(|direct| direct.identical(&value)));
            assert_eq!(end, steps);
            survives(
                &value,
                opened.get(..end.unwrap_or_default()).unwrap_or_default(),
            );
        }
        Err(error) => {
            assert_eq!(end, Err(error));
            assert!(steps.is_err());
        }
    }
    packer.entries(&opened, limits, &mut |_, span| {
        let value = opened.get(span.start..span.end).unwrap_or_default();
        assert!(packer.unpack(value, &Limits::default()).is_ok());
    });
}

fn skip(packed: &[u8], limits: &Limits) -> Result<usize, UnpackError> {
    let mut end = 0;
    MsgPack::new().walk(packed, limits, &mut |cursor| {
        end = cursor.skip()?.end;
        Ok(())
    })?;
    Ok(end)
}

/// Enters what can be entered, and says where the first value ends.
fn step_through(packed: &[u8], limits: &Limits) -> Result<usize, UnpackError> {
    let mut end = 0;
    MsgPack::new().walk(packed, limits, &mut |cursor| {
        let mut depth = 0_usize;
        loop {
            match cursor.peek()? {
                Some(Shape::List | Shape::Vector) => {
                    cursor.enter()?;
                    depth += 1;
                    // What stands before the items; an empty array has nothing more to tell.
                    end += head_length(packed.get(end..).unwrap_or_default());
                }
                Some(Shape::Keyword) => end = cursor.keyword_span()?.1.end,
                Some(shape) => {
                    let span = cursor.skip()?;
                    assert_eq!(span.shape, shape);
                    end = span.end;
                }
                None if depth == 0 => {
                    // Nothing there at all.
                    cursor.skip()?;
                }
                None => {
                    cursor.leave()?;
                    depth -= 1;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    })?;
    Ok(end)
}

fn head_length(array: &[u8]) -> usize {
    match array.first() {
        Some(0xdc) => 3,
        Some(0xdd) => 5,
        _ => 1,
    }
}

/// The value is packed, in every way there is, and comes back as it was.
fn survives(value: &Value, original: &[u8]) {
    let packer = MsgPack::new();
    let mut packed = Vec::new();
    if packer.pack(value, &mut packed).is_err() {
        // Only integers of more than 64 bits with a sign are read and not written.
        assert!(original.contains(&0xcf), "{value}");
        return;
    }
    let limits = generous();
    check_unpacks(&packer, &packed, value, &limits);
    let mut message = Vec::new();
    packer.pack_message(value, &mut message).unwrap_or_default();
    let opened = packer.open(&Bytes::from(message), &limits);
    assert_eq!(opened.unwrap_or_default(), packed);
    let mut sealed = Vec::new();
    let sealing = packer.key_cache(true).seal(&packed, &mut sealed);
    assert!(sealing.is_ok() && sealed.len() <= packed.len());
    let opened = packer.open(&Bytes::from(sealed), &limits);
    assert_eq!(opened.unwrap_or_default(), packed);
    let little = packer.typed_arrays(Endian::Little);
    let mut packed = Vec::new();
    little.pack(value, &mut packed).unwrap_or_default();
    check_unpacks(&little, &packed, value, &limits);
}

fn check_unpacks(packer: &MsgPack, packed: &[u8], value: &Value, limits: &Limits) {
    let again = packer.unpack(packed, limits);
    let again = again.unwrap_or_else(|error| panic!("{error}: {value}"));
    assert!(again.identical(value), "{value} became {again}");
    let mut twice = Vec::new();
    packer.pack(&again, &mut twice).unwrap_or_default();
    assert_eq!(twice, packed);
}

/// No limits that a value which was within some could hit.
fn generous() -> Limits {
    let mut limits = Limits::default();
    limits.max_elements = usize::MAX;
    limits.max_opened_bytes = usize::MAX;
    limits
}

/// Many kinds of Rust types that serde tells apart.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Everything {
    a: bool,
    b: (i8, u16, i32, u64, i128),
    #[serde(rename = "c/d")]
    c: (f32, f64),
    d: char,
    e: String,
    f: (),
    g: Choice,
    h: Option<Untagged>,
    i: BTreeMap<String, Option<i64>>,
    j: BTreeMap<(i64, bool), Choice>,
    #[serde(with = "sente_edn::serde::as_set")]
    k: BTreeSet<u8>,
    l: Option<Inst>,
    m: Option<Uuid>,
    n: Option<Keyword>,
    o: Set,
    p: Value,
    q: Option<RawEdn>,
    r: Vec<u8>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
enum Choice {
    #[default]
    A,
    B(i64),
    C(i8, Option<String>),
    D {
        a: Option<bool>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Numbers(Vec<i64>),
    Fields { a: i64 },
}

/// What a type can borrow.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Borrowed<'a> {
    a: Option<&'a str>,
    #[serde(borrow)]
    b: Cow<'a, str>,
}

/// What is read as a Rust type is packed, and read again as the same; what is read as a [`Value`] is
/// what the packer unpacks.
///
/// # Panics
///
/// If that does not hold.
pub fn msgpack_serde(data: &[u8]) {
    let mut limits = generous();
    limits.max_depth = MAX_DEPTH;
    let plain = MsgPack::new().unpack(data, &limits);
    let ours = from_slice::<Value>(data);
    match (&plain, &ours) {
        (Ok(plain), Ok(ours)) => assert!(plain.identical(ours), "{plain}, but by serde {ours}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{plain:?}, but by serde {ours:?}"),
    }
    assert_eq!(from_slice::<IgnoredAny>(data).is_ok(), plain.is_ok());
    if let Ok(plain) = plain
        && let Ok(packed) = to_vec(&plain)
    {
        let mut alike = Vec::new();
        let done = MsgPack::new().pack(&plain, &mut alike);
        assert!(done.is_ok() && alike == packed);
    }
    round_trip::<Everything>(data);
    round_trip::<Vec<Choice>>(data);
    round_trip::<Untagged>(data);
    round_trip::<BTreeMap<String, RawEdn>>(data);
    round_trip::<Value>(data);
    if let Ok(borrowed) = from_slice::<Borrowed<'_>>(data) {
        assert!(to_vec(&borrowed).is_ok());
    }
}

fn round_trip<T: Serialize + DeserializeOwned + Debug>(data: &[u8]) {
    let Ok(value) = from_slice::<T>(data) else {
        return;
    };
    let packed = match to_vec(&value) {
        Ok(packed) => packed,
        Err(error) => {
            assert!(error.to_string().contains("64 bits"), "{error}: {value:?}");
            return;
        }
    };
    let again: T = from_slice(&packed).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    assert_eq!(to_vec(&again), Ok(packed));
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
}
