//! What is written, one form at a time: a text on one line, or a [`Value`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use super::error::Error;
use super::short::Short;
use crate::collection::{List, Vector};
use crate::inst::Inst;
use crate::lex;
use crate::limits::Limits;
use crate::map::Map;
use crate::name::{Keyword, Symbol};
use crate::set::Set;
use crate::stack::Stack;
use crate::value::Value;
use crate::write::{self, write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    List,
    Vector,
    Set,
    Map,
}

pub(super) enum Out {
    Text(ToText),
    Value(ToValue),
}

/// Where a key was written, to tell of it later.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    start: usize,
    end: usize,
}

impl Out {
    pub(super) fn atom(&mut self, value: Value) {
        match self {
            Self::Text(out) => {
                out.separate();
                write(&value, &mut out.text);
            }
            Self::Value(out) => out.place(value),
        }
    }

    pub(super) fn nil(&mut self) {
        self.word(b"nil", || Value::Nil);
    }

    pub(super) fn bool(&mut self, value: bool) {
        if value {
            self.word(b"true", || Value::Bool(true));
        } else {
            self.word(b"false", || Value::Bool(false));
        }
    }

    #[inline]
    fn word<const N: usize>(&mut self, word: &[u8; N], value: impl FnOnce() -> Value) {
        match self {
            Self::Text(out) => {
                out.separate();
                out.text.extend_from_slice(word);
            }
            Self::Value(out) => out.place(value()),
        }
    }

    pub(super) fn int(&mut self, value: i64) {
        match self {
            Self::Text(out) => {
                out.separate();
                let mut buffer = itoa::Buffer::new();
                out.text.extend_from_slice(buffer.format(value).as_bytes());
            }
            Self::Value(out) => out.place(Value::Int(value)),
        }
    }

    pub(super) fn float(&mut self, value: f64) {
        match self {
            Self::Text(out) => {
                out.separate();
                let Ok(()) = write::atom::float(value, &mut out.text);
            }
            Self::Value(out) => out.place(Value::Float(value)),
        }
    }

    pub(super) fn char(&mut self, value: char) {
        match self {
            Self::Text(out) => {
                out.separate();
                let Ok(()) = write::atom::character(value, &mut out.text);
            }
            Self::Value(out) => out.place(Value::Char(value)),
        }
    }

    /// An atom that takes no memory.
    #[inline]
    pub(super) fn small(&mut self, value: Value) {
        match self {
            Self::Text(out) => {
                out.separate();
                let Ok(()) = write::atom::atom(&value, &mut out.text);
            }
            Self::Value(out) => out.place(value),
        }
    }

    /// An instant, and its text if that is as usual.
    pub(super) fn inst(&mut self, value: Inst, text: &str) {
        match self {
            Self::Text(out) if text.len() == Inst::TEXT_LENGTH => {
                out.lead(b'#');
                out.text.extend_from_slice(b"inst \"");
                out.text.extend_from_slice(text.as_bytes());
                out.text.push(b'"');
            }
            _ => self.small(Value::Inst(value)),
        }
    }

    /// Writes a keyword, if it needs no closer look; whether it did.
    #[inline]
    pub(super) fn plain_keyword(&mut self, name: &str) -> bool {
        if let Self::Text(out) = self
            && let Some(short) = Short::of(name.as_bytes())
            && short.is_letters()
        {
            out.lead_short(b':', short);
            return true;
        }
        self.longer_keyword(name)
    }

    #[inline(never)]
    fn longer_keyword(&mut self, name: &str) -> bool {
        if !lex::is_plain_name(name.as_bytes()) {
            return false;
        }
        match self {
            Self::Text(out) => {
                out.lead(b':');
                out.text.extend_from_slice(name.as_bytes());
            }
            Self::Value(out) => out.place(Value::Keyword(Keyword::from_valid(name))),
        }
        true
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        if let Self::Text(out) = self
            && let Some(short) = Short::of(text.as_bytes())
            && short.is_plain()
        {
            out.lead_short(b'"', short.then(b'"'));
            return;
        }
        self.longer_text(text);
    }

    #[inline(never)]
    fn longer_text(&mut self, text: &str) {
        match self {
            Self::Text(out) => {
                // Its quotes, and what may stand before it.
                out.text.reserve(text.len().saturating_add(4));
                out.lead(b'"');
                let Ok(()) = write::atom::in_quotes(text, &mut out.text);
                out.text.push(b'"');
            }
            Self::Value(out) => out.place(Value::from(text)),
        }
    }

    /// A form that is a text already.
    pub(super) fn raw(&mut self, text: &str) -> Result<(), Error> {
        let is_line = memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none();
        match self {
            Self::Text(out) if is_line => {
                out.separate();
                out.text.extend_from_slice(text.as_bytes());
            }
            _ => {
                let limits = Limits::unlimited().max_depth(Limits::DEFAULT_MAX_DEPTH);
                self.atom(crate::from_slice_with(text.as_bytes(), &limits)?);
            }
        }
        Ok(())
    }

    pub(super) fn tag(&mut self, tag: Symbol) {
        match self {
            Self::Text(out) => {
                out.lead(b'#');
                out.text.extend_from_slice(tag.as_str().as_bytes());
                out.text.push(b' ');
                out.enter(Level::BARE);
            }
            Self::Value(out) => out.open.push((Open::Tag(tag), Vec::new())),
        }
    }

    pub(super) fn end_tag(&mut self) -> Result<(), Error> {
        match self {
            Self::Text(out) => {
                out.outer.pop_to(&mut out.level);
                Ok(())
            }
            Self::Value(out) => out.close(),
        }
    }

    pub(super) fn open(&mut self, bracket: Bracket) {
        match self {
            Self::Text(out) => {
                let (opening, closing) = match bracket {
                    Bracket::List => (b'(', b')'),
                    Bracket::Vector => (b'[', b']'),
                    Bracket::Set => (b'#', b'}'),
                    Bracket::Map => (b'{', b'}'),
                };
                out.lead(opening);
                if bracket == Bracket::Set {
                    out.text.push(b'{');
                }
                out.enter(Level {
                    before: Before::Nothing,
                    closing,
                    is_map: bracket == Bracket::Map,
                });
            }
            Self::Value(out) => out.open.push((Open::Bracket(bracket), Vec::new())),
        }
    }

    pub(super) fn close(&mut self) -> Result<(), Error> {
        match self {
            Self::Text(out) => {
                if out.level.closing != 0 {
                    out.text.push(out.level.closing);
                }
                out.outer.pop_to(&mut out.level);
                Ok(())
            }
            Self::Value(out) => out.close(),
        }
    }

    pub(super) fn mark(&self) -> usize {
        match self {
            Self::Text(out) => out.text.len(),
            Self::Value(out) => out.open.len().saturating_sub(1),
        }
    }

    /// The key that was written since.
    pub(super) fn key_since(&self, start: usize) -> Mark {
        match self {
            Self::Text(out) => Mark {
                start,
                end: out.text.len(),
            },
            Self::Value(out) => {
                let items = out.open.get(start).map_or(0, |(_, items)| items.len());
                Mark {
                    start,
                    end: items.saturating_sub(1),
                }
            }
        }
    }

    pub(super) fn show(&self, mark: Mark) -> String {
        match self {
            Self::Text(out) => {
                let key = out.text.get(mark.start..mark.end).unwrap_or_default();
                String::from(String::from_utf8_lossy(key).trim_start_matches([',', ' ']))
            }
            Self::Value(out) => {
                let items = out.open.get(mark.start).map(|(_, items)| items);
                let key = items.and_then(|items| items.get(mark.end));
                key.map_or_else(|| String::from("?"), ToString::to_string)
            }
        }
    }
}

/// How many levels need no heap.
const NEAR: usize = 8;
/// A few short steps of growing are worth skipping.
const FIRST_ROOM: usize = 256;

pub(super) struct ToText {
    text: Vec<u8>,
    /// What was opened last.
    level: Level,
    /// What is open around it.
    outer: Stack<Level, NEAR>,
}

/// What is open in a text.
#[derive(Clone, Copy)]
struct Level {
    /// What is to be written before the next form.
    before: Before,
    /// What ends it; 0 for the whole text, and for what is behind a tag.
    closing: u8,
    is_map: bool,
}

impl Level {
    const BARE: Self = Self {
        before: Before::Nothing,
        closing: 0,
        is_map: false,
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Blank,
    Comma,
}

impl ToText {
    pub(super) fn with_room() -> Self {
        Self {
            text: Vec::with_capacity(FIRST_ROOM),
            ..Self::new()
        }
    }

    /// Behind what is in a buffer.
    pub(super) const fn behind(text: Vec<u8>) -> Self {
        Self {
            text,
            level: Level::BARE,
            outer: Stack::new(Level::BARE),
        }
    }

    pub(super) const fn new() -> Self {
        Self {
            text: Vec::new(),
            level: Level::BARE,
            outer: Stack::new(Level::BARE),
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    fn enter(&mut self, level: Level) {
        self.outer.push(mem::replace(&mut self.level, level));
    }

    /// Writes what stands between a form and the one before it.
    #[inline]
    fn separate(&mut self) {
        match self.step() {
            Before::Nothing => {}
            Before::Blank => self.text.push(b' '),
            Before::Comma => self.text.extend_from_slice(b", "),
        }
    }

    /// Writes the same, and the first byte of the form: together that is one step, not two.
    #[inline]
    fn lead(&mut self, first: u8) {
        match self.step() {
            Before::Nothing => self.text.push(first),
            Before::Blank => self.text.extend_from_slice(&[b' ', first]),
            Before::Comma => self.text.extend_from_slice(&[b',', b' ', first]),
        }
    }

    /// Writes the same, and a short text.
    #[inline]
    fn lead_short(&mut self, first: u8, short: Short) {
        let first = u32::from(first);
        let (before, count) = match self.step() {
            Before::Nothing => (first, 1),
            Before::Blank => (u32::from(b' ') | (first << 8), 2),
            Before::Comma => (u32::from_le_bytes([b',', b' ', 0, 0]) | (first << 16), 3),
        };
        short.write(before, count, &mut self.text);
    }

    /// Counts a form, and says what is to be written before it.
    #[inline]
    fn step(&mut self) -> Before {
        let before = self.level.before;
        self.level.before = match (before, self.level.closing) {
            (Before::Nothing, 0) => Before::Nothing,
            (Before::Blank, _) if self.level.is_map => Before::Comma,
            _ => Before::Blank,
        };
        before
    }
}

enum Open {
    Bracket(Bracket),
    Tag(Symbol),
}

pub(super) struct ToValue {
    root: Option<Value>,
    open: Vec<(Open, Vec<Value>)>,
}

impl ToValue {
    pub(super) const fn new() -> Self {
        Self {
            root: None,
            open: Vec::new(),
        }
    }

    pub(super) fn into_value(self) -> Value {
        self.root.unwrap_or_default()
    }

    fn place(&mut self, value: Value) {
        match self.open.last_mut() {
            Some((_, items)) => items.push(value),
            None => self.root = Some(value),
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some((open, items)) = self.open.pop() else {
            return Ok(());
        };
        let value = match open {
            Open::Bracket(Bracket::List) => Value::List(List::from(items)),
            Open::Bracket(Bracket::Vector) => Value::Vector(Vector::from(items)),
            Open::Bracket(Bracket::Set) => {
                let count = items.len();
                let set = Set::from_items(items);
                if set.len() < count {
                    return Err(Error::new("two elements of a set are equal in EDN"));
                }
                Value::Set(set)
            }
            Open::Bracket(Bracket::Map) => {
                let count = items.len();
                let map = Map::from_items(items);
                if map.len().saturating_mul(2) < count {
                    return Err(Error::new("two keys of a map are equal in EDN"));
                }
                Value::Map(map)
            }
            Open::Tag(tag) => {
                let item = items.into_iter().next().unwrap_or_default();
                let tagged = super::types::tagged(tag.as_str(), item);
                Value::Tagged(tagged.ok_or_else(|| Error::new("no such tag"))?)
            }
        };
        self.place(value);
        Ok(())
    }
}
