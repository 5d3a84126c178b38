//! The identities the engine hands out: connections, calls, flushes, reply tokens.

use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

use crate::calls::CallName;
use crate::queue::RateLimiter;
use crate::time::Instant;

/// The identity of one connection: a UUIDv7, so that ids sort by the time they were made.
///
/// It is ephemeral: a reconnect gets a new one, and it proves nothing about who is connected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(Uuid);

impl ConnId {
    /// Before all others.
    pub(crate) const LEAST: Self = Self(Uuid::nil());

    /// The id made at `unix_millis` (milliseconds since 1970) from 10 random bytes, both passed in
    /// since the engine has neither a clock nor randomness of its own.
    #[must_use]
    pub fn new(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, random).into_uuid())
    }

    /// When it was made, in milliseconds since 1970: what its first six bytes say.
    #[must_use]
    pub const fn unix_millis(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The 16 bytes of the UUID.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes the ids of connections: UUIDv7, each greater than the one before, also within one
/// millisecond and when the clock is set back. Nobody can guess the next from the last.
///
/// ```
/// use sente_core::{ConnIds, Instant};
///
/// // The epoch of the `Instant`s in milliseconds since 1970, and a fresh seed.
/// let mut ids = ConnIds::new(1_760_000_000_000, [7; 32]);
/// let first = ids.generate(Instant::from_millis(5));
/// let second = ids.generate(Instant::from_millis(5));
/// assert!(first < second);
/// assert_eq!(first.unix_millis(), 1_760_000_000_005);
/// ```
#[derive(Debug)]
pub struct ConnIds {
    epoch_unix_millis: u64,
    rng: ChaCha12Rng,
    millis: u64,
    /// The random bits of the last id, as a number.
    random: u128,
}

impl ConnIds {
    /// How many bits of a UUIDv7 are random.
    const BITS: u32 = 74;

    /// Ids for `Instant`s whose epoch is `epoch_unix_millis` after 1970. The seed has to be
    /// unpredictable and fresh for every process, or fixed in a test.
    #[must_use]
    pub fn new(epoch_unix_millis: u64, seed: [u8; 32]) -> Self {
        Self {
            epoch_unix_millis,
            rng: ChaCha12Rng::from_seed(seed),
            millis: 0,
            random: 0,
        }
    }

    /// The next id.
    pub fn generate(&mut self, now: Instant) -> ConnId {
        let millis = self.epoch_unix_millis.saturating_add(now.as_millis());
        // An odd step, so that it is never none.
        let next = self
            .random
            .saturating_add(u128::from(self.rng.next_u32() | 1));
        if millis > self.millis {
            self.millis = millis;
            self.random = self.fresh();
        } else if next >> Self::BITS == 0 {
            self.random = next;
        } else {
            self.millis = self.millis.saturating_add(1);
            self.random = self.fresh();
        }
        // 12 bits behind the version, then 62 behind the variant.
        let [.., high_a, high_b] = low(self.random >> 62).to_be_bytes();
        let [a, b, c, d, e, f, g, h] = low(self.random).to_be_bytes();
        ConnId::new(
            self.millis,
            &[high_a, high_b, a & 0x3f, b, c, d, e, f, g, h],
        )
    }

    /// Random bits whose first is 0, which leaves room to count on.
    fn fresh(&mut self) -> u128 {
        let high = u128::from(self.rng.next_u64());
        let bits = (high << 64) | u128::from(self.rng.next_u64());
        bits >> (128 - Self::BITS + 1)
    }
}

/// The lower half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is dropped on purpose"
)]
const fn low(bits: u128) -> u64 {
    bits as u64
}

/// Names one call of one connection until it settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// Names one flush of one connection until it settles, or several that settle together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlushId(pub(crate) u64);

/// What one link of a client leaves to the next: the numbers that the next call, flush and
/// reservation get, and how much of the send rate is used up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Legacy {
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) call: u64,
    pub(crate) flush: u64,
    pub(crate) ticket: u64,
}

/// The right to answer one call, once: it cannot be copied and [`Connection::reply`] takes it.
///
/// [`Connection::reply`]: crate::Connection::reply
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call whose token is dropped is never answered"]
pub struct ReplyToken {
    pub(crate) callback: CallName,
    /// Which connection's peer waits: a token of another connection answers nothing.
    pub(crate) connection: u64,
}
