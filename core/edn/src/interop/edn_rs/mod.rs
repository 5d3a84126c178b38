//! Values and the `Edn` of the crate `edn-rs` 0.19. Needs the feature `edn-rs`.
//!
//! For programs that have `edn_rs::Edn` values already. Both ways there is a `TryFrom`, of what is
//! borrowed and of what is owned:
//!
//! ```
//! use sente_edn::{Value, from_str};
//!
//! let value = from_str("{:id 7, [1 2] #{\\a 1/3}}").unwrap();
//! let there = edn_rs::Edn::try_from(&value).unwrap();
//! assert_eq!(there[":id"], edn_rs::Edn::UInt(7));
//! assert!(Value::try_from(&there).unwrap().identical(&value));
//!
//! let error = edn_rs::Edn::try_from(&from_str("{:price [1.50M]}").unwrap()).unwrap_err();
//! assert_eq!(error.to_string(), "edn-rs has no form for `1.50M` at [:price 0]");
//! ```
//!
//! # What becomes of each form
//!
//! A value that is converted and comes back is [identical](Value::identical) to what it was; what
//! would not be is an error. What comes from `Edn` and returns is the same but for what the third
//! column says.
//!
//! | value | `Edn` | from `Edn` |
//! |---|---|---|
//! | `nil`, `true`, `"a"`, `\a` | `Nil`, `Bool`, `Str`, `Char` | the same |
//! | `7` | `UInt`, as edn-rs reads it | also of an `Int` that is not negative, which returns as `UInt` |
//! | `-7` | `Int` | the same |
//! | `9223372036854775808N` to `18446744073709551615N` | `UInt` | the same |
//! | any other integer with an `N` | error | |
//! | `1.0`, `-0.0`, `##NaN`, `##Inf` | `Double` | the same |
//! | `1.0M` | error | |
//! | `1/3` | `Rational("1/3")` | must be digits, a slash and digits; `4/2` is the integer `2` |
//! | `:a/b` | `Key(":a/b")` | must be a keyword of Clojure's |
//! | `a/b` | `Symbol("a/b")` | must be a symbol of Clojure's, which what edn-rs makes of `^` is not |
//! | `(1)`, `[1]` | `List`, `Vector` | the same |
//! | `#{1}` | `Set`, which is sorted; an error if two elements differ by the sign of a zero only | two elements that are equal in Clojure are an error |
//! | `{k 1}` | `Map`, sorted by the text of the keys | two keys that are equal in Clojure are an error |
//! | `#inst "…"`, `#uuid "…"` | `Tagged("inst", Str)`, `Tagged("uuid", Str)` | what Clojure would read, in its usual form; any other is an error |
//! | `#my/tag 1` | `Tagged("my/tag", …)` | must be a tag this crate reads, which `:ns` is not |
//! | | `Empty` | an error: it is nothing |
//!
//! **Keys** of an `Edn` map are strings that hold the text of a key. Here that is the text which
//! this crate prints, so that any key can be had again: `{1.0 :a}` gets the key `1.0`. edn-rs looks
//! keys up by the text that it would print itself, which is the same for keywords, symbols,
//! integers and plain strings, but not for floats (`1`), for strings with control characters or
//! combining marks, nor for collections in another order. From `Edn`, both texts of a string are
//! read; any other text must be one form of EDN. Keys that no text can tell apart (`\😀`, which is
//! written as a string) are an error.
//!
//! **Printing** an `Edn` loses what the `Edn` itself has kept: `1.0` is printed as `1`, `##Inf` as
//! `inf`, and strings with Rust's escapes, which nobody reads. Convert to a [`Value`] and print that.
//!
//! # Depth
//!
//! The conversions themselves do not recurse, but whatever edn-rs does with its values does. More
//! than [`MAX_DEPTH`] levels are an error. On a stack of 2 MiB, without optimization, printing what
//! nests 1 100 levels ends the process, cloning 1 400, comparing 1 500 and dropping 4 200; with
//! optimization it is 4 400, 7 900, 13 400 and 14 500. Reading with edn-rs itself ends it at about
//! 2 900 levels or blanks, so edn-rs must not be given texts of strangers.

mod error;
mod from;
mod into;

use alloc::string::String;

use ::edn_rs::Edn;

pub use error::{Error, ErrorKind};

use crate::limits::{Dialect, Limits};
use crate::read;
use crate::value::Value;

/// How deep what is converted may nest: 512 levels, as many as [`Limits`] allows by default.
pub const MAX_DEPTH: usize = Limits::DEFAULT_MAX_DEPTH;

impl TryFrom<&Value> for Edn {
    type Error = Error;

    /// # Errors
    ///
    /// If edn-rs has no such form, see [the table](self), or it nests deeper than [`MAX_DEPTH`].
    fn try_from(value: &Value) -> Result<Self, Error> {
        into::edn(value)
    }
}

impl TryFrom<Value> for Edn {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        into::edn(&value)
    }
}

impl TryFrom<&Edn> for Value {
    type Error = Error;

    /// # Errors
    ///
    /// If it holds something that is not EDN, see [the table](self), or nests deeper than
    /// [`MAX_DEPTH`].
    fn try_from(edn: &Edn) -> Result<Self, Error> {
        from::value(edn)
    }
}

impl TryFrom<Edn> for Value {
    type Error = Error;

    fn try_from(edn: Edn) -> Result<Self, Error> {
        from::value(&edn)
    }
}

/// The form that a text is, for either of Clojure's readers.
fn form(text: &str) -> Option<Value> {
    let limits = Limits::unlimited()
        .max_depth(MAX_DEPTH)
        .dialect(Dialect::Either);
    read::from_slice_with(text.as_bytes(), &limits).ok()
}

/// The key that a text means in a map of edn-rs.
fn key(text: &str) -> Option<Value> {
    unescape(text).map(Value::String).or_else(|| form(text))
}

/// A string the way edn-rs writes it, with Rust's escapes: those of EDN, but for `\0` and `\u{…}`.
fn unescape(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '"' => return None,
            '\\' => match chars.next()? {
                '"' => '"',
                '\\' => '\\',
                '\'' => '\'',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let (digits, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                    chars = rest.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}
