//! Who may do what: the application's own checks, and limits on what a client may send.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::event::{Event, Payload};
use crate::peer::Peer;
use crate::queue::{Rate, RateLimiter};
use crate::time::Instant;

use super::user::UserId;

/// The application's own check of what clients do, made before anything comes of it: whose event,
/// which event, with which payload.
///
/// A closure is one:
///
/// ```
/// use sente_core::{Action, Denied, Guard, Peer};
///
/// let guard = |from: &Peer, action: &Action<'_>| match action {
///     Action::Event(event) if event.id.namespace() == "admin" => match from.user.as_deref() {
///         Some("root") => Ok(()),
///         _ => Err(Denied::new("not-an-admin")),
///     },
///     _ => Ok(()),
/// };
/// # fn takes(_: impl Guard) {}
/// # takes(guard);
/// ```
///
/// It is called under the hub's lock where there is one, and for every event: it should be quick
/// and must not wait. What needs waiting belongs into the admission of the connection.
pub trait Guard: Send + Sync {
    /// Whether `from` may do this.
    ///
    /// # Errors
    /// [`Denied`] if not.
    fn check(&self, from: &Peer, action: &Action<'_>) -> Result<(), Denied>;
}

impl<F> Guard for F
where
    F: Fn(&Peer, &Action<'_>) -> Result<(), Denied> + Send + Sync,
{
    fn check(&self, from: &Peer, action: &Action<'_>) -> Result<(), Denied> {
        self(from, action)
    }
}

impl fmt::Debug for dyn Guard + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// What a client is about to do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Action<'a> {
    /// It sent an event or a call, of whatever kind. Asked by a [`EventGate`].
    Event(&'a Event),
    /// It publishes on a channel. Asked by the hub.
    Publish {
        /// The channel.
        channel: &'a Value,
        /// What it publishes.
        data: &'a Payload,
    },
    /// It asks the subscribers of a channel (`:sente-lite/rpc`). Asked by the hub.
    Request {
        /// The channel.
        channel: &'a Value,
        /// What it asks.
        data: &'a Payload,
    },
    /// It answers a request that was asked on a channel. Asked by the hub.
    Respond {
        /// The channel.
        channel: &'a Value,
        /// What it publishes there: the response and what belongs to it.
        data: &'a Payload,
    },
    /// It subscribes to a channel. Asked by the hub.
    Subscribe {
        /// The channel.
        channel: &'a Value,
    },
}

/// A client may not do this.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("denied: {reason}{}", Detail(.detail.as_deref()))]
#[non_exhaustive]
pub struct Denied {
    /// Why, in a word that a keyword may be: what a denied subscribing is answered with as
    /// `:error`.
    pub reason: SmolStr,
    /// What is wrong and where, for the log and the application's own eyes; clients are not told.
    /// Default none.
    pub detail: Option<String>,
}

impl Denied {
    /// Denied for `reason`, such as `not-a-member`.
    #[must_use]
    pub fn new(reason: impl Into<SmolStr>) -> Self {
        Self {
            reason: reason.into(),
            detail: None,
        }
    }

    /// The same, and what is wrong and where.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

struct Detail<'a>(Option<&'a str>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

/// How much a client may send. What is over a rate is dropped, a call answered with an error; both
/// are counted and reported. The default is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvRates {
    /// The bytes of events on one connection: id and packed data.
    pub connection_bytes: Option<Rate>,
    /// Events and calls on one connection.
    pub connection_messages: Option<Rate>,
    /// The bytes of events on all connections of one user together.
    pub user_bytes: Option<Rate>,
    /// Events and calls on all connections of one user together.
    pub user_messages: Option<Rate>,
}

/// What every received event of one connection passes before it is dispatched: the rates, then the
/// [`Guard`]. It stands beside the connection, so that ordinary events need no hub.
#[derive(Debug)]
pub struct EventGate {
    guard: Option<Arc<dyn Guard>>,
    pace: Pace,
    refused: u64,
    /// Refused since the last report.
    untold: u64,
    told: Option<Instant>,
}

impl EventGate {
    /// How long after a report no other one is made.
    const REPORT_EVERY: Duration = Duration::from_secs(1);

    /// A gate that holds one connection to these rates.
    #[must_use]
    pub fn new(rates: &RecvRates, guard: Option<Arc<dyn Guard>>) -> Self {
        Self {
            guard,
            pace: Pace::new(rates.connection_messages, rates.connection_bytes),
            refused: 0,
            untold: 0,
            told: None,
        }
    }

    /// Whether `event` may pass. One that may not is counted, and counts for no rate.
    ///
    /// `users` are those that the user's other connections are held to as well; without them only
    /// the connection's own rates count.
    ///
    /// # Errors
    /// [`EventRefusal`] if it may not.
    pub fn check(
        &mut self,
        now: Instant,
        from: &Peer,
        event: &Event,
        users: Option<&mut UserRates>,
    ) -> Result<(), EventRefusal> {
        let checked = self.passes(now, from, event, users);
        if checked.is_err() {
            self.refused = self.refused.saturating_add(1);
            self.untold = self.untold.saturating_add(1);
        }
        checked
    }

    /// How many events were refused since the last report, if one is due: at most one a second is.
    pub fn report(&mut self, now: Instant) -> Option<u64> {
        let due = self
            .told
            .is_none_or(|told| told + Self::REPORT_EVERY <= now);
        if self.untold == 0 || !due {
            return None;
        }
        self.told = Some(now);
        Some(core::mem::take(&mut self.untold))
    }

    /// How many events it refused.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    fn passes(
        &mut self,
        now: Instant,
        from: &Peer,
        event: &Event,
        users: Option<&mut UserRates>,
    ) -> Result<(), EventRefusal> {
        let over = |of: RateOf| move |retry_at| EventRefusal::OverRate { of, retry_at };
        let mut user = match (users, &from.user) {
            (Some(users), Some(user)) => users.pace_of(now, user),
            _ => None,
        };
        self.pace.check(now).map_err(over(RateOf::Connection))?;
        if let Some(user) = &user {
            user.check(now).map_err(over(RateOf::User))?;
        }
        if let Some(guard) = &self.guard {
            guard
                .check(from, &Action::Event(event))
                .map_err(EventRefusal::Denied)?;
        }
        let size = size_of(event);
        self.pace.take(now, size);
        if let Some(user) = &mut user {
            user.take(now, size);
        }
        Ok(())
    }
}

/// Why an event may not pass.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventRefusal {
    /// The application's guard says so.
    #[error("{0}")]
    Denied(Denied),
    /// It came too early.
    #[error("over the rate of the {of} until {retry_at:?}")]
    OverRate {
        /// Whose rate.
        of: RateOf,
        /// When the next one may pass.
        retry_at: Instant,
    },
}

/// Whose rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection or its user")]
pub enum RateOf {
    /// One connection's.
    Connection,
    /// One user's, over all connections.
    User,
}

impl fmt::Display for RateOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection",
            Self::User => "user",
        })
    }
}

/// What all users have used of their rates. Users that have used nothing lately are forgotten.
#[derive(Debug)]
pub struct UserRates {
    messages: Option<Rate>,
    bytes: Option<Rate>,
    users: BTreeMap<UserId, Pace>,
    /// With so many users those that are idle are looked for.
    tidy_at: usize,
}

impl UserRates {
    const TIDY_FROM: usize = 1024;

    /// Users that are held to these rates and have used nothing.
    #[must_use]
    pub const fn new(rates: &RecvRates) -> Self {
        Self {
            messages: rates.user_messages,
            bytes: rates.user_bytes,
            users: BTreeMap::new(),
            tidy_at: Self::TIDY_FROM,
        }
    }

    /// How many users it remembers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether it remembers none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    fn pace_of(&mut self, now: Instant, user: &UserId) -> Option<&mut Pace> {
        if self.messages.is_none() && self.bytes.is_none() {
            return None;
        }
        if self.users.len() >= self.tidy_at {
            self.users.retain(|_, pace| !pace.is_idle(now));
            // Those that stay are looked at again only when as many have come.
            self.tidy_at = self.users.len().saturating_mul(2).max(Self::TIDY_FROM);
        }
        let (messages, bytes) = (self.messages, self.bytes);
        let pace = self.users.entry(user.clone());
        Some(pace.or_insert_with(|| Pace::new(messages, bytes)))
    }
}

/// A rate of messages and one of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    messages: Option<RateLimiter>,
    bytes: Option<RateLimiter>,
}

impl Pace {
    pub(super) fn new(messages: Option<Rate>, bytes: Option<Rate>) -> Self {
        Self {
            messages: messages.map(RateLimiter::new),
            bytes: bytes.map(RateLimiter::new),
        }
    }

    pub(super) fn check(&self, now: Instant) -> Result<(), Instant> {
        let retry_at = [self.messages, self.bytes]
            .into_iter()
            .flatten()
            .filter_map(|limiter| limiter.check(now).err())
            .max();
        retry_at.map_or(Ok(()), Err)
    }

    pub(super) fn take(&mut self, now: Instant, bytes: usize) {
        self.take_many(now, 1, bytes);
    }

    pub(super) fn take_many(&mut self, now: Instant, messages: usize, bytes: usize) {
        let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if let Some(limiter) = &mut self.messages {
            limiter.take_many(now, many(messages));
        }
        if let Some(limiter) = &mut self.bytes {
            limiter.take_many(now, many(bytes));
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let limiters = [self.messages, self.bytes];
        limiters
            .into_iter()
            .flatten()
            .all(|limiter| limiter.is_idle(now))
    }
}

/// What an event counts for: its id and packed data. One that was never packed counts its id.
fn size_of(event: &Event) -> usize {
    let data = event.data.as_ref().and_then(Payload::raw);
    let data = data.map_or(0, bytes::Bytes::len);
    event.id.as_str().len().saturating_add(data)
}
