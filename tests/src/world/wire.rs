//! One direction of a transport: bytes on their way, and everything that can go wrong with them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sente_core::Instant;

/// Which machine one end of a wire belongs to. `attempt` tells the transports of one client apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a name")]
pub struct End {
    /// The peer.
    pub peer: usize,
    /// Its transport: always 0 for a connection.
    pub attempt: u64,
}

/// How a wire behaves while nothing is wrong with it. Change it at any time.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it field by field")]
pub struct Quality {
    /// How long bytes are on their way. Default none.
    pub latency: Duration,
    /// How many bytes the receiver reads at once, at most. Default all there are.
    pub chunk: usize,
    /// Whether each read is of a random size up to `chunk`. Default no.
    pub random_chunks: bool,
    /// How long the receiver waits between two reads: a slow reader. Default none.
    pub pace: Duration,
    /// A write begins only while fewer bytes than this are on their way. Default 256 KiB.
    pub window: usize,
    /// Whether nothing arrives. Default no.
    pub stalled: bool,
    /// Whether nothing can be written. Default no.
    pub unwritable: bool,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            chunk: usize::MAX,
            random_chunks: false,
            pace: Duration::ZERO,
            window: 256 * 1024,
            stalled: false,
            unwritable: false,
        }
    }
}

/// How a wire ends for the one who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a transport ends one way or the other"
)]
pub enum Ended {
    /// In order.
    Eof,
    /// With an error of the transport.
    Failed,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) quality: Quality,
    chunks: VecDeque<(Instant, Bytes)>,
    pub(super) in_flight: usize,
    /// Not before this may the reader read again.
    pub(super) next_read: Instant,
    /// How and when it ends, once everything before has arrived.
    pub(super) end: Option<(Instant, Ended)>,
    pub(super) end_given: bool,
    /// Bytes that never arrived.
    pub(super) lost: u64,
    /// Bytes were changed or added on the way.
    pub(super) tainted: bool,
    /// What is written vanishes.
    pub(super) severed: bool,
    /// The reader has dropped the transport.
    pub(super) reader_gone: bool,
    /// When the agenda comes back to it.
    pub(super) scheduled: Option<Instant>,
}

impl Wire {
    pub(super) fn new(from: End, to: End, quality: Quality) -> Self {
        Self {
            from,
            to,
            quality,
            chunks: VecDeque::new(),
            in_flight: 0,
            next_read: Instant::EPOCH,
            end: None,
            end_given: false,
            lost: 0,
            tainted: false,
            severed: false,
            reader_gone: false,
            scheduled: None,
        }
    }

    /// Whether a write would begin.
    pub(super) fn is_writable(&self) -> bool {
        !self.quality.unwritable && (self.in_flight < self.quality.window || self.is_void())
    }

    /// Whether bytes written now never arrive.
    fn is_void(&self) -> bool {
        self.severed || self.reader_gone || self.end.is_some()
    }

    pub(super) fn write(&mut self, now: Instant, bytes: Bytes) {
        if self.is_void() {
            self.lost += bytes.len() as u64;
        } else {
            self.put(now, bytes);
        }
    }

    fn put(&mut self, now: Instant, bytes: Bytes) {
        let mut at = now + self.quality.latency;
        if let Some((last, _)) = self.chunks.back() {
            at = at.max(*last);
        }
        self.in_flight += bytes.len();
        self.chunks.push_back((at, bytes));
    }

    /// Bytes from nowhere, in front of everything written later.
    pub(super) fn inject(&mut self, now: Instant, bytes: Bytes) {
        if !self.is_void() {
            self.tainted = true;
            self.put(now, bytes);
        }
    }

    /// Changes one byte on its way. Whether there was one.
    pub(super) fn corrupt(&mut self, at: usize, flip: u8) -> bool {
        let Some(at) = at.checked_rem(self.in_flight) else {
            return false;
        };
        let mut before = 0;
        for (_, bytes) in &mut self.chunks {
            if at - before < bytes.len() {
                let mut copy = BytesMut::from(&**bytes);
                copy[at - before] ^= flip.max(1);
                *bytes = copy.freeze();
                self.tainted = true;
                return true;
            }
            before += bytes.len();
        }
        false
    }

    /// Ends it, after what is on its way, or at once without that tail.
    pub(super) fn end(&mut self, now: Instant, how: Ended, with_tail: bool) {
        if !with_tail {
            self.lost += self.in_flight as u64;
            self.chunks.clear();
            self.in_flight = 0;
        }
        let last = self.chunks.back().map_or(now, |(at, _)| *at);
        let at = last.max(now + self.quality.latency);
        if self.end.is_none() || how == Ended::Failed {
            self.end = Some((at, how));
        }
    }

    /// Drops everything on its way: nobody reads it any more. Whether there was anything.
    pub(super) fn discard(&mut self) -> bool {
        self.lost += self.in_flight as u64;
        self.chunks.clear();
        core::mem::take(&mut self.in_flight) > 0
    }

    /// When there is something to read, if ever.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        if self.quality.stalled {
            return None;
        }
        match (self.chunks.front(), self.end) {
            (Some((at, _)), _) => Some((*at).max(self.next_read)),
            (None, Some((at, _))) if !self.end_given => Some(at.max(self.next_read)),
            _ => None,
        }
    }

    /// Takes at most `limit` bytes that have arrived.
    pub(super) fn read(&mut self, now: Instant, limit: usize) -> Option<Bytes> {
        let (at, bytes) = self.chunks.front_mut()?;
        if *at > now {
            return None;
        }
        let piece = bytes.split_to(limit.min(bytes.len()));
        if bytes.is_empty() {
            self.chunks.pop_front();
        }
        self.in_flight -= piece.len();
        self.next_read = now + self.quality.pace;
        Some(piece)
    }

    /// Whether bytes have arrived that nobody has read.
    pub(super) fn has_arrived(&self, now: Instant) -> bool {
        let front = self.chunks.front();
        !self.quality.stalled && front.is_some_and(|(at, _)| *at <= now && self.next_read <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}
