//! The sending half of a connection: what the application says, packed and handed to the queue.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use sente_edn::Value;

use crate::calls::CallName;
use crate::error::{CallError, ReplyError, SendError};
use crate::event::{Event, PackedPayload, Payload};
use crate::extensions::Extensions;
use crate::framing::websocket::Part;
use crate::id::{CallId, ReplyToken};
use crate::packed::{PackedEvent, SealedFrames, pack_event, pack_payload, pack_traced, take_trace};
use crate::packer::PackError;
use crate::profile::Role;
use crate::queue::{Outgoing, SendOptions, Sent, WAITING_OVERHEAD};
use crate::record::Entry;
use crate::state::LinkInput;
use crate::time::Instant;

use super::ahead::Packed;
use super::config::ConnectionConfig;
use super::enqueue::Refused;
use super::event::{ConnectionEvent, Opened, State};
use super::seal::TooLarge;
use super::{Accept, Connection, envelope, framer};

impl Connection {
    /// Sends the handshake: the connection is open, and bytes are read from now on. Does nothing
    /// on a client, or twice.
    pub fn accept(&mut self, now: Instant, accept: Accept) {
        self.note(now, || Entry::Accept(accept.clone()));
        self.tick(now);
        if !self.step(LinkInput::Accept) {
            return;
        }
        self.last_received = self.now;
        self.send_handshake(accept, true);
        self.process();
    }

    /// Queues `event`. `Ok` means queued: it will be written in order, unless the connection ends
    /// first, and then it comes back as `Undelivered`.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: not open, queue full, too large, over the rate, or not
    /// packable.
    pub fn send(&mut self, now: Instant, event: Event) -> Result<(), SendError> {
        self.send_with(now, event, SendOptions::new()).map(|_| ())
    }

    /// Queues `event` in the way `options` say, which may drop it or an older one: see
    /// [`Policy`](crate::Policy).
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_with(
        &mut self,
        now: Instant,
        event: Event,
        options: SendOptions,
    ) -> Result<Sent, SendError> {
        self.note(now, || Entry::Send(event.clone(), options.clone()));
        self.tick(now);
        if !self.takes_events() {
            self.stats.rare().sends_refused += 1;
            return Err(SendError::NotOpen(Box::new(event)));
        }
        match self.pack_event_ahead(event, None, &options)? {
            (_, Packed::Ahead) => Ok(Sent::Queued),
            (event, Packed::Alone(packed)) => self
                .enqueue(Outgoing::event(packed), &options)
                .map_err(|refused| self.give_back(event, refused)),
        }
    }

    /// Queues an event that was packed before, as a broadcast does.
    ///
    /// # Errors
    /// [`PackedSendError`]; the event is only borrowed.
    pub fn send_packed(
        &mut self,
        now: Instant,
        event: &PackedEvent,
    ) -> Result<(), PackedSendError> {
        self.queue_packed(now, event, &SendOptions::new())
            .map(|_| ())
    }

    /// Queues an event that was packed before in the way `options` say.
    ///
    /// # Errors
    /// [`PackedSendError`]; the event is only borrowed.
    pub fn send_packed_with(
        &mut self,
        now: Instant,
        event: &PackedEvent,
        options: SendOptions,
    ) -> Result<Sent, PackedSendError> {
        self.queue_packed(now, event, &options)
    }

    #[inline]
    fn queue_packed(
        &mut self,
        now: Instant,
        event: &PackedEvent,
        options: &SendOptions,
    ) -> Result<Sent, PackedSendError> {
        self.note(now, || Entry::SendPacked(event.clone(), options.clone()));
        self.tick(now);
        if event.format != self.config.format {
            return Err(PackedSendError::WrongPacker);
        }
        if !self.takes_events() {
            self.stats.rare().sends_refused += 1;
            return Err(PackedSendError::NotOpen);
        }
        let is_untraced = event.traceparent.is_none();
        if is_untraced && self.enqueue_simply(event.bytes.len(), options, || untraced(event)) {
            return Ok(Sent::Queued);
        }
        self.queue_packed_otherwise(event, options)
    }

    #[inline(never)]
    fn queue_packed_otherwise(
        &mut self,
        event: &PackedEvent,
        options: &SendOptions,
    ) -> Result<Sent, PackedSendError> {
        let item = self.outgoing(event);
        self.enqueue(item, options).map_err(PackedSendError::from)
    }

    /// Queues a call: `event`, to be answered within `timeout` from now. It settles exactly once,
    /// as a `Settled` event, also when the connection ends.
    ///
    /// A stock sente-lite server over WebSocket never answers calls; one of this engine does.
    ///
    /// # Errors
    /// [`SendError`] gives the event back.
    pub fn call(
        &mut self,
        now: Instant,
        event: Event,
        timeout: Duration,
    ) -> Result<CallId, SendError> {
        self.note(now, || Entry::Call(event.clone(), timeout));
        self.tick(now);
        let limit = self.config.limits.max_pending_calls;
        let refused = if !self.takes_events() || self.peer_finished {
            SendError::NotOpen(Box::new(event))
        } else if !self.profile.can_call() {
            SendError::CallsUnsupported(Box::new(event))
        } else if self.pending_calls() >= limit {
            SendError::TooManyCalls {
                event: Box::new(event),
                limit,
            }
        } else {
            let name = self.fresh_callback();
            // Somebody waits for the answer: a flush window would only add to that.
            let options = SendOptions::new().flush(true);
            if let (event, Packed::Alone(packed)) =
                self.pack_event_ahead(event, Some(&name), &options)?
            {
                let item = Outgoing::Event {
                    packed,
                    callback: Some(name.clone()),
                    sealed: SealedFrames::default(),
                    portable: None,
                };
                if let Err(refused) = self.enqueue(item, &options) {
                    return Err(self.give_back(event, refused));
                }
            }
            return Ok(self.calls.make().register(&name, now + timeout));
        };
        self.stats.rare().sends_refused += 1;
        Err(refused)
    }

    /// Settles a call as cancelled. A reply that comes later is counted and dropped. `false` if it
    /// had settled already.
    pub fn cancel(&mut self, call: CallId) -> bool {
        self.note(self.now, || Entry::Cancel(call.0));
        let pending = self.calls.there().is_some_and(|calls| calls.remove(call));
        if pending {
            self.push_event(ConnectionEvent::Settled {
                call,
                result: Err(CallError::Cancelled),
            });
        }
        pending
    }

    /// Answers a call. The reply is always queued, whatever the queue's limits: the peer asked for
    /// it, and is not read from while too much waits for it.
    ///
    /// # Errors
    /// [`ReplyError`] gives the payload back. Where the caller still waits it is told that the call
    /// failed (`:chsk/error`), so that it does not wait in vain.
    pub fn reply(
        &mut self,
        now: Instant,
        token: ReplyToken,
        payload: impl Into<Payload>,
    ) -> Result<(), ReplyError> {
        let mut payload = payload.into();
        self.note(now, || {
            Entry::Reply(token.callback.clone(), token.connection, payload.clone())
        });
        self.tick(now);
        if token.connection == self.serial
            && self.takes_answers()
            && let Some(packed) = self.as_it_is(&payload)
            && self.reply_ahead(&token.callback, &packed.bytes)
        {
            self.owed_replies = self.owed_replies.saturating_sub(1);
            return Ok(());
        }
        let callback = self.redeem(token, &payload)?;
        let packer = &*self.config.packer;
        // What came goes back as it is.
        let taken = payload.take_packed_by(packer);
        let is_taken = taken.is_some();
        let packed = match taken {
            Some(packed) => Ok(packed),
            None => self
                .scratch
                .packed(|out| pack_payload(&payload, packer, out)),
        };
        let packed = match packed {
            Ok(packed) => packed,
            Err(error) => {
                self.push_error_reply(callback);
                return Err(ReplyError::Unpackable {
                    payload: Box::new(payload),
                    error,
                });
            }
        };
        let mut item = Outgoing::Reply { callback, packed };
        match self.fits_a_frame(&mut item) {
            Ok(size) => {
                self.warn_if_large(size);
                self.push_reply(item);
                Ok(())
            }
            Err(TooLarge { size, limit }) => {
                self.stats.rare().oversized_refused += 1;
                if let Outgoing::Reply { callback, packed } = item {
                    self.push_error_reply(callback);
                    if is_taken {
                        payload.put_packed(packed);
                    }
                }
                Err(ReplyError::TooLarge {
                    payload: Box::new(payload),
                    size,
                    limit,
                })
            }
        }
    }

    /// Answers a call with a failure (`:chsk/error`): the caller's call settles as
    /// [`CallError::Peer`].
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError> {
        self.note(now, || {
            Entry::ReplyError(token.callback.clone(), token.connection)
        });
        self.tick(now);
        let callback = self.redeem(token, &Payload::from(Value::Nil))?;
        self.push_error_reply(callback);
        Ok(())
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&mut self, token: ReplyToken) {
        self.note(self.now, || {
            Entry::Forget(token.callback.clone(), token.connection)
        });
        if token.connection == self.serial {
            self.owed_replies = self.owed_replies.saturating_sub(1);
        }
    }

    pub(super) fn send_handshake(&mut self, accept: Accept, first: bool) {
        if let Some(offered) = accept.offered {
            self.profile.extensions = offered.and(self.config.extensions);
            if !accept.can_answer(self.profile.dialect) {
                self.profile.extensions = Extensions::NONE;
            }
        }
        let frame = accept.to_frame(self.profile.dialect, self.profile.extensions);
        self.push_control_value(&frame);
        let opened = Opened {
            uid: Some(Payload::from(accept.uid.clone())),
            csrf_token: Some(Payload::from(accept.csrf_token.clone())),
            data: Some(Payload::from(accept.data.clone())),
            first,
            dialect: self.profile.dialect,
            extensions: self.profile.extensions,
        };
        if self.profile.stream {
            self.accept = Some(Box::new(accept));
        }
        self.push_event(ConnectionEvent::Opened(Box::new(opened)));
    }

    pub(super) fn send_ping(&mut self) {
        self.stats.pings_sent += 1;
        let profile = self.profile;
        // Only a Sente server over WebSocket answers to a callback id.
        let callback = (profile.positional_replies() && profile.role == Role::Client)
            .then(|| self.fresh_callback());
        let frame = join(&envelope::ping(
            profile,
            &self.config.atoms,
            callback.as_deref(),
        ));
        self.ping_callback = callback.map(Box::new);
        self.push_control(frame);
    }

    pub(super) fn send_pong(&mut self, callback: Option<&[u8]>) {
        let positional = self.profile.positional_replies() && self.profile.role == Role::Server;
        // Pongs coalesce where they are all equal: a peer that pings and never reads gets one.
        if self.shutdown_given || (!positional && self.control.has_pong) {
            return;
        }
        let pong = envelope::pong(self.profile, &self.config.atoms, callback);
        if let Some(frame) = pong.map(|parts| join(&parts)) {
            self.push_control(frame);
            self.control.make().has_pong = !positional;
        }
    }

    pub(super) fn push_control_value(&mut self, value: &Value) {
        let mut packed = Vec::new();
        // The protocol's own frames hold keywords and what the application put into `Accept`;
        // where the packer cannot carry that, nil takes its place rather than no handshake.
        if self.config.packer.pack(value, &mut packed).is_ok() {
            self.push_control(Bytes::from(packed));
        }
    }

    fn push_control(&mut self, frame: Bytes) {
        let control = self.control.make();
        control.bytes = control.bytes.saturating_add(frame.len() + WAITING_OVERHEAD);
        control.frames.push_back(frame);
    }

    /// What is queued of an event that was packed before: with its trace where the peer takes that.
    fn outgoing(&mut self, event: &PackedEvent) -> Outgoing {
        if let Some(parent) = &event.traceparent
            && self.profile.extensions.trace
        {
            let packer = &*self.config.packer;
            let traced = self.scratch.packed(|out| {
                pack_traced(parent, packer, out, |out| {
                    out.extend_from_slice(&event.bytes);
                    Ok(())
                })
            });
            // A packer that cannot pack a string was refused with the configuration.
            if let Ok(packed) = traced {
                return Outgoing::event(packed);
            }
        }
        untraced(event)
    }

    /// An event that comes back from the queue, as it was handed in: another link may take no trace.
    pub(super) fn given_back(&self, event: PackedEvent) -> PackedEvent {
        if !self.profile.extensions.trace {
            return event;
        }
        match take_trace(&event.bytes, &*self.config.packer) {
            None => event,
            Some((bytes, parent)) => PackedEvent {
                bytes,
                traceparent: Some(Box::new(parent)),
                sealed: SealedFrames::default(),
                ..event
            },
        }
    }

    pub(super) fn pack(&mut self, event: Event) -> Result<(Event, Bytes), SendError> {
        let trace = self.profile.extensions.trace;
        let config = &*self.config;
        let packed = self
            .scratch
            .packed(|out| pack_whole(&event, trace, config, out));
        self.packed_or_not(event, packed)
    }

    /// Packs an event, or a call with a callback id, and queues it at once where that can be.
    #[inline]
    fn pack_event_ahead(
        &mut self,
        event: Event,
        callback: Option<&[u8]>,
        options: &SendOptions,
    ) -> Result<(Event, Packed), SendError> {
        let trace = self.profile.extensions.trace;
        let packed = self.pack_ahead(callback, options, |config, out| {
            pack_whole(&event, trace, config, out)
        });
        self.packed_or_not(event, packed)
    }

    fn packed_or_not<P>(
        &mut self,
        event: Event,
        packed: Result<P, PackError>,
    ) -> Result<(Event, P), SendError> {
        match packed {
            Ok(packed) => Ok((event, packed)),
            Err(error) => {
                self.stats.rare().sends_refused += 1;
                Err(SendError::Unpackable {
                    event: Box::new(event),
                    error,
                })
            }
        }
    }

    pub(super) fn push_error_reply(&mut self, callback: CallName) {
        // Nothing is written any more: it would lie here, and in the end stop the reading.
        if self.shutdown_given {
            return;
        }
        let packed = self.config.atoms.error.clone();
        self.push_reply(Outgoing::Reply { callback, packed });
    }

    /// The payload as it came, if it may stand in a frame of ours as it is.
    #[inline]
    fn as_it_is<'a>(&self, payload: &'a Payload) -> Option<&'a PackedPayload> {
        let packed = payload.as_packed()?;
        let is_ours = packed.reader.is(&self.config.reader);
        if is_ours && (packed.line_safe || !self.framer.is_lines()) {
            return Some(packed);
        }
        payload.as_packed_by(&*self.config.packer)
    }

    #[inline]
    const fn takes_answers(&self) -> bool {
        matches!(self.state, State::Open | State::Draining) && !self.shutdown_given
    }

    fn redeem(&mut self, token: ReplyToken, payload: &Payload) -> Result<CallName, ReplyError> {
        if token.connection != self.serial {
            return Err(ReplyError::WrongConnection(Box::new(payload.clone())));
        }
        self.owed_replies = self.owed_replies.saturating_sub(1);
        if !self.takes_answers() {
            return Err(ReplyError::NotOpen(Box::new(payload.clone())));
        }
        Ok(token.callback)
    }
}

/// What is queued of an event that was packed before.
#[inline]
fn untraced(event: &PackedEvent) -> Outgoing {
    Outgoing::Event {
        packed: event.bytes().clone(),
        callback: None,
        sealed: event.sealed.clone(),
        portable: event.portable,
    }
}

/// Appends an event, with its trace where that travels.
fn pack_whole(
    event: &Event,
    trace: bool,
    config: &ConnectionConfig,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let packer = &*config.packer;
    match event.traceparent.as_deref().filter(|_| trace) {
        None => pack_event(event, packer, out),
        Some(parent) => pack_traced(parent, packer, out, |out| pack_event(event, packer, out)),
    }
}

/// Why a packed event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackedSendError {
    /// The link's dialect cannot carry a call in this direction.
    #[error("this peer cannot be called: its dialect has no way to answer")]
    CallsUnsupported,
    /// The send queue is at its limit.
    #[error("the send queue is full: wait for SendReady")]
    Full,
    /// The connection is not open.
    #[error("the connection is not open")]
    NotOpen,
    /// Over the rate of `ConnectionConfigBuilder::send_rate`.
    #[error("over the send rate until {retry_at:?}")]
    RateLimited {
        /// When the next event may be sent.
        retry_at: Instant,
    },
    /// Over `Limits::max_frame_bytes` or `Limits::max_send_bytes`: it never fits.
    #[error("the packed event is over the limit")]
    TooLarge,
    /// As many calls are pending as `Limits::max_pending_calls` allows.
    #[error("{limit} calls are waiting for their reply already")]
    TooManyCalls {
        /// The limit in force.
        limit: usize,
    },
    /// Packed by another packer than this connection's.
    #[error("the event was packed by another packer than this connection's")]
    WrongPacker,
}

impl From<Refused> for PackedSendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { .. } => Self::Full,
            Refused::RateLimited { retry_at } => Self::RateLimited { retry_at },
            Refused::TooLarge { .. } => Self::TooLarge,
        }
    }
}

fn join(parts: &[Part<'_>]) -> Bytes {
    let mut out = Vec::with_capacity(framer::len_of(parts));
    framer::join(parts, &mut out);
    Bytes::from(out)
}
