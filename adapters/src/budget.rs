//! One budget of received bytes for many connections, behind one lock that is seldom taken.

use std::collections::HashMap;
use std::num::NonZeroU64;
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
    drivers: HashMap<NonZeroU64, Arc<Signal>>,
    last: u64,
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
                last: 0,
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
        let number = if book.budget.join_unnamed() {
            None
        } else {
            let number = book.enter(driver);
            let _ = number.map(|number| book.budget.join(id_of(number)));
            number
        };
        driver.is_share_news.store(true, Ordering::Release);
        Share {
            budget: self.clone(),
            number,
            driver: driver.clone(),
            applied: NONE,
            asked_at: NONE,
        }
    }

    /// Never held while a connection's lock is asked for, so the two cannot wait for each other.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// A number for a connection that `driver` wakes.
    fn enter(&mut self, driver: &Arc<Signal>) -> Option<NonZeroU64> {
        self.last = self.last.wrapping_add(1);
        let number = NonZeroU64::new(self.last)?;
        self.drivers.insert(number, driver.clone());
        Some(number)
    }

    fn leave(&mut self, number: NonZeroU64) {
        self.drivers.remove(&number);
        if self.drivers.is_empty() {
            self.drivers.shrink_to_fit();
        }
    }

    /// Tells the connections what has changed for them.
    fn publish(&mut self) {
        while let Some((id, _)) = self.budget.poll_allowance() {
            let number = NonZeroU64::new(id.unix_millis());
            if let Some(driver) = number.and_then(|number| self.drivers.get(&number)) {
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
    /// Its number in the book; none while it has the least and never had to ask for more.
    number: Option<NonZeroU64>,
    driver: Arc<Signal>,
    /// What the connection was told it is allowed.
    applied: usize,
    /// The allowance at which more was asked for: once is enough, until it is another one.
    asked_at: usize,
}

/// No allowance.
const NONE: usize = usize::MAX;

/// What a connection of this number is called in the budget.
fn id_of(number: NonZeroU64) -> ConnId {
    ConnId::new(number.get(), &[0; 10])
}

impl Share {
    /// What the connection is allowed, if it is to be told.
    pub(crate) fn news(&mut self) -> Option<usize> {
        if !self.driver.is_share_news.load(Ordering::Acquire) {
            return None;
        }
        let mut book = self.budget.book();
        self.driver.is_share_news.store(false, Ordering::Release);
        let bytes = match self.number {
            None => self.budget.0.limits.min_bytes,
            Some(number) => {
                let bytes = book.budget.allowance(id_of(number))?;
                if book.budget.forget_name(id_of(number)) {
                    book.leave(number);
                    self.number = None;
                }
                bytes
            }
        };
        drop(book);
        self.applied = bytes;
        Some(bytes)
    }

    /// Reports how full the connection is, where that is news. Whether it was, and there may be
    /// [`news`](Self::news) in return.
    pub(crate) fn report(&mut self, capacity: &RecvCapacity) -> bool {
        let allowance = self.applied;
        if allowance == NONE {
            return false;
        }
        // Its own limits do not count here, nor that it is not limited any more after its end.
        let mut capacity = *capacity;
        capacity.max_bytes = allowance;
        if !self.budget.0.limits.is_due(&capacity) {
            return false;
        }
        let is_full = capacity.bytes >= allowance;
        let asked_at = if is_full { allowance } else { NONE };
        if std::mem::replace(&mut self.asked_at, asked_at) == asked_at && is_full {
            return false;
        }
        let mut book = self.budget.book();
        if self.number.is_none() {
            self.number = book.enter(&self.driver);
            if let Some(number) = self.number {
                book.budget.give_name(id_of(number));
            }
        }
        if let Some(number) = self.number {
            book.budget.report(id_of(number), &capacity);
        }
        book.publish();
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut book = self.budget.book();
        match self.number {
            None => book.budget.leave_unnamed(),
            Some(number) => {
                book.leave(number);
                book.budget.leave(id_of(number));
            }
        }
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
