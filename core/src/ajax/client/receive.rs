//! What the server's answers say.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;

use super::{AjaxClient, AjaxClientConfig, Post};
use crate::ajax::frames::{leading_keyword, payload, read_reply, span_len};
use crate::ajax::request::Response;
use crate::connection::{ConnectionEvent, Message, Opened, State};
use crate::error::{BadReason, CallError, CloseReason};
use crate::event::{Event, Payload};
use crate::extensions::Extensions;
use crate::framing::FrameError;
use crate::id::CallId;
use crate::packer::{Shape, Span};
use crate::profile::Dialect;
use crate::state::LinkInput;
use crate::wire::{self, Handshake, Packet};

/// How long posting pauses at least and at most, whatever the server asks for.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// How much of an error's body is told.
const EXCERPT: usize = 200;

impl AjaxClient {
    pub(super) fn take_poll_answer(&mut self, response: &Response) {
        let config = self.config.clone();
        if response.status != 200 || response.body.is_empty() {
            self.finish(refusal(response));
            return;
        }
        let size = response.body.len();
        let limits = &config.limits;
        if size > limits.max_frame_bytes {
            let limit = limits.max_frame_bytes;
            let error = FrameError::TooLong {
                size: Some(size as u64),
                limit,
            };
            self.report_bad(BadReason::Frame(error), &Bytes::new());
            return;
        }
        if size >= limits.warn_frame_bytes {
            self.inbox.push(ConnectionEvent::LargeFrame {
                size,
                received: true,
            });
        }
        let packer = &*config.packer;
        let opened = packer.open(&response.body, limits);
        let read = opened.and_then(|message| {
            let said = leading_keyword(packer, limits, &message)?;
            Ok((message, said))
        });
        match read {
            Err(error) => self.unreadable(BadReason::Unpack(error), &response.body),
            Ok((_, Some(said))) if said == "chsk/timeout" && self.state != State::Handshaking => {}
            Ok((message, _)) => self.take_pushes(&message),
        }
    }

    /// Takes a handshake or a batch of events.
    fn take_pushes(&mut self, message: &Bytes) {
        let config = self.config.clone();
        let (packer, limits) = (&*config.packer, &config.limits);
        // A batch is taken whole: the next poll waits until there is room again.
        let mut packets = match wire::read(self.profile, packer, limits, message, usize::MAX) {
            Ok(packets) => packets,
            Err(error) => {
                self.unreadable(BadReason::Unpack(error), message);
                return;
            }
        };
        while let Some(packet) = packets.next(packer, limits, message) {
            match packet {
                Packet::Handshake(handshake) => self.take_handshake(message, &handshake),
                _ if self.state == State::Handshaking => {
                    let told = "the answer to the first poll is no handshake";
                    self.finish(CloseReason::Failed(String::from(told)));
                }
                Packet::Event { id, data, .. } => {
                    let size = id.as_str().len() + span_len(data);
                    let data = data.map(|span| payload(&config.reader, message, span));
                    self.stats.events_received += 1;
                    let mut event = Event {
                        id,
                        data,
                        traceparent: None,
                    };
                    if config.wrap_received {
                        event = event.wrapped(&config.reader);
                    }
                    let message = Message { event, reply: None };
                    self.inbox
                        .push_counted(ConnectionEvent::Message(message), size);
                }
                Packet::Bad { reason, .. } => self.report_bad(reason, message),
                _ => self.stats.ignored += 1,
            }
            if self.state == State::Closed {
                return;
            }
        }
    }

    fn take_handshake(&mut self, message: &Bytes, handshake: &Handshake) {
        if self.state != State::Handshaking {
            // Nobody asked for one: the server has forgotten this client, and all that this link was
            // to it. The next link begins anew.
            self.finish(CloseReason::Eof);
            return;
        }
        let config = self.config.clone();
        if let Some(offered) = config.offer
            && let Some(granted) = granted(&config, message, handshake.extra)
        {
            self.profile.extensions = granted.and(offered);
            self.profile.extensions.calls = false;
        }
        let slot = |span: Option<Span>| span.map(|span| payload(&config.reader, message, span));
        let opened = Opened {
            uid: slot(handshake.uid),
            csrf_token: slot(handshake.csrf_token),
            data: slot(handshake.data),
            first: true,
            dialect: Dialect::Sente,
            extensions: self.profile.extensions,
        };
        self.step(LinkInput::Handshake);
        self.deadline = None;
        self.inbox.push(ConnectionEvent::Opened(Box::new(opened)));
    }

    pub(super) fn take_post_answer(&mut self, post: Post, response: &Response) {
        match post {
            Post::Call(call) => self.take_reply(call, response),
            Post::Events(events) => {
                let busy = matches!(response.status, 429 | 503);
                if response.status == 200 {
                    return;
                }
                match response.retry_after.filter(|_| busy) {
                    // It was not taken, and may be later.
                    Some(wait) => {
                        let (least, most) = PAUSE;
                        self.paused_until = Some(self.now + wait.clamp(least, most));
                        self.backlog.give_back(events);
                    }
                    None => self.lose_post(Post::Events(events), CallError::Peer),
                }
            }
        }
    }

    fn take_reply(&mut self, call: CallId, response: &Response) {
        if !self.calls.remove(call) {
            self.stats.late_replies += 1;
            return;
        }
        let config = self.config.clone();
        let limits = &config.limits;
        if response.status != 200 || response.body.len() > limits.max_frame_bytes {
            self.settle_call(call, Err(CallError::Peer), 0);
            return;
        }
        let opened = config.packer.open(&response.body, limits);
        let read = opened.and_then(|message| {
            let reply = read_reply(&*config.packer, limits, &message)?;
            Ok((message, reply))
        });
        match read {
            Err(error) => {
                self.report_bad(BadReason::Unpack(error), &response.body);
                self.settle_call(call, Err(CallError::Peer), 0);
            }
            Ok((message, reply)) => {
                let size = span_len(reply.span);
                let result = match reply.keyword.as_deref() {
                    Some("chsk/timeout") => Err(CallError::Timeout),
                    Some("chsk/closed") => Err(CallError::Closed),
                    Some("chsk/error") => Err(CallError::Peer),
                    _ => Ok(match reply.span {
                        Some(span) => payload(&config.reader, &message, span),
                        None => Payload::from(sente_edn::Value::Nil),
                    }),
                };
                self.settle_call(call, result, size);
            }
        }
    }

    pub(super) fn settle_call(
        &mut self,
        call: CallId,
        result: Result<Payload, CallError>,
        size: usize,
    ) {
        let settled = ConnectionEvent::Settled { call, result };
        self.inbox.push_counted(settled, size);
    }

    /// A poll's answer that nobody can read. Before the link is open it is no handshake, and what
    /// answers there is no server of ours.
    fn unreadable(&mut self, reason: BadReason, frame: &Bytes) {
        let told = alloc::format!("{reason}");
        self.report_bad(reason, frame);
        if self.state == State::Handshaking {
            self.finish(CloseReason::Failed(told));
        }
    }

    fn report_bad(&mut self, reason: BadReason, frame: &Bytes) {
        self.stats.count_bad(&reason);
        let limits: Arc<_> = self.config.limits.clone();
        let _ = self
            .inbox
            .report_bad(self.now, &limits, reason, frame, None);
    }
}

/// Why a poll's answer ends the link.
fn refusal(response: &Response) -> CloseReason {
    let body = response
        .body
        .get(..response.body.len().min(EXCERPT))
        .unwrap_or_default();
    let body = String::from_utf8_lossy(body).into_owned();
    match response.status {
        // A session that was closed on purpose.
        410 => CloseReason::PeerClosed {
            code: None,
            reason: body,
        },
        200 => CloseReason::Failed(String::from("the poll was answered with nothing")),
        status => CloseReason::Failed(alloc::format!(
            "the poll was answered with status {status}: {body}"
        )),
    }
}

/// The extensions under `:ext` of a handshake's fourth slot, if it has that key.
fn granted(config: &AjaxClientConfig, message: &Bytes, extra: Option<Span>) -> Option<Extensions> {
    let span = extra.filter(|span| span.shape == Shape::Map)?;
    let map = message.get(span.start..span.end)?;
    let mut found = None;
    config
        .packer
        .entries(map, &config.limits, &mut |key, span| {
            if key == "ext" {
                found = Some(span);
            }
        });
    let names = found.and_then(|span| map.get(span.start..span.end))?;
    let mut extensions = Extensions::NONE;
    config
        .packer
        .entries(names, &config.limits, &mut |name, value| {
            if value.truthy {
                extensions.insert(name);
            }
        });
    Some(extensions)
}
