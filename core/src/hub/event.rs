//! What a hub tells the application, and the bounded queue it waits in.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use sente_edn::Value;
use smol_str::SmolStr;

use crate::event::Payload;
use crate::id::ConnId;
use crate::packed::PackedEvent;
use crate::packer::PackError;

use super::inbox::Lost;
use super::member::TransportKind;
use super::rpc::{ChannelRequestError, ChannelRequestId};
use super::user::UserId;

/// Something the application should know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HubEvent {
    /// A broadcast that waited for its rate could not be packed when its time came, so that those
    /// with this packer did not get it.
    BroadcastFailed(PackError),
    /// A connection that was suspended did not come back within its grace, and is not in the hub any
    /// more.
    Expired {
        /// The connection.
        connection: ConnId,
        /// Whose it was.
        user: UserId,
    },
    /// So many events found no room in the queue of events and were lost.
    Missed(u64),
    /// A client published or asked on a channel, and nothing came of it.
    PublishRefused {
        /// Who published.
        connection: ConnId,
        /// The channel.
        channel: Value,
        /// Why, in the word that a caller is told.
        why: SmolStr,
    },
    /// A request over a channel that the application made has ended, once.
    RequestSettled {
        /// The request, as `Hub::request` returned it.
        request: ChannelRequestId,
        /// The response and who gave it, or why there is none.
        result: Result<Response, ChannelRequestError>,
    },
    /// A connection does not take what is sent to it.
    SlowConsumer {
        /// The connection.
        connection: ConnId,
        /// Whose it is.
        user: UserId,
        /// Events that wait for it.
        messages: usize,
        /// Their bytes.
        bytes: usize,
        /// What it has lost since the last such report.
        lost: Lost,
        /// Whether it is closed for it.
        closed: bool,
    },
    /// A connection is subscribed to a channel.
    Subscribed {
        /// The connection.
        connection: ConnId,
        /// The channel.
        channel: Value,
    },
    /// A client connected while it was connected. What is sent to its user goes to the new
    /// connection now.
    TakenOver {
        /// The older connection.
        connection: ConnId,
        /// The newer one.
        by: ConnId,
        /// Whose both are.
        user: UserId,
    },
    /// Pushes that were kept for a client, or were to be kept, and will not be delivered.
    Undelivered {
        /// The user.
        user: UserId,
        /// The client's label, if it gave one.
        client_id: Option<SmolStr>,
        /// How many.
        count: u64,
        /// The events, in their order; none where `HubLimits::max_kept_bytes` of them are held
        /// already.
        events: Vec<PackedEvent>,
        /// Why.
        why: NotKept,
    },
    /// A connection is not subscribed to a channel any more: it asked for that, or the channel was
    /// deleted. Not told where the connection has left.
    Unsubscribed {
        /// The connection.
        connection: ConnId,
        /// The channel.
        channel: Value,
    },
    /// The last connection of a user ended, and its grace is over: Sente's `:chsk/uidport-close`.
    UidportClose(UserId),
    /// The first connection of a user: Sente's `:chsk/uidport-open`.
    UidportOpen(UserId),
    /// Who is connected changed: see [`Hub::connected_uids`](crate::Hub::connected_uids).
    UidsChanged {
        /// The version of the value with this change in it.
        version: u64,
        /// The user.
        user: UserId,
        /// The transport.
        transport: TransportKind,
        /// Whether the user is connected by it now.
        connected: bool,
    },
}

/// Why a push was not kept, or is kept no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotKept {
    /// The client's share, or that of all clients together, is full.
    Full,
    /// It was not written on a connection that had been taken over when that ended.
    TakenOver,
    /// The client did not come back in time.
    TimeIsUp,
    /// The client came back with another packer, which cannot express it.
    Unpackable,
}

/// What a subscriber answered to a request over a channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// Who answered.
    pub from: ConnId,
    /// What.
    pub data: Payload,
    /// Whether it says that it failed.
    pub is_error: bool,
}

/// The events that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<HubEvent>,
    missed: u64,
}

impl Events {
    /// Puts an event in, or counts it where there is no room. Whether it is in.
    pub(super) fn push(&mut self, event: HubEvent, max: usize) -> bool {
        // Once one is missed, so are all until that has been told: they stay in order.
        if self.missed > 0 || self.queue.len() >= max {
            self.missed = self.missed.saturating_add(1);
            return false;
        }
        self.queue.push_back(event);
        true
    }

    pub(super) fn pop(&mut self) -> Option<HubEvent> {
        self.queue.pop_front().or_else(|| {
            let missed = core::mem::take(&mut self.missed);
            (missed > 0).then_some(HubEvent::Missed(missed))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.missed == 0
    }
}
