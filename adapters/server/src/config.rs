//! What a server is told before it starts. Plain data; what is code is given to the builder.

use std::time::Duration;

use sente_core::admission::GateLimits;
use sente_core::edn::Value;
use sente_core::{HubConfig, InboxLimits, RecvRates};

/// The options of a [`Server`](crate::Server). The default suits most; change single fields on top
/// of it.
///
/// ```
/// use std::time::Duration;
/// use sente_core::SlowPolicy;
/// use sente_server::ServerConfig;
///
/// let mut config = ServerConfig::default();
/// config.hub.grace.web_socket = Duration::from_secs(10);
/// config.gate.max_per_user = Some(20);
/// config.inbox.slow = SlowPolicy::Close {
///     after: Duration::from_secs(30),
///     code: 1008,
///     reason: "too slow".into(),
/// };
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How many may be connected, and how often an address may connect. Default: as
    /// [`GateLimits`] says.
    pub gate: GateLimits,
    /// The options of the hub: grace, takeover, channels, limits, rates of broadcasts,
    /// `wrap_pushes`. Its guard is asked for every received event as well. An
    /// `unix_millis_at_epoch` of 0 is set to the time.
    pub hub: HubConfig,
    /// What sente-lite's handshake carries as its CSRF token. Default nil. Whoever connects can read
    /// it there.
    pub handshake_csrf: Value,
    /// The bounds of what waits for each connection beside its send queue, and what happens to a
    /// slow consumer.
    pub inbox: InboxLimits,
    /// Whether the request of a connection is kept for its handlers, while it lives: the memory of
    /// its headers, about a kilobyte with a browser. Default `true`.
    pub keep_requests: bool,
    /// Events of the server that wait for a slow reader of [`ServerEvents`](crate::ServerEvents);
    /// what comes on top pushes out the oldest, which is counted and told. Default 1,024.
    pub max_events: usize,
    /// How much clients may send. Default: no limit.
    pub rates: RecvRates,
    /// When to ask again whether an identity still holds. Default: never; it ends when it expires.
    pub recheck: Recheck,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            gate: GateLimits::default(),
            hub: HubConfig::default(),
            handshake_csrf: Value::Nil,
            inbox: InboxLimits::default(),
            keep_requests: true,
            max_events: 1024,
            rates: RecvRates::default(),
            recheck: Recheck::default(),
        }
    }
}

/// When to ask again whether the identity of a connection still holds: see
/// [`ServerBuilder::recheck`](crate::ServerBuilder::recheck).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recheck {
    /// Again and again after this time. Default never.
    pub every: Option<Duration>,
    /// So long before the identity expires. Default not at all.
    pub before_end: Duration,
}
