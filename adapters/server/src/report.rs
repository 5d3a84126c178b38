//! What sente-lite's server says at `/health`, `/stats` and `/channels`, as JSON.

use sente_core::edn::Value;
use sente_core::{ChannelInfo, Instant};
use serde_json::{Map, Value as Json, json};

use crate::line::lock;
use crate::server::Server;

/// The health of a server: from [`Server::health`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it lets clients in, and its channels are healthy. Where it is not, an HTTP endpoint
    /// should answer with 503.
    pub is_healthy: bool,
    /// The JSON: `{"status":"healthy","connections":2,"uptime-ms":3000}`. The other states are
    /// `unhealthy`, where requests over channels pile up, and `closing`.
    pub body: String,
}

impl Server {
    /// Whether it is healthy, and what sente-lite's server says of that at `/health`.
    #[must_use]
    pub fn health(&self) -> Health {
        let channels = lock(&self.inner.room).hub.channel_stats();
        let status = if *self.inner.is_closing.borrow() {
            "closing"
        } else if channels.is_healthy() {
            "healthy"
        } else {
            "unhealthy"
        };
        let body = json!({
            "status": status,
            "connections": *self.inner.open.borrow(),
            "uptime-ms": self.now().as_millis(),
        });
        Health {
            is_healthy: status == "healthy",
            body: body.to_string(),
        }
    }

    /// What sente-lite's server says at `/stats`, as JSON: connections, messages received, channels;
    /// beside that, what it counts and does not tell there. Takes time for each connection and each
    /// channel.
    #[must_use]
    pub fn stats_json(&self) -> String {
        let stats = self.stats();
        let traffic = stats.all_traffic();
        let turned_away = stats.turned_away.values();
        let rejected = turned_away.fold(stats.hub.refused_joins, |sum, n| sum.saturating_add(*n));
        let listed = self.channels().list();
        let channels: Map<String, Json> = listed
            .iter()
            .map(|channel| {
                let of_one = json!({
                    "subscriber-count": channel.subscribers,
                    "message-count": channel.published,
                    "created-at": self.unix_millis(channel.created),
                    "retention-count": channel.retained,
                });
                (key(&channel.id), of_one)
            })
            .collect();
        json!({
            "active-connections": stats.connections,
            "total-messages": traffic.events_received,
            "channel-stats": {
                "channels": channels,
                "total-channels": stats.channels.channels,
                "total-subscriptions": stats.channels.subscriptions,
                "active-connections": stats.connections,
                "pending-rpc-requests": stats.channels.requests,
            },
            "metrics": {
                "rejected-connections": rejected,
                "oversized-messages": traffic.oversized_received,
                "parse-errors": traffic.bad_events,
            },
            "users": stats.users,
        })
        .to_string()
    }

    /// What sente-lite's server says at `/channels`, as JSON. Takes time for each channel.
    #[must_use]
    pub fn channels_json(&self) -> String {
        let listed = self.channels().list();
        let channels: Map<String, Json> = listed
            .iter()
            .map(|channel| (key(&channel.id), self.describe(channel)))
            .collect();
        json!({ "channels": channels }).to_string()
    }

    fn describe(&self, channel: &ChannelInfo) -> Json {
        json!({
            "config": {
                "max-subscribers": channel.options.max_subscribers,
                "message-retention": channel.options.retain_messages,
            },
            "created-at": self.unix_millis(channel.created),
            "message-count": channel.published,
            "subscriber-count": channel.subscribers,
        })
    }

    fn unix_millis(&self, at: Instant) -> u64 {
        let epoch = self.inner.config.hub.unix_millis_at_epoch;
        epoch.saturating_add(at.as_millis())
    }
}

/// A channel's id as a key of JSON: a text is itself, anything else its EDN without the colon that a
/// keyword has, as Clojure's writers of JSON do it.
fn key(id: &Value) -> String {
    if let Some(text) = id.as_str() {
        return text.to_owned();
    }
    let text = id.to_string();
    match text.strip_prefix(':') {
        Some(name) => name.to_owned(),
        None => text,
    }
}
