//! The requests that wait for their answers, found by name and by deadline.

use alloc::collections::{BTreeMap, BTreeSet};

use super::request::Exchange;
use crate::time::Instant;

/// Each with the time at which it is given up, if there is one. Every operation is O(log n).
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pending: BTreeMap<Exchange, Option<Instant>>,
    by_deadline: BTreeSet<(Instant, Exchange)>,
}

impl Waiting {
    pub(super) fn insert(&mut self, exchange: Exchange, deadline: Option<Instant>) {
        self.pending.insert(exchange, deadline);
        if let Some(deadline) = deadline {
            self.by_deadline.insert((deadline, exchange));
        }
    }

    pub(super) fn remove(&mut self, exchange: Exchange) -> bool {
        let Some(deadline) = self.pending.remove(&exchange) else {
            return false;
        };
        if let Some(deadline) = deadline {
            self.by_deadline.remove(&(deadline, exchange));
        }
        true
    }

    pub(super) fn expire(&mut self, now: Instant) -> Option<Exchange> {
        let (deadline, exchange) = self.by_deadline.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(exchange);
        Some(exchange)
    }

    pub(super) fn pop(&mut self) -> Option<Exchange> {
        let (exchange, _) = self.pending.first_key_value()?;
        let exchange = *exchange;
        self.remove(exchange);
        Some(exchange)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }
}
