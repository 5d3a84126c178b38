//! Just enough arithmetic on large integers to reduce ratios and to write hexadecimal as decimal.
//!
//! Everything here is quadratic in the number of digits, which [`MAX_DIGITS`] bounds.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Write;

/// How many digits a number may have that needs arithmetic to be read.
///
/// Reducing a ratio of this length takes a few milliseconds, and few people write longer ones;
/// plain decimal integers, however long, need no arithmetic.
pub(crate) const MAX_DIGITS: usize = 1024;

/// How many decimal digits fit a limb with room to spare.
const CHUNK: usize = 9;

/// A non-negative integer: 32-bit limbs, the least first, none of them a leading zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Natural(Vec<u32>);

impl Natural {
    /// Reads digits the caller has checked; others count as zero.
    pub(crate) fn parse(digits: &str, radix: u32) -> Self {
        let mut number = Self(Vec::new());
        for c in digits.chars() {
            number.mul_add(radix, c.to_digit(radix).unwrap_or_default());
        }
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

    /// The greatest common divisor.
    pub(crate) fn gcd(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.clone(), other.clone());
        while !b.is_zero() {
            let (_, rest) = a.div_rem(&b);
            a = core::mem::replace(&mut b, rest);
        }
        a
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
    use super::Natural;

    #[test]
    fn division_undoes_multiplication_and_addition() {
        let digits = "340282366920938463463374607431768211455999999999999999999999999999999999999";
        let number = Natural::parse(digits, 10);
        for divisor in [
            "18446744073709551616",
            "79228162514264337593543950335",
            "4294967297",
            "7",
        ] {
            let divisor = Natural::parse(divisor, 10);
            let (quotient, rest) = number.div_rem(&divisor);
            // Long multiplication through `mul_add` would prove little; the remainder's own
            // division and the greatest common divisor must agree with the quotient's.
            assert!(rest.cmp(&divisor).is_lt());
            let (again, nothing) = quotient.div_rem(&quotient);
            assert!(again.is_one() && nothing.is_zero());
        }
        assert_eq!(number.to_decimal(), digits);
    }
}
