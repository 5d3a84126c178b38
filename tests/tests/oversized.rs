//! What is too large is counted apart from what cannot be read, in both directions.
#![allow(missing_docs)]

mod ajax_support;

use std::sync::Arc;

use ajax_support::{NOW, polled, post};
use bytes::BytesMut;
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Gzip, Packer};
use sente_core::{
    Accept, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect, Input,
    Limits, PackedEvent, PackedSendError, Role, SendError, Stats,
};
use sente_tests::{Pair, RawPeer, edn, event, events, messages, seconds};

const MAX: usize = 1_000;

fn server(dialect: Dialect, carrier: Carrier, packer: Arc<dyn Packer>) -> Connection {
    let mut limits = Limits::default();
    limits.max_frame_bytes = MAX;
    limits.max_opened_bytes = 4 * MAX;
    let config = ConnectionConfig::builder(Role::Server, dialect, carrier)
        .limits(limits)
        .packer(packer)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [1; 32], NOW);
    server.accept(NOW, Accept::new("u"));
    server
}

/// Oversized and otherwise bad.
fn counts(stats: Stats) -> (u64, u64) {
    (stats.oversized_received, stats.bad_events)
}

#[test]
fn a_line_that_is_too_long_is_oversized_and_one_that_is_wrong_is_bad() {
    let mut server = server(Dialect::SenteLite, Carrier::Lines, Arc::new(Edn));
    let long = format!("[:a/b {:?}]\n", "x".repeat(MAX));
    for line in [&long, "[:a/b 1]\n", "]\n", &long, "{:v1 :map}\n"] {
        server.handle_input(NOW, Input::Bytes(&mut BytesMut::from(line)));
    }
    assert_eq!(messages(&mut server).len(), 1);
    assert_eq!(counts(server.stats()), (2, 2));
}

#[test]
fn a_websocket_message_that_is_too_long_is_counted_before_the_connection_ends() {
    let mut server = server(Dialect::Sente, Carrier::WebSocket, Arc::new(Edn));
    let mut peer = RawPeer::new(Role::Client);
    peer.say(&mut server, NOW, "]");
    peer.say(&mut server, NOW, &"x".repeat(MAX + 1));
    assert_eq!(counts(server.stats()), (1, 1));
    let closed = events(&mut server)
        .into_iter()
        .any(|event| matches!(event, ConnectionEvent::Closed(CloseReason::WebSocket(_))));
    assert!(closed);
}

#[test]
fn what_inflates_past_the_limit_is_oversized_and_what_is_no_gzip_is_bad() {
    let packer = Arc::new(Gzip::new(Edn));
    let mut server = server(Dialect::Sente, Carrier::WebSocket, packer.clone());
    let mut peer = RawPeer::new(Role::Client);
    let mut bomb = Vec::new();
    let large = edn(&format!("[[:a/b {:?}] nil]", "x".repeat(5 * MAX)));
    packer.pack_message(&large, &mut bomb).unwrap();
    assert!(bomb.len() < MAX);
    peer.say_frame(&mut server, NOW, Kind::Binary, &bomb);
    peer.say_frame(&mut server, NOW, Kind::Binary, &[1, 2, 3]);
    assert_eq!(counts(server.stats()), (1, 1));
}

#[test]
fn a_post_that_is_too_long_is_oversized() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = MAX;
    let (mut session, _) = polled(|config| config.limits(limits));
    session.handle(NOW, post(&"x".repeat(MAX + 1)));
    session.handle(NOW, post("]"));
    assert_eq!(counts(session.stats()), (1, 1));
    let large = session.send(NOW, event(&format!("[:a/b {:?}]", "x".repeat(MAX))));
    assert!(matches!(large, Err(SendError::TooLarge { .. })));
    assert_eq!(session.stats().oversized_refused, 1);
}

#[test]
fn what_we_would_send_too_large_is_counted_as_refused() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = MAX;
    let config = |role| {
        ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .limits(limits.clone())
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(config(Role::Client), config(Role::Server));
    let large = || event(&format!("[:a/b {:?}]", "x".repeat(MAX)));
    let sent = pair.client.send(pair.now, large());
    assert!(matches!(sent, Err(SendError::TooLarge { .. })));
    let called = pair.client.call(pair.now, large(), seconds(1));
    assert!(matches!(called, Err(SendError::TooLarge { .. })));
    let packed = PackedEvent::pack(&large(), &Edn).unwrap();
    let sent = pair.client.send_packed(pair.now, &packed);
    assert_eq!(sent, Err(PackedSendError::TooLarge));
    let stats = pair.client.stats();
    assert_eq!((stats.oversized_refused, stats.sends_refused), (3, 3));

    pair.client
        .call(pair.now, event("[:ask/this]"), seconds(1))
        .unwrap();
    pair.drive();
    let token = messages(&mut pair.server).remove(0).reply.unwrap();
    let reply = edn(&format!("{:?}", "x".repeat(MAX)));
    assert!(pair.server.reply(pair.now, token, reply).is_err());
    let stats = pair.server.stats();
    assert_eq!((stats.oversized_refused, stats.sends_refused), (1, 0));
    assert_eq!(counts(stats), (0, 0));
}
