//! Who takes events past the one main stream of them, and what waits for these.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use sente_core::{Delivery, Event, HandlerId, Message, Pattern, Registry, ReplyToken};

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

/// All of one connection or client.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    registry: Registry<Arc<Queue>>,
    all: BTreeMap<HandlerId, Arc<Queue>>,
}

impl Subscriptions {
    /// A stream of what `pattern` says, until it is taken [`off`](Self::off).
    pub(crate) fn on(&mut self, pattern: Pattern, limits: StreamLimits) -> (HandlerId, Arc<Queue>) {
        let queue = Arc::new(Queue::new(limits));
        let id = self.registry.on(guarded(pattern), queue.clone());
        self.all.insert(id, queue.clone());
        (id, queue)
    }

    /// One event of what `pattern` says.
    pub(crate) fn take(&mut self, pattern: Pattern) -> (HandlerId, Arc<Queue>) {
        let limits = StreamLimits {
            max_events: 1,
            ..StreamLimits::default()
        };
        let queue = Arc::new(Queue::new(limits));
        let id = self.registry.take(guarded(pattern), None, queue.clone());
        (id, queue)
    }

    pub(crate) fn off(&mut self, id: HandlerId) {
        self.registry.off(id);
        self.all.remove(&id);
    }

    /// Shows a message to those who want it; gives it back if nobody does. What has to go for it is
    /// put behind `dropped`, where its sender waits for an answer.
    pub(crate) fn offer(
        &mut self,
        mut message: Message,
        dropped: &mut Vec<ReplyToken>,
    ) -> Option<Message> {
        let mut delivery = Delivery::of_message(&mut message);
        let seen = self.registry.deliver(&mut delivery, |_, queue, delivery| {
            let reply = delivery.take_reply();
            queue.push(delivery.event, reply, dropped);
        });
        (seen == 0).then_some(message)
    }

    /// The link is gone: those who wait for one event wait in vain.
    pub(crate) fn link_ended(&mut self) {
        self.registry.handle_closed(|_, queue, _| queue.end());
    }

    /// Nothing more will come.
    pub(crate) fn end(&mut self) {
        self.link_ended();
        for queue in self.all.values() {
            queue.end();
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

/// What waits for one stream. Its lock is the innermost: nothing else is locked under it.
#[derive(Debug)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    events: VecDeque<Waiter>,
    bytes: usize,
    limits: StreamLimits,
    missed: u64,
    is_over: bool,
    reader: Option<Waker>,
}

/// An event, and the right to answer it.
pub(crate) type Waiter = (Event, Option<ReplyToken>);

impl Queue {
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

    /// Takes one more, and drops the oldest for it where there is no room.
    fn push(&self, event: &Event, reply: Option<ReplyToken>, dropped: &mut Vec<ReplyToken>) {
        let mut waiting = self.lock();
        let mut event = event.clone();
        if !waiting.events.is_empty() {
            // A slice of its frame would keep all of that for as long as it waits.
            event.data = event.data.map(|data| data.detached());
        }
        let cost = cost(&event);
        while !waiting.has_room(cost)
            && let Some((old, reply)) = waiting.pop()
        {
            drop(old);
            dropped.extend(reply);
            waiting.missed = waiting.missed.saturating_add(1);
        }
        waiting.bytes = waiting.bytes.saturating_add(cost);
        waiting.events.push_back((event, reply));
        waiting.wake();
    }

    /// The next event; nothing after the end.
    pub(crate) fn poll_pop(&self, cx: &Context<'_>) -> Poll<Option<Waiter>> {
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

    /// The rights to answer of what still waits, and the end of it.
    pub(crate) fn clear(&self) -> Vec<ReplyToken> {
        let mut waiting = self.lock();
        waiting.is_over = true;
        waiting.bytes = 0;
        let events = std::mem::take(&mut waiting.events);
        events.into_iter().filter_map(|(_, reply)| reply).collect()
    }

    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        waiting.is_over = true;
        waiting.wake();
    }

    pub(crate) fn missed(&self) -> u64 {
        self.lock().missed
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().events.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_room(&self, cost: usize) -> bool {
        self.events.len() < self.limits.max_events.max(1)
            && self.bytes.saturating_add(cost) <= self.limits.max_bytes
    }

    fn pop(&mut self) -> Option<Waiter> {
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
