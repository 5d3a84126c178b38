//! What a module is: a machine of its own that speaks in events of one namespace.

mod host;
mod outbox;

use alloc::vec::Vec;
use core::time::Duration;

use crate::connection::{ConnectionEvent, Message, PackedSendError};
use crate::error::{CallError, ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::hub::Target;
use crate::id::{CallId, ConnId, ReplyToken};
use crate::packer::PackError;
use crate::peer::{Peer, PeerChange};
use crate::queue::{SendOptions, Sent};
use crate::time::Instant;

pub use host::{Modules, NamespaceTaken};
pub use outbox::{ClientOutbox, ConnectionOutbox, ServerOutbox};

/// A part of an application that stands on its own: log routing, presence, a remote shell.
///
/// It is a machine like the engine's own, with the same verbs. What it is told comes in with the
/// time; what it says goes into the [`Outbox`] it is handed; what its application should know comes
/// out of [`poll_event`](Self::poll_event). So one module runs on a client or a server, over any
/// transport, and in a simulation, and it can be tested without any of them.
///
/// A whole one, with a program around it, is `core/examples/clock`. Its driver is a loop over the
/// events of a connection:
///
/// ```
/// # use sente_core::{Connection, ConnectionEvent, ConnectionOutbox, Instant, Module, Peer};
/// fn serve<M: Module>(module: &mut M, connection: &mut Connection, peer: &Peer, now: Instant) {
///     while let Some(event) = connection.poll_event() {
///         let mut out = ConnectionOutbox::new(connection, peer, now);
///         let not_for_the_module = module.handle_event(now, peer, event, &mut out);
/// #       drop(not_for_the_module);
///     }
///     while let Some(told) = module.poll_event() {
/// #       drop(told);
///         // What the module has to tell.
///     }
/// }
/// ```
///
/// and `handle_timeout` at the time of `poll_timeout`, as with a connection. [`Modules`] is that
/// driver for several modules, on a connection or on a client that comes back.
pub trait Module {
    /// What the module tells its application.
    type Event;

    /// The namespace of the module's events. It gets every message of this namespace, and no other
    /// one.
    fn namespace(&self) -> &str;

    /// Takes an event or a call of the module's namespace. A call is answered now or later with
    /// the message's token, or refused with [`Outbox::reply_error`], or left unanswered with
    /// [`Outbox::forget`].
    fn handle_message(&mut self, now: Instant, from: &Peer, message: Message, out: &mut dyn Outbox);

    /// Learns that a peer came, came back, or went. The default ignores it.
    ///
    /// A closed peer takes nothing any more; what the module keeps for it should go now.
    fn handle_peer(&mut self, now: Instant, peer: &Peer, change: PeerChange, out: &mut dyn Outbox) {
        let _ = (now, peer, change, out);
    }

    /// Learns how a call to this peer ended. Whether it was the module's: every module is asked,
    /// since ids are all that tells whose a call is. The default says that it was not.
    fn handle_settled(
        &mut self,
        now: Instant,
        peer: &Peer,
        call: CallId,
        result: &Result<Payload, CallError>,
        out: &mut dyn Outbox,
    ) -> bool {
        let _ = (now, peer, call, result, out);
        false
    }

    /// Learns that time has passed. Called too early or too often, it does nothing. The default
    /// ignores it.
    fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox) {
        let _ = (now, out);
    }

    /// Gives out what the application should know; `None` when there is nothing (more).
    #[must_use]
    fn poll_event(&mut self) -> Option<Self::Event> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for not at all.
    #[must_use]
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Shows the module what a connection gave out, and gives back what others should see: all but
    /// the messages of its namespace and the ends of its calls. With several modules, what one
    /// gives back is offered to the next.
    ///
    /// The first handshake is [`PeerChange::Opened`] here, and the end [`PeerChange::Closed`]. That
    /// a client is back after a loss is not known to its new connection: for a
    /// [`Client`](crate::Client) there is [`Modules`], and whoever else reconnects calls
    /// [`handle_peer`](Self::handle_peer) with [`PeerChange::Reopened`] instead of showing the
    /// `Opened` to this.
    fn handle_event(
        &mut self,
        now: Instant,
        peer: &Peer,
        event: ConnectionEvent,
        out: &mut dyn Outbox,
    ) -> Option<ConnectionEvent> {
        match event {
            ConnectionEvent::Message(message)
                if message.event.id.namespace() == self.namespace() =>
            {
                self.handle_message(now, peer, message, out);
                return None;
            }
            ConnectionEvent::Settled { call, ref result }
                if self.handle_settled(now, peer, call, result, out) =>
            {
                return None;
            }
            ConnectionEvent::Opened(ref opened) if opened.first => {
                self.handle_peer(now, peer, PeerChange::Opened, out);
            }
            ConnectionEvent::Closed(ref reason) => {
                self.handle_peer(now, peer, PeerChange::Closed(reason.clone()), out);
            }
            _ => {}
        }
        Some(event)
    }
}

/// What a module says goes in here: the sending half of a connection or a client, or of a server with
/// all its connections. The time is the one the module was called at.
///
/// A connection that is not there (any more) refuses as one that is not open does.
pub trait Outbox {
    /// Queues `event` for one peer.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, as [`Connection::send`](crate::Connection::send).
    fn send(&mut self, to: ConnId, event: Event) -> Result<(), SendError> {
        self.send_with(to, event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` for one peer in the way `options` say, which may drop it or an older one.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    fn send_with(
        &mut self,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError>;

    /// Queues `event` for all that `to` means. It is packed once for each packer among them.
    ///
    /// # Errors
    /// [`PackError`] if a packer cannot express the data: then nobody gets it. What single
    /// connections refuse is no error but said in [`Published`].
    fn publish(&mut self, to: &Target, event: &Event) -> Result<Published, PackError> {
        self.publish_with(to, event, &SendOptions::new())
    }

    /// Queues `event` for all that `to` means in the way `options` say, on each connection for
    /// itself.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    fn publish_with(
        &mut self,
        to: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Published, PackError>;

    /// Queues a call to one peer, to be answered within `timeout`. How it ended comes to
    /// [`Module::handle_settled`].
    ///
    /// # Errors
    /// [`SendError`] gives the event back, as [`Connection::call`](crate::Connection::call).
    fn call(&mut self, to: ConnId, event: Event, timeout: Duration) -> Result<CallId, SendError>;

    /// Settles a call as cancelled. `false` if it had settled already.
    fn cancel(&mut self, to: ConnId, call: CallId) -> bool;

    /// Answers a call of this peer.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back, as [`Connection::reply`](crate::Connection::reply).
    fn reply(&mut self, to: ConnId, token: ReplyToken, payload: Payload) -> Result<(), ReplyError>;

    /// Answers a call of this peer with a failure.
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    fn reply_error(&mut self, to: ConnId, token: ReplyToken) -> Result<(), ReplyError>;

    /// Says that a call will not be answered, so that a drain does not wait for it.
    fn forget(&mut self, to: ConnId, token: ReplyToken);
}

/// What became of an event for many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// How many connections dropped it, as its policy said they should.
    pub dropped: usize,
    /// How many connections queued it, be it in the place of an older event.
    pub queued: usize,
    /// Which did not, and why, in the order of their ids.
    pub refused: Vec<(ConnId, PackedSendError)>,
    /// Whether nobody gets it, since too many broadcasts wait for their rate already.
    pub throttled: bool,
}
