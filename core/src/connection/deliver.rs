//! What most frames say, handed to the application: events and the answers to calls.

use alloc::boxed::Box;

use bytes::Bytes;
use sente_edn::Value;

use crate::calls::CallName;
use crate::error::CallError;
use crate::event::{Event, EventId, PackedPayload, Payload};
use crate::framing::{Kind, Whole};
use crate::packer::Span;
use crate::trace::Traceparent;
use crate::wire::{self, Packet};

use super::Connection;
use super::config::{ConnectionConfig, RecvPolicy};
use super::event::{ConnectionEvent, Message, State};
use super::receive::part;

impl Connection {
    /// Takes a small frame where it lies, or hands it on if it is not a simple one.
    pub(super) fn handle_whole(&mut self, whole: Whole, over: bool) {
        if over {
            self.framer.skip(whole);
            return;
        }
        let config = &*self.config;
        let packet = match &config.edn {
            Some(limits)
                if whole.kind == Kind::Text && whole.len < self.config.limits.warn_frame_bytes =>
            {
                let frame = self.framer.message(whole);
                wire::read_plainly(self.profile, limits, frame, &mut self.recent_ids)
            }
            _ => None,
        };
        match packet {
            Some(Packet::Event {
                id, data, callback, ..
            }) => {
                let frame = self.framer.message(whole);
                let data = data.map(|span| Self::copied(config, frame, span));
                let callback = callback.map(|span| CallName::new(part(frame, span)));
                self.framer.skip(whole);
                self.handle_event(id, data, callback, None);
            }
            Some(Packet::Reply { callback, data }) => {
                let frame = self.framer.message(whole);
                let data = data.map(|span| Self::copied(config, frame, span));
                let callback = CallName::new(part(frame, callback));
                self.framer.skip(whole);
                self.settle(&callback, data);
            }
            _ => {
                let frame = self.framer.take(whole);
                self.handle_frame(&frame);
            }
        }
    }

    /// A part of a frame with memory of its own.
    #[inline]
    fn copied(config: &ConnectionConfig, frame: &[u8], span: Span) -> PackedPayload {
        PackedPayload {
            bytes: Bytes::copy_from_slice(part(frame, span)),
            reader: config.reader.clone(),
            line_safe: span.line_safe,
            portable: Some(span.portable),
        }
    }

    pub(super) fn handle_event(
        &mut self,
        id: EventId,
        data: Option<PackedPayload>,
        callback: Option<CallName>,
        traceparent: Option<Box<Traceparent>>,
    ) {
        let size = id.as_str().len()
            + data.as_ref().map_or(0, |data| data.bytes.len())
            + callback.as_ref().map_or(0, |callback| callback.len());
        let mut event = Event {
            id,
            data: data.map(Payload::from_packed),
            traceparent,
        };
        if self.config.wrap_received {
            event = event.wrapped(&self.config.reader);
        }
        let reply = callback.map(|callback| self.token(callback));
        self.stats.events_received += 1;
        let message = Message { event, reply };
        let limits = &self.config.limits;
        // What is decoded has room, unless that has to be made.
        let has_room =
            self.config.on_recv_full == RecvPolicy::Backpressure || self.recv.has_room(limits);
        if has_room && self.state != State::Handshaking {
            self.recv.push_message(message, size, limits);
        } else {
            self.push_message(ConnectionEvent::Message(message), size);
        }
    }

    pub(super) fn settle(&mut self, callback: &[u8], data: Option<PackedPayload>) {
        if self.ping_callback.as_deref() == Some(callback) {
            self.ping_callback = None;
            return;
        }
        let Some(call) = self.calls.settle(callback) else {
            self.stats.late_replies += 1;
            return;
        };
        let size = data.as_ref().map_or(0, |data| data.bytes.len());
        let result = match data {
            Some(data) if data.bytes == self.config.atoms.error => Err(CallError::Peer),
            Some(data) => Ok(Payload::from_packed(data)),
            None => Ok(Payload::from(Value::Nil)),
        };
        self.push_message(ConnectionEvent::Settled { call, result }, size);
    }
}
