//! What connections, clients and Ajax sessions have in common for whoever sends.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use crate::ajax::{AjaxClient, AjaxSession};
use crate::client::{Carried, Client};
use crate::connection::{Connection, PackedSendError, SendCapacity};
use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::id::{CallId, FlushId, ReplyToken};
use crate::packed::PackedEvent;
use crate::packer::Packer;
use crate::queue::{ReserveError, SendOptions, Sent, Ticket};
use crate::time::Instant;

/// The sending half of a [`Connection`], of a [`Client`] or of either side of Ajax, for code that
/// serves them all: an outbox, a handle of an adapter.
///
/// Each method is the inherent one of the same name, which says what it does, and in which way a
/// client does it without a link. An [`AjaxSession`] refuses every call and an [`AjaxClient`] is
/// never called, since over Ajax a server cannot call.
pub trait SendHalf: fmt::Debug {
    /// As [`Connection::send_with`] and [`Client::send_with`].
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    fn send_with(
        &mut self,
        now: Instant,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError>;

    /// As [`Connection::send_packed_with`] and [`Client::send_packed_with`].
    ///
    /// # Errors
    /// [`PackedSendError`]; the event is only borrowed.
    fn send_packed_with(
        &mut self,
        now: Instant,
        event: &PackedEvent,
        options: SendOptions,
    ) -> Result<Sent, PackedSendError>;

    /// As [`Connection::reserve`] and [`Client::reserve`].
    ///
    /// # Errors
    /// [`ReserveError`].
    fn reserve(
        &mut self,
        now: Instant,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Result<Ticket, ReserveError>;

    /// As [`Connection::send_reserved_with`] and [`Client::send_reserved_with`].
    ///
    /// # Errors
    /// [`SendError`] gives the event back, and the reservation stays.
    fn send_reserved_with(
        &mut self,
        now: Instant,
        ticket: Ticket,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError>;

    /// As [`Connection::release`] and [`Client::release`].
    fn release(&mut self, now: Instant, ticket: Ticket) -> bool;

    /// As [`Connection::call`] and [`Client::call`].
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    fn call(&mut self, now: Instant, event: Event, timeout: Duration) -> Result<CallId, SendError>;

    /// As [`Connection::cancel`] and [`Client::cancel`].
    fn cancel(&mut self, call: CallId) -> bool;

    /// As [`Connection::reply`] and [`Client::reply`].
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back.
    fn reply(
        &mut self,
        now: Instant,
        token: ReplyToken,
        payload: Payload,
    ) -> Result<(), ReplyError>;

    /// As [`Connection::reply_error`] and [`Client::reply_error`].
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError>;

    /// As [`Connection::forget`] and [`Client::forget`].
    fn forget(&mut self, token: ReplyToken);

    /// As [`Connection::flush`] and [`Client::flush`].
    fn flush(&mut self, now: Instant) -> FlushId;

    /// As [`Connection::drain`] and [`Client::drain`].
    fn drain(&mut self, now: Instant, deadline: Instant);

    /// As [`Connection::send_capacity`] and [`Client::send_capacity`].
    fn send_capacity(&self) -> SendCapacity;

    /// What events sent now are packed with: that of the connection, or, where a client keeps
    /// events for the next link, that of its configuration.
    fn packer(&self) -> &Arc<dyn Packer>;
}

/// The methods of `$machine` that the trait names.
macro_rules! send_half {
    ($machine:ty, |$this:ident| $packer:expr) => {
        impl SendHalf for $machine {
            fn send_with(
                &mut self,
                now: Instant,
                event: Event,
                options: SendOptions,
            ) -> Result<Sent, SendError> {
                Self::send_with(self, now, event, options)
            }

            fn send_packed_with(
                &mut self,
                now: Instant,
                event: &PackedEvent,
                options: SendOptions,
            ) -> Result<Sent, PackedSendError> {
                Self::send_packed_with(self, now, event, options)
            }

            fn reserve(
                &mut self,
                now: Instant,
                bytes: usize,
                deadline: Option<Instant>,
            ) -> Result<Ticket, ReserveError> {
                Self::reserve(self, now, bytes, deadline)
            }

            fn send_reserved_with(
                &mut self,
                now: Instant,
                ticket: Ticket,
                event: Event,
                options: SendOptions,
            ) -> Result<Sent, SendError> {
                Self::send_reserved_with(self, now, ticket, event, options)
            }

            fn release(&mut self, now: Instant, ticket: Ticket) -> bool {
                Self::release(self, now, ticket)
            }

            fn call(
                &mut self,
                now: Instant,
                event: Event,
                timeout: Duration,
            ) -> Result<CallId, SendError> {
                Self::call(self, now, event, timeout)
            }

            fn cancel(&mut self, call: CallId) -> bool {
                Self::cancel(self, call)
            }

            fn reply(
                &mut self,
                now: Instant,
                token: ReplyToken,
                payload: Payload,
            ) -> Result<(), ReplyError> {
                Self::reply(self, now, token, payload)
            }

            fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError> {
                Self::reply_error(self, now, token)
            }

            fn forget(&mut self, token: ReplyToken) {
                Self::forget(self, token);
            }

            fn flush(&mut self, now: Instant) -> FlushId {
                Self::flush(self, now)
            }

            fn drain(&mut self, now: Instant, deadline: Instant) {
                Self::drain(self, now, deadline);
            }

            fn send_capacity(&self) -> SendCapacity {
                Self::send_capacity(self)
            }

            fn packer(&self) -> &Arc<dyn Packer> {
                let $this = self;
                $packer
            }
        }
    };
}

send_half!(Connection, |connection| connection.config().packer());
send_half!(Client, |client| Client::packer(client));
send_half!(AjaxSession, |session| session.config().packer());
send_half!(AjaxClient, |client| client.config().packer());
send_half!(Carried, |link| Carried::packer(link));
