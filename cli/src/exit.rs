//! How a command ends: its exit codes, and the failure that says why.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of `sente`, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked for.
    Success,
    /// Anything that has no code of its own.
    Failure,
    /// A wrong flag, or an event that is not readable EDN.
    Usage,
    /// The time was over first.
    Timeout,
    /// The peer could not be reached, refused, or closed the link.
    Closed,
}

impl Exit {
    /// The number the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Timeout => 3,
            Self::Closed => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command ends without having done its work.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What to say on standard error; empty if all has been said.
    pub(crate) message: String,
}

impl Failure {
    /// A failure with its own exit code.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }

    /// A wrong flag or unreadable EDN.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A peer that cannot be reached or went away.
    pub(crate) fn closed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Closed, message)
    }

    /// Time that ran out.
    pub(crate) fn timeout(message: impl fmt::Display) -> Self {
        Self::new(Exit::Timeout, message)
    }

    /// Anything else.
    pub(crate) fn other(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failure, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;
