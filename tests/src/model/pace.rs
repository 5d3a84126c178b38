//! The reference of a send rate: a bucket that leaks, in place of the engine's schedule.

use std::time::Duration;

use sente_core::Instant;

/// A bucket that each event fills by its interval, and time empties.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: u64,
    /// As full as it may be for another event.
    most: u64,
    level: u64,
    at: Instant,
}

impl Pace {
    pub(super) fn new((events, period, burst): (u32, Duration, u32)) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = period.div_ceil(u64::from(events));
        Self {
            interval,
            most: interval * u64::from(burst - 1),
            level: 0,
            at: Instant::EPOCH,
        }
    }

    fn level(&self, now: Instant) -> u64 {
        let passed = now.as_nanos().saturating_sub(self.at.as_nanos());
        self.level.saturating_sub(passed)
    }

    /// When the next event may come, if it may not now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        let over = self
            .level(now)
            .checked_sub(self.most)
            .filter(|over| *over > 0)?;
        Some(now + Duration::from_nanos(over))
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.level = self.level(now) + self.interval;
        self.at = now;
    }
}
