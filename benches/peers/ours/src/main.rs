//! Our own servers, as an application would write them: `our-servers [OPTION..] URL`, on one thread
//! where nothing else is asked for.
//!
//! Every server answers calls of `:chat/msg` with the data they carry, by a registered handler. A
//! URL of `stdio:` serves one's own standard streams.
//!
//! - `--task` has a task of the application's take the events of each connection, where otherwise the
//!   handlers are run by its driver
//! - `--typed` reads the data into a Rust type and replies with that, packed anew
//! - `--each-alone` puts one frame only into each write: what coalescing is measured against
//! - `--deflate` compresses every WebSocket message
//! - `--hooks-N` shows every event to N handlers more, `--logging` to one that writes a line
//! - `--modules-N` answers by a module, with N others beside it
//! - `--threads-N` has a runtime of N threads
//! - `--room` tells everybody, as the subscribers of a channel, each event; `sente-server` does

mod hooks;
mod room;

use std::process::ExitCode;
use std::sync::Arc;

use peer_shapes::{Data, EVENT_ID};
use sente_adapters::{
    ConnectOptions, Dispatcher, Events, Incoming, ListenOptions, Listener, Received, Url, connect,
};
use sente_core::framing::websocket::DeflateConfig;
use sente_core::packer::{Edn, Packer, named};
use sente_core::{
    Accept, Carrier, ConnectionConfig, Dialect, EventId, Limits, Pattern, Payload, Role,
};

fn main() -> ExitCode {
    peer_shapes::system::end_with_parent();
    let Some(options) = Options::parse() else {
        eprintln!("usage: our-servers [OPTION..] URL");
        return ExitCode::from(2);
    };
    let mut runtime = match options.threads {
        None => tokio::runtime::Builder::new_current_thread(),
        Some(threads) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
    };
    let runtime = runtime.enable_all().build().expect("a runtime");
    match runtime.block_on(serve(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    url: Url,
    task: bool,
    typed: bool,
    each_alone: bool,
    room: bool,
    deflate: bool,
    threads: Option<usize>,
    looking_on: LookingOn,
}

/// What sees the events besides those who answer.
#[derive(Clone, Copy, Default)]
struct LookingOn {
    hooks: usize,
    logging: bool,
    modules: Option<usize>,
}

impl Options {
    fn parse() -> Option<Self> {
        let (mut task, mut typed, mut each_alone) = (false, false, false);
        let (mut room, mut deflate) = (false, false);
        let (mut threads, mut looking_on) = (None, LookingOn::default());
        let mut url = None;
        for word in std::env::args().skip(1) {
            // Options with a number have it behind a hyphen.
            let (option, number) = word.rsplit_once('-').unwrap_or((&word, ""));
            match (word.as_str(), option, number.parse().ok()) {
                ("--task", ..) => task = true,
                ("--typed", ..) => typed = true,
                ("--each-alone", ..) => each_alone = true,
                ("--room", ..) => room = true,
                ("--deflate", ..) => deflate = true,
                ("--logging", ..) => looking_on.logging = true,
                (_, "--hooks", Some(number)) => looking_on.hooks = number,
                (_, "--modules", Some(number)) => looking_on.modules = Some(number),
                (_, "--threads", Some(number)) => threads = Some(number),
                (word, ..) => url = Some(word.parse().ok()?),
            }
        }
        Some(Self {
            url: url?,
            task,
            typed,
            each_alone,
            room,
            deflate,
            threads,
            looking_on,
        })
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if self.each_alone {
            limits.max_transmit_bytes = 1;
        }
        limits
    }
}

/// What all connections of a server share.
struct Application {
    answers: Answers,
    /// Whether each connection has a task of the application's.
    task: bool,
    looking_on: LookingOn,
}

/// How calls are answered.
#[derive(Clone)]
enum Answers {
    /// With the payload as it came.
    AsTheyCame,
    /// As a Rust value, read and packed again.
    Typed(Arc<ConnectionConfig>),
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut how = ListenOptions::default();
    how.limits = Some(options.limits());
    if options.deflate {
        how.deflate = Some(DeflateConfig::default().threshold(0));
    }
    if options.room {
        return room::serve(&options.url, how).await;
    }
    let packer = options.url.packer().and_then(named);
    let packer: Arc<dyn Packer> = packer.unwrap_or_else(|| Arc::new(Edn));
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .packer(packer)
        .build()?;
    let application = Arc::new(Application {
        answers: if options.typed {
            Answers::Typed(config)
        } else {
            Answers::AsTheyCame
        },
        task: options.task,
        looking_on: options.looking_on,
    });
    if options.url.to_string().starts_with("stdio:") {
        let mut how = ConnectOptions::default();
        how.role = Some(Role::Server);
        how.limits = Some(options.limits());
        let (handle, events) = connect(&options.url, &how).await?;
        application.attend(events).await;
        handle.ended().await;
        return Ok(());
    }
    let mut listener = Listener::bind(&options.url, how).await?;
    while let Some(incoming) = listener.accept().await {
        let application = application.clone();
        let incoming = incoming?;
        tokio::spawn(async move { application.admit(incoming).await });
    }
    Ok(())
}

impl Application {
    async fn admit(&self, incoming: Incoming) {
        let accept = Accept::new(incoming.id().to_string());
        if let Ok((_, events)) = incoming.accept(accept).await {
            self.attend(events).await;
        }
    }

    /// Serves one connection. With a task of its own to its end, otherwise the driver does it.
    async fn attend(&self, mut events: Events) {
        if let Some(others) = self.looking_on.modules {
            return hooks::by_modules(events, others).await;
        }
        let handle = events.handle().clone();
        let mut handlers = Dispatcher::new(handle.clone());
        let id = EventId::new(EVENT_ID).expect("an id");
        hooks::watch(&mut handlers, self.looking_on.hooks);
        if self.looking_on.logging {
            hooks::log(&mut handlers);
        }
        let answers = self.answers.clone();
        handlers.on(Pattern::Id(id), move |received| answers.answer(received));
        if !self.task {
            handlers.attach_with(events, |_| ());
            return;
        }
        while handlers.next(&mut events).await.is_some() {}
    }
}

impl Answers {
    fn answer(&self, received: &mut Received<'_>) {
        let Some(data) = received.event().data.clone() else {
            return;
        };
        let reply = match self {
            Self::AsTheyCame => data,
            Self::Typed(config) => {
                let data: Data = data.deserialize().expect("the data of an event");
                Payload::typed(&data, config).expect("it came packed")
            }
        };
        // It fails only where nobody waits, or the caller is gone.
        let _ = received.reply(reply);
    }
}
