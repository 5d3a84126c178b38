//! A connection that comes back: what an application does with it.

mod ajax;
mod backoff;
mod carried;
mod config;
mod drive;
mod endpoints;
mod event;
mod life;
mod log;
mod offline;
mod send;
mod state;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::connection::{
    Connection, ConnectionEvent, Input, PackedSendError, RecvCapacity, SendCapacity, State,
};
use crate::error::CloseReason;
use crate::id::{ConnId, Legacy};
use crate::packer::Packer;
use crate::record::LinkRecorders;
use crate::state::{ClientInput, ClientPhase};
use crate::time::Instant;
use backoff::CustomDelay;
use endpoints::Turns;
use life::{Leaving, Link};
use log::Log;
use offline::Offline;

pub(crate) use carried::Carried;

pub use backoff::Backoff;
pub use config::{ClientConfig, ClientConfigBuilder, OnOffline};
pub use endpoints::{EndpointChange, EndpointStatus, Endpoints};
pub use event::{ClientEvent, ClientStats, Connect, ConnectFailure, StateChange};
pub use state::{Attempt, ClientState};

/// A client that connects, reconnects and waits in between, one [`Connection`] at a time.
///
/// It adds one question to the verbs of a connection: [`poll_connect`](Self::poll_connect) asks the
/// driver for a transport, which the driver opens where and how it likes, and answers with
/// [`handle_connected`](Self::handle_connected) or
/// [`handle_connect_failed`](Self::handle_connect_failed). Every input names the [`Attempt`] it
/// belongs to, so that what comes late from an old transport is ignored, and counted.
///
/// Where a WebSocket does not get through, an attempt may be answered with
/// [`handle_connected_by_ajax`](Self::handle_connected_by_ajax): its link is made of requests then, and
/// everything else stays as it is.
///
/// Nothing is restored or sent again by itself: [`ClientEvent::Reopened`] says that the application
/// should subscribe and register anew, `Undelivered` gives back the events that never left, and calls
/// settle as closed the moment their link is lost, whether they had left or not.
///
/// # The whole run loop
///
/// ```
/// use bytes::{Buf, BytesMut};
/// use sente_core::{
///     Accept, Carrier, Client, ClientConfig, ClientEvent, ClientState, Connection,
///     ConnectionConfig, Dialect, Input, Instant, Role, TransmitBuf,
/// };
///
/// let config = |role| ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket).build();
/// let mut now = Instant::EPOCH;
/// let mut client = Client::new(
///     ClientConfig::builder(config(Role::Client)?).build()?,
///     [1; 32],
///     now,
/// );
/// client.connect(now);
///
/// for life in 1..=2 {
///     // "Dial now": here the other side is another machine, in a driver a socket.
///     let connect = client.poll_connect().ok_or("no attempt is due")?;
///     let mut server = Connection::new(config(Role::Server)?, [2; 32], now);
///     server.accept(now, Accept::new("ada"));
///     client.handle_connected(now, connect.attempt);
///
///     let mut out = TransmitBuf::new();
///     while server.poll_transmit(&mut out).is_some() {
///         let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
///         server.handle_transmitted(now);
///         client.handle_input(now, connect.attempt, Input::Bytes(&mut bytes));
///     }
///     let opened = std::iter::from_fn(|| client.poll_event()).any(|event| match event {
///         ClientEvent::Opened(_) => life == 1,
///         ClientEvent::Reopened(_) => life == 2,
///         _ => false,
///     });
///     assert!(opened && client.state().is_open());
///
///     // The network goes away: after the first failure the client tries again at once.
///     client.handle_input(now, connect.attempt, Input::Failed("unplugged".into()));
///     while client.poll_event().is_some() {}
///     if let ClientState::Waiting { until, .. } = client.state() {
///         now = *until;
///         client.handle_timeout(now);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    client_id: String,
    rng: ChaCha12Rng,
    now: Instant,
    state: ClientState,
    auto_reconnect: bool,
    custom_delay: Option<CustomDelay>,

    /// Attempts and links that failed in a row, and attempts made in a row.
    failures: u32,
    number: u32,
    /// The newest attempt, and whether it is still to be given to the driver.
    attempt: Attempt,
    turns: Turns,
    dial_due: bool,
    /// When the next attempt is due, once one is waited for.
    retry_at: Instant,

    /// The present link, or the last one while it says goodbye.
    link: Option<Link>,
    /// Until when the next attempt waits for the goodbye.
    goodbye_deadline: Option<Instant>,
    /// What the next link goes on with, while there is none to ask.
    legacy: Legacy,
    offline: Offline,
    log: Log,
    last_end: Option<CloseReason>,
    /// `links` counts the links that are gone.
    stats: ClientStats,
    /// What makes the recorder of each link, if that was asked for.
    recorders: Option<LinkRecorders>,
}

impl Client {
    /// A client that does nothing until [`connect`](Self::connect).
    ///
    /// `seed` is where its client id, its jitter and the seeds of its links come from:
    /// unpredictable and fresh for every client, or fixed in a test.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let [link_salt @ .., _, _, _, _, _, _] = random;
        let client_id = config.client_id.clone().unwrap_or_else(|| {
            let id = uuid::Builder::from_random_bytes(random).into_uuid();
            id.as_hyphenated().to_string()
        });
        Self {
            client_id,
            rng,
            now,
            state: ClientState::Idle,
            auto_reconnect: config.auto_reconnect,
            custom_delay: None,
            failures: 0,
            number: 0,
            attempt: Attempt::none(link_salt),
            turns: Turns::new(&config.endpoints),
            dial_due: false,
            retry_at: now,
            link: None,
            goodbye_deadline: None,
            legacy: Legacy::default(),
            offline: Offline::new(config.on_offline, &config.connection),
            log: Log::default(),
            last_end: None,
            stats: ClientStats::default(),
            recorders: None,
            config,
        }
    }

    /// Asks for a link: at once, also where the next attempt still waits for its time. Does nothing
    /// while an attempt is under way or a link stands.
    ///
    /// A link that drains goes on as it was told, and the attempt waits for its end; for a goodbye no
    /// longer than [`ClientConfigBuilder::goodbye_timeout`].
    pub fn connect(&mut self, now: Instant) {
        self.tick(now);
        self.begin_series();
        if self.state.phase() == ClientPhase::Draining
            && let Some(link) = &mut self.link
        {
            link.followed = true;
            let opened_at = link.opened_at;
            self.forgive(opened_at);
        }
        self.step(ClientInput::Connect);
        self.settle();
    }

    /// Ends the link, if there is one, and closes: no attempt follows until
    /// [`connect`](Self::connect). What is queued comes back as undelivered, calls settle as closed,
    /// a WebSocket says goodbye.
    pub fn disconnect(&mut self, now: Instant) {
        self.tick(now);
        if matches!(
            self.state.phase(),
            ClientPhase::Connecting | ClientPhase::Waiting
        ) {
            self.last_end = Some(CloseReason::Requested);
        }
        if self.step(ClientInput::Disconnect)
            && let Some(link) = self.link.as_mut().filter(|link| !link.over)
        {
            link.leaving = Leaving::Requested;
            link.connection.close(now);
        }
        self.settle();
    }

    /// Ends the link in order and closes: new events and calls are refused, what is queued is
    /// written, owed replies and pending calls are waited for, until `deadline`. Without an open
    /// link it is [`disconnect`](Self::disconnect).
    pub fn drain(&mut self, now: Instant, deadline: Instant) {
        self.tick(now);
        if !matches!(
            self.state.phase(),
            ClientPhase::Open | ClientPhase::Draining
        ) {
            return self.disconnect(now);
        }
        self.forward_offline();
        self.step(ClientInput::Disconnect);
        if let Some(link) = &mut self.link {
            link.leaving = Leaving::Requested;
            link.connection.drain(now, deadline);
        }
        self.settle();
    }

    /// Asks for a fresh link, with fresh credentials perhaps, without any wait but that for the
    /// goodbye of the present link (see [`ClientConfigBuilder::goodbye_timeout`]). An attempt under
    /// way is given up for a new one.
    pub fn reconnect(&mut self, now: Instant) {
        self.tick(now);
        self.begin_series();
        let link = self.link.as_ref().filter(|link| !link.over);
        self.forgive(link.and_then(|link| link.opened_at));
        self.step(ClientInput::Reconnect);
        if let Some(link) = self.link.as_mut().filter(|link| !link.over) {
            link.leaving = Leaving::Requested;
            link.followed = true;
            link.connection.close(now);
            let until = now + self.config.goodbye_timeout;
            self.goodbye_deadline.get_or_insert(until);
        }
        self.settle();
    }

    /// Breaks the link as if its transport had failed: for tests of what an application does then.
    pub fn break_connection(&mut self, now: Instant) {
        self.tick(now);
        if let Some(link) = self.link.as_mut().filter(|link| !link.over) {
            let reason = String::from("broken by the application");
            link.connection.handle_input(now, Input::Failed(reason));
        }
        self.settle();
    }

    /// Has each link from the next one on written down by the recorder that `make` makes for it, from
    /// the number of the link, counted from 0; `None` for a link that is not to be recorded. See
    /// [`Recorder`](crate::record::Recorder).
    pub fn record_links(
        &mut self,
        make: impl FnMut(u64) -> Option<Box<dyn crate::record::Recorder>> + Send + 'static,
    ) {
        self.recorders = Some(LinkRecorders::new(Box::new(make)));
    }

    /// Whether to reconnect from now on. Turned off while an attempt waits for its time, the client
    /// closes; an attempt or a link under way goes on.
    pub fn set_auto_reconnect(&mut self, now: Instant, on: bool) {
        self.tick(now);
        self.auto_reconnect = on;
        if !on && self.state.phase() == ClientPhase::Waiting {
            self.step(ClientInput::Over);
        }
        self.settle();
    }

    /// Chooses the waits from now on: `delay` is given the number of failures in a row, from 1, and
    /// a random number. `None` goes back to [`Backoff::delay`]. How long a link must stand to
    /// count as stable and how many attempts are made is still for the [`Backoff`] to say.
    pub fn set_backoff(&mut self, delay: Option<Box<dyn Fn(u32, u64) -> Duration + Send + Sync>>) {
        self.custom_delay = delay.map(CustomDelay);
    }

    /// Where the client is in its life.
    #[must_use]
    pub const fn state(&self) -> &ClientState {
        &self.state
    }

    /// When the next attempt is due, while one waits for its time.
    #[must_use]
    pub const fn next_attempt_at(&self) -> Option<Instant> {
        match self.state {
            ClientState::Waiting { until, .. } => Some(until),
            _ => None,
        }
    }

    /// The label of this client, the same for all its attempts. It proves nothing.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The present link, or the last one while it says goodbye: for what it can tell. `None` also
    /// where it is one [over Ajax](Self::is_over_ajax).
    #[must_use]
    pub fn connection(&self) -> Option<&Connection> {
        self.link.as_ref()?.connection.bytes()
    }

    /// How much of the present link waits for the application, and of how much that may be.
    #[must_use]
    pub fn recv_capacity(&self) -> Option<RecvCapacity> {
        self.link
            .as_ref()
            .map(|link| link.connection.recv_capacity())
    }

    /// Where the present link is in its life, or the last one while it says goodbye.
    #[must_use]
    pub fn link_state(&self) -> Option<State> {
        self.link.as_ref().map(|link| link.connection.state())
    }

    /// What events sent now are packed with: by the open link, or for those to come.
    pub(crate) fn packer(&self) -> &Arc<dyn Packer> {
        let link = self.link.as_ref().filter(|_| self.sends_on_link());
        match link {
            Some(link) => link.connection.packer(),
            None => self.config.connection.packer(),
        }
    }

    /// The id of the present link until it ends, as its attempt [names](Attempt::link_id) it.
    #[must_use]
    pub fn link_id(&self) -> Option<ConnId> {
        let link = self.link.as_ref().filter(|link| !link.over)?;
        Some(link.attempt.link_id())
    }

    /// Counts since the client was made.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        let mut stats = self.stats;
        if let Some(link) = &self.link {
            stats.links = stats.links.plus(link.connection.stats());
        }
        stats
    }

    /// How full the send queue of the open link is; without one, the buffer for events sent
    /// offline, whose limits are 0 where they are refused.
    #[must_use]
    pub fn send_capacity(&self) -> SendCapacity {
        match &self.link {
            Some(link) if self.sends_on_link() => link.connection.send_capacity(),
            _ => self.offline.capacity(),
        }
    }

    /// Calls waiting for their reply.
    #[must_use]
    pub fn pending_calls(&self) -> usize {
        self.link
            .as_ref()
            .map_or(0, |link| link.connection.pending_calls())
    }

    /// Time enters with inputs and commands only, and never runs backwards.
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// What failed before the application asked for a link does not count against it.
    fn begin_series(&mut self) {
        let is_left = |link: &Link| link.leaving == Leaving::Requested;
        let begins = match self.state.phase() {
            ClientPhase::Closed | ClientPhase::Idle => {
                let old = self.endpoint();
                self.turns.reset();
                self.tell_endpoint(old, None);
                true
            }
            ClientPhase::Draining => self.link.as_ref().is_some_and(is_left),
            _ => false,
        };
        if begins {
            self.failures = 0;
            self.number = 0;
        }
    }
}
