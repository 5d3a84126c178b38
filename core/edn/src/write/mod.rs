//! How a value is written, so that Clojure and ClojureScript read it back.

mod atom;
mod compact;
mod out;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::value::Value;

pub(crate) use self::compact::Kind;
use self::out::Fmt;

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
    // Only whole texts go into the buffer, so it always is one.
    String::from_utf8(to_vec(value)).unwrap_or_default()
}

/// Writes a value as [`to_string`] does, as bytes of UTF-8.
#[must_use]
pub fn to_vec(value: &Value) -> Vec<u8> {
    // A few short steps of growing are worth skipping.
    let mut out = Vec::with_capacity(64);
    write(value, &mut out);
    out
}

/// Writes a value as [`to_string`] does, behind what is in the buffer already.
///
/// This is the fastest way, and with a buffer that has grown to its size it takes no memory for
/// values of up to eight levels.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    let Ok(()) = compact::compact(value, out);
}

/// Writes a value as [`to_string`] does, to anything that takes text.
///
/// # Errors
///
/// Those of `out`, and no others.
pub fn write_fmt<W: fmt::Write + ?Sized>(value: &Value, out: &mut W) -> fmt::Result {
    compact::compact(value, &mut Fmt(out))
}

/// Writes items, or keys and values in turn, as one collection.
pub(crate) fn write_items<W: fmt::Write + ?Sized>(
    items: &[Value],
    kind: Kind,
    out: &mut W,
) -> fmt::Result {
    compact::items(items, kind, &mut Fmt(out))
}
