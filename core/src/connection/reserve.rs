//! Room in the send queue for those who want to wait for it.

use alloc::boxed::Box;

use crate::error::SendError;
use crate::event::Event;
use crate::queue::{Outgoing, ReserveError, SendOptions, Sent, Ticket};
use crate::record::Entry;
use crate::time::Instant;

use super::Connection;
use super::enqueue::Refused;
use super::event::ConnectionEvent;

impl Connection {
    /// Asks for room for one event of `bytes` packed bytes (as in `PackedEvent::bytes`), and waits
    /// for it in line, until `deadline` if there is one.
    ///
    /// The answer is one event: `Granted`, at once where there is room and nobody waits,
    /// `ReservationExpired` at the deadline, or `ReservationFailed` when the connection drains or
    /// ends first. Granted room is kept until [`send_reserved`](Self::send_reserved) or
    /// [`release`](Self::release). Who asked first is served first, also where a later one would
    /// fit; sends without a reservation are refused as full while anybody waits, except those that
    /// take no more room than they make by dropping or replacing.
    ///
    /// # Errors
    /// [`ReserveError`]: not open, more than ever fits, or too many reservations.
    pub fn reserve(
        &mut self,
        now: Instant,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Result<Ticket, ReserveError> {
        self.note(now, || Entry::Reserve(bytes, deadline));
        self.tick(now);
        let limits = &self.config.limits;
        let reservations = &self.queue.reservations;
        let many = reservations
            .waiting()
            .saturating_add(reservations.granted());
        if !self.takes_events() {
            return Err(ReserveError::NotOpen);
        }
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
        let ticket = self.queue.reservations.wait(bytes, deadline);
        self.grant_reservations();
        Ok(ticket)
    }

    /// Queues `event` in the room that `ticket` was granted, which ends the reservation. A smaller
    /// event gives the rest back; a larger one needs the difference to be free.
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

    /// The same in the way `options` say. Since there is room, a policy decides only what may
    /// become of the event once it is queued, and which one of the same key it replaces.
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
        self.note(now, || {
            Entry::SendReserved(ticket.to_u64(), event.clone(), options.clone())
        });
        self.tick(now);
        if !self.takes_events() {
            self.stats.rare().sends_refused += 1;
            return Err(SendError::NotOpen(Box::new(event)));
        }
        let Some(held) = self.queue.reservations.held_by(ticket) else {
            self.stats.rare().sends_refused += 1;
            return Err(SendError::NoReservation(Box::new(event)));
        };
        let (event, packed) = self.pack(event)?;
        let mut item = Outgoing::event(packed);
        match self.fits_reserved(&mut item, held, &options) {
            Ok(size) => {
                self.queue.reservations.remove(ticket);
                let sent = self.place(item, size, &options);
                // It may have taken less than was reserved.
                self.room_was_made();
                Ok(sent)
            }
            Err(refused) => {
                self.stats.rare().count_refused(refused.is_too_large());
                Err(self.give_back(event, refused))
            }
        }
    }

    /// Gives up a reservation, whether it waits or holds room. `false` if it had ended already.
    pub fn release(&mut self, now: Instant, ticket: Ticket) -> bool {
        self.note(now, || Entry::Release(ticket.to_u64()));
        self.tick(now);
        let ended = self.queue.reservations.remove(ticket);
        if ended {
            self.room_was_made();
        }
        ended
    }

    /// The size of the frame, if the event may have the room.
    fn fits_reserved(
        &mut self,
        item: &mut Outgoing,
        held: usize,
        options: &SendOptions,
    ) -> Result<usize, Refused> {
        let size = self.fits_a_frame(item)?;
        if self.queue.replaced_by(&options.policy).is_none() {
            self.within_rate()?;
        }
        let needed = item.len();
        self.fits_the_queue(needed)?;
        let more = needed.saturating_sub(held);
        let alone = self.queue.reservations.waiting() == 0;
        if more > 0 && !(alone && self.queue.has_bytes_for(more, &self.config.limits)) {
            self.refuse_for_now(more);
            return Err(Refused::Full { needed });
        }
        Ok(size)
    }

    /// Serves those who wait, in their order, as far as there is room.
    pub(super) fn grant_reservations(&mut self) {
        while let Some(bytes) = self.queue.reservations.first()
            && self.queue.has_room(bytes, &self.config.limits)
            && let Some(ticket) = self.queue.reservations.grant_first()
        {
            self.push_event(ConnectionEvent::Granted(ticket));
        }
    }

    /// Ends the reservations whose deadline has come.
    pub(super) fn expire_reservations(&mut self) {
        let mut expired = false;
        while let Some(ticket) = self.queue.reservations.expire(self.now) {
            expired = true;
            self.push_event(ConnectionEvent::ReservationExpired(ticket));
        }
        if expired {
            // The next in line may want less.
            self.room_was_made();
        }
    }

    /// Ends all reservations: nothing new will be queued any more.
    pub(super) fn fail_reservations(&mut self) {
        for ticket in self.queue.reservations.drain() {
            self.push_event(ConnectionEvent::ReservationFailed(ticket));
        }
    }
}
