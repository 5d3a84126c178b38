//! What a client is told before it starts.

use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::backoff::Backoff;
use super::endpoints::Endpoints;
use crate::connection::{ConfigError, ConnectionConfig};
use crate::profile::Role;

/// The configuration of a reconnecting client.
///
/// ```
/// use sente_core::{Backoff, Carrier, ClientConfig, ConnectionConfig, Dialect, OnOffline, Role};
///
/// let link = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket).build()?;
/// let config = ClientConfig::builder(link)
///     .backoff(Backoff::default())
///     .on_offline(OnOffline::buffer())
///     .build()?;
/// # Ok::<(), sente_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ClientConfig {
    pub(crate) connection: Arc<ConnectionConfig>,
    pub(crate) backoff: Backoff,
    pub(crate) auto_reconnect: bool,
    pub(crate) on_offline: OnOffline,
    pub(crate) client_id: Option<String>,
    pub(crate) goodbye_timeout: Duration,
    pub(crate) endpoints: Endpoints,
    pub(crate) keep_undelivered: bool,
}

impl ClientConfig {
    /// Starts a configuration whose links are made with `connection`, unless the driver says
    /// otherwise for an attempt. Limits and keepalive of a link are set there.
    pub fn builder(connection: Arc<ConnectionConfig>) -> ClientConfigBuilder {
        ClientConfigBuilder {
            connection,
            backoff: Backoff::default(),
            auto_reconnect: true,
            on_offline: OnOffline::Refuse,
            client_id: None,
            goodbye_timeout: Duration::from_secs(1),
            endpoints: Endpoints::new([""]),
            keep_undelivered: false,
        }
    }

    /// The configuration of a link.
    #[must_use]
    pub const fn connection(&self) -> &Arc<ConnectionConfig> {
        &self.connection
    }
}

/// Builds a [`ClientConfig`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientConfigBuilder {
    connection: Arc<ConnectionConfig>,
    backoff: Backoff,
    auto_reconnect: bool,
    on_offline: OnOffline,
    client_id: Option<String>,
    goodbye_timeout: Duration,
    endpoints: Endpoints,
    keep_undelivered: bool,
}

impl ClientConfigBuilder {
    /// How long to wait between attempts, and how many to make. Default [`Backoff::default`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Whether to reconnect when a link is lost or an attempt fails. Default yes. Can be changed
    /// at run time.
    pub fn auto_reconnect(mut self, on: bool) -> Self {
        self.auto_reconnect = on;
        self
    }

    /// What happens to events sent while no link is open. Default [`OnOffline::Refuse`].
    pub fn on_offline(mut self, policy: OnOffline) -> Self {
        self.on_offline = policy;
        self
    }

    /// The label this client gives itself in every attempt. Default a random UUID, made from the
    /// seed, the same for all attempts of one client. It proves nothing.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// How long a link that ends may still take before the next attempt is given out: to write a
    /// close frame, or what was queued when the peer ended its side of a byte stream. Default 1 s.
    /// A link whose transport failed gets no time at all.
    pub fn goodbye_timeout(mut self, timeout: Duration) -> Self {
        self.goodbye_timeout = timeout;
        self
    }

    /// The endpoints that attempts go to, in turn: [`Connect`](super::Connect) says which. Default
    /// one without a name.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Whether events that were still queued on a link when it was lost are kept for the next, ahead
    /// of what was sent since, instead of coming back as undelivered. Default no. Only where
    /// [`OnOffline::Buffer`] keeps events, and within its limits: those that have no place come back.
    ///
    /// None is sent twice: only events that never left the queue are kept, with their policy and
    /// priority. One of [`Policy::Latest`](crate::Policy::Latest) goes where a newer of its key was
    /// sent since. What had left, and what was under way over Ajax, may have arrived or not.
    pub fn keep_undelivered(mut self, on: bool) -> Self {
        self.keep_undelivered = on;
        self
    }

    /// The finished configuration.
    ///
    /// # Errors
    /// [`ConfigError::NotAClient`] if the links would be a server's.
    pub fn build(self) -> Result<Arc<ClientConfig>, ConfigError> {
        if self.connection.role() != Role::Client {
            return Err(ConfigError::NotAClient);
        }
        Ok(Arc::new(ClientConfig {
            connection: self.connection,
            backoff: self.backoff,
            auto_reconnect: self.auto_reconnect,
            on_offline: self.on_offline,
            client_id: self.client_id,
            goodbye_timeout: self.goodbye_timeout,
            endpoints: self.endpoints,
            keep_undelivered: self.keep_undelivered,
        }))
    }
}

/// What happens to events sent while a client has no open link but tries to get one. Calls are
/// refused in either case: their time runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOffline {
    /// They are kept and queued, in order, as soon as a link opens; if the client is closed first,
    /// they come back as undelivered.
    ///
    /// The buffer goes by the rules of a link's send queue: beyond its limits an event is refused
    /// as full, unless its [`Policy`](crate::Policy) says what to drop for it; one of the same key
    /// is replaced; a volatile one would have to wait, so it is dropped. Every drop is counted in
    /// [`ClientStats`](crate::ClientStats) and told by `ConnectionEvent::Dropped`. Policies,
    /// priorities and flushes go with the events to the link, those of normal priority first where
    /// its room or its rate lets them go one by one.
    ///
    /// Only what was sent while offline is kept. What was queued on a link that was lost comes back
    /// as undelivered, unless [`ClientConfigBuilder::keep_undelivered`] says otherwise: nothing is
    /// sent twice behind the application's back.
    Buffer {
        /// How many events are kept.
        max_messages: usize,
        /// How many bytes of packed events are kept.
        max_bytes: usize,
    },
    /// They are refused and given back.
    Refuse,
}

impl OnOffline {
    /// A buffer of the size of a link's send queue by default: 1,000 events, 8 MiB.
    #[must_use]
    pub const fn buffer() -> Self {
        Self::Buffer {
            max_messages: 1_000,
            max_bytes: 8 * 1024 * 1024,
        }
    }
}
