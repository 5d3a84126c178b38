//! permessage-deflate against libraries that are not ours: Node's `ws` and Python's `websockets`, each
//! as client and as server.
#![allow(missing_docs)]

mod peer_script;

use std::time::Duration;

use peer_script::{PATIENCE, Script};
use sente_adapters::{ConnectOptions, Events, Handle, ListenOptions, Listener, Url, connect};
use sente_core::framing::websocket::DeflateConfig;
use sente_core::{Accept, ConnectionEvent, Event};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Compresses everything.
fn eager() -> DeflateConfig {
    DeflateConfig::default().threshold(0)
}

fn takeover() -> DeflateConfig {
    eager().context_takeover(true).peer_context_takeover(true)
}

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

/// Messages of all sizes, small ones that resemble each other among them.
fn texts() -> Vec<String> {
    let small = (0..20).map(|n| format!("[:chat/message {{:from \"ada\", :n {n}}}]"));
    let large = format!("[:test/large \"{}\"]", "abc é 🙂 ".repeat(30_000));
    let words: String = (0..10_000).map(|n| format!(" {}", n * n)).collect();
    let mixed = format!("[:test/mixed \"{words}\"]");
    small.chain([large, mixed.clone(), mixed]).collect()
}

async fn next_message(events: &mut Events) -> String {
    loop {
        match timeout(PATIENCE, events.next()).await.unwrap() {
            Some(ConnectionEvent::Message(message)) => {
                return message.event.to_value().unwrap().to_string();
            }
            Some(_) => {}
            None => panic!("ended"),
        }
    }
}

/// A server that sends events back, and the handles of its connections.
async fn echo_server(deflate: DeflateConfig) -> (String, mpsc::UnboundedReceiver<Handle>) {
    let at = "ws://127.0.0.1:0/".parse().unwrap();
    let mut options = ListenOptions::default();
    options.deflate = Some(deflate);
    let mut listener = Listener::bind(&at, options).await.unwrap();
    let url = listener.url().to_string();
    let (handles, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            let (handle, mut events) = incoming.accept(Accept::new("uid-1")).await.unwrap();
            handles.send(handle.clone()).unwrap();
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    if let ConnectionEvent::Message(message) = event {
                        handle.send(message.event).await.unwrap();
                    }
                }
            });
        }
    });
    (url, received)
}

/// Our bytes on the wire, up and down, for the messages both ways.
async fn echo_all(client: &mut Script, handle: &Handle) -> (u64, u64) {
    let mut length = 0;
    for text in texts() {
        length += text.len() as u64;
        client.say(&text).await;
        assert_eq!(client.hear().await, text);
    }
    let stats = handle.stats();
    assert!(stats.bytes_received < length / 4, "{stats:?} of {length}");
    assert!(stats.bytes_sent < length / 4, "{stats:?} of {length}");
    (stats.bytes_received, stats.bytes_sent)
}

#[tokio::test]
async fn nodes_client_talks_to_our_server_on_all_terms() {
    let mut sizes = Vec::new();
    for (config, options, agreed) in [
        (takeover(), r#"{"threshold":0}"#, "permessage-deflate"),
        (
            eager(),
            r#"{"threshold":0}"#,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            takeover(),
            r#"{"threshold":0,"serverNoContextTakeover":true,"clientNoContextTakeover":true}"#,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            takeover().peer_window_bits(10),
            r#"{"threshold":0,"serverMaxWindowBits":9,"clientMaxWindowBits":12}"#,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
    ] {
        let (url, mut handles) = echo_server(config).await;
        let mut client = Script::start("ws_client", "mjs", &[&url, "--deflate", options]);
        assert_eq!(client.hear().await, format!("#extensions {agreed}"));
        assert_eq!(client.hear().await, "#open");
        assert_eq!(
            client.hear().await,
            "[:chsk/handshake [\"uid-1\" nil nil true]]"
        );
        let handle = handles.recv().await.unwrap();
        sizes.push(echo_all(&mut client, &handle).await);
        client.say("#ping x").await;
        assert_eq!(client.hear().await, "#pong x");
        client.say("#close 1000").await;
        assert!(client.hear().await.starts_with("#close 1000"));
    }
    // What was sent before helps, where it is kept.
    assert!(
        sizes[0].0 < sizes[1].0 && sizes[0].1 < sizes[1].1,
        "{sizes:?}"
    );
}

#[tokio::test]
async fn our_client_talks_to_nodes_server_on_all_terms() {
    for (config, options, agreed) in [
        (takeover(), r#"{"threshold":0}"#, "permessage-deflate"),
        (
            eager(),
            r#"{"threshold":0}"#,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            takeover(),
            r#"{"threshold":0,"serverNoContextTakeover":true,"clientNoContextTakeover":true}"#,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            takeover().peer_window_bits(10),
            r#"{"threshold":0,"clientMaxWindowBits":9}"#,
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
        ),
    ] {
        let mut server = Script::start("ws_server", "mjs", &["--deflate", options]);
        let line = server.hear().await;
        let url: Url = line.strip_prefix("listening ").unwrap().parse().unwrap();
        let mut client = ConnectOptions::default();
        client.deflate = Some(config);
        let (handle, mut events) = connect(&url, &client).await.unwrap();
        assert!(server.hear().await.starts_with("#open /"));
        assert_eq!(server.hear().await, format!("#extensions {agreed}"));
        let mut length = 0;
        for text in texts() {
            length += text.len() as u64;
            handle.send(event(&text)).await.unwrap();
            assert_eq!(server.hear().await, text);
            let echo = next_message(&mut events).await;
            let value = sente_edn::from_str(&echo).unwrap();
            let sent = sente_edn::from_str(&text).unwrap();
            let data = &sent.as_sequence().unwrap()[1];
            assert!(echo.contains(&data.to_string()), "{value}");
        }
        let stats = handle.stats();
        assert!(stats.bytes_sent < length / 4, "{stats:?} of {length}");
        assert!(stats.bytes_received < length / 4, "{stats:?} of {length}");
        handle.drain(Duration::from_secs(5));
        assert!(server.hear().await.starts_with("#close 1000"));
    }
}

#[tokio::test]
async fn pythons_client_and_server_talk_to_ours() {
    for config in [takeover(), eager()] {
        let (url, mut handles) = echo_server(config.clone()).await;
        let mut client = Script::start("ws_client", "py", &[&url]);
        assert_eq!(client.hear().await, "#open");
        assert!(client.hear().await.starts_with("[:chsk/handshake"));
        let handle = handles.recv().await.unwrap();
        echo_all(&mut client, &handle).await;
        client.say("#close 1000").await;
        assert!(client.hear().await.starts_with("#close 1000"));

        let mut server = Script::start("ws_server", "py", &[]);
        let line = server.hear().await;
        let url: Url = line.strip_prefix("listening ").unwrap().parse().unwrap();
        let mut client = ConnectOptions::default();
        client.deflate = Some(config);
        let (handle, mut events) = connect(&url, &client).await.unwrap();
        assert!(server.hear().await.starts_with("#open /"));
        let mut length = 0;
        for text in texts() {
            length += text.len() as u64;
            handle.send(event(&text)).await.unwrap();
            assert_eq!(server.hear().await, text);
            assert!(
                next_message(&mut events)
                    .await
                    .starts_with("[:sente-lite/echo")
            );
        }
        let stats = handle.stats();
        assert!(stats.bytes_sent < length / 4, "{stats:?} of {length}");
        assert!(stats.bytes_received < length / 4, "{stats:?} of {length}");
        handle.close();
    }
}

#[tokio::test]
async fn a_bomb_from_node_closes_the_connection_with_1009() {
    let (url, mut handles) = echo_server(eager()).await;
    let options = r#"{"threshold":0}"#;
    let mut client = Script::start("ws_client", "mjs", &[&url, "--deflate", options]);
    assert!(
        client
            .hear()
            .await
            .starts_with("#extensions permessage-deflate")
    );
    assert_eq!(client.hear().await, "#open");
    assert!(client.hear().await.starts_with("[:chsk/handshake"));
    let handle = handles.recv().await.unwrap();
    client
        .say(&format!("[:test/bomb \"{}\"]", "x".repeat(8 << 20)))
        .await;
    let closed = client.hear().await;
    assert!(closed.starts_with("#close 1009"), "{closed}");
    let stats = handle.stats();
    assert!(stats.bytes_received < 100_000, "{stats:?}");
    assert_eq!(stats.events_received, 0);
}

#[tokio::test]
async fn two_of_ours_agree_through_the_adapters_and_a_client_that_comes_back_does_so_again() {
    use sente_adapters::{ClientOptions, keep_connected};
    use sente_core::ClientEvent;

    let (url, mut handles) = echo_server(takeover()).await;
    let url: Url = url.parse().unwrap();
    let (client, mut events) = keep_connected(ClientOptions::default(), move |_| {
        let url = url.clone();
        async move {
            let mut options = ConnectOptions::default();
            options.deflate = Some(takeover());
            Ok((url, options))
        }
    })
    .unwrap();
    let text = "[:chat/message {:from \"ada\", :text \"hello there, it is me again\"}]";
    for _ in 0..2 {
        let server = handles.recv().await.unwrap();
        loop {
            match timeout(PATIENCE, events.next()).await.unwrap().unwrap() {
                ClientEvent::Opened(_) | ClientEvent::Reopened(_) => break,
                _ => {}
            }
        }
        let before = server.stats().bytes_received;
        for _ in 0..20 {
            client.send(event(text)).await.unwrap();
        }
        let mut heard = 0;
        while heard < 20 {
            let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
            if let ClientEvent::Link(ConnectionEvent::Message(message)) = event {
                assert_eq!(message.event.to_value().unwrap().to_string(), text);
                heard += 1;
            }
        }
        let wire = server.stats().bytes_received - before;
        assert!(wire < 20 * 30, "{wire}");
        server.kill();
    }
}
