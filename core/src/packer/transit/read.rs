//! Values made of packed ones.

use alloc::string::String;
use alloc::vec::Vec;

use sente_edn::{BigInt, Map, Set, Value};

use super::decode;
use super::forms::{Atom, Form, Forms, Kind};
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
    let mut open: Vec<(Kind<'_>, Vec<Value>, usize)> = Vec::new();
    loop {
        let form = forms.next()?;
        let start = forms.start();
        let done = match form {
            Some(Form::Open(kind)) => {
                open.push((kind, Vec::new(), start));
                continue;
            }
            Some(Form::Atom(atom)) => {
                value(atom, handlers).map_err(|message| error(start, message))?
            }
            Some(Form::Close) => match open.pop() {
                Some((kind, items, start)) => {
                    collect(kind, items, handlers).map_err(|message| error(start, message))?
                }
                None => Value::Nil,
            },
            None => return Err(error(packed.len(), String::from("there is no value"))),
        };
        match open.last_mut() {
            Some((_, items, _)) => items.push(done),
            None => return Ok(done),
        }
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

/// A collection of its items. Of equal keys the last entry counts, as in the real readers.
fn collect(
    kind: Kind<'_>,
    mut items: Vec<Value>,
    handlers: &TransitHandlers,
) -> Result<Value, String> {
    Ok(match kind {
        Kind::Vector => Value::Vector(items.into()),
        Kind::List => Value::List(items.into()),
        Kind::Set => Value::Set(items.into_iter().collect::<Set>()),
        Kind::Map => {
            let mut items = items.into_iter();
            let entries = core::iter::from_fn(|| Some((items.next()?, items.next()?)));
            Value::Map(entries.collect::<Map>())
        }
        Kind::Tagged(tag) => decode::tagged(&tag, items.pop().unwrap_or_default(), handlers)?,
    })
}
