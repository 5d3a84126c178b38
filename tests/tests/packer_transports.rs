//! Every packer over every transport: calls and events through our adapters, and a script that
//! knows of no packer.
#![allow(missing_docs)]

use std::time::Duration;

use sente_adapters::{
    Address, ConnectError, ConnectOptions, Events, ListenOptions, Listener, Url, UrlError, connect,
};
use sente_core::framing::Kind;
use sente_core::packer::{self, Packer};
use sente_core::{Accept, ConnectionEvent, Event, Payload};
use sente_edn::Value;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// All there are, with `gzip-` before each of them as well.
fn names() -> Vec<String> {
    let plain = packer::NAMES.iter().map(|name| (*name).to_owned());
    let gzipped = packer::NAMES.iter().map(|name| format!("gzip-{name}"));
    plain.chain(gzipped).collect()
}

fn url(text: &str) -> Url {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

/// What every packer carries, short, and long enough to be compressed.
fn payloads() -> [String; 2] {
    let long = "grüße 🙂 ".repeat(200);
    [
        "{:n 1, :items [1.5 \"é\\n\" nil true]}".to_owned(),
        format!("{{:text \"{long}\"}}"),
    ]
}

/// Listens and answers every call with its data, every event with the same event.
async fn echo_server(at: &Url, options: ListenOptions) -> Url {
    let mut listener = Listener::bind(at, options).await.unwrap();
    let url = listener.url().clone();
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            tokio::spawn(async move {
                let (handle, mut events) = incoming.accept(Accept::new("u")).await.unwrap();
                while let Some(event) = events.next().await {
                    match event {
                        ConnectionEvent::Message(message) => match message.reply {
                            Some(token) => {
                                let data = message.event.data;
                                let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                                handle.reply(token, data).unwrap();
                            }
                            None => handle.send(message.event).await.unwrap(),
                        },
                        ConnectionEvent::PeerFinished => handle.drain(PATIENCE),
                        _ => {}
                    }
                }
            });
        }
    });
    url
}

async fn next_message(events: &mut Events) -> String {
    loop {
        match timeout(PATIENCE, events.next()).await.unwrap() {
            Some(ConnectionEvent::Message(message)) => {
                return message.event.to_value().unwrap().to_string();
            }
            Some(ConnectionEvent::BadEvent(bad)) => panic!("{bad:?}"),
            Some(_) => {}
            None => panic!("ended"),
        }
    }
}

/// Sends events there and reads them back.
async fn exchange(at: &Url, calls: bool) {
    let (handle, mut events) = connect(at, &ConnectOptions::default())
        .await
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    for payload in payloads() {
        let sent = format!("[:test/echo {payload}]");
        if calls {
            let reply = handle.call(event(&sent), PATIENCE).await.unwrap();
            assert_eq!(reply.to_value().unwrap().to_string(), payload, "{at}");
        }
        handle.send(event(&sent)).await.unwrap();
        assert_eq!(next_message(&mut events).await, sent, "{at}");
    }
    handle.drain(PATIENCE);
    let end = timeout(PATIENCE, handle.ended()).await.unwrap();
    assert!(end.reason.is_clean(), "{at}: {:?}", end.reason);
    assert!(end.exit.is_none_or(|status| status.success()), "{at}");
}

#[tokio::test]
async fn every_packer_crosses_every_socket() {
    let folder = tempfile::tempdir().unwrap();
    for name in names() {
        let socket = folder.path().join(&name);
        let addresses = [
            "ws://127.0.0.1:0/".to_owned(),
            "ws://127.0.0.1:0/chsk".to_owned(),
            "tcp://127.0.0.1:0".to_owned(),
            format!("unix:{}", socket.display()),
        ];
        for address in addresses {
            let at = url(&format!("{address}?packer={name}"));
            let at = echo_server(&at, ListenOptions::default()).await;
            assert_eq!(at.packer(), Some(&*name), "{at}");
            exchange(&url(&at.to_string()), true).await;
        }
    }
}

#[tokio::test]
async fn every_packer_crosses_the_pipes_of_a_child() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/echo_frames.py");
    for name in names() {
        let framing = match packer::named(&name).unwrap().kind() {
            Kind::Text => "lines",
            Kind::Binary => "prefixed",
        };
        let at = url(&format!("exec:?packer={name} python3 '{script}' {framing}"));
        exchange(&at, false).await;
    }
}

#[tokio::test]
async fn an_option_goes_before_the_url() {
    let msgpack = packer::named("msgpack");
    let mut options = ListenOptions::default();
    options.packer = msgpack.clone();
    let at = echo_server(&url("tcp://127.0.0.1:0?packer=json"), options).await;
    assert_eq!(at.packer(), Some("msgpack"));
    let mut options = ConnectOptions::default();
    options.packer = msgpack;
    let at = at.with_packer(Some("json")).unwrap();
    let (handle, _events) = connect(&at, &options).await.unwrap();
    assert_eq!(handle.packer().name(), "msgpack");
    let reply = handle.call(event("[:a/b #{1}]"), PATIENCE).await.unwrap();
    assert_eq!(reply.to_value().unwrap().to_string(), "#{1}");
}

#[tokio::test]
async fn the_path_of_a_websocket_chooses_its_packer() {
    let named = |name: &str| packer::named(name).unwrap();
    let mut options = ListenOptions::default();
    options.packer = Some(named("json"));
    options.packer_by_path = vec![
        ("/binary".to_owned(), named("msgpack")),
        ("/chsk".to_owned(), named("gzip-transit-json")),
    ];
    let at = echo_server(&url("ws://127.0.0.1:0/"), options).await;
    assert_eq!(at.packer(), Some("json"));
    for (path, name) in [
        ("/", "json"),
        ("/binary/", "json"),
        ("/binary", "msgpack"),
        ("/chsk", "gzip-transit-json"),
    ] {
        let mut at = at.clone();
        let Address::Ws(ws) = &mut at.address else {
            unreachable!()
        };
        ws.path = path.to_owned();
        exchange(&at.with_packer(Some(name)).unwrap(), true).await;
    }
}

#[tokio::test]
async fn a_client_of_another_packer_hears_why_it_has_no_handshake() {
    let mut options = ConnectOptions::default();
    // Only what comes at once matters; more patience would only be waited for.
    options.connect_timeout = Some(Duration::from_secs(1));
    for (address, client, why) in [
        (
            "ws://127.0.0.1:0/",
            "edn",
            "expected a Text frame, got Binary",
        ),
        (
            "tcp://127.0.0.1:0",
            "edn",
            "is the peer using another packer?",
        ),
    ] {
        let at = url(&format!("{address}?packer=msgpack"));
        let at = echo_server(&at, ListenOptions::default()).await;
        let at = at.with_packer(Some(client)).unwrap();
        match connect(&at, &options).await {
            Err(error @ ConnectError::NoHandshake { received, .. }) => {
                assert!(received > 0);
                assert!(error.to_string().contains(why), "{error}");
            }
            other => panic!("{at}: {other:?}"),
        }
    }
    let at = echo_server(&url("tcp://127.0.0.1:0"), ListenOptions::default()).await;
    let at = at.with_packer(Some("msgpack")).unwrap();
    let error = connect(&at, &options).await.unwrap_err().to_string();
    assert!(
        error.contains("is the peer using another framing?"),
        "{error}"
    );
}

#[test]
fn a_packer_in_a_url_is_read_and_written_again() {
    for text in [
        "tcp://127.0.0.1:4000?packer=msgpack",
        "unix:/tmp/s.sock?packer=gzip-edn",
        "unix:/tmp/a?b?packer=json",
        "stdio:?packer=json",
        "exec:?packer=msgpack python3 echo.py '?packer=json'",
        "ws://127.0.0.1:80/?packer=transit-json",
        "ws://127.0.0.1:80/chsk?client-id=a&packer=transit-json",
    ] {
        assert_eq!(url(text).to_string(), text);
        assert!(url(text).packer().is_some());
    }
    let at = url("ws://127.0.0.1:80/chsk?packer=json&client-id=a");
    assert_eq!(at.packer(), Some("json"));
    let Address::Ws(ws) = &at.address else {
        unreachable!()
    };
    assert_eq!(ws.query, "client-id=a", "the server does not hear of it");
    assert_eq!(url("unix:/tmp/a?b").packer(), None);
}

#[test]
fn a_packer_that_is_not_there_is_no_url() {
    for text in [
        "tcp://127.0.0.1:4000?packer=bencode",
        "unix:/tmp/s.sock?packer=",
        "stdio:?packer=gzip-gzip-edn",
        "exec:?packer=x python3",
        "ws://127.0.0.1/?packer=EDN",
    ] {
        let error = text.parse::<Url>().unwrap_err();
        assert!(matches!(error, UrlError::UnknownPacker { .. }), "{error}");
        assert!(
            error.to_string().contains("transit-json-verbose, msgpack"),
            "{error}"
        );
    }
    for text in [
        "ws://127.0.0.1/?packer=edn&packer=json",
        "tcp://127.0.0.1:1?framing=lines",
        "tcp://127.0.0.1:1/x?packer=edn",
    ] {
        let error = text.parse::<Url>().unwrap_err();
        assert!(matches!(error, UrlError::Unexpected { .. }), "{error}");
    }
    assert_eq!("exec:?packer=edn".parse::<Url>(), Err(UrlError::NoCommand));
}
