//! Walking over packed values without building them.

use sente_edn::Shape;
use smol_str::SmolStr;

use super::ext::{self, Ext};
use super::machine::{Atom, Budget, Kind, Machine, Place, Sink};
use super::stack::Stack;
use super::token::{self, Fault, Reader, Token, UINT64};
use crate::limits::Limits;
use crate::packer::{Cursor, Span, UnpackError};

/// A position in packed bytes.
pub(super) struct Walk<'a> {
    machine: Machine<'a>,
    /// How many items of the array that was entered last are left; first, of the message.
    left: usize,
    entered: Stack<usize>,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(packed: &'a [u8], limits: &Limits) -> Self {
        Self {
            machine: Machine::new(packed, Budget::new(limits)),
            left: 1,
            entered: Stack::new(0),
        }
    }

    fn skip_one(&mut self) -> Result<Span, Fault> {
        let start = self.machine.reader.at();
        if self.left == 0 {
            return Err(Fault::new(start, "expected a value"));
        }
        let mut facts = Facts::new();
        self.machine.value(&mut facts)?;
        self.left = self.left.saturating_sub(1);
        let mut span = Span::new(start, self.machine.reader.at(), facts.shape);
        span.portable = facts.portable;
        span.truthy = facts.truthy;
        Ok(span)
    }
}

impl Cursor for Walk<'_> {
    fn peek(&mut self) -> Result<Option<Shape>, UnpackError> {
        // An empty message has nothing in it; an array that ends too early is wrong.
        let is_end = self.machine.reader.rest.is_empty() && self.entered.len() == 0;
        if self.left == 0 || is_end {
            return Ok(None);
        }
        let mut reader = self.machine.reader;
        Ok(Some(shape_of(reader.token()?)))
    }

    fn enter(&mut self) -> Result<(), UnpackError> {
        let at = self.machine.reader.at();
        let Some(left) = self.left.checked_sub(1) else {
            return Err(Fault::new(at, "expected an array").into());
        };
        let count = self.machine.enter()?;
        self.entered.push(left);
        self.left = count;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), UnpackError> {
        if self.entered.len() == 0 {
            let at = self.machine.reader.at();
            return Err(Fault::new(at, "expected to be within an array").into());
        }
        while self.left > 0 {
            self.skip_one()?;
        }
        self.machine.leave();
        self.left = self.entered.pop().unwrap_or_default();
        Ok(())
    }

    fn skip(&mut self) -> Result<Span, UnpackError> {
        Ok(self.skip_one()?)
    }

    fn keyword_span(&mut self) -> Result<(SmolStr, Span), UnpackError> {
        let mut reader = self.machine.reader;
        let token = if self.left > 0 {
            reader.token().ok()
        } else {
            None
        };
        let Some(Token::Ext(ext::KEYWORD, name)) = token else {
            let at = self.machine.reader.at();
            return Err(Fault::new(at, "expected a keyword").into());
        };
        let span = self.skip_one()?;
        Ok((SmolStr::new(token::text(name)), span))
    }
}

/// Calls `visit` with each key of a packed map that is a keyword, or a string, and where its value
/// stands.
pub(super) fn entries(packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
    let mut reader = Reader::new(packed);
    let Ok(Token::Map(count)) = reader.token() else {
        return;
    };
    let mut walk = Walk::new(packed, limits);
    walk.machine.reader = reader;
    walk.left = count.saturating_mul(2);
    while walk.left > 0 {
        let mut reader = walk.machine.reader;
        let key = match reader.token() {
            Ok(Token::Ext(ext::KEYWORD, name) | Token::Str(name)) => Some(name),
            _ => None,
        };
        let (Ok(_), Ok(value)) = (walk.skip_one(), walk.skip_one()) else {
            return;
        };
        if let Some(key) = key {
            visit(&token::text(key), value);
        }
    }
}

/// What there is to know of a value that is stepped over.
struct Facts {
    shape: Shape,
    portable: bool,
    truthy: bool,
    /// Whether nothing has been seen yet.
    first: bool,
}

impl Facts {
    const fn new() -> Self {
        Self {
            shape: Shape::Nil,
            portable: true,
            truthy: true,
            first: true,
        }
    }

    const fn see(&mut self, shape: Shape) {
        if self.first {
            self.shape = shape;
            self.first = false;
        }
    }
}

impl<'a> Sink<'a> for Facts {
    #[inline]
    fn sees_all(&self) -> bool {
        self.first
    }

    fn atom(&mut self, atom: Atom<'a>, place: Place) {
        match atom {
            Atom::Plain(token) => {
                if self.first {
                    self.truthy = !matches!(token, Token::Nil | Token::Bool(false));
                }
                self.see(shape_of(token));
                // ClojureScript refuses `uint64`, which Sente never writes.
                self.portable &= place.head != UINT64;
            }
            Atom::Ext(ext, content) => {
                self.see(shape_of_ext(&ext));
                self.portable &= ext.is_portable(content);
            }
        }
    }

    fn open(&mut self, kind: Kind, _: usize, _: Place) {
        self.see(match kind {
            Kind::Array => Shape::Vector,
            Kind::Map => Shape::Map,
            Kind::Set => Shape::Set,
        });
    }

    fn close(&mut self, _: Kind, _: usize) {}
}

const fn shape_of(token: Token<'_>) -> Shape {
    match token {
        Token::Nil => Shape::Nil,
        Token::Bool(_) => Shape::Bool,
        Token::Int(_) | Token::Large(_) | Token::Float(_) | Token::Ext(ext::RATIO, _) => {
            Shape::Number
        }
        Token::Str(_) => Shape::String,
        Token::Array(_) => Shape::Vector,
        Token::Map(_) => Shape::Map,
        Token::Ext(ext::KEYWORD, _) => Shape::Keyword,
        Token::Ext(ext::SYMBOL, _) => Shape::Symbol,
        Token::Ext(ext::CHAR, _) => Shape::Char,
        Token::Ext(ext::SET, _) => Shape::Set,
        Token::Bin(_) | Token::Ext(..) => Shape::Tagged,
    }
}

const fn shape_of_ext(ext: &Ext<'_>) -> Shape {
    match ext {
        Ext::Keyword(_) => Shape::Keyword,
        Ext::Symbol(_) => Shape::Symbol,
        Ext::Char(_) => Shape::Char,
        Ext::Ratio(..) => Shape::Number,
        _ => Shape::Tagged,
    }
}
