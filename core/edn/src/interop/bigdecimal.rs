//! Decimal numbers of the crate `bigdecimal`.

use alloc::format;

use ::bigdecimal::BigDecimal;
use ::bigdecimal::num_bigint::BigInt;

use super::{ConversionError, owned};
use crate::bignum::MAX_DIGITS;
use crate::decimal::Decimal;
use crate::value::Value;

impl TryFrom<&BigDecimal> for Decimal {
    type Error = ConversionError;

    /// The same number, with the same trailing zeros.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](ConversionError::OutOfRange) if the power of ten has more than 32 bits, which
    /// is where Java's `BigDecimal` ends.
    ///
    /// ```
    /// use bigdecimal::BigDecimal;
    /// use sente_edn::Decimal;
    ///
    /// let there: BigDecimal = "1.50".parse().unwrap();
    /// let here = Decimal::try_from(&there).unwrap();
    /// assert_eq!(here.to_string(), "1.50");
    /// assert_eq!(BigDecimal::try_from(&here), Ok(there));
    /// ```
    fn try_from(there: &BigDecimal) -> Result<Self, ConversionError> {
        let (digits, scale) = there.as_bigint_and_scale();
        let power = scale.checked_neg();
        let text = power.map(|power| format!("{digits}e{power}"));
        text.and_then(|text| Self::new(&text).ok())
            .ok_or(ConversionError::OutOfRange("Java's BigDecimal"))
    }
}

impl TryFrom<&Decimal> for BigDecimal {
    type Error = ConversionError;

    /// The same number, with the same trailing zeros. The power of ten is not written out.
    ///
    /// # Errors
    ///
    /// [`TooManyDigits`](ConversionError::TooManyDigits) if it has more than 4096 digits, leading
    /// zeros not counted.
    fn try_from(here: &Decimal) -> Result<Self, ConversionError> {
        let (negative, digits, power) = here.exact();
        if digits.len() > MAX_DIGITS {
            return Err(ConversionError::TooManyDigits);
        }
        // No digits at all are a zero.
        let magnitude: BigInt = digits.parse().unwrap_or_default();
        let digits = if negative { -magnitude } else { magnitude };
        Ok(Self::from_bigint(digits, power.saturating_neg()))
    }
}

impl TryFrom<BigDecimal> for Value {
    type Error = ConversionError;

    /// A decimal number with an `M`, if it can be a [`Decimal`].
    fn try_from(there: BigDecimal) -> Result<Self, ConversionError> {
        Decimal::try_from(&there).map(Self::Decimal)
    }
}

impl TryFrom<&Value> for BigDecimal {
    type Error = ConversionError;

    /// Takes decimal numbers; a float or an integer is none.
    fn try_from(value: &Value) -> Result<Self, ConversionError> {
        match value {
            Value::Decimal(here) => here.try_into(),
            other => Err(ConversionError::form("a decimal number", other)),
        }
    }
}

owned! {
    BigDecimal => Decimal;
    Decimal => BigDecimal;
    Value => BigDecimal;
}
