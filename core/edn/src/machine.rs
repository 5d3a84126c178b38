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
use crate::number;
use crate::shape::Shape;
use crate::stack::{Numbers, Stack};
use crate::table::SMALL;

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

/// What is open and waits for forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: the form that is read is complete by itself.
    Nothing,
    List,
    Map,
    Set,
    Vector,
    Discard,
    /// A map whose keys get a namespace.
    MapOf,
    /// After `^`, waiting for the metadata.
    Meta,
    /// After `#:`, waiting for the namespace.
    Namespace,
    /// After `##`.
    Symbolic,
    Tag,
    /// After the metadata, waiting for what carries it.
    Target,
}

impl Kind {
    fn inside(self) -> Inside {
        match self {
            Self::Nothing => Inside::Text,
            Self::Discard => Inside::Discard,
            Self::List => Inside::List,
            Self::Map | Self::MapOf => Inside::Map,
            Self::Meta | Self::Target => Inside::Metadata,
            Self::Namespace => Inside::NamespacedMap,
            Self::Set => Inside::Set,
            Self::Symbolic => Inside::Symbolic,
            Self::Tag => Inside::Tag,
            Self::Vector => Inside::Vector,
        }
    }

    /// The bracket that closes it; 0 if none does.
    const fn closing(self) -> u8 {
        match self {
            Self::List => b')',
            Self::Vector => b']',
            Self::Set | Self::Map | Self::MapOf => b'}',
            _ => 0,
        }
    }

    /// Whether it takes forms as they come.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::List | Self::Map | Self::Set | Self::Vector)
    }

    /// Which forms in it are keys or elements: the bits are for even and for odd places.
    const fn key_places(self) -> u8 {
        match self {
            Self::Set => 0b11,
            Self::Map | Self::MapOf => 0b01,
            _ => 0,
        }
    }
}

/// What is open, innermost, and what is known of it so far.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// What is open around it.
    pub(crate) around: Kind,
    /// Whether its fingerprint is wanted, because it is, or is in, a key or an element.
    pub(crate) keyed: bool,
    key_places: u8,
    /// The bracket that closes it, or 0.
    pub(crate) closing: u8,
    start: u32,
    /// How many forms are in it.
    pub(crate) count: u32,
    /// Where its own keys' fingerprints begin.
    first_key: u32,
    /// The tag or namespace, as the place where it stands in the text.
    name: (u32, u32),
    group: Group,
}

/// A place or number in a text, of which none is longer than 4 GiB.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "`read::open` lets no longer text through"
)]
pub(crate) const fn narrow(place: usize) -> u32 {
    place as u32
}

/// The place that was made [`narrow`].
#[inline]
pub(crate) const fn wide(place: u32) -> usize {
    place as usize
}

impl Frame {
    pub(crate) const NOTHING: Self = Self {
        kind: Kind::Nothing,
        around: Kind::Nothing,
        keyed: false,
        key_places: 0,
        closing: 0,
        start: 0,
        count: 0,
        first_key: 0,
        name: (0, 0),
        group: Group::nothing(),
    };

    #[inline]
    pub(crate) const fn new(kind: Kind, outer: &Self, start: usize, first_key: usize) -> Self {
        let group = match kind {
            Kind::List | Kind::Vector => Group::sequence(),
            Kind::Set => Group::set(),
            Kind::Map | Kind::Namespace => Group::map(),
            _ => Group::nothing(),
        };
        Self {
            kind,
            around: outer.kind,
            keyed: outer.keys_next(),
            key_places: kind.key_places(),
            closing: kind.closing(),
            start: narrow(start),
            count: 0,
            first_key: narrow(first_key),
            name: (0, 0),
            group,
        }
    }

    pub(crate) const fn become_map_of(&mut self, start: usize, end: usize) {
        self.kind = Kind::MapOf;
        self.key_places = Kind::MapOf.key_places();
        self.closing = Kind::MapOf.closing();
        self.set_name(start, end);
    }

    pub(crate) const fn set_name(&mut self, start: usize, end: usize) {
        self.name = (narrow(start), narrow(end));
    }

    #[inline]
    pub(crate) const fn name_start(&self) -> usize {
        wide(self.name.0)
    }

    pub(crate) fn name<'a>(&self, lexer: &Lexer<'a>) -> &'a str {
        lexer.slice(wide(self.name.0), wide(self.name.1))
    }

    #[inline]
    pub(crate) const fn start(&self) -> usize {
        wide(self.start)
    }

    #[inline]
    pub(crate) const fn first_key(&self) -> usize {
        wide(self.first_key)
    }

    /// Whether the next form in it is one of its own keys or elements.
    #[inline]
    pub(crate) const fn is_key_next(&self) -> bool {
        (self.key_places >> (self.count & 1)) & 1 != 0
    }

    /// Whether the fingerprint of the next form in it is wanted.
    #[inline]
    pub(crate) const fn keys_next(&self) -> bool {
        self.keyed || self.is_key_next()
    }

    /// Takes in a form of that fingerprint.
    #[inline(always)]
    pub(crate) fn add(&mut self, fingerprint: u64, suspects: bool, keys: &mut Numbers<NEAR_KEYS>) {
        if self.is_key_next() && suspects {
            keys.push(fingerprint);
        }
        if self.keyed {
            self.add_to_group(fingerprint);
        }
        self.count = self.count.wrapping_add(1);
    }

    fn add_to_group(&mut self, fingerprint: u64) {
        match self.kind {
            Kind::Set => self.group.push_element(fingerprint),
            Kind::Map | Kind::MapOf => self.group.push_entry(self.count, fingerprint),
            _ => self.group.push_item(fingerprint),
        }
    }

    /// Its own fingerprint, once it is complete.
    pub(crate) fn finish(&self) -> u64 {
        self.group.finish(self.count)
    }
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
            if has_tie(self.keys.since(frame.first_key())) {
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

/// Whether two of the fingerprints are the same. May reorder them.
#[inline]
pub(crate) fn has_tie(fingerprints: &mut [u64]) -> bool {
    match fingerprints {
        [] | [_] => false,
        [first, second] => first == second,
        _ => has_tie_among(fingerprints),
    }
}

fn has_tie_among(fingerprints: &mut [u64]) -> bool {
    let few = 5;
    if fingerprints.len() > few && !may_have_tie(fingerprints) {
        return false;
    }
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

/// Whether two of the fingerprints fall on the same of a thousand places. Most that do are
/// different; those that do not are different for sure.
fn may_have_tie(fingerprints: &[u64]) -> bool {
    let mut places = [0_u64; 16];
    for fingerprint in fingerprints {
        let index = usize::try_from(fingerprint >> 6 & 15).unwrap_or_default();
        let bit = 1_u64 << (fingerprint & 63);
        let Some(place) = places.get_mut(index) else {
            return true;
        };
        if *place & bit != 0 {
            return true;
        }
        *place |= bit;
    }
    false
}
