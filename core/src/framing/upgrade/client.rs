//! The client's side of the upgrade: one request is written, and the answer checked.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::body::Body;
use super::head::{HeadReader, parse_error, slots};
use super::{Headers, Mismatch, UpgradeError, UpgradeLimits, accept_key, headers};
use crate::TransmitBuf;
#[cfg(feature = "deflate")]
use crate::framing::websocket::{Deflate, DeflateConfig};

/// Which stream of the seed's generator the key comes from: the masking keys of a
/// [`WebSocket`](crate::framing::websocket::WebSocket) with the same seed must not follow from it.
const KEY_STREAM: u64 = 1;

/// Asks an HTTP/1.1 server for a WebSocket and reads its answer.
#[derive(Debug)]
pub struct ClientUpgrade {
    /// The request, until it was given out.
    request: Option<Vec<u8>>,
    key: String,
    protocols: Vec<String>,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateConfig>,
    head: HeadReader,
    /// The response whose body is being waited for.
    refused: Option<Refusal>,
    done: bool,
}

/// A response that is not the upgrade.
#[derive(Debug)]
struct Refusal {
    status: u16,
    reason: String,
    headers: Headers,
    body: Body,
}

/// The server's agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpgradeResponse {
    /// All headers of the 101 response.
    pub headers: Headers,
    /// The subprotocol the server chose, one of those that were offered.
    pub protocol: Option<String>,
    /// What both sides agreed on, if the server accepted our offer of permessage-deflate: for
    /// `WebSocket::set_deflate`, `Connection::set_deflate` or `Client::set_deflate`.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl ClientUpgrade {
    /// Headers that the request has anyway, or that would promise what the WebSocket does not do.
    const RESERVED: &'static [&'static str] = &[
        "connection",
        "content-length",
        "host",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    ];

    /// Prepares the request for `target` (path and query, percent-encoded, such as
    /// `/chsk?client-id=x`) at `host` (with `:port` unless it is the scheme's), with extra
    /// `headers` such as `Origin`, `Cookie` or `Sec-WebSocket-Protocol`. The key comes from
    /// `seed`, which must be fresh for every connection (RFC 6455 section 4.1).
    ///
    /// # Errors
    /// [`UpgradeError::BadHost`], [`UpgradeError::BadTarget`] and [`UpgradeError::BadHeader`]:
    /// nothing that is passed in can add a line to the request.
    pub fn new(
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        seed: [u8; 32],
    ) -> Result<Self, UpgradeError> {
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(UpgradeError::BadHost(host.to_owned()));
        }
        let visible = target.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !target.starts_with('/') || !visible {
            return Err(UpgradeError::BadTarget(target.to_owned()));
        }
        headers::check(headers, Self::RESERVED)?;

        let mut nonce = [0; 16];
        let mut random = ChaCha12Rng::from_seed(seed);
        random.set_stream(KEY_STREAM);
        random.fill_bytes(&mut nonce);
        let key = STANDARD.encode(nonce);
        let offered = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
            .flat_map(|(_, value)| value.split(','))
            .map(|protocol| protocol.trim_ascii().to_owned())
            .collect();
        Ok(Self {
            request: Some(request(host, target, headers, &key)),
            key,
            protocols: offered,
            #[cfg(feature = "deflate")]
            deflate: None,
            head: HeadReader::new(UpgradeLimits::default()),
            refused: None,
            done: false,
        })
    }

    /// The same with an offer of permessage-deflate (RFC 7692). To be called before the request is
    /// written; what came of it is in [`UpgradeResponse::deflate`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: &DeflateConfig) -> Self {
        if let Some(request) = &mut self.request
            && self.deflate.is_none()
        {
            // Before the empty line at its end.
            request.truncate(request.len().saturating_sub(2));
            for piece in ["Sec-WebSocket-Extensions: ", &config.offer(), "\r\n\r\n"] {
                request.extend_from_slice(piece.as_bytes());
            }
            self.deflate = Some(config.clone());
        }
        self
    }

    /// The same with other limits for the response. They count for all its heads together, the
    /// informational ones (1xx) that may come first included.
    #[must_use]
    pub fn limits(mut self, limits: UpgradeLimits) -> Self {
        self.head.limits = limits;
        self
    }

    /// Writes the request, once. Whether it was written.
    pub fn poll_transmit(&mut self, out: &mut TransmitBuf) -> bool {
        let Some(request) = self.request.take() else {
            return false;
        };
        out.put_slice(&request);
        true
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

    /// The answer, once; `None` means that more bytes are needed. A refusal is given out when its
    /// body is there, or 1 KiB of it.
    ///
    /// # Errors
    /// [`UpgradeError::Refused`] and [`UpgradeError::Mismatch`] for what the server said;
    /// [`UpgradeError::BadHead`], [`UpgradeError::Ended`], [`UpgradeError::HeadTooLong`] and
    /// [`UpgradeError::TooManyHeaders`] for what could not be read.
    #[must_use]
    pub fn poll_response(&mut self) -> Option<Result<UpgradeResponse, UpgradeError>> {
        if self.done {
            return None;
        }
        let response = self.advance()?;
        self.done = true;
        if response.is_err() {
            self.head.input().clear();
        }
        Some(response)
    }

    /// The bytes that followed the head: servers send their first frames in the same burst.
    #[must_use]
    pub fn take_rest(&mut self) -> BytesMut {
        self.head.input().take_all()
    }

    fn advance(&mut self) -> Option<Result<UpgradeResponse, UpgradeError>> {
        loop {
            if let Some(mut refusal) = self.refused.take() {
                let eof = self.head.eof;
                if !refusal.body.read(self.head.input(), eof) {
                    self.head.input().settle();
                    self.refused = Some(refusal);
                    return None;
                }
                return Some(Err(UpgradeError::Refused {
                    status: refusal.status,
                    reason: refusal.reason,
                    headers: refusal.headers,
                    body: refusal.body.excerpt(),
                }));
            }
            let head = match self.head.poll()? {
                Ok(head) => head,
                Err(error) => return Some(Err(error)),
            };
            match self.read_head(&head) {
                Ok(Some(response)) => return Some(Ok(response)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What a response head says: the upgrade, or `None` where more has to be read.
    fn read_head(&mut self, head: &[u8]) -> Result<Option<UpgradeResponse>, UpgradeError> {
        let mut slots = slots(&self.head.limits);
        let mut parsed = httparse::Response::new(&mut slots);
        let outcome = parsed.parse(head);
        parse_error(outcome, &self.head.limits)?;
        let headers = Headers::read(parsed.headers);
        match parsed.code.unwrap_or_default() {
            101 => self.check(headers).map(Some),
            // Other informational responses (103 Early Hints) precede the one that counts.
            100..=199 => Ok(None),
            status => {
                self.refused = Some(Refusal {
                    status,
                    reason: parsed.reason.unwrap_or_default().to_owned(),
                    body: Body::new(status, &headers),
                    headers,
                });
                Ok(None)
            }
        }
    }

    /// What RFC 6455 section 4.1 demands of a 101 response.
    fn check(&self, headers: Headers) -> Result<UpgradeResponse, UpgradeError> {
        let accept = headers.only("sec-websocket-accept");
        let protocol = headers.get("sec-websocket-protocol").map(str::to_owned);
        let offered = |protocol: &String| self.protocols.contains(protocol);
        let is_plain = headers.list("sec-websocket-extensions").next().is_none();
        #[cfg(feature = "deflate")]
        let deflate = self.deflate.as_ref().map(|config| {
            let answers = headers.get_all("sec-websocket-extensions");
            config.accepted(answers)
        });
        #[cfg(feature = "deflate")]
        let is_plain = deflate.as_ref().map_or(is_plain, Result::is_ok);
        let mismatch = if !headers.has_token("upgrade", "websocket") {
            Mismatch::Upgrade
        } else if !headers.has_token("connection", "upgrade") {
            Mismatch::Connection
        } else if accept != Some(accept_key(&self.key).as_str()) {
            Mismatch::Accept
        } else if !is_plain {
            Mismatch::Extension
        } else if !protocol.as_ref().is_none_or(offered) {
            Mismatch::Protocol
        } else {
            return Ok(UpgradeResponse {
                headers,
                protocol,
                #[cfg(feature = "deflate")]
                deflate: deflate.and_then(Result::ok).flatten(),
            });
        };
        Err(UpgradeError::Mismatch(mismatch))
    }
}

fn request(host: &str, target: &str, headers: &[(&str, &str)], key: &str) -> Vec<u8> {
    let mut request = Vec::new();
    let own = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ];
    for piece in ["GET ", target, " HTTP/1.1\r\n"] {
        request.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in own.iter().chain(headers) {
        for piece in [name, ": ", value, "\r\n"] {
            request.extend_from_slice(piece.as_bytes());
        }
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Whether `byte` may be in a host and port (RFC 3986 section 3.2.2).
const fn is_host(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>')
}
