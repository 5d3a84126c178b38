//! Room in the backlog for those who want to wait for it, and word of what has left it.

use alloc::boxed::Box;

use super::backlog::{Backlog, Refused, Terms};
use super::client::AjaxClient;
use super::session::AjaxSession;
use crate::connection::{ConnectionEvent, Stats};
use crate::error::SendError;
use crate::event::Event;
use crate::id::FlushId;
use crate::limits::Limits;
use crate::packed::PackedEvent;
use crate::queue::{Outgoing, ReserveError, SendOptions, Sent, Ticket};
use crate::time::Instant;

impl Backlog {
    fn reserve(
        &mut self,
        bytes: usize,
        deadline: Option<Instant>,
        limits: &Limits,
    ) -> Result<Ticket, ReserveError> {
        let reservations = &mut self.queue.reservations;
        let many = reservations
            .waiting()
            .saturating_add(reservations.granted());
        if bytes > limits.max_send_bytes || limits.max_send_messages == 0 {
            return Err(ReserveError::TooLarge {
                bytes,
                limit: limits.max_send_bytes,
            });
        }
        if many >= limits.max_reservations {
            return Err(ReserveError::TooMany {
                limit: limits.max_reservations,
            });
        }
        let ticket = reservations.wait(bytes, deadline);
        self.grant(limits);
        Ok(ticket)
    }

    /// Queues an event in the `held` bytes of a reservation, which stays where it is refused.
    fn enqueue_reserved(
        &mut self,
        event: PackedEvent,
        (ticket, held): (Ticket, usize),
        options: &SendOptions,
        terms: Terms<'_>,
        stats: &mut Stats,
    ) -> Result<Sent, Refused> {
        let item = Outgoing::Event {
            packed: event.bytes,
            callback: None,
            portable: event.portable,
            sealed: event.sealed,
        };
        let size = item.len();
        let limit = terms.limits.max_send_bytes;
        if size > limit {
            return Err(Refused::TooLarge { size, limit });
        }
        let more = size.saturating_sub(held);
        let alone = self.queue.reservations.waiting() == 0;
        if more > 0 && !(alone && self.queue.has_bytes_for(more, terms.limits)) {
            self.refuse(more);
            return Err(Refused::Full { needed: size });
        }
        self.queue.reservations.remove(ticket);
        let sent = self.place(item, options, terms, stats);
        self.grant(terms.limits);
        Ok(sent)
    }

    /// Serves those who wait, in their order, as far as there is room.
    pub(super) fn grant(&mut self, limits: &Limits) {
        while let Some(bytes) = self.queue.reservations.first()
            && self.queue.has_room(bytes, limits)
            && let Some(ticket) = self.queue.reservations.grant_first()
        {
            self.answers.push_back(ConnectionEvent::Granted(ticket));
        }
    }

    /// Ends the reservations whose deadline has come.
    pub(super) fn expire_reservations(&mut self, now: Instant, limits: &Limits) {
        let mut expired = false;
        while let Some(ticket) = self.queue.reservations.expire(now) {
            expired = true;
            let told = ConnectionEvent::ReservationExpired(ticket);
            self.answers.push_back(told);
        }
        if expired {
            // The next in line may want less.
            self.grant(limits);
        }
    }

    /// Ends all reservations: nothing new will be queued any more.
    pub(super) fn fail_reservations(&mut self) {
        for ticket in self.queue.reservations.drain() {
            let told = ConnectionEvent::ReservationFailed(ticket);
            self.answers.push_back(told);
        }
    }

    fn flush(&mut self, over: bool, limits: &Limits) -> FlushId {
        let to = self.queue.queued();
        let full = self.flushes.len() >= limits.max_flushes.max(1);
        if let Some((id, mark)) = self.flushes.back_mut()
            && !over
            && (*mark == to || full)
        {
            *mark = to;
            return *id;
        }
        let id = FlushId(self.next_flush);
        self.next_flush = self.next_flush.wrapping_add(1);
        if over {
            self.answers.push_back(ConnectionEvent::FlushFailed(id));
        } else {
            self.flushes.push_back((id, to));
        }
        id
    }

    /// Tells of the flushes for which nothing is queued any more, unless what they wait for is
    /// `under_way`.
    pub(super) fn settle_flushes(&mut self, under_way: bool) {
        if under_way || !self.returned.is_empty() {
            return;
        }
        while let Some((flush, mark)) = self.flushes.front().copied() {
            if mark > self.queue.oldest() {
                return;
            }
            self.flushes.pop_front();
            self.answers.push_back(ConnectionEvent::Flushed(flush));
        }
    }

    /// Ends the flushes: what they wait for is never known to have left.
    pub(super) fn fail_flushes(&mut self) {
        for (flush, _) in core::mem::take(&mut self.flushes) {
            self.answers.push_back(ConnectionEvent::FlushFailed(flush));
        }
    }
}

/// The same for either side.
macro_rules! reserving {
    ($machine:ty, $flushed:literal) => {
        impl $machine {
            /// Asks for room for one event of `bytes` packed bytes, and waits for it in line, until
            /// `deadline` if there is one. What follows is as with
            /// [`Connection::reserve`](crate::Connection::reserve).
            ///
            /// # Errors
            /// [`ReserveError`]: not open, more than ever fits, or too many reservations.
            pub fn reserve(
                &mut self,
                now: Instant,
                bytes: usize,
                deadline: Option<Instant>,
            ) -> Result<Ticket, ReserveError> {
                self.tick(now);
                if !self.takes_events() {
                    return Err(ReserveError::NotOpen);
                }
                let limits = &self.config.limits;
                self.backlog.reserve(bytes, deadline, limits)
            }

            /// Queues `event` in the room that `ticket` was granted, which ends the reservation. A
            /// smaller event gives the rest back; a larger one needs the difference to be free.
            ///
            /// # Errors
            /// [`SendError`] gives the event back, and the reservation stays.
            /// [`SendError::NoReservation`] if the ticket holds no room: it waits, or has ended.
            pub fn send_reserved(
                &mut self,
                now: Instant,
                ticket: Ticket,
                event: Event,
            ) -> Result<(), SendError> {
                self.send_reserved_with(now, ticket, event, SendOptions::new())
                    .map(|_| ())
            }

            /// The same in the way `options` say. Since there is room, a policy decides only what
            /// may become of the event once it is queued, and which one of the same key it
            /// replaces.
            ///
            /// # Errors
            /// As for [`send_reserved`](Self::send_reserved).
            pub fn send_reserved_with(
                &mut self,
                now: Instant,
                ticket: Ticket,
                event: Event,
                options: SendOptions,
            ) -> Result<Sent, SendError> {
                self.tick(now);
                let (event, mut packed) = self.pack(event)?;
                let Some(held) = self.backlog.queue.reservations.held_by(ticket) else {
                    self.stats.sends_refused += 1;
                    return Err(SendError::NoReservation(Box::new(event)));
                };
                let config = self.config.clone();
                let was_empty = self.backlog.is_empty();
                let sent = self.fits(&mut packed, false).and_then(|()| {
                    let terms = Terms {
                        limits: &config.limits,
                        keep_dropped: config.keep_dropped,
                        format: config.packer.format(),
                        waits: false,
                    };
                    let held = (ticket, held);
                    self.backlog
                        .enqueue_reserved(packed, held, &options, terms, &mut self.stats)
                });
                match sent {
                    Ok(sent) => {
                        self.was_queued(was_empty, options.flush);
                        Ok(sent)
                    }
                    Err(refused) => {
                        self.stats.sends_refused += 1;
                        Err(self.backlog.send_error(event, refused))
                    }
                }
            }

            /// Gives up a reservation, whether it waits or holds room. `false` if it had ended
            /// already.
            pub fn release(&mut self, now: Instant, ticket: Ticket) -> bool {
                self.tick(now);
                let ended = self.backlog.queue.reservations.remove(ticket);
                if ended {
                    self.backlog.grant(&self.config.limits);
                }
                ended
            }

            #[doc = $flushed]
            ///
            /// Where nothing was queued since the newest flush that still waits, that one is meant:
            /// it has the same id, and settles once. So it is, too, where as many wait as
            /// `Limits::max_flushes` allows: then the newest also waits for what was queued since.
            pub fn flush(&mut self, now: Instant) -> FlushId {
                self.tick(now);
                let over = self.state == crate::connection::State::Closed;
                let id = self.backlog.flush(over, &self.config.limits);
                self.was_flushed();
                id
            }

            /// The next answer that somebody waits for, ahead of the messages: how a call, a flush
            /// or a reservation ended, or that there is room again.
            #[must_use]
            pub fn poll_answer(&mut self) -> Option<ConnectionEvent> {
                let open = self.tells_of_room();
                let answer = self.backlog.poll_answer(&self.config.limits, open);
                answer.or_else(|| self.inbox.pop_answer())
            }
        }
    };
}

reserving!(
    AjaxSession,
    "Asks to be told, by `Flushed`, when everything queued until now stands in answers that were \
     given out, or was dropped by its policy. A flush window ends at once. That an answer arrived \
     shows only when the client polls again."
);
reserving!(
    AjaxClient,
    "Asks to be told, by `Flushed`, when every event queued until now was taken by the server, came \
     back as `Undelivered` or was dropped by its policy, and every call has been posted."
);
