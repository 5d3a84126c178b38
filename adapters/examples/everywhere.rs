//! One set of handlers, served on WebSocket, TCP, a Unix socket and standard input and output at
//! once, with one state behind them all.
//!
//! The server is a child of this program, so that there is somebody to ask it on each:
//!
//! ```console
//! $ cargo run -p sente-adapters --example everywhere
//! asked over exec, the total is 1
//! asked over ws, the total is 2
//! asked over tcp, the total is 3
//! asked over unix, the total is 4
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sente_adapters::{
    ConnectOptions, Data, Handle, ListenOptions, Listener, Router, State, Typed, connect,
};
use sente_core::{Accept, EventId};

type Outcome = Result<(), Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Outcome {
    match std::env::args().nth(1) {
        Some(socket) => serve(&socket).await,
        None => ask_everywhere().await,
    }
}

/// What all handlers share.
struct Shop {
    total: AtomicI64,
    urls: Vec<String>,
}

async fn add(Data(by): Data<i64>, State(shop): State<Arc<Shop>>) -> i64 {
    shop.total.fetch_add(by, Ordering::Relaxed) + by
}

async fn urls(State(shop): State<Arc<Shop>>) -> Typed<Vec<String>> {
    Typed(shop.urls.clone())
}

/// The server: as long as its parent is there.
async fn serve(socket: &str) -> Outcome {
    let mut listeners = Vec::new();
    for url in [
        "ws://127.0.0.1:0/",
        "tcp://127.0.0.1:0",
        &format!("unix:{socket}"),
    ] {
        listeners.push(Listener::bind(&url.parse()?, ListenOptions::default()).await?);
    }
    let shop = Shop {
        total: AtomicI64::new(0),
        urls: listeners
            .iter()
            .map(|listener| listener.url().to_string())
            .collect(),
    };
    let router = Router::with_state(Arc::new(shop))
        .on("shop/add", add)?
        .on("shop/urls", urls)?;
    for listener in listeners {
        tokio::spawn(accept(listener, router.clone()));
    }
    let (_handle, events) = connect(&"stdio:".parse()?, &ConnectOptions::default()).await?;
    router.serve(events).run().await;
    Ok(())
}

/// Serves whoever comes, each on a task of its own.
async fn accept(mut listener: Listener, router: Router<Arc<Shop>>) {
    while let Some(Ok(incoming)) = listener.accept().await {
        let router = router.clone();
        tokio::spawn(async move {
            if let Ok((_handle, events)) = incoming.accept(Accept::new("guest")).await {
                router.serve(events).run().await;
            }
        });
    }
}

async fn ask_everywhere() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (program, socket) = (std::env::current_exe()?, folder.path().join("socket"));
    let url = format!("exec:'{}' '{}'", program.display(), socket.display()).parse()?;
    let options = ConnectOptions::default();
    let (child, _events) = connect(&url, &options).await?;
    ask("exec", &child).await?;
    let none = Option::<()>::None;
    let urls: Vec<String> = child
        .call_typed(EventId::new("shop/urls")?, &none, PATIENCE)
        .await?;
    for url in urls {
        let (handle, _events) = connect(&url.parse()?, &options).await?;
        ask(url.split(':').next().unwrap_or_default(), &handle).await?;
    }
    child.drain(PATIENCE);
    child.ended().await;
    Ok(())
}

async fn ask(scheme: &str, handle: &Handle) -> Outcome {
    let add = EventId::new("shop/add")?;
    let total: i64 = handle.call_typed(add, &1, PATIENCE).await?;
    println!("asked over {scheme}, the total is {total}");
    Ok(())
}
