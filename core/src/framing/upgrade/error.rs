//! Why an upgrade did not come about.

use alloc::string::String;

use thiserror::Error;

use super::Headers;

/// Why an upgrade did not come about. The first group is the caller's mistake and nothing was
/// written; the others are the peer's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// A header to be sent is not one that may be.
    #[error("header {name:?} cannot be sent: {problem}")]
    BadHeader {
        /// Its name, as given.
        name: String,
        /// What is wrong with it.
        problem: HeaderProblem,
    },
    /// A host to be sent is empty or has a character that no host has.
    #[error("host {0:?} cannot be sent: use `name`, `name:port` or `[ipv6]:port`")]
    BadHost(String),
    /// A response status outside 200 to 599.
    #[error("status {0} cannot refuse a request, use 200 to 599")]
    BadStatus(u16),
    /// A target to be sent does not begin with `/`, or has a character to be escaped.
    #[error("target {0:?} cannot be sent: begin with / and percent-encode all but visible ascii")]
    BadTarget(String),
    /// The request to be accepted does not ask for a WebSocket: refuse it.
    #[error("the request cannot be accepted: {0}")]
    NotUpgradable(super::NotUpgradable),
    /// The protocol to be accepted was not among those the client offered.
    #[error("subprotocol {0:?} was not offered by the client")]
    NotOffered(String),

    /// The head is not HTTP/1.
    #[error("the peer does not speak http/1: {reason}")]
    BadHead {
        /// What the parser found.
        reason: &'static str,
    },
    /// The peer's bytes ended before its head did.
    #[error("the connection ended after {received} bytes, before the end of the http head")]
    Ended {
        /// How many bytes of the head had come.
        received: usize,
    },
    /// The head is over the limit.
    #[error("the http head is over the limit of {limit} bytes")]
    HeadTooLong {
        /// [`UpgradeLimits::max_head_bytes`](super::UpgradeLimits::max_head_bytes).
        limit: usize,
    },
    /// The head has too many header lines.
    #[error("the http head is over the limit of {limit} headers")]
    TooManyHeaders {
        /// [`UpgradeLimits::max_headers`](super::UpgradeLimits::max_headers).
        limit: usize,
    },

    /// The server switched protocols, but not as RFC 6455 section 4.1 demands.
    #[error("the server's answer is not a websocket upgrade: {0}")]
    Mismatch(Mismatch),
    /// The server answered with another status than 101.
    #[error("the server refused the upgrade: {status} {reason}")]
    Refused {
        /// The HTTP status, such as 401 or 503.
        status: u16,
        /// The words after it; may be empty.
        reason: String,
        /// The headers of the response: `Location`, `Retry-After`.
        headers: Headers,
        /// The beginning of the body, at most 1 KiB; bytes that are not UTF-8 become U+FFFD.
        body: String,
    },
}

impl UpgradeError {
    /// The HTTP status with which a server answers a request that it could not read; `None` for
    /// errors that are not a request's.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::BadHead { .. } => Some(400),
            Self::HeadTooLong { .. } | Self::TooManyHeaders { .. } => Some(431),
            _ => None,
        }
    }
}

/// What is wrong with a header that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// The name is empty or has a character outside RFC 9110's tokens.
    #[error("a name is letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// The upgrade itself writes this header.
    #[error("it is written by the upgrade itself")]
    Reserved,
    /// The value has a control character, such as the end of a line.
    #[error("a value has no control characters")]
    Value,
}

/// Where a 101 response differs from what RFC 6455 section 4.1 demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// `Sec-WebSocket-Accept` is missing or does not belong to the key that was sent.
    #[error("sec-websocket-accept does not belong to our key")]
    Accept,
    /// `Connection` does not have the token `upgrade`.
    #[error("connection is not upgrade")]
    Connection,
    /// The server wants an extension that was not offered, or otherwise than it was.
    #[error("sec-websocket-extensions has an extension that was not offered so")]
    Extension,
    /// The server chose a subprotocol that was not offered.
    #[error("sec-websocket-protocol has a protocol that was not offered")]
    Protocol,
    /// `Upgrade` is not `websocket`.
    #[error("upgrade is not websocket")]
    Upgrade,
}
