//! What is behind the paths of a WebSocket listener: Sente's endpoint, WebSockets, and reports.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use sente_adapters::{Recordings, Url};
use sente_core::ajax::AjaxConfig;
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{self, Edn, Packer};
use sente_core::{Carrier, ConnectionConfig, Dialect, Role};
use sente_server::http::{CsrfTokens, HttpConfig, SenteBody, SenteService};
use sente_server::inspector::{InspectorPage, PageService};
use sente_server::{METRICS_CONTENT_TYPE, Metrics, Server};
use serde_json::{Value as Json, json};
use tower_service::Service;

use super::admission::{Tokens, shows_token};
use super::config::{Config, Http, Listen};
use super::listeners::keepalive;
use super::parts::{Board, PartState};
use crate::exit::Failure;

/// One listener's paths. Clones are the same site.
#[derive(Clone)]
pub(super) struct Site(Arc<Inner>);

struct Inner {
    server: Server,
    dialect: Option<Dialect>,
    paths: Http,
    /// By the path that has a packer of its own; the others are at `""`.
    endpoints: BTreeMap<String, Endpoints>,
    metrics: Option<Metrics>,
    inspector: Option<PageService>,
    board: Board,
    tokens: Tokens,
}

/// The same packer in both dialects.
struct Endpoints {
    sente: SenteService<Server>,
    sente_lite: SenteService<Server>,
}

impl Site {
    /// The site of one listener.
    ///
    /// # Errors
    /// Where packer and limits do not fit.
    pub(super) fn new(
        server: &Server,
        config: &Config,
        listen: &Listen,
        packer: Arc<dyn Packer>,
        record: Option<&Recordings>,
        (board, tokens): (Board, Tokens),
    ) -> Result<Self, Failure> {
        let inspector = inspector(config, listen, &*packer);
        let mut endpoints = BTreeMap::new();
        let all = [(String::new(), packer)];
        let by_path = listen.packer_by_path.iter();
        let by_path = by_path.map(|(path, packer)| (path.clone(), packer.0.clone()));
        for (path, packer) in all.into_iter().chain(by_path) {
            let service = |dialect| {
                let mut http = http_config(config, listen, &packer, dialect)?;
                http.record = record.cloned();
                Ok::<_, Failure>(SenteService::new(server.clone(), http))
            };
            let both = Endpoints {
                sente: service(Dialect::Sente)?,
                sente_lite: service(Dialect::SenteLite)?,
            };
            endpoints.insert(path, both);
        }
        Ok(Self(Arc::new(Inner {
            server: server.clone(),
            dialect: listen.dialect.map(Dialect::from),
            paths: config.http.clone(),
            endpoints,
            metrics: config.http.metrics.value().map(|_| Metrics::new(server)),
            inspector,
            board,
            tokens,
        })))
    }

    /// The paths that are there, for the start.
    pub(super) fn paths(&self) -> String {
        self.0.describe()
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<SenteBody>
    where
        B: Body + Send,
        B::Data: Buf + Send,
    {
        let path = request.uri().path();
        if self
            .0
            .paths
            .csrf_token
            .value()
            .is_some_and(|at| at.0 == path)
        {
            let mut tokens = CsrfTokens::of(self.0.tokens.csrf());
            let Ok(answer) = tokens.call(request).await;
            return answer;
        }
        if let Some(mut inspector) = self.0.inspector_at(path) {
            let Ok(answer) = inspector.call(request).await;
            return answer;
        }
        match self.0.report_at(path) {
            Some(report) => self.0.tell(report, &request),
            None => match self.0.endpoint(path, request.uri().query()) {
                Some(service) => service.answer(request).await,
                None => plain(StatusCode::NOT_FOUND, "There is nothing here\n".to_owned()),
            },
        }
    }
}

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    Channels,
    Health,
    Metrics,
    Stats,
}

impl Inner {
    fn report_at(&self, path: &str) -> Option<Report> {
        let paths = &self.paths;
        let all = [
            (&paths.channels, Report::Channels),
            (&paths.health, Report::Health),
            (&paths.metrics, Report::Metrics),
            (&paths.stats, Report::Stats),
        ];
        let mut all = all.into_iter();
        let found = all.find(|(at, _)| at.value().is_some_and(|at| at.0 == path));
        found.map(|(_, report)| report)
    }

    /// The inspector page, at its path and below.
    fn inspector_at(&self, path: &str) -> Option<PageService> {
        let below = path.strip_prefix(&self.paths.inspector.value()?.0)?;
        let is_it = below.is_empty() || below.starts_with('/');
        is_it.then(|| self.inspector.clone()).flatten()
    }

    fn tell<B>(&self, report: Report, request: &Request<B>) -> Response<SenteBody> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET\n".to_owned());
            let get = http::HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(http::header::ALLOW, get);
            return response;
        }
        // Health is for whoever balances loads; the others say who is there and what is said.
        if report != Report::Health && !self.lets_read(request) {
            let mut response = plain(
                StatusCode::UNAUTHORIZED,
                "A token is asked for\n".to_owned(),
            );
            let bearer = http::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(http::header::WWW_AUTHENTICATE, bearer);
            return response;
        }
        let json = "application/json";
        match report {
            Report::Channels => text(StatusCode::OK, json, self.server.channels_json()),
            Report::Health => {
                let (is_healthy, body) = self.health();
                let status = match is_healthy {
                    true => StatusCode::OK,
                    false => StatusCode::SERVICE_UNAVAILABLE,
                };
                text(status, json, body)
            }
            Report::Metrics => {
                let rendered = self.metrics.as_ref().map(Metrics::render);
                text(
                    StatusCode::OK,
                    METRICS_CONTENT_TYPE,
                    rendered.unwrap_or_default(),
                )
            }
            Report::Stats => text(StatusCode::OK, json, self.server.stats_json()),
        }
    }

    /// What the server says of itself, and the state of each part.
    fn health(&self) -> (bool, String) {
        let health = self.server.health();
        let Ok(Json::Object(mut body)) = serde_json::from_str(&health.body) else {
            return (health.is_healthy, health.body);
        };
        let lines = self.board.read();
        let parts = lines.into_iter().map(|line| match line.state {
            PartState::Up(_) => json!({"name": line.name, "state": "up"}),
            other => json!({"name": line.name, "state": other.to_string()}),
        });
        body.insert("parts".to_owned(), parts.collect());
        (health.is_healthy, Json::Object(body).to_string())
    }

    fn lets_read<B>(&self, request: &Request<B>) -> bool {
        self.tokens.auth().is_none_or(|token| {
            let header = request.headers().get(http::header::AUTHORIZATION);
            let header = header.and_then(|value| value.to_str().ok());
            let query = request.uri().query().unwrap_or_default();
            let mut parameters = form_urlencoded::parse(query.as_bytes());
            let parameter = parameters.find(|(name, _)| name == "auth-token");
            let parameter = parameter.map(|(_, value)| value);
            shows_token(header, parameter.as_deref(), &token)
        })
    }

    /// The paths that are there, for the start.
    fn describe(&self) -> String {
        let paths = &self.paths;
        let optional = [
            &paths.health,
            &paths.stats,
            &paths.channels,
            &paths.csrf_token,
            &paths.metrics,
            &paths.inspector,
        ];
        let optional = optional.into_iter().filter_map(|path| path.value());
        let all: Vec<&str> = std::iter::once(&paths.chsk)
            .chain(optional)
            .map(|path| path.0.as_str())
            .collect();
        all.join(" ")
    }

    /// Sente on its path, or with a client id; else sente-lite; or what the listener says.
    fn endpoint(&self, path: &str, query: Option<&str>) -> Option<&SenteService<Server>> {
        let mut parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let dialect = self.dialect.unwrap_or_else(|| {
            if path == self.paths.chsk.0 || parameters.any(|(name, _)| name == "client-id") {
                Dialect::Sente
            } else {
                Dialect::SenteLite
            }
        });
        let own = self.endpoints.get(path);
        let both = own.or_else(|| self.endpoints.get(""))?;
        Some(match dialect {
            Dialect::Sente => &both.sente,
            Dialect::SenteLite => &both.sente_lite,
        })
    }
}

impl<B> Service<Request<B>> for Site
where
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
        let site = self.clone();
        Box::pin(async move { Ok(site.answer(request).await) })
    }
}

/// The inspector page, which speaks EDN. Its files are no secret: the server asks for the token when
/// the page connects.
fn inspector(config: &Config, listen: &Listen, packer: &dyn Packer) -> Option<PageService> {
    let paths = &config.http;
    let path = paths.inspector.value()?;
    let mut by_path = listen.packer_by_path.iter();
    let own = by_path.find(|(path, _)| **path == paths.chsk.0);
    let packer = own.map_or(packer, |(_, packer)| &*packer.0);
    if packer.name() != "edn" {
        return None;
    }
    let mut page = InspectorPage::new(&*paths.chsk.0).token_parameter("auth-token");
    if let Some(tokens) = paths.csrf_token.value() {
        page = page.csrf_tokens(&*tokens.0);
    }
    Some(page.service(&path.0, |_| true))
}

fn http_config(
    config: &Config,
    listen: &Listen,
    packer: &Arc<dyn Packer>,
    dialect: Dialect,
) -> Result<HttpConfig, Failure> {
    let limits = config.limits.to_limits();
    let mut websocket = ConnectionConfig::builder(Role::Server, dialect, Carrier::WebSocket)
        .packer(packer.clone())
        .limits(limits.clone())
        .flush_window(config.queue.flush_window.value().map(|window| window.0))
        .small_frames(listen.small_frames.value().map(|size| size.0))
        .deflate(listen.deflate.then(DeflateConfig::default));
    if let Some(keepalive) = keepalive(config) {
        websocket = websocket.keepalive(Some(keepalive));
    }
    let mut http =
        HttpConfig::with_packer(packer.clone(), limits.clone()).map_err(Failure::usage)?;
    http.websocket = Some(websocket.build().map_err(Failure::usage)?);
    let ajax = &config.ajax;
    http.ajax = match dialect {
        Dialect::Sente if ajax.enabled => {
            let ajax = AjaxConfig::builder()
                .packer(packer.clone())
                .limits(limits)
                .poll_timeout(ajax.poll_timeout.value().map(|time| time.0))
                .reply_timeout(ajax.reply_timeout.value().map(|time| time.0))
                .flush_window(ajax.flush_window.value().map(|time| time.0))
                .grace(config.hub.grace.ajax.0)
                .max_requests(ajax.max_requests.0)
                .build();
            Some(ajax.map_err(Failure::usage)?)
        }
        _ => None,
    };
    Ok(http)
}

/// The packer of a listener: its own, else what its URL says, else EDN.
pub(super) fn packer_of(listen: &Listen) -> (Url, Arc<dyn Packer>) {
    let url = &listen.url.0;
    let own = listen.packer.as_ref().map(|packer| packer.0.clone());
    let own = own.or_else(|| packer::named(url.packer()?));
    let named = own.as_ref().map(|packer| packer.name().to_owned());
    let url = url.clone();
    let shown = url.clone().with_packer(named.as_deref()).unwrap_or(url);
    (shown, own.unwrap_or_else(|| Arc::new(Edn)))
}

fn plain(status: StatusCode, body: String) -> Response<SenteBody> {
    text(status, "text/plain; charset=utf-8", body)
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<SenteBody> {
    let mut response = Response::new(SenteBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let value = http::HeaderValue::from_static;
    headers.insert(http::header::CONTENT_TYPE, value(kind));
    headers.insert(http::header::CACHE_CONTROL, value("no-store"));
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, value("nosniff"));
    response
}
