//! One line of a recording behind the first: one call of the connection.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use sente_edn::Value;

use super::Outcome;
use super::fields::{Reader, Writer, number};
use crate::calls::CallName;
use crate::connection::{Accept, keyword};
use crate::event::{Event, EventId, PackedPayload, Payload};
use crate::id::Legacy;
use crate::packed::PackedEvent;
use crate::packer::Packer;
use crate::queue::{Policy, Priority, RateLimiter, SendOptions};
use crate::time::Instant;

/// A call of a connection, or what came of a poll.
#[derive(Debug)]
pub(crate) enum Entry {
    Input(Bytes),
    Eof,
    Failed(String),
    Timeout,
    Transmitted,
    /// What `poll_transmit` gave: bytes, the end of writing, or nothing.
    PolledTransmit(Option<Option<Outcome>>),
    PolledEvent(Option<Outcome>),
    PolledAnswer(Option<Outcome>),
    RecvAllowance(usize),
    #[cfg(feature = "deflate")]
    Deflate(crate::framing::websocket::Deflate),
    ContinuedFrom(Legacy),
    Accept(Accept),
    Send(Event, SendOptions),
    SendPacked(PackedEvent, SendOptions),
    Call(Event, Duration),
    Cancel(u64),
    Reply(CallName, u64, Payload),
    ReplyError(CallName, u64),
    Forget(CallName, u64),
    Reserve(usize, Option<Instant>),
    SendReserved(u64, Event, SendOptions),
    Release(u64),
    Flush,
    Close(u16, String),
    Drain(Instant),
}

/// What reading an entry needs to know: how to find a packer by name.
pub(super) type Packers<'a> = &'a dyn Fn(&str) -> Option<Arc<dyn Packer>>;

impl Entry {
    pub(super) fn to_value(&self, at: Instant) -> Value {
        let mut out = Writer::default();
        let name = self.write(&mut out);
        let mut items = Vec::from([Value::from(at.as_nanos()), keyword(name)]);
        let map = out.finish();
        if map.as_map().is_some_and(|map| !map.is_empty()) {
            items.push(map);
        }
        Value::Vector(items.into())
    }

    fn write(&self, out: &mut Writer) -> &'static str {
        match self {
            Self::Input(bytes) => {
                out.put_bytes("bytes", bytes);
                "input"
            }
            Self::Eof => "eof",
            Self::Failed(error) => {
                out.put("error", error.as_str());
                "failed"
            }
            Self::Timeout => "timeout",
            Self::Transmitted => "transmitted",
            Self::PolledTransmit(outcome) => {
                match outcome {
                    Some(None) => out.put("shutdown", true),
                    Some(Some(written)) => write_outcome(out, written),
                    None => {}
                }
                "transmit"
            }
            Self::PolledEvent(outcome) => {
                write_some(out, outcome.as_ref());
                "event"
            }
            Self::PolledAnswer(outcome) => {
                write_some(out, outcome.as_ref());
                "answer"
            }
            Self::RecvAllowance(bytes) => {
                out.put("bytes", size(*bytes));
                "recv-allowance"
            }
            #[cfg(feature = "deflate")]
            Self::Deflate(agreed) => {
                let (level, threshold, takeover, peer_takeover, window_bits) = agreed.parts();
                out.put("level", u64::from(level));
                out.put("threshold", size(threshold));
                out.put("takeover", takeover);
                out.put("peer-takeover", peer_takeover);
                out.put_some("window-bits", window_bits.map(u64::from));
                "deflate"
            }
            Self::ContinuedFrom(legacy) => {
                out.put("call", legacy.call);
                out.put("flush", legacy.flush);
                out.put("ticket", legacy.ticket);
                if let Some(limiter) = legacy.limiter {
                    let (interval, tolerance, due) = limiter.parts();
                    out.put_some("send-interval", interval);
                    out.put("send-tolerance", tolerance);
                    out.put("send-due", due.as_nanos());
                }
                "continued-from"
            }
            Self::Accept(accept) => {
                out.put("uid", accept.uid.clone());
                out.put("csrf-token", accept.csrf_token.clone());
                out.put("data", accept.data.clone());
                out.put_some("offered", accept.offered.map(|it| it.to_string()));
                "accept"
            }
            Self::Send(event, options) => {
                write_event(out, event);
                write_options(out, options);
                "send"
            }
            Self::SendPacked(event, options) => {
                out.put_bytes("packed", event.bytes());
                out.put("format", event.format());
                out.put_some(
                    "traceparent",
                    event.traceparent.as_ref().map(|it| it.to_string()),
                );
                out.put_some("portable", event.portable);
                write_options(out, options);
                "send-packed"
            }
            Self::Call(event, timeout) => {
                write_event(out, event);
                out.put_duration("timeout", *timeout);
                "call"
            }
            Self::Cancel(call) => {
                out.put("call", *call);
                "cancel"
            }
            Self::Reply(callback, of, payload) => {
                write_token(out, callback, *of);
                write_payload(out, payload);
                "reply"
            }
            Self::ReplyError(callback, of) => {
                write_token(out, callback, *of);
                "reply-error"
            }
            Self::Forget(callback, of) => {
                write_token(out, callback, *of);
                "forget"
            }
            Self::Reserve(bytes, deadline) => {
                out.put("bytes", size(*bytes));
                out.put_some("deadline", deadline.map(Instant::as_nanos));
                "reserve"
            }
            Self::SendReserved(ticket, event, options) => {
                out.put("ticket", *ticket);
                write_event(out, event);
                write_options(out, options);
                "send-reserved"
            }
            Self::Release(ticket) => {
                out.put("ticket", *ticket);
                "release"
            }
            Self::Flush => "flush",
            Self::Close(code, reason) => {
                out.put("code", u64::from(*code));
                out.put("reason", reason.as_str());
                "close"
            }
            Self::Drain(deadline) => {
                out.put("deadline", deadline.as_nanos());
                "drain"
            }
        }
    }

    /// Reads `[nanoseconds :what {..}]`.
    pub(super) fn read(line: &Value, packers: Packers<'_>) -> Result<(Instant, Self), String> {
        let items = line.as_vector().map(|items| items.as_slice());
        let (at, what, rest) = match items {
            Some([at, what]) => (at, what, &Value::Nil),
            Some([at, what, rest]) => (at, what, rest),
            _ => return Err(String::from("it is no [nanoseconds :what {..}]")),
        };
        let at = number(at).ok_or_else(|| format!("{at} is no time"))?;
        let what = what
            .as_keyword()
            .ok_or_else(|| format!("{what} is no keyword"))?;
        let entry = Self::read_fields(what.as_str(), Reader(rest), packers)?;
        Ok((Instant::from_nanos(at), entry))
    }

    fn read_fields(what: &str, from: Reader<'_>, packers: Packers<'_>) -> Result<Self, String> {
        Ok(match what {
            "input" => Self::Input(from.need("bytes", Reader::bytes)?),
            "eof" => Self::Eof,
            "failed" => Self::Failed(String::from(from.need("error", Reader::str)?)),
            "timeout" => Self::Timeout,
            "transmitted" => Self::Transmitted,
            "transmit" if from.is_true("shutdown") => Self::PolledTransmit(Some(None)),
            "transmit" => Self::PolledTransmit(read_outcome(from)?.map(Some)),
            "event" => Self::PolledEvent(read_outcome(from)?),
            "answer" => Self::PolledAnswer(read_outcome(from)?),
            "recv-allowance" => Self::RecvAllowance(from.need("bytes", read_size)?),
            #[cfg(feature = "deflate")]
            "deflate" => Self::Deflate(crate::framing::websocket::Deflate::from_parts(
                from.need("level", read_u8)?,
                from.need("threshold", read_size)?,
                from.is_true("takeover"),
                from.is_true("peer-takeover"),
                read_u8(from, "window-bits"),
            )),
            "continued-from" => Self::ContinuedFrom(Legacy {
                limiter: match (from.u64("send-tolerance"), from.u64("send-due")) {
                    (Some(tolerance), Some(due)) => Some(RateLimiter::from_parts(
                        from.u64("send-interval"),
                        tolerance,
                        Instant::from_nanos(due),
                    )),
                    _ => None,
                },
                call: from.need("call", Reader::u64)?,
                flush: from.need("flush", Reader::u64)?,
                ticket: from.need("ticket", Reader::u64)?,
            }),
            "accept" => {
                let mut accept = Accept::new(from.need("uid", Reader::get)?.clone());
                accept.csrf_token = from.get("csrf-token").cloned().unwrap_or_default();
                accept.data = from.get("data").cloned().unwrap_or_default();
                accept.offered = from.str("offered").and_then(|text| text.parse().ok());
                Self::Accept(accept)
            }
            "send" => Self::Send(read_event(from, packers)?, read_options(from)?),
            "send-packed" => {
                let bytes = from.need("packed", Reader::bytes)?;
                let format = from.need("format", Reader::str)?;
                let mut event = PackedEvent::from_parts(Vec::from(bytes), format);
                event.portable = from.get("portable").and_then(Value::as_bool);
                let parent = from.str("traceparent").and_then(|text| text.parse().ok());
                event.traceparent = parent.map(Box::new);
                Self::SendPacked(event, read_options(from)?)
            }
            "call" => Self::Call(
                read_event(from, packers)?,
                from.need("timeout", Reader::duration)?,
            ),
            "cancel" => Self::Cancel(from.need("call", Reader::u64)?),
            "reply" => {
                let (callback, of) = read_token(from)?;
                let payload = read_payload(from, packers)?.ok_or("it has no :data or :raw")?;
                Self::Reply(callback, of, payload)
            }
            "reply-error" => {
                let (callback, of) = read_token(from)?;
                Self::ReplyError(callback, of)
            }
            "forget" => {
                let (callback, of) = read_token(from)?;
                Self::Forget(callback, of)
            }
            "reserve" => Self::Reserve(
                from.need("bytes", read_size)?,
                from.u64("deadline").map(Instant::from_nanos),
            ),
            "send-reserved" => Self::SendReserved(
                from.need("ticket", Reader::u64)?,
                read_event(from, packers)?,
                read_options(from)?,
            ),
            "release" => Self::Release(from.need("ticket", Reader::u64)?),
            "flush" => Self::Flush,
            "close" => Self::Close(
                from.need("code", |from, key| u16::try_from(from.u64(key)?).ok())?,
                String::from(from.need("reason", Reader::str)?),
            ),
            "drain" => Self::Drain(Instant::from_nanos(from.need("deadline", Reader::u64)?)),
            other => return Err(format!(":{other} is nothing a connection does")),
        })
    }
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn read_size(from: Reader<'_>, key: &str) -> Option<usize> {
    from.u64(key)
        .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

#[cfg(feature = "deflate")]
fn read_u8(from: Reader<'_>, key: &str) -> Option<u8> {
    u8::try_from(from.u64(key)?).ok()
}

fn write_some(out: &mut Writer, outcome: Option<&Outcome>) {
    if let Some(outcome) = outcome {
        write_outcome(out, outcome);
    }
}

fn write_outcome(out: &mut Writer, outcome: &Outcome) {
    out.put("is", outcome.kind.as_str());
    out.put("hash", format!("{:016x}", outcome.hash));
}

fn read_outcome(from: Reader<'_>) -> Result<Option<Outcome>, String> {
    let Some(kind) = from.str("is") else {
        return Ok(None);
    };
    let hash = from.need("hash", |from, key| {
        u64::from_str_radix(from.str(key)?, 16).ok()
    })?;
    Ok(Some(Outcome {
        kind: String::from(kind),
        hash,
    }))
}

fn write_token(out: &mut Writer, callback: &CallName, of: u64) {
    out.put_bytes("callback", callback);
    out.put("of", format!("{of:016x}"));
}

fn read_token(from: Reader<'_>) -> Result<(CallName, u64), String> {
    let of = from.need("of", |from, key| {
        u64::from_str_radix(from.str(key)?, 16).ok()
    })?;
    let callback = from.need("callback", Reader::bytes)?;
    Ok((CallName::new(&callback), of))
}

fn write_event(out: &mut Writer, event: &Event) {
    out.put("id", event.id.as_str());
    out.put_some(
        "traceparent",
        event.traceparent.as_ref().map(|it| it.to_string()),
    );
    if let Some(data) = &event.data {
        write_payload(out, data);
    }
}

fn read_event(from: Reader<'_>, packers: Packers<'_>) -> Result<Event, String> {
    let id = from.need("id", |from, key| EventId::from_wire(from.str(key)?))?;
    let mut event = Event::bare(id);
    event.data = read_payload(from, packers)?;
    let parent = from.str("traceparent").and_then(|text| text.parse().ok());
    event.traceparent = parent.map(Box::new);
    Ok(event)
}

/// A value as it is; a packed payload as its bytes, since they are what is sent.
fn write_payload(out: &mut Writer, payload: &Payload) {
    if let Some(value) = payload.as_value() {
        out.put("data", value.clone());
    } else if let Some(packed) = payload.as_packed() {
        out.put_bytes("raw", &packed.bytes);
        out.put("packer", packed.packer().name());
        out.put_true("line-safe", packed.line_safe);
        out.put_some("portable", packed.portable);
    }
}

fn read_payload(from: Reader<'_>, packers: Packers<'_>) -> Result<Option<Payload>, String> {
    if let Some(value) = from.get("data") {
        return Ok(Some(Payload::from(value.clone())));
    }
    let Some(bytes) = from.bytes("raw") else {
        return Ok(None);
    };
    let name = from.need("packer", Reader::str)?;
    let packer = packers(name)
        .ok_or_else(|| format!("its packer {name} is not known here: give it to the replay"))?;
    Ok(Some(Payload::from_packed(PackedPayload {
        bytes,
        reader: crate::event::Reader::new(&packer, &Arc::default()),
        line_safe: from.is_true("line-safe"),
        portable: from.get("portable").and_then(Value::as_bool),
    })))
}

fn write_options(out: &mut Writer, options: &SendOptions) {
    match &options.policy {
        Policy::Reject => {}
        Policy::DropOldest => out.put("policy", keyword("drop-oldest")),
        Policy::Volatile => out.put("policy", keyword("volatile")),
        Policy::Latest(key) => out.put("latest", key.as_str()),
    }
    out.put_true("low", options.priority == Priority::Low);
    out.put_true("flush", options.flush);
}

fn read_options(from: Reader<'_>) -> Result<SendOptions, String> {
    let mut options = SendOptions::new().flush(from.is_true("flush"));
    if from.is_true("low") {
        options = options.priority(Priority::Low);
    }
    if let Some(key) = from.str("latest") {
        return Ok(options.policy(Policy::Latest(key.into())));
    }
    match from.word("policy") {
        None => Ok(options),
        Some("drop-oldest") => Ok(options.policy(Policy::DropOldest)),
        Some("volatile") => Ok(options.policy(Policy::Volatile)),
        Some(other) => Err(format!(":{other} is no policy")),
    }
}
