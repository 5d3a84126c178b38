//! Calls waiting for their reply, found by callback id and by deadline.

mod key;

use alloc::boxed::Box;
use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::ops::Deref;

use crate::id::CallId;
use crate::seldom::Blank;
use crate::time::Instant;
use key::Key;

/// How many calls that are gone may be kept beyond one for each that is pending.
const STALE: usize = 32;

/// For about how many calls there is room where none is pending.
const KEPT: usize = 128;

/// The pending calls of one connection.
///
/// They stand in one row. One that is gone leaves it when it comes to the front, or when there are
/// more of those than of others, so that to register a call and to settle it costs a few steps on
/// average, whatever their number.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: u64,
    /// In the order of their ids, and in that of their deadlines but for those in `early`. The first is
    /// pending.
    row: VecDeque<Entry>,
    /// The number of the first in the row: each has one more than the one before.
    first: u32,
    /// By a part of the hash of the callback id: the number of the first of a chain of pending ones. As
    /// many as a power of two, or none.
    chains: Vec<u32>,
    /// Those whose deadline comes before that of an earlier one. The first is pending.
    early: BinaryHeap<Reverse<(Instant, CallId)>>,
    /// The last deadline of all others.
    latest: Option<Instant>,
    pending: usize,
}

#[derive(Debug)]
struct Entry {
    id: CallId,
    deadline: Instant,
    key: Key,
    /// The callback id, if the key does not say it.
    name: Option<Box<[u8]>>,
    /// The number of the next in its chain.
    next: u32,
    is_pending: bool,
}

/// Ends a chain.
const NONE: u32 = u32::MAX;

impl Blank for Calls {
    const BLANK: &'static Self = &Self {
        next: 0,
        row: VecDeque::new(),
        first: 0,
        chains: Vec::new(),
        early: BinaryHeap::new(),
        latest: None,
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

    pub(crate) fn register(&mut self, callback: &[u8], deadline: Instant) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        let mut number = self.first.saturating_add(narrow(self.row.len()));
        if self.pending >= self.chains.len() || number == NONE {
            self.rebuild(self.pending.saturating_add(1));
            number = narrow(self.row.len());
        }
        let (key, is_whole) = Key::of(callback);
        let chain = self.chain(key);
        let mut next = NONE;
        if let Some(first) = self.chains.get_mut(chain) {
            next = core::mem::replace(first, number);
        }
        if self.latest.is_some_and(|latest| deadline < latest) {
            self.early.push(Reverse((deadline, id)));
        } else {
            self.latest = Some(deadline);
        }
        self.pending = self.pending.saturating_add(1);
        self.row.push_back(Entry {
            id,
            deadline,
            key,
            name: if is_whole {
                None
            } else {
                Some(callback.into())
            },
            next,
            is_pending: true,
        });
        id
    }

    pub(crate) fn remove(&mut self, id: CallId) -> bool {
        let number = self.number_of(id);
        if let Some(number) = number {
            self.clear(number);
        }
        number.is_some()
    }

    /// The call whose packed callback id this is, removed.
    pub(crate) fn settle(&mut self, callback: &[u8]) -> Option<CallId> {
        let (number, id) = self.find(callback)?;
        self.clear(number);
        Some(id)
    }

    pub(crate) fn is_taken(&self, callback: &[u8]) -> bool {
        self.find(callback).is_some()
    }

    /// One call whose deadline has come, removed.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<CallId> {
        let (deadline, id) = self.first_due()?;
        if deadline > now {
            return None;
        }
        self.remove(id);
        Some(id)
    }

    /// The first deadline of a pending call.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.first_due().map(|(deadline, _)| deadline)
    }

    /// All pending calls, removed, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<CallId> {
        let pending = self.row.iter().filter(|entry| entry.is_pending);
        let ids = pending.map(|entry| entry.id).collect();
        self.forget();
        ids
    }

    pub(crate) const fn len(&self) -> usize {
        self.pending
    }

    /// The first in the row comes before all others but the early ones.
    fn first_due(&self) -> Option<(Instant, CallId)> {
        let front = self.row.front()?;
        let front = (front.deadline, front.id);
        let early = self.early.peek().map(|Reverse(due)| *due);
        Some(early.map_or(front, |early| early.min(front)))
    }

    /// Where in the row a pending call stands.
    fn number_of(&self, id: CallId) -> Option<u32> {
        let at = self.row.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let is_pending = self.row.get(at)?.is_pending;
        is_pending.then(|| self.first.saturating_add(narrow(at)))
    }

    fn find(&self, callback: &[u8]) -> Option<(u32, CallId)> {
        if self.pending == 0 {
            return None;
        }
        let (key, is_whole) = Key::of(callback);
        let mut number = *self.chains.get(self.chain(key))?;
        loop {
            let entry = self.row.get(wide(number.wrapping_sub(self.first)))?;
            if entry.key == key && (is_whole || entry.name.as_deref() == Some(callback)) {
                return Some((number, entry.id));
            }
            number = entry.next;
        }
    }

    #[inline]
    fn chain(&self, key: Key) -> usize {
        key.hash() & self.chains.len().wrapping_sub(1)
    }

    /// Takes a call out, and forgets what is stale where that has become too much.
    fn clear(&mut self, number: u32) {
        let first = self.first;
        let at = |number: u32| wide(number.wrapping_sub(first));
        let Some(cleared) = self.row.get_mut(at(number)) else {
            return;
        };
        cleared.is_pending = false;
        let (key, next) = (cleared.key, cleared.next);
        let chain = self.chain(key);
        // Whatever leads to it leads to what is behind it from now on.
        if let Some(head) = self.chains.get_mut(chain) {
            if *head == number {
                *head = next;
            } else {
                let mut before = *head;
                while let Some(entry) = self.row.get_mut(at(before)) {
                    if entry.next == number {
                        entry.next = next;
                        break;
                    }
                    before = entry.next;
                }
            }
        }
        self.pending = self.pending.saturating_sub(1);
        self.tidy();
    }

    /// The first of each order is pending, and most of all are.
    #[inline]
    fn tidy(&mut self) {
        while self.row.front().is_some_and(|entry| !entry.is_pending) {
            self.row.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.row.is_empty() {
            self.settle_down();
        } else if !self.early.is_empty() {
            self.tidy_early();
        }
        if self.row.len() > most(self.pending) {
            self.rebuild(self.pending.saturating_mul(2));
        }
    }

    /// Nothing is pending.
    fn settle_down(&mut self) {
        self.first = 0;
        self.latest = None;
        self.early.clear();
        if self.row.capacity() > 2 * KEPT || self.chains.capacity() > 2 * KEPT {
            // Of what were many.
            self.forget();
        }
    }

    #[inline(never)]
    fn tidy_early(&mut self) {
        while let Some(Reverse((_, id))) = self.early.peek()
            && self.number_of(*id).is_none()
        {
            self.early.pop();
        }
        if self.early.len() > most(self.pending) {
            let mut early = core::mem::take(&mut self.early);
            early.retain(|Reverse((_, id))| self.number_of(*id).is_some());
            self.early = early;
        }
    }

    /// Forgets those that are gone, makes room for `chains` chains or more, and puts every call into its
    /// own.
    #[inline(never)]
    fn rebuild(&mut self, chains: usize) {
        self.row.retain(|entry| entry.is_pending);
        self.first = 0;
        let room = most(self.pending);
        if self.row.capacity() > most(room) {
            self.row.shrink_to(room);
        }
        let count = chains.checked_next_power_of_two().unwrap_or(chains).max(8);
        self.chains.clear();
        if self.chains.capacity() > most(room) {
            self.chains.shrink_to(count);
        }
        self.chains.resize(count, NONE);
        let mask = count.wrapping_sub(1);
        for (at, entry) in self.row.iter_mut().enumerate() {
            if let Some(head) = self.chains.get_mut(entry.key.hash() & mask) {
                entry.next = core::mem::replace(head, narrow(at));
            }
        }
    }

    /// Holds no memory, if nothing is pending. For where nothing has been said for long.
    pub(crate) fn rest(&mut self) {
        if self.pending == 0 {
            self.forget();
        }
    }

    /// Holds nothing any more.
    fn forget(&mut self) {
        *self = Self {
            next: self.next,
            ..Self::default()
        };
    }
}

/// How many a place may hold where so many are pending.
const fn most(pending: usize) -> usize {
    pending.saturating_mul(2).saturating_add(STALE)
}

/// Where in so many calls; there are never as many as 4 billion.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

fn wide(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The packed callback id of a call. A short one takes no memory of its own: all of ours are short,
/// as are those of Sente's clients. With 22 bytes it is no larger than a pointer to a longer one and its
/// length would be with what tells them apart.
#[derive(Clone)]
pub(crate) enum CallName {
    /// Six digits in quotes, as most are.
    Eight(Eight),
    Short {
        len: u8,
        bytes: [u8; Self::SHORT],
    },
    Long(Box<[u8]>),
}

/// Eight bytes where a number of 64 bits could stand, to be moved as one.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Eight([u8; 8]);

impl CallName {
    const SHORT: usize = 22;

    #[inline]
    pub(crate) fn new(packed: &[u8]) -> Self {
        match packed.try_into() {
            Ok(packed) => Self::Eight(Eight(packed)),
            Err(_) => Self::of_other(packed),
        }
    }

    #[inline(never)]
    fn of_other(packed: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT];
        match (bytes.get_mut(..packed.len()), u8::try_from(packed.len())) {
            (Some(slots), Ok(len)) => {
                slots.copy_from_slice(packed);
                Self::Short { len, bytes }
            }
            _ => Self::Long(packed.into()),
        }
    }

    /// The name with these bytes in the place of those from `start` on. `None` if it is too long for
    /// that.
    #[inline]
    pub(crate) fn with<const N: usize>(&self, start: usize, put: [u8; N]) -> Option<Self> {
        match *self {
            Self::Eight(Eight(mut bytes)) => {
                *bytes.get_mut(start..)?.first_chunk_mut()? = put;
                Some(Self::Eight(Eight(bytes)))
            }
            Self::Short { len, mut bytes } => {
                *bytes.get_mut(start..)?.first_chunk_mut()? = put;
                Some(Self::Short { len, bytes })
            }
            Self::Long(_) => None,
        }
    }
}

impl Deref for CallName {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Eight(Eight(bytes)) => bytes,
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

    /// Most as ours are, some shorter, some longer than what a key takes.
    fn name(id: CallId) -> CallName {
        let digits = id.0.wrapping_mul(0x9e_3779) & 0xff_ffff;
        let text = match id.0 % 8 {
            0 => alloc::format!("{digits:x}"),
            1 => alloc::format!("\"\\u{digits:06x}\""),
            _ => alloc::format!("\"{digits:06x}\""),
        };
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
                        prop_assert_eq!(calls.register(&name(id), deadline), id);
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
                prop_assert!(calls.row.len() <= most && calls.early.len() <= most);
            }
        }
    }

    #[test]
    fn a_long_name_is_one_too() {
        let long = [b'x'; 39];
        assert_eq!(*CallName::new(&long), long);
        assert_eq!(CallName::new(&long).with(0, *b"y"), None);
    }

    #[test]
    fn a_part_of_a_name_is_put_in_its_place() {
        let name = CallName::new(b"\"012345\"");
        assert_eq!(name.with(1, *b"abc"), Some(CallName::new(b"\"abc345\"")));
        assert_eq!(name.with(CallName::SHORT - 1, *b"ab"), None);
    }

    #[test]
    fn names_of_one_key_are_told_apart() {
        let mut calls = Calls::default();
        let names: [&[u8]; 4] = [b"a", b"a\0", b"a\0\0\0\0\0\0", b"a\0\0\0\0\0\0\0"];
        let ids = names.map(|name| calls.register(name, Instant::EPOCH));
        assert!(!calls.is_taken(b"a\0\0") && !calls.is_taken(b""));
        for (name, id) in names.into_iter().zip(ids).rev() {
            assert_eq!(calls.settle(name), Some(id));
            assert!(!calls.is_taken(name));
        }
    }

    #[test]
    fn calls_are_numbered_anew_where_the_numbers_end() {
        let mut calls = Calls::default();
        let kept = calls.register(b"kept", Instant::EPOCH);
        calls.rebuild(8);
        calls.chains.fill(NONE);
        calls.first = NONE - 1;
        let chain = calls.chain(Key::of(b"kept").0);
        calls.chains[chain] = NONE - 1;
        let next = calls.register(b"next", Instant::EPOCH);
        assert_eq!(calls.settle(b"kept"), Some(kept));
        assert_eq!(calls.settle(b"next"), Some(next));
        assert_eq!(calls.len(), 0);
    }

    #[test]
    fn one_that_stays_of_many_keeps_no_chains_for_them() {
        let mut calls = Calls::default();
        let first = calls.register(b"stays", Instant::EPOCH);
        let name = |n: u32| n.to_be_bytes();
        for n in 0..10_000 {
            calls.register(&name(n), Instant::EPOCH);
        }
        for n in 0..10_000 {
            assert!(calls.settle(&name(n)).is_some());
        }
        let room = calls.row.capacity().max(calls.chains.capacity());
        assert!(room <= most(most(most(1))), "there is room for {room}");
        assert_eq!(calls.settle(b"stays"), Some(first));
    }

    #[test]
    fn what_were_many_leave_no_room_behind() {
        let mut calls = Calls::default();
        for many in [4 * KEPT, 4 * KEPT + 1] {
            let mut ids: Vec<_> = (0..many)
                .map(|n| calls.register(&n.to_be_bytes(), Instant::EPOCH))
                .collect();
            if many % 2 == 0 {
                ids.reverse();
            }
            assert!(ids.into_iter().all(|id| calls.remove(id)));
            assert!(calls.row.capacity() <= 2 * KEPT && calls.chains.capacity() <= 2 * KEPT);
        }
        calls.register(b"one", Instant::EPOCH);
        assert_eq!(calls.settle(b"one"), Some(CallId(8 * KEPT as u64 + 1)));
        assert!(calls.row.capacity() > 0);
        calls.rest();
        assert_eq!(
            (calls.row.capacity(), calls.next_id()),
            (0, 8 * KEPT as u64 + 2)
        );
    }
}
