//! What a hub is told before anybody joins: grace, takeover, limits, channels, rates.

use alloc::sync::Arc;
use core::time::Duration;

use smol_str::SmolStr;

use crate::id::ConnId;
use crate::profile::Dialect;
use crate::queue::Rate;
use crate::time::Instant;

use super::guard::Guard;
use super::inbox::InboxLimits;
use super::member::TransportKind;
use super::user::UserId;

/// The options of a [`Hub`](crate::Hub). The default suits most; change single fields on top of it.
///
/// ```
/// use std::time::Duration;
/// use sente_core::HubConfig;
///
/// let mut config = HubConfig::default();
/// config.grace.web_socket = Duration::from_secs(10);
/// config.channels.auto_create = false;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HubConfig {
    /// How many broadcasts may leave. Default: as many as there are.
    pub broadcast: BroadcastRate,
    /// The channels. Default: as sente-lite's server has them.
    pub channels: ChannelConfig,
    /// How long a user counts as connected after a connection ended.
    pub grace: Grace,
    /// Who may subscribe and publish. Default: everybody. See [`Guard`].
    pub guard: Option<Arc<dyn Guard>>,
    /// Every number that bounds what the hub holds.
    pub limits: HubLimits,
    /// Who a connection is that was given no user id. Default [`Nobody::ByDialect`].
    pub nobody: Nobody,
    /// What happens when a client connects while it is connected. Default [`Takeover::Newest`].
    pub takeover: Takeover,
    /// What `Instant::EPOCH` is in milliseconds since 1970: for the times that requests over
    /// channels carry. Default 0.
    pub unix_millis_at_epoch: u64,
    /// Whether broadcasts and channel messages reach sente-lite clients as `[:chsk/recv event]`, as
    /// sente-lite's `:wrap-recv-evs?` says. Default `false`. Sente's clients would close the
    /// connection, so that they never get it.
    pub wrap_pushes: bool,
}

impl HubConfig {
    /// Who a connection is: `given`, or what [`nobody`](Self::nobody) says. This is what its
    /// handshake carries.
    #[must_use]
    pub fn user_of(&self, connection: ConnId, dialect: Dialect, given: Option<UserId>) -> UserId {
        let itself = || UserId::from(alloc::format!("{connection}"));
        match (given, self.nobody, dialect) {
            (Some(user), ..) => user,
            (None, Nobody::Connection, _) | (None, Nobody::ByDialect, Dialect::SenteLite) => {
                itself()
            }
            (None, Nobody::NilUid, _) | (None, Nobody::ByDialect, Dialect::Sente) => UserId::NOBODY,
        }
    }

    pub(super) const fn unix_millis(&self, now: Instant) -> u64 {
        self.unix_millis_at_epoch.saturating_add(now.as_millis())
    }
}

/// How long a user counts as connected after the connection of a client ended, and what is pushed
/// to it is kept: by transport. Zero means not at all.
///
/// A connection that is its own user has no grace: it can never come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grace {
    /// Ajax long polling. Default 5 s, Sente's `:ms-allow-reconnect-before-close-ajax`.
    pub ajax: Duration,
    /// TCP, Unix sockets, pipes. Default 2.5 s, as for a WebSocket.
    pub stream: Duration,
    /// WebSocket. Default 2.5 s, Sente's `:ms-allow-reconnect-before-close-ws`.
    pub web_socket: Duration,
}

impl Grace {
    /// None at all.
    pub const NONE: Self = Self {
        ajax: Duration::ZERO,
        stream: Duration::ZERO,
        web_socket: Duration::ZERO,
    };

    pub(super) const fn of(self, transport: TransportKind) -> Duration {
        match transport {
            TransportKind::Ajax => self.ajax,
            TransportKind::Stream => self.stream,
            TransportKind::WebSocket => self.web_socket,
        }
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            ajax: Duration::from_secs(5),
            stream: Duration::from_millis(2500),
            web_socket: Duration::from_millis(2500),
        }
    }
}

/// Who a connection is that was given no user id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Nobody {
    /// As its dialect has it: in Sente's [`NilUid`](Self::NilUid), in sente-lite's
    /// [`Connection`](Self::Connection).
    #[default]
    ByDialect,
    /// The connection is its own user: the user id is the text of the connection id.
    Connection,
    /// All of them are one user, [`UserId::NOBODY`].
    NilUid,
}

/// What happens when a client (the same user, client id and transport) connects while a connection
/// of it is open.
///
/// A connection that is taken over can still send, subscribe, be answered and be sent to by its own
/// id; what is sent to its user or to all goes to the newest one. When that ends, the newest of
/// those that are still open takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Takeover {
    /// All of them receive.
    All,
    /// The newest receives; the older ones stay open. As in Sente.
    #[default]
    Newest,
    /// The newest receives; the older ones are closed, with code 1000 and the reason
    /// `taken over`. Sente's clients reconnect after any close: two that share a client id for ever
    /// will take turns for ever.
    NewestClosesOthers,
}

/// How many broadcasts (to all, to all but one, to channels) may leave. What is too early waits, in
/// order, within [`HubLimits::max_waiting_broadcasts`]; what does not fit there is refused. A push
/// to a user or a connection is no broadcast and waits for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastRate {
    /// The bytes handed to connections: an event's packed bytes, for each of them. Default: no
    /// limit.
    pub bytes: Option<Rate>,
    /// The events handed to connections, one for each of them. Default: no limit.
    pub deliveries: Option<Rate>,
}

/// Every number that bounds what a hub holds. `0` means none, never "unlimited".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubLimits {
    /// Clients that ended and whose grace runs, all users together; for one more the grace of the
    /// one that ends soonest ends at once. Default 10,000.
    pub max_away: usize,
    /// The bytes of a client id. Default 256; Sente's clients choose 36.
    pub max_client_id_bytes: usize,
    /// Connections. Default 100,000. sente-lite's server has 1,000.
    pub max_connections: usize,
    /// Events of [`Hub::poll_event`](crate::Hub::poll_event) that wait to be taken; more are
    /// counted, and told as `HubEvent::Missed`. Default 10,000.
    pub max_events: usize,
    /// What is kept for one client in its grace. Default 1,000 messages and 1 MiB.
    pub kept: InboxLimits,
    /// How long a push to a client in its grace is kept, counted from the end of its connection, if
    /// that is less than the grace. Default 30 s.
    pub keep_for: Duration,
    /// The bytes kept for all clients in their grace together. Default 64 MiB.
    pub max_kept_bytes: usize,
    /// Connections of one user. Default 100,000.
    pub max_user_connections: usize,
    /// Broadcasts that wait for their rate. Default 1,000.
    pub max_waiting_broadcasts: usize,
    /// The bytes of broadcasts that wait for their rate. Default 8 MiB.
    pub max_waiting_broadcast_bytes: usize,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            max_away: 10_000,
            max_client_id_bytes: 256,
            max_connections: 100_000,
            max_events: 10_000,
            kept: InboxLimits {
                max_bytes: 1024 * 1024,
                ..InboxLimits::default()
            },
            keep_for: Duration::from_secs(30),
            max_kept_bytes: 64 * 1024 * 1024,
            max_user_connections: 100_000,
            max_waiting_broadcasts: 1_000,
            max_waiting_broadcast_bytes: 8 * 1024 * 1024,
        }
    }
}

/// The options of a hub's channels. Default: as sente-lite's server has them, where it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// Whether subscribing makes a channel that is not there. Default `true`. Publishing never
    /// does.
    pub auto_create: bool,
    /// Whether clients' `:sente-lite/subscribe`, `unsubscribe`, `publish` and `rpc` are taken at
    /// all; if not, they are ordinary events. Default `true`.
    pub enabled: bool,
    /// Channels. Default 10,000. For one more, the longest unused one gives way that subscribing
    /// made and nobody is subscribed to; sente-lite keeps every channel for ever.
    pub max_channels: usize,
    /// The packed bytes of a channel id. Default 1,024.
    pub max_id_bytes: usize,
    /// Requests over channels that wait for their response. Default 10,000.
    pub max_requests: usize,
    /// Requests over channels of one connection that wait for their response. Default 100.
    pub max_requests_per_connection: usize,
    /// The bytes of retained messages of all channels together. Default 64 MiB. What does not fit
    /// is not retained, and counted.
    pub max_retained_bytes: usize,
    /// Channels that one connection is subscribed to. Default 100.
    pub max_subscriptions: usize,
    /// What channels are like that subscribing made.
    pub new_channels: ChannelOptions,
    /// How long a request over a channel waits for its response, and at most may. Default 30 s.
    pub request_timeout: Duration,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            auto_create: true,
            enabled: true,
            max_channels: 10_000,
            max_id_bytes: 1_024,
            max_requests: 10_000,
            max_requests_per_connection: 100,
            max_retained_bytes: 64 * 1024 * 1024,
            max_subscriptions: 100,
            new_channels: ChannelOptions::default(),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// What one channel is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelOptions {
    /// Subscribers. Default 1,000.
    pub max_subscribers: usize,
    /// The last so many messages are delivered to whoever subscribes anew. Default 0.
    pub retain_messages: usize,
    /// As many of them as have so many packed bytes together. Default 1 MiB.
    pub retain_bytes: usize,
}

impl ChannelOptions {
    /// The same, with the last `messages` retained.
    #[must_use]
    pub const fn retain(mut self, messages: usize) -> Self {
        self.retain_messages = messages;
        self
    }

    /// The same, with at most `subscribers`.
    #[must_use]
    pub const fn max_subscribers(mut self, subscribers: usize) -> Self {
        self.max_subscribers = subscribers;
        self
    }
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            max_subscribers: 1_000,
            retain_messages: 0,
            retain_bytes: 1024 * 1024,
        }
    }
}

/// The reason a connection is closed with that was taken over.
pub(super) const TAKEN_OVER: SmolStr = SmolStr::new_static("taken over");
