//! Where maps and sets keep their entries: in order, with an index once there are many.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::compare::{self, Mode};
use crate::deep;
use crate::fingerprint::{self, Group};
use crate::leaf::Leaf;
use crate::value::Value;

/// Up to so many entries are searched one by one.
pub(crate) const SMALL: usize = 16;

/// Entries of `STRIDE` values each, of which the first is the key, in the order of insertion.
///
/// No two keys are equal. Finding one takes logarithmic time, except among keys that are
/// collections and were made to share a fingerprint.
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

impl Index {
    /// The index of these entries, and the fingerprint of all of them if some keys are collections.
    fn of<const STRIDE: usize>(items: &[Value]) -> (Self, Option<u64>) {
        let keys = items.iter().enumerate().step_by(STRIDE);
        let mut run: Vec<Place> = keys.map(|(at, key)| Place::of(at, key)).collect();
        let is_deep = items.iter().step_by(STRIDE).any(|key| !deep::is_atom(key));
        let whole = is_deep.then(|| {
            let mut group = match STRIDE {
                1 => Group::set(),
                _ => Group::map(),
            };
            let mut count = 0;
            for (entry, place) in items.chunks(STRIDE).zip(&run) {
                for (at, item) in entry.iter().enumerate() {
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
            group.finish(count)
        });
        sort(&mut run, items);
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
        let wanted = Place::of(0, key);
        for run in &self.runs {
            let order = |place: &Place| {
                compare_keys(place.key(items), place.fingerprint, key, wanted.fingerprint)
            };
            let start = run.partition_point(|place| order(place).is_lt());
            let candidates = run.get(start..).unwrap_or_default();
            for place in candidates.iter().take_while(|place| order(place).is_eq()) {
                if compare::equal(place.key(items), key, Mode::Clojure) {
                    return Some(place.at);
                }
            }
        }
        None
    }
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
