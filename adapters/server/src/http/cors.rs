//! Answers that pages of other origins may read.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use sente_core::admission::{Origins, Request};

use super::body::SenteBody;

/// How long a browser may remember what it was told: a day, of which Chromium keeps two hours.
const REMEMBERED: &str = "86400";

/// The origin of a request, if it may read the answer.
pub(super) fn reader(origins: Option<&Origins>, parts: &Parts) -> Option<HeaderValue> {
    let origin = parts.headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    let request = Request::new("GET", "/").with_header("Origin", text);
    origins?.allow(&request).then(|| origin.clone())
}

/// Whether a browser asks what a page may send, before it does.
pub(super) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key("access-control-request-method")
}

/// The answer to that: what Sente's clients send.
pub(super) fn preflight(reader: Option<HeaderValue>) -> Response<SenteBody> {
    let mut response = Response::new(SenteBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let allowed = reader.is_some();
    allow(headers, reader);
    if allowed {
        let asked = [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Content-Type, X-CSRF-Token, X-Requested-With, X-XSRF-Token",
            ),
            (ACCESS_CONTROL_MAX_AGE, REMEMBERED),
        ];
        for (name, value) in asked {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Lets `reader` read an answer with these headers.
pub(super) fn allow(headers: &mut HeaderMap, reader: Option<HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(reader) = reader {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
}
