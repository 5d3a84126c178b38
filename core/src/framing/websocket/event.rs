//! What a WebSocket is told (role, limits) and what it tells (messages, pings, its end).

use alloc::string::String;
use core::time::Duration;

use bytes::Bytes;

use super::Frame;
use super::error::WebSocketError;

/// Which side of the upgrade this is: clients mask what they send, servers must not
/// (RFC 6455 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "RFC 6455 knows these two endpoints"
)]
pub enum Role {
    /// The side that dialled: it masks, and waits for the server to close the TCP connection.
    Client,
    /// The side that was dialled: it closes the TCP connection.
    Server,
}

/// The limits of one WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocketConfig {
    /// The longest payload of one received frame, in bytes. Default 1 MiB.
    pub max_frame_bytes: usize,
    /// The longest received message, all its fragments together, in bytes; of a compressed one both
    /// before and after it is inflated. Default 1 MiB. How many fragments there are does not matter:
    /// they are joined as they arrive.
    pub max_message_bytes: usize,
    /// How long the closing handshake may take, from the first Close frame to the end of the TCP
    /// connection. Default 5 s.
    pub close_timeout: Duration,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: 1024 * 1024,
            max_message_bytes: 1024 * 1024,
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// What came out of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSocketEvent {
    /// The connection is over; no event follows.
    Closed(Closed),
    /// A whole message. Text is valid UTF-8.
    Message(Frame),
    /// The peer sent a ping. Its pong is on its way; this only says that the peer lives.
    Ping(Bytes),
    /// The peer sent a pong, asked for or not.
    Pong(Bytes),
}

/// How a WebSocket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the Close frame that was received, or else of the one that was sent. `None`
    /// where neither had one.
    pub code: Option<u16>,
    /// The reason that came with `code`; empty where there was none.
    pub reason: String,
    /// Who began.
    pub by: ClosedBy,
    /// Whether the peer sent a Close frame, as an orderly end has it (RFC 6455 section 7.1.4).
    pub clean: bool,
    /// What the peer did wrong, if that was the cause.
    pub error: Option<WebSocketError>,
}

/// Who began to close a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum ClosedBy {
    /// The other side: it sent a Close frame first, or its bytes ended.
    Peer,
    /// This side: `close` was called, or the peer broke the protocol.
    Us,
}

/// A piece of a message to be sent.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "complete: bytes are borrowed or shared"
)]
pub enum Part<'a> {
    /// Bytes that may change after the call; they are copied.
    Slice(&'a [u8]),
    /// Bytes that a server sends without a copy where they are large.
    Shared(&'a Bytes),
}

impl Part<'_> {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Part::Slice(bytes) => bytes,
            Part::Shared(bytes) => bytes,
        }
    }
}
