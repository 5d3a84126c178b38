//! What the application holds of a running connection: a handle to send with, events to read.

use std::collections::{HashMap, VecDeque};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sente_core::{
    CallError, CallId, Capacity, CloseReason, ConnId, Connection, ConnectionEvent, Dialect, Event,
    FlushId, Instant, Opened, PackedEvent, PackedSendError, Payload, ReplyError, ReplyToken,
    SendError, State, Stats,
};
use thiserror::Error;
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::Clock;
use crate::driver;
use crate::transport::Transport;

/// How long a connection that nobody holds any more may take to write what is queued.
const ABANDONED: Duration = Duration::from_secs(5);

/// Sends on a running connection. Clones are cheap and all mean the same connection.
///
/// When the last handle and the [`Events`] are dropped, the connection drains and closes.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    _owner: Arc<Owner>,
}

impl Handle {
    /// Queues `event` now. `Ok` means queued, not written.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::Full`] means to wait or to use
    /// [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.shared
            .with_waking(|connection, now| connection.send(now, event))
    }

    /// Queues `event`, waiting for room while the send queue is full.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, for any reason but a full queue;
    /// [`SendError::Full`] only where the event does not fit an empty one.
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

    /// Queues an event that was packed before, as a broadcast does.
    ///
    /// # Errors
    /// [`PackedSendError`].
    pub fn send_packed(&self, event: &PackedEvent) -> Result<(), PackedSendError> {
        self.shared
            .with_waking(|connection, now| connection.send_packed(now, event))
    }

    /// Calls the peer and waits for its reply, `timeout` at most.
    ///
    /// # Errors
    /// [`CallFailure`]: not queued, or settled without a reply.
    ///
    /// # Cancel safety
    /// Dropped, the call is cancelled in the engine; a later reply is counted and dropped. The
    /// question itself may have been sent.
    pub async fn call(&self, event: Event, timeout: Duration) -> Result<Payload, CallFailure> {
        let (sender, receiver) = oneshot::channel();
        let call = {
            let mut state = self.shared.lock();
            let now = self.shared.clock.now();
            let call = state.connection.call(now, event, timeout);
            if let Ok(call) = &call
                && !state.over
            {
                state.calls.insert(*call, sender);
            }
            call.map_err(CallFailure::Refused)?
        };
        self.shared.wake();
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
    /// [`ReplyError`] gives the payload back.
    pub fn reply(&self, token: ReplyToken, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        self.shared
            .with_waking(|connection, now| connection.reply(now, token, payload))
    }

    /// Answers a call with a failure.
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&self, token: ReplyToken) -> Result<(), ReplyError> {
        self.shared
            .with_waking(|connection, now| connection.reply_error(now, token))
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&self, token: ReplyToken) {
        self.shared
            .with_waking(|connection, _| connection.forget(token));
    }

    /// Waits until everything queued before has been handed to the operating system.
    ///
    /// # Errors
    /// [`Ended`] if the connection ended first.
    ///
    /// # Cancel safety
    /// Safe: dropping it only stops the waiting.
    pub async fn flush(&self) -> Result<(), Ended> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.over {
                return Err(Ended);
            }
            let now = self.shared.clock.now();
            let flush = state.connection.flush(now);
            state.flushes.insert(flush, sender);
            state.settle(&self.shared);
        }
        self.shared.wake();
        match receiver.await {
            Ok(true) => Ok(()),
            _ => Err(Ended),
        }
    }

    /// Refuses new events, writes what is queued, waits for owed replies and pending calls, and
    /// closes; after `within` it cuts. A byte stream is half-closed and read to its end.
    pub fn drain(&self, within: Duration) {
        self.shared
            .with_waking(|connection, now| connection.drain(now, now + within));
    }

    /// Closes now: what is queued is given up.
    pub fn close(&self) {
        self.shared.with_waking(Connection::close);
    }

    /// Closes now, and kills the child, if the peer is one, without the grace it has otherwise.
    /// It is still waited for: see [`ended`](Self::ended).
    pub fn kill(&self) {
        self.shared.kill.notify_one();
        self.close();
    }

    /// Waits for the end: the connection is closed, its transport dropped, its child waited for.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&self) -> End {
        let mut end = self.shared.end.subscribe();
        loop {
            if let Some(end) = end.borrow_and_update().clone() {
                return end;
            }
            if end.changed().await.is_err() {
                // The sender lives in `shared`, which this handle holds.
                return End {
                    reason: CloseReason::Eof,
                    exit: None,
                    stats: self.stats(),
                };
            }
        }
    }

    /// The id of this connection on this side.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.shared.id
    }

    /// What the peer is called in messages: an address, a path, a command.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// The child's process id, if the peer is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.pid
    }

    /// The terms of the newest handshake that was seen.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        self.shared.lock().opened.clone()
    }

    /// The dialect in force.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.shared.lock().connection.dialect()
    }

    /// Where the connection is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock().connection.state()
    }

    /// Counts since the connection began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How full the send queue is.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.shared.lock().connection.send_capacity()
    }
}

/// What arrives on a connection. Not reading it is backpressure: the receive queue fills, and the
/// transport is not read any more.
///
/// Dropped, what arrives is discarded, calls from the peer are left unanswered, and a peer that ends
/// its side of a byte stream ends the connection: what is queued is written, and it closes.
#[derive(Debug)]
pub struct Events {
    handle: Handle,
    early: VecDeque<ConnectionEvent>,
}

impl Events {
    /// The next event; `None` after `Closed`. Settled calls and flushes go to those who wait for
    /// them and do not show up here.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        if let Some(event) = self.early.pop_front() {
            return Some(event);
        }
        self.next_from_engine().await
    }

    /// The handle of the same connection.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    async fn next_from_engine(&self) -> Option<ConnectionEvent> {
        let shared = &self.handle.shared;
        loop {
            let arrived = shared.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            {
                let mut state = shared.lock();
                let read_before = state.connection.wants_read();
                state.settle(shared);
                if let Some(event) = state.next_event(shared) {
                    // Taking an event may have made room: what waited for it is decoded then, and
                    // may ask for an answer, settle a call or end the connection.
                    let wake = !read_before;
                    state.settle(shared);
                    drop(state);
                    if wake {
                        shared.wake();
                    }
                    return Some(event);
                }
                if state.told_end || state.over {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Waits for the handshake. What comes before it is kept for [`next`](Self::next), and stays
    /// in the engine until then, so that it counts for the limits.
    pub(crate) async fn wait_until_open(&mut self) -> Result<(), CloseReason> {
        let shared = &self.handle.shared;
        loop {
            let arrived = shared.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            {
                let state = shared.lock();
                if state.connection.state() != State::Handshaking || state.over {
                    break;
                }
            }
            arrived.await;
        }
        loop {
            match self.next_from_engine().await {
                Some(ConnectionEvent::Closed(reason)) => return Err(reason),
                Some(event) => {
                    let opened = matches!(event, ConnectionEvent::Opened(_));
                    self.early.push_back(event);
                    if opened {
                        return Ok(());
                    }
                }
                None => return Err(CloseReason::Eof),
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.handle.shared.lock().discarding = true;
        self.handle.shared.wake();
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct End {
    /// Why.
    pub reason: CloseReason,
    /// The child's exit status, if the peer was one.
    pub exit: Option<ExitStatus>,
    /// The final counts.
    pub stats: Stats,
}

/// The connection ended first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection ended first")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct Ended;

/// Why a call has no reply.
#[derive(Clone, Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "a call is made or not made")]
pub enum CallFailure {
    /// It was made and settled without one.
    #[error(transparent)]
    Failed(CallError),
    /// It was not made; the event is in the error.
    #[error(transparent)]
    Refused(SendError),
}

/// What handle, events and driver share. The lock is never held over an await.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<Inner>,
    clock: Clock,
    /// The driver should look again.
    driver: Notify,
    /// `Events` should look again.
    arrived: Notify,
    /// Senders should try again.
    room: Notify,
    /// The child should be killed.
    kill: Notify,
    end: watch::Sender<Option<End>>,
    id: ConnId,
    peer: String,
    pid: Option<u32>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    calls: HashMap<CallId, oneshot::Sender<Result<Payload, CallError>>>,
    flushes: HashMap<FlushId, oneshot::Sender<bool>>,
    opened: Option<Opened>,
    /// `Closed` has been given out.
    told_end: bool,
    /// Nobody reads the events.
    discarding: bool,
    /// The driver is gone.
    over: bool,
}

impl Inner {
    /// Hands settled calls and flushes to those who wait for them.
    fn settle(&mut self, shared: &Shared) {
        while let Some(answer) = self.connection.poll_answer() {
            self.answer(answer, shared);
        }
        if self.connection.state() != State::Open {
            // Whoever waits for room finds out that there will be none.
            shared.room.notify_waiters();
        }
    }

    /// Takes a settled call, a flush or new room to those who wait; gives back anything else.
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

    fn next_event(&mut self, shared: &Shared) -> Option<ConnectionEvent> {
        let event = loop {
            // Polling may decode what had no room before, an answer among it.
            let event = self.connection.poll_event()?;
            if let Some(event) = self.answer(event, shared) {
                break event;
            }
        };
        match &event {
            ConnectionEvent::Opened(opened) => self.opened = Some(opened.clone()),
            ConnectionEvent::Closed(_) => self.told_end = true,
            _ => {}
        }
        Some(event)
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
        let result = f(&mut state.connection, now);
        state.settle(self);
        if state.discarding {
            state.discard(self, now);
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
    fn with_waking<T>(&self, f: impl FnOnce(&mut Connection, Instant) -> T) -> T {
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
        drop(state);
        self.end.send_replace(Some(end));
        self.arrived.notify_waiters();
        self.room.notify_waiters();
    }

    fn wake(&self) {
        self.driver.notify_one();
    }

    /// A panic under this lock would be a bug of the engine; the state is still the best there is.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drains the connection when nobody holds it any more.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0
            .with_waking(|connection, now| connection.drain(now, now + ABANDONED));
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
        let mut state = self.shared.lock();
        if state.calls.remove(&self.call).is_some() {
            state.connection.cancel(self.call);
            state.settle(self.shared);
        }
    }
}

/// Starts to drive `connection` over `transport`.
pub(crate) fn start(
    connection: Connection,
    clock: Clock,
    id: ConnId,
    transport: Transport,
) -> (Handle, Events) {
    let shared = Arc::new(Shared {
        state: Mutex::new(Inner {
            connection,
            calls: HashMap::new(),
            flushes: HashMap::new(),
            opened: None,
            told_end: false,
            discarding: false,
            over: false,
        }),
        clock,
        driver: Notify::new(),
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
