//! The transports, and how a pair of peers comes together over each.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use rustix::process::{Pid, Signal, kill_process};
use sente_adapters::tls::{ClientTls, ServerTls};
use sente_adapters::{
    Acceptor, ConnectError, ConnectOptions, Duplex, Events, FuturesLink, Handle, Link,
    ListenOptions, Listener, MessageLink, Runtime, TokioLink, Url, blocking, connect, connect_over,
};
use sente_core::framing::Kind;
use sente_core::packer;
use sente_core::{Accept, Role};
use tempfile::TempDir;

use crate::party::Party;
use crate::peer::{GoOn, serve};
use crate::runtimes::{Ground, Mortal, RuntimeKind};
use crate::slow::one_byte_at_a_time;

/// Says to a process of this program that it is a child, and of which runtime.
pub(crate) const CHILD: &str = "SENTE_MATRIX_CHILD";
/// Says to a child that its link is slow.
const SLOW: &str = "SENTE_MATRIX_SLOW";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Abstract,
    Child,
    Fifo,
    FuturesIo,
    Memory,
    Messages,
    Tcp,
    Tls,
    TokioIo,
    Unix,
    WebSocket,
    WebSocketInMemory,
    WebSocketTls,
}

impl Transport {
    pub(crate) const ALL: [Self; 13] = [
        Self::Tcp,
        Self::Unix,
        Self::Abstract,
        Self::Tls,
        Self::WebSocket,
        Self::WebSocketTls,
        Self::Fifo,
        Self::Child,
        Self::Memory,
        Self::WebSocketInMemory,
        Self::TokioIo,
        Self::FuturesIo,
        Self::Messages,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Abstract => "unix-abstract",
            Self::Child => "exec-and-stdio",
            Self::Fifo => "fifo",
            Self::FuturesIo => "futures-io",
            Self::Memory => "memory",
            Self::Messages => "messages",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::TokioIo => "tokio-io",
            Self::Unix => "unix",
            Self::WebSocket => "websocket",
            Self::WebSocketInMemory => "websocket-in-memory",
            Self::WebSocketTls => "websocket-tls",
        }
    }

    /// Whether one side can end while the other goes on.
    pub(crate) const fn half_closes(self) -> bool {
        !matches!(
            self,
            Self::WebSocket | Self::WebSocketInMemory | Self::WebSocketTls
        )
    }
}

/// How a pair is to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) packer: Option<&'static str>,
    pub(crate) is_slow: bool,
}

/// Makes pairs.
pub(crate) struct Rig {
    ground: Arc<Ground>,
    pub(crate) transport: Transport,
}

/// Two peers, one of which is ours.
pub(crate) struct Pair {
    pub(crate) ours: Party,
    theirs: Theirs,
    _folder: TempDir,
}

enum Theirs {
    Child(Pid),
    Task(Mortal, GoOn),
}

impl Pair {
    /// The peer stops reading, after it has been told to.
    pub(crate) fn stop(&self) {
        if let Theirs::Child(pid) = &self.theirs {
            kill_process(*pid, Signal::STOP).unwrap();
        }
    }

    pub(crate) fn go_on(&self) {
        match &self.theirs {
            Theirs::Child(pid) => kill_process(*pid, Signal::CONT).unwrap(),
            Theirs::Task(_, go_on) => go_on.notify_one(),
        }
    }

    pub(crate) fn kill(&self) {
        match &self.theirs {
            Theirs::Child(pid) => kill_process(*pid, Signal::KILL).unwrap(),
            Theirs::Task(mortal, _) => mortal.kill(),
        }
    }
}

impl Rig {
    pub(crate) const fn new(ground: Arc<Ground>, transport: Transport) -> Self {
        Self { ground, transport }
    }

    /// Waits, by the runtime's own time.
    pub(crate) async fn pause(&self, pause: Duration) {
        let runtime = &self.ground.runtime;
        let (mut timer, until) = (runtime.timer(), runtime.now() + pause);
        std::future::poll_fn(|cx| timer.poll_until(cx, until)).await;
    }

    pub(crate) async fn open(&self) -> Pair {
        self.open_with(Setup::default()).await
    }

    pub(crate) async fn open_with(&self, setup: Setup) -> Pair {
        let folder = tempfile::tempdir().unwrap();
        let mortal = Mortal::new(self.ground.runtime.clone());
        let go_on = GoOn::default();
        let theirs = Theirs::Task(mortal.clone(), go_on.clone());
        let ours = match self.transport {
            Transport::Child => {
                let ours = self.dial(&self.child(setup), setup).await.unwrap();
                let pid = i32::try_from(ours.handle().pid().unwrap()).unwrap();
                return Pair {
                    ours,
                    theirs: Theirs::Child(Pid::from_raw(pid).unwrap()),
                    _folder: folder,
                };
            }
            Transport::Fifo => {
                let (there, back) = (folder.path().join("there"), folder.path().join("back"));
                for path in [&there, &back] {
                    make_fifo(path);
                }
                let url = |one: &std::path::Path, other: &std::path::Path| {
                    parse(&format!("fifo:{},{}", one.display(), other.display()))
                };
                let mut options = self.connect_options(setup);
                options.role = Some(Role::Server);
                options.runtime = Some(Arc::new(mortal.clone()));
                let at = url(&there, &back);
                let serving = async move {
                    let (handle, events) = connect(&at, &options).await.unwrap();
                    serve(handle, events, go_on).await;
                };
                mortal.spawn(Box::pin(serving));
                self.dial(&url(&back, &there), setup).await.unwrap()
            }
            _ => match self.address(&folder) {
                Some(at) => {
                    let options = listen_options(&mortal, setup);
                    let mut listener = Listener::bind(&at, options).await.unwrap();
                    let at = listener.url().clone();
                    mortal.spawn(Box::pin(async move {
                        let incoming = listener.accept().await.unwrap().unwrap();
                        let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
                        serve(handle, events, go_on).await;
                    }));
                    self.dial(&at, setup).await.unwrap()
                }
                None => self.over_links(&mortal, go_on, setup).await,
            },
        };
        Pair {
            ours,
            theirs,
            _folder: folder,
        }
    }

    /// Attempts that must fail.
    pub(crate) async fn refused(&self) -> Vec<Result<Party, ConnectError>> {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::default();
        match self.transport {
            Transport::Child => {
                let absent = self
                    .dial(&parse("exec:there-is-no-such-command"), setup)
                    .await;
                let mut options = self.connect_options(setup);
                options.role = Some(Role::Client);
                let silent = connect(&parse("exec:true"), &options).await;
                vec![absent, silent.map(into_party)]
            }
            Transport::Fifo => {
                let none = folder.path().join("none");
                let at = parse(&format!("fifo:{0},{0}", none.display()));
                let absent = self.dial(&at, setup).await;
                std::fs::write(&none, "").unwrap();
                vec![absent, self.dial(&at, setup).await]
            }
            _ => match self.address(&folder) {
                Some(at) => {
                    let mortal = Mortal::new(self.ground.runtime.clone());
                    let options = listen_options(&mortal, setup);
                    let mut listener = Listener::bind(&at, options).await.unwrap();
                    let at = listener.url().clone();
                    let refusing = self.dial(&at, setup);
                    mortal.spawn(Box::pin(async move {
                        let incoming = listener.accept().await.unwrap().unwrap();
                        incoming.refuse(403, "not you").await;
                    }));
                    let refused = refusing.await;
                    mortal.kill();
                    let mut answers = vec![refused];
                    // The listener is gone with its runtime, sooner or later.
                    loop {
                        let mut options = self.connect_options(setup);
                        options.connect_timeout = Some(Duration::from_millis(200));
                        match connect(&at, &options).await.map(into_party) {
                            Err(ConnectError::Timeout(_)) => {}
                            gone => {
                                answers.push(gone);
                                return answers;
                            }
                        }
                    }
                }
                None => {
                    let (ours, theirs) = self.links(setup);
                    drop(theirs);
                    vec![self.dial_over(ours, setup).await]
                }
            },
        }
    }

    /// Where to listen; `None` where links are made by hand.
    fn address(&self, folder: &TempDir) -> Option<Url> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Some(parse(&match self.transport {
            Transport::Abstract => format!(
                "unix:@sente-matrix-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ),
            Transport::Tcp => "tcp://127.0.0.1:0".to_owned(),
            Transport::Tls => "tls://127.0.0.1:0".to_owned(),
            Transport::Unix => format!("unix:{}", folder.path().join("socket").display()),
            Transport::WebSocket => "ws://127.0.0.1:0/socket".to_owned(),
            Transport::WebSocketTls => "wss://127.0.0.1:0/socket".to_owned(),
            _ => return None,
        }))
    }

    fn child(&self, setup: Setup) -> Url {
        let program = std::env::current_exe().unwrap();
        let slow = if setup.is_slow {
            format!("{SLOW}=1")
        } else {
            String::new()
        };
        let packer = setup
            .packer
            .map(|name| format!("?packer={name} "))
            .unwrap_or_default();
        parse(&format!(
            "exec:{packer}env {CHILD}={} SENTE_MATRIX_PACKER={} {slow} {}",
            self.ground.kind.name(),
            setup.packer.unwrap_or("edn"),
            program.display()
        ))
    }

    async fn dial(&self, at: &Url, setup: Setup) -> Result<Party, ConnectError> {
        let options = self.connect_options(setup);
        if self.ground.kind == RuntimeKind::Blocking {
            let (handle, events) = blocking::connect(at, &options)?;
            Ok(Party::Blocking(handle, events))
        } else {
            connect(at, &options).await.map(into_party)
        }
    }

    async fn dial_over(&self, link: Box<dyn Link>, setup: Setup) -> Result<Party, ConnectError> {
        let opened = connect_over(&self.made_by_hand(), link, &self.connect_options(setup)).await;
        let (handle, events) = opened?;
        Ok(if self.ground.kind == RuntimeKind::Blocking {
            Party::Blocking(handle.into(), events.into())
        } else {
            Party::Async(handle, events)
        })
    }

    async fn over_links(&self, mortal: &Mortal, go_on: GoOn, setup: Setup) -> Party {
        let (ours, theirs) = self.links(setup);
        let acceptor = Acceptor::new(&self.made_by_hand(), listen_options(mortal, setup)).unwrap();
        mortal.spawn(Box::pin(async move {
            let incoming = acceptor.take(theirs, "theirs").await.unwrap().unwrap();
            let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
            serve(handle, events, go_on).await;
        }));
        self.dial_over(ours, setup).await.unwrap()
    }

    /// What is spoken over links made by hand.
    fn made_by_hand(&self) -> Url {
        parse(match self.transport {
            Transport::WebSocketInMemory => "ws://in.memory/socket",
            _ => "tcp://in.memory:1",
        })
    }

    fn links(&self, setup: Setup) -> (Box<dyn Link>, Box<dyn Link>) {
        match self.transport {
            Transport::TokioIo => {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                (
                    Box::new(TokioLink::new(ours)),
                    Box::new(TokioLink::new(theirs)),
                )
            }
            Transport::FuturesIo if self.ground.kind == RuntimeKind::AsyncStd => {
                let (ours, theirs) = async_std::os::unix::net::UnixStream::pair().unwrap();
                (
                    Box::new(FuturesLink::new(Closing(ours))),
                    Box::new(FuturesLink::new(Closing(theirs))),
                )
            }
            Transport::FuturesIo => {
                let (ours, theirs) = smol::net::unix::UnixStream::pair().unwrap();
                (
                    Box::new(FuturesLink::new(ours)),
                    Box::new(FuturesLink::new(theirs)),
                )
            }
            Transport::Messages => {
                let kind = match setup.packer {
                    Some("msgpack") => Kind::Binary,
                    _ => Kind::Text,
                };
                let (ours, theirs) = Channel::pair();
                (
                    Box::new(MessageLink::new(ours, kind)),
                    Box::new(MessageLink::new(theirs, kind)),
                )
            }
            _ => {
                let (ours, theirs) = Duplex::pair();
                (Box::new(ours), Box::new(theirs))
            }
        }
    }

    fn connect_options(&self, setup: Setup) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        options.runtime = Some(self.ground.runtime.clone());
        options.packer = setup.packer.and_then(packer::named);
        options.layer = setup.is_slow.then(one_byte_at_a_time);
        options.tls = Some(certificates().0.clone());
        options
    }
}

/// What both sides show each other, made once.
fn certificates() -> &'static (ClientTls, ServerTls) {
    static MADE: OnceLock<(ClientTls, ServerTls)> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let (chain, key) = (chain.as_bytes(), key.as_bytes());
        (
            ClientTls::with_identity(chain, chain, key).unwrap(),
            ServerTls::for_clients_of(chain, chain, key).unwrap(),
        )
    })
}

fn listen_options(mortal: &Mortal, setup: Setup) -> ListenOptions {
    let mut options = ListenOptions::default();
    options.runtime = Some(Arc::new(mortal.clone()));
    options.packer = setup.packer.and_then(packer::named);
    options.layer = setup.is_slow.then(one_byte_at_a_time);
    options.tls = Some(certificates().1.clone());
    options
}

/// The life of a child on this runtime.
pub(crate) fn be_a_child(runtime: &str) {
    let ground = Ground::new(RuntimeKind::named(runtime));
    let mut options = ConnectOptions::default();
    options.runtime = Some(ground.runtime.clone());
    options.packer = std::env::var("SENTE_MATRIX_PACKER")
        .ok()
        .and_then(|name| packer::named(&name));
    options.layer = std::env::var_os(SLOW).map(|_| one_byte_at_a_time());
    ground.block_on(async {
        let (handle, events) = connect(&parse("stdio:"), &options).await.unwrap();
        // A child is stopped by a signal, and goes on by one.
        let go_on = GoOn::default();
        go_on.notify_one();
        serve(handle.clone(), events, go_on).await;
        handle.ended().await;
    });
}

fn into_party((handle, events): (Handle, Events)) -> Party {
    Party::Async(handle, events)
}

fn parse(url: &str) -> Url {
    url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn make_fifo(path: &std::path::Path) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// async-std's sockets do nothing when they are closed; this shuts them down, as others do.
struct Closing(async_std::os::unix::net::UnixStream);

impl futures_util::AsyncRead for Closing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl futures_util::AsyncWrite for Closing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(std::net::Shutdown::Write))
    }
}

/// A channel of messages both ways.
struct Channel {
    from: Pin<Box<smol::channel::Receiver<Bytes>>>,
    to: Option<smol::channel::Sender<Bytes>>,
    sending: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
}

impl Channel {
    fn pair() -> (Self, Self) {
        let (there, from_here) = smol::channel::bounded(4);
        let (back, from_there) = smol::channel::bounded(4);
        let end = |from, to| Self {
            from: Box::pin(from),
            to: Some(to),
            sending: None,
        };
        (end(from_there, there), end(from_here, back))
    }
}

impl Stream for Channel {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        self.from
            .as_mut()
            .poll_next(cx)
            .map(|message| message.map(Ok))
    }
}

impl Sink<Bytes> for Channel {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> io::Result<()> {
        let to = self.to.clone().ok_or(io::ErrorKind::BrokenPipe)?;
        self.sending = Some(Box::pin(async move {
            to.send(message)
                .await
                .map_err(|_| io::ErrorKind::BrokenPipe.into())
        }));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(cx));
            self.sending = None;
            sent?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.to = None;
        Poll::Ready(Ok(()))
    }
}
