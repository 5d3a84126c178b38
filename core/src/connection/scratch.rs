//! The text of the frames that leave next, and behind it room to pack in what is queued otherwise: that
//! takes a single piece of memory then, of just its length.

use alloc::vec::Vec;

use bytes::Bytes;

/// What the buffer may hold while there is more to send.
const BUSY: usize = 64 * 1024;

/// What it may hold for good.
const IDLE: usize = 1024;

/// The buffer of one connection.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    /// How much text of frames is taken before what follows waits in the queue.
    pub(super) const MOST: usize = BUSY;

    /// The frames.
    #[inline]
    pub(super) const fn text(&self) -> &Vec<u8> {
        &self.0
    }

    /// The same, to append to it.
    #[inline]
    pub(super) const fn text_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// Forgets the frames.
    pub(super) fn clear(&mut self) {
        self.0.clear();
        self.shrink_to(BUSY);
    }

    /// What `pack` appends.
    pub(super) fn packed<E>(
        &mut self,
        pack: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let start = self.0.len();
        let packed = pack(&mut self.0);
        let packed = packed.map(|()| self.copied(start, self.0.len()));
        self.truncate(start);
        packed
    }

    /// A copy of a part of it.
    pub(super) fn copied(&self, start: usize, end: usize) -> Bytes {
        Bytes::copy_from_slice(self.0.get(start..end).unwrap_or_default())
    }

    /// Takes back what was appended from `start` on.
    pub(super) fn truncate(&mut self, start: usize) {
        self.0.truncate(start);
        self.shrink_to(BUSY.saturating_add(start));
    }

    /// Gives back what a connection with nothing to send is not to hold.
    pub(super) fn settle(&mut self) {
        self.shrink_to(IDLE);
    }

    #[inline]
    fn shrink_to(&mut self, capacity: usize) {
        if self.0.capacity() > capacity {
            self.0.shrink_to(capacity);
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
        let capacity = scratch.0.capacity();
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
        assert!(scratch.0.capacity() <= BUSY);
        pack(&mut scratch, BUSY);
        assert_eq!(scratch.0.capacity(), BUSY);
        scratch.settle();
        assert!(scratch.0.capacity() <= IDLE);
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
