//! What most frames say, handed to the application: events and the answers to calls.

use alloc::boxed::Box;

use sente_edn::Value;

use crate::calls::CallName;
use crate::error::CallError;
use crate::event::{Event, EventId, PackedPayload, Payload};
use crate::trace::Traceparent;

use super::event::{ConnectionEvent, Message};
use super::plain::size_of_event;
use super::recv_queue::Lane;
use super::{Connection, RecvPolicy};

impl Connection {
    /// A message that makes room for more.
    #[inline(never)]
    pub(super) fn next_message_of_backlog(&mut self) -> Option<ConnectionEvent> {
        let message = self.recv.pop_message(&self.config.limits);
        self.process();
        message
    }

    pub(super) fn handle_event(
        &mut self,
        id: EventId,
        data: Option<PackedPayload>,
        callback: Option<CallName>,
        traceparent: Option<Box<Traceparent>>,
    ) {
        let size = size_of_event(&id, data.as_ref(), callback.as_ref());
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
        self.push_message(ConnectionEvent::Message(Message { event, reply }), size);
    }

    pub(super) fn settle(&mut self, callback: &[u8], data: Option<PackedPayload>) {
        if self
            .ping_callback
            .as_deref()
            .is_some_and(|name| **name == *callback)
        {
            self.ping_callback = None;
            return;
        }
        let Some(call) = self.calls.there().and_then(|calls| calls.settle(callback)) else {
            self.stats.rare().late_replies += 1;
            return;
        };
        let size = data.as_ref().map_or(0, |data| data.bytes.len());
        let result = match data {
            Some(data) if data.bytes == self.config.atoms.error => Err(CallError::Peer),
            Some(data) => Ok(Payload::from_packed(data)),
            None => Ok(Payload::from(Value::Nil)),
        };
        let settled = ConnectionEvent::Settled { call, result };
        if self.config.on_recv_full == RecvPolicy::Backpressure {
            let limits = &self.config.limits;
            self.recv.push(Lane::Answer, settled, Some(size), limits);
        } else {
            self.push_message(settled, size);
        }
    }
}
