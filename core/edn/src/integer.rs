//! Integers beyond 64 bits, and small ones that carry an `N`.

use alloc::format;
use core::fmt;

use smol_str::SmolStr;

use crate::bignum::Natural;
use crate::number;

/// An integer of any size, as Clojure's `BigInt`: `12345678901234567890N`.
///
/// It is held as its decimal digits. An [`Int`](crate::Value::Int) of the same value is equal to
/// it in Clojure, and so in this crate, but prints without the `N`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(SmolStr);

impl BigInt {
    /// Takes decimal digits with an optional sign.
    ///
    /// # Errors
    ///
    /// If there is anything else in the text.
    pub fn new(text: &str) -> Result<Self, InvalidBigInt> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if number::is_digits(digits) {
            Ok(Self::from_digits(negative, digits))
        } else {
            Err(InvalidBigInt(()))
        }
    }

    /// Takes decimal digits that were checked.
    pub(crate) fn from_digits(negative: bool, digits: &str) -> Self {
        let digits = number::strip_zeros(digits);
        match (digits.is_empty(), negative) {
            (true, _) => Self("0".into()),
            (false, false) => Self(digits.into()),
            (false, true) => Self(format!("-{digits}").into()),
        }
    }

    /// Takes digits of any radix that were checked and counted.
    pub(crate) fn from_radix(negative: bool, digits: &str, radix: u32) -> Self {
        if radix == 10 {
            Self::from_digits(negative, digits)
        } else {
            Self::from_digits(negative, &Natural::parse(digits, radix).to_decimal())
        }
    }

    /// The decimal digits, after a minus sign if the integer is negative; no `N`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, if 64 bits hold it.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        // Twenty characters are the longest 64-bit integer with its sign.
        if self.0.len() <= 20 {
            self.0.parse().ok()
        } else {
            None
        }
    }
}

impl From<i64> for BigInt {
    fn from(value: i64) -> Self {
        Self(format!("{value}").into())
    }
}

impl From<i128> for BigInt {
    fn from(value: i128) -> Self {
        Self(format!("{value}").into())
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}N", self.0)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a decimal integer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal integer")]
#[non_exhaustive]
pub struct InvalidBigInt(());
