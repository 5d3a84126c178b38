//! What the handles, the events and the task of one client share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{
    Attempt, CallError, CallId, Client, ClientEvent, ClientState, Connect, ConnectionConfig,
    ConnectionEvent, FlushId, Instant, Payload, Ticket,
};
use tokio::sync::{Notify, oneshot, watch};

use super::handle::{ClientEvents, ClientHandle};
use crate::budget::{Share, SharedRecvBudget};
use crate::clock::Clock;
use crate::driver::at;

/// How long a client that nobody holds any more may take to write what is queued.
const ABANDONED: Duration = Duration::from_secs(5);

/// What handles, events and the task share. The lock is never held over an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) inner: Mutex<Inner>,
    pub(super) clock: Clock,
    /// The task should look again.
    pub(super) driver: Arc<Notify>,
    /// `ClientEvents` should look again.
    pub(super) arrived: Notify,
    /// Senders should try again.
    pub(super) room: Notify,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) client: Client,
    /// The present link's share of the budget of received bytes.
    pub(super) share: Option<Share>,
    pub(super) calls: HashMap<CallId, oneshot::Sender<Result<Payload, CallError>>>,
    pub(super) flushes: HashMap<FlushId, oneshot::Sender<bool>>,
    /// Who waits for room; told whether there is.
    pub(super) tickets: HashMap<Ticket, oneshot::Sender<bool>>,
    pub(super) states: watch::Sender<ClientState>,
    /// Nobody reads the events.
    pub(super) discarding: bool,
    /// Nobody holds a handle.
    pub(super) abandoned: bool,
    /// The task is gone.
    pub(super) over: bool,
}

impl Inner {
    /// Hands settled calls and flushes to those who wait for them, and the state to those who
    /// watch.
    pub(super) fn settle(&mut self, shared: &Shared) {
        while let Some(answer) = self.client.poll_answer() {
            self.answer(answer, shared);
        }
        let state = self.client.state();
        let changed = self.states.send_if_modified(|known| {
            let changed = known != state;
            if changed {
                known.clone_from(state);
            }
            changed
        });
        if changed {
            // Whoever waits for room finds out that there will be none, or that there is.
            shared.room.notify_waiters();
        }
    }

    /// Takes a settled call, a flush, a reservation or new room to those who wait; gives back anything else.
    fn answer(&mut self, event: ClientEvent, shared: &Shared) -> Option<ClientEvent> {
        match event {
            ClientEvent::Link(ConnectionEvent::Settled { call, result }) => {
                if let Some(waiter) = self.calls.remove(&call) {
                    // A waiter that is gone has cancelled.
                    let _ = waiter.send(result);
                }
            }
            ClientEvent::Link(ConnectionEvent::Flushed(flush)) => self.flushed(flush, true),
            ClientEvent::Link(ConnectionEvent::FlushFailed(flush)) => self.flushed(flush, false),
            ClientEvent::Link(ConnectionEvent::Granted(ticket)) => self.reserved(ticket, true),
            ClientEvent::Link(
                ConnectionEvent::ReservationExpired(ticket)
                | ConnectionEvent::ReservationFailed(ticket),
            ) => self.reserved(ticket, false),
            ClientEvent::Link(ConnectionEvent::SendReady) => shared.room.notify_waiters(),
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

    pub(super) fn next_event(&mut self, shared: &Shared) -> Option<ClientEvent> {
        loop {
            let event = self.client.poll_event()?;
            if let Some(event) = self.answer(event, shared) {
                return Some(event);
            }
        }
    }

    /// Tells the present link what it is allowed to receive, if that has changed.
    fn heed_share(&mut self, now: Instant) {
        if let Some(bytes) = self.share.as_mut().and_then(Share::news) {
            self.client.set_recv_allowance(now, bytes);
        }
    }

    /// Sees to the share of the budget, after anything that may have changed how much waits for
    /// the application.
    pub(super) fn keep_share(&mut self, now: Instant) {
        loop {
            self.heed_share(now);
            // Each round doubles the share, or halves it once.
            let Some(connection) = self.client.connection() else {
                self.share = None;
                return;
            };
            let capacity = connection.recv_capacity();
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
    fn discard(&mut self, shared: &Shared) {
        while let Some(event) = self.next_event(shared) {
            let token = match event {
                ClientEvent::Link(ConnectionEvent::Message(message)) => message.reply,
                ClientEvent::Link(ConnectionEvent::BadEvent(bad)) => bad.reply,
                _ => None,
            };
            if let Some(token) = token {
                self.client.forget(token);
            }
        }
    }
}

impl Shared {
    /// Runs `f` on the client, and passes on what came of it. For the task.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Client, Instant) -> T) -> T {
        let mut inner = self.lock();
        let now = self.clock.now();
        // First, so that a driver woken for its share finds that there is room to read.
        inner.heed_share(now);
        let result = f(&mut inner.client, now);
        inner.keep_share(now);
        inner.settle(self);
        if inner.discarding {
            inner.discard(self);
            inner.keep_share(now);
            inner.settle(self);
        }
        let arrived = inner.client.has_event();
        drop(inner);
        if arrived {
            self.arrived.notify_waiters();
        }
        result
    }

    /// The same, and wakes the task. For everybody else.
    pub(crate) fn with_waking<T>(&self, f: impl FnOnce(&mut Client, Instant) -> T) -> T {
        let result = self.with(f);
        self.driver.notify_one();
        result
    }

    /// Gives up a reservation.
    pub(crate) fn release(&self, ticket: Ticket) {
        self.lock().tickets.remove(&ticket);
        self.with(|client, now| client.release(now, ticket));
    }

    /// Waits for somebody to change the client, or for its next deadline, and sees to that.
    async fn turn(&self) {
        let due = self.with(|client, _| client.poll_timeout());
        tokio::select! {
            () = self.driver.notified() => {}
            () = at(due.map(|due| self.clock.to_tokio(due))) => self.with(Client::handle_timeout),
        }
    }

    /// The next attempt to make; `None` once nobody can ask for one any more.
    pub(super) async fn next_attempt(&self) -> Option<Connect> {
        loop {
            if let Some(connect) = self.with(|client, _| client.poll_connect()) {
                return Some(connect);
            }
            let closed = self.with(|client, _| matches!(client.state(), ClientState::Closed(_)));
            if closed && self.lock().abandoned {
                return None;
            }
            self.turn().await;
        }
    }

    /// Says that the transport of `attempt` is open. Whether anybody wants it.
    pub(super) fn handle_connected(
        &self,
        attempt: Attempt,
        config: Arc<ConnectionConfig>,
        budget: &SharedRecvBudget,
    ) -> bool {
        // The share of the link before goes back first.
        self.lock().share = None;
        let share = budget.join(&self.driver);
        let wanted = {
            let mut inner = self.lock();
            let now = self.clock.now();
            let wanted = inner.client.handle_connected_with(now, attempt, config);
            inner.share = wanted.then_some(share);
            wanted
        };
        // Whatever came of it is passed on.
        self.with(|_, _| ());
        wanted
    }

    /// Waits until `attempt` is given up.
    pub(super) async fn given_up(&self, attempt: Attempt) {
        while self.with(|client, _| client.is_wanted(attempt)) {
            self.turn().await;
        }
    }

    /// The end of the task: nothing will be written or read any more, and nobody waits.
    pub(super) fn finish(&self) {
        let mut inner = self.lock();
        inner.over = true;
        let now = self.clock.now();
        inner.client.break_connection(now);
        inner.client.disconnect(now);
        inner.settle(self);
        inner.calls.clear();
        inner.flushes.clear();
        inner.tickets.clear();
        drop(inner);
        self.arrived.notify_waiters();
        self.room.notify_waiters();
    }

    /// Comes when somebody else has changed the client.
    pub(super) async fn woken(&self) {
        self.driver.notified().await;
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// A panic under this lock would be a bug of the engine; the state is still the best there is.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drains the client when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0
            .with_waking(|client, now| client.drain(now, now + ABANDONED));
    }
}

/// What is held of `client`.
pub(super) fn start(client: Client, clock: Clock) -> (ClientHandle, ClientEvents) {
    let shared = Arc::new(Shared {
        inner: Mutex::new(Inner {
            states: watch::Sender::new(client.state().clone()),
            client,
            share: None,
            calls: HashMap::new(),
            flushes: HashMap::new(),
            tickets: HashMap::new(),
            discarding: false,
            abandoned: false,
            over: false,
        }),
        clock,
        driver: Arc::new(Notify::new()),
        arrived: Notify::new(),
        room: Notify::new(),
    });
    let handle = ClientHandle {
        shared: shared.clone(),
        _owner: Arc::new(Owner(shared)),
    };
    let events = ClientEvents {
        handle: handle.clone(),
    };
    (handle, events)
}
