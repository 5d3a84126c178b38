//! The text of the frames that leave next, and behind it room to pack in what is queued otherwise: that
//! takes a single piece of memory then, of just its length.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::transmit::TransmitBuf;

/// What the buffer may hold while there is more to send.
const BUSY: usize = 64 * 1024;

/// What it may hold for good.
const IDLE: usize = 1024;

/// The buffer of one connection.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: Vec<u8>,
    /// How much of it are whole frames. What is behind them is of a message that is being packed, or of
    /// one whose packing panicked.
    framed: usize,
}

impl Scratch {
    /// How much text of frames is taken before what follows waits in the queue.
    pub(super) const MOST: usize = BUSY;

    /// How many bytes the frames have.
    #[inline]
    pub(super) const fn framed(&self) -> usize {
        self.framed
    }

    /// The frames.
    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        self.text.get(..self.framed).unwrap_or_default()
    }

    /// The same, to append to it. [`keep`](Self::keep) or [`drop_last`](Self::drop_last) follows.
    #[inline]
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.text.truncate(self.framed);
        &mut self.text
    }

    /// What was begun, to go on with it.
    #[inline]
    pub(super) const fn begun(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// What was appended is a frame.
    #[inline]
    pub(super) const fn keep(&mut self) {
        self.framed = self.text.len();
    }

    /// Writes the frames, and forgets them.
    #[inline]
    pub(super) fn move_to(&mut self, out: &mut TransmitBuf) {
        self.text.truncate(self.framed);
        out.put_text(&mut self.text);
        self.framed = 0;
        self.shrink_to(BUSY);
    }

    /// Forgets the frames.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.framed = 0;
        self.shrink_to(BUSY);
    }

    /// What `pack` appends.
    pub(super) fn packed<E>(
        &mut self,
        pack: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let packed = pack(self.begin());
        let packed = packed.map(|()| self.copied(self.framed, self.text.len()));
        self.drop_last();
        packed
    }

    /// A copy of a part of it.
    pub(super) fn copied(&self, start: usize, end: usize) -> Bytes {
        Bytes::copy_from_slice(self.text.get(start..end).unwrap_or_default())
    }

    /// Takes back what was appended behind the frames.
    pub(super) fn drop_last(&mut self) {
        self.text.truncate(self.framed);
        self.shrink_to(BUSY.saturating_add(self.framed));
    }

    /// Gives back what a connection with nothing to send is not to hold.
    pub(super) fn settle(&mut self) {
        if self.framed == 0 && self.text.capacity() > IDLE {
            // It was more than usual, as a burst is: what comes next may be as little as ever.
            self.text = Vec::new();
        }
        self.text.truncate(self.framed);
        self.shrink_to(IDLE);
    }

    /// Gives everything back, if there are no frames.
    pub(super) fn sleep(&mut self) {
        if self.framed == 0 && self.text.capacity() > 0 {
            self.text = Vec::new();
        }
    }

    #[inline]
    fn shrink_to(&mut self, capacity: usize) {
        if self.text.capacity() > capacity {
            self.text.shrink_to(capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packer::PackError;

    use super::*;

    fn pack(scratch: &mut Scratch, len: usize) -> Bytes {
        let packed = scratch.packed(|out| {
            out.resize(len, b'x');
            Ok::<_, PackError>(())
        });
        packed.unwrap()
    }

    #[test]
    fn what_is_packed_has_just_its_length_and_the_buffer_is_used_again() {
        let mut scratch = Scratch::default();
        assert_eq!(pack(&mut scratch, 1_000).len(), 1_000);
        let capacity = scratch.text.capacity();
        let packed = scratch.packed(|out| {
            assert!(out.is_empty() && out.capacity() == capacity);
            out.push(b'y');
            Ok::<_, PackError>(())
        });
        assert_eq!(packed.unwrap(), "y");
    }

    #[test]
    fn a_large_message_leaves_no_large_buffer_behind() {
        let mut scratch = Scratch::default();
        assert_eq!(pack(&mut scratch, 10 * BUSY).len(), 10 * BUSY);
        assert!(scratch.text.capacity() <= BUSY);
        pack(&mut scratch, BUSY);
        assert_eq!(scratch.text.capacity(), BUSY);
        scratch.settle();
        assert!(scratch.text.capacity() <= IDLE);
    }

    #[test]
    fn what_could_not_be_packed_leaves_nothing_in_the_next() {
        let mut scratch = Scratch::default();
        let failed = scratch.packed(|out| {
            out.extend_from_slice(b"half of it");
            Err(PackError::new("test", "no"))
        });
        assert!(failed.is_err());
        assert_eq!(pack(&mut scratch, 2), "xx");
    }
}
