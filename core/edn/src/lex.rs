//! Where tokens begin and end: blanks, comments, names, characters and strings in the text.

use crate::class;
use crate::error::{Error, ErrorKind, Inside};
use crate::limits::Dialect;
use crate::text;

/// What follows the part of the text that is valid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing: the text is UTF-8 throughout.
    None,
    /// Bytes that are not UTF-8.
    Invalid,
    /// The beginning of a character.
    Truncated,
}

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    tail: Tail,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (text, tail) = match core::str::from_utf8(bytes) {
            Ok(text) => (text, Tail::None),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let tail = match error.error_len() {
                    Some(_) => Tail::Invalid,
                    None => Tail::Truncated,
                };
                (core::str::from_utf8(valid).unwrap_or_default(), tail)
            }
        };
        Self { text, pos: 0, tail }
    }

    #[inline]
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    #[inline]
    pub(crate) fn seek(&mut self, pos: usize) {
        self.pos = pos;
    }

    /// Steps over so many bytes, which the caller has looked at.
    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.pos = self.pos.wrapping_add(bytes);
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    #[inline]
    pub(crate) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text
            .as_bytes()
            .get(self.pos.saturating_add(ahead))
            .copied()
    }

    /// The part of the text that is UTF-8, which is all of it unless the tail is checked in vain.
    #[inline]
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    pub(crate) fn peek_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    #[inline]
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Why there is nothing more to read, for one who needs more.
    #[cold]
    pub(crate) fn end(&self, inside: Inside, offset: usize) -> Error {
        match self.tail {
            Tail::None => Error::new(ErrorKind::UnexpectedEnd { inside }, offset),
            _ => self.tail_error(),
        }
    }

    /// An error if what ends at the end of the text may have been cut by bytes that are not UTF-8.
    #[inline]
    pub(crate) fn check_tail(&self) -> Result<(), Error> {
        if self.tail == Tail::None || self.pos < self.text.len() {
            Ok(())
        } else {
            Err(self.tail_error())
        }
    }

    #[cold]
    fn tail_error(&self) -> Error {
        let kind = match self.tail {
            Tail::Truncated => ErrorKind::UnexpectedEnd {
                inside: Inside::CodePoint,
            },
            _ => ErrorKind::InvalidUtf8,
        };
        Error::new(kind, self.text.len())
    }

    /// Skips whitespace and comments, and says which byte comes next.
    #[inline]
    pub(crate) fn skip_blank(&mut self, dialect: Dialect) -> Option<u8> {
        // Most forms stand where the last one ended, or one space on.
        let mut byte = self.peek()?;
        if byte == b' ' {
            self.advance(1);
            byte = self.peek()?;
        }
        if class::starts_form(byte) {
            return Some(byte);
        }
        self.skip_more(dialect)
    }

    fn skip_more(&mut self, dialect: Dialect) -> Option<u8> {
        loop {
            let byte = self.skip_whitespace()?;
            let comment = byte == b';'
                || (byte == b'#' && dialect.is_wide() && self.peek_at(1) == Some(b'!'));
            if !comment {
                return Some(byte);
            }
            let rest = self.rest().as_bytes();
            let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            self.advance(length);
        }
    }

    /// Skips whitespace, and says which byte comes next.
    #[inline]
    pub(crate) fn skip_whitespace(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if class::is_blank(byte) {
                self.advance(1);
            } else if class::is_wide(byte) {
                let c = self.peek_char()?;
                if !class::is_whitespace(c) {
                    return Some(byte);
                }
                self.advance(c.len_utf8());
            } else {
                return Some(byte);
            }
        }
    }

    /// Reads on to the end of a name, whose first character has been looked at, from `start`.
    #[inline]
    pub(crate) fn token(&mut self, start: usize) -> Result<&'a str, Error> {
        loop {
            self.skip_while(class::is_plain);
            match self.peek() {
                Some(b'#') => self.advance(1),
                Some(byte) if class::is_wide(byte) => match self.peek_char() {
                    Some(c) if !class::is_whitespace(c) => self.advance(c.len_utf8()),
                    _ => break,
                },
                Some(byte) if class::is_banned(byte) => {
                    let kind = ErrorKind::BannedCharacter(char::from(byte));
                    return Err(Error::new(kind, self.pos));
                }
                Some(_) => break,
                None => {
                    self.check_tail()?;
                    break;
                }
            }
        }
        Ok(self.slice(start, self.pos))
    }

    /// Reads a name without anything in it that needs a closer look, or with one slash that has
    /// such a name on either side; `None`, and nothing is read, for all other names.
    #[inline]
    pub(crate) fn simple_name(&mut self) -> Option<&'a str> {
        let end = plain_name(self.text.as_bytes(), self.pos)?;
        let name = self.slice(self.pos, end);
        self.pos = end;
        Some(name)
    }

    #[inline]
    fn skip_while(&mut self, fits: impl Fn(u8) -> bool) {
        let rest = self.rest_bytes();
        let length = rest.iter().position(|byte| !fits(*byte));
        self.advance(length.unwrap_or(rest.len()));
    }

    /// Reads a number's characters: unlike names it ends at `#`, and nothing is banned in it.
    #[inline]
    pub(crate) fn number(&mut self, dialect: Dialect) -> Result<&'a str, Error> {
        let start = self.pos;
        loop {
            match self.peek() {
                Some(b':') if dialect.is_wide() => break,
                Some(byte) if class::is_plain(byte) || class::is_banned(byte) => self.advance(1),
                Some(byte) if class::is_wide(byte) => match self.peek_char() {
                    Some(c) if !class::is_whitespace(c) => self.advance(c.len_utf8()),
                    _ => break,
                },
                Some(_) => break,
                None => {
                    self.check_tail()?;
                    break;
                }
            }
        }
        Ok(self.slice(start, self.pos))
    }

    /// Whether a number is next, of whose first byte the caller knows.
    #[inline]
    pub(crate) fn is_at_number(&self, byte: u8) -> bool {
        match byte {
            b'0'..=b'9' => true,
            b'+' | b'-' => match self.peek_at(1) {
                Some(next) if next.is_ascii() => next.is_ascii_digit(),
                Some(_) => self.rest().chars().nth(1).is_some_and(class::is_digit),
                None => false,
            },
            0x80.. => self.peek_char().is_some_and(class::is_digit),
            _ => false,
        }
    }

    /// Whether nothing follows.
    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.pos >= self.text.len()
    }

    /// Reads a character, from its backslash on.
    pub(crate) fn character(&mut self, dialect: Dialect) -> Result<char, Error> {
        let start = self.pos;
        self.advance(1);
        let Some(first) = self.peek_char() else {
            return Err(self.end(Inside::Character, start));
        };
        let name_start = self.pos;
        self.advance(first.len_utf8());
        // `clojure.tools.reader` takes `\(a` for a character and a symbol, Clojure for a mistake.
        let ends_itself = dialect.is_wide()
            && first != '#'
            && (class::is_macro_char(first)
                || class::is_whitespace(first)
                || matches!(first, '@' | '`' | '~'));
        if ends_itself {
            return Ok(first);
        }
        let name = self.token(name_start)?;
        match text::character(name) {
            Some(c) => Ok(c),
            None if self.is_at_end() && text::may_become_character(name) => {
                Err(self.end(Inside::Character, start))
            }
            None => Err(Error::new(ErrorKind::InvalidCharacter, start)),
        }
    }

    /// Reads a string, from its opening quote on, and gives what stands between the quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawStr<'a>, Error> {
        let open = self.pos;
        self.advance(1);
        let start = self.pos;
        self.advance(text::plain_length(self.rest_bytes()));
        let mut is_escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.slice(start, self.pos);
                    self.advance(1);
                    return Ok(RawStr { text, is_escaped });
                }
                Some(b'\\') => {
                    is_escaped = true;
                    let at = self.pos;
                    self.advance(1);
                    match text::escape(self.rest()) {
                        Ok((_, length)) => self.advance(length),
                        Err(text::EscapeFault::End) => return Err(self.end(Inside::String, open)),
                        Err(text::EscapeFault::Invalid) => {
                            return Err(Error::new(ErrorKind::InvalidEscape, at));
                        }
                    }
                }
                Some(_) => {
                    let rest = self.rest_bytes();
                    let length = text::plain_length(rest);
                    self.advance(length.max(1));
                }
                None => return Err(self.end(Inside::String, open)),
            }
        }
    }

    #[inline]
    fn rest_bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.pos..).unwrap_or_default()
    }
}

/// Where the name that starts here ends, if it is as [`Lexer::simple_name`] wants it.
///
/// What ends the name ends every name; the end of the text needs more care than is taken here.
#[inline]
pub(crate) fn plain_name(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?;
    let length = simple_length(rest);
    let next = *rest.get(length)?;
    if next == b'/' {
        let length = name_length_behind_slash(rest, length)?;
        let next = *rest.get(length)?;
        return class::ends_token(next).then_some(start.wrapping_add(length));
    }
    (length > 0 && class::ends_token(next)).then_some(start.wrapping_add(length))
}

/// Whether a whole text is a name as [`Lexer::simple_name`] wants it.
#[cfg(feature = "serde")]
#[inline]
pub(crate) fn is_plain_name(text: &[u8]) -> bool {
    let length = simple_length(text);
    match text.get(length) {
        None => length > 0,
        Some(b'/') => name_length_behind_slash(text, length) == Some(text.len()),
        Some(_) => false,
    }
}

/// How long a name is that has a slash, as [`Lexer::simple_name`] wants it.
#[inline]
fn name_length_behind_slash(name: &[u8], slash: usize) -> Option<usize> {
    let from = slash.wrapping_add(1);
    let behind = name.get(from..)?;
    let length = simple_length(behind);
    let is_plain = slash > 0
        && length > 0
        && !behind.first()?.is_ascii_digit()
        && !name.first()?.is_ascii_digit();
    is_plain.then_some(from.wrapping_add(length))
}

/// How many bytes come before the first that is not [simple](class::is_simple).
#[inline(always)]
fn simple_length(bytes: &[u8]) -> usize {
    // Names are made of small letters for the most part.
    let mut length: usize = 0;
    while let Some(word) = bytes.get(length..).and_then(<[u8]>::first_chunk) {
        let letters = letters_before(u64::from_le_bytes(*word));
        length = length.wrapping_add(letters);
        if letters == 8 {
            continue;
        }
        match bytes.get(length) {
            Some(byte) if class::is_simple(*byte) => length = length.wrapping_add(1),
            _ => return length,
        }
    }
    let rest = bytes.get(length..).unwrap_or_default();
    let more = rest.iter().position(|byte| !class::is_simple(*byte));
    length.wrapping_add(more.unwrap_or(rest.len()))
}

/// How many bytes of a word come before the first that is not a small letter.
#[inline]
const fn letters_before(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The highest bit of a byte is set from `a` on, and behind `z`. A carry only comes from bytes
    // beyond ASCII, which count as no letters anyway, and only reaches the bytes behind.
    let from_a = word.wrapping_add(ONES * (0x80 - b'a' as u64));
    let behind_z = word.wrapping_add(ONES * (0x7f - b'z' as u64));
    let others = (!from_a | behind_z | word) & (ONES * 0x80);
    (others.trailing_zeros() >> 3) as usize
}

/// What stands between a string's quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStr<'a> {
    pub(crate) text: &'a str,
    /// Whether there is a backslash in it.
    pub(crate) is_escaped: bool,
}
