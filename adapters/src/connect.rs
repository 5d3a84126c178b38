//! Opening a connection to a URL.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::SocketAddrUnix;
use sente_core::framing::upgrade::UpgradeError;
#[cfg(feature = "deflate")]
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{Edn, Packer};
use sente_core::{
    Accept, BadReason, Carrier, CloseReason, ConfigError, ConnectionConfig, Dialect, Extensions,
    Hello, Keepalive, Limits, Rate, Role,
};
use sente_edn::{Map, Value};
use thiserror::Error;

use crate::budget::SharedRecvBudget;
use crate::child::ChildOptions;
use crate::clock::Clock;
use crate::connection::start;
use crate::events::Events;
use crate::fifo::open_pair;
use crate::handle::Handle;
use crate::link::{Link, LinkLayer, Transport};
use crate::record::{self, Recordings};
use crate::runtime::{Runtime, chosen, timeout};
use crate::seed::conn_id;
use crate::sockets::{TcpOptions, abstract_address, dial_tcp, dial_unix};
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::url::{Address, Url, offered_in, stream_carrier};
use crate::{deflate, process, stdio, tls, websocket};

/// How to connect. The default suits most.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The dialect. Default: what the URL says, see [`Url::default_dialect`]. On a byte stream
    /// Sente's dialect is asked for in a hello.
    pub dialect: Option<Dialect>,
    /// The packer, which the peer has to speak, too; it decides the framing of a byte stream: lines
    /// for text, a length before each frame for binary. Default: what the URL says, else EDN.
    pub packer: Option<Arc<dyn Packer>>,
    /// The label the client gives itself. Default in Sente's dialect over WebSocket: a fresh UUID;
    /// elsewhere none.
    pub client_id: Option<String>,
    /// Sente's CSRF token, sent as a URL parameter.
    pub csrf_token: Option<String>,
    /// More parameters for a WebSocket's URL.
    pub params: Vec<(String, String)>,
    /// More headers for a WebSocket's request.
    pub headers: Vec<(String, String)>,
    /// The limits. Default [`Limits::default`].
    pub limits: Option<Limits>,
    /// When to ping and give up. Default [`Keepalive::default_for`].
    pub keepalive: Option<Keepalive>,
    /// How long the first event queued waits for others to leave with it. Default: not at all.
    pub flush_window: Option<Duration>,
    /// How many bytes of dropped events `ConnectionEvent::Dropped` brings along. Default 0.
    pub keep_dropped: usize,
    /// Keeps what leaves under so many bytes for a peer that loses larger messages: sente-lite's
    /// Babashka client needs [`BABASHKA_FRAME_BYTES`](sente_core::BABASHKA_FRAME_BYTES), its others and
    /// Sente's need nothing. Default: as large as the limits let them be. See
    /// [`small_frames`](sente_core::ConnectionConfigBuilder::small_frames) for what happens to a
    /// single event that is larger.
    pub small_frames: Option<usize>,
    /// Whether a client hands every event over as `[:chsk/recv event]`, for handlers that were written
    /// for `:wrap-recv-evs?` of Sente and sente-lite. Does nothing as a server. Default `false`. See
    /// [`wrap_received`](sente_core::ConnectionConfigBuilder::wrap_received).
    pub wrap_received: bool,
    /// How many events this side sends at most. Default: no limit.
    pub send_rate: Option<Rate>,
    /// How long connecting may take, handshake included. Default 10 s.
    pub connect_timeout: Option<Duration>,
    /// Whether to say hello on a byte stream. Default no, unless another option needs it.
    pub hello: bool,
    /// The extensions offered to the server, or on its side granted to a client. Default: as a
    /// client what the URL's parameter `sente-ext` says, else none, so that every frame is a stock
    /// one; as a server all.
    pub extensions: Option<Extensions>,
    /// The budget of received bytes it shares with others. Default
    /// [`SharedRecvBudget::of_process`].
    pub recv_budget: Option<SharedRecvBudget>,
    /// permessage-deflate for a WebSocket, offered to the server. Default: not at all.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
    /// Which side this is. Default: the server of a child (`exec:`), the client everywhere else.
    pub role: Option<Role>,
    /// How a TCP connection is set, that of a WebSocket as well. Default [`TcpOptions::default`].
    pub tcp: TcpOptions,
    /// How the child of an `exec:` URL is started, heard and ended. Default
    /// [`ChildOptions::default`].
    pub child: ChildOptions,
    /// Where the connection is recorded. Default: nowhere. A client's links are recorded where
    /// [`ClientOptions::record`](crate::ClientOptions::record) says.
    pub record: Option<Recordings>,
    /// How TLS is spoken. Default [`ClientTls::system`], where the URL asks for TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
    /// What is put around the link, beneath TLS. Default: nothing.
    pub layer: Option<LinkLayer>,
    /// The runtime the connection is driven on. Default: that of the caller.
    pub runtime: Option<Arc<dyn Runtime>>,
}

impl ConnectOptions {
    /// How long connecting may take.
    pub(crate) fn patience(&self) -> Duration {
        self.connect_timeout.unwrap_or(Duration::from_secs(10))
    }

    pub(crate) fn budget(&self) -> SharedRecvBudget {
        let own = self.recv_budget.clone();
        own.unwrap_or_else(SharedRecvBudget::of_process)
    }

    /// Which side this is towards `url`: a child is a client unless told otherwise.
    pub(crate) fn role_at(&self, url: &Url) -> Role {
        self.role.unwrap_or(match url.address {
            Address::Exec(_) => Role::Server,
            _ => Role::Client,
        })
    }

    /// The hello these options ask for.
    fn to_hello(&self, dialect: Dialect) -> Option<Hello> {
        let wanted = self.hello || self.client_id.is_some() || dialect == Dialect::Sente;
        wanted.then(|| {
            let mut hello = Hello::new();
            hello.client_id.clone_from(&self.client_id);
            hello.dialect = (dialect == Dialect::Sente).then_some(dialect);
            hello
        })
    }

    /// The packer spoken at `url`.
    pub(crate) fn packer_at(&self, url: &Url) -> Arc<dyn Packer> {
        let own = self.packer.clone();
        own.or_else(|| url.to_packer())
            .unwrap_or_else(|| Arc::new(Edn))
    }

    /// `link` with TLS, if `url` asks for it.
    pub(crate) async fn secured(
        &self,
        url: &Url,
        link: Box<dyn Link>,
    ) -> io::Result<Box<dyn Link>> {
        let host = match &url.address {
            address if !address.is_secure() => return Ok(link),
            Address::Tls { host, .. } => host,
            Address::Ws(at) => &at.host,
            _ => return Ok(link),
        };
        #[cfg(feature = "tls")]
        let own = self.tls.as_ref();
        #[cfg(not(feature = "tls"))]
        let own = None;
        tls::connect(link, host, own).await
    }

    /// The configuration of what runs over the transport to `url`.
    fn config_at(
        &self,
        url: &Url,
        is_message_based: bool,
    ) -> Result<Arc<ConnectionConfig>, ConfigError> {
        let dialect = self.dialect.unwrap_or_else(|| url.default_dialect());
        let role = self.role_at(url);
        let packer = self.packer_at(url);
        let patience = self.patience();
        let (carrier, offered) = match &url.address {
            Address::Ws(url) => (Carrier::WebSocket, offered_in(&url.query)),
            _ if is_message_based => (Carrier::LengthPrefixed, None),
            _ => (stream_carrier(&*packer), None),
        };
        let extensions = self.extensions.or(offered);
        let mut builder = ConnectionConfig::builder(role, dialect, carrier).packer(packer);
        builder = builder
            .handshake_timeout(patience)
            .flush_window(self.flush_window)
            .keep_dropped(self.keep_dropped)
            .small_frames(self.small_frames)
            .wrap_received(self.wrap_received)
            .send_rate(self.send_rate);
        if let Some(limits) = &self.limits {
            builder = builder.limits(limits.clone());
        }
        if self.keepalive.is_some() {
            builder = builder.keepalive(self.keepalive);
        }
        if role == Role::Client
            && carrier != Carrier::WebSocket
            && let Some(hello) = self.to_hello(dialect)
        {
            builder = builder.hello(hello);
        }
        if let Some(extensions) = extensions {
            builder = match role {
                Role::Client => builder.offer(extensions),
                Role::Server => builder.grant(extensions),
            };
        }
        builder.build()
    }
}

/// Connects to `url` (dials, spawns, upgrades) and starts to drive the connection on a task of its
/// own. A client's connection is open when this returns.
///
/// # Errors
/// [`ConnectError`] says which step failed and why.
///
/// # Cancel safety
/// Dropped, the attempt is given up: sockets are closed, a child is killed.
pub async fn connect(
    url: &Url,
    options: &ConnectOptions,
) -> Result<(Handle, Events), ConnectError> {
    let runtime = chosen(options.runtime.as_ref())?;
    establish(&runtime, dial(&runtime, url, options), options).await
}

/// Connects over a link that is open already, as `url` says: it may name the packer, asks for TLS and
/// for the upgrade of a WebSocket where it has them, and is what the peer is called. As [`connect`] otherwise.
///
/// [`TokioLink`](crate::TokioLink), [`FuturesLink`](crate::FuturesLink),
/// [`MessageLink`](crate::MessageLink) and [`Duplex`](crate::Duplex) are links;
/// [`Acceptor`](crate::Acceptor) is the other side.
///
/// # Errors
/// As for [`connect`].
///
/// # Cancel safety
/// Dropped, the attempt is given up, and the link is dropped.
pub async fn connect_over(
    url: &Url,
    link: impl Link + 'static,
    options: &ConnectOptions,
) -> Result<(Handle, Events), ConnectError> {
    let runtime = chosen(options.runtime.as_ref())?;
    establish(&runtime, take_up(url, Box::new(link), options), options).await
}

/// Has a link that is open carry what `url` says, and makes the configuration of what runs over it.
pub(crate) async fn take_up(
    url: &Url,
    link: Box<dyn Link>,
    options: &ConnectOptions,
) -> Result<(Transport, Arc<ConnectionConfig>), ConnectError> {
    let is_message_based = link.is_message_based();
    let link = LinkLayer::around(options.layer.as_ref(), link);
    let link = options.secured(url, link).await?;
    let transport = match &url.address {
        Address::Ws(at) => {
            let dialect = options.dialect.unwrap_or_else(|| url.default_dialect());
            websocket::ask(link, at, dialect, options).await?
        }
        _ => Transport::new(link, url.to_string()),
    };
    Ok((transport, options.config_at(url, is_message_based)?))
}

/// Has the transport opened, starts to drive the connection and, as a client, waits for the
/// handshake.
async fn establish(
    runtime: &Arc<dyn Runtime>,
    opening: impl Future<Output = Result<(Transport, Arc<ConnectionConfig>), ConnectError>>,
    options: &ConnectOptions,
) -> Result<(Handle, Events), ConnectError> {
    let patience = options.patience();
    let begun = runtime.now();
    let opened = timeout(&**runtime, patience, opening).await;
    let (mut transport, config) = opened.ok_or(ConnectError::Timeout(patience))??;
    let role = config.role();
    let budget = options.budget();
    let clock = Clock::start(runtime.clone());
    let id = conn_id()?;
    let record = options.record.as_ref();
    let mut connection = record::connection(config, id, clock.now(), record)?;
    deflate::set(&mut connection, transport.deflate.take());
    if role == Role::Server {
        connection.accept(clock.now(), stock_accept(&id.to_string()));
        let link = start(connection, clock, id, transport, &budget);
        return Ok(link);
    }
    let (handle, mut events) = start(connection, clock, id, transport, &budget);
    let left = patience.saturating_sub(runtime.now().saturating_duration_since(begun));
    match timeout(&**runtime, left, events.wait_until_open()).await {
        Some(Ok(())) => Ok((handle, events)),
        Some(Err(CloseReason::HandshakeTimeout)) | None => {
            Err(no_handshake(&handle, &mut events, patience))
        }
        Some(Err(reason)) => Err(ConnectError::Ended(reason)),
    }
}

/// What a peer did that did not begin in time.
fn no_handshake(handle: &Handle, events: &mut Events, patience: Duration) -> ConnectError {
    let first_bad = events.first_bad();
    let stats = handle.stats();
    // Who sends frames that can be read speaks the same packer, and is only late.
    let is_readable = stats.frames_received > 0 || stats.bytes_received == 0;
    if first_bad.is_none() && is_readable {
        return ConnectError::Timeout(patience);
    }
    ConnectError::NoHandshake {
        within: patience,
        received: stats.bytes_received,
        first_bad,
    }
}

/// Opens the transport, upgrade included, and makes the configuration of what runs over it.
pub(crate) async fn dial(
    runtime: &Arc<dyn Runtime>,
    url: &Url,
    options: &ConnectOptions,
) -> Result<(Transport, Arc<ConnectionConfig>), ConnectError> {
    let layered = |link| LinkLayer::around(options.layer.as_ref(), link);
    let transport = match &url.address {
        Address::Ws(at) => {
            let dialect = options.dialect.unwrap_or_else(|| url.default_dialect());
            let link = dial_tcp(&**runtime, &at.host, at.port, &options.tcp).await?;
            let link = options.secured(url, layered(link)).await?;
            websocket::ask(link, at, dialect, options).await?
        }
        Address::Tcp { host, port } | Address::Tls { host, port } => {
            let link = dial_tcp(&**runtime, host, *port, &options.tcp).await?;
            let link = options.secured(url, layered(link)).await?;
            Transport::new(link, url.to_string())
        }
        Address::Unix(path) => {
            let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
            let link = dial_unix(&**runtime, &address).await?;
            Transport::new(layered(link), url.to_string())
        }
        Address::UnixAbstract(name) => {
            let address = abstract_address(name)?;
            let link = dial_unix(&**runtime, &address).await?;
            Transport::new(layered(link), url.to_string())
        }
        Address::Fifo { input, output } => {
            let link = open_pair(&**runtime, input, output).await?;
            Transport::new(layered(link), url.to_string())
        }
        Address::Exec(words) => {
            let mut transport =
                process::spawn(runtime, words, &options.child).map_err(|error| {
                    ConnectError::Spawn {
                        command: words.first().cloned().unwrap_or_default(),
                        error,
                    }
                })?;
            transport.link = layered(transport.link);
            transport
        }
        Address::Stdio => {
            let mut transport = stdio::take(&**runtime)?;
            transport.link = layered(transport.link);
            transport
        }
    };
    Ok((transport, options.config_at(url, false)?))
}

/// The handshake of a sente-lite server: the connection's id for a uid, and its version.
fn stock_accept(id: &str) -> Accept {
    let mut accept = Accept::new(id);
    let mut data = Map::new();
    if let Some(key) = Value::keyword("sente-lite-version") {
        data.insert(key, "2.0.0");
    }
    accept.data = Value::Map(data);
    accept
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options do not fit together.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The peer ended it before the handshake.
    #[error("ended before the handshake: {0}")]
    Ended(CloseReason),
    /// Dialling failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The child could not be started.
    #[error("cannot start {command:?}: {error}")]
    Spawn {
        /// The program.
        command: String,
        /// What the system says.
        error: io::Error,
    },
    /// The peer said something that could not be read, and no handshake in time: it may speak another
    /// packer.
    #[error("no handshake in time: {}", Instead(*.received, .first_bad.as_ref()))]
    NoHandshake {
        /// How long was waited.
        within: Duration,
        /// How many bytes came.
        received: u64,
        /// What was wrong with the first message, if there was a whole one that was.
        first_bad: Option<BadReason>,
    },
    /// Not in time.
    #[error("not connected within {0:?}")]
    Timeout(Duration),
    /// The HTTP upgrade failed or was refused.
    #[error("{}", Upgrade(.0))]
    Upgrade(#[from] UpgradeError),
}

/// What came in place of a handshake.
struct Instead<'a>(u64, Option<&'a BadReason>);

impl std::fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(received, first_bad) = self;
        match first_bad {
            Some(reason) => write!(f, "{reason}"),
            None => write!(
                f,
                "{received} bytes came instead: is the peer using another packer?"
            ),
        }
    }
}

/// An upgrade error with what the server wrote beneath its status.
struct Upgrade<'a>(&'a UpgradeError);

impl std::fmt::Display for Upgrade<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0 {
            UpgradeError::Refused { body, .. } if !body.trim().is_empty() => {
                write!(f, ": {}", body.trim())
            }
            _ => Ok(()),
        }
    }
}
