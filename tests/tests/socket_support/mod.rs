//! A running server on loopback, and clients that come to it over real sockets.

#![allow(dead_code)]

use std::time::Duration;

use sente_adapters::{
    ConnectOptions, Events, Handle, ListenOptions, Listener, Router, Url, connect,
};
use sente_core::edn::Value;
use sente_core::{ConnectionEvent, Event, EventId, Extensions, Message};
use sente_server::{Listening, Server, ServerBuilder};

/// Longer than anything here takes: where it is reached, something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and where it listens.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) listening: Listening,
}

impl Running {
    /// The URL of a WebSocket with this path and query.
    pub(crate) fn url(&self, path_and_query: &str) -> Url {
        let base = self.listening.url().to_string();
        let (scheme, rest) = base.split_once("://").unwrap();
        let authority = rest.split('/').next().unwrap();
        format!("{scheme}://{authority}{path_and_query}")
            .parse()
            .unwrap()
    }
}

/// Starts `builder`'s server on a WebSocket.
pub(crate) async fn run(builder: ServerBuilder) -> Running {
    run_on(builder, "ws://127.0.0.1:0/").await
}

/// Starts `builder`'s server on this URL.
pub(crate) async fn run_on(builder: ServerBuilder, url: &str) -> Running {
    let server = builder.build().unwrap();
    let url = url.parse().unwrap();
    let listener = Listener::bind(&url, ListenOptions::default());
    let listening = server.serve(listener.await.unwrap());
    Running { server, listening }
}

/// A server that takes the parameter `uid` for the user, and has the handlers of `router`.
pub(crate) fn by_uid(router: Router) -> ServerBuilder {
    use sente_core::admission::{Admission, CsrfCheck};
    let admission = Admission::new(CsrfCheck::skip())
        .user_id(|request| request.param("uid").map(|uid| Value::from(&*uid)));
    Server::builder().router(router).admission(admission)
}

/// A client that speaks to `running` as `user`, in Sente's dialect.
pub(crate) async fn client(running: &Running, user: &str, client_id: &str) -> (Handle, Events) {
    let url = running.url(&format!("/chsk?uid={user}"));
    let mut options = ConnectOptions::default();
    options.client_id = Some(client_id.to_owned());
    options.extensions = Some(Extensions::ALL);
    within(connect(&url, &options)).await.unwrap()
}

/// An event.
pub(crate) fn event(id: &str, data: impl Into<Value>) -> Event {
    Event::new(EventId::new(id).unwrap(), data.into())
}

/// The next message.
pub(crate) async fn message(events: &mut Events) -> Message {
    loop {
        match within(events.next()).await {
            Some(ConnectionEvent::Message(message)) => return message,
            Some(ConnectionEvent::Closed(reason)) => panic!("closed: {reason}"),
            Some(_) => {}
            None => panic!("over"),
        }
    }
}

/// The id and data of the next message.
pub(crate) async fn next(events: &mut Events) -> (String, Value) {
    let event = message(events).await.event;
    let data = event.data.map(|data| data.to_value().unwrap());
    (event.id.as_str().to_owned(), data.unwrap_or_default())
}

/// Waits for the end.
pub(crate) async fn closed(events: &mut Events) -> sente_core::CloseReason {
    loop {
        match within(events.next()).await {
            Some(ConnectionEvent::Closed(reason)) => return reason,
            Some(_) => {}
            None => panic!("over without a reason"),
        }
    }
}

/// `future`, unless that hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("nothing came within {PATIENCE:?}");
    };
    value
}
