//! Requests and answers of HTTP as the core knows them.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode, Version};
use sente_core::admission::{Refusal, Request};
use sente_core::framing::upgrade::{NotUpgradable, UpgradeRequest};
use smol_str::SmolStr;

use super::body::SenteBody;

/// The request as the rules see it, without its body. Headers that are no text stand with U+FFFD.
pub(super) fn request_of(parts: &Parts, remote: Option<SmolStr>) -> Request {
    let mut request = Request::new(parts.method.as_str(), target_of(parts));
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        request = request.with_header(name.as_str(), &value);
    }
    match remote {
        Some(remote) => request.with_remote(remote),
        None => request,
    }
}

/// What a request has to say about a WebSocket.
pub(super) fn upgrade_of(parts: &Parts) -> UpgradeRequest {
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let is_http_1_1 = parts.version == Version::HTTP_11;
    UpgradeRequest::from_head(
        parts.method.as_str(),
        target_of(parts),
        is_http_1_1,
        headers,
    )
}

fn target_of(parts: &Parts) -> &str {
    parts
        .uri
        .path_and_query()
        .map_or_else(|| parts.uri.path(), |target| target.as_str())
}

/// A response with these headers. One that cannot be sent is left out: the application's own are
/// the only ones that can be so.
pub(super) fn respond<N: AsRef<str>, V: AsRef<str>>(
    status: u16,
    headers: impl IntoIterator<Item = (N, V)>,
    body: SenteBody,
) -> Response<SenteBody> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        let known = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        );
        match known {
            (Ok(name), Ok(value)) => {
                response.headers_mut().append(name, value);
            }
            _ => tracing::warn!(name, "a header that cannot be sent was left out"),
        }
    }
    response
}

/// A text for people.
pub(super) fn tell(status: u16, text: &str) -> Response<SenteBody> {
    refuse(&Refusal::new(status, text))
}

/// A refusal as it is. Without a `Content-Type` it is plain text.
pub(super) fn refuse(refusal: &Refusal) -> Response<SenteBody> {
    let plain = ("Content-Type", "text/plain; charset=utf-8");
    let has_type = refusal
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let default = (!has_type).then_some(plain);
    let own = refusal
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SenteBody::from(refusal.body.clone());
    respond(refusal.status, own.chain(default), body)
}

/// What stands against an upgrade.
pub(super) fn not_upgradable(problem: NotUpgradable) -> Response<SenteBody> {
    let mut refusal = Refusal::new(problem.status(), &problem.to_string());
    for (name, value) in problem.headers() {
        refusal = refusal.with_header(name, value);
    }
    refuse(&refusal)
}
