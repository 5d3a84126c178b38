//! UUIDs as `#uuid` has them: which texts are one, and which 128 bits they mean.

use core::fmt;

use crate::class;

/// 128 bits that identify something: `#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

impl Uuid {
    /// Takes the bits, the first hexadecimal digit being the highest.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits, the first hexadecimal digit being the highest.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// Reads what stands in the string behind `#uuid`, as `java.util.UUID.fromString` does.
    ///
    /// That takes five hexadecimal numbers of any length, and keeps what fits of each.
    ///
    /// # Errors
    ///
    /// If Java would refuse the text.
    pub fn parse(text: &str) -> Result<Self, InvalidUuid> {
        parse(text).map(Self).ok_or(InvalidUuid(()))
    }

    /// The usual form, in lower case.
    #[inline]
    pub(crate) fn text(self) -> [u8; 36] {
        let [first, second, third, fourth] = [96_u32, 64, 32, 0].map(|shift| {
            let [.., a, b, c, d] = (self.0 >> shift).to_be_bytes();
            hexadecimal(u32::from_be_bytes([a, b, c, d]))
        });
        let mut text = [b'-'; 36];
        let wide = [(0, first), (28, fourth)];
        for (at, digits) in wide {
            if let Some(place) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *place = digits;
            }
        }
        let [a, b, c, d, e, f, g, h] = second;
        let [i, j, k, l, m, n, o, p] = third;
        let narrow = [
            (9, [a, b, c, d]),
            (14, [e, f, g, h]),
            (19, [i, j, k, l]),
            (24, [m, n, o, p]),
        ];
        for (at, digits) in narrow {
            if let Some(place) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *place = digits;
            }
        }
        text
    }
}

/// Eight digits in lower case, all worked out at once, each in a byte of its own.
#[inline]
fn hexadecimal(bits: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let bits = u64::from(bits);
    let bits = (bits | (bits << 16)) & 0x0000_ffff_0000_ffff;
    let bits = (bits | (bits << 8)) & 0x00ff_00ff_00ff_00ff;
    let bits = (bits | (bits << 4)) & (ONES * 0x0f);
    // From ten on, a half becomes a letter; with six more its fifth bit tells.
    let letters = (bits.wrapping_add(ONES * 6) >> 4) & ONES;
    let to_letter = u64::from(b'a' - b'0' - 10);
    bits.wrapping_add(ONES * 0x30)
        .wrapping_add(letters.wrapping_mul(to_letter))
        .to_be_bytes()
}

/// The usual form, in lower case.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There is nothing but ASCII in it.
        f.write_str(core::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#uuid \"{self}\"")
    }
}

/// A text that is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
#[non_exhaustive]
pub struct InvalidUuid(());

/// How many bits each group has.
const GROUPS: [u32; 5] = [32, 16, 16, 16, 48];

fn parse(text: &str) -> Option<u128> {
    parse_usual(text.as_bytes()).or_else(|| parse_any(text))
}

/// The usual form: groups of 8, 4, 4, 4 and 12 digits.
fn parse_usual(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [text[8], text[13], text[18], text[23]] != [b'-'; 4] {
        return None;
    }
    let hex = |at: usize| u32::from(HEX.get(usize::from(text[at])).copied().unwrap_or(NO_DIGIT));
    // The digits of two bytes; any that is none leaves its mark above them.
    let quad = |at: usize| {
        let (a, b, c, d) = (hex(at), hex(at + 1), hex(at + 2), hex(at + 3));
        (
            (a | b | c | d) & NO_DIGIT_BIT,
            (a << 12) | (b << 8) | (c << 4) | d,
        )
    };
    let [a, b, c, d, e, f, g, h] = [0, 4, 9, 14, 19, 24, 28, 32].map(quad);
    if (a.0 | b.0 | c.0 | d.0 | e.0 | f.0 | g.0 | h.0) != 0 {
        return None;
    }
    let join = |a: u32, b: u32, c: u32, d: u32| {
        (u64::from(a) << 48) | (u64::from(b) << 32) | (u64::from(c) << 16) | u64::from(d)
    };
    let (high, low) = (join(a.1, b.1, c.1, d.1), join(e.1, f.1, g.1, h.1));
    Some((u128::from(high) << 64) | u128::from(low))
}

const NO_DIGIT: u8 = 0x80;
const NO_DIGIT_BIT: u32 = 0x80;

/// What each byte is worth as a hexadecimal digit.
static HEX: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while value < 16 {
        let digit = if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        };
        table[digit as usize] = value;
        table[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    table
};

/// Five numbers of any length, of which the lower bits count.
fn parse_any(text: &str) -> Option<u128> {
    if text.encode_utf16().take(37).count() > 36 {
        return None;
    }
    let mut groups = text.split('-');
    let mut bits: u128 = 0;
    for width in GROUPS {
        let group = parse_group(groups.next()?)?;
        bits = (bits << width) | (u128::from(group) & ((1 << width) - 1));
    }
    if groups.next().is_some() {
        None
    } else {
        Some(bits)
    }
}

/// `Long.parseLong` in base sixteen, of a text without a minus sign.
fn parse_group(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for c in digits.chars() {
        let digit = i64::from(class::digit(c, 16)?);
        value = value.checked_mul(16)?.checked_add(digit)?;
    }
    u64::try_from(value).ok()
}
