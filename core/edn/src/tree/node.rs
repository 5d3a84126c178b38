//! A form of a tree, and what it can be asked for.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;

use super::{Place, PlaceKind, Tree};
use crate::atom::Atom;
use crate::frame::wide;
use crate::inst::Inst;
use crate::lex::RawStr;
use crate::map::Map;
use crate::name::Symbol;
use crate::number::{self, Num};
use crate::set::Set;
use crate::shape::Shape;
use crate::tagged::Tagged;
use crate::text;
use crate::uuid::Uuid;
use crate::value::Value;

/// A form of a [`Tree`].
///
/// Asking it for what it is not gives `None`, or nothing to iterate over.
#[derive(Clone, Copy)]
pub struct Node<'t, 'a> {
    tree: &'t Tree<'a>,
    at: usize,
}

impl<'t, 'a> Node<'t, 'a> {
    pub(super) const fn new(tree: &'t Tree<'a>, at: usize) -> Self {
        Self { tree, at }
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self.kind() {
            PlaceKind::Nil => Shape::Nil,
            PlaceKind::False | PlaceKind::True => Shape::Bool,
            PlaceKind::Int | PlaceKind::Decimal | PlaceKind::Number | PlaceKind::Float => {
                Shape::Number
            }
            PlaceKind::Char => Shape::Char,
            PlaceKind::String | PlaceKind::EscapedString => Shape::String,
            PlaceKind::Keyword | PlaceKind::RenamedKeyword => Shape::Keyword,
            PlaceKind::Symbol | PlaceKind::RenamedSymbol => Shape::Symbol,
            PlaceKind::Inst | PlaceKind::Uuid | PlaceKind::Tagged => Shape::Tagged,
            PlaceKind::List => Shape::List,
            PlaceKind::Vector => Shape::Vector,
            PlaceKind::Set => Shape::Set,
            PlaceKind::Map => Shape::Map,
        }
    }

    /// At which byte of the text it starts; metadata before it does not count.
    #[must_use]
    pub fn start(&self) -> usize {
        self.place().map_or(0, |place| wide(place.start))
    }

    /// At which byte of the text it has ended.
    #[must_use]
    pub fn end(&self) -> usize {
        self.place().map_or(0, |place| wide(place.end))
    }

    /// The form as it stands in the text.
    ///
    /// A key in a `#:ns{…}` is there without its namespace.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.tree
            .text
            .get(self.start()..self.end())
            .unwrap_or_default()
    }

    /// Whether this is `nil`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.kind() == PlaceKind::Nil
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            PlaceKind::False => Some(false),
            PlaceKind::True => Some(true),
            _ => None,
        }
    }

    /// The integer, if this is one and 64 bits hold it.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self.kind() {
            PlaceKind::Int => Some(self.payload().cast_signed()),
            PlaceKind::Number => self.atom()?.to_value().as_i64(),
            _ => None,
        }
    }

    /// The number as a floating-point one, as near as that comes, if this is a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self.atom()? {
            Atom::Float(value) => Some(value),
            Atom::Num(Num::Float(text)) => text.parse().ok(),
            #[expect(clippy::cast_precision_loss, reason = "the doc says so")]
            Atom::Num(Num::Int(value)) => Some(value as f64),
            Atom::Num(number) => Atom::Num(number).to_value().as_f64(),
            _ => None,
        }
    }

    /// The character, if this is one.
    #[must_use]
    pub fn as_char(&self) -> Option<char> {
        match self.atom()? {
            Atom::Char(value) => Some(value),
            _ => None,
        }
    }

    /// The string, if this is one; borrowed from the text unless there is an escape in it.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        match self.kind() {
            PlaceKind::String => Some(Cow::Borrowed(self.raw_string(false).text)),
            PlaceKind::EscapedString => Some(text::unescape(self.raw_string(true))),
            _ => None,
        }
    }

    /// The keyword without its colon, if this is one.
    #[must_use]
    pub fn as_keyword(&self) -> Option<&'t str> {
        match self.kind() {
            PlaceKind::Keyword => self.inner_text(1, 0),
            PlaceKind::RenamedKeyword => self.name(),
            _ => None,
        }
    }

    /// The symbol, if this is one.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&'t str> {
        match self.kind() {
            PlaceKind::Symbol => Some(self.text()),
            PlaceKind::RenamedSymbol => self.name(),
            _ => None,
        }
    }

    /// The point in time, if this is one.
    #[must_use]
    pub fn as_inst(&self) -> Option<Inst> {
        match self.atom()? {
            Atom::Inst(value) => Some(value),
            _ => None,
        }
    }

    /// The UUID, if this is one.
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self.atom()? {
            Atom::Uuid(value) => Some(value),
            _ => None,
        }
    }

    /// The tag and what is behind it, if this is a form with a tag other than `#inst` and `#uuid`.
    #[must_use]
    pub fn as_tagged(&self) -> Option<(&'a str, Self)> {
        let payload = self.payload();
        let end = payload & u64::from(u32::MAX);
        let (start, end) = (
            usize::try_from(payload >> 32).ok()?,
            usize::try_from(end).ok()?,
        );
        let tag = match self.kind() {
            PlaceKind::Tagged => self.tree.text.get(start..end)?,
            _ => return None,
        };
        Some((tag, Self::new(self.tree, self.at.saturating_add(1))))
    }

    /// How many items are in a list, vector or set, or entries in a map; 0 for anything else.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = usize::try_from(self.payload()).unwrap_or_default();
        match self.kind() {
            PlaceKind::List | PlaceKind::Vector | PlaceKind::Set => count,
            PlaceKind::Map => count / 2,
            _ => 0,
        }
    }

    /// Whether [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items of a list, vector or set, in order.
    #[must_use]
    pub fn items(&self) -> Items<'t, 'a> {
        match self.kind() {
            PlaceKind::List | PlaceKind::Vector | PlaceKind::Set => self.children(),
            _ => Items::none(self.tree),
        }
    }

    /// The entries of a map, in order.
    #[must_use]
    pub fn entries(&self) -> Entries<'t, 'a> {
        Entries(match self.kind() {
            PlaceKind::Map => self.children(),
            _ => Items::none(self.tree),
        })
    }

    /// What a map has under a keyword, named without its colon. Looks at one entry after the other.
    #[must_use]
    pub fn get_keyword(&self, name: &str) -> Option<Self> {
        self.entries()
            .find(|(key, _)| key.as_keyword() == Some(name))
            .map(|(_, value)| value)
    }

    /// What a map has under a string. Looks at one entry after the other.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<Self> {
        self.entries()
            .find(|(found, _)| found.as_str().as_deref() == Some(key))
            .map(|(_, value)| value)
    }

    /// The item at an index, counted from 0, of a list, vector or set. Steps over those before it.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Self> {
        self.items().nth(index)
    }

    /// The form as a value of its own.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut open: Vec<(Node<'t, 'a>, Vec<Value>)> = Vec::new();
        let mut at = self.at;
        loop {
            let node = Self::new(self.tree, at);
            at = at.saturating_add(1);
            let mut done = match node.atom() {
                Some(atom) => atom.to_value(),
                None => {
                    let room = node.len().min(1 << 10);
                    open.push((node, Vec::with_capacity(room)));
                    Value::Nil
                }
            };
            let mut is_complete = !matches!(open.last(), Some((top, _)) if top.at == node.at);
            loop {
                if is_complete {
                    match open.last_mut() {
                        Some((_, items)) => items.push(done),
                        None => return done,
                    }
                }
                match open.last() {
                    Some((top, _)) if top.next() <= at => {}
                    _ => break,
                }
                let Some((parent, items)) = open.pop() else {
                    return Value::Nil;
                };
                done = parent.close(items);
                is_complete = true;
            }
        }
    }

    fn close(&self, mut items: Vec<Value>) -> Value {
        match self.kind() {
            PlaceKind::List => Value::List(items.into()),
            PlaceKind::Set => Value::Set(Set::from_distinct(items)),
            PlaceKind::Map => Value::Map(Map::from_distinct(items)),
            PlaceKind::Tagged => {
                let tag = self.as_tagged().map_or("", |(tag, _)| tag);
                let value = items.pop().unwrap_or_default();
                Value::Tagged(Tagged::from_valid(Symbol::from_valid(tag), value))
            }
            _ => Value::Vector(items.into()),
        }
    }

    /// The form, if it is made of no others.
    pub(crate) fn atom(&self) -> Option<Atom<'t>> {
        let payload = self.payload();
        Some(match self.kind() {
            PlaceKind::Nil => Atom::Nil,
            PlaceKind::False => Atom::Bool(false),
            PlaceKind::True => Atom::Bool(true),
            PlaceKind::Int => Atom::Num(Num::Int(payload.cast_signed())),
            PlaceKind::Decimal => Atom::Num(Num::Float(self.text())),
            PlaceKind::Number => Atom::Num(number::parse(self.text()).ok()?),
            PlaceKind::Float => Atom::Float(f64::from_bits(payload)),
            PlaceKind::Char => Atom::Char(char::from_u32(u32::try_from(payload).ok()?)?),
            PlaceKind::String => Atom::Str(self.raw_string(false)),
            PlaceKind::EscapedString => Atom::Str(self.raw_string(true)),
            PlaceKind::Keyword | PlaceKind::RenamedKeyword => Atom::Keyword(self.as_keyword()?),
            PlaceKind::Symbol | PlaceKind::RenamedSymbol => Atom::Symbol(self.as_symbol()?),
            PlaceKind::Inst => Atom::Inst(Inst::from_millis(payload.cast_signed()).ok()?),
            PlaceKind::Uuid => Atom::Uuid(Uuid::parse(&self.behind_tag()).ok()?),
            _ => return None,
        })
    }

    /// A name that stands in the text as it is, without a keyword's colon.
    #[cfg(feature = "serde")]
    pub(crate) fn name_text(&self) -> &'a str {
        let colon = usize::from(self.kind() == PlaceKind::Keyword);
        self.inner_text(colon, 0).unwrap_or_default()
    }

    /// A text that is this form and no other, wherever it is read.
    #[cfg(feature = "serde")]
    pub(crate) fn raw(&self) -> Cow<'a, str> {
        match self.kind() {
            PlaceKind::RenamedKeyword => {
                alloc::format!(":{}", self.name().unwrap_or_default()).into()
            }
            PlaceKind::RenamedSymbol => Cow::Owned(self.name().unwrap_or_default().into()),
            _ => Cow::Borrowed(self.text()),
        }
    }

    pub(crate) fn kind(&self) -> PlaceKind {
        self.place().map_or(PlaceKind::Nil, |place| place.kind)
    }

    /// The node behind it and all that is in it.
    pub(crate) fn next(&self) -> usize {
        self.place().map_or(usize::MAX, |place| wide(place.next))
    }

    /// What is directly in it.
    pub(crate) fn children(&self) -> Items<'t, 'a> {
        Items {
            tree: self.tree,
            at: self.at.saturating_add(1),
            end: self.next(),
            left: usize::try_from(self.payload()).unwrap_or_default(),
        }
    }

    fn place(&self) -> Option<&'t Place> {
        self.tree.place(self.at)
    }

    fn payload(&self) -> u64 {
        self.place().map_or(0, |place| place.payload)
    }

    fn raw_string(&self, is_escaped: bool) -> RawStr<'a> {
        RawStr {
            text: self.inner_text(1, 1).unwrap_or_default(),
            is_escaped,
        }
    }

    /// The text without so many bytes at its ends.
    fn inner_text(&self, before: usize, behind: usize) -> Option<&'a str> {
        let start = self.start().saturating_add(before);
        self.tree.text.get(start..self.end().saturating_sub(behind))
    }

    fn name(&self) -> Option<&'t str> {
        let index = usize::try_from(self.payload()).ok()?;
        self.tree.names.get(index).map(AsRef::as_ref)
    }

    /// What the string behind `#uuid` says.
    fn behind_tag(&self) -> Cow<'a, str> {
        let quote = usize::try_from(self.payload()).unwrap_or(usize::MAX);
        let text = self.inner_text(quote.saturating_add(1), 1);
        let text = text.unwrap_or_default();
        let is_escaped = text.contains('\\');
        text::unescape(RawStr { text, is_escaped })
    }
}

impl From<Node<'_, '_>> for Value {
    /// What [`Node::to_value`] gives.
    fn from(node: Node<'_, '_>) -> Self {
        node.to_value()
    }
}

/// The text that [`to_string`](crate::to_string) gives for the value.
impl fmt::Display for Node<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_value(), f)
    }
}

/// The same text.
impl fmt::Debug for Node<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The items of a list, vector or set of a [`Tree`], in order.
#[derive(Clone)]
pub struct Items<'t, 'a> {
    tree: &'t Tree<'a>,
    at: usize,
    end: usize,
    left: usize,
}

impl<'t, 'a> Items<'t, 'a> {
    const fn none(tree: &'t Tree<'a>) -> Self {
        Self {
            tree,
            at: 0,
            end: 0,
            left: 0,
        }
    }
}

impl<'t, 'a> Iterator for Items<'t, 'a> {
    type Item = Node<'t, 'a>;

    fn next(&mut self) -> Option<Node<'t, 'a>> {
        if self.at >= self.end {
            return None;
        }
        let node = Node::new(self.tree, self.at);
        self.at = node.next();
        self.left = self.left.saturating_sub(1);
        Some(node)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_, '_> {}

impl FusedIterator for Items<'_, '_> {}

/// The items that are left, as text.
impl fmt::Debug for Items<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The entries of a map of a [`Tree`], in order.
#[derive(Clone)]
pub struct Entries<'t, 'a>(Items<'t, 'a>);

impl<'t, 'a> Iterator for Entries<'t, 'a> {
    type Item = (Node<'t, 'a>, Node<'t, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.left / 2;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Entries<'_, '_> {}

impl FusedIterator for Entries<'_, '_> {}

/// The entries that are left, as text.
impl fmt::Debug for Entries<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}
