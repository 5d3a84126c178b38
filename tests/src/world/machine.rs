//! What a peer runs, behind one set of verbs.

use sente_core::{
    Attempt, Client, ClientEvent, CloseReason, ConnId, Connection, ConnectionEvent, Input, Instant,
    ServerEvent, State, Transmit, TransmitBuf,
};

use super::hall::SharedHall;
use super::spec::Spec;
use super::tape;

/// What a peer runs. Everything the simulation does to a machine goes through these verbs, so a
/// new kind of machine is one more variant and one more arm in each of them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Machine {
    /// One open transport.
    Connection(Box<Connection>),
    /// One transport after the other. The attempts it has made have numbers from 1 here.
    Client(Box<Client>, Vec<Attempt>),
    /// One connection of a server.
    Served(SharedHall, ConnId),
    /// A server, without its connections: its time and what it tells.
    Server(SharedHall),
}

/// What a machine says to its application.
#[non_exhaustive]
pub enum Heard {
    /// Something about the attempts and links of a client.
    Life(ClientEvent),
    /// Something of the present connection.
    Link(ConnectionEvent),
    /// Something of a server.
    Server(ServerEvent),
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Life(event) => event.fmt(f),
            Self::Link(event) => event.fmt(f),
            Self::Server(event) => event.fmt(f),
        }
    }
}

impl Machine {
    /// The machine of `spec` at `now`.
    #[must_use]
    pub fn new(spec: &Spec, now: Instant) -> Self {
        match spec.client_config() {
            Some(config) => {
                let mut client = Client::new(config, spec.seed, now);
                // Recorders are found by the thread, and links are made on that of the world.
                client.record_links(|_| tape::next());
                Self::Client(Box::new(client), Vec::new())
            }
            None => {
                let (config, seed) = (spec.config(), spec.seed);
                let connection = match tape::next() {
                    Some(tape) => Connection::recorded(config, seed, now, tape),
                    None => Connection::new(config, seed, now),
                };
                Self::Connection(Box::new(connection))
            }
        }
    }

    pub(super) fn handle_input(&mut self, now: Instant, attempt: u64, input: Input<'_>) {
        match self {
            Self::Connection(connection) => connection.handle_input(now, input),
            Self::Client(client, attempts) => {
                if let Some(attempt) = numbered(attempts, attempt) {
                    client.handle_input(now, attempt, input);
                }
            }
            Self::Served(hall, id) => {
                hall.borrow_mut()
                    .with(|server| server.handle_input(now, *id, input));
            }
            Self::Server(_) => {}
        }
    }

    pub(super) fn handle_transmitted(&mut self, now: Instant, attempt: u64) {
        match self {
            Self::Connection(connection) => connection.handle_transmitted(now),
            Self::Client(client, attempts) => {
                if let Some(attempt) = numbered(attempts, attempt) {
                    client.handle_transmitted(now, attempt);
                }
            }
            Self::Served(hall, id) => {
                hall.borrow_mut()
                    .with(|server| server.handle_transmitted(now, *id));
            }
            Self::Server(_) => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Connection(connection) => connection.handle_timeout(now),
            Self::Client(client, _) => client.handle_timeout(now),
            Self::Served(..) => {}
            Self::Server(hall) => {
                hall.borrow_mut().with(|server| server.handle_timeout(now));
            }
        }
    }

    pub(super) fn poll_transmit(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        match self {
            Self::Connection(connection) => connection.poll_transmit(out),
            Self::Client(client, _) => client.poll_transmit(out),
            Self::Served(hall, id) => {
                let mut hall = hall.borrow_mut();
                hall.server.as_mut()?.poll_transmit(*id, out)
            }
            Self::Server(_) => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Connection(connection) => connection.poll_timeout(),
            Self::Client(client, _) => client.poll_timeout(),
            Self::Served(..) => None,
            Self::Server(hall) => hall.borrow().server.as_ref()?.poll_timeout(),
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Heard> {
        match self {
            Self::Connection(connection) => connection.poll_event().map(Heard::Link),
            Self::Client(client, _) => client.poll_event().map(|event| match event {
                ClientEvent::Link(event) => Heard::Link(event),
                life => Heard::Life(life),
            }),
            Self::Served(..) => None,
            Self::Server(hall) => hall.borrow_mut().poll_event().map(Heard::Server),
        }
    }

    pub(super) fn has_event(&self) -> bool {
        match self {
            Self::Connection(connection) => connection.has_event(),
            Self::Client(client, _) => client.has_event(),
            Self::Served(..) => false,
            Self::Server(hall) => hall.borrow().dirty,
        }
    }

    pub(super) fn wants_read(&self) -> bool {
        match self {
            Self::Connection(connection) => connection.wants_read(),
            Self::Client(client, _) => client.wants_read(),
            Self::Served(hall, id) => {
                let hall = hall.borrow();
                hall.server
                    .as_ref()
                    .is_some_and(|server| server.wants_read(*id))
            }
            Self::Server(_) => false,
        }
    }

    /// Whether the transport of `attempt` is not needed any more.
    pub(super) fn is_finished(&self, attempt: u64) -> bool {
        match self {
            Self::Connection(connection) => connection.is_finished(),
            Self::Client(client, attempts) => {
                numbered(attempts, attempt).is_none_or(|attempt| !client.is_wanted(attempt))
            }
            Self::Served(hall, id) => {
                let hall = hall.borrow();
                hall.server
                    .as_ref()
                    .is_none_or(|server| server.is_finished(*id))
            }
            Self::Server(_) => true,
        }
    }

    /// Whether nothing it reads will be said to the application any more.
    pub(super) fn is_closed(&self) -> bool {
        if let Self::Served(hall, id) = self {
            let hall = hall.borrow();
            let connection = hall
                .server
                .as_ref()
                .and_then(|server| server.connection(*id));
            return connection.is_none_or(|connection| connection.state() == State::Closed);
        }
        self.link()
            .is_none_or(|connection| connection.state() == State::Closed)
    }

    pub(super) fn close_reason(&self) -> Option<&CloseReason> {
        self.link()?.close_reason()
    }

    pub(super) fn link(&self) -> Option<&Connection> {
        match self {
            Self::Connection(connection) => Some(connection),
            Self::Client(client, _) => client.connection(),
            // Behind a cell: nothing of it can be handed out.
            Self::Served(..) | Self::Server(_) => None,
        }
    }

    /// Whether it is a server, or a connection of one.
    pub(super) const fn is_of_a_server(&self) -> bool {
        matches!(self, Self::Served(..) | Self::Server(_))
    }

    /// What a client calls one of its attempts.
    pub(super) fn name_of(&self, attempt: u64) -> Option<Attempt> {
        match self {
            Self::Client(_, attempts) => numbered(attempts, attempt),
            _ => None,
        }
    }

    /// The number of the attempt that a client asks for now.
    pub(super) fn poll_connect(&mut self) -> Option<u64> {
        let Self::Client(client, attempts) = self else {
            return None;
        };
        attempts.push(client.poll_connect()?.attempt);
        Some(attempts.len() as u64)
    }

    /// Answers an attempt: a transport is open, or why there is none.
    pub(super) fn dialled(
        &mut self,
        now: Instant,
        attempt: u64,
        failure: Option<sente_core::ConnectFailure>,
    ) -> bool {
        let Self::Client(client, attempts) = self else {
            return false;
        };
        match (numbered(attempts, attempt), failure) {
            (Some(attempt), None) => client.handle_connected(now, attempt),
            (Some(attempt), Some(failure)) => {
                client.handle_connect_failed(now, attempt, failure);
                false
            }
            (None, _) => false,
        }
    }
}

fn numbered(attempts: &[Attempt], number: u64) -> Option<Attempt> {
    let at = usize::try_from(number.checked_sub(1)?).ok()?;
    attempts.get(at).copied()
}
