//! Which of several endpoints an attempt goes to.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::{Client, ClientEvent, Instant};

/// The endpoints of a client, those to be preferred first. See
/// [`ClientConfigBuilder::endpoints`](super::ClientConfigBuilder::endpoints).
///
/// # Which one is next
///
/// An attempt is in vain if it has no handshake, or if its link is lost before it has been open for
/// [`Backoff::stable_for`](super::Backoff). The rest follows from that alone, so that the same
/// failures always lead the same way:
///
/// - The first attempt, also the first after the client was closed, goes to the first endpoint.
/// - After [`attempts`](Self::attempts) in vain in a row the next endpoint in the list has its turn,
///   at once.
/// - When every endpoint has had its turn, the round is over and the next begins, with the first.
///   The wait between rounds is that of the [`Backoff`](super::Backoff) after as many failures as
///   there were rounds; between attempts in a row at one endpoint, after as many as these.
/// - A stable link that is lost is tried for again at its own endpoint, which so begins a round; then
///   come the others, the first of the list first.
/// - An endpoint that fails for good ([`ConnectFailure::Final`](super::ConnectFailure)) has no
///   further turn until the application asks to connect after the client closed. When none is left,
///   the client closes.
/// - `Backoff::max_attempts` is for each endpoint: as many times the number of endpoints are made in
///   all.
///
/// A client does not leave a link that stands for an endpoint it prefers by itself: it cannot know
/// that it would get through. A driver that has found out says so with
/// [`Client::move_to_endpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoints {
    /// What they are called in what is told of them.
    pub names: Vec<String>,
    /// How many attempts in a row are made at one. Default 1.
    pub attempts: NonZeroU32,
}

impl Endpoints {
    /// Endpoints of these names.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            attempts: NonZeroU32::MIN,
        }
    }
}

/// How an endpoint has fared so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// What it is called; empty where the client has one only and no name for it.
    pub name: String,
    /// Attempts given out to the driver.
    pub attempts: u64,
    /// Links that opened.
    pub opened: u64,
    /// How many attempts there were in vain since a link was stable.
    pub failures: u32,
    /// Why its last attempt failed, or its last link ended, if it was not this side that ended it.
    pub last_failure: Option<String>,
    /// Whether it failed for good: it has no further turn.
    pub is_given_up: bool,
}

/// That another endpoint has its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointChange {
    /// The one that was left, counted from 0.
    pub old: usize,
    /// The one whose turn it is.
    pub new: usize,
    /// What the one that was left is called.
    pub old_name: String,
    /// What the new one is called.
    pub new_name: String,
    /// Why it was left: what failed there last. `None` where nothing did: the new one is preferred,
    /// or the application asked to connect anew.
    pub reason: Option<String>,
}

/// What comes after an attempt in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Another attempt at once.
    AtOnce,
    /// Another after the wait that follows so many failures.
    After(u32),
    /// No endpoint is left.
    Over,
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    all: Vec<EndpointStatus>,
    each: NonZeroU32,
    current: usize,
    /// Attempts in vain in a row at the current one.
    in_vain: u32,
    /// Who comes after the current one in this round.
    left: VecDeque<usize>,
    /// Rounds in vain in a row.
    rounds: u32,
}

impl Turns {
    pub(super) fn new(endpoints: &Endpoints) -> Self {
        let named = |name: &String| EndpointStatus {
            name: name.clone(),
            ..EndpointStatus::default()
        };
        let mut all: Vec<EndpointStatus> = endpoints.names.iter().map(named).collect();
        if all.is_empty() {
            all.push(EndpointStatus::default());
        }
        let mut turns = Self {
            all,
            each: endpoints.attempts,
            current: 0,
            in_vain: 0,
            left: VecDeque::new(),
            rounds: 0,
        };
        turns.begin_round_at(0);
        turns
    }

    pub(super) const fn current(&self) -> usize {
        self.current
    }

    pub(super) fn all(&self) -> &[EndpointStatus] {
        &self.all
    }

    /// How many attempts a limit of so many for each allows.
    pub(super) fn allowed(&self, for_each: NonZeroU32) -> u32 {
        let count = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        for_each.get().saturating_mul(count)
    }

    /// The application asks for a link anew.
    pub(super) fn reset(&mut self) {
        for endpoint in &mut self.all {
            endpoint.is_given_up = false;
            endpoint.failures = 0;
        }
        self.rounds = 0;
        self.begin_round_at(0);
    }

    pub(super) fn dialled(&mut self) {
        self.update(|endpoint| endpoint.attempts = endpoint.attempts.saturating_add(1));
    }

    pub(super) fn opened(&mut self) {
        self.update(|endpoint| endpoint.opened = endpoint.opened.saturating_add(1));
    }

    /// Notes why the last attempt or link at the current endpoint was the last.
    pub(super) fn note(&mut self, reason: String) {
        self.update(|endpoint| endpoint.last_failure = Some(reason));
    }

    /// The current endpoint has failed for good.
    pub(super) fn give_up(&mut self) {
        self.update(|endpoint| endpoint.is_given_up = true);
    }

    /// A stable link is lost, or left.
    pub(super) fn was_stable(&mut self) {
        self.update(|endpoint| endpoint.failures = 0);
        self.rounds = 0;
        self.begin_round_at(self.current);
    }

    /// Says who comes after a link was lost. Nothing counts against a stable one.
    pub(super) fn after_loss(&mut self, was_stable: bool, failures: u32) -> Turn {
        if was_stable {
            return Turn::After(failures);
        }
        self.after_failure(failures)
    }

    /// Says who comes after an attempt in vain. `failures` in a row, whatever the endpoint.
    pub(super) fn after_failure(&mut self, failures: u32) -> Turn {
        self.update(|endpoint| endpoint.failures = endpoint.failures.saturating_add(1));
        let is_given_up = self.all.get(self.current).is_none_or(|at| at.is_given_up);
        self.in_vain = self.in_vain.saturating_add(1);
        if !is_given_up && self.in_vain < self.each.get() {
            return Turn::After(self.in_vain);
        }
        self.in_vain = 0;
        if let Some(next) = self.next_left() {
            self.current = next;
            return Turn::AtOnce;
        }
        self.rounds = self.rounds.saturating_add(1);
        self.left = (0..self.all.len()).collect();
        let Some(first) = self.next_left() else {
            return Turn::Over;
        };
        self.current = first;
        // With one endpoint a round is an attempt, and has been counted as such for longer.
        Turn::After(if self.all.len() == 1 {
            failures
        } else {
            self.rounds
        })
    }

    /// Goes to this one, which gets through. Whether there is one.
    pub(super) fn go_to(&mut self, endpoint: usize) -> bool {
        let is_there = endpoint < self.all.len();
        if is_there {
            self.rounds = 0;
            self.begin_round_at(endpoint);
        }
        is_there
    }

    /// Nobody is next after all.
    pub(super) const fn stay_at(&mut self, endpoint: usize) {
        self.current = endpoint;
    }

    /// What failed at each of them, for who wants to know why there is no link.
    pub(super) fn failures(&self) -> Option<String> {
        if self.all.len() == 1 {
            return None;
        }
        let mut text = String::new();
        for endpoint in &self.all {
            let Some(reason) = &endpoint.last_failure else {
                continue;
            };
            if !text.is_empty() {
                text.push_str("; ");
            }
            if !reason.starts_with(&*endpoint.name) {
                text.push_str(&endpoint.name);
                text.push_str(": ");
            }
            text.push_str(reason);
        }
        (!text.is_empty()).then_some(text)
    }

    fn begin_round_at(&mut self, endpoint: usize) {
        self.current = endpoint;
        self.in_vain = 0;
        self.left = (0..self.all.len()).filter(|at| *at != endpoint).collect();
    }

    fn next_left(&mut self) -> Option<usize> {
        loop {
            let next = self.left.pop_front()?;
            if self.all.get(next).is_some_and(|at| !at.is_given_up) {
                return Some(next);
            }
        }
    }

    fn update(&mut self, change: impl FnOnce(&mut EndpointStatus)) {
        if let Some(endpoint) = self.all.get_mut(self.current) {
            change(endpoint);
        }
    }
}

impl Client {
    /// The endpoint of the present attempt or link, or of the next, counted from 0.
    #[must_use]
    pub const fn endpoint(&self) -> usize {
        self.turns.current()
    }

    /// How each endpoint has fared; one where none were configured.
    #[must_use]
    pub fn endpoints(&self) -> &[EndpointStatus] {
        self.turns.all()
    }

    /// Leaves the open link for the endpoint of this number, to which the driver has found a way:
    /// the link is drained, until `deadline` at most, and the next attempt goes to that endpoint,
    /// also where it is the same. For a moment in which nothing is queued and no call is pending: what
    /// is still queued is written, but new events and calls are refused until the next link opens,
    /// or kept as [`OnOffline`](super::OnOffline) says.
    ///
    /// `false` if there is no such endpoint, or no open link: then nothing happens.
    pub fn move_to_endpoint(&mut self, now: Instant, endpoint: usize, deadline: Instant) -> bool {
        let old = self.endpoint();
        if !self.state.is_open() || endpoint >= self.turns.all().len() {
            return false;
        }
        self.drain(now, deadline);
        self.connect(now);
        self.turns.go_to(endpoint);
        self.tell_endpoint(old, None);
        true
    }

    /// Tells that another endpoint has its turn, if that is so.
    pub(super) fn tell_endpoint(&mut self, old: usize, reason: Option<String>) {
        let new = self.endpoint();
        if new == old {
            return;
        }
        let name = |at: usize| self.endpoints().get(at).map(|at| at.name.clone());
        let change = EndpointChange {
            old,
            new,
            old_name: name(old).unwrap_or_default(),
            new_name: name(new).unwrap_or_default(),
            reason,
        };
        self.stats.endpoint_changes = self.stats.endpoint_changes.saturating_add(1);
        self.log
            .push(ClientEvent::EndpointChanged(alloc::boxed::Box::new(change)));
    }
}
