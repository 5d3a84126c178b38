//! What counts as life: anything a peer sends, and not only the answer to a ping. sente-lite's browser
//! client answers no ping after its first reconnect (`sente-lite.md` §4).
#![allow(missing_docs)]

use std::time::Duration;

use bytes::BytesMut;
use sente_core::{
    Accept, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect, Input,
    Instant, Keepalive, Role, State,
};
use sente_tests::{RawPeer, events, millis};

const DIALECTS: [Dialect; 2] = [Dialect::Sente, Dialect::SenteLite];

fn server(dialect: Dialect) -> (Connection, RawPeer) {
    let config = ConnectionConfig::builder(Role::Server, dialect, Carrier::WebSocket)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [1; 32], Instant::EPOCH);
    server.accept(Instant::EPOCH, Accept::new("u"));
    let mut peer = RawPeer::new(Role::Client);
    peer.hear(&mut server, Instant::EPOCH);
    (server, peer)
}

/// The longest a peer may say nothing.
fn longest(dialect: Dialect) -> Duration {
    let Keepalive {
        interval, timeout, ..
    } = Keepalive::default_for(Role::Server, dialect);
    interval + timeout
}

/// A millisecond less.
fn almost(dialect: Dialect) -> Duration {
    longest(dialect) - millis(1)
}

/// Lets the time until `until` pass on the server, whose peer reads everything.
fn pass(server: &mut Connection, peer: &mut RawPeer, until: Instant) {
    while let Some(at) = server.poll_timeout().filter(|at| *at <= until) {
        server.handle_timeout(at);
        peer.hear(server, at);
    }
    server.handle_timeout(until);
    peer.hear(server, until);
}

fn ended(server: &mut Connection) -> Option<CloseReason> {
    events(server).into_iter().find_map(|event| match event {
        ConnectionEvent::Closed(reason) => Some(reason),
        _ => None,
    })
}

fn event_frame(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sente => "[[:a/b 1] nil]",
        Dialect::SenteLite => "[:a/b 1]",
    }
}

#[test]
fn a_client_that_answers_no_ping_stays_as_long_as_it_sends_anything() {
    for dialect in DIALECTS {
        let (mut server, mut peer) = server(dialect);
        let mut now = Instant::EPOCH;
        for round in 0..50 {
            now = now + almost(dialect);
            pass(&mut server, &mut peer, now);
            assert_eq!(server.state(), State::Open, "{dialect:?}, round {round}");
            peer.say(&mut server, now, event_frame(dialect));
        }
        let stats = server.stats();
        assert_eq!(
            (stats.pings_sent, stats.events_received),
            (50, 50),
            "{dialect:?}"
        );
        now = now + longest(dialect);
        pass(&mut server, &mut peer, now);
        assert_eq!(
            ended(&mut server),
            Some(CloseReason::PingTimeout),
            "{dialect:?}"
        );
    }
}

#[test]
fn a_frame_that_cannot_be_read_is_life_too() {
    for dialect in DIALECTS {
        let (mut server, mut peer) = server(dialect);
        let mut now = Instant::EPOCH;
        for _ in 0..5 {
            now = now + almost(dialect);
            pass(&mut server, &mut peer, now);
            peer.say(&mut server, now, "]");
        }
        pass(&mut server, &mut peer, now + almost(dialect));
        assert_eq!(server.state(), State::Open, "{dialect:?}");
        assert_eq!(server.stats().bad_events, 5);
    }
}

#[test]
fn so_are_a_pong_of_the_websocket_and_a_part_of_a_frame() {
    // Masked, as a client's are: an empty pong, and the first bytes of a text of five.
    let pong: &[u8] = &[0x8a, 0x80, 1, 2, 3, 4];
    let part: &[u8] = &[0x81, 0x85, 1, 2];
    for dialect in DIALECTS {
        for bytes in [pong, part] {
            let (mut server, mut peer) = server(dialect);
            let said = Instant::EPOCH + almost(dialect);
            pass(&mut server, &mut peer, said);
            server.handle_input(said, Input::Bytes(&mut BytesMut::from(bytes)));
            pass(&mut server, &mut peer, said + almost(dialect));
            assert_eq!(server.state(), State::Open, "{dialect:?}");
            pass(&mut server, &mut peer, said + longest(dialect));
            assert_eq!(ended(&mut server), Some(CloseReason::PingTimeout));
        }
    }
}

#[test]
fn what_the_server_writes_is_no_life_of_the_client() {
    for dialect in DIALECTS {
        let (mut server, mut peer) = server(dialect);
        let mut now = Instant::EPOCH;
        while now < Instant::EPOCH + almost(dialect) {
            now = (now + millis(500)).min(Instant::EPOCH + almost(dialect));
            pass(&mut server, &mut peer, now);
            let event = sente_tests::event("[:news/flash 1]");
            server.send(now, event).unwrap();
            peer.hear(&mut server, now);
        }
        pass(&mut server, &mut peer, Instant::EPOCH + longest(dialect));
        assert_eq!(
            ended(&mut server),
            Some(CloseReason::PingTimeout),
            "{dialect:?}"
        );
    }
}
