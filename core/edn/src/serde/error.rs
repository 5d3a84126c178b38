//! What went wrong between EDN and a Rust type, and where.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Why a Rust value could not be made of EDN, or EDN of a Rust value.
///
/// It says what was wrong, at which byte of the text where that is known, and in which form as the
/// path that Clojure's `get-in` takes: `[:users 2 :name]`.
///
/// ```
/// let wrong = "{:users [{:id 1} {:id nil}]}";
/// # use std::collections::BTreeMap;
/// type Users = BTreeMap<String, Vec<BTreeMap<String, u8>>>;
/// let error = sente_edn::serde::from_str::<Users>(wrong).unwrap_err();
/// assert_eq!((error.offset(), error.path().as_str()), (Some(22), "[:users 1 :id]"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    message: Message,
    offset: Option<usize>,
    /// From the inside out.
    path: Vec<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Message {
    Read(crate::Error),
    Other(String),
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            message: Message::Other(message.into()),
            offset: None,
            path: Vec::new(),
        }))
    }

    /// At which byte of the text the form starts that is wrong; `None` if there is no text.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// In which form it is wrong: the keys and indices that lead there, as a vector.
    #[must_use]
    pub fn path(&self) -> String {
        let mut out = String::from("[");
        for (index, step) in self.0.path.iter().rev().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            out.push_str(step);
        }
        out.push(']');
        out
    }

    /// What the reader found, if the text is not EDN or beyond the limits.
    #[must_use]
    pub fn read_error(&self) -> Option<&crate::Error> {
        match &self.0.message {
            Message::Read(error) => Some(error),
            Message::Other(_) => None,
        }
    }

    /// Notes where it is wrong, unless a form further inside has.
    pub(crate) fn at(mut self, offset: Option<usize>) -> Self {
        self.0.offset = self.0.offset.or(offset);
        self
    }

    /// Notes that it is wrong below this key or index.
    pub(crate) fn within(mut self, step: &dyn fmt::Display) -> Self {
        self.0.path.push(step.to_string());
        self
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        let offset = Some(error.offset());
        Self(Box::new(Inner {
            message: Message::Read(error),
            offset,
            path: Vec::new(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.message {
            Message::Read(error) => write!(f, "{}", error.kind())?,
            Message::Other(text) => f.write_str(text)?,
        }
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset}")?;
        }
        if !self.0.path.is_empty() {
            write!(f, " in {}", self.path())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl core::error::Error for Error {}

impl ::serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl ::serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}
