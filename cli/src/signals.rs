//! SIGINT, SIGTERM and SIGHUP: told to the command at once, and enforced when its time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::connect::now;
use crate::exit::{Exit, Failure};
use crate::output::say;

/// Says whether the process has been asked to end.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    asked: watch::Receiver<bool>,
    /// The milliseconds an orderly end may take.
    grace: Arc<AtomicU64>,
}

/// What SIGHUP is to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hangup {
    /// Its terminal is gone: it is to end, unless it was started to outlive that.
    Ends,
    /// The command listens for it itself.
    IsItsOwn,
}

impl Signals {
    /// Starts to listen. A command that has not ended `GRACE` after the first signal is ended the
    /// hard way: its standard output may be a pipe nobody reads. A second signal does that at once.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub(crate) fn listen(hangup: Hangup) -> Result<Self, Failure> {
        let mut hung_up = match hangup {
            Hangup::Ends if !ignores_hangups() => Some(listen_to(SignalKind::hangup())?),
            _ => None,
        };
        let mut terminate = listen_to(SignalKind::terminate())?;
        let mut interrupt = listen_to(SignalKind::interrupt())?;
        let (sender, asked) = watch::channel(false);
        let grace = Arc::new(AtomicU64::new(GRACE));
        let signals = Self {
            asked,
            grace: grace.clone(),
        };
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = next(hung_up.as_mut()) => {}
            }
            sender.send_replace(true);
            // `timeout` sends each signal twice, and a terminal may: those are one.
            tokio::time::sleep(TOGETHER).await;
            let _ = now(terminate.recv());
            let _ = now(interrupt.recv());
            say!("ending; a second signal ends it at once");
            let rest = Duration::from_millis(grace.load(Ordering::Relaxed));
            tokio::select! {
                _ = terminate.recv() => say!("ended at once by a second signal"),
                _ = interrupt.recv() => say!("ended at once by a second signal"),
                () = tokio::time::sleep(rest.saturating_sub(TOGETHER)) => {}
            }
            std::process::exit(i32::from(Exit::Failure.code()));
        });
        Ok(signals)
    }

    /// Waits until the process is asked to end.
    ///
    /// # Cancel safety
    /// Safe: it only watches.
    pub(crate) async fn asked(&mut self) {
        // The sender lives as long as the process.
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the process has been asked to end already.
    pub(crate) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Lets an orderly end whose connections may drain for so long take its time.
    pub(crate) fn allow(&self, drain: Duration) {
        let drain = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
        let grace = drain.saturating_add(AROUND).max(GRACE);
        self.grace.store(grace, Ordering::Relaxed);
    }
}

/// The next of these signals; never where none is listened for.
async fn next(signals: Option<&mut Signal>) {
    let next = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if next.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Whether the process was started to outlive its terminal, as `nohup` does. Listening for the signal
/// changes the answer.
pub(crate) fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| {
        let mask = line.strip_prefix("SigIgn:").map(str::trim);
        let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok());
        // Of the signals, which count from 1, it is the first.
        mask.is_some_and(|mask| mask & 1 == 1)
    })
}

/// Starts to listen for a signal.
///
/// # Errors
/// If its handler cannot be installed.
pub(crate) fn listen_to(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::other(format!("cannot listen for signals: {error}")))
}

/// How long an orderly end may take, in milliseconds: under the five seconds that are promised.
const GRACE: u64 = 4_500;

/// How much longer an orderly end may take than its connections drain, in milliseconds.
const AROUND: u64 = 1_500;

/// Within how long signals count as one.
const TOGETHER: Duration = Duration::from_millis(200);

/// How long connections may drain after a signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(3);
