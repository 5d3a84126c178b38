//! What a WebSocket does after the upgrade: messages, pings and the closing handshake
//! (RFC 6455), in either role, without I/O.
//!
//! [`WebSocket`] is fed with what the transport read and drained event by event. What it has to
//! say on its own (pongs, the Close frame) comes from [`WebSocket::poll_transmit`]; messages are
//! written straight into the driver's [`TransmitBuf`].
//!
//! # Closing
//! The side that begins sends a Close frame and goes on reading until the other's arrives. Then
//! the server closes the TCP connection and the client waits for that; a timer
//! ([`WebSocketConfig::close_timeout`]) cuts the wait short, since some servers (http-kit) never
//! close. After a breach of the protocol nothing more is read, not even an answer: the Close frame
//! with the code goes out and the TCP connection is closed by either role, as RFC 6455 section
//! 7.1.7 has it.

mod close;
mod decode;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
mod error;
mod event;
mod header;
mod mask;
mod utf8;

#[cfg(feature = "deflate")]
pub use deflate::{Deflate, DeflateConfig};
pub use error::{Violation, WebSocketError};
pub use event::{Closed, ClosedBy, Part, Role, WebSocketConfig, WebSocketEvent};
pub use header::{Header, server_header};

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Frame, Kind, Whole, Wholes};
use crate::{Instant, TransmitBuf};
use close::CloseFrame;
use decode::{Decoder, Item};
use deflate::Deflater;
use header::{MAX_CONTROL, Opcode};

/// One WebSocket after the upgrade.
#[derive(Debug)]
pub struct WebSocket {
    decoder: Decoder,
    role: Role,
    close_timeout: Duration,
    /// Where masking keys come from; only clients have one.
    masks: Option<Box<ChaCha12Rng>>,
    /// There where messages may be compressed.
    deflater: Option<Box<Deflater>>,
    /// The newest ping that was not answered yet.
    ping: Option<Box<Bytes>>,
    /// The Close frame that is to be sent.
    close_due: Option<Box<CloseFrame>>,
    /// The Close frame that `close` began with, sent or not.
    ours: Option<Box<CloseFrame>>,
    /// Whether the peer's Close frame was read.
    answered: bool,
    /// Whether the peer broke the protocol.
    failed: bool,
    /// Whether the peer's bytes ended.
    eof: bool,
    /// Whether the closing handshake took too long.
    timed_out: bool,
    /// Whether `Closed` was given out.
    finished: bool,
    deadline: Option<Instant>,
    /// The time of the last call that told it.
    now: Instant,
}

impl WebSocket {
    /// A WebSocket right after its upgrade. `seed` is where a client's masking keys come from, so
    /// it must be unpredictable and fresh for every connection (RFC 6455 section 10.3); a server
    /// does not use it.
    #[must_use]
    pub fn new(role: Role, config: WebSocketConfig, seed: [u8; 32]) -> Self {
        Self {
            decoder: Decoder::new(role, &config),
            role,
            close_timeout: config.close_timeout,
            masks: (role == Role::Client).then(|| Box::new(ChaCha12Rng::from_seed(seed))),
            deflater: None,
            ping: None,
            close_due: None,
            ours: None,
            answered: false,
            failed: false,
            eof: false,
            timed_out: false,
            finished: false,
            deadline: None,
            now: Instant::EPOCH,
        }
    }

    /// Compresses messages as both sides agreed in the upgrade (RFC 7692). To be called before
    /// anything is read or written.
    #[cfg(feature = "deflate")]
    pub fn set_deflate(&mut self, agreed: Deflate) {
        self.decoder
            .inflate_with(deflate::Inflater::new(agreed.clone()));
        self.deflater = Some(Box::new(Deflater::new(agreed)));
    }

    /// Takes all bytes out of `input`. They are decoded by [`poll_event`](Self::poll_event), in
    /// place: they may be unmasked where they are, and large messages are slices of them. What
    /// comes after the end is dropped.
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) {
        self.now = now;
        if self.finished {
            input.clear();
        } else {
            self.decoder.push(input);
        }
    }

    /// The same, in place wherever that can be: until [`give_back`](Self::give_back) the buffer
    /// itself is here.
    pub(crate) fn lend(&mut self, now: Instant, input: &mut BytesMut) {
        self.now = now;
        if self.finished {
            input.clear();
        } else {
            self.decoder.lend(input);
        }
    }

    pub(crate) fn give_back(&mut self, input: &mut BytesMut) {
        self.decoder.give_back(input);
    }

    pub(crate) fn is_drained(&mut self) -> bool {
        !self.eof && !self.timed_out && self.decoder.is_drained()
    }

    pub(crate) fn take(&mut self, whole: Whole) -> Frame {
        self.decoder.take_whole(whole)
    }

    /// Says that no more bytes will come.
    pub fn handle_eof(&mut self, now: Instant) {
        self.now = now;
        self.eof = true;
    }

    /// Says what time it is. Does nothing before [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.timed_out = true;
        }
    }

    /// Whether the closing handshake took too long.
    pub(crate) const fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    /// The next event; `None` means that more bytes (or time) are needed. Each call decodes no
    /// more than one event. Messages that were sent before the peer saw our Close frame are still
    /// given out; [`WebSocketEvent::Closed`] is the last event, and comes exactly once.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<WebSocketEvent> {
        if self.finished {
            return None;
        }
        let closed = match self.decoder.poll() {
            Some(Ok(Item::Message(frame))) => return Some(WebSocketEvent::Message(frame)),
            Some(Ok(Item::Pong(payload))) => return Some(WebSocketEvent::Pong(payload)),
            Some(Ok(Item::Ping(payload))) => {
                if self.is_open() {
                    self.ping = Some(Box::new(payload.clone()));
                }
                return Some(WebSocketEvent::Ping(payload));
            }
            Some(Ok(Item::Close(frame))) => self.finish_answered(frame),
            Some(Err(error)) => self.finish_failed(error),
            None if self.eof || self.timed_out => self.finish_ended(),
            None => return None,
        };
        self.finished = true;
        self.ping = None;
        self.decoder.clear();
        let deadline = self.now + self.close_timeout;
        self.deadline.get_or_insert(deadline);
        Some(WebSocketEvent::Closed(closed))
    }

    /// Writes the control frames that are due: a pong for the newest unanswered ping (RFC 6455
    /// section 5.5.3 lets it stand for the earlier ones), or the Close frame. Whether anything was
    /// written.
    pub fn poll_transmit(&mut self, out: &mut TransmitBuf) -> bool {
        let ping = self.ping.take();
        let close = self.close_due.take();
        if let Some(payload) = &ping {
            self.write_frame(Opcode::Pong, &[Part::Slice(payload)], out);
        }
        if let Some(frame) = &close {
            self.write_frame(Opcode::Close, &[Part::Slice(&frame.payload())], out);
        }
        ping.is_some() || close.is_some()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) would write nothing, and messages may be written.
    #[inline]
    pub(crate) fn has_nothing_due(&self) -> bool {
        self.ping.is_none() && self.close_due.is_none() && self.is_open()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called: the end of the closing
    /// handshake's time. `None` while the WebSocket is open and once it
    /// [wants the shutdown](Self::wants_shutdown).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.wants_shutdown())
    }

    /// Writes one message, the `parts` joined, as one frame. The caller vouches that text is
    /// UTF-8. A server shares large [`Part::Shared`] pieces with `out`, unless it compresses them; a
    /// client copies, since it has to mask. Whether it was written: nothing is, unless the WebSocket
    /// [is open](Self::is_open).
    pub fn write_message(&mut self, kind: Kind, parts: &[Part<'_>], out: &mut TransmitBuf) -> bool {
        let open = self.is_open();
        if open {
            let payload = self.deflater.as_mut().and_then(|deflater| {
                let length = length_of(parts);
                let limit = self.decoder.max_frame_bytes();
                let payload = deflater.compress(parts, length, limit);
                payload.map(Bytes::from)
            });
            match payload {
                Some(payload) => {
                    let header =
                        |mask, length| Header::new(Opcode::of(kind), mask, length).compressed();
                    self.write_payload(header, &[Part::Shared(&payload)], out);
                }
                None => self.write_frame(Opcode::of(kind), parts, out),
            }
        }
        open
    }

    /// How much room [`frame`](Self::frame) wants before a message; `None` where messages are masked
    /// or compressed, or none may be written.
    #[inline]
    pub(crate) fn room_before(&self) -> Option<usize> {
        let writes_plainly = self.masks.is_none() && self.deflater.is_none() && self.is_open();
        writes_plainly.then_some(Header::LONGER)
    }

    /// Makes a server's frame of the message of less than 64 KiB that stands at the end of `text`,
    /// behind the room that begins at `start`: its header is put there, and the message moved to the
    /// front where that is shorter. By how much it was.
    #[inline]
    pub(crate) fn frame(kind: Kind, start: usize, text: &mut Vec<u8>) -> usize {
        let message = start.saturating_add(Header::LONGER);
        let length = text.len().saturating_sub(message);
        // Most have a header of just that room.
        if let (Ok(length @ 126..), Some(room)) = (
            u16::try_from(length),
            text.get_mut(start..).and_then(<[u8]>::first_chunk_mut),
        ) {
            *room = Header::longer(kind, length);
            return 0;
        }
        let header = server_header(kind, length);
        let header = header.as_slice();
        let moved = Header::LONGER.saturating_sub(header.len());
        if moved > 0 && message <= text.len() {
            text.copy_within(message.., message.saturating_sub(moved));
            text.truncate(text.len().saturating_sub(moved));
        }
        if let Some(room) = text.get_mut(start..start.saturating_add(header.len())) {
            room.copy_from_slice(header);
        }
        moved
    }

    /// Writes a ping with the first 125 bytes of `payload`. Whether it was written, as in
    /// [`write_message`](Self::write_message).
    pub fn write_ping(&mut self, payload: &[u8], out: &mut TransmitBuf) -> bool {
        let open = self.is_open();
        if open {
            let payload = payload.get(..MAX_CONTROL).unwrap_or(payload);
            self.write_frame(Opcode::Ping, &[Part::Slice(payload)], out);
        }
        open
    }

    /// Begins the closing handshake: nothing is written after the Close frame, which the next
    /// [`poll_transmit`](Self::poll_transmit) gives out. `reason` is cut to 123 bytes at a
    /// character; with a `code` that must not be on the wire (1005, 1006, 1015, unassigned ones)
    /// the frame is empty. Does nothing if the WebSocket is closing already.
    pub fn close(&mut self, now: Instant, code: u16, reason: &str) {
        self.now = now;
        if !self.is_open() {
            return;
        }
        let frame = Box::new(CloseFrame::new(code, reason));
        self.close_due = Some(frame.clone());
        self.ours = Some(frame);
        self.deadline = Some(now + self.close_timeout);
    }

    /// Whether the driver should shut the TCP connection down, after writing what
    /// [`poll_transmit`](Self::poll_transmit) gave out:
    /// - a server, when both Close frames have been exchanged;
    /// - a client, when the peer closed its side after that;
    /// - either, when the closing handshake ran out of time, when the peer's bytes ended, or after
    ///   a breach of the protocol once the Close frame is out.
    #[must_use]
    pub fn wants_shutdown(&self) -> bool {
        let done = match self.role {
            Role::Client => false,
            Role::Server => self.answered,
        };
        let over = self.finished && (done || self.failed || self.eof);
        self.timed_out || (over && self.close_due.is_none())
    }

    /// Whether messages may be written: no Close frame was sent, asked for or read, and the peer
    /// is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ours.is_none() && !self.finished && !self.eof
    }

    /// How many received bytes are held: those not decoded yet and those of an unfinished message.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.decoder.buffered()
    }

    /// The end by the peer's Close frame, which is answered in kind unless it is an answer.
    fn finish_answered(&mut self, frame: CloseFrame) -> Closed {
        self.answered = true;
        let by = if self.ours.is_some() {
            ClosedBy::Us
        } else {
            self.close_due = Some(Box::new(frame.clone()));
            ClosedBy::Peer
        };
        Closed {
            code: frame.code,
            reason: frame.reason,
            by,
            clean: true,
            error: None,
        }
    }

    /// The end by a mistake of the peer.
    fn finish_failed(&mut self, error: WebSocketError) -> Closed {
        self.failed = true;
        let sent = self.ours.clone().unwrap_or_else(|| {
            let code = error.violation.close_code().unwrap_or_default();
            let frame = Box::new(CloseFrame::new(code, &error.violation.to_string()));
            self.close_due = Some(frame.clone());
            frame
        });
        Closed {
            code: sent.code,
            reason: sent.reason,
            by: ClosedBy::Us,
            clean: false,
            error: Some(error),
        }
    }

    /// The end without a Close frame from the peer.
    fn finish_ended(&mut self) -> Closed {
        self.close_due = None;
        let (by, error) = match self.ours {
            Some(_) => (ClosedBy::Us, None),
            None => (
                ClosedBy::Peer,
                Some(self.decoder.error(Violation::EndedWithoutClose)),
            ),
        };
        let sent = self.ours.clone().unwrap_or_default();
        Closed {
            code: sent.code,
            reason: sent.reason,
            by,
            clean: false,
            error,
        }
    }

    fn write_frame(&mut self, opcode: Opcode, parts: &[Part<'_>], out: &mut TransmitBuf) {
        self.write_payload(|mask, length| Header::new(opcode, mask, length), parts, out);
    }

    fn write_payload(
        &mut self,
        header: impl FnOnce(Option<[u8; 4]>, usize) -> Header,
        parts: &[Part<'_>],
        out: &mut TransmitBuf,
    ) {
        let length = length_of(parts);
        let mask = self
            .masks
            .as_mut()
            .map(|masks| masks.next_u32().to_ne_bytes());
        let header = header(mask, length);
        let Some(mask) = mask else {
            return out.put_frame(header.as_slice(), parts, &[]);
        };
        out.put_slice(header.as_slice());
        let mut position = 0_usize;
        for part in parts {
            let bytes = part.as_slice();
            mask::apply(mask, position, out.put_slice_mut(bytes));
            position = position.saturating_add(bytes.len());
        }
    }
}

impl Wholes for WebSocket {
    /// Where it is none, [`poll_event`](WebSocket::poll_event) knows more.
    #[inline]
    fn whole_at(&mut self, from: usize) -> Option<Whole> {
        if self.finished {
            return None;
        }
        self.decoder.whole_at(from)
    }

    #[inline]
    fn waiting(&self) -> &[u8] {
        self.decoder.waiting()
    }

    #[inline]
    fn step_over(&mut self, count: usize) {
        self.decoder.skip_whole(count);
    }
}

fn length_of(parts: &[Part<'_>]) -> usize {
    parts.iter().fold(0_usize, |sum, part| {
        sum.saturating_add(part.as_slice().len())
    })
}
