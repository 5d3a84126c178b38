//! How much room typed data are given before they are packed.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// As much room as what was packed last came to.
///
/// Data that are packed one after another mostly have about one length, and a buffer that grows step
/// by step is moved again and again.
#[derive(Debug, Default)]
pub(crate) struct Room(AtomicUsize);

impl Room {
    /// What most typed data take.
    pub(crate) const LEAST: usize = 128;

    /// Of more than that, growing is a small part.
    const MOST: usize = 4096;

    /// A buffer to pack into.
    pub(crate) fn make(&self) -> Vec<u8> {
        Vec::with_capacity(self.0.load(Ordering::Relaxed).max(Self::LEAST))
    }

    /// Takes note of how long it became, and gives back room of which it took less than half, so that
    /// no more is kept than after growing.
    pub(crate) fn learn(&self, packed: &mut Vec<u8>) {
        let took = packed.len().clamp(Self::LEAST, Self::MOST);
        let next = took.checked_next_power_of_two().unwrap_or(Self::MOST);
        // Configurations are shared by connections on all threads, so it is rarely written.
        if self.0.load(Ordering::Relaxed) != next {
            self.0.store(next, Ordering::Relaxed);
        }
        if packed.capacity() / 2 > packed.len().max(Self::LEAST) {
            packed.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_has_the_room_that_the_last_took_and_keeps_no_more_than_twice_its_own() {
        let room = Room::default();
        for (length, next) in [
            (10, 128),
            (871, 1024),
            (1024, 1024),
            (900, 1024),
            (100, 128),
            (1_000_000, 4096),
            (5, 128),
        ] {
            let mut packed = room.make();
            packed.resize(length, 0);
            room.learn(&mut packed);
            assert!(packed.capacity() <= length.max(Room::LEAST) * 2);
            assert_eq!(room.make().capacity(), next);
        }
    }
}
