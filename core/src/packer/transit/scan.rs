//! The strings of a message, and which of them are keys: all that the cache looks at.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::json_limits;
use crate::limits::Limits;
use crate::packer::text::{Container, TextCursor, TextError, Token};

/// What stands at the head of an array that is a map.
pub(super) const MAP: &str = "^ ";

/// A string of the message.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    /// Its opening quote.
    pub(super) start: usize,
    /// The byte behind its closing quote.
    pub(super) end: usize,
    /// What it says, JSON's escapes undone.
    pub(super) text: Cow<'a, str>,
    /// Whether it is a key of a map.
    pub(super) key: bool,
    /// Whether it is a key of an object, so that only another string can take its place.
    pub(super) field: bool,
}

/// Where in a collection the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first item of an array.
    Head,
    /// Behind it, or in an object, whose keys tell themselves.
    Items,
    /// Before a key of an array that is a map.
    Key,
    /// Before a value of one.
    Value,
}

/// The strings of the first value of a text, in order.
pub(super) struct Strings<'a> {
    cursor: TextCursor<'a>,
    place: Place,
    outer: Vec<Place>,
}

impl<'a> Strings<'a> {
    pub(super) fn new(text: &'a [u8], limits: &Limits) -> Self {
        Self {
            cursor: TextCursor::new(text, &json_limits(limits)),
            place: Place::Items,
            outer: Vec::new(),
        }
    }

    /// The next string; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Found<'a>>, TextError> {
        while let Some(token) = self.cursor.next()? {
            let (text, field) = match token {
                Token::String(text) => (text, false),
                Token::Key(text) => (text, true),
                Token::Open(container) => {
                    self.item();
                    self.outer.push(self.place);
                    self.place = match container {
                        Container::Array => Place::Head,
                        Container::Object => Place::Items,
                    };
                    continue;
                }
                Token::Close => {
                    self.place = self.outer.pop().unwrap_or(Place::Items);
                    continue;
                }
                Token::Null | Token::Bool(_) | Token::Number(_) => {
                    self.item();
                    continue;
                }
            };
            let text = text.decode();
            let place = self.item();
            if place == Place::Head && text == MAP {
                self.place = Place::Key;
            }
            return Ok(Some(Found {
                start: self.cursor.start(),
                end: self.cursor.pos(),
                text,
                key: field || place == Place::Key,
                field,
            }));
        }
        Ok(None)
    }

    /// The byte behind the value, once there are no more strings.
    pub(super) const fn end(&self) -> usize {
        self.cursor.pos()
    }

    /// Steps over an item, and says where it stood.
    const fn item(&mut self) -> Place {
        let place = self.place;
        self.place = match place {
            Place::Head | Place::Items => Place::Items,
            Place::Key => Place::Value,
            Place::Value => Place::Key,
        };
        place
    }
}
