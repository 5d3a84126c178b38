//! What the adapters need of a runtime, and which one they use.

#[cfg(feature = "async-io")]
mod async_io;
mod futures;
mod tasks;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "tokio")]
mod tokio_timer;
#[cfg(feature = "tokio")]
mod tokio_unix;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

#[cfg(feature = "async-io")]
pub use async_io::AsyncIo;
pub(crate) use futures::{Either, either, ready_or, sleep, timeout, yield_now};
pub(crate) use tasks::Task;
#[cfg(feature = "tokio")]
pub use tokio::Tokio;

/// What the adapters need of a runtime: tasks, time, and to be told when a descriptor is ready.
/// Sockets, pipes and child processes are the adapters' own on every runtime, so bringing one of
/// your own takes these few methods.
///
/// The handles and events are not bound to it: they may be awaited anywhere.
pub trait Runtime: Debug + Send + Sync + 'static {
    /// Runs `task` to its end, or drops it when the runtime ends. It begins soon, though not before
    /// this returns.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);

    /// A timer at no time.
    fn timer(&self) -> Box<dyn Timer>;

    /// Watches a non-blocking socket, pipe or process descriptor.
    ///
    /// # Errors
    /// What the system says: regular files cannot be watched, for one.
    fn watch(&self, fd: OwnedFd) -> io::Result<Box<dyn Descriptor>>;

    /// The same for a connected Unix socket. The system tells of room in one each time its peer has
    /// read, so a runtime that wakes for that should watch it for writing only once an attempt has
    /// found no room. Default: [`watch`](Self::watch).
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    fn watch_unix(&self, fd: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
        self.watch(fd)
    }

    /// The time its timers go by. Default: the system's.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Wakes a task at a time.
pub trait Timer: Send {
    /// Is ready from `at` on, and wakes the task of the last poll then. Each poll may name another
    /// time, and must not allocate for that.
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()>;
}

/// A descriptor that a runtime watches. Dropped, it is closed.
///
/// At most one task at a time waits in each direction.
pub trait Descriptor: AsFd + Send + Sync {
    /// Tries `attempt` until it gives anything but [`io::ErrorKind::WouldBlock`]; waits in between
    /// until the descriptor is ready.
    ///
    /// # Errors
    /// Those of `attempt`, and that the runtime is gone.
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        attempt: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Moved>,
    ) -> Poll<io::Result<usize>>;
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Direction {
    /// From the descriptor.
    Read,
    /// To the descriptor.
    Write,
}

/// What an attempt to read or write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct Moved {
    /// How many bytes.
    pub bytes: usize,
    /// Whether the system has shown that it takes or has no more for now, so that the runtime need
    /// not ask before it hears otherwise. `false` where that is not known.
    pub exhausted: bool,
}

/// The runtime that was chosen, or that of the caller.
///
/// # Errors
/// There is none.
pub(crate) fn chosen(own: Option<&Arc<dyn Runtime>>) -> io::Result<Arc<dyn Runtime>> {
    if let Some(own) = own {
        return Ok(own.clone());
    }
    #[cfg(feature = "tokio")]
    if let Ok(tokio) = Tokio::current() {
        return Ok(Arc::new(tokio));
    }
    #[cfg(feature = "smol")]
    return Ok(Arc::new(AsyncIo::smol()));
    #[cfg(not(feature = "smol"))]
    Err(io::Error::other(
        "no runtime: call this on a tokio runtime, or name one in the options",
    ))
}
