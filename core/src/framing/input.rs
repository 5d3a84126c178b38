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
    /// How many of them were stepped over. A chunk that is given back empty keeps its room so, which
    /// its owner would otherwise have to win back. It takes no room of its own.
    read: u32,
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
        self.forget_read();
        if self.bytes.is_empty() {
            self.pins_chunk = true;
        }
        self.bytes.unsplit(chunk.split());
    }

    /// Takes all bytes of `chunk`, and where nothing is waiting the chunk itself, until
    /// [`give_back`](Self::give_back): what is read at once is never moved.
    pub(super) fn lend(&mut self, chunk: &mut BytesMut) {
        self.forget_read();
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
        if self.len() == 0 {
            self.bytes.clear();
            self.read = 0;
            core::mem::swap(&mut self.bytes, chunk);
            self.pins_chunk = false;
            return;
        }
        self.forget_read();
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
        let is_drained = self.len() == 0;
        if is_drained && !self.is_lent {
            self.clear();
        }
        is_drained
    }

    /// Says that no more can be cut out of the waiting bytes: lets the chunk go where possible.
    pub(super) fn settle(&mut self) {
        if self.is_lent {
            // Settled when it is given back.
            return;
        }
        self.forget_read();
        if self.bytes.is_empty() {
            self.clear();
        } else if self.pins_chunk && self.bytes.len() < Self::SHARE_FROM {
            self.bytes = BytesMut::from(self.bytes.as_ref());
            self.pins_chunk = false;
        }
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.read = 0;
        if self.is_lent {
            self.bytes.clear();
        } else {
            self.bytes = BytesMut::new();
            self.pins_chunk = false;
        }
    }

    /// Steps over `count` bytes, or all there are.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) {
        let read = self.read().saturating_add(count).min(self.bytes.len());
        match u32::try_from(read) {
            Ok(read) => self.read = read,
            Err(_) => {
                self.read = 0;
                self.bytes.advance(read);
            }
        }
    }

    #[inline]
    fn read(&self) -> usize {
        usize::try_from(self.read).unwrap_or(usize::MAX)
    }

    /// Lets go of what was stepped over.
    #[inline]
    fn forget_read(&mut self) {
        let read = self.read();
        if read > 0 {
            self.bytes.advance(read.min(self.bytes.len()));
            self.read = 0;
        }
    }

    /// Gives out the next `count` bytes, or all there are: shared when large, copied when small.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.len());
        if count >= Self::SHARE_FROM {
            self.forget_read();
            self.bytes.split_to(count).freeze()
        } else {
            let copy = Bytes::copy_from_slice(self.as_slice().get(..count).unwrap_or_default());
            self.skip(count);
            copy
        }
    }

    /// Gives out everything as it is.
    pub(super) fn take_all(&mut self) -> BytesMut {
        self.forget_read();
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
    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.read()..).unwrap_or_default()
    }

    /// The waiting bytes, for unmasking in place.
    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        let read = self.read();
        self.bytes.get_mut(read..).unwrap_or_default()
    }

    /// How many bytes are waiting.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.read())
    }
}
