//! Who waits for what is queued to be written.

use std::collections::HashMap;

use sente_core::FlushId;
use tokio::sync::oneshot;

/// Those who wait, by the flush they wait for: several may share one.
#[derive(Debug, Default)]
pub(crate) struct Flushes(HashMap<FlushId, Vec<oneshot::Sender<bool>>>);

impl Flushes {
    /// Takes up one more who waits for `flush`, and is told whether it was written.
    pub(crate) fn wait(&mut self, flush: FlushId) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.0.entry(flush).or_default();
        if waiting.len() == waiting.capacity() {
            // Before it grows, those go who wait no longer.
            waiting.retain(|waiter| !waiter.is_closed());
        }
        waiting.push(sender);
        receiver
    }

    /// Tells all who wait for `flush`.
    pub(crate) fn settle(&mut self, flush: FlushId, written: bool) {
        for waiter in self.0.remove(&flush).unwrap_or_default() {
            // A waiter that is gone has stopped waiting.
            let _ = waiter.send(written);
        }
    }

    /// The end: nobody waits any longer.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
