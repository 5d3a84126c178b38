//! The tokens of MessagePack: what the first byte of a value says, and the bytes that belong to it.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::ops::Range;

use crate::packer::UnpackError;

/// A key reference is an extension of this type: the number of a key that was named before.
pub(super) const REFERENCE: i8 = 8;

/// What an integer of 64 bits without a sign begins with.
pub(super) const UINT64: u8 = 0xcf;

/// A value, or the head of a collection whose items follow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// An integer that only `uint64` can be: one of 2^63 and more.
    Large(u64),
    Float(f64),
    /// What should be UTF-8.
    Str(&'a [u8]),
    Bin(&'a [u8]),
    /// So many items follow.
    Array(usize),
    /// So many keys and values follow.
    Map(usize),
    /// An extension of this type.
    Ext(i8, &'a [u8]),
}

/// Takes tokens off the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
    /// Where `rest` ends in the message.
    pub(super) end: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            end: bytes.len(),
        }
    }

    /// Where the next byte stands in the message.
    #[inline]
    pub(super) const fn at(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// A reader of the content of an extension that this one has just taken.
    pub(super) const fn inside(&self, content: &'a [u8]) -> Self {
        Self {
            rest: content,
            end: self.at(),
        }
    }

    /// What stands at these bytes of the message, which are still to be taken.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let from = range.start.saturating_sub(self.at());
        let to = range.end.saturating_sub(self.at());
        Self {
            rest: self.rest.get(from..to).unwrap_or_default(),
            end: range.end,
        }
    }

    /// Whether an array comes next.
    pub(super) fn is_array(&self) -> bool {
        matches!(self.peek(), Some(0x90..=0x9f | 0xdc | 0xdd))
    }

    /// The first byte of what comes next.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next token. A collection claims no more items than there are bytes.
    #[inline]
    pub(super) fn token(&mut self) -> Result<Token<'a>, Fault> {
        let Some((&first, rest)) = self.rest.split_first() else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(match first {
            0x00..=0x7f => Token::Int(i64::from(first)),
            0x80..=0x8f => return self.map(usize::from(first & 0x0f)),
            0x90..=0x9f => return self.array(usize::from(first & 0x0f)),
            0xa0..=0xbf => Token::Str(self.take(usize::from(first & 0x1f))?),
            0xc0 => Token::Nil,
            0xc1 => {
                let at = self.at().saturating_sub(1);
                return Err(Fault::new(at, "the byte c1, which begins no value"));
            }
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4 => Token::Bin(self.sized_1()?),
            0xc5 => Token::Bin(self.sized_2()?),
            0xc6 => Token::Bin(self.sized_4()?),
            0xc7 => {
                let length = usize::from(self.byte()?);
                self.extension(length)?
            }
            0xc8 => {
                let length = usize::from(self.u16()?);
                self.extension(length)?
            }
            0xc9 => {
                let length = self.length()?;
                self.extension(length)?
            }
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.bytes()?))),
            0xcb => Token::Float(f64::from_be_bytes(self.bytes()?)),
            0xcc => Token::Int(i64::from(self.byte()?)),
            0xcd => Token::Int(i64::from(self.u16()?)),
            0xce => Token::Int(i64::from(u32::from_be_bytes(self.bytes()?))),
            UINT64 => {
                let value = u64::from_be_bytes(self.bytes()?);
                i64::try_from(value).map_or(Token::Large(value), Token::Int)
            }
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.bytes()?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.bytes()?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.bytes()?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.bytes()?)),
            0xd4 => self.extension(1)?,
            0xd5 => self.extension(2)?,
            0xd6 => self.extension(4)?,
            0xd7 => self.extension(8)?,
            0xd8 => self.extension(16)?,
            0xd9 => Token::Str(self.sized_1()?),
            0xda => Token::Str(self.sized_2()?),
            0xdb => Token::Str(self.sized_4()?),
            0xdc => {
                let count = usize::from(self.u16()?);
                return self.array(count);
            }
            0xdd => {
                let count = self.length()?;
                return self.array(count);
            }
            0xde => {
                let count = usize::from(self.u16()?);
                return self.map(count);
            }
            0xdf => {
                let count = self.length()?;
                return self.map(count);
            }
            0xe0..=0xff => Token::Int(i64::from(i8::from_be_bytes([first]))),
        })
    }

    /// Takes a string, if it comes next in one of its shorter forms.
    #[inline]
    pub(super) fn short_str(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = match self.rest {
            [head @ 0xa0..=0xbf, rest @ ..] => (head & 0x1f, rest),
            [0xd9, length, rest @ ..] => (*length, rest),
            _ => return None,
        };
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(text)
    }

    /// The name of a keyword or a string, if one comes next in one of their shorter forms, and what
    /// follows it.
    #[inline]
    pub(super) fn short_name(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (length, rest) = match self.rest {
            [0xc7, length, 0, rest @ ..] => (*length, rest),
            [head @ 0xd4..=0xd8, 0, rest @ ..] => (1 << (head & 0x0f).wrapping_sub(4), rest),
            [head @ 0xa0..=0xbf, rest @ ..] => (head & 0x1f, rest),
            [0xd9, length, rest @ ..] => (*length, rest),
            _ => return None,
        };
        rest.split_at_checked(usize::from(length))
    }

    /// Takes an integer that is not negative, if one comes next in a form that is written for such.
    #[inline]
    pub(super) fn natural(&mut self) -> Option<u64> {
        let (&first, rest) = self.rest.split_first()?;
        let (value, rest) = match first {
            0x00..=0x7f => (u64::from(first), rest),
            0xcc => {
                let (value, rest) = rest.split_first()?;
                (u64::from(*value), rest)
            }
            0xcd => {
                let (value, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*value)), rest)
            }
            0xce => {
                let (value, rest) = rest.split_first_chunk()?;
                (u64::from(u32::from_be_bytes(*value)), rest)
            }
            0xd3 => {
                let (value, rest) = rest.split_first_chunk()?;
                (u64::try_from(i64::from_be_bytes(*value)).ok()?, rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    /// Takes a float of 64 bits, if one comes next.
    #[inline]
    pub(super) fn double(&mut self) -> Option<f64> {
        let [0xcb, rest @ ..] = self.rest else {
            return None;
        };
        let (value, rest) = rest.split_first_chunk()?;
        self.rest = rest;
        Some(f64::from_be_bytes(*value))
    }

    /// Takes a boolean, if one comes next.
    #[inline]
    pub(super) fn bool(&mut self) -> Option<bool> {
        let [head @ 0xc2..=0xc3, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        Some(*head == 0xc3)
    }

    /// Takes the head of an array, if one comes next in its shortest form.
    #[inline]
    pub(super) fn short_array(&mut self) -> Option<usize> {
        let [head @ 0x90..=0x9f, rest @ ..] = self.rest else {
            return None;
        };
        let count = usize::from(head & 0x0f);
        if count > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(count)
    }

    /// The same of a map, and how many entries it has.
    #[inline]
    pub(super) fn short_map(&mut self) -> Option<usize> {
        let [head @ 0x80..=0x8f, rest @ ..] = self.rest else {
            return None;
        };
        let count = usize::from(head & 0x0f);
        if count.wrapping_mul(2) > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(count)
    }

    /// Takes so many bytes.
    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.bytes()?;
        Ok(byte)
    }

    #[inline]
    fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.bytes()?))
    }

    #[inline]
    fn length(&mut self) -> Result<usize, Fault> {
        let length = u32::from_be_bytes(self.bytes()?);
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    #[inline]
    fn sized_1(&mut self) -> Result<&'a [u8], Fault> {
        let length = usize::from(self.byte()?);
        self.take(length)
    }

    fn sized_2(&mut self) -> Result<&'a [u8], Fault> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    fn sized_4(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.length()?;
        self.take(length)
    }

    #[inline]
    fn extension(&mut self, length: usize) -> Result<Token<'a>, Fault> {
        let id = i8::from_be_bytes(self.bytes()?);
        Ok(Token::Ext(id, self.take(length)?))
    }

    #[inline]
    fn array(&self, count: usize) -> Result<Token<'a>, Fault> {
        if count > self.rest.len() {
            return Err(self.truncated());
        }
        Ok(Token::Array(count))
    }

    #[inline]
    fn map(&self, count: usize) -> Result<Token<'a>, Fault> {
        if count.saturating_mul(2) > self.rest.len() {
            return Err(self.truncated());
        }
        Ok(Token::Map(count))
    }

    #[cold]
    pub(super) fn truncated(&self) -> Fault {
        Fault::new(self.end, "the message ends within a value")
    }
}

/// Where the value ends that stands there, if that has no items and is one of the short and frequent
/// ones. That may be beyond the end, which is for the caller to find out.
///
/// What a reader may wish to look at is not among them: `uint64`, and extensions other than keywords
/// and symbols.
#[inline]
pub(super) fn pass_atom(bytes: &[u8], at: usize) -> Option<usize> {
    let behind = |count: usize| bytes.get(at.wrapping_add(count)).copied();
    let head = behind(0)?;
    let length = LENGTHS.get(usize::from(head)).copied().unwrap_or_default();
    let length = if length == 0 {
        let content = usize::from(behind(1)?);
        match head {
            0xc7 if behind(2)? <= 1 => content.wrapping_add(3),
            0xd9 => content.wrapping_add(2),
            _ => return None,
        }
    } else if length & NAMED == 0 {
        usize::from(length)
    } else if behind(1)? <= 1 {
        usize::from(length & !NAMED)
    } else {
        return None;
    };
    Some(at.wrapping_add(length))
}

/// Beside a length: the second byte has to be that of a name.
const NAMED: u8 = 0x80;

/// How many bytes a value has that begins with this one, where that alone says so and it has no
/// items.
const LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut head: u8 = 0;
    loop {
        lengths[head as usize] = match head {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 1,
            0xa0..=0xbf => 1 + (head & 0x1f),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xd3 => 9,
            0xd4..=0xd8 => NAMED | (2 + (1 << (head - 0xd4))),
            _ => 0,
        };
        if head == 0xff {
            break lengths;
        }
        head += 1;
    }
};

/// What should be UTF-8 as text, with U+FFFD in place of what is not.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    // Quicker than looking for what is wrong at once, since hardly ever anything is.
    match core::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Why bytes could not be read, and where. It is small, so that what can be read is not slowed down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault(Box<(usize, What)>);

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Not what it should be.
    Wrong(&'static str),
    /// More of this than the limit.
    Over(&'static str, usize),
}

impl Fault {
    #[cold]
    pub(super) fn new(at: usize, what: &'static str) -> Self {
        Self(Box::new((at, What::Wrong(what))))
    }

    #[cold]
    pub(super) fn over(at: usize, what: &'static str, limit: usize) -> Self {
        Self(Box::new((at, What::Over(what, limit))))
    }

    pub(super) fn at(&self) -> usize {
        self.0.0
    }

    pub(super) fn message(&self) -> String {
        match self.0.1 {
            What::Wrong(what) => String::from(what),
            What::Over(what, limit) => format!("over the limit of {limit} {what}"),
        }
    }
}

impl From<Fault> for UnpackError {
    fn from(fault: Fault) -> Self {
        let (offset, what) = *fault.0;
        match what {
            What::Wrong(what) => Self::Other {
                offset,
                message: String::from(what),
            },
            What::Over(what, limit) => Self::OverLimit {
                offset,
                what,
                limit,
            },
        }
    }
}
