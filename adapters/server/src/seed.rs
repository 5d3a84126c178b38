//! The one place where the server takes randomness from the system.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes from the system.
///
/// # Errors
/// What the system says; it does not fail on a system that has started.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += match getrandom(rest, GetRandomFlags::empty()) {
            Err(rustix::io::Errno::INTR) => 0,
            other => other?,
        };
    }
    Ok(bytes)
}
