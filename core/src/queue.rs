//! The send queue of one connection: packed messages, bounded by count and by bytes.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::limits::Limits;

/// What a waiting frame costs besides its bytes. Counted where the peer decides how many wait.
pub(crate) const WAITING_OVERHEAD: usize = 64;

/// A packed message on its way out, without its envelope.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// A packed event, and the packed callback id if it is a call.
    Event {
        packed: Bytes,
        callback: Option<Bytes>,
    },
    /// A packed reply and the packed callback id it answers.
    Reply { callback: Bytes, packed: Bytes },
}

impl Outgoing {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Event { packed, callback } => {
                packed.len() + callback.as_ref().map_or(0, Bytes::len)
            }
            Self::Reply { callback, packed } => packed.len() + callback.len(),
        }
    }

    /// What it counts for among the replies.
    fn reply_len(&self) -> usize {
        match self {
            Self::Event { .. } => 0,
            Self::Reply { .. } => self.len() + WAITING_OVERHEAD,
        }
    }
}

/// First in, first out. Events are refused at the limits; replies are always taken, since the peer
/// asked for them, and count: past the limit the connection stops reading what would cause more.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    items: VecDeque<Outgoing>,
    bytes: usize,
    reply_bytes: usize,
    /// Messages ever queued, and ever taken out.
    queued: u64,
    taken: u64,
}

impl SendQueue {
    pub(crate) fn has_room(&self, len: usize, limits: &Limits) -> bool {
        self.items.len() < limits.max_send_messages
            && self.bytes.saturating_add(len) <= limits.max_send_bytes
    }

    pub(crate) fn push(&mut self, item: Outgoing) {
        self.bytes = self.bytes.saturating_add(item.len());
        self.reply_bytes = self.reply_bytes.saturating_add(item.reply_len());
        self.queued += 1;
        self.items.push_back(item);
    }

    pub(crate) fn front(&self) -> Option<&Outgoing> {
        self.items.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let item = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.len());
        self.reply_bytes = self.reply_bytes.saturating_sub(item.reply_len());
        self.taken += 1;
        Some(item)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Outgoing> {
        self.items.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the waiting replies hold, their administration included.
    pub(crate) const fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    pub(crate) const fn queued(&self) -> u64 {
        self.queued
    }

    pub(crate) const fn taken(&self) -> u64 {
        self.taken
    }
}
