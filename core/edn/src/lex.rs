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
    let length = rest.iter().position(|byte| !class::is_simple(*byte))?;
    let end = start.wrapping_add(length);
    let next = *bytes.get(end)?;
    if next == b'/' {
        return plain_name_behind_slash(bytes, start, end);
    }
    (length > 0 && class::ends_token(next)).then_some(end)
}

/// The same for a name that has a slash.
#[inline]
fn plain_name_behind_slash(bytes: &[u8], start: usize, slash: usize) -> Option<usize> {
    let from = slash.wrapping_add(1);
    let name = bytes.get(from..)?;
    let length = name.iter().position(|byte| !class::is_simple(*byte))?;
    let end = from.wrapping_add(length);
    let is_plain = end > from
        && slash > start
        && !bytes.get(from)?.is_ascii_digit()
        && !bytes.get(start)?.is_ascii_digit()
        && class::ends_token(*bytes.get(end)?);
    is_plain.then_some(end)
}

/// What [`plain_name`] gives, sooner for names of more than a few letters.
#[cfg(feature = "serde")]
#[inline]
pub(crate) fn longer_plain_name(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?;
    let mut length = simple_length(rest);
    if rest.get(length) == Some(&b'/') {
        length = length_behind_slash(rest, length)?;
    }
    let is_plain = length > 0 && class::ends_token(*rest.get(length)?);
    is_plain.then_some(start.wrapping_add(length))
}

/// Whether a whole text is a name as [`Lexer::simple_name`] wants it.
#[inline]
pub(crate) fn is_plain_name(text: &[u8]) -> bool {
    // Most names are small letters, or two rows of them with a slash between.
    if text.len() < 4 {
        return !text.is_empty() && text.iter().all(|byte| class::is_simple(*byte))
            || is_simple_name(text);
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk())
        && text.len() <= 16
    {
        let [first, last] = [first, last].map(|word| others_in(u64::from_le_bytes(*word)));
        let slash = (first.trailing_zeros() >> 3) as usize;
        if first | last == 0 {
            return true;
        }
        // Nothing else is behind the slash, be it in one of the words or in both.
        let behind = text.len().wrapping_sub(slash).wrapping_sub(1);
        let seen = if behind < 8 {
            (0x80 << 56) >> (behind << 3)
        } else {
            0
        };
        let is_only = first & first.wrapping_sub(1) == 0 && last == seen;
        if is_only && slash > 0 && behind > 0 && text.get(slash) == Some(&b'/') {
            return true;
        }
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk())
        && text.len() < 8
    {
        let [first, last] = [first, last].map(|word| u64::from(u32::from_le_bytes(*word)));
        if others_in(first | (last << 32)) == 0 {
            return true;
        }
    }
    is_simple_name(text)
}

fn is_simple_name(text: &[u8]) -> bool {
    let length = simple_length(text);
    match text.get(length) {
        None => length > 0,
        Some(b'/') => length_behind_slash(text, length) == Some(text.len()),
        Some(_) => false,
    }
}

/// How long a name is that has a slash, as [`Lexer::simple_name`] wants it.
#[inline]
fn length_behind_slash(name: &[u8], slash: usize) -> Option<usize> {
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
    // Names begin with small letters for the most part.
    let letters = bytes.first_chunk().map_or(0, |word| {
        (others_in(u64::from_le_bytes(*word)).trailing_zeros() >> 3) as usize
    });
    let rest = bytes.get(letters..).unwrap_or_default();
    let more = rest.iter().position(|byte| !class::is_simple(*byte));
    letters.wrapping_add(more.unwrap_or(rest.len()))
}

/// Marks the bytes of a word that are no small letters; the lowest mark is always right, and if there
/// is none there is no such byte.
#[inline]
pub(crate) const fn others_in(word: u64) -> u64 {
    outside(word, b'a', b'z')
}

/// The same for the bytes before `first` and behind `last`, which are of ASCII.
#[inline]
pub(crate) const fn outside(word: u64, first: u8, last: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The highest bit of a byte is set from `first` on, and behind `last`. A carry only comes from bytes
    // beyond ASCII, which are marked anyway, and only reaches the bytes behind.
    let from_first = word.wrapping_add(ONES * (0x80 - first as u64));
    let behind_last = word.wrapping_add(ONES * (0x7f - last as u64));
    (!from_first | behind_last | word) & (ONES * 0x80)
}

/// What stands between a string's quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStr<'a> {
    pub(crate) text: &'a str,
    /// Whether there is a backslash in it.
    pub(crate) is_escaped: bool,
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::{is_plain_name, is_simple_name};

    #[test]
    fn a_name_is_plain_however_long_it_is() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut name = alloc::vec![b'a'; length];
                    name[at] = byte;
                    for slash in 0..length {
                        assert_eq!(is_plain_name(&name), is_simple_name(&name), "{name:?}");
                        name[slash] = b'/';
                        assert_eq!(is_plain_name(&name), is_simple_name(&name), "{name:?}");
                        name[slash] = b'z';
                    }
                }
            }
        }
    }
}
