//! What the server needs of a connection, whatever carries it.

use std::sync::Arc;

use sente_adapters::{Engine, Handle};
use sente_core::ajax::AjaxSession;
use sente_core::packer::Packer;
use sente_core::{
    ConnId, Connection, ConnectionEvent, Dialect, HubDelivery, Inbox, Instant, SendHalf, Stats,
    TransportKind,
};

/// A machine whose connections a [`Server`](crate::Server) can serve: a [`Connection`] over
/// whatever transport, a session of Ajax.
pub trait Served: Engine + SendHalf {
    /// What there is to know of a connection before it joins.
    fn facts(handle: &Handle<Self>) -> Facts;

    /// The dialect in force, which a hello may change.
    fn dialect(handle: &Handle<Self>) -> Dialect;

    /// Its counts.
    fn stats(handle: &Handle<Self>) -> Stats;

    /// What happened on the connection; `Err` for what is no event of a connection, and is dropped.
    ///
    /// # Errors
    /// What was told, if it is none.
    fn to_event(told: Self::Event) -> Result<ConnectionEvent, Self::Event>;

    /// Moves what there is room for from its inbox to its send queue, as [`Inbox::deliver_to`].
    fn deliver(&mut self, inbox: &mut Inbox, now: Instant) -> Option<Instant>;

    /// Takes a delivery without an inbox, as [`Inbox::pass_on`], if it has room for it now. Default:
    /// never.
    fn pass_on(&mut self, _delivery: &HubDelivery, _now: Instant) -> bool {
        false
    }

    /// Sees to it that what was passed on is written: from here, as [`Handle::write_now`], where that
    /// can be. Default: the driver is woken for it.
    fn write_now(handle: &Handle<Self>) {
        handle.wake();
    }

    /// Closes it, with a WebSocket close code and a reason where there is a place for them.
    fn close_with(&mut self, now: Instant, code: u16, reason: &str);

    /// Whether it still sends.
    fn is_open(&self) -> bool;

    /// Whether it has kept a grace of its own when it ends, so that the hub gives it none.
    #[must_use]
    fn had_its_grace() -> bool {
        false
    }
}

/// What there is to know of a connection before it joins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// Its id.
    pub id: ConnId,
    /// The packer it speaks.
    pub packer: Arc<dyn Packer>,
    /// By what presence counts it.
    pub transport: TransportKind,
    /// What its peer is called in logs: an address, a path, a command.
    pub peer: String,
}

impl Facts {
    /// The facts of a connection.
    #[must_use]
    pub fn new(id: ConnId, packer: Arc<dyn Packer>, transport: TransportKind) -> Self {
        Self {
            id,
            packer,
            transport,
            peer: String::new(),
        }
    }

    /// What its peer is called in logs.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }
}

impl Served for Connection {
    fn facts(handle: &Handle) -> Facts {
        let carrier = handle.carrier();
        Facts::new(handle.id(), handle.packer().clone(), carrier.into()).peer(handle.peer())
    }

    fn dialect(handle: &Handle) -> Dialect {
        handle.dialect()
    }

    fn stats(handle: &Handle) -> Stats {
        handle.stats()
    }

    fn to_event(told: ConnectionEvent) -> Result<ConnectionEvent, ConnectionEvent> {
        Ok(told)
    }

    fn deliver(&mut self, inbox: &mut Inbox, now: Instant) -> Option<Instant> {
        inbox.deliver_to(now, self)
    }

    fn pass_on(&mut self, delivery: &HubDelivery, now: Instant) -> bool {
        Inbox::pass_on(delivery, now, self)
    }

    fn write_now(handle: &Handle) {
        handle.write_now();
    }

    fn close_with(&mut self, now: Instant, code: u16, reason: &str) {
        Self::close_with(self, now, code, reason);
    }

    fn is_open(&self) -> bool {
        self.close_reason().is_none()
    }
}

impl Served for AjaxSession {
    fn facts(handle: &Handle<Self>) -> Facts {
        Facts::new(handle.id(), handle.packer().clone(), TransportKind::Ajax).peer(handle.peer())
    }

    fn dialect(_: &Handle<Self>) -> Dialect {
        Dialect::Sente
    }

    fn stats(handle: &Handle<Self>) -> Stats {
        handle.stats()
    }

    fn to_event(told: ConnectionEvent) -> Result<ConnectionEvent, ConnectionEvent> {
        Ok(told)
    }

    fn deliver(&mut self, inbox: &mut Inbox, now: Instant) -> Option<Instant> {
        inbox.deliver_by(|event, options| self.send_packed_with(now, event, options))
    }

    fn close_with(&mut self, now: Instant, _: u16, _: &str) {
        self.close(now);
    }

    fn is_open(&self) -> bool {
        self.close_reason().is_none()
    }

    /// It ends when its client has had no request open for the grace.
    fn had_its_grace() -> bool {
        true
    }
}
