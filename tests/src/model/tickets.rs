//! The reference of reservations: who waits, who holds room, and how each ended.

use std::collections::{BTreeMap, BTreeSet};

use sente_core::{Instant, Ticket};

use crate::world::{Check, Violation};

type Checked = Result<(), Violation>;

/// One reservation that has not ended, as far as the application knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The place of the ticket among all of its peer.
    pub(super) index: usize,
    pub(super) bytes: usize,
    deadline: Option<Instant>,
    pub(super) granted: bool,
}

/// The reservations of one side.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    live: BTreeMap<Ticket, Entry>,
    known: BTreeSet<Ticket>,
    /// Used or given up before their grant was told.
    overtaken: BTreeSet<Ticket>,
    /// Used and given up, granted, expired, failed.
    pub(super) counts: [u64; 4],
}

fn breach(detail: String) -> Checked {
    Err(Violation::new(Check::ReservationsAreServed, detail))
}

impl Tickets {
    pub(super) fn asked(
        &mut self,
        ticket: Ticket,
        index: usize,
        bytes: usize,
        deadline: Option<Instant>,
    ) -> Checked {
        let entry = Entry {
            index,
            bytes,
            deadline,
            granted: false,
        };
        self.live.insert(ticket, entry);
        if !self.known.insert(ticket) {
            return breach(format!("{ticket:?} is the name of another"));
        }
        Ok(())
    }

    /// One of those that have not ended.
    pub(super) fn pick(&self, pick: usize) -> Option<(Ticket, Entry)> {
        let at = pick.checked_rem(self.live.len())?;
        let (ticket, entry) = self.live.iter().nth(at)?;
        Some((*ticket, *entry))
    }

    pub(super) fn granted(&mut self, ticket: Ticket) -> Checked {
        self.counts[1] += 1;
        if self.overtaken.remove(&ticket) {
            return Ok(());
        }
        let mut before = self.live.range(..ticket);
        if let Some((first, _)) = before.find(|(_, entry)| !entry.granted) {
            return breach(format!("{ticket:?} is served before {first:?}"));
        }
        match self.live.get_mut(&ticket) {
            Some(entry) if !entry.granted => {
                entry.granted = true;
                Ok(())
            }
            other => breach(format!("{ticket:?} is granted: {other:?}")),
        }
    }

    /// It waited until its deadline, or in vain.
    pub(super) fn ended(&mut self, ticket: Ticket, expired_at: Option<Instant>) -> Checked {
        self.counts[if expired_at.is_some() { 2 } else { 3 }] += 1;
        let Some(entry) = self.live.remove(&ticket) else {
            return breach(format!("{ticket:?} ends again"));
        };
        let early =
            expired_at.is_some_and(|now| entry.deadline.is_none_or(|deadline| now < deadline));
        if entry.granted || early {
            return breach(format!("{ticket:?} ends at {expired_at:?}: {entry:?}"));
        }
        Ok(())
    }

    /// It was used or given up.
    pub(super) fn taken(&mut self, ticket: Ticket) {
        self.counts[0] += 1;
        if self
            .live
            .remove(&ticket)
            .is_some_and(|entry| !entry.granted)
        {
            self.overtaken.insert(ticket);
        }
    }

    /// At the end nobody waits any more; room that was held is gone with the queue.
    pub(super) fn closed(&mut self) -> Checked {
        self.live.retain(|_, entry| !entry.granted);
        match self.live.pop_first() {
            Some(waiting) => breach(format!("{waiting:?} is never told")),
            None => Ok(()),
        }
    }

    /// How many wait and how many hold room.
    pub(super) fn standing(&self) -> (usize, usize) {
        let granted = self.live.values().filter(|entry| entry.granted).count();
        (self.live.len() - granted, granted)
    }

    /// What the first who waits asked for.
    pub(super) fn first(&self) -> Option<usize> {
        let mut waiting = self.live.values().filter(|entry| !entry.granted);
        waiting.next().map(|entry| entry.bytes)
    }
}
