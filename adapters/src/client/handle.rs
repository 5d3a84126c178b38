//! What the application asks of a client, besides what it sends.

use std::time::Duration;

use sente_core::{Client, ClientState, ClientStats, CloseReason, EndpointStatus};
use tokio::sync::watch;

use crate::events::Events;
use crate::handle::Handle;

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
