//! Transit's cache: which strings it numbers, how a number is written, and both sides' tables.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// How many digits a code's place has.
const DIGITS: u16 = 44;
/// The character of the digit zero.
const ZERO: u8 = b'0';
/// How many strings the cache holds. The next one starts it anew.
pub(super) const CAPACITY: usize = 44 * 44;
/// The fewest UTF-16 units a string needs to be worth a number.
const SHORTEST: usize = 4;

/// Whether Transit numbers a string: any long enough as a key of a map, elsewhere a keyword, a
/// symbol or a tag. `text` is without quotes and JSON's escapes, but with Transit's own prefix.
pub(super) fn is_cacheable(text: &str, key: bool) -> bool {
    let long = text.len() >= SHORTEST
        && text
            .chars()
            .map(char::len_utf16)
            .take(SHORTEST)
            .sum::<usize>()
            >= SHORTEST;
    long && (key || matches!(text.as_bytes(), [b'~', b':' | b'$' | b'#', ..]))
}

/// The number a string of the form `^0`, `^1f` means; `None` if there is none such, as Java would
/// throw. Of a longer code only the first two digits count, as there.
pub(super) fn number_of(code: &str) -> Option<usize> {
    let mut units = code.encode_utf16().skip(1);
    // Units have 16 bits, so 32 do not overflow.
    let mut digit = || Some(i32::from(units.next()?).wrapping_sub(i32::from(ZERO)));
    let first = digit()?;
    let number = match digit() {
        None => first,
        Some(second) => first.wrapping_mul(i32::from(DIGITS)).wrapping_add(second),
    };
    usize::try_from(number)
        .ok()
        .filter(|number| *number < CAPACITY)
}

/// Appends the code of a number below [`CAPACITY`], in quotes.
pub(super) fn write_code(number: u16, out: &mut Vec<u8>) {
    let [high, low] = [number / DIGITS, number % DIGITS];
    // Both are below 44.
    let digit = |value: u16| ZERO.saturating_add(u8::try_from(value).unwrap_or_default());
    out.extend_from_slice(b"\"^");
    if high > 0 {
        out.push(digit(high));
    }
    out.push(digit(low));
    out.push(b'"');
}

/// The numbers a writer has given away, by the string's JSON text.
#[derive(Default)]
pub(super) struct WriteCache<'a>(BTreeMap<&'a [u8], u16>);

impl<'a> WriteCache<'a> {
    /// The number of a cacheable string that has been written before. Otherwise gives it one, and
    /// it is to be written out.
    pub(super) fn number(&mut self, token: &'a [u8]) -> Option<u16> {
        if let Some(number) = self.0.get(token) {
            return Some(*number);
        }
        if self.0.len() >= CAPACITY {
            self.0.clear();
        }
        // There are fewer than 44 * 44.
        let number = u16::try_from(self.0.len()).unwrap_or_default();
        self.0.insert(token, number);
        None
    }
}

/// Where a reader has seen the strings it numbered.
#[derive(Default)]
pub(super) struct ReadCache {
    tokens: Vec<(usize, usize)>,
    next: usize,
}

impl ReadCache {
    /// Numbers the string that stands in `start..end`. A cache that is full starts anew, but keeps
    /// the old strings where no new one has come yet, as transit-java and transit-js do.
    pub(super) fn register(&mut self, start: usize, end: usize) {
        if self.next >= CAPACITY {
            self.next = 0;
        }
        match self.tokens.get_mut(self.next) {
            Some(token) => *token = (start, end),
            None => self.tokens.push((start, end)),
        }
        self.next = self.next.saturating_add(1);
    }

    /// Where the string with that number stands, if one has been seen.
    pub(super) fn token(&self, number: usize) -> Option<(usize, usize)> {
        self.tokens.get(number).copied()
    }
}
