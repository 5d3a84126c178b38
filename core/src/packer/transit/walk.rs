//! Stepping over packed values without building them.

use memchr::memchr2;
use smol_str::SmolStr;

use super::decode;
use super::forms::{Atom, Fault, Forms, Kind, Step};
use crate::limits::Limits;
use crate::packer::text::TextError;
use crate::packer::{Cursor, Shape, Span, UnpackError};

/// A place among the packed values of a message.
pub(super) struct Walk<'a> {
    forms: Forms<'a>,
    packed: &'a [u8],
    /// The step that was taken to see what comes next, if one was.
    ahead: Option<Step>,
}

/// Calls `visit` for the entries of a packed map whose keys are keywords.
pub(super) fn entries(packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
    let mut walk = Walk::new(packed, limits);
    // What cannot be read ends it.
    let _ = walk.entries(visit);
}

impl<'a> Walk<'a> {
    pub(super) fn new(packed: &'a [u8], limits: &Limits) -> Self {
        Self {
            forms: Forms::new(packed, limits),
            packed,
            ahead: None,
        }
    }

    fn entries(&mut self, visit: &mut dyn FnMut(&str, Span)) -> Result<(), UnpackError> {
        if self.take()? != Step::Open(Kind::Map) {
            return Ok(());
        }
        while let Some(shape) = self.peek()? {
            let key = if shape == Shape::Keyword {
                Some(self.keyword()?)
            } else {
                self.skip()?;
                None
            };
            let value = self.skip()?;
            if let Some(key) = key {
                visit(&key, value);
            }
        }
        Ok(())
    }

    /// The next step, to be taken again.
    fn look(&mut self) -> Result<Step, Fault> {
        let step = self.take()?;
        self.ahead = Some(step);
        Ok(step)
    }

    fn take(&mut self) -> Result<Step, Fault> {
        match self.ahead.take() {
            Some(step) => Ok(step),
            None => self.forms.next(),
        }
    }

    /// Steps over the rest of the collection that was just opened.
    fn close(&mut self) -> Result<(), Fault> {
        let outer = self.forms.depth().saturating_sub(1);
        while self.forms.depth() > outer {
            if self.forms.next()? == Step::Atom {
                self.prove()?;
            }
        }
        Ok(())
    }

    /// Proves that the last atom can be read.
    fn prove(&self) -> Result<(), Fault> {
        match self.forms.atom() {
            Atom::Scalar(tag, text) => decode::check(*tag, text)
                .map_err(|message| TextError::new(self.forms.start(), message).into()),
            _ => Ok(()),
        }
    }

    fn span(&self, start: usize, shape: Shape, truthy: bool) -> Span {
        let end = self.forms.end();
        let mut span = Span::new(start, end, shape);
        let bytes = self.packed.get(start..end).unwrap_or_default();
        span.line_safe = memchr2(b'\n', b'\r', bytes).is_none();
        span.truthy = truthy;
        span
    }

    fn error(&self, message: &'static str) -> UnpackError {
        TextError::new(self.forms.start(), message).into()
    }
}

impl Cursor for Walk<'_> {
    fn peek(&mut self) -> Result<Option<Shape>, UnpackError> {
        Ok(match self.look()? {
            Step::Atom => Some(shape(self.forms.atom())),
            Step::Open(kind) => Some(match kind {
                Kind::Vector => Shape::Vector,
                Kind::List => Shape::List,
                Kind::Set => Shape::Set,
                Kind::Map => Shape::Map,
                Kind::Tagged => Shape::Tagged,
            }),
            Step::Close | Step::End => None,
        })
    }

    fn enter(&mut self) -> Result<(), UnpackError> {
        match self.look()? {
            Step::Open(Kind::Vector | Kind::List) => {
                self.ahead = None;
                Ok(())
            }
            _ => Err(self.error("expected a list or a vector")),
        }
    }

    fn leave(&mut self) -> Result<(), UnpackError> {
        loop {
            match self.take()? {
                Step::Atom => self.prove()?,
                Step::Open(_) => self.close()?,
                Step::Close => return Ok(()),
                Step::End => return Err(self.error("there is nothing to leave")),
            }
        }
    }

    fn skip(&mut self) -> Result<Span, UnpackError> {
        let Some(shape) = self.peek()? else {
            return Err(self.error("expected another value"));
        };
        let start = self.forms.start();
        let mut truthy = true;
        match self.take()? {
            Step::Atom => {
                self.prove()?;
                truthy = !matches!(self.forms.atom(), Atom::Nil | Atom::Bool(false));
            }
            Step::Open(_) => self.close()?,
            Step::Close | Step::End => {}
        }
        Ok(self.span(start, shape, truthy))
    }

    fn keyword_span(&mut self) -> Result<(SmolStr, Span), UnpackError> {
        let name = match (self.look()?, self.forms.atom()) {
            (Step::Atom, Atom::Scalar(':', text)) => {
                decode::keyword(text).map(|name| SmolStr::new(name.as_str()))
            }
            _ => None,
        };
        match name {
            Some(name) => Ok((name, self.skip()?)),
            None => Err(self.error("expected a keyword")),
        }
    }
}

fn shape(atom: &Atom<'_>) -> Shape {
    match atom {
        Atom::Nil => Shape::Nil,
        Atom::Bool(_) => Shape::Bool,
        Atom::String(_) => Shape::String,
        Atom::Scalar(tag, text) => decode::shape(*tag, text),
        Atom::Value(sente_edn::Value::Uuid(_)) => Shape::Tagged,
        // A ratio.
        Atom::Number(_) | Atom::Value(_) => Shape::Number,
    }
}
