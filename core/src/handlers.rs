//! Which handlers an event goes to: `on`, `take`, `off`, in the order of registration.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use crate::event::{Event, EventId};
use crate::time::Instant;

/// What a handler wants to see.
#[non_exhaustive]
pub enum Pattern {
    /// Every event.
    Any,
    /// Events of this id.
    Id(EventId),
    /// Events whose id has this namespace.
    Namespace(SmolStr),
    /// Events the predicate is true of.
    When(Box<dyn Fn(&Event) -> bool + Send>),
}

impl Pattern {
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Any => true,
            Self::Id(id) => *id == event.id,
            Self::Namespace(namespace) => event.id.namespace() == namespace,
            Self::When(predicate) => predicate(event),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Id(id) => write!(f, "Id({id})"),
            Self::Namespace(namespace) => write!(f, "Namespace({namespace})"),
            Self::When(_) => f.write_str("When(..)"),
        }
    }
}

/// Names a registered handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerId(u64);

/// Why a waiter was removed without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gone {
    /// The connection ended.
    Closed,
    /// Its deadline came.
    Timeout,
}

/// The handlers of one side. It does not know what a handler is: `H` may be a closure, a channel,
/// or a number in a test. It stands beside the engine, not inside, so no handler can re-enter it.
#[derive(Debug)]
pub struct Registry<H> {
    next: u64,
    handlers: Vec<Entry<H>>,
}

#[derive(Debug)]
struct Entry<H> {
    id: HandlerId,
    pattern: Pattern,
    once: bool,
    deadline: Option<Instant>,
    handler: H,
}

impl<H> Registry<H> {
    /// An empty registry.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: 0,
            handlers: Vec::new(),
        }
    }

    /// Registers a handler that stays, over reconnects too, until it is taken [`off`](Self::off).
    pub fn on(&mut self, pattern: Pattern, handler: H) -> HandlerId {
        self.register(pattern, false, None, handler)
    }

    /// Registers a waiter: it sees one event and is gone. It is also gone at `deadline`, and when
    /// the connection ends.
    pub fn take(&mut self, pattern: Pattern, deadline: Option<Instant>, handler: H) -> HandlerId {
        self.register(pattern, true, deadline, handler)
    }

    /// Removes a handler. Whether it was there.
    pub fn off(&mut self, id: HandlerId) -> bool {
        let before = self.handlers.len();
        self.handlers.retain(|entry| entry.id != id);
        before != self.handlers.len()
    }

    /// Shows `event` to every handler that wants it, in the order of registration. How many did.
    pub fn dispatch(&mut self, event: &Event, mut visit: impl FnMut(HandlerId, &mut H)) -> usize {
        let mut seen = 0;
        self.handlers.retain_mut(|entry| {
            if !entry.pattern.matches(event) {
                return true;
            }
            seen += 1;
            visit(entry.id, &mut entry.handler);
            !entry.once
        });
        seen
    }

    /// Removes the waiters whose deadline has come.
    pub fn handle_timeout(&mut self, now: Instant, visit: impl FnMut(HandlerId, H, Gone)) {
        self.remove_waiters(
            Gone::Timeout,
            |entry| entry.deadline.is_some_and(|at| at <= now),
            visit,
        );
    }

    /// Removes all waiters, since the connection ended. Handlers that stay, stay.
    pub fn handle_closed(&mut self, visit: impl FnMut(HandlerId, H, Gone)) {
        self.remove_waiters(Gone::Closed, |_| true, visit);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.handlers
            .iter()
            .filter_map(|entry| entry.deadline)
            .min()
    }

    /// How many handlers there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.handlers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    fn register(
        &mut self,
        pattern: Pattern,
        once: bool,
        deadline: Option<Instant>,
        handler: H,
    ) -> HandlerId {
        let id = HandlerId(self.next);
        self.next = self.next.wrapping_add(1);
        self.handlers.push(Entry {
            id,
            pattern,
            once,
            deadline,
            handler,
        });
        id
    }

    fn remove_waiters(
        &mut self,
        gone: Gone,
        is_due: impl Fn(&Entry<H>) -> bool,
        mut visit: impl FnMut(HandlerId, H, Gone),
    ) {
        let mut kept = Vec::with_capacity(self.handlers.len());
        for entry in core::mem::take(&mut self.handlers) {
            if entry.once && is_due(&entry) {
                visit(entry.id, entry.handler, gone);
            } else {
                kept.push(entry);
            }
        }
        self.handlers = kept;
    }
}

impl<H> Default for Registry<H> {
    fn default() -> Self {
        Self::new()
    }
}
