//! How long a client waits before it tries again.

use alloc::boxed::Box;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

/// Exponential backoff with full jitter and a cap.
///
/// After the first failure in a row the next attempt is made at once; after the second it waits for
/// a random time of up to `min`, then of up to `2·min`, `4·min` and so on up to `max`. Random over
/// the whole range ("full jitter"), so that a thousand clients that lost one server do not come back
/// in step.
///
/// A link counts as a failure, too, unless it was open for `stable_for`: a server that shakes hands
/// and drops is not hammered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The longest wait after the second failure. Default 0.5 s, as Sente's.
    pub min: Duration,
    /// The longest wait of all. Default 30 s. Below `min` it counts as `min`.
    pub max: Duration,
    /// How long a link has to be open until the failures before it are forgotten. Default 5 s.
    pub stable_for: Duration,
    /// How many attempts are made in a row without a stable link; `None` for ever. Default `None`.
    pub max_attempts: Option<NonZeroU32>,
}

impl Backoff {
    /// The wait after `failures` failures in a row. `random` is a uniformly random number.
    ///
    /// ```
    /// use core::time::Duration;
    /// let backoff = sente_core::Backoff::default();
    /// assert_eq!(backoff.delay(1, u64::MAX), Duration::ZERO);
    /// assert_eq!(backoff.delay(2, u64::MAX), Duration::from_millis(500));
    /// assert_eq!(backoff.delay(3, u64::MAX / 2), Duration::from_millis(500));
    /// assert_eq!(backoff.delay(100, u64::MAX), Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let ceiling = self.min.saturating_mul(factor).min(self.max.max(self.min));
        // Up to 2^64 ns, 584 years, `random` scales in 128 bits without overflow.
        let nanos = u128::from(u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX));
        let scaled = nanos.saturating_add(1).saturating_mul(u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(500),
            max: Duration::from_secs(30),
            stable_for: Duration::from_secs(5),
            max_attempts: None,
        }
    }
}

/// An application's own way to choose the wait, see [`Client::set_backoff`].
///
/// [`Client::set_backoff`]: crate::Client::set_backoff
pub(crate) struct CustomDelay(pub(crate) Box<dyn Fn(u32, u64) -> Duration + Send + Sync>);

impl fmt::Debug for CustomDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomDelay")
    }
}
