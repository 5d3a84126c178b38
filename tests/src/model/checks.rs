//! What must hold after each operation and after the end.

use sente_core::{Instant, State};

use super::frames;
use super::run::{Checked, Run};
use crate::world::{Check, Rng, Spec, Violation};

impl Run {
    pub(super) fn check_all(&mut self) -> Checked {
        for peer in 0..self.sides.len() {
            self.check_calls(peer)?;
            self.check_send_queue(peer)?;
            self.check_receive_queue(peer)?;
            self.check_transmits(peer)?;
            self.check_reservations(peer)?;
            self.check_window(peer)?;
            self.check_allowance(peer)?;
            self.check_pings(peer)?;
        }
        Ok(())
    }

    fn check_calls(&self, peer: usize) -> Checked {
        let now = self.world.now();
        let side = &self.sides[peer];
        let overdue = side.overdue(now);
        let pending = self.world.connection(peer).pending_calls();
        let limit = self.world.spec(peer).limits.max_pending_calls;
        if self.world.reads(peer) && overdue > 0 {
            let detail = format!("{overdue} calls of peer {peer} are overdue at {now:?}");
            return breach(Check::SettlesOnce, detail);
        }
        if pending > side.calls() - overdue || pending > limit {
            let detail = format!("peer {peer} has {pending} calls, {} wait", side.calls());
            return breach(Check::SettlesOnce, detail);
        }
        Ok(())
    }

    fn check_send_queue(&self, peer: usize) -> Checked {
        if self.world.is_tainted(peer ^ 1) {
            // The engine answers what it cannot report, and nobody can count that here.
            return Ok(());
        }
        let limits = &self.world.spec(peer).limits;
        let capacity = self.world.connection(peer).send_capacity();
        let (replies, bytes) = self.sides[peer].replies_out();
        // What it sheds of calls it answers itself.
        let sheds = usize::try_from(self.world.connection(peer).stats().shed).unwrap_or(0);
        let (replies, bytes) = (replies + sheds, bytes + 80 * sheds);
        if capacity.messages + capacity.reserved_messages > limits.max_send_messages + replies
            || capacity.bytes + capacity.reserved_bytes > limits.max_send_bytes + bytes
        {
            let detail = format!("peer {peer}: {capacity:?} with {replies} replies");
            return breach(Check::SendQueueKeepsItsLimits, detail);
        }
        Ok(())
    }

    fn check_receive_queue(&self, peer: usize) -> Checked {
        let other = peer ^ 1;
        let limits = &self.world.spec(peer).limits;
        let sender = &self.world.spec(other).limits;
        let stats = self.world.connection(peer).stats();
        let received = stats.events_received - self.sides[peer].taken;
        // A handshake that was shed was not received as an event.
        let unread = usize::try_from(received.saturating_sub(stats.shed)).unwrap_or(usize::MAX);
        if unread > limits.max_recv_messages {
            let detail = format!("{unread} events wait for the application of peer {peer}");
            return breach(Check::ReceiveQueueKeepsItsLimits, detail);
        }
        let bytes = self.sides[other].oldest_bytes(unread);
        let tainted = self.world.is_tainted(other);
        let sheds = self.sides[peer].sheds;
        if bytes > limits.max_recv_bytes + sender.max_frame_bytes && !tainted && !sheds {
            let detail = format!("{bytes} bytes wait for the application of peer {peer}");
            return breach(Check::ReceiveQueueKeepsItsLimits, detail);
        }
        Ok(())
    }

    /// Takes apart what was written: batches and transmits keep to their limits.
    fn check_transmits(&mut self, peer: usize) -> Checked {
        let written = self.world.take_tapped(peer);
        let spec = self.world.spec(peer).clone();
        for bytes in written {
            self.written[peer].extend_from_slice(&bytes);
            let split = frames::split(spec.carrier, &bytes);
            for (at, frame) in &split {
                self.sides[peer].pings += u64::from(frames::is_ping(frame));
                let events = frames::events_in(frame);
                let limits = &spec.limits;
                let over = events > limits.max_batch_events.max(1)
                    || (events > 1 && frame.len() > limits.max_batch_bytes)
                    || (events > 0 && frame.len() > limits.max_frame_bytes);
                if over {
                    let detail = format!("{events} events of {} bytes in one", frame.len());
                    return breach(Check::BatchesKeepTheirLimits, detail);
                }
                if events > 0 && *at >= limits.max_transmit_bytes.max(1) {
                    let detail = format!("a frame begins at byte {at} of a transmit");
                    return breach(Check::BatchesKeepTheirLimits, detail);
                }
            }
        }
        Ok(())
    }

    /// A ping is written as soon as anything can be, whatever waits for a flush window.
    fn check_pings(&self, peer: usize) -> Checked {
        let connection = self.world.connection(peer);
        let sent = connection.stats().pings_sent;
        let written = self.sides[peer].pings;
        let open = connection.state() == State::Open && !self.broken(peer);
        if open && !self.world.is_writing(peer) && sent != written {
            let detail = format!("peer {peer} has written {written} pings of {sent}");
            return breach(Check::ControlNeverWaits, detail);
        }
        Ok(())
    }

    pub(super) fn check_not_stuck(&self, peer: usize) -> Checked {
        let other = peer ^ 1;
        let open = |side: usize| self.world.connection(side).state() == State::Open;
        if !open(peer) || !open(other) || self.lossy(peer) {
            return Ok(());
        }
        let missing = self.sides[peer].missing();
        let replies = self.sides[peer].missing_replies(&self.sides[other]);
        let sheds = self.sides[other].sheds;
        if sheds {
            self.check_sheds(peer)?;
        }
        if !(missing.is_empty() || sheds) || !replies.is_empty() {
            let detail = format!("{missing:?} and replies {replies:?} of peer {peer}");
            return breach(Check::NothingIsStuck, detail);
        }
        if self.sides[peer].refused {
            let detail = format!("peer {peer} was refused and its queue is empty");
            return breach(Check::SendReadyFollowsARefusal, detail);
        }
        Ok(())
    }

    /// After the end: everybody knows, and everything accepted has a fate.
    pub(super) fn check_over(&self, peer: usize) -> Checked {
        if self.sides[peer].closed.is_none() || !self.world.is_dropped(peer) {
            let state = self.world.connection(peer).state();
            return breach(Check::ClosedIsLast, format!("peer {peer} is {state:?}"));
        }
        let silent = self.sides[peer].unreported();
        let sheds = self.sides[peer ^ 1].sheds;
        if !silent.is_empty() && !sheds && !self.world.is_tainted(peer) {
            let detail = format!("{silent:?} of peer {peer} were dropped without a word");
            return breach(Check::EveryEventHasOneFate, detail);
        }
        let missing = self.sides[peer].lost();
        if !missing.is_empty() && !sheds && !self.lossy(peer) {
            let detail = format!("{missing:?} of peer {peer} are nowhere");
            return breach(Check::EveryEventHasOneFate, detail);
        }
        Ok(())
    }

    /// What was written, read by fresh machines: whole, in pieces and byte by byte.
    pub(super) fn check_chunks(&mut self) -> Checked {
        for peer in 0..self.sides.len() {
            let bytes = core::mem::take(&mut self.written[peer]);
            let mut spec = self.world.spec(peer ^ 1).clone();
            // What is shed is a matter of when it was read.
            spec.sheds = false;
            if bytes.len() > 16 * 1024 {
                continue;
            }
            let whole = reread(&spec, &bytes, &mut |_| usize::MAX);
            let single = reread(&spec, &bytes, &mut |_| 1);
            let pieces = self.rng.between(2, 50);
            let random = reread(&spec, &bytes, &mut |rng| rng.between(1, pieces));
            if whole != single || whole != random {
                let detail = format!("of peer {peer}:\n{whole:?}\n{single:?}\n{random:?}");
                return breach(Check::ChunksDoNotMatter, detail);
            }
        }
        Ok(())
    }
}

pub(super) fn breach(check: Check, detail: impl Into<String>) -> Checked {
    Err(Violation::new(check, detail))
}

/// What a fresh machine of `spec` tells of `bytes` in pieces of these sizes.
fn reread(spec: &Spec, bytes: &[u8], piece: &mut dyn FnMut(&mut Rng) -> usize) -> Vec<String> {
    use sente_core::{Connection, ConnectionEvent, Input};
    let now = Instant::EPOCH;
    let mut rng = Rng::new(bytes.len() as u64);
    let mut connection = Connection::new(spec.config(), spec.seed, now);
    connection.accept(now, spec.accept());
    let mut told = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(piece(&mut rng).clamp(1, rest.len()));
        connection.handle_input(now, Input::Bytes(&mut part.into()));
        rest = behind;
        while let Some(event) = connection.poll_event() {
            // How full the queue was is a matter of when it was read, not of what it held.
            if !matches!(event, ConnectionEvent::RecvPressure(_)) {
                told.push(format!("{event:?}"));
            }
        }
    }
    told
}
