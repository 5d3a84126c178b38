//! Where forms come from, one head at a time: a text, a text that was read into a [`Tree`], or a
//! [`Value`].

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::{mem, slice};

use super::error::Error;
use super::options::Options;
use super::stream::Stream;
use crate::atom::Atom;
use crate::deep;
use crate::number::Num;
use crate::tree::{Node, PlaceKind, Tree, USUAL_DEPTH};
use crate::value::Value;

/// An atom, or what opens a collection.
#[derive(Debug)]
pub(super) enum Head<'de> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Char(char),
    Str(Cow<'de, str>),
    Keyword(Cow<'de, str>),
    Symbol(Cow<'de, str>),
    /// A `BigInt`, `Decimal`, `Ratio`, `Inst` or `Uuid`.
    Atom(Value),
    Items(Items),
    Map,
    Tag(Cow<'de, str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items {
    List,
    Vector,
    Set,
}

/// An atom of this crate's own that has a short form in bytes.
pub(super) enum BuiltIn {
    Inst([u8; 8]),
    Uuid([u8; 16]),
}

impl BuiltIn {
    pub(super) fn of(atom: Atom<'_>) -> Option<Self> {
        match atom {
            Atom::Inst(value) => Some(Self::Inst(value.as_millis().to_be_bytes())),
            Atom::Uuid(value) => Some(Self::Uuid(value.as_u128().to_be_bytes())),
            _ => None,
        }
    }
}

/// A form that comes next, to tell of it later.
#[derive(Clone, Copy)]
pub(super) enum Spot<'de> {
    Text(usize),
    Value(Option<&'de Value>),
}

// Which one it is should be seen at a glance, not worked out from what is in it.
#[repr(u8)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and in a box the common one would cost an allocation"
)]
pub(super) enum Source<'de> {
    Stream(Stream<'de>),
    Text(Text<'de>),
    Value(Walk<'de>),
}

impl<'de> Source<'de> {
    /// Validates a text, which must be one form.
    pub(super) fn text(bytes: &'de [u8], options: &Options) -> Result<Self, Error> {
        let tree = Tree::parse_with(bytes, &options.limits)?;
        Ok(Self::Text(Text::new(tree, None)))
    }

    /// Begins a text; `None` if it must be validated first.
    #[inline]
    pub(super) fn stream(bytes: &'de [u8], options: &Options) -> Option<Self> {
        Stream::new(bytes, options).map(Self::Stream)
    }

    pub(super) const fn value(value: &'de Value, options: &Options) -> Self {
        Self::Value(Walk {
            root: Some(value),
            open: Vec::new(),
            max_depth: options.limits.max_depth,
        })
    }

    /// Notes that something went wrong; then a stream is of no more use.
    #[cold]
    pub(super) fn fail(&mut self) {
        self.go_back();
        if let Self::Stream(stream) = self {
            drop(stream.fail());
        }
    }

    /// Whether a stream was read to its end, and nothing went wrong.
    pub(super) fn is_complete(&mut self) -> bool {
        self.go_back();
        match self {
            Self::Stream(stream) => stream.is_complete(),
            Self::Text(_) | Self::Value(_) => false,
        }
    }

    /// Steps over an atom, or into a collection.
    pub(super) fn head(&mut self) -> Result<Head<'de>, Error> {
        match self {
            Self::Stream(stream) => match stream.head()? {
                Some(head) => Ok(head),
                None => self.head_aside(),
            },
            Self::Text(text) => text.head(),
            Self::Value(tree) => tree.head(),
        }
    }

    /// Reads the next form of a stream into a tree, to serve it from there.
    #[cold]
    fn head_aside(&mut self) -> Result<Head<'de>, Error> {
        let Self::Stream(stream) = self else {
            return Err(Error::new("expected a form"));
        };
        let text = Text::new(stream.aside()?, None);
        if let Self::Stream(stream) = mem::replace(self, Self::Text(text))
            && let Self::Text(text) = self
        {
            text.outer = Some(Box::new(stream));
        }
        self.head()
    }

    /// Goes back to the stream that a form was read from, once that is used up.
    #[inline(always)]
    pub(super) fn go_back(&mut self) {
        if let Self::Text(_) = self {
            self.leave_text();
        }
    }

    fn leave_text(&mut self) {
        if let Self::Text(text) = self
            && text.around.is_empty()
            && text.at >= text.end
            && let Some(stream) = text.outer.take()
        {
            *self = Self::Stream(*stream);
        }
    }

    /// Whether there is more in the collection that was entered last; if not, leaves it.
    #[inline]
    pub(super) fn more(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.more(),
            Self::Text(_) => self.more_of_text(),
            Self::Value(tree) => tree.more(),
        }
    }

    fn more_of_text(&mut self) -> bool {
        self.leave_text();
        match self {
            Self::Text(text) => text.more(),
            _ => self.more(),
        }
    }

    /// How many forms are in the collection that was entered last and not read yet, if that is
    /// known.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::Stream(_) => None,
            Self::Text(text) => Some(text.count),
            Self::Value(tree) => tree.open.last().map(ExactSizeIterator::len),
        }
    }

    /// Steps over a name that stands in the text as it is.
    #[inline]
    pub(super) fn plain_name(&mut self) -> Option<&'de str> {
        match self {
            Self::Stream(stream) => stream.plain_name(),
            Self::Text(text) => text.plain(|kind| matches!(kind, PlaceKind::Keyword)),
            Self::Value(_) => None,
        }
    }

    /// Steps over a string that stands in the text as it is.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'de str> {
        match self {
            Self::Stream(stream) => stream.plain_string(),
            Self::Text(text) => text.plain(|kind| matches!(kind, PlaceKind::String)),
            Self::Value(_) => None,
        }
    }

    /// Steps over a number of 64 bits.
    #[inline]
    pub(super) fn plain_int(&mut self) -> Option<i64> {
        match self {
            Self::Stream(stream) => stream.plain_int(),
            Self::Text(text) => text.plain_int(),
            Self::Value(_) => None,
        }
    }

    /// Steps over a number that is written as a float.
    #[inline]
    pub(super) fn plain_float(&mut self) -> Option<f64> {
        match self {
            Self::Stream(stream) => stream.plain_float(),
            Self::Text(text) => text
                .plain(|kind| matches!(kind, PlaceKind::Decimal))
                .and_then(|text| text.parse().ok()),
            Self::Value(_) => None,
        }
    }

    /// Steps over an instant or UUID.
    pub(super) fn built_in(&mut self) -> Option<BuiltIn> {
        match self {
            Self::Stream(stream) => stream.built_in(),
            Self::Text(text) => text.built_in(),
            Self::Value(_) => None,
        }
    }

    /// Steps into a map.
    #[inline]
    pub(super) fn enter_map(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.enter_map(),
            Self::Text(text) => text.enter(|kind| kind == PlaceKind::Map),
            Self::Value(_) => false,
        }
    }

    /// Steps into a vector.
    #[inline]
    pub(super) fn enter_vector(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.enter_vector(),
            Self::Text(text) => text.enter(|kind| kind == PlaceKind::Vector),
            Self::Value(_) => false,
        }
    }

    /// Leaves a tag behind its form.
    pub(super) fn end_tag(&mut self) -> Result<(), Error> {
        if let Self::Text(text) = self
            && text.tags > 0
        {
            text.tags = text.tags.saturating_sub(1);
            return Ok(());
        }
        self.go_back();
        match self {
            Self::Stream(stream) => return stream.end_tag(),
            Self::Text(_) => {}
            Self::Value(tree) => drop(tree.open.pop()),
        }
        Ok(())
    }

    /// Steps over a form.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        match self {
            Self::Stream(stream) => stream.skip(),
            Self::Text(text) => text.next().map(drop),
            Self::Value(tree) => tree.next().map(drop),
        }
    }

    /// Steps over a form and gives its text.
    pub(super) fn raw(&mut self) -> Result<Cow<'de, str>, Error> {
        match self {
            Self::Stream(stream) => stream.raw().map(Cow::Borrowed),
            Self::Text(text) => Ok(text.next()?.raw()),
            Self::Value(tree) => Ok(Cow::Owned(tree.next()?.to_string())),
        }
    }

    #[inline]
    pub(super) fn is_nil(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_nil(),
            Self::Text(text) => text.peek().is_nil(),
            Self::Value(tree) => tree.peek().is_some_and(Value::is_nil),
        }
    }

    /// The form that comes next. A stream does not tell of it: it is not asked where anything is.
    #[inline]
    pub(super) fn spot(&self) -> Spot<'de> {
        match self {
            Self::Stream(_) => Spot::Value(None),
            Self::Text(text) => Spot::Text(text.at),
            Self::Value(tree) => Spot::Value(tree.peek()),
        }
    }

    pub(super) fn offset(&self, spot: Spot<'de>) -> Option<usize> {
        match (self, spot) {
            (Self::Text(text), Spot::Text(at)) => Some(text.tree.node(at).start()),
            _ => None,
        }
    }

    /// How a key is told of in a path.
    pub(super) fn show(&self, spot: Spot<'de>) -> String {
        let all = match (self, spot) {
            (Self::Text(text), Spot::Text(at)) => String::from(text.tree.node(at).text()),
            (_, Spot::Value(Some(value))) => value.to_string(),
            _ => String::from("?"),
        };
        match all.char_indices().nth(60) {
            Some((at, _)) => format!("{}…", all.get(..at).unwrap_or_default()),
            None => all,
        }
    }
}

/// A text that was read, and how far it was made use of.
pub(super) struct Text<'de> {
    tree: Tree<'de>,
    at: usize,
    /// The first node behind the collection that was entered last.
    end: usize,
    /// How many forms that has.
    count: usize,
    /// Where the collections around it end.
    around: Vec<usize>,
    /// How many tags were stepped over whose forms are not all used up.
    tags: usize,
    /// What this is only a form of.
    outer: Option<Box<Stream<'de>>>,
}

impl<'de> Text<'de> {
    fn new(tree: Tree<'de>, outer: Option<Box<Stream<'de>>>) -> Self {
        Self {
            end: tree.form_count(),
            tree,
            at: 0,
            count: 0,
            around: Vec::with_capacity(USUAL_DEPTH),
            tags: 0,
            outer,
        }
    }

    fn peek(&self) -> Node<'_, 'de> {
        self.tree.node(self.at)
    }

    /// Steps over a form.
    fn next(&mut self) -> Result<Node<'_, 'de>, Error> {
        self.check()?;
        let at = self.at;
        self.at = self.tree.node(at).next();
        Ok(self.tree.node(at))
    }

    /// For those who go on after an error they were given: they are nowhere.
    #[inline]
    fn check(&self) -> Result<(), Error> {
        if self.at < self.end {
            Ok(())
        } else {
            Err(Error::new("expected a form"))
        }
    }

    /// Steps over a string or name of such a kind.
    #[inline]
    fn plain(&mut self, fits: impl Fn(PlaceKind) -> bool) -> Option<&'de str> {
        let place = self.tree.place(self.at)?;
        if self.at >= self.end || !fits(place.kind) {
            return None;
        }
        let text = self.tree.plain_text(place);
        self.at = self.at.saturating_add(1);
        Some(text)
    }

    #[inline]
    fn plain_int(&mut self) -> Option<i64> {
        let place = self.tree.place(self.at)?;
        if self.at >= self.end || place.kind != PlaceKind::Int {
            return None;
        }
        self.at = self.at.saturating_add(1);
        Some(place.payload.cast_signed())
    }

    fn built_in(&mut self) -> Option<BuiltIn> {
        if self.at >= self.end {
            return None;
        }
        let built_in = BuiltIn::of(self.peek().atom()?)?;
        self.at = self.at.saturating_add(1);
        Some(built_in)
    }

    /// Steps into a collection of such a kind.
    #[inline]
    fn enter(&mut self, fits: impl Fn(PlaceKind) -> bool) -> bool {
        let node = self.tree.node(self.at);
        if self.at >= self.end || !fits(node.kind()) {
            return false;
        }
        self.at = self.at.saturating_add(1);
        self.around.push(self.end);
        self.end = node.next();
        self.count = node.children().len();
        true
    }

    fn head(&mut self) -> Result<Head<'de>, Error> {
        self.check()?;
        let node = self.tree.node(self.at);
        let kind = node.kind();
        let items = match kind {
            PlaceKind::List => Some(Items::List),
            PlaceKind::Vector => Some(Items::Vector),
            PlaceKind::Set => Some(Items::Set),
            _ => None,
        };
        if items.is_some() || kind == PlaceKind::Map {
            self.enter(|_| true);
            return Ok(items.map_or(Head::Map, Head::Items));
        }
        self.at = self.at.saturating_add(1);
        Ok(match kind {
            PlaceKind::String | PlaceKind::EscapedString => {
                Head::Str(node.as_str().unwrap_or_default())
            }
            PlaceKind::Keyword => Head::Keyword(Cow::Borrowed(node.name_text())),
            PlaceKind::Symbol => Head::Symbol(Cow::Borrowed(node.name_text())),
            PlaceKind::RenamedKeyword => Head::Keyword(owned(node.as_keyword())),
            PlaceKind::RenamedSymbol => Head::Symbol(owned(node.as_symbol())),
            PlaceKind::Tagged => {
                let tag = node.as_tagged().map_or("", |(tag, _)| tag);
                self.tags = self.tags.saturating_add(1);
                Head::Tag(Cow::Borrowed(tag))
            }
            _ => node.atom().map_or(Head::Nil, head_of_atom),
        })
    }

    #[inline]
    fn more(&mut self) -> bool {
        let more = self.at < self.end;
        if !more {
            self.end = self.around.pop().unwrap_or(self.end);
        }
        more
    }
}

fn owned<'de>(name: Option<&str>) -> Cow<'de, str> {
    Cow::Owned(String::from(name.unwrap_or_default()))
}

/// The head of an atom that is no string and no name.
#[inline]
fn head_of_atom<'de>(atom: Atom<'_>) -> Head<'de> {
    match atom {
        Atom::Nil => Head::Nil,
        Atom::Bool(value) => Head::Bool(value),
        Atom::Num(Num::Int(value)) => Head::Int(value),
        Atom::Num(Num::Float(text)) => Head::Float(text.parse().unwrap_or(f64::NAN)),
        Atom::Float(value) => Head::Float(value),
        Atom::Char(value) => Head::Char(value),
        other => head_of(&other.to_value()).unwrap_or(Head::Nil),
    }
}

/// The head of an atom that a text does not hold as it is.
pub(super) fn head_of(value: &Value) -> Option<Head<'static>> {
    Some(match value {
        Value::Int(value) => Head::Int(*value),
        Value::Float(value) => Head::Float(*value),
        Value::BigInt(_) | Value::Decimal(_) | Value::Ratio(_) => Head::Atom(value.clone()),
        Value::Inst(_) | Value::Uuid(_) => Head::Atom(value.clone()),
        _ => return None,
    })
}

/// A value that is walked through.
pub(super) struct Walk<'de> {
    root: Option<&'de Value>,
    open: Vec<slice::Iter<'de, Value>>,
    max_depth: usize,
}

impl<'de> Walk<'de> {
    fn peek(&self) -> Option<&'de Value> {
        match self.open.last() {
            Some(items) => items.as_slice().first(),
            None => self.root,
        }
    }

    fn next(&mut self) -> Result<&'de Value, Error> {
        let next = match self.open.last_mut() {
            Some(items) => items.next(),
            None => self.root.take(),
        };
        next.ok_or_else(|| Error::new("expected a form"))
    }

    fn more(&mut self) -> bool {
        let more = self.open.last().is_some_and(|items| items.len() > 0);
        if !more {
            self.open.pop();
        }
        more
    }

    fn head(&mut self) -> Result<Head<'de>, Error> {
        let value = self.next()?;
        if !deep::is_atom(value) {
            if self.open.len() >= self.max_depth {
                let limit = self.max_depth;
                return Err(Error::new(format!(
                    "the value nests deeper than the {limit} levels allowed"
                )));
            }
            self.open.push(deep::children(value).iter());
        }
        Ok(match value {
            Value::Nil => Head::Nil,
            Value::Bool(value) => Head::Bool(*value),
            Value::Char(value) => Head::Char(*value),
            Value::String(value) => Head::Str(Cow::Borrowed(value)),
            Value::Keyword(value) => Head::Keyword(Cow::Borrowed(value.as_str())),
            Value::Symbol(value) => Head::Symbol(Cow::Borrowed(value.as_str())),
            Value::List(_) => Head::Items(Items::List),
            Value::Vector(_) => Head::Items(Items::Vector),
            Value::Set(_) => Head::Items(Items::Set),
            Value::Map(_) => Head::Map,
            Value::Tagged(value) => Head::Tag(Cow::Borrowed(value.tag().as_str())),
            other => head_of(other).unwrap_or(Head::Nil),
        })
    }
}
