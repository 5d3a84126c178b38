//! Our WebSocket against libraries that are not ours: Python's `websockets` and Node's `ws`, each
//! as client and as server, in both dialects.
#![allow(missing_docs)]

mod peer_script;

use std::time::Duration;

use peer_script::{PATIENCE, Script};
use sente_adapters::{Address, ConnectOptions, Events, ListenOptions, Listener, Url, connect};
use sente_core::{Accept, ConnectionEvent, Dialect, Event, Payload};
use sente_edn::Value;
use tokio::time::timeout;

/// The peers' languages.
const LANGUAGES: [&str; 2] = ["py", "mjs"];

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
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

#[tokio::test]
async fn our_client_talks_to_foreign_servers_in_sente_lites_dialect() {
    for language in LANGUAGES {
        let mut server = Script::start("ws_server", language, &[]);
        let line = server.hear().await;
        let url: Url = line.strip_prefix("listening ").unwrap().parse().unwrap();
        let (handle, mut events) = connect(&url, &ConnectOptions::default()).await.unwrap();
        assert_eq!(handle.dialect(), Dialect::SenteLite);
        assert!(
            server.hear_frame().await.starts_with("#open /"),
            "{language}"
        );
        handle.send(event("[:test/hi {:a \"é\"}]")).await.unwrap();
        assert_eq!(
            server.hear_frame().await,
            "[:test/hi {:a \"é\"}]",
            "{language}"
        );
        let echo = next_message(&mut events).await;
        assert!(
            echo.starts_with(
                "[:sente-lite/echo {:original-event-id :test/hi, :original-data {:a \"é\"}"
            ),
            "{language}: {echo}"
        );
        server.say("[:srv/news 1]").await;
        assert_eq!(
            next_message(&mut events).await,
            "[:srv/news 1]",
            "{language}"
        );
        // A large message, and a ping of the protocol's own.
        let large = format!("[:test/large \"{}\"]", "x".repeat(300_000));
        handle.send(event(&large)).await.unwrap();
        assert_eq!(server.hear_frame().await, large, "{language}");
        server.say("#ping are you there").await;
        assert_eq!(
            server.hear_frame().await,
            "#pong are you there",
            "{language}"
        );
        handle.drain(Duration::from_secs(5));
        assert!(
            server.hear_frame().await.starts_with("#close 1000"),
            "{language}"
        );
        assert!(
            timeout(PATIENCE, handle.ended())
                .await
                .unwrap()
                .reason
                .is_clean()
        );
    }
}

#[tokio::test]
async fn our_client_talks_to_foreign_servers_in_sentes_dialect() {
    for language in LANGUAGES {
        let mut server = Script::start("ws_server", language, &["--sente"]);
        let line = server.hear().await;
        let mut url: Url = line.strip_prefix("listening ").unwrap().parse().unwrap();
        if let Address::Ws(url) = &mut url.address {
            url.path = "/chsk".to_owned();
        }
        let mut options = ConnectOptions::default();
        options.client_id = Some("client-1".to_owned());
        options.csrf_token = Some("a+b".to_owned());
        options.headers = vec![("X-Test".to_owned(), "yes".to_owned())];
        let (handle, mut events) = connect(&url, &options).await.unwrap();
        assert_eq!(
            server.hear().await,
            "#open /chsk?client-id=client-1&csrf-token=a%2Bb",
            "{language}"
        );
        assert_eq!(
            server.hear().await.to_lowercase(),
            "#header x-test: yes",
            "{language}"
        );
        let reply = handle
            .call(event("[:test/echo {:b [1 2.0]}]"), PATIENCE)
            .await
            .unwrap();
        assert_eq!(
            reply.to_value().unwrap().to_string(),
            "{:b [1 2.0]}",
            "{language}"
        );
        server.hear_frame().await;
        server.say("[[[:srv/a 1] [:srv/b]] nil]").await;
        assert_eq!(next_message(&mut events).await, "[:srv/a 1]", "{language}");
        assert_eq!(next_message(&mut events).await, "[:srv/b]", "{language}");
        server.say("[:chsk/ws-ping nil]").await;
        assert_eq!(
            server.hear_frame().await,
            "[[:chsk/ws-pong] nil]",
            "{language}"
        );
        server.say("#close 1001 bye").await;
        let end = timeout(PATIENCE, handle.ended()).await.unwrap();
        assert!(
            end.reason.to_string().contains("1001"),
            "{language}: {}",
            end.reason
        );
    }
}

/// Answers calls by their data and sends events back.
async fn serve(mut listener: Listener) {
    while let Some(Ok(incoming)) = listener.accept().await {
        tokio::spawn(async move {
            let (handle, mut events) = incoming.accept(Accept::new("uid-1")).await.unwrap();
            while let Some(event) = events.next().await {
                let ConnectionEvent::Message(message) = event else {
                    continue;
                };
                let data = message.event.data.clone();
                match message.reply {
                    Some(token) => {
                        let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                        let _ = handle.reply(token, data);
                    }
                    None => {
                        let _ = handle.send(message.event).await;
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn foreign_clients_talk_to_our_server_in_both_dialects() {
    let at = "ws://127.0.0.1:0/".parse().unwrap();
    let listener = Listener::bind(&at, ListenOptions::default()).await.unwrap();
    let url = listener.url().to_string();
    tokio::spawn(serve(listener));
    for language in LANGUAGES {
        let mut client = Script::start("ws_client", language, &[&url]);
        assert_eq!(client.hear().await, "#open", "{language}");
        assert_eq!(
            client.hear().await,
            "[:chsk/handshake [\"uid-1\" nil nil true]]",
            "{language}"
        );
        client.say("[:test/hi {:a \"é\"}]").await;
        assert_eq!(client.hear().await, "[:test/hi {:a \"é\"}]", "{language}");
        client.say("[[:test/echo 1] \"cb\"]").await;
        assert_eq!(
            client.hear().await,
            "[:chsk/reply {:cb-uuid \"cb\", :data 1}]",
            "{language}"
        );
        client.say("[:chsk/ws-ping]").await;
        assert_eq!(client.hear().await, "[:chsk/ws-pong]", "{language}");
        client.say("#ping x").await;
        assert_eq!(client.hear().await, "#pong x", "{language}");
        // A binary frame and garbage cost nothing but a report.
        client.say("#b64 AAEC").await;
        client.say("]garbage").await;
        client.say("[:test/still 1]").await;
        assert_eq!(client.hear().await, "[:test/still 1]", "{language}");
        client.say("#close 1000").await;
        assert!(client.hear().await.starts_with("#close 1000"), "{language}");

        let sente = format!("{url}chsk?client-id=c1");
        let mut client = Script::start("ws_client", language, &[&sente]);
        assert_eq!(client.hear().await, "#open", "{language}");
        assert_eq!(
            client.hear().await,
            "[[:chsk/handshake [\"uid-1\" nil nil]] nil]",
            "{language}"
        );
        client.say("[[:test/echo {:a 1}] \"abc123\"]").await;
        assert_eq!(client.hear().await, "[{:a 1} \"abc123\"]", "{language}");
        client.say("[[:test/hi 2] nil]").await;
        assert_eq!(client.hear().await, "[[[:test/hi 2]] nil]", "{language}");
        client.say("[[:chsk/ws-ping] \"df5785\"]").await;
        assert_eq!(client.hear().await, "[\"pong\" \"df5785\"]", "{language}");
        client.say("#close 3000").await;
        assert!(client.hear().await.starts_with("#close 3000"), "{language}");
    }
}
