//! A module of two events' worth: each side can ask what the other's clock says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sente_core::{
    CallError, CallId, ConnId, Event, EventId, EventIdError, Instant, Message, Module, Outbox,
    Payload, Peer, PeerChange, SendError,
};

/// Answers `[:clock/now]`, and asks it of every peer each so often.
#[derive(Debug)]
pub(crate) struct Clock {
    question: EventId,
    /// `None` for a side that only answers.
    every: Option<Duration>,
    peers: BTreeMap<ConnId, Asked>,
    due: BTreeSet<(Instant, ConnId)>,
    told: VecDeque<ClockEvent>,
}

/// What a clock tells its application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockEvent {
    /// A peer's clock was read.
    Read {
        peer: ConnId,
        /// How far its clock is ahead of ours, in nanoseconds; negative if it is behind. Off by
        /// half of the round trip at most.
        ahead: i64,
        /// How long the question and the answer took together.
        round_trip: Duration,
    },
    /// A peer was asked, and gave no time.
    Failed { peer: ConnId, error: CallError },
    /// A peer's dialect has no way to answer; it is not asked again.
    CannotAnswer { peer: ConnId },
}

/// The question to one peer.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// Not asked; the next question goes out then.
    Next(Instant),
    /// Asked, by this call, at this time.
    Waits(CallId, Instant),
}

impl Clock {
    /// A clock that answers and, where `every` says how often, asks.
    pub(crate) fn new(every: Option<Duration>) -> Result<Self, EventIdError> {
        Ok(Self {
            question: EventId::new("clock/now")?,
            every,
            peers: BTreeMap::new(),
            due: BTreeSet::new(),
            told: VecDeque::new(),
        })
    }

    fn ask(&mut self, now: Instant, every: Duration, peer: ConnId, out: &mut dyn Outbox) {
        // An answer that takes longer than the time between two questions is of no use.
        match out.call(peer, Event::bare(self.question.clone()), every) {
            Ok(call) => {
                self.peers.insert(peer, Asked::Waits(call, now));
            }
            Err(SendError::CallsUnsupported(_)) => {
                self.peers.remove(&peer);
                self.told.push_back(ClockEvent::CannotAnswer { peer });
            }
            // A full queue, say: the next time it may have room.
            Err(_) => self.ask_at(now + every, peer),
        }
    }

    fn ask_at(&mut self, at: Instant, peer: ConnId) {
        self.peers.insert(peer, Asked::Next(at));
        self.due.insert((at, peer));
    }
}

impl Module for Clock {
    type Event = ClockEvent;

    fn namespace(&self) -> &str {
        self.question.namespace()
    }

    fn handle_message(
        &mut self,
        now: Instant,
        from: &Peer,
        message: Message,
        out: &mut dyn Outbox,
    ) {
        let Some(token) = message.reply else {
            // Nobody waits for the time.
            return;
        };
        let result = if message.event.id == self.question {
            let nanos = sente_core::edn::Value::from(now.as_nanos());
            out.reply(from.connection, token, Payload::from(nanos))
        } else {
            out.reply_error(from.connection, token)
        };
        // It fails only where the caller is gone.
        drop(result);
    }

    fn handle_peer(&mut self, now: Instant, peer: &Peer, change: PeerChange, out: &mut dyn Outbox) {
        match change {
            PeerChange::Opened | PeerChange::Reopened => {
                if let Some(every) = self.every {
                    self.ask(now, every, peer.connection, out);
                }
            }
            _ => {
                if let Some(Asked::Next(at)) = self.peers.remove(&peer.connection) {
                    self.due.remove(&(at, peer.connection));
                }
            }
        }
    }

    fn handle_settled(
        &mut self,
        now: Instant,
        peer: &Peer,
        call: CallId,
        result: &Result<Payload, CallError>,
        _: &mut dyn Outbox,
    ) -> bool {
        let peer = peer.connection;
        let asked = match self.peers.get(&peer) {
            Some(Asked::Waits(waits, asked)) if *waits == call => *asked,
            _ => return false,
        };
        let theirs = result.as_ref().map_err(|error| *error).and_then(|payload| {
            let value = payload.to_value().map_err(|_| CallError::Peer)?;
            value.as_i64().ok_or(CallError::Peer)
        });
        self.told.push_back(match theirs {
            Ok(theirs) => {
                let round_trip = now - asked;
                // They answered somewhere in between: the middle is the best guess.
                let then = asked + round_trip / 2;
                let ours = i64::try_from(then.as_nanos()).unwrap_or(i64::MAX);
                ClockEvent::Read {
                    peer,
                    ahead: theirs.saturating_sub(ours),
                    round_trip,
                }
            }
            Err(error) => ClockEvent::Failed { peer, error },
        });
        if let Some(every) = self.every {
            // From the answer on, so that questions never pile up.
            self.ask_at(now + every, peer);
        }
        true
    }

    fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox) {
        let Some(every) = self.every else {
            return;
        };
        while let Some((at, peer)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            self.ask(now, every, peer, out);
        }
    }

    fn poll_event(&mut self) -> Option<ClockEvent> {
        self.told.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}
