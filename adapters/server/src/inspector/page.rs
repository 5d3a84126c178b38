//! The inspector page as a service of tower.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, HeaderName, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};

use super::assets::{Asset, InspectorPage};
use crate::http::SenteBody;

/// Serves an [`InspectorPage`] at a path, to those who may load it: a `tower::Service`.
///
/// It answers `GET` and `HEAD` at `/inspector/` and below, sends `/inspector` there, and answers 404
/// anywhere else: mount it so that it sees whole paths. The files are the same for all and tell
/// nothing of the server; what the page is told, the [`Inspector`](super::Inspector) decides.
///
/// ```
/// use sente_server::inspector::InspectorPage;
///
/// let page = InspectorPage::new("/chsk").csrf_tokens("/csrf-token");
/// let service = page.service("/inspector", |request| {
///     // As the application knows its administrators.
///     request.headers.get("x-forwarded-user").is_some_and(|user| user == "admin")
/// });
/// # let _ = service;
/// ```
#[derive(Clone)]
pub struct PageService {
    path: Arc<str>,
    page: Arc<InspectorPage>,
    allow: Arc<Allow>,
}

type Allow = dyn Fn(&Parts) -> bool + Send + Sync;

impl InspectorPage {
    /// Serves it at `path`, such as `/inspector`, to those of whose requests `allow` says so; others
    /// get 403.
    #[must_use]
    pub fn service(
        self,
        path: &str,
        allow: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> PageService {
        PageService {
            path: path.trim_end_matches('/').into(),
            page: Arc::new(self),
            allow: Arc::new(allow),
        }
    }
}

impl PageService {
    /// The same as a router of axum, to be merged into one's own.
    ///
    /// # Panics
    /// Where the path is none that axum takes: it begins with a slash.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        let path = self.path.clone();
        let router = axum::Router::new();
        let router = match &*path {
            // Here the page itself is at the root.
            "" => router,
            _ => router.route_service(&path, self.clone()),
        };
        router
            .route_service(&format!("{path}/"), self.clone())
            .route_service(&format!("{path}/{{file}}"), self)
    }

    fn answer(&self, parts: &Parts) -> Response<SenteBody> {
        let Some(name) = parts.uri.path().strip_prefix(&*self.path) else {
            return told(StatusCode::NOT_FOUND);
        };
        if !(self.allow)(parts) {
            return told(StatusCode::FORBIDDEN);
        }
        if parts.method != Method::GET && parts.method != Method::HEAD {
            let mut response = told(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        match name.strip_prefix('/') {
            Some(name) => match self.page.asset(name) {
                Some(asset) => file(asset),
                None => told(StatusCode::NOT_FOUND),
            },
            None if name.is_empty() => self.to_the_page(),
            None => told(StatusCode::NOT_FOUND),
        }
    }

    /// Relative, since a proxy may know it by another path.
    fn to_the_page(&self) -> Response<SenteBody> {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        let mut response = told(StatusCode::PERMANENT_REDIRECT);
        if let Ok(location) = HeaderValue::from_str(&format!("{last}/")) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl<B> tower_service::Service<Request<B>> for PageService {
    type Response = Response<SenteBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        ready(Ok(self.answer(&parts)))
    }
}

impl fmt::Debug for PageService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageService")
            .field("path", &self.path)
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}

fn told(status: StatusCode) -> Response<SenteBody> {
    let mut response = Response::new(SenteBody::default());
    *response.status_mut() = status;
    response
}

fn file(asset: Asset) -> Response<SenteBody> {
    let headers = asset.headers();
    let body = match asset.body {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = Response::new(SenteBody::from(body));
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
