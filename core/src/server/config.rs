//! What a server is told before it starts, and when it lets somebody in.

use sente_edn::Value;
use smol_str::SmolStr;
use thiserror::Error;

use crate::extensions::Extensions;
use crate::hub::{HubConfig, InboxLimits, JoinError, RecvRates, TransportKind, UserId};

/// The options of a [`Server`](crate::Server). The default suits most.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The options of its hub. Its guard is asked for every received event as well.
    pub hub: HubConfig,
    /// The bounds of what waits for each connection beside the connection's own send queue, and
    /// what happens to a slow consumer.
    pub inbox: InboxLimits,
    /// How much clients may send. Default: no limit.
    pub rates: RecvRates,
}

/// The terms on which a connection is let in.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServerAccept {
    /// The user, as the application established. Default nobody: see [`Nobody`](crate::Nobody).
    pub user: Option<UserId>,
    /// The label the client gave itself, Sente's `client-id`. Default none.
    pub client_id: Option<SmolStr>,
    /// What sente-lite's handshake carries as its CSRF token. Default nil.
    pub csrf_token: Value,
    /// The application's handshake data. Default nil.
    pub data: Value,
    /// The extensions the client offered in its URL.
    pub offered: Option<Extensions>,
    /// By what presence counts it. Default: as its carrier is.
    pub transport: Option<TransportKind>,
}

impl ServerAccept {
    /// The terms of nobody in particular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The terms of this user.
    #[must_use]
    pub fn user(mut self, user: impl Into<UserId>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The label the client gave itself.
    #[must_use]
    pub fn client_id(mut self, label: impl Into<SmolStr>) -> Self {
        self.client_id = Some(label.into());
        self
    }

    /// The application's handshake data.
    #[must_use]
    pub fn data(mut self, data: impl Into<Value>) -> Self {
        self.data = data.into();
        self
    }
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It did not fit into the hub, and is closed without a handshake, as sente-lite does it.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// There is no such connection, or it is not waiting to be let in.
    #[error("this connection is not waiting to be let in")]
    NotWaiting,
}
