//! What stands behind the server's one lock: the hub, and the connections it speaks of.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use sente_core::{ConnId, Hub, HubEvent, HubOutput, Instant, Stats};
use smol_str::SmolStr;

use crate::identities::Identities;
use crate::line::{Order, Wire};

/// The hub and its connections.
pub(crate) struct Room {
    pub(crate) hub: Hub,
    pub(crate) lines: Lines,
    /// Those to whom something was delivered that is to be written.
    pub(crate) unwritten: Vec<Arc<dyn Wire>>,
    /// Whether a task sees to them.
    pub(crate) is_writing: bool,
    /// The counts of connections that are gone, by the names of their packers.
    pub(crate) gone: BTreeMap<SmolStr, Stats>,
    pub(crate) identities: Identities,
    /// When the timer is set to.
    pub(crate) timer: Option<Instant>,
    /// Until when everybody who is here is to finish, if nobody is let in any more.
    pub(crate) closing: Option<Instant>,
}

impl Room {
    pub(crate) fn new(hub: Hub) -> Self {
        Self {
            hub,
            lines: Lines::default(),
            unwritten: Vec::new(),
            is_writing: false,
            identities: Identities::default(),
            gone: BTreeMap::new(),
            timer: None,
            closing: None,
        }
    }

    /// Puts what the hub says into the mailboxes of its connections, in the order in which it says
    /// it: that is the order all see.
    pub(crate) fn carry_out(&mut self, now: Instant) {
        while let Some(output) = self.hub.poll_output() {
            let (to, order) = match output {
                HubOutput::Deliver(delivery) => {
                    for to in &delivery.to {
                        if let Some(line) = self.lines.get(to)
                            && line.deliver(now, &delivery)
                        {
                            self.unwritten.push(line.clone());
                        }
                    }
                    continue;
                }
                HubOutput::Close {
                    connection,
                    code,
                    reason,
                } => (connection, Order::Close(code, reason)),
                HubOutput::Reply { to, token, payload } => (to, Order::Reply(token, payload)),
                HubOutput::ReplyError { to, token } => (to, Order::ReplyError(token)),
                _ => continue,
            };
            if let Some(line) = self.lines.get(&to)
                && line.link().order(order)
            {
                line.wake();
            }
        }
    }

    /// Whether somebody is to begin to write what was delivered.
    pub(crate) fn begins_to_write(&mut self) -> bool {
        !self.unwritten.is_empty() && !std::mem::replace(&mut self.is_writing, true)
    }

    /// When something is to be done.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = [self.hub.poll_timeout(), self.identities.poll_timeout()];
        due.into_iter().flatten().min()
    }

    /// What the hub has to tell.
    pub(crate) fn told(&mut self) -> impl Iterator<Item = HubEvent> + '_ {
        std::iter::from_fn(|| self.hub.poll_event())
    }
}

/// Connections by their ids. Each knows its own, so that a place in the table is but a pointer.
#[derive(Default)]
pub(crate) struct Lines(HashSet<ById, BuildHasherDefault<IdHasher>>);

struct ById(Arc<dyn Wire>);

impl Lines {
    pub(crate) fn get(&self, id: &ConnId) -> Option<&Arc<dyn Wire>> {
        self.0.get(id).map(|line| &line.0)
    }

    /// Puts a connection in, in the place of another of its id.
    pub(crate) fn insert(&mut self, line: Arc<dyn Wire>) {
        self.0.replace(ById(line));
    }

    pub(crate) fn remove(&mut self, id: &ConnId) -> Option<Arc<dyn Wire>> {
        self.0.take(id).map(|line| line.0)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<dyn Wire>> {
        self.0.iter().map(|line| &line.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Borrow<ConnId> for ById {
    fn borrow(&self) -> &ConnId {
        &self.0.link().id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.link().id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.link().id == other.0.link().id
    }
}

impl Eq for ById {}

/// Hashes the ids of connections, which this side has made of random bits: nobody else can choose
/// them so that they collide.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(size_of::<u64>()) {
            let part = part
                .iter()
                .fold(0, |all, byte| (all << 8) | u64::from(*byte));
            self.0 = self.0.rotate_left(23) ^ part;
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length of an id, which is that of all.
    }

    fn finish(&self) -> u64 {
        // The table takes its bits from both ends.
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}
