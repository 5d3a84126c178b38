//! A run of one client that comes back, and the servers it finds: what it is told, of which link,
//! and what became of everything it accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sente_core::state::ClientPhase;
use sente_core::{
    Attempt, CallId, ClientEvent, ClientState, ConnectFailure, ConnectionEvent, FlushId, Instant,
    Payload,
};

use super::checks::breach;
use super::client_checks::Reconnecting;
use super::messages::{self, number_in};
use super::op::{self, Op};
use super::run::Checked;
use super::tally::Tally;
use super::{Runs, garbage};
use crate::world::{Check, Command, Given, Outcome, Quality, Recording, Refused, Rng, Told, World};

/// The client's place in the world.
pub(super) const CLIENT: usize = 0;

/// Links of one run at most.
const MAX_LINKS: usize = 40;

/// A world with one client, and what is known of it.
#[derive(Debug)]
pub(super) struct ClientRun {
    pub(super) world: World,
    pub(super) rng: Rng,
    pub(super) life: Reconnecting,
    /// Everything the client accepted, by number.
    pub(super) sent: BTreeMap<u64, Fate>,
    /// The server at which each number of the client arrived.
    arrived: BTreeMap<u64, usize>,
    /// What each server sent, and whether it arrived.
    from_servers: BTreeMap<u64, (usize, bool)>,
    calls: BTreeMap<CallId, Call>,
    /// Which of the numbers are calls'.
    called: BTreeSet<u64>,
    flushes: BTreeSet<FlushId>,
    flushed: BTreeSet<FlushId>,
    owed: Vec<(usize, usize, u64)>,
    next: u64,
    pub(super) tally: Tally,
}

/// A call that has not settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    number: u64,
    pub(super) deadline: Instant,
    /// Its place among all calls of the client.
    index: usize,
    attempt: Attempt,
}

/// What became of something the client accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrived,
    CameBack,
    Open,
}

impl Runs for ClientRun {
    fn apply(&mut self, op: &Op) -> Checked {
        self.act(op)?;
        let now = self.world.now();
        self.advance_to(now)?;
        self.check_all()
    }

    /// The faults cease, the client leaves, and then nothing moves any more.
    fn finish(&mut self) -> Checked {
        for peer in 0..self.world.len() {
            self.world
                .set_quality(peer, |quality| *quality = Quality::default());
            self.world.resume(peer);
        }
        self.world.set_sloppy(CLIENT, false);
        // What was kept may leave one by one, a flush window after the other.
        self.pass(Duration::from_secs(60))?;
        let waits = |fate: &&Fate| **fate == Fate::Open;
        let nowhere = self.sent.values().filter(waits).count();
        // An open link whose transport is sound has delivered everything.
        let healthy = self
            .open_server()
            .is_some_and(|server| self.is_sound(server));
        if healthy && nowhere > 0 && !self.was_ever_broken() {
            let detail = format!("{nowhere} events of {:?} are nowhere", self.sent);
            return breach(Check::NothingIsStuck, detail);
        }
        self.command(Command::AutoReconnect(false));
        self.command(Command::Close);
        for server in 1..self.world.len() {
            let _ = self.world.command(server, Command::Close);
        }
        self.pass(Duration::from_secs(60))?;
        self.check_over()
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn recording(&self) -> Option<&Recording> {
        self.world.recording()
    }
}

impl ClientRun {
    pub(super) fn new(seed: u64, record: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = World::new(rng.next());
        world.keep_violations();
        if record {
            world.record();
        }
        let (mut client, server) = op::specs(&mut rng);
        let reconnects = op::reconnects(&mut rng);
        client.reconnects = Some(reconnects);
        // Their rules are held against connections; here only fates count.
        client.sheds = false;
        let mut server = server;
        server.sheds = false;
        let quality = op::quality(&mut rng);
        world.dialler(client, server, quality);
        Self {
            world,
            rng,
            life: Reconnecting::new(reconnects),
            sent: BTreeMap::new(),
            arrived: BTreeMap::new(),
            from_servers: BTreeMap::new(),
            calls: BTreeMap::new(),
            called: BTreeSet::new(),
            flushes: BTreeSet::new(),
            flushed: BTreeSet::new(),
            owed: Vec::new(),
            next: 1,
            tally: Tally::default(),
        }
    }

    fn act(&mut self, op: &Op) -> Checked {
        let newest = self.world.len() - 1;
        // Half of what happens, happens to the client.
        let one = |peer: usize| {
            if peer.is_multiple_of(2) {
                CLIENT
            } else {
                newest
            }
        };
        match *op {
            Op::Advance(by) => {
                let until = self.world.now() + by;
                self.advance_to(until)?;
            }
            Op::Call(_, size, timeout) => self.call(size, timeout)?,
            Op::Cancel(_, pick) => self.cancel(pick),
            Op::Close(_) if newest > CLIENT => {
                let _ = self.world.command(newest, Command::Close);
            }
            Op::Corrupt(peer) => drop(self.world.corrupt(one(peer))),
            Op::Cut(_, how, tail) => self.world.cut(newest, how, tail),
            Op::Disturb(peer) => self.world.disturb(one(peer)),
            Op::Drain(peer, within) => {
                let deadline = self.world.now() + within;
                let drain = Command::Drain(deadline);
                match one(peer) {
                    CLIENT => self.command(drain),
                    server => drop(self.world.command(server, drain)),
                }
            }
            Op::Flush(_) => {
                if let Ok(Given::Flush(flush)) = self.world.command(CLIENT, Command::Flush) {
                    // Several may settle together.
                    self.flushes.insert(flush);
                    if self.flushed.contains(&flush) {
                        let detail = format!("{flush:?} is the name of one that has settled");
                        return breach(Check::FlushesSettleOnce, detail);
                    }
                }
            }
            Op::HalfClose(peer, tail) => self.world.half_close(one(peer), tail),
            Op::Inject(peer, seed) => {
                let bytes = garbage(&mut Rng::new(seed));
                self.world.inject(one(peer), bytes);
            }
            Op::Jump(by) => self.world.jump(by),
            Op::Life(seed) => self.live(&mut Rng::new(seed)),
            Op::LookBack(peer, by) => self.world.look_back(one(peer), by),
            Op::Pause(peer) => self.world.pause(one(peer)),
            Op::Quality(peer, seed) => {
                let new = op::quality(&mut Rng::new(seed));
                self.world.set_quality(one(peer), |quality| {
                    let (stalled, unwritable) = (quality.stalled, quality.unwritable);
                    *quality = new;
                    (quality.stalled, quality.unwritable) = (stalled, unwritable);
                });
            }
            Op::Reply(_, pick, size) => self.reply(pick, size),
            Op::Resume(peer) => self.world.resume(one(peer)),
            Op::Send(peer, size, packed) => match one(peer) {
                CLIENT => self.send(size, packed)?,
                server => self.push(server, size),
            },
            Op::Sever(peer) => self.world.sever(one(peer)),
            Op::Stall(peer, on) => self.world.set_quality(one(peer), |q| q.stalled = on),
            Op::TakeOne(peer) => {
                if let Some(told) = self.world.take_one(one(peer)) {
                    self.told(&told)?;
                }
            }
            Op::Unwritable(peer, on) => self.world.set_quality(one(peer), |q| q.unwritable = on),
            _ => {}
        }
        Ok(())
    }

    /// What an application or a network does to a client.
    fn live(&mut self, rng: &mut Rng) {
        let time = Duration::from_millis(rng.pick(&[0, 0, 5, 300, 4_000, 6_000]));
        match rng.below(16) {
            0..4 => self.command(Command::Connect),
            4 => self.command(Command::Close),
            5 | 6 => self.command(Command::Reconnect),
            7 => self.command(Command::Break),
            8 => self.command(Command::AutoReconnect(rng.one_in(4))),
            9 => self.command(Command::AutoReconnect(true)),
            10 => self.world.set_sloppy(CLIENT, rng.one_in(2)),
            11 => self.world.script(CLIENT, time, Outcome::Open),
            12 => self.world.script(CLIENT, time, Outcome::Silent),
            13 => {
                for _ in 0..rng.between(1, 12) {
                    self.world.script(CLIENT, time, Outcome::Retry);
                }
            }
            14 => {
                let after = Duration::from_millis(rng.pick(&[0, 1, 50, 5_500]));
                for _ in 0..rng.between(1, 6) {
                    self.world.script(CLIENT, time, Outcome::Drop(after));
                }
            }
            _ if rng.one_in(3) => self.world.script(CLIENT, time, Outcome::Final),
            _ => {}
        }
    }

    fn command(&mut self, command: Command) {
        self.life.asked(&command, self.world.now());
        let _ = self.world.command(CLIENT, command);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn send(&mut self, size: usize, packed: bool) -> Checked {
        let number = self.number();
        let event = messages::event(number, size);
        let command = if packed {
            Command::SendPacked(event)
        } else {
            Command::Send(event)
        };
        let state = self.state();
        match self.world.command(CLIENT, command) {
            Ok(_) => {
                if !state.is_open() {
                    self.tally.kept += 1;
                    self.life.may_keep(&state)?;
                }
                self.sent.insert(number, Fate::Open);
            }
            Err(Refused::NotOpen) => self.life.may_refuse(&state)?,
            Err(Refused::Full) => self.tally.refused += 1,
            Err(Refused::RateLimited(_)) => self.tally.rate_limited += 1,
            Err(_) => {}
        }
        Ok(())
    }

    fn call(&mut self, size: usize, timeout: Duration) -> Checked {
        let number = self.number();
        let command = Command::Call(messages::event(number, size), timeout);
        if let Ok(Given::Call(call, index)) = self.world.command(CLIENT, command) {
            self.sent.insert(number, Fate::Open);
            self.called.insert(number);
            let ClientState::Open { attempt, .. } = self.state() else {
                return breach(Check::ClientsFollowTheTable, "a call without an open link");
            };
            let call_of = Call {
                number,
                deadline: self.world.now() + timeout,
                index,
                attempt,
            };
            if self.calls.insert(call, call_of).is_some() {
                let detail = format!("{call:?} is the name of another");
                return breach(Check::SettlesOnce, detail);
            }
        }
        Ok(())
    }

    fn cancel(&mut self, pick: usize) {
        let at = pick.checked_rem(self.calls.len());
        if let Some(call) = at.and_then(|at| self.calls.values().nth(at)) {
            let _ = self.world.command(CLIENT, Command::Cancel(call.index));
        }
    }

    /// A server says something.
    fn push(&mut self, server: usize, size: usize) {
        let number = self.number();
        let event = messages::event(number, size);
        if self.world.command(server, Command::Send(event)).is_ok() {
            self.from_servers.insert(number, (server, false));
        }
    }

    fn reply(&mut self, pick: usize, size: usize) {
        let Some(at) = pick.checked_rem(self.owed.len()) else {
            return;
        };
        let (server, token, to) = self.owed.swap_remove(at);
        let payload = messages::payload(to, size);
        let _ = self.world.command(server, Command::Reply(token, payload));
    }

    fn pass(&mut self, time: Duration) -> Checked {
        let until = self.world.now() + time;
        self.advance_to(until)?;
        self.check_all()
    }

    fn advance_to(&mut self, until: Instant) -> Checked {
        // Each link costs memory; a run that has had enough of them makes no more.
        if self.world.len() > MAX_LINKS && self.state().phase() != ClientPhase::Closed {
            self.command(Command::Close);
        }
        while let Some(told) = self.world.advance_to(until) {
            self.lives()?;
            self.told(&told)?;
        }
        self.lives()?;
        self.world.take_violation().map_or(Ok(()), Err)
    }

    /// What the application is told of links and attempts.
    fn lives(&mut self) -> Checked {
        while let Some(event) = self.world.take_life(CLIENT) {
            let ended = self.life.link();
            self.life.told(&event)?;
            match &event {
                ClientEvent::Closed(_) => {
                    self.tally.closed += 1;
                    // The application may have made others since, on the next link.
                    let mut calls = self.calls.values();
                    if let Some(call) = calls.find(|call| Some(call.attempt) <= ended) {
                        let detail = format!("{call:?} waits behind the end of its link");
                        return breach(Check::SettlesOnce, detail);
                    }
                }
                ClientEvent::Reopened(_) => self.tally.reopened += 1,
                ClientEvent::ConnectFailed {
                    failure: ConnectFailure::Retry(_),
                    ..
                } => self.tally.connect_failures += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn told(&mut self, told: &Told) -> Checked {
        if told.peer == CLIENT {
            // `take_one` may have passed some on its way.
            self.lives()?;
            return self.client_told(&told.event);
        }
        let tainted = self.world.is_tainted(told.peer);
        match &told.event {
            ConnectionEvent::Message(message) => {
                let raw = message.event.data.as_ref().and_then(Payload::raw);
                if let Some(number) = raw.and_then(|raw| number_in(raw)).filter(|_| !tainted) {
                    self.server_hears(told.peer, number)?;
                    if let Some(token) = told.token {
                        self.owed.push((told.peer, token, number));
                        if self.rng.one_in(2) {
                            self.reply(self.owed.len() - 1, 5);
                        }
                    }
                }
            }
            ConnectionEvent::PeerFinished => {
                let deadline = self.world.now() + Duration::from_secs(1);
                let _ = self.world.command(told.peer, Command::Drain(deadline));
            }
            _ => {}
        }
        Ok(())
    }

    /// In their order on each link, and on a later link only what was accepted later.
    fn server_hears(&mut self, server: usize, number: u64) -> Checked {
        match self.sent.insert(number, Fate::Arrived) {
            Some(Fate::Open) => {}
            fate => {
                let detail = format!("{number} arrives at {server}: {fate:?}");
                return breach(Check::EveryEventHasOneFate, detail);
            }
        }
        self.tally.arrived += 1;
        let before = self.arrived.range(..number).next_back();
        let behind = self.arrived.range(number..).next();
        // Of another link nothing is known that is out of order.
        let wrong = before.is_some_and(|(_, other)| *other > server)
            || behind.is_some_and(|(_, other)| *other <= server);
        if wrong {
            let detail = format!("{number} at {server}, {before:?} before, {behind:?} behind it");
            return breach(Check::DeliveredInOrder, detail);
        }
        self.arrived.insert(number, server);
        Ok(())
    }

    fn client_told(&mut self, event: &ConnectionEvent) -> Checked {
        let server = self.life.link().and_then(|link| self.server(link));
        let tainted = server.is_some_and(|server| self.world.is_tainted(server));
        match event {
            ConnectionEvent::Message(message) => {
                let raw = message.event.data.as_ref().and_then(Payload::raw);
                let number = raw.and_then(|raw| number_in(raw));
                let known = number.and_then(|number| self.from_servers.get_mut(&number));
                match (known, server) {
                    (_, Some(_)) if tainted => {}
                    (Some((from, heard)), Some(server)) if *from == server && !*heard => {
                        *heard = true;
                        self.tally.arrived += 1;
                    }
                    (known, _) => {
                        let detail = format!("{number:?} of {known:?} on the link to {server:?}");
                        return breach(Check::OldAttemptsAreSilent, detail);
                    }
                }
            }
            ConnectionEvent::Settled { call, result } => {
                let Some(Call {
                    number, deadline, ..
                }) = self.calls.remove(call)
                else {
                    return breach(Check::SettlesOnce, format!("{call:?} settles again"));
                };
                match result {
                    Ok(payload) => {
                        self.tally.answered += 1;
                        let answer = payload.raw().and_then(|raw| number_in(raw));
                        if (answer != Some(number) || server.is_none()) && !tainted {
                            let detail = format!("{number} got {answer:?} on {server:?}");
                            return breach(Check::CallsGetTheirOwnReply, detail);
                        }
                    }
                    Err(sente_core::CallError::Timeout) if self.world.now() < deadline => {
                        return breach(Check::SettlesOnce, format!("{number} is out too early"));
                    }
                    Err(sente_core::CallError::Closed) => self.tally.cut_off += 1,
                    Err(_) => {}
                }
            }
            ConnectionEvent::Undelivered(events) => {
                for packed in events {
                    self.tally.came_back += 1;
                    let number = number_in(packed.bytes()).unwrap_or(0);
                    match self.sent.insert(number, Fate::CameBack) {
                        Some(Fate::Open) if !self.called.contains(&number) => {}
                        fate => {
                            let detail = format!("{number} comes back: {fate:?}");
                            return breach(Check::EveryEventHasOneFate, detail);
                        }
                    }
                }
            }
            ConnectionEvent::Flushed(flush) | ConnectionEvent::FlushFailed(flush) => {
                self.tally.flushed += 1;
                self.flushed.insert(*flush);
                if !self.flushes.remove(flush) {
                    return breach(Check::FlushesSettleOnce, format!("{flush:?} settles again"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn state(&self) -> ClientState {
        let client = self.world.client(CLIENT);
        client.map_or(ClientState::Idle, |client| client.state().clone())
    }

    fn server(&self, attempt: Attempt) -> Option<usize> {
        self.world.server_of(CLIENT, attempt)
    }

    /// The server of the link that is open.
    fn open_server(&self) -> Option<usize> {
        match self.state() {
            ClientState::Open { attempt, .. } => self.server(attempt),
            _ => None,
        }
    }

    fn is_sound(&self, server: usize) -> bool {
        [CLIENT, server].into_iter().all(|peer| {
            self.world.lost(peer) == 0
                && !self.world.is_tainted(peer)
                && !self.world.is_cut(peer)
                && !self.world.is_dropped(peer)
        })
    }

    /// Whether there ever was a link before the present one, with which something may be lost.
    fn was_ever_broken(&self) -> bool {
        self.world.len() > 2
    }

    pub(super) fn calls(&self) -> &BTreeMap<CallId, Call> {
        &self.calls
    }

    pub(super) fn flushes(&self) -> usize {
        self.flushes.len()
    }
}
