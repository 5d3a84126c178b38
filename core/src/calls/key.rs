//! How a pending call is found by its callback id.

/// What a callback id is found by: its bytes and how many they are, if that is all there is to it. Ours
/// are of this kind with most packers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    word: u64,
    len: u8,
}

impl Key {
    /// The length of those that are too long for that.
    const LONG: u8 = u8::MAX;

    /// The key, and whether it says all of the callback id.
    #[inline]
    pub(super) fn of(callback: &[u8]) -> (Self, bool) {
        match callback.try_into() {
            Ok(bytes) => (
                Self {
                    word: u64::from_le_bytes(bytes),
                    len: 8,
                },
                true,
            ),
            Err(_) => Self::of_other(callback),
        }
    }

    #[inline(never)]
    fn of_other(callback: &[u8]) -> (Self, bool) {
        let mut short = [0; 8];
        if let Some(slots) = short.get_mut(..callback.len()) {
            slots.copy_from_slice(callback);
            let key = Self {
                word: u64::from_le_bytes(short),
                len: u8::try_from(callback.len()).unwrap_or_default(),
            };
            return (key, true);
        }
        let (words, rest) = callback.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let all = words.chain(rest.iter().map(|byte| u64::from(*byte)));
        let word = all.fold(0, |hash: u64, more| {
            let hash = (hash ^ more).wrapping_mul(SPREAD);
            hash ^ (hash >> 32)
        });
        let key = Self {
            word,
            len: Self::LONG,
        };
        (key, false)
    }

    /// Callback ids are ours, so nobody chooses them to collide.
    #[inline]
    pub(super) fn hash(self) -> usize {
        // The upper bits are spread best.
        let spread = self.word.wrapping_mul(SPREAD) >> 32;
        usize::try_from(spread).unwrap_or_default()
    }
}

/// An odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
