//! Who is connected, as a value that can be watched.

use sente_core::{ConnId, ConnectedUids, Target, UserId};
use tokio::sync::watch;

use crate::line::lock;
use crate::server::Server;

/// Watches who is connected: from [`Server::users`].
#[derive(Clone, Debug)]
pub struct Users {
    server: Server,
    version: watch::Receiver<u64>,
}

impl Users {
    /// Who is connected now. Copies as many names as there are users.
    #[must_use]
    pub fn get(&self) -> ConnectedUids {
        lock(&self.server.inner.room).hub.connected_uids().clone()
    }

    /// Waits for the next change that was not seen yet: each is a new
    /// [`version`](ConnectedUids::version). Several that come at once are seen as one.
    ///
    /// # Cancel safety
    /// Safe: no change is missed.
    pub async fn changed(&mut self) {
        // The server is held here, and with it the sender.
        let _ = self.version.changed().await;
    }

    /// Waits until what is connected is as `wished`, and gives it.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait_for(
        &mut self,
        mut wished: impl FnMut(&ConnectedUids) -> bool,
    ) -> ConnectedUids {
        loop {
            self.version.mark_unchanged();
            let uids = self.get();
            if wished(&uids) {
                return uids;
            }
            self.changed().await;
        }
    }
}

impl Server {
    /// Who is connected, to look at and to watch: Sente's `connected-uids`.
    #[must_use]
    pub fn users(&self) -> Users {
        Users {
            server: self.clone(),
            version: self.inner.uids.subscribe(),
        }
    }

    /// The connections of a user, also those that were taken over, in the order of their ids.
    #[must_use]
    pub fn connections_of(&self, user: &UserId) -> Vec<ConnId> {
        lock(&self.inner.room).hub.connections_of(user).collect()
    }

    /// Has all connections of a user closed, as Sente's `[:chsk/close]` does: code 1000, no reason.
    /// How many.
    pub fn disconnect_user(&self, user: impl Into<UserId>) -> usize {
        self.disconnect(&Target::User(user.into()), 1000, "")
    }
}
