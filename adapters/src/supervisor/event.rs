//! What a supervisor tells.

use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use sente_core::{CloseReason, ConnectionEvent};
use tokio::sync::mpsc;

use crate::connect::ConnectError;

/// Names one of a supervisor's children, over all its starts. The first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub(super) usize);

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {}", self.0)
    }
}

/// Something about a child.
#[derive(Debug)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// It runs and was shaken hands with.
    Started {
        /// Which.
        child: ChildId,
        /// Its process id.
        pid: Option<u32>,
    },
    /// It could not be started, or did not begin as a peer does.
    StartFailed {
        /// Which.
        child: ChildId,
        /// Why.
        error: Arc<ConnectError>,
    },
    /// What its connection tells: what it says, for one. The end comes as `Ended`.
    Event {
        /// Which.
        child: ChildId,
        /// What.
        event: ConnectionEvent,
    },
    /// A line of its standard error. Lines that come while as many events wait as may are dropped,
    /// and logged at the level `WARN`.
    Stderr {
        /// Which.
        child: ChildId,
        /// The line, without its end.
        line: String,
    },
    /// It ended, and was waited for.
    Ended {
        /// Which.
        child: ChildId,
        /// Why its connection ended.
        reason: CloseReason,
        /// Its exit status.
        exit: Option<ExitStatus>,
    },
    /// It will be started again.
    Restarting {
        /// Which.
        child: ChildId,
        /// After this time.
        after: Duration,
        /// How often in a row it has failed.
        failures: u32,
    },
    /// It will not be started again: its [`Restart`](super::Restart) says so, or it has failed too
    /// often.
    GaveUp {
        /// Which.
        child: ChildId,
    },
}

impl fmt::Display for SupervisorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { child, pid } => match pid {
                Some(pid) => write!(f, "{child} runs as process {pid}"),
                None => write!(f, "{child} runs"),
            },
            Self::StartFailed { child, error } => write!(f, "{child} does not start: {error}"),
            Self::Event { child, event } => write!(f, "{child}: {event:?}"),
            Self::Stderr { child, line } => write!(f, "{child} says: {line}"),
            Self::Ended {
                child,
                reason,
                exit,
            } => match exit {
                Some(exit) => write!(f, "{child} ended with {exit}: {reason}"),
                None => write!(f, "{child} ended: {reason}"),
            },
            Self::Restarting {
                child,
                after,
                failures,
            } => write!(
                f,
                "{child} starts again in {after:?}, after {failures} failures in a row"
            ),
            Self::GaveUp { child } => write!(f, "{child} is not started again"),
        }
    }
}

/// What a supervisor tells. Not reading it is backpressure: children wait with what they say once
/// 1,024 events wait. Dropped, what children say is discarded.
#[derive(Debug)]
pub struct SupervisorEvents(pub(super) mpsc::Receiver<SupervisorEvent>);

impl SupervisorEvents {
    /// The next event; `None` when all children are gone for good.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<SupervisorEvent> {
        self.0.recv().await
    }
}
