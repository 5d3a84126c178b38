//! How one event is to be sent: what becomes of it where it would wait, and before which others.

use smol_str::SmolStr;

/// How one event is to be sent. The default is what `send` does: refuse when full, normal
/// priority, leave with the others.
///
/// ```
/// use sente_core::{Policy, Priority, SendOptions};
///
/// let cursor = SendOptions::new().policy(Policy::Latest("cursor".into()));
/// let log = SendOptions::new().policy(Policy::DropOldest).priority(Priority::Low);
/// # let _ = (cursor, log);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// What becomes of the event, or of others, where there is no room. Default
    /// [`Policy::Reject`].
    pub policy: Policy,
    /// Before which others it goes. Default [`Priority::Normal`].
    pub priority: Priority,
    /// Whether everything queued is to leave at once, whatever the flush window says. Default
    /// `false`; without a flush window it changes nothing.
    pub flush: bool,
}

impl SendOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            policy: Policy::Reject,
            priority: Priority::Normal,
            flush: false,
        }
    }

    /// What becomes of the event, or of others, where there is no room.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Before which others it goes.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Whether everything queued is to leave at once.
    #[must_use]
    pub fn flush(mut self, flush: bool) -> Self {
        self.flush = flush;
        self
    }
}

/// What becomes of an event where there is no room for it.
///
/// Every event that a policy drops is counted in `Stats`, or in `ClientStats` where it was kept
/// offline, and reported by `ConnectionEvent::Dropped`. Calls and replies are never dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Make room by dropping the oldest queued events whose own policy is not
    /// [`Reject`](Self::Reject), of either priority. If all of them together are not enough, none
    /// is dropped and the event is refused as full.
    DropOldest,
    /// Replace the queued event of the same key where it stands, with its place and its priority;
    /// queue it as [`Reject`](Self::Reject) does where none is queued. Replacing costs nothing of a
    /// send rate. For positions and states, of which only the newest matters.
    Latest(SmolStr),
    /// Refuse it, and give it back. What is queued this way is never dropped for another.
    #[default]
    Reject,
    /// Drop it where it would wait: if anything is queued, a transmit is under way, or there is no
    /// room, be it that the queue could never hold it. So it is never refused as full, and as too
    /// large only where it is over the limit of a frame. A flush window does not count as waiting.
    Volatile,
}

/// Which events go first. Order is kept among events of one priority, not across the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Goes when nothing of normal priority waits, and at the latest in every 16th frame, so that
    /// it never starves.
    Low,
    /// Goes first, in one order with calls and replies.
    #[default]
    Normal,
}

/// What became of an event that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sent {
    /// It would have had to wait, for room or for a link, and its policy is [`Policy::Volatile`].
    Dropped,
    /// It is queued: it will be written, unless the connection ends first or, where its own policy
    /// allows it, a later event takes its room.
    Queued,
    /// It is queued in the place of an older one of the same key, which is dropped.
    Replaced,
}
