//! `sente demo`: the engine at work over every transport, as a table.

mod client;
mod show;
mod table;

use std::time::Duration;

use sente_adapters::{ConnectOptions, ListenOptions, Listener, Url, connect};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::args::DemoArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{put, say};
use crate::serve::{bind, parse};
use crate::server::Server;
use crate::signals::{DRAIN, Signals};
use show::Show;

/// Runs the show, or is the child in it.
pub(crate) async fn run(args: DemoArgs, mut signals: Signals) -> Outcome {
    if let Some(name) = args.child {
        return be_child(name, signals).await;
    }
    let (sender, heard) = mpsc::unbounded_channel();
    let server = Server::for_demo(sender);
    let stage = Stage::build().await?;
    let urls = stage.urls.clone();
    let tasks: Vec<JoinHandle<()>> = stage
        .listeners
        .into_iter()
        .map(|listener| server.listen(listener))
        .collect();
    let mut show = Show::new(server.clone(), heard);
    let played = tokio::select! {
        played = tokio::time::timeout(args.timeout, show.play(&urls)) => match played {
            Ok(played) => played,
            Err(_) => Err(Failure::timeout(format!(
                "the show was not over within {}: {}",
                humantime::format_duration(args.timeout),
                show.doing(),
            ))),
        },
        () = signals.asked() => Err(Failure::other("interrupted")),
    };
    // What has been seen is shown, whatever came of the rest.
    let mut text = show.table().to_string();
    if played.is_ok() {
        text.push_str(&show.summary());
    }
    print(&text)?;
    if let Err(failure) = &played {
        say!("demo failed: {failure}");
    }
    show.end().await;
    if played.is_ok() && args.serve && !signals.is_asked() {
        print(&urls.advice())?;
        signals.asked().await;
    }
    for task in tasks {
        task.abort();
        // An aborted task is an error by nature; what matters is that its socket is closed.
        let _ = task.await;
    }
    server.drain(DRAIN).await;
    match played {
        Ok(()) => Ok(Exit::Success),
        Err(_) => Ok(Exit::Failure),
    }
}

/// Where the hub listens.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    /// A WebSocket for Sente.
    pub(crate) sente: Url,
    /// A WebSocket for sente-lite.
    pub(crate) lite: Url,
    /// TCP.
    pub(crate) tcp: Url,
    /// A Unix socket.
    pub(crate) unix: Url,
}

impl Urls {
    /// How to talk to the hub.
    fn advice(&self) -> String {
        let Self {
            sente,
            lite,
            tcp,
            unix,
        } = self;
        format!(
            "\nThe hub stays up until Ctrl-C. Talk to it from another terminal:\n  \
             sente call {sente} '[:test/echo {{:a 1}}]'\n  \
             sente call {lite} '[:test/echo {{:a 1}}]'\n  \
             sente call {tcp} '[:demo/who]'\n  \
             sente connect {unix}\n  \
             sente send {tcp} '[:demo/say \"hello, everybody\"]'\n"
        )
    }
}

/// The hub's listeners, and the directory its socket is in.
struct Stage {
    listeners: Vec<Listener>,
    urls: Urls,
    /// Goes away with the stage.
    _directory: TempDir,
}

impl Stage {
    async fn build() -> Result<Self, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("sente-demo-")
            .tempdir()
            .map_err(|error| Failure::other(format!("no directory for the socket: {error}")))?;
        let path = directory.path().join("hub.sock");
        let path = path
            .to_str()
            .ok_or_else(|| Failure::other("the temporary directory is not UTF-8"))?;
        let ws = bind(&parse("ws://127.0.0.1:0/")?, ListenOptions::default()).await?;
        let tcp = bind(&parse("tcp://127.0.0.1:0")?, ListenOptions::default()).await?;
        let unix = bind(&parse(&format!("unix:{path}"))?, ListenOptions::default()).await?;
        let base = ws.url().to_string();
        let base = base.trim_end_matches('/');
        let urls = Urls {
            sente: parse(&format!("{base}/chsk"))?,
            lite: parse(&format!("{base}/lite"))?,
            tcp: tcp.url().clone(),
            unix: unix.url().clone(),
        };
        Ok(Self {
            listeners: vec![ws, tcp, unix],
            urls,
            _directory: directory,
        })
    }
}

/// Plays the child's part until the parent hangs up.
async fn be_child(name: String, mut signals: Signals) -> Outcome {
    let (handle, events) = connect(&parse("stdio:")?, &ConnectOptions::default())
        .await
        .map_err(|error| Failure::closed(format!("cannot use standard input: {error}")))?;
    tokio::select! {
        () = client::play(name, handle.clone(), events) => {}
        () = signals.asked() => {
            handle.drain(Duration::from_secs(1));
            handle.ended().await;
        }
    }
    Ok(Exit::Success)
}

fn print(text: &str) -> Result<(), Failure> {
    put(text.as_bytes())
        .map(|_| ())
        .map_err(|error| Failure::other(format!("cannot print: {error}")))
}
