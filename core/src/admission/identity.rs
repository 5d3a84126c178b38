//! Who was let in, for how long, and when to look again.

use core::time::Duration;

use sente_edn::Value;

use crate::time::Instant;

/// Who is connected, as the application established it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// The user id, any value; `None` where nobody is known.
    pub user: Option<Value>,
    /// What the handshake tells the client. Default nil.
    pub data: Value,
    /// When it stops being true: the end of a token, say. `None` for never.
    pub expires: Option<Instant>,
}

impl Identity {
    /// The identity of `user`.
    #[must_use]
    pub fn of(user: impl Into<Value>) -> Self {
        Self {
            user: Some(user.into()),
            ..Self::nobody()
        }
    }

    /// Somebody of whom nothing is known.
    #[must_use]
    pub const fn nobody() -> Self {
        Self {
            user: None,
            data: Value::Nil,
            expires: None,
        }
    }

    /// The same with this handshake data.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = data.into();
        self
    }

    /// The same until `expires`.
    #[must_use]
    pub const fn until(mut self, expires: Instant) -> Self {
        self.expires = Some(expires);
        self
    }
}

/// Says when the identity of one connection is to be looked at again, and when it is over.
///
/// A connection lives longer than what proved who is there: a token ends, an account is blocked.
///
/// ```
/// use std::time::Duration;
/// use sente_core::Instant;
/// use sente_core::admission::{IdentityDue, IdentityTimer};
///
/// let at = Instant::from_millis;
/// let mut timer = IdentityTimer::new(at(0), Some(at(60_000)))
///     .ask_before_end(Duration::from_secs(10));
/// assert_eq!(timer.poll_timeout(), Some(at(50_000)));
/// assert_eq!(timer.handle_timeout(at(50_000)), Some(IdentityDue::Recheck));
/// assert_eq!(timer.handle_timeout(at(60_000)), Some(IdentityDue::Expired));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTimer {
    now: Instant,
    expires: Option<Instant>,
    /// When to ask next.
    ask_at: Option<Instant>,
    every: Option<Duration>,
    before_end: Duration,
}

/// What is due for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it is to be looked at, or it is over"
)]
pub enum IdentityDue {
    /// It is over: close the connection. Told once.
    Expired,
    /// Look whether it still holds, and call [`IdentityTimer::renew`] or close the connection.
    Recheck,
}

impl IdentityTimer {
    /// The shortest time between two questions: a millisecond.
    const LEAST: Duration = Duration::from_millis(1);

    /// A timer for an identity that holds from `now` until `expires`. It asks nothing unless told to.
    #[must_use]
    pub const fn new(now: Instant, expires: Option<Instant>) -> Self {
        Self {
            now,
            expires,
            ask_at: None,
            every: None,
            before_end: Duration::ZERO,
        }
    }

    /// Asks again and again after this time; below a millisecond counts as one. Default never.
    #[must_use]
    pub fn ask_every(mut self, period: Duration) -> Self {
        self.every = Some(period.max(Self::LEAST));
        self.schedule();
        self
    }

    /// Asks once, so long before the end. Default never.
    #[must_use]
    pub fn ask_before_end(mut self, ahead: Duration) -> Self {
        self.before_end = ahead;
        self.schedule();
        self
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.ask_at, self.expires) {
            (Some(ask), Some(end)) => Some(ask.min(end)),
            (ask, end) => ask.or(end),
        }
    }

    /// Says what time it is, and hears what is due.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> Option<IdentityDue> {
        self.now = self.now.max(now);
        if self.expires.is_some_and(|end| end <= self.now) {
            self.expires = None;
            self.ask_at = None;
            self.every = None;
            return Some(IdentityDue::Expired);
        }
        if self.ask_at.is_some_and(|ask| ask <= self.now) {
            self.schedule();
            return Some(IdentityDue::Recheck);
        }
        None
    }

    /// Says that the identity still holds at `now`, and until when.
    pub fn renew(&mut self, now: Instant, expires: Option<Instant>) {
        self.now = self.now.max(now);
        self.expires = expires;
        self.schedule();
    }

    /// The next question: after the period, or ahead of the end if that comes first and has not
    /// been asked about.
    fn schedule(&mut self) {
        let ahead = self.expires.filter(|_| !self.before_end.is_zero());
        let ahead = ahead.map(|end| {
            let nanos = u64::try_from(self.before_end.as_nanos()).unwrap_or(u64::MAX);
            Instant::from_nanos(end.as_nanos().saturating_sub(nanos))
        });
        let periodic = self.every.map(|period| self.now + period);
        self.ask_at = match ahead.filter(|at| *at > self.now) {
            Some(at) => Some(periodic.map_or(at, |periodic| periodic.min(at))),
            None => periodic,
        };
    }
}
