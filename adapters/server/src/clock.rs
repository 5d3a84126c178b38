//! The one place where the server reads a clock: tokio's, mapped to the engine's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sente_core::Instant;

/// Counts from the moment the server was made. Follows tokio's paused time in tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::EPOCH + self.0.elapsed()
    }

    /// When `at` is for tokio; a far future where it would overflow.
    pub(crate) fn to_tokio(self, at: Instant) -> tokio::time::Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let from_now = at.saturating_duration_since(self.now()).min(FAR);
        tokio::time::Instant::now() + from_now
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
