//! UUIDs of the crate `uuid`.

use super::{ConversionError, owned};
use crate::uuid::Uuid;
use crate::value::Value;

impl From<::uuid::Uuid> for Uuid {
    /// The same 128 bits.
    ///
    /// ```
    /// let id = uuid::uuid!("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    /// let here = sente_edn::Uuid::from(id);
    /// assert_eq!(here.to_string(), id.to_string());
    /// assert_eq!(uuid::Uuid::from(here), id);
    /// ```
    fn from(there: ::uuid::Uuid) -> Self {
        Self::from_u128(there.as_u128())
    }
}

impl From<Uuid> for ::uuid::Uuid {
    /// The same 128 bits.
    fn from(here: Uuid) -> Self {
        Self::from_u128(here.as_u128())
    }
}

impl From<::uuid::Uuid> for Value {
    /// `#uuid "…"`
    fn from(there: ::uuid::Uuid) -> Self {
        Self::Uuid(there.into())
    }
}

impl TryFrom<&Value> for ::uuid::Uuid {
    type Error = ConversionError;

    /// Takes a [`Value::Uuid`]; a string is none.
    fn try_from(value: &Value) -> Result<Self, ConversionError> {
        match value {
            Value::Uuid(here) => Ok((*here).into()),
            other => Err(ConversionError::form("a UUID", other)),
        }
    }
}

owned! {
    Value => ::uuid::Uuid;
}
