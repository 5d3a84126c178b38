//! Where the engine writes what the driver has to send: scratch bytes and shared segments.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use crate::framing::websocket::Part;

/// Bytes on their way to the transport, filled by the engine and drained by the driver.
///
/// Small pieces are copied into one scratch buffer, so that many of them leave in one write;
/// a shared piece of [`SHARE_FROM`](Self::SHARE_FROM) bytes or more is kept as it is and never
/// copied. The driver reads it as a [`Buf`], with [`Buf::chunks_vectored`] where the transport can
/// gather, and calls [`clear`](Self::clear) (or just drains it) before the next use.
#[derive(Debug, Default)]
pub struct TransmitBuf {
    scratch: Vec<u8>,
    /// How much of the scratch buffer has been written.
    written: usize,
    /// What stands among the bytes of the scratch buffer: mostly nothing.
    shared: VecDeque<Shared>,
    /// How many bytes that is.
    shared_bytes: usize,
}

#[derive(Debug)]
struct Shared {
    /// How much of the scratch buffer is before it.
    at: usize,
    bytes: Bytes,
}

impl TransmitBuf {
    /// Shared pieces from this size on are not copied: below it, a copy is cheaper than another
    /// entry in a gathering write.
    pub const SHARE_FROM: usize = 4096;

    /// What a scratch buffer keeps.
    const KEEP: usize = 64 * 1024;

    /// An empty buffer that has allocated nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.scratch.extend_from_slice(bytes);
    }

    /// Appends a copy of `bytes` and gives it back for changing in place (a WebSocket mask).
    pub fn put_slice_mut(&mut self, bytes: &[u8]) -> &mut [u8] {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(bytes);
        self.scratch.get_mut(start..).unwrap_or_default()
    }

    /// Appends `bytes`, shared where that pays and copied where it does not.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < Self::SHARE_FROM {
            self.put_slice(bytes);
        } else {
            self.shared_bytes = self.shared_bytes.saturating_add(bytes.len());
            self.shared.push_back(Shared {
                at: self.scratch.len(),
                bytes: bytes.clone(),
            });
        }
    }

    /// Appends all of `text`, which is empty then. Where there is much of it and nothing else here, the
    /// two change buffers instead of copying.
    #[inline]
    pub(crate) fn put_text(&mut self, text: &mut Vec<u8>) {
        if text.len() >= Self::SHARE_FROM && self.is_empty() {
            self.clear();
            core::mem::swap(&mut self.scratch, text);
        } else {
            self.put_slice(text);
            text.clear();
        }
    }

    /// Appends a frame: what stands before its message, the parts of that, and what stands behind it.
    pub(crate) fn put_frame(&mut self, before: &[u8], parts: &[Part<'_>], behind: &[u8]) {
        let mut len = before.len().saturating_add(behind.len());
        for part in parts {
            len = len.saturating_add(part.as_slice().len());
        }
        if len >= Self::SHARE_FROM {
            return self.put_large_frame(before, parts, behind);
        }
        self.scratch.reserve(len);
        self.scratch.extend_from_slice(before);
        for part in parts {
            self.scratch.extend_from_slice(part.as_slice());
        }
        self.scratch.extend_from_slice(behind);
    }

    #[inline(never)]
    fn put_large_frame(&mut self, before: &[u8], parts: &[Part<'_>], behind: &[u8]) {
        self.put_slice(before);
        for part in parts {
            match part {
                Part::Slice(bytes) => self.put_slice(bytes),
                Part::Shared(bytes) => self.put_shared(bytes),
            }
        }
        self.put_slice(behind);
    }

    /// Forgets what is left in the buffer and keeps a modest scratch allocation for the next use.
    #[inline]
    pub fn clear(&mut self) {
        self.scratch.clear();
        self.written = 0;
        if self.scratch.capacity() > Self::KEEP {
            self.scratch.shrink_to(Self::KEEP);
        }
        if !self.shared.is_empty() {
            self.shared.clear();
            self.shared_bytes = 0;
        }
    }

    /// Shows what waits, piece by piece.
    pub(crate) fn each_chunk(&self, see: impl FnMut(&[u8])) {
        self.pieces().for_each(see);
    }

    /// How many bytes are waiting.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        let copied = self.scratch.len().saturating_sub(self.written);
        copied.saturating_add(self.shared_bytes)
    }

    /// Whether nothing is waiting.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits, in its order. No piece is empty.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.written;
        let last = [(self.scratch.len(), &[][..])];
        let shared = self.shared.iter().map(|shared| (shared.at, &*shared.bytes));
        let pairs = shared.chain(last).map(move |(at, bytes)| {
            let before = self.scratch.get(from..at).unwrap_or_default();
            from = from.max(at);
            [before, bytes]
        });
        pairs.flatten().filter(|piece| !piece.is_empty())
    }

    /// Steps over as much as there is of `count` in the first piece. How much it was.
    fn step(&mut self, count: usize) -> usize {
        let end = self.shared.front().map_or(self.scratch.len(), |it| it.at);
        let copied = end.saturating_sub(self.written);
        if copied > 0 {
            let step = copied.min(count);
            self.written = self.written.saturating_add(step);
            return step;
        }
        let Some(Shared { bytes, .. }) = self.shared.front_mut() else {
            return 0;
        };
        let step = bytes.len().min(count);
        self.shared_bytes = self.shared_bytes.saturating_sub(step);
        bytes.advance(step);
        if bytes.is_empty() {
            self.shared.pop_front();
        }
        step
    }
}

impl Buf for TransmitBuf {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        let end = match self.shared.front() {
            None => self.scratch.len(),
            Some(shared) if shared.at > self.written => shared.at,
            Some(shared) => return &shared.bytes,
        };
        self.scratch.get(self.written..end).unwrap_or_default()
    }

    /// Steps over `count` written bytes; stepping past the end empties the buffer.
    #[inline]
    fn advance(&mut self, mut count: usize) {
        if count < self.len() {
            while count > 0 {
                let step = self.step(count);
                if step == 0 {
                    break;
                }
                count = count.saturating_sub(step);
            }
        } else {
            self.clear();
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, dst: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, piece) in dst.iter_mut().zip(self.pieces()) {
            *slot = std::io::IoSlice::new(piece);
            filled += 1;
        }
        filled
    }
}
