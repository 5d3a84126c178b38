//! The receiving half of a connection: bytes in, events out.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;
use sente_edn::Value;

use crate::calls::CallName;
use crate::error::{BadReason, CloseReason};
use crate::event::{PackedPayload, Payload};
use crate::extensions::Extensions;
use crate::framing::websocket::{Closed, ClosedBy, Violation};
use crate::framing::{Frame, FrameError};
use crate::id::ReplyToken;
use crate::packed::read_traceparent;
use crate::packer::{Shape, Span, UnpackError};
use crate::profile::{Dialect, Role};
use crate::record::Entry;
use crate::state::LinkInput;
use crate::time::Instant;
use crate::trace::Traceparent;
use crate::wire::{self, Handshake, Packet, Packets};

use super::Connection;
use super::close::Unread;
use super::config::RecvPolicy;
use super::event::{BadEvent, ConnectionEvent, HelloReceived, Input, Opened, State};
use super::framer::Framed;

/// In a frame smaller than this, nothing is too small to be a slice of it.
const PIN_BELOW: usize = 4096;

/// A frame whose events are being handed out, as far as there is room for them.
#[derive(Debug)]
pub(super) struct Incoming {
    /// As the packer opened it.
    frame: Bytes,
    packets: Packets,
    /// What the frame counts for while it waits here, if opening it has made it larger than what
    /// came.
    grown: usize,
}

impl Connection {
    /// Takes what the transport read, or how its reading side ended. Never fails: what the peer
    /// does wrong comes out of [`poll_event`](Self::poll_event).
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.note(now, || match &input {
            Input::Bytes(bytes) => Entry::Input(Bytes::copy_from_slice(bytes)),
            Input::Eof => Entry::Eof,
            Input::Failed(error) => Entry::Failed(error.clone()),
        });
        self.tick(now);
        let mut lent = None;
        match input {
            Input::Bytes(bytes) => {
                self.stats.bytes_received += bytes.len() as u64;
                if !bytes.is_empty() {
                    self.last_received = self.now;
                    self.ping_sent = None;
                    self.recv_stopped = false;
                }
                self.framer.lend(self.now, bytes);
                lent = Some(bytes);
            }
            Input::Eof => {
                if self.ended.is_none() {
                    self.ended = Some(Box::new(CloseReason::Eof));
                    self.framer.handle_eof(self.now);
                }
            }
            Input::Failed(error) => {
                // The transmit that was out is lost, also if reading failed before writing did.
                self.transmitting = false;
                if !self.ended_badly() {
                    self.ended = Some(Box::new(CloseReason::Failed(error)));
                    self.framer.handle_eof(self.now);
                }
            }
        }
        if self.ended.is_some() && self.state != State::Closed {
            // Nothing more is read, so the end itself need not wait for a share of the budget.
            self.recv.set_allowance(usize::MAX, &self.config.limits);
        }
        self.process();
        if let Some(bytes) = lent {
            self.framer.give_back(bytes);
        }
        if self.ended_badly() {
            // Whoever waits for us does not wait until the application has read what came before.
            self.settle_as_closed();
            self.fail_reservations();
            self.fail_flushes();
        }
    }

    /// Decodes what has been received, as far as there is room for it.
    pub(super) fn process(&mut self) {
        if self.state == State::Accepting {
            // What came behind the upgrade waits: the handshake is said before anything is heard.
            self.handle_end();
        }
        while self.state != State::Accepting {
            if self.unread == Unread::MayDrop
                && !self.has_recv_room()
                && self.recv.stays_full(&self.config.limits)
            {
                self.unread = Unread::Dropped;
            }
            // After the end everything is dropped, and needs no room.
            let over = self.drops_all();
            self.backlog = !over && !self.has_recv_room();
            if self.backlog {
                self.recv_stopped = true;
                break;
            }
            if let Some(incoming) = self.incoming.take() {
                self.recv.set_waiting(0);
                if !over {
                    self.hand_out(*incoming);
                }
                continue;
            }
            if self.ended.is_none() && self.framer.is_drained() {
                break;
            }
            if !over && self.process_plain() {
                continue;
            }
            match self.framer.poll() {
                Some(Framed::Life) => {}
                Some(Framed::Frame(frame)) => {
                    self.stats.frames_received += 1;
                    if !over {
                        self.handle_frame(&frame);
                    }
                }
                Some(Framed::Error(error)) => self.handle_frame_error(error),
                Some(Framed::Closed(closed)) => self.handle_closed(closed),
                None => {
                    self.handle_end();
                    break;
                }
            }
        }
    }

    /// Whether what arrives is told to nobody any more.
    fn drops_all(&self) -> bool {
        self.state == State::Closed || self.unread == Unread::Dropped
    }

    /// Everything received has been decoded; if nothing more will come, says so.
    fn handle_end(&mut self) {
        let Some(ended) = self.ended.as_deref() else {
            return;
        };
        let eof = matches!(ended, CloseReason::Eof);
        match self.state {
            State::Closed => {}
            State::Open if eof && self.profile.stream && !self.peer_finished => {
                self.peer_finished = true;
                self.settle_as_closed();
                self.push_event(ConnectionEvent::PeerFinished);
            }
            State::Draining if eof && self.profile.stream && !self.shutdown_given => {
                self.peer_finished = true;
                self.settle_as_closed();
            }
            State::Open if eof && self.profile.stream => {}
            State::Draining if eof => self.finish(CloseReason::Requested),
            _ => {
                let reason = ended.clone();
                self.finish(reason);
            }
        }
    }

    fn handle_closed(&mut self, closed: Closed) {
        let failed = match self.ended.as_deref() {
            Some(reason @ CloseReason::Failed(_)) => Some(reason.clone()),
            _ => None,
        };
        let requested = self.state == State::Closing;
        if let Some(error) = &closed.error
            && error.violation.is_oversized()
        {
            self.stats.rare().oversized_received += 1;
        }
        self.finish(match closed {
            _ if requested => CloseReason::Requested,
            Closed {
                error: Some(error), ..
            } => match failed {
                // The transport's own words say more than that its bytes ended.
                Some(reason) if error.violation == Violation::EndedWithoutClose => reason,
                _ => CloseReason::WebSocket(error),
            },
            Closed {
                by: ClosedBy::Us, ..
            } => CloseReason::Requested,
            Closed { code, reason, .. } => CloseReason::PeerClosed { code, reason },
        });
    }

    fn handle_frame_error(&mut self, error: FrameError) {
        if self.state == State::Closed {
            return;
        }
        let fatal = error.is_fatal();
        self.report_bad(BadReason::Frame(error.clone()), &Bytes::new(), None);
        if fatal {
            self.finish(CloseReason::LostFraming(error));
        }
    }

    pub(super) fn handle_frame(&mut self, frame: &Frame) {
        let bytes = &frame.bytes;
        let size = bytes.len();
        if size >= self.config.limits.warn_frame_bytes {
            let large = ConnectionEvent::LargeFrame {
                size,
                received: true,
            };
            self.push_message(large, 0);
        }
        let expected = self.config.packer.kind();
        if frame.kind != expected {
            let error = UnpackError::WrongKind {
                expected,
                got: frame.kind,
            };
            self.report_bad(BadReason::Unpack(error), bytes, None);
            return;
        }
        let config = &*self.config;
        let room = match config.on_recv_full {
            RecvPolicy::DropOldest => usize::MAX,
            RecvPolicy::Backpressure => self.recv.room(&config.limits),
        };
        let opened = match config.packer.open(bytes, &config.limits) {
            Ok(opened) => opened,
            Err(error) => return self.report_bad(BadReason::Unpack(error), bytes, None),
        };
        let read = wire::read(self.profile, &*config.packer, &config.limits, &opened, room);
        match read {
            Err(error) => self.report_bad(BadReason::Unpack(error), &opened, None),
            Ok(packets) => self.hand_out(Incoming {
                grown: if opened.len() > size { opened.len() } else { 0 },
                frame: opened,
                packets,
            }),
        }
    }

    /// Hands out what a frame says, as far as there is room, and keeps the rest.
    fn hand_out(&mut self, mut incoming: Incoming) {
        while self.state != State::Closed {
            if !self.has_recv_room() {
                self.recv.set_waiting(incoming.grown);
                self.incoming = Some(Box::new(incoming));
                return;
            }
            let config = &*self.config;
            let frame = &incoming.frame;
            let Some(packet) = incoming
                .packets
                .next(&*config.packer, &config.limits, frame)
            else {
                return;
            };
            self.handle_packet(frame, packet);
        }
    }

    fn handle_packet(&mut self, frame: &Bytes, packet: Packet) {
        match packet {
            Packet::Ignored => self.stats.rare().ignored += 1,
            Packet::Pong => {}
            Packet::Ping { callback } => {
                let callback = callback.map(|span| part(frame, span));
                self.send_pong(callback);
            }
            Packet::Bad { reason, callback } => self.report_bad(reason, frame, callback),
            Packet::Event {
                id,
                data,
                callback,
                trace,
            } => {
                let data = data.map(|span| self.packed(frame, span));
                let callback = callback.map(|span| CallName::new(part(frame, span)));
                let trace = trace.and_then(|span| self.traceparent(frame, *span));
                self.handle_event(id, data, callback, trace);
            }
            Packet::Reply { callback, data } => {
                let data = data.map(|span| self.packed(frame, span));
                self.settle(part(frame, callback), data);
            }
            Packet::ReplyMap(map) => self.handle_reply_map(frame, map),
            Packet::Handshake(handshake) => self.handle_handshake(frame, &handshake),
            Packet::Hello(data) => self.handle_hello(frame, data),
        }
    }

    /// `[:chsk/reply {:cb-uuid .. :data ..}]`
    fn handle_reply_map(&mut self, frame: &Bytes, map: Span) {
        let mut callback = None;
        let mut data = None;
        let packed = frame.get(map.start..map.end).unwrap_or_default();
        self.config
            .packer
            .entries(packed, &self.config.limits, &mut |key, mut span| {
                span.start += map.start;
                span.end += map.start;
                match key {
                    "cb-uuid" => callback = Some(span),
                    "data" => data = Some(span),
                    _ => {}
                }
            });
        match callback {
            Some(callback) => {
                let data = data.map(|span| self.packed(frame, span));
                self.settle(part(frame, callback), data);
            }
            None => self.report_bad(
                BadReason::NotAnEvent("a :chsk/reply without :cb-uuid"),
                frame,
                None,
            ),
        }
    }

    fn handle_handshake(&mut self, frame: &Bytes, handshake: &Handshake) {
        // Frames that were made already have the form that holds until now.
        self.take_ahead_back();
        let size =
            span_len(handshake.uid) + span_len(handshake.csrf_token) + span_len(handshake.data);
        let slot = |span: Option<Span>| span.map(|span| self.payload(frame, span));
        let mut opened = Opened {
            uid: slot(handshake.uid),
            csrf_token: slot(handshake.csrf_token),
            data: slot(handshake.data),
            first: false,
            dialect: handshake.dialect,
            extensions: Extensions::NONE,
        };
        if self.profile.stream {
            self.profile.dialect = handshake.dialect;
        }
        opened.dialect = self.profile.dialect;
        let answer = match handshake.dialect {
            Dialect::Sente => handshake.extra,
            Dialect::SenteLite => handshake.data,
        };
        if let Some(granted) = self.read_extensions(frame, answer)
            && self.config.offers
        {
            self.profile.extensions = granted.and(self.config.extensions);
        }
        if matches!(self.state, State::Closing | State::Closed) {
            // What follows is still read, and by these terms.
            return;
        }
        opened.extensions = self.profile.extensions;
        self.handshakes = self.handshakes.saturating_add(1);
        let wanted = self.config.hello.as_ref().and_then(|hello| hello.dialect);
        if self.state == State::Handshaking
            && wanted.is_some_and(|wanted| wanted != self.profile.dialect)
            && self.handshakes < 2
        {
            // The answer to our hello is still to come, and with it the dialect asked for.
            return;
        }
        if self.step(LinkInput::Handshake) {
            self.handshake_deadline = None;
            opened.first = true;
            if self.profile.stream && self.config.hello.is_some() {
                self.pings = self.config.keepalive.is_some();
            }
        }
        self.push_message(ConnectionEvent::Opened(Box::new(opened)), size);
        self.recv.release_early();
    }

    /// The extensions under `:ext` of a map, if it has that key.
    fn read_extensions(&self, frame: &Bytes, map: Option<Span>) -> Option<Extensions> {
        let span = map.filter(|span| span.shape == Shape::Map)?;
        let map = frame.get(span.start..span.end)?;
        let (packer, limits) = (&self.config.packer, &self.config.limits);
        let mut found = None;
        packer.entries(map, limits, &mut |key, span| {
            if key == "ext" {
                found = Some(span);
            }
        });
        let span = found?;
        let mut extensions = Extensions::NONE;
        packer.entries(
            map.get(span.start..span.end)?,
            limits,
            &mut |name, value| {
                if value.truthy {
                    extensions.insert(name);
                }
            },
        );
        Some(extensions)
    }

    fn handle_hello(&mut self, frame: &Bytes, data: Option<Span>) {
        let mut hello = HelloReceived {
            client_id: None,
            token: None,
            dialect: None,
            offered: self.read_extensions(frame, data),
        };
        let map = data.and_then(|span| frame.get(span.start..span.end));
        if let Some(packed) = map {
            let config = &self.config;
            config
                .packer
                .entries(packed, &config.limits, &mut |key, span| {
                    let text = packed
                        .get(span.start..span.end)
                        .and_then(|slice| config.packer.unpack(slice, &config.limits).ok())
                        .and_then(|value| match value {
                            Value::String(text) => Some(text),
                            Value::Keyword(keyword) => Some(String::from(keyword.as_str())),
                            _ => None,
                        });
                    match (key, text) {
                        ("client-id", text) => hello.client_id = text,
                        ("token", text) => hello.token = text,
                        ("dialect", Some(name)) if name == "sente" => {
                            hello.dialect = Some(Dialect::Sente);
                        }
                        ("dialect", Some(name)) if name == "sente-lite" => {
                            hello.dialect = Some(Dialect::SenteLite);
                        }
                        _ => {}
                    }
                });
        }
        // One hello a connection: each further one would make us say a whole handshake.
        if self.profile.role != Role::Server || self.state != State::Open || self.hello_seen {
            self.stats.rare().ignored += 1;
            return;
        }
        self.hello_seen = true;
        self.take_ahead_back();
        if let Some(dialect) = hello.dialect {
            self.profile.dialect = dialect;
        }
        self.pings = self.config.keepalive.is_some();
        let offered = hello.offered;
        self.push_message(ConnectionEvent::Hello(hello), span_len(data));
        if let Some(mut accept) = self.accept.take() {
            accept.offered = offered;
            self.send_handshake(*accept, false);
        }
    }

    fn report_bad(&mut self, reason: BadReason, frame: &Bytes, callback: Option<Span>) {
        self.stats.rare().count_bad(&reason);
        let limits = &self.config.limits;
        let since = *self.bad_since.get_or_insert(self.now);
        if since + limits.bad_frame_period <= self.now {
            self.report_suppressed();
            self.bad_since = Some(self.now);
        }
        let limits = &self.config.limits;
        if self.bad_reported >= limits.max_bad_frames_reported {
            self.bad_suppressed += 1;
            // Nobody will see it, so nobody can answer: the caller is not left to its timeout.
            if let Some(callback) = callback
                && self.may_answer()
            {
                self.push_error_reply(CallName::new(part(frame, callback)));
            }
            return;
        }
        self.bad_reported += 1;
        let end = frame.len().min(limits.max_bad_frame_excerpt);
        let excerpt = Bytes::copy_from_slice(frame.get(..end).unwrap_or_default());
        let reply = callback.map(|span| self.token(CallName::new(part(frame, span))));
        let bad = BadEvent {
            reason,
            excerpt,
            frame_len: frame.len(),
            reply,
        };
        self.push_message(
            ConnectionEvent::BadEvent(Box::new(bad)),
            end + span_len(callback),
        );
    }

    pub(super) fn report_suppressed(&mut self) {
        let count = core::mem::take(&mut self.bad_suppressed);
        self.bad_since = None;
        self.bad_reported = 0;
        if count > 0 {
            self.push_message(ConnectionEvent::BadEventsSuppressed(count), 0);
        }
    }

    /// Queues what the peer said, counted, so that it cannot make the queue grow past its limits.
    pub(super) fn push_message(&mut self, event: ConnectionEvent, size: usize) {
        while self.config.on_recv_full == RecvPolicy::DropOldest
            && !self.recv.has_room(&self.config.limits)
            && self.recv.can_shed(&self.config.limits)
            && self.shed()
        {}
        self.enqueue_event(event, Some(size));
    }

    /// Drops the oldest unread message, if there is one. A caller is told that it failed.
    fn shed(&mut self) -> bool {
        let Some(token) = self.recv.shed(&self.config.limits) else {
            return false;
        };
        self.stats.rare().shed += 1;
        if let Some(token) = token {
            self.owed_replies = self.owed_replies.saturating_sub(1);
            if self.may_answer() {
                self.push_error_reply(token.callback);
            }
        }
        true
    }

    /// Whether an answer may still reach the peer. A client may be asked before it is open: it
    /// answers once it is.
    const fn may_answer(&self) -> bool {
        !matches!(self.state, State::Closing | State::Closed)
    }

    pub(super) fn token(&mut self, callback: CallName) -> ReplyToken {
        self.owed_replies = self.owed_replies.saturating_add(1);
        ReplyToken {
            callback,
            connection: self.serial,
        }
    }

    /// Where it has another form than it should, there is none: the sender's trace ends here.
    fn traceparent(&self, frame: &Bytes, span: Span) -> Option<Box<Traceparent>> {
        let packed = frame.get(span.start..span.end)?;
        read_traceparent(packed, &*self.config.packer).map(Box::new)
    }

    fn payload(&self, frame: &Bytes, span: Span) -> Payload {
        Payload::from_packed(self.packed(frame, span))
    }

    fn packed(&self, frame: &Bytes, span: Span) -> PackedPayload {
        PackedPayload {
            bytes: small_slice(frame, span),
            reader: self.config.reader.clone(),
            line_safe: span.line_safe,
            portable: Some(span.portable),
        }
    }
}

pub(super) fn part(frame: &[u8], span: Span) -> &[u8] {
    frame.get(span.start..span.end).unwrap_or_default()
}

fn slice(frame: &Bytes, span: Span) -> Bytes {
    if span.start <= span.end && span.end <= frame.len() {
        frame.slice(span.start..span.end)
    } else {
        Bytes::new()
    }
}

fn span_len(span: Option<Span>) -> usize {
    span.map_or(0, |span| span.end.saturating_sub(span.start))
}

/// A slice of the frame, copied where it would keep a large frame alive for a small part of it.
fn small_slice(frame: &Bytes, span: Span) -> Bytes {
    let slice = slice(frame, span);
    if frame.len() < PIN_BELOW || slice.len() >= frame.len() / 2 {
        slice
    } else {
        Bytes::copy_from_slice(&slice)
    }
}
