//! Packers: how a value becomes bytes and back, and how the engine looks into packed bytes.
//!
//! The word is Sente's. A packer is a value the whole connection shares; both peers must use the
//! same one, nothing on the wire negotiates it.

mod edn;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::framing::Kind;
use crate::limits::Limits;

pub use edn::Edn;
pub use sente_edn::Shape;

/// Packs and unpacks values, and walks over packed ones without building them.
pub trait Packer: fmt::Debug + Send + Sync {
    /// The packer's name, `"edn"` for [`Edn`]. Two packers of one name read each other's bytes.
    fn name(&self) -> &str;

    /// Whether its messages travel in text or in binary frames.
    fn kind(&self) -> Kind;

    /// Appends `value`, packed, to `out`.
    ///
    /// # Errors
    /// [`PackError`] if the format cannot express the value; `out` may then hold a part of it.
    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError>;

    /// The value packed in `packed`; what follows the first value is ignored, as Sente does.
    ///
    /// # Errors
    /// [`UnpackError`] if it cannot be read or is over a limit.
    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError>;

    /// Walks over `packed` once, from its first value on.
    ///
    /// # Errors
    /// The error `visit` returned, or one of the cursor's.
    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError>;

    /// Walks over the entries of the packed map `packed` whose keys are keywords: the key without
    /// its colon, and where its value stands. The map has been read before, so an unreadable one
    /// simply has no entries.
    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span));

    /// What stands around packed items so that together they are a packed vector of `len`.
    fn sequence(&self, len: usize) -> Tokens;

    /// What stands around packed keys and values so that together they are a packed map of `len`
    /// entries.
    fn map(&self, len: usize) -> Tokens;
}

/// What [`Packer::walk`] calls with its cursor.
pub type Visit<'v> = dyn FnMut(&mut dyn Cursor) -> Result<(), UnpackError> + 'v;

/// A position in a packed value that moves over it once, from front to back.
pub trait Cursor {
    /// What comes next; `None` at the end of the current sequence or of the text.
    ///
    /// # Errors
    /// [`UnpackError`] if what comes next cannot be read.
    fn peek(&mut self) -> Result<Option<Shape>, UnpackError>;

    /// Steps into the list or vector that comes next.
    ///
    /// # Errors
    /// [`UnpackError`] if it is neither, or nested too deep.
    fn enter(&mut self) -> Result<(), UnpackError>;

    /// Steps over what is left of the current sequence and out of it.
    ///
    /// # Errors
    /// [`UnpackError`] if what is left cannot be read.
    fn leave(&mut self) -> Result<(), UnpackError>;

    /// Steps over what comes next, proving that it can be read, and says where it stands.
    ///
    /// # Errors
    /// [`UnpackError`] if it cannot be read.
    fn skip(&mut self) -> Result<Span, UnpackError>;

    /// Reads the keyword that comes next, without its colon.
    ///
    /// # Errors
    /// [`UnpackError`] if it cannot be read or is no keyword.
    fn keyword(&mut self) -> Result<SmolStr, UnpackError> {
        Ok(self.keyword_span()?.0)
    }

    /// The same, and where the keyword stands.
    ///
    /// # Errors
    /// [`UnpackError`] if it cannot be read or is no keyword.
    fn keyword_span(&mut self) -> Result<(SmolStr, Span), UnpackError>;
}

/// Where a value stands in the packed bytes it was found in, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
    /// What it is.
    pub shape: Shape,
    /// Whether it is free of raw line breaks, so that it may stand in a line.
    pub line_safe: bool,
    /// Whether every Clojure and ClojureScript reader takes it (no unknown tag).
    pub portable: bool,
    /// Whether it is anything but nil and false, as Clojure means it.
    pub truthy: bool,
}

impl Span {
    /// A span from its parts, with all flags set.
    #[must_use]
    pub const fn new(start: usize, end: usize, shape: Shape) -> Self {
        Self {
            start,
            end,
            shape,
            line_safe: true,
            portable: true,
            truthy: true,
        }
    }
}

/// The bytes around and between packed items that make them one packed collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    open: [u8; 5],
    open_len: u8,
    separator: &'static [u8],
    key_separator: &'static [u8],
    close: &'static [u8],
}

impl Tokens {
    /// Tokens with an opening of at most 5 bytes (longer is cut), a separator between items or
    /// entries, a separator between a key and its value, and a closing.
    #[must_use]
    pub fn new(
        open: &[u8],
        separator: &'static [u8],
        key_separator: &'static [u8],
        close: &'static [u8],
    ) -> Self {
        let mut bytes = [0; 5];
        let mut open_len = 0;
        for (slot, byte) in bytes.iter_mut().zip(open) {
            *slot = *byte;
            open_len += 1;
        }
        Self {
            open: bytes,
            open_len,
            separator,
            key_separator,
            close,
        }
    }

    /// What stands before the first item.
    #[must_use]
    pub fn open(&self) -> &[u8] {
        self.open
            .get(..usize::from(self.open_len))
            .unwrap_or_default()
    }

    /// What stands between two items, or between two entries.
    #[must_use]
    pub const fn separator(&self) -> &'static [u8] {
        self.separator
    }

    /// What stands between a key and its value.
    #[must_use]
    pub const fn key_separator(&self) -> &'static [u8] {
        self.key_separator
    }

    /// What stands behind the last item.
    #[must_use]
    pub const fn close(&self) -> &'static [u8] {
        self.close
    }
}

/// Why a value could not be packed: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{packer} cannot carry this value: {message}")]
#[non_exhaustive]
pub struct PackError {
    /// The packer's name.
    pub packer: SmolStr,
    /// What it cannot express.
    pub message: String,
}

impl PackError {
    /// An error of the packer called `packer`.
    #[must_use]
    pub fn new(packer: &str, message: impl Into<String>) -> Self {
        Self {
            packer: SmolStr::new(packer),
            message: message.into(),
        }
    }
}

/// Why packed bytes could not be read: the peer's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// Not EDN, or over a limit; the error says where.
    #[error("{0}")]
    Edn(#[from] sente_edn::Error),
    /// A text frame for a binary packer or the reverse.
    #[error("expected a {expected:?} frame, got {got:?}: is the peer using another packer?")]
    WrongKind {
        /// What the packer reads.
        expected: Kind,
        /// What came.
        got: Kind,
    },
    /// Any other reason a custom packer gives.
    #[error("{message} at byte {offset}")]
    Other {
        /// Where, in bytes from the start of the message.
        offset: usize,
        /// What was wrong and what was expected.
        message: String,
    },
}
