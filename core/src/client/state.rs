//! Where a client is, with what belongs to that state.

use core::fmt;

use crate::error::CloseReason;
use crate::id::ConnId;
use crate::state::ClientPhase;
use crate::time::Instant;

/// Names one attempt to connect, and the transport that came of it. Attempts of one client are
/// numbered upwards and never reused, so that input of an old transport is known as such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    number: u64,
    /// Random, and the same for all attempts of one client.
    client: [u8; 10],
}

impl Attempt {
    /// The one before the first.
    pub(super) const fn none(client: [u8; 10]) -> Self {
        Self { number: 0, client }
    }

    pub(super) const fn next(self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            client: self.client,
        }
    }

    /// The id of the link that comes of it, if one does. Clients of different seeds never share
    /// one, and it proves nothing. The time in it counts attempts: a client is not told the date.
    #[must_use]
    pub fn link_id(&self) -> ConnId {
        ConnId::new(self.number, &self.client)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attempt").field(&self.number).finish()
    }
}

/// Where a client is in its life. [`state::next_client`](crate::state::next_client) has the
/// transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientState {
    /// Nothing is tried until the application connects (again), and why the last link or attempt
    /// ended.
    Closed(CloseReason),
    /// An attempt is wanted, or the driver is dialling.
    Connecting {
        /// The attempt.
        attempt: Attempt,
        /// Which one it is in a row without a stable link, counted from 1.
        number: u32,
    },
    /// The link ends in order: what is queued is written, or the closing handshake is under way.
    Draining {
        /// The attempt the link came of.
        attempt: Attempt,
    },
    /// The transport is open, the handshake has not come.
    Handshaking {
        /// The attempt the transport came of.
        attempt: Attempt,
    },
    /// Never asked to connect.
    Idle,
    /// Events can be sent.
    Open {
        /// The attempt the link came of.
        attempt: Attempt,
        /// Since when.
        since: Instant,
    },
    /// The next attempt waits for its time.
    Waiting {
        /// When it will be made.
        until: Instant,
        /// How many attempts and links in a row have failed.
        failures: u32,
    },
}

impl ClientState {
    /// The state without what it carries.
    #[must_use]
    pub const fn phase(&self) -> ClientPhase {
        match self {
            Self::Closed(_) => ClientPhase::Closed,
            Self::Connecting { .. } => ClientPhase::Connecting,
            Self::Draining { .. } => ClientPhase::Draining,
            Self::Handshaking { .. } => ClientPhase::Handshaking,
            Self::Idle => ClientPhase::Idle,
            Self::Open { .. } => ClientPhase::Open,
            Self::Waiting { .. } => ClientPhase::Waiting,
        }
    }

    /// Whether events can be sent now.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}
