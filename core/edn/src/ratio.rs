//! Ratios of two integers in lowest terms, as Clojure's `Ratio`.

use alloc::boxed::Box;
use core::fmt;

use crate::bignum::{MAX_DIGITS, Natural};
use crate::integer::BigInt;
use crate::number;
use crate::value::Value;

/// A ratio of two integers in lowest terms, as Clojure's `Ratio`: `-2/3`.
///
/// The denominator is always greater than one: `4/2` is the integer `2`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ratio(Box<(BigInt, BigInt)>);

impl Ratio {
    /// Divides two integers: the quotient is an integer if there is no remainder.
    ///
    /// # Errors
    ///
    /// If the denominator is zero, or if either has more than 4096 digits.
    ///
    /// ```
    /// use sente_edn::{BigInt, Ratio, Value};
    ///
    /// let ratio = Ratio::divide(&BigInt::from(-4_i64), &BigInt::from(6_i64)).unwrap();
    /// assert_eq!(ratio.to_string(), "-2/3");
    /// let whole = Ratio::divide(&BigInt::from(4_i64), &BigInt::from(2_i64)).unwrap();
    /// assert_eq!(whole, Value::Int(2));
    /// ```
    pub fn divide(numerator: &BigInt, denominator: &BigInt) -> Result<Value, InvalidRatio> {
        let (above, top) = unsign(numerator.as_str());
        let (below, bottom) = unsign(denominator.as_str());
        if bottom == "0" || top.len() > MAX_DIGITS || bottom.len() > MAX_DIGITS {
            return Err(InvalidRatio(()));
        }
        Ok(reduce(above != below, top, bottom))
    }

    /// The integer above the line, which carries the sign.
    #[must_use]
    pub fn numerator(&self) -> &BigInt {
        &self.0.0
    }

    /// The integer below the line, greater than one.
    #[must_use]
    pub fn denominator(&self) -> &BigInt {
        &self.0.1
    }

    /// The ratio as an `f64`, which is often only near it.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let above: f64 = self.numerator().as_str().parse().unwrap_or(f64::NAN);
        let below: f64 = self.denominator().as_str().parse().unwrap_or(f64::NAN);
        above / below
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.numerator().as_str(),
            self.denominator().as_str()
        )
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Two integers whose ratio is none, or too long to work out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ratio must not divide by zero or have more than 4096 digits on a side")]
#[non_exhaustive]
pub struct InvalidRatio(());

fn unsign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    }
}

/// What Clojure reads for a ratio whose digits were checked and counted.
pub(crate) fn reduce(negative: bool, numerator: &str, denominator: &str) -> Value {
    let fits = |digits: &str| number::strip_zeros(digits).len() <= 18;
    if fits(numerator) && fits(denominator) {
        let parse = |digits: &str| digits.parse::<i64>().unwrap_or_default();
        if let Some(value) = reduce_small(negative, parse(numerator), parse(denominator)) {
            return value;
        }
    }
    let (top, bottom) = (
        Natural::parse(numerator, 10),
        Natural::parse(denominator, 10),
    );
    let divisor = top.gcd(&bottom);
    if divisor.is_one() && !bottom.is_one() {
        let above = BigInt::from_digits(negative, numerator);
        let below = BigInt::from_digits(false, denominator);
        return Value::Ratio(Ratio(Box::new((above, below))));
    }
    let (top, bottom) = (top.div_rem(&divisor).0, bottom.div_rem(&divisor).0);
    let above = BigInt::from_digits(negative, &top.to_decimal());
    if !bottom.is_one() {
        let below = BigInt::from_digits(false, &bottom.to_decimal());
        return Value::Ratio(Ratio(Box::new((above, below))));
    }
    // Clojure divides longs if both are longs, and then the quotient is a long, too.
    let is_long =
        |negative: bool, digits: &str| BigInt::from_digits(negative, digits).to_i64().is_some();
    match above.to_i64() {
        Some(value) if is_long(negative, numerator) && is_long(false, denominator) => {
            Value::Int(value)
        }
        _ => Value::BigInt(above),
    }
}

fn reduce_small(negative: bool, numerator: i64, denominator: i64) -> Option<Value> {
    let (mut a, mut b) = (numerator, denominator);
    while let Some(rest) = a.checked_rem(b) {
        a = b;
        b = rest;
    }
    let sign = if negative { -1 } else { 1 };
    let above = numerator.checked_div(a)?.checked_mul(sign)?;
    match denominator.checked_div(a)? {
        1 => Some(Value::Int(above)),
        below => Some(Value::Ratio(Ratio(Box::new((above.into(), below.into()))))),
    }
}
