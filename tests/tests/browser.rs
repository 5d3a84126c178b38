//! Our server and a page in Chromium, by the browser's own WebSocket.
#![allow(missing_docs)]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sente_adapters::{ListenOptions, Listener};
use sente_core::{Accept, ConnectionEvent, Payload};
use sente_edn::Value;
use serde_json::{Value as Json, json};
use tokio::process::Command;
use tokio::time::timeout;

/// Starting a browser takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the function in `tests/peers/pages/NAME.js` in a page and gives back what it returned.
async fn in_a_page(name: &str, arguments: &[&str]) -> Json {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
    for (variable, what) in [
        ("SENTE_TEST_CHROMIUM", "the browser"),
        ("SENTE_TEST_NODE_PATH", "the packages of the test peers"),
    ] {
        let at = std::env::var(variable).unwrap_or_default();
        assert!(
            Path::new(&at).exists(),
            "{what}: not at {at:?}, which {variable} names; `cargo xtask test --only peers \
             --only browser` installs both, `cargo xtask test --only test` says where"
        );
    }
    let child = Command::new("node")
        .arg(format!("{folder}/browser.mjs"))
        .arg(format!("{folder}/pages/{name}.js"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("the page is done in time")
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{name}: {printed:?} {errors}"))
}

/// A server that answers calls by their data and sends events back.
async fn echo_server(options: ListenOptions) -> String {
    let at = "ws://127.0.0.1:0/".parse().unwrap();
    let mut listener = Listener::bind(&at, options).await.unwrap();
    let url = listener.url().to_string();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            tokio::spawn(async move {
                let (handle, mut events) = incoming.accept(Accept::new("uid-1")).await.unwrap();
                while let Some(event) = events.next().await {
                    let ConnectionEvent::Message(message) = event else {
                        continue;
                    };
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
    });
    url
}

#[tokio::test]
async fn a_page_calls_our_server_and_hears_its_events_in_sentes_dialect() {
    let url = echo_server(ListenOptions::default()).await;
    let result = in_a_page("sente_edn", &[&format!("{url}chsk")]).await;
    let heard = [
        "[[:chsk/handshake [\"uid-1\" nil nil]] nil]",
        "[{:n 1, :text \"grüße 🙂\"} \"cb1\"]",
        "[[[:test/push [1 2 3]]] nil]",
    ];
    assert_eq!(
        result,
        json!({ "heard": heard, "code": 1000, "clean": true })
    );
}

#[tokio::test]
async fn a_page_gets_back_a_message_of_nearly_a_megabyte() {
    let url = echo_server(ListenOptions::default()).await;
    let size = 1_000_000;
    let result = in_a_page("large", &[&url, &size.to_string()]).await;
    assert_eq!(
        result,
        json!({ "length": size + "[:test/push \"\"]".len(), "start": "[:test/push \"xxxxxxx" })
    );
}
