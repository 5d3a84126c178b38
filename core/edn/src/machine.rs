//! The grammar: how tokens make forms, with a stack of its own instead of recursion.
//!
//! One machine reads for everyone. What becomes of the forms is up to its [`Sink`]: values, marks
//! on the text, or nothing at all. So what one of them accepts the others accept, too.

use alloc::vec::Vec;

use crate::atom::{Atom, Fact};
use crate::error::{Error, ErrorKind, Inside};
use crate::fingerprint::Group;
use crate::lex::Lexer;
use crate::limits::Limits;
use crate::name;
use crate::number::{self, Num};
use crate::shape::Shape;
use crate::stack::{Numbers, Stack};
use crate::table::SMALL;

/// What becomes of the forms that are read.
pub(crate) trait Sink {
    /// A form that is complete.
    type Item;
    /// A collection whose items are still coming in.
    type Open: Default;

    fn atom(&mut self, atom: Atom<'_>) -> Self::Item;

    /// Adds an item, or in a map a key or value in turn; `start` is where it stands.
    fn push(&mut self, open: &mut Self::Open, item: Self::Item, start: usize);

    fn close(&mut self, shape: Shape, open: Self::Open) -> Result<Self::Item, Error>;

    fn tagged(&mut self, tag: &str, item: Self::Item) -> Self::Item;
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
    pub(crate) fingerprint: u64,
}

/// What is open and waits for forms.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Discard,
    List,
    Map,
    /// A map whose keys get a namespace.
    MapOf(&'a str),
    /// After `^`, waiting for the metadata.
    Meta,
    /// After `#:`, waiting for the namespace.
    Namespace,
    Set,
    /// After `##`.
    Symbolic,
    Tag(&'a str),
    /// After the metadata, waiting for what carries it.
    Target,
    Vector,
}

impl Kind<'_> {
    fn inside(self) -> Inside {
        match self {
            Self::Discard => Inside::Discard,
            Self::List => Inside::List,
            Self::Map | Self::MapOf(_) => Inside::Map,
            Self::Meta | Self::Target => Inside::Metadata,
            Self::Namespace => Inside::NamespacedMap,
            Self::Set => Inside::Set,
            Self::Symbolic => Inside::Symbolic,
            Self::Tag(_) => Inside::Tag,
            Self::Vector => Inside::Vector,
        }
    }

    fn closing(self) -> Option<char> {
        match self {
            Self::List => Some(')'),
            Self::Vector => Some(']'),
            Self::Set | Self::Map | Self::MapOf(_) => Some('}'),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) start: usize,
    /// How many forms are in it.
    count: usize,
    /// Whether its fingerprint is wanted, because it is, or is in, a key or an element.
    pub(crate) keyed: bool,
    pub(crate) group: Group,
    /// Where its own keys' fingerprints begin.
    first_key: usize,
}

impl Frame<'_> {
    const FILLER: Self = Self {
        kind: Kind::Discard,
        start: 0,
        count: 0,
        keyed: false,
        group: Group::sequence(),
        first_key: 0,
    };

    /// Takes in a form of that fingerprint.
    #[inline]
    fn add(&mut self, fingerprint: u64, repeats: Repeats, keys: &mut Numbers<NEAR_KEYS>) {
        let is_key = match self.kind {
            Kind::Set => true,
            Kind::Map | Kind::MapOf(_) => self.count.is_multiple_of(2),
            _ => false,
        };
        if is_key && repeats == Repeats::Suspected {
            keys.push(fingerprint);
        }
        if self.keyed {
            match self.kind {
                Kind::Set => self.group.push_element(fingerprint),
                Kind::Map | Kind::MapOf(_) => self.group.push_entry(self.count, fingerprint),
                _ => self.group.push_item(fingerprint),
            }
        }
        self.count = self.count.saturating_add(1);
    }

    #[inline]
    fn keys_next(&self) -> bool {
        match self.kind {
            Kind::Set => true,
            Kind::Map | Kind::MapOf(_) => self.keyed || self.count.is_multiple_of(2),
            Kind::List | Kind::Vector | Kind::Tag(_) | Kind::Target => self.keyed,
            Kind::Discard | Kind::Meta | Kind::Namespace | Kind::Symbolic => false,
        }
    }
}

/// How many levels need no heap.
const NEAR_FRAMES: usize = 8;
/// How many keys and elements of maps and sets that are open need no heap.
const NEAR_KEYS: usize = 48;

/// Reads forms and hands them to a sink.
pub(crate) struct Machine<'a, S: Sink> {
    pub(crate) lexer: Lexer<'a>,
    pub(crate) sink: S,
    pub(crate) repeats: Repeats,
    /// How many levels are open outside of the form that is read.
    pub(crate) depth: usize,
    pub(crate) limits: Limits,
    elements: usize,
    pub(crate) frames: Stack<Frame<'a>, NEAR_FRAMES>,
    /// What the sink makes of the collections among the frames.
    pub(crate) open: Vec<S::Open>,
    keys: Numbers<NEAR_KEYS>,
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
            frames: Stack::new(Frame::FILLER),
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
        self.frames.clear();
        self.open.clear();
        self.keys.truncate(0);
    }

    /// Reads the next form; `None` if there is none before the end of the text.
    pub(crate) fn form(&mut self) -> Result<Option<Done<'a, S::Item>>, Stop> {
        loop {
            let Some(byte) = self.lexer.skip_blank(self.limits.dialect) else {
                return match self.frames.last() {
                    Some(frame) => Err(self.lexer.end(frame.kind.inside(), frame.start).into()),
                    None => {
                        self.lexer.check_tail()?;
                        Ok(None)
                    }
                };
            };
            let start = self.lexer.pos();
            let done = match byte {
                b'"' => {
                    let raw = self.lexer.string()?;
                    self.place(Atom::Str(raw), start)?
                }
                b':' => {
                    let name = self.keyword(start)?;
                    self.place(Atom::Keyword(name), start)?
                }
                b'(' => self.open(Kind::List, Group::sequence(), 1)?,
                b'[' => self.open(Kind::Vector, Group::sequence(), 1)?,
                b'{' => self.open(Kind::Map, Group::map(), 1)?,
                b')' | b']' | b'}' => self.close(byte, start)?,
                b'^' => self.open(Kind::Meta, Group::default(), 1)?,
                b'#' => self.dispatch(start)?,
                b'\\' => {
                    let c = self.lexer.character(self.limits.dialect)?;
                    self.place(Atom::Char(c), start)?
                }
                _ if self.lexer.is_at_number(byte) => {
                    let token = self.lexer.number(self.limits.dialect)?;
                    match number::short(token) {
                        Some(value) => self.place(Atom::Num(Num::Int(value)), start)?,
                        None => self.long_number(token, start)?,
                    }
                }
                _ => self.symbol(start)?,
            };
            if let Some(done) = done {
                return Ok(Some(done));
            }
        }
    }

    fn long_number(
        &mut self,
        token: &'a str,
        start: usize,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        let number =
            number::parse(token).map_err(|fault| self.number_error(token, fault, start))?;
        self.place(Atom::Num(number), start)
    }

    /// Reads a symbol, or `nil`, `true` or `false`.
    fn symbol(&mut self, start: usize) -> Result<Option<Done<'a, S::Item>>, Error> {
        let token = self.lexer.token(start)?;
        match token {
            "nil" => self.place(Atom::Nil, start),
            "true" => self.place(Atom::Bool(true), start),
            "false" => self.place(Atom::Bool(false), start),
            name if name::is_symbol(name, self.limits.dialect) => {
                self.place(Atom::Symbol(name), start)
            }
            _ => Err(self.name_error(token, start)),
        }
    }

    /// Counts a form that is complete.
    #[inline]
    pub(crate) fn count(&mut self, start: usize) -> Result<(), Error> {
        self.elements = self.elements.saturating_add(1);
        if self.elements > self.limits.max_elements {
            let kind = ErrorKind::TooManyElements {
                limit: self.limits.max_elements,
            };
            return Err(Error::new(kind, start));
        }
        Ok(())
    }

    /// Steps over an opening and into what it opens; nothing is complete by that.
    #[inline]
    pub(crate) fn open(
        &mut self,
        kind: Kind<'a>,
        group: Group,
        length: usize,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        let start = self.lexer.pos();
        self.lexer.advance(length);
        self.open_at(kind, group, start)
    }

    #[inline]
    pub(crate) fn open_at(
        &mut self,
        kind: Kind<'a>,
        group: Group,
        start: usize,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        if self.frames.len() >= self.limits.max_depth.saturating_sub(self.depth) {
            let kind = ErrorKind::TooDeep {
                limit: self.limits.max_depth,
            };
            return Err(Error::new(kind, start));
        }
        let keyed = self.frames.last().is_some_and(Frame::keys_next);
        let first_key = self.keys.len();
        self.frames.push(Frame {
            kind,
            start,
            count: 0,
            keyed,
            group,
            first_key,
        });
        self.open.push(S::Open::default());
        Ok(None)
    }

    /// Steps over a closing bracket and out of what it closes, and gives that to what is around it.
    fn close(&mut self, bracket: u8, at: usize) -> Result<Option<Done<'a, S::Item>>, Stop> {
        let found = char::from(bracket);
        let expected = self.frames.last().and_then(|frame| frame.kind.closing());
        if expected != Some(found) {
            let kind = ErrorKind::UnmatchedDelimiter { found, expected };
            return Err(Error::new(kind, at).into());
        }
        let Some(frame) = self.frames.pop() else {
            return Err(Error::new(ErrorKind::UnmatchedDelimiter { found, expected }, at).into());
        };
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
            if has_tie(self.keys.since(frame.first_key)) {
                return Err(Stop::Tie);
            }
            self.keys.truncate(frame.first_key);
        }
        self.lexer.advance(1);
        let fingerprint = if frame.keyed {
            frame.group.finish(frame.count)
        } else {
            0
        };
        let open = self.open.pop().unwrap_or_default();
        let item = self.sink.close(shape, open)?;
        let start = frame.start;
        Ok(self.settle(Done {
            item,
            fact,
            shape,
            start,
            fingerprint,
        })?)
    }

    /// Gives an atom to what is open; the form itself if nothing is.
    #[inline(always)]
    fn place(&mut self, atom: Atom<'a>, start: usize) -> Result<Option<Done<'a, S::Item>>, Error> {
        if let Some(frame) = self.frames.last_mut()
            && matches!(
                frame.kind,
                Kind::List | Kind::Vector | Kind::Set | Kind::Map
            )
        {
            let fingerprint = if frame.keys_next() {
                atom.fingerprint()
            } else {
                0
            };
            frame.add(fingerprint, self.repeats, &mut self.keys);
            let item = self.sink.atom(atom);
            if let Some(open) = self.open.last_mut() {
                self.sink.push(open, item, start);
            }
            self.count(start)?;
            return Ok(None);
        }
        let keyed = self.frames.last().is_some_and(Frame::keys_next);
        let done = self.finish_atom(atom, start, keyed);
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
        let item = self.sink.atom(atom);
        Done {
            item,
            fact: atom.fact(),
            shape: atom.shape(),
            start,
            fingerprint,
        }
    }

    /// Gives a form to what is open; the form itself if nothing is.
    fn settle(&mut self, mut done: Done<'a, S::Item>) -> Result<Option<Done<'a, S::Item>>, Error> {
        loop {
            self.count(done.start)?;
            let Some(frame) = self.frames.last_mut() else {
                return Ok(Some(done));
            };
            match frame.kind {
                Kind::List | Kind::Vector | Kind::Set | Kind::Map => {}
                Kind::MapOf(namespace) => {
                    if frame.count.is_multiple_of(2) {
                        done = self.rename(namespace, done)?;
                    }
                }
                _ => match self.settle_prefix(done)? {
                    Some(wrapped) => {
                        done = wrapped;
                        continue;
                    }
                    None => return Ok(None),
                },
            }
            if let Some(frame) = self.frames.last_mut() {
                frame.add(done.fingerprint, self.repeats, &mut self.keys);
            }
            if let Some(open) = self.open.last_mut() {
                self.sink.push(open, done.item, done.start);
            }
            return Ok(None);
        }
    }
}

/// Whether two of the fingerprints are the same. May reorder them.
fn has_tie(fingerprints: &mut [u64]) -> bool {
    if fingerprints.len() <= SMALL {
        let mut rest = &*fingerprints;
        while let Some((first, others)) = rest.split_first() {
            if others.contains(first) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    fingerprints.sort_unstable();
    fingerprints
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
}
