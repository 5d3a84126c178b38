//! Calls waiting for their reply, found by callback id and by deadline.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::id::CallId;
use crate::time::Instant;

/// The pending calls of one connection. Every operation is O(log n).
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: u64,
    pending: BTreeMap<CallId, (Instant, Bytes)>,
    by_callback: BTreeMap<Bytes, CallId>,
    by_deadline: BTreeSet<(Instant, CallId)>,
}

impl Calls {
    /// The number of the next call.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next
    }

    /// Numbers the next call `next`.
    pub(crate) const fn continue_from(&mut self, next: u64) {
        self.next = next;
    }

    pub(crate) fn register(&mut self, callback: Bytes, deadline: Instant) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        self.by_callback.insert(callback.clone(), id);
        self.by_deadline.insert((deadline, id));
        self.pending.insert(id, (deadline, callback));
        id
    }

    pub(crate) fn remove(&mut self, id: CallId) -> bool {
        let Some((deadline, callback)) = self.pending.remove(&id) else {
            return false;
        };
        self.by_callback.remove(&callback);
        self.by_deadline.remove(&(deadline, id));
        true
    }

    /// The call whose packed callback id this is, removed.
    pub(crate) fn settle(&mut self, callback: &[u8]) -> Option<CallId> {
        let id = self.by_callback.get(callback).copied()?;
        self.remove(id);
        Some(id)
    }

    pub(crate) fn is_taken(&self, callback: &[u8]) -> bool {
        self.by_callback.contains_key(callback)
    }

    /// One call whose deadline has come, removed.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<CallId> {
        let (deadline, id) = self.by_deadline.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(id);
        Some(id)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// All pending calls, removed, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<CallId> {
        self.by_callback.clear();
        self.by_deadline.clear();
        core::mem::take(&mut self.pending).into_keys().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }
}
