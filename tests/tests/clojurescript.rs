//! Clients in ClojureScript, in a browser's page (Scittle) and in Node (nbb), against our server.
//! Both run `tests/peers/cljs/scenario.cljs`, in either dialect.
#![allow(missing_docs)]

mod echo_server;
mod installed;

use echo_server::address;
use installed::{SOURCES, at, in_a_page, printed_json};
use sente_adapters::ListenOptions;
use serde_json::{Value as Json, json};
use tokio::process::Command;

async fn server() -> String {
    echo_server::start(ListenOptions::default()).await
}

/// What a client must have seen when the scenario is over.
fn wanted() -> Json {
    json!({
        "uid": "uid-1",
        "pushed": true,
        "replied": true,
        "large": 1_000_000,
        "subscribed": true,
        "published": true,
        "from": true,
        "unsubscribed": true,
        "left": true,
        "cut": true,
        "uid-again": "uid-1",
        "pushed-again": true,
        "subscribed-again": true,
        "large-published": 1_000_000,
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
