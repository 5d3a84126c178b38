//! Our client where a WebSocket does not get through: it polls, and comes back.
#![allow(missing_docs)]

mod http_support;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_support::{PATIENCE, event, message, open_to_all, serve_any, soon};
use hyper::body::Incoming;
use sente_adapters::{
    AsyncIo, ClientEvents, ClientHandle, ClientOptions, ConnectOptions, Endpoint, Fallback,
    Runtime, Url, keep_connected, keep_connected_to,
};
use sente_core::admission::{Admission, CsrfCheck, CsrfToken, GateLimits};
use sente_core::{
    Backoff, ClientEvent, ConnectFailure, ConnectionEvent, Event, EventId, Extensions, OnOffline,
};
use sente_server::http::{Arrival, ArrivalLink, Arrivals, Door, DoorPlace, HttpConfig};
use sente_server::http::{SenteBody, SenteService};

/// A proxy that knows nothing of WebSockets while `blocks` is set: it takes the upgrade for a plain
/// request.
#[derive(Clone)]
struct Proxy {
    service: SenteService<Door>,
    blocks: Arc<AtomicBool>,
    upgrades: Arc<AtomicUsize>,
}

impl tower_service::Service<Request<Incoming>> for Proxy {
    type Response = Response<SenteBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if request.headers().contains_key("upgrade") {
            self.upgrades.fetch_add(1, Ordering::SeqCst);
            if self.blocks.load(Ordering::SeqCst) {
                let mut refused = Response::new(SenteBody::from(String::from("what?")));
                *refused.status_mut() = http::StatusCode::BAD_GATEWAY;
                return Box::pin(std::future::ready(Ok(refused)));
            }
        }
        tower_service::Service::call(&mut self.service, request)
    }
}

struct Rig {
    address: SocketAddr,
    arrivals: Arrivals,
    blocks: Arc<AtomicBool>,
    upgrades: Arc<AtomicUsize>,
    _task: tokio::task::JoinHandle<()>,
}

impl Rig {
    async fn new(admission: Admission) -> Self {
        let (door, arrivals) = Door::new(admission, GateLimits::default());
        let blocks = Arc::new(AtomicBool::new(true));
        let upgrades = Arc::new(AtomicUsize::new(0));
        let proxy = Proxy {
            service: SenteService::new(door, HttpConfig::new().unwrap()),
            blocks: blocks.clone(),
            upgrades: upgrades.clone(),
        };
        let (address, task) = serve_any(proxy).await;
        Self {
            address,
            arrivals,
            blocks,
            upgrades,
            _task: task,
        }
    }

    fn client(&self, fallback: Option<Fallback>) -> (ClientHandle, ClientEvents) {
        self.client_on(None, fallback)
    }

    fn client_on(
        &self,
        runtime: Option<Arc<dyn Runtime>>,
        fallback: Option<Fallback>,
    ) -> (ClientHandle, ClientEvents) {
        let mut options = ClientOptions::default();
        options.runtime = runtime;
        options.fallback = fallback;
        let mut backoff = Backoff::default();
        backoff.min = Duration::from_millis(1);
        backoff.max = Duration::from_millis(10);
        options.backoff = backoff;
        let url = format!("ws://{}/chsk?uid=ada", self.address);
        keep_connected(options, move |_| {
            let mut options = ConnectOptions::default();
            options.csrf_token = Some("t0k".to_owned());
            options.extensions = Some(Extensions::ALL);
            let url = url.parse();
            async move { Ok::<_, ConnectFailure>((url.unwrap(), options)) }
        })
        .unwrap()
    }

    async fn arrival(&mut self) -> Arrival<DoorPlace> {
        soon(self.arrivals.next()).await.unwrap()
    }
}

fn every(period: Duration) -> Option<Fallback> {
    let mut fallback = Fallback::default();
    fallback.return_every = Some(period);
    Some(fallback)
}

fn never() -> Option<Fallback> {
    let mut fallback = Fallback::default();
    fallback.return_every = None;
    Some(fallback)
}

async fn until(events: &mut ClientEvents, mut what: impl FnMut(&ClientEvent) -> bool) {
    loop {
        let told = soon(events.next()).await.expect("the client is gone");
        if what(&told) {
            return;
        }
    }
}

#[tokio::test]
async fn a_client_whose_websocket_does_not_get_through_polls() {
    let csrf = CsrfCheck::token(CsrfToken::new("t0k").unwrap());
    let admission = Admission::new(csrf).user_id(|request| {
        request
            .param("uid")
            .map(|uid| sente_edn::Value::from(&*uid))
    });
    let mut rig = Rig::new(admission).await;
    let (handle, mut events) = rig.client(never());
    until(&mut events, |told| {
        matches!(told, ClientEvent::ConnectFailed { .. })
    })
    .await;
    until(&mut events, |told| matches!(told, ClientEvent::Opened(_))).await;
    assert!(handle.is_over_ajax());
    let arrival = rig.arrival().await;
    assert_eq!(
        arrival.admitted.client_id.as_deref(),
        Some(handle.client_id().as_str())
    );
    let ArrivalLink::Ajax(server, mut heard) = arrival.link else {
        panic!("a websocket");
    };
    for number in 0..20 {
        handle
            .send(event(&format!("[:a/say {number}]")))
            .await
            .unwrap();
    }
    for number in 0..20 {
        let said = message(&mut heard).await;
        let data = said.event.data.unwrap().to_value().unwrap();
        assert_eq!(data.as_i64(), Some(number));
    }
    let call = handle.call(event("[:a/ask 20]"), PATIENCE);
    let answer = async {
        let asked = message(&mut heard).await;
        server.reply(asked.reply.unwrap(), 42).unwrap();
    };
    let (reply, ()) = tokio::join!(call, answer);
    assert_eq!(reply.unwrap().to_value().unwrap().as_i64(), Some(42));
    server.send(event("[:a/news]")).await.unwrap();
    until(&mut events, |told| {
        matches!(told, ClientEvent::Link(ConnectionEvent::Message(message))
            if message.event.id.as_str() == "a/news")
    })
    .await;
    soon(handle.flush()).await.unwrap();
    assert_eq!(rig.upgrades.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_polls_comes_back_once_a_websocket_gets_through() {
    let mut rig = Rig::new(open_to_all()).await;
    let (handle, mut events) = rig.client(every(Duration::from_millis(10)));
    until(&mut events, |told| matches!(told, ClientEvent::Opened(_))).await;
    assert!(handle.is_over_ajax());
    let by_ajax = rig.arrival().await;
    // It is tried again and again, in vain.
    while rig.upgrades.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    assert!(handle.is_over_ajax());
    rig.blocks.store(false, Ordering::SeqCst);
    until(&mut events, |told| matches!(told, ClientEvent::Reopened(_))).await;
    assert!(!handle.is_over_ajax());
    let by_websocket = rig.arrival().await;
    assert_eq!(by_ajax.admitted.client_id, by_websocket.admitted.client_id);
    let ArrivalLink::WebSocket(server, _heard) = by_websocket.link else {
        panic!("ajax");
    };
    server.send(event("[:a/news]")).await.unwrap();
    until(&mut events, |told| {
        matches!(told, ClientEvent::Link(ConnectionEvent::Message(_)))
    })
    .await;
    assert_eq!(handle.stats().reconnects, 1);
}

#[tokio::test]
async fn a_call_that_is_pending_keeps_a_client_from_changing() {
    let mut rig = Rig::new(open_to_all()).await;
    let (handle, mut events) = rig.client(every(Duration::from_millis(10)));
    until(&mut events, |told| matches!(told, ClientEvent::Opened(_))).await;
    let ArrivalLink::Ajax(server, mut heard) = rig.arrival().await.link else {
        panic!("a websocket");
    };
    let call = tokio::spawn({
        let handle = handle.clone();
        async move { handle.call(event("[:a/ask]"), PATIENCE).await }
    });
    let asked = message(&mut heard).await;
    rig.blocks.store(false, Ordering::SeqCst);
    // It has found a way, and waits.
    let _websocket = rig.arrival().await;
    assert!(handle.is_over_ajax());
    server.reply(asked.reply.unwrap(), 42).unwrap();
    let reply = soon(call).await.unwrap().unwrap();
    assert_eq!(reply.to_value().unwrap().as_i64(), Some(42));
    until(&mut events, |told| matches!(told, ClientEvent::Reopened(_))).await;
    assert!(!handle.is_over_ajax());
}

#[tokio::test]
async fn where_nothing_gets_through_websocket_and_ajax_take_turns() {
    let refusing = Admission::default();
    let rig = Rig::new(refusing).await;
    let (handle, mut events) = rig.client(never());
    let mut failed = Vec::new();
    while failed.len() < 4 {
        match soon(events.next()).await.unwrap() {
            ClientEvent::ConnectFailed { .. } => failed.push("websocket"),
            ClientEvent::Closed(_) => failed.push("ajax"),
            _ => {}
        }
    }
    assert_eq!(failed, ["websocket", "ajax", "websocket", "ajax"]);
    handle.disconnect();
}

#[tokio::test]
async fn a_client_polls_and_comes_back_on_another_runtime() {
    let mut rig = Rig::new(open_to_all()).await;
    let smol = Arc::new(AsyncIo::smol());
    let (handle, mut events) = rig.client_on(Some(smol), every(Duration::from_millis(10)));
    until(&mut events, |told| matches!(told, ClientEvent::Opened(_))).await;
    assert!(handle.is_over_ajax());
    let ArrivalLink::Ajax(server, mut heard) = rig.arrival().await.link else {
        panic!("a websocket");
    };
    // More than one read or write takes.
    let large = "x".repeat(300_000);
    let said = Event::new(EventId::new("a/large").unwrap(), large.as_str());
    handle.send(said.clone()).await.unwrap();
    let value = said.to_value().unwrap();
    assert_eq!(message(&mut heard).await.event.to_value().unwrap(), value);
    server.send(said.clone()).await.unwrap();
    until(&mut events, |told| {
        matches!(told, ClientEvent::Link(ConnectionEvent::Message(message))
            if message.event.to_value().unwrap() == value)
    })
    .await;
    rig.blocks.store(false, Ordering::SeqCst);
    until(&mut events, |told| matches!(told, ClientEvent::Reopened(_))).await;
    assert!(!handle.is_over_ajax());
}

#[tokio::test]
async fn a_client_without_a_fallback_does_not_poll() {
    let rig = Rig::new(open_to_all()).await;
    let (handle, mut events) = rig.client(None);
    for _ in 0..3 {
        until(&mut events, |told| {
            matches!(told, ClientEvent::ConnectFailed { .. })
        })
        .await;
    }
    assert!(!handle.is_over_ajax());
}

#[tokio::test]
async fn polling_may_be_one_endpoint_of_many() {
    let mut rig = Rig::new(open_to_all()).await;
    let mut options = ClientOptions::default();
    options.on_offline = OnOffline::buffer();
    options.return_every = Some(Duration::from_millis(10));
    options.backoff.min = Duration::from_millis(1);
    let url: Url = format!("ws://{}/chsk?uid=ada", rig.address)
        .parse()
        .unwrap();
    let connect = || {
        let mut options = ConnectOptions::default();
        options.csrf_token = Some("t0k".to_owned());
        options
    };
    let nobody: Url = "unix:@sente-nobody-is-there".parse().unwrap();
    let endpoints = [
        Endpoint::new(url.clone(), connect()),
        Endpoint::from(nobody),
        Endpoint::long_polling(url.clone(), connect(), Fallback::default()),
    ];
    let (handle, mut events) = keep_connected_to(options, endpoints).unwrap();
    handle.send(event("[:a/say 1]")).await.unwrap();
    until(&mut events, |told| matches!(told, ClientEvent::Opened(_))).await;
    assert!(handle.is_over_ajax());
    assert_eq!(handle.endpoint().name, format!("{url} by long polling"));
    let ArrivalLink::Ajax(_server, mut heard) = rig.arrival().await.link else {
        panic!("a websocket");
    };
    let said = message(&mut heard).await;
    assert_eq!(said.event.to_value().unwrap().to_string(), "[:a/say 1]");
    rig.blocks.store(false, Ordering::SeqCst);
    until(&mut events, |told| matches!(told, ClientEvent::Reopened(_))).await;
    assert!(!handle.is_over_ajax());
    assert_eq!(handle.endpoint().name, url.to_string());
    let ArrivalLink::WebSocket(_server, mut heard) = rig.arrival().await.link else {
        panic!("ajax");
    };
    handle.send(event("[:a/say 2]")).await.unwrap();
    let said = loop {
        if let ConnectionEvent::Message(said) = soon(heard.next()).await.unwrap() {
            break said;
        }
    };
    assert_eq!(said.event.to_value().unwrap().to_string(), "[:a/say 2]");
}
