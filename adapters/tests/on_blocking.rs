//! Streams, the next event of a kind, endpoints and states, waited for without a runtime.
#![cfg(feature = "blocking")]
#![allow(missing_docs)]

use std::thread;
use std::time::Duration;

use sente_adapters::blocking::{self, NotYet};
use sente_adapters::{ClientOptions, ConnectOptions, Endpoint, ListenOptions, Url};
use sente_core::{
    Accept, ClientState, ConnectionEvent, Event, EventId, Gone, Pattern, RequestId, State,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn event(text: &str) -> Event {
    Event::from_value(sente_edn::from_str(text).unwrap()).unwrap()
}

fn id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

/// A server on a thread that answers each call with its data, and says each event twice.
fn twice() -> Url {
    let at = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = blocking::Listener::bind(&at, ListenOptions::default()).unwrap();
    let url = listener.url().clone();
    thread::spawn(move || {
        while let Some(Ok(incoming)) = listener.accept() {
            let accept = Accept::new(incoming.id().to_string());
            let (handle, events) = incoming.accept(accept).unwrap();
            for event in events {
                match event {
                    ConnectionEvent::Message(message) => {
                        for _ in 0..2 {
                            let _ = handle.send(message.event.clone());
                        }
                    }
                    ConnectionEvent::PeerFinished => handle.drain(PATIENCE),
                    _ => {}
                }
            }
        }
    });
    url
}

#[test]
fn a_stream_is_an_iterator_that_ends_with_the_connection() {
    let (handle, events) = blocking::connect(&twice(), &ConnectOptions::default()).unwrap();
    let mut ticks = handle.on(id("a/tick"));
    drop(events);
    assert_eq!(ticks.next_within(Duration::ZERO).err(), Some(NotYet));
    handle.send(event("[:a/tick 1]")).unwrap();
    handle.send(event("[:a/noise]")).unwrap();
    handle.send(event("[:a/tick 2]")).unwrap();
    let mut states = handle.states();
    assert_eq!(states.current(), State::Open);
    let said: Vec<String> = (0..4)
        .map(|_| ticks.next_within(PATIENCE).unwrap().unwrap())
        .map(|arrived| arrived.event().to_value().unwrap().to_string())
        .collect();
    assert_eq!(
        said,
        ["[:a/tick 1]", "[:a/tick 1]", "[:a/tick 2]", "[:a/tick 2]"]
    );
    handle.drain(PATIENCE);
    assert!(ticks.next().is_none());
    assert_eq!((ticks.missed(), ticks.waiting()), (0, 0));
    let closed = states.wait_for(|state| *state == State::Closed);
    assert_eq!(closed, Some(State::Closed));
    assert!(handle.ended().reason.is_clean());
}

#[test]
fn the_next_event_of_a_kind_is_waited_for_behind_what_is_sent_before() {
    let (handle, events) = blocking::connect(&twice(), &ConnectOptions::default()).unwrap();
    drop(events);
    let answer = handle.take(Pattern::RequestId(RequestId::from(7)));
    let never = handle.take(id("a/never"));
    handle.send(event("[:a/ask {:request-id 7}]")).unwrap();
    let answer = answer.wait().unwrap();
    assert_eq!(answer.event().id.as_str(), "a/ask");
    let late = never.wait_within(Duration::ZERO);
    assert_eq!(late.err(), Some(Gone::Timeout));
    let gone = handle.take(id("a/never"));
    handle.close();
    assert_eq!(gone.wait().err(), Some(Gone::Closed));
}

#[test]
fn a_list_of_endpoints_needs_no_runtime() {
    let nobody: Url = "unix:@sente-nobody-blocks".parse().unwrap();
    let server = twice();
    let endpoints = [Endpoint::from(nobody), Endpoint::from(server.clone())];
    let (client, events) =
        blocking::keep_connected_to(ClientOptions::default(), endpoints).unwrap();
    let mut states = client.states();
    let open = states.wait_for(ClientState::is_open);
    assert!(open.is_some());
    assert_eq!(client.endpoint().name, server.to_string());
    let mut ticks = client.on(id("a/tick"));
    drop(events);
    client.send(event("[:a/tick]")).unwrap();
    assert!(ticks.next().is_some());
    client.disconnect();
    let mut closed = states.clone();
    let state = closed.wait_for(|state| matches!(state, ClientState::Closed(_)));
    assert!(matches!(state, Some(ClientState::Closed(_))));
}
