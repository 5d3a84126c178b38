//! Just enough arithmetic on large integers to reduce ratios and to write hexadecimal as decimal.
//!
//! Everything here is quadratic in the number of digits, which [`MAX_DIGITS`] bounds.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Write;

/// How many digits a number may have that needs arithmetic to be read.
///
/// Reducing a ratio of this length takes a fraction of a millisecond, and few people write longer
/// ones; plain decimal integers, however long, need no arithmetic.
pub(crate) const MAX_DIGITS: usize = 4096;

/// How many decimal digits fit a limb.
const CHUNK: usize = 9;

/// A non-negative integer: 32-bit limbs, the least first, none of them a leading zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Natural(Vec<u32>);

impl Natural {
    /// Reads digits the caller has checked; others count as zero.
    pub(crate) fn parse(digits: &str, radix: u32) -> Self {
        let mut number = Self(Vec::new());
        // As many digits at once as fit a limb.
        let (mut value, mut scale) = (0_u32, 1_u32);
        for c in digits.chars() {
            let digit = c.to_digit(radix).unwrap_or_default();
            match scale.checked_mul(radix) {
                Some(longer) => {
                    scale = longer;
                    value = value.wrapping_mul(radix).wrapping_add(digit);
                }
                None => {
                    number.mul_add(scale, value);
                    (value, scale) = (digit, radix);
                }
            }
        }
        number.mul_add(scale, value);
        number
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_one(&self) -> bool {
        self.0 == [1]
    }

    /// The digits in base ten.
    pub(crate) fn to_decimal(&self) -> String {
        let mut chunks = Vec::new();
        let mut rest = self.clone();
        while !rest.is_zero() {
            chunks.push(rest.div_small(1_000_000_000));
        }
        let mut out = String::with_capacity(chunks.len().saturating_mul(CHUNK).max(1));
        match chunks.pop() {
            None => out.push('0'),
            // Writing to a `String` does not fail.
            Some(first) => {
                let _ = write!(out, "{first}");
            }
        }
        for chunk in chunks.iter().rev() {
            let _ = write!(out, "{chunk:09}");
        }
        out
    }

    /// The greatest common divisor, by Lehmer's algorithm: many of Euclid's steps are worked out
    /// on the leading bits, and then taken at once.
    pub(crate) fn gcd(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.clone(), other.clone());
        if a.cmp(&b) == Ordering::Less {
            core::mem::swap(&mut a, &mut b);
        }
        while !b.is_zero() {
            (a, b) = match Steps::of(&a, &b) {
                Some(steps) => (
                    a.combine(steps.a, &b, steps.b),
                    a.combine(steps.c, &b, steps.d),
                ),
                None => {
                    let (_, rest) = a.div_rem(&b);
                    (b, rest)
                }
            };
        }
        a
    }

    /// The bits of three limbs up to the `length`th, shifted so that 62 remain.
    fn leading(&self, length: usize, shift: u32) -> i64 {
        let limb = |below: usize| {
            let at = length.checked_sub(below);
            at.and_then(|at| self.0.get(at))
                .copied()
                .map_or(0, i128::from)
        };
        let bits = (limb(1) << 64 | limb(2) << 32 | limb(3)) << shift;
        i64::try_from(bits >> 34).unwrap_or(i64::MAX)
    }

    /// `a * self + b * other`, which the caller knows not to be negative.
    fn combine(&self, a: i64, other: &Self, b: i64) -> Self {
        let mut limbs = Vec::with_capacity(self.0.len());
        let mut carry: i128 = 0;
        let others = other.0.iter().copied().chain(core::iter::repeat(0));
        for (limb, other) in self.0.iter().zip(others) {
            // Factors have 32 bits, so nothing overflows.
            let sum = i128::from(*limb).wrapping_mul(i128::from(a));
            let sum = sum.wrapping_add(i128::from(other).wrapping_mul(i128::from(b)));
            let sum = sum.wrapping_add(carry);
            limbs.push(low(low_half(sum)));
            carry = sum >> 32;
        }
        Self::from_limbs(limbs)
    }

    /// Quotient and remainder; zero and the number itself if the divisor is zero.
    pub(crate) fn div_rem(&self, divisor: &Self) -> (Self, Self) {
        if divisor.is_zero() || self.cmp(divisor) == Ordering::Less {
            return (Self(Vec::new()), self.clone());
        }
        if let [small] = divisor.0.as_slice() {
            let mut quotient = self.clone();
            let rest = quotient.div_small(*small);
            return (quotient, Self::from_limbs(alloc::vec![rest]));
        }
        self.div_long(divisor)
    }

    /// Knuth's algorithm D; the divisor has at least two limbs and is not larger.
    fn div_long(&self, divisor: &Self) -> (Self, Self) {
        let shift = divisor.0.last().map_or(0, |top| top.leading_zeros());
        let mut rest = self.shifted_left(shift);
        let divisor = Self::from_limbs(divisor.shifted_left(shift));
        let n = divisor.0.len();
        let steps = rest.len().saturating_sub(n);
        let mut quotient = alloc::vec![0_u32; steps];
        let limb = |limbs: &[u32], at: usize| limbs.get(at).copied().map_or(0, u64::from);
        let top = limb(&divisor.0, n.saturating_sub(1));
        let next = limb(&divisor.0, n.saturating_sub(2));
        for step in (0..steps).rev() {
            let at = step.saturating_add(n);
            let high = (limb(&rest, at) << 32) | limb(&rest, at.saturating_sub(1));
            let mut guess = high.checked_div(top).unwrap_or_default();
            let mut left = high.checked_rem(top).unwrap_or_default();
            while guess > u64::from(u32::MAX)
                || guess.wrapping_mul(next) > ((left << 32) | limb(&rest, at.saturating_sub(2)))
            {
                guess = guess.saturating_sub(1);
                left = left.saturating_add(top);
                if left > u64::from(u32::MAX) {
                    break;
                }
            }
            let guess = low(guess);
            let window = rest.get_mut(step..=at).unwrap_or_default();
            let digit = if subtract_product(window, &divisor.0, guess) {
                add_back(window, &divisor.0);
                guess.wrapping_sub(1)
            } else {
                guess
            };
            if let Some(place) = quotient.get_mut(step) {
                *place = digit;
            }
        }
        let mut rest = Self::from_limbs(rest);
        rest.shift_right(shift);
        (Self::from_limbs(quotient), rest)
    }

    fn from_limbs(mut limbs: Vec<u32>) -> Self {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        Self(limbs)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn mul_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.0 {
            // At most (2^32 - 1)^2 + 2^32 - 1, which fits.
            let product = u64::from(*limb)
                .wrapping_mul(u64::from(factor))
                .wrapping_add(carry);
            *limb = low(product);
            carry = product >> 32;
        }
        if carry != 0 {
            self.0.push(low(carry));
        }
    }

    fn div_small(&mut self, divisor: u32) -> u32 {
        let mut rest = 0_u64;
        for limb in self.0.iter_mut().rev() {
            let high = (rest << 32) | u64::from(*limb);
            *limb = low(high.checked_div(u64::from(divisor)).unwrap_or_default());
            rest = high.checked_rem(u64::from(divisor)).unwrap_or_default();
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        low(rest)
    }

    /// The limbs shifted left by less than a limb, with one limb more.
    fn shifted_left(&self, bits: u32) -> Vec<u32> {
        let mut carry = 0_u64;
        let mut limbs = Vec::with_capacity(self.0.len().saturating_add(1));
        for limb in &self.0 {
            let wide = (u64::from(*limb) << bits) | carry;
            limbs.push(low(wide));
            carry = wide >> 32;
        }
        limbs.push(low(carry));
        limbs
    }

    fn shift_right(&mut self, bits: u32) {
        let mut carry = 0_u64;
        for limb in self.0.iter_mut().rev() {
            let wide = (carry << 32) | u64::from(*limb);
            *limb = low(wide >> bits);
            carry = wide & ((1_u64 << bits).wrapping_sub(1));
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

/// Several steps of Euclid's algorithm: the next pair is `a x + b y` and `c x + d y`.
struct Steps {
    a: i64,
    b: i64,
    c: i64,
    d: i64,
}

impl Steps {
    /// The steps that the leading bits of `x >= y` are enough to know; `None` if that is not one.
    fn of(x: &Natural, y: &Natural) -> Option<Self> {
        let length = x.0.len();
        let shift = x.0.last()?.leading_zeros();
        let (mut x, mut y) = (x.leading(length, shift), y.leading(length, shift));
        let mut steps = Self {
            a: 1,
            b: 0,
            c: 0,
            d: 1,
        };
        loop {
            // What follows the leading bits can make either fraction a little smaller or larger.
            // The step is sure if the quotient is the same at both ends.
            let low = x.checked_add(steps.a)?.checked_div(y.checked_add(steps.c)?);
            let high = x.checked_add(steps.b)?.checked_div(y.checked_add(steps.d)?);
            let (Some(quotient), true) = (low, low == high) else {
                break;
            };
            let next = |above: i64, below: i64| {
                let next = above.checked_sub(quotient.checked_mul(below)?)?;
                i32::try_from(next).ok().map(i64::from)
            };
            let (Some(c), Some(d)) = (next(steps.a, steps.c), next(steps.b, steps.d)) else {
                break;
            };
            steps = Self {
                a: steps.c,
                b: steps.d,
                c,
                d,
            };
            (x, y) = (y, x.checked_sub(quotient.checked_mul(y)?)?);
        }
        (steps.b != 0).then_some(steps)
    }
}

/// The lower half of a sum, its sign being carried on.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is dropped on purpose"
)]
#[expect(
    clippy::cast_sign_loss,
    reason = "the upper half is dropped on purpose"
)]
fn low_half(sum: i128) -> u64 {
    sum as u64
}

/// The lower half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is dropped on purpose"
)]
fn low(wide: u64) -> u32 {
    wide as u32
}

/// Takes `factor * divisor` from the window; whether it was too much.
fn subtract_product(window: &mut [u32], divisor: &[u32], factor: u32) -> bool {
    let mut carry = 0_u64;
    let mut borrow = false;
    let limbs = divisor.iter().copied().chain([0]);
    for (place, limb) in window.iter_mut().zip(limbs) {
        let product = u64::from(limb)
            .wrapping_mul(u64::from(factor))
            .wrapping_add(carry);
        carry = product >> 32;
        let (first, under) = place.overflowing_sub(low(product));
        let (second, again) = first.overflowing_sub(u32::from(borrow));
        *place = second;
        borrow = under || again;
    }
    borrow
}

/// Gives one divisor back to the window.
fn add_back(window: &mut [u32], divisor: &[u32]) {
    let mut carry = false;
    let limbs = divisor.iter().copied().chain([0]);
    for (place, limb) in window.iter_mut().zip(limbs) {
        let (first, over) = place.overflowing_add(limb);
        let (second, again) = first.overflowing_add(u32::from(carry));
        *place = second;
        carry = over || again;
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::Natural;

    fn number(digits: &str) -> Natural {
        Natural::parse(digits, 10)
    }

    /// Long multiplication by decimal digits, which shares no code with division.
    fn product(a: &str, b: &str) -> String {
        let mut sum = alloc::vec![0_u32; a.len() + b.len()];
        for (i, x) in a.bytes().rev().enumerate() {
            for (j, y) in b.bytes().rev().enumerate() {
                sum[i + j] += u32::from(x - b'0') * u32::from(y - b'0');
                sum[i + j + 1] += sum[i + j] / 10;
                sum[i + j] %= 10;
            }
        }
        let digits = sum
            .iter()
            .rev()
            .map(|digit| char::from_digit(*digit, 10).unwrap());
        let digits = digits.collect::<String>();
        String::from(digits.trim_start_matches('0'))
    }

    fn random_digits(seed: &mut u64, length: usize) -> String {
        let digit = |_| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from_digit((*seed >> 33) as u32 % 9 + 1, 10).unwrap()
        };
        (0..length).map(digit).collect()
    }

    #[test]
    fn a_product_divided_by_one_factor_is_the_other() {
        let mut seed = 7;
        for length in 1..120 {
            let (a, b) = (
                random_digits(&mut seed, length),
                random_digits(&mut seed, 130 - length),
            );
            let (quotient, rest) = number(&product(&a, &b)).div_rem(&number(&a));
            assert_eq!(
                (quotient.to_decimal(), rest.to_decimal()),
                (b, String::from("0"))
            );
        }
    }

    #[test]
    fn a_common_factor_is_found() {
        let mut seed = 11;
        for length in 1..100 {
            let factor = random_digits(&mut seed, length);
            // Neighbours have no common divisor.
            let other = random_digits(&mut seed, 50);
            let neighbour = Natural::parse(&other, 10);
            let neighbour = neighbour
                .combine(1, &Natural::parse("1", 10), 1)
                .to_decimal();
            let (a, b) = (product(&factor, &other), product(&factor, &neighbour));
            assert_eq!(number(&a).gcd(&number(&b)).to_decimal(), factor);
            assert_eq!(number(&b).gcd(&number(&a)).to_decimal(), factor);
        }
    }

    #[test]
    fn digits_of_any_radix_are_read() {
        assert_eq!(
            Natural::parse("ffffffffffffffffffff", 16).to_decimal(),
            "1208925819614629174706175"
        );
        assert_eq!(
            Natural::parse("ZZZZZZZZZZZZZZ", 36).to_decimal(),
            "6140942214464815497215"
        );
        assert_eq!(Natural::parse("", 10).to_decimal(), "0");
    }
}
