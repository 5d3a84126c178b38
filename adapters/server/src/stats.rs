//! The counts of a server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sente_adapters::HandlerFailure;
use sente_core::admission::RefusalReason;
use sente_core::{ChannelStats, HubStats, Stats};
use smol_str::SmolStr;

use crate::line::{Wire, lock};
use crate::server::Server;

/// Counts of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections there are.
    pub connections: usize,
    /// Users who are connected.
    pub users: usize,
    /// Clients in their grace.
    pub away: usize,
    /// Requests that were not let in, by why.
    pub turned_away: BTreeMap<RefusalReason, u64>,
    /// Received events that the guard or a rate refused.
    pub refused_events: u64,
    /// Events and calls that handlers failed at.
    pub failed_handlers: u64,
    /// Events and calls that handlers panicked at.
    pub panicked_handlers: u64,
    /// What waits for connections beside their send queues.
    pub inboxes: Waiting,
    /// What waits in send queues.
    pub send_queues: Waiting,
    /// The counts of the hub.
    pub hub: HubStats,
    /// The numbers of its channels.
    pub channels: ChannelStats,
    /// The counts of all connections, also of those that are gone, by the names of their packers.
    pub traffic: BTreeMap<SmolStr, Stats>,
}

impl ServerStats {
    /// The counts of all connections together.
    #[must_use]
    pub fn all_traffic(&self) -> Stats {
        let all = self.traffic.values();
        all.fold(Stats::default(), |sum, one| sum.plus(*one))
    }
}

/// Events that wait to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// How many.
    pub events: usize,
    /// Their packed bytes.
    pub bytes: usize,
}

impl Waiting {
    pub(crate) const fn new(events: usize, bytes: usize) -> Self {
        Self { events, bytes }
    }

    const fn add(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What is counted beside the hub and the connections.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    refused_events: AtomicU64,
    failed_handlers: AtomicU64,
    panicked_handlers: AtomicU64,
    turned_away: Mutex<BTreeMap<RefusalReason, u64>>,
}

impl Counts {
    pub(crate) fn refused_event(&self) {
        self.refused_events.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused_events(&self) -> u64 {
        self.refused_events.load(Ordering::Relaxed)
    }

    pub(crate) fn failure(&self, failure: &HandlerFailure) {
        let count = match failure.panicked {
            true => &self.panicked_handlers,
            false => &self.failed_handlers,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn turned_away(&self, why: RefusalReason) {
        let mut turned_away = lock(&self.turned_away);
        let count = turned_away.entry(why).or_default();
        *count = count.saturating_add(1);
    }
}

impl Server {
    /// Its counts. Takes time for each connection.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let counts = &self.inner.counts;
        let (mut stats, lines) = self.in_room(|room, _| {
            let lines: Vec<Arc<dyn Wire>> = room.lines.values().cloned().collect();
            let stats = ServerStats {
                connections: lines.len(),
                users: room.hub.connected_uids().any().len(),
                away: room.hub.away(),
                turned_away: lock(&counts.turned_away).clone(),
                refused_events: counts.refused_events(),
                failed_handlers: counts.failed_handlers.load(Ordering::Relaxed),
                panicked_handlers: counts.panicked_handlers.load(Ordering::Relaxed),
                inboxes: Waiting::default(),
                send_queues: Waiting::default(),
                hub: room.hub.stats(),
                channels: room.hub.channel_stats(),
                traffic: room.gone.clone(),
            };
            (stats, lines)
        });
        for line in lines {
            count(&mut stats.traffic, &*line);
            stats.inboxes.add(line.link().waiting());
            stats.send_queues.add(line.send_queue());
        }
        stats
    }
}

/// Adds the counts of a connection to those of its packer.
pub(crate) fn count(traffic: &mut BTreeMap<SmolStr, Stats>, line: &dyn Wire) {
    let Some(packer) = line.packer() else {
        // It ended before it began.
        return;
    };
    let all = traffic.entry(SmolStr::new(packer.name())).or_default();
    *all = all.plus(line.stats());
}
