//! What a link can do: dialect, carrier and role decide, and the rest of the engine asks here.

use core::time::Duration;

use crate::extensions::Extensions;

pub use crate::framing::websocket::Role;

/// Which of the two wire formats a connection speaks. They do not interoperate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "two wire formats exist")]
pub enum Dialect {
    /// Sente since 1.18: every message is `[payload callback-id]`.
    Sente,
    /// sente-lite 2.x: every message is a bare `[event-id data]`.
    SenteLite,
}

/// What carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// A byte stream with a length before each frame, for binary packers.
    LengthPrefixed,
    /// A byte stream with one frame a line, for text packers.
    Lines,
    /// A WebSocket after its upgrade.
    WebSocket,
}

impl Carrier {
    pub(crate) const fn is_stream(self) -> bool {
        !matches!(self, Self::WebSocket)
    }
}

/// When a quiet peer is pinged and when it is given up.
///
/// A peer that vanished is found after `interval + timeout` at the latest. Anything received
/// counts as life, whatever it is: sente-lite's browser client stops answering pings after its
/// first reconnect, and must not be cut off while it talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// Nothing received for this long: ping.
    pub interval: Duration,
    /// Nothing received for this long after a ping: close.
    pub timeout: Duration,
}

impl Keepalive {
    /// A keepalive of these two times.
    #[must_use]
    pub const fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }

    /// Without zeros: a deadline that is always due would keep the driver spinning.
    pub(crate) fn at_least_a_millisecond(self) -> Self {
        const LEAST: Duration = Duration::from_millis(1);
        Self::new(self.interval.max(LEAST), self.timeout.max(LEAST))
    }

    /// The default of a side: a Sente client 10 s and 5 s, a Sente server 12.5 s and 10 s (what
    /// Sente's 20 s and 25 s come to once it has halved them), sente-lite 30 s and 30 s.
    #[must_use]
    pub const fn default_for(role: Role, dialect: Dialect) -> Self {
        match (dialect, role) {
            (Dialect::Sente, Role::Client) => {
                Self::new(Duration::from_secs(10), Duration::from_secs(5))
            }
            (Dialect::Sente, Role::Server) => {
                Self::new(Duration::from_millis(12_500), Duration::from_secs(10))
            }
            (Dialect::SenteLite, _) => Self::new(Duration::from_secs(30), Duration::from_secs(30)),
        }
    }
}

/// The dialect as it applies to one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) role: Role,
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
    /// Those in force.
    pub(crate) extensions: Extensions,
}

impl Profile {
    /// Whether several events may leave in one frame: a Sente server's pushes do, and what was
    /// negotiated.
    pub(crate) fn batches(self) -> bool {
        self.extensions.batch || (self.dialect == Dialect::Sente && self.role == Role::Server)
    }

    /// Whether batches go to a reader that drops the whole frame for one event it cannot read: to
    /// one of this engine only where that was negotiated.
    pub(crate) fn batches_for_stock(self) -> bool {
        self.batches() && !self.extensions.batch
    }

    /// Whether this side may call the peer. Over WebSocket a stock Sente client has no way to
    /// answer.
    pub(crate) fn can_call(self) -> bool {
        self.stream
            || self.dialect == Dialect::SenteLite
            || self.role == Role::Client
            || self.extensions.calls
    }

    /// Whether replies are `[data callback-id]`, as over a stock Sente WebSocket, and not
    /// `[:chsk/reply {:cb-uuid .. :data ..}]`. Where both sides call, the former would be taken
    /// for a call.
    pub(crate) fn positional_replies(self) -> bool {
        self.dialect == Dialect::Sente && !self.stream && !self.extensions.calls
    }
}
