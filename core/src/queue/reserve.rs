//! Who waits for room in the send queue, in which order, and until when.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use thiserror::Error;

use crate::seldom::{Blank, Seldom};
use crate::time::Instant;

/// Names one reservation of room in one connection's send queue, whether it waits or holds room.
///
/// It is a name, not the room: it can be copied, and the room stays reserved until the reservation
/// is used or released. The room itself as a value, which is given back when it is dropped, is the
/// `Permit` of `sente-adapters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    pub(crate) const fn to_u64(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// Why room was not reserved: the caller's mistake, or the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The connection is not open (yet, or any more).
    #[error("the connection is not open")]
    NotOpen,
    /// So much never fits, even into an empty queue.
    #[error("{bytes} bytes never fit into a send queue of {limit}")]
    TooLarge {
        /// The bytes asked for.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// As many reservations wait or are held as `Limits::max_reservations` allows.
    #[error("{limit} reservations wait or are held already")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
}

/// The reservations of one connection: those that wait, first come first served, and those that
/// hold their room. Every operation is O(log n).
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    next: u64,
    /// By ticket, and so by who came first.
    waiting: BTreeMap<Ticket, (usize, Option<Instant>)>,
    by_deadline: BTreeSet<(Instant, Ticket)>,
    granted: BTreeMap<Ticket, usize>,
    granted_bytes: usize,
}

impl Blank for Reservations {
    const BLANK: &'static Self = &Self {
        next: 0,
        waiting: BTreeMap::new(),
        by_deadline: BTreeSet::new(),
        granted: BTreeMap::new(),
        granted_bytes: 0,
    };
}

/// Most connections never have any.
impl Seldom<Reservations> {
    /// As [`Reservations::continue_from`].
    pub(crate) fn continue_from(&mut self, next: u64) {
        if next > 0 {
            self.make().continue_from(next);
        }
    }

    /// As [`Reservations::wait`].
    pub(crate) fn wait(&mut self, bytes: usize, deadline: Option<Instant>) -> Ticket {
        self.make().wait(bytes, deadline)
    }

    /// As [`Reservations::grant_first`].
    pub(crate) fn grant_first(&mut self) -> Option<Ticket> {
        self.there()?.grant_first()
    }

    /// As [`Reservations::remove`].
    pub(crate) fn remove(&mut self, ticket: Ticket) -> bool {
        self.there().is_some_and(|all| all.remove(ticket))
    }

    /// As [`Reservations::expire`].
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Ticket> {
        self.there()?.expire(now)
    }

    /// As [`Reservations::drain`].
    pub(crate) fn drain(&mut self) -> Vec<Ticket> {
        self.there().map(Reservations::drain).unwrap_or_default()
    }
}

impl Reservations {
    /// The number of the next ticket.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next
    }

    /// Numbers the next ticket `next`.
    pub(crate) const fn continue_from(&mut self, next: u64) {
        self.next = next;
    }

    pub(crate) fn wait(&mut self, bytes: usize, deadline: Option<Instant>) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(ticket, (bytes, deadline));
        if let Some(deadline) = deadline {
            self.by_deadline.insert((deadline, ticket));
        }
        ticket
    }

    /// The bytes that the first who waits asked for.
    pub(crate) fn first(&self) -> Option<usize> {
        self.waiting.first_key_value().map(|(_, (bytes, _))| *bytes)
    }

    /// Gives the first who waits its room.
    pub(crate) fn grant_first(&mut self) -> Option<Ticket> {
        let (ticket, (bytes, deadline)) = self.waiting.pop_first()?;
        if let Some(deadline) = deadline {
            self.by_deadline.remove(&(deadline, ticket));
        }
        self.granted.insert(ticket, bytes);
        self.granted_bytes = self.granted_bytes.saturating_add(bytes);
        Some(ticket)
    }

    /// The bytes a ticket holds.
    pub(crate) fn held_by(&self, ticket: Ticket) -> Option<usize> {
        self.granted.get(&ticket).copied()
    }

    /// Ends a reservation. Whether there was one.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> bool {
        if let Some(bytes) = self.granted.remove(&ticket) {
            self.granted_bytes = self.granted_bytes.saturating_sub(bytes);
            return true;
        }
        let Some((_, deadline)) = self.waiting.remove(&ticket) else {
            return false;
        };
        if let Some(deadline) = deadline {
            self.by_deadline.remove(&(deadline, ticket));
        }
        true
    }

    /// One that waited until its deadline, removed.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Ticket> {
        let (deadline, ticket) = self.by_deadline.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(ticket);
        Some(ticket)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Ends all of them: those that waited, in their order.
    pub(crate) fn drain(&mut self) -> Vec<Ticket> {
        self.by_deadline.clear();
        self.granted.clear();
        self.granted_bytes = 0;
        core::mem::take(&mut self.waiting).into_keys().collect()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn granted(&self) -> usize {
        self.granted.len()
    }

    pub(crate) const fn granted_bytes(&self) -> usize {
        self.granted_bytes
    }
}
