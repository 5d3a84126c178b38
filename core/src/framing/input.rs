//! Where received bytes wait until they make a frame.

use bytes::{Buf, Bytes, BytesMut};

use super::{Frame, Whole};

/// Bytes that were read and not cut into frames yet.
///
/// They arrive in chunks of the driver's read buffer, which many connections share, so two rules
/// keep a quiet connection from holding one: what is empty is dropped, and a small rest is moved
/// into an allocation of its own size.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: BytesMut,
    /// Whether `bytes` is a piece of the driver's chunk, and so keeps all of it alive.
    pins_chunk: bool,
    /// Whether `bytes` is the driver's chunk itself, lent until [`give_back`](Self::give_back).
    is_lent: bool,
}

impl Input {
    /// From this size on, a piece is given out (or kept) as a slice of its chunk; below it, it is
    /// copied.
    ///
    /// A slice keeps the whole chunk alive, 64 KiB in the usual driver, for as long as the
    /// application keeps the message: at 4 KiB a queue of messages holds at most 16 times what it
    /// counts, at 100 bytes it would be 650 times. The copy costs less than 100 ns below 4 KiB,
    /// not much more than the two atomic operations of a slice. `TransmitBuf::SHARE_FROM` draws
    /// the line at the same place for sending.
    pub(super) const SHARE_FROM: usize = 4096;

    /// Takes all bytes out of `chunk`. No copy when nothing is waiting, or when `chunk` follows
    /// in memory on what is waiting.
    pub(super) fn push(&mut self, chunk: &mut BytesMut) {
        if chunk.is_empty() {
            return;
        }
        if self.bytes.is_empty() {
            self.pins_chunk = true;
        }
        self.bytes.unsplit(chunk.split());
    }

    /// Takes all bytes of `chunk`, and where nothing is waiting the chunk itself, until
    /// [`give_back`](Self::give_back): what is read at once is never moved.
    pub(super) fn lend(&mut self, chunk: &mut BytesMut) {
        if self.bytes.is_empty() {
            core::mem::swap(&mut self.bytes, chunk);
            self.pins_chunk = true;
            self.is_lent = true;
        } else {
            self.push(chunk);
        }
    }

    /// Ends what [`lend`](Self::lend) began: the driver gets its chunk back, empty, and what is
    /// still waiting is kept apart from it.
    pub(super) fn give_back(&mut self, chunk: &mut BytesMut) {
        if !core::mem::take(&mut self.is_lent) {
            return;
        }
        if self.bytes.is_empty() {
            core::mem::swap(&mut self.bytes, chunk);
            self.pins_chunk = false;
            return;
        }
        let rest = if self.bytes.len() >= Self::SHARE_FROM {
            self.bytes.split()
        } else {
            self.pins_chunk = false;
            BytesMut::from(self.bytes.as_ref())
        };
        *chunk = core::mem::replace(&mut self.bytes, rest);
        chunk.clear();
    }

    /// Whether nothing is waiting; then nothing is kept, either.
    #[inline]
    pub(super) fn is_drained(&mut self) -> bool {
        let is_drained = self.bytes.is_empty();
        if is_drained && !self.is_lent {
            self.clear();
        }
        is_drained
    }

    /// Says that no more can be cut out of the waiting bytes: lets the chunk go where possible.
    pub(super) fn settle(&mut self) {
        if self.is_lent {
            // Settled when it is given back.
        } else if self.bytes.is_empty() {
            self.clear();
        } else if self.pins_chunk && self.bytes.len() < Self::SHARE_FROM {
            self.bytes = BytesMut::from(self.bytes.as_ref());
            self.pins_chunk = false;
        }
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        if self.is_lent {
            self.bytes.clear();
        } else {
            self.bytes = BytesMut::new();
            self.pins_chunk = false;
        }
    }

    /// Steps over `count` bytes, or all there are.
    pub(super) fn skip(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
    }

    /// Gives out the next `count` bytes, or all there are: shared when large, copied when small.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.bytes.len());
        if count >= Self::SHARE_FROM {
            self.bytes.split_to(count).freeze()
        } else {
            let copy = Bytes::copy_from_slice(self.bytes.get(..count).unwrap_or_default());
            self.bytes.advance(count);
            copy
        }
    }

    /// Gives out everything as it is.
    pub(super) fn take_all(&mut self) -> BytesMut {
        self.pins_chunk = false;
        self.is_lent = false;
        core::mem::take(&mut self.bytes)
    }

    /// Steps over that frame, and gives its message out.
    pub(super) fn take_message(&mut self, whole: Whole) -> Frame {
        self.skip(whole.start);
        let bytes = self.take(whole.len);
        self.skip(
            whole
                .total
                .saturating_sub(whole.start.saturating_add(whole.len)),
        );
        Frame::new(whole.kind, bytes)
    }

    /// The waiting bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The waiting bytes, for unmasking in place.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// How many bytes are waiting.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}
