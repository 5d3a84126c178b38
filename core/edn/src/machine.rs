//! The grammar: how tokens make forms, with a stack of its own instead of recursion.
//!
//! One machine reads for everyone. What becomes of the forms is up to its [`Sink`]: values, marks
//! on the text, or nothing at all. So what one of them accepts the others accept, too.

use alloc::vec::Vec;

use crate::atom::{Atom, Fact};
use crate::error::{Error, ErrorKind};
use crate::frame::{Frame, Kind};
use crate::lex::Lexer;
use crate::limits::Limits;
use crate::name;
use crate::number;
use crate::shape::Shape;
use crate::stack::{Numbers, Stack};
use crate::ties;

/// What becomes of the forms that are read.
///
/// All places are offsets in the text, of the first byte and behind the last.
pub(crate) trait Sink {
    /// A form that is complete.
    type Item;
    /// A collection or tag whose items are still coming in.
    type Open;

    /// A collection, tag or other prefix begins.
    fn open(&mut self, kind: Kind, start: usize) -> Self::Open;

    fn atom(&mut self, atom: Atom<'_>, start: usize, end: usize) -> Self::Item;

    /// An atom that every reader takes.
    #[inline]
    fn plain_atom(&mut self, atom: Atom<'_>, start: usize, end: usize) -> Self::Item {
        self.atom(atom, start, end)
    }

    /// The name a key gets from its map, in place of the one that stands there.
    fn renamed(&mut self, key: Self::Item, atom: Atom<'_>, start: usize, end: usize) -> Self::Item {
        self.forget(key);
        self.atom(atom, start, end)
    }

    /// Adds an item, or in a map a key or value in turn.
    fn push(&mut self, open: &mut Self::Open, item: Self::Item, start: usize);

    /// A collection of so many items ends.
    fn close(
        &mut self,
        shape: Shape,
        open: Self::Open,
        count: u32,
        end: usize,
    ) -> Result<Self::Item, Error>;

    /// A form is complete that has a tag, given with its place.
    fn tagged(
        &mut self,
        tag: (&str, usize),
        open: Self::Open,
        item: Self::Item,
        end: usize,
    ) -> Self::Item;

    /// What a tag that this crate knows makes of its form.
    fn built_in(
        &mut self,
        open: Self::Open,
        item: Self::Item,
        atom: Atom<'_>,
        start: usize,
        end: usize,
    ) -> Self::Item {
        drop(open);
        self.forget(item);
        self.atom(atom, start, end)
    }

    /// Takes back the form that was completed last: it is discarded, or part of another.
    fn forget(&mut self, item: Self::Item);

    /// The form is read from its beginning again.
    fn restart(&mut self) {}
}

/// Why the machine stopped before the form was complete.
pub(crate) enum Stop {
    Error(Error),
    /// Two keys of a map or elements of a set share a fingerprint; they may be equal.
    Tie,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Whether the machine looks for repeated keys and elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// They are not there, or the sink finds them.
    Ignored,
    /// The machine stops where there may be one.
    Suspected,
}

/// A complete form.
pub(crate) struct Done<'a, I> {
    pub(crate) item: I,
    pub(crate) fact: Fact<'a>,
    pub(crate) shape: Shape,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) fingerprint: u64,
}

/// How many levels need no heap.
const NEAR_FRAMES: usize = 8;
/// How many keys and elements of maps and sets that are open need no heap.
pub(crate) const NEAR_KEYS: usize = 48;

/// Reads forms and hands them to a sink.
pub(crate) struct Machine<'a, S: Sink> {
    pub(crate) lexer: Lexer<'a>,
    pub(crate) sink: S,
    pub(crate) repeats: Repeats,
    /// How many levels are open outside of the form that is read.
    pub(crate) depth: usize,
    pub(crate) limits: Limits,
    pub(crate) elements: usize,
    /// What is open innermost.
    pub(crate) top: Frame,
    /// What that stands in, from the outside in; [`Frame::NOTHING`] first.
    pub(crate) frames: Stack<Frame, NEAR_FRAMES>,
    /// What the sink makes of what is open.
    pub(crate) open: Vec<S::Open>,
    pub(crate) keys: Numbers<NEAR_KEYS>,
}

impl<'a, S: Sink> Machine<'a, S> {
    #[inline]
    pub(crate) fn new(lexer: Lexer<'a>, limits: Limits, sink: S) -> Self {
        Self {
            lexer,
            sink,
            repeats: Repeats::Suspected,
            depth: 0,
            limits,
            elements: 0,
            top: Frame::NOTHING,
            frames: Stack::new(Frame::NOTHING),
            open: Vec::new(),
            keys: Numbers::new(),
        }
    }

    /// Where the machine is, to come back to.
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.lexer.pos(), self.elements)
    }

    /// Goes back, and forgets what was open.
    pub(crate) fn reset(&mut self, (pos, elements): (usize, usize)) {
        self.lexer.seek(pos);
        self.elements = elements;
        self.top = Frame::NOTHING;
        self.frames.clear();
        self.open.clear();
        self.keys.truncate(0);
        self.sink.restart();
    }

    /// Reads the next form; `None` if there is none before the end of the text.
    pub(crate) fn form(&mut self) -> Result<Option<Done<'a, S::Item>>, Stop> {
        loop {
            if (self.top.kind.is_plain() || self.top.kind == Kind::Nothing)
                && let Some(closed) = self.run()?
            {
                return Ok(Some(Done {
                    item: closed.item,
                    fact: match closed.shape {
                        Shape::Map => Fact::Map,
                        _ => Fact::Collection,
                    },
                    shape: closed.shape,
                    start: closed.start,
                    end: closed.end,
                    fingerprint: closed.fingerprint,
                }));
            }
            if let Some(done) = match self.lexer.skip_blank(self.limits.dialect) {
                Some(byte) => self.step(byte)?,
                None if self.top.kind == Kind::Nothing => {
                    self.lexer.check_tail()?;
                    return Ok(None);
                }
                None => {
                    let (inside, start) = (self.top.kind.inside(), self.top.start());
                    return Err(self.lexer.end(inside, start).into());
                }
            } {
                return Ok(Some(done));
            }
        }
    }

    /// Reads one token, of which the first byte is known; the form, if it is complete by that.
    fn step(&mut self, byte: u8) -> Result<Option<Done<'a, S::Item>>, Stop> {
        let start = self.lexer.pos();
        Ok(match byte {
            b'"' => {
                let raw = self.lexer.string()?;
                self.place(Atom::Str(raw), start)?
            }
            b':' => {
                let name = self.keyword(start)?;
                self.place(Atom::Keyword(name), start)?
            }
            b'(' => self.open(Kind::List, 1)?,
            b'[' => self.open(Kind::Vector, 1)?,
            b'{' => self.open(Kind::Map, 1)?,
            b')' | b']' | b'}' => self.close(byte, start)?,
            b'^' => self.open(Kind::Meta, 1)?,
            b'#' => self.dispatch(start)?,
            b'\\' => {
                let c = self.lexer.character(self.limits.dialect)?;
                self.place(Atom::Char(c), start)?
            }
            _ if self.lexer.is_at_number(byte) => {
                let token = self.lexer.number(self.limits.dialect)?;
                let number = number::parse(token);
                let number = number.map_err(|fault| self.number_error(token, fault, start))?;
                self.place(Atom::Num(number), start)?
            }
            _ => {
                let token = self.lexer.token(start)?;
                let atom = match token {
                    "nil" => Atom::Nil,
                    "true" => Atom::Bool(true),
                    "false" => Atom::Bool(false),
                    name if name::is_symbol(name, self.limits.dialect) => Atom::Symbol(name),
                    _ => return Err(self.name_error(token, start).into()),
                };
                self.place(atom, start)?
            }
        })
    }

    /// Counts a form that is complete.
    #[inline]
    pub(crate) fn count(&mut self, start: usize) -> Result<(), Error> {
        if self.elements >= self.limits.max_elements {
            let kind = ErrorKind::TooManyElements {
                limit: self.limits.max_elements,
            };
            return Err(Error::new(kind, start));
        }
        self.elements = self.elements.saturating_add(1);
        Ok(())
    }

    /// Whether one level more would be too deep.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.frames.len() >= self.limits.max_depth.saturating_sub(self.depth)
    }

    /// Steps over an opening and into what it opens; nothing is complete by that.
    #[inline]
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        length: usize,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        let start = self.lexer.pos();
        self.lexer.advance(length);
        self.open_at(kind, start)
    }

    pub(crate) fn open_at(
        &mut self,
        kind: Kind,
        start: usize,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        if self.is_full() {
            let kind = ErrorKind::TooDeep {
                limit: self.limits.max_depth,
            };
            return Err(Error::new(kind, start));
        }
        let frame = Frame::new(kind, &self.top, start, self.keys.len());
        self.frames.push(core::mem::replace(&mut self.top, frame));
        self.open.push(self.sink.open(kind, start));
        Ok(None)
    }

    /// Goes back to what is around what is open.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.frames.pop_to(&mut self.top);
    }

    /// Steps over a closing bracket and out of what it closes, and gives that to what is around it.
    fn close(&mut self, bracket: u8, at: usize) -> Result<Option<Done<'a, S::Item>>, Stop> {
        let expected = self.top.closing;
        if expected != bracket {
            let kind = ErrorKind::UnmatchedDelimiter {
                found: char::from(bracket),
                expected: (expected != 0).then_some(char::from(expected)),
            };
            return Err(Error::new(kind, at).into());
        }
        let frame = self.top;
        let (shape, fact) = match frame.kind {
            Kind::List => (Shape::List, Fact::Collection),
            Kind::Vector => (Shape::Vector, Fact::Collection),
            Kind::Set => (Shape::Set, Fact::Collection),
            _ => (Shape::Map, Fact::Map),
        };
        if shape == Shape::Map && !frame.count.is_multiple_of(2) {
            return Err(Error::new(ErrorKind::MissingValue, at).into());
        }
        if matches!(shape, Shape::Map | Shape::Set) && self.repeats == Repeats::Suspected {
            if ties::has_tie(self.keys.since(frame.first_key())) {
                return Err(Stop::Tie);
            }
            self.keys.truncate(frame.first_key());
        }
        self.leave();
        self.lexer.advance(1);
        let end = self.lexer.pos();
        let fingerprint = if frame.keyed { frame.finish() } else { 0 };
        let Some(open) = self.open.pop() else {
            return Ok(None);
        };
        let item = self.sink.close(shape, open, frame.count, end)?;
        let start = frame.start();
        Ok(self.settle(Done {
            item,
            fact,
            shape,
            start,
            end,
            fingerprint,
        })?)
    }

    /// Gives an atom to what is open; the form itself if nothing is.
    fn place(&mut self, atom: Atom<'a>, start: usize) -> Result<Option<Done<'a, S::Item>>, Error> {
        let done = self.finish_atom(atom, start, self.top.keys_next());
        self.settle(done)
    }

    /// An atom as a complete form.
    pub(crate) fn finish_atom(
        &mut self,
        atom: Atom<'a>,
        start: usize,
        keyed: bool,
    ) -> Done<'a, S::Item> {
        let fingerprint = if keyed { atom.fingerprint() } else { 0 };
        let end = self.lexer.pos();
        Done {
            item: self.sink.atom(atom, start, end),
            fact: atom.fact(),
            shape: atom.shape(),
            start,
            end,
            fingerprint,
        }
    }

    /// Gives a form to what is open; the form itself if nothing is.
    fn settle(&mut self, mut done: Done<'a, S::Item>) -> Result<Option<Done<'a, S::Item>>, Error> {
        self.count(done.start)?;
        loop {
            match self.top.kind {
                Kind::Nothing => return Ok(Some(done)),
                Kind::List | Kind::Vector | Kind::Set | Kind::Map => {}
                Kind::MapOf => {
                    if self.top.is_key_next() {
                        done = self.rename(self.top.name(&self.lexer), done)?;
                    }
                }
                kind => match self.settle_prefix(done)? {
                    Some(complete) => {
                        done = complete;
                        // What carries metadata was counted by itself, and is no other form.
                        if kind != Kind::Target {
                            self.count(done.start)?;
                        }
                        continue;
                    }
                    None => return Ok(None),
                },
            }
            let suspects = self.repeats == Repeats::Suspected;
            self.top.add(done.fingerprint, suspects, &mut self.keys);
            if let Some(open) = self.open.last_mut() {
                self.sink.push(open, done.item, done.start);
            }
            return Ok(None);
        }
    }
}
