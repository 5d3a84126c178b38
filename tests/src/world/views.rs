//! What can be seen of a world without changing it.

use bytes::Bytes;
use sente_core::{Connection, Instant};

use super::wire::Wire;
use super::{Seat, Spec, World};

impl World {
    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// How many peers there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The connection of a peer.
    ///
    /// # Panics
    /// If it is a client without one.
    #[must_use]
    pub fn connection(&self, peer: usize) -> &Connection {
        let link = self.seats[peer].peer.machine.link();
        link.expect("the peer has a connection")
    }

    /// What the peer was made of.
    #[must_use]
    pub fn spec(&self, peer: usize) -> &Spec {
        &self.seats[peer].peer.spec
    }

    /// The right to answer with this number is still there.
    #[must_use]
    pub fn holds_token(&self, peer: usize, token: usize) -> bool {
        let tokens = &self.seats[peer].peer.tokens;
        tokens.get(token).is_some_and(Option::is_some)
    }

    /// Whether the application of `peer` takes what it is told.
    #[must_use]
    pub fn reads(&self, peer: usize) -> bool {
        self.seats[peer].reads
    }

    /// How many transmits `peer` has given out.
    #[must_use]
    pub fn transmits(&self, peer: usize) -> u64 {
        self.seats[peer].transmits
    }

    /// Bytes that `peer` wrote and that never arrive.
    #[must_use]
    pub fn lost(&self, peer: usize) -> u64 {
        self.wires[self.seats[peer].wire_out].lost
    }

    /// Whether bytes that `peer` wrote or was to read were changed, or others put among them.
    #[must_use]
    pub fn is_tainted(&self, peer: usize) -> bool {
        let seat = &self.seats[peer];
        self.wires[seat.wire_out].tainted || self.wires[seat.wire_in].tainted
    }

    /// Whether everything `peer` wrote has been read.
    #[must_use]
    pub fn is_wire_empty(&self, peer: usize) -> bool {
        self.seats[peer].pending.is_none() && self.wires[self.seats[peer].wire_out].is_empty()
    }

    /// Whether `peer` has bytes that the transport has not taken yet.
    #[must_use]
    pub fn is_writing(&self, peer: usize) -> bool {
        self.seats[peer].pending.is_some()
    }

    /// Whether the wire out of `peer` has ended or swallows what is written.
    #[must_use]
    pub fn is_cut(&self, peer: usize) -> bool {
        let wire = &self.wires[self.seats[peer].wire_out];
        wire.severed || wire.end.is_some()
    }

    /// Whether the machine has let its transport go.
    #[must_use]
    pub fn is_dropped(&self, peer: usize) -> bool {
        self.seats[peer].dropped
    }

    /// Whether nothing will ever happen by itself any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let waiting = |seat: &Seat| seat.reads && seat.peer.machine.has_event();
        let timers = |seat: &Seat| seat.peer.machine.poll_timeout().is_some();
        let arrivals = |wire: &Wire| !wire.reader_gone && wire.next_arrival().is_some();
        self.work.is_empty()
            && !self.is_dialling()
            && !self.wires.iter().any(arrivals)
            && !self.seats.iter().any(|seat| waiting(seat) || timers(seat))
    }

    /// Keeps a copy of each transmit of `peer` for [`take_tapped`](Self::take_tapped).
    pub fn tap(&mut self, peer: usize) {
        self.seats[peer].tap = Some(Vec::new());
    }

    /// What `peer` has written since the last time.
    pub fn take_tapped(&mut self, peer: usize) -> Vec<Bytes> {
        self.seats[peer]
            .tap
            .as_mut()
            .map(core::mem::take)
            .unwrap_or_default()
    }
}
