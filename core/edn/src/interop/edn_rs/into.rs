//! Values as `Edn`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::slice;

use ::edn_rs::{Edn, List, Map, Set, Vector};

use super::error::{Error, ErrorKind, excerpt};
use super::{MAX_DEPTH, key};
use crate::deep::{children, is_atom};
use crate::integer::BigInt;
use crate::value::Value;
use crate::write;

pub(super) fn edn(root: &Value) -> Result<Edn, Error> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = Some(root);
    let mut made = None;
    loop {
        if let Some(value) = next.take() {
            if is_atom(value) {
                made = Some(atom(value).map_err(|kind| at(kind, &open))?);
            } else if open.len() < MAX_DEPTH {
                open.push(Open::new(value));
            } else {
                return Err(at(ErrorKind::TooDeep, &open));
            }
        }
        let Some(top) = open.last_mut() else {
            // Every value has made something when it gets here.
            return Ok(made.unwrap_or(Edn::Nil));
        };
        let step = made.take().map_or(Ok(()), |child| top.put(child));
        match step.and_then(|()| top.next()) {
            Err(kind) => return Err(at(kind, &open)),
            Ok(Some(child)) => next = Some(child),
            Ok(None) => made = open.pop().map(Open::close),
        }
    }
}

/// A collection whose children are being converted.
struct Open<'v> {
    value: &'v Value,
    rest: slice::Iter<'v, Value>,
    done: Done,
    /// How many children were begun, keys not counted.
    begun: usize,
    /// The text of the key whose value is being converted.
    key: String,
}

enum Done {
    Items(Vec<Edn>),
    Elements(BTreeSet<Edn>),
    Entries(BTreeMap<String, Edn>),
}

impl<'v> Open<'v> {
    fn new(value: &'v Value) -> Self {
        let items = children(value);
        Self {
            value,
            rest: items.iter(),
            done: match value {
                Value::Map(_) => Done::Entries(BTreeMap::new()),
                Value::Set(_) => Done::Elements(BTreeSet::new()),
                _ => Done::Items(Vec::with_capacity(items.len())),
            },
            begun: 0,
            key: String::new(),
        }
    }

    /// The next child to convert; a key is dealt with here.
    fn next(&mut self) -> Result<Option<&'v Value>, ErrorKind> {
        let Some(mut child) = self.rest.next() else {
            return Ok(None);
        };
        if let Value::Map(_) = self.value {
            // A key that is wrong itself is named by the error.
            self.key.clear();
            self.key = key_text(child)?;
            child = self.rest.next().unwrap_or(&Value::Nil);
        }
        self.begun = self.begun.saturating_add(1);
        Ok(Some(child))
    }

    fn put(&mut self, child: Edn) -> Result<(), ErrorKind> {
        match &mut self.done {
            Done::Items(items) => items.push(child),
            Done::Elements(elements) => {
                if !elements.insert(child) {
                    // To edn-rs two zeros are the same.
                    let element = self
                        .begun
                        .checked_sub(1)
                        .and_then(|at| children(self.value).get(at));
                    let text = element.map(write::to_string).unwrap_or_default();
                    // The path is that of the set.
                    self.begun = 0;
                    return Err(ErrorKind::Repeated(excerpt(text)));
                }
            }
            Done::Entries(entries) => {
                let key = core::mem::take(&mut self.key);
                if entries.contains_key(&key) {
                    return Err(ErrorKind::Repeated(excerpt(key)));
                }
                entries.insert(key, child);
            }
        }
        Ok(())
    }

    fn close(self) -> Edn {
        match (self.done, self.value) {
            (Done::Elements(elements), _) => Edn::Set(Set::new(elements)),
            (Done::Entries(entries), _) => Edn::Map(Map::new(entries)),
            (Done::Items(items), Value::List(_)) => Edn::List(List::new(items)),
            (Done::Items(mut items), Value::Tagged(tagged)) => Edn::Tagged(
                tagged.tag().to_string(),
                Box::new(items.pop().unwrap_or(Edn::Nil)),
            ),
            (Done::Items(items), _) => Edn::Vector(Vector::new(items)),
        }
    }

    /// The step of a path that leads to the child being converted.
    fn step(&self) -> Option<String> {
        match self.value {
            Value::Tagged(_) => None,
            Value::Map(_) => Some(self.key.clone()).filter(|key| !key.is_empty()),
            _ => self.begun.checked_sub(1).map(|index| index.to_string()),
        }
    }
}

fn at(kind: ErrorKind, open: &[Open<'_>]) -> Error {
    Error::new(kind, open.iter().filter_map(Open::step).collect())
}

/// The text of a key that can be had again.
fn key_text(value: &Value) -> Result<String, ErrorKind> {
    let text = write::to_string(value);
    let survives = match value {
        Value::String(_) | Value::Keyword(_) | Value::Symbol(_) | Value::Int(_) => true,
        other => key(&text).is_some_and(|again| again.identical(other)),
    };
    if survives {
        Ok(text)
    } else {
        Err(ErrorKind::NoForm(excerpt(text)))
    }
}

fn atom(value: &Value) -> Result<Edn, ErrorKind> {
    Ok(match value {
        Value::Nil => Edn::Nil,
        Value::Bool(value) => Edn::Bool(*value),
        Value::Int(value) => u64::try_from(*value).map_or(Edn::Int(*value), Edn::UInt),
        Value::BigInt(value) => match unsigned(value) {
            Some(value) => Edn::UInt(value),
            None => return Err(no_form(&Value::BigInt(value.clone()))),
        },
        Value::Float(value) => Edn::Double((*value).into()),
        Value::Ratio(value) => Edn::Rational(value.to_string()),
        Value::Char(value) => Edn::Char(*value),
        Value::String(value) => Edn::Str(value.clone()),
        Value::Keyword(value) => Edn::Key(value.to_string()),
        Value::Symbol(value) => Edn::Symbol(value.to_string()),
        Value::Inst(value) => tagged("inst", value),
        Value::Uuid(value) => tagged("uuid", value),
        other => return Err(no_form(other)),
    })
}

/// An integer that 64 bits hold without a sign only.
fn unsigned(value: &BigInt) -> Option<u64> {
    let text = value.as_str();
    let value = if text.len() <= 20 {
        text.parse().ok()?
    } else {
        return None;
    };
    i64::try_from(value).is_err().then_some(value)
}

fn tagged(tag: &str, text: &impl ToString) -> Edn {
    Edn::Tagged(tag.into(), Box::new(Edn::Str(text.to_string())))
}

fn no_form(value: &Value) -> ErrorKind {
    ErrorKind::NoForm(excerpt(write::to_string(value)))
}
