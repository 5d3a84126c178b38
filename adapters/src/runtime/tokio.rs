//! tokio as a runtime.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::Handle;

use super::tokio_timer::{Timers, TokioTimer};
use super::tokio_unix::WatchedUnix;
use super::{Descriptor, Direction, Moved, Runtime, Timer};

/// A tokio runtime with its drivers for I/O and time on. The default where the caller runs on one.
/// Its time follows tokio's paused clock in tests.
#[derive(Clone, Debug)]
pub struct Tokio {
    timers: Arc<Timers>,
}

impl Tokio {
    /// The runtime `handle` belongs to, from wherever it is used.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self {
            timers: Arc::new(Timers::new(handle)),
        }
    }

    fn handle(&self) -> &Handle {
        self.timers.runtime()
    }

    /// The runtime of the caller.
    ///
    /// # Errors
    /// There is none.
    pub fn current() -> io::Result<Self> {
        Handle::try_current()
            .map(Self::new)
            .map_err(io::Error::other)
    }

    /// A timer at no time.
    pub(crate) fn own_timer(&self) -> TokioTimer {
        TokioTimer::new(self.timers.clone())
    }
}

impl Runtime for Tokio {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.handle().spawn(task);
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(self.own_timer())
    }

    fn watch(&self, fd: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
        let _entered = self.handle().enter();
        #[expect(
            deprecated,
            reason = "what came for it is unsafe, and asks for what an `OwnedFd` is: one open \
                      descriptor for as long as it lives"
        )]
        let watched = AsyncFd::new(fd)?;
        Ok(Box::new(Watched(watched)))
    }

    fn watch_unix(&self, fd: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
        Ok(Box::new(WatchedUnix::new(fd, self.handle())?))
    }

    fn now(&self) -> Instant {
        // Asked for often, and a paused clock is known where tests ask: on the runtime itself.
        tokio::time::Instant::now().into_std()
    }
}

struct Watched(AsyncFd<OwnedFd>);

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl Descriptor for Watched {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        attempt: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Moved>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(match direction {
                Direction::Read => self.0.poll_read_ready(cx),
                Direction::Write => self.0.poll_write_ready(cx),
            })?;
            if let Some(result) = settled(attempt(self.as_fd()), &mut guard) {
                return Poll::Ready(result);
            }
        }
    }
}

/// What an attempt came to, if that is not that it has to wait. tokio is told what it showed.
pub(super) fn settled<T: AsRawFd>(
    attempted: io::Result<Moved>,
    guard: &mut AsyncFdReadyGuard<'_, T>,
) -> Option<io::Result<usize>> {
    match attempted {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            guard.clear_ready();
            None
        }
        Err(error) => Some(Err(error)),
        Ok(moved) => {
            if moved.exhausted {
                guard.clear_ready();
            }
            Some(Ok(moved.bytes))
        }
    }
}
