//! How the next link of a client goes on where the one before stopped.

use crate::id::Legacy;
use crate::record::Entry;

use super::Connection;

impl Connection {
    /// What the client's next link goes on with.
    pub(crate) fn legacy(&self) -> Legacy {
        Legacy {
            limiter: self.limiter.as_deref().copied(),
            call: self.calls.next_id(),
            flush: self.next_flush,
            ticket: self.queue.reservations.next_id(),
        }
    }

    /// Goes on where an earlier connection stopped, so that no id of one client means two things,
    /// and no reconnect gives it another burst.
    pub(crate) fn continue_from(&mut self, legacy: Legacy) {
        self.note(self.now, || Entry::ContinuedFrom(legacy));
        if legacy.call > 0 {
            self.calls.make().continue_from(legacy.call);
        }
        self.next_flush = legacy.flush;
        self.queue.reservations.continue_from(legacy.ticket);
        if let (Some(limiter), Some(earlier)) = (&mut self.limiter, legacy.limiter) {
            limiter.continue_from(earlier);
        }
    }
}
