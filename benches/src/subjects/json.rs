//! The work done by `serde_json`, which the goals are ratios to.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Checks a document's syntax.
pub fn scan(text: &[u8]) {
    let _: IgnoredAny = serde_json::from_slice(text).expect("the document is JSON");
}

/// Reads a document into a value of its own.
#[must_use]
pub fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("the document is JSON")
}

/// Reads a document into a Rust type.
#[must_use]
pub fn typed<'a, T: Deserialize<'a>>(text: &'a [u8]) -> T {
    serde_json::from_slice(text).expect("the document is what the type takes")
}

/// Writes a Rust value.
#[must_use]
pub fn typed_write<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the value can be written")
}

/// Prints a value into a buffer that is used again.
pub fn print(value: &Value, out: &mut Vec<u8>) {
    out.clear();
    serde_json::to_writer(out, value).expect("a vector takes everything");
}
