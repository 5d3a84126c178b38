//! How an event gets into the send queue: limits, policies, rate, flush window, and what is told
//! about it.

use alloc::boxed::Box;

use crate::error::SendError;
use crate::event::Event;
use crate::queue::{Drops, Hold, Loss, Outgoing, Policy, Priority, SendOptions, Sent};
use crate::seldom::Blank;
use crate::time::Instant;

use super::event::{ConnectionEvent, Dropped, State};
use super::send::PackedSendError;
use super::{Connection, envelope};

/// Why an event was not queued; the event itself is with the caller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    Full { needed: usize },
    RateLimited { retry_at: Instant },
    TooLarge { size: usize, limit: usize },
}

impl Refused {
    pub(super) const fn is_too_large(self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

/// What the send queue owes the application to know.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// A send was refused as full, of so many bytes: a `SendReady` is owed.
    refused: Option<usize>,
    /// Above high water: a `SendReady` is owed, too.
    pub(super) high: bool,
    /// Whether these wait to be taken. There is never more than one of each.
    high_told: bool,
    ready_told: bool,
    /// What was dropped since the last `Dropped` was taken.
    drops: Drops,
}

impl Blank for Pressure {
    const BLANK: &'static Self = &Self {
        refused: None,
        high: false,
        high_told: false,
        ready_told: false,
        drops: Drops::NONE,
    };
}

impl Connection {
    /// Whether events may be queued: after a failure they never went out, even while what came
    /// before it is still being read.
    pub(super) fn takes_events(&self) -> bool {
        self.state == State::Open && !self.ended_badly()
    }

    /// Whether an event of `len` packed bytes would be queued now without dropping another. Counts
    /// nothing, and owes nobody a `SendReady`.
    pub(crate) fn has_place_for(&self, now: Instant, len: usize) -> Result<(), PackedSendError> {
        if !self.takes_events() {
            return Err(PackedSendError::NotOpen);
        }
        if len > self.config.limits.max_send_bytes {
            return Err(PackedSendError::TooLarge);
        }
        if let Some(Err(retry_at)) = self.limiter.as_deref().map(|limiter| limiter.check(now)) {
            return Err(PackedSendError::RateLimited { retry_at });
        }
        if !self.queue.takes(len, &self.config.limits) {
            return Err(PackedSendError::Full);
        }
        Ok(())
    }

    /// The same for an event whose turn it is in a queue before this one: that fills this one up to
    /// high water and no further, and once it is above, waits for low water. An event that is more
    /// than that alone goes when nothing else is queued.
    pub(crate) fn has_place_in_turn(
        &self,
        now: Instant,
        len: usize,
    ) -> Result<(), PackedSendError> {
        self.has_place_for(now, len)?;
        let below =
            !self.pressure.high && self.config.water_marks.high.covers_also(&self.queue, len);
        if below || self.queue.is_empty() {
            Ok(())
        } else {
            Err(PackedSendError::Full)
        }
    }

    /// Whether an event of this key is queued.
    pub(crate) fn has_queued(&self, key: &str) -> bool {
        self.queue.len_of(key).is_some()
    }

    /// Queues a packed event, or does with it what its policy says. A refusal has been counted.
    #[inline(always)]
    pub(super) fn enqueue(
        &mut self,
        item: Outgoing,
        options: &SendOptions,
    ) -> Result<Sent, Refused> {
        if let Some(size) = self.fits_simply(&item, options) {
            let sent = self.push(item, size, options.priority, Hold::Keep);
            if options.flush {
                self.held_until = None;
            }
            return Ok(sent);
        }
        self.enqueue_otherwise(item, options)
    }

    /// Queues an event of `len` packed bytes that is no call, if it is one of those that are queued
    /// without further ado. Whether it did; else nothing was asked for.
    #[inline]
    pub(super) fn enqueue_simply(
        &mut self,
        len: usize,
        options: &SendOptions,
        event: impl FnOnce() -> Outgoing,
    ) -> bool {
        let around = envelope::around_event_len(self.profile, &self.config.atoms);
        let is_simple = options.policy == Policy::Reject
            && options.priority == Priority::Normal
            && self.is_calm(around.saturating_add(len), len);
        if is_simple {
            self.stats.events_queued += 1;
            self.queue.push_event(len, event);
        }
        is_simple
    }

    #[inline(never)]
    fn enqueue_otherwise(
        &mut self,
        item: Outgoing,
        options: &SendOptions,
    ) -> Result<Sent, Refused> {
        let result = self.try_enqueue(item, options);
        if let Err(refused) = result {
            self.stats.rare().count_refused(refused.is_too_large());
            self.settle_scratch();
        }
        result
    }

    /// The size of the frame that the item makes, if it is one of those that are queued without
    /// further ado: nothing limits their rate or drops them, and they fit everywhere.
    #[inline]
    fn fits_simply(&self, item: &Outgoing, options: &SendOptions) -> Option<usize> {
        let config = &*self.config;
        if !self.is_simple(options) {
            return None;
        }
        let size = envelope::message_len(self.profile, &config.atoms, item);
        self.has_simple_room(size, item.len()).then_some(size)
    }

    /// Whether nothing limits the rate of an event with these options, and nothing drops it.
    #[inline]
    pub(super) fn is_simple(&self, options: &SendOptions) -> bool {
        options.policy == Policy::Reject && !self.config.seals && self.limiter.is_none()
    }

    /// Whether there is nothing to ask, to tell or to note of one more event of `len` packed bytes,
    /// whose frame has `size` bytes, but how many there were.
    #[inline(always)]
    pub(super) fn is_calm(&self, size: usize, len: usize) -> bool {
        let config = &*self.config;
        size < config.simple_below
            && self
                .queue
                .takes_below(len, config.water_marks.calm, &config.limits)
    }

    /// Whether an event of `len` packed bytes fits everywhere, and its frame of `size` bytes.
    #[inline]
    pub(super) fn has_simple_room(&self, size: usize, len: usize) -> bool {
        let limits = &self.config.limits;
        size <= limits.max_frame_bytes
            && len <= limits.max_send_bytes
            && self.queue.takes(len, limits)
    }

    fn try_enqueue(&mut self, mut item: Outgoing, options: &SendOptions) -> Result<Sent, Refused> {
        let size = self.fits_a_frame(&mut item)?;
        let len = item.len();
        if options.policy != Policy::Volatile {
            self.fits_the_queue(len)?;
        }
        if let Some(old) = self.queue.replaced_by(&options.policy) {
            let more = len.saturating_sub(old);
            if more > 0 && !self.queue.has_bytes_for(more, &self.config.limits) {
                self.refuse_for_now(more);
                return Err(Refused::Full { needed: len });
            }
            let sent = self.place(item, size, options);
            self.room_was_made();
            return Ok(sent);
        }
        let rate = self.within_rate();
        let room = self.queue.takes(len, &self.config.limits);
        if options.policy == Policy::Volatile
            && (self.transmitting || !self.queue.is_empty() || !room || rate.is_err())
        {
            self.lose(item, Loss::Volatile);
            self.settle_scratch();
            if options.flush {
                self.held_until = None;
            }
            return Ok(Sent::Dropped);
        }
        rate?;
        let fits = room || (options.policy == Policy::DropOldest && self.make_room(len));
        if !fits {
            self.refuse_for_now(len);
            return Err(Refused::Full { needed: len });
        }
        let sent = self.place(item, size, options);
        if !room {
            // Others were dropped for it.
            self.room_was_made();
        }
        Ok(sent)
    }

    /// An idle connection holds no large buffer.
    pub(super) fn settle_scratch(&mut self) {
        if self.queue.is_empty() {
            self.scratch.settle();
            self.queue.settle();
        }
    }

    /// Gives back room that is of use only while messages are under way, if none is. For a driver
    /// that is about to wait, so that a connection that was told something holds no more than one
    /// that was not.
    pub fn rest(&mut self) {
        if self.queue.is_empty() && !self.transmitting {
            self.queue.rest();
        }
    }

    /// Gives back what is of use only while messages come and go. Deadlines come far less often.
    pub(super) fn sleep(&mut self) {
        self.recv.settle();
        self.recent_ids = None;
        if let Some(calls) = self.calls.there() {
            calls.rest();
        }
        if self.queue.is_empty() && !self.transmitting {
            self.queue.sleep();
            self.scratch.sleep();
        }
    }

    /// Queues what has room, or puts it in the place of the event of the same key. Where that may
    /// make room, who waits for it is told by the caller.
    #[inline(always)]
    pub(super) fn place(&mut self, item: Outgoing, size: usize, options: &SendOptions) -> Sent {
        let sent = match &options.policy {
            Policy::Latest(key) if self.queue.len_of(key).is_some() => {
                self.replace(item, size, key)
            }
            policy => self.push(item, size, options.priority, Hold::of(policy)),
        };
        if options.flush {
            self.held_until = None;
        }
        sent
    }

    /// Puts `item` in the place of the queued event of the same key.
    fn replace(&mut self, item: Outgoing, size: usize, key: &str) -> Sent {
        self.warn_if_large(size);
        if let Some(old) = self.queue.replace(key, item) {
            self.stats.events_queued += 1;
            self.lose(old, Loss::Replaced);
        }
        self.check_high_water();
        Sent::Replaced
    }

    /// Whether so many bytes fit into the queue when it is empty.
    pub(super) fn fits_the_queue(&self, len: usize) -> Result<(), Refused> {
        let limit = self.config.limits.max_send_bytes;
        if len > limit {
            return Err(Refused::TooLarge { size: len, limit });
        }
        Ok(())
    }

    pub(super) fn within_rate(&self) -> Result<(), Refused> {
        self.limiter
            .as_deref()
            .map_or(Ok(()), |limiter| limiter.check(self.now))
            .map_err(|retry_at| Refused::RateLimited { retry_at })
    }

    /// Drops the oldest events that may be until `len` bytes fit. Whether they do.
    fn make_room(&mut self, len: usize) -> bool {
        let config = self.config.clone();
        if !self.queue.has_room_without_losable(len, &config.limits) {
            return false;
        }
        let mut freed = 0;
        while let Some(item) = self.queue.drop_for(len, &mut freed, &config.limits) {
            self.lose(item, Loss::Oldest);
        }
        true
    }

    #[inline(always)]
    fn push(&mut self, item: Outgoing, size: usize, priority: Priority, hold: Hold) -> Sent {
        self.before_push(size);
        if priority == Priority::Low {
            // How many of the others may go before it is counted in the queue.
            self.take_ahead_back();
        }
        self.queue.push(item, priority, hold);
        self.after_push();
        Sent::Queued
    }

    /// What comes before an event is queued whose frame has so many bytes.
    #[inline(always)]
    pub(super) fn before_push(&mut self, size: usize) {
        self.stats.events_queued += 1;
        if let Some(limiter) = &mut self.limiter {
            limiter.take(self.now);
        }
        self.warn_if_large(size);
        // Where the queue is empty since something was dropped for this, its window goes on: else
        // whoever is always dropped for the next would never leave.
        if self.queue.is_empty() && !self.is_held() {
            self.held_until = self.config.flush_window.map(|window| self.now + window);
        }
    }

    /// What comes after an event was queued.
    #[inline(always)]
    pub(super) fn after_push(&mut self) {
        let limits = &self.config.limits;
        if self.held_until.is_some()
            && (self.queue.len() >= limits.max_batch_events
                || self.queue.bytes() >= limits.max_batch_bytes)
        {
            self.held_until = None;
        }
        self.check_high_water();
    }

    /// Queues a reply, for which there is always room. Somebody waits for it: it does not wait for
    /// a flush window, and what is queued before it goes with it.
    pub(super) fn push_reply(&mut self, item: Outgoing) {
        self.queue.push(item, Priority::Normal, Hold::Keep);
        self.after_reply();
    }

    #[inline]
    pub(super) fn after_reply(&mut self) {
        self.held_until = None;
        self.check_high_water();
    }

    /// Whether what is queued waits for the end of the flush window.
    pub(super) fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| until > self.now)
    }

    pub(super) fn warn_if_large(&mut self, size: usize) {
        if size >= self.config.limits.warn_frame_bytes || size > self.config.small_frames {
            self.push_event(ConnectionEvent::LargeFrame {
                size,
                received: false,
            });
        }
    }

    pub(super) fn give_back(&self, event: Event, refused: Refused) -> SendError {
        let event = Box::new(event);
        match refused {
            Refused::Full { needed } => SendError::Full {
                event,
                messages: self.queue.len(),
                bytes: self.queue.bytes(),
                needed,
            },
            Refused::RateLimited { retry_at } => SendError::RateLimited { event, retry_at },
            Refused::TooLarge { size, limit } => SendError::TooLarge { event, size, limit },
        }
    }

    /// Something left the queue, or a reservation ended: whoever waits for that is told.
    #[inline]
    pub(super) fn room_was_made(&mut self) {
        if !self.queue.reservations.is_blank() {
            self.grant_reservations();
        }
        if !self.pressure.is_blank() {
            self.check_send_ready();
        }
        self.settle_flushes();
    }

    /// Remembers the largest event that was refused: `SendReady` comes when it would fit.
    pub(super) fn refuse_for_now(&mut self, len: usize) {
        let refused = self.pressure.refused.map_or(len, |known| known.max(len));
        self.pressure.make().refused = Some(refused);
        self.take_send_ready_back();
    }

    /// One `HighWater` on the way up.
    #[inline]
    fn check_high_water(&mut self) {
        if !self.config.water_marks.high.covers(&self.queue) {
            self.is_above_high_water();
        }
    }

    #[inline(never)]
    fn is_above_high_water(&mut self) {
        if core::mem::replace(&mut self.pressure.make().high, true) {
            return;
        }
        self.take_send_ready_back();
        if !core::mem::replace(&mut self.pressure.make().high_told, true) {
            let capacity = self.send_capacity();
            self.push_event(ConnectionEvent::HighWater(capacity));
        }
    }

    /// One `SendReady` after a refusal or a `HighWater`, once low water is reached and what was
    /// refused would fit.
    fn check_send_ready(&mut self) {
        let pressure = &self.pressure;
        // Also while draining: whoever waits for room finds out that nothing more is taken.
        let ends = !matches!(self.state, State::Open | State::Draining) || self.ended_badly();
        if !(pressure.high || pressure.refused.is_some()) || ends {
            return;
        }
        let limits = &self.config.limits;
        let low = self.config.water_marks.low.covers(&self.queue);
        let fits = self.queue.is_idle()
            || self
                .queue
                .takes(pressure.refused.unwrap_or_default(), limits);
        if low && fits {
            let pressure = self.pressure.make();
            pressure.refused = None;
            pressure.high = false;
            if !core::mem::replace(&mut pressure.ready_told, true) {
                self.push_event(ConnectionEvent::SendReady);
            }
        }
    }

    /// A `SendReady` that nobody has taken yet is not true any more.
    fn take_send_ready_back(&mut self) {
        let pressure = self.pressure.there();
        if pressure.is_some_and(|pressure| core::mem::take(&mut pressure.ready_told)) {
            self.recv.take_send_ready_back();
        }
    }

    /// Counts an event that is dropped, and keeps it for its report where that is asked for.
    fn lose(&mut self, item: Outgoing, loss: Loss) {
        match loss {
            Loss::Oldest => self.stats.rare().dropped_oldest += 1,
            Loss::Replaced => self.stats.rare().replaced += 1,
            Loss::Volatile => self.stats.rare().dropped_volatile += 1,
        }
        let format = self.config.packer.format();
        let drops = &mut self.pressure.make().drops;
        if drops.note(item, format, self.config.keep_dropped) {
            // What it says is filled in when it is taken.
            self.push_event(ConnectionEvent::Dropped(Dropped::default()));
        }
    }

    /// An event about the send queue is taken: what it says is completed, and the next may come.
    pub(super) fn pressure_taken(&mut self, event: &mut ConnectionEvent) {
        let Some(pressure) = self.pressure.there() else {
            return;
        };
        match event {
            ConnectionEvent::Dropped(dropped) => {
                *dropped = pressure.drops.take();
                let events = core::mem::take(&mut dropped.events).into_iter();
                dropped.events = events.map(|event| self.given_back(event)).collect();
            }
            ConnectionEvent::HighWater(_) => pressure.high_told = false,
            ConnectionEvent::SendReady => pressure.ready_told = false,
            _ => {}
        }
    }
}
