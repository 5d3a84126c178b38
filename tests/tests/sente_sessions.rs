//! Every captured EDN session of the real Sente replays, also where Sente's gzip wrapper was around
//! the EDN: fed one side's frames, ours takes the same meaning from each and says what the other side
//! said.
#![allow(missing_docs)]

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Gzip, Packer};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, Instant,
    Limits, ReplyToken, Role,
};
use sente_edn::Value;
use sente_tests::vectors::{field, load, names};
use sente_tests::{RawPeer, Said, edn, events, messages, try_edn};
use serde_json::Value as Json;

/// The EDN sessions, the values among them included, and those in gzip.
fn sessions() -> Vec<(String, Wire)> {
    let plain = names("sente", "ws-edn-");
    let gzip = names("sente", "ws-gzip-edn-");
    assert!(plain.len() >= 7 && gzip.len() >= 5, "{plain:?} {gzip:?}");
    let plain = plain.into_iter().map(|name| (name, Wire::Text));
    let gzip = gzip.into_iter().map(|name| (name, Wire::gzip()));
    plain.chain(gzip).collect()
}

/// How EDN travels in a session.
#[derive(Clone, Debug)]
enum Wire {
    Gzip(Arc<Gzip<Edn>>),
    Text,
}

impl Wire {
    fn gzip() -> Self {
        Self::Gzip(Arc::new(Gzip::new(Edn)))
    }

    fn config(&self, role: Role) -> Arc<ConnectionConfig> {
        let builder = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket);
        match self {
            Self::Gzip(packer) => builder.packer(packer.clone()),
            Self::Text => builder,
        }
        .build()
        .unwrap()
    }

    /// The EDN in a recorded frame, if the row is one.
    fn read(&self, row: &Json) -> Option<String> {
        let expected = match self {
            Self::Gzip(_) => "binary",
            Self::Text => "text",
        };
        if field(row, "frame_type") != Some(expected) {
            return None;
        }
        Some(match self {
            Self::Gzip(_) => {
                let frame = STANDARD.decode(field(row, "payload_b64").unwrap()).unwrap();
                let text = self.open(&frame);
                // What the real one did not compress, ours does not either, and the reverse.
                let sealed = self.seal(&text);
                assert_eq!(sealed[0], frame[0], "{text}");
                assert!(frame[0] == 1 || sealed == frame, "{text}");
                text
            }
            Self::Text => field(row, "payload").unwrap().to_owned(),
        })
    }

    fn open(&self, frame: &[u8]) -> String {
        let Self::Gzip(packer) = self else {
            panic!("a binary frame");
        };
        let frame = Bytes::copy_from_slice(frame);
        let opened = packer.open(&frame, &Limits::default()).unwrap();
        String::from_utf8_lossy(&opened).into_owned()
    }

    fn seal(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Gzip(packer) => {
                let mut frame = Vec::new();
                packer.seal(text.as_bytes(), &mut frame).unwrap();
                frame
            }
            Self::Text => text.as_bytes().to_vec(),
        }
    }

    fn say(&self, peer: &mut RawPeer, connection: &mut Connection, now: Instant, text: &str) {
        let kind = match self {
            Self::Gzip(_) => Kind::Binary,
            Self::Text => Kind::Text,
        };
        peer.say_frame(connection, now, kind, &self.seal(text));
    }

    fn hear(&self, peer: &mut RawPeer, connection: &mut Connection, now: Instant) -> Vec<String> {
        let texts = peer
            .hear(connection, now)
            .into_iter()
            .map(|said| match said {
                Said::Text(text) => text,
                Said::Binary(frame) => self.open(&frame),
                other => panic!("{other:?}"),
            });
        texts.collect()
    }
}

/// One connection's rows of a session, in order.
fn connections(session: &str) -> Vec<Vec<Json>> {
    let rows = load(session);
    let mut split: Vec<(i64, Vec<Json>)> = Vec::new();
    for row in rows.as_array().unwrap() {
        let conn = row["conn"].as_i64().unwrap();
        match split.iter_mut().find(|(id, _)| *id == conn) {
            Some((_, rows)) => rows.push(row.clone()),
            None => split.push((conn, vec![row.clone()])),
        }
    }
    split.into_iter().map(|(_, rows)| rows).collect()
}

fn frames<'a>(wire: &Wire, rows: &'a [Json]) -> impl Iterator<Item = (&'a str, String, Instant)> {
    rows.iter().filter_map(|row| {
        Some((
            field(row, "direction").unwrap(),
            wire.read(row)?,
            Instant::from_millis(row["t_ms"].as_u64().unwrap()),
        ))
    })
}

/// Two frames that say the same: byte for byte where the recorded one is as we would write it.
fn assert_same(ours: &str, recorded: &str) {
    let value = edn(recorded);
    if sente_edn::to_string(&value) == recorded {
        assert_eq!(ours, recorded);
    } else {
        assert!(
            edn(ours).identical(&value),
            "ours: {ours}\ntheirs: {recorded}"
        );
    }
}

fn slots(value: &Value) -> Vec<Value> {
    value.as_sequence().unwrap_or_default().to_vec()
}

fn as_event(value: &Value) -> Event {
    Event::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// Whether any EDN reader could take this for what was meant. Sente prints some values that none can
/// (`#"regex"`, `#'var`, `(keyword "")`, `(keyword "a b")`): its own other side loses or misreads the
/// whole message.
fn readable(direction: &str, text: &str) -> bool {
    let Ok(value) = try_edn(text) else {
        return false;
    };
    let envelope = slots(&value);
    // A client's event that was misread has more than its data.
    let is_event = direction == "server->client" || slots(&envelope[0]).len() <= 2;
    envelope.len() == 2 && is_event
}

#[test]
fn our_server_takes_what_the_real_client_says_and_answers_as_the_real_server_did() {
    let mut frames = 0;
    for (session, wire) in sessions() {
        for rows in connections(&session) {
            frames += replay_client_against_our_server(&session, &wire, &rows);
        }
    }
    assert!(frames > 1880, "only {frames} frames replayed");
}

fn replay_client_against_our_server(session: &str, wire: &Wire, rows: &[Json]) -> usize {
    let mut server = Connection::new(wire.config(Role::Server), [5; 32], Instant::EPOCH);
    let mut client = RawPeer::new(Role::Client);
    let mut tokens: HashMap<String, Vec<ReplyToken>> = HashMap::new();
    let mut replayed = 0;
    let mut answered: Vec<String> = Vec::new();
    for (direction, payload, now) in frames(wire, rows) {
        let payload = payload.as_str();
        let now = now.max(Instant::from_millis(1));
        replayed += 1;
        if !readable(direction, payload) {
            if direction == "client->server" {
                wire.say(&mut client, &mut server, now, payload);
                let told = events(&mut server);
                let reported = matches!(told[..], [ConnectionEvent::BadEvent(_)]);
                assert!(reported, "{session}: {payload}: {told:?}");
            }
            continue;
        }
        let recorded = edn(payload);
        let envelope = slots(&recorded);
        if direction == "client->server" {
            wire.say(&mut client, &mut server, now, payload);
            let told = events(&mut server);
            let inner = slots(&envelope[0]);
            let id = inner[0].to_string();
            if id == ":chsk/ws-ping" || id == ":chsk/ws-pong" {
                assert!(told.is_empty(), "{session}: {payload}: {told:?}");
                continue;
            }
            let [ConnectionEvent::Message(_)] = &told[..] else {
                panic!("{session}: {payload}: {told:?}");
            };
            for told in told {
                let ConnectionEvent::Message(message) = told else {
                    unreachable!()
                };
                let value = message.event.to_value().unwrap();
                assert!(value.identical(&envelope[0]), "{session}: {payload}");
                let callback = envelope.get(1).filter(|value| **value != Value::Nil);
                assert_eq!(message.reply.is_some(), callback.is_some(), "{payload}");
                if let (Some(token), Some(callback)) = (message.reply, callback) {
                    tokens.entry(callback.to_string()).or_default().push(token);
                }
            }
            continue;
        }
        // What the real server said next, ours says when its application does the same.
        let callback = envelope[1].to_string();
        let first = slots(&envelope[0]).first().map(Value::to_string);
        if first.as_deref() == Some(":chsk/handshake") {
            let data = slots(&slots(&envelope[0])[1]);
            let mut accept = Accept::new(data[0].clone());
            accept.data = data[2].clone();
            server.accept(now, accept);
            assert!(matches!(
                events(&mut server)[..],
                [ConnectionEvent::Opened(_)]
            ));
        } else if payload == "[:chsk/ws-ping nil]" {
            // When it comes is the kalive scenarios' matter; here only its form is looked at.
            let due = server.poll_timeout().unwrap().max(now);
            server.handle_timeout(due);
        } else if callback == "nil" {
            for event in slots(&envelope[0]) {
                server.send(now, as_event(&event)).unwrap();
            }
        } else if let Some(token) = tokens.get_mut(&callback).and_then(Vec::pop) {
            server.reply(now, token, envelope[0].clone()).unwrap();
            answered.push(callback);
        } else if envelope[0] == Value::from("pong") {
            // Answered by the machine itself.
        } else {
            // Sente's server lets a handler reply twice; the client drops the second. Ours
            // cannot: the token is gone.
            assert!(answered.contains(&callback), "{session}: {payload}");
            continue;
        }
        let said = wire.hear(&mut client, &mut server, now);
        assert_eq!(said.len(), 1, "{session}: {payload}: {said:?}");
        assert_same(&said[0], payload);
    }
    replayed
}

#[test]
fn our_client_takes_what_the_real_server_says_and_asks_as_the_real_client_did() {
    let mut frames = 0;
    for (session, wire) in sessions() {
        for rows in connections(&session) {
            frames += replay_server_against_our_client(&session, &wire, &rows);
        }
    }
    assert!(frames > 1880, "only {frames} frames replayed");
}

fn replay_server_against_our_client(session: &str, wire: &Wire, rows: &[Json]) -> usize {
    let mut client = Connection::new(wire.config(Role::Client), [5; 32], Instant::EPOCH);
    let mut server = RawPeer::new(Role::Server);
    // The recorded callback ids and ours for the same calls.
    let mut calls = HashMap::new();
    let mut pongs = 0;
    let mut replayed = 0;
    for (direction, payload, now) in frames(wire, rows) {
        let payload = payload.as_str();
        replayed += 1;
        if !readable(direction, payload) {
            if direction == "client->server" {
                continue;
            }
            let late = client.stats().late_replies;
            wire.say(&mut server, &mut client, now, payload);
            let told = events(&mut client);
            let misread = client.stats().late_replies > late;
            assert!(
                misread || matches!(told[..], [ConnectionEvent::BadEvent(_)]),
                "{session}: {payload}: {told:?}"
            );
            continue;
        }
        let recorded = edn(payload);
        let envelope = slots(&recorded);
        if direction == "client->server" {
            let inner = slots(&envelope[0]);
            match inner[0].to_string().as_str() {
                ":chsk/ws-pong" => {
                    pongs -= 1;
                    assert_eq!(wire.hear(&mut server, &mut client, now), [payload]);
                    continue;
                }
                ":chsk/ws-ping" => {
                    let due = client.poll_timeout().unwrap().max(now);
                    client.handle_timeout(due);
                    let said = wire.hear(&mut server, &mut client, due);
                    let ours = slots(&edn(&said[0]));
                    assert_eq!(ours[0], envelope[0]);
                    calls.insert(envelope[1].to_string(), (ours[1].to_string(), None));
                    continue;
                }
                _ => {}
            }
            let event = as_event(&envelope[0]);
            if envelope[1] == Value::Nil {
                client.send(now, event).unwrap();
                let said = wire.hear(&mut server, &mut client, now);
                assert_same(&said[0], payload);
                continue;
            }
            let call = client
                .call(now, event, core::time::Duration::from_secs(600))
                .unwrap();
            let said = wire.hear(&mut server, &mut client, now);
            let ours = slots(&edn(&said[0]));
            let id = ours[1].as_str().unwrap();
            assert_eq!(id.len(), 6, "{id}");
            assert!(id.chars().all(|digit| digit.is_ascii_hexdigit()));
            calls.insert(envelope[1].to_string(), (ours[1].to_string(), Some(call)));
            assert_same(
                &said[0],
                &payload.replace(&envelope[1].to_string(), &ours[1].to_string()),
            );
            continue;
        }
        let callback = envelope[1].to_string();
        let first = slots(&envelope[0]).first().map(Value::to_string);
        if first.as_deref() == Some(":chsk/handshake") {
            wire.say(&mut server, &mut client, now, payload);
            let told = events(&mut client);
            let [ConnectionEvent::Opened(opened)] = &told[..] else {
                panic!("{told:?}")
            };
            let data = slots(&slots(&envelope[0])[1]);
            assert_eq!(opened.uid.as_ref().unwrap().to_value().unwrap(), data[0]);
            assert_eq!(opened.data.as_ref().unwrap().to_value().unwrap(), data[2]);
        } else if envelope[0].to_string() == ":chsk/ws-ping" {
            wire.say(&mut server, &mut client, now, payload);
            assert!(events(&mut client).is_empty());
            pongs += 1;
        } else if callback == "nil" {
            wire.say(&mut server, &mut client, now, payload);
            let got: Vec<_> = messages(&mut client)
                .iter()
                .map(|message| message.event.to_value().unwrap())
                .collect();
            let batch = slots(&envelope[0]);
            assert_eq!(got.len(), batch.len());
            assert!(
                got.iter()
                    .zip(&batch)
                    .all(|(ours, theirs)| ours.identical(theirs))
            );
        } else {
            let (ours, call) = calls
                .remove(&callback)
                .unwrap_or_else(|| (callback.clone(), None));
            let renamed = payload.replace(&callback, &ours);
            let late = client.stats().late_replies;
            wire.say(&mut server, &mut client, now, &renamed);
            let told = events(&mut client);
            match (&told[..], call) {
                (
                    [
                        ConnectionEvent::Settled {
                            call: settled,
                            result,
                        },
                    ],
                    Some(call),
                ) => {
                    assert_eq!(*settled, call);
                    let value = result.as_ref().unwrap().to_value().unwrap();
                    assert!(value.identical(&envelope[0]), "{session}: {payload}");
                }
                // A pong, or the second answer to one call.
                ([], None) => {
                    let pong = envelope[0] == Value::from("pong");
                    assert_eq!(client.stats().late_replies - late, u64::from(!pong));
                }
                other => panic!("{session}: {payload}: {other:?}"),
            }
        }
    }
    assert_eq!(pongs, 0);
    replayed
}
