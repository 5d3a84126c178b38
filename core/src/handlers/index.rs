//! Finds the handlers an event may be for without asking every handler.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use smol_str::SmolStr;

use super::{HandlerId, Pattern, RequestId};
use crate::event::{Event, EventId};

/// Handlers by what they want to see. Every change is O(log n).
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Those that want all events, and those with a predicate, which only the event can decide.
    every: BTreeSet<HandlerId>,
    by_event: BTreeMap<EventId, BTreeSet<HandlerId>>,
    by_namespace: BTreeMap<SmolStr, BTreeSet<HandlerId>>,
    by_request: BTreeMap<RequestId, BTreeSet<HandlerId>>,
}

impl Index {
    pub(super) const fn new() -> Self {
        Self {
            every: BTreeSet::new(),
            by_event: BTreeMap::new(),
            by_namespace: BTreeMap::new(),
            by_request: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, pattern: &Pattern, id: HandlerId) {
        match pattern {
            Pattern::Any | Pattern::When(_) => self.every.insert(id),
            Pattern::Id(event) => self.by_event.entry(event.clone()).or_default().insert(id),
            Pattern::Namespace(namespace) => self
                .by_namespace
                .entry(namespace.clone())
                .or_default()
                .insert(id),
            Pattern::RequestId(request) => self
                .by_request
                .entry(request.clone())
                .or_default()
                .insert(id),
        };
    }

    pub(super) fn remove(&mut self, pattern: &Pattern, id: HandlerId) {
        match pattern {
            Pattern::Any | Pattern::When(_) => {
                self.every.remove(&id);
            }
            Pattern::Id(event) => remove_from(&mut self.by_event, event, id),
            Pattern::Namespace(namespace) => remove_from(&mut self.by_namespace, namespace, id),
            Pattern::RequestId(request) => remove_from(&mut self.by_request, request, id),
        }
    }

    /// The handlers registered for exactly this id, in the order of registration.
    pub(super) fn of_event(&self, event: &EventId) -> impl Iterator<Item = HandlerId> {
        self.by_event.get(event).into_iter().flatten().copied()
    }

    pub(super) fn count_of_event(&self, event: &EventId) -> usize {
        self.by_event.get(event).map_or(0, BTreeSet::len)
    }

    /// The only handler that may want `event`, if there is just one and no other has to be asked.
    pub(super) fn only(&self, event: &Event) -> Option<HandlerId> {
        let are_exact =
            self.every.is_empty() && self.by_namespace.is_empty() && self.by_request.is_empty();
        let list = are_exact.then(|| self.by_event.get(&event.id))??;
        (list.len() == 1).then(|| list.first().copied())?
    }

    /// Replaces `found` by the handlers that may want `event`, in the order of registration. Only
    /// predicates are left to be asked.
    pub(super) fn find(&self, event: &Event, found: &mut Vec<HandlerId>) {
        found.clear();
        found.extend(&self.every);
        let mut lists = 1_usize;
        let mut add = |list: Option<&BTreeSet<HandlerId>>| {
            if let Some(list) = list {
                found.extend(list);
                lists = lists.saturating_add(1);
            }
        };
        add(self.by_event.get(&event.id));
        if !self.by_namespace.is_empty() {
            add(self.by_namespace.get(event.id.namespace()));
        }
        // The payload is looked into only while somebody waits for a request id.
        if !self.by_request.is_empty() {
            add(event
                .request_id()
                .and_then(|request| self.by_request.get(&request)));
        }
        if lists > 1 {
            // Ids grow with each registration. A handler is in one list only.
            found.sort_unstable();
        }
    }
}

fn remove_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<HandlerId>>, key: &K, id: HandlerId) {
    if let Some(list) = map.get_mut(key) {
        list.remove(&id);
        if list.is_empty() {
            map.remove(key);
        }
    }
}
