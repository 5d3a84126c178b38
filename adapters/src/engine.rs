//! What handles, events and drivers have in common of a connection and of a client.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use sente_core::{
    Client, ClientEvent, ClientOutbox, ClientState, ConnId, Connection, ConnectionConfig,
    ConnectionEvent, ConnectionOutbox, Instant, Message, Modules, Opened, Outbox, Peer,
    RecvCapacity, ReplyToken, SendHalf, State,
};
use tokio::sync::{Notify, watch};

use crate::ending::Ending;
use crate::shared::ABANDONED;

/// The machine behind a [`Handle`](crate::Handle) and its [`Events`](crate::Events): one
/// [`Connection`], a [`Client`] with one connection after another, or one
/// [`AjaxSession`](sente_core::ajax::AjaxSession) of a server. There are no others.
#[expect(private_bounds, reason = "nobody else's machine has what it takes")]
pub trait Engine: Machine<Told = <Self as Engine>::Event> {
    /// What it tells the application.
    type Event: Debug + Send;
}

impl Engine for Client {
    type Event = ClientEvent;
}

impl Engine for Connection {
    type Event = ConnectionEvent;
}

/// What is done with either.
pub(crate) trait Machine: SendHalf + Sized + Send + 'static {
    /// What it tells the application.
    type Told: Debug + Send;
    /// What there is to know of it without its lock.
    type Facts: Debug + Send + Sync;

    fn poll_answer(&mut self) -> Option<ConnectionEvent>;
    fn poll_event(&mut self) -> Option<Self::Told>;
    fn has_event(&self) -> bool;
    fn wants_read(&self) -> bool;
    /// Whether few enough answers wait to be written that there may be more.
    fn has_reply_room(&self) -> bool {
        true
    }
    /// Of the present link; `None` without one.
    fn recv_capacity(&self) -> Option<RecvCapacity>;
    fn set_recv_allowance(&mut self, now: Instant, bytes: usize);
    /// What payloads are packed for, where that is known.
    fn config(&self) -> Option<Arc<ConnectionConfig>>;

    /// What happened on a link, if that is what is told.
    fn of_link(told: Self::Told) -> Result<ConnectionEvent, Self::Told>;
    fn told_of_link(event: ConnectionEvent) -> Self::Told;
    /// The terms of a link, if they are told.
    fn terms(told: &Self::Told) -> Option<&Opened>;
    /// Whether a link ended.
    fn ends_link(told: &Self::Told) -> bool;
    /// Whether nothing more is told after this.
    fn is_last(told: &Self::Told) -> bool;
    /// Whether it is a message.
    fn is_message(told: &Self::Told) -> bool;
    /// The message, if it is one.
    fn message_in(told: &mut Self::Told) -> Option<&mut Message>;
    /// Whether the driver waits for this to be taken.
    fn is_waited_for(told: &Self::Told) -> bool;
    /// Takes note of what may have changed. Whether those who wait for room should look.
    fn take_note(&self, facts: &Self::Facts) -> bool;
    /// Does what has to be done where nobody reads what is told.
    fn discard(&mut self, now: Instant, told: Self::Told);
    /// Runs `f` on an outbox for modules; `user` is whose connection it is, if that is known.
    fn with_outbox<T>(
        &mut self,
        facts: &Self::Facts,
        user: Option<&str>,
        now: Instant,
        f: impl FnOnce(&mut dyn Outbox) -> T,
    ) -> T;
    /// Shows modules what was told, and gives back what others should see.
    fn show<E>(
        told: Self::Told,
        modules: &mut Modules<E>,
        facts: &Self::Facts,
        user: Option<&str>,
        now: Instant,
        out: &mut dyn Outbox,
    ) -> Option<Self::Told>;
}

impl Machine for Connection {
    type Told = ConnectionEvent;
    type Facts = ConnectionFacts;

    fn poll_answer(&mut self) -> Option<ConnectionEvent> {
        self.poll_answer()
    }

    fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.poll_event()
    }

    fn has_event(&self) -> bool {
        self.has_event()
    }

    fn wants_read(&self) -> bool {
        self.wants_read()
    }

    fn has_reply_room(&self) -> bool {
        self.has_reply_room()
    }

    fn recv_capacity(&self) -> Option<RecvCapacity> {
        Some(self.recv_capacity())
    }

    fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.set_recv_allowance(now, bytes);
    }

    fn config(&self) -> Option<Arc<ConnectionConfig>> {
        Some(self.config().clone())
    }

    fn of_link(told: ConnectionEvent) -> Result<ConnectionEvent, ConnectionEvent> {
        Ok(told)
    }

    fn told_of_link(event: ConnectionEvent) -> ConnectionEvent {
        event
    }

    fn terms(told: &ConnectionEvent) -> Option<&Opened> {
        match told {
            ConnectionEvent::Opened(opened) => Some(opened),
            _ => None,
        }
    }

    fn ends_link(told: &ConnectionEvent) -> bool {
        matches!(told, ConnectionEvent::Closed(_))
    }

    fn is_last(told: &ConnectionEvent) -> bool {
        Self::ends_link(told)
    }

    fn is_message(told: &ConnectionEvent) -> bool {
        matches!(told, ConnectionEvent::Message(_))
    }

    fn message_in(told: &mut ConnectionEvent) -> Option<&mut Message> {
        match told {
            ConnectionEvent::Message(message) => Some(message),
            _ => None,
        }
    }

    fn is_waited_for(_: &ConnectionEvent) -> bool {
        false
    }

    fn take_note(&self, facts: &ConnectionFacts) -> bool {
        let states = facts.rare_there().and_then(|rare| rare.states.get());
        if let Some(states) = states {
            let state = self.state();
            states.send_if_modified(|known| std::mem::replace(known, state) != state);
        }
        // Whoever waits for room finds out that there will be none.
        self.state() != State::Open
    }

    fn discard(&mut self, now: Instant, told: ConnectionEvent) {
        if matches!(told, ConnectionEvent::PeerFinished) {
            self.drain(now, now + ABANDONED);
        } else if let Some(token) = token_in(told) {
            self.forget(token);
        }
    }

    fn with_outbox<T>(
        &mut self,
        facts: &ConnectionFacts,
        user: Option<&str>,
        now: Instant,
        f: impl FnOnce(&mut dyn Outbox) -> T,
    ) -> T {
        f(&mut ConnectionOutbox::new(self, &facts.peer_of(user), now))
    }

    fn show<E>(
        told: ConnectionEvent,
        modules: &mut Modules<E>,
        facts: &ConnectionFacts,
        user: Option<&str>,
        now: Instant,
        out: &mut dyn Outbox,
    ) -> Option<ConnectionEvent> {
        modules.handle_event(now, &facts.peer_of(user), told, out)
    }
}

impl Machine for Client {
    type Told = ClientEvent;
    type Facts = ClientFacts;

    fn poll_answer(&mut self) -> Option<ConnectionEvent> {
        Self::of_link(self.poll_answer()?).ok()
    }

    fn poll_event(&mut self) -> Option<ClientEvent> {
        self.poll_event()
    }

    fn has_event(&self) -> bool {
        self.has_event()
    }

    fn wants_read(&self) -> bool {
        self.wants_read()
    }

    fn recv_capacity(&self) -> Option<RecvCapacity> {
        self.recv_capacity()
    }

    fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.set_recv_allowance(now, bytes);
    }

    fn config(&self) -> Option<Arc<ConnectionConfig>> {
        self.connection().map(|link| link.config().clone())
    }

    fn of_link(told: ClientEvent) -> Result<ConnectionEvent, ClientEvent> {
        match told {
            ClientEvent::Link(event) => Ok(event),
            other => Err(other),
        }
    }

    fn told_of_link(event: ConnectionEvent) -> ClientEvent {
        ClientEvent::Link(event)
    }

    fn terms(told: &ClientEvent) -> Option<&Opened> {
        match told {
            ClientEvent::Handshake(opened)
            | ClientEvent::Opened(opened)
            | ClientEvent::Reopened(opened) => Some(opened),
            _ => None,
        }
    }

    fn ends_link(told: &ClientEvent) -> bool {
        matches!(told, ClientEvent::Closed(_))
    }

    fn is_last(_: &ClientEvent) -> bool {
        // A client that closed may be told to connect again.
        false
    }

    fn is_message(told: &ClientEvent) -> bool {
        matches!(told, ClientEvent::Link(ConnectionEvent::Message(_)))
    }

    fn message_in(told: &mut ClientEvent) -> Option<&mut Message> {
        match told {
            ClientEvent::Link(ConnectionEvent::Message(message)) => Some(message),
            _ => None,
        }
    }

    fn is_waited_for(told: &ClientEvent) -> bool {
        // The next attempt may wait for it.
        matches!(
            told,
            ClientEvent::Closed(_) | ClientEvent::ConnectFailed { .. }
        )
    }

    fn take_note(&self, facts: &ClientFacts) -> bool {
        let state = self.state();
        // Whoever waits for room finds out that there will be none, or that there is.
        facts.states.send_if_modified(|known| {
            let changed = known != state;
            if changed {
                known.clone_from(state);
            }
            changed
        })
    }

    fn discard(&mut self, _: Instant, told: ClientEvent) {
        if let Some(token) = Self::of_link(told).ok().and_then(token_in) {
            self.forget(token);
        }
    }

    fn with_outbox<T>(
        &mut self,
        _: &ClientFacts,
        _: Option<&str>,
        now: Instant,
        f: impl FnOnce(&mut dyn Outbox) -> T,
    ) -> T {
        f(&mut ClientOutbox::new(self, now))
    }

    fn show<E>(
        told: ClientEvent,
        modules: &mut Modules<E>,
        _: &ClientFacts,
        _: Option<&str>,
        now: Instant,
        out: &mut dyn Outbox,
    ) -> Option<ClientEvent> {
        modules.handle_client_event(now, told, out)
    }
}

/// The right to answer that an event brings.
pub(crate) fn token_in(event: ConnectionEvent) -> Option<ReplyToken> {
    match event {
        ConnectionEvent::Message(message) => message.reply,
        ConnectionEvent::BadEvent(bad) => bad.reply,
        _ => None,
    }
}

/// What there is to know of a connection, and to tell its driver, without its lock.
#[derive(Debug)]
pub(crate) struct ConnectionFacts {
    pub(crate) id: ConnId,
    pub(crate) config: Arc<ConnectionConfig>,
    pub(crate) peer: Box<str>,
    rare: OnceLock<Box<RareFacts>>,
}

/// What most connections need only when they end, if ever.
#[derive(Debug, Default)]
pub(crate) struct RareFacts {
    /// The child should be killed.
    pub(crate) kill: Notify,
    pub(crate) pid: OnceLock<u32>,
    pub(crate) end: Ending,
    /// The states as they come, once somebody has asked for them.
    pub(crate) states: OnceLock<watch::Sender<State>>,
}

impl ConnectionFacts {
    pub(crate) fn new(id: ConnId, config: Arc<ConnectionConfig>, peer: Box<str>) -> Self {
        Self {
            id,
            config,
            peer,
            rare: OnceLock::new(),
        }
    }

    /// Made when it is first asked for.
    pub(crate) fn rare(&self) -> &RareFacts {
        self.rare.get_or_init(Box::default)
    }

    /// The same; `None` while nobody has asked.
    pub(crate) fn rare_there(&self) -> Option<&RareFacts> {
        self.rare.get().map(|rare| &**rare)
    }

    fn peer_of(&self, user: Option<&str>) -> Peer {
        match user {
            Some(user) => Peer::of_user(self.id, user),
            None => Peer::new(self.id),
        }
    }
}

/// What there is to know of a client without its lock.
#[derive(Debug)]
pub(crate) struct ClientFacts {
    pub(crate) states: watch::Sender<ClientState>,
}
