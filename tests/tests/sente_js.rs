//! `sente.js`, the client for browsers and Node: its own tests, and sessions with our server in Node
//! and in a browser's page.
#![allow(missing_docs)]

mod echo_server;
mod installed;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use echo_server::address;
use installed::{SOURCES, at, in_a_page, printed_json};
use sente_adapters::ListenOptions;
use sente_core::packer;
use serde_json::{Value as Json, json};
use tokio::process::Command;

/// The module, as something that can be imported where there are no files.
fn module() -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../adapters/server/assets/sente.js"
    );
    let source = std::fs::read(path).unwrap();
    format!("data:text/javascript;base64,{}", STANDARD.encode(source))
}

/// Runs one file of `tests/peers/sente_js` by Node's own runner of tests.
async fn node_test(file: &str) {
    let mut node = Command::new("node");
    node.arg("--test").arg(format!("{SOURCES}/sente_js/{file}"));
    let output = node.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("# fail 0"), "{said}");
    assert!(!said.contains("# pass 0"), "{said}");
}

#[tokio::test]
async fn its_edn_is_clojures() {
    node_test("edn.test.mjs").await;
}

#[tokio::test]
async fn its_client_does_what_it_says() {
    node_test("client.test.mjs").await;
}

/// Where the session takes place: the dialect and the packer.
const SESSIONS: [(&str, &str); 3] = [("sente", "edn"), ("sente", "json"), ("sente-lite", "edn")];

async fn server(packer: &str) -> String {
    let mut options = ListenOptions::default();
    options.packer = Some(packer::named(packer).unwrap());
    echo_server::start(options).await
}

/// What must have been seen when the session is over.
fn wanted() -> Json {
    json!({
        "uid": "uid-1",
        "pushed": true,
        "replied": true,
        "none": null,
        "large": 1_000_000,
        "cut": true,
        "again": true,
        "published": true,
        "publishedAgain": true,
        "heard": 2,
        "phase": "closed",
        "problems": [],
    })
}

#[tokio::test]
async fn a_script_in_node_goes_through_a_session() {
    let modules = at("SENTE_TEST_NODE_PATH");
    for (dialect, packer) in SESSIONS {
        let url = address(&server(packer).await, dialect);
        let mut node = Command::new("node");
        node.env("SENTE_TEST_NODE_PATH", &modules)
            .arg(format!("{SOURCES}/sente_js/live.mjs"))
            .arg(format!("{SOURCES}/pages/sente_js.js"))
            .args([&module(), &url, dialect, packer]);
        assert_eq!(printed_json(node).await, wanted(), "{dialect} {packer}");
    }
}

#[tokio::test]
async fn a_page_goes_through_a_session() {
    for (dialect, packer) in SESSIONS {
        let url = address(&server(packer).await, dialect);
        let seen = in_a_page(None, "sente_js", &[&module(), &url, dialect, packer]).await;
        assert_eq!(seen, wanted(), "{dialect} {packer}");
    }
}
