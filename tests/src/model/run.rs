//! One run: operations applied to the world and to the reference, and what must hold after each.

use std::time::Duration;

use sente_core::{CloseReason, Instant, Policy, Priority, Sent, State};

use super::checks::breach;
use super::messages;
use super::op::{self, Op};
use super::pace::Pace;
use super::reference::{self, Lane, Side, Wire};
use super::tally::Tally;
use super::{Runs, garbage};
use crate::world::{Check, Command, Given, Recording, Refused, Rng, Told, Violation, World};

pub(super) type Checked = Result<(), Violation>;

/// Connections of one run at most.
const MAX_LINKS: usize = 8;

/// Of these open at a time, about.
const MAX_ALIVE: usize = 3;

/// A world and its reference, side by side.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) world: World,
    pub(super) rng: Rng,
    pub(super) sides: Vec<Side>,
    /// What each peer wrote, for reading it again in other pieces.
    pub(super) written: Vec<Vec<u8>>,
    next: u64,
}

impl Runs for Run {
    fn apply(&mut self, op: &Op) -> Checked {
        let alive = self.alive();
        let one = |peer: usize| alive[peer % alive.len()];
        match *op {
            Op::Advance(by) => {
                let until = self.world.now() + by;
                self.advance_to(until)?;
            }
            Op::Allowance(peer, bytes) => self.allow(one(peer), bytes),
            Op::Call(peer, size, timeout) => self.call(one(peer), size, timeout)?,
            Op::Cancel(peer, pick) => {
                let peer = one(peer);
                if let Some(index) = self.sides[peer].cancel(pick)
                    && self.world.command(peer, Command::Cancel(index)).is_err()
                {
                    self.sides[peer].was_not_cancelled();
                }
            }
            Op::Close(peer) => {
                self.sides[one(peer)].abrupt = true;
                let _ = self.world.command(one(peer), Command::Close);
            }
            Op::Connect => {
                if alive.len() < 2 * MAX_ALIVE && self.sides.len() < 2 * MAX_LINKS {
                    self.connect();
                }
            }
            Op::Corrupt(peer) => drop(self.world.corrupt(one(peer))),
            Op::Cut(peer, how, tail) => self.world.cut(one(peer), how, tail),
            Op::Disturb(peer) => self.world.disturb(one(peer)),
            Op::Drain(peer, within) => self.drain(one(peer), within),
            Op::Flush(peer) => {
                let peer = one(peer);
                let over = self.world.connection(peer).state() == State::Closed;
                if let Ok(Given::Flush(flush)) = self.world.command(peer, Command::Flush) {
                    self.sides[peer].accept_flush(flush, over);
                }
            }
            Op::Forget(peer, pick) => {
                if let Some((token, _)) = self.take_owed(one(peer), pick) {
                    let _ = self.world.command(one(peer), Command::Forget(token));
                }
            }
            Op::HalfClose(peer, tail) => self.world.half_close(one(peer), tail),
            Op::Inject(peer, seed) => {
                let bytes = garbage(&mut Rng::new(seed));
                self.world.inject(one(peer), bytes);
            }
            Op::Jump(by) => self.world.jump(by),
            // Connections have but one life.
            Op::Life(_) => {}
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
            Op::Release(peer, pick) => self.release(one(peer), pick)?,
            Op::Reply(peer, pick, size) => {
                let peer = self.owing(&alive, peer);
                self.reply(peer, pick, Some(size));
            }
            Op::ReplyError(peer, pick) => {
                let peer = self.owing(&alive, peer);
                self.reply(peer, pick, None);
            }
            Op::Reserve(peer, bytes, within) => self.reserve(one(peer), bytes, within)?,
            Op::Resume(peer) => self.world.resume(one(peer)),
            Op::Send(peer, size, packed) => self.send(one(peer), size, packed)?,
            Op::SendReserved(peer, pick, size) => {
                self.send_reserved(one(peer), pick, size)?;
            }
            Op::SendWith(peer, size, seed) => self.send_with(one(peer), size, seed)?,
            Op::Sever(peer) => self.world.sever(one(peer)),
            Op::Stall(peer, on) => {
                self.world
                    .set_quality(one(peer), |quality| quality.stalled = on);
            }
            Op::TakeOne(peer) => {
                if let Some(told) = self.world.take_one(one(peer)) {
                    self.told(&told)?;
                }
            }
            Op::Unwritable(peer, on) => {
                self.world
                    .set_quality(one(peer), |quality| quality.unwritable = on);
            }
        }
        let now = self.world.now();
        self.advance_to(now)?;
        self.check_all()
    }

    /// The end of every run: faults cease, what can arrive arrives, connections close in one way
    /// or another, and then nothing moves any more.
    fn finish(&mut self) -> Checked {
        for peer in 0..self.sides.len() {
            self.world.set_quality(peer, |quality| {
                *quality = crate::world::Quality::default();
            });
            self.world.resume(peer);
            self.allow(peer, usize::MAX);
        }
        let now = self.world.now();
        self.advance_to(now)?;
        for peer in 0..self.sides.len() {
            while self.sides[peer].tickets.pick(0).is_some() {
                let before = self.sides[peer].tickets.standing();
                self.release(peer, 0)?;
                if self.sides[peer].tickets.standing() == before {
                    // It has ended, and that is still to be told.
                    break;
                }
            }
        }
        self.pass(Duration::from_secs(3))?;
        for peer in 0..self.sides.len() {
            self.check_not_stuck(peer)?;
        }
        for link in 0..self.sides.len() / 2 {
            self.close_somehow(link)?;
        }
        for peer in 0..self.sides.len() {
            self.sides[peer].abrupt = true;
            let _ = self.world.command(peer, Command::Close);
        }
        self.pass(Duration::from_secs(60))?;
        for peer in 0..self.sides.len() {
            self.check_over(peer)?;
        }
        if !self.world.is_quiet() {
            return breach(Check::QuietWorldsStop, "something moves after the end");
        }
        self.check_chunks()
    }

    fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for side in &self.sides {
            sum.add(&side.tally);
        }
        sum
    }

    fn recording(&self) -> Option<&Recording> {
        self.world.recording()
    }
}

impl Run {
    pub(super) fn new(seed: u64, record: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = World::new(rng.next());
        world.keep_violations();
        if record {
            world.record();
        }
        let mut run = Self {
            world,
            rng,
            sides: Vec::new(),
            written: Vec::new(),
            next: 1,
        };
        run.connect();
        run
    }

    fn connect(&mut self) {
        let (client, server) = op::specs(&mut self.rng);
        let quality = op::quality(&mut self.rng);
        let link = self.world.connect(client, server, quality);
        for peer in [link.client, link.server] {
            self.world.tap(peer);
            let spec = self.world.spec(peer);
            let mut side = Side::new(spec.sheds, spec.send_rate.map(Pace::new));
            let limits = &spec.limits;
            side.roomy = limits.max_recv_messages >= 100 && limits.max_recv_bytes >= 10_000;
            self.sides.push(side);
            self.written.push(Vec::new());
        }
    }

    /// The peers that are not closed, or all.
    fn alive(&self) -> Vec<usize> {
        let closed = |peer: &usize| self.world.connection(*peer).state() == State::Closed;
        let all = 0..self.sides.len();
        let alive: Vec<usize> = all.clone().filter(|peer| !closed(peer)).collect();
        if alive.is_empty() {
            return all.collect();
        }
        alive
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn send(&mut self, peer: usize, size: usize, packed: bool) -> Checked {
        let number = self.number();
        let event = messages::event(number, size);
        let command = if packed {
            Command::SendPacked(event)
        } else {
            Command::Send(event)
        };
        let waited = self.waiting(peer);
        let result = self.world.command(peer, command);
        self.check_turn(peer, waited, &result)?;
        self.paced(peer, &result)?;
        match result {
            Ok(_) => {
                self.sides[peer].accept_event(number, size);
                self.accepted(peer, number, size)
            }
            Err(refused) => self.refused(peer, refused),
        }
    }

    fn send_with(&mut self, peer: usize, size: usize, seed: u64) -> Checked {
        let number = self.number();
        let (options, key) = op::options(&mut Rng::new(seed));
        let lane = match options.priority {
            Priority::Low => Lane::Low,
            _ => Lane::Normal,
        };
        let may_go = options.policy != Policy::Reject;
        let command = Command::SendWith(messages::event(number, size), options);
        let result = self.world.command(peer, command);
        self.paced(peer, &result)?;
        let side = &mut self.sides[peer];
        match result {
            Ok(Given::Sent(Sent::Dropped)) => side.drop_at_once(number),
            Ok(Given::Sent(Sent::Replaced)) => return side.replace(number, size, key),
            Ok(_) => side.accept_with(number, size, lane, may_go, key),
            Err(refused) => return self.refused(peer, refused),
        }
        Ok(())
    }

    fn call(&mut self, peer: usize, size: usize, timeout: Duration) -> Checked {
        let number = self.number();
        let command = Command::Call(messages::event(number, size), timeout);
        let waited = self.waiting(peer);
        let result = self.world.command(peer, command);
        self.check_turn(peer, waited, &result)?;
        self.paced(peer, &result)?;
        match result {
            Ok(Given::Call(call, index)) => {
                let deadline = self.world.now() + timeout;
                self.sides[peer].accept_call(number, size, (call, index), deadline)?;
                self.accepted(peer, number, size)
            }
            Ok(_) => Ok(()),
            Err(refused) => self.refused(peer, refused),
        }
    }

    /// How much the queue took since anything left it.
    pub(super) fn accepted(&mut self, peer: usize, number: u64, size: usize) -> Checked {
        let transmits = self.world.transmits(peer);
        let side = &mut self.sides[peer];
        if side.since_transmit.0 != transmits {
            side.since_transmit = (transmits, 0, 0);
        }
        side.since_transmit.1 += 1;
        side.since_transmit.2 += messages::packed_len(number, size);
        let limits = &self.world.spec(peer).limits;
        let (_, messages, bytes) = side.since_transmit;
        if messages > limits.max_send_messages || bytes > limits.max_send_bytes {
            return breach(
                Check::SendQueueKeepsItsLimits,
                format!("{messages} messages of {bytes} bytes were accepted and none left"),
            );
        }
        Ok(())
    }

    pub(super) fn refused(&mut self, peer: usize, refused: Refused) -> Checked {
        let open = self.world.connection(peer).state() == State::Open;
        match refused {
            Refused::Full => {
                self.sides[peer].refused = true;
                self.sides[peer].refusals += 1;
                self.sides[peer].tally.refused += 1;
            }
            Refused::CallsUnsupported if self.sides[peer].may_call => {
                return breach(Check::EveryEventHasOneFate, "calls were granted");
            }
            Refused::NotOpen if open => {
                let side = &self.sides[peer];
                let failed = self.world.connection(peer).close_reason().is_some();
                // A call to a peer that ended its stream, or after the transport failed.
                let excused = side.peer_finished || failed || !self.world.reads(peer);
                if !excused && self.world.is_wire_empty(peer ^ 1) && !self.broken(peer) {
                    return breach(Check::EveryEventHasOneFate, "refused by an open connection");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether something happened to the transport.
    pub(super) fn broken(&self, peer: usize) -> bool {
        [peer, peer ^ 1].into_iter().any(|side| {
            self.world.lost(side) > 0
                || self.world.is_tainted(side)
                || self.world.is_dropped(side)
                || self.world.is_cut(side)
        })
    }

    /// A peer that owes an answer, if there is one.
    fn owing(&self, alive: &[usize], peer: usize) -> usize {
        let start = peer % alive.len();
        let around = alive[start..].iter().chain(&alive[..start]).copied();
        let mut owing = around.filter(|peer| !self.sides[*peer].owed.is_empty());
        owing.next().unwrap_or(alive[start])
    }

    fn take_owed(&mut self, peer: usize, pick: usize) -> Option<(usize, u64)> {
        let at = pick.checked_rem(self.sides[peer].owed.len())?;
        Some(self.sides[peer].owed.remove(at))
    }

    fn reply(&mut self, peer: usize, pick: usize, size: Option<usize>) {
        let Some((token, to)) = self.take_owed(peer, pick) else {
            return;
        };
        let number = self.number();
        let given = match size {
            Some(size) => {
                let payload = messages::payload(number, size);
                self.world.command(peer, Command::Reply(token, payload))
            }
            None => self.world.command(peer, Command::ReplyError(token)),
        };
        let side = &mut self.sides[peer];
        match (given, size) {
            (Ok(_), Some(size)) => side.accept_reply(number, size, to),
            // The caller of a reply that is too large is told of an error.
            (Ok(_), None) | (Err(Refused::TooLarge), _) => side.accept_error_reply(number, to),
            (Err(_), _) => {}
        }
    }

    fn drain(&mut self, peer: usize, within: Duration) {
        let deadline = self.world.now() + within;
        // What it does not read in time it never reads.
        self.sides[peer].abrupt = true;
        let _ = self.world.command(peer, Command::Drain(deadline));
    }

    fn pass(&mut self, time: Duration) -> Checked {
        let until = self.world.now() + time;
        self.advance_to(until)?;
        self.check_all()
    }

    fn advance_to(&mut self, until: Instant) -> Checked {
        while let Some(told) = self.world.advance_to(until) {
            self.told(&told)?;
        }
        self.world.take_violation().map_or(Ok(()), Err)
    }

    fn told(&mut self, told: &Told) -> Checked {
        let peer = told.peer;
        let other = peer ^ 1;
        let wire = if self.world.is_tainted(other) {
            Wire::Tainted
        } else if self.world.lost(other) > 0 {
            Wire::Lossy
        } else {
            Wire::Sound
        };
        let (mut receiver, mut sender) = (
            core::mem::take(&mut self.sides[peer]),
            core::mem::take(&mut self.sides[other]),
        );
        let now = self.world.now();
        let checked = reference::told(
            &mut receiver,
            &mut sender,
            wire,
            now,
            &told.event,
            told.token,
        );
        self.sides[peer] = receiver;
        self.sides[other] = sender;
        // Half of the calls are answered at once, the others when an operation says so.
        if told.token.is_some() && self.rng.one_in(2) {
            let newest = self.sides[peer].owed.len().saturating_sub(1);
            let size = self.rng.below(30);
            self.reply(peer, newest, Some(size));
        }
        checked.map_err(|mut violation| {
            violation.detail = format!("peer {peer} at {now:?}: {}", violation.detail);
            violation
        })
    }

    /// Whether what `peer` wrote may not have been read.
    pub(super) fn lossy(&self, peer: usize) -> bool {
        self.world.lost(peer) > 0 || self.world.is_tainted(peer) || self.sides[peer ^ 1].abrupt
    }

    /// One side of a connection drains, or both, or it is left as it is.
    fn close_somehow(&mut self, link: usize) -> Checked {
        let peers = [2 * link, 2 * link + 1];
        let open = |run: &Self, peer: usize| run.world.connection(peer).state() == State::Open;
        for peer in peers {
            while let Some((token, _)) = self.take_owed(peer, 0) {
                let _ = self.world.command(peer, Command::Forget(token));
            }
        }
        let calls = peers.iter().any(|peer| self.sides[*peer].calls() > 0);
        let healthy = peers
            .iter()
            .all(|peer| open(self, *peer) && !self.sides[*peer].peer_finished)
            && !calls
            && !self.broken(peers[0]);
        if !healthy {
            return Ok(());
        }
        let came_back = peers.map(|peer| self.sides[peer].tally.came_back);
        let first = peers[self.rng.below(2)];
        for _ in 0..self.rng.below(4) {
            let size = self.rng.below(40);
            self.send(first, size, false)?;
            self.send(first ^ 1, size, false)?;
        }
        let deadline = self.world.now() + Duration::from_secs(30);
        let _ = self.world.command(first, Command::Drain(deadline));
        if self.rng.one_in(2) {
            let now = self.world.now();
            self.advance_to(now)?;
        }
        let _ = self.world.command(first ^ 1, Command::Drain(deadline));
        self.pass(Duration::from_secs(1))?;
        for peer in peers {
            let reason = &self.sides[peer].closed;
            let clean = reason.as_ref().is_some_and(CloseReason::is_clean);
            let missing = self.sides[peer].missing();
            if self.sides[peer ^ 1].sheds {
                self.check_sheds(peer)?;
            }
            let high = self.world.connection(peer).send_capacity().above_high_water;
            // Where the other side was quicker, something comes back.
            let emptied = self.sides[peer].tally.came_back == came_back[peer % 2];
            if emptied && (high || self.sides[peer].refused) {
                let detail = format!("peer {peer} drained, and whoever waits was not told");
                return breach(Check::SendReadyFollowsARefusal, detail);
            }
            if !clean || !(missing.is_empty() || self.sides[peer ^ 1].sheds) {
                let detail = format!("peer {peer} drained: {reason:?}, {missing:?} are lost");
                return breach(Check::EveryEventHasOneFate, detail);
            }
        }
        Ok(())
    }
}
