//! The server behind HTTP: users with a WebSocket and Ajax at once, and one that closes.
#![allow(missing_docs)]

mod http_support;

use std::time::Duration;

use http_support::{Client, RECEIVED, event, open_to_all, post, serve_any, soon};
use sente_adapters::{ConnectOptions, connect};
use sente_core::admission::GateLimits;
use sente_core::{ConnectionEvent, Target, TransportKind, UserId};
use sente_server::http::{HttpConfig, SenteService};
use sente_server::{Server, ServerConfig};

const POLL: &str = "/chsk?udt=1&client-id=c1&uid=ada";

#[tokio::test]
async fn a_user_is_told_by_websocket_and_by_ajax() {
    let server = Server::builder().admission(open_to_all()).build().unwrap();
    let service = SenteService::new(server.clone(), HttpConfig::new().unwrap());
    let (address, _task) = serve_any(service).await;
    let url = format!("ws://{address}/chsk?client-id=w1&uid=ada");
    let options = ConnectOptions::default();
    let (_handle, mut events) = soon(connect(&url.parse().unwrap(), &options))
        .await
        .unwrap();
    let mut client = Client::connect(address).await;
    let hello = client.get(&format!("{POLL}&handshake%3F=1")).await;
    assert_eq!(hello.text(), "[[:chsk/handshake [\"ada\" nil nil]] nil]");
    // Both are there for the hub.
    while server.connections().len() < 2 {
        tokio::task::yield_now().await;
    }
    let mut transports: Vec<TransportKind> = server
        .connections()
        .iter()
        .map(|connection| connection.transport)
        .collect();
    transports.sort_unstable_by_key(|kind| format!("{kind:?}"));
    assert_eq!(transports, [TransportKind::Ajax, TransportKind::WebSocket]);

    // Ajax opens with the first poll; what is sent before waits for it.
    let to = Target::User(UserId::from("ada"));
    for number in 0..3 {
        server
            .fan_out(&to, &event(&format!("[:a/news {number}]")))
            .unwrap();
    }
    let mut by_ajax = String::new();
    while by_ajax.matches("a/news").count() < 3 {
        by_ajax += client.get(POLL).await.text();
    }
    for number in 0..3 {
        assert!(
            by_ajax.contains(&format!("[:a/news {number}]")),
            "{by_ajax}"
        );
        let message = loop {
            match soon(events.next()).await.unwrap() {
                ConnectionEvent::Message(message) => break message,
                ConnectionEvent::Opened(_) => {}
                told => panic!("{told:?}"),
            }
        };
        let data = message.event.data.unwrap().to_value().unwrap();
        assert_eq!(data.as_i64(), Some(number));
    }
    let mut said = post("[[:a/say 1] nil]");
    *said.uri_mut() = "/chsk?uid=ada".parse().unwrap();
    assert_eq!(client.ask(said).await.told(), (200, RECEIVED));
}

#[tokio::test]
async fn a_server_that_is_full_or_closes_says_so() {
    let mut config = ServerConfig::default();
    config.gate = GateLimits::default();
    config.gate.max_connections = Some(1);
    let server = Server::builder()
        .config(config)
        .admission(open_to_all())
        .build()
        .unwrap();
    let service = SenteService::new(server.clone(), HttpConfig::new().unwrap());
    let (address, _task) = serve_any(service).await;
    let mut client = Client::connect(address).await;
    let target = format!("{POLL}&handshake%3F=1");
    assert_eq!(client.get(&target).await.status, 200);
    let full = client.get("/chsk?client-id=c2&handshake%3F=1").await;
    assert_eq!(full.status, 503);
    // The poll that waits is answered before the server is done.
    let mut poll = tokio::spawn(async move {
        let answer = client.get(POLL).await;
        (client, answer)
    });
    while server.connections().is_empty() {
        tokio::task::yield_now().await;
    }
    soon(server.drain(Duration::from_secs(5))).await;
    let (mut client, answer) = soon(&mut poll).await.unwrap();
    assert!(matches!(answer.status, 410 | 503), "{answer:?}");
    assert_eq!(client.get(&target).await.status, 503);
}
