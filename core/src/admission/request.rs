//! What an HTTP request that wants to connect says: the view all checks and hooks are given.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use smol_str::SmolStr;

use crate::framing::upgrade::UpgradeRequest;

/// An HTTP request, as an adapter hands it over: a WebSocket upgrade, a poll or a post.
///
/// What is given twice counts as given wrongly: [`param`](Self::param), [`header`](Self::header) and
/// [`cookie`](Self::cookie) then say `None`, so that two parsers on the way cannot see two values.
///
/// ```
/// use sente_core::admission::Request;
///
/// let request = Request::new("GET", "/chsk?client-id=a%20b&client-id=c")
///     .with_header("Cookie", "theme=dark; session=42")
///     .with_remote("192.0.2.7");
/// assert_eq!(request.path(), "/chsk");
/// assert_eq!(request.param("client-id"), None);
/// assert!(request.has_param("client-id"));
/// assert_eq!(request.cookie("session"), Some("42"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    method: SmolStr,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    remote: Option<SmolStr>,
}

impl Request {
    /// The longest client id that is taken, in bytes. Sente's own are 36 long.
    pub const MAX_CLIENT_ID: usize = 256;

    /// A request for `target`, path and query as they were sent, percent-encoded.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: SmolStr::new(method),
            target: target.to_owned(),
            ..Self::default()
        }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this body. Its parameters count if its `Content-Type` is
    /// `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// The same from this address, as text. An adapter behind a proxy decides whose word it takes
    /// for it: a header such as `X-Forwarded-For` is the client's to invent.
    #[must_use]
    pub fn with_remote(mut self, address: impl Into<SmolStr>) -> Self {
        self.remote = Some(address.into());
        self
    }

    /// `GET`, `POST`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The target before the `?`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target after the `?`, percent-encoded; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Path and query as they were sent, percent-encoded.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// All headers, name and value, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body, as it was sent.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Where it came from, if the adapter said so.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// The parameter `name`, decoded, if it is given once. One in the form goes before one in the
    /// query, as in Ring.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut all = self.params(name);
        let first = all.next();
        if all.next().is_some() { None } else { first }
    }

    /// Whether the parameter `name` is given at all, once or more often.
    #[must_use]
    pub fn has_param(&self, name: &str) -> bool {
        self.params(name).next().is_some()
    }

    /// The header `name`, whatever its case, if it is there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.values_of(name);
        let first = all.next();
        if all.next().is_some() { None } else { first }
    }

    /// Whether the header `name` is there at all, once or more often.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.values_of(name).next().is_some()
    }

    /// The value of the cookie `name` as it was sent, if it is there once. Names have a case.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut all = self
            .values_of("cookie")
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .filter(|(found, _)| found.trim_ascii() == name)
            .map(|(_, value)| value.trim_ascii());
        let first = all.next();
        if all.next().is_some() { None } else { first }
    }

    /// The client id: the label the client gave itself, which proves nothing. `None` where it is
    /// missing, blank, given twice or longer than [`MAX_CLIENT_ID`](Self::MAX_CLIENT_ID).
    #[must_use]
    pub fn client_id(&self) -> Option<SmolStr> {
        let id = self.param("client-id")?;
        let blank = id.chars().all(char::is_whitespace);
        (!blank && id.len() <= Self::MAX_CLIENT_ID).then(|| SmolStr::new(&id))
    }

    fn values_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The values of `name` in the form, or if there are none those in the query.
    fn params<'a>(&'a self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let form = self.form();
        let in_form = values(form, name).next().is_some();
        let source = if in_form {
            form
        } else {
            self.query().as_bytes()
        };
        values(source, name)
    }

    fn form(&self) -> &[u8] {
        const FORM: &str = "application/x-www-form-urlencoded";
        let media_type = self.header("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default();
        if media_type.trim_ascii().eq_ignore_ascii_case(FORM) {
            &self.body
        } else {
            &[]
        }
    }
}

/// The values of one name. Only names are decoded on the way: a value may be a megabyte.
fn values<'a>(source: &'a [u8], name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    source.split(|byte| *byte == b'&').filter_map(move |pair| {
        let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (found, _) = form_urlencoded::parse(pair.get(..at)?).next()?;
        if found != name {
            return None;
        }
        form_urlencoded::parse(pair).next().map(|(_, value)| value)
    })
}

impl From<&UpgradeRequest> for Request {
    fn from(upgrade: &UpgradeRequest) -> Self {
        let mut request = Self::new(&upgrade.method, &upgrade.target);
        for (name, value) in upgrade.headers.iter() {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        request
    }
}

/// Shows no query, header value or body: tokens stand there.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("headers", &names)
            .field("body_len", &self.body.len())
            .field("remote", &self.remote)
            .finish()
    }
}
