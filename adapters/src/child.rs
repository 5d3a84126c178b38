//! How a child process is started and ended.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How the child of an `exec:` URL is started, heard and ended. The default suits most.
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
    /// How long it may take to end once its standard input is closed, until it is killed. Default
    /// 2 s.
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
