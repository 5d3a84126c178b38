//! 64 bits per value that are the same for equal values, whatever their order or kind of sequence.
//!
//! Different values rarely share a fingerprint by chance, but a peer can make them do so on
//! purpose. So equal fingerprints never decide anything: they only say where to look closer.

use alloc::vec::Vec;
use core::slice;

use crate::deep::children;
use crate::leaf::float_bits;
use crate::value::Value;

// Odd numbers without a pattern; each kind of value starts from its own.
const NIL: u64 = 0x9e37_79b9_7f4a_7c15;
const BOOL: u64 = 0xbf58_476d_1ce4_e5b9;
const INTEGER: u64 = 0x94d0_49bb_1331_11eb;
const FLOAT: u64 = 0xd6e8_feb8_6659_fd93;
const DECIMAL: u64 = 0xa076_1d64_78bd_642f;
const RATIO: u64 = 0xe703_7ed1_a0b4_28db;
const CHAR: u64 = 0x8ebc_6af0_9c88_c6e3;
pub(crate) const STRING: u64 = 0x5899_65cc_7537_4cc3;
pub(crate) const KEYWORD: u64 = 0x1d8e_4e27_c47d_124f;
pub(crate) const SYMBOL: u64 = 0xeb44_acca_b455_d165;
const INST: u64 = 0x9fb2_1c65_1e98_df25;
const UUID: u64 = 0xc2b2_ae3d_27d4_eb4f;
const SEQUENCE: u64 = 0x2127_599b_f432_5c37;
const SET: u64 = 0x8805_51e5_5a2b_4a6d;
const MAP: u64 = 0x6c62_272e_07bb_0143;
const TAGGED: u64 = 0xaf63_dc4c_8601_ec8d;

/// The fingerprint of any value.
pub(crate) fn of(value: &Value) -> u64 {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = value;
    loop {
        let mut done = known(next);
        if done.is_none() {
            open.push(Open {
                value: next,
                children: children(next).iter(),
                group: begin(next),
                count: 0,
            });
        }
        loop {
            let Some(top) = open.last_mut() else {
                return done.unwrap_or_default();
            };
            if let Some(child) = done.take() {
                top.add(child);
            }
            if let Some(child) = top.children.next() {
                next = child;
                break;
            }
            done = Some(top.group.finish(top.count));
            open.pop();
        }
    }
}

/// A collection or tagged value, some of whose children were seen.
struct Open<'v> {
    value: &'v Value,
    children: slice::Iter<'v, Value>,
    group: Group,
    count: u32,
}

impl Open<'_> {
    fn add(&mut self, child: u64) {
        match self.value {
            Value::Set(_) => self.group.push_element(child),
            Value::Map(_) => self.group.push_entry(self.count, child),
            _ => self.group.push_item(child),
        }
        self.count = self.count.wrapping_add(1);
    }
}

/// The fingerprint, if there is no need to look at children for it.
fn known(value: &Value) -> Option<u64> {
    match value {
        Value::Set(set) => set.table().whole(),
        Value::Map(map) => map.table().whole(),
        Value::List(_) | Value::Vector(_) | Value::Tagged(_) => None,
        other => Some(atom(other)),
    }
}

fn begin(value: &Value) -> Group {
    match value {
        Value::Set(_) => Group::set(),
        Value::Map(_) => Group::map(),
        Value::Tagged(tagged) => Group::tagged(tagged.tag().as_str()),
        _ => Group::sequence(),
    }
}

/// The fingerprint of a value that is made of no others.
pub(crate) fn atom(value: &Value) -> u64 {
    match value {
        Value::Bool(value) => mix(BOOL, u64::from(*value)),
        Value::Int(value) => int(*value),
        Value::BigInt(value) => match value.to_i64() {
            Some(small) => int(small),
            None => text(INTEGER, value.as_str().as_bytes()),
        },
        Value::Float(value) => mix(FLOAT, float_bits(*value, false)),
        Value::Decimal(value) => {
            let (negative, digits, power) = value.value();
            mix(
                text(DECIMAL, digits.as_bytes()),
                power.cast_unsigned().rotate_left(1) ^ u64::from(negative),
            )
        }
        Value::Ratio(value) => mix(
            text(RATIO, value.numerator().as_str().as_bytes()),
            text(RATIO, value.denominator().as_str().as_bytes()),
        ),
        Value::Char(value) => mix(CHAR, u64::from(u32::from(*value))),
        Value::String(value) => text(STRING, value.as_bytes()),
        Value::Keyword(value) => text(KEYWORD, value.as_str().as_bytes()),
        Value::Symbol(value) => text(SYMBOL, value.as_str().as_bytes()),
        Value::Inst(value) => mix(INST, value.as_millis().cast_unsigned()),
        Value::Uuid(value) => {
            let bits = value.as_u128();
            mix(mix(UUID, low(bits >> 64)), low(bits))
        }
        // `NIL` itself would make `mix` forget what it is mixed with.
        _ => mix(BOOL, 2),
    }
}

pub(crate) fn int(value: i64) -> u64 {
    mix(INTEGER, value.cast_unsigned())
}

#[inline]
pub(crate) fn text(kind: u64, bytes: &[u8]) -> u64 {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    // The first and the last bytes of a short name may overlap; with its length they are all of it.
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            let first = u64::from_le_bytes(*first);
            let last = u64::from_le_bytes(*last);
            if bytes.len() <= 16 {
                (first, last)
            } else {
                (long(bytes), last)
            }
        }
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => (
                u64::from(u32::from_le_bytes(*first)),
                u64::from(u32::from_le_bytes(*last)),
            ),
            _ => match *bytes {
                [] => (0, 0),
                [only] => (u64::from(only), 0),
                [first, .., last] => {
                    let middle = bytes.get(1).copied().unwrap_or_default();
                    (u64::from(first), (u64::from(middle) << 8) | u64::from(last))
                }
            },
        },
    };
    mix(first ^ kind, last.wrapping_add(length.rotate_left(32)))
}

/// All of a long text but its last bytes.
fn long(bytes: &[u8]) -> u64 {
    // Any state but `NIL`, with which `mix` would forget the first bytes.
    let mut state = SEQUENCE;
    for chunk in bytes.as_chunks::<8>().0 {
        state = mix(state, u64::from_le_bytes(*chunk));
    }
    state
}

/// What is known of a collection while its items come in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Group {
    sum: u64,
    /// Of a map, the key whose value comes next.
    key: u64,
}

impl Group {
    pub(crate) const fn nothing() -> Self {
        Self { sum: 0, key: 0 }
    }

    pub(crate) const fn sequence() -> Self {
        Self {
            sum: SEQUENCE,
            key: 0,
        }
    }

    pub(crate) const fn set() -> Self {
        Self { sum: SET, key: 0 }
    }

    pub(crate) const fn map() -> Self {
        Self { sum: MAP, key: 0 }
    }

    #[inline]
    pub(crate) fn tagged(tag: &str) -> Self {
        Self {
            sum: text(TAGGED, tag.as_bytes()),
            key: 0,
        }
    }

    /// Adds an item of a sequence, or what is behind a tag.
    #[inline]
    pub(crate) fn push_item(&mut self, item: u64) {
        self.sum = mix(self.sum, item);
    }

    /// Adds an element of a set; sums do not depend on the order.
    #[inline]
    pub(crate) fn push_element(&mut self, element: u64) {
        self.sum = self.sum.wrapping_add(mix(SET, element));
    }

    /// Adds a key of a map, or with an odd index a value.
    #[inline]
    pub(crate) fn push_entry(&mut self, index: u32, item: u64) {
        if index.is_multiple_of(2) {
            self.key = item;
        } else {
            self.sum = self.sum.wrapping_add(mix(self.key, item));
        }
    }

    /// The fingerprint of so many items.
    pub(crate) fn finish(self, count: u32) -> u64 {
        mix(self.sum, u64::from(count))
    }
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ NIL).wrapping_mul(u128::from(b ^ UUID));
    low(wide) ^ low(wide >> 64)
}

/// The lower half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is dropped on purpose"
)]
fn low(wide: u128) -> u64 {
    wide as u64
}
