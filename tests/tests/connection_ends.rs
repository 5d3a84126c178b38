//! How a connection ends when its transport or its peer does, in every state, and what is told of it.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use sente_core::{
    Accept, CallError, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent,
    Dialect, Hello, Input, Instant, Limits, Role, State, Transmit, TransmitBuf,
};
use sente_tests::{Pair, RawPeer, Said, config, edn, event, events, messages, seconds};

const CARRIERS: [Carrier; 3] = [Carrier::WebSocket, Carrier::Lines, Carrier::LengthPrefixed];

const EPOCH: Instant = Instant::EPOCH;

fn server_with(dialect: Dialect, carrier: Carrier, limits: Limits) -> Connection {
    let config = ConnectionConfig::builder(Role::Server, dialect, carrier)
        .limits(limits)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [5; 32], EPOCH);
    server.accept(EPOCH, Accept::new("u"));
    written(&mut server, EPOCH);
    events(&mut server);
    server
}

fn server(dialect: Dialect, carrier: Carrier) -> Connection {
    server_with(dialect, carrier, Limits::default())
}

fn feed(connection: &mut Connection, now: Instant, text: &str) {
    connection.handle_input(now, Input::Bytes(&mut BytesMut::from(text)));
}

/// Takes everything the connection writes now; whether it ended with the shutdown.
fn written(connection: &mut Connection, now: Instant) -> (String, bool) {
    let mut all = Vec::new();
    let mut out = TransmitBuf::new();
    while let Some(transmit) = connection.poll_transmit(&mut out) {
        if transmit == Transmit::Shutdown {
            return (String::from_utf8_lossy(&all).into(), true);
        }
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        connection.handle_transmitted(now);
    }
    (String::from_utf8_lossy(&all).into(), false)
}

/// Lets time pass for one connection whose driver does nothing else, up to `end`.
fn pass_time(connection: &mut Connection, end: Instant) {
    for _ in 0..10_000 {
        match connection.poll_timeout() {
            Some(at) if at <= end => {
                connection.handle_timeout(at);
                assert!(
                    connection.poll_timeout().is_none_or(|next| next > at),
                    "still due after handle_timeout"
                );
            }
            _ => return,
        }
    }
    panic!("deadlines never end");
}

#[test]
fn a_write_that_never_ends_does_not_keep_a_closed_connection() {
    for carrier in CARRIERS {
        let mut server = server(Dialect::SenteLite, carrier);
        server.send(EPOCH, event("[:a/b 1]")).unwrap();
        let mut stalled = TransmitBuf::new();
        assert!(server.poll_transmit(&mut stalled).is_some());
        server.close(EPOCH);
        events(&mut server);
        assert!(!server.is_finished(), "the write still has its chance");
        pass_time(&mut server, Instant::from_millis(60_000));
        events(&mut server);
        assert_eq!(server.state(), State::Closed, "{carrier:?}");
        assert!(server.is_finished(), "{carrier:?}");
        assert_eq!(server.poll_timeout(), None);
    }
}

#[test]
fn a_second_failure_does_not_keep_the_connection() {
    for carrier in CARRIERS {
        let mut limits = Limits::default();
        limits.max_recv_messages = 1;
        let config = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, carrier)
            .limits(limits)
            .build()
            .unwrap();
        let mut pair = Pair::with(
            config,
            self::config(Role::Server, Dialect::SenteLite, carrier),
        );
        for _ in 0..3 {
            pair.server.send(EPOCH, event("[:a/b 1]")).unwrap();
        }
        pair.drive();
        pair.client.send(EPOCH, event("[:c/d 1]")).unwrap();
        let mut out = TransmitBuf::new();
        pair.client
            .handle_input(EPOCH, Input::Failed("reading failed".into()));
        assert_eq!(pair.client.poll_transmit(&mut out), None, "{carrier:?}");
        pair.client
            .handle_input(EPOCH, Input::Failed("writing failed".into()));
        let told = events(&mut pair.client);
        assert!(
            matches!(told.last(), Some(ConnectionEvent::Closed(CloseReason::Failed(why))) if why == "reading failed"),
            "{carrier:?} {told:?}"
        );
        let undelivered = told.iter().any(
            |event| matches!(event, ConnectionEvent::Undelivered(events) if events.len() == 1),
        );
        assert!(undelivered, "{carrier:?} {told:?}");
        assert!(pair.client.is_finished(), "{carrier:?}");
    }
}

#[test]
fn what_a_websocket_cannot_write_after_the_peers_end_comes_back() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let mut server = server_with(Dialect::SenteLite, Carrier::WebSocket, limits);
    let mut peer = RawPeer::new(Role::Client);
    peer.say(&mut server, EPOCH, "[:a/b 1]");
    peer.say(&mut server, EPOCH, "[:a/b 2]");
    server.send(EPOCH, event("[:c/d 1]")).unwrap();
    server.handle_input(EPOCH, Input::Eof);
    written(&mut server, EPOCH);
    let told = events(&mut server);
    assert!(
        told.iter().any(
            |event| matches!(event, ConnectionEvent::Undelivered(events) if events.len() == 1)
        ),
        "{told:?}"
    );
}

#[test]
fn nothing_is_told_after_closed() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    limits.max_frame_bytes = 50;
    let mut server = server_with(Dialect::SenteLite, Carrier::Lines, limits);
    let long = format!("[:a/b 1]\n[:a/b \"{}\"]\n[:a/b 2]\n", "x".repeat(100));
    feed(&mut server, EPOCH, &long);
    server.close(EPOCH);
    let told = events(&mut server);
    assert!(
        matches!(told.last(), Some(ConnectionEvent::Closed(_))),
        "{told:?}"
    );
}

#[test]
fn a_flush_before_a_drain_succeeds() {
    for carrier in CARRIERS {
        for peer_ends_first in [false, true] {
            let mut pair = Pair::open(Dialect::SenteLite, carrier);
            if peer_ends_first && carrier != Carrier::WebSocket {
                pair.client.handle_input(EPOCH, Input::Eof);
            }
            pair.client.send(EPOCH, event("[:a/b 1]")).unwrap();
            let flush = pair.client.flush(EPOCH);
            pair.client.drain(EPOCH, Instant::from_millis(1_000));
            pair.drive();
            let told = events(&mut pair.client);
            assert!(
                told.iter()
                    .any(|event| matches!(event, ConnectionEvent::Flushed(id) if *id == flush)),
                "{carrier:?} {told:?}"
            );
            assert_eq!(messages(&mut pair.server).len(), 1);
        }
    }
}

#[test]
fn a_flush_after_a_close_fails_and_never_succeeds() {
    let mut pair = Pair::open(Dialect::SenteLite, Carrier::WebSocket);
    pair.client.send(EPOCH, event("[:a/b 1]")).unwrap();
    pair.client.close(EPOCH);
    pair.client.flush(EPOCH);
    pair.drive();
    let told = events(&mut pair.client);
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, ConnectionEvent::Flushed(_))),
        "{told:?}"
    );
}

#[test]
fn a_half_closed_connection_waits_for_a_slow_reply_beyond_the_keepalive() {
    let mut hello = Hello::new();
    hello.dialect = Some(Dialect::Sente);
    let client = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::Lines)
        .hello(hello)
        .build()
        .unwrap();
    let server = config(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let mut pair = Pair::with(client, server);
    pair.client
        .call(pair.now, event("[:q/a 1]"), seconds(300))
        .unwrap();
    pair.client.drain(pair.now, pair.now + seconds(300));
    pair.drive();
    let token = messages(&mut pair.server).remove(0).reply.unwrap();
    pair.advance(seconds(200));
    assert_eq!(pair.client.state(), State::Draining);
    let now = pair.now;
    pair.server.reply(now, token, edn("2")).unwrap();
    pair.drive();
    let told = events(&mut pair.client);
    assert!(
        told.iter()
            .any(|event| matches!(event, ConnectionEvent::Settled { result: Ok(_), .. })),
        "{told:?}"
    );
}

#[test]
fn calls_settle_when_the_peer_ends_while_a_drain_waits_for_replies() {
    let mut server = server(Dialect::SenteLite, Carrier::Lines);
    feed(&mut server, EPOCH, "[[:q/a 1] \"cb\"]\n");
    let token = messages(&mut server).remove(0).reply.unwrap();
    server.call(EPOCH, event("[:q/b 1]"), seconds(60)).unwrap();
    server.drain(EPOCH, Instant::from_millis(30_000));
    server.handle_input(EPOCH, Input::Eof);
    let told = events(&mut server);
    assert!(
        matches!(
            told[..],
            [ConnectionEvent::Settled {
                result: Err(CallError::Closed),
                ..
            }]
        ),
        "{told:?}"
    );
    server.reply(EPOCH, token, edn("1")).unwrap();
    let (text, ended) = written(&mut server, EPOCH);
    assert!(text.contains(":chsk/reply"), "{text}");
    assert!(ended && server.is_finished());
}

#[test]
fn every_end_finishes_every_connection_in_every_state() {
    for carrier in CARRIERS {
        for role in [Role::Client, Role::Server] {
            for accepted in [false, true] {
                for command in ["nothing", "drain", "close"] {
                    for end in ["eof", "failed", "nothing"] {
                        if end == "nothing" && command == "nothing" {
                            continue;
                        }
                        let config = config(role, Dialect::SenteLite, carrier);
                        let mut one = Connection::new(config, [5; 32], EPOCH);
                        if accepted {
                            one.accept(EPOCH, Accept::new("u"));
                            let mut peer = RawPeer::new(Role::Server);
                            let handshake = "[:chsk/handshake [\"u\" nil nil true]]";
                            match carrier {
                                _ if role == Role::Server => {}
                                Carrier::WebSocket => peer.say(&mut one, EPOCH, handshake),
                                Carrier::Lines => feed(&mut one, EPOCH, &format!("{handshake}\n")),
                                _ => {
                                    let length = char::from(u8::try_from(handshake.len()).unwrap());
                                    let frame = format!("\0\0\0\0{length}{handshake}");
                                    feed(&mut one, EPOCH, &frame);
                                }
                            }
                            assert_eq!(one.state(), State::Open, "{role:?} {carrier:?}");
                            let _ = one.call(EPOCH, event("[:q/a 1]"), seconds(1_000));
                        }
                        match command {
                            "drain" => one.drain(EPOCH, Instant::from_millis(10_000)),
                            "close" => one.close(EPOCH),
                            _ => {}
                        }
                        written(&mut one, EPOCH);
                        match end {
                            "eof" => one.handle_input(EPOCH, Input::Eof),
                            "failed" => one.handle_input(EPOCH, Input::Failed("x".into())),
                            _ => {}
                        }
                        written(&mut one, EPOCH);
                        let case = format!("{carrier:?} {role:?} {accepted} {command} {end}");
                        if one.state() == State::Open {
                            // A byte stream that its peer half-closed stays open for us.
                            assert!(end == "eof" && carrier != Carrier::WebSocket, "{case}");
                            one.close(EPOCH);
                        }
                        for second in [0, 1, 5, 10, 15, 16, 20, 30] {
                            pass_time(&mut one, Instant::from_millis(second * 1_000));
                            written(&mut one, Instant::from_millis(second * 1_000));
                        }
                        let told = events(&mut one);
                        assert!(one.is_finished(), "{case}");
                        assert!(!one.wants_read(), "{case}");
                        assert_eq!(one.poll_timeout(), None, "{case}");
                        assert_eq!(one.pending_calls(), 0, "{case}");
                        let closed = told
                            .iter()
                            .filter(|event| matches!(event, ConnectionEvent::Closed(_)))
                            .count();
                        assert_eq!(closed, 1, "{case}");
                        assert!(
                            matches!(told.last(), Some(ConnectionEvent::Closed(_))),
                            "{case} {told:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_breach_is_answered_and_the_peers_rest_is_read_so_that_it_sees_the_answer() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 100;
    let mut server = server_with(Dialect::SenteLite, Carrier::WebSocket, limits);
    let mut peer = RawPeer::new(Role::Client);
    peer.say(&mut server, EPOCH, &"x".repeat(1_000));
    let said = peer.hear(&mut server, EPOCH);
    assert_eq!(said, [Said::Close(Some(1009)), Said::Eof]);
    assert!(server.wants_read() && !server.is_finished());
    feed(&mut server, EPOCH, &"more of it".repeat(100));
    assert!(server.wants_read() && !server.is_finished());
    let mut other = EPOCH;
    if let Some(at) = server.poll_timeout() {
        other = at;
    }
    server.handle_input(EPOCH, Input::Eof);
    assert!(server.is_finished());
    assert!(other > EPOCH, "a peer that never ends is cut");
}

#[test]
fn calls_settle_at_once_when_the_transport_fails_though_nobody_reads() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let build = |role| {
        ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::Lines)
            .limits(limits.clone())
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(build(Role::Client), build(Role::Server));
    for n in 0..5 {
        pair.server
            .send(pair.now, event(&format!("[:a/n {n}]")))
            .unwrap();
    }
    pair.client
        .call(pair.now, event("[:q/a]"), seconds(60))
        .unwrap();
    pair.drive();
    pair.client
        .handle_input(pair.now, Input::Failed("reset".into()));
    assert!(matches!(
        pair.client.poll_answer(),
        Some(ConnectionEvent::Settled { result: Err(_), .. })
    ));
    // Nothing new is taken either, though the application has not been told of the end yet.
    assert!(pair.client.send(pair.now, event("[:a/b]")).is_err());
    assert!(
        pair.client
            .call(pair.now, event("[:q/b]"), seconds(60))
            .is_err()
    );
}

#[test]
fn a_flush_fails_with_the_transport_whatever_is_still_unread() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let mut server = server_with(Dialect::SenteLite, Carrier::Lines, limits);
    server.handle_input(
        EPOCH,
        Input::Bytes(&mut BytesMut::from("[:a/b 1]\n[:a/b 2]\n")),
    );
    server.send(EPOCH, event("[:c/d 1]")).unwrap();
    let before = server.flush(EPOCH);
    server.handle_input(EPOCH, Input::Failed("unplugged".into()));
    let after = server.flush(EPOCH);
    let mut failed = || match server.poll_answer() {
        Some(ConnectionEvent::FlushFailed(flush)) => Some(flush),
        _ => None,
    };
    assert_eq!((failed(), failed()), (Some(before), Some(after)));
    assert_eq!(messages(&mut server).len(), 2);
}

#[test]
fn a_drained_stream_is_read_to_its_end_whatever_calls_still_come() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 200;
    limits.max_bad_frames_reported = 0;
    let mut server = server_with(Dialect::SenteLite, Carrier::Lines, limits);
    server.drain(EPOCH, EPOCH + seconds(60));
    let mut out = TransmitBuf::new();
    assert_eq!(server.poll_transmit(&mut out), Some(Transmit::Shutdown));
    for _ in 0..20 {
        let mut bad = BytesMut::from("[[:no-namespace] \"cb\"]\n");
        server.handle_input(EPOCH, Input::Bytes(&mut bad));
    }
    assert!(server.wants_read());
    server.handle_input(EPOCH, Input::Eof);
    assert_eq!(server.close_reason(), Some(&CloseReason::Requested));
}
