//! permessage-deflate under the engine: connections whose upgrade agreed on it.
#![allow(missing_docs)]

mod deflate_support;

use bytes::{Buf, BytesMut};
use deflate_support::{agree, eager, socket, takeover};
use sente_core::framing::Kind;
use sente_core::framing::websocket::{DeflateConfig, Part, Role as End, Violation};
use sente_core::{
    Carrier, Client, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event,
    Input, Instant, PackedEvent, Role, TransmitBuf,
};
use sente_edn::Value;
use sente_tests::{Pair, client_config, config, event, events, messages, seconds, text};

const NOW: Instant = Instant::EPOCH;

/// Two open connections that compress.
fn pair(deflate: &DeflateConfig) -> Pair {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    let (client, server) = agree(deflate, deflate);
    // Nothing was exchanged but the handshake, which was short.
    pair.client.set_deflate(client);
    pair.server.set_deflate(server);
    pair
}

fn dull(length: usize) -> Event {
    let mut event = event("[:a/dull]");
    event.data = Some(Value::from("x".repeat(length)).into());
    event
}

#[test]
fn events_calls_replies_and_broadcasts_are_compressed_and_arrive() {
    for deflate in [eager(), takeover()] {
        let mut pair = pair(&deflate);
        let now = pair.now;
        pair.chunk = 5;
        let packed = PackedEvent::pack(&dull(50_000), &sente_core::packer::Edn).unwrap();
        let before = (pair.client.stats(), pair.server.stats());
        for _ in 0..3 {
            pair.server.send_packed(now, &packed).unwrap();
            pair.client.send_packed(now, &packed).unwrap();
            pair.drive();
            assert_eq!(messages(&mut pair.client).len(), 1);
            assert_eq!(messages(&mut pair.server).len(), 1);
        }
        let call = pair.client.call(now, dull(50_000), seconds(5)).unwrap();
        pair.drive();
        let asked = messages(&mut pair.server).remove(0);
        let data = asked.event.data.unwrap();
        pair.server.reply(now, asked.reply.unwrap(), data).unwrap();
        pair.drive();
        let told = events(&mut pair.client);
        assert!(
            matches!(&told[..], [ConnectionEvent::Settled { call: settled, result: Ok(_) }] if *settled == call),
            "{told:?}"
        );
        for (stats, before) in [
            (pair.client.stats(), before.0),
            (pair.server.stats(), before.1),
        ] {
            let sent = stats.bytes_sent - before.bytes_sent;
            assert!(sent < 2000, "{sent} for 200,000");
        }
    }
}

#[test]
fn a_message_that_inflates_to_more_than_the_frame_limit_ends_the_connection() {
    let mut server = Connection::new(
        config(Role::Server, Dialect::SenteLite, Carrier::WebSocket),
        [1; 32],
        NOW,
    );
    let (ours, theirs) = agree(&eager(), &eager());
    server.set_deflate(theirs);
    server.accept(NOW, sente_core::Accept::new("ada"));
    events(&mut server);
    let mut peer = socket(End::Client, ours, usize::MAX / 4);
    let limit = server.config().limits().max_frame_bytes;
    let fits = format!("[:a/b \"{}\"]", "x".repeat(limit - 9));
    let too_long = format!("[:a/b \"{}\"]", "x".repeat(limit - 8));
    let mut out = TransmitBuf::new();
    for message in [&fits, &too_long] {
        assert!(peer.write_message(Kind::Text, &[Part::Slice(message.as_bytes())], &mut out));
    }
    let mut bytes = BytesMut::from(&out.copy_to_bytes(out.remaining())[..]);
    assert!(bytes.len() < limit / 100);
    server.handle_input(NOW, Input::Bytes(&mut bytes));
    let told = events(&mut server);
    let [
        ConnectionEvent::LargeFrame { size, .. },
        ConnectionEvent::Message(message),
        ConnectionEvent::Closed(CloseReason::WebSocket(error)),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((*size, text(message).len()), (limit, limit));
    assert_eq!(error.violation, Violation::InflatedTooLong { limit });
}

#[test]
fn it_is_nothing_to_a_byte_stream() {
    let mut pair = Pair::open(Dialect::SenteLite, Carrier::Lines);
    let (client, _) = agree(&takeover(), &takeover());
    pair.client.set_deflate(client);
    let before = pair.client.stats().bytes_sent;
    pair.client.send(pair.now, dull(1000)).unwrap();
    pair.drive();
    assert_eq!(messages(&mut pair.server).len(), 1);
    assert!(pair.client.stats().bytes_sent - before > 1000);
}

#[test]
fn a_configuration_tells_the_driver_what_to_offer() {
    let builder = || ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket);
    assert!(builder().build().unwrap().deflate().is_none());
    let with = builder().deflate(Some(takeover())).build().unwrap();
    assert!(with.deflate().is_some());
}

#[test]
fn a_client_compresses_on_the_link_of_the_attempt_that_agreed() {
    let mut client = Client::new(
        client_config(Dialect::Sente, Carrier::WebSocket),
        [1; 32],
        NOW,
    );
    client.connect(NOW);
    let attempt = client.poll_connect().unwrap().attempt;
    let (ours, theirs) = agree(&eager(), &eager());
    // There is no link yet: nothing happens.
    client.set_deflate(attempt, ours.clone());
    assert!(client.handle_connected(NOW, attempt));
    client.set_deflate(attempt, ours);
    let mut server = Connection::new(
        config(Role::Server, Dialect::Sente, Carrier::WebSocket),
        [2; 32],
        NOW,
    );
    server.set_deflate(theirs);
    server.accept(NOW, sente_core::Accept::new("ada"));
    let mut out = TransmitBuf::new();
    assert!(server.poll_transmit(&mut out).is_some());
    let mut bytes = BytesMut::from(&out.copy_to_bytes(out.remaining())[..]);
    client.handle_input(NOW, attempt, Input::Bytes(&mut bytes));
    client.send(NOW, dull(10_000)).unwrap();
    assert!(client.poll_transmit(&mut out).is_some());
    let mut bytes = BytesMut::from(&out.copy_to_bytes(out.remaining())[..]);
    assert!(bytes.len() < 200, "{}", bytes.len());
    server.handle_input(NOW, Input::Bytes(&mut bytes));
    assert_eq!(messages(&mut server).len(), 1);
}
