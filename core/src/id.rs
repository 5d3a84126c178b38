//! The identities the engine hands out: connections, calls, flushes, reply tokens.

use core::fmt;

use bytes::Bytes;
use uuid::Uuid;

use crate::queue::RateLimiter;

/// The identity of one connection: a UUIDv7, so that ids sort by the time they were made.
///
/// It is ephemeral: a reconnect gets a new one, and it proves nothing about who is connected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(Uuid);

impl ConnId {
    /// The id made at `unix_millis` (milliseconds since 1970) from 10 random bytes, both passed in
    /// since the engine has neither a clock nor randomness of its own.
    #[must_use]
    pub fn new(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, random).into_uuid())
    }

    /// The 16 bytes of the UUID.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one call of one connection until it settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// Names one flush of one connection until it settles, or several that settle together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlushId(pub(crate) u64);

/// What one link of a client leaves to the next: the numbers that the next call, flush and
/// reservation get, and how much of the send rate is used up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Legacy {
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) call: u64,
    pub(crate) flush: u64,
    pub(crate) ticket: u64,
}

/// The right to answer one call, once: it cannot be copied and [`Connection::reply`] takes it.
///
/// [`Connection::reply`]: crate::Connection::reply
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call whose token is dropped is never answered"]
pub struct ReplyToken {
    pub(crate) callback: Bytes,
    /// Which connection's peer waits: a token of another connection answers nothing.
    pub(crate) connection: u64,
}
