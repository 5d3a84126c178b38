//! State that most connections never have: behind one pointer, made when it is first changed.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ops::Deref;

/// What a value is before it was ever changed.
pub(crate) trait Blank: Default + 'static {
    const BLANK: &'static Self;
}

impl<T: 'static> Blank for VecDeque<T> {
    const BLANK: &'static Self = &Self::new();
}

/// A `T` that takes the room of a pointer while it is blank. It reads as blank then.
#[derive(Debug)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

impl<T> Seldom<T> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Whether nothing is behind the pointer. Asked first where every message asks: it is one word
    /// to look at, and mostly the answer.
    #[inline]
    pub(crate) const fn is_blank(&self) -> bool {
        self.0.is_none()
    }

    /// What there is; `None` while it is blank.
    #[inline]
    pub(crate) fn seen(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// What there is, to change it; `None` while it is blank.
    #[inline]
    pub(crate) fn there(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Makes it blank, and gives its room back.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

impl<T: Default> Seldom<T> {
    /// The value, to change it.
    #[inline]
    pub(crate) fn make(&mut self) -> &mut T {
        self.0.get_or_insert_with(Box::default)
    }

    /// Takes the value out, and leaves it blank.
    pub(crate) fn take(&mut self) -> T {
        self.0.take().map(|it| *it).unwrap_or_default()
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Blank> Deref for Seldom<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::BLANK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_blank_takes_a_pointer_and_reads_as_blank() {
        let mut numbers: Seldom<VecDeque<u8>> = Seldom::new();
        assert_eq!(size_of_val(&numbers), size_of::<usize>());
        assert!(numbers.is_empty() && numbers.there().is_none());
        numbers.make().push_back(7);
        assert_eq!(numbers.front(), Some(&7));
        assert_eq!(numbers.take(), [7]);
        assert!(numbers.is_empty() && numbers.there().is_none());
    }
}
