//! The short way from received bytes to what the application takes: frames that say one simple thing
//! are looked at where they lie, as many as there are.

use bytes::{Bytes, BytesMut};

use crate::calls::CallName;
use crate::event::{EventId, PackedPayload, Payload};
use crate::framing::{Kind, Whole, Wholes};
use crate::id::ReplyToken;
use crate::profile::Profile;
use crate::wire::{self, Known, RecentIds};

use super::Connection;
use super::config::{ConnectionConfig, RecvPolicy};
use super::event::State;
use super::framer::Framer;
use super::receive::part;
use super::recv_queue::RecvQueue;

/// How many bytes the data of several messages share that come with one read, at most: whoever keeps one
/// of them keeps that much, and no message but the first needs memory of its own.
const BLOCK: usize = 1024;

/// The longest data that share.
const SHARE_BELOW: usize = BLOCK / 4;

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
    recv: &'a mut RecvQueue,
    serial: u64,
    /// Whether events only have to be queued.
    queues: bool,
    /// Room for the data of the next messages.
    block: BytesMut,
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
            recv: &mut self.recv,
            serial: self.serial,
            queues,
            block: BytesMut::new(),
            frames: 0,
            events: 0,
            calls: 0,
        };
        let recent = self.recent_ids.get_or_insert_default();
        let stop = match &mut self.framer {
            Framer::LengthPrefixed(framing) => taking.take(&mut **framing, recent),
            Framer::Lines(framing) => taking.take(&mut **framing, recent),
            Framer::WebSocket(websocket) => taking.take(&mut **websocket, recent),
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
    fn take<F: Wholes>(&mut self, framing: &mut F, recent: &mut RecentIds) -> Stop {
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
            let start = at.wrapping_add(whole.start);
            let end = start.wrapping_add(whole.len);
            let next = at.wrapping_add(whole.total);
            let waiting = framing.waiting();
            let frame = waiting.get(start..end).unwrap_or_default();
            if self.queues
                && let Some(known) = wire::read_known(self.profile, self.limits, frame, recent)
            {
                self.queue(&known, waiting.len().wrapping_sub(next));
                at = next;
                continue;
            }
            let stop = self.take_any(whole, frame, recent);
            if !matches!(stop, Some(Stop::Other(_))) {
                at = next;
            }
            if let Some(stop) = stop {
                break stop;
            }
        };
        framing.step_over(at);
        stop
    }

    /// Takes any frame, or says why it is not taken, or where the event or the answer is to go.
    #[inline(never)]
    fn take_any(&mut self, whole: Whole, frame: &[u8], recent: &mut RecentIds) -> Option<Stop> {
        let Some(plain) = wire::read_plainly(self.profile, self.limits, frame, recent) else {
            return Some(Stop::Other(whole));
        };
        let data = plain.data.map(|span| part(frame, span));
        let callback = plain.callback.map(|span| part(frame, span));
        let copied = |data| self.payload(Bytes::copy_from_slice(data));
        match (plain.id, callback) {
            (Some(id), callback) if self.queues => {
                let callback = callback.map(CallName::new);
                let data = data.map(copied);
                let size = size_of_event(&id, data.as_ref(), callback.as_ref());
                self.push(&id, data, callback, size);
                None
            }
            (Some(id), callback) => {
                let data = data.map(copied);
                self.frames = self.frames.wrapping_add(1);
                let callback = callback.map(CallName::new);
                Some(Stop::Event { id, data, callback })
            }
            (None, Some(callback)) => {
                let data = data.map(copied);
                self.frames = self.frames.wrapping_add(1);
                let callback = CallName::new(callback);
                Some(Stop::Reply { callback, data })
            }
            (None, None) => Some(Stop::Other(whole)),
        }
    }

    /// Queues an event. So many bytes wait behind its frame.
    #[inline(always)]
    fn queue(&mut self, known: &Known<'_>, behind: usize) {
        let Known { id, data, callback } = *known;
        let size = id.as_str().len().wrapping_add(data.len());
        let size = size.wrapping_add(callback.map_or(0, <[u8]>::len));
        let bytes = self.copied(data, behind);
        self.frames = self.frames.wrapping_add(1);
        self.events = self.events.wrapping_add(1);
        self.calls = self.calls.wrapping_add(usize::from(callback.is_some()));
        let connection = self.serial;
        let reply = callback.map(|callback| ReplyToken {
            callback: CallName::new(callback),
            connection,
        });
        let data = Payload::from_packed(self.payload(bytes));
        self.recv.push_message(id, Some(data), reply, size);
    }

    fn push(
        &mut self,
        id: &EventId,
        data: Option<PackedPayload>,
        callback: Option<CallName>,
        size: usize,
    ) {
        self.frames = self.frames.wrapping_add(1);
        self.events = self.events.wrapping_add(1);
        self.calls = self.calls.wrapping_add(usize::from(callback.is_some()));
        let connection = self.serial;
        let reply = callback.map(|callback| ReplyToken {
            callback,
            connection,
        });
        let data = data.map(Payload::from_packed);
        self.recv.push_message(id, data, reply, size);
    }

    /// A part of a frame, copied.
    #[inline(always)]
    fn copied(&mut self, part: &[u8], behind: usize) -> Bytes {
        if part.len() > SHARE_BELOW || (self.block.capacity() < part.len() && behind == 0) {
            return Bytes::copy_from_slice(part);
        }
        if self.block.capacity() < part.len() {
            // All that is still to be copied is no longer than what waits.
            let room = part.len().saturating_add(behind).min(BLOCK);
            self.block = BytesMut::with_capacity(room);
        }
        self.block.extend_from_slice(part);
        self.block.split().freeze()
    }

    #[inline(always)]
    fn payload(&self, bytes: Bytes) -> PackedPayload {
        PackedPayload {
            bytes,
            reader: self.config.reader.clone(),
            // Whoever has to know looks.
            line_safe: false,
            portable: Some(true),
        }
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
