//! Tasks that somebody holds.

use std::future::Future;

use tokio::sync::oneshot;

use super::{Runtime, ready_or};

/// A task that ends when this is dropped, at its next pause at the latest.
#[derive(Debug)]
pub(crate) struct Task {
    /// Dropped, it stops the task.
    _stop: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Task {
    pub(crate) fn spawn(
        runtime: &dyn Runtime,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (alive, done) = oneshot::channel();
        runtime.spawn(Box::pin(async move {
            let _alive = alive;
            let stopped = async {
                let _ = stopped.await;
            };
            ready_or(work, stopped).await;
        }));
        Self { _stop: stop, done }
    }

    /// Waits for the end of the task.
    pub(crate) async fn done(&mut self) {
        // Nothing is ever sent: the end of the sender is the news.
        let _ = (&mut self.done).await;
    }
}
