//! How often something may happen: the generic cell rate algorithm (GCRA), the clock passed in.

use core::time::Duration;

use crate::time::Instant;

/// So many in a period, and so many at once.
///
/// Rounding is in favour of less: no more than `events_per` happen in any `period` once the burst
/// is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The nanoseconds one event takes; `None` where none is ever allowed.
    interval: Option<u64>,
    /// How far ahead of that pace a burst may run, in nanoseconds.
    tolerance: u64,
}

impl Rate {
    /// `events_per` events in each `period`, and up to `burst` of them at once after a pause. With
    /// 0 events or a burst of 0 none is allowed; with a period of zero there is no limit.
    #[must_use]
    pub fn new(events_per: u32, period: Duration, burst: u32) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = (events_per > 0 && burst > 0).then(|| period.div_ceil(events_per.into()));
        let ahead = u64::from(burst.saturating_sub(1));
        Self {
            interval,
            tolerance: interval.unwrap_or(0).saturating_mul(ahead),
        }
    }

    /// What it comes to: the nanoseconds one event takes, if any is allowed, and how far ahead of
    /// that pace a burst may run.
    pub(crate) const fn parts(self) -> (Option<u64>, u64) {
        (self.interval, self.tolerance)
    }

    pub(crate) const fn from_parts(interval: Option<u64>, tolerance: u64) -> Self {
        Self {
            interval,
            tolerance,
        }
    }
}

/// Holds something to a [`Rate`]. Ask with [`check`](Self::check), then [`take`](Self::take).
///
/// ```
/// use std::time::Duration;
/// use sente_core::{Instant, Rate, RateLimiter};
///
/// let mut limiter = RateLimiter::new(Rate::new(10, Duration::from_secs(1), 1));
/// let now = Instant::EPOCH;
/// assert!(limiter.check(now).is_ok());
/// limiter.take(now);
/// assert_eq!(limiter.check(now), Err(Instant::from_millis(100)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimiter {
    rate: Rate,
    /// When the next event would be due if all came at an even pace.
    due: Instant,
}

impl RateLimiter {
    /// A limiter that has seen nothing yet: a whole burst is free.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self {
            rate,
            due: Instant::EPOCH,
        }
    }

    /// Whether one is allowed at `now`.
    ///
    /// # Errors
    /// When the next one will be; the far end of time for a rate that allows none.
    pub const fn check(&self, now: Instant) -> Result<(), Instant> {
        if self.rate.interval.is_none() {
            return Err(Instant::from_nanos(u64::MAX));
        }
        let nanos = self.due.as_nanos().saturating_sub(self.rate.tolerance);
        if now.as_nanos() < nanos {
            return Err(Instant::from_nanos(nanos));
        }
        Ok(())
    }

    /// The parts of its rate, and when the next event would be due.
    pub(crate) const fn parts(&self) -> (Option<u64>, u64, Instant) {
        let (interval, tolerance) = self.rate.parts();
        (interval, tolerance, self.due)
    }

    pub(crate) const fn from_parts(interval: Option<u64>, tolerance: u64, due: Instant) -> Self {
        Self {
            rate: Rate::from_parts(interval, tolerance),
            due,
        }
    }

    /// Goes on where `earlier` is, if it held to the same rate.
    pub(crate) fn continue_from(&mut self, earlier: Self) {
        if self.rate == earlier.rate {
            self.due = earlier.due;
        }
    }

    /// Whether nothing is used up: it is as good as a new one.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Counts one that happened at `now`, allowed or not.
    pub fn take(&mut self, now: Instant) {
        self.take_many(now, 1);
    }

    /// Counts `count` that happened at `now`, allowed or not. More than are free at once put the
    /// limiter in debt, which has to pass before [`check`](Self::check) allows the next: so a
    /// message of many bytes passes as a whole, and the rate still holds in the long run.
    pub fn take_many(&mut self, now: Instant, count: u64) {
        let nanos = self.rate.interval.unwrap_or(0).saturating_mul(count);
        self.due = self.due.max(now) + Duration::from_nanos(nanos);
    }
}
