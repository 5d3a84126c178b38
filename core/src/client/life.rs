//! How a client gets from one state to the next: links that open and end, attempts that fail.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::time::Duration;

use rand_chacha::rand_core::Rng;

use super::endpoints::Turn;
use super::{
    Attempt, Carried, Client, ClientEvent, ClientInput, ClientPhase, ClientState, CloseReason,
    ConnectionEvent, Input, Instant, State, StateChange,
};
use crate::state::next_client;

/// A link and the attempt it came of.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) attempt: Attempt,
    pub(super) connection: Carried,
    /// When the handshake came.
    pub(super) opened_at: Option<Instant>,
    /// Whether a link was open before this one opened.
    pub(super) reopened: bool,
    pub(super) leaving: Leaving,
    /// Whether the attempt that comes after it is wanted already.
    pub(super) followed: bool,
    /// Why it ended, once that is on its way to the application.
    pub(super) ended: Option<CloseReason>,
    /// Whether its end has been taken note of: it has nothing more to tell, perhaps to write.
    pub(super) over: bool,
}

/// Why this side ends a link, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// This side does not end it.
    No,
    /// The peer has ended its side of a byte stream.
    PeerFinished,
    /// The application disconnects, drains, or wants a fresh link.
    Requested,
}

impl Client {
    /// Takes the step that `input` means, if it means one now. Whether it did.
    pub(super) fn step(&mut self, input: ClientInput) -> bool {
        let Some(phase) = next_client(self.state.phase(), input) else {
            return false;
        };
        let new = match phase {
            ClientPhase::Idle => ClientState::Idle,
            ClientPhase::Connecting => {
                self.attempt = self.attempt.next();
                self.number = self.number.saturating_add(1);
                self.dial_due = true;
                ClientState::Connecting {
                    attempt: self.attempt,
                    number: self.number,
                }
            }
            ClientPhase::Handshaking => ClientState::Handshaking {
                attempt: self.attempt,
            },
            ClientPhase::Open => ClientState::Open {
                attempt: self.attempt,
                since: self.now,
            },
            ClientPhase::Draining => ClientState::Draining {
                attempt: self.attempt,
            },
            ClientPhase::Waiting => ClientState::Waiting {
                until: self.retry_at,
                failures: self.failures,
            },
            ClientPhase::Closed => {
                let reason = self.last_end.clone().unwrap_or(CloseReason::Requested);
                ClientState::Closed(reason)
            }
        };
        if phase != ClientPhase::Connecting {
            self.dial_due = false;
        }
        if new != self.state {
            let old = core::mem::replace(&mut self.state, new.clone());
            self.log
                .push(ClientEvent::StateChanged(Box::new(StateChange {
                    old,
                    new,
                    reason: self.last_end.clone(),
                })));
        }
        if phase == ClientPhase::Closed && !self.offline.is_empty() {
            let events = self.offline.take_all();
            self.offline.refused = false;
            self.log
                .push(ClientEvent::Link(ConnectionEvent::Undelivered(events)));
        }
        true
    }

    /// Draws the conclusions of whatever just happened.
    pub(super) fn settle(&mut self) {
        self.observe();
        if let ClientState::Waiting { until, .. } = self.state
            && until <= self.now
        {
            self.step(ClientInput::Due);
        }
        let finished = self
            .link
            .as_ref()
            .is_some_and(|link| link.over && link.connection.is_finished());
        let overdue = self.dial_due && self.goodbye_deadline.is_some_and(|at| at <= self.now);
        if finished || overdue {
            self.drop_link();
        }
        self.forward_offline();
    }

    /// An attempt failed, or a link was lost, for the reason in `last_end`: waits for the next
    /// attempt, or closes.
    pub(super) fn retry(&mut self, old: usize, turn: Turn) {
        self.failures = self.failures.saturating_add(1);
        let backoff = &self.config.backoff;
        let exhausted = backoff
            .max_attempts
            .is_some_and(|max| self.number >= self.turns.allowed(max));
        if self.auto_reconnect && !exhausted && turn != Turn::Over {
            let random = self.rng.next_u64();
            let delay = match (turn, &self.custom_delay) {
                (Turn::After(failures), Some(custom)) => (custom.0)(failures, random),
                (Turn::After(failures), None) => backoff.delay(failures, random),
                (Turn::AtOnce | Turn::Over, _) => Duration::ZERO,
            };
            self.retry_at = self.now + delay;
            let left = self.turns.all().get(old);
            let reason = left.and_then(|left| left.last_failure.clone());
            self.tell_endpoint(old, reason);
            self.step(ClientInput::Lost);
            return;
        }
        self.turns.stay_at(old);
        if self.auto_reconnect && turn != Turn::Over {
            let attempts = self.number;
            self.log.push(ClientEvent::GaveUp { attempts });
        }
        if let Some(reasons) = self.turns.failures()
            && matches!(self.last_end, Some(CloseReason::ConnectFailed(_)))
        {
            self.last_end = Some(CloseReason::ConnectFailed(reasons));
        }
        self.step(ClientInput::Over);
    }

    /// Tells the application of an event of a link.
    pub(super) fn tell(&mut self, link: &mut Link, event: ConnectionEvent) {
        let event = match event {
            ConnectionEvent::Opened(opened) if !opened.first => ClientEvent::Handshake(opened),
            ConnectionEvent::Opened(opened) => {
                if link.opened_at.is_none() {
                    self.open(link);
                }
                if link.reopened {
                    ClientEvent::Reopened(opened)
                } else {
                    ClientEvent::Opened(opened)
                }
            }
            ConnectionEvent::Closed(reason) => {
                let reason = match (reason, link.leaving) {
                    (CloseReason::Requested, Leaving::PeerFinished) => CloseReason::Eof,
                    (reason, _) => reason,
                };
                link.ended = Some(reason.clone());
                ClientEvent::Closed(reason)
            }
            ConnectionEvent::Undelivered(events) if self.keeps_undelivered(link) => {
                let rest = self.keep_again(events);
                if rest.is_empty() {
                    return;
                }
                ClientEvent::Link(ConnectionEvent::Undelivered(rest))
            }
            other => ClientEvent::Link(other),
        };
        self.log.push(event);
    }

    /// Whether what `link` had queued is for the link after it.
    fn keeps_undelivered(&self, link: &Link) -> bool {
        // Over Ajax the events of a post under way are among the undelivered, and may have arrived.
        self.config.keep_undelivered
            && self.auto_reconnect
            && (link.followed || link.leaving != Leaving::Requested)
            && matches!(link.connection, Carried::Bytes(_))
    }

    /// The first handshake of a link came.
    fn open(&mut self, link: &mut Link) {
        link.opened_at = Some(self.now);
        link.reopened = self.stats.opened > 0;
        self.stats.opened = self.stats.opened.saturating_add(1);
        self.turns.opened();
        if link.reopened {
            self.stats.reconnects = self.stats.reconnects.saturating_add(1);
        }
        self.step(ClientInput::Opened);
    }

    /// Looks what has become of the link.
    fn observe(&mut self) {
        let Some(mut link) = self.link.take_if(|link| !link.over) else {
            return;
        };
        if link.connection.state() == State::Open && link.opened_at.is_none() {
            self.open(&mut link);
        }
        if link.connection.state() == State::Open
            && link.leaving == Leaving::No
            && link.connection.peer_has_finished()
        {
            link.leaving = Leaving::PeerFinished;
            let deadline = self.now + self.config.goodbye_timeout;
            link.connection.drain(self.now, deadline);
            self.step(ClientInput::PeerFinished);
        }
        if link.followed && link.connection.state() == State::Closing {
            // It may have drained until now, for as long as the application said.
            let until = self.now + self.config.goodbye_timeout;
            self.goodbye_deadline.get_or_insert(until);
        }
        if link.connection.state() == State::Closed {
            self.end(&mut link);
        }
        self.link = Some(link);
    }

    /// The link has ended: the application is told in its turn, and what follows begins.
    fn end(&mut self, link: &mut Link) {
        link.over = true;
        self.offline.retry_at = None;
        while let Some(event) = link.connection.poll_event() {
            self.tell(link, event);
        }
        let reason = link.ended.clone().unwrap_or_else(|| {
            self.log.push(ClientEvent::Closed(CloseReason::Requested));
            CloseReason::Requested
        });
        // Where the next attempt is wanted already, it has its number.
        let stable = !link.followed && self.forgive(link.opened_at);
        if link.leaving != Leaving::Requested {
            self.turns.note(reason.to_string());
        }
        self.last_end = Some(reason);
        let until = self.now + self.config.goodbye_timeout;
        self.goodbye_deadline.get_or_insert(until);
        match link.leaving {
            _ if link.followed => {}
            Leaving::Requested => {
                self.step(ClientInput::Over);
            }
            Leaving::No | Leaving::PeerFinished => {
                let old = self.endpoint();
                let failures = self.failures.saturating_add(1);
                let turn = self.turns.after_loss(stable, failures);
                self.retry(old, turn);
            }
        }
    }

    /// Forgets the failures before a link that has been open, since `opened_at`, for long enough.
    /// Whether that is so.
    pub(super) fn forgive(&mut self, opened_at: Option<Instant>) -> bool {
        let stable_for = self.config.backoff.stable_for;
        let stable = opened_at.is_some_and(|since| since + stable_for <= self.now);
        if stable {
            self.failures = 0;
            self.number = 0;
            self.turns.was_stable();
        }
        stable
    }

    /// Lets the transport of the link go, whatever it had still to say.
    fn drop_link(&mut self) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        if !link.over {
            let reason = String::from("left for a fresh link");
            link.connection
                .handle_input(self.now, Input::Failed(reason));
            self.end(&mut link);
        }
        self.retire(&link);
    }

    /// Keeps of a link what outlives it.
    fn retire(&mut self, link: &Link) {
        self.legacy = link.connection.legacy();
        self.stats.links = self.stats.links.plus(link.connection.stats());
        self.goodbye_deadline = None;
    }
}
