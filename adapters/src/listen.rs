//! Listening for connections on WebSocket, TCP and Unix sockets.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

#[cfg(feature = "deflate")]
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{self, Packer};
use sente_core::{ConfigError, Dialect, Extensions, Keepalive, Limits};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::budget::SharedRecvBudget;
use crate::incoming::{Acceptor, Incoming};
use crate::link::LinkLayer;
use crate::record::Recordings;
use crate::runtime::{Runtime, Task, chosen, ready_or, sleep, timeout};
use crate::socket_file::{SocketFile, bind_path};
use crate::sockets::{Accepted, ListenSocket, TcpOptions, abstract_address};
#[cfg(feature = "tls")]
use crate::tls::ServerTls;
use crate::url::{Address, Url, WsUrl};

/// How many upgrades may be under way at once. For one more the oldest gives way, so that clients
/// that never ask for theirs do not keep others out.
const MAX_UPGRADES: usize = 1024;

/// How to listen. The default suits most.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The dialect of a WebSocket. Default: Sente on the path `/chsk` or with a `client-id`
    /// parameter, sente-lite on any other path. Byte streams begin with sente-lite.
    pub dialect: Option<Dialect>,
    /// The packer spoken with every client, which has to speak it, too; it decides the framing of a
    /// byte stream: lines for text, a length before each frame for binary. Default: what the URL
    /// says, else EDN.
    pub packer: Option<Arc<dyn Packer>>,
    /// The packers of WebSockets by the paths they ask for. Default none: [`packer`](Self::packer)
    /// on every path.
    pub packer_by_path: Vec<(String, Arc<dyn Packer>)>,
    /// The limits of each connection. Default [`Limits::default`].
    pub limits: Option<Limits>,
    /// When to ping and give up. Default [`Keepalive::default_for`].
    pub keepalive: Option<Keepalive>,
    /// How long the first event queued waits for others to leave with it. Default: not at all.
    pub flush_window: Option<Duration>,
    /// How many bytes of dropped events `ConnectionEvent::Dropped` brings along. Default 0.
    pub keep_dropped: usize,
    /// Keeps what leaves under so many bytes for clients that lose larger messages: sente-lite's on
    /// Babashka need [`BABASHKA_FRAME_BYTES`](sente_core::BABASHKA_FRAME_BYTES), its others and Sente's
    /// need nothing. Default: as large as the limits let them be. See
    /// [`small_frames`](sente_core::ConnectionConfigBuilder::small_frames) for what happens to a
    /// single event that is larger.
    pub small_frames: Option<usize>,
    /// The extensions granted to clients that offer them. Default all; a client that offers none
    /// sees stock frames only.
    pub extensions: Option<Extensions>,
    /// The budget of received bytes its connections share. Default
    /// [`SharedRecvBudget::of_process`].
    pub recv_budget: Option<SharedRecvBudget>,
    /// permessage-deflate for a WebSocket, granted to clients that offer it. Default: not at all.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
    /// Where the connections are recorded. Default: nowhere.
    pub record: Option<Recordings>,
    /// How long a client may take to ask for its upgrade, TLS included. Default 10 s.
    pub upgrade_timeout: Option<Duration>,
    /// How each TCP connection is set, that of a WebSocket as well. Default
    /// [`TcpOptions::default`].
    pub tcp: TcpOptions,
    /// The permissions of a Unix socket's file, such as `0o600`. They are set before anybody can
    /// connect. Default: what the process's umask leaves.
    pub socket_mode: Option<u32>,
    /// How TLS is spoken, where the URL asks for it. There is no default: a server has to have a
    /// certificate.
    #[cfg(feature = "tls")]
    pub tls: Option<ServerTls>,
    /// What is put around the link of each client, beneath TLS. Default: nothing.
    pub layer: Option<LinkLayer>,
    /// The runtime that accepts, and on which the connections are driven. Default: that of the
    /// caller.
    pub runtime: Option<Arc<dyn Runtime>>,
}

/// A bound socket. Dropped, it stops listening and removes its socket file; open connections go
/// on.
#[derive(Debug)]
pub struct Listener {
    url: Url,
    incoming: mpsc::Receiver<Result<Incoming, ListenError>>,
    _task: Task,
    socket: Socket,
    socket_file: Option<SocketFile>,
}

impl Listener {
    /// Binds `url`: `ws://`, `wss://`, `tcp://`, `tls://` or `unix:`; port 0 lets the system choose. A socket file
    /// that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`ListenError`]: the address is taken, or not one to listen on.
    pub async fn bind(url: &Url, options: ListenOptions) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Bind {
            url: url.to_string(),
            error,
        };
        let runtime = chosen(options.runtime.as_ref()).map_err(failed)?;
        let own = options.packer.clone().or_else(|| url.to_packer());
        let (sender, incoming) = mpsc::channel(64);
        let mut socket_file = None;
        let (address, socket) = match &url.address {
            Address::Ws(wanted) => {
                let bound =
                    ListenSocket::bind_tcp(&*runtime, &wanted.host, wanted.port, &options.tcp);
                let (socket, port) = bound.await.map_err(failed)?;
                let mut real: WsUrl = wanted.clone();
                real.port = port;
                (Address::Ws(real), socket)
            }
            Address::Tcp { host, port } | Address::Tls { host, port } => {
                let bound = ListenSocket::bind_tcp(&*runtime, host, *port, &options.tcp);
                let (socket, port) = bound.await.map_err(failed)?;
                let host = host.clone();
                let address = if url.address.is_secure() {
                    Address::Tls { host, port }
                } else {
                    Address::Tcp { host, port }
                };
                (address, socket)
            }
            Address::Unix(path) => {
                let bound = bind_path(&*runtime, path, options.socket_mode);
                let socket = bound.await.map_err(failed)?;
                socket_file = SocketFile::of(path);
                (url.address.clone(), socket)
            }
            Address::UnixAbstract(name) => {
                let bound = abstract_address(name)
                    .and_then(|address| ListenSocket::bind_unix(&*runtime, &address, None));
                (url.address.clone(), bound.map_err(failed)?)
            }
            Address::Exec(_) | Address::Fifo { .. } | Address::Stdio => {
                return Err(ListenError::NotListenable(url.to_string()));
            }
        };
        let socket = Socket::new(socket, runtime.clone());
        let patience = options.upgrade_timeout.unwrap_or(Duration::from_secs(10));
        let has_to_agree = matches!(address, Address::Ws(_)) || address.is_secure();
        let acceptor = Acceptor::of(&address, url.to_packer(), options, runtime.clone())?;
        let task = if has_to_agree {
            let accepting = accept_upgrades(socket.clone(), acceptor, patience, sender);
            Task::spawn(&*runtime, accepting)
        } else {
            Task::spawn(&*runtime, accept_streams(socket.clone(), acceptor, sender))
        };
        // A packer of one's own has no name that a URL could say.
        let named = own.filter(|packer| packer::named(packer.name()).is_some());
        let url = Url::from(address);
        let url = match url
            .clone()
            .with_packer(named.as_ref().map(|packer| packer.name()))
        {
            Ok(with_packer) => with_packer,
            Err(_) => url,
        };
        Ok(Self {
            url,
            incoming,
            _task: task,
            socket,
            socket_file,
        })
    }

    /// The URL with the real port, and the name of the packer if that was chosen.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The next client that wants in. Slow or broken upgrades do not hold it up: each runs on a
    /// task of its own. `None` never comes while the listener lives.
    ///
    /// # Cancel safety
    /// Safe: no client is lost.
    pub async fn accept(&mut self) -> Option<Result<Incoming, ListenError>> {
        self.incoming.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // While the socket is open nobody else's file can have the number of its file.
        self.socket_file = None;
        self.socket.close();
    }
}

/// A bound socket that can be closed at once, whoever waits on it.
#[derive(Clone, Debug)]
struct Socket {
    bound: Arc<Mutex<Option<ListenSocket>>>,
    runtime: Arc<dyn Runtime>,
}

impl Socket {
    fn new(bound: ListenSocket, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            bound: Arc::new(Mutex::new(Some(bound))),
            runtime,
        }
    }

    /// The next client; `None` once the socket is closed. A client that is gone before it was
    /// accepted is no error.
    async fn accept(&self) -> Option<io::Result<Accepted>> {
        loop {
            match self.accept_any().await? {
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                other => return Some(other),
            }
        }
    }

    async fn accept_any(&self) -> Option<io::Result<Accepted>> {
        poll_fn(|cx| match &*self.bound() {
            None => Poll::Ready(None),
            Some(bound) => bound.poll_accept(&*self.runtime, cx).map(Some),
        })
        .await
    }

    fn close(&self) {
        *self.bound() = None;
    }

    fn bound(&self) -> MutexGuard<'_, Option<ListenSocket>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Sender = mpsc::Sender<Result<Incoming, ListenError>>;

async fn accept_streams(socket: Socket, acceptor: Acceptor, sender: Sender) {
    while let Some(result) = socket.accept().await {
        let incoming = result.and_then(|accepted| {
            let peer = acceptor.peer_at(accepted.address);
            acceptor.stream(accepted.link, peer)
        });
        if !hand_over(&*socket.runtime, incoming, &sender).await {
            return;
        }
    }
}

/// Of clients that have something to agree on first: a WebSocket, TLS.
async fn accept_upgrades(socket: Socket, acceptor: Acceptor, patience: Duration, sender: Sender) {
    // Who is dropped here gives way; who is through has let go of its end.
    let mut under_way: VecDeque<oneshot::Sender<()>> = VecDeque::new();
    // While those who are through wait for the application, no more are let in.
    while sender.reserve().await.is_ok() {
        let accepted = match socket.accept().await {
            Some(Ok(accepted)) => accepted,
            None => return,
            Some(Err(error)) => {
                if !hand_over(&*socket.runtime, Err(error), &sender).await {
                    return;
                }
                continue;
            }
        };
        let peer = acceptor.peer_at(accepted.address);
        if under_way.len() >= MAX_UPGRADES {
            under_way.retain(|one| !one.is_closed());
        }
        if under_way.len() >= MAX_UPGRADES {
            under_way.pop_front();
        }
        // What is through is forgotten, those in front first, as they came.
        while under_way.front().is_some_and(oneshot::Sender::is_closed) {
            under_way.pop_front();
        }
        let (stays, gives_way) = oneshot::channel();
        under_way.push_back(stays);
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        let runtime = socket.runtime.clone();
        socket.runtime.spawn(Box::pin(async move {
            let upgrading = acceptor.take_boxed(accepted.link, &peer);
            let gives_way = async {
                let _ = gives_way.await;
            };
            match ready_or(timeout(&*runtime, patience, upgrading), gives_way).await {
                Some(Some(Ok(Some(incoming)))) => {
                    let _ = sender.send(Ok(incoming)).await;
                }
                Some(Some(Ok(None))) => {}
                Some(Some(Err(error))) => {
                    tracing::debug!(%peer, %error, "an upgrade failed");
                }
                Some(None) => tracing::debug!(%peer, "an upgrade took too long"),
                None => tracing::debug!(%peer, "an upgrade gave way to others"),
            }
        }));
    }
}

/// Passes a client or an error on. Whether anybody still listens. An error of the system (out of
/// descriptors) tends to stay for a while, so the next attempt waits.
async fn hand_over(runtime: &dyn Runtime, incoming: io::Result<Incoming>, sender: &Sender) -> bool {
    match incoming {
        Ok(incoming) => sender.send(Ok(incoming)).await.is_ok(),
        Err(error) => {
            let told = sender.send(Err(ListenError::Accept(error))).await.is_ok();
            sleep(runtime, Duration::from_millis(100)).await;
            told
        }
    }
}

/// Why there is no listener, or no next client.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Taking the next client failed; the listener goes on.
    #[error("cannot accept a connection: {0}")]
    Accept(io::Error),
    /// Binding failed.
    #[error("cannot listen on {url}: {error}")]
    Bind {
        /// The address.
        url: String,
        /// What the system says.
        error: io::Error,
    },
    /// The options do not fit together.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// An address with TLS, and no certificate in the options, or no TLS built in.
    #[error("{0} needs a certificate: set `tls` in the options")]
    NoCertificate(String),
    /// Not an address to listen on.
    #[error("{0} is nothing to listen on: use ws://, wss://, tcp://, tls:// or unix:")]
    NotListenable(String),
}
