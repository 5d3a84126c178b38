//! What the application sends with on a running connection.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{
    CallError, CallId, CloseReason, ConnId, Connection, Dialect, Event, Opened, PackedEvent,
    PackedSendError, Payload, RecvCapacity, ReplyError, ReplyToken, ReserveError, SendCapacity,
    SendError, SendOptions, Sent, State, Stats,
};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::line::{self, Sender};
use crate::permit::{Permit, Place};
use crate::shared::{Owner, Shared};

/// Sends on a running connection. Clones are cheap and all mean the same connection.
///
/// When the last handle and the [`Events`](crate::Events) are dropped, the connection drains and closes.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) _owner: Arc<Owner>,
}

impl Handle {
    /// Queues `event` now. `Ok` means queued, not written.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::Full`] means to wait or to use
    /// [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.try_send_with(event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` now in the way `options` say, or does with it what its policy says.
    ///
    /// # Errors
    /// As for [`try_send`](Self::try_send).
    pub fn try_send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        self.shared
            .with_waking(|connection, now| connection.send_with(now, event, options))
    }

    /// Queues `event`, waiting in line for room while the send queue is full, and until the send
    /// rate allows it.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, for any reason but these two;
    /// [`SendError::Full`] only where the event does not fit an empty queue.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the event is dropped with it and was not queued, and its turn goes
    /// to the next in line.
    pub async fn send(&self, event: Event) -> Result<(), SendError> {
        self.send_with(event, SendOptions::new()).await.map(|_| ())
    }

    /// Queues `event` in the way `options` say, waiting as [`send`](Self::send) does where its
    /// policy says neither to drop it nor another for it.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    pub async fn send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        line::send(self, event, options).await
    }

    /// Waits in line for room for one event of `bytes` packed bytes, and keeps it until the
    /// [`Permit`] is used or dropped. Who asked first is served first.
    ///
    /// # Errors
    /// [`ReserveError`]: so much never fits, too many wait already, or the connection is not open
    /// any more.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the turn goes to the next in line. Nothing is lost: the event is
    /// still with the caller.
    pub async fn reserve(&self, bytes: usize) -> Result<Permit, ReserveError> {
        let (sender, receiver) = oneshot::channel();
        let permit = {
            let mut state = self.shared.lock();
            let now = self.shared.clock.now();
            let ticket = state.connection.reserve(now, bytes, None)?;
            if !state.over {
                state.tickets.insert(ticket, sender);
            }
            state.settle(&self.shared);
            Permit::new(Place::Connection(self.clone()), ticket)
        };
        match receiver.await {
            Ok(true) => Ok(permit),
            _ => Err(ReserveError::NotOpen),
        }
    }

    /// Queues an event that was packed before, as a broadcast does.
    ///
    /// # Errors
    /// [`PackedSendError`].
    pub fn send_packed(&self, event: &PackedEvent) -> Result<(), PackedSendError> {
        self.send_packed_with(event, SendOptions::new()).map(|_| ())
    }

    /// Queues an event that was packed before in the way `options` say.
    ///
    /// # Errors
    /// [`PackedSendError`].
    pub fn send_packed_with(
        &self,
        event: &PackedEvent,
        options: SendOptions,
    ) -> Result<Sent, PackedSendError> {
        self.shared
            .with_waking(|connection, now| connection.send_packed_with(now, event, options))
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
    pub fn send_capacity(&self) -> SendCapacity {
        self.shared.lock().connection.send_capacity()
    }

    /// How much waits for the application, and of how much that may be.
    #[must_use]
    pub fn recv_capacity(&self) -> RecvCapacity {
        self.shared.lock().connection.recv_capacity()
    }
}

impl Sender for Handle {
    fn try_send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        self.try_send_with(event, options)
    }

    fn reserve(&self, bytes: usize) -> impl Future<Output = Result<Permit, ReserveError>> + Send {
        self.reserve(bytes)
    }

    fn room(&self) -> &Notify {
        &self.shared.room
    }

    fn clock(&self) -> Clock {
        self.shared.clock
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
