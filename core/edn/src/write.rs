//! How a value is written, so that Clojure and ClojureScript read it back and no line breaks.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::slice;

use crate::class;
use crate::deep::children;
use crate::text::NAMED;
use crate::value::Value;

/// Writes a value as Clojure's `pr-str` does, and never a line break.
///
/// The text is what `pr-str` prints, but for these: control characters are escaped, in strings and
/// as characters, so that the text is one line; entries keep their order; `#:ns{…}` is not used;
/// and a character beyond 16 bits, which Clojure has none of, becomes a string.
///
/// ```
/// use sente_edn::{Value, to_string};
///
/// assert_eq!(to_string(&Value::from("a\nb")), r#""a\nb""#);
/// assert_eq!(to_string(&Value::from(1.0)), "1.0");
/// ```
#[must_use]
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    // Writing to a `String` does not fail.
    let _ = write_fmt(value, &mut out);
    out
}

/// Writes a value as [`to_string`] does, as bytes of UTF-8.
#[must_use]
pub fn to_vec(value: &Value) -> Vec<u8> {
    to_string(value).into_bytes()
}

/// Writes a value as [`to_string`] does, behind what is in the buffer already.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    // Writing to a `Vec` does not fail.
    let _ = write_fmt(value, &mut Bytes(out));
}

/// Writes a value as [`to_string`] does, to anything that takes text.
///
/// # Errors
///
/// Those of `out`, and no others.
pub fn write_fmt<W: Write + ?Sized>(value: &Value, out: &mut W) -> fmt::Result {
    let mut open: Vec<Open<'_>> = Vec::new();
    begin(value, out, &mut open)?;
    write_open(&mut open, out)
}

/// Writes items between brackets.
pub(crate) fn write_items<W: Write + ?Sized>(
    items: &[Value],
    start: &str,
    end: &'static str,
    out: &mut W,
) -> fmt::Result {
    out.write_str(start)?;
    write_open(
        &mut alloc::vec![Open::new(items, end, Separators::Items)],
        out,
    )
}

/// Writes keys and values in turn as a map.
pub(crate) fn write_entries<W: Write + ?Sized>(items: &[Value], out: &mut W) -> fmt::Result {
    out.write_str("{")?;
    write_open(
        &mut alloc::vec![Open::new(items, "}", Separators::Entries)],
        out,
    )
}

/// A collection whose first items have been written.
struct Open<'v> {
    items: slice::Iter<'v, Value>,
    end: &'static str,
    separators: Separators,
    index: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separators {
    Entries,
    Items,
}

impl<'v> Open<'v> {
    fn new(items: &'v [Value], end: &'static str, separators: Separators) -> Self {
        Self {
            items: items.iter(),
            end,
            separators,
            index: 0,
        }
    }
}

fn write_open<W: Write + ?Sized>(open: &mut Vec<Open<'_>>, out: &mut W) -> fmt::Result {
    while let Some(top) = open.last_mut() {
        let Some(item) = top.items.next() else {
            out.write_str(top.end)?;
            open.pop();
            continue;
        };
        if top.index > 0 {
            let ends_entry = top.separators == Separators::Entries && top.index.is_multiple_of(2);
            out.write_str(if ends_entry { ", " } else { " " })?;
        }
        top.index = top.index.saturating_add(1);
        begin(item, out, open)?;
    }
    Ok(())
}

/// Writes an atom, or what comes before the items of a collection.
fn begin<'v, W: Write + ?Sized>(
    value: &'v Value,
    out: &mut W,
    open: &mut Vec<Open<'v>>,
) -> fmt::Result {
    let (start, end, separators) = match value {
        Value::Nil => return out.write_str("nil"),
        Value::Bool(true) => return out.write_str("true"),
        Value::Bool(false) => return out.write_str("false"),
        Value::Int(value) => return out.write_str(itoa::Buffer::new().format(*value)),
        Value::BigInt(value) => return write!(out, "{value}"),
        Value::Float(value) => return write_float(*value, out),
        Value::Decimal(value) => return write!(out, "{value}M"),
        Value::Ratio(value) => return write!(out, "{value}"),
        Value::Char(value) => return write_char(*value, out),
        Value::String(value) => return write_str(value, out),
        Value::Keyword(value) => {
            out.write_str(":")?;
            return out.write_str(value.as_str());
        }
        Value::Symbol(value) => return out.write_str(value.as_str()),
        Value::Inst(value) => return write!(out, "#inst \"{value}\""),
        Value::Uuid(value) => return write!(out, "#uuid \"{value}\""),
        Value::List(_) => ("(", ")", Separators::Items),
        Value::Vector(_) => ("[", "]", Separators::Items),
        Value::Set(_) => ("#{", "}", Separators::Items),
        Value::Map(_) => ("{", "}", Separators::Entries),
        Value::Tagged(tagged) => {
            write!(out, "#{} ", tagged.tag().as_str())?;
            ("", "", Separators::Items)
        }
    };
    out.write_str(start)?;
    open.push(Open::new(children(value), end, separators));
    Ok(())
}

/// Writes the shortest digits that read back the same, laid out as Java does.
fn write_float<W: Write + ?Sized>(value: f64, out: &mut W) -> fmt::Result {
    if value.is_nan() {
        return out.write_str("##NaN");
    }
    if value.is_infinite() {
        return out.write_str(if value > 0.0 { "##Inf" } else { "##-Inf" });
    }
    if value.is_sign_negative() {
        out.write_str("-")?;
    }
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return out.write_str("0.0");
    }
    let mut buffer = zmij::Buffer::new();
    let (digits, exponent) = Digits::of(buffer.format_finite(magnitude));
    let digits = digits.as_str();
    if !(-3..7).contains(&exponent) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let rest = if rest.is_empty() { "0" } else { rest };
        return write!(out, "{first}.{rest}E{exponent}");
    }
    let Ok(point) = usize::try_from(exponent) else {
        let zeros = usize::from(exponent.unsigned_abs()).saturating_sub(1);
        return write!(out, "0.{:0<zeros$}{digits}", "");
    };
    let whole = point.saturating_add(1);
    match digits.split_at_checked(whole) {
        Some((whole, fraction)) if !fraction.is_empty() => write!(out, "{whole}.{fraction}"),
        _ => write!(out, "{digits:0<whole$}.0"),
    }
}

/// The significant digits of a positive number, at most seventeen.
struct Digits {
    bytes: [u8; 32],
    length: usize,
}

impl Digits {
    /// Takes apart a number such as `0.0012`, `12.5` or `1.2e-7`; the exponent is of the first
    /// digit.
    fn of(text: &str) -> (Self, i16) {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut exponent: i16 = exponent.parse().unwrap_or_default();
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = Self {
            bytes: [0; 32],
            length: 0,
        };
        let mut before_point = i16::try_from(whole.len()).unwrap_or_default();
        for byte in whole.bytes().chain(fraction.bytes()) {
            if digits.length == 0 && byte == b'0' {
                before_point = before_point.saturating_sub(1);
            } else if let Some(place) = digits.bytes.get_mut(digits.length) {
                *place = byte;
                digits.length = digits.length.saturating_add(1);
            }
        }
        while digits.as_str().len() > 1 && digits.as_str().ends_with('0') {
            digits.length = digits.length.saturating_sub(1);
        }
        exponent = exponent.saturating_add(before_point).saturating_sub(1);
        (digits, exponent)
    }

    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

fn write_char<W: Write + ?Sized>(c: char, out: &mut W) -> fmt::Result {
    if let Some((name, _)) = NAMED.iter().find(|(_, named)| *named == c) {
        return write!(out, "\\{name}");
    }
    let code = u32::from(c);
    if code > 0xffff {
        write!(out, "\"{c}\"")
    } else if c.is_control() || class::is_whitespace(c) && c != ',' || c == '\u{feff}' {
        write!(out, "\\u{code:04x}")
    } else {
        write!(out, "\\{c}")
    }
}

fn write_str<W: Write + ?Sized>(text: &str, out: &mut W) -> fmt::Result {
    out.write_str("\"")?;
    let needs_escape = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f);
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_escape) {
        // Only ASCII is escaped, so both sides are whole characters.
        let (plain, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.write_str(plain)?;
        match after.bytes().next() {
            Some(b'"') => out.write_str("\\\"")?,
            Some(b'\\') => out.write_str("\\\\")?,
            Some(b'\n') => out.write_str("\\n")?,
            Some(b'\t') => out.write_str("\\t")?,
            Some(b'\r') => out.write_str("\\r")?,
            Some(0x08) => out.write_str("\\b")?,
            Some(0x0c) => out.write_str("\\f")?,
            Some(byte) => write!(out, "\\u{byte:04x}")?,
            None => {}
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.write_str(rest)?;
    out.write_str("\"")
}

struct Bytes<'o>(&'o mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
