//! This crate's types and those of other crates. Each crate's part needs the feature of its name.
//!
//! | feature | here | there | there from here | here from there |
//! |---|---|---|---|---|
//! | `uuid` | [`Uuid`](crate::Uuid) | `uuid::Uuid` | always | always |
//! | `jiff` | [`Inst`](crate::Inst) | `jiff::Timestamp` | up to `9999-12-30T22:00Z` | whole milliseconds of the years 0 to 9999 |
//! | `num-bigint` | [`BigInt`](crate::BigInt) | `num_bigint::BigInt` | up to 4096 digits | always |
//! | `num-bigint` | [`Ratio`](crate::Ratio) | a pair of `num_bigint::BigInt` | always | if [`Ratio::divide`](crate::Ratio::divide) gives one |
//! | `bigdecimal` | [`Decimal`](crate::Decimal) | `bigdecimal::BigDecimal` | up to 4096 digits | powers of ten of 32 bits |
//! | `edn-rs` | [`Value`] | `edn_rs::Edn` | see the module `edn_rs` | see there |
//!
//! What always works is a `From`, and the rest a `TryFrom` whose error is a [`ConversionError`].
//! Nothing is ever rounded, cut off or replaced without an error. A [`Value`] is converted in the
//! same ways: what the other crate has becomes a value, and a value of the right form becomes what
//! the other crate has. An integer counts as one with and without its `N`; `nil` counts as nothing.
//!
//! With the feature `serde`, too, the module [`serde`](crate::serde) has a module for each of the
//! first four, such as `sente_edn::serde::uuid`, so that a field of the other crate's type is
//! written as EDN's own form.
//!
//! # Milliseconds
//!
//! [`Inst`](crate::Inst) is what `java.util.Date` is, and that ends at the millisecond. A
//! `jiff::Timestamp` has nanoseconds, and the present time as `Timestamp::now` tells it makes use
//! of them: it is refused with [`ConversionError::Precision`] unless it is first rounded, as by
//! `timestamp.round(jiff::Unit::Millisecond)`. Clojure, and so this crate, writes dates before 15
//! October 1582 in the Julian calendar, and jiff in the Gregorian: it is the same instant under
//! another date.
//!
//! # Long numbers
//!
//! This crate holds integers and decimals as their digits, and never calculates with them. To make
//! binary numbers of digits takes `num-bigint` quadratic time: 21 µs for 4096 digits and 0.83 s for
//! a million, which is one message of a peer. So numbers of more than 4096 digits are refused with
//! [`ConversionError::TooManyDigits`]; any number of shorter ones takes about as long as it took to
//! read them. Digits from a source that is trusted can be parsed: `number.as_str().parse()`.
//!
//! # Powers of ten
//!
//! `1e999999999M` is a short text, a small [`Decimal`](crate::Decimal) and a small `BigDecimal`,
//! for both keep the power of ten aside, and converting them leaves it there. But a `BigDecimal`
//! that came from a peer is still to be treated with care, since some of what it does writes all
//! the zeros out, in memory and time that grow with the power: adding, subtracting, the remainder,
//! rounding, `with_scale`, `to_plain_string`, `is_integer`, conversion to an integer, and
//! **hashing**. Comparing, multiplying, `normalized`, `to_f64`, `Debug` and plain `Display` do not.
//! Check `fractional_digit_count` (the power of ten, negated) before doing any of the former.

#[cfg(feature = "bigdecimal")]
mod bigdecimal;
#[cfg(feature = "edn-rs")]
pub mod edn_rs;
#[cfg(feature = "jiff")]
mod jiff;
#[cfg(feature = "num-bigint")]
mod num_bigint;
#[cfg(feature = "uuid")]
mod uuid;

use crate::shape::Shape;
use crate::value::Value;

/// Why something of this crate and something of another could not become each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversionError {
    /// The value is of another form.
    #[error("found {found}, expected {expected}")]
    Form {
        /// What would have been converted.
        expected: &'static str,
        /// What there was.
        found: Shape,
    },
    /// The other type ends before this number or date.
    #[error("out of the range of {0}")]
    OutOfRange(&'static str),
    /// There are digits behind the millisecond, which `#inst` ends with.
    #[error("an instant that is not a whole number of milliseconds")]
    Precision,
    /// The number has more than 4096 digits, which would take too long to convert.
    #[error("a number of more than 4096 digits")]
    TooManyDigits,
}

impl ConversionError {
    #[allow(dead_code, reason = "not every feature needs it")]
    const fn form(expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Nil => Shape::Nil,
            Value::Bool(_) => Shape::Bool,
            Value::Int(_)
            | Value::BigInt(_)
            | Value::Float(_)
            | Value::Decimal(_)
            | Value::Ratio(_) => Shape::Number,
            Value::Char(_) => Shape::Char,
            Value::String(_) => Shape::String,
            Value::Keyword(_) => Shape::Keyword,
            Value::Symbol(_) => Shape::Symbol,
            Value::List(_) => Shape::List,
            Value::Vector(_) => Shape::Vector,
            Value::Set(_) => Shape::Set,
            Value::Map(_) => Shape::Map,
            Value::Inst(_) | Value::Uuid(_) | Value::Tagged(_) => Shape::Tagged,
        };
        Self::Form { expected, found }
    }
}

/// The owned forms of conversions that look at what is borrowed.
#[allow(unused_macros, reason = "not every feature needs it")]
macro_rules! owned {
    ($($here:ty => $there:ty;)*) => {$(
        impl TryFrom<$here> for $there {
            type Error = ConversionError;

            fn try_from(here: $here) -> Result<Self, ConversionError> {
                Self::try_from(&here)
            }
        }
    )*};
}

#[allow(unused_imports, reason = "not every feature needs it")]
use owned;
