//! Writing strings and numbers as JSON.

use alloc::vec::Vec;

use sente_edn::Value;

use super::scan;

/// How strings are escaped, where JSON leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As JavaScript's `JSON.stringify` and `serde_json` do: only what must be, `\u001f` in lower
    /// case.
    JavaScript,
    /// As the library Jackson, and so transit-clj, does: also each character beyond 16 bits, as the
    /// two halves `\uD83D\uDE00`; digits in upper case.
    Jackson,
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(text: &str, style: Style, out: &mut Vec<u8>) {
    out.push(b'"');
    write_body(text, style, out);
    out.push(b'"');
}

/// Appends what stands between the quotes of `text` as a JSON string: to put a prefix before it.
pub(crate) fn write_body(text: &str, style: Style, out: &mut Vec<u8>) {
    match style {
        Style::Jackson if !text.is_ascii() => {
            for character in text.chars() {
                let mut units = [0; 2];
                match character.encode_utf16(&mut units) {
                    [high, low] => {
                        write_unit(*high, style, out);
                        write_unit(*low, style, out);
                    }
                    _ => write_run(character.encode_utf8(&mut [0; 4]), style, out),
                }
            }
        }
        Style::JavaScript | Style::Jackson => write_run(text, style, out),
    }
}

/// Appends a text of which only what must be is escaped.
fn write_run(text: &str, style: Style, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = scan::special(bytes, from);
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        let Some(byte) = bytes.get(at) else {
            return;
        };
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x8 => b'b',
            0xc => b'f',
            _ => b'u',
        };
        if short == b'u' {
            write_unit(u16::from(*byte), style, out);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        from = at.saturating_add(1);
    }
}

fn write_unit(unit: u16, style: Style, out: &mut Vec<u8>) {
    let ten = match style {
        Style::JavaScript => b'a',
        Style::Jackson => b'A',
    };
    out.extend_from_slice(b"\\u");
    for nibble in [unit >> 12, unit >> 8, unit >> 4, unit] {
        out.push(match (nibble & 0xf) as u8 {
            digit @ 0..10 => b'0'.wrapping_add(digit),
            letter => ten.wrapping_add(letter.wrapping_sub(10)),
        });
    }
}

/// Appends a finite number as Java lays it out, which is JSON: `1.0`, `0.001`, `1.0E7`. `false`,
/// and nothing, for the others: JSON has none.
#[must_use]
pub(crate) fn write_f64(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_finite() {
        sente_edn::write(&Value::Float(value), out);
    }
    value.is_finite()
}
