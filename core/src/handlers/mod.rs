//! Which handlers an event goes to: `on`, `take`, `off`, in the order of registration.

mod delivery;
mod index;
mod recent;
mod request_id;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use crate::event::{Event, EventId};
use crate::id::ConnId;
use crate::time::Instant;
use index::Index;
use recent::Recent;

pub use delivery::Delivery;
pub use request_id::RequestId;

/// What a handler wants to see.
#[non_exhaustive]
pub enum Pattern {
    /// Every event.
    Any,
    /// Events of this id.
    Id(EventId),
    /// Events whose id has this namespace.
    Namespace(SmolStr),
    /// Events whose data map has this `:request-id`, whatever the event's own id.
    RequestId(RequestId),
    /// Events the predicate is true of. It is asked once for each event.
    When(Box<dyn Fn(&Event) -> bool + Send>),
}

impl From<EventId> for Pattern {
    fn from(id: EventId) -> Self {
        Self::Id(id)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Id(id) => write!(f, "Id({id})"),
            Self::Namespace(namespace) => write!(f, "Namespace({namespace})"),
            Self::RequestId(request) => write!(f, "RequestId({})", request.to_value()),
            Self::When(_) => f.write_str("When(..)"),
        }
    }
}

/// Names a registered handler. Later ones are greater.
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
///
/// A client's registry lives as long as the client: what is [`on`](Self::on) stays over reconnects,
/// and a waiter is told when the connection it could have been answered on is gone. A server can
/// have one registry for all its connections: [`deliver`](Self::deliver) says who sent a message,
/// and a waiter can be bound to one connection by [`take_from`](Self::take_from).
///
/// To wait for an answer, register first and send then: only the caller polls events, so none can
/// come between the two.
///
/// # Costs and limits
///
/// Only the application registers handlers, so there is no limit on how many. Registering and
/// removing one is O(log n). An event is shown to those it is for without asking the others;
/// predicates alone ([`Pattern::When`]) have to be asked one by one.
///
/// # When a handler panics
///
/// The visitors and predicates passed in are the application's, and the registry stays whole when
/// one of them panics: no handler is lost but the waiter that was being visited, which is gone as
/// after any other visit. After `handle_timeout` or `handle_closed` was cut short so, calling it
/// again goes on with the next waiter.
#[derive(Debug)]
pub struct Registry<H> {
    next: u64,
    handlers: BTreeMap<HandlerId, Entry<H>>,
    index: Index,
    /// Those that see one event and are gone.
    waiters: BTreeSet<HandlerId>,
    waiters_of: BTreeSet<(ConnId, HandlerId)>,
    deadlines: BTreeSet<(Instant, HandlerId)>,
    /// Room for what one dispatch finds, kept so that the next needs none.
    found: Vec<HandlerId>,
    /// The last ids that only one handler has to see, which stays: the next event is likely to be one of
    /// them. Empty after every change.
    recent: Recent,
}

#[derive(Debug)]
struct Entry<H> {
    pattern: Pattern,
    waiter: Option<Waiter>,
    handler: H,
}

/// What only a handler has that sees one event.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    from: Option<ConnId>,
    deadline: Option<Instant>,
}

impl<H> Registry<H> {
    /// An empty registry.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: 0,
            handlers: BTreeMap::new(),
            index: Index::new(),
            waiters: BTreeSet::new(),
            waiters_of: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            found: Vec::new(),
            recent: Recent::new(),
        }
    }

    /// Registers a handler that stays, over reconnects too, until it is taken [`off`](Self::off).
    pub fn on(&mut self, pattern: Pattern, handler: H) -> HandlerId {
        self.register(pattern, None, handler)
    }

    /// Registers a waiter: it sees one event and is gone. It is also gone when `deadline` has come
    /// and [`handle_timeout`](Self::handle_timeout) is called, and when the connection ends.
    pub fn take(&mut self, pattern: Pattern, deadline: Option<Instant>, handler: H) -> HandlerId {
        let from = None;
        self.register(pattern, Some(Waiter { from, deadline }), handler)
    }

    /// The same, for what comes from one connection: no message of another peer is shown to it, and
    /// it is told of the close by [`handle_closed_of`](Self::handle_closed_of). What a server waits
    /// for with one of its clients belongs here, as another client could answer otherwise.
    pub fn take_from(
        &mut self,
        connection: ConnId,
        pattern: Pattern,
        deadline: Option<Instant>,
        handler: H,
    ) -> HandlerId {
        let from = Some(connection);
        self.register(pattern, Some(Waiter { from, deadline }), handler)
    }

    /// Registers a waiter for the event whose data map has this `:request-id`: the answer to a
    /// question that was sent as an ordinary event with the same. It is [`take`](Self::take) with
    /// [`Pattern::RequestId`]; an answer in several parts is for [`on`](Self::on) with it.
    pub fn take_reply(
        &mut self,
        request: impl Into<RequestId>,
        deadline: Option<Instant>,
        handler: H,
    ) -> HandlerId {
        self.take(Pattern::RequestId(request.into()), deadline, handler)
    }

    /// Removes a handler. Whether it was there.
    pub fn off(&mut self, id: HandlerId) -> bool {
        self.remove(id).is_some()
    }

    /// Removes the handlers and waiters that were registered for exactly this id; those for its
    /// namespace or for all events stay. How many.
    pub fn off_event(&mut self, event: &EventId) -> usize {
        let ids: Vec<HandlerId> = self.index.of_event(event).collect();
        for id in &ids {
            self.remove(*id);
        }
        ids.len()
    }

    /// Removes all handlers and waiters. How many.
    pub fn off_all(&mut self) -> usize {
        let count = self.count();
        // Whole before the handlers are dropped, which may run the application's code.
        let next = self.next;
        let old = core::mem::take(self);
        self.next = next;
        drop(old);
        count
    }

    /// Shows `event` to every handler that wants it, in the order of registration. How many did.
    ///
    /// This is for one peer and for events that need no answer; [`deliver`](Self::deliver) says who
    /// sent it and lets a handler answer.
    pub fn dispatch(&mut self, event: &Event, mut visit: impl FnMut(HandlerId, &mut H)) -> usize {
        self.deliver(&mut Delivery::new(event), |id, handler, _| {
            visit(id, handler);
        })
    }

    /// Shows a message to every handler that wants it, in the order of registration. How many did.
    /// If that is none, or none took the reply token of a call, the caller of this should answer.
    ///
    /// A waiter whose deadline has passed still takes a message until
    /// [`handle_timeout`](Self::handle_timeout) is called: an answer is better than none.
    pub fn deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        mut visit: impl FnMut(HandlerId, &mut H, &mut Delivery<'_>),
    ) -> usize {
        if let Some(id) = self.recent.find(&delivery.event.id)
            && let Some(entry) = self.handlers.get_mut(&id)
        {
            visit(id, &mut entry.handler, delivery);
            return 1;
        }
        if let Some(id) = self.index.only(delivery.event)
            && let Some(entry) = self.handlers.get_mut(&id)
            && entry.waiter.is_none()
        {
            self.recent.keep(&delivery.event.id, id);
            visit(id, &mut entry.handler, delivery);
            return 1;
        }
        let mut found = core::mem::take(&mut self.found);
        self.index.find(delivery.event, &mut found);
        let mut seen = 0_usize;
        for id in &found {
            let Some(entry) = self.handlers.get_mut(id) else {
                continue;
            };
            if !entry.wants(delivery) {
                continue;
            }
            seen = seen.saturating_add(1);
            if entry.waiter.is_none() {
                visit(*id, &mut entry.handler, delivery);
            } else if let Some(mut entry) = self.remove(*id) {
                // Gone before it is visited: once is once, even if the visitor fails.
                visit(*id, &mut entry.handler, delivery);
            }
        }
        self.found = found;
        seen
    }

    /// Removes the waiters whose deadline has come, the earliest deadline first.
    pub fn handle_timeout(&mut self, now: Instant, mut visit: impl FnMut(HandlerId, H, Gone)) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                return;
            }
            if let Some(entry) = self.remove(id) {
                visit(id, entry.handler, Gone::Timeout);
            }
        }
    }

    /// Removes all waiters in the order of registration, since the connection ended, or all of
    /// them. Handlers that stay, stay.
    pub fn handle_closed(&mut self, mut visit: impl FnMut(HandlerId, H, Gone)) {
        while let Some(id) = self.waiters.first().copied() {
            if let Some(entry) = self.remove(id) {
                visit(id, entry.handler, Gone::Closed);
            }
        }
    }

    /// Removes the waiters bound to this connection by [`take_from`](Self::take_from), in the order
    /// of registration, since it ended. For a server, whose other connections live on.
    pub fn handle_closed_of(
        &mut self,
        connection: ConnId,
        mut visit: impl FnMut(HandlerId, H, Gone),
    ) {
        let from = (connection, HandlerId(0));
        while let Some((of, id)) = self.waiters_of.range(from..).next().copied() {
            if of != connection {
                return;
            }
            if let Some(entry) = self.remove(id) {
                visit(id, entry.handler, Gone::Closed);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// How many handlers and waiters there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.handlers.len()
    }

    /// How many were registered for exactly this id: as many as [`off_event`](Self::off_event)
    /// would remove. Those for its namespace or for all events see it too, but are not counted.
    #[must_use]
    pub fn count_for(&self, event: &EventId) -> usize {
        self.index.count_of_event(event)
    }

    /// How many of all are waiters.
    #[must_use]
    pub fn count_waiters(&self) -> usize {
        self.waiters.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    fn register(&mut self, pattern: Pattern, waiter: Option<Waiter>, handler: H) -> HandlerId {
        let id = HandlerId(self.next);
        self.next = self.next.wrapping_add(1);
        self.recent = Recent::new();
        self.index.insert(&pattern, id);
        if let Some(Waiter { from, deadline }) = waiter {
            self.waiters.insert(id);
            self.waiters_of.extend(from.map(|from| (from, id)));
            self.deadlines
                .extend(deadline.map(|deadline| (deadline, id)));
        }
        let entry = Entry {
            pattern,
            waiter,
            handler,
        };
        self.handlers.insert(id, entry);
        id
    }

    /// Takes a handler out of everything that knows it. Runs nothing of the application's.
    fn remove(&mut self, id: HandlerId) -> Option<Entry<H>> {
        let entry = self.handlers.remove(&id)?;
        self.recent = Recent::new();
        self.index.remove(&entry.pattern, id);
        if let Some(Waiter { from, deadline }) = entry.waiter {
            self.waiters.remove(&id);
            if let Some(from) = from {
                self.waiters_of.remove(&(from, id));
            }
            if let Some(deadline) = deadline {
                self.deadlines.remove(&(deadline, id));
            }
        }
        Some(entry)
    }
}

impl<H> Default for Registry<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> Entry<H> {
    /// Whether it wants what the index found for it.
    fn wants(&self, delivery: &Delivery<'_>) -> bool {
        let from = self.waiter.and_then(|waiter| waiter.from);
        if from.is_some() && from != delivery.from.map(|peer| peer.connection) {
            return false;
        }
        match &self.pattern {
            Pattern::When(predicate) => predicate(delivery.event),
            _ => true,
        }
    }
}
