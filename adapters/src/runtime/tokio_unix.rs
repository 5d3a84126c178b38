//! Connected Unix sockets on tokio: watched for room only once there was none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::tokio::settled;
use super::{Descriptor, Direction, Moved};

/// A Unix socket. `epoll` is told of room in it each time the peer has read, which would wake the
/// runtime for nobody after most messages. So it is asked of reads only, and writes are just tried,
/// until one finds no room.
pub(super) struct WatchedUnix {
    socket: Arc<OwnedFd>,
    runtime: Handle,
    watch: Mutex<Watch>,
}

struct Watch {
    /// `None` where the system has not taken it back.
    watched: Option<AsyncFd<Arc<OwnedFd>>>,
    /// Whether room is waited for, too: from the first write that found none on.
    for_writes: bool,
    /// Who waited to read last, until room is waited for.
    reader: Option<Waker>,
}

impl WatchedUnix {
    pub(super) fn new(socket: OwnedFd, runtime: &Handle) -> io::Result<Self> {
        let socket = Arc::new(socket);
        let watch = Watch {
            watched: Some(watched(&socket, runtime, Interest::READABLE)?),
            for_writes: false,
            reader: None,
        };
        Ok(Self {
            socket,
            runtime: runtime.clone(),
            watch: Mutex::new(watch),
        })
    }

    /// Has tokio tell of room, too. Who waits to read has to ask again: what was to wake it is gone.
    fn watch_for_writes(&self, watch: &mut Watch) -> io::Result<()> {
        // Nothing can be watched twice.
        watch.watched = None;
        let reader = watch.reader.take();
        let both = Interest::READABLE | Interest::WRITABLE;
        watch.watched = Some(watched(&self.socket, &self.runtime, both)?);
        watch.for_writes = true;
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }
}

fn watched(
    socket: &Arc<OwnedFd>,
    runtime: &Handle,
    interest: Interest,
) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    let _entered = runtime.enter();
    #[expect(
        deprecated,
        reason = "what came for it is unsafe, and asks for what an `Arc<OwnedFd>` is: one open \
                  descriptor for as long as it lives"
    )]
    AsyncFd::with_interest(socket.clone(), interest)
}

impl AsFd for WatchedUnix {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Descriptor for WatchedUnix {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        attempt: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Moved>,
    ) -> Poll<io::Result<usize>> {
        // Nothing that panics is done under it but by `attempt`.
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if direction == Direction::Write && !watch.for_writes {
            match attempt(self.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch_for_writes(&mut watch)?;
                }
                attempted => return Poll::Ready(attempted.map(|moved| moved.bytes)),
            }
        }
        let watch = &mut *watch;
        let Some(watched) = &watch.watched else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        loop {
            let ready = match direction {
                Direction::Read => watched.poll_read_ready(cx),
                Direction::Write => watched.poll_write_ready(cx),
            };
            let Poll::Ready(guard) = ready else {
                if !watch.for_writes {
                    match &mut watch.reader {
                        Some(reader) => reader.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                }
                return Poll::Pending;
            };
            if let Some(result) = settled(attempt(self.as_fd()), &mut guard?) {
                return Poll::Ready(result);
            }
        }
    }
}
