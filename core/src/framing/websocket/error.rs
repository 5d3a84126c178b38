//! What a peer can do wrong on a WebSocket, and which close code answers it.

use thiserror::Error;

/// The peer's mistake, and where in its stream it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{violation} (at byte {offset} of the WebSocket stream)")]
#[non_exhaustive]
pub struct WebSocketError {
    /// What was wrong.
    pub violation: Violation,
    /// Where the frame in question begins, counted in bytes from the first one after the HTTP
    /// upgrade.
    pub offset: u64,
}

/// What was wrong with a frame, as RFC 6455 sees it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A close code that must not be on the wire (section 7.4). Answered with 1002.
    #[error("close code {0} may not be sent, use 1000 to 1003, 1007 to 1014 or 3000 to 4999")]
    BadCloseCode(u16),
    /// A close reason that is not UTF-8 (section 5.5.1). Answered with 1007.
    #[error("the close reason is not UTF-8")]
    BadCloseReason,
    /// A message that is marked as compressed and is not (RFC 7692 section 7.2.2). Answered with
    /// 1007.
    #[error("the compressed message is no deflate stream")]
    BadDeflate,
    /// A Close, Ping or Pong of more than 125 bytes (section 5.5). Answered with 1002.
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// The transport ended without a Close frame (section 7.1.5, code 1006). Not answered.
    #[error("the connection ended without a close frame")]
    EndedWithoutClose,
    /// A Close, Ping or Pong in fragments (section 5.5). Answered with 1002.
    #[error("control frame is fragmented, set FIN on it")]
    FragmentedControl,
    /// A frame over the limit, seen in its header. Answered with 1009.
    #[error("frame of {length} bytes is over the limit of {limit}, send less or in fragments")]
    FrameTooLong {
        /// The declared length of its payload, in bytes.
        length: u64,
        /// [`WebSocketConfig::max_frame_bytes`](super::WebSocketConfig::max_frame_bytes).
        limit: usize,
    },
    /// A compressed message that inflates to more than the limit. Answered with 1009.
    #[error("the compressed message inflates to more than the limit of {limit} bytes")]
    InflatedTooLong {
        /// [`WebSocketConfig::max_message_bytes`](super::WebSocketConfig::max_message_bytes).
        limit: usize,
    },
    /// Text that is not UTF-8 (section 8.1). Answered with 1007.
    #[error("text is not UTF-8 from byte {at} of the message on, send other bytes as binary")]
    InvalidUtf8 {
        /// Where in the message the first impossible sequence begins, in bytes.
        at: usize,
    },
    /// A length above 2^63 (section 5.2). Answered with 1002.
    #[error("the top bit of a 64-bit length is set")]
    LengthOutOfRange,
    /// A length that would have fitted a shorter form (section 5.2). Answered with 1002.
    #[error("frame length is not in its shortest form")]
    LengthNotMinimal,
    /// A frame masked by a server (section 5.1). Answered with 1002.
    #[error("the server masked a frame")]
    Masked,
    /// A message over the limit, seen in the header of the frame that exceeds it. Answered with
    /// 1009.
    #[error("message of {length} bytes or more is over the limit of {limit}")]
    MessageTooLong {
        /// How long the message is with the frame that exceeds the limit, in bytes.
        length: u64,
        /// [`WebSocketConfig::max_message_bytes`](super::WebSocketConfig::max_message_bytes).
        limit: usize,
    },
    /// A continuation of nothing (section 5.4). Answered with 1002.
    #[error("continuation frame without a message to continue")]
    NothingToContinue,
    /// A reserved bit without an extension that would use it (section 5.2). Answered with 1002.
    #[error("reserved bits 0b{0:03b} are set without an extension")]
    ReservedBits(u8),
    /// An opcode without a meaning (section 5.2). Answered with 1002.
    #[error("opcode 0x{0:x} is reserved")]
    ReservedOpcode(u8),
    /// A Close with half a code (section 5.5.1). Answered with 1002.
    #[error("close frame of 1 byte, a code takes 2")]
    ShortClose,
    /// A text or binary frame inside another message (section 5.4). Answered with 1002.
    #[error("a new message began before the last fragment of the one before it")]
    UnfinishedMessage,
    /// A frame not masked by a client (section 5.1). Answered with 1002.
    #[error("the client did not mask a frame")]
    Unmasked,
}

impl Violation {
    /// The code of the Close frame that answers it; `None` if there is nobody left to answer.
    #[must_use]
    pub const fn close_code(&self) -> Option<u16> {
        match self {
            Self::EndedWithoutClose => None,
            Self::BadCloseReason | Self::BadDeflate | Self::InvalidUtf8 { .. } => Some(1007),
            _ if self.is_oversized() => Some(1009),
            _ => Some(1002),
        }
    }

    /// Whether a frame or a message was over a limit.
    pub(crate) const fn is_oversized(&self) -> bool {
        matches!(
            self,
            Self::FrameTooLong { .. } | Self::InflatedTooLong { .. } | Self::MessageTooLong { .. }
        )
    }
}
