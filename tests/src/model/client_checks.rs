//! What holds of a client that comes back, besides what becomes of its events.

use std::time::Duration;

use sente_core::state::{ClientInput, ClientPhase, next_client};
use sente_core::{Attempt, ClientEvent, ClientState, ConnectFailure, Connection, Instant, State};

use super::checks::breach;
use super::client::{CLIENT, ClientRun, Fate};
use super::run::Checked;
use crate::world::{Check, Command, Reconnects};

/// In a minute a client makes so many attempts in a row at most. After the eighth each waits for
/// up to 30 s: that the 22 that follow all came within a minute has a chance of 2^22 / 22!.
const ATTEMPTS_A_MINUTE: usize = 30;

/// What the application knows of the client's life.
#[derive(Debug)]
pub(super) struct Reconnecting {
    reconnects: Reconnects,
    state: ClientState,
    link: Option<Attempt>,
    /// An attempt failed for good: nothing else comes before it is closed.
    is_final: bool,
    opened: bool,
    /// When a series of attempts began anew: it was asked for, or a link had been stable.
    fresh: Vec<Instant>,
    /// Failures in a row of which no stable link made an end.
    checked: usize,
}

impl Reconnecting {
    pub(super) fn new(reconnects: Reconnects) -> Self {
        Self {
            reconnects,
            state: ClientState::Idle,
            link: None,
            is_final: false,
            opened: false,
            fresh: Vec::new(),
            checked: 0,
        }
    }

    /// The attempt of the link whose events are told.
    pub(super) const fn link(&self) -> Option<Attempt> {
        self.link
    }

    pub(super) fn asked(&mut self, command: &Command, now: Instant) {
        if matches!(command, Command::Connect | Command::Reconnect) {
            self.fresh.push(now);
        }
    }

    /// Something was kept for the next link.
    pub(super) fn may_keep(&self, state: &ClientState) -> Checked {
        let phase = state.phase();
        let returns = !matches!(phase, ClientPhase::Closed | ClientPhase::Idle);
        if self.reconnects.keeps > 0 && returns {
            return Ok(());
        }
        breach(Check::EveryEventHasOneFate, format!("kept while {phase:?}"))
    }

    /// Something was refused as not open.
    pub(super) fn may_refuse(&self, state: &ClientState) -> Checked {
        let phase = state.phase();
        let tries = matches!(phase, ClientPhase::Connecting | ClientPhase::Waiting);
        if self.reconnects.keeps > 0 && tries {
            return breach(
                Check::EveryEventHasOneFate,
                format!("refused while {phase:?}"),
            );
        }
        Ok(())
    }

    pub(super) fn told(&mut self, event: &ClientEvent) -> Checked {
        let was_final = core::mem::take(&mut self.is_final);
        match event {
            ClientEvent::StateChanged(change) => {
                let (old, new) = (change.old.phase(), change.new.phase());
                let mut inputs = ClientInput::ALL.into_iter();
                let leads = inputs.any(|input| next_client(old, input) == Some(new));
                if change.old != self.state || !leads || (was_final && new != ClientPhase::Closed) {
                    let detail = format!("{change:?} from {:?}", self.state);
                    return breach(Check::ClientsFollowTheTable, detail);
                }
                self.state = change.new.clone();
                if let ClientState::Handshaking { attempt } = change.new {
                    // From here on something may be heard: on a byte stream a peer may speak
                    // before the handshake that the hello asked for.
                    if self.link.replace(attempt).is_some() {
                        return breach(Check::OldAttemptsAreSilent, "two links at a time");
                    }
                }
                if let ClientState::Open { since, .. } = change.new {
                    // Once it is stable, failures count anew from its end.
                    self.fresh.push(since + Duration::from_secs(5));
                }
            }
            ClientEvent::Opened(_) | ClientEvent::Reopened(_) => {
                let again = matches!(event, ClientEvent::Reopened(_));
                if core::mem::replace(&mut self.opened, true) != again || self.link.is_none() {
                    return breach(Check::ClientsFollowTheTable, format!("{event:?}"));
                }
            }
            ClientEvent::Closed(_) => self.link = None,
            ClientEvent::ConnectFailed { failure, .. } => {
                self.is_final = matches!(failure, ConnectFailure::Final(_));
            }
            ClientEvent::GaveUp { attempts } => {
                let limit = self.reconnects.attempts;
                if limit == 0 || *attempts < limit {
                    let detail = format!("gave up after {attempts} of {limit}");
                    return breach(Check::ClientsFollowTheTable, detail);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl ClientRun {
    pub(super) fn check_all(&mut self) -> Checked {
        let now = self.world.now();
        let Some(client) = self.world.client(CLIENT) else {
            return Ok(());
        };
        // The link before may drain while the next attempt is wanted already.
        let drains = |link: &Connection| link.state() == State::Draining;
        let linked = matches!(
            client.state().phase(),
            ClientPhase::Open | ClientPhase::Draining
        ) || client.connection().is_some_and(drains);
        if !linked && client.pending_calls() > 0 {
            let detail = format!(
                "{} calls while {:?}",
                client.pending_calls(),
                client.state()
            );
            return breach(Check::SettlesOnce, detail);
        }
        let late = self.calls().values().find(|call| call.deadline <= now);
        if self.world.reads(CLIENT)
            && let Some(late) = late
        {
            return breach(
                Check::SettlesOnce,
                format!("{late:?} is overdue at {now:?}"),
            );
        }
        self.check_attempts()
    }

    fn check_attempts(&mut self) -> Checked {
        let attempts = self.world.attempts(CLIENT);
        for end in self.life.checked..attempts.len() {
            let last = attempts[end];
            let minute = |at: &&Instant| **at + Duration::from_secs(60) > last && **at <= last;
            let made = attempts[..=end].iter().filter(minute).count();
            let fresh = self.life.fresh.iter().filter(minute).count();
            if made > ATTEMPTS_A_MINUTE * (1 + fresh) {
                let detail = format!("{made} attempts in a minute, {fresh} of them asked for");
                return breach(Check::NoHotLoop, detail);
            }
        }
        self.life.checked = attempts.len();
        Ok(())
    }

    /// After the end: everybody knows, and what is not known of went down with a link.
    pub(super) fn check_over(&self) -> Checked {
        let state = self.state();
        if !matches!(state.phase(), ClientPhase::Closed | ClientPhase::Idle)
            || state != self.life.state
        {
            let detail = format!("{state:?}, told {:?}", self.life.state);
            return breach(Check::ClientsFollowTheTable, detail);
        }
        if self.life.link.is_some() || !self.calls().is_empty() || self.flushes() > 0 {
            let detail = format!(
                "link {:?}, {} calls, {} flushes are never told",
                self.life.link,
                self.calls().len(),
                self.flushes()
            );
            return breach(Check::ClosedIsLast, detail);
        }
        let open = self
            .sent
            .values()
            .filter(|fate| **fate == Fate::Open)
            .count();
        if open > 0 && self.world.len() == 1 {
            let detail = format!("{open} events were never on a link and are nowhere");
            return breach(Check::EveryEventHasOneFate, detail);
        }
        if !self.world.is_quiet() {
            return breach(Check::QuietWorldsStop, "something moves after the end");
        }
        Ok(())
    }
}
