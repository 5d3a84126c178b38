//! An open client on lines whose wire is in the hands of the test, and the ways to send.

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionConfigBuilder, Dialect, Event, Input, Instant,
    Limits, Policy, Priority, Role, SendOptions, Transmit, TransmitBuf,
};

use crate::{Pair, event};

/// An open client with these limits.
#[must_use]
pub fn client(change: impl FnOnce(&mut Limits)) -> Connection {
    client_with(change, |config| config)
}

/// The same, configured further.
///
/// # Panics
/// If the parts do not fit together.
pub fn client_with(
    change: impl FnOnce(&mut Limits),
    configure: impl FnOnce(ConnectionConfigBuilder) -> ConnectionConfigBuilder,
) -> Connection {
    let mut limits = Limits::default();
    change(&mut limits);
    let config =
        ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines).limits(limits);
    let server = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let client = configure(config).build().expect("the parts fit");
    Pair::with(client, server.build().expect("the defaults fit")).client
}

/// `[:a/n n]`
#[must_use]
pub fn numbered(n: usize) -> Event {
    event(&format!("[:a/n {n}]"))
}

/// By `Policy::Latest`.
#[must_use]
pub fn latest(key: &str) -> SendOptions {
    SendOptions::new().policy(Policy::Latest(key.into()))
}

/// By `Policy::DropOldest`.
#[must_use]
pub fn drop_oldest() -> SendOptions {
    SendOptions::new().policy(Policy::DropOldest)
}

/// By `Policy::Volatile`.
#[must_use]
pub fn volatile() -> SendOptions {
    SendOptions::new().policy(Policy::Volatile)
}

/// By `Priority::Low`.
#[must_use]
pub fn low() -> SendOptions {
    SendOptions::new().priority(Priority::Low)
}

/// What one transmit carries, as lines; it stays with the driver.
///
/// # Panics
/// If it is not UTF-8.
pub fn taken(connection: &mut Connection) -> Vec<String> {
    let mut out = TransmitBuf::new();
    match connection.poll_transmit(&mut out) {
        None => Vec::new(),
        Some(Transmit::Shutdown) => vec!["shutdown".to_owned()],
        Some(_) => String::from_utf8(out.copy_to_bytes(out.remaining()).to_vec())
            .expect("lines are text")
            .lines()
            .map(str::to_owned)
            .collect(),
    }
}

/// Everything written, acknowledged.
pub fn written(connection: &mut Connection, now: Instant) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let lines = taken(connection);
        if lines.is_empty() {
            return all;
        }
        all.extend(lines);
        connection.handle_transmitted(now);
    }
}

/// The peer says this.
pub fn said(connection: &mut Connection, now: Instant, line: &str) {
    let mut bytes = BytesMut::from(line.as_bytes());
    connection.handle_input(now, Input::Bytes(&mut bytes));
}
