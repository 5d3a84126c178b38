//! Events: what applications say to each other, and the payload they carry.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use memchr::memchr2;
use sente_edn::{Keyword, Value};
use thiserror::Error;

use crate::limits::Limits;
use crate::packed::pack_event;
use crate::packer::{Edn, Packer, UnpackError};
use crate::trace::Traceparent;

/// The name of an event: a keyword with a namespace, outside the protocol's own namespace `chsk`.
///
/// Sente's rule (`validate-event` in Sente 1.22): a keyword, and namespaced.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Keyword);

impl EventId {
    /// The id named by `text`, `"chat/message"` or `":chat/message"`.
    ///
    /// # Errors
    /// [`EventIdError`] if it is no keyword, has no namespace, or is reserved.
    pub fn new(text: &str) -> Result<Self, EventIdError> {
        let name = text.strip_prefix(':').unwrap_or(text);
        let keyword =
            Keyword::new(name).map_err(|_| EventIdError::NotAKeyword(String::from(text)))?;
        match keyword.namespace() {
            None => Err(EventIdError::NoNamespace(String::from(text))),
            Some("chsk") => Err(EventIdError::Reserved(String::from(text))),
            Some(_) => Ok(Self(keyword)),
        }
    }

    /// An id a packer has already read as a keyword; `None` if it has no namespace.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        let keyword = Keyword::new(name).ok().or_else(|| readable(name))?;
        keyword.namespace().is_some().then_some(Self(keyword))
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::Keyword(self.0.clone())
    }

    /// The part before the first slash.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.namespace().unwrap_or_default()
    }

    /// The part behind the first slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The whole id without its colon.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A keyword that only one of Clojure's two readers takes, such as `:user/1`: peers send them.
fn readable(name: &str) -> Option<Keyword> {
    let limits = sente_edn::Limits::default().dialect(sente_edn::Dialect::Either);
    let text = alloc::format!(":{name}");
    match sente_edn::from_slice_with(text.as_bytes(), &limits) {
        // A packer's name may hold what the reader takes for a blank or a comment.
        Ok(Value::Keyword(keyword)) if keyword.as_str() == name => Some(keyword),
        _ => None,
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}", self.0.as_str())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text cannot name an event: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventIdError {
    /// No namespace.
    #[error("event id {0:?} has no namespace: write it as namespace/name")]
    NoNamespace(String),
    /// Not readable as a keyword.
    #[error("event id {0:?} is not a keyword")]
    NotAKeyword(String),
    /// In the namespace `chsk`, which the protocol keeps for itself.
    #[error("event id {0:?} is reserved: the namespace chsk belongs to the protocol")]
    Reserved(String),
}

/// An event: its id and, if it has any, its data.
///
/// `[:a/b]` and `[:a/b nil]` are different events, as in Sente: the first has no data, the second
/// has `nil`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The name of the event.
    pub id: EventId,
    /// What it carries; `None` for an event without a second slot.
    pub data: Option<Payload>,
    /// The trace it belongs to. It travels where the extension
    /// [`trace`](crate::Extensions::trace) holds, and is left out elsewhere; an event that a
    /// client keeps while it is offline loses it.
    pub traceparent: Option<Box<Traceparent>>,
}

impl Event {
    /// An event with data.
    #[must_use]
    pub fn new(id: EventId, data: impl Into<Payload>) -> Self {
        Self {
            id,
            data: Some(data.into()),
            traceparent: None,
        }
    }

    /// An event without data.
    #[must_use]
    pub const fn bare(id: EventId) -> Self {
        Self {
            id,
            data: None,
            traceparent: None,
        }
    }

    /// The event as a part of this trace.
    #[must_use]
    pub fn with_traceparent(self, traceparent: Traceparent) -> Self {
        Self {
            traceparent: Some(Box::new(traceparent)),
            ..self
        }
    }

    /// The event an EDN vector such as `[:chat/message {:text "hi"}]` stands for.
    ///
    /// # Errors
    /// [`EventError`] if `value` is not a vector of a namespaced keyword and at most one datum.
    pub fn from_value(value: Value) -> Result<Self, EventError> {
        let Value::Vector(items) = value else {
            return Err(EventError::NotAVector);
        };
        let slots = items.len();
        let mut items = items.into_iter();
        let id = match items.next() {
            Some(Value::Keyword(id)) => EventId::new(id.as_str())?,
            _ => return Err(EventError::IdNotAKeyword),
        };
        let data = items.next().map(Payload::from);
        if items.next().is_some() {
            return Err(EventError::TooLong(slots));
        }
        Ok(Self {
            id,
            data,
            traceparent: None,
        })
    }

    /// `[:chsk/recv event]`: what `:wrap-recv-evs?` of Sente hands over.
    pub(crate) fn wrapped(self, reader: &Reader) -> Self {
        let Some(id) = EventId::from_wire("chsk/recv") else {
            return self;
        };
        let mut packed = Vec::new();
        // What came from this packer goes back into it.
        if pack_event(&self, reader.packer(), &mut packed).is_err() {
            return self;
        }
        let payload = Payload::from_packed(PackedPayload {
            bytes: Bytes::from(packed),
            reader: reader.clone(),
            line_safe: true,
            portable: None,
        });
        Self {
            traceparent: self.traceparent,
            ..Self::new(id, payload)
        }
    }

    /// The event as the EDN vector that stands for it.
    ///
    /// # Errors
    /// [`UnpackError`] if the data came packed and a custom packer cannot read back what it
    /// accepted.
    pub fn to_value(&self) -> Result<Value, UnpackError> {
        let mut items = alloc::vec![self.id.to_value()];
        if let Some(data) = &self.data {
            items.push(data.to_value()?);
        }
        Ok(Value::Vector(items.into()))
    }
}

/// Why a value does not stand for an event: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// The keyword cannot name an event.
    #[error(transparent)]
    Id(#[from] EventIdError),
    /// The first element is no keyword.
    #[error("an event starts with a keyword such as :chat/message")]
    IdNotAKeyword,
    /// Not a vector.
    #[error("an event is a vector [:namespace/name data]")]
    NotAVector,
    /// More than an id and one datum.
    #[error("an event has an id and at most one datum, this has {0} elements")]
    TooLong(usize),
}

/// What an event or a reply carries: a value, or a packed one that nobody has needed to read yet.
///
/// A received payload is a slice of the received frame, proven readable. Relaying or logging it
/// builds no tree; [`to_value`](Self::to_value) builds one.
#[derive(Clone)]
pub struct Payload(Inner);

#[derive(Clone)]
enum Inner {
    Value(Value),
    Packed(PackedPayload),
}

/// A validated slice and the packer that reads it.
#[derive(Clone)]
pub(crate) struct PackedPayload {
    pub(crate) bytes: Bytes,
    pub(crate) reader: Reader,
    /// Whether it is known to be free of raw line breaks.
    pub(crate) line_safe: bool,
    /// `None` where nobody has looked yet.
    pub(crate) portable: Option<bool>,
}

/// How packed payloads are read.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    /// As EDN, by limits that no usual ones are below. Nothing is counted for it.
    Usual,
    /// Otherwise. Those of one configuration share it.
    Shared(Arc<SharedReader>),
}

#[derive(Debug)]
pub(crate) struct SharedReader {
    packer: Arc<dyn Packer>,
    limits: Arc<Limits>,
}

impl Reader {
    pub(crate) fn new(packer: &Arc<dyn Packer>, limits: &Arc<Limits>) -> Self {
        let usual = &Limits::DEFAULT;
        // What was taken by these limits is within the usual ones, too.
        let is_usual = packer.is_edn()
            && limits.max_depth <= usual.max_depth
            && limits.max_elements <= usual.max_elements
            && limits.max_frame_bytes.max(limits.max_opened_bytes) <= usual.max_opened_bytes;
        if is_usual {
            return Self::Usual;
        }
        Self::Shared(Arc::new(SharedReader {
            packer: packer.clone(),
            limits: limits.clone(),
        }))
    }

    /// Whether both are one: then they read the same.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Usual, Self::Usual) => true,
            (Self::Shared(one), Self::Shared(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    pub(crate) fn packer(&self) -> &dyn Packer {
        match self {
            Self::Usual => &Edn,
            Self::Shared(reader) => &*reader.packer,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        match self {
            Self::Usual => &Limits::DEFAULT,
            Self::Shared(reader) => &reader.limits,
        }
    }
}

impl PackedPayload {
    pub(crate) fn packer(&self) -> &dyn Packer {
        self.reader.packer()
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.reader.limits()
    }
}

impl Payload {
    pub(crate) const fn from_packed(packed: PackedPayload) -> Self {
        Self(Inner::Packed(packed))
    }

    /// The value, unpacked if it came packed.
    ///
    /// # Errors
    /// [`UnpackError`] only if a custom packer cannot read back what it accepted; the payloads of
    /// the packers here have been validated when they arrived.
    pub fn to_value(&self) -> Result<Value, UnpackError> {
        match &self.0 {
            Inner::Value(value) => Ok(value.clone()),
            Inner::Packed(packed) => packed.packer().unpack(&packed.bytes, packed.limits()),
        }
    }

    /// The packed bytes, if the payload came from a peer.
    #[must_use]
    pub const fn raw(&self) -> Option<&Bytes> {
        match &self.0 {
            Inner::Value(_) => None,
            Inner::Packed(packed) => Some(&packed.bytes),
        }
    }

    /// The same with bytes of its own. A received payload is a slice of what was received with it,
    /// and keeps all of that in memory for as long as it lives.
    #[must_use]
    pub fn detached(&self) -> Self {
        match &self.0 {
            Inner::Value(_) => self.clone(),
            Inner::Packed(packed) => Self(Inner::Packed(PackedPayload {
                bytes: Bytes::copy_from_slice(&packed.bytes),
                ..packed.clone()
            })),
        }
    }

    /// Whether it is free of tags and forms that the reader of a Clojure or ClojureScript peer
    /// would drop the whole frame for; a value that is not packed yet, as EDN. Such an event leaves
    /// alone where a stock peer may be listening.
    ///
    /// Known for what a peer sent; for other payloads it looks at the whole of it.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        match &self.0 {
            Inner::Value(value) => {
                let mut text = Vec::new();
                sente_edn::write(value, &mut text);
                Edn.is_portable(&text)
            }
            Inner::Packed(packed) => packed
                .portable
                .unwrap_or_else(|| packed.packer().is_portable(&packed.bytes)),
        }
    }

    pub(crate) const fn as_packed(&self) -> Option<&PackedPayload> {
        match &self.0 {
            Inner::Value(_) => None,
            Inner::Packed(packed) => Some(packed),
        }
    }

    /// The packed payload, if it may stand among what `packer` packs as it is: its format is the
    /// same, and it has no raw line break, which could end a line too early.
    pub(crate) fn as_packed_by(&self, packer: &dyn Packer) -> Option<&PackedPayload> {
        self.as_packed().filter(|packed| {
            let is_same = match &packed.reader {
                Reader::Usual => packer.is_edn(),
                Reader::Shared(reader) => core::ptr::addr_eq(&*reader.packer, packer),
            };
            (is_same || packed.packer().format() == packer.format())
                && (packed.line_safe || memchr2(b'\n', b'\r', &packed.bytes).is_none())
        })
    }

    /// The bytes of such a payload, taken out of it.
    pub(crate) fn take_packed_by(&mut self, packer: &dyn Packer) -> Option<Bytes> {
        self.as_packed_by(packer)?;
        match &mut self.0 {
            Inner::Packed(packed) => Some(core::mem::take(&mut packed.bytes)),
            Inner::Value(_) => None,
        }
    }

    /// Puts them back.
    pub(crate) fn put_packed(&mut self, bytes: Bytes) {
        if let Inner::Packed(packed) = &mut self.0 {
            packed.bytes = bytes;
        }
    }

    pub(crate) const fn as_value(&self) -> Option<&Value> {
        match &self.0 {
            Inner::Value(value) => Some(value),
            Inner::Packed(_) => None,
        }
    }
}

impl<T: Into<Value>> From<T> for Payload {
    fn from(value: T) -> Self {
        Self(Inner::Value(value.into()))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Value(value) => write!(f, "{value}"),
            Inner::Packed(packed) => match core::str::from_utf8(&packed.bytes) {
                Ok(text) => f.write_str(text),
                Err(_) => write!(f, "#<{} packed bytes>", packed.bytes.len()),
            },
        }
    }
}
