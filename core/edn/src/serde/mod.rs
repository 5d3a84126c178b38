//! EDN and Rust types, by way of [serde](https://serde.rs). Needs the feature `serde`.
//!
//! ```
//! use sente_edn::serde::{from_str, to_string};
//! use sente_edn::{Inst, Keyword};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Message<'a> {
//!     #[serde(rename = "message/id")]
//!     id: u64,
//!     text: &'a str,
//!     kind: Keyword,
//!     at: Option<Inst>,
//! }
//!
//! let text = r#"{:message/id 7, :text "hi", :kind :chat/say, :at nil}"#;
//! let message: Message<'_> = from_str(text).unwrap();
//! assert_eq!((message.id, message.text, message.kind.as_str()), (7, "hi", "chat/say"));
//! assert_eq!(to_string(&message).unwrap(), text);
//! ```
//!
//! The functions are named as those at the [root of the crate](crate), which read and write a
//! [`Value`]; it is best to call these with the module's name, as in `edn::serde::from_str`.
//!
//! # Which form becomes which type
//!
//! | Rust | is written as | and read from |
//! |---|---|---|
//! | `()`, unit struct, `None` | `nil` | `nil` |
//! | `Some(x)` | `x` | anything but `nil`; so `Some(None)` comes back as `None` |
//! | `bool` | `true` | booleans |
//! | integers, 128 bits too | `1`, or `1N` if 64 signed bits are too few | integers with and without `N` that fit |
//! | `f32`, `f64` | `1.0` | floats and integers; one too large for an `f32` is infinite, as `1e300` |
//! | `char` | `\a`; beyond 16 bits the string `"😀"` | characters, and strings of one |
//! | `String`, `&str` | `"a"` | strings; as a map's key keywords, too, without their colon |
//! | bytes | `[1 2]` | lists and vectors of integers; strings as their UTF-8 |
//! | `Vec`, `HashSet`, … | `[1 2]` | lists, vectors and sets |
//! | tuple, tuple struct | `[1 2]` | lists and vectors of that length |
//! | map | `{1 2}`, with keys of any type | maps; if keys are strings, `{:a 1 "a" 2}` has one twice, and the last counts |
//! | struct | `{:field 1}` | maps; the names may be keywords or strings |
//! | newtype struct | what is in it | the same |
//! | [`Keyword`](crate::Keyword), [`Symbol`](crate::Symbol) | `:a`, `a` | only that |
//! | [`BigInt`](crate::BigInt) | `1N` | integers with and without `N` |
//! | [`Decimal`](crate::Decimal), [`Ratio`](crate::Ratio) | `1.0M`, `1/3` | only that |
//! | [`Inst`](crate::Inst), [`Uuid`](crate::Uuid) | `#inst "…"`, `#uuid "…"` | only that |
//! | [`List`](crate::List), [`Vector`](crate::Vector), [`Set`](crate::Set), [`Map`](crate::Map) | `(1)`, `[1]`, `#{1}`, `{1 2}` | only that |
//! | [`Tagged`](crate::Tagged) | `#my/point [1 2]` | only that |
//! | [`Value`] | the value | everything |
//! | [`RawEdn`], [`RawEdnRef`] | its text | everything |
//!
//! Rust's own sets are sequences to serde; a field is written as `#{1}` or `(1)` with
//! `#[serde(with = "sente_edn::serde::as_set")]` or [`as_list`]. In the same way fields of the types
//! of the crates `uuid`, `jiff`, `num-bigint` and `bigdecimal` are written as `#uuid`, `#inst`, `N`
//! and `M` with the modules of those names, and `Option`s of them with the module `option` in each,
//! if the feature of that name is on.
//!
//! `&str` is borrowed if no escape is in the string, and an error if there is one, as in
//! `serde_json`; `#[serde(borrow)] Cow<str>` takes both. The same goes for `&[u8]`.
//!
//! What serde collects before it knows the type (`flatten`, `untagged` and internally tagged enums)
//! passes through a form of serde's own that knows no keywords, so there keywords and symbols become
//! strings without a colon, and sets and lists become vectors. This crate's types are taken there
//! from a string, but a [`Value`] does not get them back. serde writes a struct that has a
//! `flatten` as a map with strings for keys; it is read back all the same.
//!
//! # Enums
//!
//! | variant | `enum E` as it is | `tag = "type"` | `tag = "t", content = "c"` | `untagged` |
//! |---|---|---|---|---|
//! | `Unit` | `:Unit` | `{:type "Unit"}` | `{:t :Unit}` | `nil` |
//! | `New(1)` | `{:New 1}` | only of structs and maps | `{:t :New, :c 1}` | `1` |
//! | `Tuple(1, 2)` | `{:Tuple [1 2]}` | not possible | `{:t :Tuple, :c [1 2]}` | `[1 2]` |
//! | `Struct { a: 1 }` | `{:Struct {:a 1}}` | `{:type "Struct", :a 1}` | `{:t :Struct, :c {:a 1}}` | `{:a 1}` |
//!
//! A variant's name is read from a keyword or a string in all of them.
//!
//! # Names
//!
//! Names of fields and variants are keywords, or strings with [`Options::string_names`]. Keywords
//! with a namespace come from `#[serde(rename = "user/id")]`. A name that is no keyword, such as
//! one with a blank, is an error unless names are strings.
//!
//! # Other formats
//!
//! This crate's types can be written in any format: keywords as the string `":a"`; symbols,
//! [`BigInt`](crate::BigInt), [`Decimal`](crate::Decimal), [`Ratio`](crate::Ratio),
//! [`Inst`](crate::Inst) and [`Uuid`](crate::Uuid) as the string that EDN has for them, without
//! suffix or tag; lists, vectors and sets as a sequence; a [`Tagged`](crate::Tagged) as a sequence of
//! its tag and its form. Each type reads back what it wrote. A [`Value`] needs a
//! format that says what comes next, and what has become a string or a sequence remains one.
//!
//! # What a stranger's text can do
//!
//! A text is checked as a whole, within [`Options::limits`], also where the type ignores what is
//! there: repeated keys are an error, and so is a depth of more than
//! [128](Options::DEFAULT_MAX_DEPTH). It is read and checked in one pass, in time linear in the
//! text but for the check of large maps and sets. If something is wrong it is read from the
//! beginning again, in two passes, to find out what: a text that is not EDN is reported as such,
//! even if a type does not fit further up. So what a type's own `Deserialize` does can happen twice.
//! [`to_value()`] finds keys that are different in Rust and equal in EDN; [`to_string`] does not look.

mod access;
pub mod as_list;
pub mod as_set;
#[cfg(feature = "bigdecimal")]
pub mod bigdecimal;
mod de;
mod error;
#[cfg(feature = "jiff")]
pub mod jiff;
mod names;
#[cfg(feature = "num-bigint")]
pub mod num_bigint;
mod options;
mod out;
mod raw;
mod ser;
mod short;
mod source;
mod stream;
mod types;
#[cfg(feature = "uuid")]
pub mod uuid;
#[cfg(any(
    feature = "bigdecimal",
    feature = "jiff",
    feature = "num-bigint",
    feature = "uuid"
))]
mod with;

use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

use ::serde::{Deserialize, Serialize};

pub use de::Deserializer;
pub use error::Error;
pub use options::Options;
pub use raw::{RawEdn, RawEdnRef};
pub use ser::{Compound, Serializer};

use crate::value::Value;

/// Reads a text that is one form into a Rust type.
///
/// # Errors
///
/// If the text is not EDN, not one form, beyond the limits, or not what the type takes.
///
/// ```
/// let pairs: Vec<(i32, f64)> = sente_edn::serde::from_str("([1 2.5] [2 3])").unwrap();
/// assert_eq!(pairs, [(1, 2.5), (2, 3.0)]);
/// let error = sente_edn::serde::from_str::<Vec<i32>>("[1 :a]").unwrap_err();
/// assert_eq!(error.to_string(), "found keyword `:a`, expected i32 at byte 3 in [1]");
/// ```
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    from_slice(text.as_bytes())
}

/// Reads a text as [`from_str`] does, from bytes that should be UTF-8.
///
/// # Errors
///
/// Those of [`from_str`], and if the bytes are not UTF-8.
pub fn from_slice<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, Error> {
    from_slice_with(text, &Options::default())
}

/// Reads a text as [`from_slice`] does, with other [`Options`].
///
/// # Errors
///
/// Those of [`from_slice`].
pub fn from_slice_with<'de, T: Deserialize<'de>>(
    text: &'de [u8],
    options: &Options,
) -> Result<T, Error> {
    if let Some(mut stream) = Deserializer::stream(text, options)
        && let Ok(value) = T::deserialize(&mut stream)
        && stream.is_complete()
    {
        return Ok(value);
    }
    Deserializer::from_slice(text, options)?.read(PhantomData, false)
}

/// Makes a Rust type of a value, which it may borrow strings from.
///
/// # Errors
///
/// If the value is not what the type takes, or nests deeper than 128 levels.
///
/// ```
/// let value = sente_edn::from_str("[:a 1]").unwrap();
/// let pair: (sente_edn::Keyword, u8) = sente_edn::serde::from_value(&value).unwrap();
/// assert_eq!(pair.1, 1);
/// ```
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Error> {
    from_value_with(value, &Options::default())
}

/// Makes a Rust type of a value as [`from_value`] does, with other [`Options`].
///
/// # Errors
///
/// Those of [`from_value`].
pub fn from_value_with<'de, T: Deserialize<'de>>(
    value: &'de Value,
    options: &Options,
) -> Result<T, Error> {
    Deserializer::from_value(value, options).read(PhantomData, false)
}

/// Writes a Rust value as EDN on one line.
///
/// # Errors
///
/// If the value's `Serialize` fails, it nests deeper than 128 levels, or a name is no keyword.
///
/// ```
/// let text = sente_edn::serde::to_string(&(1, "a", [Some(2.0), None])).unwrap();
/// assert_eq!(text, r#"[1 "a" [2.0 nil]]"#);
/// ```
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    to_string_with(value, &Options::default())
}

/// Writes a Rust value as [`to_string`] does, with other [`Options`].
///
/// # Errors
///
/// Those of [`to_string`].
pub fn to_string_with<T: Serialize + ?Sized>(
    value: &T,
    options: &Options,
) -> Result<String, Error> {
    let mut serializer = Serializer::to_text(options);
    value.serialize(&mut serializer)?;
    Ok(serializer.into_string())
}

/// Writes a Rust value as [`to_string`] does, as bytes of UTF-8.
///
/// # Errors
///
/// Those of [`to_string`].
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut serializer = Serializer::to_text(&Options::default());
    value.serialize(&mut serializer)?;
    Ok(serializer.take_bytes())
}

/// Writes a Rust value as [`to_string`] does, behind what is in a buffer.
///
/// # Errors
///
/// Those of [`to_string`]; the buffer is then as it was. Where the value panics, the buffer holds all
/// that it held, and may hold a part of the value behind it.
///
/// ```
/// let mut text = b"[:tick ".to_vec();
/// sente_edn::serde::append(&7, &mut text).unwrap();
/// assert_eq!(text, b"[:tick 7");
/// ```
pub fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    let mut lent = Lent {
        serializer: Serializer::behind(core::mem::take(out), &Options::default()),
        out,
    };
    let written = value.serialize(&mut lent.serializer);
    drop(lent);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Gives a buffer back, also where a value panics.
struct Lent<'a> {
    serializer: Serializer,
    out: &'a mut Vec<u8>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.out = self.serializer.take_bytes();
    }
}

/// Makes a [`Value`] of a Rust value.
///
/// # Errors
///
/// Those of [`to_string`], and if two keys of a map or elements of a set are equal in EDN.
///
/// ```
/// let value = sente_edn::serde::to_value(&[1, 2]).unwrap();
/// assert_eq!(value, sente_edn::from_str("[1 2]").unwrap());
/// ```
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    to_value_with(value, &Options::default())
}

/// Makes a [`Value`] as [`to_value`] does, with other [`Options`].
///
/// # Errors
///
/// Those of [`to_value`].
pub fn to_value_with<T: Serialize + ?Sized>(value: &T, options: &Options) -> Result<Value, Error> {
    let mut serializer = Serializer::to_value(options);
    value.serialize(&mut serializer)?;
    Ok(serializer.into_value())
}
