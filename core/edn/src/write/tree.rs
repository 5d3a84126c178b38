//! What can be written: a value as it is, or what the options make of it.

use core::ops::Range;

use alloc::vec::Vec;

use crate::deep;
use crate::value::Value;

use super::atom::atom;
use super::compact::Kind;
use super::out::Out;

/// Something made of nodes, each with the ones below it.
pub(crate) trait Tree {
    type Node;

    /// `None` for a value that is made of no others.
    fn kind(node: &Self::Node) -> Option<Kind>;

    /// The tag, if it has one.
    fn tag(node: &Self::Node) -> Option<&str>;

    fn children<'a>(&'a self, node: &'a Self::Node) -> &'a [Self::Node];

    fn atom<O: Out>(node: &Self::Node, out: &mut O) -> Result<(), O::Error>;
}

/// A value as it is.
pub(crate) struct AsIs;

impl Tree for AsIs {
    type Node = Value;

    fn kind(node: &Value) -> Option<Kind> {
        Kind::of(node)
    }

    fn tag(node: &Value) -> Option<&str> {
        node.as_tagged().map(|tagged| tagged.tag().as_str())
    }

    fn children<'a>(&'a self, node: &'a Value) -> &'a [Value] {
        deep::children(node)
    }

    fn atom<O: Out>(node: &Value, out: &mut O) -> Result<(), O::Error> {
        atom(node, out)
    }
}

/// Nodes in one list, so that however deep they nest, they go all at once.
pub(crate) struct Forest<'v>(Vec<Node<'v>>);

/// A value of a forest.
pub(crate) struct Node<'v> {
    pub(crate) head: Head<'v>,
    children: Range<usize>,
}

/// What a node shows.
pub(crate) enum Head<'v> {
    /// The value, or of a collection its kind and tag.
    Given(&'v Value),
    /// An atom in place of the one that was given.
    Instead(Value),
}

impl<'v> Forest<'v> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn leaf(head: Head<'v>) -> Node<'v> {
        Node {
            head,
            children: 0..0,
        }
    }

    /// Makes a node of a collection and of what it is made of now.
    pub(crate) fn join(&mut self, value: &'v Value, mut children: Vec<Node<'v>>) -> Node<'v> {
        let start = self.0.len();
        self.0.append(&mut children);
        Node {
            head: Head::Given(value),
            children: start..self.0.len(),
        }
    }
}

impl Node<'_> {
    pub(crate) const fn value(&self) -> &Value {
        match &self.head {
            Head::Given(value) => value,
            Head::Instead(value) => value,
        }
    }
}

impl<'v> Tree for Forest<'v> {
    type Node = Node<'v>;

    fn kind(node: &Node<'v>) -> Option<Kind> {
        Kind::of(node.value())
    }

    fn tag<'a>(node: &'a Node<'v>) -> Option<&'a str> {
        AsIs::tag(node.value())
    }

    fn children<'a>(&'a self, node: &'a Node<'v>) -> &'a [Node<'v>] {
        self.0.get(node.children.clone()).unwrap_or_default()
    }

    fn atom<O: Out>(node: &Node<'v>, out: &mut O) -> Result<(), O::Error> {
        atom(node.value(), out)
    }
}
