//! Listening for connections on WebSocket, TCP and Unix sockets.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sente_core::framing::upgrade::UpgradeRequest;
use sente_core::{
    Accept, Carrier, ConfigError, ConnId, Connection, ConnectionConfig, Dialect, Keepalive, Limits,
    Role,
};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::handle::{Events, Handle, start};
use crate::seed::{conn_id, random};
use crate::transport::Transport;
use crate::url::{Url, WsUrl, dialect_of};
use crate::websocket::{self, Asked};

/// How many upgrades may be under way at once; more wait to be accepted.
const MAX_UPGRADES: usize = 1024;

/// How to listen. The default suits most.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The dialect of a WebSocket. Default: Sente on the path `/chsk` or with a `client-id`
    /// parameter, sente-lite on any other path. Byte streams begin with sente-lite.
    pub dialect: Option<Dialect>,
    /// The limits of each connection. Default [`Limits::default`].
    pub limits: Option<Limits>,
    /// When to ping and give up. Default [`Keepalive::default_for`].
    pub keepalive: Option<Keepalive>,
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
    _socket_file: Option<SocketFile>,
}

impl Listener {
    /// Binds `url`: `ws://`, `tcp://` or `unix:`; port 0 lets the system choose. A socket file
    /// that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`ListenError`]: the address is taken, or not one to listen on.
    pub async fn bind(url: &Url, options: ListenOptions) -> Result<Self, ListenError> {
        let configs = Configs::new(&options)?;
        let (sender, incoming) = mpsc::channel(64);
        let failed = |error| ListenError::Bind {
            url: url.to_string(),
            error,
        };
        let mut socket_file = None;
        let (url, task) = match url {
            Url::Ws(wanted) => {
                let bound = TcpListener::bind((wanted.host.as_str(), wanted.port)).await;
                let listener = bound.map_err(failed)?;
                let mut real: WsUrl = wanted.clone();
                real.port = listener.local_addr().map_err(failed)?.port();
                let patience = options.upgrade_timeout.unwrap_or(Duration::from_secs(10));
                let accepting =
                    accept_websockets(listener, configs, options.dialect, patience, sender);
                (Url::Ws(real), tokio::spawn(accepting))
            }
            Url::Tcp { host, port } => {
                let bound = TcpListener::bind((host.as_str(), *port)).await;
                let listener = bound.map_err(failed)?;
                let port = listener.local_addr().map_err(failed)?.port();
                let host = host.clone();
                (
                    Url::Tcp { host, port },
                    tokio::spawn(accept_tcp(listener, configs, sender)),
                )
            }
            Url::Unix(path) => {
                let listener = bind_unix(path).await.map_err(failed)?;
                socket_file = Some(SocketFile(path.clone()));
                (
                    url.clone(),
                    tokio::spawn(accept_unix(listener, path.clone(), configs, sender)),
                )
            }
            Url::Exec(_) | Url::Stdio => return Err(ListenError::NotListenable(url.to_string())),
        };
        Ok(Self {
            url,
            incoming,
            task,
            _socket_file: socket_file,
        })
    }

    /// The URL with the real port.
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
        self.task.abort();
    }
}

/// A client that wants in: accept it or refuse it. Dropped, its connection is closed.
#[must_use = "a client waits to be accepted or refused"]
pub struct Incoming {
    id: ConnId,
    peer: String,
    config: Arc<ConnectionConfig>,
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

    /// The dialect it will be spoken to in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.config.dialect()
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
    pub async fn accept(self, accept: Accept) -> io::Result<(Handle, Events)> {
        let Self {
            id,
            peer,
            config,
            way,
        } = self;
        let transport = match way {
            Way::Tcp(stream) => Transport::new(stream.into_split(), peer),
            Way::Unix(stream) => Transport::new(stream.into_split(), peer),
            Way::WebSocket(asked) => asked.accept(peer).await?,
        };
        let clock = Clock::start();
        let mut connection = Connection::new(config, random()?, clock.now());
        connection.accept(clock.now(), accept);
        Ok(start(connection, clock, id, transport))
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

/// The configurations of a listener's connections, built once.
#[derive(Clone)]
struct Configs {
    lines: Arc<ConnectionConfig>,
    sente: Arc<ConnectionConfig>,
    sente_lite: Arc<ConnectionConfig>,
}

impl Configs {
    fn new(options: &ListenOptions) -> Result<Self, ConfigError> {
        let build = |dialect, carrier| {
            let mut builder = ConnectionConfig::builder(Role::Server, dialect, carrier);
            if let Some(limits) = &options.limits {
                builder = builder.limits(limits.clone());
            }
            if options.keepalive.is_some() {
                builder = builder.keepalive(options.keepalive);
            }
            builder.build()
        };
        Ok(Self {
            lines: build(Dialect::SenteLite, Carrier::Lines)?,
            sente: build(Dialect::Sente, Carrier::WebSocket)?,
            sente_lite: build(Dialect::SenteLite, Carrier::WebSocket)?,
        })
    }
}

type Sender = mpsc::Sender<Result<Incoming, ListenError>>;

async fn accept_tcp(listener: TcpListener, configs: Configs, sender: Sender) {
    loop {
        let result = listener.accept().await;
        let incoming = result.and_then(|(stream, address)| {
            stream.set_nodelay(true)?;
            Ok(Incoming {
                id: conn_id()?,
                peer: format!("tcp://{address}"),
                config: configs.lines.clone(),
                way: Way::Tcp(stream),
            })
        });
        if !hand_over(incoming, &sender).await {
            return;
        }
    }
}

async fn accept_unix(listener: UnixListener, path: PathBuf, configs: Configs, sender: Sender) {
    loop {
        let result = listener.accept().await;
        let incoming = result.and_then(|(stream, _)| {
            Ok(Incoming {
                id: conn_id()?,
                peer: format!("unix:{}", path.display()),
                config: configs.lines.clone(),
                way: Way::Unix(stream),
            })
        });
        if !hand_over(incoming, &sender).await {
            return;
        }
    }
}

async fn accept_websockets(
    listener: TcpListener,
    configs: Configs,
    dialect: Option<Dialect>,
    patience: Duration,
    sender: Sender,
) {
    let upgrades = Arc::new(Semaphore::new(MAX_UPGRADES));
    loop {
        let Ok(permit) = upgrades.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, address)) => {
                let (configs, sender) = (configs.clone(), sender.clone());
                tokio::spawn(async move {
                    let upgrading = upgrade(stream, address.to_string(), configs, dialect);
                    match timeout(patience, upgrading).await {
                        Ok(Ok(Some(incoming))) => {
                            let _ = sender.send(Ok(incoming)).await;
                        }
                        Ok(Ok(None)) => {}
                        Ok(Err(error)) => {
                            tracing::debug!(%address, %error, "an upgrade failed");
                        }
                        Err(_) => tracing::debug!(%address, "an upgrade took too long"),
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                if !hand_over(Err(error), &sender).await {
                    return;
                }
            }
        }
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
    let config = match dialect {
        Dialect::Sente => configs.sente,
        Dialect::SenteLite => configs.sente_lite,
    };
    let incoming = Incoming {
        id: conn_id()?,
        peer: format!("ws://{address}"),
        config,
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

/// Removes the socket's file in the end.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
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
