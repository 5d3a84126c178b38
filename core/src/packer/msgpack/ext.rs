//! Sente's extension types: what their bytes mean.

use ::serde::Deserialize;
use ::serde::de::IntoDeserializer;
use ::serde::de::value::{Error, StrDeserializer};
use sente_edn::{BigInt, Dialect, Inst, Keyword, Limits as EdnLimits, Ratio, Symbol, Uuid, Value};

use super::Endian;
use super::tagged;
use super::token::{self, REFERENCE, Reader, Token};

pub(super) const KEYWORD: i8 = 0;
pub(super) const SYMBOL: i8 = 1;
pub(super) const CHAR: i8 = 2;
pub(super) const RATIO: i8 = 3;
pub(super) const SET: i8 = 4;
pub(super) const INTS: i8 = 5;
pub(super) const FLOATS: i8 = 6;
pub(super) const DOUBLES: i8 = 7;
pub(super) const UUID: i8 = 9;
pub(super) const INSTANT: i8 = -1;

/// An extension that is no collection, read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ext<'a> {
    /// A name that should be UTF-8.
    Keyword(&'a [u8]),
    Symbol(&'a [u8]),
    Char(char),
    /// The second is not zero.
    Ratio(i128, i128),
    /// Whole elements.
    Ints(&'a [u8]),
    Floats(&'a [u8]),
    Doubles(&'a [u8]),
    Instant(Inst),
    Uuid(Uuid),
    /// Kept as it is.
    Opaque(i8, &'a [u8]),
}

impl<'a> Ext<'a> {
    /// Reads an extension that is neither a set nor a key reference.
    #[inline]
    pub(super) fn read(id: i8, content: &'a [u8]) -> Result<Self, &'static str> {
        Ok(match id {
            KEYWORD => Self::Keyword(content),
            SYMBOL => Self::Symbol(content),
            CHAR => Self::Char(first_char(content).ok_or("an empty character")?),
            RATIO => ratio(content)?,
            INTS => Self::Ints(whole::<4>(content)),
            FLOATS => Self::Floats(whole::<4>(content)),
            DOUBLES => Self::Doubles(whole::<8>(content)),
            INSTANT => instant(content)?,
            UUID => Self::Uuid(uuid(content).ok_or("not a UUID")?),
            REFERENCE => return Err("a key reference where no key stands"),
            id => Self::Opaque(id, content),
        })
    }

    /// Whether every Clojure and ClojureScript peer reads an extension that we do.
    pub(super) const fn is_portable(&self, content: &[u8]) -> bool {
        match self {
            // Sente's readers take nothing but 96 bits, and Java not every number of seconds.
            Self::Instant(_) => content.len() >= LONG_INSTANT,
            Self::Opaque(id, _) => *id != INSTANT,
            Self::Uuid(_) => content.len() != BINARY_UUID,
            _ => true,
        }
    }

    /// How many elements of a message it counts as, besides itself.
    pub(super) const fn elements(&self) -> usize {
        match self {
            Self::Ints(bytes) | Self::Floats(bytes) => bytes.len() / 4,
            Self::Doubles(bytes) => bytes.len() / 8,
            _ => 0,
        }
    }

    pub(super) fn into_value(self, endian: Endian) -> Value {
        match self {
            Self::Keyword(name) => match keyword(name) {
                Some(keyword) => Value::Keyword(keyword),
                None => tagged::opaque(KEYWORD, name),
            },
            Self::Symbol(name) => match symbol(name) {
                Some(symbol) => Value::Symbol(symbol),
                None => tagged::opaque(SYMBOL, name),
            },
            // Clojure's characters have 16 bits; ClojureScript reads any as a string.
            Self::Char(value) if u16::try_from(value).is_err() => {
                Value::from(&*value.encode_utf8(&mut [0; 4]))
            }
            Self::Char(value) => Value::Char(value),
            Self::Ratio(above, below) => {
                Ratio::divide(&BigInt::from(above), &BigInt::from(below)).unwrap_or_default()
            }
            Self::Ints(bytes) => {
                tagged::array(tagged::INTS, ints(bytes, endian).map(Value::from).collect())
            }
            Self::Floats(bytes) => {
                let items = floats(bytes, endian).map(shortest).collect();
                tagged::array(tagged::FLOATS, items)
            }
            Self::Doubles(bytes) => {
                let items = doubles(bytes, endian).map(Value::from).collect();
                tagged::array(tagged::DOUBLES, items)
            }
            Self::Instant(value) => Value::Inst(value),
            Self::Uuid(value) => Value::Uuid(value),
            Self::Opaque(id, content) => tagged::opaque(id, content),
        }
    }
}

/// The elements of an `int[]`.
pub(super) fn ints(bytes: &[u8], endian: Endian) -> impl ExactSizeIterator<Item = i32> {
    bytes.as_chunks().0.iter().map(move |bytes| match endian {
        Endian::Big => i32::from_be_bytes(*bytes),
        Endian::Little => i32::from_le_bytes(*bytes),
    })
}

/// The elements of a `float[]`.
pub(super) fn floats(bytes: &[u8], endian: Endian) -> impl ExactSizeIterator<Item = f32> {
    bytes.as_chunks().0.iter().map(move |bytes| match endian {
        Endian::Big => f32::from_be_bytes(*bytes),
        Endian::Little => f32::from_le_bytes(*bytes),
    })
}

/// The elements of a `double[]`.
pub(super) fn doubles(bytes: &[u8], endian: Endian) -> impl ExactSizeIterator<Item = f64> {
    bytes.as_chunks().0.iter().map(move |bytes| match endian {
        Endian::Big => f64::from_be_bytes(*bytes),
        Endian::Little => f64::from_le_bytes(*bytes),
    })
}

/// The number that has the digits by which a float of 32 bits is printed, so that `0.1` is `0.1`.
fn shortest(value: f32) -> Value {
    let short = alloc::format!("{value:e}").parse().unwrap_or(f64::NAN);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is compared with the original"
    )]
    let is_same = (short as f32).to_bits() == value.to_bits();
    Value::Float(if is_same { short } else { f64::from(value) })
}

/// A keyword, if either of Clojure's EDN readers takes its name.
fn keyword(name: &[u8]) -> Option<Keyword> {
    let name = &*token::text(name);
    if is_plain(name) {
        let name: StrDeserializer<'_, Error> = name.into_deserializer();
        return Keyword::deserialize(name).ok();
    }
    match read_name(&alloc::format!(":{name}"))? {
        Value::Keyword(keyword) if keyword.as_str() == name => Some(keyword),
        _ => None,
    }
}

fn symbol(name: &[u8]) -> Option<Symbol> {
    let name = &*token::text(name);
    if is_plain(name) {
        let name: StrDeserializer<'_, Error> = name.into_deserializer();
        return Symbol::deserialize(name).ok();
    }
    match read_name(name)? {
        Value::Symbol(symbol) if symbol.as_str() == name => Some(symbol),
        _ => None,
    }
}

/// Whether there is nothing in a name that could end it. Most are so, and for them serde's way in
/// is the quickest that takes what either of Clojure's readers does.
fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./?!*+<>=".contains(&byte);
    name.bytes().all(is_plain)
}

/// Reads a name as the wider of Clojure's readers does.
fn read_name(text: &str) -> Option<Value> {
    let limits = EdnLimits::unlimited().dialect(Dialect::Either).max_depth(0);
    sente_edn::from_slice_with(text.as_bytes(), &limits).ok()
}

fn first_char(content: &[u8]) -> Option<char> {
    let chunk = content.utf8_chunks().next()?;
    let first = chunk.valid().chars().next();
    Some(first.unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn ratio(content: &[u8]) -> Result<Ext<'_>, &'static str> {
    let mut reader = Reader::new(content);
    let mut integer = || match reader.token() {
        Ok(Token::Int(value)) => Ok(i128::from(value)),
        Ok(Token::Large(value)) => Ok(i128::from(value)),
        _ => Err("a ratio of other than two integers"),
    };
    match (integer()?, integer()?) {
        (_, 0) => Err("a ratio that divides by zero"),
        (above, below) => Ok(Ext::Ratio(above, below)),
    }
}

/// As much of the content as is whole elements; Java ignores what is left.
fn whole<const N: usize>(content: &[u8]) -> &[u8] {
    content.as_chunks::<N>().0.as_flattened()
}

/// The length of the form that Sente writes: 32 bits of nanoseconds, 64 of seconds.
const LONG_INSTANT: usize = 12;
const BINARY_UUID: usize = 16;

fn instant(content: &[u8]) -> Result<Ext<'_>, &'static str> {
    let (seconds, nanos) = if let Some((nanos, rest)) = content.split_first_chunk()
        && let Some(seconds) = rest.first_chunk()
    {
        // Java takes negative nanoseconds, too, and ignores what follows.
        (i64::from_be_bytes(*seconds), i32::from_be_bytes(*nanos))
    } else if let Ok(both) = content.try_into() {
        let both = u64::from_be_bytes(both);
        let seconds = i64::try_from(both & 0x3_ffff_ffff).unwrap_or_default();
        (seconds, i32::try_from(both >> 34).unwrap_or_default())
    } else if let Ok(seconds) = content.try_into() {
        (i64::from(u32::from_be_bytes(seconds)), 0)
    } else {
        return Err("an instant of other than 4, 8 or 12 bytes");
    };
    let inst = seconds
        .checked_mul(1000)
        .and_then(|millis| millis.checked_add(i64::from(nanos.div_euclid(1_000_000))))
        .and_then(|millis| Inst::from_millis(millis).ok());
    // What no `#inst` can say is kept as it is.
    Ok(inst.map_or(Ext::Opaque(INSTANT, content), Ext::Instant))
}

fn uuid(content: &[u8]) -> Option<Uuid> {
    if let Ok(bits) = content.try_into() {
        return Some(Uuid::from_u128(u128::from_be_bytes(bits)));
    }
    Uuid::parse(core::str::from_utf8(content).ok()?).ok()
}
