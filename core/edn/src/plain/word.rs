//! What stands in the next eight bytes of a text, told from all of them at once.
//!
//! A word has its first byte lowermost. Each of the functions that mark bytes sets the highest bit of
//! those it means; the lowest mark is always right, and what is behind a byte beyond ASCII may be wrong.

use core::num::NonZeroU64;

use crate::lex::{self, others_in};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// The next eight bytes, with zeros behind the end of the text.
#[inline(always)]
pub(super) fn next(rest: &[u8]) -> u64 {
    match rest.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => last(rest),
    }
}

/// The last bytes of a text, fewer than a word.
#[inline(never)]
pub(super) fn last(rest: &[u8]) -> u64 {
    let at = |index: usize, part: u64| {
        let bits = u32::try_from(index).unwrap_or_default().wrapping_mul(8);
        part.wrapping_shl(bits)
    };
    // Both parts may say the same of the bytes in the middle.
    match (rest.first_chunk(), rest.last_chunk()) {
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | at(rest.len().wrapping_sub(4), last)
        }
        _ => match *rest {
            [] => 0,
            [only] => u64::from(only),
            [first, .., last] => {
                let middle = u64::from(rest.get(1).copied().unwrap_or_default());
                let last = at(rest.len().wrapping_sub(1), u64::from(last));
                u64::from(first) | (middle << 8) | last
            }
        },
    }
}

/// How many bytes come before the first that is marked, if one is: no more than seven.
#[inline(always)]
pub(super) fn first(marks: u64) -> Option<usize> {
    Some((NonZeroU64::new(marks)?.trailing_zeros() >> 3) as usize)
}

/// How many bytes come before the first that is marked; eight if none is.
#[inline(always)]
pub(super) fn before(marks: u64) -> usize {
    // No more than eight.
    (marks.trailing_zeros() >> 3) as usize
}

/// Whether there may be a byte beyond ASCII, as there may in any text of less than eight bytes.
#[inline]
pub(super) fn has_wide(text: &[u8]) -> bool {
    let (words, _) = text.as_chunks();
    let last = text
        .last_chunk()
        .map_or(HIGH, |last| u64::from_le_bytes(*last));
    let all = words
        .iter()
        .fold(last, |all, word| all | u64::from_le_bytes(*word));
    all & HIGH != 0
}

/// Marks quotes, backslashes and bytes beyond ASCII.
#[inline(always)]
pub(super) const fn odd_in_strings(word: u64) -> u64 {
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (quotes | backslashes | word) & HIGH
}

/// Marks what is no digit.
#[inline(always)]
pub(super) const fn no_digits(word: u64) -> u64 {
    lex::outside(word, b'0', b'9')
}

/// Marks what is no letter, no digit and no hyphen: names seldom have anything else.
#[inline(always)]
pub(super) const fn odd_in_names(word: u64) -> u64 {
    let no_hyphens = ((word ^ (ONES * b'-' as u64)) & !HIGH).wrapping_add(!HIGH) | word;
    others_in(word | (ONES * 0x20)) & no_digits(word) & no_hyphens
}

#[cfg(test)]
mod tests {
    use super::{before, has_wide, last, next, no_digits, odd_in_names, odd_in_strings};
    use crate::lex::others_in;

    #[test]
    fn the_first_byte_that_is_meant_is_marked() {
        type Marks = fn(u64) -> u64;
        type Is = fn(u8) -> bool;
        let all: [(Marks, Is); 4] = [
            (odd_in_strings, |byte| matches!(byte, b'"' | b'\\' | 0x80..)),
            (no_digits, |byte| !byte.is_ascii_digit()),
            (others_in, |byte| !byte.is_ascii_lowercase()),
            (odd_in_names, |byte| {
                !byte.is_ascii_alphanumeric() && byte != b'-'
            }),
        ];
        for (marks, is) in all {
            // Any two bytes side by side, anywhere, among what borrows or carries most easily.
            for around in [0, 0x21, b'-', b'9', b'z', 0x7f, 0x80, 0xff] {
                for pair in 0..=u16::MAX {
                    for at in 0..7 {
                        let mut bytes = [around; 8];
                        bytes[at..at + 2].copy_from_slice(&pair.to_le_bytes());
                        let first = bytes.iter().position(|byte| is(*byte)).unwrap_or(8);
                        let found = before(marks(u64::from_le_bytes(bytes)));
                        assert_eq!(found, first, "{bytes:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_bytes_are_a_word_with_zeros_behind() {
        let text = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        for length in 0..8 {
            let mut bytes = [0; 8];
            bytes[..length].copy_from_slice(&text[..length]);
            assert_eq!(last(&text[..length]), u64::from_le_bytes(bytes));
            assert_eq!(next(&text[..length]), u64::from_le_bytes(bytes));
        }
        assert_eq!(next(&text), u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]));
    }

    #[test]
    fn a_byte_beyond_ascii_is_found_wherever_it_stands() {
        for length in 8..40 {
            let mut text = alloc::vec![0x7f; length];
            assert!(!has_wide(&text));
            for at in 0..length {
                text[at] = 0x80;
                assert!(has_wide(&text));
                text[at] = 0x7f;
            }
        }
    }
}
