//! Listening for connections on WebSocket, TCP and Unix sockets.

use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use sente_core::framing::upgrade::UpgradeRequest;
#[cfg(feature = "deflate")]
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{self, Edn, Packer};
use sente_core::{
    Accept, ConfigError, ConnId, Connection, ConnectionConfig, Dialect, Extensions, Keepalive,
    Limits,
};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::configs::Configs;
use crate::connection::start;
use crate::deflate;
use crate::events::Events;
use crate::handle::Handle;
use crate::seed::{conn_id, random};
use crate::transport::Transport;
use crate::url::{Address, Url, WsUrl, dialect_of, offered_in};
use crate::websocket::{self, Asked};

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
    /// The extensions granted to clients that offer them. Default all; a client that offers none
    /// sees stock frames only.
    pub extensions: Option<Extensions>,
    /// The budget of received bytes its connections share. Default
    /// [`SharedRecvBudget::of_process`].
    pub recv_budget: Option<SharedRecvBudget>,
    /// permessage-deflate for a WebSocket, granted to clients that offer it. Default: not at all.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
    /// How long a client may take to ask for its upgrade. Default 10 s.
    pub upgrade_timeout: Option<Duration>,
}

/// A bound socket. Dropped, it stops listening and removes its socket file; open connections go
/// on.
#[derive(Debug)]
pub struct Listener {
    url: Url,
    incoming: mpsc::Receiver<Result<Incoming, ListenError>>,
    task: JoinHandle<()>,
    socket: Socket,
    socket_file: Option<SocketFile>,
}

impl Listener {
    /// Binds `url`: `ws://`, `tcp://` or `unix:`; port 0 lets the system choose. A socket file
    /// that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`ListenError`]: the address is taken, or not one to listen on.
    pub async fn bind(url: &Url, options: ListenOptions) -> Result<Self, ListenError> {
        let own = options.packer.clone().or_else(|| url.to_packer());
        let packer = own.clone().unwrap_or_else(|| Arc::new(Edn));
        let configs = Configs::new(&options, &packer)?;
        let (sender, incoming) = mpsc::channel(64);
        let failed = |error| ListenError::Bind {
            url: url.to_string(),
            error,
        };
        let mut socket_file = None;
        let (address, socket, task) = match &url.address {
            Address::Ws(wanted) => {
                let bound = TcpListener::bind((wanted.host.as_str(), wanted.port)).await;
                let listener = bound.map_err(failed)?;
                let mut real: WsUrl = wanted.clone();
                real.port = listener.local_addr().map_err(failed)?.port();
                let patience = options.upgrade_timeout.unwrap_or(Duration::from_secs(10));
                let socket = Socket::new(Bound::Tcp(listener));
                let accepting =
                    accept_websockets(socket.clone(), configs, options.dialect, patience, sender);
                (Address::Ws(real), socket, tokio::spawn(accepting))
            }
            Address::Tcp { host, port } => {
                let bound = TcpListener::bind((host.as_str(), *port)).await;
                let listener = bound.map_err(failed)?;
                let port = listener.local_addr().map_err(failed)?.port();
                let host = host.clone();
                let socket = Socket::new(Bound::Tcp(listener));
                let accepting = accept_streams(socket.clone(), configs, sender);
                (Address::Tcp { host, port }, socket, tokio::spawn(accepting))
            }
            Address::Unix(path) => {
                let listener = bind_unix(path).await.map_err(failed)?;
                socket_file = SocketFile::of(path);
                let socket = Socket::new(Bound::Unix(listener, path.clone()));
                let accepting = accept_streams(socket.clone(), configs, sender);
                (url.address.clone(), socket, tokio::spawn(accepting))
            }
            Address::Exec(_) | Address::Stdio => {
                return Err(ListenError::NotListenable(url.to_string()));
            }
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
            task,
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
        self.task.abort();
    }
}

/// A bound socket that can be closed at once, whoever waits on it.
#[derive(Clone, Debug)]
struct Socket(Arc<Mutex<Option<Bound>>>);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream, String),
}

impl Socket {
    fn new(bound: Bound) -> Self {
        Self(Arc::new(Mutex::new(Some(bound))))
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
        poll_fn(|context| {
            let bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let accepted = match &*bound {
                None => return Poll::Ready(None),
                Some(Bound::Tcp(listener)) => ready!(listener.poll_accept(context))
                    .map(|(stream, address)| Accepted::Tcp(stream, address)),
                Some(Bound::Unix(listener, path)) => ready!(listener.poll_accept(context))
                    .map(|(stream, _)| Accepted::Unix(stream, format!("unix:{}", path.display()))),
            };
            Poll::Ready(Some(accepted))
        })
        .await
    }

    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A client that wants in: accept it or refuse it. Dropped, its connection is closed.
#[must_use = "a client waits to be accepted or refused"]
pub struct Incoming {
    id: ConnId,
    peer: String,
    config: Arc<ConnectionConfig>,
    budget: SharedRecvBudget,
    way: Way,
}

enum Way {
    Tcp(TcpStream),
    Unix(UnixStream),
    WebSocket(Box<Asked>),
}

impl Incoming {
    /// The address of the client, as far as the transport has one.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The HTTP request, if it came by WebSocket.
    #[must_use]
    pub fn request(&self) -> Option<&UpgradeRequest> {
        match &self.way {
            Way::WebSocket(asked) => Some(&asked.request),
            Way::Tcp(_) | Way::Unix(_) => None,
        }
    }

    /// A parameter of the request's URL, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<String> {
        let query = self.request()?.query();
        form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The label the client gave itself in its URL.
    #[must_use]
    pub fn client_id(&self) -> Option<String> {
        self.param("client-id")
    }

    /// The extensions the client offered in its URL. [`accept`](Self::accept) passes them on.
    #[must_use]
    pub fn extensions(&self) -> Option<Extensions> {
        offered_in(self.request()?.query())
    }

    /// The dialect it will be spoken to in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.config.dialect()
    }

    /// The packer it will be spoken to in.
    #[must_use]
    pub fn packer(&self) -> &Arc<dyn Packer> {
        self.config.packer()
    }

    /// The id its connection will have.
    #[must_use]
    pub const fn id(&self) -> ConnId {
        self.id
    }

    /// Lets it in with this handshake and starts to drive the connection.
    ///
    /// # Errors
    /// The socket's, if the client is gone already.
    ///
    /// # Cancel safety
    /// Dropped, the client is let go.
    pub async fn accept(self, mut accept: Accept) -> io::Result<(Handle, Events)> {
        if accept.offered.is_none() {
            accept.offered = self.extensions();
        }
        let Self {
            id,
            peer,
            config,
            budget,
            way,
        } = self;
        let mut transport = match way {
            Way::Tcp(stream) => Transport::new(stream.into_split(), peer),
            Way::Unix(stream) => Transport::new(stream.into_split(), peer),
            Way::WebSocket(asked) => asked.accept(peer, &config).await?,
        };
        let clock = Clock::start();
        let mut connection = Connection::new(config, random()?, clock.now());
        deflate::set(&mut connection, transport.deflate.take());
        connection.accept(clock.now(), accept);
        Ok(start(connection, clock, id, transport, &budget))
    }

    /// Turns it away: a WebSocket client with an HTTP status and a reason it can read, any other
    /// by closing.
    ///
    /// # Cancel safety
    /// Dropped, the client is let go without an answer.
    pub async fn refuse(self, status: u16, reason: &str) {
        if let Way::WebSocket(asked) = self.way {
            let mut stream = asked.stream;
            // A client that is gone needs no answer.
            let _ = websocket::refuse(&mut stream, status, &[], reason).await;
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}

type Sender = mpsc::Sender<Result<Incoming, ListenError>>;

async fn accept_streams(socket: Socket, configs: Configs, sender: Sender) {
    while let Some(result) = socket.accept().await {
        let incoming = result.and_then(|accepted| {
            let (peer, way) = match accepted {
                Accepted::Tcp(stream, address) => {
                    stream.set_nodelay(true)?;
                    (format!("tcp://{address}"), Way::Tcp(stream))
                }
                Accepted::Unix(stream, peer) => (peer, Way::Unix(stream)),
            };
            Ok(Incoming {
                id: conn_id()?,
                peer,
                config: configs.stream.clone(),
                budget: configs.budget.clone(),
                way,
            })
        });
        if !hand_over(incoming, &sender).await {
            return;
        }
    }
}

async fn accept_websockets(
    socket: Socket,
    configs: Configs,
    dialect: Option<Dialect>,
    patience: Duration,
    sender: Sender,
) {
    // Who is dropped here gives way; who is through has let go of its end.
    let mut under_way: VecDeque<oneshot::Sender<()>> = VecDeque::new();
    // While those who are through wait for the application, no more are let in.
    while sender.reserve().await.is_ok() {
        let (stream, address) = match socket.accept().await {
            Some(Ok(Accepted::Tcp(stream, address))) => (stream, address),
            Some(Ok(Accepted::Unix(..))) | None => return,
            Some(Err(error)) => {
                if !hand_over(Err(error), &sender).await {
                    return;
                }
                continue;
            }
        };
        if under_way.len() >= MAX_UPGRADES {
            under_way.retain(|one| !one.is_closed());
        }
        if under_way.len() >= MAX_UPGRADES {
            under_way.pop_front();
        }
        let (stays, gives_way) = oneshot::channel();
        under_way.push_back(stays);
        let (configs, sender) = (configs.clone(), sender.clone());
        tokio::spawn(async move {
            let upgrading = upgrade(stream, address.to_string(), configs, dialect);
            let upgraded = tokio::select! {
                upgraded = timeout(patience, upgrading) => upgraded,
                _ = gives_way => {
                    tracing::debug!(%address, "an upgrade gave way to others");
                    return;
                }
            };
            match upgraded {
                Ok(Ok(Some(incoming))) => {
                    let _ = sender.send(Ok(incoming)).await;
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "an upgrade failed");
                }
                Err(_) => tracing::debug!(%address, "an upgrade took too long"),
            }
        });
    }
}

async fn upgrade(
    stream: TcpStream,
    address: String,
    configs: Configs,
    dialect: Option<Dialect>,
) -> io::Result<Option<Incoming>> {
    stream.set_nodelay(true)?;
    let Some(asked) = websocket::read_request(stream).await? else {
        return Ok(None);
    };
    let request = &asked.request;
    let dialect = dialect.unwrap_or_else(|| dialect_of(request.path(), request.query()));
    let config = configs.websocket_at(request.path(), dialect);
    let incoming = Incoming {
        id: conn_id()?,
        peer: format!("ws://{address}"),
        config,
        budget: configs.budget,
        way: Way::WebSocket(Box::new(asked)),
    };
    // Sente's clients always name themselves; its server fails without (http-kit answers 500).
    let nameless = incoming.client_id().is_none_or(|id| id.trim().is_empty());
    if dialect == Dialect::Sente && nameless {
        incoming
            .refuse(
                400,
                "the parameter client-id is missing: Sente's clients send one",
            )
            .await;
        return Ok(None);
    }
    Ok(Some(incoming))
}

/// Passes a client or an error on. Whether anybody still listens. An error of the system (out of
/// descriptors) tends to stay for a while, so the next attempt waits.
async fn hand_over(incoming: io::Result<Incoming>, sender: &Sender) -> bool {
    match incoming {
        Ok(incoming) => sender.send(Ok(incoming)).await.is_ok(),
        Err(error) => {
            let told = sender.send(Err(ListenError::Accept(error))).await.is_ok();
            sleep(Duration::from_millis(100)).await;
            told
        }
    }
}

/// Binds a path; a socket file without a listener is what a killed server leaves, and is removed.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    // Of several that find the same stale file, none may remove what another has just bound.
    let _lock = lock_folder_of(path).await;
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)
                .is_ok_and(|metadata| metadata.file_type().is_socket());
            if !is_socket {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the path exists and is no socket",
                ));
            }
            match UnixStream::connect(path).await {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                    UnixListener::bind(path)
                }
                _ => Err(error),
            }
        }
        other => other,
    }
}

/// Locks the folder of `path` against others that bind in it, which takes them a moment. `None`
/// where that cannot be done, or a stranger holds the lock.
async fn lock_folder_of(path: &Path) -> Option<File> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let folder = File::open(folder).ok()?;
    for _ in 0..100 {
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Some(folder);
        }
        sleep(Duration::from_millis(10)).await;
    }
    None
}

/// Removes the socket's file in the end, if it is still the same.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> Option<Self> {
        let identity = Self::identity(path)?;
        Some(Self {
            path: path.to_owned(),
            identity,
        })
    }

    /// Device and number of the file.
    fn identity(path: &Path) -> Option<(u64, u64)> {
        let metadata = std::fs::symlink_metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path) == Some(self.identity) {
            // Somebody may have removed it in this moment.
            let _ = std::fs::remove_file(&self.path);
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
    /// Not an address to listen on.
    #[error("{0} is nothing to listen on: use ws://, tcp:// or unix:")]
    NotListenable(String),
}
