//! `sente connect`: events as EDN lines in, received events as EDN lines out.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sente_adapters::Handle;
use sente_core::{CloseReason, ConnectionEvent, Event, SendError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::args::ConnectArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::lines::{Line, Lines};
use crate::link::{self, Link, Way, exit_status, mention};
use crate::output::{put, say};
use crate::signals::{DRAIN, Signals};
use crate::text::{read_event, show_event};

/// Talks to a peer until the input and the link have ended.
pub(crate) async fn run(args: ConnectArgs, mut signals: Signals) -> Outcome {
    let way = Way::of(&args.link.url);
    if way == Way::Stdio {
        return Err(Failure::usage(
            "stdio: makes standard input and output the link itself, and connect needs them for \
             its lines; use `sente call stdio:`, `sente send stdio:` or `sente serve --stdio`",
        ));
    }
    let deadline = Instant::now() + args.timeout;
    let link = tokio::select! {
        link = Link::open(&args.link, deadline) => link?,
        () = signals.asked() => return Ok(Exit::Success),
    };
    let sender = tokio::spawn(send_lines(link.handle.clone(), read_stdin()));
    let talk = Talk {
        link,
        sender,
        way,
        linger: args.linger.unwrap_or_else(|| way.linger()),
        signals,
        bad_input: false,
        said_calls: false,
    };
    talk.run().await
}

/// The receiving side of a talk, and its end.
struct Talk {
    link: Link,
    /// Sends the lines; ends at the end of the input with whether a line was bad.
    sender: JoinHandle<Result<bool, Failure>>,
    way: Way,
    linger: Duration,
    signals: Signals,
    bad_input: bool,
    said_calls: bool,
}

/// Where a talk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Lines may still come.
    Talking,
    /// The input has ended; until then the peer may speak.
    Lingering(Instant),
    /// The link closes; at that time it is cut.
    Closing(Instant),
}

impl Talk {
    async fn run(mut self) -> Outcome {
        let mut stage = Stage::Talking;
        let mut asked = false;
        let mut lost = false;
        let mut cut = false;
        let mut sender_failure = None;
        let reason = loop {
            let until = match stage {
                Stage::Talking => None,
                Stage::Lingering(until) | Stage::Closing(until) => Some(until),
            };
            let mut signals = self.signals.clone();
            tokio::select! {
                event = self.link.next() => {
                    let Some(event) = event else { break CloseReason::Eof };
                    let mut batch = String::new();
                    let mut end = self.take(event, &mut batch, &mut lost);
                    while end.is_none() && batch.len() < BATCH {
                        let Some(Some(event)) = now(self.link.next()) else { break };
                        end = self.take(event, &mut batch, &mut lost);
                    }
                    if !print(&batch)? {
                        // Nobody reads the output any more.
                        self.link.handle.close();
                        return Ok(Exit::Success);
                    }
                    if let Some(reason) = end {
                        break reason;
                    }
                }
                sent = &mut self.sender, if stage == Stage::Talking => {
                    match sent {
                        Ok(Ok(bad)) => self.bad_input = bad,
                        Ok(Err(failure)) => sender_failure = Some(failure),
                        Err(error) => sender_failure = Some(Failure::other(error)),
                    }
                    let until = Instant::now() + self.linger;
                    if self.way != Way::WebSocket {
                        // The half-close tells the peer; this side reads on.
                        self.link.handle.drain(self.linger + DRAIN);
                    }
                    stage = Stage::Lingering(until);
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    match stage {
                        Stage::Lingering(_) if self.way == Way::WebSocket => {
                            self.link.handle.drain(DRAIN);
                            stage = Stage::Closing(Instant::now() + DRAIN);
                        }
                        _ => {
                            tracing::info!("the peer had not closed when the linger time was over");
                            self.link.handle.close();
                            cut = true;
                            break CloseReason::Requested;
                        }
                    }
                }
                () = signals.asked(), if !asked => {
                    asked = true;
                    self.sender.abort();
                    let drain = if self.way == Way::Child { CHILD_DRAIN } else { DRAIN };
                    self.link.handle.drain(drain);
                    stage = Stage::Closing(Instant::now() + drain);
                }
            }
        };
        let in_order = !cut && !asked;
        self.finish(&reason, in_order, lost, sender_failure).await
    }

    /// What the end of the link means for the exit code.
    async fn finish(
        self,
        reason: &CloseReason,
        in_order: bool,
        lost: bool,
        failure: Option<Failure>,
    ) -> Outcome {
        let peer = self.link.handle.peer().to_owned();
        if !in_order && self.way == Way::Child {
            // It has its time to end by itself, and then by a signal.
            link::close(&self.link.handle, Duration::ZERO).await;
        }
        if !reason.is_clean() {
            return Err(Failure::closed(format!("lost {peer}: {reason}")));
        }
        if in_order {
            let end = tokio::time::timeout(DRAIN, self.link.handle.ended()).await;
            if let Some(status) = end.ok().as_ref().and_then(exit_status) {
                return Err(Failure::closed(format!("{peer} ended{status}")));
            }
        }
        tracing::info!("the talk with {peer} is over: {reason}");
        match failure {
            Some(failure) => Err(failure),
            None if lost => Err(Failure::closed("not everything was delivered")),
            None if self.bad_input => Ok(Exit::Usage),
            None => Ok(Exit::Success),
        }
    }

    /// Takes one thing that happened; what is to be printed is appended to `batch`.
    fn take(
        &mut self,
        event: ConnectionEvent,
        batch: &mut String,
        lost: &mut bool,
    ) -> Option<CloseReason> {
        match event {
            ConnectionEvent::Message(message) => {
                batch.push_str(&show_event(&message.event));
                batch.push('\n');
                if let Some(token) = message.reply {
                    self.link.handle.forget(token);
                    if !std::mem::replace(&mut self.said_calls, true) {
                        say!("the peer asks for replies; they are printed and not answered");
                    }
                }
            }
            ConnectionEvent::Closed(reason) => return Some(reason),
            ConnectionEvent::PeerFinished => {
                // Nothing more will come: what is still queued goes out, then it is over.
                self.link.handle.drain(self.linger.max(DRAIN));
            }
            event => {
                *lost |= matches!(event, ConnectionEvent::Undelivered(_));
                mention(&self.link.handle, event);
            }
        }
        None
    }
}

/// Sends what stands in the lines, in order, as fast as the peer takes it. Whether a line was bad.
pub(crate) async fn send_lines(
    sink: impl Sink,
    mut lines: mpsc::Receiver<io::Result<Line>>,
) -> Result<bool, Failure> {
    let mut bad = false;
    let mut number = 0u64;
    while let Some(line) = lines.recv().await {
        number += 1;
        let line = line.map_err(|error| Failure::other(format!("cannot read input: {error}")))?;
        let event = match line {
            Line::Bytes(line) => read_event(&line),
            Line::TooLong(length) => Err(format!(
                "the line has {length} bytes, more than the {LINE_LIMIT} allowed"
            )),
        };
        let sent = match event {
            Ok(None) => continue,
            Ok(Some(event)) => sink.send(event).await?,
            Err(message) => Err(message),
        };
        if let Err(message) = sent {
            bad = true;
            say!("line {number}: {message}");
        }
    }
    // What has been queued goes out before the time to linger begins.
    sink.flush().await?;
    Ok(bad)
}

/// Where the lines go.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Sends one event; the inner error is of this event alone.
    fn send(
        &self,
        event: Event,
    ) -> impl Future<Output = Result<Result<(), String>, Failure>> + Send;

    /// Waits until everything sent has been written.
    fn flush(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl Sink for Handle {
    async fn send(&self, event: Event) -> Result<Result<(), String>, Failure> {
        match Self::send(self, event).await {
            Ok(()) => Ok(Ok(())),
            Err(SendError::NotOpen(_)) => {
                let reason = link::why_closed(self).await;
                Err(Failure::closed(format!(
                    "the connection ended before everything was sent: {reason}"
                )))
            }
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    async fn flush(&self) -> Result<(), Failure> {
        if Self::flush(self).await.is_ok() {
            return Ok(());
        }
        let reason = link::why_closed(self).await;
        Err(Failure::closed(format!(
            "the connection ended before everything was written: {reason}"
        )))
    }
}

/// Reads standard input on a thread of its own, which the end of the process does not wait for.
pub(crate) fn read_stdin() -> mpsc::Receiver<io::Result<Line>> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut lines = Lines::new(io::stdin().lock(), LINE_LIMIT);
        while let Some(line) = lines.next().transpose() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                break;
            }
        }
    });
    receiver
}

/// Prints whole lines and flushes. `false` if nobody reads them.
pub(crate) fn print(lines: &str) -> Result<bool, Failure> {
    if lines.is_empty() {
        return Ok(true);
    }
    put(lines.as_bytes()).map_err(|error| Failure::other(format!("cannot print: {error}")))
}

/// What a future has ready at once.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// How long a child may go on after a signal before its pipes are closed: it may take as long again
/// for either grace after that, and all of it within the five seconds that are promised.
const CHILD_DRAIN: Duration = Duration::from_secs(1);

/// How many bytes are collected before they are printed.
pub(crate) const BATCH: usize = 64 * 1024;

/// The longest line taken, in bytes: sixteen times the largest frame, so that the error about an
/// event too large comes from where it belongs.
const LINE_LIMIT: usize = 16 * 1024 * 1024;
