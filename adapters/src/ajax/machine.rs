//! An Ajax session as the machine behind a handle and its events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sente_core::ajax::AjaxSession;
use sente_core::packer::Packer;
use sente_core::{
    ConnId, ConnectionConfig, ConnectionEvent, ConnectionOutbox, Instant, Message, Modules, Opened,
    Outbox, Peer, RecvCapacity, State,
};
use tokio::sync::Notify;

use super::driver::Waiting;
use crate::ending::Ending;
use crate::engine::{Engine, Machine, token_in};
use crate::handle::End;

impl Engine for AjaxSession {
    type Event = ConnectionEvent;
}

/// What there is to know of a session without its lock, and who waits for it.
#[derive(Debug)]
pub(crate) struct AjaxFacts {
    pub(super) end: Ending,
    pub(super) id: ConnId,
    pub(super) packer: Arc<dyn Packer>,
    pub(super) peer: String,
    /// The application has taken something: posts may be read again.
    pub(super) room: Notify,
    /// Asked for while the session's lock is held, and never the other way round.
    waiting: Mutex<Waiting>,
}

impl AjaxFacts {
    pub(super) fn new(id: ConnId, packer: Arc<dyn Packer>, peer: String) -> Self {
        Self {
            end: Ending::default(),
            id,
            packer,
            peer,
            room: Notify::new(),
            waiting: Mutex::new(Waiting::new()),
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn ended(&self) -> End {
        self.end.wait().await
    }

    fn peer_of(&self, user: Option<&str>) -> Peer {
        match user {
            Some(user) => Peer::of_user(self.id, user),
            None => Peer::new(self.id),
        }
    }
}

impl Machine for AjaxSession {
    type Told = ConnectionEvent;
    type Facts = AjaxFacts;

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
        self.wants_post()
    }

    fn recv_capacity(&self) -> Option<RecvCapacity> {
        Some(self.recv_capacity())
    }

    fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.set_recv_allowance(now, bytes);
    }

    fn config(&self) -> Option<Arc<ConnectionConfig>> {
        // A session has one of another kind: what is typed is packed when it is sent.
        None
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

    fn take_note(&self, _: &AjaxFacts) -> bool {
        // Whoever waits for room finds out that there will be none.
        self.state() != State::Open
    }

    fn discard(&mut self, _: Instant, told: ConnectionEvent) {
        if let Some(token) = token_in(told) {
            self.forget(token);
        }
    }

    fn with_outbox<T>(
        &mut self,
        facts: &AjaxFacts,
        user: Option<&str>,
        now: Instant,
        f: impl FnOnce(&mut dyn Outbox) -> T,
    ) -> T {
        f(&mut ConnectionOutbox::new(self, &facts.peer_of(user), now))
    }

    fn show<E>(
        told: ConnectionEvent,
        modules: &mut Modules<E>,
        facts: &AjaxFacts,
        user: Option<&str>,
        now: Instant,
        out: &mut dyn Outbox,
    ) -> Option<ConnectionEvent> {
        modules.handle_event(now, &facts.peer_of(user), told, out)
    }
}
