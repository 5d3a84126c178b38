//! WebSockets by upgrade in an HTTP server: the connection, what it is refused for, and axum.
#![allow(missing_docs)]

mod http_support;

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use http_body_util::Full;
use http_support::{PATIENCE, Served, event, open_to_all, serve_any, soon};
use sente_adapters::{ConnectError, ConnectOptions, Events, Handle, Url, connect};
use sente_core::admission::{Admission, CsrfCheck, CsrfToken, GateLimits, Refusal};
use sente_core::framing::websocket::DeflateConfig;
use sente_core::{Carrier, CloseReason, ConnectionConfig, ConnectionEvent, Dialect, Role, State};
use sente_server::http::{ArrivalLink, Door, HttpConfig, SenteService, router, serve_stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn url(address: SocketAddr, target: &str) -> Url {
    format!("ws://{address}{target}").parse().unwrap()
}

async fn connected(address: SocketAddr) -> (Handle, Events) {
    let url = url(address, "/chsk?client-id=c1&uid=ada");
    soon(connect(&url, &ConnectOptions::default()))
        .await
        .unwrap()
}

async fn message(events: &mut Events) -> sente_core::Message {
    loop {
        match soon(events.next()).await.expect("it is over") {
            ConnectionEvent::Message(message) => return message,
            ConnectionEvent::Opened(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Events both ways, and a call.
async fn talks(client: &(Handle, Events), server: &mut Events) {
    client.0.send(event("[:a/say 1]")).await.unwrap();
    assert_eq!(message(server).await.event.id.as_str(), "a/say");
    let call = client.0.call(event("[:a/ask 20]"), PATIENCE);
    let answer = async {
        let asked = message(server).await;
        server.handle().reply(asked.reply.unwrap(), 42).unwrap();
    };
    let (reply, ()) = tokio::join!(call, answer);
    assert_eq!(reply.unwrap().to_value().unwrap().as_i64(), Some(42));
}

#[tokio::test]
async fn an_upgrade_becomes_a_connection_of_the_application() {
    let mut served = Served::new().await;
    let mut client = connected(served.address).await;
    let arrival = served.arrival().await;
    assert_eq!(arrival.admitted.client_id.as_deref(), Some("c1"));
    let ArrivalLink::WebSocket(handle, mut events) = arrival.link else {
        panic!("ajax");
    };
    assert_eq!(handle.peer(), "ws://127.0.0.1");
    assert_eq!(
        (handle.id(), handle.dialect()),
        (arrival.id, Dialect::Sente)
    );
    talks(&client, &mut events).await;
    handle.send(event("[:a/news 1]")).await.unwrap();
    assert_eq!(message(&mut client.1).await.event.id.as_str(), "a/news");
    assert_eq!(served.service.host().connections(), 1);

    client.0.drain(Duration::from_secs(5));
    let end = soon(handle.ended()).await;
    assert!(
        matches!(
            end.reason,
            CloseReason::PeerClosed {
                code: Some(1000),
                ..
            }
        ),
        "{end:?}"
    );
    drop(arrival.place);
    assert_eq!(served.service.host().connections(), 0);
}

#[tokio::test]
async fn a_client_learns_why_its_upgrade_was_refused() {
    let admission =
        Admission::new(CsrfCheck::token(CsrfToken::new("t0k").unwrap())).reject(|request| {
            request
                .has_param("bad")
                .then(|| Refusal::new(429, "slow down"))
        });
    let served = Served::with(admission, |config| config).await;
    for (target, status, text) in [
        ("/chsk?client-id=c1", 403, "Bad CSRF token"),
        ("/chsk?client-id=c1&bad=1", 429, "slow down"),
        ("/chsk?client-id=%20&csrf-token=t0k", 400, "client-id"),
    ] {
        let url = url(served.address, target);
        let mut options = ConnectOptions::default();
        options.dialect = Some(Dialect::Sente);
        let error = soon(connect(&url, &options)).await.unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains(&status.to_string()) && told.contains(text),
            "{target}: {told}"
        );
        assert!(matches!(error, ConnectError::Upgrade(_)), "{error:?}");
    }
    assert_eq!(served.service.host().connections(), 0);
}

#[tokio::test]
async fn what_asks_wrongly_for_an_upgrade_is_told_what_is_missing() {
    let served = Served::new().await;
    let ask = |version: &str, key: Option<&str>| {
        let mut request = Request::get("/chsk?client-id=c1")
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-version", version);
        if let Some(key) = key {
            request = request.header("sec-websocket-key", key);
        }
        request.body(Full::default()).unwrap()
    };
    let mut client = served.client().await;
    let answer = client.ask(ask("8", Some("dGhlIHNhbXBsZSBub25jZQ=="))).await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    let answer = served.client().await.ask(ask("13", None)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(served.service.host().connections(), 0);
}

#[tokio::test]
async fn an_endpoint_without_ajax_takes_only_upgrades() {
    let mut served = Served::with(open_to_all().client_id_optional(), |mut config| {
        config.ajax = None;
        let lite = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::WebSocket);
        config.websocket = Some(lite.build().unwrap());
        config
    })
    .await;
    let mut client = served.client().await;
    assert_eq!(client.get("/").await.status, 426);
    assert_eq!(client.post("[[:a/b] nil]").await.status, 405);
    let client = soon(connect(
        &url(served.address, "/"),
        &ConnectOptions::default(),
    ))
    .await
    .unwrap();
    let (handle, mut events, _place) = served.websocket().await;
    assert_eq!(handle.dialect(), Dialect::SenteLite);
    client.0.send(event("[:a/say 1]")).await.unwrap();
    assert_eq!(message(&mut events).await.event.id.as_str(), "a/say");
}

#[tokio::test]
async fn compression_is_agreed_on_where_both_want_it() {
    let mut served = Served::with(open_to_all(), |mut config| {
        let websocket = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
            .deflate(Some(DeflateConfig::default()));
        config.websocket = Some(websocket.build().unwrap());
        config
    })
    .await;
    let mut options = ConnectOptions::default();
    options.deflate = Some(DeflateConfig::default());
    let url = url(served.address, "/chsk?client-id=c1");
    let client = soon(connect(&url, &options)).await.unwrap();
    let (handle, mut events, _place) = served.websocket().await;
    let text = "compress me ".repeat(1000);
    let large = format!("[:a/large \"{text}\"]");
    client.0.send(event(&large)).await.unwrap();
    assert_eq!(message(&mut events).await.event.id.as_str(), "a/large");
    assert!(handle.stats().bytes_received < 1000, "{:?}", handle.stats());
}

#[tokio::test]
async fn bytes_behind_the_request_are_not_lost() {
    let mut served = Served::new().await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    let mut sent = b"GET /chsk?client-id=c1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    let message_bytes = b"[[:a/b] nil]";
    // One masked frame of text, with a mask of zeros.
    sent.extend_from_slice(&[
        0x81,
        0x80 | u8::try_from(message_bytes.len()).unwrap(),
        0,
        0,
        0,
        0,
    ]);
    sent.extend_from_slice(message_bytes);
    socket.write_all(&sent).await.unwrap();
    let (_handle, mut events, _place) = served.websocket().await;
    assert_eq!(message(&mut events).await.event.id.as_str(), "a/b");
    let mut answer = [0; 32];
    soon(socket.read_exact(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 Switching Protocols"));
}

#[tokio::test]
async fn a_router_of_axum_serves_the_endpoint_among_others() {
    let (door, mut arrivals) = Door::new(open_to_all(), GateLimits::default());
    let service = SenteService::new(door, HttpConfig::new().unwrap());
    let app = axum::Router::new()
        .route("/hello", axum::routing::get(async || "hello"))
        .merge(router("/chsk", service));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let with_addresses = app
        .clone()
        .into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(axum::serve(listener, with_addresses).into_future());
    let (ours, ours_task) = serve_any(app).await;
    for address in [address, ours] {
        let mut plain = http_support::Client::connect(address).await;
        assert_eq!(plain.get("/hello").await.told(), (200, "hello"));
        assert_eq!(plain.get("/else").await.status, 404);
        let client = connected(address).await;
        let arrival = soon(arrivals.next()).await.unwrap();
        assert_eq!(arrival.admitted.request.remote(), Some("127.0.0.1"));
        let ArrivalLink::WebSocket(_handle, mut events) = arrival.link else {
            panic!("ajax");
        };
        talks(&client, &mut events).await;
        // Ajax has the same session over either server.
        let answer = plain.get(http_support::HANDSHAKE).await;
        assert_eq!(answer.status, 200);
        if address == ours {
            continue;
        }
        assert!(matches!(
            soon(arrivals.next()).await.unwrap().link,
            ArrivalLink::Ajax(..)
        ));
    }
    task.abort();
    ours_task.abort();
}

#[tokio::test]
async fn any_stream_can_be_served() {
    let (door, mut arrivals) = Door::new(open_to_all(), GateLimits::default());
    let service = SenteService::new(door, HttpConfig::new().unwrap());
    let (ours, theirs) = tokio::io::duplex(4096);
    let task = tokio::spawn(async move {
        let options = sente_server::http::ServeOptions::default();
        serve_stream(ours, Some("192.0.2.7".into()), service, &options).await;
    });
    let (mut reader, mut writer) = tokio::io::split(theirs);
    writer
        .write_all(
            b"GET /chsk?client-id=c1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await
        .unwrap();
    let arrival = soon(arrivals.next()).await.unwrap();
    assert_eq!(arrival.admitted.request.remote(), Some("192.0.2.7"));
    let ArrivalLink::WebSocket(handle, _events) = arrival.link else {
        panic!("ajax");
    };
    // The socket is the connection's; the server is done with it.
    soon(task).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"nil nil]] nil]") {
        head.push(soon(reader.read_u8()).await.unwrap());
    }
    while handle.state() != State::Open {
        tokio::task::yield_now().await;
    }
}
