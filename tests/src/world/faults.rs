//! Everything that can be done to the peers, the wires and the clock of a world.

use std::time::Duration;

use bytes::Bytes;
use sente_core::Instant;

use super::{Ended, Quality, Told, World};

impl World {
    /// Moves the clock by `by` with nobody looking: afterwards everything is late.
    pub fn jump(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// Tells `peer` a time that is over.
    pub fn look_back(&mut self, peer: usize, by: Duration) {
        let nanos = self.now.as_nanos();
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let then = Instant::from_nanos(nanos.saturating_sub(by));
        self.line_at(then, peer, "timeout");
        self.seats[peer].peer.machine.handle_timeout(then);
        self.touch(peer);
    }

    /// Calls everything that may be called at any time and must not matter then.
    pub fn disturb(&mut self, peer: usize) {
        let seat = &mut self.seats[peer];
        let machine = &mut seat.peer.machine;
        let _ = (machine.poll_timeout(), machine.wants_read());
        let _ = (machine.is_finished(0), machine.has_event());
        self.line(peer, "timeout");
        self.seats[peer].peer.machine.handle_timeout(self.now);
        self.touch(peer);
    }

    /// Has the application of `peer` stop to take what it is told.
    pub fn pause(&mut self, peer: usize) {
        self.seats[peer].reads = false;
    }

    /// Has the application of `peer` take again what it is told.
    pub fn resume(&mut self, peer: usize) {
        self.seats[peer].reads = true;
        self.touch(peer);
    }

    /// Has the application of a paused `peer` take one event.
    pub fn take_one(&mut self, peer: usize) -> Option<Told> {
        let told = self.poll_event(peer);
        self.touch(peer);
        told
    }

    /// Changes how the wire out of `peer` behaves.
    pub fn set_quality(&mut self, peer: usize, change: impl FnOnce(&mut Quality)) {
        let wire = self.seats[peer].wire_out;
        change(&mut self.wires[wire].quality);
        self.touch(peer);
        self.deliver(wire);
    }

    /// Breaks the transport of `peer`: both ends see it fail. Without the tail, what is on its way
    /// is lost.
    pub fn cut(&mut self, peer: usize, how: Ended, with_tail: bool) {
        for wire in [self.seats[peer].wire_out, self.seats[peer].wire_in] {
            self.wires[wire].end(self.now, how, with_tail);
            self.deliver(wire);
        }
    }

    /// Ends the direction out of `peer`, who does not notice. What it writes from now on is lost.
    pub fn half_close(&mut self, peer: usize, with_tail: bool) {
        let wire = self.seats[peer].wire_out;
        self.wires[wire].end(self.now, Ended::Eof, with_tail);
        self.deliver(wire);
    }

    /// Has what `peer` writes vanish from now on, with nobody noticing.
    pub fn sever(&mut self, peer: usize) {
        let wire = self.seats[peer].wire_out;
        self.wires[wire].severed = true;
    }

    /// Changes a byte that `peer` has written and nobody has read. Whether there was one.
    pub fn corrupt(&mut self, peer: usize) -> bool {
        let wire = self.seats[peer].wire_out;
        let at = self.rng.below(1 << 20);
        let flip = self.rng.next().to_le_bytes()[0];
        self.wires[wire].corrupt(at, flip)
    }

    /// Puts bytes on the wire out of `peer` that it did not write.
    pub fn inject(&mut self, peer: usize, bytes: Bytes) {
        let wire = self.seats[peer].wire_out;
        self.wires[wire].inject(self.now, bytes);
        self.deliver(wire);
    }
}
