//! Being a child: this process's own standard input and output carry the frames.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use tokio::net::unix::pipe;

use crate::transport::{Reader, Transport, Writer};

/// Takes standard input and output for a link. Standard output is moved aside and points to
/// standard error from then on, so that a library's `println!` becomes a log line and not a frame.
///
/// # Errors
/// What the system says if the descriptors are closed; that they are taken, the second time.
pub(crate) fn take() -> io::Result<Transport> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        // Standard output is standard error by now.
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "standard input and output carry a link already",
        ));
    }
    let taken = take_once();
    TAKEN.store(taken.is_ok(), Ordering::Relaxed);
    taken
}

fn take_once() -> io::Result<Transport> {
    // Numbers from 3 on, clear of the three standard ones.
    let output = fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let input = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    let mut transport =
        Transport::new((tokio::io::empty(), tokio::io::empty()), "stdio".to_owned());
    transport.reader = reader(input)?;
    transport.writer = writer(output)?;
    transport.buffers_writes = true;
    Ok(transport)
}

/// Pipes and sockets are read as they become ready. Anything else (a terminal, a file) is read on
/// a thread of tokio's, which a runtime waits for when it shuts down: end the process then.
fn reader(fd: OwnedFd) -> io::Result<Reader> {
    Ok(match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::Fifo => Box::new(pipe::Receiver::from_owned_fd(fd)?),
        FileType::Socket => Box::new(socket(fd)?),
        _ => Box::new(tokio::fs::File::from_std(File::from(fd))),
    })
}

fn writer(fd: OwnedFd) -> io::Result<Writer> {
    Ok(match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
        FileType::Fifo => Box::new(pipe::Sender::from_owned_fd(fd)?),
        FileType::Socket => Box::new(socket(fd)?),
        _ => Box::new(tokio::fs::File::from_std(File::from(fd))),
    })
}

/// Node gives its children sockets for pipes.
fn socket(fd: OwnedFd) -> io::Result<tokio::net::UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}
