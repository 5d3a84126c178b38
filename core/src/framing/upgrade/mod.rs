//! The HTTP/1.1 request that turns a connection into a WebSocket (RFC 6455 section 4), both sides,
//! without I/O.
//!
//! [`ServerUpgrade`] reads one request and answers it, [`ClientUpgrade`] writes one and reads the
//! answer. What follows the HTTP head in the same read is not lost: `take_rest` gives it to the
//! [`WebSocket`](super::websocket::WebSocket) that comes next. Neither machine has a clock: the
//! driver bounds how long an upgrade may take.

mod body;
mod client;
mod error;
mod head;
mod headers;
mod server;

pub use client::{ClientUpgrade, UpgradeResponse};
pub use error::{HeaderProblem, Mismatch, UpgradeError};
pub use headers::Headers;
pub use server::{AgreeHeaders, NotUpgradable, ServerUpgrade, UpgradeRequest};

use alloc::string::String;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1_smol::Sha1;

/// What every server appends to the client's key before hashing (RFC 6455 section 1.3).
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How much an HTTP head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpgradeLimits {
    /// The longest head: request or status line and headers, in bytes. Default 16 KiB; http-kit
    /// takes lines of 8 KiB, nginx 32 KiB in all.
    pub max_head_bytes: usize,
    /// The most header lines. Default 100, as hyper's.
    pub max_headers: usize,
}

impl Default for UpgradeLimits {
    fn default() -> Self {
        Self {
            max_head_bytes: 16 * 1024,
            max_headers: 100,
        }
    }
}

/// The `Sec-WebSocket-Accept` that proves that a server understood the `Sec-WebSocket-Key` `key`
/// (RFC 6455 section 4.2.2).
///
/// ```
/// use sente_core::framing::upgrade::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(KEY_SUFFIX.as_bytes());
    STANDARD.encode(hash.digest().bytes())
}
