//! What the application holds of a client: a handle to send with, events to read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{
    Attempt, CallError, CallId, Client, ClientEvent, ClientState, ClientStats, CloseReason,
    Connect, ConnectionConfig, ConnectionEvent, Event, FlushId, Instant, Payload, ReplyError,
    ReplyToken, SendError,
};
use tokio::sync::{Notify, oneshot, watch};

use crate::budget::{Share, SharedRecvBudget};
use crate::clock::Clock;
use crate::driver::at;
use crate::handle::{CallFailure, Ended};

/// How long a client that nobody holds any more may take to write what is queued.
const ABANDONED: Duration = Duration::from_secs(5);

/// Sends over whatever link a client has. Clones are cheap and all mean the same client.
///
/// When the last handle and the [`ClientEvents`] are dropped, the client drains and closes.
#[derive(Clone, Debug)]
pub struct ClientHandle {
    shared: Arc<Shared>,
    _owner: Arc<Owner>,
}

impl ClientHandle {
    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Queues `event` now, or keeps it offline where that was asked for. `Ok` means queued, not
    /// written.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::NotOpen`] while no link is open,
    /// [`SendError::Full`] means to wait or to use [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.shared
            .with_waking(|client, now| client.send(now, event))
    }

    /// Queues `event`, waiting for room while the send queue is full. It does not wait for a link:
    /// see [`opened`](Self::opened) and [`OnOffline`](sente_core::OnOffline).
    ///
    /// # Errors
    /// [`SendError`] gives the event back, for any reason but a full queue; [`SendError::Full`]
    /// only where the event does not fit an empty one.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the event is dropped with it and was not queued. Waiters are not
    /// served in order.
    pub async fn send(&self, event: Event) -> Result<(), SendError> {
        let mut event = event;
        loop {
            let room = self.shared.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.try_send(event) {
                // No room can be waited for.
                Err(error @ SendError::Full { messages: 0, .. }) => return Err(error),
                Err(SendError::Full { event: back, .. }) => event = *back,
                other => return other,
            }
            room.await;
        }
    }

    /// Calls the peer and waits for its reply, `timeout` at most.
    ///
    /// # Errors
    /// [`CallFailure`]: not queued, or settled without a reply; as closed the moment the link is
    /// lost.
    ///
    /// # Cancel safety
    /// Dropped, the call is cancelled in the engine; a later reply is counted and dropped. The
    /// question itself may have been sent.
    pub async fn call(&self, event: Event, timeout: Duration) -> Result<Payload, CallFailure> {
        let (sender, receiver) = oneshot::channel();
        let call = {
            let mut inner = self.shared.lock();
            let now = self.shared.clock.now();
            let call = inner.client.call(now, event, timeout);
            let call = call.map_err(CallFailure::Refused)?;
            if !inner.over {
                inner.calls.insert(call, sender);
            }
            call
        };
        self.shared.driver.notify_one();
        let mut cancel = CancelOnDrop {
            shared: &self.shared,
            call,
            armed: true,
        };
        let outcome = receiver.await;
        cancel.armed = false;
        match outcome {
            Ok(result) => result.map_err(CallFailure::Failed),
            Err(_) => Err(CallFailure::Failed(CallError::Closed)),
        }
    }

    /// Answers a call.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back; also when the link the call came on is gone.
    pub fn reply(&self, token: ReplyToken, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        self.shared
            .with_waking(|client, now| client.reply(now, token, payload))
    }

    /// Answers a call with a failure.
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&self, token: ReplyToken) -> Result<(), ReplyError> {
        self.shared
            .with_waking(|client, now| client.reply_error(now, token))
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&self, token: ReplyToken) {
        self.shared.with_waking(|client, _| client.forget(token));
    }

    /// Waits until everything queued before on the present link was handed to the operating
    /// system.
    ///
    /// # Errors
    /// [`Ended`] without an open link, or if the link ended first.
    ///
    /// # Cancel safety
    /// Safe: dropping it only stops the waiting.
    pub async fn flush(&self) -> Result<(), Ended> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut inner = self.shared.lock();
            if inner.over {
                return Err(Ended);
            }
            let now = self.shared.clock.now();
            let flush = inner.client.flush(now);
            inner.flushes.insert(flush, sender);
            inner.settle(&self.shared);
        }
        self.shared.driver.notify_one();
        match receiver.await {
            Ok(true) => Ok(()),
            _ => Err(Ended),
        }
    }

    /// Waits for an open link.
    ///
    /// # Errors
    /// Why the client closed, if it is closed.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn opened(&self) -> Result<(), CloseReason> {
        let mut states = self.states();
        loop {
            match &*states.borrow_and_update() {
                ClientState::Open { .. } => return Ok(()),
                ClientState::Closed(reason) => return Err(reason.clone()),
                _ => {}
            }
            if states.changed().await.is_err() {
                return Err(CloseReason::Requested);
            }
        }
    }

    /// Waits until the client is closed, and says why. It may be told to connect again.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn closed(&self) -> CloseReason {
        let mut states = self.states();
        loop {
            if let ClientState::Closed(reason) = &*states.borrow_and_update() {
                return reason.clone();
            }
            if states.changed().await.is_err() {
                return CloseReason::Requested;
            }
        }
    }

    /// Asks for a link at once, see [`Client::connect`].
    pub fn connect(&self) {
        self.shared.with_waking(Client::connect);
    }

    /// Leaves the present link for a fresh one, see [`Client::reconnect`].
    pub fn reconnect(&self) {
        self.shared.with_waking(Client::reconnect);
    }

    /// Ends the link and closes, see [`Client::disconnect`].
    pub fn disconnect(&self) {
        self.shared.with_waking(Client::disconnect);
    }

    /// Refuses new events, writes what is queued, waits for owed replies and pending calls, and
    /// closes; after `within` it cuts.
    pub fn drain(&self, within: Duration) {
        self.shared
            .with_waking(|client, now| client.drain(now, now + within));
    }

    /// Breaks the link as if its transport had failed: for tests.
    pub fn break_connection(&self) {
        self.shared.with_waking(Client::break_connection);
    }

    /// Whether to reconnect from now on, see [`Client::set_auto_reconnect`].
    pub fn set_auto_reconnect(&self, on: bool) {
        self.shared
            .with_waking(|client, now| client.set_auto_reconnect(now, on));
    }

    /// Chooses the waits from now on, see [`Client::set_backoff`].
    pub fn set_backoff(&self, delay: Option<Box<dyn Fn(u32, u64) -> Duration + Send + Sync>>) {
        self.shared
            .with_waking(|client, _| client.set_backoff(delay));
    }

    /// Where the client is in its life.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.shared.lock().client.state().clone()
    }

    /// The states as they come. Of states that follow each other quickly only the last may be seen;
    /// the events tell all of them.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<ClientState> {
        self.shared.lock().states.subscribe()
    }

    /// How long it is until the next attempt, while one waits for its time.
    #[must_use]
    pub fn next_attempt_in(&self) -> Option<Duration> {
        let due = self.shared.lock().client.next_attempt_at()?;
        Some(due.saturating_duration_since(self.shared.clock.now()))
    }

    /// The label of this client, the same for all its attempts.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.shared.lock().client.client_id().to_owned()
    }

    /// Counts since the client was made.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        self.shared.lock().client.stats()
    }
}

/// What a client has to tell. Not reading it is backpressure: the link is not read any more, and
/// the client does not reconnect for ever.
///
/// Dropped, what arrives is discarded, and calls from the peer are left unanswered.
#[derive(Debug)]
pub struct ClientEvents {
    handle: ClientHandle,
}

impl ClientEvents {
    /// The next event; `None` only when the client's task is gone, with its runtime. A client that
    /// closed may be told to connect again, so its events go on. Settled calls and flushes go to
    /// those who wait for them and do not show up here.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        let shared = &self.handle.shared;
        loop {
            let arrived = shared.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            {
                let mut inner = shared.lock();
                inner.settle(shared);
                let read_before = inner.client.wants_read();
                if let Some(event) = inner.next_event(shared) {
                    inner.keep_share(shared.clock.now());
                    inner.settle(shared);
                    drop(inner);
                    let is_end = matches!(
                        event,
                        ClientEvent::Closed(_) | ClientEvent::ConnectFailed { .. }
                    );
                    // There may be room to read again, or an attempt that waited for this.
                    if is_end || !read_before {
                        shared.driver.notify_one();
                    }
                    return Some(event);
                }
                if inner.over {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// The handle of the same client.
    #[must_use]
    pub const fn handle(&self) -> &ClientHandle {
        &self.handle
    }
}

impl Drop for ClientEvents {
    fn drop(&mut self) {
        self.handle.shared.lock().discarding = true;
        self.handle.shared.with_waking(|_, _| ());
    }
}

/// What handles, events and the task share. The lock is never held over an await.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    clock: Clock,
    /// The task should look again.
    driver: Arc<Notify>,
    /// `ClientEvents` should look again.
    arrived: Notify,
    /// Senders should try again.
    room: Notify,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    /// The present link's share of the budget of received bytes.
    share: Option<Share>,
    calls: HashMap<CallId, oneshot::Sender<Result<Payload, CallError>>>,
    flushes: HashMap<FlushId, oneshot::Sender<bool>>,
    states: watch::Sender<ClientState>,
    /// Nobody reads the events.
    discarding: bool,
    /// Nobody holds a handle.
    abandoned: bool,
    /// The task is gone.
    over: bool,
}

impl Inner {
    /// Hands settled calls and flushes to those who wait for them, and the state to those who
    /// watch.
    fn settle(&mut self, shared: &Shared) {
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

    /// Takes a settled call, a flush or new room to those who wait; gives back anything else.
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

    fn next_event(&mut self, shared: &Shared) -> Option<ClientEvent> {
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
    fn keep_share(&mut self, now: Instant) {
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
    fn with_waking<T>(&self, f: impl FnOnce(&mut Client, Instant) -> T) -> T {
        let result = self.with(f);
        self.driver.notify_one();
        result
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
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drains the client when nobody holds it any more.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0
            .with_waking(|client, now| client.drain(now, now + ABANDONED));
    }
}

/// Cancels a call whose caller went away.
struct CancelOnDrop<'a> {
    shared: &'a Shared,
    call: CallId,
    /// Whether the call has not settled.
    armed: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let mut inner = self.shared.lock();
        if inner.calls.remove(&self.call).is_some() {
            inner.client.cancel(self.call);
            inner.settle(self.shared);
        }
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
