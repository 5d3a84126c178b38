//! Packed bytes as values.

use alloc::vec::Vec;

use sente_edn::{BigInt, Map, Set, Value};

use super::Endian;
use super::keys;
use super::machine::{Atom, Budget, Kind, Machine, Place, Sink};
use super::tagged;
use super::token::{self, Fault, Token};
use crate::limits::Limits;

/// The value packed in `packed`, which may refer to its own keys.
pub(super) fn unpack(packed: &[u8], limits: &Limits, endian: Endian) -> Result<Value, Fault> {
    let resolved = keys::resolve(packed, limits)?;
    let packed = resolved.as_deref().unwrap_or(packed);
    let mut built = Built {
        endian,
        root: Value::Nil,
        open: Vec::new(),
    };
    Machine::new(packed, Budget::new(limits)).value(&mut built)?;
    Ok(built.root)
}

struct Built {
    endian: Endian,
    root: Value,
    open: Vec<Vec<Value>>,
}

impl Built {
    fn place(&mut self, value: Value) {
        match self.open.last_mut() {
            Some(items) => items.push(value),
            None => self.root = value,
        }
    }
}

impl<'a> Sink<'a> for Built {
    fn atom(&mut self, atom: Atom<'a>, _: Place) {
        self.place(match atom {
            Atom::Plain(token) => plain(token),
            Atom::Ext(ext, _) => ext.into_value(self.endian),
        });
    }

    fn open(&mut self, _: Kind, count: usize, _: Place) {
        // The machine lets all collections together claim no more items than there are bytes.
        self.open.push(Vec::with_capacity(count));
    }

    fn close(&mut self, kind: Kind, _: usize) {
        let items = self.open.pop().unwrap_or_default();
        self.place(match kind {
            Kind::Array => Value::from(items),
            Kind::Set => Value::Set(items.into_iter().collect::<Set>()),
            Kind::Map => {
                let mut items = items.into_iter();
                let entries = core::iter::from_fn(|| Some((items.next()?, items.next()?)));
                Value::Map(entries.collect::<Map>())
            }
        });
    }
}

/// A token that is neither a collection nor an extension.
fn plain(token: Token<'_>) -> Value {
    match token {
        Token::Bool(value) => Value::Bool(value),
        Token::Int(value) => Value::Int(value),
        Token::Large(value) => Value::BigInt(BigInt::from(i128::from(value))),
        Token::Float(value) => Value::Float(value),
        Token::Str(text) => Value::String(token::text(text).into_owned()),
        Token::Bin(bytes) => tagged::bytes(bytes),
        _ => Value::Nil,
    }
}
