//! The posts of a session's client: what they say, and how they are answered.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::frames::{payload, span_len};
use super::request::{Exchange, Response};
use super::session::AjaxSession;
use crate::calls::CallName;
use crate::connection::{ConnectionEvent, Message};
use crate::error::BadReason;
use crate::event::Event;
use crate::framing::{Frame, FrameError};
use crate::id::ReplyToken;
use crate::packer::UnpackError;
use crate::wire::{self, Packet, Packets};

/// What a client is asked to wait where the session has no room.
const BUSY_FOR: Duration = Duration::from_secs(1);

impl AjaxSession {
    pub(super) fn handle_post(&mut self, exchange: Exchange, frame: &Frame) {
        self.stats.frames_received += 1;
        self.stats.bytes_received += frame.bytes.len() as u64;
        let config = self.config.clone();
        let limits = &config.limits;
        let room = self.inbox.room(limits);
        if room == 0 || self.pending_requests() >= config.max_requests {
            self.answer(exchange, busy());
            return;
        }
        let size = frame.bytes.len();
        if size > limits.max_frame_bytes {
            let limit = limits.max_frame_bytes;
            let error = FrameError::TooLong {
                size: Some(size as u64),
                limit,
            };
            self.refuse(exchange, 413, BadReason::Frame(error), &Bytes::new());
            return;
        }
        if size >= limits.warn_frame_bytes {
            self.inbox.push_counted(
                ConnectionEvent::LargeFrame {
                    size,
                    received: true,
                },
                0,
            );
        }
        let expected = config.packer.kind();
        if frame.kind != expected {
            let error = UnpackError::WrongKind {
                expected,
                got: frame.kind,
            };
            self.refuse(exchange, 400, BadReason::Unpack(error), &frame.bytes);
            return;
        }
        let packer = &*config.packer;
        let read = packer.open(&frame.bytes, limits).and_then(|message| {
            let packets = wire::read(self.profile, packer, limits, &message, room)?;
            Ok((message, packets))
        });
        match read {
            Ok((message, packets)) => self.take_packets(exchange, &message, packets, room),
            Err(error) => self.refuse(exchange, 400, BadReason::Unpack(error), &frame.bytes),
        }
    }

    /// Takes all that a post says, or nothing of it: where it says more than there is room for, the
    /// client keeps it and tries again.
    fn take_packets(
        &mut self,
        exchange: Exchange,
        message: &Bytes,
        mut packets: Packets,
        room: usize,
    ) {
        let config = self.config.clone();
        let mut said = Vec::new();
        while let Some(packet) = packets.next(&*config.packer, &config.limits, message) {
            if said.len() >= room {
                let never = room >= config.limits.max_recv_messages;
                let told = "The batch has more events than this session takes";
                let answer = if never {
                    Response::text(413, told)
                } else {
                    busy()
                };
                self.answer(exchange, answer);
                return;
            }
            said.push(packet);
        }
        if let [
            Packet::Bad {
                reason:
                    reason @ (BadReason::NotAnEnvelope { .. }
                    | BadReason::OldPrefix(_)
                    | BadReason::V1Map
                    | BadReason::Unpack(_)),
                callback: None,
            },
        ] = &said[..]
        {
            self.refuse(exchange, 400, reason.clone(), message);
            return;
        }
        self.open();
        let mut waits = false;
        for packet in said {
            waits |= self.take_packet(exchange, message, packet);
        }
        if !waits {
            let received = config.frames.received.clone();
            self.answer_with(exchange, &received);
        }
    }

    /// Takes one thing that a post says. Whether the post has been answered or waits for its answer.
    fn take_packet(&mut self, exchange: Exchange, message: &Bytes, packet: Packet) -> bool {
        let config = self.config.clone();
        match packet {
            Packet::Event {
                id, data, callback, ..
            } => {
                let size = id.as_str().len() + span_len(data) + span_len(callback);
                let data = data.map(|span| payload(&config.reader, message, span));
                let reply = callback.map(|_| self.token(exchange));
                let waits = reply.is_some();
                self.stats.events_received += 1;
                let event = Event {
                    id,
                    data,
                    traceparent: None,
                };
                self.inbox
                    .push_counted(ConnectionEvent::Message(Message { event, reply }), size);
                waits
            }
            Packet::Bad { reason, callback } => {
                self.stats.count_bad(&reason);
                let reply = callback.map(|_| self.token(exchange));
                let waits = reply.is_some();
                let limits = &config.limits;
                let reported = self
                    .inbox
                    .report_bad(self.now, limits, reason, message, reply);
                // Nobody will see it, so nobody can answer: the caller is not left to its timeout.
                if let Err(Some(token)) = reported {
                    self.answer_error(token);
                }
                waits
            }
            Packet::Ping { callback: Some(_) } => {
                let pong = config.frames.pong.clone();
                self.answer_with(exchange, &pong);
                true
            }
            Packet::Ping { callback: None } | Packet::Pong => false,
            // A server is told none of these: its profile has no such readings.
            Packet::Handshake(_)
            | Packet::Hello(_)
            | Packet::Ignored
            | Packet::Reply { .. }
            | Packet::ReplyMap(_) => {
                self.stats.ignored += 1;
                false
            }
        }
    }

    /// The right to answer the post, which waits from now on.
    fn token(&mut self, exchange: Exchange) -> ReplyToken {
        let deadline = self.config.reply_timeout.map(|timeout| self.now + timeout);
        self.calls.insert(exchange, deadline);
        ReplyToken {
            callback: CallName::new(&exchange.0.to_be_bytes()),
            connection: self.serial,
        }
    }

    /// Tells client and application that a post could not be read.
    fn refuse(&mut self, exchange: Exchange, status: u16, reason: BadReason, frame: &Bytes) {
        self.stats.count_bad(&reason);
        self.answer(exchange, Response::text(status, reason.to_string()));
        let limits = self.config.limits.clone();
        let _ = self
            .inbox
            .report_bad(self.now, &limits, reason, frame, None);
    }
}

fn busy() -> Response {
    Response::text(503, "This session has no room for more").with_retry_after(BUSY_FOR)
}
