//! WebSockets that come through an HTTP server are recorded, and replay exactly.
#![cfg(feature = "http")]
#![allow(missing_docs)]

use std::fs;
use std::time::Duration;

use sente_adapters::{ConnectOptions, Recordings, Router, connect};
use sente_core::Event;
use sente_core::edn;
use sente_core::record::Replay;
use sente_server::Server;
use sente_server::http::{HttpConfig, SenteService, ServeOptions, serve};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_websocket_behind_hyper_replays_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let record = Recordings::in_directory(folder.path()).unwrap();
    let router = Router::new()
        .on("test/twice", async |number: sente_adapters::Data<i64>| {
            number.0 * 2
        })
        .unwrap();
    let server = Server::builder()
        .let_everybody_in()
        .router(router)
        .build()
        .unwrap();
    let mut config = HttpConfig::new().unwrap();
    config.record = Some(record.clone());
    let service = SenteService::new(server.clone(), config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        service,
        ServeOptions::default(),
        std::future::pending(),
    ));

    let url = format!("ws://{address}/chsk?client-id=c1").parse().unwrap();
    let (handle, mut events) = connect(&url, &ConnectOptions::default()).await.unwrap();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    for number in 1..=3 {
        let asked = Event::from_value(edn::from_str(&format!("[:test/twice {number}]")).unwrap());
        let reply = handle.call(asked.unwrap(), PATIENCE).await.unwrap();
        assert_eq!(reply.to_value().unwrap().as_i64(), Some(number * 2));
    }
    handle.drain(PATIENCE);
    handle.ended().await;
    server.drain(PATIENCE).await;

    assert_eq!((record.begun(), record.skipped(), record.lost()), (1, 0, 0));
    let mut files = fs::read_dir(folder.path()).unwrap();
    let file = files.next().unwrap().unwrap().path();
    let recording = fs::read_to_string(file).unwrap();
    let mut lines = recording.lines();
    let mut replay = Replay::new(lines.next().unwrap()).unwrap();
    let mut written = Vec::new();
    for line in lines {
        written.extend(replay.step(line).unwrap().written.unwrap_or_default());
    }
    let written = String::from_utf8_lossy(&written);
    for reply in ["[2 ", "[4 ", "[6 "] {
        assert!(written.contains(reply), "{reply} in {written}");
    }
}
