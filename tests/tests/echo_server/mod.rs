//! A server for clients in other languages: it answers calls by their data, sends events back, and
//! goes away and comes back when it is told to.

use std::time::Duration;

use sente_adapters::{ListenOptions, Listener, Url};
use sente_core::{Accept, ConnectionEvent, Payload};
use sente_edn::Value;
use tokio::sync::mpsc;

/// Starts one at a port of its own. At `[:test/restart]` it stops listening, cuts the connection,
/// and listens at the same address again.
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
        let mut listener = Listener::bind(&url, options.clone()).await.unwrap();
        url = listener.url().clone();
        let _ = bound.send(url.to_string()).await;
        let (restart, mut restarts) = mpsc::channel::<()>(1);
        loop {
            let incoming = tokio::select! {
                Some(incoming) = listener.accept() => incoming.unwrap(),
                _ = restarts.recv() => break,
            };
            let restart = restart.clone();
            tokio::spawn(async move {
                let (handle, mut events) = incoming.accept(Accept::new("uid-1")).await.unwrap();
                while let Some(event) = events.next().await {
                    let ConnectionEvent::Message(message) = event else {
                        continue;
                    };
                    if message.event.id.as_str() == "test/restart" {
                        restart.send(()).await.unwrap();
                        handle.drain(Duration::from_secs(5));
                        return;
                    }
                    if let Some(token) = message.reply {
                        let data = message.event.data;
                        let data = data.unwrap_or_else(|| Payload::from(Value::Nil));
                        handle.reply(token, data).unwrap();
                    } else {
                        handle.send(message.event).await.unwrap();
                    }
                }
            });
        }
        drop(listener);
    }
}
