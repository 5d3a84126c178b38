//! What the kernel allows: one thread, epoll, no runtime.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use peer_shapes::frame;
use rustix::event::{PollFd, PollFlags, epoll, poll};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Gives raw bytes back.
pub(crate) fn echo(address: &str) {
    serve(address, |from, bytes, sockets| {
        if let Some(socket) = sockets.get_mut(&from) {
            write_all(socket, bytes);
        }
    });
}

/// The floor of a broadcast over WebSocket framing: the first that a socket says is its upgrade;
/// what it says later is written to all, framed once, and what one read brought in one write.
pub(crate) fn broadcast(address: &str) {
    let mut upgraded: HashMap<RawFd, ()> = HashMap::new();
    serve(address, move |from, bytes, sockets| {
        if bytes.starts_with(b"GET ") {
            upgraded.insert(from, ());
            if let Some(socket) = sockets.get_mut(&from) {
                write_all(socket, &upgrade_response(bytes));
            }
            return;
        }
        let (mut rest, mut framed) = (bytes, Vec::new());
        while let (Some(header), Some(payload)) = (frame::header(rest), frame::unmasked(rest)) {
            rest = &rest[header.bytes + header.payload..];
            frame::put_header(&mut framed, frame::TEXT, payload.len());
            framed.extend_from_slice(&payload);
        }
        for socket in sockets.values_mut() {
            write_all(socket, &framed);
        }
    });
}

pub(crate) fn upgrade_response(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let key = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    });
    let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

trait Socket: Read + Write + AsFd {}
impl<T: Read + Write + AsFd> Socket for T {}

type Sockets = HashMap<RawFd, Box<dyn Socket>>;

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn bind(address: &str) -> Self {
        if address.starts_with('/') {
            let listener = UnixListener::bind(address).expect("a free path");
            listener.set_nonblocking(true).expect("a socket");
            Self::Unix(listener)
        } else {
            let listener = TcpListener::bind(address).expect("a free address");
            listener.set_nonblocking(true).expect("a socket");
            Self::Tcp(listener)
        }
    }

    fn descriptor(&self) -> RawFd {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener) => listener.as_raw_fd(),
        }
    }

    fn accept(&self) -> Option<(RawFd, Box<dyn Socket>)> {
        Some(match self {
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept().ok()?;
                socket.set_nodelay(true).ok()?;
                socket.set_nonblocking(true).ok()?;
                (socket.as_raw_fd(), Box::new(socket))
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().ok()?;
                socket.set_nonblocking(true).ok()?;
                (socket.as_raw_fd(), Box::new(socket))
            }
        })
    }
}

fn watch(epoll: &OwnedFd, socket: impl AsFd) {
    let number = socket.as_fd().as_raw_fd() as u64;
    let data = epoll::EventData::new_u64(number);
    epoll::add(epoll, socket, data, epoll::EventFlags::IN).expect("a new socket");
}

fn serve(address: &str, mut on_bytes: impl FnMut(RawFd, &[u8], &mut Sockets)) {
    let listener = Listener::bind(address);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    match &listener {
        Listener::Tcp(listener) => watch(&epoll, listener),
        Listener::Unix(listener) => watch(&epoll, listener),
    }
    let mut sockets = Sockets::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 1024];
    loop {
        let Ok((ready, _)) = epoll::wait(&epoll, &mut events, None) else {
            continue;
        };
        for event in ready {
            let number = event.data.u64() as RawFd;
            if number == listener.descriptor() {
                while let Some((number, socket)) = listener.accept() {
                    watch(&epoll, socket.as_fd());
                    sockets.insert(number, socket);
                }
                continue;
            }
            let Some(socket) = sockets.get_mut(&number) else {
                continue;
            };
            match socket.read(&mut buffer) {
                Ok(0) => drop(sockets.remove(&number)),
                Ok(read) => on_bytes(number, &buffer[..read], &mut sockets),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => drop(sockets.remove(&number)),
            }
        }
    }
}

fn write_all(socket: &mut Box<dyn Socket>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut waiting = [PollFd::new(socket, PollFlags::OUT)];
                let _ = poll(&mut waiting, None);
            }
            Err(_) => return,
        }
    }
}
