//! What went wrong between MessagePack and a Rust type, and where.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::packer::msgpack::token::Fault;

/// Why a Rust value could not be made of MessagePack, or MessagePack of a Rust value.
///
/// It says what was wrong, at which byte where that is known, and in which value as the path that
/// Clojure's `get-in` takes: `[:users 2 :name]`.
///
/// ```
/// use sente_core::packer::msgpack::{from_slice, to_vec};
/// use std::collections::BTreeMap;
///
/// let packed = to_vec(&BTreeMap::from([("ids", [1, 300])]))?;
/// let error = from_slice::<BTreeMap<String, Vec<u8>>>(&packed).unwrap_err();
/// assert_eq!((error.offset(), error.path().as_str()), (Some(7), "[\"ids\" 1]"));
/// # Ok::<(), sente_core::packer::msgpack::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    message: String,
    offset: Option<usize>,
    /// From the inside out.
    path: Vec<String>,
}

impl Error {
    #[cold]
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            message: message.into(),
            offset: None,
            path: Vec::new(),
        }))
    }

    /// At which byte the value starts that is wrong, counted from the beginning of what was read;
    /// `None` if nothing was read.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// In which value it is wrong: the keys and indices that lead there, as a vector.
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

    /// Notes where it is wrong, unless a value further inside has.
    #[cold]
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.0.offset = self.0.offset.or(Some(offset));
        self
    }

    /// Notes that it is wrong below this key or index.
    #[cold]
    pub(super) fn within(mut self, step: &dyn fmt::Display) -> Self {
        self.0.path.push(step.to_string());
        self
    }
}

impl From<Fault> for Error {
    #[cold]
    fn from(fault: Fault) -> Self {
        Self::new(fault.message()).at(fault.at())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
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
