//! A text as a tree that borrows from it: one flat run of nodes, parents before their children.

mod build;
mod node;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{Error, ErrorKind, Inside};
#[cfg(feature = "serde")]
use crate::frame::wide;
#[cfg(feature = "serde")]
use crate::lex::Lexer;
use crate::limits::Limits;
use crate::machine::Machine;
use crate::read;
use crate::sinks::{self, ToNothing};

use build::ToTree;
pub use node::{Entries, Items, Node};

/// A text that was read into a tree, from which it borrows all strings and names.
///
/// It is made in one pass, with one allocation for most texts, and is as strict as
/// [`from_slice`](crate::from_slice): repeated keys and elements are refused. What a number or an
/// escaped string says is found out only when it is asked for. A form takes 24 bytes; metadata and
/// discarded forms take none. For a value that can be changed and kept, see
/// [`Node::to_value`].
///
/// ```
/// use sente_edn::Tree;
///
/// let tree = Tree::parse(b"{:user {:name \"Ann\", :ids [1 2 3]}}")?;
/// let user = tree.root().get_keyword("user").unwrap();
/// assert_eq!(user.get_keyword("name").unwrap().as_str().unwrap(), "Ann");
/// let ids: Option<Vec<i64>> = user.get_keyword("ids").unwrap().items().map(|id| id.as_i64()).collect();
/// assert_eq!(ids, Some(vec![1, 2, 3]));
/// # Ok::<(), sente_edn::Error>(())
/// ```
#[derive(Clone)]
pub struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Place>,
    /// The names of keys that got a namespace from their map.
    names: Vec<Box<str>>,
}

impl<'a> Tree<'a> {
    /// Reads a text that is one form, with the default [`Limits`].
    ///
    /// # Errors
    ///
    /// Those of [`from_slice`](crate::from_slice).
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        Self::parse_with(text, &Limits::default())
    }

    /// Reads a text that is one form, with other [`Limits`].
    ///
    /// # Errors
    ///
    /// Those of [`from_slice`](crate::from_slice).
    pub fn parse_with(text: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let lexer = read::open(text, limits)?;
        let sink = ToTree::new(text.len());
        let mut machine = Machine::new(lexer, *limits, sink);
        machine.open.reserve(USUAL_DEPTH);
        if sinks::read(&mut machine)?.is_none() {
            return Err(machine.lexer.end(Inside::Text, machine.lexer.pos()));
        }
        let mut lexer = machine.lexer;
        if lexer.skip_blank(limits.dialect).is_none() {
            lexer.check_tail()?;
        } else {
            let mut rest = Machine::new(lexer, *limits, ToNothing::default());
            rest.elements = machine.elements;
            if let Some(trailing) = sinks::read(&mut rest)? {
                return Err(Error::new(ErrorKind::TrailingForm, trailing.start));
            }
        }
        let ToTree { nodes, names, .. } = machine.sink;
        let text = lexer.text();
        Ok(Self { text, nodes, names })
    }

    /// Reads the next form of a text that stands so many levels deep, and gives its fingerprint if
    /// that is wanted; `None` if it is wrong, or would have to be looked at more closely.
    #[cfg(feature = "serde")]
    pub(crate) fn of_next(
        lexer: &mut Lexer<'a>,
        limits: &Limits,
        depth: usize,
        keyed: bool,
    ) -> Option<(Self, u64)> {
        let sink = ToTree::new(lexer.bytes().len());
        let mut machine = Machine::new(*lexer, *limits, sink);
        machine.depth = depth;
        machine.top.keyed = keyed;
        let done = machine.form().ok()??;
        *lexer = machine.lexer;
        let text = lexer.text();
        let ToTree { nodes, names, .. } = machine.sink;
        Some((Self { text, nodes, names }, done.fingerprint))
    }

    /// The form the text is.
    #[must_use]
    pub const fn root(&self) -> Node<'_, 'a> {
        Node::new(self, 0)
    }

    /// How many forms there are, at all levels.
    #[must_use]
    pub fn form_count(&self) -> usize {
        self.nodes.len()
    }

    /// The form of that index.
    #[cfg(feature = "serde")]
    pub(crate) const fn node(&self, at: usize) -> Node<'_, 'a> {
        Node::new(self, at)
    }

    /// What a string says that has no escapes, a keyword's name, or any other form's text.
    #[cfg(feature = "serde")]
    #[inline]
    pub(crate) fn plain_text(&self, place: &Place) -> &'a str {
        let (before, behind) = match place.kind {
            PlaceKind::String => (1, 1),
            PlaceKind::Keyword => (1, 0),
            _ => (0, 0),
        };
        let start = wide(place.start).wrapping_add(before);
        let end = wide(place.end).wrapping_sub(behind);
        self.text.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn place(&self, at: usize) -> Option<&Place> {
        self.nodes.get(at)
    }
}

/// The text that [`to_string`](crate::to_string) gives for the value.
impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.root(), f)
    }
}

/// The same text.
impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.root(), f)
    }
}

/// What few texts nest deeper than.
pub(crate) const USUAL_DEPTH: usize = 16;

/// What is known of a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) kind: PlaceKind,
    /// Where it starts and ends in the text.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The node that follows behind it and all that is in it.
    pub(crate) next: u32,
    /// What the kind says.
    pub(crate) payload: u64,
}

/// Which form it is, and what its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    Nil,
    False,
    True,
    /// The payload is the number.
    Int,
    /// A float, to be read where it stands.
    Decimal,
    /// Any other number, to be read where it stands.
    Number,
    /// `##NaN` and the like; the payload is the bits.
    Float,
    /// The payload is the code point.
    Char,
    String,
    /// A string with a backslash.
    EscapedString,
    Keyword,
    Symbol,
    /// A key with a namespace from its map; the payload is the index of its name.
    RenamedKeyword,
    RenamedSymbol,
    /// The payload is the milliseconds.
    Inst,
    /// The payload is how far behind its start the string begins.
    Uuid,
    /// The payload of collections is how many forms are directly in them.
    List,
    Vector,
    Set,
    Map,
    /// The payload is where the tag starts, above where it ends.
    Tagged,
}
