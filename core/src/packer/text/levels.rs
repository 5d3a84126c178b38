//! Which collections are open: a bit for each.

use alloc::vec::Vec;

/// A stack of bits whose first 64 need no heap.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// The top bits; the lowest is the top of the stack.
    top: u64,
    /// Full words below, each pushed when it was full.
    below: Vec<u64>,
    len: usize,
}

impl Levels {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, bit: bool) {
        if self.len > 0 && self.len.is_multiple_of(64) {
            self.below.push(self.top);
        }
        self.top = (self.top << 1) | u64::from(bit);
        self.len = self.len.saturating_add(1);
    }

    /// Takes the top bit off and gives the one below it; `None` if nothing is left.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<bool> {
        self.len = self.len.checked_sub(1)?;
        self.top >>= 1;
        if self.len == 0 {
            return None;
        }
        if self.len.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
        Some(self.top & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back_across_words() {
        let bit = |index: usize| index.is_multiple_of(3);
        let mut levels = Levels::default();
        for index in 0..300 {
            levels.push(bit(index));
        }
        for index in (1..300).rev() {
            assert_eq!(levels.len(), index + 1);
            assert_eq!(levels.pop(), Some(bit(index - 1)));
        }
        assert_eq!(levels.pop(), None);
        assert_eq!(levels.len(), 0);
        assert_eq!(levels.pop(), None);
    }
}
