//! How values that are made of no others are written.

use crate::class;
use crate::text::NAMED;
use crate::value::Value;

use super::out::{Out, push_fmt};

/// Writes a value that is made of no others; of one that is, nothing.
// Measured: the calls and moves it saves are a fiftieth of all.
#[inline(always)]
pub(crate) fn atom<O: Out>(value: &Value, out: &mut O) -> Result<(), O::Error> {
    match value {
        Value::Keyword(value) => {
            out.push_byte(b':')?;
            out.push_str(value.as_str())
        }
        Value::String(value) => string(value, out),
        Value::Int(value) => out.push_ascii(itoa::Buffer::new().format(*value).as_bytes()),
        Value::Nil => out.push_ascii(b"nil"),
        Value::Bool(true) => out.push_ascii(b"true"),
        Value::Bool(false) => out.push_ascii(b"false"),
        Value::Float(value) => float(*value, out),
        Value::Symbol(value) => out.push_str(value.as_str()),
        Value::Inst(value) => {
            out.push_ascii(b"#inst \"")?;
            out.push_ascii(&value.text())?;
            out.push_byte(b'"')
        }
        Value::Uuid(value) => {
            out.push_ascii(b"#uuid \"")?;
            out.push_ascii(&value.text())?;
            out.push_byte(b'"')
        }
        rare => rare_atom(rare, out),
    }
}

#[inline(never)]
fn rare_atom<O: Out>(value: &Value, out: &mut O) -> Result<(), O::Error> {
    match value {
        Value::BigInt(value) => {
            out.push_str(value.as_str())?;
            out.push_byte(b'N')
        }
        Value::Decimal(value) => push_fmt(out, format_args!("{value}M")),
        Value::Ratio(value) => {
            out.push_str(value.numerator().as_str())?;
            out.push_byte(b'/')?;
            out.push_str(value.denominator().as_str())
        }
        Value::Char(value) => character(*value, out),
        _ => Ok(()),
    }
}

/// Writes the shortest digits that read back the same, laid out as Java does.
pub(crate) fn float<O: Out>(value: f64, out: &mut O) -> Result<(), O::Error> {
    if !value.is_finite() {
        return out.push_ascii(if value.is_nan() {
            b"##NaN"
        } else if value > 0.0 {
            b"##Inf"
        } else {
            b"##-Inf"
        });
    }
    let magnitude = value.abs();
    let mut buffer = zmij::Buffer::new();
    // Here both lay numbers out alike.
    if (1e-3..1e7).contains(&magnitude) || magnitude == 0.0 {
        return out.push_ascii(buffer.format_finite(value).as_bytes());
    }
    if value.is_sign_negative() {
        out.push_byte(b'-')?;
    }
    let text = buffer.format_finite(magnitude);
    if let [first, rest @ ..] = text.as_bytes()
        && let Some(end) = rest.iter().position(|byte| *byte == b'e')
        && let Some((fraction, [b'e', exponent @ ..])) = rest.split_at_checked(end)
    {
        // One digit, maybe a fraction, an exponent: almost what Java writes.
        out.push_byte(*first)?;
        out.push_ascii(if fraction.is_empty() { b".0" } else { fraction })?;
        out.push_byte(b'E')?;
        return out.push_ascii(exponent.strip_prefix(b"+").unwrap_or(exponent));
    }
    let (first, rest, exponent) = scientific(text);
    out.push_ascii(first.as_bytes())?;
    out.push_byte(b'.')?;
    // The point may stand anywhere, and zeros at the end do not count.
    let end = rest.bytes().rposition(|byte| !matches!(byte, b'0' | b'.'));
    let rest = rest.get(..end.map_or(0, |end| end.saturating_add(1)));
    let rest = rest.unwrap_or_default();
    let point = rest.bytes().position(|byte| byte == b'.');
    let (whole, fraction) = rest
        .split_at_checked(point.unwrap_or(rest.len()))
        .unwrap_or((rest, ""));
    out.push_ascii(if rest.is_empty() {
        b"0"
    } else {
        whole.as_bytes()
    })?;
    out.push_ascii(fraction.as_bytes().get(1..).unwrap_or_default())?;
    out.push_byte(b'E')?;
    out.push_ascii(itoa::Buffer::new().format(exponent).as_bytes())
}

/// Takes apart a positive number such as `0.00012`, `12500000.0` or `1.2e-7`: its first digit that
/// counts, what stands behind that, and the exponent of the first digit.
fn scientific(text: &str) -> (&str, &str, i16) {
    let find = |text: &str, wanted: u8| text.bytes().position(|byte| byte == wanted);
    let position = |index: usize| i16::try_from(index).unwrap_or_default();
    let end = find(text, b'e').unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at_checked(end).unwrap_or((text, ""));
    let exponent: i16 = exponent
        .get(1..)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default();
    let zeros = mantissa
        .bytes()
        .take_while(|byte| matches!(byte, b'0' | b'.'));
    let start = zeros.count();
    let significant = mantissa.get(start..).unwrap_or_default();
    let (first, rest) = significant.split_at_checked(1).unwrap_or((significant, ""));
    let point = position(find(mantissa, b'.').unwrap_or(mantissa.len()));
    let shift = point.saturating_sub(position(start));
    // The place before the point is the zeroth, the one behind it is one less.
    let shift = if shift > 0 {
        shift.saturating_sub(1)
    } else {
        shift
    };
    (first, rest, exponent.saturating_add(shift))
}

/// Writes a character with its backslash, by its name if it has one.
pub(crate) fn character<O: Out>(c: char, out: &mut O) -> Result<(), O::Error> {
    if let Some((name, _)) = NAMED.iter().find(|(_, named)| *named == c) {
        out.push_byte(b'\\')?;
        return out.push_ascii(name.as_bytes());
    }
    let code = u32::from(c);
    let mut utf8 = [0; 4];
    if code > 0xffff {
        return string(c.encode_utf8(&mut utf8), out);
    }
    out.push_byte(b'\\')?;
    if c.is_control() || class::is_whitespace(c) && c != ',' || c == '\u{feff}' {
        push_fmt(out, format_args!("u{code:04x}"))
    } else {
        out.push_str(c.encode_utf8(&mut utf8))
    }
}

/// Writes a string in quotes, control characters escaped.
fn string<O: Out>(text: &str, out: &mut O) -> Result<(), O::Error> {
    out.push_byte(b'"')?;
    in_quotes(text, out)?;
    out.push_byte(b'"')
}

/// Writes what stands between the quotes of a string.
#[inline]
pub(crate) fn in_quotes<O: Out>(text: &str, out: &mut O) -> Result<(), O::Error> {
    let plain = plain_length(text.as_bytes());
    if plain == text.len() {
        out.push_str(text)
    } else {
        escaped(text, plain, out)
    }
}

/// Writes what stands between the quotes, the first of which needs an escape at `plain`.
#[inline(never)]
fn escaped<O: Out>(text: &str, mut plain: usize, out: &mut O) -> Result<(), O::Error> {
    let mut rest = text;
    loop {
        // Only ASCII is escaped, so both sides are whole characters.
        let (before, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
        out.push_str(before)?;
        match after.bytes().next() {
            None => return Ok(()),
            Some(b'"') => out.push_ascii(b"\\\"")?,
            Some(b'\\') => out.push_ascii(b"\\\\")?,
            Some(b'\n') => out.push_ascii(b"\\n")?,
            Some(b'\t') => out.push_ascii(b"\\t")?,
            Some(b'\r') => out.push_ascii(b"\\r")?,
            Some(0x08) => out.push_ascii(b"\\b")?,
            Some(0x0c) => out.push_ascii(b"\\f")?,
            Some(byte) => push_fmt(out, format_args!("\\u{byte:04x}"))?,
        }
        rest = after.get(1..).unwrap_or_default();
        plain = plain_length(rest.as_bytes());
    }
}

/// How many bytes come before the first that needs an escape.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    let mut done: usize = 0;
    for word in words {
        if !is_plain_word(*word) {
            return done.saturating_add(near_length(word));
        }
        done = done.saturating_add(word.len());
    }
    // The last bytes are looked at along with some that were before.
    match bytes.last_chunk() {
        Some(last) if is_plain_word(*last) => bytes.len(),
        _ => done.saturating_add(near_length(rest)),
    }
}

/// As [`plain_length`], of a few bytes.
#[inline]
fn near_length(bytes: &[u8]) -> usize {
    /// Which bytes need an escape.
    static ESCAPED: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = byte < 0x20 || matches!(byte, 0x22 | 0x5c | 0x7f);
            byte += 1;
        }
        table
    };
    // A `u8` always finds its place in 256 entries, so the compiler drops the check.
    let is_escaped = |byte: &u8| ESCAPED.get(usize::from(*byte)) == Some(&true);
    bytes.iter().position(is_escaped).unwrap_or(bytes.len())
}

/// Whether none of eight bytes needs an escape.
#[inline]
pub(crate) const fn is_plain_word(bytes: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes);
    // The highest bit of the first byte that is less than 32 gets set, or was; the others become
    // zero where they match.
    let blank = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES);
    (blank | quote | backslash | delete) & !word & (ONES * 0x80) == 0
}
