//! How a value is written, so that Clojure and ClojureScript read it back.

mod adapt;
pub(crate) mod atom;
mod compact;
mod error;
mod options;
mod order;
pub(crate) mod out;
mod pretty;
mod tree;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::value::Value;

pub(crate) use self::compact::Kind;
pub use self::error::{WriteError, WriteErrorKind};
pub use self::options::{Lacking, Peer, WriteOptions};
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

/// Writes a value as [`to_string`] does, behind what is in the buffer already.
#[cfg(feature = "bytes")]
pub fn write_bytes(value: &Value, out: &mut bytes::BytesMut) {
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

/// Writes a collection as [`display`] does its value: its items, or keys and values in turn.
pub(crate) fn display_items<T: Clone + Into<Value>>(
    collection: &T,
    items: &[Value],
    kind: Kind,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if f.alternate() {
        // A copy is dear, but pretty text is for people.
        display(&collection.clone().into(), f)
    } else {
        compact::items(items, kind, &mut Fmt(f))
    }
}

/// Writes a value as `{}` does, or with `{:#}` on lines of the default width.
pub(crate) fn display(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if f.alternate() {
        let width = WriteOptions::DEFAULT_WIDTH;
        pretty::pretty(&tree::AsIs, value, width, &mut Fmt(f))
    } else {
        write_fmt(value, f)
    }
}
