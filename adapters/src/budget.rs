//! One budget of received bytes for many connections, behind one lock that is seldom taken.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use sente_core::{ConnId, RecvBudget, RecvBudgetLimits, RecvCapacity};

use crate::signal::Signal;

/// A [`RecvBudget`] that connections on any thread share. Clones mean the same budget.
///
/// Unless their options name another, all connections of a process share
/// [that of the process](Self::of_process): 1 GiB, of which one connection has 16 KiB at least and
/// 8 MiB at most. Where it is used up, connections whose applications are behind are read no
/// further, and go on as room comes back.
///
/// The budget is behind one lock, which a connection takes when it begins, when it ends, when what
/// waits for its application has grown to all it is allowed, and when that has shrunk to a quarter.
/// In between it looks at one atomic flag. So an application that keeps up never meets the lock,
/// and one that falls behind meets it once for many kilobytes, not for each message.
///
/// ```
/// use sente_adapters::{ListenOptions, SharedRecvBudget};
/// use sente_core::RecvBudgetLimits;
///
/// let mut limits = RecvBudgetLimits::default();
/// limits.total_bytes = 64 * 1024 * 1024;
/// let mut options = ListenOptions::default();
/// options.recv_budget = Some(SharedRecvBudget::new(limits));
/// ```
#[derive(Clone, Debug)]
pub struct SharedRecvBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: RecvBudgetLimits,
    book: Mutex<Book>,
}

/// The budget, and whom its changes are told.
#[derive(Debug)]
struct Book {
    budget: RecvBudget,
    /// The signals that wake their drivers. Each says whether there is something to be told, perhaps
    /// that nothing has changed: that is set and cleared under the lock of the book.
    drivers: HashMap<ConnId, Arc<Signal>>,
    next: u64,
}

impl SharedRecvBudget {
    /// A budget of its own, see [`RecvBudget::new`].
    #[must_use]
    pub fn new(limits: RecvBudgetLimits) -> Self {
        let budget = RecvBudget::new(limits);
        Self(Arc::new(Shared {
            limits: *budget.limits(),
            book: Mutex::new(Book {
                budget,
                drivers: HashMap::new(),
                next: 0,
            }),
        }))
    }

    /// The budget of this process, with [the defaults](RecvBudgetLimits::default).
    #[must_use]
    pub fn of_process() -> Self {
        static BUDGET: LazyLock<SharedRecvBudget> =
            LazyLock::new(|| SharedRecvBudget::new(RecvBudgetLimits::default()));
        BUDGET.clone()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &RecvBudgetLimits {
        &self.0.limits
    }

    /// What all connections together are allowed now, in bytes.
    #[must_use]
    pub fn granted(&self) -> usize {
        self.book().budget.granted()
    }

    /// How many connections wait for more than they have.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.book().budget.waiting()
    }

    /// How many connections share it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.book().budget.len()
    }

    /// Takes up a connection whose driver `driver` wakes.
    pub(crate) fn join(&self, driver: &Arc<Signal>) -> Share {
        let mut book = self.book();
        let id = ConnId::new(book.next, &[0; 10]);
        book.next = book.next.wrapping_add(1);
        let _ = book.budget.join(id);
        driver.is_share_news.store(true, Ordering::Release);
        book.drivers.insert(id, driver.clone());
        Share {
            budget: self.clone(),
            id,
            driver: driver.clone(),
            applied: None,
            asked_at: None,
        }
    }

    /// Never held while a connection's lock is asked for, so the two cannot wait for each other.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Tells the connections what has changed for them.
    fn publish(&mut self) {
        while let Some((id, _)) = self.budget.poll_allowance() {
            if let Some(driver) = self.drivers.get(&id) {
                driver.is_share_news.store(true, Ordering::Release);
                driver.notify();
            }
        }
    }
}

/// One connection's share of a budget. Dropped, it goes to the others.
#[derive(Debug)]
pub(crate) struct Share {
    budget: SharedRecvBudget,
    id: ConnId,
    driver: Arc<Signal>,
    /// What the connection was told it is allowed.
    applied: Option<usize>,
    /// The allowance at which more was asked for: once is enough, until it is another one.
    asked_at: Option<usize>,
}

impl Share {
    /// What the connection is allowed, if it is to be told.
    pub(crate) fn news(&mut self) -> Option<usize> {
        if !self.driver.is_share_news.load(Ordering::Acquire) {
            return None;
        }
        let book = self.budget.book();
        self.driver.is_share_news.store(false, Ordering::Release);
        let bytes = book.budget.allowance(self.id)?;
        drop(book);
        self.applied = Some(bytes);
        Some(bytes)
    }

    /// Reports how full the connection is, where that is news. Whether it was, and there may be
    /// [`news`](Self::news) in return.
    pub(crate) fn report(&mut self, capacity: &RecvCapacity) -> bool {
        let Some(allowance) = self.applied else {
            return false;
        };
        // Its own limits do not count here, nor that it is not limited any more after its end.
        let mut capacity = *capacity;
        capacity.max_bytes = allowance;
        if !self.budget.0.limits.is_due(&capacity) {
            return false;
        }
        let is_full = capacity.bytes >= allowance;
        let asked_at = is_full.then_some(allowance);
        if std::mem::replace(&mut self.asked_at, asked_at) == asked_at && is_full {
            return false;
        }
        let mut book = self.budget.book();
        book.budget.report(self.id, &capacity);
        book.publish();
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut book = self.budget.book();
        book.drivers.remove(&self.id);
        book.budget.leave(self.id);
        book.publish();
    }
}

#[cfg(test)]
mod tests {
    use sente_core::{Carrier, Connection, ConnectionConfig, Dialect, Instant, Role};

    use super::*;

    #[test]
    fn a_share_that_asks_in_vain_is_told_what_it_has() {
        let mut limits = RecvBudgetLimits::default();
        (limits.total_bytes, limits.min_bytes) = (1_000, 1_000);
        let budget = SharedRecvBudget::new(limits);
        let mut share = budget.join(&Arc::new(Signal::default()));
        assert_eq!(share.news(), Some(1_000));
        assert_eq!(share.news(), None);
        let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
        let connection = Connection::new(config.build().unwrap(), [1; 32], Instant::EPOCH);
        let mut capacity = connection.recv_capacity();
        capacity.bytes = 1_000;
        assert!(share.report(&capacity));
        assert_eq!(share.news(), Some(1_000), "there is no more");
        assert!(!share.report(&capacity), "once is enough");
        assert_eq!(share.news(), None);
        assert_eq!(budget.waiting(), 1);
    }
}
