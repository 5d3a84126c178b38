//! Every captured EDN session of the real sente-lite replays: the same meaning is taken from each
//! frame, and what our side says is what sente-lite's grammar has.
#![allow(missing_docs)]

use sente_core::{Accept, Carrier, Connection, ConnectionEvent, Dialect, Event, Instant, Role};
use sente_edn::Value;
use sente_tests::vectors::{field, load, names};
use sente_tests::{RawPeer, config, edn, events, try_edn};

/// Sessions of another packer or another protocol, and why they are not replayed here.
const ELSEWHERE: [(&str, &str); 9] = [
    (
        "nrepl-proxy-bencode",
        "bencode over TCP, no sente-lite frames",
    ),
    ("probe-bbserver-json-push", "JSON packer"),
    ("probe-bbserver-json", "JSON packer"),
    ("probe-bbserver-transit-json-bencode", "Transit packer"),
    ("probe-bbserver-transit-json-push", "Transit packer"),
    ("probe-bbserver-transit-json", "Transit packer"),
    (
        "realsente-raw",
        "real Sente's dialect on one side: see the sente sessions",
    ),
    (
        "realsente-vs-nbbclient",
        "the two dialects do not interoperate",
    ),
    (
        "scittle-nrepl-direct",
        "scittle's own nREPL frames, bare maps without an event",
    ),
];

/// What our side must make of a frame, decided from sente-lite's grammar alone.
#[derive(Debug, PartialEq)]
enum Meaning {
    Event(Value),
    Call(Value),
    Handshake,
    Ping,
    Pong,
    /// Answered to a call nobody made.
    Reply,
    Bad,
}

fn meaning(text: &str, from_server: bool) -> Meaning {
    let Ok(value) = try_edn(text) else {
        return Meaning::Bad;
    };
    let Value::Vector(_) = value else {
        return Meaning::Bad;
    };
    let slots = value.as_sequence().unwrap();
    match slots {
        [Value::Keyword(id), rest @ ..] => match (id.as_str(), rest) {
            ("chsk/handshake", _) if from_server => Meaning::Handshake,
            ("chsk/ws-ping", _) => Meaning::Ping,
            ("chsk/ws-pong", _) => Meaning::Pong,
            ("chsk/reply", _) => Meaning::Reply,
            ("chsk/recv", [inner, ..]) if from_server => meaning(&inner.to_string(), from_server),
            (id, _) if id.starts_with("chsk/") || !id.contains('/') => Meaning::Bad,
            // Elements behind the data are ignored.
            (_, rest) => {
                let mut event = vec![slots[0].clone()];
                event.extend(rest.first().cloned());
                Meaning::Event(Value::Vector(event.into()))
            }
        },
        [inner @ Value::Vector(_), Value::String(_), ..] => {
            match meaning(&inner.to_string(), from_server) {
                Meaning::Event(event) => Meaning::Call(event),
                Meaning::Ping => Meaning::Ping,
                other => panic!("{text}: {other:?}"),
            }
        }
        _ => Meaning::Bad,
    }
}

/// What the connection made of it.
fn taken(connection: &mut Connection, late_before: u64) -> Vec<Meaning> {
    let mut taken: Vec<Meaning> = events(connection)
        .into_iter()
        .map(|event| match event {
            ConnectionEvent::Message(message) => {
                let value = message.event.to_value().unwrap();
                match message.reply {
                    Some(token) => {
                        connection.forget(token);
                        Meaning::Call(value)
                    }
                    None => Meaning::Event(value),
                }
            }
            ConnectionEvent::Opened(_) => Meaning::Handshake,
            ConnectionEvent::BadEvent(_) | ConnectionEvent::BadEventsSuppressed(_) => Meaning::Bad,
            other => panic!("{other:?}"),
        })
        .collect();
    if connection.stats().late_replies > late_before {
        taken.push(Meaning::Reply);
    }
    taken
}

#[test]
fn every_frame_of_every_edn_session_means_the_same_to_us() {
    let mut counts = [0usize; 2];
    let mut sessions = 0;
    for name in names("sente-lite", "") {
        if name.ends_with("INDEX.json")
            || ELSEWHERE
                .iter()
                .any(|(other, _)| name == format!("sente-lite/{other}.json"))
        {
            continue;
        }
        sessions += 1;
        let session = load(&name);
        for (role, direction) in [
            (Role::Server, "client->server"),
            (Role::Client, "server->client"),
        ] {
            let mut side = open(role);
            let other = if role == Role::Server {
                Role::Client
            } else {
                Role::Server
            };
            let mut peer = RawPeer::new(other);
            let mut now = Instant::EPOCH;
            let mut opened = role == Role::Server;
            peer.hear(&mut side, now);
            for row in session["vectors"].as_array().unwrap() {
                if field(row, "direction") != Some(direction)
                    || field(row, "frame_type") != Some("text")
                {
                    continue;
                }
                // A second apart, so that no bad frame is reported together with others.
                now = now + std::time::Duration::from_secs(2);
                if let Some(at) = side.poll_timeout()
                    && at <= now
                    && opened
                {
                    side.handle_timeout(now);
                    peer.hear(&mut side, now);
                    events(&mut side);
                }
                let Some(text) = field(row, "payload") else {
                    continue;
                };
                if text.len() > 1024 * 1024 {
                    continue;
                }
                let late = side.stats().late_replies;
                peer.say(&mut side, now, text);
                let expected = meaning(text, role == Role::Client);
                let got = taken(&mut side, late);
                let said = peer.texts(&mut side, now);
                opened |= expected == Meaning::Handshake;
                match expected {
                    Meaning::Ping => {
                        assert_eq!(said, ["[:chsk/ws-pong]"], "{name}: {text}");
                        assert!(got.is_empty(), "{name}: {text}: {got:?}");
                    }
                    Meaning::Pong => assert!(got.is_empty(), "{name}: {text}: {got:?}"),
                    expected => {
                        assert_eq!(got, [expected], "{name}: {text}");
                        assert!(said.is_empty(), "{name}: {text}: {said:?}");
                    }
                }
                counts[usize::from(role == Role::Client)] += 1;
            }
        }
    }
    assert!(sessions >= 24, "{sessions} sessions");
    assert!(counts[0] > 250 && counts[1] > 250, "{counts:?}");
}

fn open(role: Role) -> Connection {
    let mut connection = Connection::new(
        config(role, Dialect::SenteLite, Carrier::WebSocket),
        [4; 32],
        Instant::EPOCH,
    );
    if role == Role::Server {
        connection.accept(Instant::EPOCH, Accept::new("conn-1"));
        events(&mut connection);
    }
    connection
}

#[test]
fn every_event_of_every_edn_session_is_written_as_its_peer_wrote_it() {
    let mut same_bytes = 0;
    let mut same_value = 0;
    for name in names("sente-lite", "") {
        if name.ends_with("INDEX.json")
            || ELSEWHERE
                .iter()
                .any(|(other, _)| name == format!("sente-lite/{other}.json"))
        {
            continue;
        }
        let session = load(&name);
        for (role, direction) in [
            (Role::Client, "client->server"),
            (Role::Server, "server->client"),
        ] {
            let mut side = open(role);
            let other = if role == Role::Server {
                Role::Client
            } else {
                Role::Server
            };
            let mut peer = RawPeer::new(other);
            let now = Instant::EPOCH;
            if role == Role::Client {
                peer.say(&mut side, now, "[:chsk/handshake [\"u\" nil {} true]]");
            } else {
                assert_eq!(peer.texts(&mut side, now).len(), 1);
            }
            for row in session["vectors"].as_array().unwrap() {
                if field(row, "direction") != Some(direction)
                    || field(row, "frame_type") != Some("text")
                    || row["genuine"] != true
                {
                    continue;
                }
                let Some(text) = field(row, "payload") else {
                    continue;
                };
                let Meaning::Event(value) = meaning(text, false) else {
                    continue;
                };
                if text.starts_with("[:chsk/") {
                    continue;
                }
                side.send(now, Event::from_value(value.clone()).unwrap())
                    .unwrap();
                let said = peer.texts(&mut side, now);
                assert_eq!(said.len(), 1, "{name}: {text}");
                let recorded = edn(text);
                if sente_edn::to_string(&recorded) == text {
                    assert_eq!(said[0], text, "{name}");
                    same_bytes += 1;
                } else {
                    assert!(edn(&said[0]).identical(&value), "{name}: {text}");
                    same_value += 1;
                }
            }
        }
    }
    assert!(
        same_bytes > 150,
        "{same_bytes} byte for byte, {same_value} by value"
    );
}

#[test]
fn our_handshake_is_the_stock_servers() {
    let mut server = Connection::new(
        config(Role::Server, Dialect::SenteLite, Carrier::WebSocket),
        [4; 32],
        Instant::EPOCH,
    );
    let mut accept = Accept::new("conn-1795203807554-6225");
    accept.csrf_token = Value::from("csrf-fixed-for-vectors");
    accept.data = edn("{:sente-lite-version \"2.0.0\"}");
    server.accept(Instant::EPOCH, accept);
    let said = RawPeer::new(Role::Client).texts(&mut server, Instant::EPOCH);
    let session = load("sente-lite/bbserver-bbclient-edn.json");
    let recorded = session["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|row| field(row, "payload"))
        .unwrap();
    assert_eq!(said, [recorded]);
}
