//! How connections drain, close and are given up.
#![allow(missing_docs)]

use sente_core::{
    Accept, CallError, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent,
    Dialect, Hello, Input, Instant, Limits, Role, SendError, State, Transmit, TransmitBuf,
};
use sente_tests::{Pair, RawPeer, config, edn, event, events, messages, millis, seconds};

const LINKS: [(Dialect, Carrier); 6] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::Lines),
    (Dialect::SenteLite, Carrier::LengthPrefixed),
    (Dialect::Sente, Carrier::Lines),
    (Dialect::Sente, Carrier::LengthPrefixed),
];

/// An open pair on any of the links; Sente on a byte stream is asked for by a hello.
fn pair(dialect: Dialect, carrier: Carrier) -> Pair {
    pair_with(dialect, carrier, Limits::default())
}

fn pair_with(dialect: Dialect, carrier: Carrier, limits: Limits) -> Pair {
    let mut client =
        ConnectionConfig::builder(Role::Client, dialect, carrier).limits(limits.clone());
    if carrier != Carrier::WebSocket {
        let mut hello = Hello::new();
        hello.dialect = Some(dialect);
        client = client.hello(hello);
    }
    // A listener on a byte stream begins with sente-lite; the hello changes that.
    let served = match carrier {
        Carrier::WebSocket => dialect,
        _ => Dialect::SenteLite,
    };
    let server = ConnectionConfig::builder(Role::Server, served, carrier).limits(limits);
    let pair = Pair::with(client.build().unwrap(), server.build().unwrap());
    assert_eq!(pair.client.dialect(), dialect, "{carrier:?}");
    assert_eq!(pair.server.dialect(), dialect, "{carrier:?}");
    assert_eq!(pair.client.state(), State::Open);
    pair
}

fn settled(connection: &mut Connection) -> Vec<Result<String, CallError>> {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { result, .. } => {
                Some(result.map(|payload| sente_edn::to_string(&payload.to_value().unwrap())))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn closing_gives_back_the_events_that_were_not_written_and_settles_the_calls() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client.send(pair.now, event("[:a/b 1]")).unwrap();
        let call = pair
            .client
            .call(pair.now, event("[:q/a 2]"), seconds(5))
            .unwrap();
        pair.client.send(pair.now, event("[:a/b 3]")).unwrap();
        pair.client.close(pair.now);
        pair.drive();
        let told = events(&mut pair.client);
        let undelivered: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                ConnectionEvent::Undelivered(events) => Some(events.clone()),
                _ => None,
            })
            .flatten()
            .map(|event| String::from_utf8(event.bytes().to_vec()).unwrap())
            .collect();
        assert_eq!(
            undelivered,
            ["[:a/b 1]", "[:a/b 3]"],
            "{dialect:?} {carrier:?}"
        );
        let settled = told.iter().filter(|event| matches!(
            event,
            ConnectionEvent::Settled { call: settled, result: Err(CallError::Closed) } if *settled == call
        ));
        assert_eq!(settled.count(), 1, "and that is all that is said of it");
        assert!(matches!(
            told.last(),
            Some(ConnectionEvent::Closed(CloseReason::Requested))
        ));
        assert!(matches!(
            pair.client.send(pair.now, event("[:a/b 1]")),
            Err(SendError::NotOpen(_))
        ));
    }
}

#[test]
fn draining_writes_everything_and_then_closes() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        for n in 0..5 {
            pair.client
                .send(pair.now, event(&format!("[:a/n {n}]")))
                .unwrap();
        }
        pair.client.drain(pair.now, pair.now + seconds(5));
        assert!(matches!(
            pair.client.send(pair.now, event("[:a/n 5]")),
            Err(SendError::NotOpen(_))
        ));
        pair.drive();
        let told = events(&mut pair.server);
        assert_eq!(
            told.iter()
                .filter(|event| matches!(event, ConnectionEvent::Message(_)))
                .count(),
            5,
            "{dialect:?} {carrier:?}"
        );
        if carrier != Carrier::WebSocket {
            assert!(matches!(told.last(), Some(ConnectionEvent::PeerFinished)));
            // Half-closed: the other direction still works.
            pair.server.send(pair.now, event("[:late/news]")).unwrap();
            pair.drive();
            assert_eq!(messages(&mut pair.client).len(), 1);
            pair.server.drain(pair.now, pair.now + seconds(1));
        }
        pair.advance(seconds(6));
        let ends = |told: Vec<ConnectionEvent>| matches!(told.last(), Some(ConnectionEvent::Closed(reason)) if reason.is_clean());
        assert!(ends(events(&mut pair.client)), "{dialect:?} {carrier:?}");
        let server = if carrier == Carrier::WebSocket {
            told
        } else {
            events(&mut pair.server)
        };
        assert!(ends(server), "{dialect:?} {carrier:?}");
        assert!(
            pair.client.is_finished() && pair.server.is_finished(),
            "{dialect:?} {carrier:?}"
        );
    }
}

#[test]
fn a_drain_waits_for_the_replies_that_are_owed() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(9))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        pair.server.drain(pair.now, pair.now + seconds(5));
        pair.advance(seconds(1));
        pair.server.reply(pair.now, token, edn("2")).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.client),
            [Ok("2".into())],
            "{dialect:?} {carrier:?}"
        );
    }
}

#[test]
fn a_drain_is_cut_at_its_deadline() {
    let mut pair = pair(Dialect::SenteLite, Carrier::Lines);
    pair.client.drain(pair.now, pair.now + seconds(3));
    pair.advance(millis(2_999));
    assert_eq!(pair.client.state(), State::Draining);
    pair.advance(millis(1));
    assert_eq!(pair.client.state(), State::Closed);
}

#[test]
fn a_client_without_a_handshake_gives_up() {
    for carrier in [Carrier::WebSocket, Carrier::Lines] {
        let config = config(Role::Client, Dialect::SenteLite, carrier);
        let mut client = Connection::new(config, [1; 32], Instant::EPOCH);
        let deadline = client.poll_timeout().unwrap();
        assert_eq!(deadline, Instant::from_millis(10_000));
        client.handle_timeout(deadline);
        let told = events(&mut client);
        assert!(matches!(
            told[..],
            [ConnectionEvent::Closed(CloseReason::HandshakeTimeout)]
        ));
    }
}

#[test]
fn quiet_peers_ping_each_other_and_stay() {
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        let mut pair = pair(dialect, Carrier::WebSocket);
        pair.advance(seconds(300));
        assert_eq!(pair.client.state(), State::Open, "{dialect:?}");
        assert_eq!(pair.server.state(), State::Open, "{dialect:?}");
        assert!(pair.client.stats().pings_sent + pair.server.stats().pings_sent > 5);
        assert!(events(&mut pair.client).is_empty());
        assert!(events(&mut pair.server).is_empty());
    }
}

#[test]
fn a_silent_peer_is_given_up_after_interval_and_timeout() {
    let config = config(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut server = Connection::new(config, [1; 32], Instant::EPOCH);
    server.accept(Instant::EPOCH, Accept::new("u"));
    let mut ended = None;
    while ended.is_none() {
        let at = server.poll_timeout().unwrap();
        server.handle_timeout(at);
        ended = events(&mut server)
            .into_iter()
            .find_map(|event| match event {
                ConnectionEvent::Closed(reason) => Some((at, reason)),
                _ => None,
            });
    }
    assert_eq!(
        ended,
        Some((Instant::from_millis(22_500), CloseReason::PingTimeout))
    );
}

#[test]
fn a_websocket_cut_without_a_close_frame_is_no_clean_end() {
    let mut pair = pair(Dialect::Sente, Carrier::WebSocket);
    pair.client.handle_input(pair.now, Input::Eof);
    match events(&mut pair.client).last() {
        Some(ConnectionEvent::Closed(reason)) => {
            assert!(!reason.is_clean());
            assert!(
                reason.to_string().contains("without a close frame"),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_peers_close_code_and_reason_read_as_a_sentence() {
    let reason = |code, text: &str| CloseReason::PeerClosed {
        code,
        reason: text.to_owned(),
    };
    for (reason, said) in [
        (
            reason(Some(1008), "go away"),
            "the peer closed the connection with code 1008: go away",
        ),
        (
            reason(Some(1000), ""),
            "the peer closed the connection with code 1000",
        ),
        (reason(None, ""), "the peer closed the connection"),
    ] {
        assert_eq!(reason.to_string(), said);
    }
}

/// A pair whose client has room for one of the three events that were sent to it.
fn pair_with_an_unread_client(dialect: Dialect, carrier: Carrier) -> Pair {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let mut pair = pair_with(dialect, carrier, limits);
    for n in 0..3 {
        let text = format!("[:some/event {n}]");
        pair.server.send(pair.now, event(&text)).unwrap();
    }
    pair.drive();
    assert!(!pair.client.wants_read(), "{carrier:?}");
    pair
}

fn said(told: &[ConnectionEvent]) -> usize {
    let is_message = |event: &&ConnectionEvent| matches!(event, ConnectionEvent::Message(_));
    told.iter().filter(is_message).count()
}

#[test]
fn a_close_waits_for_nobody_who_reads_nothing() {
    for (dialect, carrier) in LINKS {
        for drained_first in [false, true] {
            let mut pair = pair_with_an_unread_client(dialect, carrier);
            if drained_first {
                pair.client.drain(pair.now, pair.now + seconds(60));
                pair.drive();
            }
            pair.client.close(pair.now);
            pair.drive();
            let case = format!("{dialect:?} {carrier:?} {drained_first}");
            assert_eq!(pair.client.state(), State::Closed, "{case}");
            assert!(pair.client.is_finished(), "{case}");
            let told = events(&mut pair.client);
            assert_eq!(said(&told), 1, "{case} {told:?}");
            assert!(
                matches!(
                    told.last(),
                    Some(ConnectionEvent::Closed(CloseReason::Requested))
                ),
                "{case} {told:?}"
            );
        }
    }
}

#[test]
fn the_time_for_closing_ends_though_nobody_reads() {
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        for cut in [false, true] {
            let mut pair = pair_with_an_unread_client(dialect, Carrier::WebSocket);
            let within = if cut { 2 } else { 60 };
            if cut {
                let asked = event("[:some/question 1]");
                pair.client.call(pair.now, asked, seconds(600)).unwrap();
            }
            pair.client.drain(pair.now, pair.now + seconds(within));
            pair.advance(millis(1_900));
            assert_ne!(pair.client.state(), State::Closed, "there may be room yet");
            pair.advance(millis(5_200));
            assert_eq!(pair.client.state(), State::Closed, "{dialect:?} {cut}");
            assert_eq!(messages(&mut pair.client).len(), 1);
            // The peer takes no more bytes, either.
            pair.advance(seconds(5));
            assert!(pair.client.is_finished(), "{dialect:?} {cut}");
        }
    }
}

/// A server that has room for one event, and its peer.
fn small_server() -> (Connection, RawPeer) {
    let mut limits = Limits::default();
    limits.max_recv_messages = 1;
    let config = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::WebSocket);
    let config = config.limits(limits).build().unwrap();
    let mut server = Connection::new(config, [5; 32], Instant::EPOCH);
    server.accept(Instant::EPOCH, Accept::new("u"));
    events(&mut server);
    (server, RawPeer::new(Role::Client))
}

#[test]
fn what_arrives_after_a_close_is_told_while_there_is_room() {
    let (mut server, mut peer) = small_server();
    server.close(Instant::EPOCH);
    peer.say(&mut server, Instant::EPOCH, "[:a/b 1]");
    peer.say(&mut server, Instant::EPOCH, "[:a/b 2]");
    assert_eq!(messages(&mut server).len(), 1);
}

#[test]
fn nothing_is_told_behind_what_a_close_has_dropped() {
    let (mut server, mut peer) = small_server();
    peer.say(&mut server, Instant::EPOCH, "[:a/b 1]");
    peer.say(&mut server, Instant::EPOCH, "[:a/b 2]");
    server.close(Instant::EPOCH);
    let first = messages(&mut server);
    assert_eq!(first.len(), 1);
    peer.say(&mut server, Instant::EPOCH, "[:a/b 3]");
    assert!(messages(&mut server).is_empty(), "the second is missing");
    assert!(server.wants_read(), "for the peer's goodbye");
}

#[test]
fn a_stream_that_is_closed_is_read_until_its_last_bytes_are_out() {
    for carrier in [Carrier::Lines, Carrier::LengthPrefixed] {
        let mut pair = pair(Dialect::SenteLite, carrier);
        pair.client
            .send(pair.now, event("[:some/event 1]"))
            .unwrap();
        let mut out = TransmitBuf::new();
        assert_eq!(pair.client.poll_transmit(&mut out), Some(Transmit::Data));
        pair.client.close(pair.now);
        assert!(pair.client.wants_read(), "the peer may be writing, too");
        out.clear();
        pair.client.handle_transmitted(pair.now);
        assert!(!pair.client.wants_read());
        let shut = pair.client.poll_transmit(&mut out);
        assert_eq!(shut, Some(Transmit::Shutdown));
        assert!(pair.client.is_finished());
    }
}
