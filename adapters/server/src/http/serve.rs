//! A small server for one service: sockets in, HTTP/1.1 with upgrades.

use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::io;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as HyperService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use smol_str::SmolStr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service as TowerService;

use super::body::LastAnswer;
use super::config::Remote;
use super::upgrade::Unwrap;

/// How a server treats its sockets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// How long the head of a request may take to arrive, the wait for the next request of a kept
    /// socket included. Default 30 s.
    pub header_timeout: Duration,
    /// The longest head, in bytes. No less than 8,192 count. Default 16 KiB.
    pub max_header_bytes: usize,
    /// How long requests under way may take once the server is to stop; what waits longer is cut.
    /// Polls that wait are such requests: close their sessions first. Default 10 s.
    pub shutdown_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            max_header_bytes: 16 * 1024,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves `service` on every socket that `listener` accepts, until `stop` comes. Then it accepts no
/// more, lets requests under way end within [`ServeOptions::shutdown_timeout`], and returns.
/// WebSockets go on: they are not the server's any more. Dropped, it cuts everything but those.
///
/// Any service of tower will do: [`SenteService`](super::SenteService), or a router with it inside.
/// Each request has its [`Remote`] among its extensions.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) where
    S: TowerService<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let plain = |stream| ready(Ok(stream));
    serve_with(listener, plain, service, options, stop).await;
}

/// The same over what `agree` makes of each socket: a session of TLS, say. It may take as long as a
/// head ([`ServeOptions::header_timeout`]); a socket it fails for is closed.
pub async fn serve_with<S, B, T, A, F>(
    listener: TcpListener,
    agree: A,
    service: S,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) where
    S: TowerService<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Fn(TcpStream) -> F,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let stopping = watch::Sender::new(false);
    let mut sockets = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        while sockets.try_join_next().is_some() {}
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a socket");
                // An error of the system (out of descriptors) tends to stay for a while.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Small answers are not to wait for acknowledgements. That a socket is gone shows when it
        // is read.
        let _ = stream.set_nodelay(true);
        let remote = SmolStr::new(address.ip().to_canonical().to_string());
        let (service, options) = (service.clone(), options.clone());
        let mut stopped = stopping.subscribe();
        let agreeing = timeout(options.header_timeout, agree(stream));
        sockets.spawn(async move {
            let agreed = tokio::select! {
                biased;
                agreed = agreeing => agreed,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            let stream = match agreed {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%error, "a socket came to nothing"),
                Err(_) => return tracing::debug!("a socket took too long to agree"),
            };
            let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
            serve_until(stream, Some(remote), service, &options, stop).await;
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let ended = async { while sockets.join_next().await.is_some() {} };
    if timeout(options.shutdown_timeout, ended).await.is_err() {
        tracing::info!("requests under way were cut");
    }
}

/// Serves `service` on one stream, such as one of TLS, to its end: for an accept loop of one's own.
/// `remote` is the address it counts for.
///
/// # Cancel safety
/// Dropped, the stream is cut, unless it became a WebSocket.
pub async fn serve_stream<S, B, T>(
    stream: T,
    remote: Option<SmolStr>,
    service: S,
    options: &ServeOptions,
) where
    S: TowerService<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    serve_until(stream, remote, service, options, pending()).await;
}

async fn serve_until<S, B, T>(
    stream: T,
    remote: Option<SmolStr>,
    service: S,
    options: &ServeOptions,
    stop: impl Future<Output = ()>,
) where
    S: TowerService<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let last = LastAnswer::default();
    let hosted = Hosted::new::<T>(service, remote, &last);
    let connection = builder(options)
        .serve_connection(TokioIo::new(stream), hosted)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    finish(ended, &last);
}

fn builder(options: &ServeOptions) -> http1::Builder {
    /// Hyper takes no less.
    const LEAST: usize = 8192;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(options.max_header_bytes.max(LEAST));
    builder
}

fn finish(result: hyper::Result<()>, last: &LastAnswer) {
    match result {
        Ok(()) => last.was_written(),
        Err(error) => {
            last.was_lost();
            tracing::debug!(%error, "a socket ended");
        }
    }
}

/// A service on one socket, whose requests are told about it.
struct Hosted<S> {
    service: TowerToHyperService<S>,
    remote: Option<SmolStr>,
    last: LastAnswer,
    unwrap: Unwrap,
}

impl<S> Hosted<S> {
    fn new<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        service: S,
        remote: Option<SmolStr>,
        last: &LastAnswer,
    ) -> Self {
        Self {
            service: TowerToHyperService::new(service),
            remote,
            last: last.clone(),
            unwrap: Unwrap::of::<T>(),
        }
    }
}

impl<S> HyperService<Request<Incoming>> for Hosted<S>
where
    S: TowerService<Request<Incoming>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = <TowerToHyperService<S> as HyperService<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let extensions = request.extensions_mut();
        if let Some(remote) = &self.remote {
            extensions.insert(Remote(remote.clone()));
        }
        extensions.insert(self.last.clone());
        extensions.insert(self.unwrap);
        self.service.call(request)
    }
}
