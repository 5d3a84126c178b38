//! Echo over each transport. Only the URL differs: the handler, the serving and the asking are the
//! same everywhere.
//!
//! ```console
//! $ cargo run -p sente-adapters --features tls --example echo
//! TCP: "hello"
//! TCP with TLS: "hello"
//! WebSocket: "hello"
//! WebSocket with TLS: "hello"
//! WebSocket, Sente's dialect: "hello"
//! Unix socket: "hello"
//! Unix socket without a file: "hello"
//! named pipes: "hello"
//! child process: "hello"
//! memory: "hello"
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sente_adapters::tls::{ClientTls, ServerTls};
use sente_adapters::{
    Acceptor, ConnectOptions, Data, Duplex, Events, Handle, Incoming, ListenOptions, Listener,
    Router, connect, connect_over,
};
use sente_core::{Accept, Event, EventId, Role};

type Outcome = Result<(), Box<dyn Error>>;

/// With this argument the program is the child of itself.
const AS_A_CHILD: &str = "child";

/// What answers, whatever the question came by.
async fn echo(Data(text): Data<String>) -> String {
    text
}

#[tokio::main]
async fn main() -> Outcome {
    let router = Router::new().on("test/echo", echo)?;
    if std::env::args().nth(1).as_deref() == Some(AS_A_CHILD) {
        // Standard output carries the frames from here on; `println!` goes to standard error.
        let (_handle, events) = connect(&"stdio:".parse()?, &ConnectOptions::default()).await?;
        router.serve(events).run().await;
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("socket");
    let name = format!("unix:@sente-echo-{}", std::process::id());

    // Port 0 lets the system choose.
    over(&router, "TCP", "tcp://127.0.0.1:0").await?;
    over(&router, "TCP with TLS", "tls://127.0.0.1:0").await?;
    over(&router, "WebSocket", "ws://127.0.0.1:0/").await?;
    over(&router, "WebSocket with TLS", "wss://127.0.0.1:0/").await?;
    over(
        &router,
        "WebSocket, Sente's dialect",
        "ws://127.0.0.1:0/chsk",
    )
    .await?;
    over(
        &router,
        "Unix socket",
        &format!("unix:{}", socket.display()),
    )
    .await?;
    over(&router, "Unix socket without a file", &name).await?;
    over_named_pipes(&router, folder.path()).await?;
    over_a_child().await?;
    over_memory(&router).await
}

/// Where one side listens and the other connects.
async fn over(router: &Router, what: &str, url: &str) -> Outcome {
    let (connecting, listening) = options()?;
    let mut listener = Listener::bind(&url.parse()?, listening).await?;
    let url = listener.url().clone();
    let router = router.clone();
    let serving = tokio::spawn(async move {
        while let Some(Ok(incoming)) = listener.accept().await {
            tokio::spawn(serve(router.clone(), incoming));
        }
    });
    ask(what, connect(&url, &connecting).await?).await?;
    serving.abort();
    Ok(())
}

/// Serves one client to its end. This is the place to look at who it is, and to
/// [`refuse`](Incoming::refuse).
async fn serve(router: Router, incoming: Incoming) {
    if let Ok((_handle, events)) = incoming.accept(Accept::new("guest")).await {
        router.serve(events).run().await;
    }
}

/// Asks, prints the answer, and leaves.
async fn ask(what: &str, (handle, _events): (Handle, Events)) -> Outcome {
    let hello = Event::new(EventId::new("test/echo")?, "hello");
    let answer = handle.call(hello, Duration::from_secs(10)).await?;
    println!("{what}: {}", answer.to_value()?);
    handle.drain(Duration::from_secs(10));
    handle.ended().await;
    Ok(())
}

/// Each side reads one and writes the other. Nobody listens: one side has to be told that it is the
/// server.
async fn over_named_pipes(router: &Router, folder: &Path) -> Outcome {
    let (there, back) = (folder.join("there"), folder.join("back"));
    for pipe in [&there, &back] {
        mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    }
    let server = format!("fifo:{},{}", there.display(), back.display()).parse()?;
    let client = format!("fifo:{},{}", back.display(), there.display()).parse()?;
    let mut serving = ConnectOptions::default();
    serving.role = Some(Role::Server);
    let asking = ConnectOptions::default();
    // Each waits for the other to open its end.
    let (served, asked) = tokio::join!(connect(&server, &serving), connect(&client, &asking));
    let (_handle, events) = served?;
    let serving = tokio::spawn(router.serve(events).run());
    ask("named pipes", asked?).await?;
    Ok(serving.await?)
}

async fn over_a_child() -> Outcome {
    let program = std::env::current_exe()?;
    let url = format!("exec:'{}' {AS_A_CHILD}", program.display()).parse()?;
    let child = connect(&url, &ConnectOptions::default()).await?;
    ask("child process", child).await
}

/// Both sides in one process, without a socket: for tests.
async fn over_memory(router: &Router) -> Outcome {
    let url = "tcp://in.memory:1".parse()?;
    let (ours, theirs) = Duplex::pair();
    let acceptor = Acceptor::new(&url, ListenOptions::default())?;
    let incoming = acceptor.take(theirs, "a neighbour").await?;
    let incoming = incoming.ok_or("it went away")?;
    tokio::spawn(serve(router.clone(), incoming));
    let opened = connect_over(&url, ours, &ConnectOptions::default()).await?;
    ask("memory", opened).await
}

/// A certificate for the server, made for the occasion, that the client trusts.
fn options() -> Result<(ConnectOptions, ListenOptions), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut connecting = ConnectOptions::default();
    connecting.tls = Some(ClientTls::trusting(chain.as_bytes())?);
    let mut listening = ListenOptions::default();
    listening.tls = Some(ServerTls::new(chain.as_bytes(), key.as_bytes())?);
    Ok((connecting, listening))
}
