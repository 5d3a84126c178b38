//! Values as Transit text, with every string written out.

use alloc::format;
use alloc::string::String;
use alloc::vec::{self, Vec};
use core::slice;

use sente_edn::{Inst, MapIntoIter, MapIter, Value};

use super::decode;
use super::handlers::TransitHandlers;
use super::tagged::{Behind, Item};
use crate::packer::text::{Style as Escapes, write_body, write_f64, write_string};

/// Which of Transit's two texts is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Maps and tags in arrays, as machines like it.
    Compact,
    /// Maps and tags in objects, as people like it.
    Verbose,
}

/// The largest integer written as a number: beyond, JavaScript's have gaps.
const LARGEST_NUMBER: i64 = (1 << 53) - 1;
/// How deep what handlers give may hold what handlers give.
const MOST_HANDLED: u32 = 64;

/// Appends `value`; the error says what cannot be written.
pub(super) fn write(
    value: &Value,
    style: Style,
    handlers: &TransitHandlers,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let mut writer = Writer {
        style,
        handlers,
        out,
        open: Vec::new(),
    };
    writer.borrowed(value, false)?;
    while let Some(level) = writer.open.last_mut() {
        // Two ways, because a value that may be either takes its time to move about.
        if let Some(item) = level.source.next_borrowed() {
            let (separator, key) = level.step();
            writer.out.extend_from_slice(separator);
            writer.borrowed(item, key)?;
        } else if let Some(item) = level.source.next_owned() {
            let (separator, key) = level.step();
            writer.out.extend_from_slice(separator);
            writer.owned(item, key)?;
        } else {
            writer.out.extend_from_slice(level.close);
            writer.open.pop();
        }
    }
    Ok(())
}

/// Whether a value is written as a single string, number or word.
pub(super) fn is_scalar(packed: &[u8]) -> bool {
    !matches!(packed.first(), Some(b'[' | b'{'))
}

struct Writer<'v, 'o> {
    style: Style,
    handlers: &'v TransitHandlers,
    out: &'o mut Vec<u8>,
    open: Vec<Level<'v>>,
}

/// A collection that is being written.
struct Level<'v> {
    source: Source<'v>,
    layout: Layout,
    close: &'static [u8],
    /// Whether the next item is the first.
    first: bool,
    /// Whether the next item is a value, not a key.
    second: bool,
    /// In how many handlers' results it stands.
    handled: u32,
}

impl Level<'_> {
    /// What stands before the next item, and whether that is a key.
    fn step(&mut self) -> (&'static [u8], bool) {
        let separator: &[u8] = match (self.layout, self.second) {
            (Layout::Items, _) | (Layout::Object, false) if self.first => b"",
            (Layout::Object, true) => b":",
            _ => b",",
        };
        let key = self.layout != Layout::Items && !self.second;
        self.first = false;
        self.second = !self.second;
        (separator, key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Items with commas between.
    Items,
    /// Keys and values, each behind a comma.
    Entries,
    /// Keys and values in an object.
    Object,
}

/// What is still to be written of a collection.
enum Source<'v> {
    One(Option<Item<'v>>),
    Items(slice::Iter<'v, Value>),
    Entries(MapIter<'v>, Option<&'v Value>),
    OwnItems(vec::IntoIter<Value>),
    OwnEntries(MapIntoIter, Option<Value>),
}

impl<'v> Source<'v> {
    fn next_borrowed(&mut self) -> Option<&'v Value> {
        match self {
            Self::Items(items) => items.next(),
            Self::Entries(entries, value) => value.take().or_else(|| {
                let (key, behind) = entries.next()?;
                *value = Some(behind);
                Some(key)
            }),
            Self::One(item) => match item.take() {
                Some(Item::Ref(item)) => Some(item),
                other => {
                    *item = other;
                    None
                }
            },
            Self::OwnItems(_) | Self::OwnEntries(..) => None,
        }
    }

    fn next_owned(&mut self) -> Option<Value> {
        match self {
            Self::OwnItems(items) => items.next(),
            Self::OwnEntries(entries, value) => value.take().or_else(|| {
                let (key, behind) = entries.next()?;
                *value = Some(behind);
                Some(key)
            }),
            Self::One(item) => match item.take() {
                Some(Item::Own(item)) => Some(item),
                _ => None,
            },
            Self::Items(_) | Self::Entries(..) => None,
        }
    }
}

impl<'v> Writer<'v, '_> {
    /// Writes an atom, or what a collection begins with: its items are then the next.
    fn borrowed(&mut self, value: &'v Value, key: bool) -> Result<(), String> {
        match value {
            Value::Vector(items) => self.items(Source::Items(items.iter()), None),
            Value::List(items) => self.items(Source::Items(items.iter()), Some("list")),
            Value::Set(items) => self.items(Source::Items(items.iter()), Some("set")),
            Value::Map(map) => {
                let plain = self.has_plain_keys(map.keys())?;
                self.entries(Source::Entries(map.iter(), None), plain);
            }
            Value::Tagged(tagged) => {
                let behind = Behind::of(tagged, self.handlers)?;
                return self.tagged(behind, key);
            }
            atom => return self.atom(atom, key),
        }
        Ok(())
    }

    /// The same, of what a handler has given.
    fn owned(&mut self, value: Value, key: bool) -> Result<(), String> {
        match value {
            Value::Vector(items) => {
                self.items(Source::OwnItems(items.into_vec().into_iter()), None);
            }
            Value::List(items) => {
                self.items(Source::OwnItems(items.into_vec().into_iter()), Some("list"));
            }
            Value::Set(items) => self.items(Source::OwnItems(items.into_iter()), Some("set")),
            Value::Map(map) => {
                let plain = self.has_plain_keys(map.keys())?;
                self.entries(Source::OwnEntries(map.into_iter(), None), plain);
            }
            Value::Tagged(tagged) => {
                let behind = Behind::of_own(tagged, self.handlers)?;
                return self.tagged(behind, key);
            }
            atom => return self.atom(&atom, key),
        }
        Ok(())
    }

    /// Whether all keys can be written as strings.
    fn has_plain_keys<'k>(&self, keys: impl Iterator<Item = &'k Value>) -> Result<bool, String> {
        for key in keys {
            let plain = match key {
                Value::Ratio(_)
                | Value::List(_)
                | Value::Vector(_)
                | Value::Set(_)
                | Value::Map(_) => false,
                Value::Tagged(tagged) => Behind::of(tagged, self.handlers)?.scalar().is_some(),
                _ => true,
            };
            if !plain {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn push(&mut self, source: Source<'v>, layout: Layout, close: &'static [u8], handled: u32) {
        self.open.push(Level {
            source,
            layout,
            close,
            first: true,
            second: false,
            handled,
        });
    }

    /// In how many handlers' results the next item stands.
    fn handled(&self) -> u32 {
        self.open.last().map_or(0, |level| level.handled)
    }

    fn items(&mut self, source: Source<'v>, tag: Option<&str>) {
        let close: &[u8] = match tag {
            None => b"]",
            Some(tag) => {
                self.open_tag(tag);
                self.close_tagged(b"]]", b"]}")
            }
        };
        self.out.push(b'[');
        let handled = self.handled();
        self.push(source, Layout::Items, close, handled);
    }

    fn entries(&mut self, source: Source<'v>, plain: bool) {
        let handled = self.handled();
        if !plain {
            self.items(source, Some("cmap"));
            return;
        }
        match self.style {
            Style::Compact => {
                self.out.extend_from_slice(b"[\"^ \"");
                self.push(source, Layout::Entries, b"]", handled);
            }
            Style::Verbose => {
                self.out.push(b'{');
                self.push(source, Layout::Object, b"}", handled);
            }
        }
    }

    fn tagged(&mut self, behind: Behind<'v>, key: bool) -> Result<(), String> {
        let handled = self.handled().saturating_add(u32::from(behind.handled));
        if handled > MOST_HANDLED {
            return Err(format!(
                "what the handlers give nests more than {MOST_HANDLED} levels deep"
            ));
        }
        if let Some((tag, text)) = behind.scalar() {
            self.prefixed("~", &format!("{tag}{text}"));
            return Ok(());
        }
        if key {
            // The map was found to have plain keys only.
            return Err(String::from("a handler gives one key two forms"));
        }
        let Some(tag) = behind.tag else {
            return match behind.rep {
                Item::Own(rep) => self.owned(rep, false),
                Item::Ref(rep) => self.borrowed(rep, false),
            };
        };
        self.open_tag(&tag);
        let close = self.close_tagged(b"]", b"}");
        self.push(Source::One(Some(behind.rep)), Layout::Items, close, handled);
        Ok(())
    }

    /// Up to what stands behind the tag.
    fn open_tag(&mut self, tag: &str) {
        self.out.push(match self.style {
            Style::Compact => b'[',
            Style::Verbose => b'{',
        });
        self.prefixed("~#", tag);
        self.out.push(match self.style {
            Style::Compact => b',',
            Style::Verbose => b':',
        });
    }

    const fn close_tagged(&self, compact: &'static [u8], verbose: &'static [u8]) -> &'static [u8] {
        match self.style {
            Style::Compact => compact,
            Style::Verbose => verbose,
        }
    }

    /// Writes a string that begins with a prefix in which nothing needs JSON's escapes.
    fn prefixed(&mut self, prefix: &str, text: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        write_body(text, Escapes::Jackson, self.out);
        self.out.push(b'"');
    }

    fn atom(&mut self, atom: &Value, key: bool) -> Result<(), String> {
        match atom {
            Value::Nil if key => self.prefixed("~_", ""),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(value) if key => self.prefixed(if *value { "~?t" } else { "~?f" }, ""),
            Value::Bool(value) => {
                let word: &[u8] = if *value { b"true" } else { b"false" };
                self.out.extend_from_slice(word);
            }
            Value::Int(value) if key || value.saturating_abs() > LARGEST_NUMBER => {
                self.out.extend_from_slice(b"\"~i");
                sente_edn::write(atom, self.out);
                self.out.push(b'"');
            }
            Value::Int(_) => sente_edn::write(atom, self.out),
            Value::BigInt(value) => self.prefixed("~n", value.as_str()),
            Value::Float(value) if !value.is_finite() => {
                let name = if value.is_nan() {
                    "NaN"
                } else if value.is_sign_positive() {
                    "INF"
                } else {
                    "-INF"
                };
                self.prefixed("~z", name);
            }
            Value::Float(value) => {
                if key {
                    self.out.extend_from_slice(b"\"~d");
                }
                // It is finite.
                let _ = write_f64(*value, self.out);
                if key {
                    self.out.push(b'"');
                }
            }
            Value::Decimal(value) => self.prefixed("~f", &format!("{value}")),
            Value::Ratio(ratio) => {
                self.open_tag("ratio");
                self.out.push(b'[');
                self.prefixed("~n", ratio.numerator().as_str());
                self.out.push(b',');
                self.prefixed("~n", ratio.denominator().as_str());
                let close = self.close_tagged(b"]]", b"]}");
                self.out.extend_from_slice(close);
            }
            // Clojure's characters have 16 bits. EDN writes one beyond them as a string, too.
            Value::Char(value) if value.len_utf16() > 1 => {
                write_string(value.encode_utf8(&mut [0; 4]), Escapes::Jackson, self.out);
            }
            Value::Char(value) => self.prefixed("~c", value.encode_utf8(&mut [0; 4])),
            Value::String(text) => {
                let escape = text.starts_with(['~', '^', '`']);
                self.prefixed(if escape { "~" } else { "" }, text);
            }
            Value::Keyword(name) => self.prefixed("~:", name.as_str()),
            Value::Symbol(name) => self.prefixed("~$", name.as_str()),
            Value::Inst(inst) => self.inst(*inst),
            Value::Uuid(uuid) => self.prefixed("~u", &format!("{uuid}")),
            other => return Err(format!("{other} is of a kind that is not known here")),
        }
        Ok(())
    }

    fn inst(&mut self, inst: Inst) {
        let date = match self.style {
            Style::Compact => None,
            Style::Verbose => decode::to_rfc3339(inst),
        };
        match date {
            Some(date) => self.prefixed("~t", &date),
            None => self.prefixed("~m", &format!("{}", inst.as_millis())),
        }
    }
}
