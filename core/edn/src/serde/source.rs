//! Where forms come from, one head at a time: a text that was read into a [`Tree`], or a [`Value`].

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::slice;

use super::error::Error;
use super::options::Options;
use crate::atom::Atom;
use crate::deep;
use crate::number::Num;
use crate::tree::{Node, PlaceKind, Tree};
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

/// A form that comes next, to tell of it later.
#[derive(Clone, Copy)]
pub(super) enum Spot<'de> {
    Text(usize),
    Value(Option<&'de Value>),
}

pub(super) enum Source<'de> {
    Text(Text<'de>),
    Value(Walk<'de>),
}

impl<'de> Source<'de> {
    /// Validates a text, which must be one form.
    pub(super) fn text(bytes: &'de [u8], options: &Options) -> Result<Self, Error> {
        Ok(Self::Text(Text {
            tree: Tree::parse_with(bytes, &options.limits)?,
            at: 0,
            open: Vec::new(),
        }))
    }

    pub(super) fn value(value: &'de Value, options: &Options) -> Self {
        Self::Value(Walk {
            root: Some(value),
            open: Vec::new(),
            max_depth: options.limits.max_depth,
        })
    }

    /// Steps over an atom, or into a collection.
    pub(super) fn head(&mut self) -> Result<Head<'de>, Error> {
        match self {
            Self::Text(text) => text.head(),
            Self::Value(tree) => tree.head(),
        }
    }

    /// Whether there is more in the collection that was entered last; if not, leaves it.
    pub(super) fn more(&mut self) -> Result<bool, Error> {
        match self {
            Self::Text(text) => Ok(text.more()),
            Self::Value(tree) => Ok(tree.more()),
        }
    }

    /// How many forms are left in the collection that was entered last, at the least.
    pub(super) fn left(&self) -> Option<usize> {
        match self {
            Self::Text(text) => text.open.last().map(|open| open.left),
            Self::Value(tree) => tree.open.last().map(ExactSizeIterator::len),
        }
    }

    /// Leaves a tag behind its form.
    pub(super) fn end_tag(&mut self) {
        if let Self::Value(tree) = self {
            tree.open.pop();
        }
    }

    /// Steps over a form.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        match self {
            Self::Text(text) => {
                text.next()?;
            }
            Self::Value(tree) => {
                tree.next()?;
            }
        }
        Ok(())
    }

    /// Steps over a form and gives its text.
    pub(super) fn raw(&mut self) -> Result<Cow<'de, str>, Error> {
        match self {
            Self::Text(text) => Ok(text.next()?.raw()),
            Self::Value(tree) => Ok(Cow::Owned(tree.next()?.to_string())),
        }
    }

    pub(super) fn is_nil(&self) -> bool {
        match self {
            Self::Text(text) => text.peek().is_nil(),
            Self::Value(tree) => tree.peek().is_some_and(Value::is_nil),
        }
    }

    /// The form that comes next.
    pub(super) fn spot(&self) -> Spot<'de> {
        match self {
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
    open: Vec<Open>,
}

/// A collection that was entered.
struct Open {
    /// The first node behind it.
    end: usize,
    /// How many forms are left in it; one less for each tag that was read in it.
    left: usize,
}

impl<'de> Text<'de> {
    fn peek(&self) -> Node<'_, 'de> {
        self.tree.node(self.at)
    }

    /// Steps over a form.
    fn next(&mut self) -> Result<Node<'_, 'de>, Error> {
        self.take()?;
        let at = self.at;
        self.at = self.tree.node(at).next();
        Ok(self.tree.node(at))
    }

    /// Notes that a form is taken from the collection around it.
    #[inline]
    fn take(&mut self) -> Result<(), Error> {
        match self.open.last_mut() {
            Some(open) if self.at < open.end => open.left = open.left.saturating_sub(1),
            None if self.at < self.tree.form_count() => {}
            // For those who go on after an error they were given: they are nowhere.
            _ => return Err(Error::new("expected a form")),
        }
        Ok(())
    }

    #[inline]
    fn head(&mut self) -> Result<Head<'de>, Error> {
        self.take()?;
        let node = self.tree.node(self.at);
        self.at = self.at.saturating_add(1);
        let items = match node.kind() {
            PlaceKind::String | PlaceKind::EscapedString => {
                return Ok(Head::Str(node.as_str().unwrap_or_default()));
            }
            PlaceKind::Keyword => return Ok(Head::Keyword(Cow::Borrowed(node.name_text()))),
            PlaceKind::Symbol => return Ok(Head::Symbol(Cow::Borrowed(node.name_text()))),
            PlaceKind::RenamedKeyword => return Ok(Head::Keyword(owned(node.as_keyword()))),
            PlaceKind::RenamedSymbol => return Ok(Head::Symbol(owned(node.as_symbol()))),
            PlaceKind::Tagged => {
                let tag = node.as_tagged().map_or("", |(tag, _)| tag);
                return Ok(Head::Tag(Cow::Borrowed(tag)));
            }
            PlaceKind::List => Some(Items::List),
            PlaceKind::Vector => Some(Items::Vector),
            PlaceKind::Set => Some(Items::Set),
            PlaceKind::Map => None,
            _ => return Ok(node.atom().map_or(Head::Nil, head_of_atom)),
        };
        self.open.push(Open {
            end: node.next(),
            left: node.children().len(),
        });
        Ok(items.map_or(Head::Map, Head::Items))
    }

    #[inline]
    fn more(&mut self) -> bool {
        let more = self.open.last().is_some_and(|open| self.at < open.end);
        if !more {
            self.open.pop();
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
fn head_of(value: &Value) -> Option<Head<'static>> {
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
