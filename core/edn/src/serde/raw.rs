//! Forms that are kept as text.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use ::serde::de::Visitor;
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::value::Value;

/// One form that is kept as the text it was, and written as that text.
///
/// Only a text that has line breaks is written anew, as every text this crate writes is one line.
/// In another format than EDN it is a string that holds the form. What it is read
/// from must be a form by itself, with the default [`Limits`] and so in Clojure's own dialect.
///
/// ```
/// use sente_edn::serde::{RawEdn, from_str, to_string};
///
/// let (id, payload): (u8, RawEdn) = from_str("[7 {:a   0x10}]").unwrap();
/// assert_eq!(payload.as_str(), "{:a   0x10}");
/// assert_eq!(to_string(&(id, payload)).unwrap(), "[7 {:a   0x10}]");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawEdn(Box<str>);

impl RawEdn {
    /// Takes a text that is one form.
    ///
    /// # Errors
    ///
    /// If the text is anything else, or beyond the default [`Limits`].
    pub fn new(text: &str) -> Result<Self, Error> {
        one_form(text).map(|form| Self(form.into()))
    }

    /// The text, without blanks or comments around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the text.
    ///
    /// # Errors
    ///
    /// If it is beyond the default [`Limits`].
    pub fn to_value(&self) -> Result<Value, Error> {
        crate::from_str(&self.0)
    }
}

/// A [`RawEdn`] that borrows the text it was read from.
///
/// A struct that has one needs `#[serde(borrow)]` on the field, and can only be read from a text, in
/// which it must not be a key that its map gives a namespace.
///
/// ```
/// use sente_edn::serde::{RawEdnRef, from_str};
///
/// let text = String::from("[7 {:a   0x10}]");
/// let (_, payload): (u8, RawEdnRef<'_>) = from_str(&text).unwrap();
/// assert_eq!(payload.as_str(), &text[3..14]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawEdnRef<'a>(&'a str);

impl<'a> RawEdnRef<'a> {
    /// The text, without blanks or comments around it.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The one form of a text, without what is around it.
fn one_form(text: &str) -> Result<&str, Error> {
    let mut cursor = Cursor::new(text.as_bytes(), &Limits::default());
    let form = cursor.skip()?;
    if cursor.peek()?.is_some() {
        return Err(Error::new(ErrorKind::TrailingForm, cursor.offset()));
    }
    Ok(text.get(form.start()..form.end()).unwrap_or_default())
}

macro_rules! raw {
    ($($type:ty)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_struct(names::RAW, self.as_str())
            }
        }
    )*};
}

raw! { RawEdn RawEdnRef<'_> }

struct Owned;

impl<'de> Visitor<'de> for Owned {
    type Value = RawEdn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of an EDN form")
    }

    fn visit_str<E: ::serde::de::Error>(self, text: &str) -> Result<RawEdn, E> {
        // Anyone can hand a text to this, so it is checked that it is a form.
        RawEdn::new(text).map_err(E::custom)
    }

    fn visit_string<E: ::serde::de::Error>(self, text: String) -> Result<RawEdn, E> {
        self.visit_str(&text)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<RawEdn, D::Error> {
        inner.deserialize_str(self)
    }
}

struct Borrowed;

impl<'de> Visitor<'de> for Borrowed {
    type Value = RawEdnRef<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of an EDN form, borrowed")
    }

    fn visit_borrowed_str<E: ::serde::de::Error>(
        self,
        text: &'de str,
    ) -> Result<RawEdnRef<'de>, E> {
        one_form(text).map(RawEdnRef).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for RawEdn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::RAW, Owned)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEdnRef<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::RAW, Borrowed)
    }
}
