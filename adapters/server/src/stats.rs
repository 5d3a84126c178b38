//! The counts of a server.

use std::sync::atomic::Ordering;

use sente_core::{ChannelStats, HubStats, Stats};

use crate::server::Server;

/// Counts of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections there are.
    pub connections: usize,
    /// Users who are connected.
    pub users: usize,
    /// Clients in their grace.
    pub away: usize,
    /// Received events that the guard or a rate refused.
    pub refused_events: u64,
    /// Events that wait for connections, beside their send queues, and their bytes.
    pub waiting: (usize, usize),
    /// The counts of the hub.
    pub hub: HubStats,
    /// The numbers of its channels.
    pub channels: ChannelStats,
    /// The counts of all connections together, also of those that are gone.
    pub traffic: Stats,
}

impl Server {
    /// Its counts. Takes time for each connection.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let (mut stats, lines) = self.in_room(|room, _| {
            let lines: Vec<_> = room.lines.values().cloned().collect();
            let stats = ServerStats {
                connections: lines.len(),
                users: room.hub.connected_uids().any().len(),
                away: room.hub.away(),
                refused_events: self.inner.refused_events.load(Ordering::Relaxed),
                waiting: (0, 0),
                hub: room.hub.stats(),
                channels: room.hub.channel_stats(),
                traffic: room.gone,
            };
            (stats, lines)
        });
        for line in lines {
            add(&mut stats.traffic, &line.stats());
            let (messages, bytes) = line.link().waiting();
            stats.waiting.0 = stats.waiting.0.saturating_add(messages);
            stats.waiting.1 = stats.waiting.1.saturating_add(bytes);
        }
        stats
    }
}

/// Adds the counts of one connection to those of all.
pub(crate) const fn add(all: &mut Stats, one: &Stats) {
    const fn sum(all: &mut u64, one: u64) {
        *all = all.saturating_add(one);
    }
    sum(&mut all.frames_received, one.frames_received);
    sum(&mut all.frames_sent, one.frames_sent);
    sum(&mut all.bytes_received, one.bytes_received);
    sum(&mut all.bytes_sent, one.bytes_sent);
    sum(&mut all.events_received, one.events_received);
    sum(&mut all.events_queued, one.events_queued);
    sum(&mut all.sends_refused, one.sends_refused);
    sum(&mut all.dropped_oldest, one.dropped_oldest);
    sum(&mut all.dropped_volatile, one.dropped_volatile);
    sum(&mut all.replaced, one.replaced);
    sum(&mut all.bad_events, one.bad_events);
    sum(&mut all.ignored, one.ignored);
    sum(&mut all.late_replies, one.late_replies);
    sum(&mut all.pings_sent, one.pings_sent);
    sum(&mut all.shed, one.shed);
}
