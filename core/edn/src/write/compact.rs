//! The text on one line, without recursion.

use crate::stack::Stack;
use crate::value::Value;

use super::atom::{atom, in_quotes};
use super::out::Out;

/// How many levels need no heap.
const NEAR: usize = 8;

/// A collection of which some items have been written.
#[derive(Clone, Copy)]
pub(crate) struct Open<'v> {
    rest: &'v [Value],
    kind: Kind,
}

/// What stands between items and behind them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is around it: the whole value, and what is behind a tag.
    Bare,
    List,
    Map,
    Set,
    Vector,
}

impl Kind {
    /// The kind of a value; `None` if it is made of no others.
    pub(crate) const fn of(value: &Value) -> Option<Self> {
        match value {
            Value::List(_) => Some(Self::List),
            Value::Map(_) => Some(Self::Map),
            Value::Set(_) => Some(Self::Set),
            Value::Tagged(_) => Some(Self::Bare),
            Value::Vector(_) => Some(Self::Vector),
            _ => None,
        }
    }

    pub(crate) const fn start(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::List => "(",
            Self::Map => "{",
            Self::Set => "#{",
            Self::Vector => "[",
        }
    }

    pub(crate) const fn end(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::List => ")",
            Self::Map | Self::Set => "}",
            Self::Vector => "]",
        }
    }
}

/// Writes a value on one line.
pub(crate) fn compact<O: Out>(value: &Value, out: &mut O) -> Result<(), O::Error> {
    items(core::slice::from_ref(value), Kind::Bare, out)
}

/// Writes items, or keys and values in turn, as one collection on one line.
pub(crate) fn items<O: Out>(items: &[Value], kind: Kind, out: &mut O) -> Result<(), O::Error> {
    let mut outer: Stack<Open<'_>, NEAR> = Stack::new(Open {
        rest: &[],
        kind: Kind::Bare,
    });
    let mut open = Open { rest: items, kind };
    let mut between = Between::Nothing;
    start(kind, between, out)?;
    loop {
        let Some((item, rest)) = open.rest.split_first() else {
            match open.kind {
                Kind::Bare => {}
                Kind::List => out.push_byte(b')')?,
                Kind::Map | Kind::Set => out.push_byte(b'}')?,
                Kind::Vector => out.push_byte(b']')?,
            }
            if outer.len() == 0 {
                return Ok(());
            }
            outer.pop_to(&mut open);
            between = open.between();
            continue;
        };
        open.rest = rest;
        let inner = match item {
            Value::Keyword(keyword) => {
                lead(between, b':', out)?;
                out.push_str(keyword.as_str())?;
                between = open.between();
                continue;
            }
            Value::String(text) => {
                lead(between, b'"', out)?;
                in_quotes(text, out)?;
                out.push_byte(b'"')?;
                between = open.between();
                continue;
            }
            Value::Map(map) => Open {
                rest: map.table().items(),
                kind: Kind::Map,
            },
            Value::Vector(vector) => Open {
                rest: vector.as_slice(),
                kind: Kind::Vector,
            },
            Value::List(list) => Open {
                rest: list.as_slice(),
                kind: Kind::List,
            },
            Value::Set(set) => Open {
                rest: set.table().items(),
                kind: Kind::Set,
            },
            Value::Tagged(tagged) => {
                lead(between, b'#', out)?;
                out.push_str(tagged.tag().as_str())?;
                out.push_byte(b' ')?;
                between = Between::Nothing;
                Open {
                    rest: core::slice::from_ref(tagged.value()),
                    kind: Kind::Bare,
                }
            }
            Value::Int(number) => {
                separate(between, out)?;
                out.push_ascii(itoa::Buffer::new().format(*number).as_bytes())?;
                between = open.between();
                continue;
            }
            other => {
                separate(between, out)?;
                atom(other, out)?;
                between = open.between();
                continue;
            }
        };
        start(inner.kind, between, out)?;
        between = Between::Nothing;
        outer.push(open);
        open = inner;
    }
}

/// What comes before an item.
#[derive(Clone, Copy)]
enum Between {
    Entries,
    Items,
    Nothing,
}

impl Open<'_> {
    /// What comes before the next item, which is not the first.
    #[inline]
    fn between(&self) -> Between {
        // Behind a whole entry of a map an even number of items is left.
        if self.kind == Kind::Map && self.rest.len().is_multiple_of(2) {
            Between::Entries
        } else {
            Between::Items
        }
    }
}

/// Writes what comes before an item.
#[inline]
fn separate<O: Out>(between: Between, out: &mut O) -> Result<(), O::Error> {
    match between {
        Between::Nothing => Ok(()),
        Between::Items => out.push_byte(b' '),
        Between::Entries => out.push_ascii(b", "),
    }
}

/// Writes what comes before an item, and its first byte: together that is one step, not two.
#[inline]
fn lead<O: Out>(between: Between, first: u8, out: &mut O) -> Result<(), O::Error> {
    match between {
        Between::Nothing => out.push_byte(first),
        Between::Items => out.push_ascii(&[b' ', first]),
        Between::Entries => out.push_ascii(&[b',', b' ', first]),
    }
}

// Measured: the calls and moves it saves are a fiftieth of all.
#[inline(always)]
fn start<O: Out>(kind: Kind, between: Between, out: &mut O) -> Result<(), O::Error> {
    match kind {
        Kind::Bare => Ok(()),
        Kind::List => lead(between, b'(', out),
        Kind::Map => lead(between, b'{', out),
        Kind::Set => {
            lead(between, b'#', out)?;
            out.push_byte(b'{')
        }
        Kind::Vector => lead(between, b'[', out),
    }
}
