//! Many connections and their hub in one machine, without locks: for the simulator, and for
//! programs with one thread.

mod config;
mod drive;
mod event;
mod outbox;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::connection::{Accept, Connection, ConnectionConfig, State, Stats};
use crate::error::CloseReason;
use crate::event::Event;
use crate::hub::{EventGate, Fanout, FanoutError, Hub, Inbox, Member, Target, UserId, UserRates};
use crate::id::{ConnId, ConnIds};
use crate::peer::Peer;
use crate::queue::SendOptions;
use crate::time::Instant;

pub use config::{AcceptError, ServerAccept, ServerConfig};
pub use event::{ServerEvent, ServerStats};

/// Connections, and the [`Hub`] that knows whose they are.
///
/// It has the five verbs of a [`Connection`], with the connection they are for:
///
/// | verb | what it does |
/// | --- | --- |
/// | [`handle_input`](Self::handle_input) | takes what a transport read |
/// | [`handle_timeout`](Self::handle_timeout) | says that the time of `poll_timeout` has come |
/// | [`poll_writable`](Self::poll_writable), [`poll_transmit`](Self::poll_transmit) | say who has something to write, and give it out, answered by [`handle_transmitted`](Self::handle_transmitted) |
/// | [`poll_timeout`](Self::poll_timeout) | says when to come back |
/// | [`poll_event`](Self::poll_event) | gives out what the application should know |
///
/// What clients say on channels is answered here; what the hub delivers goes into the inbox of each
/// connection, and from there into its send queue as there is room. Messages are only handled as
/// `poll_event` is called: not polling is backpressure.
///
/// ```
/// use bytes::{Buf, BytesMut};
/// use sente_core::{
///     ServerAccept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId,
///     Input, Instant, Role, Server, ServerConfig, Target, TransmitBuf,
/// };
///
/// let now = Instant::EPOCH;
/// let config = |role| {
///     ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket).build()
/// };
/// let mut server = Server::new(ServerConfig::default(), [1; 32]);
/// let mut client = Connection::new(config(Role::Client)?, [2; 32], now);
///
/// let id = server.open(now, config(Role::Server)?);
/// server.accept(now, id, ServerAccept::new().user("ada"))?;
/// let news = Event::new(EventId::new("news/flash")?, "read all about it");
/// server.fan_out(now, &Target::User("ada".into()), &news)?;
///
/// while let Some(id) = server.poll_writable() {
///     let mut out = TransmitBuf::new();
///     while server.poll_transmit(id, &mut out).is_some() {
///         let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
///         server.handle_transmitted(now, id);
///         client.handle_input(now, Input::Bytes(&mut bytes));
///     }
/// }
/// let message = std::iter::from_fn(|| client.poll_event()).find_map(|event| match event {
///     ConnectionEvent::Message(message) => Some(message),
///     _ => None,
/// });
/// assert_eq!(message.unwrap().event.id.as_str(), "news/flash");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    now: Instant,
    hub: Hub,
    ids: ConnIds,
    rng: ChaCha12Rng,
    users: UserRates,
    links: BTreeMap<ConnId, Link>,
    timers: BTreeSet<(Instant, ConnId)>,
    /// Who may have something to write, and who has something to tell; each once.
    writable: VecDeque<ConnId>,
    ready: VecDeque<ConnId>,
    opened: u64,
    rejected: u64,
    refused_events: u64,
    /// The counts of connections that are gone.
    gone: Stats,
    is_carrying_out: bool,
}

/// A connection with what belongs to it.
#[derive(Debug)]
struct Link {
    connection: Connection,
    inbox: Inbox,
    gate: EventGate,
    peer: Peer,
    /// Whether the application was told of its end.
    over: bool,
    /// Why it ended, if something else is told first.
    last_words: Option<CloseReason>,
    /// When it wants to be looked at, as `timers` says.
    timer: Option<Instant>,
    is_writable: bool,
    is_ready: bool,
}

impl Server {
    /// A server without connections. `seed` is where its ids, callback ids and masks come from:
    /// unpredictable and fresh for every process, or fixed in a test.
    #[must_use]
    pub fn new(config: ServerConfig, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut fresh = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            seed
        };
        let (ids, hub) = (fresh(), fresh());
        Self {
            ids: ConnIds::new(config.hub.unix_millis_at_epoch, ids),
            hub: Hub::new(config.hub.clone(), hub),
            users: UserRates::new(&config.rates),
            config,
            now: Instant::EPOCH,
            rng,
            links: BTreeMap::new(),
            timers: BTreeSet::new(),
            writable: VecDeque::new(),
            ready: VecDeque::new(),
            opened: 0,
            rejected: 0,
            refused_events: 0,
            gone: Stats::default(),
            is_carrying_out: false,
        }
    }

    /// Takes up a connection whose transport is open at `now` (a WebSocket: after its upgrade).
    /// It waits for [`accept`](Self::accept) or [`refuse`](Self::refuse).
    pub fn open(&mut self, now: Instant, config: Arc<ConnectionConfig>) -> ConnId {
        self.tick(now);
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let id = self.ids.generate(self.now);
        let guard = self.config.hub.guard.clone();
        self.links.insert(
            id,
            Link {
                connection: Connection::new(config, seed, self.now),
                inbox: Inbox::new(self.config.inbox.clone()),
                gate: EventGate::new(&self.config.rates, guard),
                peer: Peer::new(id),
                over: false,
                last_words: None,
                timer: None,
                is_writable: false,
                is_ready: false,
            },
        );
        self.opened = self.opened.saturating_add(1);
        self.refresh(id);
        id
    }

    /// Lets a connection in: its handshake goes out, it joins the hub, and if its client was away,
    /// what was kept for it follows. Whose it is.
    ///
    /// # Errors
    /// [`AcceptError`]; a connection that does not fit into the hub is closed.
    pub fn accept(
        &mut self,
        now: Instant,
        id: ConnId,
        terms: ServerAccept,
    ) -> Result<UserId, AcceptError> {
        self.tick(now);
        let now = self.now;
        let link = self.links.get_mut(&id).ok_or(AcceptError::NotWaiting)?;
        if link.connection.state() != State::Accepting {
            return Err(AcceptError::NotWaiting);
        }
        let mut member = Member::of(link.connection.config());
        if let Some(user) = terms.user {
            member = member.user(user);
        }
        if let Some(label) = terms.client_id {
            member = member.client_id(label);
        }
        if let Some(transport) = terms.transport {
            member = member.transport(transport);
        }
        match self.hub.join(now, id, member) {
            Ok(joined) => {
                link.peer.user = Some(joined.user.clone());
                let mut accept = Accept::new(joined.user.to_value());
                accept.csrf_token = terms.csrf_token;
                accept.data = terms.data;
                accept.offered = terms.offered;
                // Before what the hub has to say, so that the handshake goes first.
                link.connection.accept(now, accept);
                self.refresh(id);
                self.carry_out();
                Ok(joined.user)
            }
            Err(error) => {
                self.refuse(now, id, 1000, "");
                Err(error.into())
            }
        }
    }

    /// Does not let a connection in: it is closed with a WebSocket close code and a reason.
    pub fn refuse(&mut self, now: Instant, id: ConnId, code: u16, reason: &str) {
        self.tick(now);
        if let Some(link) = self.links.get_mut(&id) {
            self.rejected = self.rejected.saturating_add(1);
            link.connection.close_with(self.now, code, reason);
            self.refresh(id);
        }
    }

    /// Makes a connection that is in somebody else's: as a hello or a login has shown. It begins
    /// anew in the hub, without subscriptions.
    ///
    /// # Errors
    /// [`AcceptError`]; a connection that does not fit into the hub any more is closed.
    pub fn identify(
        &mut self,
        now: Instant,
        id: ConnId,
        user: impl Into<UserId>,
        client_id: Option<&str>,
    ) -> Result<(), AcceptError> {
        self.tick(now);
        let link = self.links.get_mut(&id).ok_or(AcceptError::NotWaiting)?;
        if self.hub.connection(id).is_none() {
            return Err(AcceptError::NotWaiting);
        }
        let mut member = Member::of(link.connection.config())
            .dialect(link.connection.dialect())
            .user(user);
        if let Some(label) = client_id {
            member = member.client_id(label);
        }
        let joined = self.hub.join(self.now, id, member);
        match joined {
            Ok(joined) => {
                link.peer.user = Some(joined.user);
                self.carry_out();
                Ok(())
            }
            Err(error) => {
                self.refuse(now, id, 1000, "");
                Err(error.into())
            }
        }
    }

    /// Sends `event` to all that `target` means.
    ///
    /// # Errors
    /// As for [`Hub::fan_out_with`].
    pub fn fan_out(
        &mut self,
        now: Instant,
        target: &Target,
        event: &Event,
    ) -> Result<Fanout, FanoutError> {
        self.fan_out_with(now, target, event, &SendOptions::new())
    }

    /// Sends `event` in the way `options` say to all that `target` means.
    ///
    /// # Errors
    /// As for [`Hub::fan_out_with`].
    pub fn fan_out_with(
        &mut self,
        now: Instant,
        target: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Fanout, FanoutError> {
        self.with_hub(now, |hub, now| {
            hub.fan_out_with(now, target, event, options)
        })
    }

    /// Does something with the hub, such as publishing or disconnecting a user, and carries out what
    /// comes of it.
    pub fn with_hub<T>(&mut self, now: Instant, f: impl FnOnce(&mut Hub, Instant) -> T) -> T {
        self.tick(now);
        let result = f(&mut self.hub, self.now);
        self.carry_out();
        result
    }

    /// Ends one connection now, with a WebSocket close code and a reason.
    pub fn close(&mut self, now: Instant, id: ConnId, code: u16, reason: &str) {
        self.with_connection(now, id, |connection, now| {
            connection.close_with(now, code, reason);
        });
    }

    /// Ends all connections in order, as [`Connection::drain`] does; at `deadline` they are cut.
    pub fn drain(&mut self, now: Instant, deadline: Instant) {
        let ids: Vec<ConnId> = self.links.keys().copied().collect();
        for id in ids {
            self.with_connection(now, id, |connection, now| connection.drain(now, deadline));
        }
    }

    /// Does something with one connection. `None` if it is not there (any more).
    pub fn with_connection<T>(
        &mut self,
        now: Instant,
        id: ConnId,
        f: impl FnOnce(&mut Connection, Instant) -> T,
    ) -> Option<T> {
        self.tick(now);
        let link = self.links.get_mut(&id)?;
        let result = f(&mut link.connection, self.now);
        self.refresh(id);
        Some(result)
    }

    /// The hub.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// One connection, if it is there.
    #[must_use]
    pub fn connection(&self, id: ConnId) -> Option<&Connection> {
        self.links.get(&id).map(|link| &link.connection)
    }

    /// What waits for one connection beside its send queue.
    #[must_use]
    pub fn inbox(&self, id: ConnId) -> Option<&Inbox> {
        self.links.get(&id).map(|link| &link.inbox)
    }

    /// All connections, also those that were not let in yet, in the order of their ids.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.links.keys().copied()
    }

    /// Its counts. Takes time for each connection.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let mut traffic = self.gone;
        for link in self.links.values() {
            event::add(&mut traffic, &link.connection.stats());
        }
        ServerStats {
            connections: self.links.len(),
            opened: self.opened,
            rejected: self.rejected,
            refused_events: self.refused_events,
            hub: self.hub.stats(),
            traffic,
        }
    }

    /// Time enters with inputs and commands only, and never runs backwards.
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
