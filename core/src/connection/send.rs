//! The sending half of a connection: commands in, bytes out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use sente_edn::Value;

use crate::error::{CallError, ReplyError, SendError};
use crate::event::{Event, Payload};
use crate::framing::websocket::Part;
use crate::id::{CallId, FlushId, ReplyToken};
use crate::packed::{PackedEvent, pack_payload};
use crate::profile::Role;
use crate::queue::{Outgoing, WAITING_OVERHEAD};
use crate::time::Instant;
use crate::transmit::TransmitBuf;

use super::event::{ConnectionEvent, Opened, State, Transmit};
use super::{Accept, CloseReason, Connection, envelope, framer};

impl Connection {
    /// Sends the handshake: the connection is open, and bytes are read from now on. Does nothing
    /// on a client, or twice.
    pub fn accept(&mut self, now: Instant, accept: Accept) {
        self.tick(now);
        if self.state != State::Accepting {
            return;
        }
        self.state = State::Open;
        self.last_received = self.now;
        self.send_handshake(accept, true);
        self.process();
    }

    /// Queues `event`. `Ok` means queued: it will be written in order, unless the connection ends
    /// first, and then it comes back as `Undelivered`.
    ///
    /// # Errors
    /// [`SendError`] gives the event back: not open, queue full, too large, or not packable.
    pub fn send(&mut self, now: Instant, event: Event) -> Result<(), SendError> {
        self.tick(now);
        if !self.takes_events() {
            self.stats.sends_refused += 1;
            return Err(SendError::NotOpen(Box::new(event)));
        }
        let (event, packed) = self.pack(event)?;
        self.enqueue(event, packed, None)
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
        self.tick(now);
        if event.packer() != self.config.packer.name() {
            return Err(PackedSendError::WrongPacker);
        }
        let item = Outgoing::Event {
            packed: event.bytes().clone(),
            callback: None,
        };
        let size = self.frame_len(&item);
        let refused = if !self.takes_events() {
            PackedSendError::NotOpen
        } else if size > self.config.limits.max_frame_bytes {
            PackedSendError::TooLarge
        } else if !self.queue.has_room(item.len(), &self.config.limits) {
            self.refuse_for_now(item.len());
            PackedSendError::Full
        } else {
            self.push(item, size);
            return Ok(());
        };
        self.stats.sends_refused += 1;
        Err(refused)
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
        self.tick(now);
        let limit = self.config.limits.max_pending_calls;
        let refused = if !self.takes_events() || self.peer_finished {
            SendError::NotOpen(Box::new(event))
        } else if !self.profile.can_call() {
            SendError::CallsUnsupported(Box::new(event))
        } else if self.calls.len() >= limit {
            SendError::TooManyCalls {
                event: Box::new(event),
                limit,
            }
        } else {
            let (event, packed) = self.pack(event)?;
            let callback = self.fresh_callback();
            self.enqueue(event, packed, Some(callback.clone()))?;
            return Ok(self.calls.register(callback, now + timeout));
        };
        self.stats.sends_refused += 1;
        Err(refused)
    }

    /// Settles a call as cancelled. A reply that comes later is counted and dropped. `false` if it
    /// had settled already.
    pub fn cancel(&mut self, call: CallId) -> bool {
        let pending = self.calls.remove(call);
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
        self.tick(now);
        let payload = payload.into();
        let callback = self.redeem(token, &payload)?;
        let mut packed = Vec::new();
        if let Err(error) = pack_payload(&payload, &*self.config.packer, &mut packed) {
            self.push_error_reply(callback);
            return Err(ReplyError::Unpackable {
                payload: Box::new(payload),
                error,
            });
        }
        let item = Outgoing::Reply {
            callback,
            packed: Bytes::from(packed),
        };
        let size = self.frame_len(&item);
        let limit = self.config.limits.max_frame_bytes;
        if size > limit {
            if let Outgoing::Reply { callback, .. } = item {
                self.push_error_reply(callback);
            }
            return Err(ReplyError::TooLarge {
                payload: Box::new(payload),
                size,
                limit,
            });
        }
        self.push(item, size);
        Ok(())
    }

    /// Answers a call with a failure (`:chsk/error`): the caller's call settles as
    /// [`CallError::Peer`].
    ///
    /// # Errors
    /// [`ReplyError`] if nobody waits any more.
    pub fn reply_error(&mut self, now: Instant, token: ReplyToken) -> Result<(), ReplyError> {
        self.tick(now);
        let callback = self.redeem(token, &Payload::from(Value::Nil))?;
        self.push_error_reply(callback);
        Ok(())
    }

    /// Says that a call will not be answered, so that a drain does not wait for it.
    pub fn forget(&mut self, token: ReplyToken) {
        if token.connection == self.serial {
            self.owed_replies = self.owed_replies.saturating_sub(1);
        }
    }

    /// Asks to be told, by `Flushed`, when everything queued until now has been written.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        self.tick(now);
        let id = FlushId(self.next_flush);
        self.next_flush = self.next_flush.wrapping_add(1);
        if matches!(self.state, State::Closing | State::Closed) {
            self.push_event(ConnectionEvent::FlushFailed(id));
        } else {
            self.flushes.push_back((id, self.queue.queued()));
            self.settle_flushes();
        }
        id
    }

    /// Fills `out`, which must be empty, with what is to be written next, at most
    /// `Limits::max_transmit_bytes` unless one frame is larger. `None` while the last transmit is
    /// not [acknowledged](Self::handle_transmitted) or nothing is to be done.
    pub fn poll_transmit(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        if self.transmitting || self.shutdown_given || self.ended_badly() {
            return None;
        }
        self.transmit_is_life = !self.has_reply_room();
        let limit = self.config.limits.max_transmit_bytes;
        self.write_control(out);
        if matches!(self.state, State::Open | State::Draining) {
            // A WebSocket whose end was read, but not reached yet for want of room, takes no more:
            // what is queued comes back as undelivered.
            while out.len() < limit && self.framer.takes_messages() && self.write_next(out) {}
            self.check_send_ready();
            // Before the end may come, so that a flush knows what this transmit carries.
            self.transmitting = !out.is_empty();
            self.transmitted_to = self.queue.taken();
            if self.state == State::Draining && self.has_drained() {
                self.finish_draining();
            }
        }
        // After the data: what `finish_draining` may have begun.
        if let Some(websocket) = self.framer.websocket() {
            websocket.poll_transmit(out);
        }
        if !out.is_empty() {
            self.transmitting = true;
            self.transmitted_to = self.queue.taken();
            self.stats.bytes_sent += out.len() as u64;
            return Some(Transmit::Data);
        }
        if self.wants_shutdown() {
            self.shutdown_given = true;
            return Some(Transmit::Shutdown);
        }
        None
    }

    /// Says that the last transmit has been handed to the operating system.
    pub fn handle_transmitted(&mut self, now: Instant) {
        self.tick(now);
        if core::mem::take(&mut self.transmitting) {
            self.written_to = self.transmitted_to;
            self.settle_flushes();
            if core::mem::take(&mut self.transmit_is_life) {
                self.last_received = self.now;
                self.ping_sent = None;
            }
        }
    }

    pub(super) fn send_handshake(&mut self, accept: Accept, first: bool) {
        let frame = accept.to_frame(self.profile.dialect);
        self.push_control_value(&frame);
        let opened = Opened {
            uid: Some(Payload::from(accept.uid.clone())),
            csrf_token: Some(Payload::from(accept.csrf_token.clone())),
            data: Some(Payload::from(accept.data.clone())),
            first,
            dialect: self.profile.dialect,
        };
        self.accept = Some(accept);
        self.push_event(ConnectionEvent::Opened(opened));
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
            callback.as_ref(),
        ));
        self.ping_callback = callback;
        self.push_control(frame);
    }

    pub(super) fn send_pong(&mut self, callback: Option<Bytes>) {
        let positional = self.profile.positional_replies() && self.profile.role == Role::Server;
        // Pongs coalesce where they are all equal: a peer that pings and never reads gets one.
        if self.shutdown_given || (!positional && self.pong_queued) {
            return;
        }
        let pong = envelope::pong(self.profile, &self.config.atoms, callback.as_ref());
        if let Some(frame) = pong.map(|parts| join(&parts)) {
            self.push_control(frame);
            self.pong_queued = !positional;
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
        self.control_bytes = self
            .control_bytes
            .saturating_add(frame.len() + WAITING_OVERHEAD);
        self.control.push_back(frame);
    }

    /// Whether events may be queued: after a failure they never went out, even while what came
    /// before it is still being read.
    fn takes_events(&self) -> bool {
        self.state == State::Open && !self.ended_badly()
    }

    fn pack(&mut self, event: Event) -> Result<(Event, Bytes), SendError> {
        match PackedEvent::pack(&event, &*self.config.packer) {
            Ok(packed) => Ok((event, packed.bytes)),
            Err(error) => {
                self.stats.sends_refused += 1;
                Err(SendError::Unpackable {
                    event: Box::new(event),
                    error,
                })
            }
        }
    }

    fn enqueue(
        &mut self,
        event: Event,
        packed: Bytes,
        callback: Option<Bytes>,
    ) -> Result<(), SendError> {
        let item = Outgoing::Event { packed, callback };
        let size = self.frame_len(&item);
        let limit = self.config.limits.max_frame_bytes;
        let refused = if size > limit {
            SendError::TooLarge {
                event: Box::new(event),
                size,
                limit,
            }
        } else if !self.queue.has_room(item.len(), &self.config.limits) {
            self.refuse_for_now(item.len());
            SendError::Full {
                event: Box::new(event),
                messages: self.queue.len(),
                bytes: self.queue.bytes(),
            }
        } else {
            self.push(item, size);
            return Ok(());
        };
        self.stats.sends_refused += 1;
        Err(refused)
    }

    fn push(&mut self, item: Outgoing, size: usize) {
        if matches!(item, Outgoing::Event { .. }) {
            self.stats.events_queued += 1;
        }
        if size >= self.config.limits.warn_frame_bytes {
            self.push_event(ConnectionEvent::LargeFrame {
                size,
                received: false,
            });
        }
        self.queue.push(item);
    }

    pub(super) fn push_error_reply(&mut self, callback: Bytes) {
        let packed = self.config.atoms.error.clone();
        self.queue.push(Outgoing::Reply { callback, packed });
    }

    fn redeem(&mut self, token: ReplyToken, payload: &Payload) -> Result<Bytes, ReplyError> {
        if token.connection != self.serial {
            return Err(ReplyError::WrongConnection(Box::new(payload.clone())));
        }
        self.owed_replies = self.owed_replies.saturating_sub(1);
        if !matches!(self.state, State::Open | State::Draining) || self.shutdown_given {
            return Err(ReplyError::NotOpen(Box::new(payload.clone())));
        }
        Ok(token.callback)
    }

    /// The size of the frame a message makes, without the framing.
    fn frame_len(&self, item: &Outgoing) -> usize {
        framer::len_of(&envelope::message(self.profile, &self.config.atoms, item))
    }

    fn write_control(&mut self, out: &mut TransmitBuf) {
        let kind = self.config.packer.kind();
        self.control_bytes = 0;
        self.pong_queued = false;
        while let Some(frame) = self.control.pop_front() {
            if self.framer.write(kind, &[Part::Shared(&frame)], out) {
                self.stats.frames_sent += 1;
            }
        }
    }

    /// Writes the next frame from the queue. Whether there was one.
    fn write_next(&mut self, out: &mut TransmitBuf) -> bool {
        let kind = self.config.packer.kind();
        let config = &*self.config;
        let count = self.batch_len();
        let written = if count > 1 {
            let events: Vec<Bytes> = (0..count)
                .filter_map(|_| match self.queue.pop() {
                    Some(Outgoing::Event { packed, .. }) => Some(packed),
                    _ => None,
                })
                .collect();
            let tokens = config.packer.sequence(events.len());
            let parts = envelope::batch(&tokens, &config.atoms, &events);
            self.framer.write(kind, &parts, out)
        } else {
            let Some(item) = self.queue.pop() else {
                return false;
            };
            let parts = envelope::message(self.profile, &config.atoms, &item);
            self.framer.write(kind, &parts, out)
        };
        if written {
            self.stats.frames_sent += 1;
        }
        true
    }

    /// How many events from the front of the queue go out in one frame.
    fn batch_len(&self) -> usize {
        if !self.profile.batches() {
            return 1;
        }
        let limits = &self.config.limits;
        let max_bytes = limits.max_batch_bytes.min(limits.max_frame_bytes);
        let mut bytes = 0usize;
        let mut count = 0usize;
        for item in self.queue.iter().take(limits.max_batch_events.max(1)) {
            let Outgoing::Event {
                packed,
                callback: None,
            } = item
            else {
                break;
            };
            bytes = bytes.saturating_add(packed.len());
            let overhead =
                envelope::batch_overhead(&*self.config.packer, &self.config.atoms, count + 1);
            if count > 0 && bytes.saturating_add(overhead) > max_bytes {
                break;
            }
            count += 1;
        }
        count.max(1)
    }

    /// One `SendReady` after a refusal, once half of the queue is free.
    fn check_send_ready(&mut self) {
        let limits = &self.config.limits;
        let low = self.queue.len() <= limits.max_send_messages / 2
            && self.queue.bytes() <= limits.max_send_bytes / 2;
        let fits = |len: usize| {
            self.queue.bytes().saturating_add(len) <= limits.max_send_bytes || self.queue.len() == 0
        };
        if low && self.send_refused.is_some_and(fits) {
            self.send_refused = None;
            self.push_event(ConnectionEvent::SendReady);
        }
    }

    /// Remembers the largest event that was refused: `SendReady` comes when it would fit.
    fn refuse_for_now(&mut self, len: usize) {
        self.send_refused = Some(self.send_refused.map_or(len, |known| known.max(len)));
    }

    fn has_drained(&self) -> bool {
        self.queue.front().is_none()
            && self.control.is_empty()
            && (self.owed_replies == 0)
            && (self.calls.len() == 0 || self.profile.stream)
    }

    fn finish_draining(&mut self) {
        let now = self.now;
        if let Some(websocket) = self.framer.websocket() {
            websocket.close(now, 1000, "");
            self.state = State::Closing;
            self.drain_deadline = None;
            self.release();
        } else if self.peer_finished && !self.transmitting {
            self.finish(CloseReason::Requested);
        }
    }

    /// Whether nothing will be written any more.
    fn wants_shutdown(&mut self) -> bool {
        if let Some(websocket) = self.framer.websocket() {
            return websocket.wants_shutdown();
        }
        match self.state {
            State::Closed => true,
            State::Draining => self.has_drained(),
            _ => false,
        }
    }

    fn settle_flushes(&mut self) {
        while let Some((flush, mark)) = self.flushes.front().copied() {
            if mark > self.written_to {
                break;
            }
            self.flushes.pop_front();
            self.push_event(ConnectionEvent::Flushed(flush));
        }
    }
}

/// Why a packed event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackedSendError {
    /// The send queue is at its limit.
    #[error("the send queue is full: wait for SendReady")]
    Full,
    /// The connection is not open.
    #[error("the connection is not open")]
    NotOpen,
    /// Over `Limits::max_frame_bytes`.
    #[error("the packed event is over the frame limit")]
    TooLarge,
    /// Packed by another packer than this connection's.
    #[error("the event was packed by another packer than this connection's")]
    WrongPacker,
}

fn join(parts: &[Part<'_>]) -> Bytes {
    let mut out = Vec::with_capacity(framer::len_of(parts));
    for part in parts {
        match part {
            Part::Slice(bytes) => out.extend_from_slice(bytes),
            Part::Shared(bytes) => out.extend_from_slice(bytes),
        }
    }
    Bytes::from(out)
}
