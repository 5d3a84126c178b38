//! Values of `Edn`.

use alloc::collections::{btree_map, btree_set};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::slice;

use ::edn_rs::Edn;

use super::error::{Error, ErrorKind, excerpt};
use super::{MAX_DEPTH, form, key};
use crate::collection::{List, Vector};
use crate::fingerprint::{self, Group};
use crate::inst::Inst;
use crate::map::Map;
use crate::name::{Keyword, Symbol};
use crate::repeats;
use crate::set::Set;
use crate::tagged::Tagged;
use crate::uuid::Uuid;
use crate::value::Value;
use crate::write;

pub(super) fn value(root: &Edn) -> Result<Value, Error> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = Some(root);
    let mut made = None;
    loop {
        if let Some(edn) = next.take() {
            match begin(edn).map_err(|kind| at(kind, &open))? {
                Begun::Atom(value) => made = Some((fingerprint::atom(&value), value)),
                Begun::Open(_) if open.len() >= MAX_DEPTH => {
                    return Err(at(ErrorKind::TooDeep, &open));
                }
                Begun::Open(parent) => open.push(parent),
            }
        }
        let Some(top) = open.last_mut() else {
            // Every `Edn` has made something when it gets here.
            return Ok(made.map(|(_, value)| value).unwrap_or_default());
        };
        if let Some((fingerprint, child)) = made.take() {
            top.put(child, fingerprint);
        }
        match top.next() {
            Err(kind) => return Err(at(kind, &open)),
            Ok(Some(child)) => next = Some(child),
            Ok(None) => {
                if let Err(kind) = top.check() {
                    // The path is that of the collection.
                    open.pop();
                    return Err(at(kind, &open));
                }
                made = open.pop().map(Open::close);
            }
        }
    }
}

enum Begun<'e> {
    Atom(Value),
    Open(Open<'e>),
}

/// A collection whose children are being converted.
struct Open<'e> {
    kind: Kind,
    rest: Children<'e>,
    /// Items, or keys and values in turn.
    done: Vec<Value>,
    /// Of a set's elements or a map's keys: where they are, and a number that equal ones share.
    marks: Vec<(u64, usize)>,
    group: Group,
    /// How many were put, for the fingerprint.
    count: u32,
    /// How many children were begun, keys not counted.
    begun: usize,
    /// The text of the key whose value is being converted.
    key: &'e str,
}

enum Kind {
    List,
    Vector,
    Set,
    Map,
    Tagged(Symbol),
}

enum Children<'e> {
    Slice(slice::Iter<'e, Edn>),
    Set(btree_set::Iter<'e, Edn>),
    Map(btree_map::Iter<'e, String, Edn>),
}

impl<'e> Open<'e> {
    fn new(kind: Kind, rest: Children<'e>) -> Self {
        let group = match &kind {
            Kind::List | Kind::Vector => Group::sequence(),
            Kind::Set => Group::set(),
            Kind::Map => Group::map(),
            Kind::Tagged(tag) => Group::tagged(tag.as_str()),
        };
        Self {
            kind,
            rest,
            done: Vec::new(),
            marks: Vec::new(),
            group,
            count: 0,
            begun: 0,
            key: "",
        }
    }

    /// The next child to convert; a key is dealt with here.
    fn next(&mut self) -> Result<Option<&'e Edn>, ErrorKind> {
        let child = match &mut self.rest {
            Children::Slice(rest) => rest.next(),
            Children::Set(rest) => rest.next(),
            Children::Map(rest) => match rest.next() {
                None => None,
                Some((text, child)) => {
                    // A key that is wrong itself is named by the error.
                    self.key = "";
                    let key = key(text).ok_or_else(|| not_edn("a key", text))?;
                    self.key = text;
                    let fingerprint = fingerprint::of(&key);
                    self.put(key, fingerprint);
                    Some(child)
                }
            },
        };
        self.begun = self.begun.saturating_add(usize::from(child.is_some()));
        Ok(child)
    }

    fn put(&mut self, child: Value, fingerprint: u64) {
        let index = self.done.len();
        match self.kind {
            Kind::Set => {
                self.group.push_element(fingerprint);
                self.marks.push((fingerprint, index));
            }
            Kind::Map => {
                self.group.push_entry(self.count, fingerprint);
                if index.is_multiple_of(2) {
                    self.marks.push((fingerprint, index));
                }
            }
            _ => self.group.push_item(fingerprint),
        }
        self.count = self.count.wrapping_add(1);
        self.done.push(child);
    }

    /// Whether two elements or keys are equal.
    fn check(&mut self) -> Result<(), ErrorKind> {
        self.marks.sort_unstable();
        // Hardly ever are there two of one number and they are not equal.
        let suspects = self.marks.chunk_by(|(a, _), (b, _)| a == b);
        for suspects in suspects.filter(|suspects| suspects.len() > 1) {
            let suspect = |(_, at): &(u64, usize)| self.done.get(*at).unwrap_or(&Value::Nil);
            let suspects: Vec<&Value> = suspects.iter().map(suspect).collect();
            let firsts = repeats::firsts(&suspects);
            let mut repeats = suspects.iter().zip(firsts).enumerate();
            if let Some((_, (suspect, _))) = repeats.find(|(at, (_, first))| at != first) {
                return Err(ErrorKind::Repeated(excerpt(write::to_string(suspect))));
            }
        }
        Ok(())
    }

    /// The finished value after its fingerprint.
    fn close(mut self) -> (u64, Value) {
        let fingerprint = self.group.finish(self.count);
        let value = match self.kind {
            Kind::List => Value::List(List::from(self.done)),
            Kind::Vector => Value::Vector(Vector::from(self.done)),
            Kind::Set => Value::Set(Set::from_distinct(self.done)),
            Kind::Map => Value::Map(Map::from_distinct(self.done)),
            Kind::Tagged(tag) => {
                let inner = self.done.pop().unwrap_or_default();
                Value::Tagged(Tagged::from_valid(tag, inner))
            }
        };
        (fingerprint, value)
    }

    /// The step of a path that leads to the child being converted.
    fn step(&self) -> Option<String> {
        match self.kind {
            Kind::Tagged(_) => None,
            Kind::Map => Some(self.key.to_string()).filter(|key| !key.is_empty()),
            _ => self.begun.checked_sub(1).map(|index| index.to_string()),
        }
    }
}

fn at(kind: ErrorKind, open: &[Open<'_>]) -> Error {
    Error::new(kind, open.iter().filter_map(Open::step).collect())
}

fn begin(edn: &Edn) -> Result<Begun<'_>, ErrorKind> {
    let empty = || [].iter();
    let items = || Children::Slice(edn.iter_some().unwrap_or_else(empty));
    Ok(Begun::Atom(match edn {
        Edn::Vector(_) => return Ok(Begun::Open(Open::new(Kind::Vector, items()))),
        Edn::List(_) => return Ok(Begun::Open(Open::new(Kind::List, items()))),
        Edn::Set(_) => {
            let rest = edn.set_iter().map_or_else(items, Children::Set);
            return Ok(Begun::Open(Open::new(Kind::Set, rest)));
        }
        Edn::Map(_) => {
            let rest = edn.map_iter().map_or_else(items, Children::Map);
            return Ok(Begun::Open(Open::new(Kind::Map, rest)));
        }
        Edn::Tagged(tag, inner) => match (tag.as_str(), &**inner) {
            ("inst", Edn::Str(text)) => {
                Value::Inst(Inst::parse(text).map_err(|_| not_edn("an `#inst`", text))?)
            }
            ("uuid", Edn::Str(text)) => {
                Value::Uuid(Uuid::parse(text).map_err(|_| not_edn("a `#uuid`", text))?)
            }
            (tag, inner) => {
                let kind = Kind::Tagged(tag_of(tag).ok_or_else(|| not_edn("a tag", tag))?);
                let rest = Children::Slice(slice::from_ref(inner).iter());
                return Ok(Begun::Open(Open::new(kind, rest)));
            }
        },
        Edn::Key(text) => keyword(text).ok_or_else(|| not_edn("a keyword", text))?,
        Edn::Symbol(text) => symbol(text).ok_or_else(|| not_edn("a symbol", text))?,
        Edn::Str(text) => Value::String(text.clone()),
        Edn::Int(value) => Value::Int(*value),
        Edn::UInt(value) => Value::from(*value),
        Edn::Double(_) => Value::Float(edn.to_float().unwrap_or_default()),
        Edn::Rational(text) => ratio(text).ok_or_else(|| not_edn("a ratio", text))?,
        Edn::Char(value) => Value::Char(*value),
        Edn::Bool(value) => Value::Bool(*value),
        Edn::Nil => Value::Nil,
        Edn::Empty => return Err(ErrorKind::Empty),
        // edn-rs may get more of them.
        _ => return Err(not_edn("a form", "?")),
    }))
}

fn keyword(text: &str) -> Option<Value> {
    let plain = text
        .strip_prefix(':')
        .and_then(|name| Keyword::new(name).ok());
    // What only the wider reader takes was a keyword of ours, too.
    plain.map(Value::Keyword).or_else(|| match form(text)? {
        Value::Keyword(wide) if wide.to_string() == text => Some(Value::Keyword(wide)),
        _ => None,
    })
}

fn symbol(text: &str) -> Option<Value> {
    let plain = Symbol::new(text).ok().map(Value::Symbol);
    plain.or_else(|| match form(text)? {
        Value::Symbol(wide) if wide.as_str() == text => Some(Value::Symbol(wide)),
        _ => None,
    })
}

/// A tag the reader would take.
fn tag_of(text: &str) -> Option<Symbol> {
    let Value::Symbol(tag) = symbol(text)? else {
        return None;
    };
    Tagged::new(tag.clone(), Value::Nil).ok().map(|_| tag)
}

fn ratio(text: &str) -> Option<Value> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'/' | b'-' | b'+');
    let looks_right = text.contains('/') && text.bytes().all(is_plain);
    match looks_right.then(|| form(text))?? {
        number @ (Value::Ratio(_) | Value::Int(_) | Value::BigInt(_)) => Some(number),
        _ => None,
    }
}

fn not_edn(what: &'static str, text: &str) -> ErrorKind {
    ErrorKind::NotEdn(what, excerpt(text.to_string()))
}
