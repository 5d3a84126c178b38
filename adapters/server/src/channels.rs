//! Channels, as the application uses and administers them. What clients say on them the hub answers.

use sente_core::edn::Value;
use sente_core::{
    ChannelInfo, ChannelOptions, ChannelStats, ConnId, Fanout, FanoutError, Payload,
    PublishOptions, SubscribeError,
};

use crate::line::lock;
use crate::server::Server;

/// The channels of a server: from [`Server::channels`].
#[derive(Clone, Debug)]
pub struct Channels(Server);

impl Server {
    /// Its channels.
    #[must_use]
    pub fn channels(&self) -> Channels {
        Channels(self.clone())
    }
}

impl Channels {
    /// Makes a channel, or gives one that is there these options; it stays until it is deleted.
    ///
    /// # Errors
    /// [`SubscribeError::TooManyChannels`].
    pub fn create(&self, id: &Value, options: ChannelOptions) -> Result<(), SubscribeError> {
        self.0
            .with_hub(|hub, now| hub.create_channel(now, id, options))
    }

    /// Deletes a channel: its subscribers are not subscribed any more, and are told nothing. Whether
    /// there was one.
    #[expect(clippy::must_use_candidate, reason = "it is done for what it does")]
    pub fn delete(&self, id: &Value) -> bool {
        self.0.with_hub(|hub, now| hub.delete_channel(now, id))
    }

    /// Subscribes a connection; no guard is asked. What the channel retains is delivered to a new
    /// subscriber. Whether it is one.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn subscribe(&self, connection: ConnId, id: &Value) -> Result<bool, SubscribeError> {
        self.0
            .with_hub(|hub, now| hub.subscribe(now, connection, id))
    }

    /// Ends the subscription of a connection.
    ///
    /// # Errors
    /// [`SubscribeError::NotSubscribed`] if there is no such channel.
    pub fn unsubscribe(&self, connection: ConnId, id: &Value) -> Result<(), SubscribeError> {
        self.0
            .with_hub(|hub, now| hub.unsubscribe(now, connection, id))
    }

    /// Publishes on a channel, with nil under `:from`.
    ///
    /// # Errors
    /// [`FanoutError`]: there is no such channel, or too many broadcasts wait.
    pub fn publish(&self, id: &Value, data: impl Into<Payload>) -> Result<Fanout, FanoutError> {
        self.publish_with(id, data, PublishOptions::new())
    }

    /// Publishes on a channel in the way `options` say.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub fn publish_with(
        &self,
        id: &Value,
        data: impl Into<Payload>,
        options: PublishOptions,
    ) -> Result<Fanout, FanoutError> {
        let data = data.into();
        self.0
            .with_hub(|hub, now| hub.publish(now, id, data, options))
    }

    /// What there is to say of all channels.
    #[must_use]
    pub fn list(&self) -> Vec<ChannelInfo> {
        lock(&self.0.inner.room).hub.channels().collect()
    }

    /// What there is to say of one channel.
    #[must_use]
    pub fn get(&self, id: &Value) -> Option<ChannelInfo> {
        lock(&self.0.inner.room).hub.channel(id)
    }

    /// The subscribers of a channel, in the order of their ids.
    #[must_use]
    pub fn subscribers(&self, id: &Value) -> Vec<ConnId> {
        lock(&self.0.inner.room).hub.subscribers(id).collect()
    }

    /// The channels a connection is subscribed to.
    #[must_use]
    pub fn of(&self, connection: ConnId) -> Vec<Value> {
        lock(&self.0.inner.room).hub.subscriptions(connection)
    }

    /// The numbers of all channels together.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        lock(&self.0.inner.room).hub.channel_stats()
    }
}
