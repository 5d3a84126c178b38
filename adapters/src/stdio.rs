//! Being a child: this process's own standard input and output carry the frames.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustix::fs::{FileType, fstat};
use rustix::io::{fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::net::Shutdown;
use sente_core::TransmitBuf;

use crate::descriptors::{PipeReader, poll_write_pipe};
use crate::link::{Link, Transport};
use crate::runtime::{Descriptor, Runtime};
use crate::threads::{ThreadReader, ThreadWriter};

/// Takes standard input and output for a link. Standard output is moved aside and points to
/// standard error from then on, so that a library's `println!` becomes a log line and not a frame.
///
/// # Errors
/// What the system says if the descriptors are closed; that they are taken, the second time.
pub(crate) fn take(runtime: &dyn Runtime) -> io::Result<Transport> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        // Standard output is standard error by now.
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "standard input and output carry a link already",
        ));
    }
    let taken = take_once(runtime);
    TAKEN.store(taken.is_ok(), Ordering::Relaxed);
    taken
}

fn take_once(runtime: &dyn Runtime) -> io::Result<Transport> {
    // Numbers from 3 on, clear of the three standard ones.
    let output = fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let input = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    let link = StdioLink {
        from: reader(runtime, input)?,
        to: writer(runtime, output)?,
    };
    Ok(Transport::new(Box::new(link), "stdio".to_owned()))
}

/// Standard input and output. Pipes and sockets (Node gives its children sockets for pipes) are read
/// and written as they become ready, anything else on threads.
struct StdioLink {
    from: From,
    to: To,
}

enum From {
    Thread(ThreadReader),
    Watched(PipeReader),
}

enum To {
    Ended,
    Pipe(Box<dyn Descriptor>),
    Socket(Box<dyn Descriptor>),
    Thread(ThreadWriter),
}

fn reader(runtime: &dyn Runtime, fd: OwnedFd) -> io::Result<From> {
    Ok(match file_type(&fd)? {
        FileType::Fifo | FileType::Socket => From::Watched(PipeReader::new(watched(runtime, fd)?)),
        _ => From::Thread(ThreadReader::start(File::from(fd))?),
    })
}

fn writer(runtime: &dyn Runtime, fd: OwnedFd) -> io::Result<To> {
    Ok(match file_type(&fd)? {
        FileType::Fifo => To::Pipe(watched(runtime, fd)?),
        FileType::Socket => To::Socket(watched(runtime, fd)?),
        _ => To::Thread(ThreadWriter::start(File::from(fd))?),
    })
}

fn file_type(fd: &OwnedFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

fn watched(runtime: &dyn Runtime, fd: OwnedFd) -> io::Result<Box<dyn Descriptor>> {
    ioctl_fionbio(&fd, true)?;
    runtime.watch(fd)
}

impl Link for StdioLink {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        match &mut self.from {
            From::Thread(reader) => reader.poll_read(cx, input),
            From::Watched(reader) => reader.poll_read(cx, input),
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        match &mut self.to {
            To::Ended => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            To::Pipe(to) | To::Socket(to) => poll_write_pipe(&**to, cx, out),
            To::Thread(writer) => writer.poll_write(cx, out),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.to {
            To::Thread(writer) => writer.poll_flush(cx),
            To::Ended | To::Pipe(_) | To::Socket(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match &mut self.to {
            To::Thread(writer) => std::task::ready!(writer.poll_flush(cx)),
            To::Socket(to) => Ok(rustix::net::shutdown(to.as_fd(), Shutdown::Write)?),
            To::Ended | To::Pipe(_) => Ok(()),
        };
        self.to = To::Ended;
        Poll::Ready(ended)
    }
}
