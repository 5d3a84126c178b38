//! Where plain forms end.

use super::{atoms, word};
use crate::class;
use crate::fingerprint::{self, KEYWORD, STRING};
use crate::lex;
use crate::shape::Shape;

/// How many collections may be open at once.
pub(crate) const LEVELS: usize = 16;
/// How many keys and elements of maps and sets that are open there may be.
const KEYS: usize = 24;

/// Where the form ends that starts here, and what it is, if it is plain.
#[inline]
pub(crate) fn form(bytes: &[u8], start: usize) -> Option<(usize, Shape)> {
    let rest = bytes.get(start..)?;
    let (behind, shape) = match rest {
        [b'{', ..] => (collection(rest)?, Shape::Map),
        [b'[', ..] => (collection(rest)?, Shape::Vector),
        [b'(', ..] => (collection(rest)?, Shape::List),
        [b'"', inside @ ..] => (atoms::string(inside, true)?, Shape::String),
        [b':', name @ ..] => (atoms::other_name(name)?, Shape::Keyword),
        [b'0'..=b'9' | b'-', ..] => (atoms::number(rest)?, Shape::Number),
        [b'a'..=b'z' | b'A'..=b'Z', ..] => {
            let behind = atoms::other_name(rest)?;
            let length = rest.len().wrapping_sub(behind.len());
            let shape = match rest.get(..length)? {
                b"nil" => Shape::Nil,
                b"true" | b"false" => Shape::Bool,
                _ => Shape::Symbol,
            };
            (behind, shape)
        }
        [b'#', b'{', ..] => (collection(rest)?, Shape::Set),
        [b'#', ..] => (atoms::built_in(rest)?, Shape::Tagged),
        _ => return None,
    };
    Some((bytes.len().wrapping_sub(behind.len()), shape))
}

/// Where the string ends that starts here, behind its quote.
#[inline(always)]
pub(super) fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let inside = bytes.get(start.wrapping_add(1)..)?;
    let behind = atoms::string(inside, true)?;
    Some(bytes.len().wrapping_sub(behind.len()))
}

/// A kind of collection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    Vector,
    Set,
    Map,
}

/// A collection that is open.
#[derive(Clone, Copy)]
struct Level {
    kind: Kind,
    /// Where its keys begin.
    first_key: u8,
}

impl Level {
    /// What stands where nothing is.
    const NONE: Self = Self {
        kind: Kind::List,
        first_key: 0,
    };
}

/// All that is open.
struct Open {
    /// The innermost.
    top: Level,
    /// Whether the value of a key is next in it.
    is_value: bool,
    around: [Level; LEVELS],
    depth: usize,
    /// The keys of all of them.
    keys: [u64; KEYS],
    count: usize,
    /// Which of 64 places those of the innermost fall on.
    seen: u64,
}

/// What is behind the collection that starts here.
#[inline(never)]
fn collection(text: &[u8]) -> Option<&[u8]> {
    let (kind, mut rest) = match text {
        [b'{', rest @ ..] => (Kind::Map, rest),
        [b'[', rest @ ..] => (Kind::Vector, rest),
        [b'(', rest @ ..] => (Kind::List, rest),
        [_, _, rest @ ..] => (Kind::Set, rest),
        _ => return None,
    };
    let top = Level { kind, first_key: 0 };
    // The lowest level is none, and is not looked at.
    let mut open = Open {
        top,
        is_value: false,
        around: [Level::NONE; LEVELS],
        depth: 1,
        keys: [0; KEYS],
        count: 0,
        seen: 0,
    };
    while open.depth > 0 {
        rest = match (open.top.kind, open.is_value) {
            (Kind::Map, false) => {
                while let Some((fingerprint, behind)) = usual_key(rest) {
                    open.push_key(fingerprint)?;
                    rest = behind;
                    let Some(behind) = atoms::atom(rest) else {
                        open.is_value = true;
                        break;
                    };
                    rest = behind;
                }
                match rest {
                    [b'}', behind @ ..] if !open.is_value => {
                        open.leave();
                        behind
                    }
                    _ if open.is_value => open.other(rest)?,
                    _ => open.key(rest)?,
                }
            }
            (Kind::Set, _) => open.key(rest)?,
            (Kind::Map, true) => {
                if let [b' ', behind @ ..] = rest {
                    rest = behind;
                }
                match atoms::atom(rest) {
                    Some(behind) => {
                        open.is_value = false;
                        behind
                    }
                    None => open.other(rest)?,
                }
            }
            (Kind::List | Kind::Vector, _) => {
                loop {
                    if let [b' ', behind @ ..] = rest {
                        rest = behind;
                    }
                    let Some(behind) = atoms::atom(rest) else {
                        break;
                    };
                    rest = behind;
                }
                open.other(rest)?
            }
        };
    }
    Some(rest)
}

/// A key as nearly all are, with what separates it from the value before and from its own: its
/// fingerprint, and what is behind.
#[inline(always)]
fn usual_key(rest: &[u8]) -> Option<(u64, &[u8])> {
    /// A comma, a space and a colon.
    const BETWEEN: u32 = u32::from_le_bytes(*b", :\0");
    let near: &[u8; 12] = rest.first_chunk()?;
    let between = u32::from_le_bytes(*near.first_chunk()?) & 0x00ff_ffff;
    let (from, name): (usize, &[u8; 9]) = if between == BETWEEN {
        (3, near.last_chunk()?)
    } else {
        match near {
            [b':', name @ .., _, _] => (1, name),
            [b' ', b':', name @ .., _] => (2, name),
            _ => return None,
        }
    };
    let word = u64::from_le_bytes(*name.first_chunk()?);
    // None where all are letters.
    let length = word::before(lex::others_in(word)) & 7;
    if length == 0 || name.get(length) != Some(&b' ') {
        return None;
    }
    let behind = rest.get(from.wrapping_add(length).wrapping_add(1)..)?;
    Some((short_fingerprint(word, length), behind))
}

impl Open {
    /// Steps over any key or element, over blanks before it, or out of the map or set.
    #[inline(never)]
    fn key<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = rest;
        while let [b' ' | b',', behind @ ..] = rest {
            rest = behind;
        }
        let behind = match rest {
            [b'}', behind @ ..] => {
                self.leave();
                return Some(behind);
            }
            [b':', name @ ..] => {
                let behind = atoms::name(name)?;
                self.push_key(name_fingerprint(name, behind)?)?;
                behind
            }
            [byte, behind @ ..] if class::is_blank(*byte) => return Some(behind),
            key => {
                let behind = other_key(key)?;
                let length = key.len().wrapping_sub(behind.len());
                self.push_key(fingerprint::text(STRING, key.get(..length)?))?;
                behind
            }
        };
        self.is_value = self.top.kind == Kind::Map;
        Some(behind)
    }

    /// Steps over a bracket, over blanks, or over an atom that is seldom, where an item or a value may
    /// be.
    #[inline(never)]
    fn other<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (first, behind) = rest.split_first()?;
        match first {
            b'[' => self.enter(Kind::Vector)?,
            b'{' => self.enter(Kind::Map)?,
            b'(' => self.enter(Kind::List)?,
            b']' if self.top.kind == Kind::Vector => self.leave(),
            b')' if self.top.kind == Kind::List => self.leave(),
            b'#' => {
                if let [b'{', behind @ ..] = behind {
                    self.enter(Kind::Set)?;
                    return Some(behind);
                }
                let behind = atoms::built_in(rest)?;
                self.is_value = false;
                return Some(behind);
            }
            _ if class::is_blank(*first) => {}
            _ => return None,
        }
        Some(behind)
    }

    /// Goes into a collection; `None` if it is too deep.
    #[inline(always)]
    fn enter(&mut self, kind: Kind) -> Option<()> {
        *self.around.get_mut(self.depth)? = self.top;
        self.depth = self.depth.wrapping_add(1);
        self.top = Level {
            kind,
            first_key: u8::try_from(self.count).ok()?,
        };
        self.is_value = false;
        self.seen = 0;
        Some(())
    }

    /// Leaves the innermost, whose keys are forgotten.
    #[inline(always)]
    fn leave(&mut self) {
        self.count = usize::from(self.top.first_key);
        self.depth = self.depth.wrapping_sub(1);
        if let Some(top) = self.around.get(self.depth) {
            self.top = *top;
        }
        if self.top.kind == Kind::Map {
            let places = self.own_keys().iter().map(|key| place(*key));
            self.seen = places.fold(0, |seen, place| seen | place);
        }
    }

    /// Takes another key in; `None` if it may be a repeated one, or there are too many.
    #[inline(always)]
    fn push_key(&mut self, fingerprint: u64) -> Option<()> {
        let place = place(fingerprint);
        if self.seen & place != 0 && self.has(fingerprint) {
            return None;
        }
        self.seen |= place;
        *self.keys.get_mut(self.count)? = fingerprint;
        self.count = self.count.wrapping_add(1);
        Some(())
    }

    #[inline(never)]
    fn has(&self, fingerprint: u64) -> bool {
        let own = usize::from(self.top.first_key);
        let keys = self.keys.iter().take(self.count).skip(own);
        keys.fold(false, |found, key| found | (*key == fingerprint))
    }

    /// The keys of the innermost.
    #[inline(always)]
    fn own_keys(&self) -> &[u64] {
        let own = usize::from(self.top.first_key)..self.count;
        self.keys.get(own).unwrap_or_default()
    }
}

/// One of 64 places.
#[inline(always)]
const fn place(fingerprint: u64) -> u64 {
    // The upper bits are spread best.
    1 << (fingerprint >> 58)
}

/// What is behind a key or element that is no keyword.
#[inline(never)]
fn other_key(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        // What escapes mean may be the same.
        [b'"', inside @ ..] => atoms::string(inside, false),
        [b'a'..=b'z' | b'A'..=b'Z', ..] => atoms::other_name(rest),
        [first @ (b'0'..=b'9' | b'-'), digits @ ..] => {
            let is_negative = *first == b'-';
            let end = atoms::behind_digits(if is_negative { digits } else { rest })?;
            let behind = atoms::number(rest)?;
            // -0 is 0, and a fraction may be equal to others, too.
            let is_canonical =
                end.len() == behind.len() && !(is_negative && digits.first() == Some(&b'0'));
            is_canonical.then_some(behind)
        }
        _ => None,
    }
}

/// A number that equal keys share that are keywords, of one to eight bytes, of which the word is the
/// first and anything behind. Of different ones few do; whoever makes them do so on purpose gains nothing
/// but the longer path.
#[inline(always)]
fn short_fingerprint(word: u64, length: usize) -> u64 {
    let unused = u32::try_from(length)
        .unwrap_or_default()
        .wrapping_mul(8)
        .wrapping_neg();
    word.wrapping_shl(unused).wrapping_mul(SPREAD)
}

/// The same for any name, with which `text` begins up to `behind`.
#[inline(always)]
fn name_fingerprint(text: &[u8], behind: &[u8]) -> Option<u64> {
    let length = text.len().wrapping_sub(behind.len());
    if length > 8 {
        return Some(fingerprint::text(KEYWORD, text.get(..length)?));
    }
    Some(short_fingerprint(word::next(text), length))
}

/// An odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
