//! The one place where the adapters read a clock: the runtime's, mapped to the engine's.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sente_core::Instant;

use crate::runtime::{Runtime, Timer};

/// Counts from the moment the connection was made.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    began: std::time::Instant,
    runtime: Arc<dyn Runtime>,
}

impl Clock {
    pub(crate) fn start(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            began: runtime.now(),
            runtime,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::EPOCH + self.runtime.now().saturating_duration_since(self.began)
    }

    /// When the engine's `at` is for the runtime; a far future where it would overflow.
    pub(crate) fn to_std(&self, at: Instant) -> std::time::Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let since = at.saturating_duration_since(Instant::EPOCH);
        let known = self.began.checked_add(since);
        known.unwrap_or_else(|| self.runtime.now().checked_add(FAR).unwrap_or(self.began))
    }

    /// Waits for `at`; for ever without one.
    pub(crate) async fn reached(&self, at: Option<Instant>) {
        match at {
            Some(at) => {
                let (mut timer, at) = (self.timer(), self.to_std(at));
                std::future::poll_fn(|cx| timer.poll_until(cx, at)).await;
            }
            None => pending().await,
        }
    }

    pub(crate) fn timer(&self) -> Box<dyn Timer> {
        self.runtime.timer()
    }

    pub(crate) const fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }
}

/// Milliseconds since 1970, for connection ids.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
