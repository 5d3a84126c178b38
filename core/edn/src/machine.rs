//! The grammar: how tokens make forms, with a stack of its own instead of recursion.
//!
//! One machine reads for everyone. What becomes of the forms is up to its [`Sink`]: values, marks
//! on the text, or nothing at all. So what one of them accepts the others accept, too.

use crate::atom::Atom;
use crate::class;
use crate::error::{Error, ErrorKind, Inside};
use crate::fingerprint::Group;
use crate::inst::Inst;
use crate::lex::{Lexer, RawStr};
use crate::limits::Limits;
use crate::name;
use crate::number::{self, NumFault};
use crate::shape::Shape;
use crate::stack::{Numbers, Stack};
use crate::table::SMALL;
use crate::text;
use crate::uuid::Uuid;

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
    fingerprint: u64,
}

/// What `^`, `##`, `#:`, `#inst` and the like need to know of the form that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    Collection,
    Keyword(&'a str),
    Map,
    Other,
    Str(RawStr<'a>),
    Symbol(&'a str),
}

/// What is open and waits for forms.
#[derive(Clone, Copy, Debug, Default)]
enum Kind<'a> {
    #[default]
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

#[derive(Default)]
struct Frame<'a, O> {
    kind: Kind<'a>,
    start: usize,
    /// How many forms are in it.
    count: usize,
    /// Whether its fingerprint is wanted, because it is, or is in, a key or an element.
    keyed: bool,
    group: Group,
    /// Where its own keys' fingerprints begin.
    first_key: usize,
    open: O,
}

impl<O> Frame<'_, O> {
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
const NEAR_FRAMES: usize = 12;
/// How many keys and elements of maps and sets that are open need no heap.
const NEAR_KEYS: usize = 64;

/// Reads forms and hands them to a sink.
pub(crate) struct Machine<'a, S: Sink> {
    pub(crate) lexer: Lexer<'a>,
    pub(crate) sink: S,
    pub(crate) repeats: Repeats,
    /// How many levels are open outside of the form that is read.
    pub(crate) depth: usize,
    pub(crate) limits: Limits,
    elements: usize,
    frames: Stack<Frame<'a, S::Open>, NEAR_FRAMES>,
    keys: Numbers<NEAR_KEYS>,
}

impl<'a, S: Sink> Machine<'a, S> {
    pub(crate) fn new(lexer: Lexer<'a>, limits: Limits, sink: S) -> Self {
        Self {
            lexer,
            sink,
            repeats: Repeats::Suspected,
            depth: 0,
            limits,
            elements: 0,
            frames: Stack::new(),
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
        self.frames.truncate(0);
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
                    self.atom(Atom::Str(raw), Shape::String, Fact::Str(raw), start)
                }
                b'(' => {
                    self.open(Kind::List, Group::sequence(), 1)?;
                    continue;
                }
                b'[' => {
                    self.open(Kind::Vector, Group::sequence(), 1)?;
                    continue;
                }
                b'{' => {
                    self.open(Kind::Map, Group::map(), 1)?;
                    continue;
                }
                b')' | b']' | b'}' => self.close(byte, start)?,
                b'^' => {
                    self.open(Kind::Meta, Group::default(), 1)?;
                    continue;
                }
                b'#' => {
                    self.dispatch(start)?;
                    continue;
                }
                b'\\' => {
                    let c = self.lexer.character(self.limits.dialect)?;
                    self.atom(Atom::Char(c), Shape::Char, Fact::Other, start)
                }
                _ if self.starts_number(byte) => self.number(start)?,
                _ => self.name(byte, start)?,
            };
            if let Some(done) = self.settle(done)? {
                return Ok(Some(done));
            }
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

    /// Whether a number is next.
    #[inline]
    pub(crate) fn starts_number(&self, byte: u8) -> bool {
        match byte {
            b'0'..=b'9' => true,
            b'+' | b'-' => match self.lexer.peek_at(1) {
                Some(next) if next.is_ascii() => next.is_ascii_digit(),
                Some(_) => self
                    .lexer
                    .rest()
                    .chars()
                    .nth(1)
                    .is_some_and(class::is_digit),
                None => false,
            },
            0x80.. => self.lexer.peek_char().is_some_and(class::is_digit),
            _ => false,
        }
    }

    fn number(&mut self, start: usize) -> Result<Done<'a, S::Item>, Error> {
        let token = self.lexer.number(self.limits.dialect)?;
        match number::parse(token) {
            Ok(number) => Ok(self.atom(Atom::Num(number), Shape::Number, Fact::Other, start)),
            Err(fault) => Err(self.number_error(token, fault, start)),
        }
    }

    #[cold]
    fn number_error(&self, token: &str, fault: NumFault, start: usize) -> Error {
        if fault != NumFault::TooManyDigits
            && self.lexer.is_at_end()
            && number::may_become_number(token)
        {
            return self.lexer.end(Inside::Number, start);
        }
        let kind = match fault {
            NumFault::Invalid => ErrorKind::InvalidNumber,
            NumFault::TooManyDigits => ErrorKind::TooManyDigits {
                limit: crate::bignum::MAX_DIGITS,
            },
            NumFault::ZeroDenominator => ErrorKind::ZeroDenominator,
        };
        Error::new(kind, start)
    }

    fn name(&mut self, byte: u8, start: usize) -> Result<Done<'a, S::Item>, Error> {
        let token = self.lexer.token(start)?;
        if byte == b':' {
            let text = token.get(1..).unwrap_or_default();
            if name::is_keyword(text, self.limits.dialect) {
                let atom = Atom::Keyword(text);
                return Ok(self.atom(atom, Shape::Keyword, Fact::Keyword(text), start));
            }
            return Err(self.name_error(token, start));
        }
        Ok(match token {
            "nil" => self.atom(Atom::Nil, Shape::Nil, Fact::Other, start),
            "true" => self.atom(Atom::Bool(true), Shape::Bool, Fact::Other, start),
            "false" => self.atom(Atom::Bool(false), Shape::Bool, Fact::Other, start),
            text if name::is_symbol(text, self.limits.dialect) => {
                self.atom(Atom::Symbol(text), Shape::Symbol, Fact::Symbol(text), start)
            }
            _ => return Err(self.name_error(token, start)),
        })
    }

    #[cold]
    fn name_error(&self, token: &str, start: usize) -> Error {
        if self.lexer.is_at_end() && name::may_become_name(token, self.limits.dialect) {
            return self.lexer.end(Inside::Token, start);
        }
        Error::new(ErrorKind::InvalidToken, start)
    }

    #[inline]
    fn atom(
        &mut self,
        atom: Atom<'_>,
        shape: Shape,
        fact: Fact<'a>,
        start: usize,
    ) -> Done<'a, S::Item> {
        let keyed = self.frames.last().is_some_and(Frame::keys_next);
        let fingerprint = if keyed { atom.fingerprint() } else { 0 };
        Done {
            item: self.sink.atom(atom),
            fact,
            shape,
            start,
            fingerprint,
        }
    }

    /// Reads what a `#` begins, up to the form that follows.
    fn dispatch(&mut self, start: usize) -> Result<(), Error> {
        match self.lexer.peek_at(1) {
            Some(b'{') => self.open(Kind::Set, Group::set(), 2),
            Some(b'_') => self.open(Kind::Discard, Group::default(), 2),
            Some(b'^') => self.open(Kind::Meta, Group::default(), 2),
            Some(b':') => self.open(Kind::Namespace, Group::map(), 2),
            Some(b'#') => self.open(Kind::Symbolic, Group::default(), 2),
            _ => self.tag(start),
        }
    }

    fn tag(&mut self, start: usize) -> Result<(), Error> {
        self.lexer.advance(1);
        let is_wide = self.limits.dialect.is_wide();
        if is_wide {
            self.lexer.skip_blank(self.limits.dialect);
        }
        let first = self.lexer.peek_char();
        let starts_tag = match first {
            None => return Err(self.lexer.end(Inside::Dispatch, start)),
            Some(first) if is_wide => first.is_alphabetic(),
            Some(first) => class::is_tag_start(first),
        };
        if !starts_tag {
            return Err(Error::new(ErrorKind::InvalidDispatch, start));
        }
        let name_start = self.lexer.pos();
        let tag = self.lexer.token(name_start)?;
        if name::reads_otherwise(tag) {
            if self.lexer.is_at_end() {
                return Err(self.lexer.end(Inside::Token, name_start));
            }
            return Err(Error::new(ErrorKind::InvalidTag, start));
        }
        if !name::is_symbol(tag, self.limits.dialect) {
            return Err(self.name_error(tag, name_start));
        }
        self.open_at(Kind::Tag(tag), Group::tagged(tag), start)
    }

    /// Steps over an opening and into what it opens.
    #[inline]
    fn open(&mut self, kind: Kind<'a>, group: Group, length: usize) -> Result<(), Error> {
        let start = self.lexer.pos();
        self.lexer.advance(length);
        self.open_at(kind, group, start)
    }

    #[inline]
    fn open_at(&mut self, kind: Kind<'a>, group: Group, start: usize) -> Result<(), Error> {
        if self.frames.len() >= self.limits.max_depth.saturating_sub(self.depth) {
            let kind = ErrorKind::TooDeep {
                limit: self.limits.max_depth,
            };
            return Err(Error::new(kind, start));
        }
        let keyed = self.frames.last().is_some_and(Frame::keys_next);
        let first_key = self.keys.len();
        let open = S::Open::default();
        self.frames.push(Frame {
            kind,
            start,
            count: 0,
            keyed,
            group,
            first_key,
            open,
        });
        Ok(())
    }

    /// Steps over a closing bracket and out of what it closes.
    fn close(&mut self, bracket: u8, at: usize) -> Result<Done<'a, S::Item>, Stop> {
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
        let fingerprint = if frame.keyed { frame.group.finish() } else { 0 };
        let item = self.sink.close(shape, frame.open)?;
        Ok(Done {
            item,
            fact,
            shape,
            start: frame.start,
            fingerprint,
        })
    }

    /// Gives a form to what is open; the form itself if nothing is.
    fn settle(&mut self, mut done: Done<'a, S::Item>) -> Result<Option<Done<'a, S::Item>>, Error> {
        loop {
            self.count(done.start)?;
            let Some(frame) = self.frames.last_mut() else {
                return Ok(Some(done));
            };
            match frame.kind {
                Kind::List | Kind::Vector => {}
                Kind::Set => {
                    if self.repeats == Repeats::Suspected {
                        self.keys.push(done.fingerprint);
                    }
                }
                Kind::Map | Kind::MapOf(_) => {
                    if frame.count.is_multiple_of(2) {
                        if let Kind::MapOf(namespace) = frame.kind {
                            done = Self::rename(&mut self.sink, &self.limits, namespace, done)?;
                        }
                        if self.repeats == Repeats::Suspected {
                            self.keys.push(done.fingerprint);
                        }
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
            frame.count = frame.count.saturating_add(1);
            if frame.keyed {
                frame.group.push(done.fingerprint);
            }
            self.sink.push(&mut frame.open, done.item, done.start);
            return Ok(None);
        }
    }

    /// Gives a form to the `#_`, tag or other prefix before it; what they make together, if
    /// that is complete.
    fn settle_prefix(
        &mut self,
        done: Done<'a, S::Item>,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(Some(done));
        };
        let (start, keyed) = (frame.start, frame.keyed);
        let complete = match frame.kind {
            Kind::Meta => {
                match done.fact {
                    Fact::Keyword(_) | Fact::Map | Fact::Str(_) | Fact::Symbol(_) => {}
                    _ => return Err(Error::new(ErrorKind::InvalidMetadata, done.start)),
                }
                frame.kind = Kind::Target;
                return Ok(None);
            }
            Kind::Namespace => {
                match done.fact {
                    Fact::Symbol(namespace) if namespace == "/" || !namespace.contains('/') => {
                        frame.kind = Kind::MapOf(namespace);
                    }
                    _ => {
                        let kind = ErrorKind::InvalidNamespacedMap;
                        return Err(self.prefix_error(kind, start, done.shape));
                    }
                }
                return match self.lexer.skip_whitespace() {
                    Some(b'{') => {
                        self.lexer.advance(1);
                        Ok(None)
                    }
                    Some(_) => Err(Error::new(ErrorKind::InvalidNamespacedMap, start)),
                    None => Err(self.lexer.end(Inside::NamespacedMap, start)),
                };
            }
            Kind::Target => {
                if !matches!(done.fact, Fact::Collection | Fact::Map | Fact::Symbol(_)) {
                    let kind = ErrorKind::InvalidMetadataTarget;
                    return Err(self.prefix_error(kind, done.start, done.shape));
                }
                done
            }
            Kind::Symbolic => {
                let value = match done.fact {
                    Fact::Symbol("Inf") => f64::INFINITY,
                    Fact::Symbol("-Inf") => f64::NEG_INFINITY,
                    Fact::Symbol("NaN") => f64::NAN,
                    Fact::Symbol("I" | "In" | "-" | "-I" | "-In" | "N" | "Na")
                        if self.lexer.is_at_end() =>
                    {
                        return Err(self.lexer.end(Inside::Symbolic, start));
                    }
                    _ => return Err(Error::new(ErrorKind::InvalidSymbolic, start)),
                };
                self.literal(Atom::Float(value), Shape::Number, start, keyed)
            }
            Kind::Tag("inst") => {
                let inst = string(done.fact).and_then(|text| Inst::parse(&text).ok());
                let inst = inst.ok_or_else(|| Error::new(ErrorKind::InvalidInst, start))?;
                self.literal(Atom::Inst(inst), Shape::Tagged, start, keyed)
            }
            Kind::Tag("uuid") => {
                let uuid = string(done.fact).and_then(|text| Uuid::parse(&text).ok());
                let uuid = uuid.ok_or_else(|| Error::new(ErrorKind::InvalidUuid, start))?;
                self.literal(Atom::Uuid(uuid), Shape::Tagged, start, keyed)
            }
            Kind::Tag(tag) => {
                let mut group = frame.group;
                group.push(done.fingerprint);
                Done {
                    item: self.sink.tagged(tag, done.item),
                    fact: Fact::Other,
                    shape: Shape::Tagged,
                    start,
                    fingerprint: group.finish(),
                }
            }
            // A form to discard; the others do not get here.
            _ => {
                self.frames.pop();
                return Ok(None);
            }
        };
        self.frames.pop();
        Ok(Some(complete))
    }

    /// Why a form must not follow a prefix, unless the text ends where `nil` may become a symbol.
    #[cold]
    fn prefix_error(&self, kind: ErrorKind, offset: usize, shape: Shape) -> Error {
        if matches!(shape, Shape::Nil | Shape::Bool) && self.lexer.is_at_end() {
            return self.lexer.end(Inside::Token, offset);
        }
        Error::new(kind, offset)
    }

    /// What a prefix and the form after it mean together.
    fn literal(
        &mut self,
        atom: Atom<'_>,
        shape: Shape,
        start: usize,
        keyed: bool,
    ) -> Done<'a, S::Item> {
        let fingerprint = if keyed { atom.fingerprint() } else { 0 };
        Done {
            item: self.sink.atom(atom),
            fact: Fact::Other,
            shape,
            start,
            fingerprint,
        }
    }

    /// Gives a key the namespace of its map.
    fn rename(
        sink: &mut S,
        limits: &Limits,
        namespace: &str,
        done: Done<'a, S::Item>,
    ) -> Result<Done<'a, S::Item>, Error> {
        let (Fact::Keyword(key) | Fact::Symbol(key)) = done.fact else {
            return Ok(done);
        };
        let Some(text) = name::in_namespace(namespace, key) else {
            return Ok(done);
        };
        let (atom, readable) = if matches!(done.fact, Fact::Keyword(_)) {
            (
                Atom::Keyword(&text),
                name::is_readable_keyword(&text, limits.dialect),
            )
        } else {
            (
                Atom::Symbol(&text),
                name::is_readable_symbol(&text, limits.dialect),
            )
        };
        if !readable {
            return Err(Error::new(ErrorKind::UnreadableKey, done.start));
        }
        Ok(Done {
            item: sink.atom(atom),
            fingerprint: atom.fingerprint(),
            ..done
        })
    }
}

/// What a string says; `None` for other forms.
fn string(fact: Fact<'_>) -> Option<alloc::borrow::Cow<'_, str>> {
    match fact {
        Fact::Str(raw) => Some(text::unescape(raw)),
        _ => None,
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
