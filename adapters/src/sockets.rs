//! Sockets of any runtime: dialling, binding and accepting, over TCP and Unix sockets.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
    connect, getpeername, getsockname, listen, socket_with, sockopt,
};
use tokio::sync::oneshot;

use crate::descriptors::SocketLink;
use crate::link::Link;
use crate::runtime::{Descriptor, Direction, Moved, Runtime, sleep};

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long a Unix socket whose clients wait in a full line is let alone before the next attempt.
const LINE_FULL: Duration = Duration::from_millis(10);

/// How a TCP connection is set. The default suits most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Whether small messages leave at once (`TCP_NODELAY`). Default yes.
    pub nodelay: bool,
    /// When the system asks whether a silent peer is there. Default: not at all, since the engine
    /// pings.
    pub keepalive: Option<TcpKeepalive>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: None,
        }
    }
}

/// When the system asks whether a silent TCP peer is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpKeepalive {
    /// How long a peer may be silent before it is asked, in whole seconds. Default 60 s.
    pub idle: Duration,
    /// How long it has for an answer before it is asked again, in whole seconds. Default 10 s.
    pub interval: Duration,
    /// How often it is asked before the connection fails. Default 6.
    pub count: u32,
}

impl Default for TcpKeepalive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            count: 6,
        }
    }
}

impl TcpOptions {
    fn set(&self, socket: &impl AsFd) -> io::Result<()> {
        sockopt::set_tcp_nodelay(socket, self.nodelay)?;
        if let Some(keepalive) = &self.keepalive {
            sockopt::set_socket_keepalive(socket, true)?;
            sockopt::set_tcp_keepidle(socket, keepalive.idle)?;
            sockopt::set_tcp_keepintvl(socket, keepalive.interval)?;
            sockopt::set_tcp_keepcnt(socket, keepalive.count)?;
        }
        Ok(())
    }
}

/// Connects to the first address of `host` that answers.
pub(crate) async fn dial_tcp(
    runtime: &dyn Runtime,
    host: &str,
    port: u16,
    options: &TcpOptions,
) -> io::Result<Box<dyn Link>> {
    let mut last = None;
    for address in look_up(host, port).await? {
        match dial_address(runtime, address, options).await {
            Ok(link) => return Ok(link),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

async fn dial_address(
    runtime: &dyn Runtime,
    address: SocketAddr,
    options: &TcpOptions,
) -> io::Result<Box<dyn Link>> {
    let socket = new_socket(family_of(address))?;
    options.set(&socket)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    connected(runtime.watch(socket)?).await
}

/// Connects to a Unix socket.
pub(crate) async fn dial_unix(
    runtime: &dyn Runtime,
    address: &SocketAddrUnix,
) -> io::Result<Box<dyn Link>> {
    loop {
        let socket = new_socket(AddressFamily::UNIX)?;
        match connect(&socket, address) {
            Ok(()) | Err(Errno::INPROGRESS) => return connected(runtime.watch_unix(socket)?).await,
            // The line of those who wait to be accepted is full, and nothing tells when it is not.
            Err(Errno::AGAIN) => sleep(runtime, LINE_FULL).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The address of a Unix socket without a file.
///
/// # Errors
/// The name is too long, or the system has no such names.
pub(crate) fn abstract_address(name: &str) -> io::Result<SocketAddrUnix> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("this system has no abstract names such as @{name}"),
    ))
}

/// Whether nobody listens on a Unix socket whose file is there.
pub(crate) fn is_deserted(address: &SocketAddrUnix) -> bool {
    new_socket(AddressFamily::UNIX)
        .is_ok_and(|socket| connect(&socket, address) == Err(Errno::CONNREFUSED))
}

/// Waits until `socket` is connected.
async fn connected(socket: Box<dyn Descriptor>) -> io::Result<Box<dyn Link>> {
    std::future::poll_fn(|cx| {
        socket.poll_io(cx, Direction::Write, &mut |fd| {
            sockopt::socket_error(fd)??;
            match getpeername(fd) {
                Ok(_) => Ok(Moved {
                    bytes: 0,
                    exhausted: false,
                }),
                Err(Errno::NOTCONN) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(error.into()),
            }
        })
    })
    .await?;
    Ok(Box::new(SocketLink::new(socket)))
}

/// The addresses of a host. Names are looked up on a thread of their own: the system's resolver
/// blocks.
async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = oneshot::channel();
    let host = host.to_owned();
    std::thread::Builder::new()
        .name("sente-lookup".to_owned())
        .spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            // Whoever asked may be gone.
            let _ = sender.send(found.map(Iterator::collect));
        })?;
    receiver.await.map_err(io::Error::other)?
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct ListenSocket {
    socket: Box<dyn Descriptor>,
    tcp: Option<TcpOptions>,
}

/// A client as it was accepted.
pub(crate) struct Accepted {
    pub(crate) link: Box<dyn Link>,
    /// `None` on a Unix socket.
    pub(crate) address: Option<SocketAddr>,
}

impl ListenSocket {
    /// Binds the first address of `host` that can be bound, and says which port it is.
    pub(crate) async fn bind_tcp(
        runtime: &dyn Runtime,
        host: &str,
        port: u16,
        options: &TcpOptions,
    ) -> io::Result<(Self, u16)> {
        let mut last = None;
        for address in look_up(host, port).await? {
            match bind_address(address) {
                Ok((socket, port)) => {
                    let bound = Self {
                        socket: runtime.watch(socket)?,
                        tcp: Some(options.clone()),
                    };
                    return Ok((bound, port));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_address))
    }

    /// Binds a Unix socket. The mode of its file is set before anybody can connect: what is bound
    /// but does not listen refuses.
    pub(crate) fn bind_unix(
        runtime: &dyn Runtime,
        address: &SocketAddrUnix,
        file: Option<(&Path, u32)>,
    ) -> io::Result<Self> {
        let socket = new_socket(AddressFamily::UNIX)?;
        bind(&socket, address)?;
        if let Some((path, mode)) = file {
            rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(mode))?;
        }
        listen(&socket, BACKLOG)?;
        Ok(Self {
            socket: runtime.watch(socket)?,
            tcp: None,
        })
    }

    /// The next client.
    pub(crate) fn poll_accept(
        &self,
        runtime: &dyn Runtime,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<Accepted>> {
        let mut accepted = None;
        let polled = self.socket.poll_io(cx, Direction::Read, &mut |fd| {
            accepted = Some(accept_with(
                fd,
                SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            )?);
            Ok(Moved {
                bytes: 0,
                exhausted: false,
            })
        });
        polled.map(|result| {
            result?;
            let socket = accepted.ok_or(io::ErrorKind::NotConnected)?;
            let address = if let Some(options) = &self.tcp {
                options.set(&socket)?;
                Some(tcp_address(getpeername(&socket)?)?)
            } else {
                None
            };
            let watched = match &self.tcp {
                Some(_) => runtime.watch(socket)?,
                None => runtime.watch_unix(socket)?,
            };
            let link = SocketLink::new(watched);
            Ok(Accepted {
                link: Box::new(link),
                address,
            })
        })
    }
}

fn bind_address(address: SocketAddr) -> io::Result<(OwnedFd, u16)> {
    let socket = new_socket(family_of(address))?;
    // So that a server can come back while connections of the one before linger.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    let port = tcp_address(Some(getsockname(&socket)?))?.port();
    Ok((socket, port))
}

fn tcp_address(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let address = address.ok_or(io::ErrorKind::NotConnected)?;
    Ok(address.try_into()?)
}

fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

const fn family_of(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the host has no address")
}
