//! The token by which a server knows that a request comes from a page of its own.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::Request;

/// A token that a page of one's own can read and a page of others cannot.
///
/// `Debug` does not show it.
///
/// ```
/// use sente_core::admission::CsrfToken;
///
/// // From a source of secure random bytes.
/// let token = CsrfToken::generate(&[7; 32]);
/// assert!(token.matches(token.as_str()));
/// assert!(token.meta_tag().starts_with("<meta name=\"csrf-token\" content=\""));
/// ```
#[derive(Clone)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// The name of the cookie of [`set_cookie`](Self::set_cookie). Browsers take a cookie whose name
    /// begins with `__Host-` only over TLS (or from localhost) and from the host itself, so that
    /// neither a neighbouring host nor someone on the way can plant one.
    pub const COOKIE: &'static str = "__Host-csrf-token";

    /// The longest token that is taken, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// The token `text`, made elsewhere. Not blank, and at most [`MAX_LEN`](Self::MAX_LEN) bytes.
    ///
    /// # Errors
    /// [`CsrfTokenError`].
    pub fn new(text: &str) -> Result<Self, CsrfTokenError> {
        if text.chars().all(char::is_whitespace) {
            return Err(CsrfTokenError::Blank);
        }
        if text.len() > Self::MAX_LEN {
            return Err(CsrfTokenError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// A token of these random bytes, which must be unpredictable: 43 characters that need no
    /// escaping in a URL, a header, a cookie or a page.
    #[must_use]
    pub fn generate(random: &[u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// Its text, to be shown to clients: in a page, in JSON, in the handshake of sente-lite.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this token. How long that takes says nothing about where they differ.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The token for a page's head: `<meta name="csrf-token" content="…">`.
    #[must_use]
    pub fn meta_tag(&self) -> String {
        let mut tag = String::from("<meta name=\"csrf-token\" content=\"");
        for letter in self.0.chars() {
            match letter {
                '&' => tag.push_str("&amp;"),
                '<' => tag.push_str("&lt;"),
                '>' => tag.push_str("&gt;"),
                '"' => tag.push_str("&quot;"),
                '\'' => tag.push_str("&#39;"),
                letter => tag.push(letter),
            }
        }
        tag.push_str("\">");
        tag
    }

    /// The value of a `Set-Cookie` header with this token, which the page's own scripts can read and
    /// send back. [`CsrfCheck::cookie`] is the check that belongs to it.
    #[must_use]
    pub fn set_cookie(&self) -> String {
        let value: String = form_urlencoded::byte_serialize(self.0.as_bytes()).collect();
        alloc::format!("{}={value}; Path=/; Secure; SameSite=Strict", Self::COOKIE)
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(..)")
    }
}

/// Why a text cannot be a CSRF token: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CsrfTokenError {
    /// Anybody would know it.
    #[error("a csrf token is not blank")]
    Blank,
    /// Longer than [`CsrfToken::MAX_LEN`].
    #[error("a csrf token has at most {} bytes", CsrfToken::MAX_LEN)]
    TooLong,
}

/// What the token of a request is compared with.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is a token, there is none, or none is wanted"
)]
pub enum CsrfReference {
    /// There is none: the request is refused, whatever it shows.
    Missing,
    /// No token is needed for this request: Sente's `:sente/skip-CSRF-check`. Right where nothing a
    /// browser sends by itself proves anything, as with a token in a header.
    SkipCheck,
    /// It has to be this one.
    Token(CsrfToken),
}

/// The check of the CSRF token, for the endpoint of Sente's clients and for any other.
///
/// The client's token is the parameter `csrf-token`; only if there is none the header `X-CSRF-Token`,
/// and only if there is none `X-XSRF-Token`. A wrong parameter is not rescued by a right header.
///
/// ```
/// use sente_core::admission::{CsrfCheck, CsrfReference, CsrfToken, Request};
///
/// let token = CsrfToken::generate(&[7; 32]);
/// let check = CsrfCheck::token(token.clone());
/// let request = Request::new("POST", "/orders");
/// assert!(!check.passes(&request));
/// assert!(check.passes(&request.with_header("X-CSRF-Token", token.as_str())));
/// ```
#[derive(Clone)]
pub struct CsrfCheck(Reference);

#[derive(Clone)]
enum Reference {
    By(Arc<dyn Fn(&Request) -> CsrfReference + Send + Sync>),
    Cookie,
    Fixed(CsrfReference),
}

impl CsrfCheck {
    /// Compares with what `reference` says for each request: the token of the session, say.
    #[must_use]
    pub fn by(reference: impl Fn(&Request) -> CsrfReference + Send + Sync + 'static) -> Self {
        Self(Reference::By(Arc::new(reference)))
    }

    /// Compares with the cookie [`CsrfToken::COOKIE`] of the same request: another host's page can
    /// make a browser send that cookie, but not read it.
    #[must_use]
    pub const fn cookie() -> Self {
        Self(Reference::Cookie)
    }

    /// Checks nothing. Right where no cookie, client certificate or network says who is connecting.
    #[must_use]
    pub const fn skip() -> Self {
        Self(Reference::Fixed(CsrfReference::SkipCheck))
    }

    /// Compares with one token for everybody.
    #[must_use]
    pub const fn token(token: CsrfToken) -> Self {
        Self(Reference::Fixed(CsrfReference::Token(token)))
    }

    /// Refuses everything: there is nothing to compare with. As Sente does without middleware that
    /// provides a token.
    pub(super) const fn missing() -> Self {
        Self(Reference::Fixed(CsrfReference::Missing))
    }

    /// Whether the request shows the right token, or needs none.
    #[must_use]
    pub fn passes(&self, request: &Request) -> bool {
        match self.reference(request) {
            CsrfReference::Missing => false,
            CsrfReference::SkipCheck => true,
            CsrfReference::Token(token) => {
                let given = if request.has_param("csrf-token") {
                    request.param("csrf-token")
                } else if request.has_header("x-csrf-token") {
                    request.header("x-csrf-token").map(Into::into)
                } else {
                    request.header("x-xsrf-token").map(Into::into)
                };
                given.is_some_and(|given| token.matches(&given))
            }
        }
    }

    /// What the token of this request is compared with.
    #[must_use]
    pub fn reference(&self, request: &Request) -> CsrfReference {
        match &self.0 {
            Reference::By(reference) => reference(request),
            Reference::Fixed(reference) => reference.clone(),
            Reference::Cookie => {
                // `set_cookie` encodes as a form does.
                let decoded = request.cookie(CsrfToken::COOKIE).and_then(|raw| {
                    let (text, _) = form_urlencoded::parse(raw.as_bytes()).next()?;
                    CsrfToken::new(&text).ok()
                });
                decoded.map_or(CsrfReference::Missing, CsrfReference::Token)
            }
        }
    }
}

impl fmt::Debug for CsrfCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Reference::By(_) => "CsrfCheck::by(..)",
            Reference::Cookie => "CsrfCheck::cookie()",
            Reference::Fixed(CsrfReference::Missing) => "CsrfCheck::missing()",
            Reference::Fixed(CsrfReference::SkipCheck) => "CsrfCheck::skip()",
            Reference::Fixed(CsrfReference::Token(_)) => "CsrfCheck::token(..)",
        })
    }
}
