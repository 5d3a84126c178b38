//! The server: connections in, events out.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use sente_adapters::{AnyHandle, Events, Handle};
use sente_core::admission::Gate;
use sente_core::{
    ConnId, ConnectionInfo, Dialect, Event, Fanout, FanoutError, Hub, HubEvent, Instant, JoinError,
    Member, Message, PackedEvent, Peer, SendOptions, SlowReport, Target, UserId, UserRates,
};
use smol_str::SmolStr;
use thiserror::Error;
use tokio::sync::{Notify, broadcast, watch};
use tracing::Instrument;

use crate::builder::{Hooks, ServerBuilder};
use crate::clock::{Clock, unix_millis};
use crate::config::ServerConfig;
use crate::event::{ServerEvent, ServerEvents};
use crate::line::{Line, Link, Order, Wire, lock};
#[cfg(feature = "metrics")]
use crate::metrics::Latency;
use crate::reload::{Bounds, NewConnections};
use crate::room::Room;
use crate::seed::random;
use crate::sender::{Routes, Sender};
use crate::served::{Facts, Served};
use crate::state::ServerState;
use crate::stats::{Counts, count};
use crate::streams::Streams;
use crate::terms::Terms;
use crate::trace;
use crate::writing::Writing;

/// How long after the deadline of a drain the last connections may take to end.
const CUT: Duration = Duration::from_millis(500);

/// Users, their connections and channels, on real sockets. Clones are cheap and all mean the same
/// server.
///
/// It owns no socket: [`serve`](Self::serve) takes listeners, [`join`](Self::join) connections that
/// are open already. What clients say on channels is answered by the hub, everything else is shown
/// to the handlers of a [`Router`](sente_adapters::Router).
///
/// Everything that joins, leaves or is sent to users and channels passes one lock, which decides
/// the one order that all connections of a user see. It is never held over an await, and what is
/// done under it for a connection is to put an event into its inbox. An idle connection has one
/// task, that of its driver.
///
/// ```no_run
/// use sente_adapters::{Data, ListenOptions, Listener, Router};
/// use sente_core::{Event, EventId, Target};
/// use sente_server::{Sender, Server};
///
/// async fn say(Data(text): Data<String>, sender: Sender) -> Result<(), sente_core::EventIdError> {
///     let said = Event::new(EventId::new("chat/said")?, text);
///     let _ = sender.server().fan_out(&Target::AllBut(sender.connection()), &said);
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().on("chat/say", say)?;
/// let server = Server::builder().router(router).let_everybody_in().build()?;
/// let url = "ws://127.0.0.1:8080/chsk".parse()?;
/// server.serve(Listener::bind(&url, ListenOptions::default()).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ServerConfig,
    pub(crate) hooks: Hooks,
    pub(crate) new_connections: NewConnections,
    routes: Arc<dyn Routes>,
    pub(crate) clock: Clock,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) room: Mutex<Room>,
    pub(crate) gate: Mutex<Gate>,
    /// What users have used of their rates, if there are any.
    users: Option<Mutex<UserRates>>,
    events: broadcast::Sender<ServerEvent>,
    /// The version of who is connected.
    pub(crate) uids: watch::Sender<u64>,
    /// How many connections there are.
    pub(crate) open: watch::Sender<usize>,
    /// Whether it lets nobody in any more.
    pub(crate) is_closing: watch::Sender<bool>,
    pub(crate) state: watch::Sender<ServerState>,
    /// Who takes events past the handlers, once anybody does.
    pub(crate) streams: OnceLock<Box<Streams>>,
    /// The timer is to be set anew.
    timer: Arc<Notify>,
    pub(crate) counts: Counts,
    #[cfg(feature = "metrics")]
    pub(crate) latency: OnceLock<Latency>,
    /// Who is shown what goes in and out, if anybody is.
    pub(crate) tap: OnceLock<Arc<dyn Tap>>,
}

/// Is shown what the application sends to targets and what clients send, while it passes.
pub(crate) trait Tap: Send + Sync {
    fn received(&self, peer: &Peer, event: &Event, is_call: bool);
    fn sent(&self, target: &Target, event: &Event);
}

impl Server {
    /// Begins to put a server together.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    pub(crate) fn start(builder: ServerBuilder) -> io::Result<Self> {
        let ServerBuilder {
            mut config,
            routes,
            hooks,
        } = builder;
        if config.hub.unix_millis_at_epoch == 0 {
            config.hub.unix_millis_at_epoch = unix_millis();
        }
        let rates = &config.rates;
        let has_user_rates = rates.user_bytes.is_some() || rates.user_messages.is_some();
        let clock = Clock::start();
        let bounds = Bounds {
            inbox: config.inbox.clone(),
            rates: config.rates,
            clock,
        };
        let inner = Arc::new(Inner {
            hooks,
            new_connections: NewConnections::new(bounds),
            routes,
            clock,
            runtime: tokio::runtime::Handle::current(),
            room: Mutex::new(Room::new(Hub::new(config.hub.clone(), random()?))),
            gate: Mutex::new(Gate::new(config.gate)),
            users: has_user_rates.then(|| Mutex::new(UserRates::new(rates))),
            events: broadcast::Sender::new(config.max_events.max(1)),
            uids: watch::Sender::new(0),
            open: watch::Sender::new(0),
            is_closing: watch::Sender::new(false),
            state: watch::Sender::new(ServerState::Serving),
            streams: OnceLock::new(),
            timer: Arc::new(Notify::new()),
            counts: Counts::default(),
            #[cfg(feature = "metrics")]
            latency: OnceLock::new(),
            tap: OnceLock::new(),
            config,
        });
        tokio::spawn(keep_time(Arc::downgrade(&inner), inner.timer.clone()));
        Ok(Self { inner })
    }

    /// Takes up a connection that is open already, whatever carries it, until it ends. Its handshake
    /// was written before; who it is then, [`handshake_user`](Self::handshake_user) says.
    ///
    /// # Errors
    /// [`ServerJoinError`]: there is no room. The connection is closed. While the server closes one still
    /// joins, and is drained at once.
    pub fn join<M: Served>(
        &self,
        handle: Handle<M>,
        events: Events<M>,
        terms: Terms,
    ) -> Result<UserId, ServerJoinError> {
        let facts = M::facts(&handle);
        let dialect = M::dialect(&handle);
        match self.enter::<M>(facts, dialect, terms) {
            Ok((line, user)) => {
                line.attach(handle, events);
                Ok(user)
            }
            Err(error) => {
                handle.drain(Duration::ZERO);
                Err(error)
            }
        }
    }

    /// Takes a connection into the hub. What is delivered to it waits until it is attached.
    pub(crate) fn enter<M: Served>(
        &self,
        facts: Facts,
        dialect: Dialect,
        terms: Terms,
    ) -> Result<(Arc<Line<M>>, UserId), ServerJoinError> {
        let inner = &self.inner;
        let Facts {
            id,
            packer,
            transport,
            peer: name,
        } = facts;
        let transport = terms.transport.unwrap_or(transport);
        let mut member = Member::new(packer).transport(transport).dialect(dialect);
        if let Some(user) = terms.user {
            member = member.user(user);
        }
        if let Some(label) = terms.client_id {
            member = member.client_id(label);
        }
        let config = &inner.config;
        let guard = config.hub.guard.clone();
        let bounds = inner.new_connections.bounds();
        let link = Link::new(id, terms.request, terms.place, bounds.gate(guard), bounds);
        let line = Line::<M>::new(link, inner);
        let wire: Arc<dyn Wire> = line.clone();
        let (user, closing) = self.in_room(|room, now| {
            // Before the hub says what it delivers.
            room.lines.insert(wire.clone());
            let joined = room.hub.join(now, id, member);
            match joined {
                Ok(joined) => {
                    let recheck = &config.recheck;
                    room.identities.join(now, id, terms.expires, recheck);
                    wire.link().set_user(joined.user.clone());
                    Ok((joined.user, room.closing))
                }
                Err(error) => {
                    room.lines.remove(&id);
                    Err(ServerJoinError::Join(error))
                }
            }
        })?;
        inner
            .open
            .send_modify(|open| *open = open.saturating_add(1));
        if let Some(deadline) = closing {
            wire.link().drain(deadline);
        }
        let peer = Peer::of_user(id, user.clone());
        trace::joined(&peer, transport, &name);
        self.tell(ServerEvent::Joined { peer, transport });
        Ok((line, user))
    }

    /// Lets go of a connection that has ended.
    pub(crate) fn depart(&self, id: ConnId, kept: Vec<PackedEvent>, had_its_grace: bool) {
        let line = self.in_room(|room, now| {
            if had_its_grace {
                room.hub.leave_at_once(now, id);
            } else {
                room.hub.leave_with(now, id, kept);
            }
            room.identities.leave(id);
            let line = room.lines.remove(&id)?;
            count(&mut room.gone, &*line);
            if room.closing.is_some() {
                self.inner.ends(room.lines.is_empty());
            }
            Some(line)
        });
        self.inner.end_streams_of(id);
        if line.is_some() {
            let open = &self.inner.open;
            open.send_modify(|open| *open = open.saturating_sub(1));
        }
    }

    /// Makes a connection that is in somebody else's: as a hello or a login has shown. It begins
    /// anew in the hub, without subscriptions.
    ///
    /// # Errors
    /// [`ServerJoinError`]; where it does not fit into the hub any more it is closed.
    pub fn identify(
        &self,
        id: ConnId,
        user: impl Into<UserId>,
        client_id: Option<&str>,
    ) -> Result<(), ServerJoinError> {
        let user = user.into();
        self.in_room(|room, now| {
            let (Some(info), Some(line)) = (room.hub.connection(id), room.lines.get(&id)) else {
                return Err(ServerJoinError::NotHere);
            };
            let line = line.clone();
            let Some(packer) = line.packer() else {
                return Err(ServerJoinError::NotHere);
            };
            let mut member = Member::new(packer)
                .transport(info.transport)
                .dialect(line.dialect().unwrap_or(info.dialect))
                .user(user);
            if let Some(label) = client_id {
                member = member.client_id(label);
            }
            match room.hub.join(now, id, member) {
                Ok(joined) => {
                    line.link().set_user(joined.user);
                    Ok(())
                }
                Err(error) => {
                    if line.link().order(Order::Close(1000, SmolStr::default())) {
                        line.wake();
                    }
                    Err(ServerJoinError::Join(error))
                }
            }
        })
    }

    /// Sends `event` to all that `target` means.
    ///
    /// # Errors
    /// [`FanoutError`]: then nobody gets it.
    pub fn fan_out(&self, target: &Target, event: &Event) -> Result<Fanout, FanoutError> {
        self.fan_out_with(target, event, &SendOptions::new())
    }

    /// Sends `event` in the way `options` say to all that `target` means.
    ///
    /// # Errors
    /// [`FanoutError`]: then nobody gets it.
    pub fn fan_out_with(
        &self,
        target: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Fanout, FanoutError> {
        if let Some(tap) = self.inner.tap.get() {
            tap.sent(target, event);
        }
        self.with_hub(|hub, now| hub.fan_out_with(now, target, event, options))
    }

    /// Sends `event` to one connection, behind what was sent to it before. Whether it is there.
    ///
    /// # Errors
    /// [`FanoutError`]: its packer cannot express it.
    pub fn send_to(&self, connection: ConnId, event: &Event) -> Result<bool, FanoutError> {
        let fanout = self.fan_out(&Target::Connection(connection), event)?;
        Ok(fanout.connections > 0)
    }

    /// Has all connections closed that `target` means, with a WebSocket close code and a reason:
    /// Sente's `[:chsk/close]`, which has code 1000 and no reason. How many.
    #[expect(clippy::must_use_candidate, reason = "it is done for what it does")]
    pub fn disconnect(&self, target: &Target, code: u16, reason: &str) -> usize {
        self.with_hub(|hub, now| hub.disconnect(now, target, code, reason))
    }

    /// What there is to say of all connections, the newest first. Takes time for each.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        lock(&self.inner.room).hub.connections().collect()
    }

    /// What happens in the server from now on.
    #[must_use]
    pub fn events(&self) -> ServerEvents {
        ServerEvents(self.inner.events.subscribe())
    }

    /// The time by the server's clock, which counts from its start: that of
    /// [`Terms::expires`] and of what the hub says.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// The options it was started with.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        &self.inner.config
    }

    /// Lets nobody in any more, has every connection finish what it has begun, and waits until all
    /// have ended, `within` at most; then they are cut. Listeners stop.
    pub async fn drain(&self, within: Duration) {
        let deadline = self.now() + within;
        self.inner.is_closing.send_replace(true);
        let lines: Vec<_> = {
            let mut room = lock(&self.inner.room);
            room.closing = Some(room.closing.map_or(deadline, |at| at.min(deadline)));
            self.inner.ends(room.lines.is_empty());
            room.lines.values().cloned().collect()
        };
        for line in &lines {
            if line.link().drain(deadline) {
                line.wake();
            }
        }
        drop(lines);
        let mut open = self.inner.open.subscribe();
        let all_gone = open.wait_for(|open| *open == 0);
        if tokio::time::timeout(within + CUT, all_gone).await.is_err() {
            self.close();
        }
    }

    /// Lets nobody in any more and closes every connection now: what is queued is given up.
    pub fn close(&self) {
        self.inner.is_closing.send_replace(true);
        let now = self.now();
        let lines: Vec<_> = {
            let mut room = lock(&self.inner.room);
            room.closing = Some(now);
            self.inner.ends(room.lines.is_empty());
            room.lines.values().cloned().collect()
        };
        close_all(&lines);
    }

    /// Does something with the hub, and carries out what comes of it. The hub is locked meanwhile:
    /// be quick, and use no method of the server.
    pub fn with_hub<T>(&self, f: impl FnOnce(&mut Hub, Instant) -> T) -> T {
        self.in_room(|room, now| f(&mut room.hub, now))
    }

    pub(crate) fn in_room<T>(&self, f: impl FnOnce(&mut Room, Instant) -> T) -> T {
        self.inner.in_room(f)
    }

    pub(crate) fn line(&self, id: ConnId) -> Option<Arc<dyn Wire>> {
        lock(&self.inner.room).lines.get(&id).cloned()
    }

    pub(crate) fn tell(&self, event: ServerEvent) {
        self.inner.tell(event);
    }

    pub(crate) fn tell_slow(&self, id: ConnId, report: SlowReport) {
        self.with_hub(|hub, now| hub.handle_slow(now, id, report));
    }

    pub(crate) fn user_rates(&self) -> Option<MutexGuard<'_, UserRates>> {
        self.inner.users.as_ref().map(lock)
    }

    /// Has the handlers handle a message.
    pub(crate) async fn handle(&self, message: Message, connection: AnyHandle, sender: Sender) {
        let peer = sender.peer().clone();
        let id = message.event.id.clone();
        let Some(work) = self.inner.routes.begin(message, connection, sender) else {
            trace::no_handler(&peer, &id);
            return;
        };
        #[cfg(feature = "metrics")]
        let began = self.now();
        let done = work.instrument(trace::handling(&peer, &id)).await;
        #[cfg(feature = "metrics")]
        if let Some(latency) = self.inner.latency.get() {
            latency.handled(self.now().saturating_duration_since(began));
        }
        if let Err(failure) = done {
            self.inner.counts.failure(&failure);
            trace::handler_failed(&peer, &failure);
            self.tell(ServerEvent::HandlerFailed { peer, failure });
        }
    }
}

impl Inner {
    fn in_room<T>(self: &Arc<Self>, f: impl FnOnce(&mut Room, Instant) -> T) -> T {
        let mut room = lock(&self.room);
        let now = self.clock.now();
        let result = f(&mut room, now);
        room.carry_out(now);
        for event in room.told() {
            if let HubEvent::UidsChanged { version, .. } = event {
                self.uids.send_replace(version);
            }
            trace::hub(&event);
            self.tell(ServerEvent::Hub(event));
        }
        let due = room.poll_timeout();
        if due != room.timer {
            room.timer = due;
            self.timer.notify_one();
        }
        let begins = room.begins_to_write();
        drop(room);
        if begins {
            self.runtime.spawn(Writing::of(self).run());
        }
        result
    }

    fn tell(&self, event: ServerEvent) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let lines: Vec<_> = lock(&self.room).lines.values().cloned().collect();
        close_all(&lines);
        self.timer.notify_one();
    }
}

impl From<Arc<Inner>> for Server {
    fn from(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &*self.inner.open.borrow())
            .field("is_closing", &*self.inner.is_closing.borrow())
            .finish_non_exhaustive()
    }
}

/// Why a connection did not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServerJoinError {
    /// It does not fit into the hub.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// There is no such connection.
    #[error("there is no such connection")]
    NotHere,
}

fn close_all(lines: &[Arc<dyn Wire>]) {
    for line in lines {
        if line.link().order(Order::Close(1001, SmolStr::default())) {
            line.wake();
        }
    }
}

/// Does what has its time, until the server is gone.
async fn keep_time(server: Weak<Inner>, changed: Arc<Notify>) {
    loop {
        let due = match server.upgrade() {
            Some(server) => {
                let due = lock(&server.room).timer;
                due.map(|due| server.clock.to_tokio(due))
            }
            None => return,
        };
        tokio::select! {
            () = changed.notified() => {}
            () = at(due) => {
                if let Some(server) = server.upgrade() {
                    let server = Server::from(server);
                    server.in_room(|room, now| room.hub.handle_timeout(now));
                    server.look_at_identities();
                }
            }
        }
    }
}

async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
