//! Where plain forms end.

use crate::class;
use crate::fingerprint::{self, KEYWORD, STRING};
use crate::inst::Inst;
use crate::lex;
use crate::shape::Shape;
use crate::text::{self, PlainEnd};
use crate::uuid::Uuid;

/// How many collections may be open at once.
pub(crate) const LEVELS: usize = 16;
/// How many keys and elements of maps and sets that are open there may be.
const KEYS: usize = 24;

/// Where the form ends that starts here, and what it is, if it is plain.
#[inline]
pub(crate) fn form(bytes: &[u8], start: usize) -> Option<(usize, Shape)> {
    let first = *bytes.get(start)?;
    Some(match first {
        b'{' => (collection(bytes, start)?, Shape::Map),
        b'[' => (collection(bytes, start)?, Shape::Vector),
        b'(' => (collection(bytes, start)?, Shape::List),
        b'"' => match string(bytes, start)? {
            Text::Plain(end) | Text::Escaped(end) => (end, Shape::String),
        },
        b':' => {
            let end = lex::plain_name(bytes, start.wrapping_add(1))?;
            (end, Shape::Keyword)
        }
        b'0'..=b'9' | b'-' => (number(bytes, start)?, Shape::Number),
        b'a'..=b'z' | b'A'..=b'Z' => {
            let end = lex::plain_name(bytes, start)?;
            let shape = match bytes.get(start..end)? {
                b"nil" => Shape::Nil,
                b"true" | b"false" => Shape::Bool,
                _ => Shape::Symbol,
            };
            (end, shape)
        }
        b'#' if bytes.get(start.wrapping_add(1)) == Some(&b'{') => {
            (collection(bytes, start)?, Shape::Set)
        }
        b'#' => (built_in(bytes, start)?, Shape::Tagged),
        _ => return None,
    })
}

/// A collection that is open.
#[derive(Clone, Copy)]
struct Level {
    /// The bracket that closes it.
    closing: u8,
    /// Whether it is a map, a set, or neither.
    keyed: Keyed,
    /// Where its keys begin.
    first_key: u8,
}

/// Which forms of a collection may not repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyed {
    /// None of them.
    Not,
    /// All of them.
    Elements,
    /// The keys.
    Keys,
}

impl Level {
    const TEXT: Self = Self::new(0, Keyed::Not);

    const fn new(closing: u8, keyed: Keyed) -> Self {
        Self {
            closing,
            keyed,
            first_key: 0,
        }
    }
}

/// The keys of what is open.
struct Keys {
    fingerprints: [u64; KEYS],
    /// How many there are.
    count: u8,
    /// Which of 64 places those of the innermost collection fall on.
    seen: u64,
}

impl Keys {
    /// Takes another key in; `None` if it may be a repeated one, or there are too many.
    #[inline(always)]
    fn push(&mut self, fingerprint: u64, first: u8) -> Option<()> {
        // The upper bits are spread best.
        let place = 1 << (fingerprint >> 58);
        if self.seen & place != 0 && self.has(fingerprint, first) {
            return None;
        }
        self.seen |= place;
        *self.fingerprints.get_mut(usize::from(self.count))? = fingerprint;
        self.count = self.count.wrapping_add(1);
        Some(())
    }

    #[inline(never)]
    fn has(&self, fingerprint: u64, first: u8) -> bool {
        let own = usize::from(first)..usize::from(self.count);
        let own = self.fingerprints.get(own).unwrap_or_default();
        own.contains(&fingerprint)
    }

    /// Forgets all but those of what is around.
    #[inline(always)]
    fn truncate(&mut self, count: u8) {
        self.count = count;
        // Where it is a map its keys may have fallen on any place.
        self.seen = u64::MAX;
    }
}

/// Where the collection ends that starts here.
#[inline(never)]
fn collection(bytes: &[u8], start: usize) -> Option<usize> {
    let mut around = [Level::TEXT; LEVELS];
    let mut depth: usize = 0;
    let mut top = Level::TEXT;
    let mut keys = Keys {
        fingerprints: [0; KEYS],
        count: 0,
        seen: 0,
    };
    let mut pos = start;
    let mut byte = *bytes.get(pos)?;
    // Each time something of `top` is complete, or nothing was in it yet.
    loop {
        if top.keyed != Keyed::Not {
            if byte == b',' {
                pos = pos.wrapping_add(1);
                byte = *bytes.get(pos)?;
            }
            if byte == b' ' {
                pos = pos.wrapping_add(1);
                byte = *bytes.get(pos)?;
            }
            if byte == b':' {
                let from = pos.wrapping_add(1);
                let Word { length, next, word } = word(bytes, from)?;
                if length > 0 && (next == b' ' || class::ends_token(next)) {
                    let fingerprint = key_fingerprint(word, length);
                    keys.push(fingerprint, top.first_key)?;
                    (pos, byte) = (from.wrapping_add(length), next);
                } else {
                    pos = other_name(bytes, from)?;
                    byte = *bytes.get(pos)?;
                    let fingerprint = name_fingerprint(bytes.get(from..pos)?);
                    keys.push(fingerprint, top.first_key)?;
                }
            } else if byte == top.closing {
                keys.truncate(top.first_key);
                pos = pos.wrapping_add(1);
                depth = depth.wrapping_sub(1);
                if depth == 0 {
                    return Some(pos);
                }
                top = *around.get(depth)?;
                byte = *bytes.get(pos)?;
                continue;
            } else if class::is_blank(byte) {
                pos = behind_blanks(bytes, pos);
                byte = *bytes.get(pos)?;
                continue;
            } else {
                pos = other_key(bytes, pos, byte, &mut keys, top.first_key)?;
                byte = *bytes.get(pos)?;
            }
            if top.keyed == Keyed::Elements {
                continue;
            }
        }
        if byte == b' ' {
            pos = pos.wrapping_add(1);
            byte = *bytes.get(pos)?;
        }
        (pos, byte) = loop {
            break match byte {
                b':' => {
                    let from = pos.wrapping_add(1);
                    name(bytes, from)?
                }
                b'"' => {
                    let from = pos.wrapping_add(1);
                    let PlainEnd { length, is_wide } = text::plain_end(bytes.get(from..)?);
                    let quote = from.wrapping_add(length);
                    if !is_wide && bytes.get(quote) == Some(&b'"') {
                        let end = quote.wrapping_add(1);
                        (end, *bytes.get(end)?)
                    } else {
                        let (Text::Plain(end) | Text::Escaped(end)) =
                            odd_string(bytes, from, length)?;
                        (end, *bytes.get(end)?)
                    }
                }
                b'0'..=b'9' => match small_number(bytes, pos) {
                    Some(behind) => behind,
                    None => at(bytes, number(bytes, pos)?)?,
                },
                b'a'..=b'z' | b'A'..=b'Z' => name(bytes, pos)?,
                b'-' => at(bytes, number(bytes, pos)?)?,
                b']' | b')' => {
                    // A map that lacks a value is not ended so.
                    if byte != top.closing {
                        return None;
                    }
                    keys.truncate(top.first_key);
                    pos = pos.wrapping_add(1);
                    depth = depth.wrapping_sub(1);
                    if depth == 0 {
                        return Some(pos);
                    }
                    top = *around.get(depth)?;
                    (pos, *bytes.get(pos)?)
                }
                _ => {
                    let (level, length) = match byte {
                        b'[' => (Level::new(b']', Keyed::Not), 1),
                        b'(' => (Level::new(b')', Keyed::Not), 1),
                        b'{' => (Level::new(b'}', Keyed::Keys), 1),
                        b'#' if bytes.get(pos.wrapping_add(1)) == Some(&b'{') => {
                            (Level::new(b'}', Keyed::Elements), 2)
                        }
                        b'#' => break at(bytes, built_in(bytes, pos)?)?,
                        _ if class::is_blank(byte) => {
                            pos = behind_blanks(bytes, pos);
                            byte = *bytes.get(pos)?;
                            continue;
                        }
                        _ => return None,
                    };
                    *around.get_mut(depth)? = top;
                    depth = depth.wrapping_add(1);
                    top = level;
                    top.first_key = keys.count;
                    keys.seen = 0;
                    pos = pos.wrapping_add(length);
                    (pos, *bytes.get(pos)?)
                }
            };
        };
    }
}

/// Where digits end that start here, up to seven of them without a leading zero, and the byte there,
/// which ends the number.
#[inline(always)]
fn small_number(bytes: &[u8], start: usize) -> Option<(usize, u8)> {
    let word = u64::from_le_bytes(*bytes.get(start..)?.first_chunk()?);
    // The upper half of a digit is 3; adding 6 to the lower carries what is beyond 9 into it.
    let others = ((word & UPPER) ^ ZEROS) | ((word & !UPPER).wrapping_add(SIXES) & UPPER);
    let bits = others.trailing_zeros() & 0x78;
    #[expect(clippy::cast_possible_truncation, reason = "one byte is wanted")]
    let (first, next) = (word as u8, word.wrapping_shr(bits) as u8);
    // A leading zero makes it octal. Where all are digits the first of them ends nothing.
    let is_plain = class::ends_token(next) && (first != b'0' || bits == 8);
    let length = usize::try_from(bits >> 3).unwrap_or_default();
    is_plain.then_some((start.wrapping_add(length), next))
}

const UPPER: u64 = 0xf0f0_f0f0_f0f0_f0f0;
const ZEROS: u64 = 0x3030_3030_3030_3030;
const SIXES: u64 = 0x0606_0606_0606_0606;

/// Takes a key or element that is no keyword, and says where it ends.
#[inline(never)]
fn other_key(
    bytes: &[u8],
    start: usize,
    first: u8,
    keys: &mut Keys,
    first_key: u8,
) -> Option<usize> {
    let end = match first {
        b'"' => match string(bytes, start)? {
            Text::Plain(end) => end,
            // What escapes mean may be the same.
            Text::Escaped(_) => return None,
        },
        b'a'..=b'z' | b'A'..=b'Z' => lex::plain_name(bytes, start)?,
        b'0'..=b'9' | b'-' => {
            let is_negative = first == b'-';
            let from = start.wrapping_add(usize::from(is_negative));
            let (end, _) = digits(bytes, from)?;
            let same = number(bytes, start)?;
            // -0 is 0, and a fraction may be equal to others, too.
            let is_canonical = end == same && !(is_negative && bytes.get(from) == Some(&b'0'));
            is_canonical.then_some(end)?
        }
        _ => return None,
    };
    let token = fingerprint::text(STRING, bytes.get(start..end)?);
    keys.push(token, first_key)?;
    Some(end)
}

/// Small letters, and what stands behind them.
struct Word {
    /// How many there are, or none if there are eight or more.
    length: usize,
    /// The byte behind them, or the first.
    next: u8,
    /// Eight bytes, the first of them lowermost; behind the text are zeros.
    word: u64,
}

/// The small letters that begin here: nearly all names are just that, to a blank or a bracket.
#[inline(always)]
fn word(bytes: &[u8], start: usize) -> Option<Word> {
    let rest = bytes.get(start..)?;
    let word = match rest.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(rest),
    };
    let bits = lex::others_in(word).trailing_zeros() & 0x38;
    #[expect(clippy::cast_possible_truncation, reason = "one byte is wanted")]
    let next = word.wrapping_shr(bits) as u8;
    let length = usize::try_from(bits >> 3).unwrap_or_default();
    Some(Word { length, next, word })
}

/// The last bytes of a text, fewer than a word, and zeros behind them.
#[inline(never)]
fn last_word(rest: &[u8]) -> u64 {
    let first = |word: u64, byte: &u8| (word << 8) | u64::from(*byte);
    rest.iter().rev().fold(0, first)
}

/// Where the name ends that starts here, of a keyword or a symbol, and the byte there.
#[inline(always)]
fn name(bytes: &[u8], start: usize) -> Option<(usize, u8)> {
    let Word { length, next, .. } = word(bytes, start)?;
    if length > 0 && class::ends_token(next) {
        return Some((start.wrapping_add(length), next));
    }
    at(bytes, other_name(bytes, start)?)
}

/// The same for a name of other characters, or of more.
#[inline(never)]
fn other_name(bytes: &[u8], start: usize) -> Option<usize> {
    lex::plain_name(bytes, start)
}

/// A place, and the byte there.
#[inline(always)]
fn at(bytes: &[u8], end: usize) -> Option<(usize, u8)> {
    Some((end, *bytes.get(end)?))
}

/// A number that equal keys share that are keywords, of one to seven letters. Of different ones few do;
/// whoever makes them do so on purpose gains nothing but the longer path.
#[inline(always)]
fn key_fingerprint(word: u64, length: usize) -> u64 {
    let unused = u32::try_from(length)
        .unwrap_or_default()
        .wrapping_mul(8)
        .wrapping_neg();
    word.wrapping_shl(unused).wrapping_mul(SPREAD)
}

/// The same for any name.
#[inline(never)]
fn name_fingerprint(name: &[u8]) -> u64 {
    if name.len() > 7 {
        return fingerprint::text(KEYWORD, name);
    }
    key_fingerprint(last_word(name), name.len())
}

/// Where blanks end that are here.
#[inline(never)]
fn behind_blanks(bytes: &[u8], start: usize) -> usize {
    let mut blanks = bytes
        .iter()
        .skip(start)
        .take_while(|byte| class::is_blank(**byte));
    start.wrapping_add(blanks.by_ref().count())
}

/// An odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a string ends.
#[derive(Clone, Copy)]
enum Text {
    Plain(usize),
    /// With escapes in it.
    Escaped(usize),
}

/// The string that starts here.
#[inline(always)]
fn string(bytes: &[u8], start: usize) -> Option<Text> {
    let from = start.wrapping_add(1);
    let rest = bytes.get(from..)?;
    let PlainEnd { length, is_wide } = text::plain_end(rest);
    if is_wide || rest.get(length) != Some(&b'"') {
        return odd_string(bytes, from, length);
    }
    Some(Text::Plain(from.wrapping_add(length).wrapping_add(1)))
}

/// Where the string ends that starts here, behind its quote.
#[inline(always)]
pub(super) fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    match string(bytes, start)? {
        Text::Plain(end) | Text::Escaped(end) => Some(end),
    }
}

/// The same for one whose first byte is here and which goes on plainly so far.
#[inline(never)]
fn odd_string(bytes: &[u8], from: usize, plain: usize) -> Option<Text> {
    let rest = bytes.get(from..)?;
    let mut length = plain;
    let mut is_escaped = false;
    loop {
        match rest.get(length)? {
            b'"' => break,
            b'\\' => {}
            _ => return None,
        }
        is_escaped = true;
        let escape = rest.get(length.wrapping_add(1)..)?;
        let taken: usize = match escape {
            [b'n' | b't' | b'r' | b'b' | b'f' | b'"' | b'\\', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()) => 6,
            _ => return None,
        };
        length = length.wrapping_add(taken);
        length = length.wrapping_add(text::plain_length(rest.get(length..)?));
    }
    core::str::from_utf8(rest.get(..length)?).ok()?;
    let end = from.wrapping_add(length).wrapping_add(1);
    Some(if is_escaped {
        Text::Escaped(end)
    } else {
        Text::Plain(end)
    })
}

/// Where the number ends that starts here, which may have a sign and a fraction.
#[inline(never)]
fn number(bytes: &[u8], start: usize) -> Option<usize> {
    let is_negative = bytes.get(start) == Some(&b'-');
    let from = start.wrapping_add(usize::from(is_negative));
    let (end, next) = digits(bytes, from)?;
    let length = end.wrapping_sub(from);
    let leads_with_zero = bytes.get(from) == Some(&b'0');
    if length == 0 || length > 18 || (length > 1 && leads_with_zero) {
        return None;
    }
    if class::ends_token(next) {
        return Some(end);
    }
    if next != b'.' {
        return None;
    }
    let (end, next) = digits(bytes, end.wrapping_add(1))?;
    class::ends_token(next).then_some(end)
}

/// Where digits end that start here, and the byte there.
#[inline(always)]
fn digits(bytes: &[u8], start: usize) -> Option<(usize, u8)> {
    let mut end = start;
    loop {
        let byte = *bytes.get(end)?;
        if !byte.is_ascii_digit() {
            return Some((end, byte));
        }
        end = end.wrapping_add(1);
    }
}

/// Where a `#inst` or `#uuid` ends that starts here, written as it usually is.
#[inline(never)]
fn built_in(bytes: &[u8], start: usize) -> Option<usize> {
    let (tag, rest) = bytes.get(start..)?.split_first_chunk::<7>()?;
    // Neither is ever longer than that, the way it is usually written.
    let near = rest.get(..40).unwrap_or(rest);
    let length = near.iter().position(|byte| *byte == b'"')?;
    let said = core::str::from_utf8(near.get(..length)?).ok()?;
    match tag {
        b"#inst \"" => drop(Inst::parse(said).ok()?),
        b"#uuid \"" => drop(Uuid::parse(said).ok()?),
        _ => return None,
    }
    Some(start.wrapping_add(length).wrapping_add(8))
}
