//! JSON into values.

use alloc::vec::Vec;

use sente_edn::{BigInt, Value};

use super::keyword;
use crate::limits::Limits;
use crate::packer::UnpackError;
use crate::packer::text::{Container, Number, Text, TextCursor, TextError, Token};

/// A collection that is being read.
enum Open {
    Array(Vec<Value>),
    /// The entries so far, and the key whose value is next.
    Object(Vec<(Value, Value)>, Value),
}

/// Reads the first value of a text.
pub(super) fn unpack(
    packed: &[u8],
    limits: &Limits,
    keyword_keys: bool,
) -> Result<Value, UnpackError> {
    let mut cursor = TextCursor::new(packed, limits);
    let mut keys = Keys::new(keyword_keys);
    let mut inside: Option<Open> = None;
    let mut around: Vec<Open> = Vec::new();
    while let Some(token) = cursor.next()? {
        let value = match token {
            Token::Null => Value::Nil,
            Token::Bool(value) => Value::Bool(value),
            Token::Number(number) => read_number(number),
            Token::String(text) => Value::String(text.decode().into_owned()),
            Token::Key(text) => {
                if let Some(Open::Object(_, key)) = &mut inside {
                    *key = keys.read(text);
                }
                continue;
            }
            Token::Open(container) => {
                let open = match container {
                    Container::Array => Open::Array(Vec::new()),
                    Container::Object => Open::Object(Vec::new(), Value::Nil),
                };
                around.extend(inside.replace(open));
                continue;
            }
            Token::Close => {
                let closed = core::mem::replace(&mut inside, around.pop());
                match closed {
                    Some(Open::Array(items)) => Value::Vector(items.into()),
                    Some(Open::Object(entries, _)) => Value::Map(entries.into_iter().collect()),
                    None => Value::Nil,
                }
            }
        };
        match &mut inside {
            Some(Open::Array(items)) => items.push(value),
            Some(Open::Object(entries, key)) => entries.push((core::mem::take(key), value)),
            None => return Ok(value),
        }
    }
    Err(TextError::new(cursor.pos(), "expected a JSON value, found nothing").into())
}

/// How many keys are kept: more than most messages have different ones.
const KEPT_KEYS: usize = 32;

/// Makes keys, those that come again and again only once.
struct Keys<'t> {
    keywords: bool,
    /// What was last made, each at a place that its text decides.
    recent: [Option<(&'t str, Value)>; KEPT_KEYS],
}

impl<'t> Keys<'t> {
    const fn new(keywords: bool) -> Self {
        Self {
            keywords,
            recent: [const { None }; KEPT_KEYS],
        }
    }

    fn read(&mut self, text: Text<'t>) -> Value {
        if !self.keywords {
            return Value::String(text.decode().into_owned());
        }
        let raw = text.raw();
        let place = self.recent.get_mut(place_of(raw));
        if let Some(Some((known, key))) = &place
            && *known == raw
        {
            return key.clone();
        }
        let decoded = text.decode();
        let key = match keyword::key(&decoded) {
            Some(keyword) => Value::Keyword(keyword),
            None => return Value::String(decoded.into_owned()),
        };
        if let Some(place) = place {
            *place = Some((raw, key.clone()));
        }
        key
    }
}

fn place_of(key: &str) -> usize {
    let byte = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default());
    let (first, last) = (byte(key.as_bytes().first()), byte(key.as_bytes().last()));
    let mixed = key.len().wrapping_mul(7) ^ first ^ last.wrapping_mul(3);
    mixed.checked_rem(KEPT_KEYS).unwrap_or_default()
}

fn read_number(number: Number<'_>) -> Value {
    if !number.is_integer() {
        return Value::Float(number.to_f64());
    }
    match number.to_i64() {
        Some(value) => Value::Int(value),
        // An integer that 64 bits do not hold is nothing but digits.
        None => BigInt::new(number.text()).map_or(Value::Nil, Value::BigInt),
    }
}
