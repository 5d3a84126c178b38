//! How a connection ends: at once, in order, or for a reason of the peer's, and what everybody who
//! waits is told.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::queue::{Hold, Priority};
use crate::record::Entry;

use super::{
    CallError, Calls, CloseReason, Connection, ConnectionEvent, Instant, LinkInput, Outgoing,
    PackedEvent, State,
};

/// What becomes of what arrives and finds no room in the receive queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It waits until the application has made room.
    Waits,
    /// The end does not wait for that any more: it will be dropped, and what follows with it.
    MayDrop,
    /// That has happened.
    Dropped,
}

impl Connection {
    /// Ends the connection now: events that are queued come back as `Undelivered`, pending calls
    /// settle, whether they have left or not.
    /// A WebSocket says goodbye with code 1000 and waits for the answer, at most for the close
    /// timeout; `Closed` follows then. What the peer says until then is told as far as the receive
    /// queue has room for it, and is dropped from the first event on that finds none: nobody has to
    /// take events for the connection to end.
    pub fn close(&mut self, now: Instant) {
        self.close_with(now, 1000, "");
    }

    /// The same with a WebSocket close code and reason. Other carriers have no place for them.
    pub fn close_with(&mut self, now: Instant, code: u16, reason: &str) {
        self.note(now, || Entry::Close(code, reason.into()));
        self.tick(now);
        self.close_now(code, reason);
    }

    pub(super) fn close_now(&mut self, code: u16, reason: &str) {
        if self.framer.websocket().is_none() {
            self.finish(CloseReason::Requested);
        } else {
            self.say_goodbye(self.now, code, reason);
            self.end_waiting();
            self.process();
        }
    }

    /// The peer had its time to answer our goodbye.
    pub(super) fn closing_timed_out(&mut self) {
        if self.state == State::Closing {
            // Nothing more is read, so the end need not wait for a share of the budget.
            self.recv.set_allowance(usize::MAX, &self.config.limits);
            self.end_waiting();
        }
    }

    /// The end waits no longer for room in the receive queue.
    pub(super) fn end_waiting(&mut self) {
        if self.state == State::Closing && self.unread == Unread::Waits {
            self.unread = Unread::MayDrop;
        }
    }

    /// Ends the connection in order: new events and calls are refused, what is queued is written,
    /// owed replies and pending calls are waited for, then the connection closes. A byte stream is
    /// half-closed and read to its end. At `deadline` it is cut.
    pub fn drain(&mut self, now: Instant, deadline: Instant) {
        self.note(now, || Entry::Drain(deadline));
        self.tick(now);
        if self.step(LinkInput::Drain) {
            self.drain_deadline = Some(deadline);
            self.held_until = None;
            self.fail_reservations();
            self.room_was_made();
            return;
        }
        match self.state {
            State::Draining => {
                self.drain_deadline = self.drain_deadline.map(|at| at.min(deadline));
            }
            State::Accepting | State::Handshaking => self.close_now(1000, ""),
            State::Open | State::Closing | State::Closed => {}
        }
    }

    /// Begins the closing handshake of a WebSocket, if that is possible now. Whether it was.
    pub(super) fn say_goodbye(&mut self, now: Instant, code: u16, reason: &str) -> bool {
        if !self.step(LinkInput::Goodbye) {
            return false;
        }
        if let Some(websocket) = self.framer.websocket() {
            websocket.close(now, code, reason);
        }
        self.handshake_deadline = None;
        self.drain_deadline = None;
        self.give_up_queue();
        true
    }

    /// Ends the connection for a reason of our own: a WebSocket still says goodbye.
    pub(super) fn abort(&mut self, reason: CloseReason) {
        if let Some(websocket) = self.framer.websocket() {
            websocket.close(self.now, 1000, "");
        }
        self.finish(reason);
    }

    /// Settles the calls and gives the queue back: nothing of it will happen any more.
    pub(super) fn give_up_queue(&mut self) {
        self.settle_as_closed();
        self.fail_reservations();
        self.held_until = None;
        self.take_ahead_back();
        self.scratch.settle();
        // What is not queued any more, but not written either, is with the driver.
        let taken_to = self.queue.oldest();
        let queued: Vec<_> = core::iter::from_fn(|| self.queue.pop_oldest_with_hold()).collect();
        let undelivered: Vec<PackedEvent> = queued
            .into_iter()
            .filter_map(|(item, hold, priority)| match item {
                Outgoing::Event {
                    packed,
                    callback: None,
                    sealed,
                    portable,
                } => Some(
                    self.given_back(PackedEvent {
                        bytes: packed,
                        format: self.config.format.clone(),
                        sealed,
                        portable,
                        traceparent: None,
                        queued_as: (hold != Hold::Keep || priority != Priority::Normal)
                            .then(|| Box::new((hold, priority))),
                    }),
                ),
                // A call has settled, and nobody waits for the reply.
                Outgoing::Event { .. } | Outgoing::Reply { .. } => None,
            })
            .collect();
        if !undelivered.is_empty() {
            self.push_event(ConnectionEvent::Undelivered(undelivered));
        }
        for (flush, mark) in self.flushes.take() {
            // What is with the driver may still go out; it is known by `handle_transmitted`.
            if self.transmitting && mark <= taken_to {
                self.flushes.make().push_back((flush, mark));
            } else {
                self.push_event(ConnectionEvent::FlushFailed(flush));
            }
        }
    }

    /// Settles the pending calls: no reply will come any more.
    pub(super) fn settle_as_closed(&mut self) {
        let pending = self.calls.there().map(Calls::drain);
        for call in pending.unwrap_or_default() {
            self.push_event(ConnectionEvent::Settled {
                call,
                result: Err(CallError::Closed),
            });
        }
    }

    /// Ends the flushes: what they wait for is never known to be written.
    pub(super) fn fail_flushes(&mut self) {
        for (flush, _) in self.flushes.take() {
            self.push_event(ConnectionEvent::FlushFailed(flush));
        }
    }

    /// The end. Everything that waits is told, `Closed` last.
    pub(super) fn finish(&mut self, reason: CloseReason) {
        if !self.step(LinkInput::End) {
            return;
        }
        self.handshake_deadline = None;
        self.drain_deadline = None;
        self.pings = false;
        self.control.clear();
        self.cut_deadline = Some(self.now + self.config.close_timeout);
        self.lingers = matches!(
            reason,
            CloseReason::LostFraming(_) | CloseReason::WebSocket(_)
        );
        self.report_suppressed();
        self.give_up_queue();
        self.fail_flushes();
        self.close_reason = Some(Box::new(reason.clone()));
        self.push_event(ConnectionEvent::Closed(reason));
    }
}
