//! Who is on the other side of a connection, and what became of them.

use crate::error::CloseReason;
use crate::hub::UserId;
use crate::id::ConnId;

/// The other side of one connection, as handlers and modules are told of it.
///
/// A server fills in whose connection it is; to a client the peer is its server, without a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The connection. After a reconnect it is another one.
    pub connection: ConnId,
    /// Whose connection it is, as the application established when it accepted it; `None` where
    /// nobody is known.
    pub user: Option<UserId>,
}

impl Peer {
    /// The peer of `connection`, with no user known.
    #[must_use]
    pub const fn new(connection: ConnId) -> Self {
        Self {
            connection,
            user: None,
        }
    }

    /// The peer of `connection`, which is `user`'s.
    #[must_use]
    pub fn of_user(connection: ConnId, user: impl Into<UserId>) -> Self {
        Self {
            connection,
            user: Some(user.into()),
        }
    }
}

/// What became of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerChange {
    /// The connection ended: nothing more comes, and nothing can be sent.
    Closed(CloseReason),
    /// The connection is open.
    Opened,
    /// The connection is open, and stands for one that was lost before. The peer remembers nothing
    /// of that one: what has to be so again, a subscription say, is to be asked for again.
    Reopened,
}
