//! A child process as a peer: its standard input and output carry the frames, its standard error
//! is passed on to `tracing`, and it is always waited for.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::transport::Transport;

/// How long a child may take to end once its standard input is closed, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The longest line of a child's standard error that is passed on whole, in bytes.
const STDERR_LINE: usize = 4096;

/// A running child. Dropped without [`finish`](Self::finish) it is killed.
#[derive(Debug)]
pub(crate) struct Child(tokio::process::Child);

impl Child {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.0.id()
    }

    /// Waits for the end of the child, whose pipes have been dropped, and kills it after a grace.
    pub(crate) async fn finish(mut self) -> Option<ExitStatus> {
        if let Ok(status) = timeout(GRACE, self.0.wait()).await {
            return status.ok();
        }
        tracing::warn!(target: "sente::child", pid = self.0.id(), "killed: it did not end with its input");
        // It may have ended by itself in this moment; either way it is waited for.
        let _ = self.0.start_kill();
        self.0.wait().await.ok()
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
    if let Some(errors) = child.stderr.take() {
        tokio::spawn(pass_on(errors, child.id().unwrap_or_default()));
    }
    let mut transport = Transport::new((output, input), program.clone());
    transport.child = Some(Child(child));
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
