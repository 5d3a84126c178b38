//! What a request asks of a session, and the answer a client gets.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::admission::Request;
use crate::framing::{Frame, Kind};

/// Names one HTTP request of a session until it is answered. Never used again in that session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange(pub(super) u64);

/// What an admitted request asks of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Sente's Ajax knows these two")]
pub enum AjaxRequest {
    /// A poll: `GET`.
    Poll(Poll),
    /// A message: `POST`. A text packer's stands in the form as `ppstr`, a binary packer's is the
    /// body.
    Post(Frame),
}

/// What kind of poll it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it is answered at once, or it waits"
)]
pub enum Poll {
    /// The client wants a handshake: it is not open.
    Handshake,
    /// The client waits for events.
    Wait,
}

impl AjaxRequest {
    /// What `request` asks.
    ///
    /// # Errors
    /// [`BadMethod`] for anything but GET and POST.
    pub fn read(request: &Request) -> Result<Self, BadMethod> {
        match request.method() {
            "GET" => Ok(Self::Poll(if request.has_param("handshake?") {
                Poll::Handshake
            } else {
                Poll::Wait
            })),
            "POST" => Ok(Self::Post(if request.has_param("binary?") {
                Frame::new(Kind::Binary, request.body().clone())
            } else {
                let text = match request.param("ppstr").unwrap_or_default() {
                    Cow::Borrowed(text) => Bytes::copy_from_slice(text.as_bytes()),
                    Cow::Owned(text) => Bytes::from(text),
                };
                Frame::new(Kind::Text, text)
            })),
            _ => Err(BadMethod),
        }
    }
}

/// The method is neither GET nor POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an ajax endpoint takes get and post")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct BadMethod;

impl BadMethod {
    /// The answer to it: 405.
    pub fn response(self) -> Response {
        Response::text(405, "This endpoint takes GET and POST")
    }
}

/// An answer and the request it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a request is to be answered"]
pub struct Respond {
    /// Which request it answers.
    pub exchange: Exchange,
    /// The answer.
    pub response: Response,
}

/// An HTTP response, as a session gives it out and a client takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a request is to be answered"]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The media type. Sente's clients do not look at it; Sente's server says `text/html`, which a
    /// browser would show with whatever scripts an event holds.
    pub content_type: &'static str,
    /// When to come back, after 429 and 503. Whole seconds travel.
    pub retry_after: Option<Duration>,
    /// The body: a packed message, or with an error status a text for people.
    pub body: Bytes,
}

impl Response {
    /// A response, as a client's driver read it.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: "application/octet-stream",
            retry_after: None,
            body: body.into(),
        }
    }

    /// The same with what its `Retry-After` said.
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// All headers to be written with it. Nothing of it may be kept by a cache or guessed to be a
    /// page.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::from([
            ("Content-Type", String::from(self.content_type)),
            ("Cache-Control", String::from("no-store")),
            ("X-Content-Type-Options", String::from("nosniff")),
        ]);
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.push(("Retry-After", alloc::format!("{seconds}")));
        }
        if self.status == 405 {
            headers.push(("Allow", String::from("GET, POST")));
        }
        headers
    }

    /// A message of the protocol.
    pub(super) const fn message(kind: Kind, body: Bytes) -> Self {
        Self {
            status: 200,
            content_type: match kind {
                Kind::Text => "text/plain; charset=utf-8",
                Kind::Binary => "application/octet-stream",
            },
            retry_after: None,
            body,
        }
    }

    /// A text for people.
    pub(super) fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            retry_after: None,
            body: body.into(),
        }
    }
}
