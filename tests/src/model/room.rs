//! Operations about room: reservations, the send rate, the flush window, what may wait to be read.

use std::time::Duration;

use sente_core::State;

use super::checks::breach;
use super::messages;
use super::reference::Side;
use super::run::{Checked, Run};
use crate::world::{Check, Command, Given, Refused};

impl Run {
    pub(super) fn reserve(
        &mut self,
        peer: usize,
        bytes: usize,
        within: Option<Duration>,
    ) -> Checked {
        let limits = &self.world.spec(peer).limits;
        let capacity = self.world.connection(peer).send_capacity();
        let standing = capacity.waiting_reservations + capacity.reserved_messages;
        let many = standing >= limits.max_reservations;
        let large = bytes > limits.max_send_bytes;
        let deadline = within.map(|within| self.world.now() + within);
        match self.world.command(peer, Command::Reserve(bytes, deadline)) {
            Ok(Given::Ticket(ticket, index)) if !many && !large => {
                let tickets = &mut self.sides[peer].tickets;
                tickets.asked(ticket, index, bytes, deadline)
            }
            Err(Refused::TooManyReservations) if many => Ok(()),
            Err(Refused::TooLarge) if large => Ok(()),
            Err(Refused::NotOpen) => self.refused(peer, Refused::NotOpen),
            other => {
                let detail = format!("{other:?} with {standing} standing, for {bytes} bytes");
                breach(Check::ReservationsAreServed, detail)
            }
        }
    }

    /// Uses a reservation, whether it was granted or not.
    pub(super) fn send_reserved(&mut self, peer: usize, pick: usize, size: usize) -> Checked {
        let Some((ticket, entry)) = self.sides[peer].tickets.pick(pick) else {
            return Ok(());
        };
        let number = self.number();
        let event = messages::event(number, size);
        let result = self
            .world
            .command(peer, Command::SendReserved(entry.index, event));
        self.paced(peer, &result)?;
        match result {
            Ok(_) => {
                self.sides[peer].tickets.taken(ticket);
                self.sides[peer].accept_event(number, size);
                self.accepted(peer, number, size)
            }
            Err(Refused::Full) => {
                // Two brackets and a space more than the least.
                if messages::packed_len(number, size) <= entry.bytes {
                    let detail = format!("{entry:?} is too full for {size} bytes of data");
                    return breach(Check::ReservationsAreServed, detail);
                }
                self.refused(peer, Refused::Full)
            }
            Err(Refused::NoReservation) if entry.granted && self.stands(peer) => breach(
                Check::ReservationsAreServed,
                format!("{entry:?} holds nothing"),
            ),
            Err(refused) => self.refused(peer, refused),
        }
    }

    pub(super) fn release(&mut self, peer: usize, pick: usize) -> Checked {
        let Some((ticket, entry)) = self.sides[peer].tickets.pick(pick) else {
            return Ok(());
        };
        if self
            .world
            .command(peer, Command::Release(entry.index))
            .is_ok()
        {
            self.sides[peer].tickets.taken(ticket);
        } else if entry.granted && self.stands(peer) {
            return breach(Check::ReservationsAreServed, format!("{entry:?} had ended"));
        }
        Ok(())
    }

    /// Whether the connection takes events, as far as anybody here can know.
    fn stands(&self, peer: usize) -> bool {
        let connection = self.world.connection(peer);
        connection.state() == State::Open
            && connection.close_reason().is_none()
            && self.world.reads(peer)
            && !self.broken(peer)
    }

    pub(super) fn allow(&mut self, peer: usize, bytes: usize) {
        let _ = self.world.command(peer, Command::Allowance(bytes));
        let received = self.world.connection(peer).stats().events_received;
        self.sides[peer].stopped_at = (bytes == 0).then_some(received);
        self.sides[peer].roomy &= bytes == usize::MAX;
    }

    /// Holds what became of an event against the send rate.
    pub(super) fn paced(&mut self, peer: usize, result: &Result<Given, Refused>) -> Checked {
        let now = self.world.now();
        let Some(pace) = &mut self.sides[peer].pace else {
            return match result {
                Err(Refused::RateLimited(_)) => breach(Check::RateIsKept, "there is no rate"),
                _ => Ok(()),
            };
        };
        let wait = pace.wait(now);
        let queued = match result {
            Ok(Given::Sent(sent)) => *sent == sente_core::Sent::Queued,
            Ok(_) => true,
            Err(Refused::RateLimited(retry_at)) => {
                self.sides[peer].tally.rate_limited += 1;
                if wait == Some(*retry_at) {
                    return Ok(());
                }
                let detail = format!("refused until {retry_at:?} at {now:?}, not {wait:?}");
                return breach(Check::RateIsKept, detail);
            }
            Err(_) => false,
        };
        if queued {
            if let Some(until) = wait {
                let detail = format!("accepted at {now:?}, not to be until {until:?}");
                return breach(Check::RateIsKept, detail);
            }
            pace.take(now);
        }
        Ok(())
    }

    /// Nobody is served before those who wait for room.
    pub(super) fn check_turn(
        &self,
        peer: usize,
        waited: usize,
        result: &Result<Given, Refused>,
    ) -> Checked {
        if waited > 0 && result.is_ok() {
            let detail = format!("peer {peer} sends past {waited} who wait for room");
            return breach(Check::ReservationsAreServed, detail);
        }
        Ok(())
    }

    pub(super) fn waiting(&self, peer: usize) -> usize {
        self.world
            .connection(peer)
            .send_capacity()
            .waiting_reservations
    }

    pub(super) fn check_reservations(&self, peer: usize) -> Checked {
        let capacity = self.world.connection(peer).send_capacity();
        let standing = self.sides[peer].tickets.standing();
        if !self.stands(peer) {
            return Ok(());
        }
        let known = (capacity.waiting_reservations, capacity.reserved_messages);
        if standing != known {
            let detail = format!("peer {peer}: {standing:?} wait and hold room, not {known:?}");
            return breach(Check::ReservationsAreServed, detail);
        }
        if let Some(bytes) = self.sides[peer].tickets.first()
            && capacity.messages + capacity.reserved_messages < capacity.max_messages
            && capacity.bytes + capacity.reserved_bytes + bytes <= capacity.max_bytes
        {
            let detail = format!("peer {peer} waits for {bytes} bytes: {capacity:?}");
            return breach(Check::ReservationsAreServed, detail);
        }
        Ok(())
    }

    /// What could be written waits no longer than the flush window.
    pub(super) fn check_window(&mut self, peer: usize) -> Checked {
        let now = self.world.now();
        let connection = self.world.connection(peer);
        let transmits = self.world.transmits(peer);
        let waits = connection.send_capacity().messages > 0 && !self.world.is_writing(peer);
        if !waits || !self.stands(peer) || self.sides[peer].peer_finished {
            self.sides[peer].held = None;
            return Ok(());
        }
        let Side { held, tally, .. } = &mut self.sides[peer];
        let held = held.get_or_insert((now, transmits));
        if held.1 != transmits {
            *held = (now, transmits);
        }
        tally.held += 1;
        let window = self.world.spec(peer).flush_window;
        if window.is_none_or(|window| now >= held.0 + window) {
            let detail = format!("peer {peer} holds back since {:?}, at {now:?}", held.0);
            return breach(Check::WindowsEnd, detail);
        }
        Ok(())
    }

    /// With an allowance of nothing nothing is read.
    pub(super) fn check_allowance(&self, peer: usize) -> Checked {
        let received = self.world.connection(peer).stats().events_received;
        match self.sides[peer].stopped_at {
            Some(mark) if received > mark && self.stands(peer) => breach(
                Check::ReceiveQueueKeepsItsLimits,
                format!("peer {peer} has received {received} events, {mark} of them allowed"),
            ),
            _ => Ok(()),
        }
    }

    /// What did not arrive at a receiver that sheds is what it says it has shed.
    pub(super) fn check_sheds(&self, sender: usize) -> Checked {
        let receiver = sender ^ 1;
        let side = &self.sides[sender];
        let shed = self.world.connection(receiver).stats().shed;
        let gone = side.missing().len() + side.shed.len() + side.unreported().len();
        let gone = gone as u64;
        // A second handshake on a byte stream may be shed, too.
        if shed != gone && shed != gone + 1 {
            let detail = format!("peer {receiver} shed {shed}, and {gone} did not arrive");
            return breach(Check::ShedsAreCounted, detail);
        }
        let told = self.sides[receiver].shed_told;
        if told != shed {
            let detail = format!("peer {receiver} shed {shed} and tells of {told}");
            return breach(Check::ShedsAreCounted, detail);
        }
        let unanswered = side.unanswered_sheds();
        if unanswered > 0 && !self.lossy(receiver) {
            let detail = format!("{unanswered} calls of peer {sender} are shed without an answer");
            return breach(Check::ShedsAreCounted, detail);
        }
        Ok(())
    }
}
