//! What a running server says to `tracing`. Alone in its program: whether anybody listens is kept for all
//! threads, and another test that says the same at that moment, unheard, could decide it for this one.

#![allow(missing_docs)]

mod socket_support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sente_adapters::Router;
use sente_core::admission::Request;
use sente_core::{Dialect, Grace};
use sente_server::ServerConfig;

use socket_support::{by_uid, client, event, run, within};

const SOON: Duration = Duration::from_secs(10);

/// The names of what is said to `tracing`.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Names {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sente_server"
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.0
            .lock()
            .unwrap()
            .push(span.metadata().name().to_owned());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let name = event.metadata().name().to_owned();
        self.0.lock().unwrap().push(name);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn what_happens_is_traced_by_stable_names() {
    let names = Names::default();
    let guard = tracing::subscriber::set_default(names.clone());
    let router = Router::new()
        .on("test/fail", async || Err::<(), _>("no"))
        .unwrap();
    let mut config = ServerConfig::default();
    config.hub.grace = Grace::NONE;
    let running = run(by_uid(router).config(config)).await;
    let (handle, _events) = client(&running, "ada", "c1").await;
    assert!(handle.call(event("test/fail", 0), SOON).await.is_err());
    assert!(handle.call(event("test/unknown", 0), SOON).await.is_err());
    within(running.server.drain(SOON)).await;
    let outcome = running
        .server
        .check(Request::new("GET", "/chsk"), Dialect::Sente);
    assert!(outcome.is_err(), "it has no client id");
    drop(guard);
    let said = names.0.lock().unwrap().join(" ");
    assert_eq!(
        said,
        "sente.user_open sente.joined sente.handle sente.handler_failed sente.no_handler \
         sente.user_close sente.left sente.turned_away"
    );
}
