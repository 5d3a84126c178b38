//! The answer a request gets that is not let in.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::TransmitBuf;
use crate::framing::upgrade::{ServerUpgrade, UpgradeError};

/// An HTTP response that says no, and why.
///
/// The body reaches the client, the reason the server's logs and counters.
///
/// ```
/// use sente_core::admission::Refusal;
///
/// let refusal = Refusal::new(429, "slow down").with_header("Retry-After", "3");
/// assert_eq!((refusal.status, refusal.body.as_str()), (429, "slow down"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a request is to be answered"]
pub struct Refusal {
    /// Who refused it.
    pub reason: RefusalReason,
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// The headers, in their order. Without a `Content-Type` the body is plain text.
    pub headers: Vec<(String, String)>,
    /// The body: what the client is told.
    pub body: String,
}

impl Refusal {
    /// A refusal of the application's own.
    pub fn new(status: u16, body: &str) -> Self {
        Self::because(RefusalReason::Application, status, body)
    }

    /// The same with one header more.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes it as an answer to a WebSocket upgrade, after which the transport is to be closed.
    ///
    /// # Errors
    /// [`UpgradeError::BadStatus`] and [`UpgradeError::BadHeader`], for an application's own
    /// refusals. Nothing is written then.
    pub fn write(&self, out: &mut TransmitBuf) -> Result<(), UpgradeError> {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        ServerUpgrade::refuse(self.status, &headers, &self.body, out)
    }

    pub(super) fn because(reason: RefusalReason, status: u16, body: &str) -> Self {
        Self {
            reason,
            status,
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    /// With `Retry-After`, in whole seconds and at least one.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let text = alloc::format!("{}", seconds.max(1));
        self.with_header("Retry-After", &text)
    }
}

/// Who refused a request. `Display` writes a short word that is fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The application, after the checks.
    Application,
    /// There is no client id, or none that can be taken.
    BadClientId,
    /// The CSRF token is missing or wrong.
    BadCsrfToken,
    /// The origin is not allowed.
    BadOrigin,
    /// Its address has as many connections as it may have.
    PerAddress,
    /// Its user has as many connections as it may have.
    PerUser,
    /// Its address connects too often.
    RateLimited,
    /// The application's `reject` hook, before the checks.
    Rejected,
    /// The server has as many connections as it may have.
    ServerFull,
    /// The application's `authorized` hook.
    Unauthorized,
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application => "application",
            Self::BadClientId => "bad-client-id",
            Self::BadCsrfToken => "bad-csrf-token",
            Self::BadOrigin => "bad-origin",
            Self::PerAddress => "per-address",
            Self::PerUser => "per-user",
            Self::RateLimited => "rate-limited",
            Self::Rejected => "rejected",
            Self::ServerFull => "server-full",
            Self::Unauthorized => "unauthorized",
        })
    }
}
