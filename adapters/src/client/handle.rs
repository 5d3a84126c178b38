//! What the application asks of a client, besides what it sends.

use std::pin::pin;
use std::time::Duration;

use sente_core::{
    Client, ClientState, ClientStats, CloseReason, EndpointStatus, Event, Payload, SendError,
};
use tokio::sync::watch;

use crate::events::Events;
use crate::handle::{CallFailure, Handle};
use crate::runtime::ready_or;

/// The [`Handle`] of a client: it sends over whatever link there is.
pub type ClientHandle = Handle<Client>;

/// The [`Events`] of a client.
pub type ClientEvents = Events<Client>;

impl Handle<Client> {
    /// Waits for an open link.
    ///
    /// # Errors
    /// Why the client closed, if it is closed.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn opened(&self) -> Result<(), CloseReason> {
        let mut states = self.states();
        loop {
            match &*states.borrow_and_update() {
                ClientState::Open { .. } => return Ok(()),
                ClientState::Closed(reason) => return Err(reason.clone()),
                _ => {}
            }
            if states.changed().await.is_err() {
                return Err(CloseReason::Requested);
            }
        }
    }

    /// Calls the peer on the next open link, and waits for its reply: as [`call`](Self::call), but where
    /// no link is open, or there is no room, it waits for that first. All of it takes `timeout` at most.
    ///
    /// Events that are kept for the link leave before it. Once the call was made it is not made again:
    /// it settles as closed with its link, since it may have been carried out.
    ///
    /// # Errors
    /// [`CallFailure`]: refused, if the client is closed or no link opened in time, or settled without a
    /// reply.
    ///
    /// # Cancel safety
    /// Dropped, the call is cancelled, or not made at all.
    pub async fn call_when_open(
        &self,
        event: Event,
        timeout: Duration,
    ) -> Result<Payload, CallFailure> {
        let clock = &self.shared.clock;
        let deadline = clock.now() + timeout;
        let mut event = event;
        loop {
            // Also the news of a change of state.
            let mut room = pin!(self.shared.room.notified());
            room.as_mut().enable();
            let left = deadline.saturating_duration_since(clock.now());
            let refused = match self.call(event, left).await {
                Err(CallFailure::Refused(
                    error @ (SendError::NotOpen(_) | SendError::Full { .. }),
                )) => error,
                other => return other,
            };
            let is_closed = matches!(self.state(), ClientState::Closed(_));
            let news = ready_or(room, clock.reached(Some(deadline)));
            if is_closed || news.await.is_none() {
                return Err(CallFailure::Refused(refused));
            }
            event = refused.into_event();
        }
    }

    /// Waits until the client is closed, and says why. It may be told to connect again.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn closed(&self) -> CloseReason {
        let mut states = self.states();
        loop {
            if let ClientState::Closed(reason) = &*states.borrow_and_update() {
                return reason.clone();
            }
            if states.changed().await.is_err() {
                return CloseReason::Requested;
            }
        }
    }

    /// Asks for a link at once, see [`Client::connect`].
    pub fn connect(&self) {
        self.shared.with_waking(Client::connect);
    }

    /// Leaves the present link for a fresh one, see [`Client::reconnect`].
    pub fn reconnect(&self) {
        self.shared.with_waking(Client::reconnect);
    }

    /// Ends the link and closes, see [`Client::disconnect`].
    pub fn disconnect(&self) {
        self.shared.with_waking(Client::disconnect);
    }

    /// Breaks the link as if its transport had failed: for tests.
    pub fn break_connection(&self) {
        self.shared.with_waking(Client::break_connection);
    }

    /// Whether to reconnect from now on, see [`Client::set_auto_reconnect`].
    pub fn set_auto_reconnect(&self, on: bool) {
        self.shared
            .with_waking(|client, now| client.set_auto_reconnect(now, on));
    }

    /// Chooses the waits from now on, see [`Client::set_backoff`].
    pub fn set_backoff(&self, delay: Option<Box<dyn Fn(u32, u64) -> Duration + Send + Sync>>) {
        self.shared
            .with_waking(|client, _| client.set_backoff(delay));
    }

    /// Where the client is in its life, at this moment; [`states`](Self::states) waits for changes.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.shared.lock().machine.state().clone()
    }

    /// The state as a watch: the present one, and those that come. Of states that follow each other
    /// quickly only the last may be seen; the events tell all of them. Clones are cheap.
    ///
    /// Waiting for a change is cancel safe.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<ClientState> {
        self.shared.facts.states.subscribe()
    }

    /// How long it is until the next attempt, while one waits for its time.
    #[must_use]
    pub fn next_attempt_in(&self) -> Option<Duration> {
        let due = self.shared.lock().machine.next_attempt_at()?;
        Some(due.saturating_duration_since(self.shared.clock.now()))
    }

    /// Whether the present link is one over Ajax.
    #[cfg(feature = "http-client")]
    #[must_use]
    pub fn is_over_ajax(&self) -> bool {
        self.shared.lock().machine.is_over_ajax()
    }

    /// The endpoint of the present attempt or link, or of the next one, and how it has fared.
    #[must_use]
    pub fn endpoint(&self) -> EndpointStatus {
        let inner = self.shared.lock();
        let client = &inner.machine;
        let status = client.endpoints().get(client.endpoint()).cloned();
        status.unwrap_or_default()
    }

    /// How each endpoint has fared, in the order of preference; one without a name unless the client
    /// was [given a list](crate::keep_connected_to).
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        self.shared.lock().machine.endpoints().to_vec()
    }

    /// The label of this client, the same for all its attempts.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.shared.lock().machine.client_id().to_owned()
    }

    /// Counts since the client was made.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        self.shared.lock().machine.stats()
    }
}
