//! The bodies of Ajax: which bytes stand around what is packed, and how a body is read.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;
use smol_str::SmolStr;

use super::backlog::Refused;
use crate::connection::keyword;
use crate::event::{PackedPayload, Payload, Reader};
use crate::limits::Limits;
use crate::packed::PackedEvent;
use crate::packer::{Cursor, PackError, Packer, Shape, Span, Tokens, UnpackError};
use crate::profile::{Dialect, Role};

/// The protocol's own values, packed once, and the envelope around others.
#[derive(Debug)]
pub(super) struct Frames {
    packer: Arc<dyn Packer>,
    pair: Tokens,
    nil: Bytes,
    /// What stands for a call in the second slot of a post.
    ajax: Bytes,
    pub(super) closed: Bytes,
    pub(super) error: Bytes,
    pub(super) pong: Bytes,
    pub(super) received: Bytes,
    pub(super) timeout: Bytes,
}

impl Frames {
    /// `None` for a packer that cannot pack keywords and strings.
    pub(super) fn new(packer: &Arc<dyn Packer>) -> Option<Self> {
        let pack = |value: Value| {
            let mut out = Vec::new();
            packer.pack(&value, &mut out).ok()?;
            Some(Bytes::from(out))
        };
        Some(Self {
            pair: packer.sequence(2),
            nil: pack(Value::Nil)?,
            ajax: pack(keyword("ajax"))?,
            closed: pack(keyword("chsk/closed"))?,
            error: pack(keyword("chsk/error"))?,
            pong: pack(Value::from("pong"))?,
            received: pack(keyword("chsk/dummy-cb-200"))?,
            timeout: pack(keyword("chsk/timeout"))?,
            packer: packer.clone(),
        })
    }

    /// The body `[first nil]`: a reply, or an event that is no call.
    pub(super) fn alone(&self, first: &[u8]) -> Result<Bytes, PackError> {
        self.pair(first, &self.nil)
    }

    /// The body `[event :ajax]`: a call.
    pub(super) fn call(&self, event: &[u8]) -> Result<Bytes, PackError> {
        self.pair(event, &self.ajax)
    }

    /// The body `[[event ..] nil]`.
    pub(super) fn batch(&self, events: &[PackedEvent]) -> Result<Bytes, PackError> {
        if let [event] = events
            && let Some(frame) = self.sealed(event, Role::Server)
        {
            return Ok(frame.clone());
        }
        let tokens = self.packer.sequence(events.len());
        let mut items = Vec::new();
        items.extend_from_slice(tokens.open());
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                items.extend_from_slice(tokens.separator());
            }
            items.extend_from_slice(&event.bytes);
        }
        items.extend_from_slice(tokens.close());
        self.alone(&items)
    }

    /// The body of a client's post of events.
    pub(super) fn post(&self, events: &[PackedEvent]) -> Result<Bytes, PackError> {
        match events {
            [event] => match self.sealed(event, Role::Client) {
                Some(frame) => Ok(frame.clone()),
                None => self.alone(&event.bytes),
            },
            events => self.batch(events),
        }
    }

    /// Whether `event` can leave alone from this side, as a call or not. One that is over the frame
    /// limit is sealed to see whether that helps, and what comes out is kept with an event.
    ///
    /// # Errors
    /// [`Refused::TooLarge`].
    pub(super) fn fits(
        &self,
        event: &mut PackedEvent,
        role: Role,
        is_call: bool,
        limits: &Limits,
    ) -> Result<(), Refused> {
        let limit = limits.max_frame_bytes;
        let seals = self.packer.seals();
        let overhead = match (role, is_call) {
            (Role::Server, _) => self.batch_overhead(1),
            (Role::Client, false) => self.around(&self.nil),
            (Role::Client, true) => self.around(&self.ajax),
        };
        let size = event.bytes.len().saturating_add(overhead);
        if size <= limit {
            return Ok(());
        }
        // What seals may make it shorter, but the peer has to open it again.
        if !seals || event.bytes.len() > limits.max_opened_bytes {
            return Err(Refused::TooLarge { size, limit });
        }
        let sealed = if is_call {
            self.call(&event.bytes).ok().map(|frame| frame.len())
        } else {
            let made = event.seal_for(role, Dialect::Sente, &self.packer);
            made.ok()
                .and_then(|()| self.sealed(event, role))
                .map(Bytes::len)
        };
        match sealed {
            Some(size) if size > limit => Err(Refused::TooLarge { size, limit }),
            Some(_) => Ok(()),
            None => Err(Refused::TooLarge { size, limit }),
        }
    }

    /// The frame in which the event leaves alone from this side, if it has been sealed already.
    fn sealed<'a>(&self, event: &'a PackedEvent, role: Role) -> Option<&'a Bytes> {
        event.sealed.find(role, Dialect::Sente, &self.packer)
    }

    /// The bytes that a batch of `count` events adds, at the most.
    pub(super) fn batch_overhead(&self, count: usize) -> usize {
        let tokens = self.packer.sequence(count);
        let separators = count.saturating_sub(1);
        self.around(&self.nil)
            .saturating_add(tokens.open().len() + tokens.close().len())
            .saturating_add(tokens.separator().len().saturating_mul(separators))
    }

    /// What stands around a first slot where `second` is the other.
    fn around(&self, second: &[u8]) -> usize {
        self.pair.open().len()
            + self.pair.separator().len()
            + second.len()
            + self.pair.close().len()
            + self.packer.seal_overhead()
    }

    fn pair(&self, first: &[u8], second: &[u8]) -> Result<Bytes, PackError> {
        let mut message = Vec::with_capacity(first.len().saturating_add(self.around(second)));
        message.extend_from_slice(self.pair.open());
        message.extend_from_slice(first);
        message.extend_from_slice(self.pair.separator());
        message.extend_from_slice(second);
        message.extend_from_slice(self.pair.close());
        if !self.packer.seals() {
            return Ok(Bytes::from(message));
        }
        let mut frame = Vec::new();
        self.packer.seal(&message, &mut frame)?;
        Ok(Bytes::from(frame))
    }
}

/// What a reply is: the first slot of `[value nil]`.
pub(super) struct Reply {
    pub(super) span: Option<Span>,
    /// The keyword it is, if it is one.
    pub(super) keyword: Option<SmolStr>,
}

/// Reads the first slot of an opened body.
pub(super) fn read_reply(
    packer: &dyn Packer,
    limits: &Limits,
    message: &[u8],
) -> Result<Reply, UnpackError> {
    let mut reply = Reply {
        span: None,
        keyword: None,
    };
    packer.walk(message, limits, &mut |cursor| {
        match enter(cursor)? {
            None => {}
            Some(Shape::Keyword) => {
                let (name, span) = cursor.keyword_span()?;
                reply.keyword = Some(name);
                reply.span = Some(span);
            }
            Some(_) => reply.span = Some(cursor.skip()?),
        }
        cursor.leave()
    })?;
    Ok(reply)
}

/// The keyword in the first slot of an opened body, if it is one. Nothing behind it is read.
pub(super) fn leading_keyword(
    packer: &dyn Packer,
    limits: &Limits,
    message: &[u8],
) -> Result<Option<SmolStr>, UnpackError> {
    let mut keyword = None;
    packer.walk(message, limits, &mut |cursor| {
        if enter(cursor)? == Some(Shape::Keyword) {
            keyword = Some(cursor.keyword()?);
        }
        Ok(())
    })?;
    Ok(keyword)
}

fn enter(cursor: &mut dyn Cursor) -> Result<Option<Shape>, UnpackError> {
    match cursor.peek()? {
        Some(Shape::Vector | Shape::List) => cursor.enter()?,
        _ => {
            return Err(UnpackError::Other {
                offset: 0,
                message: String::from("expected [value nil]"),
            });
        }
    }
    cursor.peek()
}

/// A slice of a message, copied where it would keep a large message alive for a small part of it.
pub(super) fn small_slice(message: &Bytes, span: Span) -> Bytes {
    const PIN_BELOW: usize = 4096;
    if span.start > span.end || span.end > message.len() {
        return Bytes::new();
    }
    let slice = message.slice(span.start..span.end);
    if message.len() < PIN_BELOW || slice.len() >= message.len() / 2 {
        slice
    } else {
        Bytes::copy_from_slice(&slice)
    }
}

/// A part of a message that was read.
pub(super) fn payload(reader: &Reader, message: &Bytes, span: Span) -> Payload {
    Payload::from_packed(PackedPayload {
        bytes: small_slice(message, span),
        reader: reader.clone(),
        line_safe: span.line_safe,
        portable: Some(span.portable),
    })
}

pub(super) fn span_len(span: Option<Span>) -> usize {
    span.map_or(0, |span| span.end.saturating_sub(span.start))
}
