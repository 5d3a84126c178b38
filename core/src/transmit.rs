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
    shared: SharedPieces,
}

#[derive(Debug, Default)]
struct SharedPieces {
    pieces: VecDeque<Shared>,
    /// How many bytes they have.
    bytes: usize,
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
            let shared = &mut self.shared;
            shared.bytes = shared.bytes.saturating_add(bytes.len());
            shared.pieces.push_back(Shared {
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
        if !self.shared.pieces.is_empty() {
            self.shared.pieces.clear();
            self.shared.bytes = 0;
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
        copied.saturating_add(self.shared.bytes)
    }

    /// Whether nothing is waiting.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first of the shared pieces.
    #[inline]
    fn first_shared(&self) -> Option<&Shared> {
        self.shared.pieces.front()
    }

    /// What waits, in its order. No piece is empty.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.written;
        let last = [(self.scratch.len(), &[][..])];
        let pieces = self.shared.pieces.iter();
        let shared = pieces.map(|shared| (shared.at, &*shared.bytes));
        let pairs = shared.chain(last).map(move |(at, bytes)| {
            let before = self.scratch.get(from..at).unwrap_or_default();
            from = from.max(at);
            [before, bytes]
        });
        pairs.flatten().filter(|piece| !piece.is_empty())
    }

    /// Steps over as much as there is of `count` in the first piece. How much it was.
    fn step(&mut self, count: usize) -> usize {
        let end = self.first_shared().map_or(self.scratch.len(), |it| it.at);
        let copied = end.saturating_sub(self.written);
        if copied > 0 {
            let step = copied.min(count);
            self.written = self.written.saturating_add(step);
            return step;
        }
        let shared = &mut self.shared;
        let Some(Shared { bytes, .. }) = shared.pieces.front_mut() else {
            return 0;
        };
        let step = bytes.len().min(count);
        bytes.advance(step);
        if bytes.is_empty() {
            shared.pieces.pop_front();
        }
        shared.bytes = shared.bytes.saturating_sub(step);
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
        let end = match self.first_shared() {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Slice(usize),
        Shared(usize),
        Text(usize),
        Advance(usize),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Around the length from which pieces are shared, and buffers changed.
        let len = || prop_oneof![0_usize..20, 4_000_usize..4_200];
        let step = prop_oneof![
            6 => len().prop_map(Step::Slice),
            6 => len().prop_map(Step::Shared),
            4 => len().prop_map(Step::Text),
            9 => (0_usize..6_000).prop_map(Step::Advance),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out_in_its_order(steps in steps()) {
            let mut out = TransmitBuf::new();
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut next = 0_u8;
            let mut bytes = |len: usize| -> Vec<u8> {
                let fresh = (0..len).map(|_| {
                    next = next.wrapping_add(1);
                    next
                });
                fresh.collect()
            };
            for step in steps {
                match step {
                    Step::Slice(len) => {
                        let bytes = bytes(len);
                        out.put_slice(&bytes);
                        model.extend(bytes);
                    }
                    Step::Shared(len) => {
                        let bytes = bytes(len);
                        out.put_shared(&Bytes::from(bytes.clone()));
                        model.extend(bytes);
                    }
                    Step::Text(len) => {
                        let mut text = bytes(len);
                        model.extend(&text);
                        out.put_text(&mut text);
                        prop_assert!(text.is_empty());
                    }
                    Step::Advance(count) => {
                        out.advance(count);
                        model.drain(..count.min(model.len()));
                    }
                    Step::Clear => {
                        out.clear();
                        model.clear();
                    }
                }
                let mut seen = Vec::new();
                out.each_chunk(|piece| seen.extend_from_slice(piece));
                prop_assert_eq!(&seen, model.make_contiguous());
                prop_assert_eq!((out.len(), out.is_empty()), (seen.len(), seen.is_empty()));
                prop_assert!(seen.starts_with(out.chunk()));
                prop_assert_eq!(out.chunk().is_empty(), seen.is_empty());
            }
        }
    }

    #[test]
    fn much_text_changes_buffers_and_little_is_copied() {
        let mut out = TransmitBuf::new();
        out.put_slice(b"before");
        out.advance(6);
        let mut text = Vec::from([b'x'; TransmitBuf::SHARE_FROM]);
        let place = text.as_ptr();
        out.put_text(&mut text);
        assert_eq!(out.chunk().as_ptr(), place);
        assert_eq!(out.len(), TransmitBuf::SHARE_FROM);

        let mut little = Vec::from(*b"behind");
        let place = little.as_ptr();
        out.put_text(&mut little);
        assert_eq!((little.as_ptr(), little.len()), (place, 0));
        assert_eq!(out.len(), TransmitBuf::SHARE_FROM + 6);
    }
}
