//! When what is queued leaves: flushes and the flush window.
#![allow(missing_docs)]

use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionConfigBuilder, ConnectionEvent, Dialect,
    Instant, Role, SendOptions, Sent,
};
use sente_tests::lines::{
    client, client_with, drop_oldest, low, numbered, said, taken, volatile, written,
};
use sente_tests::{RawPeer, events, messages, millis};

const NOW: Instant = Instant::EPOCH;

/// A name and what it does to a connection.
struct End(&'static str, fn(&mut Connection));

#[test]
fn a_flush_settles_also_when_what_it_waited_for_was_dropped() {
    let flushed = |connection: &mut Connection| {
        events(connection)
            .iter()
            .any(|event| matches!(event, ConnectionEvent::Flushed(_)))
    };
    let mut client = client(|limits| limits.max_send_messages = 1);
    client.send_with(NOW, numbered(0), drop_oldest()).unwrap();
    client.flush(NOW);
    assert!(!flushed(&mut client));
    client.send_with(NOW, numbered(1), drop_oldest()).unwrap();
    assert!(flushed(&mut client));
    // And no sooner than the transmit that is out has been written.
    assert_eq!(taken(&mut client), ["[:a/n 1]"]);
    client.send_with(NOW, numbered(2), drop_oldest()).unwrap();
    client.flush(NOW);
    client.send_with(NOW, numbered(3), drop_oldest()).unwrap();
    assert!(!flushed(&mut client));
    client.handle_transmitted(NOW);
    assert!(flushed(&mut client));
}

#[test]
fn a_flush_waits_for_low_events_behind_later_normal_ones() {
    let mut client = client(|limits| limits.max_transmit_bytes = 1);
    client.send_with(NOW, numbered(0), low()).unwrap();
    let flush = client.flush(NOW);
    client.send(NOW, numbered(1)).unwrap();
    assert_eq!(taken(&mut client), ["[:a/n 1]"]);
    client.handle_transmitted(NOW);
    assert!(events(&mut client).is_empty());
    assert_eq!(taken(&mut client), ["[:a/n 0]"]);
    client.handle_transmitted(NOW);
    let told = events(&mut client);
    assert!(matches!(told[..], [ConnectionEvent::Flushed(id)] if id == flush));
}

#[test]
fn flushes_with_nothing_queued_between_them_are_one() {
    let flushed = |connection: &mut Connection| {
        let told = events(connection).into_iter();
        told.filter_map(|event| match event {
            ConnectionEvent::Flushed(id) => Some(id),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    let mut client = client(|_| {});
    client.send(NOW, numbered(0)).unwrap();
    let first = client.flush(NOW);
    assert_eq!(client.flush(NOW), first);
    client.send(NOW, numbered(1)).unwrap();
    let second = client.flush(NOW);
    assert_ne!(second, first);
    written(&mut client, NOW);
    assert_eq!(flushed(&mut client), [first, second]);
    // What has settled is never meant again.
    let third = client.flush(NOW);
    assert!(third != second && third != first);
    assert_eq!(flushed(&mut client), [third]);
}

#[test]
fn flushes_over_the_limit_wait_with_the_newest_one() {
    let mut client = client(|limits| {
        limits.max_flushes = 2;
        limits.max_transmit_bytes = 1;
    });
    let mut flushes = Vec::new();
    for n in 0..5 {
        client.send(NOW, numbered(n)).unwrap();
        flushes.push(client.flush(NOW));
    }
    let (first, newest) = (flushes[0], flushes[1]);
    assert_eq!(flushes, [first, newest, newest, newest, newest]);
    let mut told = Vec::new();
    for left in (0..5).rev() {
        taken(&mut client);
        client.handle_transmitted(NOW);
        told.extend(events(&mut client).into_iter().map(|event| match event {
            ConnectionEvent::Flushed(id) => (left, id),
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(told, [(4, first), (0, newest)]);
}

#[test]
fn with_a_flush_window_events_wait_for_others_and_leave_together() {
    let mut client = client_with(|_| {}, |config| config.flush_window(Some(millis(30))));
    client.send(NOW, numbered(0)).unwrap();
    assert!(taken(&mut client).is_empty());
    client.send(NOW + millis(20), numbered(1)).unwrap();
    assert!(taken(&mut client).is_empty());
    let due = client.poll_timeout();
    assert_eq!(due, Some(NOW + millis(30)), "counted from the first");
    client.handle_timeout(NOW + millis(30));
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(taken(&mut client), ["[:a/n 0]", "[:a/n 1]"]);
    // The next window begins with the next event.
    client.handle_transmitted(NOW + millis(40));
    client.send(NOW + millis(40), numbered(2)).unwrap();
    assert!(taken(&mut client).is_empty());
    assert_eq!(client.poll_timeout(), Some(NOW + millis(70)));
}

/// A regression the model found: in a queue of one, events sent faster than the window never left.
#[test]
fn an_event_that_is_dropped_for_a_newer_one_leaves_it_what_is_left_of_its_window() {
    let mut client = client_with(
        |limits| limits.max_send_messages = 1,
        |config| config.flush_window(Some(millis(30))),
    );
    for n in 0..3 {
        let now = NOW + millis(10) * n;
        let event = numbered(n.try_into().unwrap());
        client.send_with(now, event, drop_oldest()).unwrap();
        assert!(taken(&mut client).is_empty());
    }
    assert_eq!(client.poll_timeout(), Some(NOW + millis(30)));
    client.handle_timeout(NOW + millis(30));
    assert_eq!(taken(&mut client), ["[:a/n 2]"]);
}

#[test]
fn a_flush_window_ends_with_whatever_cannot_wait() {
    let ends: [End; 6] = [
        End("flush", |client| {
            client.flush(NOW);
        }),
        End("an event that flushes", |client| {
            let options = SendOptions::new().flush(true);
            client.send_with(NOW, numbered(1), options).unwrap();
        }),
        End("a call", |client| {
            client.call(NOW, numbered(1), millis(1)).unwrap();
        }),
        End("a reply", |client| {
            said(client, NOW, "[[:q/a] \"cb\"]\n");
            let token = messages(client).remove(0).reply.unwrap();
            client.reply(NOW, token, 7).unwrap();
        }),
        End("a drain", |client| client.drain(NOW, NOW + millis(1))),
        End("a full batch", |client| {
            client.send(NOW, numbered(1)).unwrap();
            client.send(NOW, numbered(2)).unwrap();
        }),
    ];
    for End(name, end) in ends {
        let mut client = client_with(
            |limits| limits.max_batch_events = 3,
            |config| config.flush_window(Some(millis(30))),
        );
        client.send(NOW, numbered(0)).unwrap();
        assert!(taken(&mut client).is_empty(), "{name}");
        end(&mut client);
        let lines = taken(&mut client);
        assert_eq!(
            lines.first().map(String::as_str),
            Some("[:a/n 0]"),
            "{name}"
        );
    }
}

#[test]
fn a_pong_does_not_wait_for_the_flush_window() {
    let config = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::WebSocket)
        .flush_window(Some(millis(30)));
    let mut server = Connection::new(config.build().unwrap(), [1; 32], NOW);
    server.accept(NOW, sente_core::Accept::new("ada"));
    let mut peer = RawPeer::new(Role::Client);
    assert_eq!(peer.texts(&mut server, NOW).len(), 1, "the handshake");
    server.send(NOW, numbered(0)).unwrap();
    peer.say(&mut server, NOW, "[:chsk/ws-ping]");
    assert_eq!(peer.texts(&mut server, NOW), ["[:chsk/ws-pong]"]);
    server.handle_timeout(NOW + millis(30));
    assert_eq!(peer.texts(&mut server, NOW + millis(30)), ["[:a/n 0]"]);
}

#[test]
fn a_volatile_event_that_is_dropped_flushes_what_is_queued_all_the_same() {
    let window = |config: ConnectionConfigBuilder| config.flush_window(Some(millis(30)));
    let mut client = client_with(|_| {}, window);
    client.send(NOW, numbered(1)).unwrap();
    assert!(taken(&mut client).is_empty());
    let sent = client.send_with(NOW, numbered(2), volatile().flush(true));
    assert_eq!(sent.unwrap(), Sent::Dropped);
    assert_eq!(taken(&mut client), ["[:a/n 1]"]);
}
