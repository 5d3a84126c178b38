//! How messages are cut out of a byte stream and put into one.
//!
//! A deframer takes whatever bytes the transport read and gives out whole [`Frame`]s. It is fed
//! with `handle_input` and drained with `poll_frame`, one frame a call, so that a full receive
//! queue simply stops asking; what was not asked for stays in the deframer, bounded by one
//! unfinished frame and one chunk. An idle deframer holds no buffer.

mod input;
mod length_prefixed;
mod lines;
pub mod upgrade;
pub mod websocket;

pub use length_prefixed::LengthPrefixed;
pub use lines::Lines;

use bytes::Bytes;
use thiserror::Error;

/// Whether a frame carries text or binary data, as WebSocket marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "RFC 6455 knows these two data frames"
)]
pub enum Kind {
    /// Text: UTF-8. WebSocket checks it as it arrives; elsewhere the packer does.
    Text,
    /// Any bytes.
    Binary,
}

/// One whole message cut out of a byte stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Text or binary.
    pub kind: Kind,
    /// The message, without its framing.
    pub bytes: Bytes,
}

impl Frame {
    /// A frame from its parts.
    #[must_use]
    pub const fn new(kind: Kind, bytes: Bytes) -> Self {
        Self { kind, bytes }
    }
}

/// A small frame that lies whole at the front of the waiting bytes, to be looked at where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub(crate) kind: Kind,
    /// Where the message begins, behind its framing.
    pub(crate) start: usize,
    /// How long the message is.
    pub(crate) len: usize,
    /// How long it is with its framing.
    pub(crate) total: usize,
}

/// Finds the small frames that lie whole in the waiting bytes, one behind the other.
pub(crate) trait Wholes {
    /// The frame that begins `from` bytes behind the front, if all of it is there and it is an ordinary
    /// one. Its places are counted from there. It may have been unmasked where it lies, so that it has
    /// to be stepped over or taken next.
    fn whole_at(&mut self, from: usize) -> Option<Whole>;

    /// The waiting bytes.
    fn waiting(&self) -> &[u8];

    /// Steps over so many bytes, which are whole frames.
    fn step_over(&mut self, count: usize);
}

/// Why bytes could not be cut into a frame: the peer's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first byte of a length-prefixed frame was neither 0 (text) nor 1 (binary), as when the
    /// peer speaks another framing. What follows cannot be cut: the link is lost.
    #[error(
        "expected a frame flag of 0 (text) or 1 (binary), got byte 0x{0:02x}: is the peer using another framing?"
    )]
    BadFlag(u8),
    /// The frame is over the limit. It was skipped; the frames after it are read.
    #[error("frame of {} is over the limit of {limit} bytes", Size(*.size))]
    TooLong {
        /// Its size in bytes where the framing says it beforehand.
        size: Option<u64>,
        /// The limit in force, `Limits::max_frame_bytes`.
        limit: usize,
    },
    /// The stream ended in the middle of a frame.
    #[error("the stream ended in the middle of a frame, {} before its end", Size(*.missing))]
    Truncated {
        /// How many bytes were missing, where the framing says so.
        missing: Option<u64>,
    },
}

impl FrameError {
    /// Whether the boundaries of later frames are lost, so that the link has to be closed.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::BadFlag(_) | Self::Truncated { .. })
    }
}

struct Size(Option<u64>);

impl core::fmt::Display for Size {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(size) => write!(f, "{size} bytes"),
            None => f.write_str("an unknown number of bytes"),
        }
    }
}
