//! The exchanges and refusals recorded with the real Sente server, asked of ours over a real socket.
#![allow(missing_docs)]

mod ajax_support;
mod http_support;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ajax_support::recorded::{
    admission, assert_all_listed, compare, config, packer, request, steps,
};
use http_body_util::Full;
use http_support::{Answer, Client, PATIENCE, Served, serve_any, soon};
use hyper::body::Incoming;
use sente_adapters::{AjaxEvents, AjaxHandle};
use sente_core::admission::{GateLimits, Request};
use sente_core::{ConnectionEvent, Event, EventId, Limits, Message, SendOptions};
use sente_edn::{Map, Value};
use sente_server::http::{ArrivalLink, Arrivals, Door, HttpConfig, SenteService};
use sente_tests::vectors::{field, load};
use serde_json::Value as Json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_service::Service;

/// Shorter than that of the recorded server, which took its time.
const TIMEOUT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn every_recorded_exchange_is_answered_as_recorded_over_a_socket() {
    let file = load("sente/ajax-all.json");
    let mut by_server: BTreeMap<i64, Vec<&Json>> = BTreeMap::new();
    for row in file.as_array().unwrap() {
        let port = row["server_port"].as_i64().unwrap();
        by_server.entry(port).or_default().push(row);
    }
    let mut replayed = 0;
    let mut differed = Vec::new();
    for (port, rows) in by_server {
        let packer = packer(field(rows[0], "packer").unwrap());
        let mut http = HttpConfig::with_packer(packer.clone(), Limits::default()).unwrap();
        // No window ends by the clock, however slow this is: the last of some pushes ends it.
        let config = config(port, packer.clone(), TIMEOUT).flush_window(Some(PATIENCE));
        http.ajax = Some(config.build().unwrap());
        let (door, arrivals) = Door::new(admission(port), GateLimits::default());
        let application = tokio::spawn(application(arrivals));
        let (service, mut waiting) = Watched::new(SenteService::new(door, http));
        let (address, server) = serve_any(service).await;
        for step in steps(&rows) {
            let mut asked = Vec::new();
            for at in step {
                if !asked.is_empty() {
                    // What was asked first is there first, and waits.
                    soon(waiting.recv()).await.unwrap();
                }
                while waiting.try_recv().is_ok() {}
                let (mut client, request) = (Client::connect(address).await, request(rows[at]));
                let answer = async move { client.ask(hyper_request(&request)).await };
                asked.push((at, tokio::spawn(answer)));
            }
            for (at, answer) in asked {
                let Answer { status, body, .. } = soon(answer).await.unwrap();
                compare(rows[at], &*packer, (status, &body), &mut differed);
                replayed += 1;
            }
        }
        application.abort();
        server.abort();
    }
    assert_eq!(replayed, 87);
    assert_all_listed(differed);
}

type Told = <SenteService<Door> as Service<http::Request<Incoming>>>::Response;

/// An endpoint that tells which requests are not answered at once. One without a body has then come
/// to its session.
#[derive(Clone)]
struct Watched {
    service: SenteService<Door>,
    waiting: UnboundedSender<()>,
}

impl Watched {
    fn new(service: SenteService<Door>) -> (Self, UnboundedReceiver<()>) {
        let (waiting, told) = unbounded_channel();
        (Self { service, waiting }, told)
    }
}

impl Service<http::Request<Incoming>> for Watched {
    type Response = Told;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Told, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<http::Request<Incoming>>::poll_ready(&mut self.service, cx)
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let mut answer = self.service.call(request);
        let mut waiting = Some(self.waiting.clone());
        Box::pin(poll_fn(move |cx| {
            let polled = answer.as_mut().poll(cx);
            if let (Poll::Pending, Some(waiting)) = (&polled, waiting.take()) {
                // The test that hears it may be over.
                let _ = waiting.send(());
            }
            polled
        }))
    }
}

/// As it was recorded, but for what belongs to a socket.
fn hyper_request(recorded: &Request) -> http::Request<Full<bytes::Bytes>> {
    const OF_THE_SOCKET: [&str; 4] = ["connection", "content-length", "host", "accept-encoding"];
    let mut request = http::Request::builder()
        .method(recorded.method())
        .uri(recorded.target());
    for (name, value) in recorded.headers() {
        if !OF_THE_SOCKET.contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    request.body(Full::new(recorded.body().clone())).unwrap()
}

/// What the recorded server's application does, for every session.
async fn application(mut arrivals: Arrivals) {
    while let Some(arrival) = arrivals.next().await {
        let place = arrival.place;
        match arrival.link {
            ArrivalLink::Ajax(handle, events) => {
                tokio::spawn(async move {
                    serve(handle, events).await;
                    drop(place);
                });
            }
            ArrivalLink::WebSocket(..) => panic!("a websocket"),
        }
    }
}

async fn serve(handle: AjaxHandle, mut events: AjaxEvents) {
    while let Some(event) = events.next().await {
        if let ConnectionEvent::Message(message) = event {
            take(&handle, message);
        }
    }
}

fn take(handle: &AjaxHandle, message: Message) {
    let data = message.event.data.as_ref();
    let data = data.map_or(Value::Nil, |data| data.to_value().unwrap());
    match (message.event.id.as_str(), message.reply) {
        ("test/echo", Some(token)) => handle.reply(token, data).unwrap(),
        ("test/multi-reply", Some(token)) => {
            handle
                .reply(token, Value::keyword("first").unwrap())
                .unwrap();
        }
        ("test/push", None) => {
            tokio::spawn(push(handle.clone(), data));
        }
        // Never answered.
        (_, token) => drop(token),
    }
}

async fn push(handle: AjaxHandle, data: Value) {
    let Value::Map(map) = &data else {
        panic!("{data}");
    };
    let of = |name: &str| map.get(&Value::keyword(name).unwrap()).cloned();
    let count = of("n").and_then(|n| n.as_i64()).unwrap();
    // The gaps between them do not matter here: all were recorded within one window.
    for number in 0..count {
        let mut pushed = Map::new();
        pushed.insert(Value::keyword("i").unwrap(), Value::from(number));
        pushed.insert(Value::keyword("data").unwrap(), of("data").unwrap());
        let event = Event::new(EventId::new("test/pushed").unwrap(), Value::Map(pushed));
        let last = SendOptions::new().flush(number + 1 == count);
        handle.send_with(event, last).await.unwrap();
    }
}

#[tokio::test]
async fn every_recorded_refusal_of_an_upgrade_is_ours_over_a_socket() {
    let file = load("sente/ws-raw-server-behaviour.json");
    let rows = file.as_array().unwrap().iter();
    let mut replayed = 0;
    for row in rows.filter(|row| row.get("upgrade_status").is_some()) {
        let description = field(row, "description").unwrap();
        let port = row["server_port"].as_i64().unwrap();
        let served = Served::with(admission(port), |config| config).await;
        let query: Vec<String> = row["query"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().unwrap().bytes();
                let value: String = value.map(|byte| format!("%{byte:02X}")).collect();
                format!("{name}={value}")
            })
            .collect();
        let mut request = http::Request::get(format!("/chsk?{}", query.join("&")))
            .header("upgrade", "websocket")
            .header("connection", "Upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (name, value) in row["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let mut client: Client = served.client().await;
        let answer = client.ask(request.body(Full::default()).unwrap()).await;
        let status = row["upgrade_status"].as_u64().unwrap();
        if status == 500 {
            // The client's mistake is no 500.
            assert_eq!(description, "WS upgrade: no client-id");
            assert_eq!(answer.status, 400);
        } else {
            assert_eq!(u64::from(answer.status), status, "{description}");
        }
        if !matches!(status, 101 | 500) {
            let body = field(row, "upgrade_body").unwrap();
            assert_eq!(answer.text(), body, "{description}");
        }
        replayed += 1;
    }
    assert_eq!(replayed, 8);
}
