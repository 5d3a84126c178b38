//! What the handles, the events and the driver of one connection or client share.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{
    CallError, CallId, ConnectionEvent, FlushId, Instant, Message, Opened, Payload, Ticket,
};
use tokio::sync::oneshot;

use crate::attendant::Attendant;
use crate::budget::Share;
use crate::clock::Clock;
use crate::direct::Direct;
use crate::dispatch::OnDriver;
use crate::engine::Engine;
use crate::events::Events;
use crate::flushes::Flushes;
use crate::handle::Handle;
use crate::inline::Inline;
use crate::signal::{Room, Signal};
use crate::subscriptions::Subscriptions;

/// How long what nobody holds any more may take to write what is queued.
pub(crate) const ABANDONED: Duration = Duration::from_secs(5);

/// What handles, events and the driver share. The lock is never held over an await.
#[derive(Debug)]
pub(crate) struct Shared<M: Engine> {
    inner: Mutex<Inner<M>>,
    /// How many handles there are, those that events have among them.
    pub(crate) handles: AtomicUsize,
    pub(crate) clock: Clock,
    /// The driver should look again.
    pub(crate) driver: Arc<Signal>,
    /// `Events` should look again.
    pub(crate) arrived: Signal,
    /// Senders should try again.
    pub(crate) room: Room,
    pub(crate) facts: M::Facts,
}

pub(crate) struct Inner<M: Engine> {
    pub(crate) machine: M,
    /// Who looks after it from the driver, until that is gone.
    pub(crate) attendant: Option<Arc<dyn Attendant<M>>>,
    /// The handlers that the driver runs, from when they are attached on.
    pub(crate) inline: Option<Box<Inline<M>>>,
    /// What is written past the driver.
    pub(crate) direct: Direct,
    /// The link's share of the budget of received bytes, until everything received has been given
    /// out.
    pub(crate) share: Option<Share>,
    /// Who waits for answers; kept from the first who did.
    waiting: Option<Box<Waiting<M::Event>>>,
    /// Who takes messages past the events, once somebody has.
    pub(crate) subscriptions: Option<Box<Subscriptions>>,
    /// The newest terms that were given out.
    pub(crate) opened: Option<Box<Opened>>,
    /// The last event has been given out.
    pub(crate) told_end: bool,
    /// Nobody reads the events.
    pub(crate) discarding: bool,
    /// Nobody holds a handle.
    pub(crate) abandoned: bool,
    /// The driver is gone.
    pub(crate) over: bool,
}

/// Who waits for what a machine answers, and what of it is not told yet.
pub(crate) struct Waiting<E> {
    pub(crate) calls: HashMap<CallId, Waiter>,
    pub(crate) flushes: Flushes,
    /// Who waits for room; told whether there is.
    pub(crate) tickets: HashMap<Ticket, oneshot::Sender<bool>>,
    /// Calls that settled and are told by the events.
    settled: VecDeque<E>,
}

impl<E> Default for Waiting<E> {
    fn default() -> Self {
        Self {
            calls: HashMap::new(),
            flushes: Flushes::default(),
            tickets: HashMap::new(),
            settled: VecDeque::new(),
        }
    }
}

/// Who waits for the end of a call.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// Whoever reads the events.
    Events,
    Future(oneshot::Sender<Result<Payload, CallError>>),
}

impl<M: Engine> fmt::Debug for Inner<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("machine", &self.machine)
            .field("told_end", &self.told_end)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl<M: Engine> Inner<M> {
    /// Has whoever looks after the machine do so. When to do it again.
    pub(crate) fn attend(&mut self, now: Instant) -> Option<Instant> {
        let attendant = Arc::clone(self.attendant.as_ref()?);
        attendant.attend(now, &mut self.machine)
    }

    /// Those who wait, to join them.
    pub(crate) fn waiting(&mut self) -> &mut Waiting<M::Event> {
        self.waiting.get_or_insert_default()
    }

    /// Takes whoever waits for a call out.
    pub(crate) fn take_waiter(&mut self, call: CallId) -> Option<Waiter> {
        self.waiting.as_mut()?.calls.remove(&call)
    }

    /// Hands settled calls and flushes to those who wait for them, and what else has changed to
    /// those who watch.
    pub(crate) fn settle(&mut self, shared: &Shared<M>) {
        while let Some(answer) = self.machine.poll_answer() {
            if let Some(told) = self.answer(answer, shared).map(M::told_of_link) {
                self.waiting().settled.push_back(told);
            }
        }
        if self.machine.take_note(&shared.facts) {
            shared.room.notify_waiters();
        }
    }

    /// Takes a settled call, a flush, a reservation or new room to those who wait; gives back
    /// anything else.
    fn answer(&mut self, event: ConnectionEvent, shared: &Shared<M>) -> Option<ConnectionEvent> {
        match event {
            ConnectionEvent::Settled { call, result } => match self.take_waiter(call) {
                Some(Waiter::Future(waiter)) => {
                    // A waiter that is gone has cancelled.
                    let _ = waiter.send(result);
                }
                Some(Waiter::Events) => return Some(ConnectionEvent::Settled { call, result }),
                None => {}
            },
            ConnectionEvent::Flushed(flush) => self.flushed(flush, true),
            ConnectionEvent::FlushFailed(flush) => self.flushed(flush, false),
            ConnectionEvent::Granted(ticket) => self.reserved(ticket, true),
            ConnectionEvent::ReservationExpired(ticket)
            | ConnectionEvent::ReservationFailed(ticket) => self.reserved(ticket, false),
            ConnectionEvent::SendReady => shared.room.notify_waiters(),
            ConnectionEvent::Message(message) if self.subscriptions.is_some() => {
                return self.offer(message, shared);
            }
            other => return Some(other),
        }
        None
    }

    /// Shows a message to those who take it past the events; gives back what nobody takes.
    #[cold]
    fn offer(&mut self, message: Message, shared: &Shared<M>) -> Option<ConnectionEvent> {
        let Some(all) = &mut self.subscriptions else {
            return Some(ConnectionEvent::Message(message));
        };
        let mut dropped = Vec::new();
        let left = all.offer(message, None, |reply| reply, &mut dropped);
        for token in dropped.into_iter().flatten() {
            // It fails only where the caller is gone.
            let _ = self.machine.reply_error(shared.clock.now(), token);
            shared.wake();
        }
        left.map(ConnectionEvent::Message)
    }

    /// Whether nothing more will be told.
    pub(crate) fn is_told_out(&self) -> bool {
        self.told_end || (self.over && !self.machine.has_event())
    }

    /// Tells those who take messages past the events that none will come, if that is so.
    pub(crate) fn end_subscriptions(&mut self) {
        if self.is_told_out()
            && let Some(all) = &mut self.subscriptions
        {
            all.end();
        }
    }

    fn flushed(&mut self, flush: FlushId, written: bool) {
        if let Some(waiting) = &mut self.waiting {
            waiting.flushes.settle(flush, written);
        }
    }

    fn reserved(&mut self, ticket: Ticket, granted: bool) {
        let waiting = self.waiting.as_mut();
        if let Some(waiter) = waiting.and_then(|waiting| waiting.tickets.remove(&ticket)) {
            let _ = waiter.send(granted);
        }
    }

    /// The next event, which is given out with this.
    pub(crate) fn next_event(&mut self, shared: &Shared<M>) -> Option<M::Event> {
        let event = self.take_event(shared)?;
        self.note_given_out(&event);
        Some(event)
    }

    /// The next event; [`note_given_out`](Self::note_given_out) has to follow when it is given out, where
    /// it is no message.
    #[inline]
    pub(crate) fn take_event(&mut self, shared: &Shared<M>) -> Option<M::Event> {
        if let Some(waiting) = &mut self.waiting
            && let Some(settled) = waiting.settled.pop_front()
        {
            return Some(settled);
        }
        let event = self.machine.poll_event();
        // As nearly always; it is not moved for this.
        if self.subscriptions.is_none() && event.as_ref().is_none_or(M::is_message) {
            return event;
        }
        self.sort_out(event?, shared)
    }

    /// Keeps from `event`, and from what follows, what somebody waits for; gives back the first that
    /// nobody does.
    #[cold]
    fn sort_out(&mut self, mut event: M::Event, shared: &Shared<M>) -> Option<M::Event> {
        loop {
            // Polling may decode what had no room before, an answer among it.
            let other = match M::of_link(event) {
                Ok(event) => self.answer(event, shared).map(M::told_of_link),
                Err(other) => Some(other),
            };
            if other.is_some() {
                return other;
            }
            event = self.machine.poll_event()?;
        }
    }

    /// Takes note of what the application is told with `event`.
    #[inline]
    pub(crate) fn note_given_out(&mut self, event: &M::Event) {
        if !M::is_message(event) {
            self.note_news(event);
        }
    }

    #[cold]
    fn note_news(&mut self, event: &M::Event) {
        // An attendant is told them, and most connections of a server are never asked.
        if self.attendant.is_none()
            && let Some(opened) = M::terms(event)
        {
            self.opened = Some(Box::new(opened.clone()));
        }
        if M::ends_link(event)
            && let Some(all) = &mut self.subscriptions
        {
            all.link_ended();
        }
        if M::is_last(event) {
            self.told_end = true;
            self.share = None;
            self.end_subscriptions();
        }
    }

    /// Tells the link what it is allowed to receive, if that has changed.
    pub(crate) fn heed_share(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(bytes) = self.share.as_mut().and_then(Share::news) {
            self.machine.set_recv_allowance(now(), bytes);
        }
    }

    /// Sees to the link's share of the budget, after anything that may have changed how much waits
    /// for the application.
    pub(crate) fn keep_share(&mut self, now: impl Fn() -> Instant) {
        while self.share.is_some() {
            self.heed_share(&now);
            // Each round doubles the share, or halves it once.
            let Some(capacity) = self.machine.recv_capacity() else {
                self.share = None;
                return;
            };
            if !self
                .share
                .as_mut()
                .is_some_and(|share| share.report(&capacity))
            {
                return;
            }
        }
    }

    /// Whether there is something to tell.
    pub(crate) fn has_event(&self) -> bool {
        let waiting = self.waiting.as_ref();
        self.machine.has_event() || waiting.is_some_and(|waiting| !waiting.settled.is_empty())
    }

    /// Whether taking an event may give one: what had no room before is decoded with that.
    pub(crate) fn may_have_event(&self) -> bool {
        self.has_event() || !self.machine.wants_read()
    }

    /// Sees to all that what was done with the machine may be followed by.
    fn see_to(&mut self, shared: &Shared<M>, now: Instant) {
        self.keep_share(|| now);
        self.settle(shared);
        if self.discarding {
            self.discard(shared, now);
            self.keep_share(|| now);
            self.settle(shared);
        }
    }

    /// Throws away what nobody will read.
    fn discard(&mut self, shared: &Shared<M>, now: Instant) {
        while let Some(event) = self.next_event(shared) {
            self.machine.discard(now, event);
        }
        self.end_subscriptions();
    }
}

impl<M: Engine> Shared<M> {
    pub(crate) fn new(
        machine: M,
        clock: Clock,
        driver: Arc<Signal>,
        share: Option<Share>,
        facts: M::Facts,
    ) -> Arc<Self> {
        let inner = Inner {
            machine,
            attendant: None,
            inline: None,
            direct: Direct::default(),
            share,
            waiting: None,
            subscriptions: None,
            opened: None,
            told_end: false,
            discarding: false,
            abandoned: false,
            over: false,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            handles: AtomicUsize::new(0),
            clock,
            driver,
            arrived: Signal::default(),
            room: Room::default(),
            facts,
        })
    }

    /// What an application holds of it.
    pub(crate) fn hold(self: &Arc<Self>) -> (Handle<M>, Events<M>) {
        let handle = Handle::of(self.clone());
        let events = Events::new(handle.clone());
        (handle, events)
    }

    /// Runs `f` on the machine, and passes on what came of it. For the driver.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut M, Instant) -> T) -> T {
        let mut inner = self.lock();
        let now = self.clock.now();
        // First, so that a driver woken for its share finds that there is room to read.
        inner.heed_share(|| now);
        let result = f(&mut inner.machine, now);
        self.pass_on(inner, now);
        result
    }

    /// Tells the machine of something, has those who work on the driver do their part, and asks it
    /// something: all under one lock, but that handlers run without, and at one time. For the driver
    /// of a connection.
    pub(crate) fn step<T>(
        &self,
        tell: impl FnOnce(&mut M, Instant),
        ask: impl FnOnce(&mut M, &mut Direct, Instant, Again) -> T,
    ) -> T {
        let mut inner = self.lock();
        let now = self.clock.now();
        inner.heed_share(|| now);
        tell(&mut inner.machine, now);
        // All that may change what is wanted, before that is asked.
        let mut again = Again::default();
        if inner.inline.is_some() {
            // What handlers take at once is not in the way of what is read next.
            inner.settle(self);
            inner = self.run_inline(inner, now, &mut again);
            inner.keep_share(|| now);
        } else {
            inner.see_to(self, now);
        }
        let attended = inner.attend(now).map(|at| at.max(now));
        again.at = [again.at, attended].into_iter().flatten().min();
        let Inner {
            machine, direct, ..
        } = &mut *inner;
        let result = ask(machine, direct, now, again);
        inner.settle(self);
        self.tell_of_events(inner);
        result
    }

    /// Queues an answer, of which nothing comes that anybody waits for.
    pub(crate) fn answer<T>(&self, f: impl FnOnce(&mut M, Instant) -> T) -> T {
        let mut inner = self.lock();
        let now = self.clock.now();
        let had_event = inner.machine.has_event();
        let result = f(&mut inner.machine, now);
        if !had_event && inner.machine.has_event() {
            self.pass_on(inner, now);
        }
        result
    }

    /// The same for a handler that the driver runs, which passes on what comes of it.
    pub(crate) fn answer_on_driver<T>(
        &self,
        driver: &mut OnDriver,
        f: impl FnOnce(&mut M, Instant) -> T,
    ) -> T {
        let mut inner = self.lock();
        let result = f(&mut inner.machine, driver.now);
        driver.has_no_room = !inner.machine.has_reply_room();
        result
    }

    /// Passes on what came of what was done with the machine.
    fn pass_on(&self, mut inner: MutexGuard<'_, Inner<M>>, now: Instant) {
        inner.see_to(self, now);
        self.tell_of_events(inner);
    }

    /// Wakes those who take events, if there are any.
    fn tell_of_events(&self, inner: MutexGuard<'_, Inner<M>>) {
        let arrived = match &inner.inline {
            Some(inline) => inline.has_rest() || inner.told_end,
            None => inner.has_event(),
        };
        let attendant = if arrived {
            inner.attendant.clone()
        } else {
            None
        };
        drop(inner);
        if arrived {
            self.arrived.notify();
        }
        if let Some(attendant) = attendant {
            attendant.arrived();
        }
    }

    /// The same, and wakes the driver. For everybody else.
    pub(crate) fn with_waking<T>(&self, f: impl FnOnce(&mut M, Instant) -> T) -> T {
        let result = self.with(f);
        self.wake();
        result
    }

    /// Has whoever looks after the machine do so, before it is asked what is to be written. When to
    /// do it again.
    pub(crate) fn attend(&self) -> Option<Instant> {
        let mut inner = self.lock();
        let now = self.clock.now();
        let again = inner.attend(now);
        again.map(|at| at.max(now))
    }

    /// Gives up a reservation.
    pub(crate) fn release(&self, ticket: Ticket) {
        if let Some(waiting) = &mut self.lock().waiting {
            waiting.tickets.remove(&ticket);
        }
        self.with(|machine, now| machine.release(now, ticket));
    }

    pub(crate) fn wake(&self) {
        self.driver.notify();
    }

    /// Comes when somebody else has changed the machine.
    pub(crate) async fn woken(&self) {
        self.driver.notified().await;
    }

    /// The end of the driver, after what `last` does: nothing will be written or read any more, and
    /// nobody waits any longer.
    pub(crate) fn let_go(&self, last: impl FnOnce(&mut Inner<M>)) {
        self.run_inline_to_the_end();
        let mut inner = self.lock();
        inner.over = true;
        inner.direct = Direct::default();
        last(&mut inner);
        if let Some(waiting) = &mut inner.waiting {
            for (call, waiter) in std::mem::take(&mut waiting.calls) {
                if let Waiter::Events = waiter {
                    let result = Err(CallError::Closed);
                    let settled = ConnectionEvent::Settled { call, result };
                    waiting.settled.push_back(M::told_of_link(settled));
                }
            }
            waiting.flushes.clear();
            waiting.tickets.clear();
        }
        if inner.discarding {
            inner.discard(self, self.clock.now());
        }
        inner.end_subscriptions();
        let attendant = inner.attendant.take();
        let work = inner.inline.as_mut().and_then(|inline| inline.work.take());
        drop(inner);
        drop(work);
        if let Some(attendant) = attendant {
            attendant.arrived();
        }
        self.arrived.notify();
        self.room.notify_waiters();
    }

    /// Drains what nobody holds any more.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.with_waking(|machine, now| machine.drain(now, now + ABANDONED));
    }

    /// A panic under this lock would be a bug of the engine; the state is still the best there is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the driver is to come back, whatever happens until then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Again {
    pub(crate) at: Option<Instant>,
    /// At once: handlers have more to do.
    pub(crate) at_once: bool,
    /// How many events were shown to handlers.
    pub(crate) shown: usize,
    /// Whether handlers see no more until answers are written.
    pub(crate) lacks_room: bool,
}
