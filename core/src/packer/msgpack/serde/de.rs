//! MessagePack as serde's data model.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use ::serde::Deserialize;
use ::serde::de::value::CowStrDeserializer;
use ::serde::de::{DeserializeSeed, IntoDeserializer, Visitor};
use sente_edn::Value;

use super::MAX_DEPTH;
use super::access::{self, Entries, Items, Special, Variant};
use super::error::Error;
use super::key::{Fields, Key};
use super::names::{self, Kind};
use super::visit::{
    Bytes, too_deep, too_many, typed_array, visit_all, visit_ext, visit_text, wrong,
};
use crate::packer::msgpack::Endian;
use crate::packer::msgpack::ext::{self, Ext};
use crate::packer::msgpack::keys::{self, Numbered, Watch};
use crate::packer::msgpack::machine::{Budget, Machine};
use crate::packer::msgpack::tagged;
use crate::packer::msgpack::token::{self, REFERENCE, Reader, Token};

/// Reads one value for serde.
pub(super) struct Reading<'de> {
    pub(super) reader: Reader<'de>,
    depth: usize,
    /// Whether what comes next is a key.
    pub(super) is_key: bool,
    /// The keys that have been named, if there can be references to them.
    keys: Option<Numbered<'de>>,
}

impl<'de> Reading<'de> {
    /// Begins to read what may have references to keys in it.
    pub(super) fn new(packed: &'de [u8]) -> Self {
        let keys = keys::may_refer(packed).then(Numbered::default);
        Self {
            keys,
            ..Self::of_value(packed)
        }
    }

    /// The same of a packed value, which has none.
    pub(super) const fn of_value(packed: &'de [u8]) -> Self {
        Self {
            reader: Reader::new(packed),
            depth: 0,
            is_key: false,
            keys: None,
        }
    }

    /// Reads a value, and says where it is if something is wrong with it.
    #[inline]
    pub(super) fn read<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let left = self.reader.rest.len();
        match seed.deserialize(&mut *self) {
            Ok(value) => Ok(value),
            Err(error) => Err(error.at(self.reader.end.saturating_sub(left))),
        }
    }

    /// Reads the key of a map, or of a struct that may still have these fields, or the one that it
    /// refers to.
    #[inline]
    pub(super) fn key<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
        fields: &mut Fields,
    ) -> Result<T::Value, Error> {
        if self.keys.is_some() {
            self.is_key = true;
            let key = self.numbered_key(seed);
            self.is_key = false;
            return key;
        }
        let left = self.reader.rest.len();
        match seed.deserialize(Key { from: self, fields }) {
            Ok(key) => Ok(key),
            Err(error) => Err(error.at(self.reader.end.saturating_sub(left))),
        }
    }

    fn numbered_key<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let start = self.reader;
        let mut after = start;
        match after.token()? {
            Token::Ext(REFERENCE, [_]) => {
                self.reader = self.full_key(start);
                let key = self.read(seed);
                self.reader = after;
                return key;
            }
            Token::Str(_) | Token::Ext(ext::KEYWORD, _) => {
                if let Some(keys) = &mut self.keys {
                    keys.add(start.part(start.at()..after.at()));
                }
            }
            _ => {}
        }
        self.read(seed)
    }

    /// The key that stands here, or the one that is referred to.
    pub(super) fn full_key(&self, start: Reader<'de>) -> Reader<'de> {
        match (start.clone().token(), &self.keys) {
            (Ok(Token::Ext(REFERENCE, [number])), Some(keys)) => keys.get(*number),
            _ => start,
        }
    }

    #[inline]
    fn deepen(&mut self) -> Result<(), Error> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.reader.at()));
        }
        self.depth = self.depth.wrapping_add(1);
        self.is_key = false;
        Ok(())
    }

    #[inline]
    fn rise(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    #[inline]
    fn items<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, Error> {
        self.deepen()?;
        let mut items = Items {
            from: self,
            left: count,
            index: 0,
        };
        let value = visitor.visit_seq(&mut items)?;
        if items.left > 0 {
            return Err(too_many("items", items.index));
        }
        self.rise();
        Ok(value)
    }

    #[inline]
    fn entries<V: Visitor<'de>>(
        &mut self,
        count: usize,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deepen()?;
        let key = self.reader.rest;
        let mut entries = Entries {
            from: self,
            left: count,
            key,
            fields,
        };
        let value = visitor.visit_map(&mut entries)?;
        let left = entries.left;
        if left > 0 {
            return Err(too_many("entries", count.saturating_sub(left)));
        }
        self.rise();
        Ok(value)
    }

    /// The items of a set whose extension has been taken.
    pub(super) fn set<V: Visitor<'de>>(
        &mut self,
        content: Reader<'de>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let after = core::mem::replace(&mut self.reader, content);
        let value = match self.reader.is_array().then(|| self.reader.token()) {
            Some(Ok(Token::Array(count))) => self.items(count, visitor),
            Some(Err(fault)) => Err(fault.into()),
            _ => Err(Error::new("a set without an array in it")),
        };
        // Also where it is wrong: where that is, is told from the end.
        self.reader = after;
        value
    }

    /// Skips a value, but for the keys in it.
    fn skip(&mut self) -> Result<(), Error> {
        let mut after = self.reader;
        match after.token()? {
            Token::Array(_) | Token::Map(_) | Token::Ext(..) => {}
            _ => {
                self.reader = after;
                return Ok(());
            }
        }
        let depth = MAX_DEPTH.saturating_sub(self.depth);
        let mut machine = Machine::resume(self.reader, Budget::depth(depth));
        machine.value(&mut Watch {
            from: self.reader,
            keys: self.keys.as_mut(),
        })?;
        self.reader = machine.reader;
        Ok(())
    }

    #[inline]
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(value) = self.reader.natural() {
            return visitor.visit_u64(value);
        }
        match self.reader.token()? {
            Token::Int(value) => visitor.visit_i64(value),
            Token::Large(value) => visitor.visit_u64(value),
            other => Err(wrong(other, &visitor)),
        }
    }

    #[inline]
    fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(value) = self.reader.double() {
            return visitor.visit_f64(value);
        }
        match self.reader.token()? {
            Token::Float(value) => visitor.visit_f64(value),
            #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
            Token::Int(value) => visitor.visit_f64(value as f64),
            #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
            Token::Large(value) => visitor.visit_f64(value as f64),
            other => Err(wrong(other, &visitor)),
        }
    }

    #[inline]
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(text) = self.reader.short_str() {
            return visit_text(text, visitor);
        }
        match self.reader.token()? {
            Token::Str(text) => visit_text(text, visitor),
            Token::Ext(ext::KEYWORD, name) if self.is_key => visit_text(name, visitor),
            other => Err(wrong(other, &visitor)),
        }
    }

    fn blob<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.reader.token()? {
            Token::Bin(bytes) | Token::Str(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Array(count) => {
                let bytes: Vec<u8> = self.items(count, Bytes)?;
                visitor.visit_byte_buf(bytes)
            }
            other => Err(wrong(other, &visitor)),
        }
    }

    #[inline]
    fn name<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some((name, rest)) = self.reader.short_name() {
            self.reader.rest = rest;
            return visit_text(name, visitor);
        }
        match self.reader.token()? {
            Token::Ext(ext::KEYWORD, name) | Token::Str(name) => visit_text(name, visitor),
            Token::Int(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(value),
            },
            other => Err(wrong(other, &visitor)),
        }
    }

    #[inline]
    fn sequence<V: Visitor<'de>>(&mut self, sets: bool, visitor: V) -> Result<V::Value, Error> {
        if let Some(count) = self.reader.short_array() {
            return self.items(count, visitor);
        }
        self.longer_sequence(sets, visitor)
    }

    fn longer_sequence<V: Visitor<'de>>(
        &mut self,
        sets: bool,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.reader.token()? {
            Token::Array(count) => self.items(count, visitor),
            Token::Ext(ext::SET, content) if sets => {
                let content = self.reader.inside(content);
                self.set(content, visitor)
            }
            Token::Ext(id @ ext::INTS..=ext::DOUBLES, content) => typed_array(id, content, visitor),
            Token::Bin(bytes) => visit_all(bytes.iter().copied(), visitor),
            other => Err(wrong(other, &visitor)),
        }
    }

    /// A map, or a struct with these fields.
    #[inline]
    fn map<V: Visitor<'de>>(&mut self, fields: Fields, visitor: V) -> Result<V::Value, Error> {
        if let Some(count) = self.reader.short_map() {
            return self.entries(count, fields, visitor);
        }
        match self.reader.token()? {
            Token::Map(count) => self.entries(count, fields, visitor),
            other => Err(wrong(other, &visitor)),
        }
    }

    /// What serde has a word for; `exact` is for `sente-edn`'s `Value`, which has more words.
    fn any<V: Visitor<'de>>(&mut self, exact: bool, visitor: V) -> Result<V::Value, Error> {
        match self.reader.token()? {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Int(value) => visitor.visit_i64(value),
            Token::Large(value) if exact => {
                let text = Cow::Owned(value.to_string());
                visitor.visit_enum(Special::Text(Kind::BigInt, text))
            }
            Token::Large(value) => visitor.visit_u64(value),
            Token::Float(value) => visitor.visit_f64(value),
            Token::Str(text) => visit_text(text, visitor),
            Token::Bin(bytes) if exact => visitor.visit_enum(Special::Tagged(tagged::bytes(bytes))),
            Token::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Array(count) => self.items(count, visitor),
            Token::Map(count) => self.entries(count, &[], visitor),
            Token::Ext(ext::SET, content) => {
                let content = self.reader.inside(content);
                if exact {
                    return visitor.visit_enum(Special::Set(self, content));
                }
                self.set(content, visitor)
            }
            Token::Ext(id @ ext::INTS..=ext::DOUBLES, content) if !exact => {
                typed_array(id, content, visitor)
            }
            Token::Ext(ext::KEYWORD | ext::SYMBOL, name) if !exact => visit_text(name, visitor),
            Token::Ext(id, content) => {
                let ext = Ext::read(id, content).map_err(Error::new)?;
                visit_ext(ext.into_value(Endian::Big), exact, visitor)
            }
        }
    }

    /// A type of `sente-edn`, by its private name.
    fn own<V: Visitor<'de>>(&mut self, name: &str, visitor: V) -> Result<V::Value, Error> {
        match name {
            names::VALUE => return self.any(true, visitor),
            names::RAW => {
                let value = Value::deserialize(&mut *self)?;
                return visitor.visit_string(sente_edn::to_string(&value));
            }
            _ => {}
        }
        let token = self.reader.token()?;
        let ext = match (name, token) {
            (names::KEYWORD, Token::Ext(ext::KEYWORD, text))
            | (names::SYMBOL, Token::Ext(ext::SYMBOL, text)) => return visit_text(text, visitor),
            (names::BIG_INT, Token::Int(value)) => return visitor.visit_i64(value),
            (names::BIG_INT, Token::Large(value)) => return visitor.visit_u64(value),
            // MessagePack has no decimals: they come back as the floats they were written as.
            (names::DECIMAL, Token::Int(value)) => return visitor.visit_string(value.to_string()),
            (names::DECIMAL, Token::Float(value)) => {
                return visitor.visit_string(value.to_string());
            }
            (names::LIST | names::VECTOR, Token::Array(count)) => {
                return self.items(count, visitor);
            }
            (names::MAP, Token::Map(count)) => return self.entries(count, &[], visitor),
            (names::SET, Token::Ext(ext::SET, content)) => {
                let content = self.reader.inside(content);
                return self.set(content, visitor);
            }
            (names::TAGGED, Token::Bin(bytes)) => {
                return access::tagged(tagged::bytes(bytes), visitor);
            }
            (_, Token::Ext(id, content)) if id != ext::SET => {
                Ext::read(id, content).map_err(Error::new)?
            }
            (_, other) => return Err(wrong(other, &visitor)),
        };
        match (name, ext.into_value(Endian::Big)) {
            (names::RATIO, Value::Ratio(value)) => visitor.visit_string(value.to_string()),
            (names::INST, Value::Inst(value)) => {
                visitor.visit_bytes(&value.as_millis().to_be_bytes())
            }
            (names::UUID, Value::Uuid(value)) => {
                visitor.visit_bytes(&value.as_u128().to_be_bytes())
            }
            (names::TAGGED, value @ Value::Tagged(_)) => access::tagged(value, visitor),
            _ => Err(wrong(token, &visitor)),
        }
    }
}

macro_rules! forward {
    ($($method:ident)* => $to:ident) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$to(visitor)
        }
    )*};
}

impl<'de> ::serde::Deserializer<'de> for &mut Reading<'de> {
    type Error = Error;

    forward! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 => integer }
    forward! { deserialize_f32 deserialize_f64 => float }
    forward! { deserialize_str deserialize_string => string }
    forward! { deserialize_bytes deserialize_byte_buf => blob }
    forward! { deserialize_identifier => name }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(false, visitor)
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(value) = self.reader.bool() {
            return visitor.visit_bool(value);
        }
        match self.reader.token()? {
            Token::Bool(value) => visitor.visit_bool(value),
            other => Err(wrong(other, &visitor)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.reader.token()? {
            Token::Ext(ext::CHAR, content) => match Ext::read(ext::CHAR, content) {
                Ok(Ext::Char(value)) => visitor.visit_char(value),
                Ok(_) => Err(Error::new("not a character")),
                Err(why) => Err(Error::new(why)),
            },
            Token::Str(text) => visit_text(text, visitor),
            other => Err(wrong(other, &visitor)),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.reader.peek() == Some(NIL) {
            self.reader.token()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.reader.token()? {
            Token::Nil => visitor.visit_unit(),
            other => Err(wrong(other, &visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    #[inline]
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

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.sequence(true, visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.sequence(false, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.sequence(false, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.map(&[], visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.map(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.reader.token()? {
            Token::Ext(ext::KEYWORD, name) | Token::Str(name) => {
                let name: CowStrDeserializer<'_, Error> = token::text(name).into_deserializer();
                visitor.visit_enum(name)
            }
            Token::Map(1) => {
                self.deepen()?;
                let value = visitor.visit_enum(Variant { from: self })?;
                self.rise();
                Ok(value)
            }
            Token::Map(count) => Err(Error::new(format!(
                "found a map of {count} entries, expected a variant"
            ))),
            other => Err(wrong(other, &visitor)),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }
}

const NIL: u8 = 0xc0;
