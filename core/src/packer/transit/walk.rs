//! Stepping over packed values without building them.

use alloc::string::String;

use memchr::memchr2;
use smol_str::SmolStr;

use super::decode;
use super::forms::{Atom, Form, Forms, Kind};
use crate::limits::Limits;
use crate::packer::{Cursor, Shape, Span, UnpackError};

/// A place among the packed values of a message.
pub(super) struct Walk<'a> {
    forms: Forms<'a>,
    packed: &'a [u8],
    /// What comes next, if it has been looked at, and where it begins.
    ahead: Option<(Form<'a>, usize)>,
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
        if !matches!(self.take()?, Some((Form::Open(Kind::Map), _))) {
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

    /// What comes next, left where it is.
    fn look(&mut self) -> Result<Option<&Form<'a>>, UnpackError> {
        if self.ahead.is_none() {
            self.ahead = self.step()?;
        }
        Ok(self.ahead.as_ref().map(|(form, _)| form))
    }

    /// What comes next, and where it begins.
    fn take(&mut self) -> Result<Option<(Form<'a>, usize)>, UnpackError> {
        match self.ahead.take() {
            Some(ahead) => Ok(Some(ahead)),
            None => self.step(),
        }
    }

    fn step(&mut self) -> Result<Option<(Form<'a>, usize)>, UnpackError> {
        let form = self.forms.next()?;
        Ok(form.map(|form| (form, self.forms.start())))
    }

    /// Steps over the rest of the collections above `depth`.
    fn close_to(&mut self, depth: usize) -> Result<(), UnpackError> {
        while self.forms.depth() > depth {
            if let Some((Form::Atom(atom), start)) = self.take()? {
                prove(&atom, start)?;
            }
        }
        Ok(())
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
        other(self.forms.start(), message)
    }
}

impl Cursor for Walk<'_> {
    fn peek(&mut self) -> Result<Option<Shape>, UnpackError> {
        Ok(match self.look()? {
            Some(Form::Atom(atom)) => Some(shape(atom)),
            Some(Form::Open(kind)) => Some(match kind {
                Kind::Vector => Shape::Vector,
                Kind::List => Shape::List,
                Kind::Set => Shape::Set,
                Kind::Map => Shape::Map,
                Kind::Tagged(_) => Shape::Tagged,
            }),
            Some(Form::Close) | None => None,
        })
    }

    fn enter(&mut self) -> Result<(), UnpackError> {
        match self.look()? {
            Some(Form::Open(Kind::Vector | Kind::List)) => {
                self.ahead = None;
                Ok(())
            }
            _ => Err(self.error("expected a list or a vector")),
        }
    }

    fn leave(&mut self) -> Result<(), UnpackError> {
        while let Some((form, start)) = self.take()? {
            match form {
                Form::Atom(atom) => prove(&atom, start)?,
                Form::Open(_) => {
                    let depth = self.forms.depth().saturating_sub(1);
                    self.close_to(depth)?;
                }
                Form::Close => return Ok(()),
            }
        }
        Err(self.error("there is nothing to leave"))
    }

    fn skip(&mut self) -> Result<Span, UnpackError> {
        let Some(shape) = self.peek()? else {
            return Err(self.error("expected another value"));
        };
        let mut truthy = true;
        let mut from = self.forms.start();
        if let Some((form, start)) = self.take()? {
            from = start;
            match form {
                Form::Atom(atom) => {
                    prove(&atom, start)?;
                    truthy = !matches!(atom, Atom::Nil | Atom::Bool(false));
                }
                Form::Open(_) => {
                    let depth = self.forms.depth().saturating_sub(1);
                    self.close_to(depth)?;
                }
                Form::Close => {}
            }
        }
        Ok(self.span(from, shape, truthy))
    }

    fn keyword_span(&mut self) -> Result<(SmolStr, Span), UnpackError> {
        let name = match self.look()? {
            Some(Form::Atom(Atom::Scalar(':', text))) => {
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

/// Proves that an atom can be read.
fn prove(atom: &Atom<'_>, start: usize) -> Result<(), UnpackError> {
    match atom {
        Atom::Scalar(tag, text) => {
            decode::check(*tag, text).map_err(|message| other(start, message))
        }
        _ => Ok(()),
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

fn other(offset: usize, message: &str) -> UnpackError {
    UnpackError::Other {
        offset,
        message: String::from(message),
    }
}
