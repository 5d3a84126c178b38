//! A server for clients in other languages: it answers calls by their data, sends events back, has
//! channels, and goes away and comes back when it is told to.

use std::time::Duration;

use sente_adapters::{ListenOptions, Listener, NoReply, Router, State, Url};
use sente_core::admission::{Admission, CsrfCheck};
use sente_core::edn::Value;
use sente_core::{Event, Payload};
use sente_server::{Sender, Server};
use tokio::sync::mpsc;

/// How long connections may take to end when the server goes.
const SOON: Duration = Duration::from_secs(5);

/// Starts one at a port of its own. At `[:test/restart]` it stops listening, ends its connections,
/// and another listens at the same address.
pub(crate) async fn start(options: ListenOptions) -> String {
    let (bound, mut urls) = mpsc::channel(4);
    let anywhere = "ws://127.0.0.1:0/".parse().unwrap();
    tokio::spawn(serve(anywhere, options, bound));
    urls.recv().await.unwrap()
}

/// Where a client of a dialect connects to.
pub(crate) fn address(url: &str, dialect: &str) -> String {
    match dialect {
        "sente" => format!("{url}chsk?client-id=a-client"),
        _ => url.to_owned(),
    }
}

async fn serve(mut url: Url, options: ListenOptions, bound: mpsc::Sender<String>) {
    loop {
        let (restart, mut restarts) = mpsc::channel::<()>(1);
        let server = Server::builder()
            .router(routes(restart))
            .admission(Admission::new(CsrfCheck::skip()).user_id(|_| Some(Value::from("uid-1"))))
            .build()
            .unwrap();
        let listener = Listener::bind(&url, options.clone()).await.unwrap();
        url = listener.url().clone();
        let listening = server.serve(listener);
        let _ = bound.send(url.to_string()).await;
        restarts.recv().await.unwrap();
        listening.stop().await;
        server.drain(SOON).await;
    }
}

fn routes(restart: mpsc::Sender<()>) -> Router<mpsc::Sender<()>> {
    let restarting = async |State(restart): State<mpsc::Sender<()>>| {
        // The first who asks is enough.
        let _ = restart.try_send(());
        NoReply
    };
    let pushing = async |sender: Sender, event: Event| {
        sender.send(event).await.unwrap();
        NoReply
    };
    Router::with_state(restart)
        .on("test/restart", restarting)
        .unwrap()
        .on("test/push", pushing)
        .unwrap()
        .fallback(async |data: Option<Payload>| data)
}
