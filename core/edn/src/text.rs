//! How strings and characters are escaped in a text.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::class;
use crate::lex::RawStr;

/// Why an escape in a string is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EscapeFault {
    /// The text ends before the escape does.
    End,
    /// No continuation could mend it.
    Invalid,
}

/// How many bytes a string goes on without a quote or backslash.
#[inline(always)]
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    // Most strings end within a few words, sooner than a wide search pays.
    const NEAR: usize = 8;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length: usize = 0;
    for word in words.iter().take(NEAR) {
        let ends = ends_in(u64::from_le_bytes(*word));
        if ends != 0 {
            let at = ends.trailing_zeros() >> 3;
            return length.saturating_add(usize::try_from(at).unwrap_or_default());
        }
        length = length.saturating_add(8);
    }
    let far = if words.len() > NEAR {
        bytes.get(length..).unwrap_or_default()
    } else {
        rest
    };
    let at = if far.len() < 8 {
        far.iter().position(|byte| matches!(byte, b'"' | b'\\'))
    } else {
        memchr::memchr2(b'"', b'\\', far)
    };
    length.saturating_add(at.unwrap_or(far.len()))
}

/// Marks the bytes of a word that are a quote or a backslash; the lowest mark is always right.
#[inline]
const fn ends_in(word: u64) -> u64 {
    marks(word, b'"', b'\\')
}

/// Marks the bytes of a word that are one of two of ASCII. Bytes behind the first of them may be marked,
/// too: none borrows from the next before.
#[inline]
const fn marks(word: u64, first: u8, second: u8) -> u64 {
    let first = (word ^ LOW.wrapping_mul(first as u64)).wrapping_sub(LOW);
    let second = (word ^ LOW.wrapping_mul(second as u64)).wrapping_sub(LOW);
    (first | second) & !word & HIGH
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether there is a line feed or carriage return.
#[inline]
pub(crate) fn has_line_end(bytes: &[u8]) -> bool {
    const NEAR: usize = 64;
    if bytes.len() > NEAR {
        return memchr::memchr2(b'\n', b'\r', bytes).is_some();
    }
    let (words, rest) = bytes.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        found |= marks(word, b'\n', b'\r');
    }
    found != 0 || rest.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Reads an escape, whose backslash has been taken: the UTF-16 unit it means and its length.
pub(crate) fn escape(rest: &str) -> Result<(u16, usize), EscapeFault> {
    let first = rest.chars().next().ok_or(EscapeFault::End)?;
    let unit = match first {
        't' => 0x09,
        'r' => 0x0d,
        'n' => 0x0a,
        'b' => 0x08,
        'f' => 0x0c,
        '"' => 0x22,
        '\\' => 0x5c,
        'u' => {
            let (unit, length) = code(rest.get(1..).unwrap_or_default(), 16, 4, Exact::Yes)?;
            return Ok((unit, length.saturating_add(1)));
        }
        other if class::is_digit(other) => {
            let (unit, length) = code(rest, 8, 3, Exact::No)?;
            if unit > 0o377 {
                return Err(EscapeFault::Invalid);
            }
            return Ok((unit, length));
        }
        _ => return Err(EscapeFault::Invalid),
    };
    Ok((unit, 1))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exact {
    Yes,
    No,
}

/// Reads a code of at most `most` digits, which a blank or a macro character cuts short.
fn code(rest: &str, radix: u32, most: usize, exact: Exact) -> Result<(u16, usize), EscapeFault> {
    let mut value: u16 = 0;
    let mut length: usize = 0;
    let mut chars = rest.chars();
    for taken in 0..most {
        let next = chars.next();
        let stops = next.is_none_or(|c| class::is_whitespace(c) || class::is_macro_char(c));
        if stops && taken > 0 && (exact == Exact::No) {
            break;
        }
        let c = next.ok_or(EscapeFault::End)?;
        let digit = class::digit(c, radix).and_then(|digit| u16::try_from(digit).ok());
        let digit = digit.ok_or(EscapeFault::Invalid)?;
        // Four hexadecimal digits fill sixteen bits, three octal ones do not.
        value = value
            .wrapping_mul(if radix == 16 { 16 } else { 8 })
            .wrapping_add(digit);
        length = length.saturating_add(c.len_utf8());
    }
    Ok((value, length))
}

/// What a string that was read says. Surrogate escapes that make no pair become U+FFFD.
pub(crate) fn unescape(raw: RawStr<'_>) -> Cow<'_, str> {
    let RawStr { text: mut rest, .. } = raw;
    if !raw.is_escaped {
        return Cow::Borrowed(rest);
    }
    let mut out = String::with_capacity(rest.len());
    let mut high: Option<u16> = None;
    loop {
        // There is no quote in it but behind a backslash.
        let (plain, after) = rest
            .split_at_checked(plain_length(rest.as_bytes()))
            .unwrap_or((rest, ""));
        if !plain.is_empty() && high.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        out.push_str(plain);
        let simple = match after.as_bytes() {
            [] => break,
            [_, b'n', ..] => '\n',
            [_, b't', ..] => '\t',
            [_, b'r', ..] => '\r',
            [_, b'"', ..] => '"',
            [_, b'\\', ..] => '\\',
            _ => '\0',
        };
        if simple != '\0' && high.is_none() {
            out.push(simple);
            rest = after.get(2..).unwrap_or_default();
            continue;
        }
        let after = after.get(1..).unwrap_or_default();
        // The reader has taken this string, so each escape in it is one.
        let Ok((unit, length)) = escape(after) else {
            break;
        };
        push_unit(&mut out, &mut high, unit);
        rest = after.get(length..).unwrap_or_default();
    }
    if high.is_some() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
    Cow::Owned(out)
}

fn push_unit(out: &mut String, high: &mut Option<u16>, unit: u16) {
    if let Some(first) = high.take() {
        if let Some(Ok(joined)) = char::decode_utf16([first, unit]).next() {
            out.push(joined);
            return;
        }
        out.push(char::REPLACEMENT_CHARACTER);
    }
    match unit {
        0xd800..=0xdbff => *high = Some(unit),
        _ => out.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

/// The characters with names.
pub(crate) const NAMED: [(&str, char); 6] = [
    ("newline", '\n'),
    ("space", ' '),
    ("tab", '\t'),
    ("backspace", '\u{8}'),
    ("formfeed", '\u{c}'),
    ("return", '\r'),
];

/// The character that stands behind a backslash, if it is one of Java's 16 bits.
pub(crate) fn character(token: &str) -> Option<char> {
    let mut chars = token.chars();
    let first = chars.next()?;
    let code = chars.as_str();
    if code.is_empty() {
        return (u32::from(first) <= 0xffff).then_some(first);
    }
    if let Some((_, c)) = NAMED.iter().find(|(name, _)| *name == token) {
        return Some(*c);
    }
    let (radix, most) = match first {
        'u' if code.chars().count() == 4 => (16, 0xffff),
        'o' if code.chars().count() <= 3 => (8, 0o377),
        _ => return None,
    };
    let mut value: u32 = 0;
    for c in code.chars() {
        let digit = class::digit(c, radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    (value <= most).then_some(value).and_then(char::from_u32)
}

/// Whether more behind an unknown character's name could make it known.
pub(crate) fn may_become_character(token: &str) -> bool {
    let code = token.strip_prefix('u').unwrap_or("no code");
    (code.chars().count() < 4 && code.chars().all(|c| class::digit(c, 16).is_some()))
        || NAMED.iter().any(|(name, _)| name.starts_with(token))
}

#[cfg(test)]
mod tests {
    use super::{ends_in, has_line_end};

    #[test]
    fn the_first_quote_or_backslash_of_a_word_is_marked() {
        // Any two bytes side by side, anywhere, among what borrows or carries most easily.
        for around in [0, 1, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
            for pair in 0..=u16::MAX {
                for at in 0..7 {
                    let mut bytes = [around; 8];
                    bytes[at..at + 2].copy_from_slice(&pair.to_le_bytes());
                    let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                    let ends = ends_in(u64::from_le_bytes(bytes));
                    let found = (ends != 0).then(|| ends.trailing_zeros() as usize / 8);
                    assert_eq!(found, first, "{bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn a_line_ends_with_two_bytes_and_no_others() {
        for length in 1..=17 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for around in [0, 9, 0x0b, 0x0c, 0x0e, 0x8a, 0x8d, 0xff] {
                        let mut bytes = alloc::vec![around; length];
                        bytes[at] = byte;
                        let is_one = matches!(byte, b'\n' | b'\r');
                        assert_eq!(has_line_end(&bytes), is_one, "{bytes:x?}");
                    }
                }
            }
        }
    }
}
