//! What was read, handed to serde's visitors, and what to say where they do not take it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use ::serde::de::value::SeqDeserializer;
use ::serde::de::{IntoDeserializer, Visitor};
use sente_edn::Value;

use super::MAX_DEPTH;
use super::access::{self, Special};
use super::error::Error;
use super::names::Kind;
use crate::packer::msgpack::Endian;
use crate::packer::msgpack::ext;
use crate::packer::msgpack::token::{self, Fault, Token};

/// An extension as serde has a word for it, and else as its text.
pub(super) fn visit_ext<'de, V: Visitor<'de>>(
    value: Value,
    exact: bool,
    visitor: V,
) -> Result<V::Value, Error> {
    let (kind, text) = match value {
        Value::Int(value) => return visitor.visit_i64(value),
        Value::Char(value) => return visitor.visit_char(value),
        Value::String(text) => return visitor.visit_string(text),
        Value::Tagged(_) if exact => return visitor.visit_enum(Special::Tagged(value)),
        Value::Tagged(_) => return access::tagged(value, visitor),
        Value::Keyword(keyword) => (Kind::Keyword, keyword.as_str().to_string()),
        Value::Symbol(symbol) => (Kind::Symbol, symbol.as_str().to_string()),
        Value::BigInt(value) => (Kind::BigInt, value.as_str().to_string()),
        Value::Ratio(value) => (Kind::Ratio, value.to_string()),
        Value::Inst(value) => (Kind::Inst, value.to_string()),
        Value::Uuid(value) => (Kind::Uuid, value.to_string()),
        _ => return visitor.visit_unit(),
    };
    if exact {
        visitor.visit_enum(Special::Text(kind, Cow::Owned(text)))
    } else {
        visitor.visit_string(text)
    }
}

#[inline]
pub(super) fn visit_text<'de, V: Visitor<'de>>(
    text: &'de [u8],
    visitor: V,
) -> Result<V::Value, Error> {
    match token::text(text) {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// The elements of a typed array, in Java's order of bytes.
pub(super) fn typed_array<'de, V: Visitor<'de>>(
    id: i8,
    content: &[u8],
    visitor: V,
) -> Result<V::Value, Error> {
    match id {
        ext::INTS => visit_all(ext::ints(content, Endian::Big), visitor),
        ext::FLOATS => visit_all(ext::floats(content, Endian::Big), visitor),
        _ => visit_all(ext::doubles(content, Endian::Big), visitor),
    }
}

pub(super) fn visit_all<'de, T, V: Visitor<'de>>(
    items: impl Iterator<Item = T>,
    visitor: V,
) -> Result<V::Value, Error>
where
    T: IntoDeserializer<'de, Error>,
{
    let mut items = SeqDeserializer::new(items);
    let value = visitor.visit_seq(&mut items)?;
    items.end()?;
    Ok(value)
}

/// An array of integers as bytes.
pub(super) struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_seq<A: ::serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cold]
pub(super) fn too_deep(at: usize) -> Error {
    Fault::over(at, "levels of nesting", MAX_DEPTH).into()
}

#[cold]
pub(super) fn too_many(what: &str, count: usize) -> Error {
    Error::new(format!("expected only {count} {what}"))
}

#[cold]
pub(super) fn wrong<'de, V: Visitor<'de>>(token: Token<'de>, visitor: &V) -> Error {
    let expected: &dyn ::serde::de::Expected = visitor;
    Error::new(format!("found {}, expected {expected}", Found(token)))
}

struct Found<'de>(Token<'de>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Token::Nil => f.write_str("nil"),
            Token::Bool(value) => write!(f, "boolean `{value}`"),
            Token::Int(value) => write!(f, "integer `{value}`"),
            Token::Large(value) => write!(f, "integer `{value}`"),
            Token::Float(value) => write!(f, "float `{}`", Value::Float(value)),
            Token::Str(_) => f.write_str("a string"),
            Token::Bin(_) => f.write_str("bytes"),
            Token::Array(_) => f.write_str("an array"),
            Token::Map(_) => f.write_str("a map"),
            Token::Ext(ext::KEYWORD, name) => {
                write!(f, "keyword `:{}`", token::text(name))
            }
            Token::Ext(ext::SYMBOL, name) => {
                write!(f, "symbol `{}`", token::text(name))
            }
            Token::Ext(ext::CHAR, _) => f.write_str("a character"),
            Token::Ext(ext::RATIO, _) => f.write_str("a ratio"),
            Token::Ext(ext::SET, _) => f.write_str("a set"),
            Token::Ext(ext::INTS..=ext::DOUBLES, _) => f.write_str("a typed array"),
            Token::Ext(ext::INSTANT, _) => f.write_str("an instant"),
            Token::Ext(ext::UUID, _) => f.write_str("a UUID"),
            Token::Ext(id, _) => write!(f, "an extension of type {id}"),
        }
    }
}
