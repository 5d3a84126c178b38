//! What a server tells those who watch it.

use sente_adapters::HandlerFailure;
use sente_core::admission::RefusalReason;
use sente_core::{
    BadReason, CloseReason, EventId, EventRefusal, HubEvent, PackedEvent, Peer, TransportKind,
};
use smol_str::SmolStr;
use tokio::sync::broadcast;

/// Something that happened in a server: from [`Server::events`](crate::Server::events).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// Frames or events of a client were unreadable.
    BadEvents {
        /// The connection, and whose it is.
        peer: Peer,
        /// What was wrong with one; `None` where many were not told one by one.
        reason: Option<BadReason>,
        /// How many.
        count: u64,
    },
    /// A handler failed or panicked. Whoever called was told that the call failed.
    HandlerFailed {
        /// The connection, and whose it is.
        peer: Peer,
        /// At which event, and what it said.
        failure: HandlerFailure,
    },
    /// A client on a byte stream said who it is; nothing proves it. See
    /// [`Server::identify`](crate::Server::identify).
    Hello {
        /// The connection, and whose it is.
        peer: Peer,
        /// The label it gave itself.
        client_id: Option<SmolStr>,
        /// The token it showed.
        token: Option<String>,
    },
    /// The hub has something to tell: presence, slow consumers, channels.
    Hub(HubEvent),
    /// A connection has joined.
    Joined {
        /// The connection, and whose it is.
        peer: Peer,
        /// By what.
        transport: TransportKind,
    },
    /// A connection has ended and left.
    Left {
        /// The connection, and whose it was.
        peer: Peer,
        /// Why.
        reason: CloseReason,
    },
    /// So many events were missed since they were not taken in time.
    Missed(u64),
    /// Received events were refused and dropped, by the guard or by a rate; callers were answered
    /// with an error. Told at most once a second for each connection.
    Refused {
        /// The connection, and whose it is.
        peer: Peer,
        /// The event that was refused last.
        id: EventId,
        /// Why that one was.
        why: EventRefusal,
        /// How many were refused since the last report.
        count: u64,
    },
    /// Somebody was not let in.
    TurnedAway {
        /// From where, as far as that is known.
        remote: Option<SmolStr>,
        /// Why.
        reason: RefusalReason,
        /// The HTTP status of the answer.
        status: u16,
    },
    /// A connection ended before these were written. What was pushed to its user and is kept for its
    /// return is not among them.
    Undelivered {
        /// The connection, and whose it was.
        peer: Peer,
        /// What, in order.
        events: Vec<PackedEvent>,
    },
}

/// What happens in a server, from now on. Any number of readers see all of it.
///
/// A reader that does not keep up misses the oldest, is told so by [`ServerEvent::Missed`], and
/// holds nobody up.
#[derive(Debug)]
pub struct ServerEvents(pub(crate) broadcast::Receiver<ServerEvent>);

impl ServerEvents {
    /// The next event; `None` once the server is gone.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(ServerEvent::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
