//! An endpoint on a real socket, and a client that speaks plain HTTP to it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sente_adapters::{AjaxEvents, AjaxHandle, Events, Handle};
use sente_core::admission::{Admission, CsrfCheck, GateLimits};
use sente_core::{ConnectionEvent, Event, Message};
use sente_edn::Value;
use sente_server::http::{
    Arrival, ArrivalLink, Arrivals, Door, DoorPlace, HttpConfig, SenteService, ServeOptions, serve,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(30);
pub const RECEIVED: &str = "[:chsk/dummy-cb-200 nil]";
pub const TIMEOUT: &str = "[:chsk/timeout nil]";
/// The query of a poll.
pub const POLL: &str = "/chsk?udt=1&client-id=c1";
pub const HANDSHAKE: &str = "/chsk?udt=1&client-id=c1&handshake%3F=1";

/// Waits, but not for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes for ever")
}

pub fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

/// Everybody comes in as who the parameter `uid` says.
pub fn open_to_all() -> Admission {
    Admission::new(CsrfCheck::skip())
        .user_id(|request| request.param("uid").map(|uid| Value::from(&*uid)))
}

pub struct Served {
    pub address: SocketAddr,
    pub service: SenteService<Door>,
    pub arrivals: Arrivals,
    task: JoinHandle<()>,
}

impl Served {
    pub async fn new() -> Self {
        Self::with(open_to_all(), |config| config).await
    }

    pub async fn with(
        admission: Admission,
        configure: impl FnOnce(HttpConfig) -> HttpConfig,
    ) -> Self {
        let (door, arrivals) = Door::new(admission, GateLimits::default());
        Self::of(door, arrivals, configure(HttpConfig::new().unwrap())).await
    }

    pub async fn of(door: Door, arrivals: Arrivals, config: HttpConfig) -> Self {
        let service = SenteService::new(door, config);
        let (address, task) = serve_any(service.clone()).await;
        Self {
            address,
            service,
            arrivals,
            task,
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub async fn arrival(&mut self) -> Arrival<DoorPlace> {
        soon(self.arrivals.next()).await.unwrap()
    }

    /// The next client to arrive, which comes by Ajax.
    pub async fn session(&mut self) -> (AjaxHandle, AjaxEvents, DoorPlace) {
        let arrival = self.arrival().await;
        match arrival.link {
            ArrivalLink::Ajax(handle, events) => (handle, events, arrival.place),
            ArrivalLink::WebSocket(..) => panic!("a websocket"),
        }
    }

    /// The next client to arrive, which comes by WebSocket.
    pub async fn websocket(&mut self) -> (Handle, Events, DoorPlace) {
        let arrival = self.arrival().await;
        match arrival.link {
            ArrivalLink::WebSocket(handle, events) => (handle, events, arrival.place),
            ArrivalLink::Ajax(..) => panic!("ajax"),
        }
    }

    /// A client with a session that has had its handshake.
    pub async fn greeted(&mut self) -> (Client, AjaxHandle, AjaxEvents, DoorPlace) {
        let mut client = self.client().await;
        let answer = client.get(HANDSHAKE).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let (handle, events, place) = self.session().await;
        (client, handle, events, place)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves any service on a port of its own.
pub async fn serve_any<S, B>(service: S) -> (SocketAddr, JoinHandle<()>)
where
    S: tower_service::Service<
            Request<hyper::body::Incoming>,
            Response = Response<B>,
            Error = std::convert::Infallible,
        > + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions::default();
    let task = tokio::spawn(serve(listener, service, options, pending()));
    (address, task)
}

/// One kept socket. Dropped, it is closed.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and text.
    pub fn told(&self) -> (u16, &str) {
        (self.status, self.text())
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        let task = tokio::spawn(async move {
            // A server that hangs up shows as a failed request.
            let _ = connection.await;
        });
        Self { sender, task }
    }

    pub async fn get(&mut self, target: &str) -> Answer {
        self.ask(Request::get(target).body(Full::default()).unwrap())
            .await
    }

    /// Posts a message as Sente's clients do.
    pub async fn post(&mut self, message: &str) -> Answer {
        self.ask(post(message)).await
    }

    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> Answer {
        soon(self.try_ask(request)).await.unwrap()
    }

    pub async fn try_ask(&mut self, mut request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        let host = http::HeaderValue::from_static("localhost");
        request.headers_mut().insert("host", host);
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The post of a message, as Sente's clients make it.
pub fn post(message: &str) -> Request<Full<Bytes>> {
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("udt", "1")
        .append_pair("client-id", "c1")
        .append_pair("ppstr", message)
        .finish();
    Request::post("/chsk")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(form))
        .unwrap()
}

/// The next message of a session; the opening is stepped over.
pub async fn message(events: &mut AjaxEvents) -> Message {
    loop {
        match soon(events.next()).await.expect("the session is over") {
            ConnectionEvent::Message(message) => return message,
            ConnectionEvent::Opened(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
