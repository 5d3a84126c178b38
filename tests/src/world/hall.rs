//! A server that many clients find: one machine behind many transports, which can be killed and
//! started again.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use sente_core::{
    ConnId, Connection, ConnectionConfig, ConnectionEvent, Event, Instant, ReplyToken, Role,
    Server, ServerAccept, ServerConfig, ServerEvent, Target,
};

use super::dial::Finds;
use super::machine::Machine;
use super::peer::{Command, Given, Peer, Refused};
use super::wire::Wire;
use super::{End, Ended, Quality, Spec, Told, World};

/// A server and those who share it: its own peer, and one peer for each of its connections.
pub type SharedHall = Rc<RefCell<Hall>>;

/// A server that can be killed and started again, and the peers of its connections.
#[derive(Debug)]
pub struct Hall {
    /// `None` while it is down.
    pub(super) server: Option<Server>,
    config: ServerConfig,
    link: Spec,
    connection: Arc<ConnectionConfig>,
    /// The peer of each connection.
    peers: BTreeMap<ConnId, usize>,
    /// What was told of users, channels and refusals, and has not been looked at.
    told: VecDeque<ServerEvent>,
    /// Whether there may be something to tell.
    pub(super) dirty: bool,
    starts: u64,
    seed: [u8; 32],
}

impl Hall {
    /// Does something with the server, if it is up.
    pub(super) fn with<T>(&mut self, f: impl FnOnce(&mut Server) -> T) -> Option<T> {
        self.dirty = true;
        self.server.as_mut().map(f)
    }

    /// The same with one of its connections.
    pub(super) fn with_connection<T>(
        &mut self,
        now: Instant,
        id: ConnId,
        f: impl FnOnce(&mut Connection, Instant) -> T,
    ) -> Option<T> {
        self.with(|server| server.with_connection(now, id, f))?
    }

    pub(super) fn poll_event(&mut self) -> Option<ServerEvent> {
        let event = self.server.as_mut().and_then(Server::poll_event);
        self.dirty &= event.is_some();
        event
    }

    fn start(&mut self) {
        let mut seed = self.seed;
        seed[..8].copy_from_slice(&self.starts.to_le_bytes());
        self.starts += 1;
        self.server = Some(Server::new(self.config.clone(), seed));
    }
}

impl World {
    /// A server, which is up, for clients made by [`dialler_to`](Self::dialler_to). `link` says what
    /// its connections are. It has a number of its own, and so has each of its connections.
    ///
    /// What its application is told of connections comes from [`advance_to`](Self::advance_to), by
    /// the number of the connection; the rest is kept for [`take_hall`](Self::take_hall). What
    /// happens to it is not recorded.
    pub fn serve(&mut self, config: ServerConfig, link: Spec) -> usize {
        assert_eq!(
            link.role,
            Role::Server,
            "a server's connections are a server's"
        );
        let mut hall = Hall {
            server: None,
            config,
            connection: link.config(),
            peers: BTreeMap::new(),
            told: VecDeque::new(),
            dirty: false,
            starts: 0,
            seed: link.seed,
            link: link.clone(),
        };
        hall.start();
        let hall = Rc::new(RefCell::new(hall));
        let number = self.seats.len();
        let wire = self.nowhere(number, Quality::default());
        self.seat(
            Peer::with_machine(link, Machine::Server(hall.clone())),
            wire,
            wire + 1,
        );
        self.seats[number].dropped = true;
        self.halls.push(hall);
        self.touch(number);
        number
    }

    /// A client of this user that finds `server` where it dials; while that is down it is refused.
    pub fn dialler_to(
        &mut self,
        client: Spec,
        user: &str,
        server: usize,
        quality: Quality,
    ) -> usize {
        let finds = Finds::Shared(server, user.to_owned());
        self.dialler_finding(client, finds, quality)
    }

    /// The server stops without a word: its transports fail at once, and what is on its way to or
    /// from it is lost.
    pub fn kill(&mut self, server: usize) {
        let Some(hall) = self.hall(server) else {
            return;
        };
        let peers: Vec<usize> = {
            let mut hall = hall.borrow_mut();
            hall.server = None;
            std::mem::take(&mut hall.peers).into_values().collect()
        };
        for peer in peers {
            self.cut(peer, Ended::Failed, false);
            self.touch(peer);
        }
    }

    /// Starts a server that was killed. It remembers nothing.
    pub fn restart(&mut self, server: usize) {
        if let Some(hall) = self.hall(server) {
            hall.borrow_mut().start();
            self.touch(server);
        }
    }

    /// Does something with a server. `None` while it is down.
    pub fn with_server<T>(
        &mut self,
        server: usize,
        f: impl FnOnce(&mut Server, Instant) -> T,
    ) -> Option<T> {
        let hall = self.hall(server)?;
        let now = self.now;
        let done = hall.borrow_mut().with(|server| f(server, now));
        self.touch(server);
        done
    }

    /// Sends an event to all that `target` means. To how many connections it is on its way.
    pub fn fan_out(&mut self, server: usize, target: &Target, event: &Event) -> usize {
        let fanout = self.with_server(server, |server, now| server.fan_out(now, target, event));
        fanout
            .and_then(Result::ok)
            .map_or(0, |fanout| fanout.connections)
    }

    /// What a server was told of users, channels and refusals, oldest first.
    pub fn take_hall(&mut self, server: usize) -> Option<ServerEvent> {
        self.hall(server)?.borrow_mut().told.pop_front()
    }

    /// Gives the transport of a client to a server that is up. The number of the connection.
    pub(super) fn enter(&mut self, server: usize, user: &str, client: &Spec, wire: usize) -> usize {
        let number = self.seats.len();
        let Some(hall) = self.hall(server) else {
            return number;
        };
        let now = self.now;
        let opened = {
            let mut hall = hall.borrow_mut();
            let config = hall.connection.clone();
            let mut terms = ServerAccept::new().user(user).client_id(user);
            terms.offered = client.extensions;
            let id = hall.with(|server| {
                let id = server.open(now, config);
                // A server that is full closes the connection, which the client will see.
                let _ = server.accept(now, id, terms);
                id
            });
            id.map(|id| {
                hall.peers.insert(id, number);
                (id, hall.link.clone())
            })
        };
        if let Some((id, spec)) = opened {
            let mut peer = Peer::with_machine(spec, Machine::Served(hall, id));
            peer.server = Some(server);
            self.seat(peer, wire + 1, wire);
            self.touch(number);
        }
        number
    }

    /// Whether a server can be found.
    pub(super) fn is_up(&self, server: usize) -> bool {
        let hall = self.hall(server);
        hall.is_some_and(|hall| hall.borrow().server.is_some())
    }

    /// Two wires that lead nowhere, for a peer without a transport.
    pub(super) fn nowhere(&mut self, peer: usize, quality: Quality) -> usize {
        let wire = self.wires.len();
        let end = End { peer, attempt: 0 };
        for _ in 0..2 {
            let mut wire = Wire::new(end, end, quality);
            wire.reader_gone = true;
            self.wires.push(wire);
        }
        wire
    }

    /// Whoever has something to write since a server did something.
    pub(super) fn touch_halls(&mut self) {
        for at in 0..self.halls.len() {
            let hall = self.halls[at].clone();
            loop {
                let mut hall = hall.borrow_mut();
                let Some(id) = hall.server.as_mut().and_then(Server::poll_writable) else {
                    break;
                };
                if let Some(peer) = hall.peers.get(&id).copied() {
                    self.touch(peer);
                }
            }
        }
    }

    /// What stands behind a peer that is a server: its connections, and itself.
    pub(super) fn served_by(&self, server: usize) -> Vec<usize> {
        let hall = self.hall(server);
        hall.map(|hall| hall.borrow().peers.values().copied().collect())
            .unwrap_or_default()
    }

    /// What is for the application of a connection; the rest is kept.
    pub(super) fn heard_in_hall(&mut self, server: usize, event: ServerEvent) -> Option<Told> {
        let hall = self.hall(server)?;
        let mut hall = hall.borrow_mut();
        let (peer, mut event) = match event {
            ServerEvent::Connection { peer, event } => (peer, event),
            other => {
                hall.told.push_back(other);
                return None;
            }
        };
        let number = *hall.peers.get(&peer.connection)?;
        let token = take_token(&mut event);
        let tokens = &mut self.seats[number].peer.tokens;
        let place = token.is_some().then_some(tokens.len());
        tokens.extend(token.map(Some));
        Some(Told {
            peer: number,
            event,
            token: place,
        })
    }

    fn hall(&self, server: usize) -> Option<SharedHall> {
        match &self.seats.get(server)?.peer.machine {
            Machine::Server(hall) => Some(hall.clone()),
            _ => None,
        }
    }
}

/// The right to answer that goes with an event.
pub(super) const fn take_token(event: &mut ConnectionEvent) -> Option<ReplyToken> {
    match event {
        ConnectionEvent::Message(message) => message.reply.take(),
        ConnectionEvent::BadEvent(bad) => bad.reply.take(),
        _ => None,
    }
}

/// What the application asks of one connection of a server.
pub(super) fn command(
    hall: &SharedHall,
    id: ConnId,
    now: Instant,
    command: Command,
    mut token: impl FnMut(usize) -> Result<ReplyToken, Refused>,
) -> Result<Given, Refused> {
    let mut hall = hall.borrow_mut();
    let done = match command {
        Command::Close => hall.with_connection(now, id, |connection, now| {
            connection.close(now);
            Ok(())
        }),
        Command::Drain(deadline) => hall.with_connection(now, id, |connection, now| {
            connection.drain(now, deadline);
            Ok(())
        }),
        Command::Forget(number) => {
            let token = token(number)?;
            hall.with_connection(now, id, |connection, _| {
                connection.forget(token);
                Ok(())
            })
        }
        Command::Reply(number, payload) => {
            let token = token(number)?;
            hall.with_connection(now, id, |connection, now| {
                let replied = connection.reply(now, token, payload);
                replied.map_err(|error| Refused::from(&error))
            })
        }
        Command::ReplyError(number) => {
            let token = token(number)?;
            hall.with_connection(now, id, |connection, now| {
                let replied = connection.reply_error(now, token);
                replied.map_err(|error| Refused::from(&error))
            })
        }
        Command::Send(event) => hall.with(|server| {
            let sent = server.send(now, id, event);
            sent.map_err(|error| Refused::from(&error))
        }),
        _ => return Err(Refused::Other),
    };
    done.unwrap_or(Err(Refused::NotOpen)).map(|()| Given::Done)
}
