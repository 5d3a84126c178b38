//! What a link of a client is made of: bytes of a transport, or requests.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use crate::ajax::AjaxClient;
use crate::connection::{
    Connection, ConnectionEvent, Input, PackedSendError, RecvCapacity, SendCapacity, State, Stats,
    Transmit,
};
use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::id::{CallId, FlushId, Legacy, ReplyToken};
use crate::packed::PackedEvent;
use crate::packer::Packer;
use crate::queue::{ReserveError, SendOptions, Sent, Ticket};
use crate::time::Instant;
use crate::transmit::TransmitBuf;

/// One link of a client.
#[derive(Debug)]
pub(crate) enum Carried {
    /// Over Ajax.
    Ajax(Box<AjaxClient>),
    /// Over a transport that carries bytes both ways.
    Bytes(Box<Connection>),
}

/// Does the same on either.
macro_rules! either {
    ($carried:expr, $link:ident => $does:expr) => {
        match $carried {
            Carried::Ajax($link) => $does,
            Carried::Bytes($link) => $does,
        }
    };
}

impl Carried {
    pub(super) fn bytes(&self) -> Option<&Connection> {
        match self {
            Self::Ajax(_) => None,
            Self::Bytes(connection) => Some(connection),
        }
    }

    pub(super) fn ajax_mut(&mut self) -> Option<&mut AjaxClient> {
        match self {
            Self::Ajax(link) => Some(link),
            Self::Bytes(_) => None,
        }
    }

    pub(super) fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match self {
            Self::Bytes(connection) => connection.handle_input(now, input),
            Self::Ajax(link) => match input {
                Input::Bytes(bytes) => bytes.clear(),
                Input::Eof => link.fail(now, String::from("the transport ended")),
                Input::Failed(reason) => link.fail(now, reason),
            },
        }
    }

    pub(super) fn handle_transmitted(&mut self, now: Instant) {
        if let Self::Bytes(connection) = self {
            connection.handle_transmitted(now);
        }
    }

    pub(super) fn poll_transmit(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        match self {
            Self::Ajax(_) => None,
            Self::Bytes(connection) => connection.poll_transmit(out),
        }
    }

    /// Whether bytes are to be read from a transport.
    pub(super) fn wants_read(&self) -> bool {
        self.bytes().is_some_and(Connection::wants_read)
    }

    pub(super) fn peer_has_finished(&self) -> bool {
        self.bytes().is_some_and(Connection::peer_has_finished)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        either!(self, link => link.handle_timeout(now));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        either!(self, link => link.poll_timeout())
    }

    pub(super) fn poll_event(&mut self) -> Option<ConnectionEvent> {
        either!(self, link => link.poll_event())
    }

    pub(super) fn poll_answer(&mut self) -> Option<ConnectionEvent> {
        either!(self, link => link.poll_answer())
    }

    pub(super) fn has_event(&self) -> bool {
        either!(self, link => link.has_event())
    }

    pub(super) fn close(&mut self, now: Instant) {
        either!(self, link => link.close(now));
    }

    pub(crate) fn drain(&mut self, now: Instant, deadline: Instant) {
        either!(self, link => link.drain(now, deadline));
    }

    pub(super) const fn state(&self) -> State {
        either!(self, link => link.state())
    }

    pub(super) fn is_finished(&self) -> bool {
        either!(self, link => link.is_finished())
    }

    pub(super) fn stats(&self) -> Stats {
        either!(self, link => link.stats())
    }

    pub(super) fn pending_calls(&self) -> usize {
        either!(self, link => link.pending_calls())
    }

    pub(super) fn recv_capacity(&self) -> RecvCapacity {
        either!(self, link => link.recv_capacity())
    }

    pub(super) fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        either!(self, link => link.set_recv_allowance(now, bytes));
    }

    pub(super) fn legacy(&self) -> Legacy {
        either!(self, link => link.legacy())
    }

    pub(super) fn continue_from(&mut self, legacy: Legacy) {
        either!(self, link => link.continue_from(legacy));
    }

    /// Whether an event of `len` packed bytes would be queued now without dropping another.
    pub(super) fn has_place_for(&self, now: Instant, len: usize) -> Result<(), PackedSendError> {
        either!(self, link => link.has_place_for(now, len))
    }

    pub(crate) fn packer(&self) -> &Arc<dyn Packer> {
        either!(self, link => link.config().packer())
    }

    pub(crate) fn send_with(
        &mut self,
        now: Instant,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        either!(self, link => link.send_with(now, event, options))
    }

    pub(crate) fn send_packed_with(
        &mut self,
        now: Instant,
        event: &PackedEvent,
        options: SendOptions,
    ) -> Result<Sent, PackedSendError> {
        either!(self, link => link.send_packed_with(now, event, options))
    }

    pub(crate) fn reserve(
        &mut self,
        now: Instant,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Result<Ticket, ReserveError> {
        either!(self, link => link.reserve(now, bytes, deadline))
    }

    pub(crate) fn send_reserved_with(
        &mut self,
        now: Instant,
        ticket: Ticket,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        either!(self, link => link.send_reserved_with(now, ticket, event, options))
    }

    pub(crate) fn release(&mut self, now: Instant, ticket: Ticket) -> bool {
        either!(self, link => link.release(now, ticket))
    }

    pub(crate) fn call(
        &mut self,
        now: Instant,
        event: Event,
        timeout: Duration,
    ) -> Result<CallId, SendError> {
        either!(self, link => link.call(now, event, timeout))
    }

    pub(crate) fn cancel(&mut self, call: CallId) -> bool {
        either!(self, link => link.cancel(call))
    }

    pub(crate) fn reply(
        &mut self,
        now: Instant,
        token: ReplyToken,
        payload: impl Into<Payload>,
    ) -> Result<(), ReplyError> {
        either!(self, link => link.reply(now, token, payload))
    }

    pub(crate) fn reply_error(
        &mut self,
        now: Instant,
        token: ReplyToken,
    ) -> Result<(), ReplyError> {
        either!(self, link => link.reply_error(now, token))
    }

    pub(crate) fn forget(&mut self, token: ReplyToken) {
        either!(self, link => link.forget(token));
    }

    pub(crate) fn flush(&mut self, now: Instant) -> FlushId {
        either!(self, link => link.flush(now))
    }

    pub(crate) fn send_capacity(&self) -> SendCapacity {
        either!(self, link => link.send_capacity())
    }
}
