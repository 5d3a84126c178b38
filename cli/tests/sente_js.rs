//! `sente.js` talks to `sente serve`, and the inspector that `serve` has on request.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value as Json, json};
use support::{Live, root, run};

/// What `sente.js` sees of the server at this URL, in Node with the packages that
/// `cargo xtask test` installs.
fn seen(url: &str, token: &[&str]) -> Json {
    let modules = std::env::var("SENTE_TEST_NODE_PATH").expect("cargo xtask test sets it");
    let root = root().canonicalize().unwrap();
    let module = root.join("adapters/server/assets/sente.js");
    let peers = root.join("tests/peers/sente_js");
    let output = Command::new("node")
        .env("SENTE_TEST_NODE_PATH", modules)
        .args([peers.join("live.mjs"), peers.join("serve.js")])
        .arg(format!("file://{}", module.display()))
        .arg(url)
        .args(token)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn wanted() -> Json {
    json!({
        "reply": true,
        "large": 900_000,
        "echo": "test/unknown",
        "data": true,
        "published": true,
        "problems": [],
    })
}

#[test]
fn sente_js_talks_to_it_in_both_dialects() {
    let live = Live::start(&["--ws", "127.0.0.1:0"]);
    assert_eq!(
        seen(&live.url(), &[]),
        json!({"sente": wanted(), "sente-lite": wanted()})
    );
}

/// The answer to a request for this path.
fn get(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("ws://").split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_inspector_is_there_for_those_who_show_the_token() {
    let token = ["--auth-token", "swordfish"];
    let flags = ["--ws", "127.0.0.1:0", "--inspector"];
    let live = Live::start(&[&flags[..], &token[..]].concat());
    let url = live.url();
    let page = get(&url, "/inspector/");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains(r#"name="sente-endpoint" content="/chsk""#));
    assert!(page.contains(r#"name="sente-csrf-tokens" content="/csrf-token""#));
    assert!(page.contains(r#"name="sente-token-parameter" content="auth-token""#));
    assert!(get(&url, "/inspector").starts_with("HTTP/1.1 308"));
    assert!(get(&url, "/inspector/sente.js").starts_with("HTTP/1.1 200"));
    let seen = seen(&url, &["swordfish"]);
    for dialect in ["sente", "sente-lite"] {
        let seen = &seen[dialect];
        assert_eq!(
            seen["terms"],
            json!(["can-send", "every-ms", "version"]),
            "{dialect}"
        );
        assert!(seen["connections"].as_u64().unwrap() >= 1, "{dialect}");
        assert_eq!(seen["first"], "joined", "{dialect}");
    }
}

#[test]
fn the_page_of_the_inspector_asks_for_the_token_and_takes_it_from_its_address() {
    let live = Live::start(&[
        "--ws",
        "127.0.0.1:0",
        "--inspector=/look/inside",
        "--auth-token",
        "sword fish&1",
    ]);
    let url = live.url().replace("ws://", "http://");
    let output = Command::new("node")
        .arg(root().join("tests/peers/inspector_token.mjs"))
        .args([&format!("{url}look/inside"), "sword fish&1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        seen,
        json!({
            "at": "/look/inside/",
            "without": [true, true],
            "typed": "1",
            "given": "1",
            "address": "/look/inside/",
        })
    );
}

#[test]
fn the_inspector_is_off_until_it_is_asked_for_and_asks_for_a_token() {
    let live = Live::start(&["--ws", "127.0.0.1:0"]);
    assert!(!get(&live.url(), "/inspector/").starts_with("HTTP/1.1 200"));
    let ran = run(&["serve", "--ws", "127.0.0.1:0", "--inspector"], b"");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("auth-token-file"), "{}", ran.err);
}
