//! Texts of a few bytes as one number, so that they are checked and written in a step or two.

use crate::lex;
use crate::write::atom;

/// A text of at most [`MOST`](Self::MOST) bytes.
#[derive(Clone, Copy)]
pub(super) struct Short {
    /// The text, its first byte lowest, and zeros.
    text: u128,
    /// All its bytes, some of them twice, and small letters.
    first: u64,
    last: u64,
    len: usize,
}

impl Short {
    /// With quotes this is 16.
    const MOST: usize = 14;
    /// With a comma, a colon, and two blanks this is 16.
    pub(super) const MOST_OF_KEY: usize = 12;

    #[inline(always)]
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let len = text.len();
        let (text, first, last) = if len > Self::MOST {
            return None;
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            // What both have is the same in both.
            let shifted = u128::from(last) << (len.wrapping_sub(8) << 3);
            (u128::from(first) | shifted, first, last)
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let first = u64::from(u32::from_le_bytes(*first));
            let last = u64::from(u32::from_le_bytes(*last));
            let both = first | (last << 32);
            let shifted = last << (len.wrapping_sub(4) << 3);
            (u128::from(first | shifted), both, both)
        } else {
            let (text, filling) = match *text {
                [a] => ([a, 0, 0], LETTERS << 8),
                [a, b] => ([a, b, 0], LETTERS << 16),
                [a, b, c] => ([a, b, c], LETTERS << 24),
                _ => ([0; 3], LETTERS),
            };
            let [a, b, c] = text;
            let text = u64::from(u32::from_le_bytes([a, b, c, 0]));
            (u128::from(text), text | filling, text | filling)
        };
        Some(Self {
            text,
            first,
            last,
            len,
        })
    }

    /// Whether it is a name of letters, digits, `-` and `_` that begins with a letter; else it may be
    /// another name.
    #[inline(always)]
    pub(super) const fn is_name(self) -> bool {
        let begins = !is_letters(self.first) & 0x80 == 0;
        self.len > 0 && begins && is_name_word(self.first) && is_name_word(self.last)
    }

    /// Whether nothing of it is escaped between quotes.
    #[inline]
    pub(super) const fn is_plain(self) -> bool {
        atom::is_plain_word(self.first.to_le_bytes())
            && (self.len <= 8 || atom::is_plain_word(self.last.to_le_bytes()))
    }

    /// The same with a byte behind it; to be written and not looked at any more.
    #[inline(always)]
    pub(super) fn then(self, byte: u8) -> Self {
        Self {
            text: self.text | (u128::from(byte) << (self.len << 3)),
            len: self.len.wrapping_add(1),
            ..self
        }
    }

    /// Appends it, behind the lowest `count` bytes of `before`, which are few.
    #[inline(always)]
    pub(super) fn write(self, before: u32, count: usize, out: &mut alloc::vec::Vec<u8>) {
        let whole = u128::from(before) | (self.text << (count << 3));
        let end = out.len().wrapping_add(count).wrapping_add(self.len);
        // Always as many bytes, which needs no loop, and then without those that are too many.
        out.extend_from_slice(&whole.to_le_bytes());
        out.truncate(end);
    }
}

const LETTERS: u64 = u64::from_le_bytes([b'a'; 8]);

const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks the letters of a word, or fewer where it is not all ASCII.
#[inline(always)]
const fn is_letters(word: u64) -> u64 {
    // Of ASCII nothing but letters becomes a small one so.
    !lex::others_in(word | (ONES * 0x20)) & !word & (ONES * 0x80)
}

/// Whether there is nothing but letters, digits, `-` and `_` in a word.
#[inline(always)]
const fn is_name_word(word: u64) -> bool {
    // The highest bit of each byte, as long as all are ASCII; the first that is not stays unmarked.
    let digits = word.wrapping_add(ONES * (0x80 - b'0' as u64))
        & !word.wrapping_add(ONES * (0x7f - b'9' as u64));
    let dash = word ^ (ONES * b'-' as u64);
    let line = word ^ (ONES * b'_' as u64);
    let marks = !dash.wrapping_add(ONES * 0x7f) | !line.wrapping_add(ONES * 0x7f) | digits;
    (is_letters(word) | (marks & !word)) & (ONES * 0x80) == ONES * 0x80
}

/// The last `len` bytes of sixteen, fewer than all, to be written and not looked at.
#[inline]
pub(super) fn end_of(block: &[u8; 16], len: usize) -> Short {
    let all = u128::from_le_bytes(*block);
    let cut = 128_usize.wrapping_sub(len << 3);
    let cut = u32::try_from(cut).unwrap_or_default();
    Short {
        text: all.checked_shr(cut).unwrap_or_default(),
        first: 0,
        last: 0,
        len,
    }
}

/// Whether nothing of sixteen bytes is escaped between quotes.
#[inline]
pub(super) fn is_plain_block(block: &[u8; 16]) -> bool {
    let (words, _) = block.as_chunks::<8>();
    words.iter().all(|word| atom::is_plain_word(*word))
}

/// Numbers from this one on have too many digits for [`digits`].
pub(super) const TOO_LONG: u64 = 10_000_000_000_000_000;

/// The digits of a number that has at most sixteen, to be written and not looked at.
#[inline]
pub(super) fn digits(number: u64) -> Short {
    const EIGHT: u64 = 100_000_000;
    let (high, low) = (number / EIGHT, number % EIGHT);
    let (text, zeros) = if high == 0 {
        let text = eight_digits(low);
        // At least one digit is left of a zero.
        let zeros = (text | (1 << 56)).trailing_zeros() & !7;
        let text = (text | (ONES * 0x30)) >> zeros;
        (u128::from(text), zeros.wrapping_add(64))
    } else {
        let (high, low) = (eight_digits(high), eight_digits(low));
        let zeros = high.trailing_zeros() & !7;
        let both = u128::from(high | (ONES * 0x30)) | (u128::from(low | (ONES * 0x30)) << 64);
        (both >> zeros, zeros)
    };
    let len = 16_usize.wrapping_sub(usize::try_from(zeros >> 3).unwrap_or_default());
    Short {
        text,
        first: 0,
        last: 0,
        len,
    }
}

/// The digits of a number below 100 million as numbers, the highest in the lowest byte.
#[inline]
const fn eight_digits(number: u64) -> u64 {
    // Two halves of four digits, then four of two, then eight: each time the upper half of each goes
    // into the lower bits. No place reaches the next one.
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (pairs.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs.wrapping_sub(tens.wrapping_mul(10)) << 8)
}

#[cfg(test)]
mod tests {
    use super::{Short, TOO_LONG, digits, end_of, is_plain_block};
    use crate::lex;

    #[test]
    fn a_short_text_is_written_as_it_is_and_escaped_where_it_must_be() {
        for length in 0..=Short::MOST {
            for at in 0..length.max(1) {
                for byte in 0..128 {
                    let mut text = alloc::vec![b'k'; length];
                    if let Some(place) = text.get_mut(at) {
                        *place = byte;
                    }
                    let short = Short::of(&text).unwrap();
                    let value = crate::Value::from(core::str::from_utf8(&text).unwrap());
                    let quoted = crate::to_string(&value);
                    let is_escaped = quoted.len() != length + 2;
                    assert_eq!(short.is_plain(), !is_escaped, "{text:?}");
                    assert!(!short.is_name() || lex::is_plain_name(&text), "{text:?}");
                    let simple = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                    let begins = at > 0 || byte.is_ascii_alphabetic();
                    assert_eq!(short.is_name(), length > 0 && simple && begins, "{text:?}");
                    let mut out = alloc::vec![b'.'];
                    short.then(b'"').write(0x22, 1, &mut out);
                    assert_eq!(out, [b".\"", &text[..], b"\""].concat());
                }
            }
        }
        assert!(Short::of(&[b'k'; Short::MOST + 1]).is_none());
    }

    #[test]
    fn a_name_that_is_not_ascii_is_no_short_name() {
        for length in 1..=Short::MOST {
            for at in 0..length {
                for byte in 128..=255 {
                    let mut text = alloc::vec![b'-'; length];
                    text[0] = b'k';
                    text[at] = byte;
                    assert!(!Short::of(&text).unwrap().is_name(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        let powers = (0..16).map(|power| 10_u64.pow(power));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power * 7 / 3]);
        let odd = (0..2_000).map(|nth| nth * nth * nth * 1_234_567);
        for number in (0..20_000).chain(near).chain(odd).chain([TOO_LONG - 1]) {
            let mut out = alloc::vec![b'.'];
            digits(number).write(0, 0, &mut out);
            assert_eq!(out, alloc::format!(".{number}").as_bytes());
        }
    }

    #[test]
    fn the_end_of_a_block_is_what_is_left_of_it() {
        let block = *b"0123456789abcdef";
        assert!(is_plain_block(&block) && !is_plain_block(b"0123456789abc\\ef"));
        for len in 0..16 {
            let mut out = alloc::vec![b'.'];
            end_of(&block, len).then(b'"').write(0, 0, &mut out);
            assert_eq!(out, [b".", &block[16 - len..], b"\""].concat());
        }
    }
}
