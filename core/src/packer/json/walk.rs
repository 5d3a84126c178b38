//! How the engine looks into JSON without building anything.

use alloc::string::String;

use smol_str::SmolStr;

use super::keyword::{event_name, without_colon};
use crate::limits::Limits;
use crate::packer::text::{Container, Kind, TextCursor, TextSpan};
use crate::packer::{Cursor, Shape, Span, UnpackError};

/// A cursor that finds keywords where events have their ids.
pub(super) struct Walk<'a> {
    text: TextCursor<'a>,
    /// Whether what comes next is the first item of an array that was entered.
    first: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a [u8], limits: &Limits) -> Self {
        Self {
            text: TextCursor::new(text, limits),
            first: false,
        }
    }
}

impl Cursor for Walk<'_> {
    fn peek(&mut self) -> Result<Option<Shape>, UnpackError> {
        let Some(kind) = self.text.peek()? else {
            return Ok(None);
        };
        let is_name = self.first
            && kind == Kind::String
            && event_name(&self.text.peek_string()?.decode()).is_some();
        Ok(Some(if is_name { Shape::Keyword } else { shape(kind) }))
    }

    fn enter(&mut self) -> Result<(), UnpackError> {
        if self.text.peek()? != Some(Kind::Array) {
            return Err(expected("expected an array", self.text.pos()));
        }
        self.text.enter()?;
        self.first = true;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), UnpackError> {
        self.first = false;
        Ok(self.text.leave()?)
    }

    fn skip(&mut self) -> Result<Span, UnpackError> {
        self.first = false;
        let start = self.text.skip()?;
        Ok(span(start, self.text.bytes()))
    }

    fn keyword_span(&mut self) -> Result<(SmolStr, Span), UnpackError> {
        if self.first
            && self.text.peek()? == Some(Kind::String)
            && let Some(name) = event_name(&self.text.peek_string()?.decode()).map(SmolStr::new)
        {
            return Ok((name, self.skip()?));
        }
        Err(expected("expected the id of an event", self.text.pos()))
    }
}

/// The entries of the object that comes next, as far as it can be read.
pub(super) fn entries(mut text: TextCursor<'_>, visit: &mut dyn FnMut(&str, Span)) {
    if !matches!(text.enter(), Ok(Container::Object)) {
        return;
    }
    while let Ok(Some(_)) = text.peek() {
        let (Ok((key, _)), Ok(value)) = (text.string(), text.skip()) else {
            return;
        };
        visit(without_colon(&key.decode()), span(value, text.bytes()));
    }
}

fn span(found: TextSpan, text: &[u8]) -> Span {
    let mut span = Span::new(found.start, found.end, shape(found.kind));
    span.line_safe = found.line_safe;
    span.truthy = match found.kind {
        Kind::Null => false,
        Kind::Bool => text.get(found.start) == Some(&b't'),
        _ => true,
    };
    span
}

const fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Null => Shape::Nil,
        Kind::Bool => Shape::Bool,
        Kind::Number => Shape::Number,
        Kind::String => Shape::String,
        Kind::Array => Shape::Vector,
        Kind::Object => Shape::Map,
    }
}

fn expected(message: &str, offset: usize) -> UnpackError {
    UnpackError::Other {
        offset,
        message: String::from(message),
    }
}
