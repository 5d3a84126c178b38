//! Links over descriptors that a runtime watches: sockets, and pairs of pipes.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use sente_core::TransmitBuf;

use crate::link::Link;
use crate::runtime::{Descriptor, Direction, Moved};

/// How much one read of a busy connection takes at most.
const READ_BYTES: usize = 64 * 1024;

/// How much the first read after a pause takes at most. Both go over the stack, so that a
/// connection that waits holds no buffer, and one that seldom reads touches no more of the stack.
const FIRST_READ_BYTES: usize = 4096;

/// How many pieces one write gathers.
const PIECES: usize = 64;

/// A connected stream socket.
pub(crate) struct SocketLink {
    socket: Arc<dyn Descriptor>,
    is_busy: bool,
}

impl SocketLink {
    pub(crate) fn new(socket: Box<dyn Descriptor>) -> Self {
        Self {
            socket: Arc::from(socket),
            is_busy: false,
        }
    }
}

impl Link for SocketLink {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        poll_read(&*self.socket, &mut self.is_busy, cx, input)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        poll_write(&*self.socket, cx, out, send)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = rustix::net::shutdown(self.socket.as_fd(), Shutdown::Write);
        Poll::Ready(ended.map_err(io::Error::from))
    }

    fn socket(&self) -> Option<Weak<dyn Descriptor>> {
        Some(Arc::downgrade(&self.socket))
    }
}

/// A pipe to read.
pub(crate) struct PipeReader {
    pipe: Box<dyn Descriptor>,
    is_busy: bool,
}

impl PipeReader {
    pub(crate) fn new(pipe: Box<dyn Descriptor>) -> Self {
        Self {
            pipe,
            is_busy: false,
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        poll_read(&*self.pipe, &mut self.is_busy, cx, input)
    }
}

/// One pipe to read and one to write.
pub(crate) struct PipeLink {
    from: PipeReader,
    /// `None` once its end was written.
    to: Option<Box<dyn Descriptor>>,
}

impl PipeLink {
    pub(crate) fn new(from: Box<dyn Descriptor>, to: Box<dyn Descriptor>) -> Self {
        Self {
            from: PipeReader::new(from),
            to: Some(to),
        }
    }
}

impl Link for PipeLink {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.from.poll_read(cx, input)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        match &self.to {
            Some(to) => poll_write_pipe(&**to, cx, out),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to = None;
        Poll::Ready(Ok(()))
    }
}

fn poll_read(
    from: &dyn Descriptor,
    is_busy: &mut bool,
    cx: &mut Context<'_>,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let read = from.poll_io(cx, Direction::Read, &mut |fd| {
        let (moved, room) = if *is_busy {
            (read_much(fd, input)?, READ_BYTES)
        } else {
            (read_some(fd, input)?, FIRST_READ_BYTES)
        };
        *is_busy = moved >= FIRST_READ_BYTES;
        if moved == 0 && !is_hung_up(fd)? {
            // A named pipe that nobody has opened for writing yet.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Moved {
            bytes: moved,
            exhausted: moved > 0 && moved < room,
        })
    });
    if read.is_pending() {
        *is_busy = false;
    }
    read
}

fn read_some(fd: BorrowedFd<'_>, input: &mut BytesMut) -> io::Result<usize> {
    let mut scratch = [MaybeUninit::uninit(); FIRST_READ_BYTES];
    let (read, _) = rustix::io::read(fd, &mut scratch[..])?;
    input.extend_from_slice(read);
    Ok(read.len())
}

/// Apart, so that only who needs so much of the stack takes it.
#[inline(never)]
fn read_much(fd: BorrowedFd<'_>, input: &mut BytesMut) -> io::Result<usize> {
    let mut scratch = [MaybeUninit::uninit(); READ_BYTES];
    let (read, _) = rustix::io::read(fd, &mut scratch[..])?;
    input.extend_from_slice(read);
    Ok(read.len())
}

/// Whether a read of nothing means the end: on a named pipe it may also mean that it has not begun.
fn is_hung_up(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut asked = [PollFd::new(&fd, PollFlags::IN)];
    poll(
        &mut asked,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )?;
    Ok(asked.iter().any(|fd| !fd.revents().is_empty()))
}

/// Writes to a pipe, or to a socket in the place of one.
pub(crate) fn poll_write_pipe(
    to: &dyn Descriptor,
    cx: &mut Context<'_>,
    out: &mut TransmitBuf,
) -> Poll<io::Result<usize>> {
    poll_write(to, cx, out, write)
}

fn poll_write(
    to: &dyn Descriptor,
    cx: &mut Context<'_>,
    out: &mut TransmitBuf,
    write: fn(BorrowedFd<'_>, &[IoSlice<'_>]) -> rustix::io::Result<usize>,
) -> Poll<io::Result<usize>> {
    to.poll_io(cx, Direction::Write, &mut |fd| write_once(fd, out, write))
}

/// Writes to a socket what it takes at once, past whoever watches it.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] where it takes nothing now.
pub(crate) fn send_now(socket: &dyn Descriptor, out: &mut TransmitBuf) -> io::Result<()> {
    write_once(socket.as_fd(), out, send).map(|_| ())
}

fn write_once(
    fd: BorrowedFd<'_>,
    out: &mut TransmitBuf,
    write: fn(BorrowedFd<'_>, &[IoSlice<'_>]) -> rustix::io::Result<usize>,
) -> io::Result<Moved> {
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let filled = out.chunks_vectored(&mut pieces);
    let pieces = pieces.get(..filled).unwrap_or_default();
    let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
    let bytes = write(fd, pieces)?;
    out.advance(bytes);
    Ok(Moved {
        bytes,
        exhausted: bytes < wanted,
    })
}

/// Without a signal where the peer is gone, whatever the program does with its signals. Never waits.
fn send(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    match pieces {
        [one] => rustix::net::send(fd, one, flags),
        many => rustix::net::sendmsg(fd, many, &mut SendAncillaryBuffer::default(), flags),
    }
}

fn write(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
    match pieces {
        [one] => rustix::io::write(fd, one),
        many => rustix::io::writev(fd, many),
    }
}

impl std::fmt::Debug for dyn Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Descriptor").field(&self.as_fd()).finish()
    }
}
