//! Subscribing, publishing and administering: what an application does with channels.

use alloc::sync::Arc;
use alloc::vec::Vec;

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::event::Payload;
use crate::id::ConnId;
use crate::packer::{Edn, Packer};
use crate::queue::SendOptions;
use crate::time::Instant;

use super::super::Hub;
use super::super::broadcast::{Job, Publication};
use super::super::config::ChannelOptions;
use super::super::event::HubEvent;
use super::super::fanout::{Fanout, FanoutError, Packings, Reach, What};
use super::super::guard::{Action, Denied};
use super::super::kept;
use super::{Channel, ChannelKey, Retained, SubscribeError, Subscribing};

/// What there is to say of one channel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Its id, as it was first written.
    pub id: Value,
    /// What it is like.
    pub options: ChannelOptions,
    /// Whether subscribing made it.
    pub auto_created: bool,
    /// How many are subscribed.
    pub subscribers: usize,
    /// How many messages it retains.
    pub retained: usize,
    /// Their packed bytes.
    pub retained_bytes: usize,
    /// When it was made.
    pub created: Instant,
    /// When something was last published.
    pub last_published: Option<Instant>,
    /// Messages published.
    pub published: u64,
    /// Messages handed to subscribers, one for each.
    pub delivered: u64,
}

/// The numbers of all channels together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Channels.
    pub channels: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// The packed bytes of retained messages.
    pub retained_bytes: usize,
    /// Messages published.
    pub published: u64,
    /// Messages handed to subscribers, one for each.
    pub delivered: u64,
    /// Messages that a channel was to retain, and that did not fit: it began anew.
    pub not_retained: u64,
    /// Subscribes that were refused.
    pub refused_subscribes: u64,
    /// Publishes and requests of clients that were refused.
    pub refused_publishes: u64,
    /// Requests over channels that wait for their response.
    pub requests: usize,
    /// Those that have waited for more than a minute.
    pub old_requests: usize,
}

impl ChannelStats {
    /// Whether fewer than ten requests have waited for more than a minute: sente-lite's measure of
    /// health.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.old_requests < 10
    }
}

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The guard says so.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such channel, or too many broadcasts wait.
    #[error(transparent)]
    Fanout(#[from] FanoutError),
}

impl PublishError {
    /// What a client that called is told as `:error`.
    pub(in crate::hub) fn word(&self) -> SmolStr {
        match self {
            Self::Denied(denied) => denied.reason.clone(),
            Self::Fanout(FanoutError::NoChannel) => SmolStr::new_static("channel-not-found"),
            Self::Fanout(FanoutError::TooManyWaiting { .. }) => {
                SmolStr::new_static("too-many-waiting")
            }
            Self::Fanout(FanoutError::Pack(_)) => SmolStr::new_static("unpackable"),
        }
    }
}

impl Hub {
    /// Makes a channel, or gives one that is there these options: it has never been made by
    /// subscribing then, and stays until it is deleted.
    ///
    /// # Errors
    /// [`SubscribeError::TooManyChannels`].
    pub fn create_channel(
        &mut self,
        now: Instant,
        id: &Value,
        options: ChannelOptions,
    ) -> Result<(), SubscribeError> {
        self.tick(now);
        let key = ChannelKey::of(id);
        if let Some(channel) = self.channels.by_key.get_mut(&key) {
            channel.options = options;
            channel.auto = false;
            self.channels.touch(&key);
            return Ok(());
        }
        let config = &self.config.channels;
        self.channels
            .create(self.now, &key, id, options, false, config)
    }

    /// Deletes a channel: its subscribers are not subscribed any more, and are told nothing. Whether
    /// there was one.
    pub fn delete_channel(&mut self, now: Instant, id: &Value) -> bool {
        self.tick(now);
        let key = ChannelKey::of(id);
        let Some(channel) = self.channels.remove(&key) else {
            return false;
        };
        for connection in channel.subscribers.iter().copied() {
            if let Some(member) = self.members.get_mut(&connection) {
                member.subscriptions.remove(&key);
            }
            self.tell(HubEvent::Unsubscribed {
                connection,
                channel: channel.id.clone(),
            });
        }
        true
    }

    /// Subscribes a connection, as the application wishes: no guard is asked. What the channel
    /// retains is delivered to a new subscriber. Whether it is one.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn subscribe(
        &mut self,
        now: Instant,
        connection: ConnId,
        id: &Value,
    ) -> Result<bool, SubscribeError> {
        self.tick(now);
        let retained = self.subscribe_quietly(connection, id)?;
        let is_new = retained.is_some();
        self.deliver_retained(connection, retained.unwrap_or_default());
        Ok(is_new)
    }

    /// Ends the subscription of a connection. `Ok` also where it was not subscribed to a channel
    /// that is there, as in sente-lite.
    ///
    /// # Errors
    /// [`SubscribeError::NotSubscribed`] if there is no such channel.
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        connection: ConnId,
        id: &Value,
    ) -> Result<(), SubscribeError> {
        self.tick(now);
        let key = ChannelKey::of(id);
        if !self.channels.contains_key(&key) {
            return Err(SubscribeError::NotSubscribed);
        }
        if self.channels.unsubscribe(&key, connection) {
            if let Some(member) = self.members.get_mut(&connection) {
                member.subscriptions.remove(&key);
            }
            self.tell(HubEvent::Unsubscribed {
                connection,
                channel: id.clone(),
            });
        }
        Ok(())
    }

    /// Ends all subscriptions of a connection. How many.
    pub fn unsubscribe_all(&mut self, now: Instant, connection: ConnId) -> usize {
        let subscriptions = self.subscriptions(connection);
        for id in &subscriptions {
            // They are its own.
            let _ = self.unsubscribe(now, connection, id);
        }
        subscriptions.len()
    }

    /// Publishes on a channel: every subscriber gets
    /// `[:sente-lite/channel-msg {:channel-id id, :data data, :from from}]`, and the channel retains
    /// it if it does. `from` is nil, unless the application says for whom it speaks.
    ///
    /// It is packed once for each packed format in use; a payload that a client sent goes on as its
    /// bytes.
    ///
    /// # Errors
    /// [`FanoutError`]: there is no such channel, or too many broadcasts wait.
    pub fn publish(
        &mut self,
        now: Instant,
        id: &Value,
        data: impl Into<Payload>,
        options: PublishOptions,
    ) -> Result<Fanout, FanoutError> {
        self.tick(now);
        self.publish_or_wait(Publication {
            key: ChannelKey::of(id),
            channel: Payload::from(id.clone()),
            data: data.into(),
            from: options.from,
            except: options.except,
            options: options.send,
        })
    }

    /// What there is to say of all channels.
    pub fn channels(&self) -> impl Iterator<Item = ChannelInfo> + '_ {
        self.channels.by_key.values().map(Channel::info)
    }

    /// What there is to say of one channel.
    #[must_use]
    pub fn channel(&self, id: &Value) -> Option<ChannelInfo> {
        let channel = self.channels.by_key.get(&ChannelKey::of(id))?;
        Some(channel.info())
    }

    /// The subscribers of a channel, in the order of their ids.
    pub fn subscribers(&self, id: &Value) -> impl Iterator<Item = ConnId> + '_ {
        self.channels
            .subscribers(&ChannelKey::of(id))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The channels a connection is subscribed to.
    #[must_use]
    pub fn subscriptions(&self, connection: ConnId) -> Vec<Value> {
        let member = self.members.get(&connection);
        let keys = member
            .into_iter()
            .flat_map(|member| member.subscriptions.iter());
        keys.filter_map(|key| Some(self.channels.by_key.get(key)?.id.clone()))
            .collect()
    }

    /// The numbers of all channels together.
    #[must_use]
    pub fn channel_stats(&self) -> ChannelStats {
        let counts = self.channels.counts;
        ChannelStats {
            channels: self.channels.by_key.len(),
            subscriptions: self.channels.subscriptions,
            retained_bytes: self.channels.retained_bytes,
            published: counts.published,
            delivered: counts.delivered,
            not_retained: counts.not_retained,
            refused_subscribes: counts.refused_subscribes,
            refused_publishes: counts.refused_publishes,
            requests: self.requests.len(),
            old_requests: self.requests.older_than_a_minute(self.now),
        }
    }

    /// Subscribes, and gives what the channel retains for a new subscriber.
    pub(in crate::hub) fn subscribe_quietly(
        &mut self,
        connection: ConnId,
        id: &Value,
    ) -> Result<Option<Vec<Retained>>, SubscribeError> {
        let key = ChannelKey::of(id);
        let subscribed = self.try_subscribe(connection, id, &key);
        match subscribed {
            Ok(Subscribing::Known) => Ok(None),
            Ok(Subscribing::New(retained)) => {
                self.tell(HubEvent::Subscribed {
                    connection,
                    channel: id.clone(),
                });
                Ok(Some(retained))
            }
            Err(error) => {
                let refused = &mut self.channels.counts.refused_subscribes;
                *refused = refused.saturating_add(1);
                Err(error)
            }
        }
    }

    fn try_subscribe(
        &mut self,
        connection: ConnId,
        id: &Value,
        key: &ChannelKey,
    ) -> Result<Subscribing, SubscribeError> {
        let config = &self.config.channels;
        let member = self
            .members
            .get_mut(&connection)
            .ok_or(SubscribeError::NotJoined)?;
        let is_new = !self.channels.contains_key(key);
        if is_new && !config.auto_create {
            return Err(SubscribeError::ChannelNotFound);
        }
        // At the limit also a channel that it has is refused, as sente-lite does.
        let limit = config.max_subscriptions;
        if member.subscriptions.len() >= limit {
            return Err(SubscribeError::TooManySubscriptions { limit });
        }
        if is_new {
            let options = config.new_channels;
            self.channels
                .create(self.now, key, id, options, true, config)?;
        }
        let subscribed = self.channels.subscribe(key, connection)?;
        member.subscriptions.extend(self.channels.shared_key(key));
        Ok(subscribed)
    }

    /// Delivers what a channel retains, in order.
    pub(in crate::hub) fn deliver_retained(&mut self, to: ConnId, retained: Vec<Retained>) {
        let Some(member) = self.members.get(&to) else {
            return;
        };
        let (packer, wraps) = (member.packer.clone(), member.wraps);
        for message in retained {
            let repacked = kept::repack(&message.event, &*message.packer, &*packer);
            let packed = repacked.and_then(|event| match wraps {
                true => kept::wrap(&event, &*packer),
                false => Ok(event),
            });
            // A packer that cannot express it misses it, as it would have when it was published.
            if let Ok(event) = packed {
                self.deliver_to(to, event, SendOptions::new(), false);
            }
        }
    }

    /// Publishes for a client, if the guard lets it.
    pub(in crate::hub) fn publish_for(
        &mut self,
        connection: ConnId,
        id: &Value,
        publication: Publication,
    ) -> Result<Fanout, PublishError> {
        self.ask_guard(
            connection,
            &Action::Publish {
                channel: id,
                data: &publication.data,
            },
        )?;
        Ok(self.publish_or_wait(publication)?)
    }

    pub(in crate::hub) fn count_refused_publish(&mut self) {
        let refused = &mut self.channels.counts.refused_publishes;
        *refused = refused.saturating_add(1);
    }

    pub(in crate::hub) fn publish_or_wait(
        &mut self,
        publication: Publication,
    ) -> Result<Fanout, FanoutError> {
        if !self.channels.contains_key(&publication.key) {
            return Err(FanoutError::NoChannel);
        }
        if !self.broadcasts.is_free(self.now) {
            let job = Job::Publish(publication);
            return self.broadcasts.put_off(self.now, &self.config.limits, job);
        }
        Ok(self.publish_now(&publication))
    }

    pub(in crate::hub) fn publish_now(&mut self, publication: &Publication) -> Fanout {
        let key = &publication.key;
        let Some(channel) = self.channels.by_key.get(key) else {
            // It was deleted while this waited.
            return Fanout::default();
        };
        let retains = channel.options.retain_messages > 0;
        let recipients = match publication.except {
            None => self.channel_to_tell(key),
            except => self.channel_recipients(key, except),
        };
        let what = What::ChannelMessage {
            channel: &publication.channel,
            data: &publication.data,
            from: &publication.from,
        };
        let mut packings = Packings::default();
        let first = recipients.groups.first().map(|group| group.packer.clone());
        let options = &publication.options;
        let fanout = self.deliver(recipients, &what, options, Reach::CHANNEL, &mut packings);
        let bytes = packings.largest().saturating_mul(fanout.connections);
        self.broadcasts.charge(self.now, fanout.connections, bytes);
        if retains {
            let edn: Arc<dyn Packer> = Arc::new(Edn);
            // Where the subscribers' packer cannot express it, EDN can.
            for packer in [first, Some(edn)].into_iter().flatten() {
                if let Ok(event) = packings.get(&what, &*packer) {
                    let message = Retained { event, packer };
                    self.channels.retain(key, message, &self.config.channels);
                    break;
                }
            }
        }
        self.channels.published(self.now, key, fanout.connections);
        fanout
    }
}

/// Who gets what is published, and how.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PublishOptions {
    /// What it says under `:from`. Default nil.
    pub from: Value,
    /// A subscriber that does not get it. Default none.
    pub except: Option<ConnId>,
    /// How it is sent on each connection. Default as `Connection::send` does.
    pub send: SendOptions,
}

impl PublishOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it says under `:from`.
    #[must_use]
    pub fn from(mut self, from: impl Into<Value>) -> Self {
        self.from = from.into();
        self
    }

    /// A subscriber that does not get it.
    #[must_use]
    pub fn except(mut self, connection: ConnId) -> Self {
        self.except = Some(connection);
        self
    }
}

impl Channel {
    fn info(&self) -> ChannelInfo {
        ChannelInfo {
            id: self.id.clone(),
            options: self.options,
            auto_created: self.auto,
            subscribers: self.subscribers.len(),
            retained: self.retained.len(),
            retained_bytes: self.retained_bytes,
            created: self.created,
            last_published: self.last_published,
            published: self.published,
            delivered: self.delivered,
        }
    }
}
