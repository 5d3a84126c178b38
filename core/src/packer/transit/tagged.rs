//! What tagged values are on the wire.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use sente_edn::{Tagged, Value};

use super::decode::{self, BYTES, KEPT};
use super::handlers::TransitHandlers;

/// What a tagged value is on the wire.
pub(super) struct Behind<'v> {
    /// `None` for the array of one type that EDN shows behind a tag. What a peer can do with that
    /// is a plain array: the real readers know no other.
    pub(super) tag: Option<Cow<'v, str>>,
    pub(super) rep: Item<'v>,
    /// Whether a handler has made it.
    pub(super) handled: bool,
}

impl<'v> Behind<'v> {
    fn new(tag: impl Into<Cow<'v, str>>, rep: Item<'v>) -> Self {
        Self {
            tag: Some(tag.into()),
            rep,
            handled: false,
        }
    }

    pub(super) fn of(tagged: &'v Tagged, handlers: &TransitHandlers) -> Result<Self, String> {
        let value = tagged.value();
        Ok(match Way::of(tagged, handlers)? {
            Way::As(tag, rep, origin) => Self::made(tag, rep, origin),
            Way::Kept => match value.as_sequence() {
                Some([Value::String(tag), rep]) => Self::new(tag, Item::Ref(rep)),
                _ => Self::new(KEPT, Item::Ref(value)),
            },
            Way::Array => Self {
                tag: None,
                rep: Item::Ref(value),
                handled: false,
            },
            Way::Plain => Self::new(tagged.tag().as_str(), Item::Ref(value)),
        })
    }

    pub(super) fn of_own(tagged: Tagged, handlers: &TransitHandlers) -> Result<Self, String> {
        let way = Way::of(&tagged, handlers)?;
        let name = String::from(tagged.tag().as_str());
        let value = tagged.into_value();
        Ok(match way {
            Way::As(tag, rep, origin) => Self::made(tag, rep, origin),
            Way::Kept => {
                let mut items = match value {
                    Value::Vector(items) => items.into_vec(),
                    Value::List(items) => items.into_vec(),
                    other => alloc::vec![other],
                };
                let rep = items.pop().unwrap_or_default();
                match items.pop() {
                    Some(Value::String(tag)) => Self::new(tag, Item::Own(rep)),
                    _ => Self::new(name, Item::Own(rep)),
                }
            }
            Way::Array => Self {
                tag: None,
                rep: Item::Own(value),
                handled: false,
            },
            Way::Plain => Self::new(name, Item::Own(value)),
        })
    }

    fn made(tag: String, rep: Value, origin: Origin) -> Self {
        Self {
            tag: Some(Cow::Owned(tag)),
            rep: Item::Own(rep),
            handled: origin == Origin::Handler,
        }
    }

    /// The tag and the text, if it is written as a string of the kind `~Xtext`.
    pub(super) fn scalar(&self) -> Option<(&str, &str)> {
        let tag = self.tag.as_deref()?;
        match &self.rep {
            Item::Own(Value::String(text)) | Item::Ref(Value::String(text))
                if decode::is_letter(tag) =>
            {
                Some((tag, text))
            }
            _ => None,
        }
    }
}

/// A value of the caller's, or of a handler's.
pub(super) enum Item<'v> {
    Own(Value),
    Ref(&'v Value),
}

/// How a tagged value is written.
enum Way {
    /// As another tag and value.
    As(String, Value, Origin),
    /// As the tag and the value in it.
    Kept,
    /// As what is behind the tag.
    Array,
    /// As it is.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Bytes,
    Handler,
}

impl Way {
    fn of(tagged: &Tagged, handlers: &TransitHandlers) -> Result<Self, String> {
        let name = tagged.tag().as_str();
        let value = tagged.value();
        if let Some(write) = handlers.writer(name) {
            let (tag, rep) = write(value).map_err(|message| format!("{name}: {message}"))?;
            return Ok(Self::As(tag, rep, Origin::Handler));
        }
        Ok(match (name, value.as_sequence(), value.as_str()) {
            (BYTES, _, Some(text)) => match decode::bytes(text) {
                Ok(text) => {
                    let rep = Value::String(text.into_owned());
                    Self::As(String::from("b"), rep, Origin::Bytes)
                }
                Err(_) => Self::Plain,
            },
            (KEPT, Some([Value::String(tag), rep]), _) if decode::is_kept(tag, rep) => Self::Kept,
            ("array/int" | "array/float" | "array/double" | "array/char", Some(_), _) => {
                Self::Array
            }
            _ if decode::is_own(name) => {
                return Err(format!(
                    "the tag {name} has a meaning of its own in Transit"
                ));
            }
            _ => Self::Plain,
        })
    }
}
