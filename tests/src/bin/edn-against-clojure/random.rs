//! Random choices that a seed repeats.

/// The generator `splitmix64`.
pub(crate) struct Random(u64);

impl Random {
    /// The choices for one document; each has its own, so that it can be repeated alone.
    pub(crate) fn new(seed: u64, document: u64) -> Self {
        let mut random = Self(seed);
        random.0 = random.next() ^ document;
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below the bound, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// Whether one of so many cases comes up.
    pub(crate) fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// So many characters from those given.
    pub(crate) fn chars(&mut self, from: &str, count: usize) -> String {
        let from: Vec<char> = from.chars().collect();
        (0..count).map(|_| from[self.below(from.len())]).collect()
    }

    /// Any character, those of few bytes more often.
    pub(crate) fn char(&mut self) -> char {
        let highest = [0x7f, 0xff, 0x7ff, 0x20ff, 0xffff, 0x10_ffff];
        let highest = highest[self.below(highest.len())];
        loop {
            let code = u32::try_from(self.between(0, highest)).unwrap_or(0);
            if let Some(c) = char::from_u32(code) {
                return c;
            }
        }
    }
}
