//! Clients that dial: what becomes of each attempt, and the transports that come of them.

use std::collections::VecDeque;
use std::time::Duration;

use sente_core::{Attempt, Client, ClientEvent, ConnectFailure, Instant};

use super::wire::Wire;
use super::{Check, Command, Due, End, Ended, Machine, Quality, Spec, World};

/// What becomes of an attempt to connect, after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The transport opens and the server shakes hands.
    Open,
    /// The server shakes hands, and the transport ends this much later.
    Drop(Duration),
    /// The transport opens, and nobody says anything.
    Silent,
    /// It fails, and might not the next time.
    Retry,
    /// It fails for good.
    Final,
}

/// How a client dials.
#[derive(Debug)]
pub(super) struct Dialler {
    finds: Finds,
    quality: Quality,
    script: VecDeque<(Duration, Outcome)>,
    /// What becomes of those under way, by attempt.
    under_way: VecDeque<(u64, Outcome)>,
    /// When each attempt was asked for.
    asked: Vec<Instant>,
    /// The server of each attempt that opened.
    servers: Vec<(Attempt, usize)>,
    /// What the application has been told of links and attempts and has not looked at.
    pub(super) life: VecDeque<ClientEvent>,
    /// The driver reads old transports to their end, and answers attempts nobody wants any more.
    pub(super) sloppy: bool,
}

/// Whom a client finds where it dials.
#[derive(Debug)]
pub(super) enum Finds {
    /// A connection of its own for each attempt, made of this.
    Own(Box<Spec>),
    /// A server that others find as well, by its number, as this user.
    Shared(usize, String),
}

impl World {
    /// A client, which needs `Spec::reconnects`, and the servers it will find.
    pub fn dialler(&mut self, client: Spec, mut server: Spec, quality: Quality) -> usize {
        server.extensions = client.extensions;
        self.dialler_finding(client, Finds::Own(Box::new(server)), quality)
    }

    pub(super) fn dialler_finding(
        &mut self,
        client: Spec,
        finds: Finds,
        quality: Quality,
    ) -> usize {
        let peer = self.seats.len();
        let wire = self.nowhere(peer, quality);
        self.sit(client, wire, wire + 1);
        self.seats[peer].dropped = true;
        self.seats[peer].dialler = Some(Dialler {
            finds,
            quality,
            script: VecDeque::new(),
            under_way: VecDeque::new(),
            asked: Vec::new(),
            servers: Vec::new(),
            life: VecDeque::new(),
            sloppy: false,
        });
        self.touch(peer);
        peer
    }

    /// What becomes of one more attempt of `peer`, after `time`. Those that nothing was said of
    /// succeed at once.
    pub fn script(&mut self, peer: usize, time: Duration, outcome: Outcome) {
        if let Some(dialler) = &mut self.seats[peer].dialler {
            dialler.script.push_back((time, outcome));
        }
    }

    /// Whether the driver of `peer` reads old transports to their end and answers old attempts.
    pub fn set_sloppy(&mut self, peer: usize, on: bool) {
        if let Some(dialler) = &mut self.seats[peer].dialler {
            dialler.sloppy = on;
        }
    }

    /// The machine of a peer that is a client.
    #[must_use]
    pub fn client(&self, peer: usize) -> Option<&Client> {
        match &self.seats[peer].peer.machine {
            Machine::Client(client, _) => Some(client),
            _ => None,
        }
    }

    /// What the application of a client was told of its links and attempts, the oldest. It comes
    /// before whatever [`advance_to`](Self::advance_to) gives out next.
    pub fn take_life(&mut self, peer: usize) -> Option<ClientEvent> {
        self.seats[peer].dialler.as_mut()?.life.pop_front()
    }

    /// The server that an attempt of a client found.
    #[must_use]
    pub fn server_of(&self, peer: usize, attempt: Attempt) -> Option<usize> {
        let dialler = self.seats[peer].dialler.as_ref()?;
        let mut servers = dialler.servers.iter();
        servers
            .find(|(known, _)| *known == attempt)
            .map(|(_, server)| *server)
    }

    /// When the client asked for each of its attempts.
    #[must_use]
    pub fn attempts(&self, peer: usize) -> &[Instant] {
        let dialler = self.seats[peer].dialler.as_ref();
        dialler.map_or(&[], |dialler| &dialler.asked)
    }

    /// Takes the wish of a client for a transport.
    pub(super) fn dial(&mut self, peer: usize) {
        while let Some(attempt) = self.seats[peer].peer.machine.poll_connect() {
            self.line(peer, "dial");
            let now = self.now;
            let Some(dialler) = &mut self.seats[peer].dialler else {
                return;
            };
            dialler.asked.push(now);
            let next = dialler.script.pop_front();
            let (time, outcome) = next.unwrap_or((Duration::ZERO, Outcome::Open));
            dialler.under_way.push_back((attempt, outcome));
            self.ask(now + time, Due::Dial(peer, attempt));
        }
    }

    /// The time of an attempt has come.
    pub(super) fn dialled(&mut self, peer: usize, attempt: u64) {
        let Some(dialler) = &mut self.seats[peer].dialler else {
            return;
        };
        let known = dialler.under_way.iter().position(|(a, _)| *a == attempt);
        let Some((_, outcome)) = known.and_then(|at| dialler.under_way.remove(at)) else {
            return;
        };
        let sloppy = dialler.sloppy;
        let down = match dialler.finds {
            Finds::Shared(server, _) => Some(server),
            Finds::Own(_) => None,
        };
        let outcome = match down {
            Some(server) if !self.is_up(server) => Outcome::Retry,
            _ => outcome,
        };
        let wanted = !self.seats[peer].peer.machine.is_finished(attempt);
        if !wanted && !sloppy {
            return;
        }
        let failure = match outcome {
            Outcome::Retry => Some(ConnectFailure::Retry("not now".to_owned())),
            Outcome::Final => Some(ConnectFailure::Final("never".to_owned())),
            _ => None,
        };
        let words = match &failure {
            None => format!("connected {attempt}"),
            Some(failure) => format!("connect-failed {attempt} {failure}"),
        };
        self.line(peer, &words);
        let opens = wanted && failure.is_none();
        let machine = &mut self.seats[peer].peer.machine;
        if machine.dialled(self.now, attempt, failure) != opens {
            let detail = format!("attempt {attempt} of peer {peer}, wanted: {wanted}");
            self.breach(Check::OldAttemptsAreSilent, &detail);
        }
        if opens {
            self.open(peer, attempt, outcome);
        }
        self.touch(peer);
    }

    /// Gives a client the transport of `attempt`, and a server to the transport.
    fn open(&mut self, peer: usize, attempt: u64, outcome: Outcome) {
        let server = self.seats.len();
        let wire = self.wires.len();
        let name = self.seats[peer].peer.machine.name_of(attempt);
        let Some(dialler) = &mut self.seats[peer].dialler else {
            return;
        };
        let quality = dialler.quality;
        dialler.servers.extend(name.map(|name| (name, server)));
        let shared = match &dialler.finds {
            Finds::Own(_) => None,
            Finds::Shared(server, user) => Some((*server, user.clone())),
        };
        let own = match &dialler.finds {
            Finds::Own(spec) => Some((**spec).clone()),
            Finds::Shared(..) => None,
        };
        let here = End { peer, attempt };
        let there = End {
            peer: server,
            attempt: 0,
        };
        self.wires.push(Wire::new(here, there, quality));
        self.wires.push(Wire::new(there, here, quality));
        if let Some(mut spec) = own {
            // Nobody's callback ids are those of another.
            spec.seed[..8].copy_from_slice(&attempt.to_le_bytes());
            self.sit(spec, wire + 1, wire);
        } else if let Some((hall, user)) = shared {
            let client = self.seats[peer].peer.spec.clone();
            self.enter(hall, &user, &client, wire);
        }
        let seat = &mut self.seats[peer];
        (seat.wire_out, seat.wire_in) = (wire, wire + 1);
        (seat.dropped, seat.pending) = (false, None);
        if outcome != Outcome::Silent && self.seats[server].peer.server.is_none() {
            let _ = self.command(server, Command::Accept);
        }
        if let Outcome::Drop(after) = outcome {
            self.ask(self.now + after, Due::Cut(wire));
        }
    }

    /// The transport of two wires ends.
    pub(super) fn cut_wires(&mut self, wire: usize) {
        for wire in [wire, wire ^ 1] {
            self.wires[wire].end(self.now, Ended::Eof, true);
            self.deliver(wire);
        }
    }

    /// Whether an attempt is under way that a client still wants.
    pub(super) fn is_dialling(&self) -> bool {
        self.seats.iter().any(|seat| {
            let under_way = seat.dialler.iter().flat_map(|dialler| &dialler.under_way);
            let mut attempts = under_way.map(|(attempt, _)| *attempt);
            attempts.any(|attempt| !seat.peer.machine.is_finished(attempt))
        })
    }
}
