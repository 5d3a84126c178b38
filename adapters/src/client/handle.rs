//! What the application holds of a client: a handle to send with, events to read.

use std::sync::Arc;
use std::time::Duration;

use sente_core::{
    CallError, CallId, Client, ClientEvent, ClientState, ClientStats, CloseReason, Event, Payload,
    ReplyError, ReplyToken, ReserveError, SendError, SendOptions, Sent,
};
use tokio::sync::{Notify, oneshot, watch};

use super::shared::{Owner, Shared};
use crate::clock::Clock;
use crate::handle::{CallFailure, Ended};
use crate::line::{self, Sender};
use crate::permit::{Permit, Place};

/// Sends over whatever link a client has. Clones are cheap and all mean the same client.
///
/// When the last handle and the [`ClientEvents`] are dropped, the client drains and closes.
#[derive(Clone, Debug)]
pub struct ClientHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) _owner: Arc<Owner>,
}

impl ClientHandle {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Queues `event` now, or keeps it offline where that was asked for. `Ok` means queued, not
    /// written.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::NotOpen`] while no link is open,
    /// [`SendError::Full`] means to wait or to use [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.try_send_with(event, SendOptions::new()).map(|_| ())
    }

    /// The same in the way `options` say, see [`Client::send_with`].
    ///
    /// # Errors
    /// As for [`try_send`](Self::try_send).
    pub fn try_send_with(&self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        self.shared
            .with_waking(|client, now| client.send_with(now, event, options))
    }

    /// Queues `event`, waiting in line for room while the send queue is full, and until the send
    /// rate allows it. It does not wait for a link: see [`opened`](Self::opened) and
    /// [`OnOffline`](sente_core::OnOffline).
    ///
    /// # Errors
    /// [`SendError`] gives the event back, for any reason but these two; [`SendError::Full`]
    /// only where the event does not fit an empty queue.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the event is dropped with it and was not queued, and its turn goes
    /// to the next in line. Those who wait for room offline are not served in order.
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

    /// Waits in line for room for one event of `bytes` packed bytes on the present link, and keeps
    /// it until the [`Permit`] is used or dropped, or the link is lost. Who asked first is served
    /// first.
    ///
    /// # Errors
    /// [`ReserveError`]: so much never fits, too many wait already, no link is open, or it was
    /// lost.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the turn goes to the next in line. Nothing is lost: the event is
    /// still with the caller.
    pub async fn reserve(&self, bytes: usize) -> Result<Permit, ReserveError> {
        let (sender, receiver) = oneshot::channel();
        let permit = {
            let mut inner = self.shared.lock();
            let now = self.shared.clock.now();
            let ticket = inner.client.reserve(now, bytes, None)?;
            if !inner.over {
                inner.tickets.insert(ticket, sender);
            }
            inner.settle(&self.shared);
            Permit::new(Place::Client(self.clone()), ticket)
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

impl Sender for ClientHandle {
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

/// What a client has to tell. Not reading it is backpressure: the link is not read any more, and
/// the client does not reconnect for ever.
///
/// Dropped, what arrives is discarded, and calls from the peer are left unanswered.
#[derive(Debug)]
pub struct ClientEvents {
    pub(super) handle: ClientHandle,
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
