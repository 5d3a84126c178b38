//! The `:request-id` convention: which events belong to one question, by an id in their data.

use sente_edn::{Keyword, Symbol, Uuid, Value};
use smol_str::SmolStr;

use crate::event::Event;
use crate::packer::Shape;

/// What the data map of an event has under `:request-id`: sente-lite's way to say which event
/// answers which, where neither side makes a call.
///
/// It is a string, an integer of 64 bits, a keyword, a symbol or a UUID. Other values are no
/// request ids, and an event that has one of them under `:request-id` has none.
///
/// ```
/// # use sente_core::{Event, EventId, RequestId, edn};
/// let data = edn::from_str("{:request-id 7, :rows []}")?;
/// let event = Event::new(EventId::new("db/rows")?, data);
/// assert_eq!(event.request_id(), Some(RequestId::from(7)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Inner);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner {
    Int(i64),
    Keyword(Keyword),
    String(SmolStr),
    Symbol(Symbol),
    Uuid(Uuid),
}

impl RequestId {
    /// The request id `value` is, if it is one.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        Some(Self(match value {
            Value::Keyword(keyword) => Inner::Keyword(keyword.clone()),
            Value::String(text) => Inner::String(SmolStr::new(text)),
            Value::Symbol(symbol) => Inner::Symbol(symbol.clone()),
            Value::Uuid(uuid) => Inner::Uuid(*uuid),
            // `7` and `7N` are the same number to Clojure.
            other => Inner::Int(other.as_i64()?),
        }))
    }

    /// The value to put under `:request-id`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.0 {
            Inner::Int(number) => Value::Int(*number),
            Inner::Keyword(keyword) => Value::Keyword(keyword.clone()),
            Inner::String(text) => Value::from(text.as_str()),
            Inner::Symbol(symbol) => Value::Symbol(symbol.clone()),
            Inner::Uuid(uuid) => Value::Uuid(*uuid),
        }
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(Inner::String(SmolStr::new(text)))
    }
}

impl From<i64> for RequestId {
    fn from(number: i64) -> Self {
        Self(Inner::Int(number))
    }
}

impl From<Uuid> for RequestId {
    fn from(uuid: Uuid) -> Self {
        Self(Inner::Uuid(uuid))
    }
}

impl Event {
    /// What the event's data map has under `:request-id`, for those who keep to that convention.
    /// `None` if the data is no map, has no such key, or has something there that is no
    /// [`RequestId`].
    ///
    /// A received event is not unpacked for it: its entries are walked over once, and nothing is
    /// built but the id.
    #[must_use]
    pub fn request_id(&self) -> Option<RequestId> {
        const KEY: &str = "request-id";
        let data = self.data.as_ref()?;
        if let Some(value) = data.as_value() {
            return RequestId::from_value(value.get_keyword(KEY)?);
        }
        let packed = data.as_packed()?;
        let mut found = None;
        packed
            .packer()
            .entries(&packed.bytes, packed.limits(), &mut |key, span| {
                if key == KEY && found.is_none() {
                    found = Some(span);
                }
            });
        let span = found?;
        if !may_be_id(span.shape) {
            return None;
        }
        let bytes = packed.bytes.get(span.start..span.end)?;
        let value = packed.packer().unpack(bytes, packed.limits()).ok()?;
        RequestId::from_value(&value)
    }
}

/// Keeps a collection from being built only to find that it is no id.
const fn may_be_id(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Keyword | Shape::Number | Shape::String | Shape::Symbol | Shape::Tagged
    )
}
