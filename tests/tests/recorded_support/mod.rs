//! The core's server with the handlers that the recorded server had, and raw clients of it.
#![allow(unreachable_pub, reason = "shared by including it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sente_core::framing::Kind;
use sente_core::packer::Packer;
use sente_core::{
    Carrier, ConnId, ConnectionConfig, ConnectionConfigBuilder, ConnectionEvent, Dialect, Input,
    Instant, Limits, Message, Role, Server, ServerAccept, ServerConfig, ServerEvent, State, Target,
    UserId,
};
use sente_edn::Value;
use sente_tests::{RawPeer, Said, edn, event, millis};

/// A server with the handlers of the recording's, and raw clients.
pub struct Rig {
    pub server: Server,
    pub now: Instant,
    pub config: Arc<ConnectionConfig>,
    peers: BTreeMap<ConnId, RawPeer>,
    heard: BTreeMap<ConnId, Vec<Said>>,
    /// What is pushed later, to whom.
    later: Vec<(Instant, UserId, String)>,
    pub bad: usize,
}

impl Rig {
    pub fn new(packer: Arc<dyn Packer>) -> Self {
        Self::with(|config| config.packer(packer))
    }

    pub fn with(change: impl FnOnce(ConnectionConfigBuilder) -> ConnectionConfigBuilder) -> Self {
        let builder = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
        let mut limits = Limits::default();
        // http-kit's.
        limits.max_frame_bytes = 4 * 1024 * 1024;
        Self {
            server: Server::new(ServerConfig::default(), [4; 32]),
            now: Instant::EPOCH,
            config: change(builder.limits(limits)).build().unwrap(),
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            later: Vec::new(),
            bad: 0,
        }
    }

    pub fn connect(&mut self, user: &str, client_id: &str) -> ConnId {
        let id = self.server.open(self.now, self.config.clone());
        let terms = ServerAccept::new().user(user).client_id(client_id);
        self.server.accept(self.now, id, terms).unwrap();
        self.peers.insert(id, RawPeer::new(Role::Client));
        self.heard.insert(id, Vec::new());
        self.drive();
        id
    }

    pub fn say(&mut self, id: ConnId, kind: Kind, message: &[u8]) {
        let peer = self.peers.get_mut(&id).unwrap();
        self.server
            .with_connection(self.now, id, |connection, now| {
                peer.say_frame(connection, now, kind, message);
            });
        self.drive();
    }

    /// Bytes of the WebSocket itself.
    pub fn raw(&mut self, id: ConnId, bytes: &[u8]) {
        let mut bytes = BytesMut::from(bytes);
        self.server
            .handle_input(self.now, id, Input::Bytes(&mut bytes));
        self.drive();
    }

    fn drive(&mut self) {
        loop {
            while let Some(told) = self.server.poll_event() {
                if let ServerEvent::Connection { peer, event } = told {
                    self.handle(peer.connection, peer.user.unwrap(), event);
                }
            }
            let mut quiet = true;
            for (id, peer) in &mut self.peers {
                let said = self
                    .server
                    .with_connection(self.now, *id, |connection, now| peer.hear(connection, now));
                let said = said.unwrap_or_default();
                quiet &= said.is_empty();
                self.heard.get_mut(id).unwrap().extend(said);
            }
            if quiet {
                return;
            }
        }
    }

    fn handle(&mut self, from: ConnId, user: UserId, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Message(message) => self.answer(from, &user, message),
            ConnectionEvent::BadEvent(bad) => {
                self.bad += 1;
                if let Some(token) = bad.reply {
                    self.server
                        .with_connection(self.now, from, |connection, _| connection.forget(token));
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, from: ConnId, user: &UserId, message: Message) {
        let data = message.event.data.map(|data| data.to_value().unwrap());
        let data = data.unwrap_or(Value::Nil);
        let now = self.now;
        let mut answer = None;
        match message.event.id.as_str() {
            "test/echo" => answer = Some(data),
            "test/value" => {
                answer = Some(match data.as_str() {
                    Some("record") => edn("#a1common.Point{:x 1, :y 2}"),
                    _ => edn("\"#object\""),
                });
            }
            "test/multi-reply" => answer = Some(edn(":first")),
            "test/push" => {
                let count = data.get_keyword("n").unwrap().as_i64().unwrap();
                let gap = data.get_keyword("gap-ms").and_then(Value::as_i64);
                let pushed = data.get_keyword("data").unwrap_or(&Value::Nil).clone();
                answer = Some(edn(&format!("{{:pushed {count}}}")));
                for i in 0..count {
                    let after = millis(u64::try_from(i * gap.unwrap_or(0)).unwrap());
                    let text = format!("[:test/pushed {{:i {i}, :data {pushed}}}]");
                    self.later.push((now + after, user.clone(), text));
                }
            }
            "test/close" => {
                let target = Target::User(user.clone());
                self.server
                    .with_hub(now, |hub, now| hub.disconnect(now, &target, 1000, ""));
            }
            _ => {}
        }
        if let Some(token) = message.reply {
            self.server
                .with_connection(now, from, |connection, now| match answer {
                    Some(answer) => connection.reply(now, token, answer).unwrap(),
                    // A handler that fails, or that never answers.
                    None => connection.reply_error(now, token).unwrap(),
                });
        }
        self.push_what_is_due();
    }

    pub fn push(&mut self, user: &str, data: &str) {
        let text = format!("[:test/pushed {{:i 0, :data {data}}}]");
        self.later.push((self.now, UserId::from(user), text));
        self.push_what_is_due();
        self.drive();
    }

    fn push_what_is_due(&mut self) {
        let now = self.now;
        let due = self.later.iter().filter(|(at, ..)| *at <= now);
        let due: Vec<_> = due.cloned().collect();
        self.later.retain(|(at, ..)| *at > now);
        for (_, user, text) in due {
            let target = Target::User(user);
            self.server.fan_out(now, &target, &event(&text)).unwrap();
        }
    }

    pub fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        loop {
            let pushes = self.later.iter().map(|(at, ..)| *at);
            let next = pushes.chain(self.server.poll_timeout()).min();
            let Some(at) = next.filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.push_what_is_due();
            self.server.handle_timeout(self.now);
            self.drive();
        }
        self.now = until;
    }

    pub fn said(&mut self, id: ConnId) -> Vec<Said> {
        std::mem::take(self.heard.get_mut(&id).unwrap())
    }

    pub fn texts(&mut self, id: ConnId) -> Vec<String> {
        self.said(id)
            .into_iter()
            .map(|said| match said {
                Said::Text(text) => text,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    pub fn is_open(&self, id: ConnId) -> bool {
        let connection = self.server.connection(id);
        connection.is_some_and(|connection| connection.state() == State::Open)
    }
}
