//! The order of keys and elements when they are sorted.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::decimal::Decimal;
use crate::value::Value;

use super::tree::{Forest, Node, Tree};

/// Which kinds of sequences are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequences {
    Alike,
    Apart,
}

/// Compares two nodes whose maps and sets are sorted already.
///
/// Takes time for as many nodes as the smaller of both has, which is what keeps the sorting of
/// everything within n log n.
pub(crate) fn compare(
    forest: &Forest<'_>,
    a: &Node<'_>,
    b: &Node<'_>,
    sequences: Sequences,
) -> Ordering {
    let mut open = Vec::new();
    let mut pair = (a, b);
    loop {
        let (a, b) = pair;
        let here = compare_heads(a.value(), b.value(), sequences);
        if here != Ordering::Equal {
            return here;
        }
        let (inside_a, inside_b) = (forest.children(a), forest.children(b));
        if !(inside_a.is_empty() && inside_b.is_empty()) {
            open.push((inside_a.iter(), inside_b.iter()));
        }
        pair = loop {
            let Some((a, b)) = open.last_mut() else {
                return Ordering::Equal;
            };
            match (a.next(), b.next()) {
                (Some(a), Some(b)) => break (a, b),
                (None, None) => drop(open.pop()),
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
            }
        };
    }
}

/// Compares atoms, and of collections the kind.
fn compare_heads(a: &Value, b: &Value, sequences: Sequences) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(_) | Value::BigInt(_), Value::Int(_) | Value::BigInt(_)) => {
            compare_integers(a, b)
        }
        (Value::Float(a), Value::Float(b)) => {
            // All NaN are one, and the last.
            let key = |value: f64| {
                if value.is_nan() {
                    f64::NAN.abs()
                } else {
                    value
                }
            };
            key(*a).total_cmp(&key(*b))
        }
        (Value::Decimal(a), Value::Decimal(b)) => compare_decimals(a, b),
        (Value::Ratio(a), Value::Ratio(b)) => {
            let above = compare_digits(a.numerator().as_str(), b.numerator().as_str());
            above.then_with(|| compare_digits(a.denominator().as_str(), b.denominator().as_str()))
        }
        (Value::Char(a), Value::Char(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Keyword(a), Value::Keyword(b)) => a.as_str().cmp(b.as_str()),
        (Value::Symbol(a), Value::Symbol(b)) => a.as_str().cmp(b.as_str()),
        (Value::Inst(a), Value::Inst(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Tagged(a), Value::Tagged(b)) => a.tag().as_str().cmp(b.tag().as_str()),
        _ => rank(a, sequences).cmp(&rank(b, sequences)),
    }
}

/// The place of a value's kind.
const fn rank(value: &Value, sequences: Sequences) -> u8 {
    match value {
        Value::Nil => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::BigInt(_) => 2,
        Value::Float(_) => 3,
        Value::Decimal(_) => 4,
        Value::Ratio(_) => 5,
        Value::Char(_) => 6,
        Value::String(_) => 7,
        Value::Keyword(_) => 8,
        Value::Symbol(_) => 9,
        Value::Inst(_) => 10,
        Value::Uuid(_) => 11,
        Value::List(_) => match sequences {
            Sequences::Alike => 13,
            Sequences::Apart => 12,
        },
        Value::Vector(_) => 13,
        Value::Set(_) => 14,
        Value::Map(_) => 15,
        Value::Tagged(_) => 16,
    }
}

/// By value, and of equals the one without an `N` first.
fn compare_integers(a: &Value, b: &Value) -> Ordering {
    let mut buffers = (itoa::Buffer::new(), itoa::Buffer::new());
    let (a, a_is_big) = integer(a, &mut buffers.0);
    let (b, b_is_big) = integer(b, &mut buffers.1);
    compare_digits(a, b).then(a_is_big.cmp(&b_is_big))
}

fn integer<'a>(value: &'a Value, buffer: &'a mut itoa::Buffer) -> (&'a str, bool) {
    match value {
        Value::BigInt(value) => (value.as_str(), true),
        Value::Int(value) => (buffer.format(*value), false),
        _ => ("0", false),
    }
}

/// Compares integers that are written without needless zeros.
fn compare_digits(a: &str, b: &str) -> Ordering {
    let magnitude = |a: &str, b: &str| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => magnitude(a, b),
        (Some(a), Some(b)) => magnitude(b, a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

/// By value, and of equals the one with fewer zeros at its end first.
fn compare_decimals(a: &Decimal, b: &Decimal) -> Ordering {
    let place = |value: (bool, &str, i64)| {
        let length = i64::try_from(value.1.len()).unwrap_or(i64::MAX);
        value.2.saturating_add(length)
    };
    let (left, right) = (a.value(), b.value());
    let magnitude = || match (left.1.is_empty(), right.1.is_empty()) {
        (false, false) => place(left)
            .cmp(&place(right))
            .then_with(|| left.1.cmp(right.1)),
        (left, right) => right.cmp(&left),
    };
    let by_value = match (left.0, right.0) {
        (false, false) => magnitude(),
        (true, true) => magnitude().reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    };
    by_value.then_with(|| b.exact().2.cmp(&a.exact().2))
}
