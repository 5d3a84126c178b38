//! EDN as serde's data model.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use ::serde::de::value::CowStrDeserializer;
use ::serde::de::{DeserializeSeed, IntoDeserializer, Visitor};

use super::access::{Entries, Sequence, Special, Tag, Variant};
use super::error::Error;
use super::names::{self, Kind};
use super::options::Options;
use super::source::{BuiltIn, Head, Items, Source, Spot};
use crate::value::Value;

/// Reads one form for serde, from a text or a [`Value`].
///
/// [`from_str`](super::from_str) and its like are the short way; this is for code that takes any
/// deserializer.
///
/// ```
/// use sente_edn::serde::{Deserializer, Options};
/// use serde::Deserialize;
///
/// let mut deserializer = Deserializer::from_slice(b"[1 2]", &Options::default()).unwrap();
/// assert_eq!(<(u8, u8)>::deserialize(&mut deserializer).unwrap(), (1, 2));
/// ```
pub struct Deserializer<'de> {
    pub(super) source: Source<'de>,
    /// Whether what comes next is a key.
    is_key: bool,
}

impl<'de> Deserializer<'de> {
    /// Takes a text that must be one form, and checks all of it.
    ///
    /// # Errors
    ///
    /// If the text is not EDN, not one form, or beyond the limits.
    pub fn from_slice(text: &'de [u8], options: &Options) -> Result<Self, Error> {
        Ok(Self {
            source: Source::text(text, options)?,
            is_key: false,
        })
    }

    /// Takes a text that is checked while it is read; `None` if it must be checked first.
    ///
    /// Where this fails, and unless it [is complete](Self::is_complete) in the end, the text must be
    /// read with [`from_slice`](Self::from_slice) after all: only that knows what is wrong.
    #[inline]
    pub(super) fn stream(text: &'de [u8], options: &Options) -> Option<Self> {
        let source = Source::stream(text, options)?;
        Some(Self {
            source,
            is_key: false,
        })
    }

    /// Whether a text that is checked while it is read was right, and was read completely.
    pub(super) fn is_complete(&mut self) -> bool {
        self.source.is_complete()
    }

    /// Takes a value.
    #[must_use]
    pub fn from_value(value: &'de Value, options: &Options) -> Self {
        Self {
            source: Source::value(value, options),
            is_key: false,
        }
    }

    /// Reads a form, and says where it is if something is wrong with it.
    #[inline]
    pub(super) fn read<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
        is_key: bool,
    ) -> Result<T::Value, Error> {
        let spot = self.source.spot();
        self.is_key = is_key;
        match seed.deserialize(&mut *self) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.locate(error, spot)),
        }
    }

    #[cold]
    fn locate(&mut self, error: Error, spot: Spot<'de>) -> Error {
        self.source.fail();
        error.at(self.source.offset(spot))
    }

    /// Takes the next head; what it is must be decided by it alone.
    fn head(&mut self) -> Result<(Head<'de>, bool), Error> {
        let is_key = core::mem::take(&mut self.is_key);
        Ok((self.source.head()?, is_key))
    }

    pub(super) fn items<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let mut access = Sequence {
            count: self.source.count(),
            from: self,
            index: 0,
            ended: false,
        };
        let value = visitor.visit_seq(&mut access)?;
        let (ended, index) = (access.ended, access.index);
        if !ended && self.source.more() {
            return Err(Error::new(format!("expected only {index} items")));
        }
        Ok(value)
    }

    fn entries<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let mut access = Sequence {
            count: self.source.count(),
            from: self,
            index: 0,
            ended: false,
        };
        let value = visitor.visit_map(Entries {
            inner: &mut access,
            key: None,
        })?;
        let ended = access.ended;
        if !ended && self.source.more() {
            return Err(Error::new("expected no more entries"));
        }
        Ok(value)
    }

    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(value) = self.source.plain_int() {
            self.is_key = false;
            return visitor.visit_i64(value);
        }
        match self.head()?.0 {
            Head::Int(value) => visitor.visit_i64(value),
            Head::Atom(Value::BigInt(value)) => visit_big(value.as_str(), visitor),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(value) = self.source.plain_float() {
            self.is_key = false;
            return visitor.visit_f64(value);
        }
        match self.head()?.0 {
            Head::Float(value) => visitor.visit_f64(value),
            #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
            Head::Int(value) => visitor.visit_f64(value as f64),
            Head::Atom(Value::BigInt(value)) => match value.as_str().parse() {
                Ok(value) => visitor.visit_f64(value),
                Err(_) => Err(Error::new("no such number")),
            },
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(text) = self.source.plain_string() {
            self.is_key = false;
            return visitor.visit_borrowed_str(text);
        }
        match self.head()? {
            (Head::Str(text), _) => visit_text(text, visitor),
            (Head::Keyword(name), true) => visit_text(name, visitor),
            (other, _) => Err(wrong(&other, &visitor)),
        }
    }

    fn blob<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Str(Cow::Borrowed(text)) => visitor.visit_borrowed_bytes(text.as_bytes()),
            Head::Str(Cow::Owned(text)) => visitor.visit_byte_buf(text.into_bytes()),
            Head::Items(Items::List | Items::Vector) => {
                let mut bytes: Vec<u8> = Vec::new();
                while self.source.more() {
                    let seed = core::marker::PhantomData::<u8>;
                    let index = bytes.len();
                    let byte = self.read(seed, false);
                    bytes.push(byte.map_err(|error| error.within(&index))?);
                }
                visitor.visit_byte_buf(bytes)
            }
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn name<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(name) = self.source.plain_name() {
            self.is_key = false;
            return visitor.visit_borrowed_str(name);
        }
        match self.head()?.0 {
            Head::Str(name) | Head::Keyword(name) => visit_text(name, visitor),
            Head::Int(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(value),
            },
            other => Err(wrong(&other, &visitor)),
        }
    }

    /// What serde has a word for; the rest goes to `special`.
    fn any<V: Visitor<'de>>(&mut self, visitor: V, exact: bool) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Int(value) => visitor.visit_i64(value),
            Head::Float(value) => visitor.visit_f64(value),
            Head::Char(value) => visitor.visit_char(value),
            Head::Str(text) => visit_text(text, visitor),
            Head::Items(Items::Vector) => self.items(visitor),
            Head::Map => self.entries(visitor),
            other if exact => self.special(other, visitor),
            Head::Keyword(name) | Head::Symbol(name) => visit_text(name, visitor),
            Head::Atom(Value::BigInt(value)) => visit_big(value.as_str(), visitor),
            Head::Atom(Value::Inst(value)) => visitor.visit_string(value.to_string()),
            Head::Atom(Value::Uuid(value)) => visitor.visit_string(value.to_string()),
            Head::Atom(value) => visitor.visit_string(plain(&value)),
            Head::Items(_) => self.items(visitor),
            Head::Tag(tag) => self.tagged(tag, visitor),
        }
    }

    fn special<V: Visitor<'de>>(&mut self, head: Head<'de>, visitor: V) -> Result<V::Value, Error> {
        let (kind, text) = match head {
            Head::Keyword(name) => (Kind::Keyword, name),
            Head::Symbol(name) => (Kind::Symbol, name),
            Head::Tag(tag) => (Kind::Tagged, tag),
            Head::Items(Items::Set) => (Kind::Set, Cow::Borrowed("")),
            Head::Items(_) => (Kind::List, Cow::Borrowed("")),
            Head::Atom(value) => {
                let kind = match value {
                    Value::BigInt(_) => Kind::BigInt,
                    Value::Decimal(_) => Kind::Decimal,
                    Value::Ratio(_) => Kind::Ratio,
                    Value::Inst(_) => Kind::Inst,
                    _ => Kind::Uuid,
                };
                (kind, Cow::Owned(plain(&value)))
            }
            other => return Err(wrong(&other, &visitor)),
        };
        visitor.visit_enum(Special {
            from: self,
            kind,
            text,
        })
    }

    pub(super) fn tagged<V: Visitor<'de>>(
        &mut self,
        tag: Cow<'de, str>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut pair = Tag {
            from: self,
            tag: Some(tag),
            done: false,
        };
        let value = visitor.visit_seq(&mut pair)?;
        if !pair.done {
            self.source.skip()?;
        }
        self.source.end_tag()?;
        Ok(value)
    }

    /// A type of this crate, by its private name.
    fn own<V: Visitor<'de>>(&mut self, name: &str, visitor: V) -> Result<V::Value, Error> {
        match name {
            names::VALUE => return self.any(visitor, true),
            names::RAW => return visit_text(self.source.raw()?, visitor),
            names::KEYWORD => {
                if let Some(name) = self.source.plain_name() {
                    self.is_key = false;
                    return visitor.visit_borrowed_str(name);
                }
            }
            names::INST | names::UUID => match (name, self.source.built_in()) {
                (names::INST, Some(BuiltIn::Inst(bytes))) => return visitor.visit_bytes(&bytes),
                (names::UUID, Some(BuiltIn::Uuid(bytes))) => return visitor.visit_bytes(&bytes),
                (_, Some(BuiltIn::Inst(_))) => return Err(found("an instant", &visitor)),
                (_, Some(BuiltIn::Uuid(_))) => return Err(found("a UUID", &visitor)),
                (_, None) => {}
            },
            _ => {}
        }
        match (name, self.head()?.0) {
            (names::KEYWORD, Head::Keyword(text)) | (names::SYMBOL, Head::Symbol(text)) => {
                visit_text(text, visitor)
            }
            (names::BIG_INT, Head::Int(value)) => visitor.visit_i64(value),
            (names::BIG_INT, Head::Atom(value @ Value::BigInt(_)))
            | (names::DECIMAL, Head::Atom(value @ Value::Decimal(_)))
            | (names::RATIO, Head::Atom(value @ Value::Ratio(_)))
            | (names::INST, Head::Atom(value @ Value::Inst(_)))
            | (names::UUID, Head::Atom(value @ Value::Uuid(_))) => {
                visitor.visit_string(plain(&value))
            }
            (names::LIST, Head::Items(Items::List))
            | (names::VECTOR, Head::Items(Items::Vector))
            | (names::SET, Head::Items(Items::Set)) => self.items(visitor),
            (names::MAP, Head::Map) => self.entries(visitor),
            (names::TAGGED, Head::Tag(tag)) => self.tagged(tag, visitor),
            (_, other) => Err(wrong(&other, &visitor)),
        }
    }
}

/// The text by which an atom without a word in serde is handed over.
fn plain(value: &Value) -> String {
    match value {
        Value::BigInt(value) => String::from(value.as_str()),
        Value::Decimal(value) => value.to_string(),
        Value::Inst(value) => value.to_string(),
        Value::Uuid(value) => value.to_string(),
        other => other.to_string(),
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, Error> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn visit_big<'de, V: Visitor<'de>>(digits: &str, visitor: V) -> Result<V::Value, Error> {
    if let Ok(value) = digits.parse::<i64>() {
        visitor.visit_i64(value)
    } else if let Ok(value) = digits.parse::<u64>() {
        visitor.visit_u64(value)
    } else if let Ok(value) = digits.parse::<i128>() {
        visitor.visit_i128(value)
    } else if let Ok(value) = digits.parse::<u128>() {
        visitor.visit_u128(value)
    } else {
        let expected: &dyn ::serde::de::Expected = &visitor;
        Err(Error::new(format!(
            "an integer of more than 128 bits, expected {expected}"
        )))
    }
}

struct Found<'h, 'de>(&'h Head<'de>);

impl fmt::Display for Found<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Head::Nil => f.write_str("nil"),
            Head::Bool(value) => write!(f, "boolean `{value}`"),
            Head::Int(value) => write!(f, "integer `{value}`"),
            Head::Float(value) => write!(f, "float `{}`", Value::Float(*value)),
            Head::Char(value) => write!(f, "character `{}`", Value::Char(*value)),
            Head::Str(_) => f.write_str("a string"),
            Head::Keyword(name) => write!(f, "keyword `:{name}`"),
            Head::Symbol(name) => write!(f, "symbol `{name}`"),
            Head::Atom(Value::BigInt(_)) => f.write_str("a big integer"),
            Head::Atom(Value::Decimal(_)) => f.write_str("a decimal number"),
            Head::Atom(Value::Ratio(_)) => f.write_str("a ratio"),
            Head::Atom(Value::Inst(_)) => f.write_str("an instant"),
            Head::Atom(_) => f.write_str("a UUID"),
            Head::Items(Items::List) => f.write_str("a list"),
            Head::Items(Items::Vector) => f.write_str("a vector"),
            Head::Items(Items::Set) => f.write_str("a set"),
            Head::Map => f.write_str("a map"),
            Head::Tag(tag) => write!(f, "a form tagged `#{tag}`"),
        }
    }
}

#[cold]
fn found<'de, V: Visitor<'de>>(what: &str, visitor: &V) -> Error {
    let expected: &dyn ::serde::de::Expected = visitor;
    Error::new(format!("found {what}, expected {expected}"))
}

#[cold]
fn wrong<'de, V: Visitor<'de>>(head: &Head<'de>, visitor: &V) -> Error {
    let expected: &dyn ::serde::de::Expected = visitor;
    Error::new(format!("found {}, expected {expected}", Found(head)))
}

macro_rules! forward {
    ($($method:ident)* => $to:ident) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$to(visitor)
        }
    )*};
}

impl<'de> ::serde::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Error;

    forward! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 => integer }
    forward! { deserialize_f32 deserialize_f64 => float }
    forward! { deserialize_str deserialize_string => string }
    forward! { deserialize_bytes deserialize_byte_buf => blob }
    forward! { deserialize_identifier => name }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor, false)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Bool(value) => visitor.visit_bool(value),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Char(value) => visitor.visit_char(value),
            Head::Str(text) => visit_text(text, visitor),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.source.is_nil() {
            self.head()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Nil => visitor.visit_unit(),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name.starts_with(names::PREFIX) {
            return self.own(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.source.enter_vector() {
            self.is_key = false;
            return self.items(visitor);
        }
        match self.head()?.0 {
            Head::Items(_) => self.items(visitor),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Items(Items::List | Items::Vector) => self.items(visitor),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.source.enter_map() {
            self.is_key = false;
            return self.entries(visitor);
        }
        match self.head()?.0 {
            Head::Map => self.entries(visitor),
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.head()?.0 {
            Head::Keyword(name) | Head::Str(name) => {
                let name: CowStrDeserializer<'_, Error> = name.into_deserializer();
                visitor.visit_enum(name)
            }
            Head::Map => {
                if !self.source.more() {
                    return Err(Error::new("found an empty map, expected a variant"));
                }
                let value = visitor.visit_enum(Variant { from: self })?;
                if self.source.more() {
                    return Err(Error::new("expected only one variant in the map"));
                }
                Ok(value)
            }
            other => Err(wrong(&other, &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.source.skip()?;
        visitor.visit_unit()
    }
}
