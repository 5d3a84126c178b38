//! What a client receives before it is open: from a server that says something before it has read
//! the hello, or before its handshake.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Hello, Input, Instant, Limits,
    RecvPolicy, Role, State, TransmitBuf,
};
use sente_tests::{RawPeer, config, events, seconds, text};

const NOW: Instant = Instant::EPOCH;
const FIRST: &str = "[:chsk/handshake [\"u\" nil nil true]]\n";
const SECOND: &str = "[[:chsk/handshake [\"u\" nil nil]] nil]\n";

/// A client on lines that asks for Sente's dialect, and has said so.
fn client(limits: Limits, policy: RecvPolicy) -> Connection {
    let mut hello = Hello::new();
    hello.dialect = Some(Dialect::Sente);
    let config = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::Lines)
        .hello(hello)
        .limits(limits)
        .on_recv_full(policy)
        .build()
        .unwrap();
    let mut client = Connection::new(config, [5; 32], NOW);
    said(&mut client);
    client
}

fn feed(client: &mut Connection, text: &str) {
    client.handle_input(NOW, Input::Bytes(&mut BytesMut::from(text)));
}

fn said(client: &mut Connection) -> String {
    let mut out = TransmitBuf::new();
    let mut all = Vec::new();
    while client.poll_transmit(&mut out).is_some() {
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        client.handle_transmitted(NOW);
    }
    String::from_utf8(all).unwrap()
}

fn names(events: &[ConnectionEvent]) -> Vec<String> {
    let name = |event: &ConnectionEvent| match event {
        ConnectionEvent::Message(message) => text(message),
        ConnectionEvent::Opened(opened) if opened.first => "opened".into(),
        ConnectionEvent::BadEvent(_) => "bad".into(),
        ConnectionEvent::Closed(_) => "closed".into(),
        other => format!("{other:?}"),
    };
    events.iter().map(name).collect()
}

#[test]
fn messages_before_the_handshake_that_opens_come_behind_opened() {
    let mut client = client(Limits::default(), RecvPolicy::default());
    feed(&mut client, FIRST);
    feed(&mut client, "[:a/n 1]\n[[:q/a 2] \"cb\"]\n[:a/n 3]\n");
    assert!(!client.has_event() && client.poll_event().is_none());
    assert_eq!(client.recv_capacity().messages, 3, "they count");
    feed(&mut client, &format!("{SECOND}[[:a/n 4] nil]\n"));
    let told = events(&mut client);
    assert_eq!(
        names(&told),
        ["opened", "[:a/n 1]", "[:q/a 2]", "[:a/n 3]", "[:a/n 4]"]
    );
    assert_eq!(client.recv_capacity().messages, 0);
    let token = told.into_iter().find_map(|event| match event {
        ConnectionEvent::Message(message) => message.reply,
        _ => None,
    });
    client.reply(NOW, token.unwrap(), 7).unwrap();
    assert!(said(&mut client).contains("\"cb\", :data 7"));
}

#[test]
fn messages_ahead_of_any_handshake_come_behind_opened_too() {
    let config = config(Role::Client, Dialect::Sente, Carrier::WebSocket);
    let mut client = Connection::new(config, [5; 32], NOW);
    let mut peer = RawPeer::new(Role::Server);
    peer.say(&mut client, NOW, "[[[:a/n 1]] nil]");
    peer.say(&mut client, NOW, "[[:chsk/handshake [\"u\" nil nil]] nil]");
    peer.say(&mut client, NOW, "[[[:a/n 2]] nil]");
    let told = events(&mut client);
    assert_eq!(names(&told), ["opened", "[:a/n 1]", "[:a/n 2]"]);
}

#[test]
fn what_is_wrong_before_the_handshake_is_told_at_once() {
    let mut client = client(Limits::default(), RecvPolicy::default());
    feed(&mut client, "[:a/n 1]\nHTTP/1.1 400 Bad Request\n");
    let told = events(&mut client);
    assert!(names(&told).iter().all(|name| name == "bad"), "{told:?}");
    assert!(!told.is_empty());
}

#[test]
fn a_queue_that_is_full_before_the_handshake_is_told_so_that_it_can_be_read() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 2;
    let mut client = client(limits, RecvPolicy::Backpressure);
    feed(
        &mut client,
        &format!("{FIRST}[:a/n 1]\n[:a/n 2]\n[:a/n 3]\n{SECOND}"),
    );
    assert!(!client.wants_read());
    let told = events(&mut client);
    let told = names(&told)
        .into_iter()
        .filter(|name| !name.contains("RecvPressure"));
    let expected = ["[:a/n 1]", "[:a/n 2]", "[:a/n 3]", "opened"];
    assert!(told.eq(expected.map(String::from)));
    assert!(client.wants_read());
}

#[test]
fn an_allowance_that_is_taken_away_keeps_nothing_from_the_application() {
    let mut client = client(Limits::default(), RecvPolicy::DropOldest);
    feed(&mut client, "[:a/n 1]\n[:a/n 2]\n");
    assert!(client.poll_event().is_none());
    client.set_recv_allowance(NOW, 0);
    let told = events(&mut client);
    assert!(
        names(&told).iter().any(|name| name == "[:a/n 2]"),
        "{told:?}"
    );
}

#[test]
fn what_is_shed_before_the_handshake_is_the_oldest() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 3;
    let mut client = client(limits, RecvPolicy::DropOldest);
    for n in 0..10 {
        feed(&mut client, &format!("[:a/n {n}]\n"));
    }
    feed(&mut client, &format!("{FIRST}{SECOND}"));
    assert_eq!(client.state(), State::Open);
    let told = names(&events(&mut client));
    let messages: Vec<_> = told.iter().filter(|name| name.starts_with("[:a")).collect();
    assert_eq!(messages, ["[:a/n 8]", "[:a/n 9]"]);
    assert_eq!(client.stats().shed, 8);
}

#[test]
fn a_client_that_never_opens_is_told_what_came_before_its_end() {
    for carrier in [Carrier::Lines, Carrier::WebSocket] {
        let ends: [fn(&mut Connection); 4] = [
            |client| client.close(NOW),
            |client| client.drain(NOW, NOW + seconds(1)),
            |client| client.handle_timeout(NOW + seconds(10)),
            |client| client.handle_input(NOW, Input::Failed("gone".into())),
        ];
        for end in ends {
            let config = config(Role::Client, Dialect::SenteLite, carrier);
            let mut client = Connection::new(config, [5; 32], NOW);
            match carrier {
                Carrier::Lines => feed(&mut client, "[:a/n 1]\n"),
                _ => RawPeer::new(Role::Server).say(&mut client, NOW, "[:a/n 1]"),
            }
            assert!(client.poll_event().is_none());
            end(&mut client);
            client.handle_timeout(NOW + seconds(60));
            let told = events(&mut client);
            assert_eq!(names(&told), ["[:a/n 1]", "closed"], "{carrier:?}");
        }
    }
}
