//! The adapters' handles and events, on a runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use sente_adapters::{
    Acceptor, AsyncIo, ConnectOptions, Dispatcher, Duplex, Events, Handle, ListenOptions, Listener,
    Tokio, TokioLink, Url, blocking, connect, connect_over, start_unerased,
};
use sente_core::{
    Accept, Carrier, ConnectionConfig, ConnectionEvent, Dialect, Event, Pattern, Payload,
    ReplyToken, Role,
};

use super::{Echo, Link, Runtime, Way};
use crate::engine::{SAY, id};

pub(super) fn open(way: Way, window: u64) -> Echo {
    let runner = Runner::new(way.runtime);
    let runtime = runner.runtime.clone();
    let (link, tokio) = (way.link, runner.tokio.clone());
    let unerased = tokio.filter(|_| way.runtime == Runtime::Unerased);
    let block_on = runner.block_on;
    let (client, (server, events)) = {
        let (ends, opened) = std::sync::mpsc::channel();
        block_on(Box::pin(async move {
            let _ = ends.send(match &unerased {
                Some(tokio) => unerased_pair(link, tokio).await,
                None => pair(link, &runtime).await,
            });
        }));
        opened.recv().expect("it connects")
    };
    if way.runtime == Runtime::Threads {
        std::thread::spawn(move || {
            let (server, events) = (
                blocking::Handle::from(server),
                blocking::Events::from(events),
            );
            for event in events {
                answer(event, |token, data| server.reply(token, data));
            }
        });
    } else if way.runtime == Runtime::Handlers {
        let mut handlers = Dispatcher::new(server);
        handlers.on(Pattern::Any, |received| {
            let data = received.event().data.clone().expect("it has data");
            received.reply(data).expect("the caller waits");
        });
        drop(handlers.attach(events));
    } else {
        runner
            .runtime
            .spawn(Box::pin(async move { serve(server, events).await }));
    }
    let config = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines);
    let config = config.build().expect("the parts fit");
    let payload = Payload::typed(&SAY, &config).expect("it packs");
    let event = Event::new(id(), payload);
    let (client, _events) = client;
    Box::new(move |calls| {
        let (client, event) = (client.clone(), event.clone());
        if (way.runtime, window) == (Runtime::Threads, 1) {
            let client = blocking::Handle::from(client);
            for _ in 0..calls {
                client.call(event.clone(), PATIENCE).expect("an answer");
            }
            return;
        }
        block_on(Box::pin(async move {
            let mut left = calls;
            while left > 0 {
                let now = left.min(window);
                left -= now;
                if now == 1 {
                    let answered = client.call(event.clone(), PATIENCE).await;
                    answered.expect("an answer");
                    continue;
                }
                let calls = (0..now).map(|_| client.call(event.clone(), PATIENCE));
                for answered in join_all(calls).await {
                    answered.expect("an answer");
                }
            }
        }));
    })
}

const PATIENCE: Duration = Duration::from_secs(60);

type Ends = ((Handle, Events), (Handle, Events));
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime and how to wait for a task of it.
struct Runner {
    runtime: Arc<dyn sente_adapters::Runtime>,
    tokio: Option<Tokio>,
    block_on: Box<dyn Fn(Task)>,
}

impl Runner {
    fn new(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Tokio | Runtime::Handlers | Runtime::Unerased => {
                let mut tokio = tokio::runtime::Builder::new_current_thread();
                let tokio = tokio.enable_all().build().expect("a runtime");
                let runtime = Tokio::new(tokio.handle().clone());
                Self {
                    runtime: Arc::new(runtime.clone()),
                    tokio: Some(runtime),
                    block_on: Box::new(move |task| {
                        tokio.block_on(tokio.spawn(task)).expect("it ends");
                    }),
                }
            }
            // The task is spawned, so that all runs on the one thread of the executor.
            Runtime::Smol => Self {
                runtime: Arc::new(AsyncIo::smol()),
                tokio: None,
                block_on: Box::new(|task| smol::block_on(smol::spawn(task))),
            },
            Runtime::AsyncStd => Self {
                runtime: Arc::new(AsyncIo::new(|task| {
                    async_std::task::spawn(task);
                })),
                tokio: None,
                block_on: Box::new(|task| {
                    async_std::task::block_on(async_std::task::spawn(task));
                }),
            },
            Runtime::Threads | Runtime::Bare => Self {
                runtime: Arc::new(AsyncIo::threads()),
                tokio: None,
                block_on: Box::new(async_io::block_on),
            },
        }
    }
}

/// The client and the server.
async fn pair(link: Link, runtime: &Arc<dyn sente_adapters::Runtime>) -> Ends {
    let mut connecting = ConnectOptions::default();
    connecting.runtime = Some(runtime.clone());
    let mut listening = ListenOptions::default();
    listening.runtime = Some(runtime.clone());
    let url = match link {
        Link::Unix => {
            let file = format!("sente-runtimes-{}", std::process::id());
            format!("unix:{}", std::env::temp_dir().join(file).display())
        }
        _ => "tcp://127.0.0.1:0".to_owned(),
    };
    let url: Url = url.parse().expect("a URL");
    match link {
        Link::Memory => return over(&url, Duplex::pair(), &connecting, listening).await,
        Link::TokioTcp => return over(&url, tokio_tcp().await, &connecting, listening).await,
        Link::Tcp | Link::Unix => {}
    }
    let mut listener = Listener::bind(&url, listening).await.expect("it listens");
    let url = listener.url().clone();
    let taken = async {
        let incoming = listener.accept().await.expect("somebody came");
        let incoming = incoming.expect("it came whole");
        incoming.accept(Accept::new("u")).await.expect("it is in")
    };
    let (client, server) = join(connect(&url, &connecting), taken).await;
    (client.expect("it is in"), server)
}

/// The same over two ends of one link.
async fn over<L: sente_adapters::Link + 'static>(
    url: &Url,
    (ours, theirs): (L, L),
    connecting: &ConnectOptions,
    listening: ListenOptions,
) -> Ends {
    let acceptor = Acceptor::new(url, listening).expect("it is set up");
    let taken = async {
        let incoming = acceptor.take(theirs, "here").await.expect("a link");
        let incoming = incoming.expect("a client");
        incoming.accept(Accept::new("u")).await.expect("it is in")
    };
    let (client, server) = join(connect_over(url, ours, connecting), taken).await;
    (client.expect("it is in"), server)
}

/// The same by drivers that know their links.
async fn unerased_pair(link: Link, runtime: &Tokio) -> Ends {
    match link {
        Link::TokioTcp => unerased(tokio_tcp().await, runtime),
        _ => unerased(Duplex::pair(), runtime),
    }
}

fn unerased<L: sente_adapters::Link + 'static>((ours, theirs): (L, L), runtime: &Tokio) -> Ends {
    let start = |role, link| {
        let config = ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::Lines);
        let config = config.build().expect("the parts fit");
        start_unerased(config, link, runtime).expect("it starts")
    };
    (start(Role::Client, ours), start(Role::Server, theirs))
}

type TokioTcp = TokioLink<tokio::net::TcpStream>;

async fn tokio_tcp() -> (TokioTcp, TokioTcp) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let stream = tokio::net::TcpStream::connect(address);
    let (ours, theirs) = join(stream, listener.accept()).await;
    let (ours, (theirs, _)) = (ours.expect("it listens"), theirs.expect("somebody came"));
    for stream in [&ours, &theirs] {
        stream.set_nodelay(true).expect("it is a socket");
    }
    (TokioLink::new(ours), TokioLink::new(theirs))
}

async fn serve(server: Handle, mut events: Events) {
    while let Some(event) = events.next().await {
        answer(event, |token, data| server.reply(token, data));
    }
}

fn answer<E: std::fmt::Debug>(
    event: ConnectionEvent,
    reply: impl FnOnce(ReplyToken, Payload) -> Result<(), E>,
) {
    if let ConnectionEvent::Message(message) = event
        && let (Some(token), Some(data)) = (message.reply, message.event.data)
    {
        reply(token, data).expect("the caller waits");
    }
}
