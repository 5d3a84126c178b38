//! Where strings and numbers end.

use super::error::TextError;

/// The length of the body of a string that starts at `from`, behind its opening quote, and whether
/// there are escapes in it. Every escape in it is valid.
// Measured: whether it was inlined changed with code elsewhere, and a call costs a tenth more.
#[inline(always)]
pub(super) fn string(bytes: &[u8], from: usize) -> Result<(usize, bool), TextError> {
    let mut at = from;
    let mut escaped = false;
    loop {
        at = special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            Some(_) => {
                return Err(TextError::new(
                    at,
                    "a control character in a string must be escaped",
                ));
            }
            None => return Err(TextError::new(at, "the text ends inside of a string")),
        }
    }
}

/// Where the first quote, backslash or control character stands from `at` on, or the end.
#[inline]
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let rest = bytes.get(at..).unwrap_or_default();
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is below the bound or equal to the other; a borrow can
        // only spoil bytes above one that is found, and the lowest is what counts.
        let control = word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word;
        let quote = zeros(word ^ ONES.wrapping_mul(0x22), ONES);
        let backslash = zeros(word ^ ONES.wrapping_mul(0x5c), ONES);
        let found = (control | quote | backslash) & HIGHS;
        if found != 0 {
            return at.saturating_add((found.trailing_zeros() / 8) as usize);
        }
        at = at.saturating_add(8);
    }
    for byte in tail {
        if matches!(byte, 0..0x20 | b'"' | b'\\') {
            return at;
        }
        at = at.saturating_add(1);
    }
    at
}

/// Sets the high bit of the lowest byte that is zero.
const fn zeros(word: u64, ones: u64) -> u64 {
    word.wrapping_sub(ones) & !word
}

/// The byte behind the escape whose backslash stands at `at`.
fn escape(bytes: &[u8], at: usize) -> Result<usize, TextError> {
    let behind = |count: usize| at.saturating_add(count);
    match bytes.get(behind(1)) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(behind(2)),
        Some(b'u') => match bytes.get(behind(2)..behind(6)) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(behind(6)),
            _ => Err(TextError::new(at, "expected four hex digits behind \\u")),
        },
        _ => Err(TextError::new(at, "not an escape of JSON")),
    }
}

/// Where the number that starts at `from` ends, and whether it is an integer.
#[inline]
pub(super) fn number(bytes: &[u8], from: usize) -> Result<(usize, bool), TextError> {
    let mut at = from;
    let mut integer = true;
    if bytes.get(at) == Some(&b'-') {
        at = at.saturating_add(1);
    }
    if bytes.get(at) == Some(&b'0') {
        at = at.saturating_add(1);
    } else {
        at = digits(bytes, at)?;
    }
    if bytes.get(at) == Some(&b'.') {
        integer = false;
        at = digits(bytes, at.saturating_add(1))?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        integer = false;
        at = at.saturating_add(1);
        if let Some(b'+' | b'-') = bytes.get(at) {
            at = at.saturating_add(1);
        }
        at = digits(bytes, at)?;
    }
    Ok((at, integer))
}

/// Where the digits that start at `at` end; there must be one.
#[inline]
fn digits(bytes: &[u8], at: usize) -> Result<usize, TextError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let count = rest
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    match count {
        0 => Err(TextError::new(at, "expected a digit")),
        _ => Ok(at.saturating_add(count)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=255_u8 {
            let is_special = matches!(byte, 0..0x20 | b'"' | b'\\');
            for length in 1..20 {
                for at in 0..length {
                    for filler in [b'a', 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[at] = byte;
                        let expected = if is_special { at } else { length };
                        assert_eq!(special(&bytes, 0), expected, "{bytes:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_lowest_of_several_special_bytes_is_the_one() {
        assert_eq!(special(b"ab\"\"\\\x00 !", 0), 2);
        assert_eq!(special(b"ab!\"!!!!!!\"", 0), 3);
        assert_eq!(special(b"ab#\x01\x21\x22", 0), 3);
        assert_eq!(special(b"\"aaaaaaa\"bbbbbbbb", 1), 8);
    }
}
