//! The end of a connection, for those who wait for it.

use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::handle::End;

/// How a connection ended, once it has. Small while it has not: most connections live, and nobody
/// waits for their end.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    end: OnceLock<Box<End>>,
    told: Notify,
}

impl Ending {
    /// Says how it ended. The first word counts.
    pub(crate) fn set(&self, end: End) {
        // It ends once.
        let _ = self.end.set(Box::new(end));
        self.told.notify_waiters();
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> End {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if let Some(end) = self.end.get() {
                return (**end).clone();
            }
            told.await;
        }
    }
}
