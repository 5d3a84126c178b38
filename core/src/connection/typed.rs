//! Events sent as Rust types, without a payload between.

use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::error::SendError;
use crate::event::{Event, EventId, Payload};
use crate::id::CallId;
use crate::packed::{PackedEvent, SealedFrames};
use crate::queue::{Outgoing, SendOptions, Sent};
use crate::record::Entry;
use crate::time::Instant;
use crate::typed::{TypedError, pack_typed_onto};

use super::ahead::Packed;
use super::send::PackedSendError;
use super::{Connection, ConnectionConfig};

/// Why a typed event was not queued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TypedSendError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] PackedSendError),
    /// Its data cannot be packed.
    #[error(transparent)]
    Unpackable(#[from] TypedError),
}

/// Needs the feature `serde`.
impl Connection {
    /// Queues the event `[id data]` as [`send`](Self::send) does, with data of a Rust type: EDN, JSON
    /// and MessagePack are written from it as it is. It is the cheapest way to send.
    ///
    /// ```
    /// use sente_core::{
    ///     Accept, Carrier, Connection, ConnectionConfig, Dialect, EventId, Instant, Role,
    /// };
    ///
    /// # #[derive(serde::Serialize)]
    /// # struct Tick { n: u32 }
    /// let config = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines)
    ///     .build()?;
    /// let mut connection = Connection::new(config, [7; 32], Instant::EPOCH);
    /// connection.accept(Instant::EPOCH, Accept::new("ada"));
    /// connection.send_typed(Instant::EPOCH, &EventId::new("clock/tick")?, &Tick { n: 7 })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TypedSendError`]; id and data are only borrowed.
    pub fn send_typed<T: Serialize + ?Sized>(
        &mut self,
        now: Instant,
        id: &EventId,
        data: &T,
    ) -> Result<(), TypedSendError> {
        self.send_typed_with(now, id, data, &SendOptions::new())
            .map(|_| ())
    }

    /// The same, in the way `options` say.
    ///
    /// # Errors
    /// As for [`send_typed`](Self::send_typed).
    pub fn send_typed_with<T: Serialize + ?Sized>(
        &mut self,
        now: Instant,
        id: &EventId,
        data: &T,
        options: &SendOptions,
    ) -> Result<Sent, TypedSendError> {
        self.tick(now);
        if !self.takes_events() {
            self.stats.rare().sends_refused += 1;
            return Err(PackedSendError::NotOpen.into());
        }
        let packed = self.pack_ahead(None, options, |config, out| {
            config.pack_typed(id, data, out)
        });
        let packed = match packed.inspect_err(|_| self.stats.rare().sends_refused += 1)? {
            Packed::Ahead => return Ok(Sent::Queued),
            Packed::Alone(packed) => packed,
        };
        // What came of it is the same as of the packed event.
        if self.tape.is_some() {
            let event = PackedEvent::of_bytes(packed.clone(), self.config.format.clone());
            self.note(now, || Entry::SendPacked(event, options.clone()));
        }
        self.enqueue(Outgoing::event(packed), options)
            .map_err(|refused| TypedSendError::Refused(refused.into()))
    }

    /// Queues a call of the event `[id data]` as [`call`](Self::call) does, with data of a Rust type. It is
    /// the cheapest way to call.
    ///
    /// # Errors
    /// [`TypedSendError`]; id and data are only borrowed.
    pub fn call_typed<T: Serialize + ?Sized>(
        &mut self,
        now: Instant,
        id: &EventId,
        data: &T,
        timeout: Duration,
    ) -> Result<CallId, TypedSendError> {
        self.tick(now);
        if self.tape.is_some() {
            // As it is called with an event, which is what is written down.
            let payload = Payload::typed(data, &self.config)?;
            let event = Event::new(id.clone(), payload);
            return self.call(now, event, timeout).map_err(refused);
        }
        if let Some(refused) = self.refuses_calls() {
            self.stats.rare().sends_refused += 1;
            return Err(refused.into());
        }
        let name = self.fresh_callback();
        let options = SendOptions::new().flush(true);
        let packed = self.pack_ahead(Some(&name), &options, |config, out| {
            config.pack_typed(id, data, out)
        });
        match packed.inspect_err(|_| self.stats.rare().sends_refused += 1)? {
            Packed::Ahead => {}
            Packed::Alone(packed) => {
                let item = Outgoing::Event {
                    packed,
                    callback: Some(name.clone()),
                    sealed: SealedFrames::default(),
                    portable: None,
                };
                self.enqueue(item, &options)
                    .map_err(|refused| TypedSendError::Refused(refused.into()))?;
            }
        }
        Ok(self.calls.make().register(&name, now + timeout))
    }

    /// Why no call can be made now, if none can.
    fn refuses_calls(&self) -> Option<PackedSendError> {
        let limit = self.config.limits.max_pending_calls;
        if !self.takes_events() || self.peer_finished {
            Some(PackedSendError::NotOpen)
        } else if !self.profile.can_call() {
            Some(PackedSendError::CallsUnsupported)
        } else {
            (self.pending_calls() >= limit).then_some(PackedSendError::TooManyCalls { limit })
        }
    }
}

/// The same refusal without the event.
fn refused(error: SendError) -> TypedSendError {
    let refused = match error {
        SendError::CallsUnsupported(_) => PackedSendError::CallsUnsupported,
        SendError::Full { .. } => PackedSendError::Full,
        SendError::NoReservation(_) | SendError::NotOpen(_) => PackedSendError::NotOpen,
        SendError::RateLimited { retry_at, .. } => PackedSendError::RateLimited { retry_at },
        SendError::TooLarge { .. } => PackedSendError::TooLarge,
        SendError::TooManyCalls { limit, .. } => PackedSendError::TooManyCalls { limit },
        SendError::Unpackable { error, .. } => {
            return TypedSendError::Unpackable(TypedError::from_pack(error));
        }
    };
    TypedSendError::Refused(refused)
}

impl ConnectionConfig {
    /// Packs `[id data]` behind what stands in `out`.
    fn pack_typed<T: Serialize + ?Sized>(
        &self,
        id: &EventId,
        data: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), TypedError> {
        let packer = (&*self.packer, &self.format);
        pack_typed_onto(id, data, packer, &self.atoms.pair, &self.limits, out)
    }
}
