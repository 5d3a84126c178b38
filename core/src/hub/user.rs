//! Who somebody is to the server: the user id, which may be any value in Sente.

use alloc::string::ToString;
use core::fmt;
use core::ops::Deref;

use sente_edn::{Value, WriteOptions};
use smol_str::SmolStr;

/// A user, as the application established when it let the connection in.
///
/// Sente's user ids may be any value: a text is itself here, any other value is known by its EDN
/// text, with keys sorted. The text `"7"` and the number `7` are two users. It reads as its text.
///
/// ```
/// use sente_core::UserId;
/// use sente_core::edn::Value;
///
/// assert_eq!(&*UserId::from("ada"), "ada");
/// assert_ne!(UserId::from("7"), UserId::from(&Value::from(7)));
/// assert_eq!(UserId::from(&Value::Nil), UserId::NOBODY);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    kind: Kind,
    text: SmolStr,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Edn,
    Text,
}

impl UserId {
    /// `:sente/nil-uid`, which Sente's server says to clients without a user id.
    pub const NOBODY: Self = Self {
        kind: Kind::Edn,
        text: SmolStr::new_static(":sente/nil-uid"),
    };

    /// `:sente/all-users-without-uid`, Sente's other name for them when they are sent something.
    /// In a [`Target`](crate::Target) it means every connection that was given no user id.
    pub const ALL_WITHOUT_UID: Self = Self {
        kind: Kind::Edn,
        text: SmolStr::new_static(":sente/all-users-without-uid"),
    };

    /// The value, as a handshake carries it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self.kind {
            Kind::Text => Value::from(self.text.as_str()),
            // What was written here reads back.
            Kind::Edn => sente_edn::from_str(&self.text).unwrap_or_default(),
        }
    }
}

impl From<&str> for UserId {
    fn from(text: &str) -> Self {
        Self::from(SmolStr::new(text))
    }
}

impl From<alloc::string::String> for UserId {
    fn from(text: alloc::string::String) -> Self {
        Self::from(SmolStr::from(text))
    }
}

impl From<SmolStr> for UserId {
    fn from(text: SmolStr) -> Self {
        Self {
            kind: Kind::Text,
            text,
        }
    }
}

impl From<&Value> for UserId {
    /// nil is [`NOBODY`](Self::NOBODY).
    fn from(value: &Value) -> Self {
        match value {
            Value::Nil => Self::NOBODY,
            Value::String(text) => Self::from(text.as_str()),
            other => {
                let sorted = WriteOptions::new().sort_keys(true).to_string(other);
                Self {
                    kind: Kind::Edn,
                    text: SmolStr::from(sorted.unwrap_or_else(|_| other.to_string())),
                }
            }
        }
    }
}

impl Deref for UserId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Edn => f.write_str(&self.text),
            Kind::Text => fmt::Debug::fmt(self.text.as_str(), f),
        }
    }
}
