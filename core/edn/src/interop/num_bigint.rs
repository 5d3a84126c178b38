//! Integers of the crate `num-bigint`.

use alloc::string::ToString;

use ::num_bigint::BigInt as Big;

use super::{ConversionError, owned};
use crate::bignum::MAX_DIGITS;
use crate::integer::BigInt;
use crate::ratio::{InvalidRatio, Ratio};
use crate::value::Value;

impl From<&Big> for BigInt {
    /// The same integer.
    ///
    /// Takes as long as `to_string`, which is less than quadratic time.
    fn from(there: &Big) -> Self {
        // Digits are digits.
        Self::new(&there.to_string()).unwrap_or_else(|_| Self::from(0_i64))
    }
}

impl From<Big> for BigInt {
    /// The same integer.
    ///
    /// ```
    /// let there = num_bigint::BigInt::from(2).pow(100);
    /// let here = sente_edn::BigInt::from(&there);
    /// assert_eq!(here.to_string(), "1267650600228229401496703205376N");
    /// assert_eq!(num_bigint::BigInt::try_from(&here), Ok(there));
    /// ```
    fn from(there: Big) -> Self {
        Self::from(&there)
    }
}

impl TryFrom<&BigInt> for Big {
    type Error = ConversionError;

    /// The same integer.
    ///
    /// # Errors
    ///
    /// [`TooManyDigits`](ConversionError::TooManyDigits) if it has more than 4096 digits.
    fn try_from(here: &BigInt) -> Result<Self, ConversionError> {
        let text = here.as_str();
        if text.trim_start_matches('-').len() > MAX_DIGITS {
            return Err(ConversionError::TooManyDigits);
        }
        // It is made of digits, so the only error there could be is the one above.
        text.parse().map_err(|_| ConversionError::TooManyDigits)
    }
}

impl From<&Ratio> for (Big, Big) {
    /// The integer above the line, which carries the sign, and the one below it.
    fn from(here: &Ratio) -> Self {
        // A ratio has no more digits than can be converted, and no other characters.
        let part = |part: &BigInt| part.as_str().parse().unwrap_or_default();
        (part(here.numerator()), part(here.denominator()))
    }
}

impl From<Ratio> for (Big, Big) {
    /// The integer above the line, which carries the sign, and the one below it.
    fn from(here: Ratio) -> Self {
        Self::from(&here)
    }
}

impl TryFrom<(Big, Big)> for Value {
    type Error = InvalidRatio;

    /// The first divided by the second: a ratio in lowest terms, or an integer if there is no
    /// remainder.
    ///
    /// # Errors
    ///
    /// Those of [`Ratio::divide`].
    ///
    /// ```
    /// use sente_edn::{Ratio, Value};
    ///
    /// let value = Value::try_from((num_bigint::BigInt::from(-4), num_bigint::BigInt::from(6))).unwrap();
    /// assert_eq!(value.to_string(), "-2/3");
    /// let Value::Ratio(ratio) = value else { unreachable!() };
    /// assert_eq!(<(num_bigint::BigInt, _)>::from(ratio).0, num_bigint::BigInt::from(-2));
    /// ```
    fn try_from((above, below): (Big, Big)) -> Result<Self, InvalidRatio> {
        Ratio::divide(&above.into(), &below.into())
    }
}

impl From<Big> for Value {
    /// An integer with an `N`, however small it is.
    fn from(there: Big) -> Self {
        Self::BigInt(there.into())
    }
}

impl TryFrom<&Value> for Big {
    type Error = ConversionError;

    /// Takes integers with and without an `N`.
    fn try_from(value: &Value) -> Result<Self, ConversionError> {
        match value {
            Value::Int(here) => Ok((*here).into()),
            Value::BigInt(here) => here.try_into(),
            other => Err(ConversionError::form("an integer", other)),
        }
    }
}

impl TryFrom<&Value> for (Big, Big) {
    type Error = ConversionError;

    /// Takes ratios, and integers as themselves over one: a ratio that is whole is read as one.
    fn try_from(value: &Value) -> Result<Self, ConversionError> {
        match value {
            Value::Ratio(here) => Ok(here.into()),
            Value::Int(_) | Value::BigInt(_) => Ok((value.try_into()?, Big::from(1))),
            other => Err(ConversionError::form("a ratio", other)),
        }
    }
}

owned! {
    BigInt => Big;
    Value => Big;
    Value => (Big, Big);
}
