//! The shortest path: forms that are written plainly, stepped over without keeping anything.
//!
//! Here nothing is refused and nothing is counted. What is not plain is left to [`Cursor`], which
//! knows all of the grammar, all of the errors and all of the limits. What is plain is a part of what
//! [`Machine::run`](crate::machine::Machine::run) takes.
//!
//! [`Cursor`]: crate::Cursor

use core::ops::Range;

use crate::class;
use crate::inst::Inst;
use crate::lex;
use crate::limits::Limits;
use crate::shape::Shape;
use crate::text::{self, PlainEnd};
use crate::ties;
use crate::uuid::Uuid;

/// How many collections may be open at once.
pub(crate) const LEVELS: usize = 16;
/// How many keys and elements of maps and sets that are open there may be.
const KEYS: usize = 32;

/// Moves over the forms of a text that are written plainly, and gives up at whatever is not.
///
/// It takes a part of what a [`Cursor`](crate::Cursor) takes, and all it takes a cursor would: most
/// messages that programs write, at a fraction of the cost. `None` from any of its methods is no
/// verdict; it only means that a cursor has to be asked, from the beginning.
///
/// Not plain are, among others: comments, metadata and `#_`; tags but `#inst` and `#uuid`;
/// characters, ratios, numbers with an exponent or a suffix; keys that are collections, floats or
/// have escapes; more than 16 levels, or 32 keys of the maps that are open at once. A form must
/// have something behind it: what ends with the text could go on. There is no allocation.
///
/// ```
/// use sente_edn::{Limits, PlainCursor, Shape};
///
/// let text = b"[[:chat/say {:text \"hi\"}] \"cb-7\"]";
/// let mut cursor = PlainCursor::new(text, &Limits::default()).unwrap();
/// cursor.enter().unwrap();
/// cursor.enter().unwrap();
/// assert_eq!(cursor.keyword(), Some(3..11));
/// assert_eq!(cursor.skip(), Some((12..24, Shape::Map)));
/// cursor.leave().unwrap();
/// assert_eq!(cursor.peek(), Some(b'"'));
/// ```
#[derive(Clone, Debug)]
pub struct PlainCursor<'a> {
    text: &'a [u8],
    pos: usize,
    /// How many vectors and maps were entered and not left.
    entered: usize,
}

impl<'a> PlainCursor<'a> {
    /// Stands before the first form of a text. `None` if the text could be beyond the limits, which
    /// are looked at nowhere else; so it is where they are unusually low.
    #[inline]
    #[must_use]
    pub const fn new(text: &'a [u8], limits: &Limits) -> Option<Self> {
        // Every form takes a byte, and an envelope does not nest deep.
        let fits = text.len() <= limits.max_bytes
            && text.len() <= Limits::MOST_BYTES
            && text.len() < limits.max_elements
            && limits.max_depth > LEVELS * 2;
        if fits {
            Some(Self {
                text,
                pos: 0,
                entered: 0,
            })
        } else {
            None
        }
    }

    /// At which byte it stands.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.pos
    }

    /// Skips blanks, and says which byte is next.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.pos)?;
            if !class::is_blank(byte) {
                return Some(byte);
            }
            self.pos = self.pos.wrapping_add(1);
        }
    }

    /// Steps into the vector that is next. No more than 16 vectors and maps may be entered at once.
    #[inline]
    pub fn enter(&mut self) -> Option<()> {
        self.enter_over(b'[')
    }

    /// Steps behind the bracket that ends a vector, which has to be next.
    #[inline]
    pub fn leave(&mut self) -> Option<()> {
        self.leave_over(b']')
    }

    /// Steps into the map that is next. Whether a key repeats is for the caller to see.
    #[inline]
    pub fn enter_map(&mut self) -> Option<()> {
        self.enter_over(b'{')
    }

    /// Steps behind the bracket that ends a map, which has to be next.
    #[inline]
    pub fn leave_map(&mut self) -> Option<()> {
        self.leave_over(b'}')
    }

    #[inline]
    fn enter_over(&mut self, bracket: u8) -> Option<()> {
        if self.entered >= LEVELS {
            return None;
        }
        self.step_over(bracket)?;
        self.entered = self.entered.wrapping_add(1);
        Some(())
    }

    #[inline]
    fn leave_over(&mut self, bracket: u8) -> Option<()> {
        let around = self.entered.checked_sub(1)?;
        self.step_over(bracket)?;
        self.entered = around;
        Some(())
    }

    #[inline]
    fn step_over(&mut self, bracket: u8) -> Option<()> {
        if self.peek()? != bracket {
            return None;
        }
        self.pos = self.pos.wrapping_add(1);
        Some(())
    }

    /// Steps over the keyword that is next, and says where its name stands, behind the colon. It is
    /// ASCII, and has at most one slash, with something on both sides.
    #[inline]
    pub fn keyword(&mut self) -> Option<Range<usize>> {
        if self.peek()? != b':' {
            return None;
        }
        let start = self.pos.wrapping_add(1);
        let end = lex::plain_name(self.text, start)?;
        self.pos = end;
        Some(start..end)
    }

    /// Steps over the keyword that is next if it is the one of this name, which has been read
    /// before. Where it is not, nothing is stepped over.
    #[inline]
    pub fn keyword_of(&mut self, name: &str) -> Option<()> {
        if self.peek()? != b':' {
            return None;
        }
        let start = self.pos.wrapping_add(1);
        let end = start.wrapping_add(name.len());
        let is_same = self.text.get(start..end)? == name.as_bytes();
        let ends = class::ends_token(*self.text.get(end)?);
        (is_same && ends).then(|| self.pos = end)
    }

    /// Steps over the form that is next, and says where it stands and what it is.
    #[inline]
    pub fn skip(&mut self) -> Option<(Range<usize>, Shape)> {
        self.peek()?;
        let start = self.pos;
        let (end, shape) = form(self.text, start)?;
        self.pos = end;
        Some((start..end, shape))
    }

    /// Whether the text ends here.
    #[inline]
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.pos == self.text.len()
    }
}

/// Where the form ends that starts here, and what it is, if it is plain.
#[inline]
pub(crate) fn form(bytes: &[u8], start: usize) -> Option<(usize, Shape)> {
    let first = *bytes.get(start)?;
    Some(match first {
        b'{' => (collection(bytes, start)?, Shape::Map),
        b'[' => (collection(bytes, start)?, Shape::Vector),
        b'(' => (collection(bytes, start)?, Shape::List),
        b'"' => (string(bytes, start)?.0, Shape::String),
        b':' => {
            let end = lex::plain_name(bytes, start.wrapping_add(1))?;
            (end, Shape::Keyword)
        }
        b'0'..=b'9' | b'-' => (number(bytes, start, first)?.end, Shape::Number),
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
    /// Whether the next form in it is a key or an element.
    is_key: bool,
    /// Whether keys and values take turns.
    turns: bool,
    /// Where its keys begin.
    first_key: usize,
}

impl Level {
    const TEXT: Self = Self {
        closing: 0,
        is_key: false,
        turns: false,
        first_key: 0,
    };
}

/// Where the collection ends that starts here.
#[inline(never)]
fn collection(bytes: &[u8], start: usize) -> Option<usize> {
    let mut around = [Level::TEXT; LEVELS];
    let mut depth: usize = 0;
    let mut top = Level::TEXT;
    let mut keys = [0_u64; KEYS];
    let mut count: usize = 0;
    let mut pos = start;
    let mut byte = *bytes.get(pos)?;
    loop {
        while class::is_blank(byte) {
            pos = pos.wrapping_add(1);
            byte = *bytes.get(pos)?;
        }
        let (end, next) = match byte {
            b':' => name(bytes, pos.wrapping_add(1))?,
            b'"' => {
                let (end, is_escaped) = string(bytes, pos)?;
                if is_escaped && top.is_key {
                    return None;
                }
                (end, *bytes.get(end)?)
            }
            b'0'..=b'9' | b'-' => {
                let Number {
                    end,
                    next,
                    is_canonical,
                } = number(bytes, pos, byte)?;
                if !is_canonical && top.is_key {
                    return None;
                }
                (end, next)
            }
            b'a'..=b'z' | b'A'..=b'Z' => name(bytes, pos)?,
            b'[' | b'{' | b'(' | b'#' => {
                if top.is_key {
                    return None;
                }
                let (closing, is_key, turns, length) = match byte {
                    b'[' => (b']', false, false, 1),
                    b'(' => (b')', false, false, 1),
                    b'{' => (b'}', true, true, 1),
                    _ if bytes.get(pos.wrapping_add(1)) == Some(&b'{') => (b'}', true, false, 2),
                    _ => {
                        pos = built_in(bytes, pos)?;
                        byte = *bytes.get(pos)?;
                        top.is_key ^= top.turns;
                        continue;
                    }
                };
                *around.get_mut(depth)? = top;
                depth = depth.wrapping_add(1);
                top = Level {
                    closing,
                    is_key,
                    turns,
                    first_key: count,
                };
                pos = pos.wrapping_add(length);
                byte = *bytes.get(pos)?;
                continue;
            }
            b']' | b'}' | b')' => {
                // A map is complete when a key would be next.
                if byte != top.closing || (top.turns && !top.is_key) {
                    return None;
                }
                if count > top.first_key {
                    if have_tie(keys.get_mut(top.first_key..count)?) {
                        return None;
                    }
                    count = top.first_key;
                }
                pos = pos.wrapping_add(1);
                depth = depth.wrapping_sub(1);
                if depth == 0 {
                    return Some(pos);
                }
                top = *around.get(depth)?;
                top.is_key ^= top.turns;
                byte = *bytes.get(pos)?;
                continue;
            }
            _ => return None,
        };
        if top.is_key {
            *keys.get_mut(count)? = fingerprint(bytes, pos, end)?;
            count = count.wrapping_add(1);
        }
        top.is_key ^= top.turns;
        pos = end;
        byte = next;
    }
}

/// Where the name ends that starts here, and the byte there.
#[inline(always)]
fn name(bytes: &[u8], start: usize) -> Option<(usize, u8)> {
    let mut end = start;
    let next = loop {
        let byte = *bytes.get(end)?;
        if !class::is_simple(byte) {
            break byte;
        }
        end = end.wrapping_add(1);
    };
    if class::ends_token(next) && end > start {
        return Some((end, next));
    }
    let end = lex::plain_name(bytes, start)?;
    Some((end, *bytes.get(end)?))
}

/// A number that equal tokens share. Of different ones few do; whoever makes them do so on purpose
/// gains nothing but the longer path.
#[inline(always)]
fn fingerprint(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    let length = end.wrapping_sub(start);
    // There is an envelope or a bracket before every key, though it may be short.
    let last = u64::from_le_bytes(*bytes.get(..end)?.last_chunk()?);
    let bits = if length < 8 {
        // What stands before the token is shifted out.
        last >> (64_usize.wrapping_sub(length.wrapping_mul(8)) & 63)
    } else if length <= 16 {
        let first = u64::from_le_bytes(*bytes.get(start..)?.first_chunk()?);
        last ^ first.wrapping_mul(SPREAD).rotate_left(32)
    } else {
        let mut bits = last;
        for chunk in bytes.get(start..end)?.as_chunks::<8>().0 {
            bits = bits.wrapping_mul(SPREAD).rotate_left(32) ^ u64::from_le_bytes(*chunk);
        }
        bits
    };
    Some((bits ^ (length as u64).rotate_left(56)).wrapping_mul(SPREAD))
}

/// An odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether two fingerprints may be the same.
#[inline]
fn have_tie(fingerprints: &mut [u64]) -> bool {
    const FEW: usize = 8;
    if fingerprints.len() <= FEW {
        // Their upper bits are spread best.
        let mut seen = 0_u64;
        let mut repeats = false;
        for fingerprint in &*fingerprints {
            let bit = 1_u64 << (fingerprint >> 58);
            repeats |= seen & bit != 0;
            seen |= bit;
        }
        if !repeats {
            return false;
        }
    }
    ties::has_tie(fingerprints)
}

/// Where the string ends that starts here, and whether it has escapes.
#[inline(always)]
fn string(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let from = start.wrapping_add(1);
    let rest = bytes.get(from..)?;
    let PlainEnd { length, is_wide } = text::plain_end(rest);
    if is_wide || rest.get(length) != Some(&b'"') {
        return odd_string(rest, length).map(|(length, is_escaped)| {
            // The bracket before it and the one behind.
            (from.wrapping_add(length), is_escaped)
        });
    }
    Some((from.wrapping_add(length).wrapping_add(1), false))
}

/// How long a string is with its last quote, and whether it has escapes, if that starts here which
/// goes on plainly so far.
#[inline(never)]
fn odd_string(rest: &[u8], plain: usize) -> Option<(usize, bool)> {
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
    Some((length.wrapping_add(1), is_escaped))
}

/// A number that was stepped over.
struct Number {
    end: usize,
    /// The byte there.
    next: u8,
    /// Whether no number is equal that is written otherwise.
    is_canonical: bool,
}

/// The number that starts here with this byte.
#[inline(always)]
fn number(bytes: &[u8], start: usize, first: u8) -> Option<Number> {
    let is_negative = first == b'-';
    let from = start.wrapping_add(usize::from(is_negative));
    let (end, next) = digits(bytes, from)?;
    let length = end.wrapping_sub(from);
    let leads_with_zero = bytes.get(from) == Some(&b'0');
    // A leading zero makes it octal, and 19 digits may be too many.
    if length == 0 || length > 18 || (length > 1 && leads_with_zero) {
        return None;
    }
    if class::ends_token(next) {
        return Some(Number {
            end,
            next,
            is_canonical: !(is_negative && leads_with_zero),
        });
    }
    if next != b'.' {
        return None;
    }
    let (end, next) = digits(bytes, end.wrapping_add(1))?;
    class::ends_token(next).then_some(Number {
        end,
        next,
        is_canonical: false,
    })
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
