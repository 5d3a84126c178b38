//! Clients of a server that come to it in memory.

use std::time::Duration;

use sente_adapters::{
    Acceptor, ConnectOptions, Duplex, Events, Handle, ListenOptions, Url, connect_over,
};
use sente_core::{ConnId, ConnectionEvent, Event, Limits, edn};
use sente_server::{Server, ServerEvent};

/// Longer than anything here takes: where it is reached, something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn event(text: &str) -> Event {
    Event::from_value(edn::from_str(text).unwrap()).unwrap()
}

pub(crate) fn said(event: &Event) -> String {
    event.to_value().unwrap().to_string()
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// One more client of `server`, in memory, whose connection there may queue two events.
pub(crate) async fn join(server: &Server) -> (ConnId, Handle, Events) {
    let url: Url = "tcp://memory:1".parse().unwrap();
    let (ours, theirs) = Duplex::with_capacity(64);
    let mut listen = ListenOptions::default();
    let mut limits = Limits::default();
    limits.max_send_messages = 2;
    listen.limits = Some(limits);
    let acceptor = Acceptor::new(&url, listen).unwrap();
    let mut told = server.events();
    let arriving = server.clone();
    tokio::spawn(async move {
        let incoming = acceptor.take(theirs, "a client").await.unwrap().unwrap();
        arriving.arrived(incoming).await;
    });
    let options = ConnectOptions::default();
    let (handle, events) = soon(connect_over(&url, ours, &options)).await.unwrap();
    loop {
        if let ServerEvent::Joined { peer, .. } = soon(told.next()).await.unwrap() {
            return (peer.connection, handle, events);
        }
    }
}

pub(crate) async fn message(events: &mut Events) -> String {
    loop {
        if let ConnectionEvent::Message(message) = soon(events.next()).await.unwrap() {
            return said(&message.event);
        }
    }
}
