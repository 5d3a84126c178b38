//! What the handles, the events and the driver of one connection share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{
    CallError, CallId, ConnId, Connection, ConnectionEvent, FlushId, Instant, Opened, Payload,
    State, Stats, Ticket,
};
use tokio::sync::{Notify, oneshot, watch};

use crate::budget::{Share, SharedRecvBudget};
use crate::clock::Clock;
use crate::driver;
use crate::events::Events;
use crate::handle::{End, Handle};
use crate::transport::Transport;

/// How long a connection that nobody holds any more may take to write what is queued.
const ABANDONED: Duration = Duration::from_secs(5);

/// What handle, events and driver share. The lock is never held over an await.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<Inner>,
    pub(crate) clock: Clock,
    /// The driver should look again.
    driver: Arc<Notify>,
    /// `Events` should look again.
    pub(crate) arrived: Notify,
    /// Senders should try again.
    pub(crate) room: Notify,
    /// The child should be killed.
    pub(crate) kill: Notify,
    pub(crate) end: watch::Sender<Option<End>>,
    pub(crate) id: ConnId,
    pub(crate) peer: String,
    pub(crate) pid: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) connection: Connection,
    /// Its share of the budget of received bytes, until everything received has been given out.
    share: Option<Share>,
    pub(crate) calls: HashMap<CallId, oneshot::Sender<Result<Payload, CallError>>>,
    pub(crate) flushes: HashMap<FlushId, oneshot::Sender<bool>>,
    /// Who waits for room; told whether there is.
    pub(crate) tickets: HashMap<Ticket, oneshot::Sender<bool>>,
    pub(crate) opened: Option<Opened>,
    /// `Closed` has been given out.
    pub(crate) told_end: bool,
    /// Nobody reads the events.
    pub(crate) discarding: bool,
    /// The driver is gone.
    pub(crate) over: bool,
}

impl Inner {
    /// Hands settled calls and flushes to those who wait for them.
    pub(crate) fn settle(&mut self, shared: &Shared) {
        while let Some(answer) = self.connection.poll_answer() {
            self.answer(answer, shared);
        }
        if self.connection.state() != State::Open {
            // Whoever waits for room finds out that there will be none.
            shared.room.notify_waiters();
        }
    }

    /// Takes a settled call, a flush, a reservation or new room to those who wait; gives back
    /// anything else.
    fn answer(&mut self, event: ConnectionEvent, shared: &Shared) -> Option<ConnectionEvent> {
        match event {
            ConnectionEvent::Settled { call, result } => {
                if let Some(waiter) = self.calls.remove(&call) {
                    // A waiter that is gone has cancelled.
                    let _ = waiter.send(result);
                }
            }
            ConnectionEvent::Flushed(flush) => self.flushed(flush, true),
            ConnectionEvent::FlushFailed(flush) => self.flushed(flush, false),
            ConnectionEvent::Granted(ticket) => self.reserved(ticket, true),
            ConnectionEvent::ReservationExpired(ticket)
            | ConnectionEvent::ReservationFailed(ticket) => self.reserved(ticket, false),
            ConnectionEvent::SendReady => shared.room.notify_waiters(),
            other => return Some(other),
        }
        None
    }

    fn flushed(&mut self, flush: FlushId, written: bool) {
        if let Some(waiter) = self.flushes.remove(&flush) {
            let _ = waiter.send(written);
        }
    }

    fn reserved(&mut self, ticket: Ticket, granted: bool) {
        if let Some(waiter) = self.tickets.remove(&ticket) {
            let _ = waiter.send(granted);
        }
    }

    pub(crate) fn next_event(&mut self, shared: &Shared) -> Option<ConnectionEvent> {
        let event = loop {
            // Polling may decode what had no room before, an answer among it.
            let event = self.connection.poll_event()?;
            if let Some(event) = self.answer(event, shared) {
                break event;
            }
        };
        match &event {
            ConnectionEvent::Opened(opened) => self.opened = Some(opened.clone()),
            ConnectionEvent::Closed(_) => {
                self.told_end = true;
                self.share = None;
            }
            _ => {}
        }
        Some(event)
    }

    /// Tells the connection what it is allowed to receive, if that has changed.
    fn heed_share(&mut self, now: Instant) {
        if let Some(bytes) = self.share.as_mut().and_then(Share::news) {
            self.connection.set_recv_allowance(now, bytes);
        }
    }

    /// Sees to the connection's share of the budget, after anything that may have changed how
    /// much waits for the application.
    pub(crate) fn keep_share(&mut self, now: Instant) {
        loop {
            self.heed_share(now);
            // Each round doubles the share, or halves it once.
            let capacity = self.connection.recv_capacity();
            if !self
                .share
                .as_mut()
                .is_some_and(|share| share.report(&capacity))
            {
                return;
            }
        }
    }

    /// Throws away what nobody will read.
    fn discard(&mut self, shared: &Shared, now: Instant) {
        while let Some(event) = self.next_event(shared) {
            let token = match event {
                ConnectionEvent::PeerFinished => {
                    self.connection.drain(now, now + ABANDONED);
                    None
                }
                ConnectionEvent::Message(message) => message.reply,
                ConnectionEvent::BadEvent(bad) => bad.reply,
                _ => None,
            };
            if let Some(token) = token {
                self.connection.forget(token);
            }
        }
    }
}

impl Shared {
    /// Runs `f` on the connection, and passes on what came of it. For the driver.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Connection, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = self.clock.now();
        // First, so that a driver woken for its share finds that there is room to read.
        state.heed_share(now);
        let result = f(&mut state.connection, now);
        state.keep_share(now);
        state.settle(self);
        if state.discarding {
            state.discard(self, now);
            state.keep_share(now);
            state.settle(self);
        }
        let arrived = state.connection.has_event();
        drop(state);
        if arrived {
            self.arrived.notify_waiters();
        }
        result
    }

    /// The same, and wakes the driver. For everybody else.
    pub(crate) fn with_waking<T>(&self, f: impl FnOnce(&mut Connection, Instant) -> T) -> T {
        let result = self.with(f);
        self.wake();
        result
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Comes when [`Handle::kill`] was called.
    pub(crate) async fn killed(&self) {
        self.kill.notified().await;
    }

    pub(crate) async fn woken(&self) {
        self.driver.notified().await;
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().connection.stats()
    }

    /// The end of the driver: nobody waits any longer.
    pub(crate) fn set_end(&self, end: End) {
        let mut state = self.lock();
        state.over = true;
        state.calls.clear();
        state.flushes.clear();
        state.tickets.clear();
        drop(state);
        self.end.send_replace(Some(end));
        self.arrived.notify_waiters();
        self.room.notify_waiters();
    }

    pub(crate) fn wake(&self) {
        self.driver.notify_one();
    }

    /// A panic under this lock would be a bug of the engine; the state is still the best there is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drains the connection when nobody holds it any more.
#[derive(Debug)]
pub(crate) struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0
            .with_waking(|connection, now| connection.drain(now, now + ABANDONED));
    }
}

/// Starts to drive `connection` over `transport`.
pub(crate) fn start(
    mut connection: Connection,
    clock: Clock,
    id: ConnId,
    transport: Transport,
    budget: &SharedRecvBudget,
) -> (Handle, Events) {
    let driver = Arc::new(Notify::new());
    let mut share = budget.join(&driver);
    if let Some(bytes) = share.news() {
        connection.set_recv_allowance(clock.now(), bytes);
    }
    let shared = Arc::new(Shared {
        state: Mutex::new(Inner {
            connection,
            share: Some(share),
            calls: HashMap::new(),
            flushes: HashMap::new(),
            tickets: HashMap::new(),
            opened: None,
            told_end: false,
            discarding: false,
            over: false,
        }),
        clock,
        driver,
        arrived: Notify::new(),
        room: Notify::new(),
        kill: Notify::new(),
        end: watch::Sender::new(None),
        id,
        peer: transport.peer.clone(),
        pid: transport
            .child
            .as_ref()
            .and_then(crate::process::Child::pid),
    });
    let owner = Arc::new(Owner(shared.clone()));
    let handle = Handle {
        shared: shared.clone(),
        _owner: owner,
    };
    let events = Events {
        handle: handle.clone(),
        early: VecDeque::new(),
    };
    driver::spawn(shared, transport);
    (handle, events)
}
