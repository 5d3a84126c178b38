//! What the application sends with, on a connection or with a client.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sente_core::{
    CallError, CallId, CloseReason, Connection, Event, PackedEvent, PackedSendError, Payload,
    ReplyError, ReplyToken, ReserveError, SendCapacity, SendError, SendOptions, Sent, Stats,
};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::line;
use crate::permit::Permit;
use crate::shared::{Shared, Waiter};

/// Sends on a running connection, or, as [`ClientHandle`](crate::ClientHandle), over whatever link
/// a client has. Clones are cheap and all mean the same connection or client.
///
/// When the last handle and the [`Events`](crate::Events) are dropped, what is queued is written,
/// and the connection or the client closes.
#[derive(Debug)]
pub struct Handle<M: Engine = Connection> {
    pub(crate) shared: Arc<Shared<M>>,
}

impl<M: Engine> Handle<M> {
    pub(crate) fn of(shared: Arc<Shared<M>>) -> Self {
        // No more than there is memory for.
        shared.handles.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }

    /// Queues `event` now, or keeps it where a client was asked to
    /// ([`OnOffline`](sente_core::OnOffline)). `Ok` means queued, not written.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::NotOpen`] where no link is open,
    /// [`SendError::Full`] means to wait or to use [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.try_send_with(event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` now in the way `options` say, or does with it what its policy says.
    ///
    /// # Errors
    /// As for [`try_send`](Self::try_send).
    pub fn try_send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        self.shared
            .with_waking(|machine, now| machine.send_with(now, event, options))
    }

    /// Queues `event`, waiting in line for room while the send queue is full, and until the send
    /// rate allows it. It does not wait for a link.
    ///
    /// # Errors
    /// [`SendError`] gives the event back, for any reason but these two; [`SendError::Full`] only
    /// where what a client keeps offline has no room for it though nothing else is kept.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the event is dropped with it and was not queued, and its turn goes
    /// to the next in line. Those who wait for room in what a client keeps offline are not served
    /// in order.
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
            .with_waking(|machine, now| machine.send_packed_with(now, event, options))
    }

    /// Waits in line for room for one event of `bytes` packed bytes, on the present link of a
    /// client, and keeps it until the [`Permit`] is used or dropped, or the link is lost. Who asked
    /// first is served first.
    ///
    /// # Errors
    /// [`ReserveError`]: so much never fits, too many wait already, no link is open, or it was
    /// lost.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the turn goes to the next in line. Nothing is lost: the event is
    /// still with the caller.
    pub async fn reserve(&self, bytes: usize) -> Result<Permit<M>, ReserveError> {
        let (sender, receiver) = oneshot::channel();
        let permit = {
            let mut inner = self.shared.lock();
            let now = self.shared.clock.now();
            let ticket = inner.machine.reserve(now, bytes, None)?;
            if !inner.over {
                inner.waiting().tickets.insert(ticket, sender);
            }
            inner.settle(&self.shared);
            Permit::new(self.clone(), ticket)
        };
        match receiver.await {
            Ok(true) => Ok(permit),
            _ => Err(ReserveError::NotOpen),
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
            let call = inner.machine.call(now, event, timeout);
            let call = call.map_err(CallFailure::Refused)?;
            if !inner.over {
                inner.waiting().calls.insert(call, Waiter::Future(sender));
            }
            call
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
    /// [`ReplyError`] gives the payload back; also when the link the call came on is gone.
    pub fn reply(&self, token: ReplyToken, payload: impl Into<Payload>) -> Result<(), ReplyError> {
        let payload = payload.into();
        let replied = self
            .shared
            .answer(|machine, now| machine.reply(now, token, payload));
        self.shared.wake();
        replied
    }

    /// Answers a call with a failure.
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&self, token: ReplyToken) -> Result<(), ReplyError> {
        let replied = self
            .shared
            .answer(|machine, now| machine.reply_error(now, token));
        self.shared.wake();
        replied
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&self, token: ReplyToken) {
        self.shared.with_waking(|machine, _| machine.forget(token));
    }

    /// Waits until everything queued before, on the present link of a client, has been handed to
    /// the operating system.
    ///
    /// # Errors
    /// [`Ended`] without an open link, or if it ended first.
    ///
    /// # Cancel safety
    /// Safe: dropping it only stops the waiting.
    pub async fn flush(&self) -> Result<(), Ended> {
        let written = {
            let mut inner = self.shared.lock();
            if inner.over {
                return Err(Ended);
            }
            let now = self.shared.clock.now();
            let flush = inner.machine.flush(now);
            let written = inner.waiting().flushes.wait(flush);
            inner.settle(&self.shared);
            written
        };
        self.shared.wake();
        match written.await {
            Ok(true) => Ok(()),
            _ => Err(Ended),
        }
    }

    /// Refuses new events, writes what is queued, waits for owed replies and pending calls, and
    /// closes; after `within` it cuts. A byte stream is half-closed and read to its end.
    pub fn drain(&self, within: Duration) {
        self.shared
            .with_waking(|machine, now| machine.drain(now, now + within));
    }

    /// How full the send queue is, or, where a client has no open link, what it keeps offline.
    #[must_use]
    pub fn send_capacity(&self) -> SendCapacity {
        self.shared.lock().machine.send_capacity()
    }
}

impl<M: Engine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self::of(self.shared.clone())
    }
}

impl<M: Engine> Drop for Handle<M> {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.abandon();
        }
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
struct CancelOnDrop<'a, M: Engine> {
    shared: &'a Shared<M>,
    call: CallId,
    /// Whether the call has not settled.
    armed: bool,
}

impl<M: Engine> Drop for CancelOnDrop<'_, M> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let mut inner = self.shared.lock();
        if inner.take_waiter(self.call).is_some() {
            inner.machine.cancel(self.call);
            inner.settle(self.shared);
            drop(inner);
            // A drain may have waited for this call alone.
            self.shared.wake();
        }
    }
}
