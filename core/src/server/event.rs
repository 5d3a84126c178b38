//! What a server tells the application, and its counts.

use crate::connection::{ConnectionEvent, Stats};
use crate::event::EventId;
use crate::hub::{EventRefusal, HubEvent, HubStats};
use crate::peer::Peer;

/// Something the application should know.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A connection has something to tell. Messages that the hub answers, and those that were
    /// refused, are not among it. With `Closed` the connection is not in the hub any more.
    Connection {
        /// The connection, and whose it is.
        peer: Peer,
        /// What.
        event: ConnectionEvent,
    },
    /// The hub has something to tell.
    Hub(HubEvent),
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
}

/// Counts of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections there are, also those that were not let in yet.
    pub connections: usize,
    /// Connections there ever were.
    pub opened: u64,
    /// Connections that were refused, or did not fit into the hub.
    pub rejected: u64,
    /// Received events that the guard or a rate refused.
    pub refused_events: u64,
    /// The counts of the hub.
    pub hub: HubStats,
    /// The counts of all connections together, also those that are gone.
    pub traffic: Stats,
}

/// Adds the counts of one connection to those of all.
pub(super) const fn add(all: &mut Stats, one: &Stats) {
    *all = all.plus(*one);
}
