//! What was sent while no link was open, if the application wants it kept.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::config::OnOffline;
use super::{Carried, Client, ClientEvent, ClientStats, ConnectionEvent, Instant, PackedSendError};
use crate::connection::{ConnectionConfig, Dropped, SendCapacity};
use crate::limits::Limits;
use crate::packed::PackedEvent;
use crate::packer::Format;
use crate::queue::{Drops, Hold, Loss, Outgoing, Policy, Priority, SendOptions, SendQueue, Sent};

/// Packed events by the rules of a link's send queue, within the limits of [`OnOffline::Buffer`].
#[derive(Debug)]
pub(super) struct Offline {
    policy: OnOffline,
    queue: SendQueue,
    /// Those of a link, but with the limits of this buffer.
    limits: Limits,
    /// What the events are packed with.
    format: Format,
    /// How many bytes of dropped events their report has room for.
    keep_dropped: usize,
    drops: Drops,
    /// Messages before this number are to leave at once, whatever the flush window says.
    flush_before: u64,
    /// When the link's send rate takes the next one.
    pub(super) retry_at: Option<Instant>,
    /// A send was refused as full, so a `SendReady` is owed.
    pub(super) refused: bool,
}

impl Offline {
    pub(super) fn new(policy: OnOffline, link: &ConnectionConfig) -> Self {
        let mut limits = link.limits().clone();
        (limits.max_send_messages, limits.max_send_bytes) = match policy {
            OnOffline::Buffer {
                max_messages,
                max_bytes,
            } => (max_messages, max_bytes),
            OnOffline::Refuse => (0, 0),
        };
        Self {
            policy,
            queue: SendQueue::default(),
            limits,
            format: Format::new(link.packer().format()),
            keep_dropped: link.keep_dropped,
            drops: Drops::default(),
            flush_before: 0,
            retry_at: None,
            refused: false,
        }
    }

    pub(super) const fn keeps(&self) -> bool {
        matches!(self.policy, OnOffline::Buffer { .. })
    }

    pub(super) fn format(&self) -> &str {
        self.format.as_str()
    }

    /// The next event for the link: the oldest of its priority.
    fn front(&self) -> Option<(PackedEvent, SendOptions)> {
        let priority = self.queue.next_lane()?;
        let (number, item, hold) = self.queue.front(priority)?;
        let options = SendOptions {
            policy: hold.policy(),
            priority,
            flush: number < self.flush_before,
        };
        Some((packed(item.clone(), &self.format)?, options))
    }

    /// Keeps an event whose room is known.
    fn put(&mut self, event: &PackedEvent, priority: Priority, hold: Hold) {
        self.queue.push(outgoing(event), priority, hold);
    }

    fn pop(&mut self) {
        if let Some(priority) = self.queue.next_lane() {
            self.queue.frame_begins(priority);
            self.queue.pop(priority);
        }
    }

    pub(super) fn take_all(&mut self) -> Vec<PackedEvent> {
        let format = &self.format;
        core::iter::from_fn(|| self.queue.pop_oldest())
            .filter_map(|item| packed(item, format))
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What was dropped since this was asked last.
    pub(super) fn take_dropped(&mut self) -> Dropped {
        self.drops.take()
    }

    pub(super) fn capacity(&self) -> SendCapacity {
        SendCapacity {
            messages: self.queue.len(),
            bytes: self.queue.bytes(),
            max_messages: self.limits.max_send_messages,
            max_bytes: self.limits.max_send_bytes,
            reserved_messages: 0,
            reserved_bytes: 0,
            waiting_reservations: 0,
            above_high_water: false,
        }
    }
}

impl Client {
    /// Keeps an event that may be kept, or does with it what its policy says; `None` where there is
    /// no room.
    pub(super) fn keep(&mut self, event: &PackedEvent, options: &SendOptions) -> Option<Sent> {
        let sent = self.admit(outgoing(event), options);
        if sent.is_none() {
            self.offline.refused = true;
        } else if options.flush {
            self.offline.flush_before = self.offline.queue.queued();
        }
        sent
    }

    /// Keeps what a lost link had queued, ahead of what was sent since and as it was queued; gives
    /// back what has no place. The newest of a key takes the place of the one before it.
    pub(super) fn keep_again(&mut self, events: Vec<PackedEvent>) -> Vec<PackedEvent> {
        if !self.offline.keeps() {
            return events;
        }
        let mut later = Vec::new();
        let mut keys = BTreeMap::new();
        let mut bytes = 0_usize;
        while let Some((event, options)) = self.offline.front() {
            self.offline.pop();
            bytes = bytes.saturating_add(event.bytes().len());
            if let Policy::Latest(key) = &options.policy {
                keys.insert(key.clone(), later.len());
            }
            later.push(Some((event, options)));
        }
        // What was sent since keeps its room.
        let mut left = self.offline.limits.clone();
        left.max_send_bytes = left.max_send_bytes.saturating_sub(bytes);
        left.max_send_messages = left.max_send_messages.saturating_sub(later.len());
        let mut rest = Vec::new();
        for mut event in events {
            let (hold, priority) = event
                .queued_as
                .take()
                .map_or((Hold::Keep, Priority::Normal), |known| *known);
            let newer = match &hold {
                Hold::Replace(key) => keys.remove(key),
                Hold::Keep | Hold::Lose => None,
            };
            if let Some(newer) = newer.and_then(|at| later.get_mut(at)) {
                self.lose(outgoing(&event), Loss::Replaced);
                if rest.is_empty()
                    && let Some((event, options)) = newer.take()
                {
                    let len = event.bytes().len();
                    left.max_send_bytes = left.max_send_bytes.saturating_add(len);
                    left.max_send_messages = left.max_send_messages.saturating_add(1);
                    self.offline.put(&event, priority, hold);
                    if options.flush {
                        self.offline.flush_before = self.offline.queue.queued();
                    }
                }
                continue;
            }
            let fits = rest.is_empty()
                && event.format() == self.offline.format()
                && self.offline.queue.has_room(event.bytes().len(), &left);
            if fits {
                self.stats.kept_offline = self.stats.kept_offline.saturating_add(1);
                self.offline.put(&event, priority, hold);
            } else {
                rest.push(event);
            }
        }
        for (event, options) in later.into_iter().flatten() {
            let hold = Hold::of(&options.policy);
            self.offline.put(&event, options.priority, hold);
            if options.flush {
                self.offline.flush_before = self.offline.queue.queued();
            }
        }
        rest
    }

    /// As a connection admits an event whose turn to be written never comes.
    fn admit(&mut self, item: Outgoing, options: &SendOptions) -> Option<Sent> {
        let Offline { queue, limits, .. } = &mut self.offline;
        let len = item.len();
        if let Some(old) = queue.replaced_by(&options.policy) {
            let more = len.saturating_sub(old);
            if more > 0 && !queue.has_bytes_for(more, limits) {
                return None;
            }
            if let Policy::Latest(key) = &options.policy
                && let Some(old) = queue.replace(key, item)
            {
                self.stats.kept_offline = self.stats.kept_offline.saturating_add(1);
                self.lose(old, Loss::Replaced);
            }
            return Some(Sent::Replaced);
        }
        if options.policy == Policy::Volatile {
            self.lose(item, Loss::Volatile);
            return Some(Sent::Dropped);
        }
        if !queue.takes(len, limits) {
            let may_drop = options.policy == Policy::DropOldest;
            if !(may_drop && queue.has_room_without_losable(len, limits)) {
                return None;
            }
            let mut freed = 0;
            while let Some(old) = self.drop_for(len, &mut freed) {
                self.lose(old, Loss::Oldest);
            }
        }
        let hold = Hold::of(&options.policy);
        self.offline.queue.push(item, options.priority, hold);
        self.stats.kept_offline = self.stats.kept_offline.saturating_add(1);
        Some(Sent::Queued)
    }

    fn drop_for(&mut self, len: usize, freed: &mut usize) -> Option<Outgoing> {
        let Offline { queue, limits, .. } = &mut self.offline;
        queue.drop_for(len, freed, limits)
    }

    /// Counts an event that is dropped, and sees that it is told.
    fn lose(&mut self, item: Outgoing, loss: Loss) {
        let count = self.stats.dropped_offline(loss);
        *count = count.saturating_add(1);
        let offline = &mut self.offline;
        if offline
            .drops
            .note(item, offline.format.as_str(), offline.keep_dropped)
        {
            // What it says is filled in when it is taken.
            let dropped = ConnectionEvent::Dropped(Dropped::default());
            self.log.push(ClientEvent::Link(dropped));
        }
    }

    /// Queues on the open link what was sent while there was none.
    pub(super) fn forward_offline(&mut self) {
        let early = self.offline.retry_at.is_some_and(|at| at > self.now);
        if self.offline.is_empty() || !self.state.is_open() || early {
            return;
        }
        self.offline.retry_at = None;
        let Some(link) = &mut self.link else { return };
        let mut unfit = Vec::new();
        while let Some((event, options)) = self.offline.front() {
            match move_to(&mut link.connection, self.now, &event, options) {
                Ok(_) => self.offline.pop(),
                // This link was made with another configuration than the event was kept for.
                Err(PackedSendError::TooLarge | PackedSendError::WrongPacker) => {
                    self.offline.pop();
                    unfit.push(event);
                }
                Err(PackedSendError::RateLimited { retry_at }) => {
                    self.offline.retry_at = Some(retry_at);
                    break;
                }
                // It is no call.
                Err(
                    PackedSendError::CallsUnsupported
                    | PackedSendError::Full
                    | PackedSendError::NotOpen
                    | PackedSendError::TooManyCalls { .. },
                ) => break,
            }
        }
        if !unfit.is_empty() {
            self.log
                .push(ClientEvent::Link(ConnectionEvent::Undelivered(unfit)));
        }
        if self.offline.is_empty() && core::mem::take(&mut self.offline.refused) {
            self.log.push(ClientEvent::Link(ConnectionEvent::SendReady));
        }
    }
}

fn outgoing(event: &PackedEvent) -> Outgoing {
    Outgoing::Event {
        packed: event.bytes().clone(),
        callback: None,
        sealed: event.sealed.clone(),
        portable: event.portable,
    }
}

/// The event that was queued as `item`. There are no replies among them.
fn packed(item: Outgoing, format: &Format) -> Option<PackedEvent> {
    match item {
        Outgoing::Event {
            packed,
            sealed,
            portable,
            ..
        } => Some(PackedEvent {
            bytes: packed,
            format: format.clone(),
            sealed,
            portable,
            traceparent: None,
            queued_as: None,
        }),
        Outgoing::Reply { .. } => None,
    }
}

/// Queues on the link what was kept. Asked first: nobody's send is refused here, and what is kept
/// drops nothing of what was kept before it.
fn move_to(
    connection: &mut Carried,
    now: Instant,
    event: &PackedEvent,
    options: SendOptions,
) -> Result<Sent, PackedSendError> {
    connection.has_place_for(now, event.bytes().len())?;
    connection.send_packed_with(now, event, options)
}

impl ClientStats {
    const fn dropped_offline(&mut self, loss: Loss) -> &mut u64 {
        match loss {
            Loss::Oldest => &mut self.dropped_oldest_offline,
            Loss::Replaced => &mut self.replaced_offline,
            Loss::Volatile => &mut self.dropped_volatile_offline,
        }
    }
}
