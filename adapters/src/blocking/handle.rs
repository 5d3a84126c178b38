//! What the application sends with, and waits.

use std::ops::Deref;
use std::time::Duration;

use async_io::block_on;
use sente_core::{
    Client, CloseReason, Connection, Event, Payload, ReserveError, SendError, SendOptions, Sent,
};

use crate::engine::Engine;
use crate::{CallFailure, End, Ended, Permit};

/// Sends on a running connection, or over whatever link a client has, as
/// [`Handle`](crate::Handle), which it is for all that does not wait.
#[derive(Debug)]
pub struct Handle<M: Engine = Connection>(crate::Handle<M>);

impl<M: Engine> Handle<M> {
    /// Queues `event`, waiting while the send queue is full, as
    /// [`Handle::send`](crate::Handle::send).
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn send(&self, event: Event) -> Result<(), SendError> {
        block_on(self.0.send(event))
    }

    /// Queues `event` in the way `options` say, as [`Handle::send_with`](crate::Handle::send_with).
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        block_on(self.0.send_with(event, options))
    }

    /// Waits in line for room for one event of `bytes` packed bytes, as
    /// [`Handle::reserve`](crate::Handle::reserve).
    ///
    /// # Errors
    /// [`ReserveError`]: so much never fits, too many wait already, or there is no link.
    pub fn reserve(&self, bytes: usize) -> Result<Permit<M>, ReserveError> {
        block_on(self.0.reserve(bytes))
    }

    /// Calls the peer and waits for its reply, as [`Handle::call`](crate::Handle::call).
    ///
    /// # Errors
    /// [`CallFailure`]: not queued, or settled without a reply.
    pub fn call(&self, event: Event, timeout: Duration) -> Result<Payload, CallFailure> {
        block_on(self.0.call(event, timeout))
    }

    /// Waits until everything queued before has been handed to the operating system, as
    /// [`Handle::flush`](crate::Handle::flush).
    ///
    /// # Errors
    /// [`Ended`] without an open link, or if it ended first.
    pub fn flush(&self) -> Result<(), Ended> {
        block_on(self.0.flush())
    }
}

impl Handle {
    /// Waits for the end of the connection, as [`Handle::ended`](crate::Handle::ended).
    #[must_use]
    pub fn ended(&self) -> End {
        block_on(self.0.ended())
    }
}

impl Handle<Client> {
    /// Waits for an open link, as [`Handle::opened`](crate::Handle::opened).
    ///
    /// # Errors
    /// Why the client closed, if it is closed.
    pub fn opened(&self) -> Result<(), CloseReason> {
        block_on(self.0.opened())
    }

    /// Calls the peer on the next open link and waits for its reply, as
    /// [`Handle::call_when_open`](crate::Handle::call_when_open).
    ///
    /// # Errors
    /// [`CallFailure`]: refused, or settled without a reply.
    pub fn call_when_open(&self, event: Event, timeout: Duration) -> Result<Payload, CallFailure> {
        block_on(self.0.call_when_open(event, timeout))
    }

    /// Waits until the client is closed, as [`Handle::closed`](crate::Handle::closed).
    #[must_use]
    pub fn closed(&self) -> CloseReason {
        block_on(self.0.closed())
    }
}

impl<M: Engine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Engine> Deref for Handle<M> {
    type Target = crate::Handle<M>;

    fn deref(&self) -> &crate::Handle<M> {
        &self.0
    }
}

impl<M: Engine> From<crate::Handle<M>> for Handle<M> {
    fn from(handle: crate::Handle<M>) -> Self {
        Self(handle)
    }
}
