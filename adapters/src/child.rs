//! How a child process is started and ended.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How the child of an `exec:` URL is started, heard and ended. The default suits most.
///
/// # How a child ends
/// With its connection, at the latest. It sees, in this order:
///
/// 1. what was queued, then **the end of its standard input**: the moment to finish and to exit. A
///    [`drain`](crate::Handle::drain) still reads what it says until it is over, or the drain's time is.
/// 2. **`SIGTERM`**, [`term_grace`](Self::term_grace) after its pipes are closed.
/// 3. **`SIGKILL`**, [`kill_grace`](Self::kill_grace) after they are closed; at once by
///    [`kill`](crate::Handle::kill), and where the task that drives the connection is dropped, as with
///    its runtime.
///
/// It is always waited for. **No signal of this process is forwarded**, and none is caught: what this
/// process does on `SIGTERM`, `SIGINT` or `SIGHUP` is for its program to say, and draining the
/// connection is what passes it on. If this process is killed, the child sees the end of its standard
/// input. What a terminal sends by Ctrl-C goes to the child as well, as to every process of its group,
/// unless [`own_group`](Self::own_group) says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildOptions {
    /// Variables set in its environment, over those it inherits. Default none.
    pub env: Vec<(OsString, OsString)>,
    /// Whether it inherits nothing of this process's environment: not even `PATH`, by which the
    /// command is found. Default `false`.
    pub env_clear: bool,
    /// Its working directory. Default: that of this process.
    pub current_dir: Option<PathBuf>,
    /// Whether it leads a process group of its own, so that Ctrl-C in a terminal does not reach it and
    /// it is ended in order by this process. If this process is killed, nobody but the end of its
    /// standard input ends it then. Default `false`.
    pub own_group: bool,
    /// How long it may take to end once its pipes are closed, until it gets `SIGTERM`. Default 1 s.
    pub term_grace: Duration,
    /// How long it may take to end once its pipes are closed, until it is killed. Default 2 s.
    pub kill_grace: Duration,
    /// What is shown each line of its standard error. Default: `tracing`, at the level `INFO` and
    /// the target `sente::child`.
    pub stderr: Option<StderrLines>,
}

impl Default for ChildOptions {
    fn default() -> Self {
        Self {
            env: Vec::new(),
            env_clear: false,
            current_dir: None,
            own_group: false,
            term_grace: Duration::from_secs(1),
            kill_grace: Duration::from_secs(2),
            stderr: None,
        }
    }
}

impl ChildOptions {
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.env_clear {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.current_dir {
            command.current_dir(directory);
        }
        if self.own_group {
            command.process_group(0);
        }
    }
}

/// Something that is shown each line of a child's standard error.
#[derive(Clone)]
pub struct StderrLines(Arc<See>);

type See = dyn Fn(u32, &str) + Send + Sync;

impl StderrLines {
    /// Shows `see` the child's process id and each line, without its end; longer lines than 4 KiB in
    /// pieces, and what is no UTF-8 with replacement characters. It runs on a task of the runtime
    /// and should be quick: the child waits once its pipe is full.
    pub fn new(see: impl Fn(u32, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    pub(crate) fn show(&self, pid: u32, line: &str) {
        (self.0)(pid, line);
    }
}

impl fmt::Debug for StderrLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StderrLines")
    }
}
