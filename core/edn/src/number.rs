//! Which tokens are numbers, by the three patterns of Clojure's reader, and what each one is.

use crate::bignum::MAX_DIGITS;

/// A number as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Num<'a> {
    Int(i64),
    /// An integer with an `N`, or beyond 64 bits.
    Big {
        negative: bool,
        digits: &'a str,
        radix: u32,
    },
    Float(&'a str),
    /// Without its `M`.
    Decimal(&'a str),
    Ratio {
        negative: bool,
        numerator: &'a str,
        denominator: &'a str,
    },
}

/// Why a token is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumFault {
    Invalid,
    TooManyDigits,
    ZeroDenominator,
}

/// Reads a token that starts with a digit, or with a sign and a digit.
pub(crate) fn parse(token: &str) -> Result<Num<'_>, NumFault> {
    let (negative, unsigned) = unsign(token);
    parse_other(token, negative, unsigned)
}

fn unsign(token: &str) -> (bool, &str) {
    match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token.strip_prefix('+').unwrap_or(token)),
    }
}

fn parse_other<'a>(token: &'a str, negative: bool, unsigned: &'a str) -> Result<Num<'a>, NumFault> {
    if let Some(integer) = Integer::of(unsigned) {
        return integer.value(negative);
    }
    if let Some(decimal) = unsigned.strip_suffix('M')
        && is_float(decimal)
    {
        let end = token.len().saturating_sub(1);
        let decimal = token.get(..end).ok_or(NumFault::Invalid)?;
        return match crate::decimal::scale_of(decimal) {
            Some(_) => Ok(Num::Decimal(decimal)),
            None => Err(NumFault::Invalid),
        };
    }
    if is_float(unsigned) {
        return Ok(Num::Float(token));
    }
    let (numerator, denominator) = unsigned.split_once('/').ok_or(NumFault::Invalid)?;
    if !is_digits(numerator) || !is_digits(denominator) {
        return Err(NumFault::Invalid);
    }
    if strip_zeros(denominator).is_empty() {
        return Err(NumFault::ZeroDenominator);
    }
    if strip_zeros(numerator).len() > MAX_DIGITS || strip_zeros(denominator).len() > MAX_DIGITS {
        return Err(NumFault::TooManyDigits);
    }
    Ok(Num::Ratio {
        negative,
        numerator,
        denominator,
    })
}

/// What the integer pattern makes of a token; it also takes `08`, to refuse it.
struct Integer<'a> {
    digits: &'a str,
    radix: u32,
    big: bool,
}

impl<'a> Integer<'a> {
    fn of(unsigned: &'a str) -> Option<Self> {
        if let Some((radix, digits)) = unsigned.split_once(['r', 'R'])
            && let Some(radix) = parse_radix(radix)
            && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            // Here an `N` is a digit, if not one of this radix.
            return Some(Self {
                digits,
                radix,
                big: false,
            });
        }
        let (digits, big) = match unsigned.strip_suffix('N') {
            Some(digits) => (digits, true),
            None => (unsigned, false),
        };
        if let Some(hex) = digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"))
        {
            let fits = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            return fits.then_some(Self {
                digits: hex,
                radix: 16,
                big,
            });
        }
        if !is_digits(digits) {
            return None;
        }
        let radix = if digits.len() > 1 && digits.starts_with('0') {
            8
        } else {
            10
        };
        Some(Self { digits, radix, big })
    }

    fn value(self, negative: bool) -> Result<Num<'a>, NumFault> {
        if !(2..=36).contains(&self.radix) {
            return Err(NumFault::Invalid);
        }
        let digits = strip_zeros(self.digits);
        let mut magnitude = Some(0_u64);
        for c in digits.chars() {
            let digit = c.to_digit(self.radix).ok_or(NumFault::Invalid)?;
            magnitude = magnitude
                .and_then(|value| value.checked_mul(u64::from(self.radix)))
                .and_then(|value| value.checked_add(u64::from(digit)));
        }
        if let Some(magnitude) = magnitude
            && !self.big
        {
            let value = if negative {
                0_i64.checked_sub_unsigned(magnitude)
            } else {
                0_i64.checked_add_unsigned(magnitude)
            };
            if let Some(value) = value {
                return Ok(Num::Int(value));
            }
        }
        if self.radix != 10 && digits.len() > MAX_DIGITS {
            return Err(NumFault::TooManyDigits);
        }
        Ok(Num::Big {
            negative,
            digits,
            radix: self.radix,
        })
    }
}

/// `[1-9][0-9]?`
fn parse_radix(text: &str) -> Option<u32> {
    match *text.as_bytes() {
        [first @ b'1'..=b'9'] => Some(u32::from(first.wrapping_sub(b'0'))),
        [first @ b'1'..=b'9', second @ b'0'..=b'9'] => {
            let tens = u32::from(first.wrapping_sub(b'0')).wrapping_mul(10);
            Some(tens.wrapping_add(u32::from(second.wrapping_sub(b'0'))))
        }
        _ => None,
    }
}

/// `[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    is_digits(whole)
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && exponent.is_none_or(|exponent| is_digits(unsign(exponent).1))
}

/// Whether a token that ends the text, and is no number, could become one with more behind it.
pub(crate) fn may_become_number(token: &str) -> bool {
    let unsigned = unsign(token).1;
    if is_digits(unsigned) {
        return true;
    }
    if let Some(mantissa) = unsigned
        .strip_suffix(['-', '+'])
        .and_then(|rest| rest.strip_suffix(['e', 'E']))
        .or_else(|| unsigned.strip_suffix(['e', 'E']))
    {
        return is_float(mantissa) && !mantissa.contains(['e', 'E']);
    }
    if let Some(start) = unsigned.strip_suffix(['x', 'X', 'r', 'R', '/']) {
        return match unsigned.bytes().last() {
            Some(b'/') => is_digits(start),
            Some(b'x' | b'X') => start == "0",
            _ => parse_radix(start).is_some_and(|radix| (2..=36).contains(&radix)),
        };
    }
    // A denominator that is zero so far.
    unsigned
        .split_once('/')
        .is_some_and(|(numerator, denominator)| {
            is_digits(numerator) && is_digits(denominator) && strip_zeros(denominator).is_empty()
        })
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) fn strip_zeros(digits: &str) -> &str {
    digits.trim_start_matches('0')
}
