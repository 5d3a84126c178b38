//! One client connection: how it begins, what it still has to send, what has come back.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use peer_shapes::frame;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use crate::counter::{Counter, What};
use crate::protocol::{MASK, Opening, Requests};
use crate::server::{Address, Server};

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    io: Io,
    requests: Arc<Requests>,
    pub(crate) counter: Counter,
    /// Which request is next, and how much of it has been sent.
    next: usize,
    partial: usize,
    /// How many requests are to be sent now.
    pub(crate) to_send: usize,
    /// All that was sent and read since this was last looked at, in bytes.
    pub(crate) moved: usize,
    /// When those under way were sent, in nanoseconds of the round.
    pub(crate) sent_at: VecDeque<u64>,
}

#[derive(Debug)]
enum Io {
    Socket(OwnedFd),
    Pipes { from: OwnedFd, to: OwnedFd },
}

impl Connection {
    /// Connects to a server, or takes the pipes of a child, upgrades and shakes hands.
    ///
    /// # Errors
    /// What the system or the server says.
    pub(crate) fn open(
        server: &mut Server,
        requests: &Arc<Requests>,
        what: What,
    ) -> io::Result<Self> {
        if server.address != Address::Child {
            return Self::connect(&server.address, requests, what);
        }
        let mut pipes = Pipes::of(&mut server.child)?;
        open(&mut pipes, requests)?;
        let (from, to): (OwnedFd, OwnedFd) = (pipes.from.into(), pipes.to.into());
        fcntl_setfl(&to, fcntl_getfl(&to)? | OFlags::NONBLOCK)?;
        Ok(Self::new(Io::Pipes { from, to }, requests, what))
    }

    /// Connects, upgrades and shakes hands.
    ///
    /// # Errors
    /// What the system or the server says.
    pub(crate) fn connect(
        address: &Address,
        requests: &Arc<Requests>,
        what: What,
    ) -> io::Result<Self> {
        let socket = match address {
            Address::Tcp(address) => {
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                open(&mut stream, requests)?;
                stream.set_read_timeout(None)?;
                stream.into()
            }
            Address::Unix(path) => {
                let mut stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                open(&mut stream, requests)?;
                stream.set_read_timeout(None)?;
                stream.into()
            }
            Address::Child => return Err(io::Error::other("a child has no address")),
        };
        Ok(Self::new(Io::Socket(socket), requests, what))
    }

    fn new(io: Io, requests: &Arc<Requests>, what: What) -> Self {
        Self {
            io,
            requests: requests.clone(),
            counter: Counter::new(requests.clone(), what),
            next: 0,
            partial: 0,
            to_send: 0,
            moved: 0,
            sent_at: VecDeque::new(),
        }
    }

    /// Has the system keep no more than a few KB of what is not read.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn keep_little(&self) -> io::Result<()> {
        if let Io::Socket(socket) = &self.io {
            sockopt::set_socket_recv_buffer_size(socket, 4096)?;
        }
        Ok(())
    }

    /// What to wait on for reading.
    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        match &self.io {
            Io::Socket(socket) => socket.as_fd(),
            Io::Pipes { from, .. } => from.as_fd(),
        }
    }

    fn writer(&self) -> BorrowedFd<'_> {
        match &self.io {
            Io::Socket(socket) => socket.as_fd(),
            Io::Pipes { to, .. } => to.as_fd(),
        }
    }

    /// Hands over as much as the system takes now. `false` while something is left.
    ///
    /// # Errors
    /// The server is gone.
    pub(crate) fn pump(&mut self) -> io::Result<bool> {
        while self.to_send > 0 {
            let starts = &self.requests.starts;
            let last = (self.next + self.to_send).min(self.requests.count());
            let bytes = &self.requests.bytes[starts[self.next] + self.partial..starts[last]];
            let sent = match &self.io {
                Io::Socket(socket) => {
                    send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
                }
                Io::Pipes { to, .. } => rustix::io::write(to, bytes),
            };
            match sent.map_err(io::Error::from) {
                Ok(sent) => self.has_sent(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn has_sent(&mut self, mut sent: usize) {
        self.moved += sent;
        let starts = &self.requests.starts;
        while sent > 0 {
            let rest = starts[self.next + 1] - starts[self.next] - self.partial;
            if sent < rest {
                self.partial += sent;
                return;
            }
            sent -= rest;
            self.partial = 0;
            self.next = (self.next + 1) % self.requests.count();
            self.to_send -= 1;
        }
    }

    /// Reads what is there: `None` if that is nothing. With `wait` it waits for something; where
    /// more is to be sent, it sends meanwhile.
    ///
    /// # Errors
    /// The server is gone.
    pub(crate) fn read(&mut self, buffer: &mut [u8], wait: bool) -> io::Result<Option<usize>> {
        let unsent = self.to_send > 0;
        if unsent && wait {
            let mut both = [
                PollFd::from_borrowed_fd(self.reader(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.writer(), PollFlags::OUT),
            ];
            poll(&mut both, Some(&patience()))?;
            if !both[0].revents().contains(PollFlags::IN) {
                return Ok(None);
            }
        }
        let read = match &self.io {
            Io::Socket(socket) => {
                let flags = if wait {
                    RecvFlags::empty()
                } else {
                    RecvFlags::DONTWAIT
                };
                recv(socket, buffer, flags).map(|(read, _)| read)
            }
            Io::Pipes { from, .. } => rustix::io::read(from, buffer),
        };
        match read.map_err(io::Error::from) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Counts the replies in what was read, and answers the server's own pings.
    ///
    /// # Errors
    /// The server is gone.
    pub(crate) fn count(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.moved += bytes.len();
        let counted = self.counter.count(bytes);
        for _ in 0..std::mem::take(&mut self.counter.pings) {
            // In the middle of a request it would be nonsense; another ping comes.
            if self.partial == 0 {
                self.send_now(&self.requests.pong)?;
            }
        }
        Ok(counted)
    }

    /// Sends all of `bytes`, waiting for room.
    ///
    /// # Errors
    /// The server is gone.
    pub(crate) fn send_now(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = match &self.io {
                Io::Socket(socket) => send(socket, bytes, SendFlags::NOSIGNAL),
                Io::Pipes { to, .. } => rustix::io::write(to, bytes),
            };
            match sent.map_err(io::Error::from) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut room = [PollFd::from_borrowed_fd(self.writer(), PollFlags::OUT)];
                    poll(&mut room, Some(&patience()))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How long anything may take that takes no time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The same for the system.
pub(crate) const fn patience() -> Timespec {
    Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

struct Pipes {
    from: std::process::ChildStdout,
    to: std::process::ChildStdin,
}

impl Pipes {
    fn of(child: &mut Child) -> io::Result<Self> {
        match (child.stdout.take(), child.stdin.take()) {
            (Some(from), Some(to)) => Ok(Self { from, to }),
            _ => Err(io::Error::other("a child has one connection only")),
        }
    }
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn open(stream: &mut dyn Stream, requests: &Arc<Requests>) -> io::Result<()> {
    match &requests.opening {
        Opening::None => Ok(()),
        Opening::Upgrade {
            path,
            then,
            deflate,
        } => {
            let extensions = if *deflate { DEFLATE } else { "" };
            let rest = upgrade(stream, path, extensions)?;
            // Without it no frame would be read.
            assert!(!deflate || rest.0, "the server does not compress");
            let rest = rest.1;
            messages(stream, requests, &rest, *then)
        }
        Opening::Hello(hello) => {
            stream.write_all(hello)?;
            messages(stream, requests, b"", 2)
        }
        Opening::SocketIo => socket_io(stream, requests),
    }
}

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; \
     server_no_context_takeover\r\n";

/// Asks for a WebSocket with these headers more. Whether the answer speaks of permessage-deflate, and
/// what came behind it.
fn upgrade(stream: &mut dyn Stream, path: &str, more: &str) -> io::Result<(bool, Vec<u8>)> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut came = Vec::new();
    loop {
        read_more(stream, &mut came)?;
        let Some(end) = memchr::memmem::find(&came, b"\r\n\r\n") else {
            continue;
        };
        if !came.starts_with(b"HTTP/1.1 101") {
            let said = String::from_utf8_lossy(&came).into_owned();
            return Err(io::Error::other(format!("no upgrade: {said}")));
        }
        let rest = came.split_off(end + 4);
        let answer = String::from_utf8_lossy(&came);
        return Ok((answer.contains("permessage-deflate"), rest));
    }
}

/// Reads until so many messages have come, pings not among them.
fn messages(
    stream: &mut dyn Stream,
    requests: &Arc<Requests>,
    rest: &[u8],
    wanted: usize,
) -> io::Result<()> {
    let mut counter = Counter::new(requests.clone(), What::Messages);
    // Handshakes are short.
    let mut counted = counter.count(rest) + counter.pings;
    let mut came = Vec::new();
    while counted < wanted {
        came.clear();
        read_more(stream, &mut came)?;
        counter.pings = 0;
        counted += counter.count(&came) + counter.pings;
    }
    Ok(())
}

/// Waits for the open packet, joins the default namespace, and waits for the answer. A heartbeat may
/// come between.
fn socket_io(stream: &mut dyn Stream, requests: &Arc<Requests>) -> io::Result<()> {
    let (_, mut came) = upgrade(stream, "/socket.io/?EIO=4&transport=websocket", "")?;
    let has = |came: &[u8], what: &[u8]| memchr::memmem::find(came, what).is_some();
    while !has(&came, b"0{") {
        read_more(stream, &mut came)?;
    }
    stream.write_all(&frame::frame(frame::TEXT, b"40", Some(MASK)))?;
    while !has(&came, b"40{") || !(came.ends_with(b"}") || came.ends_with(b"\x81\x012")) {
        read_more(stream, &mut came)?;
    }
    if has(&came, b"\x81\x012") {
        stream.write_all(&requests.pong)?;
    }
    Ok(())
}

fn read_more(stream: &mut dyn Stream, came: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        read => {
            came.extend_from_slice(&buffer[..read]);
            Ok(())
        }
    }
}
