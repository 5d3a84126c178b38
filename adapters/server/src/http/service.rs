//! The endpoint as a service of tower: what becomes of each request.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use sente_core::ajax::BadMethod;
use sente_core::framing::upgrade::NotUpgradable;
use smol_str::SmolStr;
use tokio::sync::Semaphore;

use super::body::{LastAnswer, SenteBody};
use super::config::HttpConfig;
use super::cors;
use super::host::HttpHost;
use super::message::{respond, upgrade_of};
use super::sessions::Sessions;

/// Sente's endpoint over HTTP: for any server that takes a [`tower_service::Service`], such as
/// [`serve`](super::serve) or axum. Clones mean the same endpoint.
///
/// | request | answer |
/// | --- | --- |
/// | `GET` with an upgrade | 101 and a WebSocket |
/// | `GET` | a handshake at once, or what is sent until `AjaxConfigBuilder::poll_timeout` |
/// | `POST` | the reply to a call, or that the message arrived |
/// | `OPTIONS` of a browser | what pages of other origins may send, see [`HttpConfig::cors`] |
/// | any other | 405 |
///
/// Whoever the [host](HttpHost) refuses gets the [`Refusal`](sente_core::admission::Refusal) as it
/// is. Of its own accord it answers 400 where a client id is missing, an upgrade is malformed or a
/// body ends early, 408 where a body takes too long, 413 where it is too large, 426 where only
/// WebSockets are taken, and 503 where an application is behind or the server shuts down.
///
/// It looks at no path: mount it where clients look for it, Sente's at `/chsk`.
///
/// ```no_run
/// use sente_core::admission::{Admission, CsrfCheck, GateLimits};
/// use sente_server::http::{Door, HttpConfig, SenteService, ServeOptions, serve};
/// use tokio::net::TcpListener;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (door, mut arrivals) = Door::new(Admission::new(CsrfCheck::cookie()), GateLimits::default());
/// let service = SenteService::new(door, HttpConfig::new()?);
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// tokio::spawn(serve(listener, service, ServeOptions::default(), std::future::pending()));
/// while let Some(arrival) = arrivals.next().await {
///     println!("{:?} is here", arrival.admitted.client_id);
/// }
/// # Ok(())
/// # }
/// ```
pub struct SenteService<H: HttpHost> {
    inner: Arc<Inner<H>>,
}

pub(super) struct Inner<H> {
    pub(super) host: Arc<H>,
    pub(super) config: HttpConfig,
    pub(super) sessions: Sessions,
    /// Room for bodies, in [`BODY_UNIT`]s.
    pub(super) bodies: Arc<Semaphore>,
}

/// In how large pieces the room for bodies is counted.
pub(super) const BODY_UNIT: usize = 1024;

impl<H: HttpHost> SenteService<H> {
    /// An endpoint of `host`.
    pub fn new(host: H, config: HttpConfig) -> Self {
        let bodies = config.max_bodies_bytes.div_ceil(BODY_UNIT);
        let bodies = bodies.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                host: Arc::new(host),
                config,
                sessions: Sessions::default(),
                bodies: Arc::new(Semaphore::new(bodies)),
            }),
        }
    }

    /// Who decides and takes the connections.
    #[must_use]
    pub fn host(&self) -> &H {
        &self.inner.host
    }

    /// How many Ajax sessions there are.
    #[must_use]
    pub fn ajax_sessions(&self) -> usize {
        self.inner.sessions.len()
    }

    /// Answers one request. It never fails: what goes wrong is an answer.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<SenteBody>
    where
        B: Body + Send,
        B::Data: Buf + Send,
    {
        let (parts, body) = request.into_parts();
        let last = parts.extensions.get::<LastAnswer>().cloned();
        if let Some(last) = &last {
            last.was_written();
        }
        let inner = &self.inner;
        let cors = inner.config.cors.as_ref();
        let reader = cors::reader(cors, &parts);
        if cors.is_some() && cors::is_preflight(&parts) {
            return cors::preflight(reader);
        }
        let remote = inner.config.remote.of(&parts);
        let mut response = self.dispatch(parts, body, remote, last).await;
        if cors.is_some() {
            cors::allow(response.headers_mut(), reader);
        }
        response
    }

    async fn dispatch<B>(
        &self,
        parts: Parts,
        body: B,
        remote: Option<SmolStr>,
        last: Option<LastAnswer>,
    ) -> Response<SenteBody>
    where
        B: Body + Send,
        B::Data: Buf + Send,
    {
        let inner = &self.inner;
        if parts.method == Method::GET {
            let upgrade = upgrade_of(&parts);
            let is_upgrade = upgrade.upgradable != Err(NotUpgradable::PlainHttp);
            return if is_upgrade || inner.config.ajax.is_none() {
                inner.upgrade(parts, &upgrade, remote).await
            } else {
                inner.poll(parts, remote, last).await
            };
        }
        if parts.method == Method::POST && inner.config.ajax.is_some() {
            return inner.post(parts, body, remote, last).await;
        }
        let wrong = BadMethod.response();
        respond(wrong.status, wrong.headers(), wrong.body.into())
    }
}

impl<H, B> tower_service::Service<Request<B>> for SenteService<H>
where
    H: HttpHost,
    B: Body + Send + 'static,
    B::Data: Buf + Send,
{
    type Response = Response<SenteBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

impl<H: HttpHost> Clone for SenteService<H> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<H: HttpHost> fmt::Debug for SenteService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenteService")
            .field("config", &self.inner.config)
            .field("ajax_sessions", &self.ajax_sessions())
            .finish_non_exhaustive()
    }
}
