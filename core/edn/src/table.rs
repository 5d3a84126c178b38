//! Where maps and sets keep their entries: in order, with an index once there are many.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::compare::{self, Mode};
use crate::deep;
use crate::fingerprint::{self, Group};
use crate::leaf::Leaf;
use crate::repeats;
use crate::value::Value;

/// Up to so many entries are searched one by one.
pub(crate) const SMALL: usize = 16;

/// So many entries of an iterator are added at once at first, then as many as there are.
const FIRST_CHUNK: usize = 1024;

/// Entries of `STRIDE` values each, of which the first is the key, in the order of insertion.
///
/// No two keys are equal. Finding one takes logarithmic time, except among keys that are
/// collections and were made to share a fingerprint. Adding many at once takes `n log n` always.
pub(crate) struct Table<const STRIDE: usize>(Repr);

enum Repr {
    Plain(Vec<Value>),
    Indexed(Box<Indexed>),
}

struct Indexed {
    items: Vec<Value>,
    index: Index,
    /// The fingerprint of all entries, if it was needed for that of collections among the keys.
    ///
    /// Without it each level of keys within keys would go through all the levels below again.
    whole: Option<u64>,
}

impl<const STRIDE: usize> Table<STRIDE> {
    pub(crate) const fn new() -> Self {
        Self(Repr::Plain(Vec::new()))
    }

    /// Takes entries whose keys are known to be different.
    pub(crate) fn from_distinct(items: Vec<Value>) -> Self {
        let mut table = Self(Repr::Plain(items));
        table.grow_index();
        table
    }

    /// Takes entries whose keys may be equal, in `n log n` whatever the keys are.
    ///
    /// A key stays where, and as, it was first; its value is the last.
    pub(crate) fn from_items(mut items: Vec<Value>) -> Self {
        if is_few::<STRIDE>(&items) {
            let repeats = repeats_of_few::<STRIDE>(&items);
            drop_repeats::<STRIDE>(&mut items, &repeats);
            return Self(Repr::Plain(items));
        }
        let mut run = places::<STRIDE>(&items);
        sort(&mut run, &items);
        let repeats = repeats(&run, &items);
        if !repeats.is_empty() {
            drop_repeats::<STRIDE>(&mut items, &repeats);
            let before = |at: usize| repeats.partition_point(|(repeat, _)| *repeat < at);
            run.retain(|place| repeats.get(before(place.at)).map(|(at, _)| *at) != Some(place.at));
            for place in &mut run {
                let gone = before(place.at).saturating_mul(STRIDE);
                place.at = place.at.saturating_sub(gone);
            }
        }
        if is_few::<STRIDE>(&items) {
            return Self(Repr::Plain(items));
        }
        let whole = whole::<STRIDE>(&run, &items);
        let index = Index {
            runs: alloc::vec![run],
        };
        Self(Repr::Indexed(Box::new(Indexed {
            items,
            index,
            whole,
        })))
    }

    /// A table of copies of these items.
    pub(crate) fn with_items(&self, items: Vec<Value>) -> Self {
        Self(match &self.0 {
            Repr::Plain(_) => Repr::Plain(items),
            Repr::Indexed(indexed) => Repr::Indexed(Box::new(Indexed {
                items,
                index: indexed.index.clone(),
                whole: indexed.whole,
            })),
        })
    }

    pub(crate) fn take_items(&mut self) -> Vec<Value> {
        match core::mem::replace(&mut self.0, Repr::Plain(Vec::new())) {
            Repr::Plain(items) => items,
            Repr::Indexed(indexed) => indexed.items,
        }
    }

    /// Adds an entry whose key is known not to be there.
    pub(crate) fn push(&mut self, entry: [Value; STRIDE]) {
        match &mut self.0 {
            Repr::Plain(items) => {
                items.extend(entry);
                self.grow_index();
            }
            Repr::Indexed(indexed) => {
                let at = indexed.items.len();
                indexed.whole = None;
                indexed.items.extend(entry);
                indexed.index.push(at, &indexed.items);
            }
        }
    }

    /// Adds entries as one by one: a key that is there stays as it is and gets the new value.
    pub(crate) fn extend(&mut self, entries: impl Iterator<Item = [Value; STRIDE]>) {
        let mut entries = entries.fuse();
        let before = self.len();
        let mut added: usize = 0;
        loop {
            // As many as there are, so that going through all of them again does not add up, nor
            // does what is repeated take much room.
            let room = self.len().max(FIRST_CHUNK);
            let mut chunk = Vec::new();
            for entry in entries.by_ref().take(room) {
                chunk.extend(entry);
            }
            let count = chunk.len().checked_div(STRIDE).unwrap_or_default();
            added = added.saturating_add(count);
            if added < before {
                self.add_few(chunk);
            } else {
                self.merge(chunk);
            }
            if count < room {
                return;
            }
        }
    }

    /// Adds fewer entries than there are, one by one unless their keys were made to collide.
    fn add_few(&mut self, items: Vec<Value>) {
        let mut rest = items.into_iter();
        while let Some(key) = rest.next() {
            let mut entry = [const { Value::Nil }; STRIDE];
            let (first, others) = entry.split_at_mut(1);
            first.fill(key);
            for place in others {
                *place = rest.next().unwrap_or_default();
            }
            let found = match (entry.first(), &self.0) {
                (Some(key), Repr::Indexed(indexed)) => {
                    indexed.index.search(key, &indexed.items, SMALL)
                }
                (Some(key), Repr::Plain(_)) => self.find(key).map_or(Search::Absent, Search::At),
                (None, _) => return,
            };
            match found {
                Search::Absent => self.push(entry),
                Search::At(at) => {
                    for (offset, value) in entry.into_iter().enumerate().skip(1) {
                        self.replace(at.saturating_add(offset), value);
                    }
                }
                Search::Crowded => {
                    self.merge(entry.into_iter().chain(rest).collect());
                    return;
                }
            }
        }
    }

    fn merge(&mut self, mut new: Vec<Value>) {
        let mut items = self.take_items();
        if items.is_empty() {
            items = new;
        } else {
            items.append(&mut new);
        }
        *self = Self::from_items(items);
    }

    /// Takes out the entry whose key is at `at`; later entries move up.
    pub(crate) fn remove(&mut self, at: usize) -> Vec<Value> {
        if let Repr::Indexed(indexed) = &mut self.0 {
            indexed.index.remove(at, STRIDE);
        }
        let items = self.items_mut();
        let end = at.saturating_add(STRIDE).min(items.len());
        items.drain(at.min(end)..end).collect()
    }

    /// Exchanges the value at a place that is no key's.
    pub(crate) fn replace(&mut self, at: usize, value: Value) -> Option<Value> {
        self.items_mut()
            .get_mut(at)
            .map(|place| core::mem::replace(place, value))
    }

    pub(crate) fn value_mut(&mut self, at: usize) -> Option<&mut Value> {
        self.items_mut().get_mut(at)
    }

    pub(crate) fn items(&self) -> &[Value] {
        match &self.0 {
            Repr::Plain(items) => items,
            Repr::Indexed(indexed) => &indexed.items,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items().len().checked_div(STRIDE).unwrap_or_default()
    }

    /// Where a key is.
    pub(crate) fn find(&self, key: &Value) -> Option<usize> {
        match &self.0 {
            Repr::Plain(items) => {
                let entries = items.iter().enumerate().step_by(STRIDE);
                let mut equal =
                    entries.filter(|(_, candidate)| compare::equal(candidate, key, Mode::Clojure));
                equal.next().map(|(at, _)| at)
            }
            Repr::Indexed(indexed) => indexed.index.find(key, &indexed.items),
        }
    }

    fn items_mut(&mut self) -> &mut Vec<Value> {
        match &mut self.0 {
            Repr::Plain(items) => items,
            Repr::Indexed(indexed) => {
                indexed.whole = None;
                &mut indexed.items
            }
        }
    }

    /// The fingerprint of all entries, if it is known.
    pub(crate) fn whole(&self) -> Option<u64> {
        match &self.0 {
            Repr::Plain(_) => None,
            Repr::Indexed(indexed) => indexed.whole,
        }
    }

    fn grow_index(&mut self) {
        if let Repr::Plain(items) = &mut self.0
            && items.len() > SMALL.saturating_mul(STRIDE)
        {
            let items = core::mem::take(items);
            let (index, whole) = Index::of::<STRIDE>(&items);
            self.0 = Repr::Indexed(Box::new(Indexed {
                items,
                index,
                whole,
            }));
        }
    }
}

impl<const STRIDE: usize> Clone for Table<STRIDE> {
    fn clone(&self) -> Self {
        self.with_items(deep::clone_items(self.items()))
    }
}

impl<const STRIDE: usize> Drop for Table<STRIDE> {
    fn drop(&mut self) {
        deep::drop_items(self.items_mut());
    }
}

/// The places of the keys in sorted runs, each run less than half as long as the one before it.
#[derive(Clone)]
struct Index {
    runs: Vec<Vec<Place>>,
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    /// Only of keys that are collections; the others are compared themselves.
    fingerprint: u64,
}

impl Place {
    fn of(at: usize, key: &Value) -> Self {
        let fingerprint = if deep::is_atom(key) {
            0
        } else {
            fingerprint::of(key)
        };
        Self { at, fingerprint }
    }

    fn key(self, items: &[Value]) -> &Value {
        items.get(self.at).unwrap_or(&Value::Nil)
    }
}

/// What a search has found.
enum Search {
    At(usize),
    Absent,
    /// More keys than were to be looked at share the fingerprint.
    Crowded,
}

impl Index {
    /// The index of these entries, and the fingerprint of all of them if some keys are collections.
    fn of<const STRIDE: usize>(items: &[Value]) -> (Self, Option<u64>) {
        let mut run = places::<STRIDE>(items);
        sort(&mut run, items);
        let whole = whole::<STRIDE>(&run, items);
        let runs = alloc::vec![run];
        (Self { runs }, whole)
    }

    fn push(&mut self, at: usize, items: &[Value]) {
        let key = items.get(at).unwrap_or(&Value::Nil);
        let mut run = alloc::vec![Place::of(at, key)];
        while let Some(mut longer) = self
            .runs
            .pop_if(|last| last.len() <= run.len().saturating_mul(2))
        {
            longer.append(&mut run);
            run = longer;
            sort(&mut run, items);
        }
        self.runs.push(run);
    }

    fn remove(&mut self, at: usize, stride: usize) {
        for run in &mut self.runs {
            run.retain(|place| place.at != at);
            for place in run {
                if place.at > at {
                    place.at = place.at.saturating_sub(stride);
                }
            }
        }
    }

    fn find(&self, key: &Value, items: &[Value]) -> Option<usize> {
        match self.search(key, items, usize::MAX) {
            Search::At(at) => Some(at),
            _ => None,
        }
    }

    /// Where a key is, unless more than `limit` keys that are not it have its fingerprint.
    fn search(&self, key: &Value, items: &[Value], limit: usize) -> Search {
        let wanted = Place::of(0, key);
        let mut others: usize = 0;
        for run in &self.runs {
            let order = |place: &Place| {
                compare_keys(place.key(items), place.fingerprint, key, wanted.fingerprint)
            };
            let start = run.partition_point(|place| order(place).is_lt());
            let candidates = run.get(start..).unwrap_or_default();
            for place in candidates.iter().take_while(|place| order(place).is_eq()) {
                if others >= limit {
                    return Search::Crowded;
                }
                if compare::equal(place.key(items), key, Mode::Clojure) {
                    return Search::At(place.at);
                }
                others = others.saturating_add(1);
            }
        }
        Search::Absent
    }
}

/// Whether entries may be compared each with each.
///
/// Two keys that are collections are more than a few: each may hold everything that was read so
/// far. They get an index, which remembers the fingerprint for the levels above.
fn is_few<const STRIDE: usize>(items: &[Value]) -> bool {
    let keys = || items.iter().step_by(STRIDE);
    keys().len() <= SMALL && keys().filter(|key| !deep::is_atom(key)).count() < 2
}

/// The places of all keys, in order.
fn places<const STRIDE: usize>(items: &[Value]) -> Vec<Place> {
    let keys = items.iter().enumerate().step_by(STRIDE);
    keys.map(|(at, key)| Place::of(at, key)).collect()
}

/// The fingerprint of all entries if some keys are collections.
fn whole<const STRIDE: usize>(run: &[Place], items: &[Value]) -> Option<u64> {
    if run.iter().all(|place| deep::is_atom(place.key(items))) {
        return None;
    }
    let mut group = match STRIDE {
        1 => Group::set(),
        _ => Group::map(),
    };
    let mut count: u32 = 0;
    // It does not depend on the order.
    for place in run {
        let entry = items.get(place.at..).unwrap_or_default();
        for (at, item) in entry.iter().take(STRIDE).enumerate() {
            let fingerprint = match at {
                0 if !deep::is_atom(item) => place.fingerprint,
                _ => fingerprint::of(item),
            };
            match STRIDE {
                1 => group.push_element(fingerprint),
                _ => group.push_entry(count, fingerprint),
            }
            count = count.wrapping_add(1);
        }
    }
    Some(group.finish(count))
}

/// Where keys are repeated, and where each of them is first, of few entries.
fn repeats_of_few<const STRIDE: usize>(items: &[Value]) -> Vec<(usize, usize)> {
    let keys = || items.iter().enumerate().step_by(STRIDE);
    let first = |(at, key): (usize, &Value)| {
        let mut before = keys().take_while(|(other, _)| *other < at);
        let first = before.find(|(_, other)| compare::equal(other, key, Mode::Clojure));
        first.map(|(first, _)| (at, first))
    };
    keys().filter_map(first).collect()
}

/// Where keys are repeated, and where each of them is first, in order. The run is sorted.
fn repeats(run: &[Place], items: &[Value]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let equal = |a: &Place, b: &Place| {
        compare_keys(a.key(items), a.fingerprint, b.key(items), b.fingerprint).is_eq()
    };
    for tied in run.chunk_by(equal) {
        let [first, others @ ..] = tied else {
            continue;
        };
        if others.is_empty() {
            continue;
        }
        if deep::is_atom(first.key(items)) {
            found.extend(others.iter().map(|other| (other.at, first.at)));
            continue;
        }
        let keys: Vec<&Value> = tied.iter().map(|place| place.key(items)).collect();
        for (place, first) in tied.iter().zip(repeats::firsts(&keys)) {
            let first = tied.get(first).map_or(place.at, |first| first.at);
            if first != place.at {
                found.push((place.at, first));
            }
        }
    }
    found.sort_unstable();
    found
}

/// Takes out entries whose keys are repeated; their values go to where the keys are first.
fn drop_repeats<const STRIDE: usize>(items: &mut Vec<Value>, repeats: &[(usize, usize)]) {
    if repeats.is_empty() {
        return;
    }
    for (at, first) in repeats {
        for offset in 1..STRIDE {
            let value = items.get_mut(at.saturating_add(offset));
            let value = value.map(core::mem::take).unwrap_or_default();
            if let Some(place) = items.get_mut(first.saturating_add(offset)) {
                *place = value;
            }
        }
    }
    let mut rest = repeats.iter().map(|(at, _)| *at).peekable();
    let mut at: usize = 0;
    items.retain(|_| {
        while rest
            .next_if(|repeat| repeat.saturating_add(STRIDE) <= at)
            .is_some()
        {}
        let keep = rest.peek().is_none_or(|repeat| at < *repeat);
        at = at.saturating_add(1);
        keep
    });
}

/// Sorts a run; two that are sorted already are only merged.
fn sort(run: &mut [Place], items: &[Value]) {
    run.sort_by(|a, b| compare_keys(a.key(items), a.fingerprint, b.key(items), b.fingerprint));
}

/// An order in which equal keys stand together.
fn compare_keys(a: &Value, a_fingerprint: u64, b: &Value, b_fingerprint: u64) -> Ordering {
    match (Leaf::of(a, Mode::Clojure), Leaf::of(b, Mode::Clojure)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a_fingerprint.cmp(&b_fingerprint),
    }
}
