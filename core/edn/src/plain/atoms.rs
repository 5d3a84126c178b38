//! What stands behind plain atoms. Each function is given the text from the atom on, and `None` is no
//! verdict. Something that ends the atom for sure has to follow, which the end of the text does not.

use super::word;
use crate::class;
use crate::inst::Inst;
use crate::lex;
use crate::text;
use crate::uuid::Uuid;

/// Behind an atom of the usual kinds, or an empty vector.
#[inline(always)]
pub(super) fn atom(rest: &[u8]) -> Option<&[u8]> {
    let (first, behind) = rest.split_first()?;
    match first {
        b'"' => string(behind, true),
        b'0'..=b'9' => digits(rest, *first),
        b'a'..=b'z' | b'A'..=b'Z' => name(rest),
        b':' => name(behind),
        b'-' => number(rest),
        // Many are empty.
        b'[' => match behind {
            [b']', behind @ ..] => Some(behind),
            _ => None,
        },
        _ => None,
    }
}

/// Behind a keyword's or a symbol's name, which is nearly always of small letters alone.
#[inline(always)]
pub(super) fn name(rest: &[u8]) -> Option<&[u8]> {
    if let Some(near) = rest.first_chunk::<9>()
        && let Some(word) = near.first_chunk()
    {
        let length = word::before(lex::others_in(u64::from_le_bytes(*word)));
        if length > 0
            && near
                .get(length)
                .is_some_and(|next| class::ends_token(*next))
        {
            return rest.get(length..);
        }
    }
    other_name(rest)
}

/// The same for a name of other characters, or of more: what
/// [`plain_name`](crate::lex::plain_name) takes.
#[inline(never)]
pub(super) fn other_name(rest: &[u8]) -> Option<&[u8]> {
    let length = name_length(rest);
    let end = rest.get(length..)?;
    let [next, behind @ ..] = end else {
        return None;
    };
    if *next == b'/' {
        let second = behind.first()?;
        let end = behind.get(name_length(behind)..)?;
        let is_plain = length > 0
            && end.len() < behind.len()
            && !second.is_ascii_digit()
            && !rest.first()?.is_ascii_digit();
        return (is_plain && class::ends_token(*end.first()?)).then_some(end);
    }
    (length > 0 && class::ends_token(*next)).then_some(end)
}

/// How many bytes come that may stand anywhere in a name.
#[inline(always)]
fn name_length(rest: &[u8]) -> usize {
    let mut end = rest;
    loop {
        let odd = word::odd_in_names(word::next(end));
        end = end.get(word::before(odd)..).unwrap_or_default();
        if odd == 0 {
            continue;
        }
        match end.split_first() {
            // Other characters are few.
            Some((byte, behind)) if class::is_simple(*byte) => end = behind,
            _ => return rest.len().wrapping_sub(end.len()),
        }
    }
}

/// Behind a number that begins with a digit, which is nearly always short, with a fraction or not.
#[inline(always)]
pub(super) fn digits(rest: &[u8], first: u8) -> Option<&[u8]> {
    let Some(near) = rest.first_chunk::<9>() else {
        return number(rest);
    };
    let others = word::no_digits(u64::from_le_bytes(*near.first_chunk()?));
    let Some(length) = word::first(others) else {
        return longer_digits(rest, first);
    };
    let next = *near.get(length)?;
    // A leading zero makes it octal.
    if first == b'0' && length != 1 {
        return None;
    }
    if class::ends_token(next) {
        return rest.get(length..);
    }
    if next == b'.'
        && let Some(length) = word::first(others & others.wrapping_sub(1))
        && class::ends_token(*near.get(length)?)
    {
        return rest.get(length..);
    }
    number(rest)
}

/// The same for a number of eight digits or more, which may be a time.
#[inline(always)]
fn longer_digits(rest: &[u8], first: u8) -> Option<&[u8]> {
    if let Some(near) = rest.first_chunk::<16>()
        && let Some(length) = word::first(word::no_digits(u64::from_le_bytes(*near.last_chunk()?)))
        && class::ends_token(*near.get(length.wrapping_add(8))?)
        && first != b'0'
    {
        return rest.get(length.wrapping_add(8)..);
    }
    number(rest)
}

/// The same for one that may have a sign, and be longer.
#[inline(never)]
pub(super) fn number(rest: &[u8]) -> Option<&[u8]> {
    let digits = match rest {
        [b'-', digits @ ..] => digits,
        _ => rest,
    };
    let end = behind_digits(digits)?;
    let length = digits.len().wrapping_sub(end.len());
    let (next, fraction) = end.split_first()?;
    let leads_with_zero = length > 1 && digits.first() == Some(&b'0');
    if length == 0 || length > 18 || leads_with_zero {
        return None;
    }
    if class::ends_token(*next) {
        return Some(end);
    }
    if *next != b'.' {
        return None;
    }
    let end = behind_digits(fraction)?;
    class::ends_token(*end.first()?).then_some(end)
}

/// Behind as many digits as there are.
#[inline(always)]
pub(super) fn behind_digits(rest: &[u8]) -> Option<&[u8]> {
    let mut end = rest;
    loop {
        let length = word::before(word::no_digits(word::next(end)));
        end = end.get(length..)?;
        if length < 8 {
            return Some(end);
        }
    }
}

/// Behind a string, from behind its first quote; escapes may be there or not.
#[inline(always)]
pub(super) fn string(inside: &[u8], may_escape: bool) -> Option<&[u8]> {
    let mut rest = inside;
    for _ in 0..2 {
        let odd = word::odd_in_strings(word::next(rest));
        if odd != 0 {
            return match rest.get(word::before(odd)..)? {
                [b'"', behind @ ..] => Some(behind),
                odd => odd_string(inside, odd, may_escape),
            };
        }
        rest = rest.get(8..)?;
    }
    far_string(inside, rest, may_escape)
}

/// The same for a string that is plain as far as `rest`.
#[inline(never)]
fn far_string<'a>(inside: &'a [u8], rest: &'a [u8], may_escape: bool) -> Option<&'a [u8]> {
    // Most strings end within a few words, sooner than a wide search pays.
    const NEAR: usize = 4;
    let mut rest = rest;
    for _ in 0..NEAR {
        let odd = word::odd_in_strings(word::next(rest));
        if odd != 0 {
            return match rest.get(word::before(odd)..)? {
                [b'"', behind @ ..] => Some(behind),
                odd => odd_string(inside, odd, may_escape),
            };
        }
        rest = rest.get(8..)?;
    }
    let length = memchr::memchr2(b'"', b'\\', rest)?;
    let (plain, end) = rest.split_at_checked(length)?;
    match end {
        [b'"', behind @ ..] if !word::has_wide(plain) => Some(behind),
        _ => odd_string(inside, rest, may_escape),
    }
}

/// The same for one that has something odd where `rest` begins, or behind.
#[inline(never)]
fn odd_string<'a>(inside: &'a [u8], rest: &'a [u8], may_escape: bool) -> Option<&'a [u8]> {
    let mut rest = rest;
    loop {
        rest = rest.get(text::plain_length(rest)..)?;
        let (first, behind) = rest.split_first()?;
        if *first == b'"' {
            let length = inside.len().wrapping_sub(rest.len());
            core::str::from_utf8(inside.get(..length)?).ok()?;
            return Some(behind);
        }
        rest = match behind {
            [b'n' | b't' | b'r' | b'b' | b'f' | b'"' | b'\\', more @ ..] => more,
            [b'u', a, b, c, d, more @ ..] if [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()) => {
                more
            }
            _ => return None,
        };
        if !may_escape {
            return None;
        }
    }
}

/// Behind a `#inst` or `#uuid`, written as it usually is.
#[inline(never)]
pub(super) fn built_in(rest: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = rest.split_first_chunk::<7>()?;
    // Neither is ever longer than that, the way it is usually written.
    let near = rest.get(..40).unwrap_or(rest);
    let length = near.iter().position(|byte| *byte == b'"')?;
    let said = core::str::from_utf8(near.get(..length)?).ok()?;
    match tag {
        b"#inst \"" => drop(Inst::parse(said).ok()?),
        b"#uuid \"" => drop(Uuid::parse(said).ok()?),
        _ => return None,
    }
    rest.get(length.wrapping_add(1)..)
}
