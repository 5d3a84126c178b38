//! Our server and a page in Chromium, by the browser's own WebSocket.
#![allow(missing_docs)]

mod installed;

use installed::in_a_page;
use sente_adapters::{ListenOptions, Listener};
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer;
use sente_core::{Accept, ConnectionEvent, Payload};
use sente_edn::Value;
use serde_json::json;

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
    let result = in_a_page(None, "sente_edn", &[&format!("{url}chsk")]).await;
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
    let result = in_a_page(None, "large", &[&url, &size.to_string()]).await;
    assert_eq!(
        result,
        json!({ "length": size + "[:test/push \"\"]".len(), "start": "[:test/push \"xxxxxxx" })
    );
}

#[tokio::test]
async fn a_page_and_our_server_compress_where_we_want_to() {
    let plain = DeflateConfig::default();
    let takeover = plain
        .clone()
        .context_takeover(true)
        .peer_context_takeover(true);
    for deflate in [plain, takeover] {
        let mut options = ListenOptions::default();
        options.deflate = Some(deflate);
        let url = echo_server(options).await;
        let result = in_a_page(None, "deflate", &[&url, "90000"]).await;
        let agreed = result["extensions"].as_str().unwrap();
        assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
        assert_eq!(result["echoes"], 2);
    }
}

/// A server that speaks Sente's dialect in this packer.
async fn echo_server_in(packer: &str) -> String {
    let mut options = ListenOptions::default();
    options.packer_by_path = vec![("/chsk".to_owned(), packer::named(packer).unwrap())];
    format!("{}chsk", echo_server(options).await)
}

#[tokio::test]
async fn a_page_talks_message_pack_in_binary_frames() {
    let url = echo_server_in("msgpack").await;
    let package = "@msgpack/msgpack/dist.umd/msgpack.min.js";
    let heard = in_a_page(Some(package), "msgpack", &[&url]).await;
    // The page writes JavaScript's objects, whose keys are strings.
    assert_eq!(
        heard,
        json!([
            "[[:chsk/handshake [\"uid-1\" nil nil]] nil]",
            "[{\"text\" \"grüße 🙂\", \"kinds\" #{:a 1}} \"cb1\"]",
            "[[[:test/push [1 2.5 nil true]]] nil]",
        ])
    );
}

#[tokio::test]
async fn a_page_talks_gzipped_edn_by_compression_streams() {
    let url = echo_server_in("gzip-edn").await;
    let result = in_a_page(None, "gzip_edn", &[&url, "90000"]).await;
    assert_eq!(
        result,
        json!({
            "flags": [0, 0, 1],
            "heard": ["[[:chsk/handshake [\"uid-1\" nil nil]] nil]", "[{:n 1} \"cb1\"]"],
            "echoed": true,
            "smaller": true,
        })
    );
}

#[tokio::test]
async fn a_page_talks_transit_by_transit_js() {
    let url = echo_server_in("transit-json").await;
    let result = in_a_page(Some("transit-js/transit.js"), "transit_json", &[&url]).await;
    assert_eq!(
        result,
        json!({ "handshake": ":chsk/handshake", "reply": true, "push": true })
    );
}

#[tokio::test]
async fn a_page_talks_json_without_any_library() {
    let url = echo_server_in("json").await;
    let heard = in_a_page(None, "json", &[&url]).await;
    assert_eq!(
        heard,
        json!([
            [["chsk/handshake", ["uid-1", null, null]], null],
            [{ "n": 1.5, "text": "grüße 🙂" }, "cb1"],
            [[["test/push", [1, null, true, { "a b": [] }]]], null],
        ])
    );
}
