//! What the options make of a value before it is written: sorted, and fit for a peer.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::slice;

use crate::decimal::Decimal;
use crate::deep::{children, is_atom};
use crate::value::Value;

use super::error::{Place, WriteError, WriteErrorKind};
use super::options::{Lacking, WriteOptions};
use super::order::{Sequences, compare};
use super::tree::{Forest, Head, Node};

/// Integers up to here are what JavaScript's numbers hold exactly.
const EXACT: i64 = 1 << 53;

/// Puts a value together anew, as the options want it.
pub(crate) fn adapt<'v>(
    value: &'v Value,
    options: &WriteOptions,
) -> Result<(Forest<'v>, Node<'v>), WriteError> {
    if options.one_number_type {
        // What the peer will hold must be well formed, too.
        rebuild(value, Some(Sequences::Alike), |atom| {
            Ok(as_seen(replacement(atom, options)?))
        })?;
    }
    let sort = options.sorts_keys.then_some(Sequences::Apart);
    rebuild(value, sort, |atom| replacement(atom, options))
}

/// Puts a value together anew, with other atoms, and sorted. If lists and vectors are alike, it is
/// for a peer, and keys that are equal then are an error.
fn rebuild<'v>(
    root: &'v Value,
    sort: Option<Sequences>,
    replace: impl Fn(&'v Value) -> Result<Head<'v>, WriteErrorKind>,
) -> Result<(Forest<'v>, Node<'v>), WriteError> {
    let mut forest = Forest::new();
    let mut places: Vec<Place<'v>> = Vec::new();
    let mut open: Vec<(slice::Iter<'v, Value>, Vec<Node<'v>>)> = Vec::new();
    let mut next = Some(root);
    loop {
        let mut done = match next.take() {
            Some(value) if is_atom(value) => match replace(value) {
                Ok(head) => Some(Forest::leaf(head)),
                Err(kind) => return Err(WriteError::new(kind, &places)),
            },
            Some(parent) => {
                let items = children(parent);
                open.push((items.iter(), Vec::with_capacity(items.len())));
                places.push(Place { parent, begun: 0 });
                None
            }
            None => None,
        };
        loop {
            let (Some((rest, siblings)), Some(place)) = (open.last_mut(), places.last_mut()) else {
                return match done {
                    Some(root) => Ok((forest, root)),
                    // There always is one; this says so without a way to panic.
                    None => Ok((forest, Forest::leaf(Head::Given(root)))),
                };
            };
            siblings.extend(done.take());
            if let Some(item) = rest.next() {
                place.begun = place.begun.saturating_add(1);
                next = Some(item);
                break;
            }
            let mut items = core::mem::take(siblings);
            if let Some(sequences) = sort {
                let equal = match place.parent {
                    Value::Map(_) => sort_entries::<2>(&forest, &mut items, sequences),
                    Value::Set(_) => sort_entries::<1>(&forest, &mut items, sequences),
                    _ => false,
                };
                if equal && sequences == Sequences::Alike {
                    // The place is the map or set itself.
                    places.pop();
                    return Err(WriteError::new(WriteErrorKind::DuplicateKey, &places));
                }
            }
            done = Some(forest.join(place.parent, items));
            open.pop();
            places.pop();
        }
    }
}

/// Sorts entries by their first items, and says whether two of these are equal.
fn sort_entries<const STRIDE: usize>(
    forest: &Forest<'_>,
    items: &mut [Node<'_>],
    sequences: Sequences,
) -> bool {
    let by_key = |a: &[Node<'_>; STRIDE], b: &[Node<'_>; STRIDE]| match (a.first(), b.first()) {
        (Some(a), Some(b)) => compare(forest, a, b, sequences),
        _ => Ordering::Equal,
    };
    let entries = items.as_chunks_mut::<STRIDE>().0;
    entries.sort_by(by_key);
    entries
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if by_key(a, b) == Ordering::Equal))
}

/// What is written for an atom.
fn replacement<'v>(atom: &'v Value, options: &WriteOptions) -> Result<Head<'v>, WriteErrorKind> {
    let (lacking, refused) = match atom {
        Value::Char(_) => (options.chars, WriteErrorKind::Char),
        Value::Ratio(_) => (options.ratios, WriteErrorKind::Ratio),
        Value::BigInt(_) | Value::Decimal(_) => (options.numbers, WriteErrorKind::Number),
        Value::Int(value) if value.unsigned_abs() > EXACT.unsigned_abs() => {
            (options.numbers, WriteErrorKind::Number)
        }
        _ => return Ok(Head::Given(atom)),
    };
    if lacking == Lacking::Keep {
        return Ok(Head::Given(atom));
    }
    let (instead, is_same) = match atom {
        Value::Char(c) => (Value::String((*c).into()), false),
        Value::BigInt(value) => match value.to_i64() {
            Some(small) if small.unsigned_abs() <= EXACT.unsigned_abs() => {
                (Value::Int(small), true)
            }
            _ => (nearest(atom), false),
        },
        Value::Decimal(decimal) => {
            let instead = nearest(atom);
            let is_same = is_same_decimal(decimal, &instead);
            (instead, is_same)
        }
        _ => (nearest(atom), false),
    };
    let is_finite = !matches!(instead, Value::Float(value) if !value.is_finite());
    if is_same || (lacking == Lacking::Substitute && is_finite) {
        Ok(Head::Instead(instead))
    } else {
        Err(refused)
    }
}

/// The floating-point number that is nearest.
fn nearest(number: &Value) -> Value {
    Value::Float(number.as_f64().unwrap_or(f64::NAN))
}

/// Whether the shortest text of a float says what a decimal number does.
fn is_same_decimal(decimal: &Decimal, float: &Value) -> bool {
    let mut text = Vec::new();
    let Ok(()) = super::atom::atom(float, &mut text);
    let text = core::str::from_utf8(&text).unwrap_or_default();
    Decimal::new(text).is_ok_and(|read| read == *decimal)
}

/// What ClojureScript's reader makes of an atom: all numbers are of one type there.
fn as_seen(head: Head<'_>) -> Head<'_> {
    let value = match &head {
        Head::Given(value) => value,
        Head::Instead(value) => value,
    };
    let seen = match value {
        Value::Char(c) => Value::String((*c).into()),
        Value::BigInt(_) | Value::Decimal(_) | Value::Int(_) | Value::Ratio(_) => nearest(value),
        // Zero is no other than minus zero.
        Value::Float(value) => Value::Float(if *value == 0.0 { 0.0 } else { *value }),
        _ => return head,
    };
    Head::Instead(seen)
}
