//! A handle without the type of what is behind it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{
    Event, PackedEvent, PackedSendError, Payload, ReplyToken, SendCapacity, SendError, TypedError,
};
use serde::Serialize;

use crate::dispatch::Responder;
use crate::engine::Engine;
use crate::handle::{CallFailure, Handle};
use crate::router::context::Respond;

/// A [`Handle`], whatever kind of connection it is of: handlers of a [`Router`](crate::Router) send
/// with it to whom an event came from. Clones are cheap and mean the same connection.
#[derive(Clone)]
pub struct AnyHandle(Arc<dyn Sends>);

impl AnyHandle {
    /// The same as `handle`, without its type.
    #[must_use]
    pub fn of<M: Engine>(handle: &Handle<M>) -> Self {
        Self(Arc::new(handle.clone()))
    }

    /// As [`Handle::try_send`].
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.0.try_send(event)
    }

    /// As [`Handle::send`].
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    ///
    /// # Cancel safety
    /// As for [`Handle::send`].
    pub async fn send(&self, event: Event) -> Result<(), SendError> {
        self.0.clone().send(event).await
    }

    /// As [`Handle::send_packed`].
    ///
    /// # Errors
    /// [`PackedSendError`].
    pub fn send_packed(&self, event: &PackedEvent) -> Result<(), PackedSendError> {
        self.0.send_packed(event)
    }

    /// As [`Handle::call`].
    ///
    /// # Errors
    /// [`CallFailure`].
    ///
    /// # Cancel safety
    /// As for [`Handle::call`].
    pub async fn call(&self, event: Event, timeout: Duration) -> Result<Payload, CallFailure> {
        self.0.clone().call(event, timeout).await
    }

    /// As [`Handle::drain`].
    pub fn drain(&self, within: Duration) {
        self.0.drain(within);
    }

    /// As [`Handle::send_capacity`].
    #[must_use]
    pub fn send_capacity(&self) -> SendCapacity {
        self.0.send_capacity()
    }

    /// As [`Handle::payload`].
    ///
    /// # Errors
    /// [`TypedError`] if `data` cannot be packed.
    pub fn payload<T: Serialize + ?Sized>(&self, data: &T) -> Result<Payload, TypedError> {
        match self.0.config() {
            Some(config) => Payload::typed(data, &config),
            None => Payload::from_typed(data),
        }
    }
}

impl AnyHandle {
    /// The right to answer the call that came with `token`.
    pub(super) fn responder(&self, token: ReplyToken) -> Box<dyn Respond> {
        self.0.responder(token)
    }
}

impl fmt::Debug for AnyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyHandle")
            .field(&self.send_capacity())
            .finish()
    }
}

type Future<T> = Pin<Box<dyn core::future::Future<Output = T> + Send>>;

trait Sends: Send + Sync {
    fn try_send(&self, event: Event) -> Result<(), SendError>;
    fn send(self: Arc<Self>, event: Event) -> Future<Result<(), SendError>>;
    fn send_packed(&self, event: &PackedEvent) -> Result<(), PackedSendError>;
    fn call(
        self: Arc<Self>,
        event: Event,
        timeout: Duration,
    ) -> Future<Result<Payload, CallFailure>>;
    fn responder(&self, token: ReplyToken) -> Box<dyn Respond>;
    fn drain(&self, within: Duration);
    fn send_capacity(&self) -> SendCapacity;
    fn config(&self) -> Option<Arc<sente_core::ConnectionConfig>>;
}

impl<M: Engine> Sends for Handle<M> {
    fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.try_send(event)
    }

    fn send(self: Arc<Self>, event: Event) -> Future<Result<(), SendError>> {
        Box::pin(async move { Self::send(&self, event).await })
    }

    fn send_packed(&self, event: &PackedEvent) -> Result<(), PackedSendError> {
        self.send_packed(event)
    }

    fn call(
        self: Arc<Self>,
        event: Event,
        timeout: Duration,
    ) -> Future<Result<Payload, CallFailure>> {
        Box::pin(async move { Self::call(&self, event, timeout).await })
    }

    fn responder(&self, token: ReplyToken) -> Box<dyn Respond> {
        Box::new(Responder::new(self.clone(), token))
    }

    fn drain(&self, within: Duration) {
        self.drain(within);
    }

    fn send_capacity(&self) -> SendCapacity {
        self.send_capacity()
    }

    fn config(&self) -> Option<Arc<sente_core::ConnectionConfig>> {
        self.config()
    }
}
