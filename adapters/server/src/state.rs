//! Where a server is in its life.

use tokio::sync::watch;

use crate::server::{Inner, Server};

/// Where a server is in its life: from [`Server::state`]. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ServerState {
    /// It lets clients in.
    Serving,
    /// It was [drained](Server::drain) or [closed](Server::close), lets nobody in any more, and
    /// still has connections.
    Draining,
    /// The last connection is gone. One whose handshake was under way may still come, and is closed
    /// at once.
    Closed,
}

impl Server {
    /// Where it is in its life, at this moment; [`states`](Self::states) waits for changes.
    #[must_use]
    pub fn state(&self) -> ServerState {
        *self.inner.state.borrow()
    }

    /// The state as a watch: the present one, and those that come. Of states that follow each other
    /// quickly only the last may be seen, and the last of all is never missed. Clones are cheap, and
    /// none keeps the server alive: once it is gone, waiting for a change is an error.
    ///
    /// Waiting for a change is cancel safe.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<ServerState> {
        self.inner.state.subscribe()
    }
}

impl Inner {
    /// Nobody is let in any more, and nobody is here if `is_empty`.
    pub(crate) fn ends(&self, is_empty: bool) {
        let state = if is_empty {
            ServerState::Closed
        } else {
            ServerState::Draining
        };
        self.state
            .send_if_modified(|known| std::mem::replace(known, state.max(*known)) < state);
        if is_empty {
            self.end_streams();
        }
    }
}
