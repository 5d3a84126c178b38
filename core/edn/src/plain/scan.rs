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
        b'0'..=b'9' | b'-' => (number(bytes, start)?.0, Shape::Number),
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
    // Whether a key or the end of a map is next.
    let mut is_key = false;
    loop {
        while class::is_blank(byte) {
            pos = pos.wrapping_add(1);
            byte = *bytes.get(pos)?;
        }
        if is_key {
            if byte == b':' {
                let name = name(bytes, pos.wrapping_add(1))?;
                keys.push(name.fingerprint(bytes, pos)?, top.first_key)?;
                pos = name.end;
                byte = name.next;
                is_key = top.keyed == Keyed::Elements;
                continue;
            }
            if byte != top.closing {
                (pos, byte) = other_key(bytes, pos, byte, &mut keys, top.first_key)?;
                is_key = top.keyed == Keyed::Elements;
                continue;
            }
        }
        (pos, byte) = match byte {
            b':' => {
                let name = name(bytes, pos.wrapping_add(1))?;
                (name.end, name.next)
            }
            b'"' => {
                let (Text::Plain(end) | Text::Escaped(end)) = string(bytes, pos)?;
                (end, *bytes.get(end)?)
            }
            b'0'..=b'9' => {
                let mut end = pos.wrapping_add(1);
                let mut next = *bytes.get(end)?;
                while next.is_ascii_digit() {
                    end = end.wrapping_add(1);
                    next = *bytes.get(end)?;
                }
                let length = end.wrapping_sub(pos);
                // A leading zero makes it octal, and 19 digits may be too many.
                let is_short = length == 1 || (length <= 18 && byte != b'0');
                if is_short && class::ends_token(next) {
                    (end, next)
                } else {
                    number(bytes, pos)?
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let name = name(bytes, pos)?;
                (name.end, name.next)
            }
            b'-' => number(bytes, pos)?,
            b']' | b'}' | b')' => {
                // Of a map all but the values end it.
                if byte != top.closing || (top.keyed != Keyed::Not && !is_key) {
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
                    b'#' => {
                        pos = built_in(bytes, pos)?;
                        byte = *bytes.get(pos)?;
                        is_key = top.keyed == Keyed::Keys;
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
                byte = *bytes.get(pos)?;
                is_key = top.keyed != Keyed::Not;
                continue;
            }
        };
        is_key = top.keyed == Keyed::Keys;
    }
}

/// Takes a key or element that is no keyword, and says where it ends and the byte there.
#[inline(never)]
fn other_key(
    bytes: &[u8],
    start: usize,
    first: u8,
    keys: &mut Keys,
    first_key: u8,
) -> Option<(usize, u8)> {
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
            let (same, _) = number(bytes, start)?;
            // -0 is 0, and a fraction may be equal to others, too.
            let is_canonical = end == same && !(is_negative && bytes.get(from) == Some(&b'0'));
            is_canonical.then_some(end)?
        }
        _ => return None,
    };
    let token = fingerprint::text(STRING, bytes.get(start..end)?);
    keys.push(token, first_key)?;
    Some((end, *bytes.get(end)?))
}

/// A name that was stepped over.
struct Name {
    end: usize,
    /// The byte there.
    next: u8,
    /// Up to eight bytes of it, the last of them uppermost.
    first: u64,
}

impl Name {
    /// A number that equal keywords share whose colon is at `start`. Of different ones few do;
    /// whoever makes them do so on purpose gains nothing but the longer path.
    #[inline(always)]
    fn fingerprint(&self, bytes: &[u8], start: usize) -> Option<u64> {
        if self.end.wrapping_sub(start) > 9 {
            return Some(fingerprint::text(KEYWORD, bytes.get(start..self.end)?));
        }
        Some(self.first.wrapping_mul(SPREAD))
    }
}

/// The name that starts here.
#[inline(always)]
fn name(bytes: &[u8], start: usize) -> Option<Name> {
    let rest = bytes.get(start..)?;
    let word = match rest.first_chunk() {
        Some(word) => Some(u64::from_le_bytes(*word)),
        // Behind the text are zeros, which no name ends with.
        None => bytes.last_chunk().map(|last| {
            let lacking = 8_usize.wrapping_sub(rest.len()).wrapping_mul(8);
            let lacking = u32::try_from(lacking).unwrap_or_default();
            u64::from_le_bytes(*last).checked_shr(lacking).unwrap_or(0)
        }),
    };
    if let Some(word) = word {
        // Nearly all names are small letters, to a blank or a bracket.
        let others = lex::others_in(word);
        let bits = others.trailing_zeros() & 0x78;
        #[expect(clippy::cast_possible_truncation, reason = "one byte is wanted")]
        let next = word.wrapping_shr(bits) as u8;
        // Where all are letters the first of them is looked at, which ends no token.
        if bits > 0 && class::ends_token(next) {
            let length = usize::try_from(bits >> 3).unwrap_or_default();
            return Some(Name {
                end: start.wrapping_add(length),
                next,
                first: word.wrapping_shl(bits.wrapping_neg()),
            });
        }
    }
    other_name(bytes, start)
}

/// The same for a name of other characters, or of more, or near the end of the text.
#[inline(never)]
fn other_name(bytes: &[u8], start: usize) -> Option<Name> {
    let end = lex::plain_name(bytes, start)?;
    let mut first: u64 = 0;
    for byte in bytes.get(start..end)?.iter().take(8) {
        first = (first >> 8) | (u64::from(*byte) << 56);
    }
    Some(Name {
        end,
        next: *bytes.get(end)?,
        first,
    })
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

/// Where the number ends that starts here, which may have a sign and a fraction, and the byte there.
#[inline(never)]
fn number(bytes: &[u8], start: usize) -> Option<(usize, u8)> {
    let is_negative = bytes.get(start) == Some(&b'-');
    let from = start.wrapping_add(usize::from(is_negative));
    let (end, next) = digits(bytes, from)?;
    let length = end.wrapping_sub(from);
    let leads_with_zero = bytes.get(from) == Some(&b'0');
    if length == 0 || length > 18 || (length > 1 && leads_with_zero) {
        return None;
    }
    if class::ends_token(next) {
        return Some((end, next));
    }
    if next != b'.' {
        return None;
    }
    let (end, next) = digits(bytes, end.wrapping_add(1))?;
    class::ends_token(next).then_some((end, next))
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
