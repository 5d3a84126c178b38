//! What waits to be sent by Ajax, by which rules, and what is told about it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::calls::CallName;
use crate::connection::{ConnectionEvent, PackedSendError, SendCapacity, Stats};
use crate::error::SendError;
use crate::event::Event;
use crate::id::FlushId;
use crate::limits::Limits;
use crate::packed::PackedEvent;
use crate::packer::{Format, Packer};
use crate::queue::{Drops, Hold, Loss, Outgoing, Policy, Priority, SendOptions, SendQueue, Sent};

/// Why an event was not queued; the event itself is with the caller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    Full { needed: usize },
    TooLarge { size: usize, limit: usize },
}

impl Refused {
    pub(super) const fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

/// A bounded queue by the rules of [`Policy`], with what came back from an answer or a post that
/// did not go out: at most one batch, which goes first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pub(super) queue: SendQueue,
    pub(super) returned: VecDeque<PackedEvent>,
    /// What is told to those who wait for room or for a flush.
    pub(super) answers: VecDeque<ConnectionEvent>,
    /// The flushes that wait, each with the number of the first message it does not wait for.
    pub(super) flushes: VecDeque<(FlushId, u64)>,
    pub(super) next_flush: u64,
    /// The largest event that was refused: a `SendReady` is owed.
    refused: Option<usize>,
    /// Above high water: a `SendReady` is owed, too.
    high: bool,
    tell_high: bool,
    drops: Drops,
    /// Whether there is something in the report of drops.
    dropped: bool,
}

/// What may go in one frame.
#[derive(Clone, Copy)]
pub(super) struct BatchTerms<'a> {
    pub(super) limits: &'a Limits,
    pub(super) packer: &'a dyn Packer,
    /// The most events.
    pub(super) most: usize,
    /// Whether the peer may be a stock one, which loses all that is in a frame it cannot read.
    pub(super) stock: bool,
}

/// What the queue has to know of the session it is in.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) limits: &'a Limits,
    pub(super) keep_dropped: usize,
    pub(super) format: &'a str,
    /// Whether what is queued now would have to wait.
    pub(super) waits: bool,
}

impl Backlog {
    /// Queues an event that fits a frame, or a call, or does with it what its policy says.
    pub(super) fn enqueue(
        &mut self,
        event: PackedEvent,
        callback: Option<CallName>,
        options: &SendOptions,
        terms: Terms<'_>,
        stats: &mut Stats,
    ) -> Result<Sent, Refused> {
        let item = Outgoing::Event {
            packed: event.bytes,
            callback,
            sealed: event.sealed,
            portable: event.portable,
        };
        let len = item.len();
        // What is volatile is never queued behind anything, so the queue need not hold it.
        let limit = terms.limits.max_send_bytes;
        if len > limit && options.policy != Policy::Volatile {
            return Err(Refused::TooLarge { size: len, limit });
        }
        if let Policy::Latest(key) = &options.policy
            && let Some(old) = self.queue.len_of(key)
        {
            let more = len.saturating_sub(old);
            if more > 0 && !self.queue.has_bytes_for(more, terms.limits) {
                return Err(self.refuse(len));
            }
            return Ok(self.place(item, options, terms, stats));
        }
        let room = self.queue.takes(len, terms.limits);
        if options.policy == Policy::Volatile && (terms.waits || !self.is_empty() || !room) {
            self.lose(item, Loss::Volatile, terms, stats);
            return Ok(Sent::Dropped);
        }
        let room =
            room || (options.policy == Policy::DropOldest && self.make_room(len, terms, stats));
        if !room {
            return Err(self.refuse(len));
        }
        Ok(self.place(item, options, terms, stats))
    }

    /// Queues what has room, or puts it in the place of the event of the same key.
    pub(super) fn place(
        &mut self,
        item: Outgoing,
        options: &SendOptions,
        terms: Terms<'_>,
        stats: &mut Stats,
    ) -> Sent {
        stats.events_queued += 1;
        if let Policy::Latest(key) = &options.policy
            && self.queue.len_of(key).is_some()
        {
            if let Some(old) = self.queue.replace(key, item) {
                self.lose(old, Loss::Replaced, terms, stats);
            }
            self.check_high_water(terms.limits);
            return Sent::Replaced;
        }
        let hold = Hold::of(&options.policy);
        self.queue.push(item, options.priority, hold);
        self.check_high_water(terms.limits);
        Sent::Queued
    }

    /// The next event that is no call, or the next call, whichever comes first.
    pub(super) fn peek_is_call(&self) -> Option<bool> {
        if !self.returned.is_empty() {
            return Some(false);
        }
        let priority = self.queue.next_lane()?;
        self.queue.iter(priority).next().map(is_call)
    }

    /// Takes the next call out.
    pub(super) fn pop_call(&mut self) -> Option<(Bytes, CallName)> {
        if self.peek_is_call() != Some(true) {
            return None;
        }
        let priority = self.queue.next_lane()?;
        self.queue.frame_begins(priority);
        match self.queue.pop(priority) {
            Some(Outgoing::Event {
                packed,
                callback: Some(callback),
                ..
            }) => Some((packed, callback)),
            _ => None,
        }
    }

    /// Takes the next events out that go in one frame: what came back first, then of one priority, and of the other only what still fits. It ends before a call,
    /// and an event that a stock reader cannot take goes alone.
    pub(super) fn pop_batch(
        &mut self,
        terms: BatchTerms<'_>,
        overhead: impl Fn(usize) -> usize,
    ) -> Vec<PackedEvent> {
        let BatchTerms {
            limits,
            packer,
            most,
            stock,
        } = terms;
        let format = packer.format();
        let most = most.min(limits.max_batch_events).max(1);
        let max_bytes = limits.max_batch_bytes.min(limits.max_frame_bytes);
        let mut batch: Vec<PackedEvent> = Vec::new();
        let mut bytes = 0usize;
        let fits = |batch: &Vec<PackedEvent>, bytes: usize, len: usize| {
            let count = batch.len().saturating_add(1);
            let size = bytes.saturating_add(len).saturating_add(overhead(count));
            batch.is_empty() || (count <= most && size <= max_bytes)
        };
        // The first is looked at when there is a second.
        let shares = |batch: &[PackedEvent], next: &dyn Fn() -> bool| match batch {
            [] => true,
            _ if !stock => true,
            [first] => first.is_portable(packer) && next(),
            _ => next(),
        };
        while let Some(event) = self.returned.front() {
            if !fits(&batch, bytes, event.bytes.len())
                || !shares(&batch, &|| event.is_portable(packer))
            {
                return batch;
            }
            bytes = bytes.saturating_add(event.bytes.len());
            batch.extend(self.returned.pop_front());
        }
        let Some(first) = self.queue.next_lane() else {
            return batch;
        };
        self.queue.frame_begins(first);
        let second = match first {
            Priority::Low => Priority::Normal,
            Priority::Normal => Priority::Low,
        };
        for priority in [first, second] {
            loop {
                let Some(next) = self.queue.iter(priority).next() else {
                    break;
                };
                let len = next.len();
                if is_call(next)
                    || !fits(&batch, bytes, len)
                    || !shares(&batch, &|| next.is_portable(packer))
                {
                    return batch;
                }
                bytes = bytes.saturating_add(len);
                match self
                    .queue
                    .pop(priority)
                    .and_then(|item| event_of(item, format))
                {
                    Some(event) => batch.push(event),
                    None => return batch,
                }
            }
        }
        batch
    }

    /// Puts a batch back that did not go out.
    pub(super) fn give_back(&mut self, batch: Vec<PackedEvent>) {
        for event in batch.into_iter().rev() {
            self.returned.push_front(event);
        }
    }

    /// Takes everything out, oldest first: the events, without the calls. What becomes of a call is
    /// said by how it settles.
    pub(super) fn drain(&mut self, format: &str) -> Vec<PackedEvent> {
        let returned = core::mem::take(&mut self.returned).into_iter();
        let queued = core::iter::from_fn(|| self.queue.pop_oldest());
        let queued = queued.filter_map(|item| event_of(item, format));
        returned.chain(queued).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.returned.is_empty()
    }

    /// Whether enough waits for a whole batch.
    pub(super) fn fills_a_batch(&self, limits: &Limits) -> bool {
        self.queue.len() >= limits.max_batch_events || self.queue.bytes() >= limits.max_batch_bytes
    }

    pub(super) fn capacity(&self, limits: &Limits) -> SendCapacity {
        SendCapacity {
            messages: self.queue.len(),
            bytes: self.queue.bytes(),
            max_messages: limits.max_send_messages,
            max_bytes: limits.max_send_bytes,
            reserved_messages: self.queue.reservations.granted(),
            reserved_bytes: self.queue.reservations.granted_bytes(),
            waiting_reservations: self.queue.reservations.waiting(),
            above_high_water: self.high,
        }
    }

    /// What is to be told about the queue as it is now.
    pub(super) fn poll_notice(&mut self, limits: &Limits, open: bool) -> Option<ConnectionEvent> {
        if core::mem::take(&mut self.dropped) {
            return Some(ConnectionEvent::Dropped(self.drops.take()));
        }
        if core::mem::take(&mut self.tell_high) {
            return Some(ConnectionEvent::HighWater(self.capacity(limits)));
        }
        self.poll_answer(limits, open)
    }

    /// What is to be told to those who wait.
    pub(super) fn poll_answer(&mut self, limits: &Limits, open: bool) -> Option<ConnectionEvent> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        if self.is_ready(limits) && open {
            self.refused = None;
            self.high = false;
            return Some(ConnectionEvent::SendReady);
        }
        None
    }

    /// Whether `poll_notice` would say something.
    pub(super) fn has_notice(&self, limits: &Limits, open: bool) -> bool {
        self.dropped
            || self.tell_high
            || !self.answers.is_empty()
            || (open && self.is_ready(limits))
    }

    fn is_ready(&self, limits: &Limits) -> bool {
        if !self.high && self.refused.is_none() {
            return false;
        }
        let low = self.is_at_most(limits, limits.send_low_water.min(limits.send_high_water));
        let refused = self.refused.unwrap_or_default();
        low && (self.queue.is_idle() || self.queue.takes(refused, limits))
    }

    /// The refusal of an event, with what went with it.
    pub(super) fn send_error(&self, event: Event, refused: Refused) -> SendError {
        let event = Box::new(event);
        match refused {
            Refused::Full { needed } => SendError::Full {
                event,
                messages: self.queue.len(),
                bytes: self.queue.bytes(),
                needed,
            },
            Refused::TooLarge { size, limit } => SendError::TooLarge { event, size, limit },
        }
    }

    /// Remembers the largest event that was refused: `SendReady` comes when it would fit.
    pub(super) fn refuse(&mut self, needed: usize) -> Refused {
        self.refused = Some(self.refused.map_or(needed, |known| known.max(needed)));
        Refused::Full { needed }
    }

    fn make_room(&mut self, len: usize, terms: Terms<'_>, stats: &mut Stats) -> bool {
        if !self.queue.has_room_without_losable(len, terms.limits) {
            return false;
        }
        let mut freed = 0;
        while let Some(item) = self.queue.drop_for(len, &mut freed, terms.limits) {
            self.lose(item, Loss::Oldest, terms, stats);
        }
        true
    }

    /// Counts an event that is dropped, and keeps it for its report where that is asked for.
    fn lose(&mut self, item: Outgoing, loss: Loss, terms: Terms<'_>, stats: &mut Stats) {
        match loss {
            Loss::Oldest => stats.dropped_oldest += 1,
            Loss::Replaced => stats.replaced += 1,
            Loss::Volatile => stats.dropped_volatile += 1,
        }
        self.drops.note(item, terms.format, terms.keep_dropped);
        self.dropped = true;
    }

    fn check_high_water(&mut self, limits: &Limits) {
        if !self.is_at_most(limits, limits.send_high_water) && !self.high {
            self.high = true;
            self.tell_high = true;
        }
    }

    /// Whether the queue holds at most so many percent of either limit.
    fn is_at_most(&self, limits: &Limits, percent: u8) -> bool {
        let part = |limit: usize| {
            let part = (limit as u128).saturating_mul(percent.into()) / 100;
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        self.queue.len() <= part(limits.max_send_messages)
            && self.queue.bytes() <= part(limits.max_send_bytes)
    }
}

impl From<Refused> for PackedSendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { .. } => Self::Full,
            Refused::TooLarge { .. } => Self::TooLarge,
        }
    }
}

/// What is queued, as an event; `None` for a call or a reply.
fn event_of(item: Outgoing, format: &str) -> Option<PackedEvent> {
    match item {
        Outgoing::Event {
            packed,
            callback: None,
            sealed,
            portable,
        } => Some(PackedEvent {
            bytes: packed,
            format: Format::new(format),
            sealed,
            portable,
            traceparent: None,
            queued_as: None,
        }),
        Outgoing::Event { .. } | Outgoing::Reply { .. } => None,
    }
}

const fn is_call(item: &Outgoing) -> bool {
    matches!(
        item,
        Outgoing::Event {
            callback: Some(_),
            ..
        }
    )
}
