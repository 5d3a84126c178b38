//! A server and its clients, joined by perfect wires that a test can hold up.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, ConnId, Connection, ConnectionConfig, ConnectionEvent, Dialect, HubEvent, Input,
    Instant, Role, Server, ServerAccept, ServerConfig, ServerEvent, Transmit, TransmitBuf, UserId,
};
use sente_tests::{config, event, text};

pub struct ServerRig {
    pub server: Server,
    pub clients: BTreeMap<ConnId, Connection>,
    pub now: Instant,
    /// Clients that read nothing.
    pub stalled: BTreeSet<ConnId>,
    /// What the server told, but for messages and the opening and closing of connections.
    pub told: Vec<ServerEvent>,
    /// The messages that reached the application, as EDN.
    pub heard: Vec<(ConnId, String)>,
    /// Whether the application takes events.
    pub listens: bool,
    next_seed: u8,
}

impl ServerRig {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig::default();
        change(&mut config);
        Self {
            server: Server::new(config, [7; 32]),
            clients: BTreeMap::new(),
            now: Instant::EPOCH,
            stalled: BTreeSet::new(),
            told: Vec::new(),
            heard: Vec::new(),
            listens: true,
            next_seed: 0,
        }
    }

    /// A client of this dialect that is let in on these terms.
    pub fn connect(&mut self, dialect: Dialect, admission: ServerAccept) -> ConnId {
        let server = config(Role::Server, dialect, Carrier::WebSocket);
        self.connect_with(server, admission)
    }

    pub fn connect_with(
        &mut self,
        server: Arc<ConnectionConfig>,
        admission: ServerAccept,
    ) -> ConnId {
        let id = self.open(server);
        self.server.accept(self.now, id, admission).unwrap();
        self.drive();
        id
    }

    /// A transport that is open, and not let in yet.
    pub fn open(&mut self, server: Arc<ConnectionConfig>) -> ConnId {
        self.next_seed += 1;
        let client = config(Role::Client, server.dialect(), server.carrier());
        let client = Connection::new(client, [self.next_seed; 32], self.now);
        let id = self.server.open(self.now, server);
        self.clients.insert(id, client);
        id
    }

    /// Sente's client of a user.
    pub fn connect_user(&mut self, user: &str, client_id: &str) -> ConnId {
        let admission = ServerAccept::new().user(user).client_id(client_id);
        self.connect(Dialect::Sente, admission)
    }

    pub fn connect_lite(&mut self) -> ConnId {
        self.connect(Dialect::SenteLite, ServerAccept::new())
    }

    /// A client says something.
    pub fn say(&mut self, from: ConnId, text: &str) {
        let client = self.clients.get_mut(&from).unwrap();
        client.send(self.now, event(text)).unwrap();
        self.drive();
    }

    /// Cuts a client's transport.
    pub fn cut(&mut self, id: ConnId) {
        self.clients.remove(&id);
        let failed = Input::Failed("cut".to_owned());
        self.server.handle_input(self.now, id, failed);
        self.drive();
    }

    /// Carries bytes and takes events until nothing moves.
    pub fn drive(&mut self) {
        for _ in 0..10_000 {
            let mut moved = self.listens && self.listen();
            while let Some(id) = self.server.poll_writable() {
                moved |= self.down(id);
            }
            let ids: Vec<ConnId> = self.clients.keys().copied().collect();
            for id in ids {
                moved |= self.up(id);
            }
            if !moved {
                return;
            }
        }
        panic!("the server never comes to rest");
    }

    /// Lets time pass, stopping at every deadline.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.drive();
        loop {
            let clients = self.clients.values().filter_map(Connection::poll_timeout);
            let next = clients.chain(self.server.poll_timeout()).min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            for client in self.clients.values_mut() {
                client.handle_timeout(self.now);
            }
            let due = self.server.poll_timeout();
            assert!(
                due.is_none_or(|at| at > self.now),
                "a deadline of {due:?} is still due after handle_timeout at {:?}",
                self.now
            );
            self.drive();
        }
        self.now = end;
    }

    /// What a client heard since it was last asked.
    pub fn got(&mut self, id: ConnId) -> Vec<String> {
        let client = self.clients.get_mut(&id).unwrap();
        let messages = std::iter::from_fn(|| client.poll_event());
        messages
            .filter_map(|event| match event {
                ConnectionEvent::Message(message) => Some(text(&message)),
                _ => None,
            })
            .collect()
    }

    /// Who a client was told that it is.
    pub fn uid(&mut self, id: ConnId) -> sente_edn::Value {
        let client = self.clients.get_mut(&id).unwrap();
        std::iter::from_fn(|| client.poll_event())
            .find_map(|event| match event {
                ConnectionEvent::Opened(opened) => Some(opened.uid.unwrap().to_value().unwrap()),
                _ => None,
            })
            .unwrap()
    }

    /// Who came and went, as `+user` and `-user`.
    pub fn uidports(&mut self) -> Vec<String> {
        let name = |sign: char, user: &UserId| format!("{sign}{user}");
        self.told
            .drain(..)
            .filter_map(|event| match event {
                ServerEvent::Hub(HubEvent::UidportOpen(user)) => Some(name('+', &user)),
                ServerEvent::Hub(HubEvent::UidportClose(user)) => Some(name('-', &user)),
                _ => None,
            })
            .collect()
    }

    fn listen(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.server.poll_event() {
            moved = true;
            match event {
                ServerEvent::Connection { peer, event } => match event {
                    ConnectionEvent::Message(message) => {
                        self.heard.push((peer.connection, text(&message)));
                        if let Some(token) = message.reply {
                            let data = message.event.data.unwrap();
                            self.server
                                .reply(self.now, peer.connection, token, data)
                                .unwrap();
                        }
                    }
                    ConnectionEvent::Opened(_) | ConnectionEvent::Closed(_) => {}
                    event => self.told.push(ServerEvent::Connection { peer, event }),
                },
                event => self.told.push(event),
            }
        }
        moved
    }

    fn down(&mut self, id: ConnId) -> bool {
        if self.stalled.contains(&id) {
            return false;
        }
        let mut out = TransmitBuf::new();
        match self.server.poll_transmit(id, &mut out) {
            None => false,
            Some(transmit) => {
                let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
                self.server.handle_transmitted(self.now, id);
                if let Some(client) = self.clients.get_mut(&id) {
                    client.handle_input(
                        self.now,
                        match transmit {
                            Transmit::Shutdown => Input::Eof,
                            _ => Input::Bytes(&mut bytes),
                        },
                    );
                }
                true
            }
        }
    }

    fn up(&mut self, id: ConnId) -> bool {
        if !self.server.wants_read(id) {
            return false;
        }
        let client = self.clients.get_mut(&id).unwrap();
        let mut out = TransmitBuf::new();
        match client.poll_transmit(&mut out) {
            None => false,
            Some(transmit) => {
                let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
                client.handle_transmitted(self.now);
                let input = match transmit {
                    Transmit::Shutdown => Input::Eof,
                    _ => Input::Bytes(&mut bytes),
                };
                self.server.handle_input(self.now, id, input);
                true
            }
        }
    }
}
