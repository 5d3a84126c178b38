//! Clients in ClojureScript, in a browser's page (Scittle) and in Node (nbb), against our server.
//! Both run `tests/peers/cljs/scenario.cljs`, in either dialect.
#![allow(missing_docs)]

mod installed;

use std::time::Duration;

use installed::{SOURCES, at, in_a_page, printed_json};
use sente_adapters::{ListenOptions, Listener, Url};
use sente_core::{Accept, ConnectionEvent, Payload};
use sente_edn::Value;
use serde_json::{Value as Json, json};
use tokio::process::Command;
use tokio::sync::mpsc;

/// A server that answers calls by their data and sends events back. At `[:test/restart]` it stops
/// listening, cuts the connection, and listens at the same address again.
async fn serve(mut url: Url, bound: mpsc::Sender<String>) {
    loop {
        let mut listener = Listener::bind(&url, ListenOptions::default())
            .await
            .unwrap();
        url = listener.url().clone();
        let _ = bound.send(url.to_string()).await;
        let (restart, mut restarts) = mpsc::channel::<()>(1);
        loop {
            let incoming = tokio::select! {
                Some(incoming) = listener.accept() => incoming.unwrap(),
                _ = restarts.recv() => break,
            };
            let restart = restart.clone();
            tokio::spawn(async move {
                let (handle, mut events) = incoming.accept(Accept::new("uid-1")).await.unwrap();
                while let Some(event) = events.next().await {
                    let ConnectionEvent::Message(message) = event else {
                        continue;
                    };
                    if message.event.id.as_str() == "test/restart" {
                        restart.send(()).await.unwrap();
                        handle.drain(Duration::from_secs(5));
                        return;
                    }
                    if let Some(token) = message.reply {
                        let data = message.event.data;
                        let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                        handle.reply(token, data).unwrap();
                    } else {
                        handle.send(message.event).await.unwrap();
                    }
                }
            });
        }
        drop(listener);
    }
}

async fn server() -> String {
    let (bound, mut urls) = mpsc::channel(4);
    tokio::spawn(serve("ws://127.0.0.1:0/".parse().unwrap(), bound));
    urls.recv().await.unwrap()
}

/// Where a client of a dialect connects to.
fn address(url: &str, dialect: &str) -> String {
    match dialect {
        "sente" => format!("{url}chsk?client-id=a-client"),
        _ => url.to_owned(),
    }
}

/// What a client must have seen when the scenario is over.
fn wanted() -> Json {
    json!({
        "uid": "uid-1",
        "pushed": true,
        "replied": true,
        "large": 1_000_000,
        "cut": true,
        "uid-again": "uid-1",
        "pushed-again": true,
        "closed": true,
    })
}

#[tokio::test]
async fn a_page_in_scittle_goes_through_a_session_in_both_dialects() {
    let code = std::fs::read_to_string(format!("{SOURCES}/cljs/scenario.cljs")).unwrap();
    for dialect in ["sente", "sente-lite"] {
        let url = address(&server().await, dialect);
        let script = Some("scittle/dist/scittle.js");
        let seen = in_a_page(script, "scittle", &[&code, &url, dialect]).await;
        assert_eq!(seen, wanted(), "{dialect}");
    }
}

#[tokio::test]
async fn a_script_in_nbb_goes_through_a_session_in_both_dialects() {
    let modules = at("SENTE_TEST_NODE_PATH");
    for dialect in ["sente", "sente-lite"] {
        let url = address(&server().await, dialect);
        let mut node = Command::new("node");
        node.env("NODE_PATH", &modules)
            .arg(format!("{modules}/nbb/cli.js"))
            .arg(format!("{SOURCES}/cljs/main_nbb.cljs"))
            .arg(format!("{SOURCES}/cljs/scenario.cljs"))
            .args([&url, dialect]);
        assert_eq!(printed_json(node).await, wanted(), "{dialect}");
    }
}
