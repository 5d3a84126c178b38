//! What is written, one form at a time: a text on one line, or a [`Value`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::mem;

use super::error::Error;
use crate::collection::{List, Vector};
use crate::limits::Limits;
use crate::map::Map;
use crate::name::Symbol;
use crate::set::Set;
use crate::value::Value;

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
    pub(super) fn atom(&mut self, value: Value) -> Result<(), Error> {
        match self {
            Self::Text(out) => {
                out.separate();
                let _ = crate::write_fmt(&value, &mut out.text);
            }
            Self::Value(out) => out.place(value),
        }
        Ok(())
    }

    pub(super) fn int(&mut self, value: i64) {
        match self {
            Self::Text(out) => {
                out.separate();
                out.text.push_str(itoa::Buffer::new().format(value));
            }
            Self::Value(out) => out.place(Value::Int(value)),
        }
    }

    /// Writes a keyword into a text, if it needs no closer look; whether it did.
    pub(super) fn plain_keyword(&mut self, name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_plain = |part: &str| {
            part.bytes().all(plain) && part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        };
        let Self::Text(out) = self else { return false };
        let fits = match name.split_once('/') {
            Some((namespace, name)) => is_plain(namespace) && is_plain(name),
            None => is_plain(name),
        };
        if fits {
            out.separate();
            out.text.push(':');
            out.text.push_str(name);
        }
        fits
    }

    pub(super) fn text(&mut self, text: &str) {
        match self {
            Self::Text(out) => {
                out.separate();
                write_str(text, &mut out.text);
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
                out.text.push_str(text);
                Ok(())
            }
            _ => {
                let limits = Limits::unlimited().max_depth(Limits::DEFAULT_MAX_DEPTH);
                self.atom(crate::from_slice_with(text.as_bytes(), &limits)?)
            }
        }
    }

    pub(super) fn tag(&mut self, tag: Symbol) {
        match self {
            Self::Text(out) => {
                out.separate();
                let _ = write!(out.text, "#{} ", tag.as_str());
                out.glued = true;
            }
            Self::Value(out) => out.open.push((Open::Tag(tag), Vec::new())),
        }
    }

    pub(super) fn end_tag(&mut self) -> Result<(), Error> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Value(out) => out.close(),
        }
    }

    pub(super) fn open(&mut self, bracket: Bracket) {
        match self {
            Self::Text(out) => {
                out.separate();
                out.text.push_str(match bracket {
                    Bracket::List => "(",
                    Bracket::Vector => "[",
                    Bracket::Set => "#{",
                    Bracket::Map => "{",
                });
                out.open.push((bracket, 0));
            }
            Self::Value(out) => out.open.push((Open::Bracket(bracket), Vec::new())),
        }
    }

    pub(super) fn close(&mut self) -> Result<(), Error> {
        match self {
            Self::Text(out) => {
                out.text.push_str(match out.open.pop() {
                    Some((Bracket::List, _)) => ")",
                    Some((Bracket::Vector, _)) => "]",
                    Some((Bracket::Set | Bracket::Map, _)) => "}",
                    None => "",
                });
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
                String::from(key.trim_start_matches([',', ' ']))
            }
            Self::Value(out) => {
                let items = out.open.get(mark.start).map(|(_, items)| items);
                let key = items.and_then(|items| items.get(mark.end));
                key.map_or_else(|| String::from("?"), ToString::to_string)
            }
        }
    }
}

/// Writes a string as the writer does.
fn write_str(text: &str, out: &mut String) {
    // Without a way out of the loop it can look at many bytes at a time.
    let is_plain = text.bytes().fold(true, |plain, byte| {
        plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\') & (byte != 0x7f)
    });
    if is_plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        let _ = crate::write_fmt(&Value::from(text), out);
    }
}

pub(super) struct ToText {
    text: String,
    open: Vec<(Bracket, usize)>,
    /// Whether a tag was written that belongs to the form that follows.
    glued: bool,
}

impl ToText {
    pub(super) const fn new() -> Self {
        Self {
            text: String::new(),
            open: Vec::new(),
            glued: false,
        }
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        if mem::take(&mut self.glued) {
            return;
        }
        let Some((bracket, count)) = self.open.last_mut() else {
            return;
        };
        if *count > 0 {
            let ends_entry = *bracket == Bracket::Map && count.is_multiple_of(2);
            self.text.push_str(if ends_entry { ", " } else { " " });
        }
        *count = count.saturating_add(1);
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
                let set: Set = items.into_iter().collect();
                if set.len() < count {
                    return Err(Error::new("two elements of a set are equal in EDN"));
                }
                Value::Set(set)
            }
            Open::Bracket(Bracket::Map) => {
                let mut map = Map::new();
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    if map.insert(key, value).is_some() {
                        return Err(Error::new("two keys of a map are equal in EDN"));
                    }
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
