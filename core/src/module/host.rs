//! Several modules on one side: who gets which message, and what all of them are told.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::any::Any;
use core::fmt;

use smol_str::SmolStr;
use thiserror::Error;

use crate::client::{Client, ClientEvent, ClientState};
use crate::connection::{Connection, ConnectionEvent, Message};
use crate::error::CallError;
use crate::event::Payload;
use crate::id::CallId;
use crate::peer::{Peer, PeerChange};
use crate::time::Instant;

use super::{ClientOutbox, ConnectionOutbox, Module, Outbox};

/// Modules side by side: each gets the messages of its namespace, the ends of its calls, its time,
/// and word of every peer that comes, comes back and goes.
///
/// What the modules tell becomes one `E`, which is made [`From`] the event of each of them; for a
/// single module it is that module's own event.
///
/// It is driven like a module, and does nothing by itself. On a connection,
/// [`poll_connection`](Self::poll_connection) passes on what is not for the modules; on a client
/// that comes back [`poll_client`](Self::poll_client) does, and tells them of
/// [`PeerChange::Opened`], `Reopened` and `Closed`. A server calls
/// [`handle_event`](Self::handle_event) for each of its connections.
///
/// ```
/// # use sente_core::{Client, ClientEvent, ClientOutbox, Instant, Modules};
/// fn step<E>(modules: &mut Modules<E>, client: &mut Client, now: Instant) {
///     while let Some(event) = modules.poll_client(now, client) {
///         // What is not for the modules.
/// #       drop(event);
///     }
///     modules.handle_timeout(now, &mut ClientOutbox::new(client, now));
///     while let Some(told) = modules.poll_event() {
///         // What the modules have to tell.
/// #       drop(told);
///     }
/// }
/// ```
///
/// and that again at the time of [`poll_timeout`](Self::poll_timeout), as with a client. The
/// modules send only in these calls, so what they queued is written after them.
pub struct Modules<E> {
    by_namespace: BTreeMap<SmolStr, Box<dyn Part<E>>>,
    /// The link of a client whose events are being told, and whether it has opened.
    link: Option<(Peer, bool)>,
}

impl<E> Modules<E> {
    /// No modules.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            by_namespace: BTreeMap::new(),
            link: None,
        }
    }

    /// Takes a module up. Peers that are there already are not told to it: add modules first.
    ///
    /// # Errors
    /// [`NamespaceTaken`] if another module has its namespace.
    pub fn add<M>(&mut self, module: M) -> Result<(), NamespaceTaken>
    where
        M: Module + Send + 'static,
        E: From<M::Event>,
    {
        let namespace = SmolStr::new(module.namespace());
        if self.by_namespace.contains_key(&namespace) {
            return Err(NamespaceTaken(namespace));
        }
        self.by_namespace.insert(namespace, Box::new(module));
        Ok(())
    }

    /// The module of this type, for what its application asks of it; of several the one whose
    /// namespace comes first.
    pub fn find_mut<M: Module + 'static>(&mut self) -> Option<&mut M> {
        let mut parts = self.by_namespace.values_mut();
        parts.find_map(|part| part.as_any_mut().downcast_mut())
    }

    /// How many modules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_namespace.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_namespace.is_empty()
    }

    /// Shows the modules what the connection of `peer` gave out, and gives back what others should
    /// see: all but messages of the modules' namespaces and the ends of their calls.
    ///
    /// As [`Module::handle_event`], the first handshake is `Opened` here and the end `Closed`.
    pub fn handle_event(
        &mut self,
        now: Instant,
        peer: &Peer,
        event: ConnectionEvent,
        out: &mut dyn Outbox,
    ) -> Option<ConnectionEvent> {
        match event {
            ConnectionEvent::Message(message) => {
                match self.by_namespace.get_mut(message.event.id.namespace()) {
                    Some(part) => {
                        part.handle_message(now, peer, message, out);
                        None
                    }
                    None => Some(ConnectionEvent::Message(message)),
                }
            }
            ConnectionEvent::Settled { call, result } => {
                let mut parts = self.by_namespace.values_mut();
                if parts.any(|part| part.handle_settled(now, peer, call, &result, out)) {
                    return None;
                }
                Some(ConnectionEvent::Settled { call, result })
            }
            ConnectionEvent::Opened(ref opened) if opened.first => {
                self.handle_peer(now, peer, &PeerChange::Opened, out);
                Some(event)
            }
            ConnectionEvent::Closed(ref reason) => {
                self.handle_peer(now, peer, &PeerChange::Closed(reason.clone()), out);
                Some(event)
            }
            other => Some(other),
        }
    }

    /// Shows the modules what a client gave out, and gives back what others should see. Every
    /// event of the client has to come by here, in its order, since it is from them that the link
    /// is known.
    ///
    /// A link is a peer of its own, known by [`Attempt::link_id`](crate::Attempt::link_id). The
    /// modules are told `Opened` or `Reopened`, and `Closed` of each link of which they were told
    /// that.
    pub fn handle_client_event(
        &mut self,
        now: Instant,
        event: ClientEvent,
        out: &mut dyn Outbox,
    ) -> Option<ClientEvent> {
        match event {
            ClientEvent::Link(event) => {
                let Some((peer, opened)) = self.link.take() else {
                    return Some(ClientEvent::Link(event));
                };
                let other = self.handle_event(now, &peer, event, out);
                self.link = Some((peer, opened));
                return other.map(ClientEvent::Link);
            }
            ClientEvent::StateChanged(ref change) => {
                if let ClientState::Handshaking { attempt } = change.new {
                    self.link = Some((Peer::new(attempt.link_id()), false));
                }
            }
            ClientEvent::Opened(_) => self.link_opened(now, &PeerChange::Opened, out),
            ClientEvent::Reopened(_) => self.link_opened(now, &PeerChange::Reopened, out),
            ClientEvent::Closed(ref reason) => {
                if let Some((peer, true)) = self.link.take() {
                    self.handle_peer(now, &peer, &PeerChange::Closed(reason.clone()), out);
                }
            }
            _ => {}
        }
        Some(event)
    }

    /// Tells all modules that a peer came, came back, or went.
    pub fn handle_peer(
        &mut self,
        now: Instant,
        peer: &Peer,
        change: &PeerChange,
        out: &mut dyn Outbox,
    ) {
        for part in self.by_namespace.values_mut() {
            part.handle_peer(now, peer, change.clone(), out);
        }
    }

    /// Tells the modules whose time has come. Called too early or too often, it does nothing.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox) {
        for part in self.by_namespace.values_mut() {
            if part.poll_timeout().is_some_and(|at| at <= now) {
                part.handle_timeout(now, out);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let times = self.by_namespace.values();
        times.filter_map(|part| part.poll_timeout()).min()
    }

    /// Gives out what the modules have to tell; `None` when there is nothing (more).
    #[must_use]
    pub fn poll_event(&mut self) -> Option<E> {
        let mut parts = self.by_namespace.values_mut();
        parts.find_map(|part| part.poll_told())
    }

    /// The next event of `connection` that is not for the modules, once they have seen all before
    /// it.
    #[must_use]
    pub fn poll_connection(
        &mut self,
        now: Instant,
        connection: &mut Connection,
        peer: &Peer,
    ) -> Option<ConnectionEvent> {
        while let Some(event) = connection.poll_event() {
            let mut out = ConnectionOutbox::new(connection, peer, now);
            let other = self.handle_event(now, peer, event, &mut out);
            if other.is_some() {
                return other;
            }
        }
        None
    }

    /// The next event of `client` that is not for the modules, once they have seen all before it.
    #[must_use]
    pub fn poll_client(&mut self, now: Instant, client: &mut Client) -> Option<ClientEvent> {
        while let Some(event) = client.poll_event() {
            let mut out = ClientOutbox::new(client, now);
            let other = self.handle_client_event(now, event, &mut out);
            if other.is_some() {
                return other;
            }
        }
        None
    }

    /// The link whose events are being told is open.
    fn link_opened(&mut self, now: Instant, change: &PeerChange, out: &mut dyn Outbox) {
        if let Some((peer, _)) = self.link.take() {
            self.handle_peer(now, &peer, change, out);
            self.link = Some((peer, true));
        }
    }
}

impl<E> Default for Modules<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Modules<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modules")
            .field("namespaces", &self.by_namespace.keys())
            .field("link", &self.link)
            .finish()
    }
}

/// Another module speaks in events of this namespace already.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("another module has the namespace {0}")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct NamespaceTaken(pub SmolStr);

/// A module whose events have become those of all.
trait Part<E>: Send {
    fn handle_message(&mut self, now: Instant, from: &Peer, message: Message, out: &mut dyn Outbox);
    fn handle_peer(&mut self, now: Instant, peer: &Peer, change: PeerChange, out: &mut dyn Outbox);
    fn handle_settled(
        &mut self,
        now: Instant,
        peer: &Peer,
        call: CallId,
        result: &Result<Payload, CallError>,
        out: &mut dyn Outbox,
    ) -> bool;
    fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox);
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_told(&mut self) -> Option<E>;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<E, M> Part<E> for M
where
    M: Module + Send + 'static,
    E: From<M::Event>,
{
    fn handle_message(
        &mut self,
        now: Instant,
        from: &Peer,
        message: Message,
        out: &mut dyn Outbox,
    ) {
        Module::handle_message(self, now, from, message, out);
    }

    fn handle_peer(&mut self, now: Instant, peer: &Peer, change: PeerChange, out: &mut dyn Outbox) {
        Module::handle_peer(self, now, peer, change, out);
    }

    fn handle_settled(
        &mut self,
        now: Instant,
        peer: &Peer,
        call: CallId,
        result: &Result<Payload, CallError>,
        out: &mut dyn Outbox,
    ) -> bool {
        Module::handle_settled(self, now, peer, call, result, out)
    }

    fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox) {
        Module::handle_timeout(self, now, out);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Module::poll_timeout(self)
    }

    fn poll_told(&mut self) -> Option<E> {
        self.poll_event().map(E::from)
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
