//! Whether fingerprints of keys or elements repeat.

use crate::table::SMALL;

/// Whether two of the fingerprints are the same. May reorder them.
#[inline]
pub(crate) fn has_tie(fingerprints: &mut [u64]) -> bool {
    match fingerprints {
        [] | [_] => false,
        [first, second] => first == second,
        _ => has_tie_among(fingerprints),
    }
}

fn has_tie_among(fingerprints: &mut [u64]) -> bool {
    let few = 5;
    if fingerprints.len() > few && !may_have_tie(fingerprints) {
        return false;
    }
    if fingerprints.len() <= SMALL {
        let mut rest = &*fingerprints;
        while let Some((first, others)) = rest.split_first() {
            if others.contains(first) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    fingerprints.sort_unstable();
    fingerprints
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
}

/// Whether two of the fingerprints fall on the same of a thousand places. Most that do are
/// different; those that do not are different for sure.
fn may_have_tie(fingerprints: &[u64]) -> bool {
    let mut places = [0_u64; 16];
    for fingerprint in fingerprints {
        let index = usize::try_from(fingerprint >> 6 & 15).unwrap_or_default();
        let bit = 1_u64 << (fingerprint & 63);
        let Some(place) = places.get_mut(index) else {
            return true;
        };
        if *place & bit != 0 {
            return true;
        }
        *place |= bit;
    }
    false
}
