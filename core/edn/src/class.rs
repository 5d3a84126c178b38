//! Which role a character plays: the one table and the few Java rules Clojure's reader leans on.

/// Ends every token, and is skipped between forms.
const BLANK: u8 = 1;
/// Starts something other than a token; ends every token but for `#`.
const MACRO: u8 = 2;
/// May not stand in any token.
const BANNED: u8 = 4;
/// An ASCII digit.
const DIGIT: u8 = 8;
/// The first byte, or a later one, of a character beyond ASCII.
const WIDE: u8 = 16;
/// Allowed in names, but not just anywhere: the colon and the slash.
const DELICATE: u8 = 32;
/// Ends every token: blanks, and what starts something else, but for `#`.
const ENDS: u8 = 64;

/// One role set per byte.
static CLASS: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = class(byte);
        byte += 1;
    }
    table
}

const fn class(byte: usize) -> u8 {
    match byte {
        0x09..=0x0d | 0x1c..=0x20 | 0x2c => BLANK | ENDS,
        0x23 => MACRO,
        0x22 | 0x28 | 0x29 | 0x3b | 0x5b..=0x5e | 0x7b | 0x7d => MACRO | ENDS,
        0x40 | 0x60 | 0x7e => BANNED,
        0x30..=0x39 => DIGIT,
        0x2f | 0x3a => DELICATE,
        0x80.. => WIDE,
        _ => 0,
    }
}

#[inline]
fn of(byte: u8) -> u8 {
    // A `u8` always finds its place in 256 entries, so the compiler drops the check.
    CLASS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Whether an ASCII byte is whitespace for Clojure: Java's ASCII whitespace and the comma.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    of(byte) & BLANK != 0
}

/// Whether a byte can be passed over inside a name or number without looking closer.
#[inline]
pub(crate) fn is_plain(byte: u8) -> bool {
    of(byte) & (BLANK | MACRO | BANNED | WIDE) == 0
}

/// Whether a byte can stand anywhere in a name but, if it is a digit, at its beginning.
#[inline]
pub(crate) fn is_simple(byte: u8) -> bool {
    of(byte) & (BLANK | MACRO | BANNED | WIDE | DELICATE) == 0
}

/// Whether every token ends before the byte: it is a blank or a macro character, but not `#`.
#[inline]
pub(crate) fn ends_token(byte: u8) -> bool {
    of(byte) & ENDS != 0
}

/// Whether a form begins with the byte for sure: no blank, comment or wide character does.
#[inline]
pub(crate) fn starts_form(byte: u8) -> bool {
    of(byte) & (BLANK | WIDE) == 0 && !matches!(byte, b';' | b'#')
}

/// Whether a byte begins a reader macro: quotes, brackets, `#`, `^`, `;`, `\`.
#[inline]
pub(crate) fn is_macro(byte: u8) -> bool {
    of(byte) & MACRO != 0
}

/// Whether a byte may stand in no token at all: `@`, the back-tick and `~`.
#[inline]
pub(crate) fn is_banned(byte: u8) -> bool {
    of(byte) & BANNED != 0
}

/// Whether a byte belongs to a character beyond ASCII.
#[inline]
pub(crate) fn is_wide(byte: u8) -> bool {
    of(byte) & WIDE != 0
}

/// `Character.isWhitespace`, and the comma. The no-break spaces are not whitespace for Java.
#[inline]
pub(crate) fn is_whitespace(c: char) -> bool {
    match u8::try_from(u32::from(c)) {
        Ok(byte) if byte < 0x80 => is_blank(byte),
        _ => matches!(
            c,
            '\u{1680}'
                | '\u{2000}'..='\u{2006}'
                | '\u{2008}'..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{205f}'
                | '\u{3000}'
        ),
    }
}

/// Whether a character is in `macros` of Clojure's reader.
pub(crate) fn is_macro_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(|byte| byte < 0x80 && is_macro(byte))
}

/// The zeros of the decimal digits that Java 17 knows in the basic plane, ascending.
static ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6,
    0x0d66, 0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80,
    0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10,
];

/// `Character.isDigit` of one UTF-16 unit: digits outside the basic plane do not count.
#[inline]
pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_digit()
    } else {
        decimal(c).is_some()
    }
}

/// `Character.digit` of one UTF-16 unit: digits of any script, ASCII and full-width letters.
pub(crate) fn digit(c: char, radix: u32) -> Option<u32> {
    let letter = match c {
        'a'..='z' => Some('a'),
        'A'..='Z' => Some('A'),
        '\u{ff21}'..='\u{ff3a}' => Some('\u{ff21}'),
        '\u{ff41}'..='\u{ff5a}' => Some('\u{ff41}'),
        _ => None,
    };
    let value = match letter {
        Some(first) => u32::from(c)
            .checked_sub(u32::from(first))?
            .checked_add(10)?,
        None => decimal(c)?,
    };
    (value < radix).then_some(value)
}

fn decimal(c: char) -> Option<u32> {
    let unit = u16::try_from(u32::from(c)).ok()?;
    let after = ZEROS.partition_point(|zero| *zero <= unit);
    let zero = ZEROS.get(after.checked_sub(1)?)?;
    let value = unit.checked_sub(*zero)?;
    (value < 10).then_some(u32::from(value))
}

/// `Character.isLetter` for the first 256 characters, which are all a tag may begin with.
pub(crate) fn is_tag_start(c: char) -> bool {
    u32::from(c) < 256 && c.is_alphabetic()
}
