//! What a driver does with a client: dial, carry bytes both ways, watch the clock.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use rand_chacha::rand_core::Rng;

use super::carried::Carried;
use super::event::{ClientEvent, Connect, ConnectFailure};
use super::life::{Leaving, Link};
use super::{
    Attempt, Client, ClientInput, ClientState, CloseReason, Connection, ConnectionEvent, Input,
    Instant,
};
use crate::connection::{ConnectionConfig, Transmit};
use crate::profile::Role;
use crate::record::LinkRecorders;
use crate::transmit::TransmitBuf;

/// How many ends of links and attempts may wait for the application until no further attempt is
/// given out: an application that does not look is not reconnected for ever, and what links leave
/// behind is bounded.
const MAX_UNREAD_ENDS: usize = 2;

impl Client {
    /// The wish for a transport, if there is one. Dial, in whatever way and time it takes, and
    /// answer with [`handle_connected`](Self::handle_connected) or
    /// [`handle_connect_failed`](Self::handle_connect_failed); give the dialling up once
    /// [`is_wanted`](Self::is_wanted) says no.
    ///
    /// It comes only when the transport before it is done with, so that a driver has one at a time,
    /// and not before the application has read of all but the last end of a link or attempt.
    pub fn poll_connect(&mut self) -> Option<Connect> {
        if !self.dial_due || self.link.is_some() || self.log.unread_ends() >= MAX_UNREAD_ENDS {
            return None;
        }
        self.dial_due = false;
        self.stats.attempts = self.stats.attempts.saturating_add(1);
        self.turns.dialled();
        Some(Connect {
            attempt: self.attempt,
            number: self.number,
            endpoint: self.endpoint(),
            client_id: self.client_id.clone(),
            reason: self.last_end.clone(),
        })
    }

    /// Says that the transport of `attempt` is open (a WebSocket: after its upgrade). `false` if
    /// nobody wants it any more: drop it.
    pub fn handle_connected(&mut self, now: Instant, attempt: Attempt) -> bool {
        let config = self.config.connection.clone();
        self.handle_connected_with(now, attempt, config)
    }

    /// The same for a transport that needs another configuration than that of
    /// [`ClientConfig`](super::ClientConfig), such as another dialect. A server's is no client's:
    /// the attempt fails for good then.
    pub fn handle_connected_with(
        &mut self,
        now: Instant,
        attempt: Attempt,
        config: Arc<ConnectionConfig>,
    ) -> bool {
        if config.role() != Role::Client {
            let failure = ConnectFailure::Final(String::from("a client needs links of its role"));
            self.handle_connect_failed(now, attempt, failure);
            return false;
        }
        self.tick(now);
        if !self.is_dialing(attempt) {
            self.count_stale();
            self.settle();
            return false;
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let recorder = self.recorders.as_mut().and_then(LinkRecorders::next);
        let connection = match recorder {
            Some(recorder) => Connection::recorded(config, seed, self.now, recorder),
            None => Connection::new(config, seed, self.now),
        };
        self.begin_link(attempt, Carried::Bytes(Box::new(connection)));
        true
    }

    pub(super) fn begin_link(&mut self, attempt: Attempt, mut connection: Carried) {
        connection.continue_from(self.legacy);
        self.link = Some(Link {
            attempt,
            connection,
            opened_at: None,
            reopened: false,
            leaving: Leaving::No,
            followed: false,
            ended: None,
            over: false,
        });
        self.step(ClientInput::Connected);
        self.settle();
    }

    /// Compresses what the WebSocket of `attempt` carries as its upgrade agreed. To be called right
    /// after [`handle_connected`](Self::handle_connected), if that was wanted.
    #[cfg(feature = "deflate")]
    pub fn set_deflate(&mut self, attempt: Attempt, agreed: crate::framing::websocket::Deflate) {
        if let Some(Carried::Bytes(connection)) = self.link_of(attempt) {
            connection.set_deflate(agreed);
        }
    }

    /// Says that `attempt` came to nothing.
    pub fn handle_connect_failed(
        &mut self,
        now: Instant,
        attempt: Attempt,
        failure: ConnectFailure,
    ) {
        self.tick(now);
        if !self.is_dialing(attempt) {
            self.count_stale();
            return self.settle();
        }
        self.stats.connect_failures = self.stats.connect_failures.saturating_add(1);
        let (text, last) = match &failure {
            ConnectFailure::Final(text) => (text, true),
            ConnectFailure::Retry(text) => (text, false),
        };
        self.turns.note(text.clone());
        self.last_end = Some(CloseReason::ConnectFailed(text.clone()));
        self.log.push(ClientEvent::ConnectFailed {
            attempt,
            number: self.number,
            failure,
        });
        if last {
            self.turns.give_up();
        }
        let old = self.endpoint();
        let turn = self.turns.after_failure(self.failures.saturating_add(1));
        self.retry(old, turn);
        self.settle();
    }

    /// Takes what the transport of `attempt` read, or how its reading side ended. That of an old
    /// attempt is dropped and counted.
    pub fn handle_input(&mut self, now: Instant, attempt: Attempt, input: Input<'_>) {
        self.tick(now);
        match self.link_of(attempt) {
            Some(connection) => connection.handle_input(now, input),
            None => {
                if let Input::Bytes(bytes) = input {
                    bytes.clear();
                }
                self.count_stale();
            }
        }
        self.settle();
    }

    /// Says that the last transmit of `attempt` has been handed to the operating system.
    pub fn handle_transmitted(&mut self, now: Instant, attempt: Attempt) {
        self.tick(now);
        match self.link_of(attempt) {
            Some(connection) => connection.handle_transmitted(now),
            None => self.count_stale(),
        }
        self.settle();
    }

    /// Limits what may wait for the application on the present link, as
    /// [`Connection::set_recv_allowance`]. It does not hold for the links after it.
    pub fn set_recv_allowance(&mut self, now: Instant, bytes: usize) {
        self.tick(now);
        if let Some(link) = self.link.as_mut().filter(|link| !link.over) {
            link.connection.set_recv_allowance(now, bytes);
        }
        self.settle();
    }

    /// Says what time it is. Calls before [`poll_timeout`](Self::poll_timeout) do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        if let Some(link) = &mut self.link {
            link.connection.handle_timeout(now);
        }
        self.settle();
    }

    /// Fills `out`, which must be empty, with what is to be written next to the transport of the
    /// present link, as [`Connection::poll_transmit`].
    pub fn poll_transmit(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        let transmit = self.link.as_mut()?.connection.poll_transmit(out);
        // Writing may have been the last thing to do.
        self.settle();
        transmit
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let goodbye = self
            .goodbye_deadline
            .filter(|_| self.dial_due && self.link.is_some());
        let link = self
            .link
            .as_ref()
            .and_then(|link| link.connection.poll_timeout());
        // A link that is left takes nothing any more, so its rate is not waited for.
        let kept = self
            .offline
            .retry_at
            .filter(|_| self.state.is_open() && !self.offline.is_empty());
        [link, goodbye, self.next_attempt_at(), kept]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing the application should know.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        if let Some(event) = self.log.pop() {
            return Some(self.completed(event));
        }
        let mut link = self.link.take_if(|link| !link.over)?;
        // What is kept for the next link is not told.
        while self.log.is_empty()
            && let Some(event) = link.connection.poll_event()
        {
            self.tell(&mut link, event);
        }
        self.link = Some(link);
        // Taking an event may have made room for the end that stood behind it.
        self.settle();
        let event = self.log.pop()?;
        Some(self.completed(event))
    }

    /// The next `Settled`, `Flushed`, `FlushFailed`, `SendReady` or end of a reservation's wait, ahead
    /// of any message, as [`Connection::poll_answer`].
    #[must_use]
    pub fn poll_answer(&mut self) -> Option<ClientEvent> {
        if let Some(event) = self.log.pop_answer() {
            return Some(event);
        }
        let link = self.link.as_mut().filter(|link| !link.over)?;
        link.connection.poll_answer().map(ClientEvent::Link)
    }

    /// Whether [`poll_event`](Self::poll_event) would give something out.
    #[must_use]
    pub fn has_event(&self) -> bool {
        let link = self.link.as_ref().filter(|link| !link.over);
        !self.log.is_empty() || link.is_some_and(|link| link.connection.has_event())
    }

    /// Whether the driver should read from the transport of the present link.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.connection.wants_read())
    }

    /// Whether `attempt` is still being dialled, or its transport still needed. Once it is not,
    /// give up dialling, or drop the transport.
    #[must_use]
    pub fn is_wanted(&self, attempt: Attempt) -> bool {
        self.is_dialing(attempt)
            || self
                .link
                .as_ref()
                .is_some_and(|link| link.attempt == attempt && !link.connection.is_finished())
    }

    /// Fills in what a report of the offline buffer says when it is taken.
    fn completed(&mut self, mut event: ClientEvent) -> ClientEvent {
        if let ClientEvent::Link(ConnectionEvent::Dropped(dropped)) = &mut event
            && dropped.count == 0
        {
            *dropped = self.offline.take_dropped();
        }
        event
    }

    /// Whether the driver was asked for `attempt` and has not answered yet.
    pub(super) fn is_dialing(&self, attempt: Attempt) -> bool {
        !self.dial_due
            && matches!(self.state, ClientState::Connecting { attempt: wanted, .. } if wanted == attempt)
    }

    pub(super) fn link_of(&mut self, attempt: Attempt) -> Option<&mut Carried> {
        let link = self.link.as_mut().filter(|link| link.attempt == attempt)?;
        Some(&mut link.connection)
    }

    pub(super) const fn count_stale(&mut self) {
        self.stats.stale_inputs = self.stats.stale_inputs.saturating_add(1);
    }
}
