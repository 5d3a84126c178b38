//! Outboxes: over one connection, over a client with one after another, and over a server's many.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::time::Duration;

use super::{Outbox, Published};
use crate::client::Client;
use crate::connection::{Connection, PackedSendError};
use crate::error::{ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::half::SendHalf;
use crate::hub::{FanoutError, Hub, HubOutput, Target};
use crate::id::{CallId, ConnId, ReplyToken};
use crate::packed::PackedEvent;
use crate::packer::PackError;
use crate::peer::Peer;
use crate::queue::{SendOptions, Sent};
use crate::time::Instant;

/// The outbox over one connection, or one session over Ajax, and its peer.
#[derive(Debug)]
pub struct ConnectionOutbox<'a, C = Connection> {
    connection: &'a mut C,
    peer: &'a Peer,
    now: Instant,
}

impl<'a, C: SendHalf> ConnectionOutbox<'a, C> {
    /// An outbox that queues on `connection`, at `now`.
    #[must_use]
    pub const fn new(connection: &'a mut C, peer: &'a Peer, now: Instant) -> Self {
        Self {
            connection,
            peer,
            now,
        }
    }

    fn connection(&mut self, to: ConnId) -> Option<&mut C> {
        (to == self.peer.connection).then_some(&mut *self.connection)
    }
}

impl<C: SendHalf> Outbox for ConnectionOutbox<'_, C> {
    fn send_with(
        &mut self,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        let now = self.now;
        send(self.connection(to), now, event, options)
    }

    fn publish_with(
        &mut self,
        to: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Published, PackError> {
        publish_to_one(self.connection, self.peer, self.now, to, event, options)
    }

    fn call(&mut self, to: ConnId, event: Event, timeout: Duration) -> Result<CallId, SendError> {
        let now = self.now;
        call(self.connection(to), now, event, timeout)
    }

    fn cancel(&mut self, to: ConnId, call: CallId) -> bool {
        self.connection(to)
            .is_some_and(|connection| connection.cancel(call))
    }

    fn reply(&mut self, to: ConnId, token: ReplyToken, payload: Payload) -> Result<(), ReplyError> {
        let now = self.now;
        reply(self.connection(to), now, token, payload)
    }

    fn reply_error(&mut self, to: ConnId, token: ReplyToken) -> Result<(), ReplyError> {
        let now = self.now;
        reply_error(self.connection(to), now, token)
    }

    fn forget(&mut self, to: ConnId, token: ReplyToken) {
        if let Some(connection) = self.connection(to) {
            connection.forget(token);
        }
    }
}

/// The outbox over the present link of a client, which is its only peer. What was an earlier link is
/// not there any more.
///
/// A module speaks to the link it was told of and to no other, so nothing is kept for the next one,
/// whatever [`OnOffline`](crate::OnOffline) says: without a link everything is refused as not open,
/// and as full while events that were kept for this link still wait for room on it.
#[derive(Debug)]
pub struct ClientOutbox<'a> {
    client: &'a mut Client,
    now: Instant,
}

impl<'a> ClientOutbox<'a> {
    /// An outbox that queues on the present link of `client`, at `now`.
    #[must_use]
    pub const fn new(client: &'a mut Client, now: Instant) -> Self {
        Self { client, now }
    }

    fn client(&mut self, to: ConnId) -> Option<&mut Client> {
        (self.client.link_id() == Some(to)).then_some(&mut *self.client)
    }
}

impl Outbox for ClientOutbox<'_> {
    fn send_with(
        &mut self,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        let now = self.now;
        match self.client(to) {
            Some(client) => client.send_on_link(now, event, options),
            None => Err(SendError::NotOpen(Box::new(event))),
        }
    }

    fn publish_with(
        &mut self,
        to: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Published, PackError> {
        let Some(peer) = self.client.link_id().map(Peer::new) else {
            return Ok(Published::default());
        };
        match self.client.link_for_packed(self.now) {
            Ok(connection) => publish_to_one(connection, &peer, self.now, to, event, options),
            Err(refused) => {
                let mut published = Published::default();
                if is_meant(&peer, to) {
                    published.count(peer.connection, Err(refused));
                }
                Ok(published)
            }
        }
    }

    fn call(&mut self, to: ConnId, event: Event, timeout: Duration) -> Result<CallId, SendError> {
        let now = self.now;
        call(self.client(to), now, event, timeout)
    }

    fn cancel(&mut self, to: ConnId, call: CallId) -> bool {
        self.client(to).is_some_and(|client| client.cancel(call))
    }

    fn reply(&mut self, to: ConnId, token: ReplyToken, payload: Payload) -> Result<(), ReplyError> {
        let now = self.now;
        reply(self.client(to), now, token, payload)
    }

    fn reply_error(&mut self, to: ConnId, token: ReplyToken) -> Result<(), ReplyError> {
        let now = self.now;
        reply_error(self.client(to), now, token)
    }

    fn forget(&mut self, to: ConnId, token: ReplyToken) {
        if let Some(client) = self.client(to) {
            client.forget(token);
        }
    }
}

/// The outbox over a server's connections and the [`Hub`] that knows whose they are.
#[derive(Debug)]
pub struct ServerOutbox<'a> {
    hub: &'a mut Hub,
    connections: &'a mut BTreeMap<ConnId, Connection>,
    now: Instant,
}

impl<'a> ServerOutbox<'a> {
    /// An outbox that queues on `connections`, at `now`. [`publish`](Outbox::publish) reaches those
    /// that have joined `hub`, and carries out what the hub has to say besides.
    #[must_use]
    pub const fn new(
        hub: &'a mut Hub,
        connections: &'a mut BTreeMap<ConnId, Connection>,
        now: Instant,
    ) -> Self {
        Self {
            hub,
            connections,
            now,
        }
    }
}

impl Outbox for ServerOutbox<'_> {
    fn send_with(
        &mut self,
        to: ConnId,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        send(self.connections.get_mut(&to), self.now, event, options)
    }

    fn publish_with(
        &mut self,
        to: &Target,
        event: &Event,
        options: &SendOptions,
    ) -> Result<Published, PackError> {
        // What the hub had to say before is no part of this.
        self.carry_out();
        match self.hub.fan_out_with(self.now, to, event, options) {
            Ok(_) | Err(FanoutError::NoChannel) => {}
            Err(FanoutError::Pack(error)) => return Err(error),
            Err(FanoutError::TooManyWaiting { .. }) => {
                return Ok(Published {
                    throttled: true,
                    ..Published::default()
                });
            }
        }
        Ok(self.carry_out())
    }

    fn call(&mut self, to: ConnId, event: Event, timeout: Duration) -> Result<CallId, SendError> {
        call(self.connections.get_mut(&to), self.now, event, timeout)
    }

    fn cancel(&mut self, to: ConnId, call: CallId) -> bool {
        self.connections
            .get_mut(&to)
            .is_some_and(|connection| connection.cancel(call))
    }

    fn reply(&mut self, to: ConnId, token: ReplyToken, payload: Payload) -> Result<(), ReplyError> {
        reply(self.connections.get_mut(&to), self.now, token, payload)
    }

    fn reply_error(&mut self, to: ConnId, token: ReplyToken) -> Result<(), ReplyError> {
        reply_error(self.connections.get_mut(&to), self.now, token)
    }

    fn forget(&mut self, to: ConnId, token: ReplyToken) {
        if let Some(connection) = self.connections.get_mut(&to) {
            connection.forget(token);
        }
    }
}

impl ServerOutbox<'_> {
    /// Does what the hub says: what became of its deliveries, in the order of the connections' ids.
    fn carry_out(&mut self) -> Published {
        let now = self.now;
        let mut published = Published::default();
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Deliver(delivery) => {
                    for to in delivery.to {
                        let options = delivery.options.clone();
                        let result = match self.connections.get_mut(&to) {
                            Some(it) => it.send_packed_with(now, &delivery.event, options),
                            None => Err(PackedSendError::NotOpen),
                        };
                        published.count(to, result);
                    }
                }
                HubOutput::Close {
                    connection,
                    code,
                    reason,
                } => {
                    if let Some(connection) = self.connections.get_mut(&connection) {
                        connection.close_with(now, code, &reason);
                    }
                }
                HubOutput::Reply { to, token, payload } => {
                    // Whoever called is gone where this fails.
                    let _ = reply(self.connections.get_mut(&to), now, token, payload);
                }
                HubOutput::ReplyError { to, token } => {
                    let _ = reply_error(self.connections.get_mut(&to), now, token);
                }
            }
        }
        published.refused.sort_by_key(|(to, _)| *to);
        published
    }
}

impl Published {
    fn count(&mut self, to: ConnId, result: Result<Sent, PackedSendError>) {
        match result {
            Ok(Sent::Dropped) => self.dropped = self.dropped.saturating_add(1),
            Ok(Sent::Queued | Sent::Replaced) => self.queued = self.queued.saturating_add(1),
            Err(error) => self.refused.push((to, error)),
        }
    }
}

fn is_meant(peer: &Peer, to: &Target) -> bool {
    match to {
        Target::All => true,
        Target::AllBut(except) => *except != peer.connection,
        Target::AllButUser(except) => peer.user.as_ref() != Some(except),
        // Channels are the hub's; one connection knows of none.
        Target::Channel(_) => false,
        Target::Connection(connection) => *connection == peer.connection,
        Target::User(user) => peer.user.as_ref() == Some(user),
        Target::Users(users) => peer.user.as_ref().is_some_and(|user| users.contains(user)),
    }
}

/// Queues `event` for the only peer there is, if it is meant.
fn publish_to_one(
    connection: &mut impl SendHalf,
    peer: &Peer,
    now: Instant,
    to: &Target,
    event: &Event,
    options: &SendOptions,
) -> Result<Published, PackError> {
    let mut published = Published::default();
    if is_meant(peer, to) {
        let packed = PackedEvent::pack(event, &**connection.packer())?;
        let result = connection.send_packed_with(now, &packed, options.clone());
        published.count(peer.connection, result);
    }
    Ok(published)
}

fn send(
    to: Option<&mut impl SendHalf>,
    now: Instant,
    event: Event,
    options: SendOptions,
) -> Result<Sent, SendError> {
    match to {
        Some(half) => half.send_with(now, event, options),
        None => Err(SendError::NotOpen(Box::new(event))),
    }
}

fn call(
    to: Option<&mut impl SendHalf>,
    now: Instant,
    event: Event,
    timeout: Duration,
) -> Result<CallId, SendError> {
    match to {
        Some(half) => half.call(now, event, timeout),
        None => Err(SendError::NotOpen(Box::new(event))),
    }
}

fn reply(
    to: Option<&mut impl SendHalf>,
    now: Instant,
    token: ReplyToken,
    payload: Payload,
) -> Result<(), ReplyError> {
    match to {
        Some(half) => half.reply(now, token, payload),
        None => Err(ReplyError::NotOpen(Box::new(payload))),
    }
}

fn reply_error(
    to: Option<&mut impl SendHalf>,
    now: Instant,
    token: ReplyToken,
) -> Result<(), ReplyError> {
    match to {
        Some(half) => half.reply_error(now, token),
        None => Err(ReplyError::NotOpen(Box::new(Payload::from(
            sente_edn::Value::Nil,
        )))),
    }
}
