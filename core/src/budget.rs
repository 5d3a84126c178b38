//! One budget of received bytes for many connections: how much each may hold for its application.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};

use crate::connection::RecvCapacity;
use crate::id::ConnId;

/// The numbers of a [`RecvBudget`]. Change single values on top of the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvBudgetLimits {
    /// The bytes all connections together may be allowed. Default 1 GiB.
    pub total_bytes: usize,
    /// The most one connection is allowed, in bytes. Default 8 MiB.
    pub max_bytes: usize,
    /// What every connection is allowed and keeps, in bytes: enough for ordinary traffic. Default
    /// 16 KiB, so that 65,536 connections fit into the default total; later ones wait with nothing
    /// until others leave.
    pub min_bytes: usize,
}

impl Default for RecvBudgetLimits {
    fn default() -> Self {
        Self {
            total_bytes: 1024 * 1024 * 1024,
            max_bytes: 8 * 1024 * 1024,
            min_bytes: 16 * 1024,
        }
    }
}

impl RecvBudgetLimits {
    /// Whether a connection has something to [`report`](RecvBudget::report): it is at its
    /// allowance, or has come to use little of it. Needs no access to the budget, so a driver asks
    /// here first, after each input and after each event taken.
    #[must_use]
    pub const fn is_due(&self, capacity: &RecvCapacity) -> bool {
        capacity.bytes >= capacity.max_bytes
            || (capacity.bytes <= capacity.max_bytes / 4 && capacity.max_bytes > self.min_bytes)
    }
}

/// Which part of the total is kept for those who have nothing yet: a quarter.
const KEPT_FOR_NEWCOMERS: usize = 4;

/// Shares a budget of received bytes out among connections. It owns no connection and no lock.
///
/// Every connection is allowed a little; one that is at its allowance is allowed twice as much, up
/// to a most, while there is some left; one that uses little of a large allowance gives back what it
/// does not need. A quarter of the total is kept for connections that come and have nothing yet:
/// applications that are slow to read cannot shut others out. Where nothing is left, newcomers wait
/// before those who need more, and each are served in the order they came. All allowances together never pass the total. A connection may pass its own by the one
/// frame that did not fit any more, and holds besides what it has read of the next one, so the bytes
/// held are bounded by the total and two frames for each connection, each with what its packer opens
/// it to (at most `Limits::max_opened_bytes`).
///
/// The owner of the connections uses it so:
///
/// ```
/// use sente_core::{
///     Carrier, ConnId, Connection, ConnectionConfig, Dialect, Instant, RecvBudget, Role,
/// };
///
/// let now = Instant::EPOCH;
/// let mut budget = RecvBudget::default();
/// let config =
///     ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket).build()?;
/// let mut connection = Connection::new(config, [7; 32], now);
///
/// // When a connection begins:
/// let id = ConnId::new(0, &[1; 10]);
/// let allowance = budget.join(id);
/// connection.set_recv_allowance(now, allowance);
///
/// // After each input, and after events were taken:
/// let capacity = connection.recv_capacity();
/// if budget.limits().is_due(&capacity) {
///     budget.report(id, &capacity);
///     while let Some((id, bytes)) = budget.poll_allowance() {
///         // The connection called `id`, whichever that is; its driver is woken.
///         connection.set_recv_allowance(now, bytes);
///         // It may not need that any more, or already more.
///         let capacity = connection.recv_capacity();
///         if budget.limits().is_due(&capacity) {
///             budget.report(id, &capacity);
///         }
///     }
/// }
///
/// // When it is over, followed by the same loop:
/// budget.leave(id);
/// # Ok::<(), sente_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct RecvBudget {
    limits: RecvBudgetLimits,
    granted: usize,
    shares: BTreeMap<ConnId, Share>,
    /// How many are there without a name, each with the least.
    unnamed: usize,
    /// Who waits for its first allowance, in the order they came.
    newcomers: BTreeMap<u64, ConnId>,
    /// Who waits for more, in the order they came.
    growing: BTreeMap<u64, ConnId>,
    next_number: u64,
    /// Who is to be told its allowance, since it changed or was asked for in vain.
    changed: BTreeSet<ConnId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    allowance: usize,
    /// Its number among those who wait.
    waiting: Option<u64>,
    /// Whether it was told that there is no more for now.
    refused: bool,
}

impl Default for RecvBudget {
    fn default() -> Self {
        Self::new(RecvBudgetLimits::default())
    }
}

impl RecvBudget {
    /// A budget without connections. The least of a connection counts as one byte at least, the
    /// most as no less than the least.
    #[must_use]
    pub fn new(limits: RecvBudgetLimits) -> Self {
        let min_bytes = limits.min_bytes.max(1);
        Self {
            limits: RecvBudgetLimits {
                min_bytes,
                max_bytes: limits.max_bytes.max(min_bytes),
                ..limits
            },
            granted: 0,
            shares: BTreeMap::new(),
            unnamed: 0,
            newcomers: BTreeMap::new(),
            growing: BTreeMap::new(),
            next_number: 0,
            changed: BTreeSet::new(),
        }
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &RecvBudgetLimits {
        &self.limits
    }

    /// Takes a connection up: its first allowance in bytes, 0 if it has to wait for others. One
    /// that is known already keeps what it has. O(log n).
    #[must_use]
    pub fn join(&mut self, id: ConnId) -> usize {
        if let Entry::Vacant(vacant) = self.shares.entry(id) {
            vacant.insert(Share::default());
            self.ask(id);
            self.serve();
            self.changed.remove(&id);
        }
        self.allowance(id).unwrap_or(0)
    }

    /// Lets a connection go; one that is not known does nothing. O(log n).
    pub fn leave(&mut self, id: ConnId) {
        if let Some(share) = self.shares.remove(&id) {
            if let Some(number) = share.waiting {
                self.newcomers.remove(&number);
                self.growing.remove(&number);
            }
            self.changed.remove(&id);
            self.granted = self.granted.saturating_sub(share.allowance);
            self.serve();
        }
    }

    /// Takes a connection up without a name, with the least ([`RecvBudgetLimits::min_bytes`]): where
    /// most never need more, most take no memory here. `false`, and nothing, where it would have to
    /// wait; it is to [`join`](Self::join) then. O(1).
    #[must_use]
    pub fn join_unnamed(&mut self) -> bool {
        let free = self.limits.total_bytes.saturating_sub(self.granted);
        let is_next = self.newcomers.is_empty() && free >= self.limits.min_bytes;
        if is_next {
            self.granted = self.granted.saturating_add(self.limits.min_bytes);
            self.unnamed = self.unnamed.saturating_add(1);
        }
        is_next
    }

    /// Gives a name to one of those who came without, so that it can [`report`](Self::report). Does
    /// nothing where the name is known already, or all have one. O(log n).
    pub fn give_name(&mut self, id: ConnId) {
        if let Entry::Vacant(vacant) = self.shares.entry(id)
            && let Some(others) = self.unnamed.checked_sub(1)
        {
            self.unnamed = others;
            vacant.insert(Share {
                allowance: self.limits.min_bytes,
                ..Share::default()
            });
        }
    }

    /// Forgets the name of a connection that has the least again, and waits for nothing. Whether it
    /// did. O(log n).
    pub fn forget_name(&mut self, id: ConnId) -> bool {
        let forgets = self.shares.get(&id).is_some_and(|share| {
            let has_least = share.allowance == self.limits.min_bytes;
            has_least && share.waiting.is_none() && !share.refused && !self.changed.contains(&id)
        });
        if forgets {
            self.shares.remove(&id);
            self.unnamed = self.unnamed.saturating_add(1);
        }
        forgets
    }

    /// Lets one go of those who have no name; nothing where there is none. O(log n).
    pub fn leave_unnamed(&mut self) {
        if let Some(others) = self.unnamed.checked_sub(1) {
            self.unnamed = others;
            self.granted = self.granted.saturating_sub(self.limits.min_bytes);
            self.serve();
        }
    }

    /// Says how full a connection's receive queue is: at its allowance it asks for more, with
    /// little in it gives back. Where there is no more, the answer is what it has, once: it waits
    /// in line, and [`RecvPolicy::DropOldest`](crate::RecvPolicy::DropOldest) drops for the time
    /// being. A connection that is not known does nothing. O(log n), and as much
    /// again for each connection that is served with what came back.
    pub fn report(&mut self, id: ConnId, capacity: &RecvCapacity) {
        let Some(share) = self.shares.get_mut(&id) else {
            return;
        };
        let before = share.allowance;
        let is_full = capacity.bytes >= before;
        if is_full {
            if before < self.limits.max_bytes {
                self.ask(id);
            }
        } else {
            if core::mem::take(&mut share.refused) {
                // It asks again before it drops anything.
                self.changed.insert(id);
            }
            if share.allowance >= self.limits.min_bytes
                && let Some(number) = share.waiting.take()
            {
                // It has room again.
                self.growing.remove(&number);
            }
            if capacity.bytes <= share.allowance / 4 && share.allowance > self.limits.min_bytes {
                let needed = capacity.bytes.saturating_mul(2).max(self.limits.min_bytes);
                self.granted = self
                    .granted
                    .saturating_sub(share.allowance.saturating_sub(needed));
                share.allowance = needed;
                self.changed.insert(id);
            }
        }
        self.serve();
        if let Some(share) = self.shares.get_mut(&id)
            && is_full
            && before > 0
            && share.allowance == before
            && !core::mem::replace(&mut share.refused, true)
        {
            self.changed.insert(id);
        }
    }

    /// The next connection that is to be told its allowance, and what it is now: hand it to
    /// [`Connection::set_recv_allowance`](crate::Connection::set_recv_allowance).
    #[must_use]
    pub fn poll_allowance(&mut self) -> Option<(ConnId, usize)> {
        let id = self.changed.pop_first()?;
        let allowance = self.allowance(id)?;
        Some((id, allowance))
    }

    /// What a connection is allowed, in bytes.
    #[must_use]
    pub fn allowance(&self, id: ConnId) -> Option<usize> {
        self.shares.get(&id).map(|share| share.allowance)
    }

    /// What all connections together are allowed, in bytes.
    #[must_use]
    pub const fn granted(&self) -> usize {
        self.granted
    }

    /// How many connections wait for their first allowance, or for more.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.newcomers.len().saturating_add(self.growing.len())
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shares.len().saturating_add(self.unnamed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a connection behind those who wait, if it is not among them.
    fn ask(&mut self, id: ConnId) {
        if let Some(share) = self.shares.get_mut(&id)
            && share.waiting.is_none()
        {
            share.waiting = Some(self.next_number);
            let line = if share.allowance < self.limits.min_bytes {
                &mut self.newcomers
            } else {
                &mut self.growing
            };
            line.insert(self.next_number, id);
            self.next_number = self.next_number.wrapping_add(1);
        }
    }

    /// Serves those who wait while the first of them can have at least a little.
    fn serve(&mut self) {
        let kept = self.limits.total_bytes / KEPT_FOR_NEWCOMERS;
        loop {
            let free = self.limits.total_bytes.saturating_sub(self.granted);
            let newcomer = self.newcomers.first_key_value();
            let (number, id, free) = match (newcomer, self.growing.first_key_value()) {
                (Some((number, id)), _) => (*number, *id, free),
                (None, Some((number, id))) => (*number, *id, free.saturating_sub(kept)),
                (None, None) => return,
            };
            if !self.grant(id, free) {
                return;
            }
            self.newcomers.remove(&number);
            self.growing.remove(&number);
        }
    }

    /// Gives a connection more of what is free. Whether it can have at least a little.
    fn grant(&mut self, id: ConnId, free: usize) -> bool {
        let RecvBudgetLimits {
            max_bytes,
            min_bytes,
            ..
        } = self.limits;
        if let Some(share) = self.shares.get_mut(&id) {
            let wanted = share
                .allowance
                .saturating_mul(2)
                .clamp(min_bytes, max_bytes)
                .saturating_sub(share.allowance);
            if free < wanted.min(min_bytes) {
                return false;
            }
            let more = wanted.min(free);
            share.waiting = None;
            share.refused = false;
            share.allowance = share.allowance.saturating_add(more);
            self.granted = self.granted.saturating_add(more);
            self.changed.insert(id);
        }
        true
    }
}
