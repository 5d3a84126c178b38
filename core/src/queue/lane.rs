//! What waits of one priority.

use alloc::collections::VecDeque;

use crate::seldom::{Blank, Seldom};

use super::{Hold, Outgoing};

/// How many holes a lane may have beyond one for each entry before it is tidied.
const HOLES: usize = 32;

/// The entries of one priority. What is dropped from the middle leaves a hole, so that dropping
/// costs no moving; the first entry is never a hole.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// In the order of their numbers.
    pub(super) entries: VecDeque<Entry>,
    pub(super) live: usize,
    /// The numbers of those that may be dropped.
    pub(super) losable: Seldom<VecDeque<u64>>,
}

impl Blank for Lane {
    const BLANK: &'static Self = &Self {
        entries: VecDeque::new(),
        live: 0,
        losable: Seldom::new(),
    };
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) item: Option<Outgoing>,
    pub(super) hold: Hold,
}

impl Lane {
    #[inline(always)]
    pub(super) fn push(&mut self, number: u64, item: Outgoing, hold: Hold) {
        if hold != Hold::Keep {
            self.losable.make().push_back(number);
        }
        self.live += 1;
        self.entries.push_back(Entry {
            number,
            item: Some(item),
            hold,
        });
    }

    pub(super) fn push_front(&mut self, number: u64, item: Outgoing) {
        self.live = self.live.saturating_add(1);
        self.entries.push_front(Entry {
            number,
            item: Some(item),
            hold: Hold::Keep,
        });
    }

    pub(super) fn pop(&mut self) -> Option<(Outgoing, Hold)> {
        let entry = self.entries.pop_front()?;
        if let Some(losable) = self.losable.there()
            && losable.front() == Some(&entry.number)
        {
            losable.pop_front();
        }
        self.live = self.live.saturating_sub(1);
        self.skip_holes();
        entry.item.map(|item| (item, entry.hold))
    }

    pub(super) fn drop_oldest(&mut self) -> Option<(Outgoing, Hold)> {
        let number = self.losable.there()?.pop_front()?;
        let entry = self.find_mut(number)?;
        let item = entry.item.take()?;
        let hold = core::mem::replace(&mut entry.hold, Hold::Keep);
        self.live = self.live.saturating_sub(1);
        self.skip_holes();
        // Where the oldest is stuck, holes would gather behind it without end.
        if self.entries.len() > self.live.saturating_mul(2).saturating_add(HOLES) {
            self.entries.retain(|entry| entry.item.is_some());
        }
        Some((item, hold))
    }

    fn skip_holes(&mut self) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.item.is_none())
        {
            self.entries.pop_front();
        }
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.number)
    }

    pub(super) fn find(&self, number: u64) -> Option<&Entry> {
        let at = self.position(number)?;
        self.entries.get(at)
    }

    pub(super) fn find_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let at = self.position(number)?;
        self.entries.get_mut(at)
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.entries
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()
    }
}
