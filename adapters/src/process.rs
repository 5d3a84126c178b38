//! A child process as a peer: its standard input and output carry the frames, its standard error
//! is passed on to `tracing`, and it is always waited for.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::transport::Transport;

/// How long a child may take to end once its standard input is closed, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long the rest of a child's standard error is read once the child has ended: a process it
/// left behind may hold it open for ever.
const LAST_ERRORS: Duration = Duration::from_millis(200);

/// The longest line of a child's standard error that is passed on whole, in bytes.
const STDERR_LINE: usize = 4096;

/// A running child. Dropped without [`finish`](Self::finish) it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    /// Passes its standard error on.
    errors: Option<JoinHandle<()>>,
}

impl Child {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for the child to end by itself, so that it is no zombie while its output is still
    /// read. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        // The status is kept for `finish`.
        let _ = self.process.wait().await;
    }

    /// Waits for the end of the child, whose pipes have been dropped, and kills it after a grace
    /// or when `kill` comes.
    pub(crate) async fn finish(mut self, kill: impl Future<Output = ()>) -> Option<ExitStatus> {
        let ended = tokio::select! {
            ended = timeout(GRACE, self.process.wait()) => ended.ok(),
            () = kill => None,
        };
        let status = if let Some(status) = ended {
            status.ok()
        } else {
            tracing::warn!(target: "sente::child", pid = self.process.id(), "killed: it did not end with its input");
            // It may have ended by itself in this moment; either way it is waited for.
            let _ = self.process.start_kill();
            self.process.wait().await.ok()
        };
        if let Some(errors) = &mut self.errors {
            let _ = timeout(LAST_ERRORS, errors).await;
        }
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(errors) = &self.errors {
            errors.abort();
        }
    }
}

/// Starts `words` and joins its standard input and output to a transport.
///
/// # Errors
/// What the system says when the command cannot be started.
pub(crate) fn spawn(words: &[String]) -> io::Result<Transport> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pipe = |name: &str| io::Error::other(format!("the child has no {name}"));
    let input = child.stdin.take().ok_or_else(|| pipe("standard input"))?;
    let output = child.stdout.take().ok_or_else(|| pipe("standard output"))?;
    let pid = child.id().unwrap_or_default();
    let errors = child.stderr.take();
    let errors = errors.map(|errors| tokio::spawn(pass_on(errors, pid)));
    let mut transport = Transport::new((output, input), program.clone());
    transport.child = Some(Child {
        process: child,
        errors,
    });
    Ok(transport)
}

/// Logs what a child writes to its standard error, line by line, so that its pipe never fills.
async fn pass_on(mut errors: impl AsyncRead + Unpin, pid: u32) {
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(read) = errors.read(&mut chunk).await {
        for byte in chunk.iter().take(read) {
            if *byte == b'\n' || line.len() >= STDERR_LINE {
                log(&mut line, pid);
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
        if read == 0 {
            break;
        }
    }
    log(&mut line, pid);
}

fn log(line: &mut Vec<u8>, pid: u32) {
    if !line.is_empty() {
        let text = String::from_utf8_lossy(line);
        tracing::info!(target: "sente::child", pid, "{}", text.trim_end());
        line.clear();
    }
}
