//! A link in memory.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use sente_core::TransmitBuf;

use crate::link::Link;

/// How much each direction holds by default, in bytes.
const CAPACITY: usize = 64 * 1024;

/// One end of a link in memory, for tests and for both sides in one process. Dropped, the other end
/// reads to the end of what was written, and can write no more.
///
/// ```
/// use sente_adapters::{Acceptor, ConnectOptions, Duplex, ListenOptions, Url, connect_over};
/// use sente_core::Accept;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let url: Url = "ws://in.memory/chsk".parse()?;
/// let (ours, theirs) = Duplex::pair();
/// let acceptor = Acceptor::new(&url, ListenOptions::default())?;
/// tokio::spawn(async move {
///     if let Ok(Some(incoming)) = acceptor.take(theirs, "a friend").await {
///         let _ = incoming.accept(Accept::new("ada")).await;
///     }
/// });
/// let (handle, _events) = connect_over(&url, ours, &ConnectOptions::default()).await?;
/// assert!(handle.opened().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Duplex {
    from: Arc<Mutex<Pipe>>,
    to: Arc<Mutex<Pipe>>,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    bytes: BytesMut,
    capacity: usize,
    /// No more will be written.
    is_ended: bool,
    /// No more will be read.
    is_broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Duplex {
    /// Two ends that hold 64 KiB in each direction.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        Self::with_capacity(CAPACITY)
    }

    /// Two ends that hold `capacity` bytes in each direction, at least one.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> (Self, Self) {
        let pipe = || {
            Arc::new(Mutex::new(Pipe {
                capacity: capacity.max(1),
                ..Pipe::default()
            }))
        };
        let (one, other) = (pipe(), pipe());
        let ours = Self {
            from: one.clone(),
            to: other.clone(),
        };
        let theirs = Self {
            from: other,
            to: one,
        };
        (ours, theirs)
    }
}

impl Link for Duplex {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut pipe = lock(&self.from);
        if pipe.bytes.is_empty() && !pipe.is_ended {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Idle, it holds nothing.
        let bytes = std::mem::take(&mut pipe.bytes);
        let read = bytes.len();
        input.unsplit(bytes);
        let writer = pipe.writer.take();
        drop(pipe);
        wake(writer);
        Poll::Ready(Ok(read))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        let mut pipe = lock(&self.to);
        if pipe.is_broken || pipe.is_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len());
        if room == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut pieces = [IoSlice::new(&[]); 16];
        let filled = out.chunks_vectored(&mut pieces);
        let mut written: usize = 0;
        for piece in pieces.iter().take(filled) {
            let taken = piece.len().min(room.saturating_sub(written));
            pipe.bytes
                .extend_from_slice(piece.get(..taken).unwrap_or_default());
            written = written.saturating_add(taken);
        }
        out.advance(written);
        let reader = pipe.reader.take();
        drop(pipe);
        wake(reader);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        end(&self.to, |pipe| pipe.is_ended = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        end(&self.to, |pipe| pipe.is_ended = true);
        end(&self.from, |pipe| {
            pipe.is_broken = true;
            pipe.bytes = BytesMut::new();
        });
    }
}

fn end(pipe: &Mutex<Pipe>, how: impl FnOnce(&mut Pipe)) {
    let mut pipe = lock(pipe);
    how(&mut pipe);
    let wakers = (pipe.reader.take(), pipe.writer.take());
    drop(pipe);
    wake(wakers.0);
    wake(wakers.1);
}

/// Never under the lock: a waker may run what asks for it.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}
