//! What could not be converted, and where it stands.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why a [`Value`](crate::Value) and an `edn_rs::Edn` could not become each other.
///
/// It names the form, and the path to it as Clojure's `get-in` takes it: `[:users 2 :name]`. A set
/// has its elements counted for that, in the order in which they come; tags take no step.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    path: Vec<String>,
}

/// What was wrong. Texts that are longer than 80 characters are cut short, with an ellipsis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// edn-rs has no form for it.
    #[error("edn-rs has no form for `{0}`")]
    NoForm(String),
    /// What edn-rs holds is a keyword, symbol, ratio, tag, date, UUID or key in name only.
    #[error("{0} that is not EDN: `{1}`")]
    NotEdn(&'static str, String),
    /// An element or key that is equal to another one; the path is that of their set or map.
    #[error("`{0}` is repeated")]
    Repeated(String),
    /// `Edn::Empty`, what edn-rs reads from an empty text.
    #[error("nothing")]
    Empty,
    /// It nests deeper than [`MAX_DEPTH`](super::MAX_DEPTH) levels.
    #[error("nests deeper than 512 levels")]
    TooDeep,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, path: Vec<String>) -> Self {
        Self(Box::new(Inner { kind, path }))
    }

    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// In which form it is wrong: the keys and indices that lead there, as a vector.
    #[must_use]
    pub fn path(&self) -> String {
        let mut out = String::from("[");
        for (index, step) in self.0.path.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            out.push_str(step);
        }
        out.push(']');
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.kind)?;
        if self.0.path.is_empty() {
            Ok(())
        } else {
            write!(f, " at {}", self.path())
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl core::error::Error for Error {}

/// As much of a text as an error shows.
pub(super) fn excerpt(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push('…');
    }
    text
}
