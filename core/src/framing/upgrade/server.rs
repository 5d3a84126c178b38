//! The server's side of the upgrade: one request is read, and accepted or refused.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::BytesMut;
use thiserror::Error;

use super::head::{HeadReader, parse_error, slots};
use super::{Headers, UpgradeError, UpgradeLimits, accept_key, headers};
use crate::TransmitBuf;
#[cfg(feature = "deflate")]
use crate::framing::websocket::{Deflate, DeflateConfig};

/// The only version of the protocol there is (RFC 6455 section 4.2.2).
const VERSION: &str = "13";

/// Reads one HTTP/1.1 request and answers it with the upgrade or a refusal.
///
/// A request that does not ask for a WebSocket is a value like any other: look at
/// [`UpgradeRequest::upgradable`] and answer it in your own way.
#[derive(Debug)]
pub struct ServerUpgrade {
    head: HeadReader,
    done: bool,
}

impl ServerUpgrade {
    /// Headers that [`accept`](Self::accept) writes itself, or that would promise what the
    /// WebSocket does not do.
    const RESERVED: &'static [&'static str] = &[
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "transfer-encoding",
        "upgrade",
    ];

    /// Waits for a request within `limits`.
    #[must_use]
    pub fn new(limits: UpgradeLimits) -> Self {
        Self {
            head: HeadReader::new(limits),
            done: false,
        }
    }

    /// Takes all bytes out of `input`. What comes after the head waits for
    /// [`take_rest`](Self::take_rest).
    pub fn handle_input(&mut self, input: &mut BytesMut) {
        self.head.push(input);
    }

    /// Says that no more bytes will come.
    pub fn handle_eof(&mut self) {
        self.head.eof = true;
    }

    /// The request, once; `None` means that more bytes are needed.
    ///
    /// # Errors
    /// [`UpgradeError::BadHead`], [`UpgradeError::HeadTooLong`], [`UpgradeError::TooManyHeaders`]
    /// (each has an [`UpgradeError::status`] to [refuse](Self::refuse) with) and
    /// [`UpgradeError::Ended`].
    #[must_use]
    pub fn poll_request(&mut self) -> Option<Result<UpgradeRequest, UpgradeError>> {
        if self.done {
            return None;
        }
        let request = match self.head.poll()? {
            Ok(head) => UpgradeRequest::parse(&head, &self.head.limits),
            Err(error) => Err(error),
        };
        self.done = true;
        Some(request)
    }

    /// Writes the 101 response that turns the connection into a WebSocket, with `extra_headers`
    /// such as `Sec-WebSocket-Protocol` or `Set-Cookie`.
    ///
    /// # Errors
    /// [`UpgradeError::NotUpgradable`], [`UpgradeError::BadHeader`] and
    /// [`UpgradeError::NotOffered`]. Nothing is written then.
    pub fn accept(
        &mut self,
        request: &UpgradeRequest,
        extra_headers: &[(&str, &str)],
        out: &mut TransmitBuf,
    ) -> Result<(), UpgradeError> {
        self.accept_with(request, extra_headers, None, out)
    }

    /// The same with permessage-deflate (RFC 7692), if the client offered it in a way that `config`
    /// can accept; what both agreed on then. For `WebSocket::set_deflate` or
    /// `Connection::set_deflate`.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    #[cfg(feature = "deflate")]
    pub fn accept_deflate(
        &mut self,
        request: &UpgradeRequest,
        extra_headers: &[(&str, &str)],
        config: &DeflateConfig,
        out: &mut TransmitBuf,
    ) -> Result<Option<Deflate>, UpgradeError> {
        let offers = request.headers.get_all("sec-websocket-extensions");
        let (answer, agreed) = config.answer(offers).unzip();
        self.accept_with(request, extra_headers, answer.as_deref(), out)?;
        Ok(agreed)
    }

    fn accept_with(
        &mut self,
        request: &UpgradeRequest,
        extra_headers: &[(&str, &str)],
        extension: Option<&str>,
        out: &mut TransmitBuf,
    ) -> Result<(), UpgradeError> {
        let key = match (&request.upgradable, &request.key) {
            (Ok(()), Some(key)) => key,
            (Err(problem), _) => return Err(UpgradeError::NotUpgradable(*problem)),
            (Ok(()), None) => return Err(UpgradeError::NotUpgradable(NotUpgradable::Key)),
        };
        headers::check(extra_headers, Self::RESERVED)?;
        for (name, value) in extra_headers {
            let chosen = name.eq_ignore_ascii_case("sec-websocket-protocol");
            if chosen && !request.protocols.iter().any(|offered| offered == value) {
                return Err(UpgradeError::NotOffered((*value).to_owned()));
            }
        }
        self.done = true;
        out.put_slice(
            b"HTTP/1.1 101 Switching Protocols\r\n\
              Upgrade: websocket\r\n\
              Connection: Upgrade\r\n",
        );
        headers::write(&[("Sec-WebSocket-Accept", &accept_key(key))], out);
        if let Some(extension) = extension {
            headers::write(&[("Sec-WebSocket-Extensions", extension)], out);
        }
        headers::write(extra_headers, out);
        out.put_slice(b"\r\n");
        Ok(())
    }

    /// Writes a complete HTTP response with a text `body`, after which the connection is to be
    /// closed. `headers` may set `Content-Type`; `text/plain; charset=utf-8` is the default.
    ///
    /// # Errors
    /// [`UpgradeError::BadStatus`] and [`UpgradeError::BadHeader`]. Nothing is written then.
    pub fn refuse(
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
        out: &mut TransmitBuf,
    ) -> Result<(), UpgradeError> {
        const RESERVED: &[&str] = &["connection", "content-length", "transfer-encoding"];
        if !(200..=599).contains(&status) {
            return Err(UpgradeError::BadStatus(status));
        }
        headers::check(headers, RESERVED)?;
        let line = [
            "HTTP/1.1 ",
            &status.to_string(),
            " ",
            reason_of(status),
            "\r\n",
        ];
        for piece in line {
            out.put_slice(piece.as_bytes());
        }
        headers::write(headers, out);
        let mut names = headers.iter().map(|(name, _)| name);
        if !names.any(|name| name.eq_ignore_ascii_case("content-type")) {
            headers::write(&[("Content-Type", "text/plain; charset=utf-8")], out);
        }
        let length = body.len().to_string();
        headers::write(&[("Content-Length", &length), ("Connection", "close")], out);
        out.put_slice(b"\r\n");
        out.put_slice(body.as_bytes());
        Ok(())
    }

    /// The bytes that followed the head: the first WebSocket frames, or the request's body.
    #[must_use]
    pub fn take_rest(&mut self) -> BytesMut {
        self.head.input().take_all()
    }
}

/// The headers of a response that agrees to an upgrade: names and values.
pub type AgreeHeaders = Vec<(&'static str, String)>;

/// An HTTP request, with what a WebSocket upgrade needs of it already looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpgradeRequest {
    /// `GET` for an upgrade; anything else is a plain request.
    pub method: String,
    /// Path and query as they were sent, percent-encoded.
    pub target: String,
    /// All headers.
    pub headers: Headers,
    /// The subprotocols the client offers, best first.
    pub protocols: Vec<String>,
    /// `Sec-WebSocket-Key` as it was sent, if it is a key.
    pub key: Option<String>,
    /// Whether it can be [accepted](ServerUpgrade::accept), or what stands against it.
    pub upgradable: Result<(), NotUpgradable>,
}

impl UpgradeRequest {
    /// The target before the `?`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target after the `?`; empty if there is none. Percent-encoded.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    fn parse(head: &[u8], limits: &UpgradeLimits) -> Result<Self, UpgradeError> {
        let mut slots = slots(limits);
        let mut parsed = httparse::Request::new(&mut slots);
        let outcome = parsed.parse(head);
        parse_error(outcome, limits)?;
        Ok(Self::looked_at(
            parsed.method.unwrap_or_default(),
            parsed.path.unwrap_or_default(),
            parsed.version == Some(1),
            Headers::read(parsed.headers),
        ))
    }

    /// A request whose head an HTTP server has read: `is_http_1_1` says whether it came by that
    /// version, which is the only one this upgrade is for.
    ///
    /// ```
    /// use sente_core::framing::upgrade::UpgradeRequest;
    ///
    /// let headers = [
    ///     ("Host", "example.org"),
    ///     ("Upgrade", "websocket"),
    ///     ("Connection", "Upgrade"),
    ///     ("Sec-WebSocket-Version", "13"),
    ///     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    /// ];
    /// let request = UpgradeRequest::from_head("GET", "/chsk", true, headers);
    /// assert_eq!(request.upgradable, Ok(()));
    /// let (name, value) = &request.agree()?[2];
    /// assert_eq!((*name, value.as_str()), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    /// # Ok::<(), sente_core::framing::upgrade::NotUpgradable>(())
    /// ```
    pub fn from_head<'a>(
        method: &str,
        target: &str,
        is_http_1_1: bool,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self::looked_at(method, target, is_http_1_1, Headers::collect(headers))
    }

    /// The headers of the 101 response that agrees to the upgrade, for an HTTP server that writes it
    /// itself.
    ///
    /// # Errors
    /// What stands against it.
    pub fn agree(&self) -> Result<AgreeHeaders, NotUpgradable> {
        self.upgradable?;
        let key = self.key.as_deref().ok_or(NotUpgradable::Key)?;
        Ok(Vec::from([
            ("Upgrade", String::from("websocket")),
            ("Connection", String::from("Upgrade")),
            ("Sec-WebSocket-Accept", accept_key(key)),
        ]))
    }

    /// The same with permessage-deflate (RFC 7692), if the client offered it in a way that `config`
    /// can accept; what both agreed on then.
    ///
    /// # Errors
    /// As for [`agree`](Self::agree).
    #[cfg(feature = "deflate")]
    pub fn agree_deflate(
        &self,
        config: &DeflateConfig,
    ) -> Result<(AgreeHeaders, Option<Deflate>), NotUpgradable> {
        let mut headers = self.agree()?;
        let offers = self.headers.get_all("sec-websocket-extensions");
        let Some((answer, agreed)) = config.answer(offers) else {
            return Ok((headers, None));
        };
        headers.push(("Sec-WebSocket-Extensions", answer));
        Ok((headers, Some(agreed)))
    }

    fn looked_at(method: &str, target: &str, is_http_1_1: bool, headers: Headers) -> Self {
        let key = headers
            .only("sec-websocket-key")
            .filter(|key| is_key(key))
            .map(str::to_owned);
        let mut request = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            protocols: headers
                .list("sec-websocket-protocol")
                .map(str::to_owned)
                .collect(),
            headers,
            key,
            upgradable: Ok(()),
        };
        request.upgradable = request.check(is_http_1_1);
        request
    }

    /// What RFC 6455 section 4.2.1 demands, most telling problem first.
    fn check(&self, is_http_1_1: bool) -> Result<(), NotUpgradable> {
        let upgrades = self.headers.has_token("upgrade", "websocket")
            && self.headers.has_token("connection", "upgrade");
        if !upgrades {
            Err(NotUpgradable::PlainHttp)
        } else if self.method != "GET" {
            Err(NotUpgradable::Method)
        } else if !is_http_1_1 {
            Err(NotUpgradable::HttpVersion)
        } else if self.headers.only("host").is_none() {
            Err(NotUpgradable::Host)
        } else if self.headers.only("sec-websocket-version") != Some(VERSION) {
            Err(NotUpgradable::Version)
        } else if self.key.is_none() {
            Err(NotUpgradable::Key)
        } else {
            Ok(())
        }
    }
}

/// Why a request cannot be accepted as a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotUpgradable {
    /// There is not exactly one `Host`.
    #[error("host is missing or there twice")]
    Host,
    /// The request is not HTTP/1.1.
    #[error("an upgrade needs http/1.1")]
    HttpVersion,
    /// There is not exactly one `Sec-WebSocket-Key` of 16 bytes in base64.
    #[error("sec-websocket-key is not 16 bytes in base64")]
    Key,
    /// The method is not GET.
    #[error("an upgrade needs the method get")]
    Method,
    /// It does not ask for a WebSocket: `Upgrade: websocket` or `Connection: Upgrade` is missing.
    #[error("this is a websocket endpoint, and the request does not ask for an upgrade")]
    PlainHttp,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("sec-websocket-version is not 13")]
    Version,
}

impl NotUpgradable {
    /// The HTTP status to [refuse](ServerUpgrade::refuse) with, if there is no better answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Host | Self::HttpVersion | Self::Key => 400,
            Self::Method => 405,
            Self::PlainHttp | Self::Version => 426,
        }
    }

    /// The headers that belong to that status.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Host | Self::HttpVersion | Self::Key => &[],
            Self::Method => &[("Allow", "GET")],
            Self::PlainHttp | Self::Version => {
                &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)]
            }
        }
    }
}

/// Whether `key` is 16 bytes in base64. What the bytes are does not matter, so neither do the
/// bits of the last digit that they do not use.
fn is_key(key: &str) -> bool {
    key.len() == 24
        && key.strip_suffix("==").is_some_and(|digits| {
            digits
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        })
}

/// The words for the statuses that refuse an upgrade; clients do not read them.
const fn reason_of(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
