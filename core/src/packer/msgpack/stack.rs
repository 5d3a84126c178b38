//! A stack that needs no heap while it is low.

use alloc::vec::Vec;

/// How many places need no heap.
const NEAR: usize = 8;

/// A stack whose first places are inside of it.
#[derive(Debug)]
pub(super) struct Stack<T> {
    near: [T; NEAR],
    length: usize,
    far: Vec<T>,
}

impl<T: Copy> Stack<T> {
    /// Begins with nothing; `filler` is what the free places hold, and is never seen.
    #[inline]
    pub(super) const fn new(filler: T) -> Self {
        Self {
            near: [filler; NEAR],
            length: 0,
            far: Vec::new(),
        }
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        match self.near.get_mut(self.length) {
            Some(place) => *place = item,
            None => self.far.push(item),
        }
        self.length = self.length.saturating_add(1);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.length = self.length.checked_sub(1)?;
        match self.near.get(self.length) {
            Some(item) => Some(*item),
            None => self.far.pop(),
        }
    }
}
