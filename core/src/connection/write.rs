//! The bytes of a connection: what leaves next, in which frames, and when it was written.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::framing::websocket::Part;
use crate::id::FlushId;
use crate::profile::Profile;
use crate::queue::{Outgoing, Priority};
use crate::record::{Entry, Outcome};
use crate::time::Instant;
use crate::transmit::TransmitBuf;

use super::event::{ConnectionEvent, State, Transmit};
use super::{CloseReason, Connection, ConnectionConfig, envelope};

impl Connection {
    /// Asks to be told, by `Flushed`, when everything queued until now has been written or
    /// dropped by its policy. A flush window ends at once.
    ///
    /// Where nothing was queued since the newest flush that still waits, that one is meant: it has
    /// the same id, and settles once. So it is, too, where as many wait as `Limits::max_flushes`
    /// allows: then the newest also waits for what was queued since.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        self.note(now, || Entry::Flush);
        self.tick(now);
        self.held_until = None;
        let over = matches!(self.state, State::Closing | State::Closed) || self.ended_badly();
        let full = self.flushes.len() >= self.config.limits.max_flushes.max(1);
        let to = self.queue.queued();
        if let Some((id, mark)) = self.flushes.there().and_then(VecDeque::back_mut)
            && !over
            && (*mark == to || full)
        {
            *mark = to;
            return *id;
        }
        let id = FlushId(self.next_flush);
        self.next_flush = self.next_flush.wrapping_add(1);
        if over {
            self.push_event(ConnectionEvent::FlushFailed(id));
        } else {
            self.flushes.make().push_back((id, to));
            self.settle_flushes();
        }
        id
    }

    /// Fills `out`, which must be empty, with what is to be written next, at most
    /// `Limits::max_transmit_bytes` unless one frame is larger. `None` while the last transmit is
    /// not [acknowledged](Self::handle_transmitted) or nothing is to be done.
    pub fn poll_transmit(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        if self.tape.is_some() {
            return self.next_transmit_noted(out);
        }
        if self.state == State::Open && self.has_nothing_but_ahead() {
            return self.next_ahead(out);
        }
        self.next_transmit(out)
    }

    #[cold]
    fn next_transmit_noted(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        let transmit = self.next_transmit(out);
        self.note(self.now, || {
            Entry::PolledTransmit(transmit.map(|transmit| match transmit {
                Transmit::Data => Some(Outcome::of_bytes(out)),
                Transmit::Shutdown => None,
            }))
        });
        transmit
    }

    /// Whether an open connection has nothing to write but frames that were made already, if there are
    /// any, and nobody waits for them to leave. So it is nearly always.
    #[inline]
    fn has_nothing_but_ahead(&self) -> bool {
        self.queue.has_none_but_ahead()
            && self.queue.reservations.is_blank()
            && self.control.is_blank()
            && self.pressure.is_blank()
            && self.flushes.is_blank()
            && self.sealer.is_blank()
            && self.held_until.is_none()
            && self.ended.is_none()
            && !self.shutdown_given
            && self.framer.has_nothing_due()
    }

    /// The next transmit where that is so.
    #[inline]
    fn next_ahead(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        if self.transmitting || !self.queue.has_ahead() {
            return None;
        }
        if self.queue.last_ahead_start() >= self.config.limits.max_transmit_bytes {
            return self.next_transmit(out);
        }
        self.transmit_is_life = !self.has_reply_room();
        self.transmitting = true;
        self.move_ahead(out);
        self.stats.bytes_sent += out.len() as u64;
        Some(Transmit::Data)
    }

    #[inline(never)]
    fn next_transmit(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        if self.transmitting || self.shutdown_given || self.ended_badly() {
            return None;
        }
        self.transmit_is_life = !self.has_reply_room();
        let seals = self.config.seals;
        let limit = self.config.limits.max_transmit_bytes;
        if !self.control.is_blank() {
            self.write_control(out);
        }
        if matches!(self.state, State::Open | State::Draining) && !self.is_held() {
            // A WebSocket whose end was read, but not reached yet for want of room, takes no more:
            // what is queued comes back as undelivered.
            self.write_ahead(limit, out);
            if !self.queue.is_empty() {
                while out.len() < limit && self.framer.takes_messages() && self.write_next(out) {}
            }
            // Before anything else is told, so that a flush waits for what this transmit carries.
            self.transmitting = !out.is_empty();
            self.room_was_made();
            if self.state == State::Draining && self.has_drained() {
                self.finish_draining();
            }
        }
        if seals {
            self.settle_sealer();
        }
        // After the data: what `finish_draining` may have begun.
        if let Some(websocket) = self.framer.websocket() {
            websocket.poll_transmit(out);
        }
        if !out.is_empty() {
            self.transmitting = true;
            self.stats.bytes_sent += out.len() as u64;
            return Some(Transmit::Data);
        }
        if self.wants_shutdown() {
            self.shutdown_given = true;
            return Some(Transmit::Shutdown);
        }
        None
    }

    /// Says that the last transmit has been handed to the operating system.
    pub fn handle_transmitted(&mut self, now: Instant) {
        self.note(now, || Entry::Transmitted);
        self.tick(now);
        if core::mem::take(&mut self.transmitting) {
            self.settle_flushes();
            self.settle_scratch();
            if core::mem::take(&mut self.transmit_is_life) {
                self.last_received = self.now;
                self.ping_sent = None;
            }
        }
    }

    /// Whether nothing waits to be written, and nothing can have come of it that the last transmit was:
    /// the polls give what they gave after it. Then a driver that has just called
    /// [`handle_transmitted`](Self::handle_transmitted) need not ask again before something happens;
    /// only [`poll_timeout`](Self::poll_timeout) may be later than it was.
    ///
    /// Always `false` but on an open connection.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.state == State::Open
            && !self.transmitting
            && self.ended.is_none()
            && self.queue.is_empty()
            && self.control.frames.is_empty()
            && self.flushes.is_empty()
            && !self.recv.has_answer()
            && self.framer.takes_messages()
    }

    fn write_control(&mut self, out: &mut TransmitBuf) {
        let kind = self.config.kind;
        // They are seldom, and the room for them would be kept for all the time between.
        for frame in self.control.take().frames {
            let Some(frame) = self.sealed_control(frame) else {
                return;
            };
            if self.framer.write(kind, &[Part::Shared(&frame)], out) {
                self.stats.frames_sent += 1;
            }
        }
    }

    /// Writes the next frame from the queue. Whether there was one.
    fn write_next(&mut self, out: &mut TransmitBuf) -> bool {
        let Some(priority) = self.queue.next_lane() else {
            return false;
        };
        if self.config.seals {
            return self.write_next_sealed(priority, out);
        }
        let kind = self.config.kind;
        let config = &*self.config;
        let count = self.batch_len(priority);
        self.queue.frame_begins(priority);
        let written = if count > 1 {
            let events: Vec<Bytes> = (0..count)
                .filter_map(|_| match self.queue.pop(priority) {
                    Some(Outgoing::Event { packed, .. }) => Some(packed),
                    _ => None,
                })
                .collect();
            let tokens = config.packer.sequence(events.len());
            let parts = envelope::batch(self.profile, &tokens, &config.atoms, &events);
            self.framer.write(kind, &parts, out)
        } else {
            let Some(item) = self.queue.pop(priority) else {
                return false;
            };
            let framer = &mut self.framer;
            match frame_alone(&item, self.profile, config) {
                Some(frame) if framer.takes_server_frames() => {
                    out.put_shared(frame);
                    true
                }
                _ => envelope::with_message(self.profile, &config.atoms, &item, |parts| {
                    framer.write(kind, parts, out)
                }),
            }
        };
        if written {
            self.stats.frames_sent += 1;
        }
        true
    }

    /// How many events from the front of a lane go out in one frame.
    pub(super) fn batch_len(&self, priority: Priority) -> usize {
        if !self.profile.batches() {
            return 1;
        }
        let limits = &self.config.limits;
        let packer = &*self.config.packer;
        let max_bytes = limits.max_batch_bytes.min(self.longest_message());
        let mut bytes = 0usize;
        let mut count = 0usize;
        let mut first = None;
        for item in self
            .queue
            .iter(priority)
            .take(limits.max_batch_events.max(1))
        {
            let Outgoing::Event {
                packed,
                callback: None,
                ..
            } = item
            else {
                break;
            };
            bytes = bytes.saturating_add(packed.len());
            let overhead =
                envelope::batch_overhead(self.profile, packer, &self.config.atoms, count + 1);
            if count > 0 && bytes.saturating_add(overhead) > max_bytes {
                break;
            }
            // What a stock reader cannot take costs it all that is in the frame, so it leaves
            // alone. The first is looked at when there is a second: most leave alone anyway.
            if self.profile.batches_for_stock() {
                let first = *first.get_or_insert(item);
                let together = count == 0
                    || ((count > 1 || first.is_portable(packer)) && item.is_portable(packer));
                if !together {
                    break;
                }
            }
            count += 1;
        }
        count.max(1)
    }

    fn has_drained(&self) -> bool {
        self.queue.is_empty()
            && self.control.frames.is_empty()
            && (self.owed_replies == 0)
            && (self.calls.len() == 0 || self.profile.stream)
    }

    fn finish_draining(&mut self) {
        if self.framer.websocket().is_some() {
            self.say_goodbye(self.now, 1000, "");
        } else if self.peer_finished && !self.transmitting {
            self.finish(CloseReason::Requested);
        }
    }

    /// Whether nothing will be written any more.
    fn wants_shutdown(&mut self) -> bool {
        if let Some(websocket) = self.framer.websocket() {
            return websocket.wants_shutdown();
        }
        match self.state {
            State::Closed => true,
            State::Draining => self.has_drained(),
            _ => false,
        }
    }

    /// What is not queued any more has been written, unless a transmit is with the driver or was
    /// lost with it.
    #[inline]
    pub(super) fn settle_flushes(&mut self) {
        if !self.flushes.is_blank() {
            self.settle_waiting_flushes();
        }
    }

    fn settle_waiting_flushes(&mut self) {
        if self.transmitting || self.ended_badly() {
            return;
        }
        while let Some((flush, mark)) = self.flushes.front().copied() {
            if mark > self.queue.oldest() {
                break;
            }
            self.flushes.there().and_then(VecDeque::pop_front);
            if self.flushes.is_empty() {
                self.flushes.clear();
            }
            self.push_event(ConnectionEvent::Flushed(flush));
        }
    }
}

/// The frame in which an event leaves alone, if it was made for all it goes to.
fn frame_alone<'a>(
    item: &'a Outgoing,
    profile: Profile,
    config: &ConnectionConfig,
) -> Option<&'a Bytes> {
    match item {
        Outgoing::Event {
            callback: None,
            sealed,
            ..
        } => sealed.find(profile.role, profile.dialect, &config.packer),
        Outgoing::Event { .. } | Outgoing::Reply { .. } => None,
    }
}
