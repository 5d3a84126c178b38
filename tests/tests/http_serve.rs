//! The small HTTP server: its end, and clients that keep it waiting.
#![allow(missing_docs)]

mod http_support;

use std::time::Duration;

use http_support::{Client, HANDSHAKE, POLL, open_to_all, soon};
use sente_adapters::{ConnectOptions, connect};
use sente_core::State;
use sente_core::admission::GateLimits;
use sente_server::http::{ArrivalLink, Door, HttpConfig, SenteService, ServeOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

#[tokio::test]
async fn a_stop_lets_requests_end_and_keeps_websockets() {
    let (door, mut arrivals) = Door::new(open_to_all(), GateLimits::default());
    let service = SenteService::new(door, HttpConfig::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, service, ServeOptions::default(), async {
        let _ = stopped.await;
    }));
    let url = format!("ws://{address}/chsk?client-id=w1").parse().unwrap();
    let options = ConnectOptions::default();
    let websocket = soon(connect(&url, &options)).await.unwrap();
    let ArrivalLink::WebSocket(of_server, _events) = soon(arrivals.next()).await.unwrap().link
    else {
        panic!("ajax");
    };
    let mut client = Client::connect(address).await;
    assert_eq!(client.get(HANDSHAKE).await.status, 200);
    let ArrivalLink::Ajax(handle, _events) = soon(arrivals.next()).await.unwrap().link else {
        panic!("a websocket");
    };
    let poll = tokio::spawn(async move { client.get(POLL).await });
    while handle.state() != State::Open {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.is_finished());
    handle.try_send(http_support::event("[:a/last]")).unwrap();
    assert_eq!(soon(poll).await.unwrap().text(), "[[[:a/last]] nil]");
    soon(server).await.unwrap();
    let news = http_support::event("[:a/news]");
    of_server.send(news).await.unwrap();
    soon(of_server.flush()).await.unwrap();
    assert_eq!(websocket.0.state(), State::Open);
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut() {
    let (door, _arrivals) = Door::new(open_to_all(), GateLimits::default());
    let service = SenteService::new(door, HttpConfig::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut options = ServeOptions::default();
    options.shutdown_timeout = Duration::from_millis(20);
    let server = tokio::spawn(serve(listener, service, options, async {
        let _ = stopped.await;
    }));
    let mut client = Client::connect(address).await;
    assert_eq!(client.get(HANDSHAKE).await.status, 200);
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket
        .write_all(b"POST /chsk?client-id=c1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        .await
        .unwrap();
    stop.send(()).unwrap();
    soon(server).await.unwrap();
    let mut rest = Vec::new();
    // The end, or a reset.
    let _ = soon(socket.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (door, _arrivals) = Door::new(open_to_all(), GateLimits::default());
    let service = SenteService::new(door, HttpConfig::new().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut options = ServeOptions::default();
    options.header_timeout = Duration::from_millis(20);
    let server = serve(listener, service, options, std::future::pending());
    let server = tokio::spawn(server);
    for begun in [&b"GET /chsk HTTP/1.1\r\nHost:"[..], b""] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        soon(socket.read_to_end(&mut rest)).await.unwrap();
    }
    server.abort();
}
