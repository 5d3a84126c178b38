//! What channels there are, who is subscribed, and what they retain.

mod api;
mod key;
mod subscriptions;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::id::ConnId;
use crate::packed::PackedEvent;
use crate::packer::Packer;
use crate::time::Instant;

use super::config::{ChannelConfig, ChannelOptions};
use super::dense::DenseSet;

pub use api::{ChannelInfo, ChannelStats, PublishError, PublishOptions};
pub(super) use key::ChannelKey;
pub(super) use subscriptions::Subscriptions;

/// All channels.
#[derive(Debug)]
pub(super) struct Channels {
    by_key: BTreeMap<ChannelKey, Channel>,
    /// Those that may give way, the longest unused first.
    idle: BTreeSet<(u64, ChannelKey)>,
    /// The number of the next use.
    uses: u64,
    subscriptions: usize,
    retained_bytes: usize,
    counts: Counts,
}

/// What happened on all channels, also those that are gone.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    published: u64,
    delivered: u64,
    refused_subscribes: u64,
    refused_publishes: u64,
    not_retained: u64,
}

#[derive(Debug)]
struct Channel {
    id: Value,
    options: ChannelOptions,
    /// Whether subscribing made it, so that it may give way when nobody uses it.
    auto: bool,
    subscribers: DenseSet<ConnId>,
    retained: VecDeque<Retained>,
    retained_bytes: usize,
    created: Instant,
    last_published: Option<Instant>,
    published: u64,
    delivered: u64,
    used: u64,
}

/// A message that is kept for those who subscribe later.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub(super) event: PackedEvent,
    pub(super) packer: Arc<dyn Packer>,
}

/// Why a connection is not subscribed, in the words of sente-lite's `:error` where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// There is no such channel, and subscribing makes none.
    #[error("there is no such channel")]
    ChannelNotFound,
    /// The guard says so, and why.
    #[error("not permitted: {0}")]
    Denied(SmolStr),
    /// The packed id is longer than `ChannelConfig::max_id_bytes`.
    #[error("the channel id of {bytes} bytes is over the limit of {limit}")]
    IdTooLong {
        /// Its bytes.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The connection is not in the hub.
    #[error("the connection is not in the hub")]
    NotJoined,
    /// Not subscribed, so that there is nothing to end.
    #[error("not subscribed")]
    NotSubscribed,
    /// As many channels are in use as `ChannelConfig::max_channels` allows.
    #[error("{limit} channels are in use already")]
    TooManyChannels {
        /// The limit in force.
        limit: usize,
    },
    /// The channel has as many subscribers as it may have.
    #[error("the channel has {limit} subscribers already")]
    TooManySubscribers {
        /// The limit in force.
        limit: usize,
    },
    /// The connection has as many subscriptions as `ChannelConfig::max_subscriptions` allows.
    #[error("the connection has {limit} subscriptions already")]
    TooManySubscriptions {
        /// The limit in force.
        limit: usize,
    },
}

impl SubscribeError {
    /// What a client is told as `:error`.
    #[must_use]
    pub fn word(&self) -> SmolStr {
        match self {
            Self::ChannelNotFound => SmolStr::new_static("channel-not-found"),
            Self::Denied(why) => why.clone(),
            Self::IdTooLong { .. } => SmolStr::new_static("channel-id-too-long"),
            Self::NotJoined => SmolStr::new_static("not-joined"),
            Self::NotSubscribed => SmolStr::new_static("not-subscribed"),
            Self::TooManyChannels { .. } => SmolStr::new_static("max-channels-reached"),
            Self::TooManySubscribers { .. } => SmolStr::new_static("max-subscribers-reached"),
            Self::TooManySubscriptions { .. } => SmolStr::new_static("max-subscriptions-per-conn"),
        }
    }
}

impl Channels {
    pub(super) const fn new() -> Self {
        Self {
            by_key: BTreeMap::new(),
            idle: BTreeSet::new(),
            uses: 0,
            subscriptions: 0,
            retained_bytes: 0,
            counts: Counts {
                published: 0,
                delivered: 0,
                refused_subscribes: 0,
                refused_publishes: 0,
                not_retained: 0,
            },
        }
    }

    pub(super) fn contains(&self, id: &Value) -> bool {
        self.by_key.contains_key(&ChannelKey::of(id))
    }

    pub(super) fn contains_key(&self, key: &ChannelKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// The key of a channel that is there: the bytes of all clones of it are one piece of memory.
    fn shared_key(&self, key: &ChannelKey) -> Option<ChannelKey> {
        let (key, _) = self.by_key.get_key_value(key)?;
        Some(key.clone())
    }

    pub(super) fn subscribers(&self, key: &ChannelKey) -> impl Iterator<Item = ConnId> + '_ {
        let channel = self.by_key.get(key);
        channel
            .into_iter()
            .flat_map(|channel| channel.subscribers.iter())
            .copied()
    }

    pub(super) fn count_of(&self, key: &ChannelKey) -> usize {
        let channel = self.by_key.get(key);
        channel.map_or(0, |channel| channel.subscribers.len())
    }

    pub(super) fn is_subscribed(&self, key: &ChannelKey, connection: ConnId) -> bool {
        let channel = self.by_key.get(key);
        channel.is_some_and(|channel| channel.subscribers.contains(&connection))
    }

    /// A connection left: it leaves its channels.
    pub(super) fn leave(&mut self, connection: ConnId, subscriptions: &Subscriptions) {
        for key in subscriptions.iter() {
            self.unsubscribe(key, connection);
        }
    }

    /// Makes a channel that is not there, if there is room for it.
    fn create(
        &mut self,
        now: Instant,
        key: &ChannelKey,
        id: &Value,
        options: ChannelOptions,
        auto: bool,
        config: &ChannelConfig,
    ) -> Result<(), SubscribeError> {
        if self.by_key.len() >= config.max_channels {
            let Some((_, unused)) = self.idle.first().cloned() else {
                return Err(SubscribeError::TooManyChannels {
                    limit: config.max_channels,
                });
            };
            self.remove(&unused);
        }
        self.by_key.insert(
            key.clone(),
            Channel {
                id: id.clone(),
                options,
                auto,
                subscribers: DenseSet::new(),
                retained: VecDeque::new(),
                retained_bytes: 0,
                created: now,
                last_published: None,
                published: 0,
                delivered: 0,
                used: 0,
            },
        );
        self.touch(key);
        Ok(())
    }

    /// Takes a channel out: who was subscribed.
    fn remove(&mut self, key: &ChannelKey) -> Option<Channel> {
        let channel = self.by_key.remove(key)?;
        self.idle.remove(&(channel.used, key.clone()));
        self.subscriptions = self.subscriptions.saturating_sub(channel.subscribers.len());
        self.retained_bytes = self.retained_bytes.saturating_sub(channel.retained_bytes);
        Some(channel)
    }

    fn subscribe(
        &mut self,
        key: &ChannelKey,
        connection: ConnId,
    ) -> Result<Subscribing, SubscribeError> {
        let channel = self
            .by_key
            .get_mut(key)
            .ok_or(SubscribeError::ChannelNotFound)?;
        let known = channel.subscribers.contains(&connection);
        let limit = channel.options.max_subscribers;
        // A full channel refuses also whom it has, as sente-lite does.
        if channel.subscribers.len() >= limit {
            return Err(SubscribeError::TooManySubscribers { limit });
        }
        if known {
            return Ok(Subscribing::Known);
        }
        channel.subscribers.insert(connection);
        self.subscriptions = self.subscriptions.saturating_add(1);
        let retained = channel.retained.iter().cloned().collect();
        self.touch(key);
        Ok(Subscribing::New(retained))
    }

    fn unsubscribe(&mut self, key: &ChannelKey, connection: ConnId) -> bool {
        let Some(channel) = self.by_key.get_mut(key) else {
            return false;
        };
        let known = channel.subscribers.remove(&connection);
        if known {
            self.subscriptions = self.subscriptions.saturating_sub(1);
            self.touch(key);
        }
        known
    }

    /// Retains a message, as far as the channel does and there is room. What is retained for longest
    /// gives way.
    fn retain(&mut self, key: &ChannelKey, message: Retained, config: &ChannelConfig) {
        let Some(channel) = self.by_key.get_mut(key) else {
            return;
        };
        let size = message.event.bytes().len();
        if channel.options.retain_messages == 0 {
            return;
        }
        let mut freed = 0usize;
        let fits = size <= channel.options.retain_bytes;
        while let Some(oldest) = channel.retained.front()
            && (!fits
                || channel.retained.len() >= channel.options.retain_messages
                || channel.retained_bytes.saturating_add(size) > channel.options.retain_bytes)
        {
            let bytes = oldest.event.bytes().len();
            channel.retained_bytes = channel.retained_bytes.saturating_sub(bytes);
            freed = freed.saturating_add(bytes);
            channel.retained.pop_front();
        }
        self.retained_bytes = self.retained_bytes.saturating_sub(freed);
        if fits && self.retained_bytes.saturating_add(size) <= config.max_retained_bytes {
            channel.retained_bytes = channel.retained_bytes.saturating_add(size);
            self.retained_bytes = self.retained_bytes.saturating_add(size);
            channel.retained.push_back(message);
        } else {
            // What is retained are the last messages without a hole, so that none is.
            let bytes = core::mem::take(&mut channel.retained_bytes);
            channel.retained.clear();
            self.retained_bytes = self.retained_bytes.saturating_sub(bytes);
            self.counts.not_retained = self.counts.not_retained.saturating_add(1);
        }
    }

    /// Counts a message that went out.
    fn published(&mut self, now: Instant, key: &ChannelKey, delivered: usize) {
        let delivered = u64::try_from(delivered).unwrap_or(u64::MAX);
        self.counts.published = self.counts.published.saturating_add(1);
        self.counts.delivered = self.counts.delivered.saturating_add(delivered);
        if let Some(channel) = self.by_key.get_mut(key) {
            channel.published = channel.published.saturating_add(1);
            channel.delivered = channel.delivered.saturating_add(delivered);
            channel.last_published = Some(now);
        }
        self.touch(key);
    }

    /// Notes that a channel is used, and whether it may give way.
    fn touch(&mut self, key: &ChannelKey) {
        let Some(channel) = self.by_key.get_mut(key) else {
            return;
        };
        self.idle.remove(&(channel.used, key.clone()));
        self.uses = self.uses.saturating_add(1);
        channel.used = self.uses;
        if channel.auto && channel.subscribers.is_empty() {
            self.idle.insert((channel.used, key.clone()));
        }
    }
}

/// What subscribing came to.
enum Subscribing {
    Known,
    /// With what the channel retains.
    New(Vec<Retained>),
}
