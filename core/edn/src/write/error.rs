//! Why a value was not written for a peer, and where the reason stands.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::deep::is_atom;
use crate::value::Value;

use super::atom::atom;

/// Why a value was not written. When the reason is in the value, nothing was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteError {
    kind: WriteErrorKind,
    path: String,
}

impl WriteError {
    pub(crate) fn new(kind: WriteErrorKind, open: &[Place<'_>]) -> Self {
        Self {
            kind,
            path: path(open),
        }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> WriteErrorKind {
        self.kind
    }

    /// The way from the whole value to where the fault stands, as a vector of keys and of places
    /// counted from zero: `[:user :scores 3]`.
    ///
    /// For a fault in a key, or in an element of a set, that is its last step. A key that is long
    /// or made of others, and everything below sixteen levels, is shown as `…`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            WriteErrorKind::Char => "a character is nothing the peer has",
            WriteErrorKind::DuplicateKey => "two keys or elements are equal to the peer",
            WriteErrorKind::Number => "a number is none the peer can hold",
            WriteErrorKind::Output => "the output took no more",
            WriteErrorKind::Ratio => "a ratio is nothing the peer has",
        })?;
        if self.kind == WriteErrorKind::Output {
            return Ok(());
        }
        write!(f, ", at {}", self.path)
    }
}

impl core::error::Error for WriteError {}

/// What was wrong with a value that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteErrorKind {
    /// A character, and the options refuse those.
    Char,
    /// Two keys of a map, or two elements of a set, that the peer cannot tell apart. It would
    /// refuse the whole text.
    DuplicateKey,
    /// A number that the peer would read as another, and the options refuse those; or one that is
    /// too large to be substituted.
    Number,
    /// What was written to took no more: a `fmt::Write` failed.
    Output,
    /// A ratio, and the options refuse those; or one that is too large to be substituted.
    Ratio,
}

/// A collection, and how many of its items have been begun.
pub(crate) struct Place<'v> {
    pub(crate) parent: &'v Value,
    pub(crate) begun: usize,
}

fn path(open: &[Place<'_>]) -> String {
    const MOST: usize = 16;
    let mut out: Vec<u8> = Vec::new();
    let mut between = "[";
    for place in open.iter().take(MOST) {
        let index = place.begun.saturating_sub(1);
        if matches!(place.parent, Value::Tagged(_)) {
            continue;
        }
        out.extend_from_slice(between.as_bytes());
        between = " ";
        match place.parent {
            Value::Map(map) => step(map.table().items().get(index & !1), &mut out),
            Value::Set(set) => step(set.table().items().get(index), &mut out),
            _ => step(i64::try_from(index).ok().map(Value::Int).as_ref(), &mut out),
        }
    }
    if between == "[" {
        out.push(b'[');
    } else if open.len() > MOST {
        out.extend_from_slice(" …".as_bytes());
    }
    out.push(b']');
    // Nothing but text was put into it.
    String::from_utf8(out).unwrap_or_default()
}

fn step(key: Option<&Value>, out: &mut Vec<u8>) {
    const LONGEST: usize = 64;
    let start = out.len();
    if let Some(key) = key.filter(|key| is_atom(key)) {
        let Ok(()) = atom(key, out);
    }
    if !(1..=LONGEST).contains(&out.len().saturating_sub(start)) {
        out.truncate(start);
        out.extend_from_slice("…".as_bytes());
    }
}
