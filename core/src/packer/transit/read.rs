//! Values made of packed ones.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use sente_edn::{BigInt, Map, Set, Value};

use super::decode;
use super::forms::{Atom, Forms, Kind, Step};
use super::handlers::TransitHandlers;
use crate::limits::Limits;
use crate::packer::UnpackError;

/// The first value in `packed`.
pub(super) fn read(
    packed: &[u8],
    handlers: &TransitHandlers,
    limits: &Limits,
) -> Result<Value, UnpackError> {
    let mut forms = Forms::new(packed, limits);
    let mut open: Vec<Open<'_>> = Vec::new();
    loop {
        let step = forms.next()?;
        let start = forms.start();
        let done = match step {
            Step::Open(kind) => {
                open.push(Open {
                    kind,
                    tag: forms.take_tag(),
                    start,
                    items: Vec::new(),
                });
                continue;
            }
            Step::Atom => {
                value(forms.take_atom(), handlers).map_err(|message| error(start, message))?
            }
            Step::Close => match open.pop() {
                Some(done) => {
                    let start = done.start;
                    done.collect(handlers)
                        .map_err(|message| error(start, message))?
                }
                None => Value::Nil,
            },
            Step::End => return Err(error(packed.len(), String::from("there is no value"))),
        };
        match open.last_mut() {
            Some(outer) => outer.items.push(done),
            None => return Ok(done),
        }
    }
}

/// A collection that is being read.
struct Open<'a> {
    kind: Kind,
    /// The tag before a tagged value.
    tag: Cow<'a, str>,
    start: usize,
    items: Vec<Value>,
}

impl Open<'_> {
    /// The collection of its items. Of equal keys the last entry counts, as in the real readers.
    fn collect(self, handlers: &TransitHandlers) -> Result<Value, String> {
        let mut items = self.items;
        Ok(match self.kind {
            Kind::Vector => Value::Vector(items.into()),
            Kind::List => Value::List(items.into()),
            Kind::Set => Value::Set(items.into_iter().collect::<Set>()),
            Kind::Map => {
                let mut items = items.into_iter();
                let entries = core::iter::from_fn(|| Some((items.next()?, items.next()?)));
                Value::Map(entries.collect::<Map>())
            }
            Kind::Tagged => decode::tagged(&self.tag, items.pop().unwrap_or_default(), handlers)?,
        })
    }
}

fn error(offset: usize, message: String) -> UnpackError {
    UnpackError::Other { offset, message }
}

fn value(atom: Atom<'_>, handlers: &TransitHandlers) -> Result<Value, String> {
    Ok(match atom {
        Atom::Nil => Value::Nil,
        Atom::Bool(value) => Value::Bool(value),
        Atom::Number(number) if !number.is_integer() => Value::Float(number.to_f64()),
        Atom::Number(number) => match number.to_i64() {
            Some(value) => Value::Int(value),
            None => BigInt::new(number.text())
                .map(Value::BigInt)
                .map_err(|error| alloc::format!("{error}"))?,
        },
        Atom::String(text) => Value::String(text.into_owned()),
        Atom::Scalar(tag, text) => decode::scalar(tag, text, handlers)?,
        Atom::Value(value) => value,
    })
}
