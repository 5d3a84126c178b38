//! What a handler is called with.

use std::fmt;

use http::Extensions;
use sente_core::{Connection, Event, Message};

use crate::dispatch::Responder;
use crate::engine::Engine;
use crate::handle::Handle;
use crate::router::connection::AnyHandle;

/// An event on its way to a handler: what its arguments are read out of.
pub struct Context<S> {
    event: Event,
    state: S,
    connection: AnyHandle,
    is_call: bool,
    responder: Option<Box<dyn Respond>>,
    extensions: Extensions,
}

impl<S> Context<S> {
    /// A message that came on the connection of `handle`, for handlers with this state. What
    /// `extensions` hold can be asked for as [`Extension`](crate::Extension): who the peer is, the
    /// request it came with.
    #[must_use]
    pub fn new<M: Engine>(
        message: Message,
        handle: &Handle<M>,
        state: S,
        extensions: Extensions,
    ) -> Self {
        Self::of_any(message, AnyHandle::of(handle), state, extensions)
    }

    /// The same on a connection of whatever kind.
    #[must_use]
    pub fn of_any(
        message: Message,
        connection: AnyHandle,
        state: S,
        extensions: Extensions,
    ) -> Self {
        Self {
            event: message.event,
            state,
            is_call: message.reply.is_some(),
            responder: message.reply.map(|token| connection.responder(token)),
            connection,
            extensions,
        }
    }

    /// The event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// Whether the sender waits for an answer.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        self.is_call
    }

    /// The state all handlers share.
    #[must_use]
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// What to send with, to whom the event came from.
    #[must_use]
    pub const fn connection(&self) -> &AnyHandle {
        &self.connection
    }

    /// What is known of the connection besides.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(super) fn take_responder(&mut self) -> Option<Box<dyn Respond>> {
        self.responder.take()
    }
}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("event", &self.event)
            .field("is_call", &self.is_call())
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// The right to answer one call, whatever it came on. Dropped, it answers with an error.
pub(super) trait Respond: Send {
    fn reply(self: Box<Self>, payload: sente_core::Payload) -> Result<(), sente_core::ReplyError>;
    /// Nobody will answer, and the caller is not told.
    fn forget(self: Box<Self>);
}

impl<M: Engine> Respond for Responder<M> {
    fn reply(self: Box<Self>, payload: sente_core::Payload) -> Result<(), sente_core::ReplyError> {
        Self::reply(*self, payload)
    }

    fn forget(self: Box<Self>) {
        Self::forget(*self);
    }
}

/// The usual one is that of a connection.
const _: fn(Responder<Connection>) = |responder| {
    let _: Box<dyn Respond> = Box::new(responder);
};
