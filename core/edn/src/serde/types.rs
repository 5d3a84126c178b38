//! This crate's types in serde's data model.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use ::serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use ::serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeTuple};
use ::serde::{Deserialize, Serialize, Serializer};

use super::names::{self, Kind};
use super::options::Options;
use crate::collection::{List, Vector};
use crate::decimal::Decimal;
use crate::inst::Inst;
use crate::integer::BigInt;
use crate::lex;
use crate::limits::Dialect;
use crate::map::Map;
use crate::name::{self, Keyword, Symbol};
use crate::ratio::Ratio;
use crate::set::Set;
use crate::tagged::Tagged;
use crate::uuid::Uuid;
use crate::value::Value;

/// A keyword, if either of Clojure's readers takes it: the text may have been read as the wider one.
pub(super) fn keyword(name: &str) -> Option<Keyword> {
    if lex::is_plain_name(name.as_bytes()) {
        return Some(Keyword::from_valid(name));
    }
    let wide = || {
        let fits = name::is_token(name) && name::is_keyword(name, Dialect::Either);
        fits.then(|| Keyword::from_valid(name))
    };
    Keyword::new(name).ok().or_else(wide)
}

pub(super) fn symbol(name: &str) -> Option<Symbol> {
    let wide = || {
        let fits = name::is_token(name)
            && name::is_symbol(name, Dialect::Either)
            && !name::reads_otherwise(name);
        fits.then(|| Symbol::from_valid(name))
    };
    Symbol::new(name).ok().or_else(wide)
}

/// A value behind a tag, if either of Clojure's readers takes the tag.
pub(super) fn tagged(tag: &str, value: Value) -> Option<Tagged> {
    let begins = tag.chars().next().is_some_and(char::is_alphabetic);
    let symbol = symbol(tag).filter(|_| begins && !matches!(tag, "inst" | "uuid"))?;
    Some(Tagged::from_valid(symbol, value))
}

pub(super) fn ratio(text: &str) -> Option<Ratio> {
    let (above, below) = text.split_once('/')?;
    let (above, below) = (BigInt::new(above).ok()?, BigInt::new(below).ok()?);
    match Ratio::divide(&above, &below) {
        Ok(Value::Ratio(ratio)) => Some(ratio),
        _ => None,
    }
}

pub(super) fn big(value: impl fmt::Display) -> BigInt {
    // Digits are digits.
    BigInt::new(&value.to_string()).unwrap_or_else(|_| BigInt::from(0_i64))
}

fn integer(text: &str) -> Option<BigInt> {
    BigInt::new(text).ok()
}

/// A type that is written as a text of its own.
trait Shown {
    /// Hands the text over.
    fn show<R>(&self, give: impl FnOnce(&str) -> R) -> R;
}

macro_rules! shown {
    ($($type:ident, $value:ident => $text:expr;)*) => {$(
        impl Shown for $type {
            fn show<R>(&self, give: impl FnOnce(&str) -> R) -> R {
                let $value = self;
                give($text)
            }
        }
    )*};
}

shown! {
    Symbol, value => value.as_str();
    BigInt, value => value.as_str();
    Decimal, value => &value.to_string();
    Ratio, value => &value.to_string();
    Inst, value => text_of(&value.text());
    Uuid, value => text_of(&value.text());
}

impl Shown for Keyword {
    /// With its colon.
    fn show<R>(&self, give: impl FnOnce(&str) -> R) -> R {
        let name = self.as_str();
        // Few are longer.
        let mut near = [b':'; 64];
        let place = near
            .get_mut(1..)
            .and_then(|near| near.get_mut(..name.len()));
        if let Some(place) = place {
            place.copy_from_slice(name.as_bytes());
            give(text_of(near.get(..=name.len()).unwrap_or_default()))
        } else {
            give(&format!(":{name}"))
        }
    }
}

/// What is known to be a text.
fn text_of(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

macro_rules! by_text {
    ($($type:ident, $name:ident, $what:literal, $read:expr, $from_bytes:expr;)*) => {$(
        impl Serialize for $type {
            /// Another format than EDN is given a string.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.show(|text| serializer.serialize_newtype_struct(names::$name, text))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl<'de> Visitor<'de> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: ::serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        let read: fn(&str) -> Option<$type> = $read;
                        read(text).ok_or_else(|| {
                            E::invalid_value(::serde::de::Unexpected::Str(text), &self)
                        })
                    }

                    fn visit_i64<E: ::serde::de::Error>(self, value: i64) -> Result<$type, E> {
                        if names::$name == names::BIG_INT {
                            return self.visit_str(&value.to_string());
                        }
                        Err(E::invalid_type(::serde::de::Unexpected::Signed(value), &self))
                    }

                    fn visit_u64<E: ::serde::de::Error>(self, value: u64) -> Result<$type, E> {
                        if names::$name == names::BIG_INT {
                            return self.visit_str(&value.to_string());
                        }
                        Err(E::invalid_type(::serde::de::Unexpected::Unsigned(value), &self))
                    }

                    fn visit_bytes<E: ::serde::de::Error>(self, bytes: &[u8]) -> Result<$type, E> {
                        let read: fn(&[u8]) -> Option<$type> = $from_bytes;
                        read(bytes).ok_or_else(|| {
                            E::invalid_type(::serde::de::Unexpected::Bytes(bytes), &self)
                        })
                    }

                    fn visit_newtype_struct<D: Deserializer<'de>>(
                        self,
                        inner: D,
                    ) -> Result<$type, D::Error> {
                        inner.deserialize_any(self)
                    }
                }

                deserializer.deserialize_newtype_struct(names::$name, Text)
            }
        }
    )*};
}

by_text! {
    Keyword, KEYWORD, "a keyword",
        |text| keyword(text.strip_prefix(':').unwrap_or(text)), |_| None;
    Symbol, SYMBOL, "a symbol", symbol, |_| None;
    BigInt, BIG_INT, "an integer", integer, |_| None;
    Decimal, DECIMAL, "a decimal number", |text| Decimal::new(text).ok(), |_| None;
    Ratio, RATIO, "a ratio", ratio, |_| None;
    // Bytes are how this crate's own deserializer hands these two over.
    Inst, INST, "an instant", |text| Inst::parse(text).ok(),
        |bytes| Inst::from_millis(i64::from_be_bytes(bytes.try_into().ok()?)).ok();
    Uuid, UUID, "a UUID", |text| Uuid::parse(text).ok(),
        |bytes| Some(Uuid::from_u128(u128::from_be_bytes(bytes.try_into().ok()?)));
}

/// A value so many levels below the one that was to be written.
struct Below<T>(T, usize);

impl Below<&[Value]> {
    fn is_too_deep(&self) -> bool {
        self.1 >= Options::DEFAULT_MAX_DEPTH
    }
}

const TOO_DEEP: &str = "nests deeper than the 128 levels that serde may write";

impl Serialize for Below<&[Value]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_too_deep() {
            return Err(S::Error::custom(TOO_DEEP));
        }
        let mut out = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            out.serialize_element(&Below(item, self.1.saturating_add(1)))?;
        }
        out.end()
    }
}

impl Serialize for Below<&Map> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let level = self.1.saturating_add(1);
        if level > Options::DEFAULT_MAX_DEPTH {
            return Err(S::Error::custom(TOO_DEEP));
        }
        let mut out = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            out.serialize_entry(&Below(key, level), &Below(value, level))?;
        }
        out.end()
    }
}

impl Serialize for Below<&Tagged> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let level = self.1.saturating_add(1);
        if level > Options::DEFAULT_MAX_DEPTH {
            return Err(S::Error::custom(TOO_DEEP));
        }
        let mut out = serializer.serialize_tuple(2)?;
        out.serialize_element(self.0.tag().as_str())?;
        out.serialize_element(&Below(self.0.value(), level))?;
        out.end()
    }
}

impl Serialize for Below<&Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::BigInt(value) => value.serialize(serializer),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Decimal(value) => value.serialize(serializer),
            Value::Ratio(value) => value.serialize(serializer),
            Value::Char(value) => serializer.serialize_char(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Keyword(value) => value.serialize(serializer),
            Value::Symbol(value) => value.serialize(serializer),
            Value::Inst(value) => value.serialize(serializer),
            Value::Uuid(value) => value.serialize(serializer),
            Value::List(list) => {
                serializer.serialize_newtype_struct(names::LIST, &Below(list.as_slice(), self.1))
            }
            Value::Vector(vector) => serializer
                .serialize_newtype_struct(names::VECTOR, &Below(vector.as_slice(), self.1)),
            Value::Set(set) => {
                serializer.serialize_newtype_struct(names::SET, &Below(elements(set), self.1))
            }
            Value::Map(map) => Below(map, self.1).serialize(serializer),
            Value::Tagged(tagged) => {
                serializer.serialize_newtype_struct(names::TAGGED, &Below(tagged, self.1))
            }
        }
    }
}

impl Serialize for Value {
    /// In other formats than EDN what serde has no word for is a string or a sequence. A value that
    /// nests deeper than 128 levels is an error, whatever the format: serde calls itself for each.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Below(self, 0).serialize(serializer)
    }
}

fn elements(set: &Set) -> &[Value] {
    set.iter().as_slice()
}

macro_rules! collections {
    ($($type:ident, $name:ident, $what:literal, $visit:ident, $access:ident, $inner:expr;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let inner = $inner;
                serializer.serialize_newtype_struct(names::$name, &Below(inner(self), 0))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Parts;

                impl<'de> Visitor<'de> for Parts {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn $visit<A: $access<'de>>(self, mut access: A) -> Result<$type, A::Error> {
                        $type::collect(&mut access)
                    }

                    fn visit_newtype_struct<D: Deserializer<'de>>(
                        self,
                        inner: D,
                    ) -> Result<$type, D::Error> {
                        inner.deserialize_any(self)
                    }
                }

                deserializer.deserialize_newtype_struct(names::$name, Parts)
            }
        }
    )*};
}

collections! {
    List, LIST, "a list", visit_seq, SeqAccess, Self::as_slice;
    Vector, VECTOR, "a vector", visit_seq, SeqAccess, Self::as_slice;
    Set, SET, "a set", visit_seq, SeqAccess, elements;
    Map, MAP, "a map", visit_map, MapAccess, |map| map;
    Tagged, TAGGED, "a tag and a form", visit_seq, SeqAccess, |tagged| tagged;
}

/// How a collection is put together.
trait Collect<'de, A, E>: Sized {
    fn collect(access: &mut A) -> Result<Self, E>;
}

macro_rules! collect_items {
    ($($type:ident)*) => {$(
        impl<'de, A: SeqAccess<'de>> Collect<'de, A, A::Error> for $type {
            fn collect(access: &mut A) -> Result<Self, A::Error> {
                let mut items = Self::new();
                while let Some(item) = access.next_element::<Value>()? {
                    items.push(item);
                }
                Ok(items)
            }
        }
    )*};
}

collect_items! { List Vector }

impl<'de, A: SeqAccess<'de>> Collect<'de, A, A::Error> for Set {
    fn collect(access: &mut A) -> Result<Self, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Value>()? {
            items.push(item);
        }
        Ok(Self::from_items(items))
    }
}

impl<'de, A: MapAccess<'de>> Collect<'de, A, A::Error> for Map {
    fn collect(access: &mut A) -> Result<Self, A::Error> {
        let mut items = Vec::new();
        while let Some((key, value)) = access.next_entry::<Value, Value>()? {
            items.extend([key, value]);
        }
        Ok(Self::from_items(items))
    }
}

impl<'de, A: SeqAccess<'de>> Collect<'de, A, A::Error> for Tagged {
    fn collect(access: &mut A) -> Result<Self, A::Error> {
        let missing = |length| A::Error::invalid_length(length, &"a tag and a form");
        let tag: String = access.next_element()?.ok_or_else(|| missing(0))?;
        let value: Value = access.next_element()?.ok_or_else(|| missing(1))?;
        tagged(&tag, value).ok_or_else(|| A::Error::custom(format!("no such tag: `{tag}`")))
    }
}

/// Reads any value.
struct Any;

macro_rules! visit {
    ($($method:ident: $type:ty => $value:expr;)*) => {$(
        fn $method<E: ::serde::de::Error>(self, value: $type) -> Result<Value, E> {
            let make: fn($type) -> Value = $value;
            Ok(make(value))
        }
    )*};
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any EDN value")
    }

    visit! {
        visit_bool: bool => Value::Bool;
        visit_i64: i64 => Value::Int;
        visit_u64: u64 => Value::from;
        visit_i128: i128 => |value| Value::BigInt(big(value));
        visit_u128: u128 => |value| Value::BigInt(big(value));
        visit_f64: f64 => Value::Float;
        visit_char: char => Value::Char;
        visit_str: &str => |text| Value::String(text.into());
        visit_string: String => Value::String;
        visit_bytes: &[u8] => |bytes| bytes.iter().copied().map(Value::from).collect();
    }

    fn visit_unit<E: ::serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_none<E: ::serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        Value::deserialize(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        Vector::collect(&mut access).map(Value::Vector)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        Map::collect(&mut access).map(Value::Map)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (kind, form) = access.variant_seed(PhantomData::<u8>)?;
        let kind = Kind::ALL.get(usize::from(kind)).copied();
        let kind = kind.ok_or_else(|| A::Error::custom("expected a form of EDN's own"))?;
        match kind {
            Kind::List => form
                .tuple_variant(0, Parts::<List>(PhantomData))
                .map(Value::List),
            Kind::Set => form
                .tuple_variant(0, Parts::<Set>(PhantomData))
                .map(Value::Set),
            Kind::Tagged => form
                .tuple_variant(2, Parts::<Tagged>(PhantomData))
                .map(Value::Tagged),
            kind => form.newtype_variant_seed(Atom(kind)),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::VALUE, Any)
    }
}

/// The items of a collection that was entered.
struct Parts<T>(PhantomData<T>);

macro_rules! parts {
    ($($type:ident)*) => {$(
        impl<'de> Visitor<'de> for Parts<$type> {
            type Value = $type;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<$type, A::Error> {
                $type::collect(&mut access)
            }
        }
    )*};
}

parts! { List Set Tagged }

/// The text of an atom that serde has no word for.
struct Atom(Kind);

impl<'de> DeserializeSeed<'de> for Atom {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Atom {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an atom")
    }

    fn visit_str<E: ::serde::de::Error>(self, text: &str) -> Result<Value, E> {
        let value = match self.0 {
            Kind::Keyword => keyword(text).map(Value::Keyword),
            Kind::Symbol => symbol(text).map(Value::Symbol),
            Kind::BigInt => integer(text).map(Value::BigInt),
            Kind::Decimal => Decimal::new(text).ok().map(Value::Decimal),
            Kind::Ratio => ratio(text).map(Value::Ratio),
            Kind::Inst => Inst::parse(text).ok().map(Value::Inst),
            Kind::Uuid => Uuid::parse(text).ok().map(Value::Uuid),
            Kind::List | Kind::Set | Kind::Tagged => None,
        };
        value.ok_or_else(|| E::invalid_value(::serde::de::Unexpected::Str(text), &self))
    }
}
