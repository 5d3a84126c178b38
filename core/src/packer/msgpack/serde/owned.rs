//! The few kinds of values that stand behind our own tags, for serde.

use alloc::vec;

use ::serde::de::value::SeqDeserializer;
use ::serde::de::{Deserializer, IntoDeserializer, Visitor};
use ::serde::forward_to_deserialize_any;
use sente_edn::Value;

use super::error::Error;

/// A string, a number, or a vector of those.
pub(super) struct Owned(pub(super) Value);

impl<'de> IntoDeserializer<'de, Error> for Owned {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Owned {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Int(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::String(text) => visitor.visit_string(text),
            Value::Vector(items) => {
                let items: vec::IntoIter<Value> = items.into_iter();
                let mut items = SeqDeserializer::new(items.map(Self));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            _ => visitor.visit_unit(),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}
