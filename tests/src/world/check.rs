//! The names of everything that must hold, and what breaking one looks like.

use std::fmt;

/// One thing that holds in every run, whatever happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// A batch of pushes holds no more events and bytes than its limits say.
    BatchesKeepTheirLimits,
    /// What a call or an event was answered with is what its receiver answered.
    CallsGetTheirOwnReply,
    /// Any cutting of the same bytes gives the same events.
    ChunksDoNotMatter,
    /// A client goes only where `state::next_client` leads, and tells of every step.
    ClientsFollowTheTable,
    /// `Closed` comes once, as the last event, for a reason that can be.
    ClosedIsLast,
    /// Events and replies arrive in the order in which they were accepted.
    DeliveredInOrder,
    /// Nothing arrives twice.
    DeliveredOnce,
    /// Control frames never wait for a flush window.
    ControlNeverWaits,
    /// What is dropped for room is the oldest that may be.
    DropsTakeTheOldest,
    /// What was accepted arrives, or comes back, or was lost with a broken transport, or was
    /// dropped and counted.
    EveryEventHasOneFate,
    /// A flush settles once, in order, and `Flushed` means that what was before it left.
    FlushesSettleOnce,
    /// A peer whose bytes wait for us to read them is not given up for its silence, unless it takes
    /// none of ours.
    KeepaliveSparesTheUnread,
    /// After `handle_timeout` the next deadline lies in the future.
    NoBusyTimer,
    /// Nothing panics.
    NoPanic,
    /// No event arrives that nobody sent.
    NothingIsInvented,
    /// Over a working transport everything accepted arrives.
    NothingIsStuck,
    /// Once everything is closed nothing moves, and no instant takes for ever.
    QuietWorldsStop,
    /// What waits to be read by the application keeps to the limits.
    ReceiveQueueKeepsItsLimits,
    /// Nothing of an attempt that is over is heard, and its answers are refused.
    OldAttemptsAreSilent,
    /// A client that fails and fails waits longer and longer, and no more often than its backoff
    /// says.
    NoHotLoop,
    /// A client that has room is told that it is open before it is told of a message.
    OpenedIsFirst,
    /// What is over the send rate is refused, nothing else is, and `retry_at` is the first instant
    /// at which it is not.
    RateIsKept,
    /// The same input gives the same output, to the byte.
    RunsRepeat,
    /// `SendReady` comes after a refusal or high water, and only then.
    SendReadyFollowsARefusal,
    /// What waits to be written keeps to the limits.
    SendQueueKeepsItsLimits,
    /// A reservation ends once, and who asked first is served first.
    ReservationsAreServed,
    /// A call settles once, by its deadline.
    SettlesOnce,
    /// What a receiver sheds is counted, and shed calls are answered.
    ShedsAreCounted,
    /// What comes back undelivered is what was accepted last, in its order.
    UndeliveredIsTheTail,
    /// Nothing waits longer than the flush window while it could be written.
    WindowsEnd,
}

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a name and a text")]
pub struct Violation {
    /// What did not hold.
    pub check: Check,
    /// How it came out.
    pub detail: String,
}

impl Violation {
    /// `check` did not hold.
    pub fn new(check: Check, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { check, detail }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.detail)
    }
}

impl std::error::Error for Violation {}
