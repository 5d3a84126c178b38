//! What a client tells the application, and what it asks of the driver.

use alloc::boxed::Box;
use alloc::string::String;

use thiserror::Error;

use super::endpoints::EndpointChange;
use super::state::{Attempt, ClientState};
use crate::connection::{ConnectionEvent, Opened, Stats};
use crate::error::CloseReason;

/// Something the application should know.
///
/// | what other clients call | is |
/// | --- | --- |
/// | `on-open` | [`Opened`](Self::Opened) |
/// | `on-reconnect` | [`Reopened`](Self::Reopened) |
/// | `on-channel-ready`, `on-connect` | either of the two |
/// | `on-close`, `on-disconnect` | [`Closed`](Self::Closed) |
/// | `on-error` | [`ConnectFailed`](Self::ConnectFailed), and `BadEvent` of the link |
/// | `on-state-change` | [`StateChanged`](Self::StateChanged) |
///
/// What belongs to a link comes in the order in which it happened there. State changes come ahead
/// of messages that have not been read yet, except that the end of a link comes behind all of its
/// messages.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A link ended, and why. Nothing more of that link comes, `Undelivered` came before.
    Closed(CloseReason),
    /// An attempt failed before there was a link.
    ConnectFailed {
        /// The attempt.
        attempt: Attempt,
        /// Which one it was in a row, counted from 1.
        number: u32,
        /// What the driver said.
        failure: ConnectFailure,
    },
    /// Another endpoint has its turn.
    EndpointChanged(Box<EndpointChange>),
    /// As many attempts as `Backoff::max_attempts` allows have failed in a row: none follows.
    GaveUp {
        /// How many were made.
        attempts: u32,
    },
    /// The server sent another handshake on an open link: its new terms.
    Handshake(Box<Opened>),
    /// Something of the present link: messages, settled calls, undelivered events and the rest.
    /// Never `Opened` or `Closed`, which have variants of their own. What was kept offline is told
    /// of in the same way: what of it was `Dropped` or is `Undelivered`, and that there is room.
    Link(ConnectionEvent),
    /// The first link of this client is open. The moment to subscribe and to register.
    Opened(Box<Opened>),
    /// A later link is open. It knows nothing of the one before, and nothing was restored: the
    /// moment to subscribe and to register again. For a [`Module`](crate::Module) it is
    /// [`PeerChange::Reopened`](crate::PeerChange::Reopened).
    Reopened(Box<Opened>),
    /// The state changed.
    StateChanged(Box<StateChange>),
}

/// One change of a client's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The state before.
    pub old: ClientState,
    /// The state after.
    pub new: ClientState,
    /// Why the last link or attempt ended, if one has.
    pub reason: Option<CloseReason>,
}

/// The wish for a transport, answered by `handle_connected` or `handle_connect_failed`.
///
/// Where to connect to and what to show there is the driver's to know, and may be another for each
/// attempt: a fresh token, another host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "an attempt that is not answered leaves the client connecting for ever"]
pub struct Connect {
    /// Names the attempt in all that follows.
    pub attempt: Attempt,
    /// Which one it is in a row without a stable link, counted from 1.
    pub number: u32,
    /// Which of the client's [endpoints](super::Endpoints) it goes to, counted from 0.
    pub endpoint: usize,
    /// The label of this client, the same for all its attempts.
    pub client_id: String,
    /// Why the last link or attempt ended, if one has.
    pub reason: Option<CloseReason>,
}

/// Why an attempt to connect failed, in the driver's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "another attempt is worth it or not"
)]
pub enum ConnectFailure {
    /// Another attempt would fail the same way: the client closes.
    #[error("{0}")]
    Final(String),
    /// Another attempt may succeed.
    #[error("{0}")]
    Retry(String),
}

/// Counts since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Attempts given out to the driver.
    pub attempts: u64,
    /// Attempts that failed before there was a link.
    pub connect_failures: u64,
    /// How often another endpoint had its turn.
    pub endpoint_changes: u64,
    /// Links that opened.
    pub opened: u64,
    /// Links that opened after the first.
    pub reconnects: u64,
    /// Inputs and answers of attempts that are over: ignored.
    pub stale_inputs: u64,
    /// Sends and calls refused because no link was open, or because the offline buffer was full.
    pub refused_offline: u64,
    /// Events kept for the next link. Each leaves on it, comes back as undelivered, or is one of
    /// those dropped as the oldest or replaced.
    pub kept_offline: u64,
    /// Kept events dropped to make room for newer ones (`Policy::DropOldest`).
    pub dropped_oldest_offline: u64,
    /// Events dropped since they would have had to wait for a link (`Policy::Volatile`); they were
    /// never kept.
    pub dropped_volatile_offline: u64,
    /// Kept events dropped for a newer one of the same key (`Policy::Latest`).
    pub replaced_offline: u64,
    /// The counts of all links together.
    pub links: Stats,
}

impl Stats {
    /// The sum of the counts of two links.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            frames_received: self.frames_received.saturating_add(other.frames_received),
            frames_sent: self.frames_sent.saturating_add(other.frames_sent),
            bytes_received: self.bytes_received.saturating_add(other.bytes_received),
            bytes_sent: self.bytes_sent.saturating_add(other.bytes_sent),
            events_received: self.events_received.saturating_add(other.events_received),
            events_queued: self.events_queued.saturating_add(other.events_queued),
            sends_refused: self.sends_refused.saturating_add(other.sends_refused),
            dropped_oldest: self.dropped_oldest.saturating_add(other.dropped_oldest),
            dropped_volatile: self.dropped_volatile.saturating_add(other.dropped_volatile),
            replaced: self.replaced.saturating_add(other.replaced),
            shed: self.shed.saturating_add(other.shed),
            bad_events: self.bad_events.saturating_add(other.bad_events),
            oversized_received: self
                .oversized_received
                .saturating_add(other.oversized_received),
            oversized_refused: self
                .oversized_refused
                .saturating_add(other.oversized_refused),
            ignored: self.ignored.saturating_add(other.ignored),
            late_replies: self.late_replies.saturating_add(other.late_replies),
            pings_sent: self.pings_sent.saturating_add(other.pings_sent),
        }
    }
}
