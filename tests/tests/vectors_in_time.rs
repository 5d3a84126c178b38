//! Recorded sessions of the real Sente replay in virtual time: our side takes the same decisions
//! (when to ping, to answer, to give up, to close) within 100 ms of the recorded times. Where it
//! decides otherwise, the difference stands in [`BETTER`] with its reason.
//!
//! What the application did (events, calls, closing) is done at its recorded time.
#![allow(missing_docs)]

mod replay_support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use replay_support::{as_edn, file, recorded_with};
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Packer};
use sente_core::{
    Accept, CallError, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent,
    Dialect, Event, Input, Instant, Keepalive, ReplyToken, Role,
};
use sente_edn::Value;
use sente_tests::vectors::{field, load};
use sente_tests::{RawPeer, Said, edn, events, millis};
use serde_json::Value as Json;

/// How far from the recorded time a decision may be.
const TOLERANCE: Duration = Duration::from_millis(100);

/// Where ours decides otherwise than the recorded peer, and why that is better.
const BETTER: &[(&str, Alone, Decision, &str)] = &[
    (
        "kalive-server",
        Alone::Ours,
        Decision::Ping,
        "ours pings after each interval of silence; Sente's server, once answered, lets the ping \
         timeout and an interval pass, so that it finds a dead peer later than it says",
    ),
    (
        "nopong",
        Alone::Recorded,
        Decision::SecondPing,
        "Sente's client pings again while a ping is unanswered; one unanswered ping is enough to \
         give up by",
    ),
    (
        "script",
        Alone::Recorded,
        Decision::Close(1011),
        "Sente's client dies of a reserved id in a batch (an AssertionError closes its \
         connection); ours reports a bad event and goes on",
    ),
];

/// Who decides so, and the other does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    Ours,
    Recorded,
}

/// What a side does on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Close(u16),
    Ping,
    Pong,
    /// A ping while another is unanswered.
    SecondPing,
}

/// One thing in a session, and when. What was said stands here as EDN, whatever the packer.
#[derive(Clone, Debug)]
enum Row {
    /// Our side said this.
    Ours(String),
    OurClose(u16, By),
    /// The other side said this.
    Theirs(Kind, Vec<u8>),
    TheirClose(u16),
    /// The transport ended without a word.
    Drop,
}

/// Why a side closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Application,
    Protocol,
}

/// One connection with a peer that says what was recorded.
struct Session<'a> {
    name: &'a str,
    packer: Arc<dyn Packer>,
    ours: Connection,
    theirs: RawPeer,
    role: Role,
    /// Whether the peer answers pings that were not recorded.
    answers: bool,
    decided: Vec<(Instant, Decision)>,
    recorded: Vec<(Instant, Decision)>,
    /// Recorded callback ids and ours.
    renamed: BTreeMap<String, String>,
    tokens: BTreeMap<String, ReplyToken>,
    told: Vec<(Instant, ConnectionEvent)>,
    pinged: bool,
    /// When ours did something that the recorded one had done a little earlier.
    latest: Instant,
}

impl<'a> Session<'a> {
    fn new(
        name: &'a str,
        packer: Arc<dyn Packer>,
        role: Role,
        keepalive: Keepalive,
        begin: Instant,
    ) -> Self {
        let config = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .packer(packer.clone())
            .keepalive(Some(keepalive))
            .build()
            .unwrap();
        let other = match role {
            Role::Client => Role::Server,
            _ => Role::Client,
        };
        Self {
            name,
            packer,
            ours: Connection::new(config, [5; 32], begin),
            theirs: RawPeer::new(other),
            role,
            answers: true,
            decided: Vec::new(),
            recorded: Vec::new(),
            renamed: BTreeMap::new(),
            tokens: BTreeMap::new(),
            told: Vec::new(),
            pinged: false,
            latest: begin,
        }
    }

    fn replay(mut self, rows: &[(Instant, Row)]) -> Vec<(Instant, ConnectionEvent)> {
        for (at, row) in rows {
            let at = self.latest.max(*at);
            self.run_to(at);
            self.row(at, row.clone());
            self.listen(self.latest.max(at));
        }
        let end = rows.last().map_or(Instant::EPOCH, |(at, _)| *at);
        self.run_to(end + TOLERANCE);
        self.compare();
        self.told
    }

    /// Lets every deadline on the way come.
    fn run_to(&mut self, end: Instant) {
        while let Some(at) = self.ours.poll_timeout().filter(|at| *at <= end) {
            self.ours.handle_timeout(at);
            self.listen(at);
        }
    }

    fn listen(&mut self, now: Instant) {
        for said in self.theirs.hear(&mut self.ours, now) {
            match said {
                Said::Text(text) => self.said(now, &as_edn(&*self.packer, text.as_bytes())),
                Said::Binary(frame) => self.said(now, &as_edn(&*self.packer, &frame)),
                Said::Close(code) => self
                    .decided
                    .push((now, Decision::Close(code.unwrap_or(1005)))),
                _ => {}
            }
        }
        for event in events(&mut self.ours) {
            self.told.push((now, event));
        }
    }

    fn said(&mut self, now: Instant, text: &str) {
        let Some(decision) = decision(text, self.role, self.pinged) else {
            return;
        };
        self.decided.push((now, decision));
        let recorded = |(at, known): &(Instant, Decision)| {
            *known == decision && distance(*at, now) <= TOLERANCE
        };
        self.pinged = decision == Decision::Ping;
        if self.pinged && self.answers && !self.recorded.iter().any(recorded) {
            self.answer_ping(now, text);
        }
    }

    /// The recorded peer answers each ping it gets.
    fn answer_ping(&mut self, now: Instant, ping: &str) {
        let answer = match self.role {
            Role::Client => format!("[\"pong\" {}]", slots(&edn(ping))[1]),
            _ => "[[:chsk/ws-pong] nil]".to_owned(),
        };
        self.pinged = false;
        self.say(now, self.packer.kind(), &answer);
    }

    /// The other side says this, packed as it packs.
    fn say(&mut self, now: Instant, kind: Kind, text: &str) {
        let mut frame = text.as_bytes().to_vec();
        if self.packer.name() != "edn" {
            frame.clear();
            self.packer.pack_message(&edn(text), &mut frame).unwrap();
        }
        self.theirs.say_frame(&mut self.ours, now, kind, &frame);
    }

    fn row(&mut self, now: Instant, row: Row) {
        match row {
            Row::Ours(text) => self.our_words(now, &text),
            Row::OurClose(code, by) => {
                self.recorded.push((now, Decision::Close(code)));
                if by == By::Application {
                    self.ours.close_with(now, code, "");
                }
            }
            Row::Theirs(kind, bytes) => self.their_words(now, kind, &bytes),
            Row::TheirClose(code) => self.theirs.close(&mut self.ours, now, code),
            Row::Drop => self.ours.handle_input(now, Input::Eof),
        }
    }

    fn our_words(&mut self, now: Instant, text: &str) {
        let unanswered = self
            .recorded
            .last()
            .is_some_and(|(_, last)| *last == Decision::Ping && !self.answers);
        if let Some(decision) = decision(text, self.role, unanswered) {
            // The id of a ping is the peer's: its recorded answer must name ours.
            if let Some(id) = slots(&edn(text)).get(1).map(Value::to_string) {
                self.renamed.insert(id, String::new());
            }
            self.recorded.push((now, decision));
            if decision == Decision::Ping {
                self.let_ping(now);
            }
            return;
        }
        let envelope = slots(&edn(text));
        let callback = envelope[1].to_string();
        if envelope[0].to_string().starts_with("[:chsk/handshake") {
            let data = slots(&slots(&envelope[0])[1]);
            let mut accept = Accept::new(data[0].clone());
            accept.data = data[2].clone();
            self.ours.accept(now, accept);
        } else if self.role == Role::Server && callback != "nil" {
            // The second answer to one call is nothing that ours can say.
            if let Some(token) = self.tokens.remove(&callback) {
                self.ours.reply(now, token, envelope[0].clone()).unwrap();
            }
        } else if self.role == Role::Server {
            for event in slots(&envelope[0]) {
                self.ours.send(now, as_event(&event)).unwrap();
            }
        } else if callback == "nil" {
            self.ours.send(now, as_event(&envelope[0])).unwrap();
        } else {
            let event = as_event(&envelope[0]);
            self.ours.call(now, event, millis(500)).unwrap();
            let said = self.theirs.hear(&mut self.ours, now);
            let said = match &said[..] {
                [Said::Text(text)] => as_edn(&*self.packer, text.as_bytes()),
                [Said::Binary(frame)] => as_edn(&*self.packer, frame),
                other => panic!("{}: {other:?}", self.name),
            };
            let ours = slots(&edn(&said))[1].to_string();
            self.renamed.insert(callback, ours);
        }
    }

    /// Where ours pings a little later than the recorded one did, it does so before it is answered.
    fn let_ping(&mut self, now: Instant) {
        let is_said = |(at, known): &(Instant, Decision)| {
            *known == Decision::Ping && distance(*at, now) <= TOLERANCE
        };
        let due = self.ours.poll_timeout();
        let due = due.filter(|due| *due <= now + TOLERANCE);
        if let Some(due) = due.filter(|_| !self.decided.iter().any(is_said)) {
            self.run_to(due);
            self.latest = due;
        }
    }

    fn their_words(&mut self, now: Instant, kind: Kind, bytes: &[u8]) {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        if self.role == Role::Client {
            for (recorded, ours) in &self.renamed {
                if text.ends_with(&format!("{recorded}]")) && !ours.is_empty() {
                    text = text.replace(recorded, ours);
                }
            }
        }
        self.say(now, kind, &text);
        if self.role == Role::Server {
            let callback = sente_tests::try_edn(&text)
                .ok()
                .and_then(|value| slots(&value).get(1).map(Value::to_string));
            for event in events(&mut self.ours) {
                match (event, &callback) {
                    (ConnectionEvent::Message(mut message), Some(callback)) => {
                        if let Some(token) = message.reply.take() {
                            self.tokens.insert(callback.clone(), token);
                        }
                    }
                    (event, _) => self.told.push((now, event)),
                }
            }
        }
        self.pinged &= !text.contains("pong");
    }

    /// Each recorded decision is one of ours, and the other way around, or is known to differ.
    fn compare(&self) {
        let name = self.name;
        let known = |alone: Alone, decision: Decision| {
            let row = (name, alone, decision);
            BETTER
                .iter()
                .any(|(session, who, what, _)| (*session, *who, *what) == row)
        };
        let mut ours = self.decided.clone();
        for (at, decision) in &self.recorded {
            let same = ours
                .iter()
                .position(|(when, what)| what == decision && distance(*when, *at) <= TOLERANCE);
            match same {
                Some(index) => drop(ours.remove(index)),
                None => assert!(
                    known(Alone::Recorded, *decision),
                    "{name}: recorded {decision:?} at {at:?}, ours: {:?}",
                    self.decided
                ),
            }
        }
        for (at, decision) in ours {
            assert!(
                known(Alone::Ours, decision),
                "{name}: ours alone decides {decision:?} at {at:?}, recorded: {:?}",
                self.recorded
            );
        }
    }
}

fn distance(one: Instant, other: Instant) -> Duration {
    (one - other).max(other - one)
}

/// What a frame decides, if the side says it on its own.
fn decision(text: &str, role: Role, pinged: bool) -> Option<Decision> {
    let is_ping = match role {
        Role::Client => text.starts_with("[[:chsk/ws-ping]"),
        _ => text == "[:chsk/ws-ping nil]",
    };
    if is_ping && pinged {
        Some(Decision::SecondPing)
    } else if is_ping {
        Some(Decision::Ping)
    } else if text.starts_with("[[:chsk/ws-pong]") || text.starts_with("[\"pong\" ") {
        Some(Decision::Pong)
    } else {
        None
    }
}

fn slots(value: &Value) -> Vec<Value> {
    value.as_sequence().unwrap_or_default().to_vec()
}

fn as_event(value: &Value) -> Event {
    Event::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// The rows of each connection of a recorded session, as `role` saw them.
fn session(packer: &dyn Packer, name: &str, role: Role) -> Vec<Vec<(Instant, Row)>> {
    let ours = match role {
        Role::Client => "client->server",
        _ => "server->client",
    };
    let mut connections: BTreeMap<u64, Vec<(Instant, Row)>> = BTreeMap::new();
    for row in load(&file(packer, name)).as_array().unwrap() {
        let rows = connections
            .entry(row["conn"].as_u64().unwrap())
            .or_default();
        let at = Instant::from_millis(row["t_ms"].as_u64().unwrap());
        let is_ours = field(row, "direction") == Some(ours);
        let what = match field(row, "frame_type") {
            Some("text" | "binary") => {
                let frame = match field(row, "payload") {
                    Some(text) if packer.kind() == Kind::Text => text.as_bytes().to_vec(),
                    _ => STANDARD.decode(field(row, "payload_b64").unwrap()).unwrap(),
                };
                let text = as_edn(packer, &frame);
                if is_ours {
                    Row::Ours(text)
                } else {
                    Row::Theirs(packer.kind(), text.into_bytes())
                }
            }
            Some("close") => {
                let code = u16::try_from(row["close_code"].as_u64().unwrap()).unwrap();
                let answer = rows
                    .iter()
                    .any(|(_, row)| matches!(row, Row::TheirClose(_)));
                let first = !rows.iter().any(|(_, row)| matches!(row, Row::OurClose(..)));
                match (is_ours, answer) {
                    (true, true) => Row::OurClose(code, By::Protocol),
                    (true, false) => Row::OurClose(code, By::Application),
                    (false, _) if first => Row::TheirClose(code),
                    // Our scripted peer answers a close by itself.
                    (false, _) => continue,
                }
            }
            _ => continue,
        };
        rows.push((at, what));
    }
    connections.into_values().collect()
}

#[test]
fn our_client_decides_as_the_real_client_did_at_the_same_times() {
    let default = Keepalive::default_for(Role::Client, Dialect::Sente);
    let mut count = 0;
    for (name, keepalive) in [
        ("basic", default),
        // `:ws-kalive-ms` 1600, which Sente halves into ticks: it pings at the second one.
        ("kalive-client", Keepalive::new(millis(1600), millis(5000))),
        ("kalive-server", default),
    ] {
        for packer in recorded_with(name) {
            for rows in session(&*packer, name, Role::Client) {
                let begin = rows[0].0;
                Session::new(name, packer.clone(), Role::Client, keepalive, begin).replay(&rows);
                count += 1;
            }
            eprintln!("in time: {}", file(&*packer, name));
        }
    }
    assert_eq!(count, 23);
}

#[test]
fn our_server_decides_as_the_real_server_did_at_the_same_times() {
    let default = Keepalive::default_for(Role::Server, Dialect::Sente);
    let mut count = 0;
    for (name, keepalive) in [
        ("basic", default),
        ("kalive-client", default),
        // `:ws-kalive-ms` 2000, halved.
        ("kalive-server", Keepalive::new(millis(1000), millis(1000))),
    ] {
        for packer in recorded_with(name) {
            for rows in session(&*packer, name, Role::Server) {
                let begin = rows[0].0;
                Session::new(name, packer.clone(), Role::Server, keepalive, begin).replay(&rows);
                count += 1;
            }
            eprintln!("in time: {}", file(&*packer, name));
        }
    }
    assert_eq!(count, 23);
}

/// A connection of the scripted server's log: mode, when it began, rows.
type Scripted = (String, Instant, Vec<(Instant, Row)>);

fn scripted() -> Vec<Scripted> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/sente/fakeserver-scenarios.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut connections: Vec<Scripted> = Vec::new();
    let mut begin = None;
    for line in text.lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        let seconds = row["t"].as_f64().unwrap();
        let begin = *begin.get_or_insert(seconds);
        let at = Instant::EPOCH + Duration::from_secs_f64(seconds - begin);
        let number = usize::try_from(row["conn"].as_u64().unwrap()).unwrap() - 1;
        if let Some(open) = field(&row, "open") {
            let mode = open.split("mode=").nth(1).unwrap();
            let mode = mode.split('&').next().unwrap().to_owned();
            let handshake = b"[[:chsk/handshake [\"uid-1\" nil nil]] nil]".to_vec();
            let rows = match mode.as_str() {
                "reject" => Vec::new(),
                _ => vec![(at, Row::Theirs(Kind::Text, handshake))],
            };
            assert_eq!(connections.len(), number);
            connections.push((mode, at, rows));
            continue;
        }
        let (mode, _, rows) = &mut connections[number];
        if let Some(text) = field(&row, "server_sends") {
            rows.push((at, Row::Theirs(Kind::Text, text.as_bytes().to_vec())));
        } else if let Some(bytes) = row["server_sends"]["bin"].as_str() {
            let bytes = bytes
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            rows.push((at, Row::Theirs(Kind::Binary, bytes.collect())));
        } else if let Some(text) = field(&row, "client_sends") {
            rows.push((at, Row::Ours(text.to_owned())));
        } else if row["closed"] == Json::Bool(true) {
            let code = u16::try_from(row["code"].as_u64().unwrap()).unwrap();
            let by_us = field(&row, "reason").unwrap_or_default();
            match (mode.as_str(), code, number + 1) {
                ("drop", 1006, _) => rows.push((at, Row::Drop)),
                ("close" | "reject", _, _) => {
                    rows.push((at, Row::TheirClose(code)));
                    rows.push((at, Row::OurClose(code, By::Protocol)));
                }
                // The third one that was never answered was disconnected before its time was up.
                ("nopong", _, 5 | 6) | ("script", 1011, _) => {
                    rows.push((at, Row::OurClose(code, By::Protocol)));
                }
                _ => {
                    assert!(by_us.starts_with("CLOSE_NORMAL"), "{line}");
                    rows.push((at, Row::OurClose(code, By::Application)));
                }
            }
        }
    }
    connections
}

#[test]
fn our_client_decides_as_the_real_one_did_against_a_scripted_server() {
    // `:ws-kalive-ms` 1000, halved into ticks; the ping timeout as it was observed.
    let impatient = Keepalive::new(millis(1000), millis(700));
    let default = Keepalive::default_for(Role::Client, Dialect::Sente);
    let connections = scripted();
    assert_eq!(connections.len(), 41);
    for (mode, begin, rows) in connections {
        let keepalive = if mode == "nopong" { impatient } else { default };
        let mut session = Session::new(&mode, Arc::new(Edn), Role::Client, keepalive, begin);
        session.answers = mode != "nopong";
        let calls = rows
            .iter()
            .filter(|(_, row)| matches!(row, Row::Ours(text) if text.starts_with("[[:test/")));
        let calls = calls.count();
        let end = rows.last().unwrap().0;
        let told = session.replay(&rows);
        let settled = told.iter().filter(|(_, event)| {
            matches!(
                event,
                ConnectionEvent::Settled {
                    result: Err(CallError::Closed),
                    ..
                }
            )
        });
        assert_eq!(settled.count(), calls, "{mode}: calls settle with the link");
        let closed = told.iter().find_map(|(at, event)| match event {
            ConnectionEvent::Closed(reason) => Some((*at, reason.clone())),
            _ => None,
        });
        match (mode.as_str(), closed) {
            // Where Sente's client died, ours lives on until somebody closes it.
            ("script", None) => {}
            (_, None) => panic!("{mode}: it should have ended by {end:?}"),
            (mode, Some((at, reason))) => {
                assert!(distance(at, end) <= TOLERANCE, "{mode}: {reason} at {at:?}");
                let by_us = rows
                    .iter()
                    .any(|(_, row)| matches!(row, Row::OurClose(_, By::Application)));
                let expected = match (mode, &reason) {
                    _ if by_us => reason == CloseReason::Requested,
                    ("drop", CloseReason::WebSocket(_)) => true,
                    ("close" | "reject", CloseReason::PeerClosed { code, .. }) => rows.iter().any(
                        |(_, row)| matches!(row, Row::TheirClose(sent) if code == &Some(*sent)),
                    ),
                    ("nopong", reason) => *reason == CloseReason::PingTimeout,
                    _ => false,
                };
                assert!(expected, "{mode}: {reason:?}");
            }
        }
    }
}
