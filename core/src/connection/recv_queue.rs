//! What waits for the application: bounded by messages and bytes, in one order, with answers that
//! can be taken ahead of it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::event::{Event, EventId, Payload};
use crate::id::ReplyToken;
use crate::limits::Limits;
use crate::seldom::{Blank, Seldom};

use super::event::{ConnectionEvent, Message};

/// How far the application is behind with what arrives on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecvStatus {
    /// It keeps up.
    #[default]
    Ok,
    /// More than `Limits::recv_slow_messages` wait; until no more than half of them do.
    Slow,
    /// The queue was full, and what arrives waits or is dropped, as `RecvPolicy` says; until half
    /// of it is free again.
    Full,
}

/// How full the receive queue of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvCapacity {
    /// Messages that wait for the application.
    pub messages: usize,
    /// Bytes they count for. A batch that waits to be handed out counts, too, where its frame was
    /// opened to more than what came: with all its bytes.
    pub bytes: usize,
    /// The limit on messages.
    pub max_messages: usize,
    /// The limit on bytes: `Limits::max_recv_bytes`, or the allowance if that is less.
    pub max_bytes: usize,
    /// How far the application is behind.
    pub status: RecvStatus,
}

/// Where an event waits, which decides what may overtake it and whether it may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody waits for it: it can be taken ahead of everything.
    Answer,
    /// It holds the right to answer a call.
    Call,
    /// Nobody waits for it, and it may be dropped.
    Message,
    /// Never dropped.
    Other,
}

/// The lanes are numbered through, so that they come out in one order.
#[derive(Debug)]
pub(super) struct RecvQueue {
    answers: Seldom<VecDeque<Queued>>,
    calls: VecDeque<Queued>,
    messages: VecDeque<Queued>,
    others: Seldom<VecDeque<Queued>>,
    /// Messages that came before the connection opened: counted as all others, and told behind
    /// `Opened`.
    early: Seldom<Early>,
    /// Whether they filled the queue, and are told as they come.
    early_told: bool,
    /// The number of the one `SendReady` there is at a time, which can be taken back.
    send_ready: Option<u64>,
    next: u64,
    held_messages: usize,
    held_bytes: usize,
    /// What a frame holds whose events wait for room; they are not counted yet.
    waiting: usize,
    /// The bytes the owner of the process-wide budget allows.
    allowance: usize,
    /// Whether the owner said that there are no more when they were used up.
    refused: bool,
    status: RecvStatus,
    told: RecvStatus,
    shed_count: u64,
    shed_bytes: u64,
}

#[derive(Debug)]
struct Queued {
    number: u64,
    counted: Counted,
    event: ConnectionEvent,
}

/// The bytes something counts for, if the peer caused it: an `Option<usize>` of eight bytes, so that what
/// is queued is small enough to be moved without a call.
#[derive(Clone, Copy, Debug)]
struct Counted(usize);

impl Counted {
    const NOT: Self = Self(usize::MAX);

    #[inline]
    const fn new(size: Option<usize>) -> Self {
        match size {
            Some(size) => Self::of(size),
            None => Self::NOT,
        }
    }

    /// No event has as many bytes as there are addresses.
    #[inline]
    const fn of(size: usize) -> Self {
        Self(size)
    }

    #[inline]
    const fn get(self) -> Option<usize> {
        if self.0 == Self::NOT.0 {
            None
        } else {
            Some(self.0)
        }
    }
}

#[derive(Debug, Default)]
struct Early {
    messages: Vec<(Lane, ConnectionEvent, Option<usize>)>,
    bytes: usize,
}

impl Blank for Early {
    const BLANK: &'static Self = &Self {
        messages: Vec::new(),
        bytes: 0,
    };
}

impl RecvQueue {
    pub(super) const fn new() -> Self {
        Self {
            answers: Seldom::new(),
            calls: VecDeque::new(),
            messages: VecDeque::new(),
            others: Seldom::new(),
            early: Seldom::new(),
            early_told: false,
            send_ready: None,
            next: 0,
            held_messages: 0,
            held_bytes: 0,
            waiting: 0,
            allowance: usize::MAX,
            refused: false,
            status: RecvStatus::Ok,
            told: RecvStatus::Ok,
            shed_count: 0,
            shed_bytes: 0,
        }
    }

    pub(super) fn push(
        &mut self,
        lane: Lane,
        event: ConnectionEvent,
        counted: Option<usize>,
        limits: &Limits,
    ) {
        self.count(counted);
        self.push_counted(lane, event, counted);
        self.update_status(limits);
    }

    /// Takes a message that came before the connection opened. Where such messages fill the queue
    /// they are told, as are those that follow: the handshake could not be read otherwise.
    pub(super) fn push_early(
        &mut self,
        lane: Lane,
        event: ConnectionEvent,
        counted: Option<usize>,
        limits: &Limits,
    ) {
        if self.early_told {
            return self.push(lane, event, counted, limits);
        }
        self.count(counted);
        let early = self.early.make();
        early.bytes = early.bytes.saturating_add(counted.unwrap_or(0));
        early.messages.push((lane, event, counted));
        self.check_early(limits);
        self.update_status(limits);
    }

    /// What else is in the queue does not count: the application takes that.
    fn check_early(&mut self, limits: &Limits) {
        let full = self.early.messages.len() >= limits.max_recv_messages
            || self.early.bytes >= limits.max_recv_bytes.min(self.allowance);
        if full && !self.early.messages.is_empty() {
            self.early_told = true;
            self.release_early();
        }
    }

    /// Puts the messages that came early behind what is here.
    pub(super) fn release_early(&mut self) {
        for (lane, event, counted) in self.early.take().messages {
            self.push_counted(lane, event, counted);
        }
    }

    fn push_counted(&mut self, lane: Lane, event: ConnectionEvent, counted: Option<usize>) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        if matches!(event, ConnectionEvent::SendReady) {
            self.send_ready = Some(number);
            return;
        }
        let queued = Queued {
            number,
            counted: Counted::new(counted),
            event,
        };
        self.lane(lane).push_back(queued);
    }

    /// What the application should know before any message: its own lag, and what it missed.
    pub(super) fn pop_notice(&mut self) -> Option<ConnectionEvent> {
        if self.shed_count > 0 {
            return Some(ConnectionEvent::Shed {
                count: core::mem::take(&mut self.shed_count),
                bytes: core::mem::take(&mut self.shed_bytes),
            });
        }
        if self.told != self.status {
            self.told = self.status;
            return Some(ConnectionEvent::RecvPressure(self.status));
        }
        None
    }

    /// Whether messages wait and nothing else, as nearly always.
    #[inline(always)]
    pub(super) fn has_only_messages(&self) -> bool {
        self.has_nothing_else() && !(self.messages.is_empty() && self.calls.is_empty())
    }

    /// Whether nothing waits, and nothing is to be told.
    #[inline(always)]
    pub(super) fn is_blank(&self) -> bool {
        self.has_nothing_else() && self.messages.is_empty() && self.calls.is_empty()
    }

    #[inline(always)]
    fn has_nothing_else(&self) -> bool {
        self.answers.is_empty()
            && self.others.is_empty()
            && self.send_ready.is_none()
            && self.shed_count == 0
            && self.told == self.status
    }

    /// The oldest of the messages, where nothing else waits. Each made room.
    #[inline(always)]
    pub(super) fn pop_message(&mut self, limits: &Limits) -> Option<ConnectionEvent> {
        let is_call = match (self.calls.front(), self.messages.front()) {
            (Some(call), Some(message)) => call.number < message.number,
            (call, _) => call.is_some(),
        };
        let lane = if is_call {
            &mut self.calls
        } else {
            &mut self.messages
        };
        let size = lane.front()?.counted.get().unwrap_or_default();
        self.held_messages = self.held_messages.saturating_sub(1);
        self.held_bytes = self.held_bytes.saturating_sub(size);
        // Last of all, so that it is moved but once.
        if self.status == RecvStatus::Ok {
            return lane.pop_front().map(|queued| queued.event);
        }
        let queued = lane.pop_front()?;
        self.update_status(limits);
        Some(queued.event)
    }

    /// Queues a message without a trace. [`messages_pushed`](Self::messages_pushed) has to follow.
    #[inline(always)]
    pub(super) fn push_message(
        &mut self,
        id: &EventId,
        data: Option<Payload>,
        reply: Option<ReplyToken>,
        size: usize,
    ) {
        self.count(Some(size));
        let lane = if reply.is_some() {
            &mut self.calls
        } else {
            &mut self.messages
        };
        lane.push_back(Queued {
            number: self.next,
            counted: Counted::of(size),
            // Put together here, so that its parts are moved to where they belong and not from one place
            // to the next.
            event: ConnectionEvent::Message(Message {
                event: Event {
                    id: id.clone(),
                    data,
                    traceparent: None,
                },
                reply,
            }),
        });
        self.next = self.next.wrapping_add(1);
    }

    /// Messages were queued, and nothing else happened between: the status is what it would have become
    /// step by step.
    #[inline]
    pub(super) fn messages_pushed(&mut self, limits: &Limits) {
        self.update_status(limits);
    }

    /// The oldest of all. Whether it made room.
    pub(super) fn pop(&mut self, limits: &Limits) -> Option<(ConnectionEvent, bool)> {
        if !self.has_messages() {
            return self.pop_from(Lane::Answer, limits);
        }
        let lanes = [Lane::Answer, Lane::Call, Lane::Message, Lane::Other];
        let oldest = lanes
            .into_iter()
            .filter_map(|lane| Some((self.first(lane)?, lane)))
            .min_by_key(|(number, _)| *number);
        let (_, lane) = oldest?;
        self.pop_from(lane, limits)
    }

    /// The oldest answer. Whether it made room.
    pub(super) fn pop_answer(&mut self, limits: &Limits) -> Option<(ConnectionEvent, bool)> {
        self.pop_from(Lane::Answer, limits)
    }

    /// Gives back the room of what is empty. For when nothing has come for a while.
    pub(super) fn settle(&mut self) {
        if self.answers.is_empty() {
            self.answers.clear();
        }
        for lane in [&mut self.calls, &mut self.messages] {
            if lane.is_empty() {
                *lane = VecDeque::new();
            }
        }
    }

    /// Takes a `SendReady` out that is not true any more.
    pub(super) const fn take_send_ready_back(&mut self) {
        self.send_ready = None;
    }

    /// Whether an answer waits.
    #[inline]
    pub(super) fn has_answer(&self) -> bool {
        !self.answers.is_empty() || self.send_ready.is_some()
    }

    /// Whether anything but answers waits.
    pub(super) fn has_messages(&self) -> bool {
        !(self.messages.is_empty() && self.calls.is_empty() && self.others.is_empty())
    }

    pub(super) fn has_event(&self) -> bool {
        self.has_messages()
            || self.first(Lane::Answer).is_some()
            || self.shed_count > 0
            || self.told != self.status
    }

    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.held_messages < limits.max_recv_messages
            && self.held_bytes < limits.max_recv_bytes.min(self.allowance)
    }

    /// How many messages fit in.
    pub(super) const fn room(&self, limits: &Limits) -> usize {
        limits.max_recv_messages.saturating_sub(self.held_messages)
    }

    /// Whether something could be dropped to make room, and may be: an allowance that is used up is
    /// first asked to be raised, and without one nothing is taken at all.
    pub(super) fn can_shed(&self, limits: &Limits) -> bool {
        self.allowance > 0
            && self.stays_full(limits)
            && !(self.messages.is_empty() && self.calls.is_empty())
    }

    /// Whether only the application can make room: a larger allowance would be of no use, or there
    /// is none.
    pub(super) const fn stays_full(&self, limits: &Limits) -> bool {
        self.refused
            || self.held_messages >= limits.max_recv_messages
            || self.held_bytes >= limits.max_recv_bytes
    }

    /// Drops the oldest message nobody waits on, or else the oldest call, whose token is given
    /// back. `None` if there is neither.
    pub(super) fn shed(&mut self, limits: &Limits) -> Option<Option<ReplyToken>> {
        let queued = self
            .messages
            .pop_front()
            .or_else(|| self.calls.pop_front())?;
        let size = queued.counted.get().unwrap_or(0);
        self.uncount(queued.counted.get(), limits);
        self.shed_count = self.shed_count.saturating_add(1);
        self.shed_bytes = self
            .shed_bytes
            .saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        Some(match queued.event {
            ConnectionEvent::Message(message) => message.reply,
            ConnectionEvent::BadEvent(bad) => bad.reply,
            _ => None,
        })
    }

    /// Says what a frame holds whose events wait for room. It counts in what is told of the queue,
    /// and takes no room from its own events.
    pub(super) const fn set_waiting(&mut self, bytes: usize) {
        self.waiting = bytes;
    }

    pub(super) fn set_allowance(&mut self, bytes: usize, limits: &Limits) {
        // More than before is not yet an answer where it is still not enough.
        self.refused = bytes <= self.allowance && self.held_bytes >= bytes;
        self.allowance = bytes;
        if self.told != RecvStatus::Full && self.has_room(limits) {
            // A lack of room that is over before anybody heard of it is no news.
            self.status = self.told;
        }
        self.check_early(limits);
        self.update_status(limits);
    }

    pub(super) fn capacity(&self, limits: &Limits) -> RecvCapacity {
        RecvCapacity {
            messages: self.held_messages,
            bytes: self.held_bytes.saturating_add(self.waiting),
            max_messages: limits.max_recv_messages,
            max_bytes: limits.max_recv_bytes.min(self.allowance),
            status: self.status,
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Queued> {
        match lane {
            Lane::Answer => self.answers.make(),
            Lane::Call => &mut self.calls,
            Lane::Message => &mut self.messages,
            Lane::Other => self.others.make(),
        }
    }

    /// The number of the first in a lane.
    fn first(&self, lane: Lane) -> Option<u64> {
        let (queue, beside) = match lane {
            Lane::Answer => (&*self.answers, self.send_ready),
            Lane::Call => (&self.calls, None),
            Lane::Message => (&self.messages, None),
            Lane::Other => (&*self.others, None),
        };
        let front = queue.front().map(|queued| queued.number);
        front.into_iter().chain(beside).min()
    }

    fn pop_from(&mut self, lane: Lane, limits: &Limits) -> Option<(ConnectionEvent, bool)> {
        if lane == Lane::Answer && self.send_ready.is_some() && self.send_ready == self.first(lane)
        {
            self.send_ready = None;
            return Some((ConnectionEvent::SendReady, false));
        }
        let queued = match lane {
            Lane::Answer => self.answers.there()?,
            Lane::Call => &mut self.calls,
            Lane::Message => &mut self.messages,
            Lane::Other => self.others.there()?,
        };
        let queued = queued.pop_front()?;
        if lane == Lane::Other && self.others.is_empty() {
            // They are seldom: most connections open and then have none for as long as they live.
            self.others.clear();
        }
        let counted = queued.counted.get();
        self.uncount(counted, limits);
        Some((queued.event, counted.is_some()))
    }

    const fn count(&mut self, counted: Option<usize>) {
        if let Some(size) = counted {
            self.held_messages = self.held_messages.saturating_add(1);
            self.held_bytes = self.held_bytes.saturating_add(size);
        }
    }

    fn uncount(&mut self, counted: Option<usize>, limits: &Limits) {
        if let Some(size) = counted {
            self.held_messages = self.held_messages.saturating_sub(1);
            self.held_bytes = self.held_bytes.saturating_sub(size);
            self.update_status(limits);
        }
    }

    /// A status is left at half of what it was entered at, so that it does not flicker.
    #[inline]
    fn update_status(&mut self, limits: &Limits) {
        let max_bytes = limits.max_recv_bytes.min(self.allowance);
        let is_low = self.held_messages <= limits.recv_slow_messages / 2
            && self.held_messages <= limits.max_recv_messages / 2
            && self.held_bytes <= max_bytes / 2
            && self.has_room(limits);
        if is_low {
            self.status = RecvStatus::Ok;
        } else {
            self.find_status(limits);
        }
    }

    fn find_status(&mut self, limits: &Limits) {
        let max_bytes = limits.max_recv_bytes.min(self.allowance);
        let over_half =
            self.held_messages > limits.max_recv_messages / 2 || self.held_bytes > max_bytes / 2;
        let slow = limits.recv_slow_messages;
        let least = if self.status == RecvStatus::Ok {
            slow
        } else {
            slow / 2
        };
        self.status = if !self.has_room(limits) || (self.status == RecvStatus::Full && over_half) {
            RecvStatus::Full
        } else if self.held_messages > least {
            RecvStatus::Slow
        } else {
            RecvStatus::Ok
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn what_is_queued_is_small_enough_to_be_moved_without_a_call() {
        assert!(size_of::<ConnectionEvent>() <= 112);
        assert!(size_of::<Queued>() <= 128);
    }

    #[test]
    fn what_counts_for_nothing_is_not_what_does_not_count() {
        for size in [None, Some(0), Some(1), Some(usize::MAX - 1)] {
            assert_eq!(Counted::new(size).get(), size);
        }
    }
}
