//! Who takes events past the one main stream of them, and what waits for these.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use sente_core::{
    ConnId, Delivery, Event, HandlerId, Message, Pattern, Peer, Registry, ReplyToken,
};

/// What an event that waits counts for besides its data.
const OVERHEAD: usize = 64;

/// How much may wait in a stream of events ([`Handle::on_with`](crate::Handle::on_with)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamLimits {
    /// How many events. Default 1,024. 0 counts as 1.
    pub max_events: usize,
    /// How many bytes of packed data, 64 for each event on top. Default 8 MiB. One event may always
    /// wait.
    pub max_bytes: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            max_events: 1024,
            max_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Who takes messages past their one main reader: all streams and waiters of one connection, client
/// or server. `R` is what comes with an event, such as the right to answer it.
///
/// This is what [`Handle::on`](crate::Handle::on) is made of, for what has such a method of its own.
/// There is no limit on how many there are; a message costs as much as in a [`Registry`].
#[derive(Debug)]
pub struct Subscriptions<R = Option<ReplyToken>> {
    registry: Registry<Arc<EventQueue<R>>>,
    all: BTreeMap<HandlerId, Arc<EventQueue<R>>>,
}

impl<R> Subscriptions<R> {
    /// A stream of what `pattern` says, until it is taken [`off`](Self::off). A predicate that panics
    /// counts as false.
    pub fn on(
        &mut self,
        pattern: Pattern,
        limits: StreamLimits,
    ) -> (HandlerId, Arc<EventQueue<R>>) {
        let queue = Arc::new(EventQueue::new(limits));
        let id = self.registry.on(guarded(pattern), queue.clone());
        self.all.insert(id, queue.clone());
        (id, queue)
    }

    /// One event of what `pattern` says.
    pub fn take(&mut self, pattern: Pattern) -> (HandlerId, Arc<EventQueue<R>>) {
        let queue = Arc::new(EventQueue::of_one());
        let id = self.registry.take(guarded(pattern), None, queue.clone());
        (id, queue)
    }

    /// One event of what `pattern` says, from this connection.
    pub fn take_from(&mut self, from: ConnId, pattern: Pattern) -> (HandlerId, Arc<EventQueue<R>>) {
        let queue = Arc::new(EventQueue::of_one());
        let pattern = guarded(pattern);
        let id = self.registry.take_from(from, pattern, None, queue.clone());
        (id, queue)
    }

    /// Ends a stream, or the waiting for one event.
    pub fn off(&mut self, id: HandlerId) {
        self.registry.off(id);
        self.all.remove(&id);
    }

    /// Shows a message to those who want it; gives it back if nobody does. `rights` makes what comes
    /// with it of its right to be answered, which the first gets who wants it. What came with events
    /// that have to go for it is put behind `dropped`.
    pub fn offer(
        &mut self,
        mut message: Message,
        from: Option<&Peer>,
        mut rights: impl FnMut(Option<ReplyToken>) -> R,
        dropped: &mut Vec<R>,
    ) -> Option<Message> {
        let mut delivery = Delivery::of_message(&mut message);
        delivery.from = from;
        let seen = self.registry.deliver(&mut delivery, |_, queue, delivery| {
            let right = rights(delivery.take_reply());
            queue.push(delivery.event, right, dropped);
        });
        (seen == 0).then_some(message)
    }

    /// The link is gone: those who wait for one event wait in vain.
    pub(crate) fn link_ended(&mut self) {
        self.registry.handle_closed(|_, queue, _| queue.end());
    }

    /// A connection is gone: those who wait for one event [from it](Self::take_from) wait in vain.
    pub fn link_ended_of(&mut self, connection: ConnId) {
        self.registry
            .handle_closed_of(connection, |_, queue, _| queue.end());
    }

    /// Nothing more will come: all streams end once what waits in them was taken.
    pub fn end(&mut self) {
        self.link_ended();
        for queue in self.all.values() {
            queue.end();
        }
    }
}

impl<R> Default for Subscriptions<R> {
    fn default() -> Self {
        Self {
            registry: Registry::new(),
            all: BTreeMap::new(),
        }
    }
}

/// The same pattern with a predicate whose panic counts as false: it runs under the connection's lock.
fn guarded(pattern: Pattern) -> Pattern {
    match pattern {
        Pattern::When(predicate) => Pattern::When(Box::new(move |event| {
            catch_unwind(AssertUnwindSafe(|| predicate(event))).unwrap_or_else(|_| {
                tracing::error!("a predicate panicked at {}", event.id);
                false
            })
        })),
        other => other,
    }
}

/// What waits for one stream of [`Subscriptions`]. Its lock is the innermost: nothing else is locked
/// under it.
#[derive(Debug)]
pub struct EventQueue<R = Option<ReplyToken>>(Mutex<Waiting<R>>);

#[derive(Debug)]
struct Waiting<R> {
    events: VecDeque<(Event, R)>,
    bytes: usize,
    limits: StreamLimits,
    missed: u64,
    is_over: bool,
    reader: Option<Waker>,
}

impl<R> EventQueue<R> {
    const fn new(limits: StreamLimits) -> Self {
        Self(Mutex::new(Waiting {
            events: VecDeque::new(),
            bytes: 0,
            limits,
            missed: 0,
            is_over: false,
            reader: None,
        }))
    }

    fn of_one() -> Self {
        Self::new(StreamLimits {
            max_events: 1,
            ..StreamLimits::default()
        })
    }

    /// Takes one more, and drops the oldest for it where there is no room.
    fn push(&self, event: &Event, right: R, dropped: &mut Vec<R>) {
        let mut waiting = self.lock();
        let mut event = event.clone();
        if !waiting.events.is_empty() {
            // A slice of its frame would keep all of that for as long as it waits.
            event.data = event.data.map(|data| data.detached());
        }
        let cost = cost(&event);
        while !waiting.has_room(cost)
            && let Some((old, right)) = waiting.pop()
        {
            drop(old);
            dropped.push(right);
            waiting.missed = waiting.missed.saturating_add(1);
        }
        waiting.bytes = waiting.bytes.saturating_add(cost);
        waiting.events.push_back((event, right));
        waiting.wake();
    }

    /// The next event; nothing after the end.
    pub fn poll_pop(&self, cx: &Context<'_>) -> Poll<Option<(Event, R)>> {
        let mut waiting = self.lock();
        match waiting.pop() {
            Some(next) => Poll::Ready(Some(next)),
            None if waiting.is_over => Poll::Ready(None),
            None => {
                match &mut waiting.reader {
                    Some(reader) => reader.clone_from(cx.waker()),
                    None => waiting.reader = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// What came with the events that still wait, and the end of it.
    #[must_use = "whoever waits for an answer is to be told"]
    pub fn clear(&self) -> Vec<R> {
        let mut waiting = self.lock();
        waiting.is_over = true;
        waiting.bytes = 0;
        let events = std::mem::take(&mut waiting.events);
        events.into_iter().map(|(_, right)| right).collect()
    }

    /// Nothing more will come.
    pub fn end(&self) {
        let mut waiting = self.lock();
        waiting.is_over = true;
        waiting.wake();
    }

    /// How many events were dropped for others so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.lock().missed
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().events.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Waiting<R> {
    fn has_room(&self, cost: usize) -> bool {
        self.events.len() < self.limits.max_events.max(1)
            && self.bytes.saturating_add(cost) <= self.limits.max_bytes
    }

    fn pop(&mut self) -> Option<(Event, R)> {
        let next = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(cost(&next.0));
        if self.events.is_empty() && self.events.capacity() > 64 {
            // What a burst needed is not kept.
            self.events = VecDeque::new();
        }
        Some(next)
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

fn cost(event: &Event) -> usize {
    let data = event.data.as_ref().and_then(|data| data.raw());
    data.map_or(0, bytes::Bytes::len).saturating_add(OVERHEAD)
}
