//! The parts of collections, variants and tags, as serde asks for them.

use alloc::borrow::Cow;

use ::serde::de::value::{CowStrDeserializer, U8Deserializer};
use ::serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::de::Deserializer;
use super::error::Error;
use super::names::Kind;
use super::source::Spot;

/// What is left of a collection.
pub(super) struct Sequence<'d, 'de> {
    pub(super) from: &'d mut Deserializer<'de>,
    pub(super) index: usize,
    /// How many forms there were at first, if that is known.
    pub(super) count: Option<usize>,
    pub(super) ended: bool,
}

impl<'de> Sequence<'_, 'de> {
    #[cold]
    fn explain(&self, error: Error, key: Spot<'de>) -> Error {
        error.within(&self.from.source.show(key))
    }

    #[inline]
    fn more(&mut self) -> bool {
        self.ended = self.ended || !self.from.source.more();
        !self.ended
    }
}

impl<'de> SeqAccess<'de> for &mut Sequence<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if !self.more() {
            return Ok(None);
        }
        let index = self.index;
        self.index = index.saturating_add(1);
        match self.from.read(seed, false) {
            Ok(item) => Ok(Some(item)),
            Err(error) => Err(error.within(&index)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.count.map(|count| count.saturating_sub(self.index))
    }
}

/// What is left of a map.
pub(super) struct Entries<'m, 'd, 'de> {
    pub(super) inner: &'m mut Sequence<'d, 'de>,
    pub(super) key: Option<Spot<'de>>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_, 'de> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if !self.inner.more() {
            return Ok(None);
        }
        self.key = Some(self.inner.from.source.spot());
        match self.inner.from.read(seed, true) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        self.inner.from.source.go_back();
        match (self.inner.from.read(seed, false), self.key) {
            (Err(error), Some(key)) => Err(self.inner.explain(error, key)),
            (value, _) => value,
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.count.map(|count| count / 2)
    }
}

/// A variant with something in it: `{:variant …}`.
pub(super) struct Variant<'d, 'de> {
    pub(super) from: &'d mut Deserializer<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = self.from.read(seed, true)?;
        self.from.source.more();
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.from.read(core::marker::PhantomData::<()>, false)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.from.read(seed, false)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        ::serde::Deserializer::deserialize_tuple(self.from, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        ::serde::Deserializer::deserialize_map(self.from, visitor)
    }
}

/// A tag and the form behind it.
pub(super) struct Tag<'d, 'de> {
    pub(super) from: &'d mut Deserializer<'de>,
    pub(super) tag: Option<Cow<'de, str>>,
    pub(super) done: bool,
}

impl<'de> SeqAccess<'de> for &mut Tag<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if let Some(tag) = self.tag.take() {
            let tag: CowStrDeserializer<'_, Error> = tag.into_deserializer();
            return seed.deserialize(tag).map(Some);
        }
        if self.done {
            return Ok(None);
        }
        self.done = true;
        self.from.read(seed, false).map(Some)
    }
}

/// A form that serde has no word for, for [`Value`].
pub(super) struct Special<'d, 'de> {
    pub(super) from: &'d mut Deserializer<'de>,
    pub(super) kind: Kind,
    pub(super) text: Cow<'de, str>,
}

impl<'de> EnumAccess<'de> for Special<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let kind: U8Deserializer<Error> = (self.kind as u8).into_deserializer();
        Ok((seed.deserialize(kind)?, self))
    }
}

impl<'de> VariantAccess<'de> for Special<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Err(Error::custom("a form of EDN's own is not a unit"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let text: CowStrDeserializer<'_, Error> = self.text.into_deserializer();
        seed.deserialize(text)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        match self.kind {
            Kind::Tagged => self.from.tagged(self.text, visitor),
            _ => self.from.items(visitor),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(Error::custom("a form of EDN's own has no fields"))
    }
}
