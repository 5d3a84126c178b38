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
    segments: VecDeque<Segment>,
    remaining: usize,
}

#[derive(Debug)]
enum Segment {
    /// `start..end` of the scratch buffer.
    Scratch(usize, usize),
    Shared(Bytes),
}

impl TransmitBuf {
    /// Shared pieces from this size on are not copied: below it, a copy is cheaper than another
    /// entry in a gathering write.
    pub const SHARE_FROM: usize = 4096;

    /// An empty buffer that has allocated nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `bytes`.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        let _ = self.put_slice_mut(bytes);
    }

    /// Appends a copy of `bytes` and gives it back for changing in place (a WebSocket mask).
    pub fn put_slice_mut(&mut self, bytes: &[u8]) -> &mut [u8] {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(bytes);
        self.count_from(start);
        self.scratch.get_mut(start..).unwrap_or_default()
    }

    /// Appends `bytes`, shared where that pays and copied where it does not.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < Self::SHARE_FROM {
            self.put_slice(bytes);
        } else {
            self.remaining = self.remaining.saturating_add(bytes.len());
            self.segments.push_back(Segment::Shared(bytes.clone()));
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
        let start = self.scratch.len();
        self.scratch.reserve(len);
        self.scratch.extend_from_slice(before);
        for part in parts {
            self.scratch.extend_from_slice(part.as_slice());
        }
        self.scratch.extend_from_slice(behind);
        self.count_from(start);
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

    /// Counts what was appended to the scratch buffer from `start` on.
    #[inline]
    fn count_from(&mut self, start: usize) {
        let end = self.scratch.len();
        if start == end {
            return;
        }
        self.remaining = self.remaining.saturating_add(end.saturating_sub(start));
        match self.segments.back_mut() {
            Some(Segment::Scratch(_, last)) if *last == start => *last = end,
            _ => self.segments.push_back(Segment::Scratch(start, end)),
        }
    }

    /// Forgets what is left in the buffer and keeps a modest scratch allocation for the next use.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.scratch.clear();
        self.scratch.shrink_to(64 * 1024);
        self.remaining = 0;
    }

    /// Shows what waits, piece by piece.
    pub(crate) fn each_chunk(&self, mut see: impl FnMut(&[u8])) {
        for segment in &self.segments {
            match segment {
                Segment::Scratch(start, end) => {
                    see(self.scratch.get(*start..*end).unwrap_or_default());
                }
                Segment::Shared(bytes) => see(bytes),
            }
        }
    }

    /// How many bytes are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remaining
    }

    /// Whether nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    fn bytes_of<'a>(&'a self, segment: &'a Segment) -> &'a [u8] {
        match segment {
            Segment::Scratch(start, end) => self.scratch.get(*start..*end).unwrap_or_default(),
            Segment::Shared(bytes) => bytes,
        }
    }
}

impl Buf for TransmitBuf {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.segments
            .front()
            .map_or(&[], |segment| self.bytes_of(segment))
    }

    /// Steps over `count` written bytes; stepping past the end empties the buffer.
    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let Some(front) = self.segments.front_mut() else {
                break;
            };
            let length = match front {
                Segment::Scratch(start, end) => end.saturating_sub(*start),
                Segment::Shared(bytes) => bytes.len(),
            };
            let step = length.min(count);
            count -= step;
            self.remaining = self.remaining.saturating_sub(step);
            if step == length {
                self.segments.pop_front();
            } else {
                match front {
                    Segment::Scratch(start, _) => *start = start.saturating_add(step),
                    Segment::Shared(bytes) => bytes.advance(step),
                }
            }
        }
        if self.remaining == 0 {
            self.clear();
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, dst: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, segment) in dst.iter_mut().zip(&self.segments) {
            *slot = std::io::IoSlice::new(self.bytes_of(segment));
            filled += 1;
        }
        filled
    }
}
