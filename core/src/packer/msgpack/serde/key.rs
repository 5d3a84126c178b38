//! A map's keys, and with them the fields of a struct.

use ::serde::de::{Deserializer, Visitor};

use super::de::Reading;
use super::error::Error;

/// The names of a struct's fields.
pub(super) type Fields = &'static [&'static str];

/// The key that comes next, when there can be no references to others.
pub(super) struct Key<'r, 'de> {
    pub(super) from: &'r mut Reading<'de>,
    /// The fields that a struct may still have, in the order in which it names them.
    pub(super) fields: &'r mut Fields,
}

impl<'de> Key<'_, 'de> {
    /// Takes the struct's field that comes next, if it stands behind the one that was taken last: mostly
    /// they come in their order. The name is known to be UTF-8 then.
    // Measured: a call took a third of what it costs.
    #[inline(always)]
    fn field(&mut self) -> Option<&'static str> {
        let (next, later) = self.fields.split_first()?;
        let (name, rest) = self.from.reader.short_name()?;
        if !is_same(next.as_bytes(), name) {
            return self.later_field(name, rest);
        }
        self.from.reader.rest = rest;
        *self.fields = later;
        Some(next)
    }

    /// The same where others have been left out.
    #[inline(never)]
    fn later_field(&mut self, name: &[u8], rest: &'de [u8]) -> Option<&'static str> {
        let is_it = |field: &&str| field.as_bytes() == name;
        let at = self.fields.iter().position(is_it)?;
        let (field, later) = self.fields.get(at..)?.split_first()?;
        self.from.reader.rest = rest;
        *self.fields = later;
        Some(field)
    }
}

/// Whether two names are equal. Most are so short that two numbers hold them, which may overlap.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (one.len(), other.len()) {
        (one, other) if one != other => false,
        (4..=8, _) => ends::<4>(one) == ends::<4>(other),
        (2..=3, _) => ends::<2>(one) == ends::<2>(other),
        _ => one == other,
    }
}

/// The first and the last bytes of a name that has as many.
#[inline]
fn ends<const N: usize>(name: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (name.first_chunk(), name.last_chunk())
}

macro_rules! as_values {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(
            self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, Error> {
            self.from.is_key = true;
            let value = self.from.$method($($argument,)* visitor);
            self.from.is_key = false;
            value
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Error;

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.field() {
            Some(field) => visitor.visit_borrowed_str(field),
            None => self.from.deserialize_identifier(visitor),
        }
    }

    as_values! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: Fields);
        deserialize_enum(name: &'static str, variants: Fields);
        deserialize_ignored_any();
    }
}
