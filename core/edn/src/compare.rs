//! When two values of any depth are equal, for Clojure, for Java, and to the letter.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::deep::{Step, Walk, children, is_atom};
use crate::leaf::Leaf;
use crate::value::Value;

/// Which differences count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Clojure's `=`.
    Clojure,
    /// Java's `equals`, which Clojure uses behind a tag: `1` is not `1N`.
    Java,
    /// What finds a key when maps or sets are compared by `equals`: `1` is `1N` again, but their
    /// Java hashes must agree, too.
    JavaKey,
    /// Everything but the order of maps and sets.
    Strict,
}

impl Mode {
    /// The mode in which the child of a value is compared.
    fn of_child(self, parent: &Value, index: usize) -> Self {
        match (self, parent) {
            (Self::Strict, _) => Self::Strict,
            (_, Value::Tagged(_)) => Self::Java,
            (Self::Java, Value::Set(_)) => Self::JavaKey,
            (Self::Java, Value::Map(_)) if index.is_multiple_of(2) => Self::JavaKey,
            (mode, _) => mode,
        }
    }
}

/// Whether two values are equal.
pub(crate) fn equal(a: &Value, b: &Value, mode: Mode) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Keyword(a), Value::Keyword(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        _ if is_atom(a) || is_atom(b) => equal_atoms(a, b, mode),
        _ => match equal_in_order(a, b, mode) {
            Verdict::Equal => true,
            Verdict::Different => false,
            Verdict::Unknown => {
                let mut classes = Classes::default();
                classes.of(a, mode) == classes.of(b, mode)
            }
        },
    }
}

/// Whether two values are equal with everything in the same order; if not, they still may be equal.
pub(crate) fn equal_as_ordered(a: &Value, b: &Value) -> bool {
    matches!(equal_in_order(a, b, Mode::Clojure), Verdict::Equal)
}

/// Whether two runs of items are equal, one by one.
pub(crate) fn equal_items(a: &[Value], b: &[Value], mode: Mode) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, mode))
}

/// Whether two sets, or with the keys and values in turn two maps, have equal entries.
pub(crate) fn equal_entries<const STRIDE: usize>(a: &[Value], b: &[Value]) -> bool {
    if a.len() != b.len() || equal_items(a, b, Mode::Clojure) {
        return a.len() == b.len();
    }
    let mut classes = Classes::default();
    let mut entries = |items: &[Value]| {
        let mut entries: Vec<[u32; STRIDE]> = Vec::new();
        for entry in items.as_chunks::<STRIDE>().0 {
            entries.push(
                entry
                    .each_ref()
                    .map(|value| classes.of(value, Mode::Clojure)),
            );
        }
        entries.sort_unstable();
        entries
    };
    entries(a) == entries(b)
}

fn equal_atoms(a: &Value, b: &Value, mode: Mode) -> bool {
    Leaf::of(a, mode).is_some_and(|leaf| Some(leaf) == Leaf::of(b, mode))
}

enum Verdict {
    Equal,
    Different,
    /// They differ where order may not matter.
    Unknown,
}

/// The mode at each level of a walk.
struct Modes<'v> {
    root: Mode,
    open: Vec<(&'v Value, Mode, usize)>,
}

impl<'v> Modes<'v> {
    const fn new(root: Mode) -> Self {
        Self {
            root,
            open: Vec::new(),
        }
    }

    /// The mode of the next child.
    fn next(&mut self) -> Mode {
        match self.open.last_mut() {
            None => self.root,
            Some((parent, mode, index)) => {
                let child = mode.of_child(parent, *index);
                *index = index.saturating_add(1);
                child
            }
        }
    }

    fn open(&mut self, parent: &'v Value) {
        let mode = self.next();
        self.open.push((parent, mode, 0));
    }

    fn close(&mut self) {
        self.open.pop();
    }
}

/// Compares as if maps and sets had to be in the same order, which they mostly are.
fn equal_in_order(a: &Value, b: &Value, mode: Mode) -> Verdict {
    let mut modes = Modes::new(mode);
    let mut others = Walk::new(b);
    // How many maps and sets are open that may be in different order.
    let mut unordered: usize = 0;
    let may_differ = |value: &Value| match value {
        Value::Set(set) => set.len() > 1,
        Value::Map(map) => map.len() > 1,
        _ => false,
    };
    for step in Walk::new(a) {
        let same = match (step, others.next()) {
            (Step::Atom(a), Some(Step::Atom(b))) => equal_atoms(a, b, modes.next()),
            (Step::Open(a), Some(Step::Open(b))) => {
                let same = alike(a, b, mode);
                modes.open(a);
                unordered = unordered.saturating_add(usize::from(may_differ(a)));
                same
            }
            (Step::Close(a), Some(Step::Close(_))) => {
                modes.close();
                unordered = unordered.saturating_sub(usize::from(may_differ(a)));
                true
            }
            _ => false,
        };
        if !same {
            return if unordered == 0 {
                Verdict::Different
            } else {
                Verdict::Unknown
            };
        }
    }
    Verdict::Equal
}

/// Whether two collections are equal but for what is in them.
fn alike(a: &Value, b: &Value, mode: Mode) -> bool {
    let kinds = match (a, b) {
        (Value::List(_), Value::List(_))
        | (Value::Vector(_), Value::Vector(_))
        | (Value::Set(_), Value::Set(_))
        | (Value::Map(_), Value::Map(_)) => true,
        (Value::List(_), Value::Vector(_)) | (Value::Vector(_), Value::List(_)) => {
            mode != Mode::Strict
        }
        (Value::Tagged(a), Value::Tagged(b)) => a.tag() == b.tag(),
        _ => false,
    };
    kinds && children(a).len() == children(b).len()
}

/// A number for each class of equal values, given out from the leaves up.
///
/// Exact and in `n log n`, whatever the values are.
#[derive(Default)]
pub(crate) struct Classes {
    known: BTreeMap<Node, u32>,
}

/// A value whose children are known by their classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Leaf(Leaf<Box<str>>),
    Sequence(SequenceKind, Box<[u32]>),
    Set(Box<[u32]>),
    Map(Box<[(u32, u32)]>),
    Tagged(Box<str>, u32),
}

/// Whether lists and vectors are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SequenceKind {
    Any,
    List,
    Vector,
}

impl Node {
    pub(crate) fn set(mut items: Vec<u32>) -> Self {
        items.sort_unstable();
        Self::Set(items.into())
    }

    pub(crate) fn map(items: &[u32]) -> Self {
        let (pairs, _) = items.as_chunks::<2>();
        let mut pairs: Vec<(u32, u32)> = pairs.iter().map(|[key, value]| (*key, *value)).collect();
        pairs.sort_unstable();
        Self::Map(pairs.into())
    }
}

impl Classes {
    pub(crate) fn class(&mut self, node: Node) -> u32 {
        // Four thousand million different values do not fit the memory.
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        *self.known.entry(node).or_insert(next)
    }

    pub(crate) fn leaf(&mut self, atom: &Value, mode: Mode) -> u32 {
        let leaf = Leaf::of(atom, mode).map_or(Leaf::Nil, |leaf| leaf.to_owned());
        self.class(Node::Leaf(leaf))
    }

    pub(crate) fn of(&mut self, value: &Value, mode: Mode) -> u32 {
        let mut modes = Modes::new(mode);
        let mut open: Vec<Vec<u32>> = Vec::new();
        for step in Walk::new(value) {
            let class = match step {
                Step::Atom(atom) => self.leaf(atom, modes.next()),
                Step::Open(parent) => {
                    modes.open(parent);
                    open.push(Vec::with_capacity(children(parent).len()));
                    continue;
                }
                Step::Close(parent) => {
                    modes.close();
                    self.class(node(parent, open.pop().unwrap_or_default(), mode))
                }
            };
            match open.last_mut() {
                Some(siblings) => siblings.push(class),
                None => return class,
            }
        }
        0
    }
}

fn node(parent: &Value, items: Vec<u32>, mode: Mode) -> Node {
    match parent {
        Value::Set(_) => Node::set(items),
        Value::Map(_) => Node::map(&items),
        Value::Tagged(tagged) => Node::Tagged(
            tagged.tag().as_str().into(),
            items.first().copied().unwrap_or_default(),
        ),
        Value::List(_) if mode == Mode::Strict => Node::Sequence(SequenceKind::List, items.into()),
        Value::Vector(_) if mode == Mode::Strict => {
            Node::Sequence(SequenceKind::Vector, items.into())
        }
        _ => Node::Sequence(SequenceKind::Any, items.into()),
    }
}
