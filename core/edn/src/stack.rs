//! Stacks that need no heap while they are low.

use alloc::vec::Vec;

/// A stack whose first `N` places are inside of it.
pub(crate) struct Stack<T, const N: usize> {
    near: [T; N],
    length: usize,
    far: Vec<T>,
}

impl<T: Copy, const N: usize> Stack<T, N> {
    /// Begins with nothing; `filler` is what the free places hold, and is never seen.
    #[inline]
    pub(crate) const fn new(filler: T) -> Self {
        Self {
            near: [filler; N],
            length: 0,
            far: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        match self.near.get_mut(self.length) {
            Some(place) => *place = item,
            None => self.far.push(item),
        }
        self.length = self.length.wrapping_add(1);
    }

    /// Takes the last item into a place, which is left as it is if there is none.
    #[inline]
    pub(crate) fn pop_to(&mut self, place: &mut T) {
        let Some(length) = self.length.checked_sub(1) else {
            return;
        };
        self.length = length;
        match self.near.get(length) {
            Some(item) => *place = *item,
            None => {
                if let Some(item) = self.far.pop() {
                    *place = item;
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
        self.far.clear();
    }
}

/// A stack of numbers that is always one slice.
pub(crate) struct Numbers<const N: usize> {
    near: [u64; N],
    length: usize,
    /// Holds everything once the near places did not suffice.
    far: Vec<u64>,
}

impl<const N: usize> Numbers<N> {
    pub(crate) const fn new() -> Self {
        Self {
            near: [0; N],
            length: 0,
            far: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(crate) fn push(&mut self, number: u64) {
        if self.far.is_empty() {
            if let Some(place) = self.near.get_mut(self.length) {
                *place = number;
                self.length = self.length.wrapping_add(1);
                return;
            }
            self.far.extend_from_slice(&self.near);
        }
        self.far.push(number);
        self.length = self.far.len();
    }

    #[inline]
    pub(crate) fn truncate(&mut self, length: usize) {
        if self.far.is_empty() {
            self.length = length.min(self.length);
        } else {
            self.far.truncate(length);
            self.length = self.far.len();
        }
    }

    /// Everything from a place on.
    #[inline]
    pub(crate) fn since(&mut self, start: usize) -> &mut [u64] {
        let all = if self.far.is_empty() {
            self.near.as_mut_slice()
        } else {
            self.far.as_mut_slice()
        };
        all.get_mut(start..self.length).unwrap_or_default()
    }
}
