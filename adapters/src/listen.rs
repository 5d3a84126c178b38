//! Listening for connections on WebSocket, TCP and Unix sockets.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use sente_core::framing::upgrade::UpgradeRequest;
#[cfg(feature = "deflate")]
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{self, Edn, Packer};
use sente_core::{
    Accept, Carrier, ConfigError, ConnId, ConnectionConfig, Dialect, Extensions, Keepalive, Limits,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::configs::Configs;
use crate::connection::start;
use crate::deflate;
use crate::events::Events;
use crate::handle::Handle;
use crate::link::{Held, Link, Transport};
use crate::record::{self, Recordings};
use crate::runtime::{Runtime, Task, chosen, ready_or, sleep, timeout};
use crate::seed::{conn_id, random};
use crate::socket_file::{SocketFile, bind_path};
use crate::sockets::{Accepted, ListenSocket, TcpOptions};
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
    /// Where the connections are recorded. Default: nowhere.
    pub record: Option<Recordings>,
    /// How long a client may take to ask for its upgrade. Default 10 s.
    pub upgrade_timeout: Option<Duration>,
    /// How each TCP connection is set, that of a WebSocket as well. Default
    /// [`TcpOptions::default`].
    pub tcp: TcpOptions,
    /// The permissions of a Unix socket's file, such as `0o600`. They are set before anybody can
    /// connect. Default: what the process's umask leaves.
    pub socket_mode: Option<u32>,
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
    /// Binds `url`: `ws://`, `tcp://` or `unix:`; port 0 lets the system choose. A socket file
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
        let packer = own.clone().unwrap_or_else(|| Arc::new(Edn));
        let configs = Configs::new(&options, &packer)?;
        let (sender, incoming) = mpsc::channel(64);
        let mut socket_file = None;
        let (address, socket, peer) = match &url.address {
            Address::Ws(wanted) => {
                let bound =
                    ListenSocket::bind_tcp(&*runtime, &wanted.host, wanted.port, &options.tcp);
                let (socket, port) = bound.await.map_err(failed)?;
                let mut real: WsUrl = wanted.clone();
                real.port = port;
                (Address::Ws(real), socket, "ws")
            }
            Address::Tcp { host, port } => {
                let bound = ListenSocket::bind_tcp(&*runtime, host, *port, &options.tcp);
                let (socket, port) = bound.await.map_err(failed)?;
                let host = host.clone();
                (Address::Tcp { host, port }, socket, "tcp")
            }
            Address::Unix(path) => {
                let bound = bind_path(&*runtime, path, options.socket_mode);
                let socket = bound.await.map_err(failed)?;
                socket_file = SocketFile::of(path);
                (url.address.clone(), socket, "unix")
            }
            Address::Exec(_) | Address::Stdio => {
                return Err(ListenError::NotListenable(url.to_string()));
            }
        };
        let socket = Socket::new(socket, runtime.clone());
        let task = if peer == "ws" {
            let patience = options.upgrade_timeout.unwrap_or(Duration::from_secs(10));
            let accepting =
                accept_websockets(socket.clone(), configs, options.dialect, patience, sender);
            Task::spawn(&*runtime, accepting)
        } else {
            let accepting = accept_streams(socket.clone(), address.to_string(), configs, sender);
            Task::spawn(&*runtime, accepting)
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

/// A client that wants in: accept it or refuse it. Dropped, its connection is closed.
#[must_use = "a client waits to be accepted or refused"]
pub struct Incoming {
    id: ConnId,
    peer: String,
    config: Arc<ConnectionConfig>,
    budget: SharedRecvBudget,
    record: Option<Recordings>,
    runtime: Arc<dyn Runtime>,
    way: Way,
}

enum Way {
    Stream(Held),
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
            Way::Stream(_) => None,
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

    /// What carries it: a WebSocket or a byte stream.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.config.carrier()
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
            record,
            runtime,
            way,
        } = self;
        let mut transport = match way {
            Way::Stream(link) => Transport::new(link.into_inner(), peer),
            Way::WebSocket(asked) => asked.accept(peer, &config).await?,
        };
        let clock = Clock::start(runtime);
        let (seed, now) = (random()?, clock.now());
        let mut connection = record::connection(config, seed, now, record.as_ref())?;
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
        self.refuse_with(status, &[], reason).await;
    }

    /// The same with these headers in the answer, name and value.
    ///
    /// # Cancel safety
    /// As for [`refuse`](Self::refuse).
    pub async fn refuse_with(self, status: u16, headers: &[(&str, &str)], reason: &str) {
        if let Way::WebSocket(asked) = self.way {
            let mut link = asked.link.into_inner();
            // A client that is gone needs no answer.
            let runtime = &*self.runtime;
            let _ = websocket::refuse(runtime, &mut *link, status, headers, reason).await;
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

async fn accept_streams(socket: Socket, here: String, configs: Configs, sender: Sender) {
    while let Some(result) = socket.accept().await {
        let incoming = result.and_then(|accepted| {
            Ok(Incoming {
                id: conn_id()?,
                peer: match accepted.address {
                    Some(address) => format!("tcp://{address}"),
                    None => here.clone(),
                },
                config: configs.stream.clone(),
                budget: configs.budget.clone(),
                record: configs.record.clone(),
                runtime: socket.runtime.clone(),
                way: Way::Stream(Held::new(accepted.link)),
            })
        });
        if !hand_over(&*socket.runtime, incoming, &sender).await {
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
        let address = accepted
            .address
            .map_or_else(String::new, |address| address.to_string());
        if under_way.len() >= MAX_UPGRADES {
            under_way.retain(|one| !one.is_closed());
        }
        if under_way.len() >= MAX_UPGRADES {
            under_way.pop_front();
        }
        let (stays, gives_way) = oneshot::channel();
        under_way.push_back(stays);
        let (configs, sender) = (configs.clone(), sender.clone());
        let runtime = socket.runtime.clone();
        socket.runtime.spawn(Box::pin(async move {
            let upgrading = upgrade(&runtime, accepted.link, &address, configs, dialect);
            let gives_way = async {
                let _ = gives_way.await;
            };
            match ready_or(timeout(&*runtime, patience, upgrading), gives_way).await {
                Some(Some(Ok(Some(incoming)))) => {
                    let _ = sender.send(Ok(incoming)).await;
                }
                Some(Some(Ok(None))) => {}
                Some(Some(Err(error))) => {
                    tracing::debug!(%address, %error, "an upgrade failed");
                }
                Some(None) => tracing::debug!(%address, "an upgrade took too long"),
                None => tracing::debug!(%address, "an upgrade gave way to others"),
            }
        }));
    }
}

async fn upgrade(
    runtime: &Arc<dyn Runtime>,
    link: Box<dyn Link>,
    address: &str,
    configs: Configs,
    dialect: Option<Dialect>,
) -> io::Result<Option<Incoming>> {
    let Some(asked) = websocket::read_request(&**runtime, link).await? else {
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
        record: configs.record.clone(),
        runtime: runtime.clone(),
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
    /// Not an address to listen on.
    #[error("{0} is nothing to listen on: use ws://, tcp:// or unix:")]
    NotListenable(String),
}
