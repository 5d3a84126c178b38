//! Sending and calling with Rust types, by serde.

use std::sync::Arc;
use std::time::Duration;

use sente_core::{ConnectionConfig, Event, EventId, Payload, SendError, TypedError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::engine::Engine;
use crate::handle::{CallFailure, Handle};

impl<M: Engine> Handle<M> {
    /// `data` as a payload, packed as this connection does; for a client without a link a value.
    ///
    /// # Errors
    /// [`TypedError`] if the format cannot express it, or its `Serialize` fails.
    pub fn payload<T: Serialize + ?Sized>(&self, data: &T) -> Result<Payload, TypedError> {
        match self.config() {
            Some(config) => Payload::typed(data, &config),
            None => Payload::from_typed(data),
        }
    }

    /// Queues an event with this data, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// [`TypedSendError`]; what was refused is given back packed.
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    pub async fn send_typed<T: Serialize + ?Sized>(
        &self,
        id: EventId,
        data: &T,
    ) -> Result<(), TypedSendError> {
        // Nothing of `data` is held while this waits.
        let event = Event::new(id, self.payload(data)?);
        Ok(self.send(event).await?)
    }

    /// Calls the peer with this data and reads its reply as a Rust type.
    ///
    /// ```no_run
    /// # async fn example(handle: sente_adapters::Handle) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sente_core::EventId;
    ///
    /// let id = EventId::new("math/sum")?;
    /// let sum: i64 = handle.call_typed(id, &[1, 2, 3], Duration::from_secs(5)).await?;
    /// assert_eq!(sum, 6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TypedCallError`].
    ///
    /// # Cancel safety
    /// As for [`call`](Self::call).
    pub async fn call_typed<Req: Serialize + ?Sized, Res: DeserializeOwned>(
        &self,
        id: EventId,
        data: &Req,
        timeout: Duration,
    ) -> Result<Res, TypedCallError> {
        let event = Event::new(id, self.payload(data).map_err(TypedCallError::Request)?);
        let reply = self.call(event, timeout).await?;
        reply.deserialize().map_err(|error| TypedCallError::Reply {
            error,
            reply: Box::new(reply),
        })
    }

    /// The configuration of the connection, or of the present link of a client.
    pub(crate) fn config(&self) -> Option<Arc<ConnectionConfig>> {
        self.shared.lock().machine.config()
    }
}

/// Why an event with a Rust type was not sent.
#[derive(Clone, Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "it is packed, then sent")]
pub enum TypedSendError {
    /// It cannot be packed.
    #[error(transparent)]
    Data(#[from] TypedError),
    /// It was not queued; the event is in the error.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why a call with Rust types came to nothing.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TypedCallError {
    /// The question cannot be packed.
    #[error("the question cannot be packed: {0}")]
    Request(TypedError),
    /// There is no reply.
    #[error(transparent)]
    Call(#[from] CallFailure),
    /// There is one, of another type.
    #[error("the reply is not of the type that was asked for: {error}")]
    #[non_exhaustive]
    Reply {
        /// What is wrong with it.
        error: TypedError,
        /// The reply.
        reply: Box<Payload>,
    },
}
