//! Where a connection's random numbers come from: made when the first is needed, since a server that
//! calls nobody needs none.

use alloc::boxed::Box;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The random numbers of one connection, all of one seed.
#[derive(Debug)]
pub(super) struct Chance {
    seed: [u8; 32],
    numbers: Option<Box<ChaCha12Rng>>,
}

/// What a connection takes first.
#[derive(Debug)]
pub(super) struct Beginning {
    /// What marks its reply tokens.
    pub(super) serial: u64,
    /// Where its WebSocket masks come from.
    pub(super) mask_seed: [u8; 32],
}

impl Chance {
    pub(super) fn new(seed: [u8; 32]) -> (Self, Beginning) {
        let (_, beginning) = begun(seed);
        let chance = Self {
            seed,
            numbers: None,
        };
        (chance, beginning)
    }

    /// The next number behind the beginning.
    pub(super) fn next(&mut self) -> u64 {
        let seed = self.seed;
        let numbers = self.numbers.get_or_insert_with(|| Box::new(begun(seed).0));
        numbers.next_u64()
    }
}

/// The numbers of a seed behind the beginning, which is taken.
fn begun(seed: [u8; 32]) -> (ChaCha12Rng, Beginning) {
    let mut numbers = ChaCha12Rng::from_seed(seed);
    let serial = numbers.next_u64();
    let mut mask_seed = [0; 32];
    numbers.fill_bytes(&mut mask_seed);
    (numbers, Beginning { serial, mask_seed })
}
