//! What the server sends to one connection and waits for, whatever carries it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sente_adapters::{Attendant, CallFailure, Ended, Handle, Permit};
use sente_core::{
    CallError, ConnId, Event, PackedEvent, Payload, ReplyError, ReplyToken, ReserveError,
    SendError, SendOptions, Sent,
};

use crate::line::{Line, Wire};
use crate::served::Served;
use crate::server::Server;

impl Server {
    /// Sends `event` to one connection, waiting for room while its peer is behind.
    ///
    /// # Errors
    /// [`SendError`] gives the event back; [`SendError::NotOpen`] if it is not there.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the event is dropped with it and was not queued.
    pub async fn send(&self, connection: ConnId, event: Event) -> Result<(), SendError> {
        match self.line(connection) {
            Some(line) => line.send(event).await,
            None => Err(SendError::NotOpen(Box::new(event))),
        }
    }

    /// Queues `event` for one connection now, behind what was sent to it before. `Ok` means queued,
    /// not written.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: [`SendError::NotOpen`] if it is not there,
    /// [`SendError::Full`] if its send queue has no room, or what the server delivered waits for
    /// room before it. Then wait, or use [`send`](Self::send).
    pub fn try_send(&self, connection: ConnId, event: Event) -> Result<(), SendError> {
        match self.line(connection) {
            Some(line) => line.try_send(event),
            None => Err(SendError::NotOpen(Box::new(event))),
        }
    }

    /// Waits in line for room for one event of `bytes` packed bytes in the send queue of one
    /// connection, and keeps it until the [`ServerPermit`] is used or dropped, or the connection
    /// ends. Who asked first is served first, behind what the server delivered before.
    ///
    /// # Errors
    /// [`ReserveError`]: so much never fits, too many wait already, it is not there, or it ended.
    ///
    /// # Cancel safety
    /// Dropped while it waits, the turn goes to the next in line. Nothing is lost: the event is
    /// still with the caller.
    pub async fn reserve(
        &self,
        connection: ConnId,
        bytes: usize,
    ) -> Result<ServerPermit, ReserveError> {
        match self.line(connection) {
            Some(line) => line.reserve(bytes).await.map(ServerPermit),
            None => Err(ReserveError::NotOpen),
        }
    }

    /// Waits until everything that was sent to one connection before, also what
    /// [`fan_out`](Self::fan_out) delivered, has been handed to the operating system.
    ///
    /// It has no bound in time: a peer that does not read holds it up, and so do others who go on to
    /// fan out to a connection that is behind.
    ///
    /// # Errors
    /// [`Ended`] if the connection is not there, or ended first.
    ///
    /// # Cancel safety
    /// Safe: dropping it only stops the waiting.
    pub async fn flush(&self, connection: ConnId) -> Result<(), Ended> {
        match self.line(connection) {
            Some(line) => line.flush().await,
            None => Err(Ended),
        }
    }

    /// Calls the peer of one connection and waits for its reply, `timeout` at most.
    ///
    /// # Errors
    /// [`CallFailure`].
    ///
    /// # Cancel safety
    /// Dropped, the call is cancelled; a later reply is counted and dropped.
    pub async fn call(
        &self,
        connection: ConnId,
        event: Event,
        timeout: Duration,
    ) -> Result<Payload, CallFailure> {
        match self.line(connection) {
            Some(line) => self.timed_call(line, event, timeout).await,
            None => Err(CallFailure::Refused(SendError::NotOpen(Box::new(event)))),
        }
    }

    async fn timed_call(
        &self,
        line: Arc<dyn Wire>,
        event: Event,
        timeout: Duration,
    ) -> Result<Payload, CallFailure> {
        #[cfg(feature = "metrics")]
        let began = self.now();
        let settled = line.call(event, timeout).await;
        #[cfg(feature = "metrics")]
        if let Some(latency) = self.inner.latency.get() {
            latency.called(self.now().saturating_duration_since(began));
        }
        settled
    }
}

/// Room for one event in the send queue of one connection, from [`Server::reserve`]: a [`Permit`] of
/// whatever kind of connection that is. Dropped, it is given to the next in line.
#[must_use = "dropped, the room is given back"]
pub struct ServerPermit(Box<dyn Reserved>);

impl ServerPermit {
    /// Queues `event` in this room, now. It goes before what the server delivered since and what
    /// still waits for room of its own.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: not open any more, over the send rate, not packable, or
    /// larger than was reserved while there is no more room.
    pub fn send(self, event: Event) -> Result<(), SendError> {
        self.send_with(event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` in this room in the way `options` say, as [`Permit::send_with`].
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_with(self, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        self.0.send_with(event, options)
    }
}

impl fmt::Debug for ServerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPermit").finish_non_exhaustive()
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is done with one connection, without its type.
pub(crate) trait Sends {
    fn send(self: Arc<Self>, event: Event) -> BoxFuture<Result<(), SendError>>;
    fn try_send(self: Arc<Self>, event: Event) -> Result<(), SendError>;
    fn reserve(self: Arc<Self>, bytes: usize)
    -> BoxFuture<Result<Box<dyn Reserved>, ReserveError>>;
    fn flush(self: Arc<Self>) -> BoxFuture<Result<(), Ended>>;
    fn call(
        self: Arc<Self>,
        event: Event,
        timeout: Duration,
    ) -> BoxFuture<Result<Payload, CallFailure>>;
    fn reply(&self, token: ReplyToken, payload: Payload) -> Result<(), ReplyError>;
    /// Whoever called may be gone.
    fn reply_error(&self, token: ReplyToken);
    fn forget(&self, token: ReplyToken);
}

impl<M: Served> Sends for Line<M> {
    fn send(self: Arc<Self>, event: Event) -> BoxFuture<Result<(), SendError>> {
        Box::pin(async move {
            let Some(handle) = self.handle() else {
                return Err(SendError::NotOpen(Box::new(event)));
            };
            if self.wait_in_line(handle).await.is_err() {
                return Err(SendError::NotOpen(Box::new(event)));
            }
            handle.send(event).await
        })
    }

    fn try_send(self: Arc<Self>, event: Event) -> Result<(), SendError> {
        let Some(handle) = self.handle() else {
            return Err(SendError::NotOpen(Box::new(event)));
        };
        if self.move_up(handle) {
            return handle.try_send(event);
        }
        let packer = M::facts(handle).packer;
        match PackedEvent::pack(&event, &*packer) {
            Ok(packed) => {
                let (waiting, queued) = (self.link().waiting(), handle.send_capacity());
                Err(SendError::Full {
                    event: Box::new(event),
                    messages: queued.messages.saturating_add(waiting.events),
                    bytes: queued.bytes.saturating_add(waiting.bytes),
                    needed: packed.bytes().len(),
                })
            }
            // It says why, and queues nothing.
            Err(_) => handle.try_send(event),
        }
    }

    fn reserve(
        self: Arc<Self>,
        bytes: usize,
    ) -> BoxFuture<Result<Box<dyn Reserved>, ReserveError>> {
        Box::pin(async move {
            let handle = self.handle().ok_or(ReserveError::NotOpen)?;
            let in_line = self.wait_in_line(handle).await;
            in_line.map_err(|Ended| ReserveError::NotOpen)?;
            let permit = handle.reserve(bytes).await?;
            let reserved: Box<dyn Reserved> = Box::new(permit);
            Ok(reserved)
        })
    }

    fn flush(self: Arc<Self>) -> BoxFuture<Result<(), Ended>> {
        Box::pin(async move {
            let handle = self.handle().ok_or(Ended)?;
            self.wait_in_line(handle).await?;
            handle.flush().await
        })
    }

    fn call(
        self: Arc<Self>,
        event: Event,
        timeout: Duration,
    ) -> BoxFuture<Result<Payload, CallFailure>> {
        Box::pin(async move {
            let closed = CallFailure::Failed(CallError::Closed);
            let Some(handle) = self.handle() else {
                return Err(closed);
            };
            if self.wait_in_line(handle).await.is_err() {
                return Err(closed);
            }
            handle.call(event, timeout).await
        })
    }

    fn reply(&self, token: ReplyToken, payload: Payload) -> Result<(), ReplyError> {
        match self.handle() {
            Some(handle) => handle.reply(token, payload),
            None => Err(ReplyError::NotOpen(Box::new(payload))),
        }
    }

    fn reply_error(&self, token: ReplyToken) {
        if let Some(handle) = self.handle() {
            // Whoever called is gone where this fails.
            let _ = handle.reply_error(token);
        }
    }

    fn forget(&self, token: ReplyToken) {
        if let Some(handle) = self.handle() {
            handle.forget(token);
        }
    }
}

impl<M: Served> Line<M> {
    /// Waits until what the hub has delivered is in the send queue: nothing is to overtake it.
    async fn wait_in_line(self: &Arc<Self>, handle: &Handle<M>) -> Result<(), Ended> {
        while !self.move_up(handle) {
            handle.flush().await?;
        }
        Ok(())
    }

    /// Moves what there is room for into the send queue. Whether nothing waits for room any more.
    fn move_up(self: &Arc<Self>, handle: &Handle<M>) -> bool {
        if !self.link().is_clear() {
            // As the driver would, which looks again after it.
            handle.attend_now(|now, machine| {
                self.clone().attend(now, machine);
                true
            });
        }
        !self.link().has_a_line()
    }
}

/// A [`Permit`], whatever kind of connection it is of.
pub(crate) trait Reserved: Send + Sync {
    fn send_with(self: Box<Self>, event: Event, options: SendOptions) -> Result<Sent, SendError>;
}

impl<M: Served> Reserved for Permit<M> {
    fn send_with(self: Box<Self>, event: Event, options: SendOptions) -> Result<Sent, SendError> {
        Self::send_with(*self, event, options)
    }
}
