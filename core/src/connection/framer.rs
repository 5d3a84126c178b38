//! The framing of one connection, whatever its carrier: bytes in, frames out, and the reverse.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::BytesMut;

use crate::framing::websocket::{Closed, Part, WebSocket, WebSocketConfig, WebSocketEvent};
use crate::framing::{Frame, FrameError, Kind, LengthPrefixed, Lines, Whole};
use crate::profile::Carrier;
use crate::time::Instant;
use crate::transmit::TransmitBuf;

use super::config::ConnectionConfig;

#[derive(Debug)]
pub(super) enum Framer {
    LengthPrefixed(Box<LengthPrefixed>),
    Lines(Box<Lines>),
    WebSocket(Box<WebSocket>),
}

/// One thing the framing saw.
#[derive(Debug)]
pub(super) enum Framed {
    Closed(Closed),
    Error(FrameError),
    Frame(Frame),
    /// A control frame that only proves the peer's life.
    Life,
}

impl Framer {
    pub(super) fn new(config: &ConnectionConfig, seed: [u8; 32]) -> Self {
        let max = config.limits.max_frame_bytes;
        match config.carrier {
            Carrier::LengthPrefixed => Self::LengthPrefixed(Box::new(LengthPrefixed::new(max))),
            Carrier::Lines => Self::Lines(Box::new(Lines::new(max))),
            Carrier::WebSocket => {
                let websocket = WebSocketConfig {
                    max_frame_bytes: max,
                    max_message_bytes: max,
                    close_timeout: config.close_timeout,
                };
                Self::WebSocket(Box::new(WebSocket::new(
                    config.profile.role,
                    websocket,
                    seed,
                )))
            }
        }
    }

    /// Takes all bytes of `input`, and often the buffer itself, until
    /// [`give_back`](Self::give_back).
    pub(super) fn lend(&mut self, now: Instant, input: &mut BytesMut) {
        match self {
            Self::LengthPrefixed(framing) => framing.lend(input),
            Self::Lines(framing) => framing.lend(input),
            Self::WebSocket(websocket) => websocket.lend(now, input),
        }
    }

    /// Gives the driver its buffer back, empty.
    pub(super) fn give_back(&mut self, input: &mut BytesMut) {
        match self {
            Self::LengthPrefixed(framing) => framing.give_back(input),
            Self::Lines(framing) => framing.give_back(input),
            Self::WebSocket(websocket) => websocket.give_back(input),
        }
    }

    /// Whether nothing waits that [`whole_at`](Wholes::whole_at) or [`poll`](Self::poll) could give out
    /// before there is more.
    pub(super) fn is_drained(&mut self) -> bool {
        match self {
            Self::LengthPrefixed(framing) => framing.is_drained(),
            Self::Lines(framing) => framing.is_drained(),
            Self::WebSocket(websocket) => websocket.is_drained(),
        }
    }

    /// The frame that [`whole_at`](Wholes::whole_at) has found at the front.
    pub(super) fn take(&mut self, whole: Whole) -> Frame {
        match self {
            Self::LengthPrefixed(framing) => framing.take(whole),
            Self::Lines(framing) => framing.take(whole),
            Self::WebSocket(websocket) => websocket.take(whole),
        }
    }

    pub(super) fn handle_eof(&mut self, now: Instant) {
        match self {
            Self::LengthPrefixed(framing) => framing.handle_eof(),
            Self::Lines(framing) => framing.handle_eof(),
            Self::WebSocket(websocket) => websocket.handle_eof(now),
        }
    }

    /// Says what time it is. Whether the time for the closing handshake is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        match self {
            Self::WebSocket(websocket) => {
                websocket.handle_timeout(now);
                websocket.has_timed_out()
            }
            Self::LengthPrefixed(_) | Self::Lines(_) => false,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::WebSocket(websocket) => websocket.poll_timeout(),
            Self::LengthPrefixed(_) | Self::Lines(_) => None,
        }
    }

    pub(super) fn poll(&mut self) -> Option<Framed> {
        let frame = match self {
            Self::LengthPrefixed(framing) => framing.poll_frame()?,
            Self::Lines(framing) => framing.poll_frame()?,
            Self::WebSocket(websocket) => {
                return Some(match websocket.poll_event()? {
                    WebSocketEvent::Closed(closed) => Framed::Closed(closed),
                    WebSocketEvent::Message(frame) => Framed::Frame(frame),
                    WebSocketEvent::Ping(_) | WebSocketEvent::Pong(_) => Framed::Life,
                });
            }
        };
        Some(match frame {
            Ok(frame) => Framed::Frame(frame),
            Err(error) => Framed::Error(error),
        })
    }

    /// Whether `write` would write.
    pub(super) fn takes_messages(&self) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.is_open(),
            Self::LengthPrefixed(_) | Self::Lines(_) => true,
        }
    }

    /// Writes one frame. Whether it was: a WebSocket that is closing takes none.
    pub(super) fn write(&mut self, kind: Kind, parts: &[Part<'_>], out: &mut TransmitBuf) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.write_message(kind, parts, out),
            Self::Lines(_) => {
                out.put_frame(&[], parts, Lines::SUFFIX);
                true
            }
            Self::LengthPrefixed(_) => {
                let Some(header) = LengthPrefixed::header(kind, len_of(parts)) else {
                    return false;
                };
                out.put_frame(&header, parts, &[]);
                true
            }
        }
    }

    /// Whether there is nothing of the framing's own to write, and messages are taken.
    #[inline]
    pub(super) fn has_nothing_due(&self) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.has_nothing_due(),
            Self::LengthPrefixed(_) | Self::Lines(_) => true,
        }
    }

    /// Whether a line break would end a message.
    #[inline]
    pub(super) const fn is_lines(&self) -> bool {
        matches!(self, Self::Lines(_))
    }

    /// Whether it writes what a server's WebSocket writes plainly, as [`frame_alone`] makes it.
    ///
    /// [`frame_alone`]: super::seal::frame_alone
    pub(super) fn takes_server_frames(&self) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.room_before().is_some(),
            Self::LengthPrefixed(_) | Self::Lines(_) => false,
        }
    }

    /// How much room a frame needs before its message so that [`frame`](Self::frame) can be called.
    /// `None` where a frame is more than its message with something around it, or none is taken.
    #[inline]
    pub(super) fn room_before(&self) -> Option<usize> {
        match self {
            Self::Lines(_) => Some(0),
            Self::LengthPrefixed(_) => Some(LengthPrefixed::HEADER),
            Self::WebSocket(websocket) => websocket.room_before(),
        }
    }

    /// Makes a frame of the message that stands at the end of `text`, behind the room that begins at
    /// `start`. It has fewer than 64 KiB. By how much the message has moved to the front.
    #[inline]
    pub(super) fn frame(&self, kind: Kind, start: usize, text: &mut Vec<u8>) -> usize {
        match self {
            Self::Lines(_) => {
                text.extend_from_slice(Lines::SUFFIX);
                0
            }
            Self::LengthPrefixed(_) => {
                let message = start.saturating_add(LengthPrefixed::HEADER);
                let len = text.len().saturating_sub(message);
                if let (Some(header), Some(room)) = (
                    LengthPrefixed::header(kind, len),
                    text.get_mut(start..message),
                ) {
                    room.copy_from_slice(&header);
                }
                0
            }
            Self::WebSocket(_) => WebSocket::frame(kind, start, text),
        }
    }

    pub(super) fn websocket(&mut self) -> Option<&mut WebSocket> {
        match self {
            Self::WebSocket(websocket) => Some(websocket),
            Self::LengthPrefixed(_) | Self::Lines(_) => None,
        }
    }
}

/// Appends all of `parts` to `out`.
pub(super) fn join(parts: &[Part<'_>], out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Slice(bytes) => out.extend_from_slice(bytes),
            Part::Shared(bytes) => out.extend_from_slice(bytes),
        }
    }
}

pub(super) fn len_of(parts: &[Part<'_>]) -> usize {
    parts
        .iter()
        .map(|part| match part {
            Part::Slice(bytes) => bytes.len(),
            Part::Shared(bytes) => bytes.len(),
        })
        .sum()
}
