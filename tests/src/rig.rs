//! A reconnecting client, the servers it reaches one after another, and a clock that only the test
//! moves: the smallest driver there is.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::state::{ClientInput, ClientPhase, next_client};
use sente_core::{
    Accept, Attempt, Carrier, Client, ClientConfig, ClientEvent, ConnectFailure, Connection,
    ConnectionConfig, Dialect, Input, Instant, Role, Transmit, TransmitBuf,
};

use crate::pair::config;

/// What becomes of the client's attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dial {
    /// A server answers.
    Answered,
    /// The attempt fails.
    Fails(ConnectFailure),
    /// Nothing happens, until the test does something.
    Hangs,
}

/// A client and the server at the other end of its present link.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rig {
    /// The machine under test.
    pub client: Client,
    /// The other end and the attempt it belongs to.
    pub server: Option<(Attempt, Connection)>,
    /// The other ends of links that the client has left, for what they still have to tell.
    pub former: Vec<Connection>,
    /// The virtual time.
    pub now: Instant,
    /// What becomes of attempts.
    pub dial: Dial,
    /// What becomes of those at each endpoint; where there is none, `dial` says it.
    pub dials: Vec<Dial>,
    /// Which endpoint each attempt went to.
    pub asked: Vec<usize>,
    /// Whether bytes pass: cleared, the network is a black hole.
    pub carries: bool,
    /// When each attempt was made.
    pub dialled: Vec<Instant>,
    /// The attempt that hangs.
    pub hanging: Option<Attempt>,
    server_config: Arc<ConnectionConfig>,
    /// The phase the last state change told of.
    told: ClientPhase,
}

impl Rig {
    /// A client of this configuration that has not been asked to connect, and servers that answer.
    #[must_use]
    pub fn new(client: Arc<ClientConfig>) -> Self {
        let link = client.connection();
        let server_config = config(Role::Server, link.dialect(), link.carrier());
        Self {
            client: Client::new(client, [5; 32], Instant::EPOCH),
            server: None,
            former: Vec::new(),
            now: Instant::EPOCH,
            dial: Dial::Answered,
            dials: Vec::new(),
            asked: Vec::new(),
            carries: true,
            dialled: Vec::new(),
            hanging: None,
            server_config,
            told: ClientPhase::Idle,
        }
    }

    /// An open client of default configuration over a WebSocket; its first events have been taken.
    #[must_use]
    pub fn open() -> Self {
        Self::open_with(client_config(Dialect::Sente, Carrier::WebSocket))
    }

    /// The same with a configuration.
    ///
    /// # Panics
    /// If it does not open.
    #[must_use]
    pub fn open_with(client: Arc<ClientConfig>) -> Self {
        let mut rig = Self::new(client);
        rig.client.connect(rig.now);
        rig.drive();
        assert!(rig.client.state().is_open(), "{:?}", rig.client.state());
        rig.events();
        rig
    }

    /// Dials and carries bytes both ways until nothing moves.
    ///
    /// # Panics
    /// If it never rests.
    pub fn drive(&mut self) {
        for _ in 0..10_000 {
            let moved = [
                self.dial(),
                self.carry_up(),
                self.carry_down(),
                self.drop_unwanted(),
            ];
            if moved == [false; 4] {
                return;
            }
        }
        panic!("the client never comes to rest");
    }

    /// Lets time pass, stopping at every deadline on the way.
    ///
    /// # Panics
    /// If a deadline is still due after its time has come.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.drive();
        loop {
            let server = self.server.as_ref().map(|(_, server)| server);
            let next = [
                self.client.poll_timeout(),
                server.and_then(Connection::poll_timeout),
            ];
            match next.into_iter().flatten().min() {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.client.handle_timeout(self.now);
                    assert!(
                        self.client.poll_timeout().is_none_or(|at| at > self.now),
                        "a deadline is still due after handle_timeout"
                    );
                    if let Some((_, server)) = &mut self.server {
                        server.handle_timeout(self.now);
                    }
                    self.drive();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
    }

    /// Everything the client has to tell now.
    ///
    /// # Panics
    /// If it tells of a change of state that does not follow from the one before.
    pub fn events(&mut self) -> Vec<ClientEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.client.poll_event() {
            if let ClientEvent::StateChanged(change) = &event {
                assert_eq!(change.old.phase(), self.told, "a change was left out");
                let new = change.new.phase();
                let legal = ClientInput::ALL
                    .into_iter()
                    .any(|input| next_client(self.told, input) == Some(new));
                assert!(legal, "{:?} to {new:?} is no transition", self.told);
                self.told = new;
            }
            events.push(event);
        }
        events
    }

    /// The server's end.
    ///
    /// # Panics
    /// If there is no link.
    pub fn server(&mut self) -> &mut Connection {
        let (_, server) = self.server.as_mut().expect("a link");
        server
    }

    /// Breaks the network under the link: both ends see a failure.
    pub fn cut(&mut self) {
        if let Some((attempt, mut server)) = self.server.take() {
            let failed = || Input::Failed("the network is down".into());
            server.handle_input(self.now, failed());
            self.client.handle_input(self.now, attempt, failed());
        }
    }

    fn dial(&mut self) -> bool {
        let Some(connect) = self.client.poll_connect() else {
            return false;
        };
        self.dialled.push(self.now);
        self.asked.push(connect.endpoint);
        let dial = self.dials.get(connect.endpoint).unwrap_or(&self.dial);
        match dial.clone() {
            Dial::Answered => {
                let server_config = self.server_config.clone();
                let mut server = Connection::new(server_config, [9; 32], self.now);
                server.accept(self.now, Accept::new("uid-1"));
                self.client.handle_connected(self.now, connect.attempt);
                let left = self.server.replace((connect.attempt, server));
                self.former.extend(left.map(|(_, server)| server));
            }
            Dial::Fails(failure) => {
                self.client
                    .handle_connect_failed(self.now, connect.attempt, failure);
            }
            Dial::Hangs => self.hanging = Some(connect.attempt),
        }
        true
    }

    fn carry_up(&mut self) -> bool {
        let Some((attempt, server)) = &mut self.server else {
            return false;
        };
        if !self.carries {
            return false;
        }
        let mut out = TransmitBuf::new();
        match self.client.poll_transmit(&mut out) {
            None => false,
            Some(Transmit::Shutdown) => {
                server.handle_input(self.now, Input::Eof);
                true
            }
            Some(_) => {
                let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
                self.client.handle_transmitted(self.now, *attempt);
                server.handle_input(self.now, Input::Bytes(&mut bytes));
                true
            }
        }
    }

    fn carry_down(&mut self) -> bool {
        let Some((attempt, server)) = &mut self.server else {
            return false;
        };
        if !self.carries || !self.client.wants_read() {
            return false;
        }
        let mut out = TransmitBuf::new();
        match server.poll_transmit(&mut out) {
            None => false,
            Some(Transmit::Shutdown) => {
                self.client.handle_input(self.now, *attempt, Input::Eof);
                true
            }
            Some(_) => {
                let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
                server.handle_transmitted(self.now);
                self.client
                    .handle_input(self.now, *attempt, Input::Bytes(&mut bytes));
                true
            }
        }
    }

    /// The client is done with the transport: the server sees its end.
    fn drop_unwanted(&mut self) -> bool {
        let unwanted = |(attempt, _): &mut (Attempt, Connection)| !self.client.is_wanted(*attempt);
        let left = self.server.take_if(unwanted);
        let dropped = left.is_some();
        self.former.extend(left.map(|(_, server)| server));
        dropped
    }
}

/// A client's configuration of all defaults.
///
/// # Panics
/// If the defaults did not fit together.
#[must_use]
pub fn client_config(dialect: Dialect, carrier: Carrier) -> Arc<ClientConfig> {
    ClientConfig::builder(config(Role::Client, dialect, carrier))
        .build()
        .expect("defaults fit together")
}
