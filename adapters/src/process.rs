//! A child process as a peer: its standard input and output carry the frames, its standard error
//! is passed on to `tracing`, and it is always waited for.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::child::{ChildOptions, StderrLines};
use crate::descriptors::{PipeLink, PipeReader};
use crate::link::Transport;
use crate::runtime::{Descriptor, Direction, Moved, Runtime, Task, Timer, ready_or, timeout};

/// How long the rest of a child's standard error is read once the child has ended: a process it
/// left behind may hold it open for ever.
const LAST_ERRORS: Duration = Duration::from_millis(200);

/// The longest line of a child's standard error that is passed on whole, in bytes.
const STDERR_LINE: usize = 4096;

/// How often a child is looked after where the system has no descriptors of processes.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// A running child. Dropped without [`finish`](Self::finish) it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    /// `None` once it was waited for.
    process: Option<std::process::Child>,
    pid: u32,
    status: Option<ExitStatus>,
    news: News,
    runtime: Arc<dyn Runtime>,
    /// How long it may take to end once its pipes are closed, before it is asked to by a signal.
    term_grace: Duration,
    /// The same before it is killed.
    kill_grace: Duration,
    /// Passes its standard error on.
    errors: Option<Task>,
}

/// How it is heard that a child has ended.
enum News {
    /// Its descriptor can be read.
    Descriptor(Box<dyn Descriptor>),
    /// By looking again and again.
    Looking(Box<dyn Timer>, Instant),
}

impl Child {
    pub(crate) const fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    /// Is ready when the child has ended by itself, so that it is no zombie while its output is
    /// still read.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Option<ExitStatus>> {
        let (process, status) = (&mut self.process, &mut self.status);
        match &mut self.news {
            News::Descriptor(descriptor) => {
                let ended = ready!(descriptor.poll_io(cx, Direction::Read, &mut |_| {
                    match look(process, status) {
                        true => Ok(Moved {
                            bytes: 0,
                            exhausted: false,
                        }),
                        false => Err(io::ErrorKind::WouldBlock.into()),
                    }
                }));
                if ended.is_err() {
                    // The runtime is going; so will whoever asks.
                    look(process, status);
                }
            }
            News::Looking(timer, next) => {
                while !look(process, status) {
                    ready!(timer.poll_until(cx, *next));
                    let now = self.runtime.now();
                    *next = now.checked_add(LOOK_AFTER).unwrap_or(now);
                }
            }
        }
        Poll::Ready(self.status)
    }

    /// Waits for the end of the child, whose pipes have been dropped. It gets `SIGTERM` after a first
    /// grace, and is killed after a second one or when `kill` comes.
    pub(crate) async fn finish(
        mut self: Box<Self>,
        kill: impl Future<Output = ()>,
    ) -> Option<ExitStatus> {
        let runtime = self.runtime.clone();
        let (first, whole) = (self.term_grace.min(self.kill_grace), self.kill_grace);
        let ending = async {
            let by_itself = timeout(&*runtime, first, poll_fn(|cx| self.poll_ended(cx))).await;
            if let Some(status) = by_itself {
                return Some(status);
            }
            if first < whole {
                self.terminate();
            }
            let rest = whole.saturating_sub(first);
            timeout(&*runtime, rest, poll_fn(|cx| self.poll_ended(cx))).await
        };
        let ended = ready_or(ending, kill).await.flatten();
        let status = if let Some(status) = ended {
            status
        } else {
            tracing::warn!(target: "sente::child", pid = self.pid, "killed: it did not end with its input");
            if let Some(process) = &mut self.process {
                // It may have ended by itself in this moment; either way it is waited for.
                let _ = process.kill();
            }
            poll_fn(|cx| self.poll_ended(cx)).await
        };
        if let Some(errors) = &mut self.errors {
            timeout(&*runtime, LAST_ERRORS, errors.done()).await;
        }
        status
    }

    /// Asks it to end.
    fn terminate(&self) {
        // Before it was waited for, nobody else can have its number.
        if let Some(process) = &self.process {
            tracing::debug!(target: "sente::child", pid = self.pid, "SIGTERM: it did not end with its input");
            let _ = kill_process(Pid::from_child(process), Signal::TERM);
        }
    }
}

/// Whether the child has ended.
fn look(process: &mut Option<std::process::Child>, status: &mut Option<ExitStatus>) -> bool {
    let Some(running) = process else {
        return true;
    };
    match running.try_wait() {
        Ok(None) => false,
        Ok(Some(ended)) => {
            *status = Some(ended);
            *process = None;
            true
        }
        // Somebody else has waited for it.
        Err(_) => {
            *process = None;
            true
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let _ = process.kill();
        if matches!(process.try_wait(), Ok(None)) {
            // It ends within moments; nobody should wait for them here, and somebody must.
            let waiting = std::thread::Builder::new().name("sente-reaper".to_owned());
            let _ = waiting.spawn(move || process.wait());
        }
    }
}

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Descriptor(_) => "Descriptor",
            Self::Looking(..) => "Looking",
        })
    }
}

/// Starts `words` and joins its standard input and output to a transport.
///
/// # Errors
/// What the system says when the command cannot be started.
pub(crate) fn spawn(
    runtime: &Arc<dyn Runtime>,
    words: &[String],
    options: &ChildOptions,
) -> io::Result<Transport> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
    let mut command = Command::new(program);
    options.apply(&mut command);
    let mut process = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = process.id();
    let (input, output) = (process.stdin.take(), process.stdout.take());
    let errors = process.stderr.take();
    // From here on it is killed if anything fails.
    let mut child = Child {
        news: news_of(&**runtime, &process),
        process: Some(process),
        pid,
        status: None,
        runtime: runtime.clone(),
        term_grace: options.term_grace,
        kill_grace: options.kill_grace,
        errors: None,
    };
    let missing = |name: &str| io::Error::other(format!("the child has no {name}"));
    let input = input.ok_or_else(|| missing("standard input"))?;
    let output = output.ok_or_else(|| missing("standard output"))?;
    let link = PipeLink::new(
        watched(&**runtime, output.into())?,
        watched(&**runtime, input.into())?,
    );
    if let Some(errors) = errors {
        let errors = PipeReader::new(watched(&**runtime, errors.into())?);
        child.errors = Some(Task::spawn(
            &**runtime,
            pass_on(errors, pid, options.stderr.clone()),
        ));
    }
    let mut transport = Transport::new(Box::new(link), program.clone());
    transport.child = Some(Box::new(child));
    Ok(transport)
}

fn watched(runtime: &dyn Runtime, pipe: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
    ioctl_fionbio(&pipe, true)?;
    runtime.watch(pipe)
}

/// A descriptor of the process, where the system has them.
fn news_of(runtime: &dyn Runtime, process: &std::process::Child) -> News {
    let descriptor = pidfd_open(Pid::from_child(process), PidfdFlags::empty());
    match descriptor
        .map_err(io::Error::from)
        .and_then(|fd| runtime.watch(fd))
    {
        Ok(descriptor) => News::Descriptor(descriptor),
        Err(_) => News::Looking(runtime.timer(), runtime.now()),
    }
}

/// Passes on what a child writes to its standard error, line by line, so that its pipe never fills.
async fn pass_on(mut errors: PipeReader, pid: u32, to: Option<StderrLines>) {
    let mut line = Vec::new();
    let mut chunk = BytesMut::new();
    while let Ok(read) = poll_fn(|cx| errors.poll_read(cx, &mut chunk)).await {
        for byte in chunk.split() {
            if byte == b'\n' || line.len() >= STDERR_LINE {
                tell(&mut line, pid, to.as_ref());
            }
            if byte != b'\n' {
                line.push(byte);
            }
        }
        chunk = BytesMut::new();
        if read == 0 {
            break;
        }
    }
    tell(&mut line, pid, to.as_ref());
}

fn tell(line: &mut Vec<u8>, pid: u32, to: Option<&StderrLines>) {
    if !line.is_empty() {
        let text = String::from_utf8_lossy(line);
        match to {
            Some(to) => to.show(pid, text.trim_end()),
            None => tracing::info!(target: "sente::child", pid, "{}", text.trim_end()),
        }
        line.clear();
    }
}
