//! News for one task: that it should look again.

use std::future::poll_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// News for any number of tasks, that there may be room: a pointer until somebody waits for it.
#[derive(Debug, Default)]
pub(crate) struct Room(OnceLock<Box<Notify>>);

impl Room {
    /// Wakes all who wait.
    pub(crate) fn notify_waiters(&self) {
        // Whoever begins to wait now looks whether there is room afterwards.
        if let Some(room) = self.0.get() {
            room.notify_waiters();
        }
    }

    /// Comes when there is news since it was enabled.
    pub(crate) fn notified(&self) -> Notified<'_> {
        self.0.get_or_init(Box::default).notified()
    }
}

/// Wakes the one task that waits for it, and is remembered until that has looked. Nothing is
/// registered before it has to wait, and nobody is woken twice for the same look.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_set: AtomicBool,
    /// Whether what the task's connection may receive is to be told.
    pub(crate) is_share_news: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    /// Has the task look again.
    pub(crate) fn notify(&self) {
        if !self.is_set.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Whether there was news since it was last asked.
    pub(crate) fn take(&self) -> bool {
        self.is_set.load(Ordering::Acquire) && self.is_set.swap(false, Ordering::AcqRel)
    }

    /// Ready when there was news since it was last asked.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.take() {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        // It may have come just before the waker was there to be found.
        if self.take() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Comes when there was news since it was last asked.
    pub(crate) async fn notified(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}
