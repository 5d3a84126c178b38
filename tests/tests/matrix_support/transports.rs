//! The transports, and how a pair of peers comes together over each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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

use crate::links::{Channel, Closing};
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

/// Connections that are open at the same time.
pub(crate) struct Many {
    pub(crate) ours: Vec<Party>,
    /// Listens as long as this is there.
    _listening: Mortal,
    _folder: TempDir,
}

impl Many {
    /// The peers, which run on `theirs` where they are no processes of their own, are gone.
    pub(crate) fn kill_theirs(&self, theirs: &Mortal) {
        theirs.kill();
        for pid in self.ours.iter().filter_map(|ours| ours.handle().pid()) {
            kill_process(raw(pid), Signal::KILL).unwrap();
        }
    }
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

    /// What it is called in reports.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.ground.kind.name(), self.transport.name())
    }

    pub(crate) fn runtime(&self) -> Arc<dyn Runtime> {
        self.ground.runtime.clone()
    }

    /// How many tasks of the runtime have not ended.
    pub(crate) fn tasks(&self) -> usize {
        self.ground.tasks()
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
                let theirs = Theirs::Child(raw(ours.handle().pid().unwrap()));
                return Pair {
                    ours,
                    theirs,
                    _folder: folder,
                };
            }
            Transport::Fifo => {
                let options = self.connect_options(setup);
                let at = serve_fifos(&folder, &mortal, go_on, &options);
                self.dial(&at, setup).await.unwrap()
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
                None => {
                    let options = self.connect_options(setup);
                    self.over_links(&mortal, go_on, setup, &options).await
                }
            },
        };
        Pair {
            ours,
            theirs,
            _folder: folder,
        }
    }

    /// So many connections at once, ours driven on `ours`, and the other sides on `theirs`; a child
    /// here is `cat`.
    pub(crate) async fn open_many(&self, count: usize, ours: &Mortal, theirs: &Mortal) -> Many {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::default();
        let mut options = self.connect_options(setup);
        options.runtime = Some(Arc::new(ours.clone()));
        let listening = Mortal::new(self.runtime());
        let at = match self.transport {
            Transport::Child => Some(parse("exec:cat")),
            Transport::Fifo => None,
            _ => self.address(&folder),
        };
        let at = match at {
            Some(at) if self.transport != Transport::Child => {
                let listener = Listener::bind(&at, listen_options(theirs, setup)).await;
                let mut listener = listener.unwrap();
                let at = listener.url().clone();
                let serving = theirs.clone();
                listening.spawn(Box::pin(async move {
                    while let Some(Ok(incoming)) = listener.accept().await {
                        serving.spawn(Box::pin(async move {
                            // Whoever is gone again needs no service.
                            if let Ok((handle, events)) = incoming.accept(Accept::new("ada")).await
                            {
                                serve(handle, events, GoOn::default()).await;
                            }
                        }));
                    }
                }));
                Some(at)
            }
            at => at,
        };
        // All at once, and so not by the methods that block; they do the same.
        let opening = (0..count).map(|_| async {
            let go_on = GoOn::default();
            match (&at, self.transport) {
                (Some(at), _) => self.ours(connect(at, &options).await.unwrap()),
                (None, Transport::Fifo) => {
                    let folder = tempfile::tempdir_in(&folder).unwrap();
                    let at = serve_fifos(&folder, theirs, go_on, &options);
                    self.ours(connect(&at, &options).await.unwrap())
                }
                (None, _) => self.over_links(theirs, go_on, setup, &options).await,
            }
        });
        Many {
            ours: futures_util::future::join_all(opening).await,
            _listening: listening,
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
                    let options = self.connect_options(setup);
                    vec![self.dial_over(ours, &options).await]
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

    async fn dial_over(
        &self,
        link: Box<dyn Link>,
        options: &ConnectOptions,
    ) -> Result<Party, ConnectError> {
        let opened = connect_over(&self.made_by_hand(), link, options).await?;
        Ok(self.ours(opened))
    }

    fn ours(&self, (handle, events): (Handle, Events)) -> Party {
        if self.ground.kind == RuntimeKind::Blocking {
            Party::Blocking(handle.into(), events.into())
        } else {
            Party::Async(handle, events)
        }
    }

    async fn over_links(
        &self,
        mortal: &Mortal,
        go_on: GoOn,
        setup: Setup,
        options: &ConnectOptions,
    ) -> Party {
        let (ours, theirs) = self.links(setup);
        let acceptor = Acceptor::new(&self.made_by_hand(), listen_options(mortal, setup)).unwrap();
        mortal.spawn(Box::pin(async move {
            let incoming = acceptor.take(theirs, "theirs").await.unwrap().unwrap();
            let (handle, events) = incoming.accept(Accept::new("ada")).await.unwrap();
            serve(handle, events, go_on).await;
        }));
        self.dial_over(ours, options).await.unwrap()
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

/// Makes two named pipes in `folder`, with a peer on `mortal`. Where to find it.
fn serve_fifos(folder: &TempDir, mortal: &Mortal, go_on: GoOn, ours: &ConnectOptions) -> Url {
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    for path in [&there, &back] {
        make_fifo(path);
    }
    let url = |one: &std::path::Path, other: &std::path::Path| {
        parse(&format!("fifo:{},{}", one.display(), other.display()))
    };
    let mut options = ours.clone();
    options.role = Some(Role::Server);
    options.runtime = Some(Arc::new(mortal.clone()));
    let at = url(&there, &back);
    mortal.spawn(Box::pin(async move {
        let (handle, events) = connect(&at, &options).await.unwrap();
        serve(handle, events, go_on).await;
    }));
    url(&back, &there)
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
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
