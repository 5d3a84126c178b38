//! Decimal numbers of any precision, as Java's `BigDecimal` has them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::number;

/// A decimal number, as Java's `BigDecimal`: `1.50M`.
///
/// It is held as its digits and a power of ten, which is never written out: `1e999999999M` stays
/// as small as it looks. Trailing zeros are kept, and printed, but do not count for equality.
#[derive(Clone)]
pub struct Decimal(Box<Parts>);

#[derive(Clone)]
struct Parts {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    /// How many of the digits stand behind the point.
    scale: i32,
}

impl Decimal {
    /// Takes a decimal number without the `M`: `1.50`, `-1e20`.
    ///
    /// # Errors
    ///
    /// If Java's `BigDecimal` could not hold it.
    pub fn new(text: &str) -> Result<Self, InvalidDecimal> {
        let is_plain =
            |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+');
        if !text.bytes().all(is_plain) {
            return Err(InvalidDecimal(()));
        }
        match number::parse(&format!("{text}M")) {
            Ok(number::Num::Decimal(_)) => Ok(Self::from_checked(text)),
            _ => Err(InvalidDecimal(())),
        }
    }

    /// Takes what the number pattern has taken and [`scale_of`] has found to fit.
    pub(crate) fn from_checked(text: &str) -> Self {
        let scale = scale_of(text).unwrap_or_default();
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let digits = number::strip_zeros(&digits).to_owned();
        let negative = mantissa.starts_with('-') && !digits.is_empty();
        Self(Box::new(Parts {
            negative,
            digits,
            scale,
        }))
    }

    /// What decides equality: sign, digits without trailing zeros, and the power of ten.
    pub(crate) fn value(&self) -> (bool, &str, i64) {
        let digits = self.0.digits.trim_end_matches('0');
        if digits.is_empty() {
            return (false, "", 0);
        }
        let stripped = self.0.digits.len().saturating_sub(digits.len());
        let power = i64::try_from(stripped).unwrap_or(i64::MAX);
        (
            self.0.negative,
            digits,
            power.saturating_sub(i64::from(self.0.scale)),
        )
    }

    /// What decides identity: as [`value`](Self::value), trailing zeros included.
    pub(crate) fn exact(&self) -> (bool, &str, i64) {
        (
            self.0.negative,
            &self.0.digits,
            i64::from(self.0.scale).saturating_neg(),
        )
    }

    /// The number as an `f64`, which is often only near it.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let sign = if self.0.negative { "-" } else { "" };
        let digits = if self.0.digits.is_empty() {
            "0"
        } else {
            &self.0.digits
        };
        let power = i64::from(self.0.scale).saturating_neg();
        format!("{sign}{digits}e{power}")
            .parse()
            .unwrap_or(f64::NAN)
    }
}

/// `BigDecimal.toString`, without the `M`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            negative,
            digits,
            scale,
        } = &*self.0;
        let digits = if digits.is_empty() { "0" } else { digits };
        if *negative {
            f.write_str("-")?;
        }
        if *scale == 0 {
            return f.write_str(digits);
        }
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let exponent = length.saturating_sub(1).saturating_sub(i64::from(*scale));
        if *scale > 0 && exponent >= -6 {
            let fraction = usize::try_from(*scale).unwrap_or_default();
            return match digits.len().checked_sub(fraction) {
                Some(whole) if whole > 0 => {
                    let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((digits, ""));
                    write!(f, "{whole}.{fraction}")
                }
                _ => write!(f, "0.{digits:0>fraction$}"),
            };
        }
        if i32::try_from(exponent).is_err() {
            // Java prints an exponent here that it can not read.
            let power = i64::from(*scale).saturating_neg();
            return write!(f, "{digits}E{power:+}");
        }
        match digits.split_at_checked(1) {
            Some((first, rest)) if !rest.is_empty() => write!(f, "{first}.{rest}")?,
            _ => f.write_str(digits)?,
        }
        if exponent == 0 {
            Ok(())
        } else {
            write!(f, "E{exponent:+}")
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}M")
    }
}

impl PartialEq for Decimal {
    /// Whether the values are equal: `1.0M` and `1.00M` are.
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for Decimal {}

impl core::hash::Hash for Decimal {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.value().hash(state);
    }
}

/// How many digits stand behind the point, if 32 bits can say it as Java wants.
pub(crate) fn scale_of(text: &str) -> Option<i32> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (text, 0),
    };
    let fraction = mantissa
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let scale = i64::try_from(fraction)
        .ok()?
        .checked_sub(i64::from(exponent))?;
    i32::try_from(scale).ok()
}

fn exponent_of(text: &str) -> Option<i32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = number::strip_zeros(digits);
    if digits.len() > 10 {
        return None;
    }
    let magnitude: i64 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    i32::try_from(if negative {
        magnitude.checked_neg()?
    } else {
        magnitude
    })
    .ok()
}

/// A text that is not a decimal number Java's `BigDecimal` holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number")]
#[non_exhaustive]
pub struct InvalidDecimal(());
