//! Strings as they stand in a text, and their escapes undone.

use alloc::borrow::Cow;
use alloc::string::String;

use memchr::memchr;

/// A string whose escapes are known to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    body: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) const fn new(body: &'a str, escaped: bool) -> Self {
        Self { body, escaped }
    }

    /// What stands between the quotes, as it is.
    pub(crate) const fn raw(self) -> &'a str {
        self.body
    }

    /// The string, borrowed if there are no escapes in it. Unpaired surrogates are U+FFFD.
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.body);
        }
        let mut out = String::with_capacity(self.body.len());
        let mut rest = self.body;
        while let Some(at) = memchr(b'\\', rest.as_bytes()) {
            out.push_str(rest.get(..at).unwrap_or_default());
            let (decoded, length) = escape(rest.get(at..).unwrap_or_default());
            out.push(decoded);
            rest = rest.get(at.saturating_add(length)..).unwrap_or_default();
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// What the valid escape at the start of `text` stands for, and how long it is.
fn escape(text: &str) -> (char, usize) {
    let plain = match text.as_bytes().get(1) {
        Some(b'u') => return unicode(text),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (plain, 2)
}

/// `\u0041`, or two such for a character beyond 16 bits.
fn unicode(text: &str) -> (char, usize) {
    let unit = |from: usize| {
        let escape = text.get(from..from.saturating_add(6))?;
        u16::from_str_radix(escape.strip_prefix("\\u")?, 16).ok()
    };
    let first = unit(0).unwrap_or(0xfffd);
    let second = if (0xd800..0xdc00).contains(&first) {
        unit(6).filter(|unit| (0xdc00..0xe000).contains(unit))
    } else {
        None
    };
    let units = [first, second.unwrap_or(0xfffd)];
    let decoded = char::decode_utf16(units)
        .next()
        .and_then(Result::ok)
        .unwrap_or(char::REPLACEMENT_CHARACTER);
    (decoded, if second.is_some() { 12 } else { 6 })
}
