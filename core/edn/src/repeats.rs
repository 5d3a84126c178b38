//! Which of several values are equal, exactly, however someone chose them.

use alloc::vec::Vec;

use crate::compare::{self, Classes, Mode};
use crate::deep::{Step, Walk};
use crate::leaf::Leaf;
use crate::value::Value;

/// For each value the index of the first that is equal to it, which is its own if none is.
///
/// It is for values whose fingerprints agree. All values but the largest are gone through, and that
/// one only as far as the next in size goes: it may hold everything that was read so far, with a
/// small one beside it at each level.
pub(crate) fn firsts(values: &[&Value]) -> Vec<usize> {
    let mut firsts: Vec<usize> = (0..values.len()).collect();
    let mut by_weight: Vec<(u64, usize)> = weights(values);
    by_weight.sort_unstable();
    for alike in by_weight.chunk_by(|(a, _), (b, _)| a == b) {
        let Some(((_, first), others)) = alike.split_first() else {
            continue;
        };
        let mut unsure = Vec::new();
        for (_, at) in others {
            let (Some(value), Some(known)) = (values.get(*at), values.get(*first)) else {
                continue;
            };
            if compare::equal_as_ordered(known, value) {
                set(&mut firsts, *at, *first);
            } else {
                unsure.push(*at);
            }
        }
        if unsure.is_empty() {
            continue;
        }
        unsure.push(*first);
        let mut classes = Classes::default();
        let class = |at: usize| {
            let value = values.get(at).copied().unwrap_or(&Value::Nil);
            (classes.of(value, Mode::Clojure), at)
        };
        let mut unsure: Vec<(u32, usize)> = unsure.into_iter().map(class).collect();
        unsure.sort_unstable();
        for equal in unsure.chunk_by(|(a, _), (b, _)| a == b) {
            let first = equal.first().map(|(_, at)| *at).unwrap_or_default();
            for (_, at) in equal {
                set(&mut firsts, *at, first);
            }
        }
    }
    firsts
}

fn set(firsts: &mut [usize], at: usize, first: usize) {
    if let Some(place) = firsts.get_mut(at) {
        *place = first;
    }
}

/// A number for each value that equal values share, and the value's index; not for one that is
/// larger than all others.
fn weights(values: &[&Value]) -> Vec<(u64, usize)> {
    let mut weighed = Vec::with_capacity(values.len());
    let walks = values.iter().enumerate();
    let mut walks: Vec<(usize, Walk<'_>, u64)> =
        walks.map(|(at, value)| (at, Walk::new(value), 0)).collect();
    // All are walked so far, then all that are left twice as far.
    let mut bound: u64 = 32;
    while walks.len() > 1 {
        walks.retain_mut(|(at, walk, weight)| {
            while *weight < bound {
                let Some(step) = walk.next() else {
                    weighed.push((*weight, *at));
                    return false;
                };
                *weight = weight.saturating_add(weigh(&step));
            }
            true
        });
        if bound == u64::MAX {
            break;
        }
        bound = bound.saturating_mul(2);
    }
    weighed
}

/// What it costs to look at a step closely: a long text is more than a number.
fn weigh(step: &Step<'_>) -> u64 {
    let Step::Atom(atom) = step else {
        return 1;
    };
    let length = match Leaf::of(atom, Mode::Clojure) {
        Some(
            Leaf::Big(text)
            | Leaf::Decimal(_, text, _)
            | Leaf::String(text)
            | Leaf::Keyword(text)
            | Leaf::Symbol(text),
        ) => text.len(),
        Some(Leaf::Ratio(above, below)) => above.len().saturating_add(below.len()),
        _ => 0,
    };
    u64::try_from(length).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_values_is_found_whatever_their_sizes() {
        let texts = [
            "[1 2]",
            "#{1 {:a [2]}}",
            "(1 2)",
            "[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33]",
            "#{{:a (2N)} 1}",
            "#t 1",
            "#t 1N",
            "1.0M",
            "[1N 2]",
            "1.000M",
            "#{\"a long text that weighs more\"}",
            "#{[2] 1}",
            "#t 1",
        ];
        let values = texts.map(|text| crate::from_str(text).unwrap_or_default());
        let expected = values.each_ref().map(|value| {
            let first = values.iter().position(|other| other == value);
            first.unwrap_or_default()
        });
        let found = firsts(&values.each_ref());
        assert_eq!(found, expected);
        assert_eq!(found, [0, 1, 0, 3, 1, 5, 6, 7, 0, 7, 10, 11, 5]);
    }

    #[test]
    fn a_value_larger_than_all_others_is_not_gone_through() {
        let numbers = 0..2_000_000_i64;
        let large: Value = numbers.map(Value::from).collect();
        let small = Value::Set(crate::Set::from([1, 2]));
        // Sets of one length are not told apart by it.
        let large = Value::Set(crate::Set::from([large, Value::Nil]));
        for _ in 0..100_000 {
            assert_eq!(firsts(&[&large, &small]), [0, 1]);
        }
    }
}
