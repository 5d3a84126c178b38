//! How a client gets from one attempt to the next.

use std::sync::Arc;

#[cfg(feature = "http-client")]
use sente_core::ajax::AjaxClientConfig;
use sente_core::{Attempt, Client, ClientState, Connect, ConnectionConfig};

use crate::budget::SharedRecvBudget;
use crate::deflate::{self, Agreed};
use crate::runtime::ready_or;
use crate::shared::Shared;

impl Shared<Client> {
    /// Waits for somebody to change the client, or for its next deadline, and sees to that.
    async fn turn(&self) {
        let due = self.with(|client, _| client.poll_timeout());
        let changed = ready_or(self.driver.notified(), self.clock.reached(due));
        if changed.await.is_none() {
            self.with(Client::handle_timeout);
        }
    }

    /// The next attempt to make; `None` once nobody can ask for one any more.
    pub(super) async fn next_attempt(&self) -> Option<Connect> {
        loop {
            if let Some(connect) = self.with(|client, _| client.poll_connect()) {
                return Some(connect);
            }
            let closed = self.with(|client, _| matches!(client.state(), ClientState::Closed(_)));
            if closed && self.lock().abandoned {
                return None;
            }
            self.turn().await;
        }
    }

    /// Says that the transport of `attempt` is open. Whether anybody wants it.
    pub(super) fn handle_connected(
        &self,
        attempt: Attempt,
        config: Arc<ConnectionConfig>,
        deflate: Option<Agreed>,
        budget: &SharedRecvBudget,
    ) -> bool {
        // The share of the link before goes back first.
        self.lock().share = None;
        let share = budget.join(&self.driver);
        let wanted = {
            let mut inner = self.lock();
            let now = self.clock.now();
            let wanted = inner.machine.handle_connected_with(now, attempt, config);
            deflate::set_link(&mut inner.machine, attempt, deflate);
            inner.share = wanted.then_some(share);
            wanted
        };
        // Whatever came of it is passed on.
        self.with(|_, _| ());
        wanted
    }

    /// Says that `attempt` is a link over Ajax. Whether anybody wants it.
    #[cfg(feature = "http-client")]
    pub(super) fn begin_polling(
        &self,
        attempt: Attempt,
        config: Arc<AjaxClientConfig>,
        budget: &SharedRecvBudget,
    ) -> bool {
        // The share of the link before goes back first.
        self.lock().share = None;
        let share = budget.join(&self.driver);
        let wanted = {
            let mut inner = self.lock();
            let now = self.clock.now();
            let wanted = inner.machine.handle_connected_by_ajax(now, attempt, config);
            inner.share = wanted.then_some(share);
            wanted
        };
        // Whatever came of it is passed on.
        self.with(|_, _| ());
        wanted
    }

    /// Waits until `attempt` is given up.
    pub(super) async fn given_up(&self, attempt: Attempt) {
        while self.with(|client, _| client.is_wanted(attempt)) {
            self.turn().await;
        }
    }

    /// The end of the task: nothing will be written or read any more, and nobody waits.
    pub(super) fn finish(&self) {
        self.let_go(|inner| {
            let now = self.clock.now();
            inner.machine.break_connection(now);
            inner.machine.disconnect(now);
            inner.settle(self);
        });
    }
}
