//! The one place where the adapters take randomness from the system.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use sente_core::ConnId;
use sente_core::admission::CsrfToken;

use crate::clock::unix_millis;

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

/// A fresh connection id.
///
/// # Errors
/// As [`random`].
pub(crate) fn conn_id() -> io::Result<ConnId> {
    Ok(ConnId::new(unix_millis(), &random()?))
}

/// A fresh connection id, for a connection that is to be known before it is started.
///
/// # Errors
/// The system has no random bytes, which does not happen on one that has started.
pub fn fresh_conn_id() -> io::Result<ConnId> {
    conn_id()
}

/// A fresh CSRF token, which nobody can guess.
///
/// # Errors
/// As for [`fresh_conn_id`].
pub fn fresh_csrf_token() -> io::Result<CsrfToken> {
    Ok(CsrfToken::generate(&random()?))
}
