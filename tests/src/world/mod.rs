//! The simulator: many peers, the wires between them, faults, and a clock that only it moves.
//!
//! A [`World`] owns everything. [`World::connect`] makes two peers and the transport between them;
//! [`World::advance_to`] lets time pass, from deadline to arrival to deadline, and hands out what
//! the applications are told. Everything that looks like chance comes from one seed.
//!
//! What can go wrong with a reliable, ordered transport: its bytes are cut anywhere and arrive late
//! ([`Quality`]), nothing can be written or nothing arrives for a while, the reader is slow, the
//! application does not read ([`World::pause`]), the transport is cut with or without the bytes on
//! their way ([`World::cut`]), one direction ends ([`World::half_close`]) or swallows
//! ([`World::sever`]), a byte changes ([`World::corrupt`]) or comes from nowhere
//! ([`World::inject`]), a peer connects twice ([`World::connect`] again), the clock jumps
//! ([`World::jump`]) or goes back ([`World::look_back`]).
//!
//! What holds in every simulation is checked here and not in the tests: no deadline is still due
//! after `handle_timeout`, no instant takes for ever, keepalive spares a peer whose bytes wait to
//! be read. A breach panics with the seed.
//!
//! # Recording
//! [`World::record`] keeps one line for everything that goes into a machine and what comes out;
//! [`Recording::replay`] repeats it exactly, from a file, and says where it first differs.
//!
//! # Clients
//! [`World::dialler`] makes a [`Client`](sente_core::Client). Each attempt it asks for ends as
//! [`World::script`] says, and each that opens finds a server of its own.
//!
//! # Servers
//! [`World::serve`] makes a [`Server`](sente_core::Server) that many clients share
//! ([`World::dialler_to`]), and that [`World::kill`] and [`World::restart`] stop and start.
//!
//! # Adding a kind of machine
//! 1. A variant of [`Machine`] with an arm in each of its verbs. What belongs to one transport of
//!    many carries `attempt`, which is 0 for a connection.
//! 2. Its commands as variants of [`Command`], with their words in `record.rs`.

mod check;
mod dial;
mod faults;
mod hall;
mod machine;
mod peer;
mod record;
mod rng;
mod spec;
mod tape;
mod views;
mod wire;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use bytes::{Buf, Bytes, BytesMut};
use sente_core::{CloseReason, ConnectionEvent, Input, Instant, Transmit, TransmitBuf};

pub use check::{Check, Violation};
pub use dial::Outcome;
pub use hall::{Hall, SharedHall};
pub use machine::{Heard, Machine};
pub use peer::{Command, Given, Peer, Refused};
pub use record::Recording;
pub use rng::Rng;
pub use spec::{Reconnects, Spec};
pub use tape::{Lines, taped};
pub use wire::{End, Ended, Quality};

use dial::Dialler;
use wire::Wire;

/// How many turns one instant may take.
const MAX_TURNS: usize = 200_000;

/// A whole simulated world.
#[derive(Debug)]
pub struct World {
    now: Instant,
    rng: Rng,
    seats: Vec<Seat>,
    wires: Vec<Wire>,
    halls: Vec<SharedHall>,
    /// What comes when: earliest first, in the order of asking within an instant.
    agenda: BinaryHeap<Reverse<(Instant, u64, Due)>>,
    asked: u64,
    /// Peers that may have something to write.
    work: VecDeque<usize>,
    /// Peers that have something to tell.
    ready: VecDeque<usize>,
    out: TransmitBuf,
    recording: Option<Recording>,
    violation: Option<Violation>,
    keeps_violations: bool,
}

/// What an application was told.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "an answer")]
pub struct Told {
    /// The peer whose application it is.
    pub peer: usize,
    /// What its machine said, without the right to answer.
    pub event: ConnectionEvent,
    /// The number of the right to answer, if there is one.
    pub token: Option<usize>,
}

/// The two peers of one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an answer")]
pub struct Link {
    /// The peer that dialled. Its wire out has the same number as the wire into `server`.
    pub client: usize,
    /// The peer that was dialled.
    pub server: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Arrival(usize),
    Cut(usize),
    Dial(usize, u64),
    Timer(usize),
}

/// A peer and its place in the world.
#[derive(Debug)]
struct Seat {
    peer: Peer,
    wire_out: usize,
    wire_in: usize,
    /// A transmit that the wire does not take yet.
    pending: Option<Bytes>,
    /// Whether the application takes what it is told.
    reads: bool,
    in_work: bool,
    in_ready: bool,
    scheduled: Option<Instant>,
    /// Whether the machine has let its transport go.
    dropped: bool,
    transmits: u64,
    tap: Option<Vec<Bytes>>,
    dialler: Option<Dialler>,
}

impl World {
    /// An empty world at the beginning of time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::EPOCH,
            rng: Rng::new(seed),
            seats: Vec::new(),
            wires: Vec::new(),
            halls: Vec::new(),
            agenda: BinaryHeap::new(),
            asked: 0,
            work: VecDeque::new(),
            ready: VecDeque::new(),
            out: TransmitBuf::new(),
            recording: None,
            violation: None,
            keeps_violations: false,
        }
    }

    /// Two new peers and the transport between them. The server accepts at once.
    pub fn connect(&mut self, client: Spec, mut server: Spec, quality: Quality) -> Link {
        server.extensions = client.extensions;
        let (a, b) = (self.seats.len(), self.seats.len() + 1);
        let up = self.wires.len();
        let end = |peer| End { peer, attempt: 0 };
        self.wires.push(Wire::new(end(a), end(b), quality));
        self.wires.push(Wire::new(end(b), end(a), quality));
        self.sit(client, up, up + 1);
        self.sit(server, up + 1, up);
        self.touch(a);
        let _ = self.command(b, Command::Accept);
        Link {
            client: a,
            server: b,
        }
    }

    /// Has the application of `peer` do something.
    ///
    /// # Errors
    /// What the machine refused it for.
    pub fn command(&mut self, peer: usize, command: Command) -> Result<Given, Refused> {
        if self.recording.is_some() {
            let words = record::command_words(&command);
            self.line(peer, &words);
        }
        let given = self.seats[peer].peer.command(self.now, command);
        self.touch(peer);
        given
    }

    /// Lets time pass until `until`, or until an application is told something.
    ///
    /// # Panics
    /// With the name of the check, if something that always holds did not.
    pub fn advance_to(&mut self, until: Instant) -> Option<Told> {
        loop {
            self.settle();
            if let Some(violation) = &self.violation {
                assert!(self.keeps_violations, "{violation}");
                // What is broken may well never rest.
                return None;
            }
            if let Some(told) = self.poll_told() {
                return Some(told);
            }
            match self.agenda.peek() {
                Some(Reverse((at, _, _))) if *at <= until => {}
                _ => {
                    self.now = self.now.max(until);
                    return None;
                }
            }
            let Reverse((at, _, due)) = self.agenda.pop()?;
            self.now = self.now.max(at);
            match due {
                Due::Arrival(wire) => {
                    if self.wires[wire].scheduled == Some(at) {
                        self.wires[wire].scheduled = None;
                        self.deliver(wire);
                    }
                }
                Due::Cut(wire) => self.cut_wires(wire),
                Due::Dial(peer, attempt) => self.dialled(peer, attempt),
                Due::Timer(peer) => {
                    if self.seats[peer].scheduled == Some(at) {
                        self.seats[peer].scheduled = None;
                        self.check_timer(peer);
                    }
                }
            }
        }
    }

    /// From now on a breach is kept for [`take_violation`](Self::take_violation) and does not panic.
    pub const fn keep_violations(&mut self) {
        self.keeps_violations = true;
    }

    /// The first breach that was kept.
    pub const fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Begins to keep a line for everything that goes in and comes out. Call it first.
    pub fn record(&mut self) {
        self.recording = Some(Recording::default());
    }

    /// What was recorded.
    #[must_use]
    pub const fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    fn sit(&mut self, spec: Spec, wire_out: usize, wire_in: usize) {
        let number = self.seats.len();
        if self.recording.is_some() {
            let words = format!("new {}", spec.to_line());
            self.line(number, &words);
        }
        self.seat(Peer::new(spec, self.now), wire_out, wire_in);
    }

    fn seat(&mut self, peer: Peer, wire_out: usize, wire_in: usize) {
        self.seats.push(Seat {
            peer,
            wire_out,
            wire_in,
            pending: None,
            reads: true,
            in_work: false,
            in_ready: false,
            scheduled: None,
            dropped: false,
            transmits: 0,
            tap: None,
            dialler: None,
        });
    }

    /// Has everybody write and read what can be, without any time passing.
    fn settle(&mut self) {
        let mut turns = 0;
        loop {
            self.touch_halls();
            let Some(peer) = self.work.pop_front() else {
                break;
            };
            self.seats[peer].in_work = false;
            self.take_turn(peer);
            turns += 1;
            if turns > MAX_TURNS {
                self.breach(Check::QuietWorldsStop, "an instant takes for ever");
                self.work.clear();
            }
        }
    }

    fn touch(&mut self, peer: usize) {
        let seat = &mut self.seats[peer];
        if !core::mem::replace(&mut seat.in_work, true) {
            self.work.push_back(peer);
        }
    }

    /// What a driver does after anything happened: write, read, look at the clock.
    fn take_turn(&mut self, peer: usize) {
        let wire = self.seats[peer].wire_out;
        let attempt = self.wires[wire].from.attempt;
        let mut wrote = false;
        while !self.seats[peer].dropped {
            if let Some(bytes) = self.seats[peer].pending.take() {
                if !self.wires[wire].is_writable() {
                    self.seats[peer].pending = Some(bytes);
                    break;
                }
                self.wires[wire].write(self.now, bytes);
                wrote = true;
                self.line(peer, &verb("transmitted", attempt));
                let machine = &mut self.seats[peer].peer.machine;
                machine.handle_transmitted(self.now, attempt);
            }
            let transmit = self.seats[peer].peer.machine.poll_transmit(&mut self.out);
            let bytes = self.out.copy_to_bytes(self.out.remaining());
            if self.recording.is_some() {
                let words = format!("> {}", record::transmit_words(transmit, &bytes));
                self.line(peer, &words);
            }
            match transmit {
                Some(Transmit::Data) => {
                    let seat = &mut self.seats[peer];
                    seat.transmits += 1;
                    if let Some(tap) = &mut seat.tap {
                        tap.push(bytes.clone());
                    }
                    seat.pending = Some(bytes);
                }
                Some(_) => {
                    self.wires[wire].end(self.now, Ended::Eof, true);
                    wrote = true;
                }
                None => break,
            }
        }
        if wrote {
            self.deliver(wire);
        }
        self.deliver(self.seats[peer].wire_in);
        if !self.seats[peer].dropped && self.seats[peer].peer.machine.is_finished(attempt) {
            self.drop_transport(peer);
        }
        self.dial(peer);
        if let Some(server) = self.seats[peer].peer.server {
            self.touch(server);
        }
        let seat = &mut self.seats[peer];
        if seat.reads && !seat.in_ready && seat.peer.machine.has_event() {
            seat.in_ready = true;
            self.ready.push_back(peer);
        }
        self.schedule_timer(peer);
    }

    fn drop_transport(&mut self, peer: usize) {
        let (out, into) = (self.seats[peer].wire_out, self.seats[peer].wire_in);
        self.seats[peer].dropped = true;
        let unwritten = self.seats[peer].pending.take();
        self.wires[out].lost += unwritten.map_or(0, |bytes| bytes.len() as u64);
        self.wires[out].end(self.now, Ended::Eof, true);
        let sloppy = self.seats[peer].dialler.as_ref().is_some_and(|d| d.sloppy);
        if !sloppy {
            self.wires[into].reader_gone = true;
            if self.wires[into].discard() {
                self.break_pipe(out);
            }
        }
        self.deliver(out);
        let other = self.wires[out].to.peer;
        self.touch(other);
    }

    /// Whoever writes to a transport that is gone hears of it behind what was written to it.
    fn break_pipe(&mut self, back: usize) {
        self.wires[back].end(self.now, Ended::Failed, true);
    }

    fn deliver(&mut self, wire: usize) {
        let End { peer, attempt } = self.wires[wire].to;
        let mut read = false;
        loop {
            if self.wires[wire].reader_gone {
                if self.wires[wire].discard() {
                    let back = wire ^ 1;
                    self.break_pipe(back);
                    self.schedule_arrival(back);
                }
                return;
            }
            match self.wires[wire].next_arrival() {
                None => break,
                Some(at) if at > self.now => {
                    self.schedule_arrival(wire);
                    break;
                }
                Some(_) => {}
            }
            // An old transport is read by a driver that does not know better.
            let old = wire != self.seats[peer].wire_in || self.seats[peer].dropped;
            let old = old && self.seats[peer].dialler.is_some();
            let wants = old || self.seats[peer].peer.machine.wants_read();
            if self.wires[wire].is_empty() {
                let Some((_, how)) = self.wires[wire].end else {
                    break;
                };
                if !wants && how == Ended::Eof && !self.seats[peer].peer.machine.is_closed() {
                    break;
                }
                self.wires[wire].end_given = true;
                read = true;
                if how == Ended::Failed && !old {
                    let out = self.seats[peer].wire_out;
                    let unwritten = self.seats[peer].pending.take();
                    self.wires[out].lost += unwritten.map_or(0, |bytes| bytes.len() as u64);
                }
                let machine = &mut self.seats[peer].peer.machine;
                if how == Ended::Eof {
                    machine.handle_input(self.now, attempt, Input::Eof);
                    self.line(peer, &verb("eof", attempt));
                } else {
                    let input = Input::Failed("broken".to_owned());
                    machine.handle_input(self.now, attempt, input);
                    self.line(peer, &format!("{} broken", verb("failed", attempt)));
                }
                break;
            }
            if !wants {
                break;
            }
            let quality = &self.wires[wire].quality;
            let limit = if quality.random_chunks {
                self.rng.between(1, quality.chunk.min(1 << 16))
            } else {
                quality.chunk
            };
            let Some(bytes) = self.wires[wire].read(self.now, limit) else {
                break;
            };
            if self.recording.is_some() {
                let words = format!("{} {}", verb("bytes", attempt), record::hex(&bytes));
                self.line(peer, &words);
            }
            let mut bytes = BytesMut::from(bytes);
            self.seats[peer].peer.bytes(self.now, attempt, &mut bytes);
            if !bytes.is_empty() {
                self.breach(Check::EveryEventHasOneFate, "bytes were not taken");
            }
            read = true;
        }
        if read {
            self.touch(peer);
            self.touch(self.wires[wire].from.peer);
        }
    }

    fn check_timer(&mut self, peer: usize) {
        // As a driver should: what has arrived is read before time is told.
        let wire = self.seats[peer].wire_in;
        self.deliver(wire);
        for served in self.served_by(peer) {
            self.deliver(self.seats[served].wire_in);
        }
        let machine = &mut self.seats[peer].peer.machine;
        if machine.poll_timeout().is_some_and(|at| at <= self.now) {
            let was_closed = machine.is_closed();
            machine.handle_timeout(self.now);
            let given_up = machine.close_reason() == Some(&CloseReason::PingTimeout);
            // A peer that takes nothing itself may be given up for that.
            let blocked = self.seats[peer].pending.is_some();
            if given_up && !was_closed && !blocked && self.wires[wire].has_arrived(self.now) {
                let detail = format!("peer {peer} at {:?}", self.now);
                self.breach(Check::KeepaliveSparesTheUnread, &detail);
            }
            let machine = &mut self.seats[peer].peer.machine;
            if let Some(at) = machine.poll_timeout()
                && at <= self.now
            {
                let detail = format!("peer {peer} at {:?} is still due at {at:?}", self.now);
                self.breach(Check::NoBusyTimer, &detail);
            }
            self.line(peer, "timeout");
            self.touch(peer);
        } else {
            self.schedule_timer(peer);
        }
    }

    fn schedule_timer(&mut self, peer: usize) {
        let seat = &mut self.seats[peer];
        if let Some(at) = seat.peer.machine.poll_timeout()
            && seat.scheduled.is_none_or(|known| at < known)
        {
            seat.scheduled = Some(at);
            self.ask(at, Due::Timer(peer));
        }
    }

    fn schedule_arrival(&mut self, wire: usize) {
        let known = self.wires[wire].scheduled;
        if let Some(at) = self.wires[wire].next_arrival()
            && known.is_none_or(|known| at < known)
        {
            self.wires[wire].scheduled = Some(at);
            self.ask(at, Due::Arrival(wire));
        }
    }

    fn ask(&mut self, at: Instant, due: Due) {
        self.asked += 1;
        self.agenda.push(Reverse((at, self.asked, due)));
    }

    fn poll_told(&mut self) -> Option<Told> {
        while let Some(peer) = self.ready.front().copied() {
            if self.seats[peer].reads
                && let Some(told) = self.poll_event(peer)
            {
                return Some(told);
            }
            self.ready.pop_front();
            self.seats[peer].in_ready = false;
            // What was taken has made room to read.
            self.touch(peer);
            self.settle();
        }
        None
    }

    fn poll_event(&mut self, peer: usize) -> Option<Told> {
        loop {
            let heard = self.seats[peer].peer.poll_event();
            if self.recording.is_some() && heard.is_some() {
                let words = format!("? {}", record::event_words(&heard));
                self.line(peer, &words);
            }
            let (heard, token) = heard?;
            match heard {
                Heard::Link(event) => return Some(Told { peer, event, token }),
                Heard::Server(event) => {
                    if let Some(told) = self.heard_in_hall(peer, event) {
                        return Some(told);
                    }
                }
                Heard::Life(event) => {
                    if let Some(dialler) = &mut self.seats[peer].dialler {
                        dialler.life.push_back(event);
                    }
                }
            }
        }
    }

    fn breach(&mut self, check: Check, detail: &str) {
        if self.violation.is_none() {
            self.violation = Some(Violation::new(check, detail));
        }
    }

    fn line(&mut self, peer: usize, words: &str) {
        self.line_at(self.now, peer, words);
    }

    fn line_at(&mut self, at: Instant, peer: usize, words: &str) {
        let seat = self.seats.get(peer);
        if seat.is_some_and(|seat| seat.peer.machine.is_of_a_server()) {
            return;
        }
        if let Some(recording) = &mut self.recording {
            recording.line(at, peer, words);
        }
    }
}

/// What a recording calls the input of one of a client's transports.
fn verb(name: &str, attempt: u64) -> String {
    match attempt {
        0 => name.to_owned(),
        _ => format!("{name}@{attempt}"),
    }
}
