//! Calls waiting for their reply, found by callback id and by deadline.

use alloc::boxed::Box;
use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::ops::Deref;

use crate::id::CallId;
use crate::seldom::Blank;
use crate::time::Instant;

/// How many entries of calls that are gone an index may have beyond one for each that is pending.
const STALE: usize = 32;

/// The pending calls of one connection.
///
/// They stand in slots that are used again. What finds them keeps the entries of calls that are gone
/// until there are more of those than of others, so that to register a call and to settle it costs a
/// few steps on average, whatever their number.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: u64,
    slots: Vec<Slot>,
    /// Slots that are free.
    free: Vec<u32>,
    /// By a part of the hash of the callback id: the first slot of a chain. As many as a power of
    /// two, or none.
    chains: Vec<u32>,
    /// In the order of their ids, with the slots they had.
    by_id: VecDeque<(CallId, u32)>,
    by_deadline: BinaryHeap<Reverse<(Instant, CallId, u32)>>,
    pending: usize,
}

#[derive(Debug)]
struct Slot {
    /// `None` where it is free.
    call: Option<CallId>,
    hash: u32,
    name: CallName,
    /// The next slot of its chain.
    next: u32,
}

/// Ends a chain.
const NONE: u32 = u32::MAX;

impl Blank for Calls {
    const BLANK: &'static Self = &Self {
        next: 0,
        slots: Vec::new(),
        free: Vec::new(),
        chains: Vec::new(),
        by_id: VecDeque::new(),
        by_deadline: BinaryHeap::new(),
        pending: 0,
    };
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

    pub(crate) fn register(&mut self, callback: CallName, deadline: Instant) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        if self.pending >= self.chains.len() {
            self.grow();
        }
        let hash = hash(&callback);
        let chain = self.chain(hash);
        let filled = Slot {
            call: Some(id),
            hash,
            name: callback,
            next: self.chains.get(chain).copied().unwrap_or(NONE),
        };
        let slot = self.free.pop().unwrap_or_else(|| narrow(self.slots.len()));
        match self.slots.get_mut(wide(slot)) {
            Some(place) => *place = filled,
            None => self.slots.push(filled),
        }
        if let Some(first) = self.chains.get_mut(chain) {
            *first = slot;
        }
        self.pending = self.pending.saturating_add(1);
        self.by_id.push_back((id, slot));
        self.by_deadline.push(Reverse((deadline, id, slot)));
        id
    }

    pub(crate) fn remove(&mut self, id: CallId) -> bool {
        let at = self.by_id.binary_search_by_key(&id, |(known, _)| *known);
        let found = at.ok().and_then(|at| self.by_id.get(at)).copied();
        let Some((_, slot)) = found.filter(|(id, slot)| self.is_live(*id, *slot)) else {
            return false;
        };
        self.clear(slot);
        true
    }

    /// The call whose packed callback id this is, removed.
    pub(crate) fn settle(&mut self, callback: &[u8]) -> Option<CallId> {
        let slot = self.find(callback)?;
        let id = self.slots.get(wide(slot))?.call?;
        self.clear(slot);
        Some(id)
    }

    pub(crate) fn is_taken(&self, callback: &[u8]) -> bool {
        self.find(callback).is_some()
    }

    /// One call whose deadline has come, removed.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<CallId> {
        let Reverse((deadline, id, slot)) = self.by_deadline.peek().copied()?;
        if deadline > now {
            return None;
        }
        self.clear(slot);
        Some(id)
    }

    /// The first deadline of a pending call.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline
            .peek()
            .map(|Reverse((deadline, ..))| *deadline)
    }

    /// All pending calls, removed, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<CallId> {
        let by_id = core::mem::take(&mut self.by_id);
        let ids = by_id
            .into_iter()
            .filter(|(id, slot)| self.is_live(*id, *slot));
        let ids = ids.map(|(id, _)| id).collect();
        *self = Self {
            next: self.next,
            ..Self::default()
        };
        ids
    }

    pub(crate) const fn len(&self) -> usize {
        self.pending
    }

    fn is_live(&self, id: CallId, slot: u32) -> bool {
        let slot = self.slots.get(wide(slot));
        slot.is_some_and(|slot| slot.call == Some(id))
    }

    fn find(&self, callback: &[u8]) -> Option<u32> {
        if self.pending == 0 {
            return None;
        }
        let hash = hash(callback);
        let mut at = *self.chains.get(self.chain(hash))?;
        loop {
            let slot = self.slots.get(wide(at))?;
            if slot.hash == hash && *slot.name == *callback {
                return Some(at);
            }
            at = slot.next;
        }
    }

    fn chain(&self, hash: u32) -> usize {
        wide(hash) & self.chains.len().wrapping_sub(1)
    }

    /// Frees a slot, and forgets what is stale where that has become too much.
    fn clear(&mut self, slot: u32) {
        let Some(cleared) = self.slots.get_mut(wide(slot)) else {
            return;
        };
        cleared.call = None;
        let (hash, next) = (cleared.hash, cleared.next);
        let chain = self.chain(hash);
        // Whatever leads to it leads to what is behind it from now on.
        if let Some(first) = self.chains.get_mut(chain) {
            if *first == slot {
                *first = next;
            } else {
                let mut at = *first;
                while let Some(before) = self.slots.get_mut(wide(at)) {
                    if before.next == slot {
                        before.next = next;
                        break;
                    }
                    at = before.next;
                }
            }
        }
        self.free.push(slot);
        self.pending = self.pending.saturating_sub(1);
        self.tidy();
    }

    /// The first of each order is pending, and most of all are.
    fn tidy(&mut self) {
        while let Some((id, slot)) = self.by_id.front().copied()
            && !self.is_live(id, slot)
        {
            self.by_id.pop_front();
        }
        while let Some(Reverse((_, id, slot))) = self.by_deadline.peek().copied()
            && !self.is_live(id, slot)
        {
            self.by_deadline.pop();
        }
        let most = self.pending.saturating_mul(2).saturating_add(STALE);
        let slots = &self.slots;
        let is_live = |id: CallId, slot: u32| {
            let slot = slots.get(wide(slot));
            slot.is_some_and(|slot| slot.call == Some(id))
        };
        if self.by_id.len() > most {
            self.by_id.retain(|(id, slot)| is_live(*id, *slot));
        }
        if self.by_deadline.len() > most {
            self.by_deadline
                .retain(|Reverse((_, id, slot))| is_live(*id, *slot));
        }
        if self.pending == 0 && self.slots.len() > STALE {
            // Nothing is pending of what were many.
            *self = Self {
                next: self.next,
                ..Self::default()
            };
        }
    }

    /// Makes room for more chains, and puts every call into its own again.
    fn grow(&mut self) {
        let count = self.chains.len().saturating_mul(2).max(8);
        self.chains.clear();
        self.chains.resize(count, NONE);
        let mask = count.wrapping_sub(1);
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if slot.call.is_some()
                && let Some(first) = self.chains.get_mut(wide(slot.hash) & mask)
            {
                slot.next = core::mem::replace(first, narrow(at));
            }
        }
    }
}

/// Where in so many slots; there are never as many as 4 billion.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

fn wide(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// Callback ids are ours, so nobody chooses them to collide.
fn hash(name: &[u8]) -> u32 {
    let mut hash: u64 = 0;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(SPREAD);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(SPREAD);
    }
    // The upper bits are spread best.
    let folded = (hash ^ (hash >> 20)) >> 32;
    u32::try_from(folded).unwrap_or_default()
}

/// An odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The packed callback id of a call. A short one takes no memory of its own: all of ours are short,
/// and so is a UUID in quotes.
#[derive(Clone)]
pub(crate) enum CallName {
    Short { len: u8, bytes: [u8; Self::SHORT] },
    Long(Box<[u8]>),
}

impl CallName {
    const SHORT: usize = 38;

    pub(crate) fn new(packed: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT];
        match (bytes.get_mut(..packed.len()), u8::try_from(packed.len())) {
            (Some(slots), Ok(len)) => {
                slots.copy_from_slice(packed);
                Self::Short { len, bytes }
            }
            _ => Self::Long(packed.into()),
        }
    }

    /// The name that these parts make.
    pub(crate) fn joined(parts: [&[u8]; 3]) -> Self {
        let mut bytes = [0; Self::SHORT];
        let mut len: usize = 0;
        for part in parts {
            let end = len.saturating_add(part.len());
            let Some(slots) = bytes.get_mut(len..end) else {
                return Self::Long(parts.concat().into());
            };
            slots.copy_from_slice(part);
            len = end;
        }
        let len = u8::try_from(len).unwrap_or_default();
        Self::Short { len, bytes }
    }
}

impl Deref for CallName {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

impl PartialEq for CallName {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for CallName {}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Register { in_millis: u64 },
        Settle(usize),
        Remove(usize),
        Expire { at_millis: u64 },
        Drain,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            200 => (0_u64..50).prop_map(|in_millis| Step::Register { in_millis }),
            90 => (0_usize..400).prop_map(Step::Settle),
            60 => (0_usize..400).prop_map(Step::Remove),
            20 => (0_u64..60).prop_map(|at_millis| Step::Expire { at_millis }),
            1 => Just(Step::Drain),
        ];
        prop::collection::vec(step, 0..600)
    }

    fn name(id: CallId) -> CallName {
        let text = alloc::format!("\"{:06x}\"", id.0.wrapping_mul(0x9e_3779) & 0xff_ffff);
        CallName::new(text.as_bytes())
    }

    proptest! {
        #[test]
        fn calls_are_found_as_in_a_plain_map(steps in steps()) {
            let mut calls = Calls::default();
            let mut model: BTreeMap<CallId, Instant> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Register { in_millis } => {
                        let deadline = Instant::from_millis(in_millis);
                        let id = CallId(calls.next_id());
                        prop_assert!(!calls.is_taken(&name(id)));
                        prop_assert_eq!(calls.register(name(id), deadline), id);
                        model.insert(id, deadline);
                    }
                    Step::Settle(nth) => {
                        let id = CallId(nth as u64);
                        let known = model.remove(&id).map(|_| id);
                        prop_assert_eq!(calls.settle(&name(id)), known);
                    }
                    Step::Remove(nth) => {
                        let id = CallId(nth as u64);
                        prop_assert_eq!(calls.remove(id), model.remove(&id).is_some());
                    }
                    Step::Expire { at_millis } => {
                        let now = Instant::from_millis(at_millis);
                        while let Some(id) = calls.expire(now) {
                            let first = model.iter().map(|(id, at)| (*at, *id)).min();
                            prop_assert_eq!(first.map(|(_, id)| id), Some(id));
                            prop_assert!(model.remove(&id).unwrap() <= now);
                        }
                    }
                    Step::Drain => {
                        prop_assert_eq!(calls.drain(), model.keys().copied().collect::<Vec<_>>());
                        model.clear();
                    }
                }
                prop_assert_eq!(calls.len(), model.len());
                prop_assert_eq!(calls.next_deadline(), model.values().min().copied());
                for id in model.keys() {
                    prop_assert!(calls.is_taken(&name(*id)));
                }
                let most = model.len() * 2 + STALE;
                prop_assert!(calls.by_id.len() <= most && calls.by_deadline.len() <= most);
            }
        }
    }

    #[test]
    fn a_long_name_is_one_too() {
        let long = [b'x'; 39];
        assert_eq!(*CallName::new(&long), long);
        assert_eq!(
            *CallName::joined([b"\"", &long[..37], b"\""]),
            [b"\"", &long[..37], b"\""].concat()[..]
        );
        assert_eq!(CallName::joined([b"a", b"", b"bc"]), CallName::new(b"abc"));
    }
}
