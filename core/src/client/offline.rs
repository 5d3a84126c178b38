//! What was sent while no link was open, if the application wants it kept.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::config::OnOffline;
use crate::connection::Capacity;
use crate::packed::PackedEvent;
use crate::queue::SendOptions;
use crate::time::Instant;

/// Packed events in the order in which they were sent, within the limits.
#[derive(Debug)]
pub(super) struct Offline {
    policy: OnOffline,
    events: VecDeque<(PackedEvent, SendOptions)>,
    bytes: usize,
    /// When the link's send rate takes the next one.
    pub(super) retry_at: Option<Instant>,
    /// A send was refused as full, so a `SendReady` is owed.
    pub(super) refused: bool,
}

impl Offline {
    pub(super) const fn new(policy: OnOffline) -> Self {
        Self {
            policy,
            events: VecDeque::new(),
            bytes: 0,
            retry_at: None,
            refused: false,
        }
    }

    pub(super) const fn keeps(&self) -> bool {
        matches!(self.policy, OnOffline::Buffer { .. })
    }

    pub(super) fn has_room(&self, len: usize) -> bool {
        let capacity = self.capacity();
        self.events.len() < capacity.max_messages
            && self.bytes.saturating_add(len) <= capacity.max_bytes
    }

    pub(super) fn push(&mut self, event: PackedEvent, options: SendOptions) {
        self.bytes = self.bytes.saturating_add(event.bytes.len());
        self.events.push_back((event, options));
    }

    pub(super) fn front(&self) -> Option<&(PackedEvent, SendOptions)> {
        self.events.front()
    }

    pub(super) fn pop(&mut self) -> Option<PackedEvent> {
        let (event, _) = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event.bytes.len());
        Some(event)
    }

    pub(super) fn take_all(&mut self) -> Vec<PackedEvent> {
        self.bytes = 0;
        let events = core::mem::take(&mut self.events);
        events.into_iter().map(|(event, _)| event).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn capacity(&self) -> Capacity {
        let (max_messages, max_bytes) = match self.policy {
            OnOffline::Buffer {
                max_messages,
                max_bytes,
            } => (max_messages, max_bytes),
            OnOffline::Refuse => (0, 0),
        };
        Capacity {
            messages: self.events.len(),
            bytes: self.bytes,
            max_messages,
            max_bytes,
            reserved_messages: 0,
            reserved_bytes: 0,
            waiting_reservations: 0,
            above_high_water: false,
        }
    }
}
