//! How much happened in runs.

use sente_core::{CallError, ConnectionEvent};

/// What happened in runs: a model that hardly does anything finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Connections that closed, both sides counted.
    pub closed: u64,
    /// Events and calls that arrived.
    pub arrived: u64,
    /// Events and calls that came back undelivered.
    pub came_back: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were answered with a failure.
    pub failed: u64,
    /// Calls that timed out.
    pub timed_out: u64,
    /// Calls that were cancelled.
    pub cancelled: u64,
    /// Calls that were closed.
    pub cut_off: u64,
    /// Flushes that were written.
    pub flushed: u64,
    /// Events that were dropped as their policy says.
    pub dropped: u64,
    /// Sends and calls that were refused as full.
    pub refused: u64,
    /// Sends and calls that came too early for the send rate.
    pub rate_limited: u64,
    /// Events that were kept until a link would open.
    pub kept: u64,
    /// Links of clients that opened after their first.
    pub reopened: u64,
    /// Attempts of clients that failed and might not the next time.
    pub connect_failures: u64,
    /// Reservations that were granted.
    pub granted: u64,
    /// Reservations that waited until their deadline, or in vain.
    pub in_vain: u64,
    /// Unread events and calls that were dropped for newer ones.
    pub shed: u64,
    /// How often something was seen to wait for a flush window.
    pub held: u64,
}

impl Tally {
    /// Adds another's numbers.
    pub fn add(&mut self, other: &Self) {
        self.closed += other.closed;
        self.arrived += other.arrived;
        self.came_back += other.came_back;
        self.answered += other.answered;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
        self.cut_off += other.cut_off;
        self.flushed += other.flushed;
        self.dropped += other.dropped;
        self.refused += other.refused;
        self.rate_limited += other.rate_limited;
        self.kept += other.kept;
        self.reopened += other.reopened;
        self.connect_failures += other.connect_failures;
        self.granted += other.granted;
        self.in_vain += other.in_vain;
        self.shed += other.shed;
        self.held += other.held;
    }

    pub(super) fn count(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Closed(_) => self.closed += 1,
            ConnectionEvent::Dropped(dropped) => self.dropped += dropped.count,
            ConnectionEvent::Flushed(_) => self.flushed += 1,
            ConnectionEvent::Granted(_) => self.granted += 1,
            ConnectionEvent::ReservationExpired(_) | ConnectionEvent::ReservationFailed(_) => {
                self.in_vain += 1;
            }
            ConnectionEvent::Shed { count, .. } => self.shed += count,
            ConnectionEvent::Message(_) => self.arrived += 1,
            ConnectionEvent::Settled { result, .. } => match result {
                Ok(_) => self.answered += 1,
                Err(CallError::Peer) => self.failed += 1,
                Err(CallError::Timeout) => self.timed_out += 1,
                Err(CallError::Cancelled) => self.cancelled += 1,
                Err(_) => self.cut_off += 1,
            },
            ConnectionEvent::Undelivered(events) => self.came_back += events.len() as u64,
            _ => {}
        }
    }
}
