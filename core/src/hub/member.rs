//! What a hub knows of one connection.

use alloc::sync::Arc;
use core::ops::Deref;

use smol_str::SmolStr;
use thiserror::Error;

use crate::connection::ConnectionConfig;
use crate::id::ConnId;
use crate::packer::Packer;
use crate::profile::{Carrier, Dialect};
use crate::time::Instant;

use super::channels::Subscriptions;
use super::dense::DenseMap;
use super::slots::SlotKey;
use super::user::UserId;

/// By what a user is connected, as presence tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// Ajax long polling.
    Ajax,
    /// TCP, a Unix socket, pipes.
    Stream,
    /// WebSocket.
    WebSocket,
}

impl TransportKind {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Ajax, Self::Stream, Self::WebSocket];

    pub(super) const FIRST: Self = Self::Ajax;
}

impl From<Carrier> for TransportKind {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::WebSocket => Self::WebSocket,
            Carrier::LengthPrefixed | Carrier::Lines => Self::Stream,
        }
    }
}

/// A connection that is about to join a hub: whose it is, and how it is spoken to.
///
/// ```
/// use sente_core::{Dialect, Member, TransportKind};
/// use sente_core::packer::Edn;
///
/// let member = Member::new(std::sync::Arc::new(Edn))
///     .user("ada")
///     .client_id("c0ffee")
///     .transport(TransportKind::Ajax);
/// # let _ = member.dialect(Dialect::Sente);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Member {
    pub(super) packer: Arc<dyn Packer>,
    pub(super) user: Option<UserId>,
    pub(super) client_id: Option<SmolStr>,
    pub(super) transport: TransportKind,
    pub(super) dialect: Dialect,
}

impl Member {
    /// A WebSocket in Sente's dialect with this packer, of nobody in particular.
    pub fn new(packer: Arc<dyn Packer>) -> Self {
        Self {
            packer,
            user: None,
            client_id: None,
            transport: TransportKind::WebSocket,
            dialect: Dialect::Sente,
        }
    }

    /// The same by the transport, dialect and packer of a connection's configuration.
    pub fn of(config: &ConnectionConfig) -> Self {
        Self::new(config.packer().clone())
            .transport(config.carrier().into())
            .dialect(config.dialect())
    }

    /// The user, as the application established. Default: nobody, see
    /// [`Nobody`](crate::Nobody).
    pub fn user(mut self, user: impl Into<UserId>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The label by which a client is known again when it comes back: Sente's `client-id`. It
    /// proves nothing. Default none: then whoever of the user comes back first, by the same
    /// transport and without a label, too, is taken for the one that was lost first.
    pub fn client_id(mut self, label: impl Into<SmolStr>) -> Self {
        self.client_id = Some(label.into());
        self
    }

    /// The transport. Default WebSocket.
    pub fn transport(mut self, transport: TransportKind) -> Self {
        self.transport = transport;
        self
    }

    /// The dialect. Default Sente.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }
}

/// A connection in the hub.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: SlotKey,
    pub(super) packer: Arc<dyn Packer>,
    pub(super) dialect: Dialect,
    /// Whether it was given no user id.
    pub(super) anonymous: bool,
    /// Whether its client can come back as the same user.
    pub(super) returns: bool,
    /// Whether broadcasts are wrapped for it.
    pub(super) wraps: bool,
    /// Whether it is the one of its client that pushes go to.
    pub(super) receives: bool,
    pub(super) since: Instant,
    /// Its place among all that ever joined.
    pub(super) order: u64,
    /// Until when it may be away, if it is suspended.
    pub(super) suspended: Option<Instant>,
    pub(super) subscriptions: Subscriptions,
}

/// The connections of a hub. Who joins and leaves, and all that changes of one, what it is subscribed to
/// among it, passes here.
#[derive(Debug)]
pub(super) struct Members {
    by_id: DenseMap<ConnId, Entry>,
    /// How often something may have changed.
    changes: u64,
}

impl Members {
    pub(super) const fn new() -> Self {
        Self {
            by_id: DenseMap::new(),
            changes: 0,
        }
    }

    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn insert(&mut self, connection: ConnId, entry: Entry) {
        self.changes = self.changes.wrapping_add(1);
        self.by_id.insert(connection, entry);
    }

    pub(super) fn get_mut(&mut self, connection: &ConnId) -> Option<&mut Entry> {
        self.changes = self.changes.wrapping_add(1);
        self.by_id.get_mut(connection)
    }

    pub(super) fn remove(&mut self, connection: &ConnId) -> Option<Entry> {
        self.changes = self.changes.wrapping_add(1);
        self.by_id.remove(connection)
    }
}

impl Deref for Members {
    type Target = DenseMap<ConnId, Entry>;

    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

/// Why a connection did not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The client id is longer than `HubLimits::max_client_id_bytes`.
    #[error("the client id of {bytes} bytes is over the limit of {limit}")]
    ClientIdTooLong {
        /// Its bytes.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// As many connections are in the hub as `HubLimits::max_connections` allows.
    #[error("{limit} connections are here already")]
    Full {
        /// The limit in force.
        limit: usize,
    },
    /// The user has as many connections as `HubLimits::max_user_connections` allows.
    #[error("the user has {limit} connections already")]
    UserFull {
        /// The limit in force.
        limit: usize,
    },
}

/// What joining came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// Who the connection is, as its handshake says.
    pub user: UserId,
    /// Whether the user was not connected before, and is told as `HubEvent::UidportOpen`.
    pub opened: bool,
    /// Whether a client came back within its grace. What was kept for it is on its way.
    pub returned: bool,
}

/// What leaving came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// Whose connection it was.
    pub user: UserId,
    /// Until when its client may come back as if nothing had been; `None` if it is gone, or has
    /// another connection.
    pub grace_until: Option<Instant>,
    /// Whether the user is not connected any more, and is told as `HubEvent::UidportClose`.
    pub closed: bool,
}

/// What there is to say of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection.
    pub connection: ConnId,
    /// Whose it is.
    pub user: UserId,
    /// The label the client gave itself.
    pub client_id: Option<SmolStr>,
    /// The transport.
    pub transport: TransportKind,
    /// The dialect.
    pub dialect: Dialect,
    /// When it joined.
    pub since: Instant,
    /// Whether what is sent to its user reaches it: `false` once it was taken over.
    pub receives: bool,
    /// Whether it is suspended.
    pub suspended: bool,
    /// How many channels it is subscribed to.
    pub subscriptions: usize,
}

impl Entry {
    pub(super) fn info(&self, connection: ConnId) -> ConnectionInfo {
        ConnectionInfo {
            connection,
            user: self.slot.user.clone(),
            client_id: self.slot.client.label(),
            transport: self.slot.transport,
            dialect: self.dialect,
            since: self.since,
            receives: self.receives,
            suspended: self.suspended.is_some(),
            subscriptions: self.subscriptions.len(),
        }
    }
}
