//! Every captured session of the real Sente, whatever its packer, in one table: from each frame ours
//! takes what the real reader took, and doing what the real application did it says the same. Where
//! it does not, the difference stands in [`DIFFERENCES`] with its reason.
#![allow(missing_docs)]

mod replay_support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use replay_support::packers;
use sente_core::framing::Kind;
use sente_core::packer::Packer;
use sente_core::{
    Accept, CallId, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event,
    Instant, Limits, ReplyToken, Role,
};
use sente_edn::Value;
use sente_tests::vectors::{field, load, names};
use sente_tests::{RawPeer, Said, events, try_edn};
use serde_json::Value as Json;

/// Every captured session, how many frames it has, and in how many of them ours differs.
const SESSIONS: &[(&str, usize, usize)] = &[
    ("edn-basic", 45, 1),
    ("edn-csrf", 1, 0),
    ("edn-hs", 1, 0),
    ("edn-kalive-client", 3, 0),
    ("edn-kalive-server", 5, 0),
    ("edn-stock", 3, 0),
    ("edn-values", 626, 26),
    ("gzip-edn-echo-all", 594, 26),
    ("gzip-edn-kalive-client", 3, 0),
    ("gzip-edn-kalive-server", 5, 0),
    ("gzip-edn-stock", 1, 0),
    ("gzip-edn-values", 626, 26),
    ("gzip-msgpack-basic", 45, 1),
    ("gzip-msgpack-echo-all", 570, 26),
    ("msgpack-basic", 45, 1),
    ("msgpack-hs", 1, 0),
    ("msgpack-kalive-client", 3, 0),
    ("msgpack-kalive-server", 5, 0),
    ("msgpack-stock", 1, 0),
    ("msgpack-values", 598, 13),
    ("transit-json-basic", 45, 1),
    ("transit-json-echo-all", 594, 20),
    ("transit-json-hs", 1, 0),
    ("transit-json-kalive-client", 3, 0),
    ("transit-json-kalive-server", 5, 0),
    ("transit-json-values", 610, 10),
    ("transit-json-verbose-basic", 45, 1),
    ("transit-json-verbose-echo-all", 594, 20),
];

/// What ours reads otherwise than the real reader: the format, what stands in the frame or in what
/// ours reads, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "edn",
        ":a/b/c",
        "the real reader refuses a name with two slashes, which clojure.edn takes, and ours",
    ),
    (
        "edn",
        "#",
        "the real reader refuses a tag that nobody handles; ours keeps it",
    ),
    (
        "msgpack",
        "#msgpack/ext [0 ",
        "EDN has no such keyword; ours keeps the extension",
    ),
    (
        "msgpack",
        "#msgpack/ext [1 ",
        "EDN has no such symbol; ours keeps the extension",
    ),
    (
        "msgpack",
        "#inst ",
        "the capture displays Java's Instant, also the nanoseconds, which no #inst can say",
    ),
    ("transit", "~c\\uD83D", HALF),
    ("transit", "~c\\uDE00", HALF),
    ("transit", "a\\uD83Db", HALF),
    ("transit", "a\\uDE00b", HALF),
    ("transit", "\"~:a b\"", NO_NAME),
    ("transit", "\"~:\"", NO_NAME),
    ("transit", "\"~$nil\"", NO_NAME),
    ("transit", "\"~$true\"", NO_NAME),
    ("transit", "\"~$a b\"", NO_NAME),
    (
        "transit",
        "\"~rhttp:",
        "the capture displays an object of Java's; ours keeps the tag",
    ),
];

const HALF: &str = "half of a character, which the capture displays as ?, and ours reads as U+FFFD";
const NO_NAME: &str = "EDN has no such name; ours keeps it as #transit/tagged";

const SECOND_REPLY: &str = "Sente's server lets a handler reply twice, and its client drops the second; with us the token \
     is gone";

struct Session {
    file: String,
    packer: Arc<dyn Packer>,
}

/// A recorded frame.
struct Frame {
    /// Which row of the file.
    row: usize,
    from_client: bool,
    bytes: Vec<u8>,
    /// What ours reads in it, if it is an envelope that can be acted on.
    envelope: Option<Envelope>,
    at: Instant,
}

#[derive(Clone)]
struct Envelope {
    first: Value,
    callback: Option<String>,
}

/// Rows in which ours differs, and why.
type Differing = BTreeMap<usize, &'static str>;

impl Session {
    fn all() -> Vec<Self> {
        let packers = packers();
        let of = |file: String| {
            let scenario = file.strip_prefix("sente/ws-").unwrap().to_owned();
            let mut packers = packers.iter();
            let packer = packers.find(|packer| scenario.starts_with(packer.name()))?;
            Some(Self {
                file,
                packer: packer.clone(),
            })
        };
        names("sente", "ws-").into_iter().filter_map(of).collect()
    }

    fn binary(&self) -> bool {
        self.packer.kind() == Kind::Binary
    }

    fn bytes(&self, row: &Json) -> Option<Vec<u8>> {
        match field(row, "frame_type")? {
            "text" if !self.binary() => Some(field(row, "payload")?.as_bytes().to_vec()),
            "binary" if self.binary() => Some(STANDARD.decode(field(row, "payload_b64")?).unwrap()),
            _ => None,
        }
    }

    fn read(&self, frame: &[u8]) -> Option<Value> {
        let frame = Bytes::copy_from_slice(frame);
        self.packer.unpack_message(&frame, &Limits::default()).ok()
    }

    /// The frames of each connection, and those in which ours finds something else than the real
    /// reader did.
    fn connections(&self) -> (Vec<Vec<Frame>>, Differing) {
        let mut split: Vec<(Json, Vec<Frame>)> = Vec::new();
        let mut differing = Differing::new();
        for (index, row) in load(&self.file).as_array().unwrap().iter().enumerate() {
            let Some(bytes) = self.bytes(row) else {
                continue;
            };
            let from_client = field(row, "direction") == Some("client->server");
            let ours = self.read(&bytes);
            if let Some(reason) = self.compare(row, ours.as_ref()) {
                differing.insert(index, reason);
            }
            let frame = Frame {
                row: index,
                from_client,
                envelope: ours.and_then(|value| envelope(&value, from_client)),
                bytes,
                at: Instant::from_millis(row["t_ms"].as_u64().unwrap().max(1)),
            };
            match split.iter_mut().find(|(conn, _)| *conn == row["conn"]) {
                Some((_, frames)) => frames.push(frame),
                None => split.push((row["conn"].clone(), vec![frame])),
            }
        }
        let connections = split.into_iter().map(|(_, frames)| frames).collect();
        (connections, differing)
    }

    /// Why ours reads something else than the real reader did, if it does.
    fn compare(&self, row: &Json, ours: Option<&Value>) -> Option<&'static str> {
        let shown = field(row, "decoded_edn");
        let theirs = shown.and_then(|text| try_edn(text).ok());
        let same = match (ours, &theirs) {
            (Some(ours), Some(theirs)) => ours.identical(theirs),
            (None, None) => shown.is_none(),
            _ => false,
        };
        if same {
            return None;
        }
        let payload = field(row, "payload").unwrap_or_default();
        let ours = ours.map(Value::to_string);
        let known = DIFFERENCES.iter().find(|(format, text, _)| {
            let has = |place: &str| place.contains(text);
            self.packer.format().starts_with(format)
                && (has(payload) || ours.as_deref().is_some_and(has))
        });
        let Some((_, _, reason)) = known else {
            panic!(
                "{}: {payload}\n  ours: {ours:?}\n  real: {shown:?}",
                self.file
            );
        };
        Some(reason)
    }

    fn connection(&self, role: Role) -> Connection {
        let config = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .packer(self.packer.clone())
            .build()
            .unwrap();
        Connection::new(config, [5; 32], Instant::EPOCH)
    }

    fn say(&self, peer: &mut RawPeer, connection: &mut Connection, at: Instant, frame: &[u8]) {
        peer.say_frame(connection, at, self.packer.kind(), frame);
    }

    /// What the one frame that `connection` says now holds.
    fn heard(&self, peer: &mut RawPeer, connection: &mut Connection, at: Instant) -> Envelope {
        let said = peer.hear(connection, at);
        let [frame] = &said[..] else {
            panic!("{}: {said:?}", self.file);
        };
        let frame = match frame {
            Said::Text(text) if !self.binary() => text.as_bytes(),
            Said::Binary(bytes) if self.binary() => bytes,
            other => panic!("{}: {other:?}", self.file),
        };
        let value = self.read(frame).unwrap();
        envelope(&value, false).unwrap()
    }

    /// The frame with another callback id of the same length in it.
    fn renamed(&self, frame: &[u8], from: &str, to: &str) -> Vec<u8> {
        let replaced = |bytes: &[u8]| {
            let at = bytes
                .windows(from.len())
                .rposition(|part| part == from.as_bytes())?;
            let mut bytes = bytes.to_vec();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            Some(bytes)
        };
        assert_eq!(from.len(), to.len());
        if let Some(bytes) = replaced(frame) {
            return bytes;
        }
        let opened = Bytes::copy_from_slice(frame);
        let opened = self.packer.open(&opened, &Limits::default()).unwrap();
        let mut sealed = Vec::new();
        let renamed = replaced(&opened).unwrap();
        self.packer.seal(&renamed, &mut sealed).unwrap();
        sealed
    }
}

/// The parts of an envelope that an engine can do something with. Sente prints some values as EDN that
/// no reader takes for what was meant (`(keyword "a b")`).
fn envelope(value: &Value, from_client: bool) -> Option<Envelope> {
    let (first, callback) = match value.as_sequence()? {
        [first] => (first, None),
        [first, callback] => (first, Some(callback)),
        _ => return None,
    };
    if from_client && slots(first).len() > 2 {
        return None;
    }
    let callback = callback.and_then(Value::as_str).map(str::to_owned);
    Some(Envelope {
        first: first.clone(),
        callback,
    })
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
fn every_captured_session_replays_on_both_sides() {
    let sessions = Session::all();
    let mut replayed = Vec::new();
    let mut reasons = BTreeSet::new();
    for session in &sessions {
        let (connections, mut differing) = session.connections();
        let mut count = 0;
        for connection in &connections {
            count += connection.len();
            against_our_server(session, connection, &mut differing);
            against_our_client(session, connection);
        }
        let different = differing.len();
        eprintln!(
            "replay: {} frames={count} same={} different={different}",
            session.file,
            count - different
        );
        let scenario = session.file.trim_start_matches("sente/ws-");
        replayed.push((scenario.trim_end_matches(".json"), count, different));
        reasons.extend(differing.into_values());
    }
    assert_eq!(replayed, SESSIONS);
    let known = DIFFERENCES.iter().map(|(.., reason)| *reason);
    let known: BTreeSet<_> = known.chain([SECOND_REPLY]).collect();
    assert_eq!(reasons, known, "a difference that is gone is not listed");
}

fn against_our_server(session: &Session, frames: &[Frame], differing: &mut Differing) {
    let name = &session.file;
    let mut server = session.connection(Role::Server);
    let mut client = RawPeer::new(Role::Client);
    let mut tokens: HashMap<String, Vec<ReplyToken>> = HashMap::new();
    for frame in frames {
        let mut at = frame.at;
        if frame.from_client {
            session.say(&mut client, &mut server, at, &frame.bytes);
            let mut told = events(&mut server);
            let Some(Envelope { first, callback }) = &frame.envelope else {
                assert!(
                    matches!(told[..], [ConnectionEvent::BadEvent(_)]),
                    "{name}: {told:?}"
                );
                continue;
            };
            let id = slots(first).first();
            if is_keyword(id, "chsk/ws-ping") || is_keyword(id, "chsk/ws-pong") {
                assert!(told.is_empty(), "{name}: {first}: {told:?}");
                continue;
            }
            assert_eq!(told.len(), 1, "{name}: {first}: {told:?}");
            let Some(ConnectionEvent::Message(message)) = told.pop() else {
                panic!("{name}: {first}");
            };
            let value = message.event.to_value().unwrap();
            assert!(value.identical(first), "{name}: {first}: {value}");
            assert_eq!(
                message.reply.is_some(),
                callback.is_some(),
                "{name}: {first}"
            );
            if let (Some(token), Some(callback)) = (message.reply, callback) {
                tokens.entry(callback.clone()).or_default().push(token);
            }
            continue;
        }
        let Some(Envelope { first, callback }) = &frame.envelope else {
            continue;
        };
        if is_keyword(slots(first).first(), "chsk/handshake") {
            let data = slots(&slots(first)[1]);
            let mut accept = Accept::new(data[0].clone());
            accept.data = data[2].clone();
            server.accept(at, accept);
            let told = events(&mut server);
            assert!(
                matches!(told[..], [ConnectionEvent::Opened(_)]),
                "{name}: {told:?}"
            );
        } else if is_keyword(Some(first), "chsk/ws-ping") && callback.is_none() {
            // When it comes is looked at where sessions replay in time.
            at = server.poll_timeout().unwrap().max(at);
            server.handle_timeout(at);
        } else if let Some(callback) = callback {
            if *first != Value::from("pong") {
                let Some(token) = tokens.get_mut(callback).and_then(Vec::pop) else {
                    differing.insert(frame.row, SECOND_REPLY);
                    continue;
                };
                server.reply(at, token, first.clone()).unwrap();
            }
        } else {
            for event in slots(first) {
                server.send(at, as_event(event)).unwrap();
            }
        }
        let said = session.heard(&mut client, &mut server, at);
        assert!(
            said.first.identical(first),
            "{name}: {}: {first}",
            said.first
        );
        assert_eq!(said.callback, *callback, "{name}: {first}");
    }
}

fn against_our_client(session: &Session, frames: &[Frame]) {
    let name = &session.file;
    let mut client = session.connection(Role::Client);
    let mut server = RawPeer::new(Role::Server);
    // Our callback ids, and calls, by the recorded ids.
    let mut calls: HashMap<String, (String, Option<CallId>)> = HashMap::new();
    for frame in frames {
        let mut at = frame.at;
        if frame.from_client {
            let Some(Envelope { first, callback }) = &frame.envelope else {
                continue;
            };
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
            assert!(
                said.first.identical(first),
                "{name}: {}: {first}",
                said.first
            );
            assert_eq!(
                said.callback.is_some(),
                callback.is_some(),
                "{name}: {first}"
            );
            if let (Some(theirs), Some(ours)) = (callback, said.callback) {
                assert!(ours.len() == 6 && ours.bytes().all(|digit| digit.is_ascii_hexdigit()));
                calls.insert(theirs.clone(), (ours, call));
            }
            continue;
        }
        let late = client.stats().late_replies;
        let Some(Envelope { first, callback }) = &frame.envelope else {
            session.say(&mut server, &mut client, at, &frame.bytes);
            let told = events(&mut client);
            let misread = client.stats().late_replies > late;
            let reported = matches!(told[..], [ConnectionEvent::BadEvent(_)]);
            assert!(misread || reported, "{name}: {told:?}");
            continue;
        };
        // A reply that is the ping's keyword is taken for a ping, as the real client does.
        let is_ping = is_keyword(Some(first), "chsk/ws-ping");
        let Some(callback) = callback.as_ref().filter(|_| !is_ping) else {
            session.say(&mut server, &mut client, at, &frame.bytes);
            let told = events(&mut client);
            if is_ping {
                assert!(told.is_empty(), "{name}: {told:?}");
            } else if is_keyword(slots(first).first(), "chsk/handshake") {
                let [ConnectionEvent::Opened(opened)] = &told[..] else {
                    panic!("{name}: {told:?}");
                };
                let data = slots(&slots(first)[1]);
                let (uid, said) = (opened.uid.as_ref().unwrap(), opened.data.as_ref().unwrap());
                assert!(uid.to_value().unwrap().identical(&data[0]), "{name}");
                assert!(said.to_value().unwrap().identical(&data[2]), "{name}");
            } else {
                let batch = slots(first);
                assert_eq!(told.len(), batch.len(), "{name}: {first}");
                for (told, event) in told.iter().zip(batch) {
                    let ConnectionEvent::Message(message) = told else {
                        panic!("{name}: {told:?}");
                    };
                    let value = message.event.to_value().unwrap();
                    assert!(value.identical(event), "{name}: {event}: {value}");
                }
            }
            continue;
        };
        let known = calls.remove(callback);
        let (id, call) = known.unwrap_or_else(|| (callback.clone(), None));
        let reply = session.renamed(&frame.bytes, callback, &id);
        session.say(&mut server, &mut client, at, &reply);
        match (&events(&mut client)[..], call) {
            ([ConnectionEvent::Settled { call, result }], Some(known)) => {
                assert_eq!(*call, known);
                let value = result.as_ref().unwrap().to_value().unwrap();
                assert!(value.identical(first), "{name}: {first}: {value}");
            }
            // A pong, or the second answer to one call.
            ([], None) => {
                let pong = *first == Value::from("pong");
                assert_eq!(
                    client.stats().late_replies - late,
                    u64::from(!pong),
                    "{name}"
                );
            }
            other => panic!("{name}: {first}: {other:?}"),
        }
    }
}
