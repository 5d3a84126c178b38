//! The reactor of async-io as a runtime: that of smol, async-std, and of plain threads.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_io::Async;

use super::{Descriptor, Direction, Moved, Runtime, Timer};

/// Any executor, with time and readiness by [`async_io`], whose reactor runs on a thread of its own
/// where no executor runs it.
///
/// ```
/// use std::sync::Arc;
/// use sente_adapters::{AsyncIo, ConnectOptions};
///
/// // async-std: `AsyncIo::new(|task| { async_std::task::spawn(task); })`
/// let executor = Arc::new(smol::Executor::new());
/// let mut options = ConnectOptions::default();
/// options.runtime = Some(Arc::new(AsyncIo::new(move |task| executor.spawn(task).detach())));
/// ```
#[derive(Clone)]
pub struct AsyncIo {
    spawn: Arc<Spawn>,
}

type Spawn = dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync;

impl AsyncIo {
    /// With tasks given to `spawn`, which lets each run to its end.
    pub fn new(
        spawn: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            spawn: Arc::new(spawn),
        }
    }

    /// With smol's global executor. The default where the caller is not on a tokio runtime.
    #[cfg(feature = "smol")]
    #[must_use]
    pub fn smol() -> Self {
        Self::new(|task| smol::spawn(task).detach())
    }

    /// With a thread for each task: one for each connection, and one for each listener. What
    /// [`blocking`](crate::blocking) uses.
    #[cfg(feature = "blocking")]
    #[must_use]
    pub fn threads() -> Self {
        Self::new(|task| {
            let thread = std::thread::Builder::new().name("sente".to_owned());
            // The task is dropped with the error, and tells those who wait.
            if let Err(error) = thread.spawn(|| async_io::block_on(task)) {
                tracing::error!(%error, "there is no thread for a task");
            }
        })
    }
}

impl fmt::Debug for AsyncIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncIo").finish_non_exhaustive()
    }
}

impl Runtime for AsyncIo {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        (self.spawn)(task);
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(ReactorTimer {
            timer: async_io::Timer::never(),
            at: None,
        })
    }

    fn watch(&self, fd: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
        Ok(Box::new(Watched(Async::new_nonblocking(fd)?)))
    }
}

struct ReactorTimer {
    timer: async_io::Timer,
    /// Until it has come.
    at: Option<Instant>,
}

impl Timer for ReactorTimer {
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        if self.at != Some(at) {
            self.timer.set_at(at);
            self.at = Some(at);
        }
        ready!(Pin::new(&mut self.timer).poll(cx));
        self.at = None;
        Poll::Ready(())
    }
}

struct Watched(Async<OwnedFd>);

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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
            match attempt(self.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result.map(|moved| moved.bytes)),
            }
            ready!(match direction {
                Direction::Read => self.0.poll_readable(cx),
                Direction::Write => self.0.poll_writable(cx),
            })?;
        }
    }
}
