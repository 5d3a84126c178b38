//! The short way from received bytes to what the application takes: frames that say one simple thing
//! are looked at where they lie, as many as there are.

use bytes::Bytes;

use crate::calls::CallName;
use crate::event::{Event, EventId, PackedPayload, Payload};
use crate::framing::{Kind, Whole, Wholes};
use crate::id::ReplyToken;
use crate::packer::Span;
use crate::profile::Profile;
use crate::wire::{self, Plain, RecentIds};

use super::Connection;
use super::config::{ConnectionConfig, RecvPolicy};
use super::event::{Message, State};
use super::framer::Framer;
use super::receive::part;
use super::recv_queue::RecvQueue;

/// Why no further frame was taken.
enum Stop {
    /// There is no whole frame, or no room. Whether any was taken.
    Here(bool),
    /// An event that is more than to be queued.
    Event {
        id: EventId,
        data: Option<PackedPayload>,
        callback: Option<CallName>,
    },
    /// The answer to a call.
    Reply {
        callback: CallName,
        data: Option<PackedPayload>,
    },
    /// What is at the front says something else, and has been unmasked.
    Other(Whole),
}

/// What that takes, borrowed from the connection.
struct Taking<'a> {
    config: &'a ConnectionConfig,
    limits: &'a sente_edn::Limits,
    profile: Profile,
    recent: &'a mut RecentIds,
    recv: &'a mut RecvQueue,
    serial: u64,
    /// Whether events only have to be queued.
    queues: bool,
    frames: usize,
    events: usize,
    calls: usize,
}

impl Connection {
    /// Decodes the simple frames, as far as there is room for them, and one that is not. Whether there
    /// was any.
    #[inline]
    pub(super) fn process_plain(&mut self) -> bool {
        match self.take_plain() {
            Stop::Here(progress) => return progress,
            Stop::Event { id, data, callback } => self.handle_event(id, data, callback, None),
            Stop::Reply { callback, data } => self.settle(&callback, data),
            Stop::Other(whole) => {
                self.stats.frames_received += 1;
                let frame = self.framer.take(whole);
                self.handle_frame(&frame);
            }
        }
        true
    }

    /// Takes the simple frames at the front of the framing, as far as there is room.
    fn take_plain(&mut self) -> Stop {
        let config = &*self.config;
        let Some(limits) = &config.edn else {
            return Stop::Here(false);
        };
        let queues = config.on_recv_full == RecvPolicy::Backpressure
            && !config.wrap_received
            && self.state != State::Handshaking;
        let mut taking = Taking {
            config,
            limits,
            profile: self.profile,
            recent: self.recent_ids.get_or_insert_default(),
            recv: &mut self.recv,
            serial: self.serial,
            queues,
            frames: 0,
            events: 0,
            calls: 0,
        };
        let stop = match &mut self.framer {
            Framer::LengthPrefixed(framing) => taking.take(&mut **framing),
            Framer::Lines(framing) => taking.take(&mut **framing),
            Framer::WebSocket(websocket) => taking.take(&mut **websocket),
        };
        let (frames, events, calls) = (taking.frames, taking.events, taking.calls);
        if events > 0 {
            self.recv.messages_pushed(&config.limits);
        }
        self.stats.frames_received += frames as u64;
        self.stats.events_received += events as u64;
        self.owed_replies = self.owed_replies.saturating_add(calls);
        stop
    }
}

impl Taking<'_> {
    #[inline(always)]
    fn take<F: Wholes>(&mut self, framing: &mut F) -> Stop {
        let mut at: usize = 0;
        let stop = loop {
            if self.queues && !self.recv.has_room(&self.config.limits) {
                break Stop::Here(at > 0);
            }
            let Some(whole) = framing.whole_at(at) else {
                break Stop::Here(at > 0);
            };
            if whole.kind != Kind::Text || whole.len >= self.config.limits.warn_frame_bytes {
                break Stop::Other(whole);
            }
            let start = at.saturating_add(whole.start);
            let end = start.saturating_add(whole.len);
            let frame = framing.waiting().get(start..end).unwrap_or_default();
            match wire::read_plainly(self.profile, self.limits, frame, self.recent) {
                Some(Plain {
                    id: Some(id),
                    data,
                    callback,
                }) => {
                    let data = self.copied(frame, data);
                    let callback = callback.map(|span| CallName::new(part(frame, span)));
                    at = at.saturating_add(whole.total);
                    self.frames = self.frames.saturating_add(1);
                    if !self.queues {
                        break Stop::Event { id, data, callback };
                    }
                    self.queue(id, data, callback);
                }
                Some(Plain {
                    id: None,
                    data,
                    callback: Some(callback),
                }) => {
                    let data = self.copied(frame, data);
                    let callback = CallName::new(part(frame, callback));
                    at = at.saturating_add(whole.total);
                    self.frames = self.frames.saturating_add(1);
                    break Stop::Reply { callback, data };
                }
                _ => break Stop::Other(whole),
            }
        };
        framing.step_over(at);
        stop
    }

    /// A part of a frame with memory of its own.
    #[inline(always)]
    fn copied(&self, frame: &[u8], span: Option<Span>) -> Option<PackedPayload> {
        let span = span?;
        Some(PackedPayload {
            bytes: Bytes::copy_from_slice(part(frame, span)),
            reader: self.config.reader.clone(),
            line_safe: span.line_safe,
            portable: Some(span.portable),
        })
    }

    #[inline(always)]
    fn queue(&mut self, id: EventId, data: Option<PackedPayload>, callback: Option<CallName>) {
        let size = size_of_event(&id, data.as_ref(), callback.as_ref());
        self.events = self.events.saturating_add(1);
        let event = Event {
            id,
            data: data.map(Payload::from_packed),
            traceparent: None,
        };
        let reply = callback.map(|callback| ReplyToken {
            callback,
            connection: self.serial,
        });
        self.calls = self.calls.saturating_add(usize::from(reply.is_some()));
        self.recv.push_message(Message { event, reply }, size);
    }
}

/// What an event counts for while it waits.
#[inline]
pub(super) fn size_of_event(
    id: &EventId,
    data: Option<&PackedPayload>,
    callback: Option<&CallName>,
) -> usize {
    let size = id.as_str().len();
    let size = size.saturating_add(data.map_or(0, |data| data.bytes.len()));
    size.saturating_add(callback.map_or(0, |callback| callback.len()))
}
