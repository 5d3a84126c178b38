//! What the tests share: two connections and a virtual clock, a raw WebSocket peer, and the
//! captured vectors. Never published.

/// Compiles and runs the README's Rust examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod lines;
pub mod model;
pub mod options;
mod pair;
mod raw;
mod rig;
pub mod states;
pub mod vectors;
pub mod world;

pub use pair::{Pair, config, millis, seconds};
pub use raw::{RawPeer, Said};
pub use rig::{Dial, Rig, client_config};

use sente_core::{Connection, ConnectionEvent, Event, EventId, Message};
use sente_edn::Value;

/// Reads EDN that a test or a recorded peer wrote.
///
/// # Panics
/// If it is unreadable.
#[must_use]
pub fn edn(text: &str) -> Value {
    try_edn(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Reads the first form of what a recorded peer wrote, as either of Clojure's readers does.
///
/// # Errors
/// The reader's.
pub fn try_edn(text: &str) -> Result<Value, sente_edn::Error> {
    let limits = sente_edn::Limits::default().dialect(sente_edn::Dialect::Either);
    let first = sente_edn::read_first(text.as_bytes(), &limits)?;
    Ok(first.map_or(Value::Nil, |(value, _)| value))
}

/// The event a test wrote as EDN.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn event(text: &str) -> Event {
    Event::from_value(edn(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// An event id a test wrote.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn id(text: &str) -> EventId {
    EventId::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Everything the connection has to tell now.
pub fn events(connection: &mut Connection) -> Vec<ConnectionEvent> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

/// The messages among what the connection has to tell now.
pub fn messages(connection: &mut Connection) -> Vec<Message> {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Message(message) => Some(message),
            _ => None,
        })
        .collect()
}

/// A message's event as EDN text.
///
/// # Panics
/// If its payload cannot be read, which the engine rules out.
#[must_use]
pub fn text(message: &Message) -> String {
    let value = message.event.to_value().expect("a received payload reads");
    sente_edn::to_string(&value)
}
