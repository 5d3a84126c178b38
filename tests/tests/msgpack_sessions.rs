//! Every captured MessagePack session of the real Sente replays, with and without gzip around it: fed
//! one side's frames, ours takes the same meaning from each and says what the other side said.
#![allow(missing_docs)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sente_core::framing::Kind;
use sente_core::packer::{Gzip, MsgPack, Packer};
use sente_core::{
    Accept, CallId, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event,
    Instant, Limits, ReplyToken, Role,
};
use sente_edn::Value;
use sente_tests::vectors::{field, load, names};
use sente_tests::{RawPeer, Said, edn, events, messages};
use serde_json::Value as Json;

struct Session {
    name: String,
    packer: Arc<dyn Packer>,
    /// Whether ours uses the key cache, and so is the same to the byte where the packer writes the
    /// value alike and gzip left it as it was.
    exact: bool,
}

fn sessions() -> Vec<Session> {
    let mut sessions = Vec::new();
    for exact in [false, true] {
        let plain = || MsgPack::new().key_cache(exact);
        let packers: [(&str, Arc<dyn Packer>); 2] = [
            ("ws-msgpack-", Arc::new(plain())),
            ("ws-gzip-msgpack-", Arc::new(Gzip::new(plain()))),
        ];
        for (prefix, packer) in packers {
            let names = names("sente", prefix);
            assert!(names.len() >= 2, "{names:?}");
            sessions.extend(names.into_iter().map(|name| Session {
                name,
                packer: packer.clone(),
                exact,
            }));
        }
    }
    sessions
}

/// A recorded frame: from whom, what it says, its bytes, and when.
struct Frame {
    from_client: bool,
    value: Value,
    bytes: Vec<u8>,
    at: Instant,
}

impl Session {
    /// The frames of each connection.
    fn connections(&self) -> Vec<Vec<Frame>> {
        let mut split: Vec<(Json, Vec<Frame>)> = Vec::new();
        for row in load(&self.name).as_array().unwrap() {
            if field(row, "frame_type") != Some("binary") {
                continue;
            }
            let bytes = STANDARD.decode(field(row, "payload_b64").unwrap()).unwrap();
            let frame = Frame {
                from_client: field(row, "direction") == Some("client->server"),
                value: self.read(&bytes),
                bytes,
                at: Instant::from_millis(row["t_ms"].as_u64().unwrap().max(1)),
            };
            match split.iter_mut().find(|(conn, _)| *conn == row["conn"]) {
                Some((_, frames)) => frames.push(frame),
                None => split.push((row["conn"].clone(), vec![frame])),
            }
        }
        split.into_iter().map(|(_, frames)| frames).collect()
    }

    fn read(&self, frame: &[u8]) -> Value {
        let frame = Bytes::copy_from_slice(frame);
        let read = self.packer.unpack_message(&frame, &Limits::default());
        read.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn connection(&self, role: Role) -> Connection {
        let config = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .packer(self.packer.clone())
            .build()
            .unwrap();
        Connection::new(config, [5; 32], Instant::EPOCH)
    }

    fn say(&self, peer: &mut RawPeer, connection: &mut Connection, at: Instant, frame: &[u8]) {
        peer.say_frame(connection, at, Kind::Binary, frame);
    }

    /// The one frame that `connection` says now.
    fn heard(&self, peer: &mut RawPeer, connection: &mut Connection, at: Instant) -> Vec<u8> {
        let mut said = peer.hear(connection, at);
        let Some(Said::Binary(frame)) = said.pop() else {
            panic!("{}: {said:?}", self.name);
        };
        assert!(said.is_empty(), "{}: {said:?}", self.name);
        frame
    }

    /// Two frames that say the same: byte for byte, where the recorded one is as we would write it.
    fn assert_same(&self, ours: &[u8], recorded: &Frame) {
        let value = self.read(ours);
        assert!(
            value.identical(&recorded.value),
            "{}: {value}, not {}",
            self.name,
            recorded.value
        );
        let mut written = Vec::new();
        self.packer.pack_message(&value, &mut written).unwrap();
        if self.exact && recorded.bytes == written {
            assert_eq!(ours, written, "{}: {value}", self.name);
        } else if self.exact && self.packer.name().starts_with("gzip") {
            assert_eq!(ours[0], recorded.bytes[0], "{}: {value}", self.name);
        }
    }
}

fn slots(value: &Value) -> &[Value] {
    value.as_sequence().unwrap_or_default()
}

fn is_keyword(value: Option<&Value>, name: &str) -> bool {
    value.and_then(Value::as_keyword).map(|it| it.as_str()) == Some(name)
}

fn as_event(value: &Value) -> Event {
    Event::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

#[test]
fn our_server_takes_what_the_real_client_says_and_answers_as_the_real_server_did() {
    let mut frames = 0;
    for session in sessions() {
        for connection in session.connections() {
            frames += connection.len();
            against_our_server(&session, &connection);
        }
    }
    assert!(frames > 2400, "only {frames} frames replayed");
}

fn against_our_server(session: &Session, frames: &[Frame]) {
    let name = &session.name;
    let mut server = session.connection(Role::Server);
    let mut client = RawPeer::new(Role::Client);
    let mut tokens: HashMap<String, Vec<ReplyToken>> = HashMap::new();
    for frame in frames {
        let envelope = slots(&frame.value);
        let (first, callback) = (&envelope[0], &envelope[1..]);
        let callback = callback.first().filter(|value| **value != Value::Nil);
        if frame.from_client {
            session.say(&mut client, &mut server, frame.at, &frame.bytes);
            let id = slots(first).first();
            if is_keyword(id, "chsk/ws-ping") || is_keyword(id, "chsk/ws-pong") {
                assert!(events(&mut server).is_empty(), "{name}: {first}");
                continue;
            }
            let mut got = messages(&mut server);
            assert_eq!(got.len(), 1, "{name}: {first}");
            let message = got.remove(0);
            assert!(
                message.event.to_value().unwrap().identical(first),
                "{name}: {first}"
            );
            if let (Some(token), Some(callback)) = (message.reply, callback) {
                tokens.entry(callback.to_string()).or_default().push(token);
            }
            continue;
        }
        let mut at = frame.at;
        if is_keyword(slots(first).first(), "chsk/handshake") {
            let data = slots(&slots(first)[1]);
            let mut accept = Accept::new(data[0].clone());
            accept.data = data[2].clone();
            server.accept(at, accept);
            assert!(matches!(
                events(&mut server)[..],
                [ConnectionEvent::Opened(_)]
            ));
        } else if is_keyword(Some(first), "chsk/ws-ping") && callback.is_none() {
            at = server.poll_timeout().unwrap().max(at);
            server.handle_timeout(at);
        } else if let Some(callback) = callback {
            if *first != Value::from("pong") {
                // A handler of the real server may reply twice; ours has no token any more.
                let token = tokens.get_mut(&callback.to_string()).and_then(Vec::pop);
                let Some(token) = token else { continue };
                server.reply(at, token, first.clone()).unwrap();
            }
        } else {
            for event in slots(first) {
                server.send(at, as_event(event)).unwrap();
            }
        }
        let said = session.heard(&mut client, &mut server, at);
        session.assert_same(&said, frame);
    }
}

#[test]
fn our_client_takes_what_the_real_server_says_and_asks_as_the_real_client_did() {
    let mut frames = 0;
    for session in sessions() {
        for connection in session.connections() {
            frames += connection.len();
            against_our_client(&session, &connection);
        }
    }
    assert!(frames > 2400, "only {frames} frames replayed");
}

fn against_our_client(session: &Session, frames: &[Frame]) {
    let name = &session.name;
    let mut client = session.connection(Role::Client);
    let mut server = RawPeer::new(Role::Server);
    // Our callback ids, and calls, by the recorded ids.
    let mut calls: HashMap<String, (Value, Option<CallId>)> = HashMap::new();
    for frame in frames {
        let envelope = slots(&frame.value);
        let (first, callback) = (&envelope[0], envelope.get(1).cloned());
        let callback = callback.filter(|value| *value != Value::Nil);
        if frame.from_client {
            let mut at = frame.at;
            let id = slots(first).first();
            let mut call = None;
            if is_keyword(id, "chsk/ws-ping") {
                at = client.poll_timeout().unwrap().max(at);
                client.handle_timeout(at);
            } else if is_keyword(id, "chsk/ws-pong") {
                // Said by the machine itself.
            } else if callback.is_some() {
                let timeout = Duration::from_secs(600);
                call = Some(client.call(at, as_event(first), timeout).unwrap());
            } else {
                client.send(at, as_event(first)).unwrap();
            }
            let said = session.heard(&mut server, &mut client, at);
            match callback {
                None => session.assert_same(&said, frame),
                Some(callback) => {
                    let ours = session.read(&said);
                    assert!(slots(&ours)[0].identical(first), "{name}: {ours}");
                    let id = slots(&ours)[1].clone();
                    assert_eq!(id.as_str().map(str::len), Some(6));
                    calls.insert(callback.to_string(), (id, call));
                }
            }
            continue;
        }
        // A reply that is the ping's keyword is taken for a ping, as the real client does.
        let is_ping = is_keyword(Some(first), "chsk/ws-ping");
        let Some(callback) = callback.filter(|_| !is_ping) else {
            session.say(&mut server, &mut client, frame.at, &frame.bytes);
            let told = events(&mut client);
            if is_keyword(slots(first).first(), "chsk/handshake") {
                assert!(
                    matches!(told[..], [ConnectionEvent::Opened(_)]),
                    "{name}: {told:?}"
                );
            } else if is_ping {
                assert!(told.is_empty(), "{name}: {told:?}");
            } else {
                let batch = slots(first);
                assert_eq!(told.len(), batch.len(), "{name}: {first}");
                for (told, event) in told.iter().zip(batch) {
                    let ConnectionEvent::Message(message) = told else {
                        panic!("{name}: {told:?}");
                    };
                    assert!(
                        message.event.to_value().unwrap().identical(event),
                        "{name}: {event}"
                    );
                }
            }
            continue;
        };
        // The reply with our callback id in the place of theirs.
        let known = calls.remove(&callback.to_string());
        let (id, call) = known.unwrap_or((callback, None));
        let mut said = Vec::new();
        let reply = Value::Vector(vec![first.clone(), id].into());
        session.packer.pack_message(&reply, &mut said).unwrap();
        session.say(&mut server, &mut client, frame.at, &said);
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
                assert!(value.identical(first), "{name}: {first}");
            }
            // A pong, or the second answer to one call.
            ([], None) => {}
            other => panic!("{name}: {first}: {other:?}"),
        }
    }
}

#[test]
fn an_event_read_from_gzipped_messagepack_is_the_value_that_was_sent() {
    let gzip = Gzip::new(MsgPack::new().key_cache(true)).threshold(1);
    let value = edn("[[[:a/b {:k [{:k 1} {:k 2}] \"s\" {:k \"xxxxxxxxxxxxxxxxxxxx\"}}]] nil]");
    let mut frame = Vec::new();
    gzip.pack_message(&value, &mut frame).unwrap();
    let read = gzip.unpack_message(&Bytes::from(frame), &Limits::default());
    assert!(read.unwrap().identical(&value));
}
