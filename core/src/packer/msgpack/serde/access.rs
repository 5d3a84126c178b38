//! The parts of collections, variants and tags, as serde asks for them.

use alloc::borrow::Cow;
use alloc::string::ToString;

use ::serde::de::value::{CowStrDeserializer, U8Deserializer};
use ::serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use sente_edn::Value;

use super::de::Reading;
use super::error::Error;
use super::key::Fields;
use super::names::Kind;
use super::owned::Owned;
use crate::limits::Limits;
use crate::packer::msgpack::Endian;
use crate::packer::msgpack::token::Reader;
use crate::packer::msgpack::unpack;

/// What is left of an array.
pub(super) struct Items<'r, 'de> {
    pub(super) from: &'r mut Reading<'de>,
    pub(super) left: usize,
    pub(super) index: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let index = self.index;
        self.index = index.wrapping_add(1);
        match self.from.read(seed) {
            Ok(item) => Ok(Some(item)),
            Err(error) => Err(error.within(&index)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// What is left of a map.
pub(super) struct Entries<'r, 'de> {
    pub(super) from: &'r mut Reading<'de>,
    /// How many entries.
    pub(super) left: usize,
    /// From the last key on.
    pub(super) key: &'de [u8],
    /// The fields that a struct may still have.
    pub(super) fields: Fields,
}

impl<'de> Entries<'_, 'de> {
    /// The key, as EDN shows it, for an error.
    #[cold]
    fn explain(&self, error: Error) -> Error {
        let key = self.from.full_key(Reader::new(self.key));
        let shown = unpack::unpack(key.rest, &Limits::default(), Endian::Big);
        error.within(&shown.unwrap_or(Value::Nil))
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.key = self.from.reader.rest;
        self.from.key(seed, &mut self.fields).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.from.read(seed) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant with something in it: a map of one entry.
pub(super) struct Variant<'r, 'de> {
    pub(super) from: &'r mut Reading<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = self.from.key(seed, &mut [].as_slice())?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.from.read(core::marker::PhantomData::<()>)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.from.read(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        ::serde::Deserializer::deserialize_tuple(self.from, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: Fields,
        visitor: V,
    ) -> Result<V::Value, Error> {
        ::serde::Deserializer::deserialize_struct(self.from, "", fields, visitor)
    }
}

/// A value that serde has no word for, for `sente-edn`'s `Value`.
pub(super) enum Special<'r, 'de> {
    /// One that has a text.
    Text(Kind, Cow<'de, str>),
    /// A set, and the array in it.
    Set(&'r mut Reading<'de>, Reader<'de>),
    /// A tag and what is behind it.
    Tagged(Value),
}

impl<'de> EnumAccess<'de> for Special<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let kind = match &self {
            Self::Text(kind, _) => *kind,
            Self::Set(..) => Kind::Set,
            Self::Tagged(_) => Kind::Tagged,
        };
        let kind: U8Deserializer<Error> = (kind as u8).into_deserializer();
        Ok((seed.deserialize(kind)?, self))
    }
}

impl<'de> VariantAccess<'de> for Special<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Err(Error::custom("a value of EDN's own is not a unit"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let Self::Text(_, text) = self else {
            return Err(Error::custom("a collection has no text"));
        };
        let text: CowStrDeserializer<'_, Error> = text.into_deserializer();
        seed.deserialize(text)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Set(from, content) => from.set(content, visitor),
            Self::Tagged(value) => tagged(value, visitor),
            Self::Text(..) => Err(Error::custom("an atom has no items")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(Error::custom("a value of EDN's own has no fields"))
    }
}

/// A tag and what is behind it, as a sequence.
pub(super) fn tagged<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Error> {
    let Value::Tagged(tagged) = value else {
        return Err(Error::custom("a value without a tag"));
    };
    let tag = Value::from(tagged.tag().as_str().to_string());
    let pair = Value::from(alloc::vec![tag, tagged.into_value()]);
    ::serde::Deserializer::deserialize_any(Owned(pair), visitor)
}
