//! What a running server says to `tracing`, by the names that are kept. Alone in its process: who is
//! told is decided once for all threads, so that other tests would have a say in it.
#![allow(missing_docs)]

mod socket_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::{CallFailure, Router};
use sente_core::admission::Request;
use sente_core::{CallError, Dialect, Grace};
use sente_server::{ServerConfig, ServerEvent};

use socket_support::{by_uid, client, event, run, within};

const SOON: Duration = Duration::from_secs(60);

/// The names of what is said to `tracing`.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl Names {
    fn push(&self, name: &str) {
        self.0.lock().unwrap().push(name.to_owned());
    }
}

impl tracing::Subscriber for Names {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sente_server"
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.push(span.metadata().name());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.push(event.metadata().name());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn what_happens_is_traced_by_stable_names() {
    let names = Names::default();
    tracing::subscriber::set_global_default(names.clone()).unwrap();
    let router = Router::new()
        .on("test/fail", async || Err::<(), _>("no"))
        .unwrap();
    let mut config = ServerConfig::default();
    config.hub.grace = Grace::NONE;
    let running = run(by_uid(router).config(config)).await;
    let mut told = running.server.events();
    let (handle, _events) = client(&running, "ada", "c1").await;
    // One connection's messages are handled one after the other, and its end behind them.
    for id in ["test/fail", "test/unknown"] {
        let answer = within(handle.call(event(id, 0), SOON)).await;
        let refused = matches!(answer, Err(CallFailure::Failed(CallError::Peer)));
        assert!(refused, "{id}: {answer:?}");
    }
    within(running.server.drain(SOON)).await;
    // The drain is over when the last has gone, which is said after that.
    while !matches!(within(told.next()).await.unwrap(), ServerEvent::Left { .. }) {}
    let outcome = running
        .server
        .check(Request::new("GET", "/chsk"), Dialect::Sente);
    assert!(outcome.is_err(), "it has no client id");
    let said = names.0.lock().unwrap().join(" ");
    assert_eq!(
        said,
        "sente.user_open sente.joined sente.handle sente.handler_failed sente.no_handler \
         sente.user_close sente.left sente.turned_away"
    );
}
