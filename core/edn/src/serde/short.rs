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
    /// With a comma, a blank, and quotes this is 16.
    const MOST: usize = 12;

    #[inline]
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

    /// Whether it is a name of small letters; else it may be another name.
    #[inline]
    pub(super) const fn is_letters(self) -> bool {
        self.len > 0 && lex::others_in(self.first) | lex::others_in(self.last) == 0
    }

    /// Whether nothing of it is escaped between quotes.
    #[inline]
    pub(super) const fn is_plain(self) -> bool {
        atom::is_plain_word(self.first.to_le_bytes())
            && (self.len <= 8 || atom::is_plain_word(self.last.to_le_bytes()))
    }

    /// The same with a byte behind it; to be written and not looked at any more.
    #[inline]
    pub(super) fn then(self, byte: u8) -> Self {
        Self {
            text: self.text | (u128::from(byte) << (self.len << 3)),
            len: self.len.wrapping_add(1),
            ..self
        }
    }

    /// Appends it, behind the lowest `count` bytes of `before`, which are few.
    #[inline]
    pub(super) fn write(self, before: u32, count: usize, out: &mut alloc::vec::Vec<u8>) {
        let whole = u128::from(before) | (self.text << (count << 3));
        let end = out.len().wrapping_add(count).wrapping_add(self.len);
        // Always as many bytes, which needs no loop, and then without those that are too many.
        out.extend_from_slice(&whole.to_le_bytes());
        out.truncate(end);
    }
}

const LETTERS: u64 = u64::from_le_bytes([b'a'; 8]);

#[cfg(test)]
mod tests {
    use super::Short;
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
                    assert!(!short.is_letters() || lex::is_plain_name(&text), "{text:?}");
                    let mut out = alloc::vec![b'.'];
                    short.then(b'"').write(0x0022_202c, 3, &mut out);
                    assert_eq!(out, [b".,\x20\"", &text[..], b"\""].concat());
                }
            }
        }
        assert!(Short::of(&[b'k'; Short::MOST + 1]).is_none());
    }
}
