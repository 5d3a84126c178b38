//! Handlers that are closures, and what becomes of those that panic.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{
    Connection, Delivery, Event, EventId, Gone, HandlerId, Instant, Message, Pattern, Payload,
    Registry, ReplyError, ReplyToken, RequestId,
};

use crate::engine::Engine;
use crate::events::Events;
use crate::handle::Handle;
use crate::runtime::{Either, either, yield_now};

/// How many panics are reported one by one until the reports are taken. All are counted.
const MAX_REPORTS: usize = 64;

/// How many events [`Dispatcher::next`] takes until others of its runtime have their turn.
const EVENTS_IN_A_ROW: usize = 256;

/// A [`Registry`] of closures, and the loop that shows them what arrives on a connection or, as
/// `Dispatcher<Client>`, on a client.
///
/// Every match sees a message, in the order of registration, while [`next`](Self::next) is awaited
/// and on the task that awaits it: nothing runs behind it. Handlers that do not wait are best
/// [attached](Self::attach): the driver of the connection runs them then, and answers with the write
/// that follows its read, without a task. A handler that has to wait for something spawns a task, and
/// takes the [`Responder`] of a call along.
///
/// # Handlers that panic
///
/// A panic is caught, counted, logged and reported as [`Dispatched::Panicked`]. The other handlers
/// run, the handler stays registered, and a call that it took upon itself is answered with an error
/// at once. The same holds for predicates ([`Pattern::When`]), which then count as false. Where
/// panics abort, there is nothing to catch.
///
/// ```no_run
/// use sente_adapters::{Dispatched, Dispatcher, Events};
/// use sente_core::{EventId, Pattern};
///
/// # async fn example(mut events: Events) -> Result<(), Box<dyn std::error::Error>> {
/// let mut handlers = Dispatcher::new(events.handle().clone());
/// handlers.on(Pattern::Id(EventId::new("test/double")?), |received| {
///     let number = received.event().data.as_ref().and_then(|data| data.to_value().ok()?.as_i64());
///     if let Some(number) = number {
///         let _ = received.reply(number * 2);
///     }
/// });
/// while let Some(event) = handlers.next(&mut events).await {
///     match event {
///         Dispatched::Event(event) => println!("not for the handlers: {event:?}"),
///         Dispatched::Panicked(panic) => println!("{panic}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Dispatcher<M: Engine = Connection> {
    handle: Handle<M>,
    registry: Registry<Handler<M>>,
    panics: Arc<Panics>,
}

impl<M: Engine> Dispatcher<M> {
    /// No handlers yet, for what arrives on `handle`'s connection or client.
    #[must_use]
    pub fn new(handle: Handle<M>) -> Self {
        Self {
            handle,
            registry: Registry::new(),
            panics: Arc::default(),
        }
    }

    /// Registers a handler that stays, over reconnects too, until it is taken [`off`](Self::off).
    pub fn on(
        &mut self,
        pattern: Pattern,
        handler: impl FnMut(&mut Received<'_, M>) + Send + 'static,
    ) -> HandlerId {
        let pattern = self.guarded(pattern);
        self.registry.on(pattern, Handler::that_stays(handler))
    }

    /// Registers a waiter: it sees one message and is gone, or is told that none came `within` that
    /// time, or that the link ended first.
    pub fn take(
        &mut self,
        pattern: Pattern,
        within: Option<Duration>,
        handler: impl FnOnce(Result<&mut Received<'_, M>, Gone>) + Send + 'static,
    ) -> HandlerId {
        let deadline = within.map(|within| self.handle.shared.clock.now() + within);
        let pattern = self.guarded(pattern);
        let waiter = Handler::that_waits(handler);
        self.registry.take(pattern, deadline, waiter)
    }

    /// Registers a waiter for the event whose data map has this `:request-id`, as
    /// [`Registry::take_reply`].
    pub fn take_reply(
        &mut self,
        request: impl Into<RequestId>,
        within: Option<Duration>,
        handler: impl FnOnce(Result<&mut Received<'_, M>, Gone>) + Send + 'static,
    ) -> HandlerId {
        self.take(Pattern::RequestId(request.into()), within, handler)
    }

    /// Removes a handler. Whether it was there.
    pub fn off(&mut self, id: HandlerId) -> bool {
        self.registry.off(id)
    }

    /// Removes the handlers of exactly this id, as [`Registry::off_event`]. How many.
    pub fn off_event(&mut self, event: &EventId) -> usize {
        self.registry.off_event(event)
    }

    /// Removes all handlers. How many.
    pub fn off_all(&mut self) -> usize {
        self.registry.off_all()
    }

    /// How many handlers and waiters there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.registry.count()
    }

    /// How many handlers and predicates have panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.count.load(Ordering::Relaxed)
    }

    /// The next that no handler wants, or a panic of one; `None` after the end, as with
    /// [`Events::next`].
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self, events: &mut Events<M>) -> Option<Dispatched<M::Event>> {
        let mut in_a_row = 0_usize;
        loop {
            if let Some(panic) = self.poll_panic() {
                return Some(Dispatched::Panicked(panic));
            }
            in_a_row = in_a_row.saturating_add(1);
            if in_a_row.is_multiple_of(EVENTS_IN_A_ROW) {
                yield_now().await;
            }
            let event = match self.registry.poll_timeout() {
                // Without a time to keep, what is there is taken without a look at the clock.
                None => events.next().await?,
                Some(due) => {
                    let due = self.handle.shared.clock.reached(Some(due));
                    match either(due, events.next()).await {
                        Either::First(()) => {
                            self.handle_timeout();
                            continue;
                        }
                        Either::Second(event) => event?,
                    }
                }
            };
            if let Some(other) = self.dispatch(event) {
                return Some(Dispatched::Event(other));
            }
        }
    }

    /// Shows an event to the handlers that want it, and gives back what none wants. With the end of
    /// a link waiters are told of it, and the event is given back. For an application that takes
    /// the events itself; [`next`](Self::next) does the rest as well.
    ///
    /// A call that was shown to handlers, and that none of them took the reply of, is answered with
    /// an error.
    pub fn dispatch(&mut self, mut event: M::Event) -> Option<M::Event> {
        let is_shown = self.show(&mut event, None);
        (!is_shown).then_some(event)
    }

    /// The same, on the driver. Whether any handler wanted it.
    pub(crate) fn dispatch_inline(&mut self, event: &mut M::Event, inline: &mut OnDriver) -> bool {
        self.show(event, Some(inline))
    }

    /// When the next waiter has waited long enough.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.registry.poll_timeout()
    }

    /// Whether a panic is to be told of.
    pub(crate) fn has_panic(&self) -> bool {
        self.panics.is_news.load(Ordering::Relaxed)
    }

    /// Counts the panic of what is no handler.
    pub(crate) fn count_panic(&self, payload: Box<dyn Any + Send>) {
        report(&self.panics, None, None, payload);
    }

    /// Shows an event where it lies. Whether any handler wanted it.
    fn show(&mut self, event: &mut M::Event, inline: Option<&mut OnDriver>) -> bool {
        if let Some(message) = M::message_in(event) {
            return self.deliver(message, inline);
        }
        if M::ends_link(event) {
            let panics = &self.panics;
            self.registry.handle_closed(|id, mut waiter, gone| {
                caught(panics, id, None, || waiter.show(Err(gone)));
            });
        }
        false
    }

    /// Tells the waiters whose time has come. [`next`](Self::next) does that, too.
    pub fn handle_timeout(&mut self) {
        let now = self.handle.shared.clock.now();
        let panics = &self.panics;
        self.registry.handle_timeout(now, |id, mut waiter, gone| {
            caught(panics, id, None, || waiter.show(Err(gone)));
        });
    }

    /// The next report of a panic. Of those that are not taken no more than 64 are kept.
    pub fn poll_panic(&mut self) -> Option<HandlerPanic> {
        self.panics.take()
    }

    fn deliver(&mut self, message: &mut Message, mut inline: Option<&mut OnDriver>) -> bool {
        let (handle, panics) = (&self.handle, &self.panics);
        let Message {
            event,
            reply: token,
            ..
        } = message;
        let event = &*event;
        let seen = self
            .registry
            .deliver(&mut Delivery::new(event), |id, handler, _| {
                let mut received = Received {
                    event,
                    handle,
                    token,
                    inline: inline.as_deref_mut(),
                };
                caught(panics, id, Some(event), || handler.show(Ok(&mut received)));
            });
        if seen > 0
            && let Some(token) = token.take()
        {
            // It fails only where the caller is gone.
            let _ = answer(handle, inline, |machine, now| {
                machine.reply_error(now, token)
            });
        }
        seen > 0
    }

    /// The same pattern with a predicate that does not panic.
    fn guarded(&self, pattern: Pattern) -> Pattern {
        let Pattern::When(predicate) = pattern else {
            return pattern;
        };
        let panics = self.panics.clone();
        Pattern::When(Box::new(move |event| {
            catch_unwind(AssertUnwindSafe(|| predicate(event))).unwrap_or_else(|payload| {
                report(&panics, None, Some(event), payload);
                false
            })
        }))
    }
}

impl<M: Engine> fmt::Debug for Dispatcher<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("handlers", &self.count())
            .field("panics", &self.panics())
            .finish_non_exhaustive()
    }
}

/// What comes of dispatching.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it was for a handler, and went well, or not"
)]
pub enum Dispatched<O> {
    /// What no handler wants, and what is not for handlers.
    Event(O),
    /// A handler or a predicate panicked.
    Panicked(HandlerPanic),
}

/// That a handler panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handler panicked{}: {message}", On(.event.as_ref()))]
#[non_exhaustive]
pub struct HandlerPanic {
    /// Which; `None` for a predicate, and for what is shown the rest
    /// ([`Dispatcher::attach_with`]).
    pub handler: Option<HandlerId>,
    /// At which event; `None` for a waiter that was told that nothing came.
    pub event: Option<EventId>,
    /// What the panic said.
    pub message: String,
}

/// A message as a handler sees it.
#[derive(Debug)]
pub struct Received<'a, M: Engine = Connection> {
    event: &'a Event,
    handle: &'a Handle<M>,
    /// Until it is used.
    token: &'a mut Option<ReplyToken>,
    /// Where the driver runs the handler and looks after its answers by itself.
    inline: Option<&'a mut OnDriver>,
}

/// What the driver has to say to the handlers it runs, and they to it.
#[derive(Debug)]
pub(crate) struct OnDriver {
    /// When it is.
    pub(crate) now: Instant,
    /// Whether so many answers wait to be written that there is to be no other.
    pub(crate) has_no_room: bool,
}

impl<M: Engine> Received<'_, M> {
    /// The event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        self.event
    }

    /// What to send with, to whom the event came from.
    #[must_use]
    pub const fn handle(&self) -> &Handle<M> {
        self.handle
    }

    /// Whether the sender waits for an answer that no handler has taken upon itself yet.
    #[must_use]
    pub const fn wants_reply(&self) -> bool {
        self.token.is_some()
    }

    /// The right to answer, once; `None` for an event nobody waits on, and for all handlers but the
    /// first that ask.
    #[must_use = "a responder that is dropped answers with an error"]
    pub fn take_reply(&mut self) -> Option<Responder<M>> {
        let token = self.token.take()?;
        Some(Responder::new(self.handle.clone(), token))
    }

    /// Answers the call now: the shortest way. A [`Responder`] is for an answer that comes later.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back; [`ReplyError::NotOpen`] also where nobody waits for an
    /// answer, or no longer, since another handler has answered.
    pub fn reply(&mut self, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        let payload = payload.into();
        match self.token.take() {
            Some(token) => answer(self.handle, self.inline.as_deref_mut(), |machine, now| {
                machine.reply(now, token, payload)
            }),
            None => Err(ReplyError::NotOpen(Box::new(payload))),
        }
    }
}

/// The right to answer one call, once. Dropped without an answer, by a panic for example, it tells
/// the caller at once that the call failed.
#[derive(Debug)]
#[must_use = "dropped, it answers with an error"]
pub struct Responder<M: Engine = Connection> {
    handle: Handle<M>,
    /// `None` once it is used.
    token: Option<ReplyToken>,
}

impl<M: Engine> Responder<M> {
    pub(crate) const fn new(handle: Handle<M>, token: ReplyToken) -> Self {
        Self {
            handle,
            token: Some(token),
        }
    }

    /// Says that nobody will answer, and does not tell the caller.
    pub fn forget(mut self) {
        if let Some(token) = self.token.take() {
            self.handle.forget(token);
        }
    }

    /// Answers the call.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back; also when the link the call came on is gone.
    pub fn reply(mut self, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        match self.token.take() {
            Some(token) => self.handle.reply(token, payload),
            None => Err(ReplyError::NotOpen(Box::new(payload.into()))),
        }
    }
}

impl<M: Engine> Drop for Responder<M> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            // It fails only where the caller is gone.
            let _ = self.handle.reply_error(token);
        }
    }
}

/// What a handler does with a message, or a waiter with the news that none comes.
struct Handler<M: Engine>(Box<Shown<M>>);

type Shown<M> = dyn FnMut(Result<&mut Received<'_, M>, Gone>) + Send;

impl<M: Engine> Handler<M> {
    fn that_stays(mut handler: impl FnMut(&mut Received<'_, M>) + Send + 'static) -> Self {
        Self(Box::new(move |shown| {
            if let Ok(received) = shown {
                handler(received);
            }
        }))
    }

    fn that_waits(
        waiter: impl FnOnce(Result<&mut Received<'_, M>, Gone>) + Send + 'static,
    ) -> Self {
        let mut waiter = Some(waiter);
        Self(Box::new(move |shown| {
            if let Some(waiter) = waiter.take() {
                waiter(shown);
            }
        }))
    }

    fn show(&mut self, shown: Result<&mut Received<'_, M>, Gone>) {
        (self.0)(shown);
    }
}

/// The panics so far, and those that nobody has been told of.
#[derive(Debug, Default)]
struct Panics {
    count: AtomicU64,
    /// Whether there are reports.
    is_news: AtomicBool,
    reports: Mutex<VecDeque<HandlerPanic>>,
}

impl Panics {
    fn take(&self) -> Option<HandlerPanic> {
        if !self.is_news.load(Ordering::Relaxed) {
            return None;
        }
        let mut reports = self.reports();
        let report = reports.pop_front();
        self.is_news.store(!reports.is_empty(), Ordering::Relaxed);
        report
    }

    fn add(&self, panic: HandlerPanic) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut reports = self.reports();
        if reports.len() < MAX_REPORTS {
            reports.push_back(panic);
        }
        self.is_news.store(true, Ordering::Relaxed);
    }

    fn reports(&self) -> MutexGuard<'_, VecDeque<HandlerPanic>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queues an answer, and has it written, where the driver is not there already.
fn answer<M: Engine, T>(
    handle: &Handle<M>,
    inline: Option<&mut OnDriver>,
    f: impl FnOnce(&mut M, Instant) -> T,
) -> T {
    if let Some(inline) = inline {
        return handle.shared.answer_on_driver(inline, f);
    }
    let answered = handle.shared.answer(f);
    handle.shared.wake();
    answered
}

/// ` at :test/event`, where there was one.
struct On<'a>(Option<&'a EventId>);

impl fmt::Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |event| write!(f, " at {event}"))
    }
}

/// Runs `handler`, and reports its panic.
fn caught(panics: &Panics, id: HandlerId, event: Option<&Event>, handler: impl FnOnce()) {
    // What the handler leaves half done is its own; the registry and the engine are not in its
    // reach while it runs.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(handler)) {
        report(panics, Some(id), event, payload);
    }
}

fn report(
    panics: &Panics,
    handler: Option<HandlerId>,
    event: Option<&Event>,
    payload: Box<dyn Any + Send>,
) {
    let panic = HandlerPanic {
        handler,
        event: event.map(|event| event.id.clone()),
        message: message_of(payload),
    };
    tracing::error!("{panic}");
    panics.add(panic);
}

pub(crate) fn message_of(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(message) => return *message,
        Err(payload) => payload,
    };
    match payload.downcast::<&'static str>() {
        Ok(message) => (*message).to_owned(),
        Err(payload) => {
            // Dropping what is not known could panic again.
            std::mem::forget(payload);
            String::from("it says nothing")
        }
    }
}
