//! What recorded clients of sente-lite said, said to the running server over a real socket: the
//! handshake, channels, pings and events nobody handles are answered as their servers did.
#![allow(missing_docs)]

mod socket_support;

use std::io::ErrorKind::Interrupted;
use std::net::TcpStream;
use std::time::Duration;

use sente_adapters::{AnyHandle, ListenOptions, Listener, Router};
use sente_core::edn::{Map, Value};
use sente_core::{ChannelOptions, Event, EventId, Keepalive};
use sente_server::{Sender, Server, ServerConfig};
use sente_tests::vectors::{field, load};
use tungstenite::{Message, WebSocket};

use socket_support::PATIENCE;

/// What is said of what was recorded: channels and pings, with and without a callback.
const SAID: [&str; 3] = ["[:sente-lite/", "[:chsk/ws-ping", "[[:chsk/ws-ping"];

/// The frames that our server does not send as a recorded one did: what they contain, and why.
const DIFFERENCES: [(&str, &str); 8] = [
    (
        "pub-excl",
        "an excluded sender gets nothing: the stock servers ignore the flag",
    ),
    (
        ":data {:m 2}",
        "the same in the probes; and retained, which the BB server only stores",
    ),
    (
        "\"string payload\"",
        "data that is no map is delivered: the BB server throws",
    ),
    (":data [1", "the same"),
    (":data \"s\"", "the same"),
    (
        ":data {:m 3}",
        "retained messages are delivered: the BB server only stores them",
    ),
    (
        "\"not-there\"",
        "unsubscribing where there is no channel fails as with BB: nbb says true",
    ),
    ("\"nope\"", "the same"),
];

/// What is compared, with the publisher blanked; what differs left out.
fn frames(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts
        .filter(|text| {
            let compared = [":sente-lite/subscribed", "/channel-msg", ":chsk/ws-pong"];
            compared.iter().any(|part| text.contains(part))
        })
        .map(|text| match text.split_once(":from \"") {
            Some((head, _)) => format!("{head}:from ..."),
            None => text,
        })
        .filter(|text| !DIFFERENCES.iter().any(|(part, _)| text.contains(part)))
        .collect()
}

/// A stock client's end: texts go out and come in as they are.
struct Raw(WebSocket<TcpStream>);

impl Raw {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let url = format!("ws://{address}/");
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        let stream = socket.get_ref();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).unwrap();
    }

    /// What comes next. A process that was stopped for a while is told so where a read has a timeout.
    fn read(&mut self) -> tungstenite::Result<Message> {
        loop {
            match self.0.read() {
                Err(tungstenite::Error::Io(error)) if error.kind() == Interrupted => {}
                read => return read,
            }
        }
    }

    fn next(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.read().unwrap() {
                return text.to_string();
            }
        }
    }

    /// What comes until the server has answered all that was said before.
    fn got(&mut self, number: usize) -> Vec<String> {
        self.say(&format!("[:sync/n{number} nil]"));
        let last = format!(":original-event-id :sync/n{number},");
        let mut got = Vec::new();
        loop {
            let text = self.next();
            if text.contains(&last) {
                return got;
            }
            got.push(text);
        }
    }
}

/// What the stock servers say to events they do not know.
async fn echo(event: Event, _: AnyHandle, sender: Sender) {
    let id = EventId::new("sente-lite/echo").unwrap();
    let data = event.data.map(|data| data.to_value().unwrap());
    let echo = Value::from(Map::from([
        (key("original-event-id"), key(event.id.as_str())),
        (key("original-data"), data.unwrap_or_default()),
    ]));
    // A client that has left needs no echo.
    let _ = sender.send(Event::new(id, echo)).await;
}

fn key(name: &str) -> Value {
    Value::keyword(name).unwrap()
}

async fn serve(config: ServerConfig, options: ListenOptions) -> (Server, String) {
    let builder = Server::builder().config(config).let_everybody_in();
    let server = builder
        .router(Router::new().fallback(echo))
        .build()
        .unwrap();
    let url = "ws://127.0.0.1:0/".parse().unwrap();
    let listener = Listener::bind(&url, options).await.unwrap();
    let address = listener.url().to_string();
    server.serve(listener);
    let address = address.trim_start_matches("ws://").trim_end_matches('/');
    (server, address.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_clients_of_sente_lite_are_answered_as_by_their_servers() {
    let mut compared = 0;
    for (name, auto_create) in [
        ("autocreate-off-bbserver", false),
        ("bbserver-bbclient-edn", true),
        ("bbserver-scittleclient", false),
        ("bbserver-wraprecv-nbbclient", true),
        ("limits-bbserver", true),
        ("nbbserver-bbclient", true),
        ("nbbserver-nbbclient", true),
        ("onmessage-bbserver", true),
        ("probe-bbserver-edn", true),
        ("probe-nbbserver-edn", true),
    ] {
        let mut config = ServerConfig::default();
        config.hub.channels.auto_create = auto_create;
        config.hub.wrap_pushes = name == "bbserver-wraprecv-nbbclient";
        if name == "limits-bbserver" {
            config.hub.channels.max_subscriptions = 2;
            config.hub.channels.new_channels = ChannelOptions::default().retain(2);
        }
        let (server, address) = serve(config, ListenOptions::default()).await;
        // nbb knows no callbacks, and echoes a ping that has one.
        let said = match name {
            "probe-nbbserver-edn" => &SAID[..2],
            _ => &SAID[..],
        };
        let session = load(&format!("sente-lite/{name}.json"));
        let replay = tokio::task::spawn_blocking(move || {
            let mut client = Raw::connect(&address);
            let hello = client.next();
            let (head, rest) = hello.split_once('"').unwrap();
            assert_eq!(head, "[:chsk/handshake [");
            let (_, rest) = rest.split_once('"').unwrap();
            assert_eq!(rest, r#" nil {:sente-lite-version "2.0.0"} true]]"#);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let rows = session["vectors"].as_array().unwrap();
            let texts = rows
                .iter()
                .filter(|row| field(row, "frame_type") == Some("text"));
            for (number, row) in texts.enumerate() {
                let Some(text) = field(row, "payload") else {
                    continue;
                };
                if field(row, "direction") == Some("server->client") {
                    theirs.push(text.to_owned());
                } else if said.iter().any(|head| text.starts_with(head)) {
                    client.say(text);
                    ours.extend(client.got(number));
                }
            }
            (frames(ours.into_iter()), frames(theirs.into_iter()))
        });
        let (ours, theirs) = replay.await.unwrap();
        assert_eq!(ours, theirs, "{name}");
        compared += theirs.len();
        server.close();
    }
    assert!(compared >= 45, "{compared} frames");
}

/// The clock stands still but for what the test lets pass.
#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_stays_as_long_as_it_says_something() {
    let mut options = ListenOptions::default();
    let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(60));
    options.keepalive = Some(Keepalive::new(interval, timeout));
    let (_server, address) = serve(ServerConfig::default(), options).await;
    let connect = tokio::task::spawn_blocking(move || Raw::connect(&address));
    let mut client = connect.await.unwrap();
    // So many pings take longer than one may go unanswered.
    for number in 0..12 {
        tokio::time::advance(interval + Duration::from_millis(1)).await;
        let alive = tokio::task::spawn_blocking(move || {
            while client.next() != "[:chsk/ws-ping]" {}
            client.say("[:test/alive nil]");
            assert_eq!(client.got(number).len(), 1, "its words were echoed");
            client
        });
        client = alive.await.unwrap();
    }
    tokio::time::advance(interval + Duration::from_millis(1)).await;
    let pinged = tokio::task::spawn_blocking(move || {
        while client.next() != "[:chsk/ws-ping]" {}
        client
    });
    client = pinged.await.unwrap();
    tokio::time::advance(timeout + Duration::from_millis(1)).await;
    let end = tokio::task::spawn_blocking(move || client.read());
    let end = end.await.unwrap();
    assert!(
        matches!(
            end,
            Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed)
        ),
        "not when it says nothing: {end:?}"
    );
}
