//! The CSRF token for pages, and its check for endpoints of one's own.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{convert::Infallible, fmt};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use sente_adapters::fresh_csrf_token;
use sente_core::admission::{CsrfCheck, CsrfReference, CsrfToken};

use super::body::SenteBody;
use super::message::{request_of, respond, tell};

/// Tells a page its CSRF token, as JSON: `{"csrf-token":"…"}`. A `tower::Service` for `GET`, to be
/// mounted at a path of one's choice, such as `/csrf-token`.
///
/// With a [`cookie`](Self::cookie) it is the token of the visitor's cookie, which is made and set if
/// there is none; with another [`CsrfCheck`] the token that is compared with. Browsers let only
/// pages of the same origin read the answer. It is not to be allowed to others.
#[derive(Clone, Debug)]
pub struct CsrfTokens {
    check: CsrfCheck,
    is_cookie: bool,
}

impl CsrfTokens {
    /// The token in the cookie [`CsrfToken::COOKIE`], which [`CsrfCheck::cookie`] compares with.
    #[must_use]
    pub const fn cookie() -> Self {
        Self {
            check: CsrfCheck::cookie(),
            is_cookie: true,
        }
    }

    /// The token that `check` compares with: that of the visitor's session, say. Where it has none,
    /// the answer is 404.
    #[must_use]
    pub const fn of(check: CsrfCheck) -> Self {
        Self {
            check,
            is_cookie: false,
        }
    }

    fn answer<B>(&self, request: Request<B>) -> Response<SenteBody> {
        let (parts, _) = request.into_parts();
        if parts.method != Method::GET {
            return respond(405, [("Allow", "GET")], SenteBody::default());
        }
        let mut cookie = None;
        let token = match self.check.reference(&request_of(&parts, None)) {
            CsrfReference::Token(token) => token,
            CsrfReference::Missing if self.is_cookie => match fresh_csrf_token() {
                Ok(token) => {
                    cookie = Some(("Set-Cookie", token.set_cookie()));
                    token
                }
                Err(_) => return tell(500, "The system has no random bytes"),
            },
            CsrfReference::Missing | CsrfReference::SkipCheck => {
                return tell(404, "There is no CSRF token");
            }
        };
        let headers = [
            ("Content-Type", "application/json".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ];
        let body = SenteBody::from(format!("{{\"csrf-token\":{}}}", json_text(&token)));
        respond(200, headers.into_iter().chain(cookie), body)
    }
}

/// The token as a string of JSON. It may hold anything but what [`CsrfToken::new`] refuses.
fn json_text(token: &CsrfToken) -> String {
    let mut text = String::from("\"");
    for letter in token.as_str().chars() {
        match letter {
            '"' | '\\' => {
                text.push('\\');
                text.push(letter);
            }
            letter if letter.is_control() => {
                text.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

impl<B> tower_service::Service<Request<B>> for CsrfTokens {
    type Response = Response<SenteBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request)))
    }
}

/// Refuses requests that do not show the right CSRF token, for endpoints of one's own: a
/// `tower::Layer`.
///
/// What only reads (`GET`, `HEAD`, `OPTIONS`) passes, unless [all](Self::all_methods) are checked.
/// The token is looked for in the query and in the headers as [`CsrfCheck`] says, not in the body,
/// which is left to be read. Refused is with 403 and `Bad CSRF token`.
///
/// ```
/// use sente_core::admission::CsrfCheck;
/// use sente_server::http::CsrfLayer;
///
/// let layer = CsrfLayer::new(CsrfCheck::cookie());
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct CsrfLayer {
    check: CsrfCheck,
    all_methods: bool,
}

impl CsrfLayer {
    /// Checks in this way.
    #[must_use]
    pub const fn new(check: CsrfCheck) -> Self {
        Self {
            check,
            all_methods: false,
        }
    }

    /// Checks every request, whatever its method.
    #[must_use]
    pub const fn all_methods(mut self) -> Self {
        self.all_methods = true;
        self
    }
}

impl<S> tower_layer::Layer<S> for CsrfLayer {
    type Service = CsrfGuarded<S>;

    fn layer(&self, inner: S) -> CsrfGuarded<S> {
        CsrfGuarded {
            inner,
            rules: Arc::new(self.clone()),
        }
    }
}

/// A service behind a [`CsrfLayer`].
#[derive(Clone)]
pub struct CsrfGuarded<S> {
    inner: S,
    rules: Arc<CsrfLayer>,
}

impl<S: fmt::Debug> fmt::Debug for CsrfGuarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CsrfGuarded").field(&self.inner).finish()
    }
}

impl<S, B, R> tower_service::Service<Request<B>> for CsrfGuarded<S>
where
    S: tower_service::Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
        let is_checked = self.rules.all_methods || !reads.contains(request.method());
        let (parts, body) = request.into_parts();
        if is_checked && !self.rules.check.passes(&request_of(&parts, None)) {
            let mut refusal = Response::new(R::from("Bad CSRF token".to_owned()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            refusal.headers_mut().insert(CONTENT_TYPE, text);
            return Box::pin(ready(Ok(refusal)));
        }
        Box::pin(self.inner.call(Request::from_parts(parts, body)))
    }
}
