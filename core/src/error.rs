//! What can go wrong, by who is to blame: `SendError`, `CallError`, `ReplyError` are the caller's,
//! `BadReason` and most of `CloseReason` the peer's.

use alloc::boxed::Box;
use alloc::string::String;

use thiserror::Error;

use crate::event::{Event, Payload};
use crate::framing::FrameError;
use crate::framing::websocket::WebSocketError;
use crate::packer::{PackError, UnpackError};
use crate::time::Instant;

/// Why an event was not queued. Each variant gives the event back.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The link's dialect cannot carry a call in this direction (Sente's server cannot call its
    /// clients over WebSocket).
    #[error("this peer cannot be called: its dialect has no way to answer")]
    CallsUnsupported(Box<Event>),
    /// The send queue is at its limit of messages or bytes.
    #[error("the send queue is full ({messages} messages, {bytes} bytes): wait for SendReady")]
    Full {
        /// The refused event.
        event: Box<Event>,
        /// Messages queued.
        messages: usize,
        /// Bytes queued.
        bytes: usize,
        /// The bytes of the queue it needs: what to ask `reserve` for.
        needed: usize,
    },
    /// The ticket holds no room: it still waits, or has ended.
    #[error("this reservation holds no room")]
    NoReservation(Box<Event>),
    /// The connection is not open (yet, or any more).
    #[error("the connection is not open")]
    NotOpen(Box<Event>),
    /// Over the rate of `ConnectionConfigBuilder::send_rate`.
    #[error("over the send rate until {retry_at:?}")]
    RateLimited {
        /// The refused event.
        event: Box<Event>,
        /// When the next event may be sent.
        retry_at: Instant,
    },
    /// The packed event is over `Limits::max_frame_bytes`, also when it is sealed, over
    /// `Limits::max_opened_bytes` with a packer that seals, or more than an empty send queue holds
    /// (`Limits::max_send_bytes`): it never fits.
    #[error("the packed event of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The refused event.
        event: Box<Event>,
        /// Its packed size in bytes; for a frame with the envelope, sealed where that decided.
        size: usize,
        /// The limit in force.
        limit: usize,
    },
    /// As many calls are pending as `Limits::max_pending_calls` allows.
    #[error("{limit} calls are waiting for their reply already")]
    TooManyCalls {
        /// The refused event.
        event: Box<Event>,
        /// The limit in force.
        limit: usize,
    },
    /// The packer cannot express the data.
    #[error("{error}")]
    Unpackable {
        /// The refused event.
        event: Box<Event>,
        /// What cannot be expressed.
        error: PackError,
    },
}

impl SendError {
    /// The event that was refused.
    #[must_use]
    pub fn into_event(self) -> Event {
        match self {
            Self::CallsUnsupported(event)
            | Self::NoReservation(event)
            | Self::NotOpen(event)
            | Self::Full { event, .. }
            | Self::RateLimited { event, .. }
            | Self::TooLarge { event, .. }
            | Self::TooManyCalls { event, .. }
            | Self::Unpackable { event, .. } => *event,
        }
    }
}

/// Why a reply was not queued. Where it makes sense the payload comes back.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The connection the call came on is closed: nobody waits any more.
    #[error("the connection is closed: nobody waits for this reply")]
    NotOpen(Box<Payload>),
    /// The packed reply is over a limit, as in [`SendError::TooLarge`]. The caller was told of an
    /// error.
    #[error("the packed reply of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The refused reply.
        payload: Box<Payload>,
        /// Its packed size with the envelope, sealed where that decided, in bytes.
        size: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The packer cannot express the reply. The caller was told of an error.
    #[error("{error}")]
    Unpackable {
        /// The refused reply.
        payload: Box<Payload>,
        /// What cannot be expressed.
        error: PackError,
    },
    /// The token belongs to a call of another connection.
    #[error("this token belongs to another connection")]
    WrongConnection(Box<Payload>),
}

/// How a call ended without a reply. A call settles exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The caller cancelled it.
    #[error("the call was cancelled")]
    Cancelled,
    /// The connection ended before the reply came (Sente's `:chsk/closed`).
    #[error("the connection closed before the reply")]
    Closed,
    /// The peer answered that it failed (Sente's `:chsk/error`).
    #[error("the peer could not answer: it reported an error")]
    Peer,
    /// No reply came in time (Sente's `:chsk/timeout`).
    #[error("no reply came in time")]
    Timeout,
}

/// What was wrong with a frame or with an event in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadReason {
    /// The framing could not cut it out.
    #[error("{0}")]
    Frame(FrameError),
    /// An event's first element is no keyword.
    #[error("an event starts with a keyword")]
    IdNotAKeyword,
    /// An event id without a namespace.
    #[error("event id :{0} has no namespace")]
    NoNamespace(String),
    /// Not the envelope this dialect wants.
    #[error("expected {expected}, got {got}")]
    NotAnEnvelope {
        /// What the dialect wants.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// Not an event where one was expected.
    #[error("expected an event vector, got {0}")]
    NotAnEvent(&'static str),
    /// A character prefix as Sente up to 1.17 wrote it.
    #[error(
        "a frame with the prefix {0:?}: the peer speaks Sente's old wire format (up to 1.17), this is the one since 1.18"
    )]
    OldPrefix(char),
    /// An id of the protocol's own namespace where only the other side or nobody may use it.
    #[error("event id :{0} is reserved: a peer may not send it")]
    Reserved(String),
    /// More elements than an event has.
    #[error("an event has an id and at most one datum")]
    TooLong,
    /// Unreadable.
    #[error("{0}")]
    Unpack(UnpackError),
    /// A map, as sente-lite's first wire format used.
    #[error("a map frame: the peer speaks sente-lite's v1 format, this is v2: [event-id data]")]
    V1Map,
}

impl BadReason {
    /// Whether it was too long, rather than wrong.
    pub(crate) fn is_oversized(&self) -> bool {
        match self {
            Self::Frame(error) => matches!(error, FrameError::TooLong { .. }),
            Self::Unpack(error) => error.is_oversized(),
            _ => false,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// There never was a link: the attempt of a client to connect failed.
    #[error("could not connect: {0}")]
    ConnectFailed(String),
    /// The byte stream ended, as byte streams do.
    #[error("the peer ended the stream")]
    Eof,
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Failed(String),
    /// No handshake came in time.
    #[error("no handshake came in time")]
    HandshakeTimeout,
    /// The boundaries of frames were lost.
    #[error("lost the frames: {0}")]
    LostFraming(FrameError),
    /// The peer closed the WebSocket.
    #[error("the peer closed the connection{}", CodeAndReason(*.code, .reason))]
    PeerClosed {
        /// The close code, if one was sent.
        code: Option<u16>,
        /// The reason, often empty.
        reason: String,
    },
    /// A ping was not answered in time.
    #[error("the peer did not answer a ping in time")]
    PingTimeout,
    /// This side closed it.
    #[error("closed by this side")]
    Requested,
    /// The packer could not make a frame of what was to leave.
    #[error("could not seal a frame: {0}")]
    Unsealed(PackError),
    /// The peer broke RFC 6455; also, the stream ended without a close frame.
    #[error("WebSocket: {0}")]
    WebSocket(WebSocketError),
}

/// ` with code 1008: go away`, as much of it as there is.
struct CodeAndReason<'a>(Option<u16>, &'a str);

impl core::fmt::Display for CodeAndReason<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some(code) = self.0 {
            write!(f, " with code {code}")?;
        }
        if !self.1.is_empty() {
            write!(f, ": {}", self.1)?;
        }
        Ok(())
    }
}

impl CloseReason {
    /// Whether it ended the ordinary way: by request, at the end of the stream, or with the close
    /// code 1000, 1001 or none.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        matches!(
            self,
            Self::Eof
                | Self::Requested
                | Self::PeerClosed {
                    code: None | Some(1000 | 1001),
                    ..
                }
        )
    }
}
