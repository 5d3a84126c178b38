//! The callback ids of calls: texts that nobody else's call of this connection has.

use alloc::vec::Vec;

use sente_edn::Value;

use crate::calls::CallName;

use super::Connection;
use super::atoms::CallbackForm;

impl Connection {
    /// Six hexadecimal digits as Sente's clients choose them, packed; more where they are taken.
    #[inline]
    pub(super) fn fresh_callback(&mut self) -> CallName {
        let bits = self.chance.next();
        let form = self.config.atoms.callback.as_ref();
        let name = form.and_then(|form| form.name(eight_digits(bits & 0xffff_ffff)));
        match name {
            Some(name) if self.is_fresh(&name) => name,
            _ => self.fresh_callback_packed(name.is_some(), bits),
        }
    }

    /// The same where it has to be packed, or longer.
    #[inline(never)]
    fn fresh_callback_packed(&mut self, longer: bool, bits: u64) -> CallName {
        let mut length = CallbackForm::DIGITS;
        let mut text = hexadecimal(bits);
        if longer {
            length = text.len();
            text = hexadecimal(self.chance.next());
        }
        loop {
            let digits = text.get(..length).unwrap_or_default();
            let digits = core::str::from_utf8(digits).unwrap_or_default();
            let mut packed = Vec::new();
            // A packer that could not pack a string was refused with the configuration.
            let _ = self.config.packer.pack(&Value::from(digits), &mut packed);
            let name = CallName::new(&packed);
            if self.is_fresh(&name) {
                return name;
            }
            length = text.len();
            text = hexadecimal(self.chance.next());
        }
    }

    /// Whether no other call has this callback id.
    #[inline]
    fn is_fresh(&self, name: &CallName) -> bool {
        let is_taken = self.calls.seen().is_some_and(|calls| calls.is_taken(name));
        !is_taken && self.ping_callback.as_deref() != Some(name)
    }
}

/// The sixteen digits of a number, the lowest first.
fn hexadecimal(bits: u64) -> [u8; 16] {
    let [low, high] = [bits & 0xffff_ffff, bits >> 32].map(eight_digits);
    let mut digits = [0; 16];
    for (digit, from) in digits.iter_mut().zip(low.into_iter().chain(high)) {
        *digit = from;
    }
    digits
}

/// The eight digits of a number of 32 bits, the lowest first, all at once.
#[inline]
const fn eight_digits(half: u64) -> [u8; 8] {
    // Spread to a byte for each digit.
    let spread = (half | (half << 16)) & 0x0000_ffff_0000_ffff;
    let spread = (spread | (spread << 8)) & 0x00ff_00ff_00ff_00ff;
    let digits = (spread | (spread << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    // No byte reaches the next one.
    let letters = (digits.wrapping_add(0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let letters = letters.wrapping_mul((b'a' - b'0' - 10) as u64);
    digits
        .wrapping_add(0x3030_3030_3030_3030)
        .wrapping_add(letters)
        .to_le_bytes()
}
