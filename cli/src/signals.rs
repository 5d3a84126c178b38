//! SIGINT and SIGTERM: told to the command at once, and enforced within five seconds.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{Exit, Failure};

/// Says whether the process has been asked to end.
#[derive(Clone, Debug)]
pub(crate) struct Signals(watch::Receiver<bool>);

impl Signals {
    /// Starts to listen. A command that has not ended `GRACE` after the first signal is ended the
    /// hard way: its standard output may be a pipe nobody reads.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::other(format!("cannot listen for signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_replace(true);
            // A second signal changes nothing: `timeout` sends each one twice.
            tokio::time::sleep(GRACE).await;
            std::process::exit(i32::from(Exit::Failure.code()));
        });
        Ok(Self(receiver))
    }

    /// Waits until the process is asked to end.
    ///
    /// # Cancel safety
    /// Safe: it only watches.
    pub(crate) async fn asked(&mut self) {
        // The sender lives as long as the process.
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the process has been asked to end already.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

/// How long an orderly end may take: under the five seconds that are promised.
const GRACE: Duration = Duration::from_millis(4_500);

/// How long connections may drain after a signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(3);
