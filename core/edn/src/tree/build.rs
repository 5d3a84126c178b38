//! How a tree is made while its text is read.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Place, PlaceKind};
use crate::atom::Atom;
use crate::error::Error;
use crate::frame::{Kind, narrow, wide};
use crate::machine::Sink;
use crate::number::Num;
use crate::shape::Shape;

/// How many nodes there is room for at first, at most.
const FIRST_ROOM: usize = 1 << 10;

/// How far behind its start the string of a `#uuid "…"` begins.
const USUAL_STRING: u64 = "#uuid ".len() as u64;

/// Makes the nodes of a tree. A form is known by the index of its node.
pub(super) struct ToTree {
    pub(super) nodes: Vec<Place>,
    pub(super) names: Vec<Box<str>>,
    text_length: usize,
}

impl ToTree {
    pub(super) fn new(text_length: usize) -> Self {
        // Short forms are some six bytes apart.
        let room = (text_length / 6).saturating_add(4).min(FIRST_ROOM);
        Self {
            nodes: Vec::with_capacity(room),
            names: Vec::new(),
            text_length,
        }
    }

    #[inline]
    fn add(&mut self, kind: PlaceKind, start: usize, end: usize, payload: u64) -> u32 {
        let at = self.nodes.len();
        if at == self.nodes.capacity() {
            self.grow(start);
        }
        self.nodes.push(Place {
            kind,
            start: narrow(start),
            end: narrow(end),
            next: narrow(at.wrapping_add(1)),
            payload,
        });
        narrow(at)
    }

    /// Makes room, as much as the text will need if it goes on as it began.
    #[cold]
    fn grow(&mut self, start: usize) {
        let length = self.nodes.len();
        let rest = self.text_length.saturating_sub(start);
        let expected = length
            .saturating_mul(rest)
            .checked_div(start)
            .unwrap_or(rest);
        let expected = expected.saturating_add(expected / 16);
        // Every form takes a byte.
        let room = expected.max(length / 4).max(16).min(rest.max(1));
        self.nodes.reserve_exact(room);
    }

    fn finish(&mut self, at: u32, end: usize, payload: u64) {
        let next = narrow(self.nodes.len());
        if let Some(place) = self.nodes.get_mut(wide(at)) {
            place.end = narrow(end);
            place.next = next;
            place.payload = payload;
        }
    }
}

impl Sink for ToTree {
    type Item = u32;
    type Open = u32;

    #[inline]
    fn open(&mut self, kind: Kind, start: usize) -> u32 {
        let kind = match kind {
            Kind::List => PlaceKind::List,
            Kind::Vector => PlaceKind::Vector,
            Kind::Set => PlaceKind::Set,
            Kind::Map | Kind::MapOf | Kind::Namespace => PlaceKind::Map,
            Kind::Tag => PlaceKind::Tagged,
            _ => return narrow(self.nodes.len()),
        };
        self.add(kind, start, start, 0)
    }

    #[inline]
    fn atom(&mut self, atom: Atom<'_>, start: usize, end: usize) -> u32 {
        let (kind, payload) = match atom {
            Atom::Nil => (PlaceKind::Nil, 0),
            Atom::Bool(false) => (PlaceKind::False, 0),
            Atom::Bool(true) => (PlaceKind::True, 0),
            Atom::Num(Num::Int(value)) => (PlaceKind::Int, value.cast_unsigned()),
            Atom::Num(Num::Float(_)) => (PlaceKind::Decimal, 0),
            Atom::Num(_) => (PlaceKind::Number, 0),
            Atom::Float(value) => (PlaceKind::Float, value.to_bits()),
            Atom::Char(value) => (PlaceKind::Char, u64::from(u32::from(value))),
            Atom::Str(raw) if raw.is_escaped => (PlaceKind::EscapedString, 0),
            Atom::Str(_) => (PlaceKind::String, 0),
            Atom::Keyword(_) => (PlaceKind::Keyword, 0),
            Atom::Symbol(_) => (PlaceKind::Symbol, 0),
            Atom::Inst(value) => (PlaceKind::Inst, value.as_millis().cast_unsigned()),
            Atom::Uuid(_) => (PlaceKind::Uuid, USUAL_STRING),
        };
        self.add(kind, start, end, payload)
    }

    fn renamed(&mut self, key: u32, atom: Atom<'_>, start: usize, end: usize) -> u32 {
        self.forget(key);
        let (kind, name) = match atom {
            Atom::Keyword(name) => (PlaceKind::RenamedKeyword, name),
            Atom::Symbol(name) => (PlaceKind::RenamedSymbol, name),
            other => return self.atom(other, start, end),
        };
        let index = u64::try_from(self.names.len()).unwrap_or(u64::MAX);
        self.names.push(name.into());
        self.add(kind, start, end, index)
    }

    #[inline]
    fn push(&mut self, _: &mut u32, _: u32, _: usize) {}

    #[inline]
    fn close(&mut self, _: Shape, open: u32, count: u32, end: usize) -> Result<u32, Error> {
        self.finish(open, end, u64::from(count));
        Ok(open)
    }

    fn tagged(&mut self, (tag, start): (&str, usize), open: u32, _: u32, end: usize) -> u32 {
        let tag_end = narrow(start.wrapping_add(tag.len()));
        let payload = (u64::from(narrow(start)) << 32) | u64::from(tag_end);
        self.finish(open, end, payload);
        open
    }

    fn built_in(
        &mut self,
        open: u32,
        string: u32,
        atom: Atom<'_>,
        start: usize,
        end: usize,
    ) -> u32 {
        let string = self.nodes.get(wide(string)).map(|place| place.start);
        self.forget(open);
        let at = self.atom(atom, start, end);
        // Comments and discarded forms may stand between the tag and its string.
        if let Some(place) = self.nodes.get_mut(wide(at))
            && place.kind == PlaceKind::Uuid
            && let Some(string) = string
        {
            place.payload = u64::from(string.wrapping_sub(place.start));
        }
        at
    }

    #[inline]
    fn forget(&mut self, item: u32) {
        self.nodes.truncate(wide(item));
    }

    fn restart(&mut self) {
        self.nodes.clear();
        self.names.clear();
    }
}
