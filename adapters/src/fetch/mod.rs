//! A small HTTP client over the adapters' own links: for the requests of a client that polls.

mod stream;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderValue, RETRY_AFTER};
use http::{Request as HttpRequest, Response as HttpResponse};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use sente_core::admission::Request;
use sente_core::ajax::Response;

use crate::connect::ConnectOptions;
use crate::link::LinkLayer;
use crate::runtime::Runtime;
use crate::sockets::dial_tcp;
use crate::url::{Url, WsUrl, bracketed};
use stream::LinkStream;

/// How many sockets wait for their next request at most: that of the polls, and those of posts.
const MAX_IDLE: usize = 8;

/// Makes requests of one server, on sockets that are kept for the next one.
pub(crate) struct Fetcher {
    runtime: Arc<dyn Runtime>,
    url: Url,
    at: WsUrl,
    options: ConnectOptions,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Fetcher {
    /// For the server of the WebSocket `at`, which is what `url` says.
    pub(crate) const fn new(
        runtime: Arc<dyn Runtime>,
        url: Url,
        at: WsUrl,
        options: ConnectOptions,
    ) -> Self {
        Self {
            runtime,
            url,
            at,
            options,
            idle: Mutex::new(Vec::new()),
        }
    }

    pub(crate) const fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Makes a request and reads its answer: of its body no more than `limit` bytes and one, so that
    /// whoever takes it sees that it is too long.
    pub(crate) async fn fetch(&self, request: &Request, limit: usize) -> io::Result<Response> {
        let mut message = self.message(request)?;
        // A kept socket may have been closed by the server in this moment: then the next one.
        while let Some(mut sender) = self.take_idle() {
            match sender.try_send_request(message).await {
                Ok(answer) => return self.read(sender, answer, limit).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => message = unsent,
                    None => return Err(io::Error::other(error.into_error())),
                },
            }
        }
        let mut sender = self.dial().await?;
        let answer = sender.send_request(message).await;
        self.read(sender, answer.map_err(io::Error::other)?, limit)
            .await
    }

    fn message(&self, request: &Request) -> io::Result<HttpRequest<Full<Bytes>>> {
        let mut host = bracketed(&self.at.host);
        if self.at.port != self.at.default_port() {
            host = format!("{host}:{}", self.at.port);
        }
        let mut message = HttpRequest::builder()
            .method(request.method())
            .uri(request.target())
            .header(HOST, host);
        for (name, value) in request.headers() {
            message = message.header(name, value);
        }
        message
            .body(Full::new(request.body().clone()))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    async fn dial(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let (at, options) = (&self.at, &self.options);
        let link = dial_tcp(&*self.runtime, &at.host, at.port, &options.tcp).await?;
        let link = LinkLayer::around(options.layer.as_ref(), link);
        let link = options.secured(&self.url, link).await?;
        let (sender, connection) = handshake(LinkStream::new(link))
            .await
            .map_err(io::Error::other)?;
        self.runtime.spawn(Box::pin(async move {
            // What ends it shows at its requests.
            let _ = connection.await;
        }));
        Ok(sender)
    }

    async fn read(
        &self,
        sender: SendRequest<Full<Bytes>>,
        answer: HttpResponse<Incoming>,
        limit: usize,
    ) -> io::Result<Response> {
        let (head, mut body) = answer.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(io::Error::other)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = limit.saturating_add(1).saturating_sub(bytes.len());
            bytes.extend_from_slice(data.get(..data.len().min(room)).unwrap_or_default());
            if bytes.len() > limit {
                // The rest of it is not worth the wait: this socket is given up.
                drop(sender);
                return Ok(Response::new(head.status.as_u16(), bytes.freeze()));
            }
        }
        self.keep(sender);
        let response = Response::new(head.status.as_u16(), bytes.freeze());
        Ok(match head.headers.get(RETRY_AFTER).and_then(seconds) {
            Some(wait) => response.with_retry_after(wait),
            None => response,
        })
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| !kept.is_closed());
        if idle.len() < MAX_IDLE && !sender.is_closed() {
            idle.push(sender);
        }
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What `Retry-After` says in seconds; a date, which no server of ours sends, counts as nothing.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
