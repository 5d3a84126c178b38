//! What is written, one form at a time: a text on one line, or a [`Value`].

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::error::Error;
use super::short::{self, Short};
use crate::collection::{List, Vector};
use crate::inst::Inst;
use crate::lex;
use crate::limits::Limits;
use crate::map::Map;
use crate::name::{Keyword, Symbol};
use crate::set::Set;
use crate::value::Value;
use crate::write::{self, write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    List,
    Vector,
    Set,
    Map,
}

/// What is written so far. A form writes itself and nothing around it: what stands between two is up to
/// the collection they are in.
pub(super) struct Out {
    pub(super) text: Vec<u8>,
    /// Where a value is made instead.
    value: Option<Box<ToValue>>,
}

/// Where a key was written, to tell of it later.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    start: usize,
    end: usize,
}

impl Out {
    /// Begins a text behind another.
    #[inline]
    pub(super) const fn behind(text: Vec<u8>) -> Self {
        Self { text, value: None }
    }

    /// Begins a text that will be written at once.
    pub(super) fn with_room() -> Self {
        Self::behind(Vec::with_capacity(FIRST_ROOM))
    }

    pub(super) fn to_value() -> Self {
        Self {
            text: Vec::new(),
            value: Some(Box::new(ToValue::new())),
        }
    }

    #[inline]
    pub(super) const fn is_text(&self) -> bool {
        self.value.is_none()
    }

    /// The text that was written.
    #[inline]
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self.value {
            None => self.text,
            Some(value) => crate::to_vec(&value.into_value()),
        }
    }

    pub(super) fn into_value(self) -> Value {
        self.value.map_or(Value::Nil, |value| value.into_value())
    }

    /// Writes what stands between two forms.
    #[inline]
    pub(super) fn blank(&mut self) {
        if self.is_text() {
            self.text.push(b' ');
        }
    }

    /// Writes what stands between two entries of a map.
    #[inline]
    pub(super) fn comma(&mut self) {
        if self.is_text() {
            self.text.extend_from_slice(b", ");
        }
    }

    pub(super) fn atom(&mut self, value: Value) {
        match &mut self.value {
            None => write(&value, &mut self.text),
            Some(out) => out.place(value),
        }
    }

    pub(super) fn nil(&mut self) {
        match &mut self.value {
            None => self.text.extend_from_slice(b"nil"),
            Some(out) => out.place(Value::Nil),
        }
    }

    #[inline]
    pub(super) fn bool(&mut self, value: bool) {
        match &mut self.value {
            None if value => self.text.extend_from_slice(b"true"),
            None => self.text.extend_from_slice(b"false"),
            Some(out) => out.place(Value::Bool(value)),
        }
    }

    #[inline]
    pub(super) fn int(&mut self, value: i64) {
        match &mut self.value {
            None => integer(value, &mut self.text),
            Some(out) => out.place(Value::Int(value)),
        }
    }

    pub(super) fn float(&mut self, value: f64) {
        match &mut self.value {
            None => {
                let Ok(()) = write::atom::float(value, &mut self.text);
            }
            Some(out) => out.place(Value::Float(value)),
        }
    }

    pub(super) fn char(&mut self, value: char) {
        match &mut self.value {
            None => {
                let Ok(()) = write::atom::character(value, &mut self.text);
            }
            Some(out) => out.place(Value::Char(value)),
        }
    }

    /// An atom that takes no memory.
    #[inline]
    pub(super) fn small(&mut self, value: Value) {
        match &mut self.value {
            None => {
                let Ok(()) = write::atom::atom(&value, &mut self.text);
            }
            Some(out) => out.place(value),
        }
    }

    /// An instant, and its text if that is as usual.
    pub(super) fn inst(&mut self, value: Inst, text: &str) {
        if self.is_text() && text.len() == Inst::TEXT_LENGTH {
            self.text.extend_from_slice(b"#inst \"");
            self.text.extend_from_slice(text.as_bytes());
            self.text.push(b'"');
        } else {
            self.small(Value::Inst(value));
        }
    }

    /// Writes a keyword, if it needs no closer look; whether it did.
    pub(super) fn plain_keyword(&mut self, name: &str) -> bool {
        if !lex::is_plain_name(name.as_bytes()) {
            return false;
        }
        match &mut self.value {
            None => {
                self.text.reserve(name.len().saturating_add(3));
                self.text.push(b':');
                self.text.extend_from_slice(name.as_bytes());
            }
            Some(out) => out.place(Value::Keyword(Keyword::from_valid(name))),
        }
        true
    }

    /// Writes the name of a field as the key of a map, with what is before and behind it, if it is
    /// short and needs no closer look; whether it did. Only of a text.
    // What is known of a name when compiling is all that is asked here: nothing is left but to write.
    #[inline(always)]
    pub(super) fn short_key(&mut self, name: &'static str, is_first: bool) -> bool {
        let Some(short) = Short::of(name.as_bytes()) else {
            return false;
        };
        if name.len() > Short::MOST_OF_KEY || !short.is_name() {
            return false;
        }
        let key = short.then(b' ');
        if is_first {
            key.write(u32::from_le_bytes(*b"{:\0\0"), 2, &mut self.text);
        } else {
            key.write(u32::from_le_bytes(*b", :\0"), 3, &mut self.text);
        }
        true
    }

    #[inline]
    pub(super) fn string(&mut self, text: &str) {
        match &mut self.value {
            None => string(text, &mut self.text),
            Some(out) => out.place(Value::from(text)),
        }
    }

    /// A form that is a text already.
    pub(super) fn raw(&mut self, text: &str) -> Result<(), Error> {
        let is_line = memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none();
        if self.is_text() && is_line {
            self.text.extend_from_slice(text.as_bytes());
        } else {
            let limits = Limits::unlimited().max_depth(Limits::DEFAULT_MAX_DEPTH);
            self.atom(crate::from_slice_with(text.as_bytes(), &limits)?);
        }
        Ok(())
    }

    pub(super) fn tag(&mut self, tag: Symbol) {
        match &mut self.value {
            None => {
                self.text.push(b'#');
                self.text.extend_from_slice(tag.as_str().as_bytes());
                self.text.push(b' ');
            }
            Some(out) => out.open.push((Open::Tag(tag), Vec::new())),
        }
    }

    pub(super) fn end_tag(&mut self) -> Result<(), Error> {
        match &mut self.value {
            None => Ok(()),
            Some(out) => out.close(),
        }
    }

    #[inline]
    pub(super) fn open(&mut self, bracket: Bracket) {
        match &mut self.value {
            None => match bracket {
                Bracket::List => self.text.push(b'('),
                Bracket::Vector => self.text.push(b'['),
                Bracket::Set => self.text.extend_from_slice(b"#{"),
                Bracket::Map => self.text.push(b'{'),
            },
            Some(out) => out.open.push((Open::Bracket(bracket), Vec::new())),
        }
    }

    #[inline]
    pub(super) fn close(&mut self, bracket: Bracket) -> Result<(), Error> {
        match &mut self.value {
            None => {
                self.text.push(match bracket {
                    Bracket::List => b')',
                    Bracket::Vector => b']',
                    Bracket::Set | Bracket::Map => b'}',
                });
                Ok(())
            }
            Some(out) => out.close(),
        }
    }

    #[inline]
    pub(super) fn mark(&self) -> usize {
        match &self.value {
            None => self.text.len(),
            Some(out) => out.open.len().saturating_sub(1),
        }
    }

    /// The key that was written since.
    #[inline]
    pub(super) fn key_since(&self, start: usize) -> Mark {
        match &self.value {
            None => Mark {
                start,
                end: self.text.len(),
            },
            Some(out) => {
                let items = out.open.get(start).map_or(0, |(_, items)| items.len());
                Mark {
                    start,
                    end: items.saturating_sub(1),
                }
            }
        }
    }

    #[cold]
    pub(super) fn show(&self, mark: Mark) -> String {
        match &self.value {
            None => {
                let key = self.text.get(mark.start..mark.end).unwrap_or_default();
                String::from(String::from_utf8_lossy(key))
            }
            Some(out) => {
                let items = out.open.get(mark.start).map(|(_, items)| items);
                let key = items.and_then(|items| items.get(mark.end));
                key.map_or_else(|| String::from("?"), ToString::to_string)
            }
        }
    }
}

/// Writes an integer.
#[inline(never)]
fn integer(value: i64, out: &mut Vec<u8>) {
    match u64::try_from(value) {
        Ok(value) if value < short::TOO_LONG => short::digits(value).write(0, 0, out),
        _ => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// Writes a string in quotes.
#[inline(never)]
fn string(text: &str, out: &mut Vec<u8>) {
    let Some(short) = Short::of(text.as_bytes()) else {
        return match text.as_bytes().last_chunk() {
            Some(last) => longer_string(text, last, out),
            None => quoted(text, out),
        };
    };
    if short.is_plain() {
        short.then(b'"').write(u32::from(b'"'), 1, out);
    } else {
        quoted(text, out);
    }
}

/// The same of one that has at least 16 bytes, whose last ones are known, most likely without one that
/// is escaped.
fn longer_string(text: &str, last: &[u8; 16], out: &mut Vec<u8>) {
    let start = out.len();
    // Its quotes, and what is written beyond the last and cut.
    out.reserve(text.len().saturating_add(18));
    out.push(b'"');
    let (blocks, rest) = text.as_bytes().as_chunks::<16>();
    for block in blocks {
        if !short::is_plain_block(block) {
            out.truncate(start);
            return quoted(text, out);
        }
        out.extend_from_slice(block);
    }
    if !short::is_plain_block(last) {
        out.truncate(start);
        return quoted(text, out);
    }
    // What is left of it, with the quote behind.
    short::end_of(last, rest.len()).then(b'"').write(0, 0, out);
}

#[inline(never)]
fn quoted(text: &str, out: &mut Vec<u8>) {
    // Its quotes, and an escape or two.
    out.reserve(text.len().saturating_add(4));
    out.push(b'"');
    let Ok(()) = write::atom::in_quotes(text, out);
    out.push(b'"');
}

/// A few short steps of growing are worth skipping.
const FIRST_ROOM: usize = 256;

enum Open {
    Bracket(Bracket),
    Tag(Symbol),
}

struct ToValue {
    root: Option<Value>,
    open: Vec<(Open, Vec<Value>)>,
}

impl ToValue {
    const fn new() -> Self {
        Self {
            root: None,
            open: Vec::new(),
        }
    }

    fn into_value(self) -> Value {
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
