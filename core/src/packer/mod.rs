//! Packers: how a value becomes bytes and back, and how the engine looks into packed bytes.
//!
//! The word is Sente's. A packer is a value the whole connection shares; both peers must use the
//! same one, nothing on the wire negotiates it.

mod edn;
mod format;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
pub mod msgpack;
mod named;
mod shared;
#[cfg(any(feature = "json", feature = "transit"))]
#[cfg_attr(
    not(all(feature = "json", feature = "transit")),
    allow(dead_code, unused_imports, reason = "each packer uses a part of it")
)]
mod text;
#[cfg(feature = "transit")]
mod transit;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::framing::Kind;
use crate::limits::Limits;

pub use edn::Edn;
pub(crate) use edn::edn_limits;
pub(crate) use format::{Format, Known};
#[cfg(feature = "gzip")]
pub use gzip::Gzip;
#[cfg(feature = "json")]
pub use json::Json;
#[cfg(feature = "msgpack")]
pub use msgpack::MsgPack;
pub use named::{NAMES, named};
pub use sente_edn::Shape;
#[cfg(feature = "transit")]
pub use transit::{TransitHandlers, TransitJson, TransitJsonVerbose};

/// Packs and unpacks values, and walks over packed ones without building them.
///
/// Two kinds of bytes are told apart:
///
/// - **packed values** are self-contained: each may be cut out of its message, kept, relayed and
///   spliced into another. [`pack`](Self::pack), [`unpack`](Self::unpack), [`walk`](Self::walk) and
///   [`entries`](Self::entries) are about those, [`sequence`](Self::sequence) and
///   [`map`](Self::map) put them together.
/// - a **frame** is what travels: a whole packed message, perhaps compressed, encrypted, or
///   shortened by references to keys it has named before. [`open`](Self::open) makes a packed
///   message of a frame, [`seal`](Self::seal) the reverse. For most packers both are the same.
pub trait Packer: fmt::Debug + Send + Sync {
    /// The packer's name, `"edn"` for [`Edn`]. Two packers of one name read each other's frames.
    fn name(&self) -> &str;

    /// The name of the format of its packed values: two packers of one format share them. A
    /// packer that only changes how a message travels gives the format of the packer inside.
    fn format(&self) -> &str {
        self.name()
    }

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

    /// Whether every stock reader takes the packed value, which is at most
    /// [`Limits::max_opened_bytes`] long; one that does not loses all that is in the frame with it,
    /// such as a batch. Asked of what this side packed itself, or has read.
    ///
    /// Walks over it and says what its [`Span`] says; a packer that can tell sooner does so.
    fn is_portable(&self, packed: &[u8]) -> bool {
        let mut portable = false;
        let walked = self.walk(packed, &Limits::default(), &mut |cursor| {
            portable = cursor.skip()?.portable;
            Ok(())
        });
        walked.is_ok() && portable
    }

    /// Whether it is [`Edn`] itself. For the engine, and for nobody to say of another.
    #[doc(hidden)]
    fn is_edn(&self) -> bool {
        false
    }

    /// The packed message that travels in `frame`: with what compresses, encrypts or shortens it
    /// undone. It is at most `Limits::max_opened_bytes` long.
    ///
    /// # Errors
    /// [`UnpackError`] if that cannot be undone, or would be too long.
    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        let _ = limits;
        Ok(frame.clone())
    }

    /// Whether [`seal`](Self::seal) does anything but copy.
    fn seals(&self) -> bool {
        false
    }

    /// Appends the frame in which the packed `message` travels.
    ///
    /// # Errors
    /// [`PackError`] if it cannot be made; `out` may then hold a part of it.
    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        out.extend_from_slice(message);
        Ok(())
    }

    /// The most bytes by which a frame may be longer than the message in it.
    fn seal_overhead(&self) -> usize {
        0
    }

    /// Appends the frame of `value` as a whole message. A packer that can shorten a message by
    /// looking at the whole of it does so here.
    ///
    /// # Errors
    /// As [`pack`](Self::pack) and [`seal`](Self::seal).
    fn pack_message(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        if !self.seals() {
            return self.pack(value, out);
        }
        let mut packed = Vec::new();
        self.pack(value, &mut packed)?;
        self.seal(&packed, out)
    }

    /// The value of the message that travels in `frame`.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`unpack`](Self::unpack).
    fn unpack_message(&self, frame: &Bytes, limits: &Limits) -> Result<Value, UnpackError> {
        self.unpack(&self.open(frame, limits)?, limits)
    }

    /// What stands around packed items so that together they are a packed vector of `len`.
    fn sequence(&self, len: usize) -> Tokens;

    /// What stands around packed keys and values so that together they are a packed map of `len`
    /// entries.
    fn map(&self, len: usize) -> Tokens;
}

/// What tells a packer from others, also from those of its name: they may seal with other keys.
pub(crate) fn identity(packer: &Arc<dyn Packer>) -> usize {
    // Without the vtable, of which one type may have several.
    Arc::as_ptr(packer).addr()
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
    /// Whether it is known to be free of raw line breaks, so that it may stand in a line.
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
    open: [u8; Self::MAX_OPEN],
    open_len: u8,
    separator: &'static [u8],
    key_separator: &'static [u8],
    close: &'static [u8],
}

impl Tokens {
    /// The most bytes an opening has.
    pub const MAX_OPEN: usize = 8;

    /// Tokens with an opening of at most [`MAX_OPEN`](Self::MAX_OPEN) bytes (longer is cut), a
    /// separator between items or entries, a separator between a key and its value, and a closing.
    #[must_use]
    pub fn new(
        open: &[u8],
        separator: &'static [u8],
        key_separator: &'static [u8],
        close: &'static [u8],
    ) -> Self {
        let mut bytes = [0; Self::MAX_OPEN];
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

impl UnpackError {
    /// Whether the message is too long, rather than wrong or too deep.
    pub(crate) fn is_oversized(&self) -> bool {
        matches!(self, Self::OverLimit { what, .. } if what.starts_with("bytes") || what.starts_with("times its size"))
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
    /// Over a limit.
    #[error("over the limit of {limit} {what} at byte {offset}")]
    OverLimit {
        /// Where, in bytes from the start of the message.
        offset: usize,
        /// Of what there is too much: `"bytes"`, `"levels of nesting"`, `"elements"`.
        what: &'static str,
        /// The limit in force.
        limit: usize,
    },
    /// Any other reason a packer gives.
    #[error("{message} at byte {offset}")]
    Other {
        /// Where, in bytes from the start of the message.
        offset: usize,
        /// What was wrong and what was expected.
        message: String,
    },
}
