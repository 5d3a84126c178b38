//! Steps over packed values without recursion, and hands what it finds to a sink.

use alloc::vec::Vec;

use super::ext::{self, Ext};
use super::stack::Stack;
use super::token::{self, Fault, REFERENCE, Reader, Token};
use crate::limits::Limits;

/// Reads packed values one by one; what becomes of them is up to the sink.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) reader: Reader<'a>,
    budget: Budget,
    depth: usize,
    elements: usize,
    /// As many items as all collections together can have: each takes at least a byte.
    most: usize,
    open: Stack<Open>,
    /// What follows the extensions that the open sets are.
    after_sets: Vec<Reader<'a>>,
}

/// What is done with the values that are found.
pub(super) trait Sink<'a> {
    /// A value that has no items, or a typed array.
    fn atom(&mut self, atom: Atom<'a>, place: Place);

    /// A collection of so many items, keys and values counted one by one. `place` is what stands
    /// before its items, and for a set before the array in it.
    fn open(&mut self, kind: Kind, count: usize, place: Place);

    /// The end of the collection that was opened last, at this byte.
    fn close(&mut self, kind: Kind, at: usize);

    /// Whether it has to be shown all that is still to come. One that has not may miss anything but
    /// `uint64` and extensions other than keywords and symbols.
    #[inline]
    fn sees_all(&self) -> bool {
        true
    }

    /// A reference to the key of this number.
    fn reference(&mut self, number: u8, place: Place) -> Result<(), Fault> {
        let _ = number;
        Err(Fault::new(
            place.start,
            "a reference to a key that stands elsewhere",
        ))
    }
}

/// A value that has no items, or a typed array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Atom<'a> {
    /// Anything but arrays, maps and extensions.
    Plain(Token<'a>),
    /// An extension, and its bytes.
    Ext(Ext<'a>, &'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Array,
    Map,
    Set,
}

/// Where something stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Its first byte.
    pub(super) head: u8,
    /// Whether it is a map's key.
    pub(super) is_key: bool,
}

/// What a message may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    max_depth: usize,
    max_elements: usize,
}

impl Budget {
    /// For what this side has packed itself.
    pub(super) const UNLIMITED: Self = Self::depth(usize::MAX);

    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            max_depth: limits.max_depth,
            max_elements: limits.max_elements,
        }
    }

    /// So many levels, and as many elements as there are bytes.
    pub(super) const fn depth(max_depth: usize) -> Self {
        Self {
            max_depth,
            max_elements: usize::MAX,
        }
    }
}

/// A collection whose items are being read.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    /// How many items are left.
    left: usize,
}

impl Open {
    const NOTHING: Self = Self {
        kind: Kind::Array,
        left: 0,
    };
}

impl<'a> Machine<'a> {
    pub(super) const fn new(bytes: &'a [u8], budget: Budget) -> Self {
        Self::resume(Reader::new(bytes), budget)
    }

    /// Goes on where something else has read before.
    pub(super) const fn resume(reader: Reader<'a>, budget: Budget) -> Self {
        Self {
            reader,
            budget,
            depth: 0,
            elements: 0,
            most: reader.rest.len(),
            open: Stack::new(Open::NOTHING),
            after_sets: Vec::new(),
        }
    }

    /// Steps into the array that comes next, and says how many items it has.
    pub(super) fn enter(&mut self) -> Result<usize, Fault> {
        let start = self.reader.at();
        let mut reader = self.reader;
        let Token::Array(count) = reader.token()? else {
            return Err(Fault::new(start, "expected an array"));
        };
        self.deepen(start)?;
        self.count(count, start)?;
        self.reader = reader;
        Ok(count)
    }

    /// Steps out of an array whose items have been read.
    pub(super) const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Reads one value with all that is in it.
    #[inline]
    pub(super) fn value<S: Sink<'a>>(&mut self, sink: &mut S) -> Result<(), Fault> {
        // At first what is around the value itself: nothing more is to come there.
        let mut inside = Open::NOTHING;
        let mut is_key = false;
        loop {
            if let Some(open) = self.step(is_key, sink)? {
                self.open.push(core::mem::replace(&mut inside, open));
            }
            if !sink.sees_all() {
                self.pass(&mut inside)?;
            }
            // Out of what is complete, and on to the next item.
            loop {
                if let Some(left) = inside.left.checked_sub(1) {
                    // Of a map's entry the key comes first, when an even number is left.
                    is_key = inside.kind == Kind::Map && inside.left.is_multiple_of(2);
                    inside.left = left;
                    break;
                }
                let Some(outer) = self.open.pop() else {
                    return Ok(());
                };
                if inside.kind == Kind::Set
                    && let Some(after) = self.after_sets.pop()
                {
                    self.reader = after;
                }
                self.leave();
                sink.close(inside.kind, self.reader.at());
                inside = outer;
            }
        }
    }

    /// Passes items of what is `inside`, and of arrays and maps in it, up to one that has to be
    /// looked at, or the end of a set.
    fn pass(&mut self, inside: &mut Open) -> Result<(), Fault> {
        let bytes = self.reader.rest;
        let mut at = 0;
        let mut open = *inside;
        'items: loop {
            while let Some(left) = open.left.checked_sub(1) {
                if let Some(after) = token::pass_atom(bytes, at) {
                    at = after;
                    open.left = left;
                } else if let Some(next) = self.pass_head(bytes, at) {
                    at = at.wrapping_add(1);
                    self.open.push(Open { left, ..open });
                    open = next;
                } else {
                    break 'items;
                }
            }
            if open.kind == Kind::Set {
                break;
            }
            let Some(outer) = self.open.pop() else {
                break;
            };
            self.leave();
            open = outer;
        }
        *inside = open;
        let Some(rest) = bytes.get(at..) else {
            return Err(self.reader.truncated());
        };
        self.reader.rest = rest;
        Ok(())
    }

    /// Steps into the short array or map that stands there, if nothing is wrong with it.
    #[inline]
    fn pass_head(&mut self, bytes: &[u8], at: usize) -> Option<Open> {
        let (&head, rest) = bytes.get(at..)?.split_first()?;
        let items = usize::from(head & 0x0f);
        let (kind, left) = match head {
            0x80..=0x8f => (Kind::Map, items.wrapping_mul(2)),
            0x90..=0x9f => (Kind::Array, items),
            _ => return None,
        };
        let elements = self.elements.saturating_add(left);
        if left > rest.len()
            || elements > self.most
            || elements > self.budget.max_elements
            || self.depth >= self.budget.max_depth
        {
            return None;
        }
        self.elements = elements;
        self.depth = self.depth.saturating_add(1);
        Some(Open { kind, left })
    }

    /// Reads an atom, or the head of a collection, which is then open.
    #[inline]
    fn step<S: Sink<'a>>(&mut self, is_key: bool, sink: &mut S) -> Result<Option<Open>, Fault> {
        let start = self.reader.at();
        let head = self.reader.peek().unwrap_or_default();
        let token = self.reader.token()?;
        let place = Place {
            start,
            end: self.reader.at(),
            head,
            is_key,
        };
        let wrong = |what| Fault::new(start, what);
        let (kind, count, place) = match token {
            Token::Array(count) => (Kind::Array, count, place),
            Token::Map(count) => (Kind::Map, count.saturating_mul(2), place),
            Token::Ext(ext::SET, content) => {
                let after = self.reader;
                self.reader = after.inside(content);
                self.after_sets.push(after);
                let place = Place {
                    end: self.reader.at(),
                    ..place
                };
                match self.reader.is_array().then(|| self.reader.token()) {
                    Some(Ok(Token::Array(count))) => (Kind::Set, count, place),
                    Some(Err(fault)) => return Err(fault),
                    _ => return Err(wrong("a set without an array in it")),
                }
            }
            Token::Ext(REFERENCE, content) => {
                return match content {
                    [number] if is_key => sink.reference(*number, place).map(|()| None),
                    _ => Err(wrong("a key reference where no key stands")),
                };
            }
            Token::Ext(id, content) => {
                let ext = Ext::read(id, content).map_err(wrong)?;
                self.count(ext.elements(), start)?;
                sink.atom(Atom::Ext(ext, content), place);
                return Ok(None);
            }
            token => {
                sink.atom(Atom::Plain(token), place);
                return Ok(None);
            }
        };
        self.deepen(start)?;
        self.count(count, start)?;
        sink.open(kind, count, place);
        Ok(Some(Open { kind, left: count }))
    }

    fn deepen(&mut self, at: usize) -> Result<(), Fault> {
        let limit = self.budget.max_depth;
        if self.depth >= limit {
            return Err(Fault::over(at, "levels of nesting", limit));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// Counts items before they are read, so that no room is made for those that cannot be there.
    fn count(&mut self, count: usize, at: usize) -> Result<(), Fault> {
        self.elements = self.elements.saturating_add(count);
        if self.elements > self.most {
            return Err(Fault::new(at, "more items than the message has bytes"));
        }
        let limit = self.budget.max_elements;
        if self.elements > limit {
            return Err(Fault::over(at, "elements", limit));
        }
        Ok(())
    }
}
