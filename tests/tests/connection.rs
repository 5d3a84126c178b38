//! What a connection does, told by two of them over a virtual wire.
#![allow(missing_docs)]

use sente_core::{
    CallError, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect, Hello,
    Input, Instant, Limits, Role, SendError, State, TransmitBuf,
};
use sente_tests::{Pair, config, edn, event, events, messages, millis, seconds, text};

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
fn events_cross_every_link_in_both_directions_in_order() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        for n in 0..20 {
            pair.client
                .send(pair.now, event(&format!("[:up/n {n}]")))
                .unwrap();
            pair.server
                .send(pair.now, event(&format!("[:down/n {{:n {n}}}]")))
                .unwrap();
        }
        pair.client.send(pair.now, event("[:up/bare]")).unwrap();
        pair.client.send(pair.now, event("[:up/nil nil]")).unwrap();
        pair.drive();
        let up: Vec<_> = messages(&mut pair.server).iter().map(text).collect();
        let down: Vec<_> = messages(&mut pair.client).iter().map(text).collect();
        let mut expected: Vec<_> = (0..20).map(|n| format!("[:up/n {n}]")).collect();
        expected.push("[:up/bare]".into());
        expected.push("[:up/nil nil]".into());
        assert_eq!(up, expected, "{dialect:?} {carrier:?}");
        let expected: Vec<_> = (0..20).map(|n| format!("[:down/n {{:n {n}}}]")).collect();
        assert_eq!(down, expected, "{dialect:?} {carrier:?}");
    }
}

#[test]
fn one_byte_at_a_time_says_the_same() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.chunk = 1;
        let call = pair
            .client
            .call(pair.now, event("[:q/a \"é\\n\"]"), seconds(1))
            .unwrap();
        pair.drive();
        let mut asked = messages(&mut pair.server);
        let message = asked.remove(0);
        let data = message.event.data.clone().unwrap();
        pair.server
            .reply(pair.now, message.reply.unwrap(), data)
            .unwrap();
        pair.drive();
        let got = events(&mut pair.client)
            .into_iter()
            .find_map(|event| match event {
                ConnectionEvent::Settled {
                    call: settled,
                    result,
                } if settled == call => Some(result),
                _ => None,
            });
        assert_eq!(
            got.unwrap().unwrap().to_value().unwrap(),
            edn("\"é\\n\""),
            "{dialect:?} {carrier:?}"
        );
    }
}

#[test]
fn a_client_calls_on_every_link_and_a_server_where_the_dialect_can_answer() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(1))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        pair.server.reply(pair.now, token, edn("{:b 2}")).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.client),
            [Ok("{:b 2}".into())],
            "{dialect:?} {carrier:?}"
        );

        let called = pair.server.call(pair.now, event("[:q/b 2]"), seconds(1));
        if (dialect, carrier) == (Dialect::Sente, Carrier::WebSocket) {
            assert!(matches!(called, Err(SendError::CallsUnsupported(_))));
            continue;
        }
        called.unwrap();
        pair.drive();
        let token = messages(&mut pair.client).remove(0).reply.unwrap();
        pair.client.reply(pair.now, token, edn("nil")).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.server),
            [Ok("nil".into())],
            "{dialect:?} {carrier:?}"
        );
    }
}

#[test]
fn a_call_times_out_and_its_late_reply_is_counted() {
    let mut pair = pair(Dialect::Sente, Carrier::WebSocket);
    pair.client
        .call(pair.now, event("[:q/a 1]"), millis(500))
        .unwrap();
    pair.advance(millis(499));
    assert_eq!(settled(&mut pair.client), []);
    pair.advance(millis(1));
    assert_eq!(settled(&mut pair.client), [Err(CallError::Timeout)]);
    let token = messages(&mut pair.server).remove(0).reply.unwrap();
    pair.server.reply(pair.now, token, edn("1")).unwrap();
    pair.drive();
    assert_eq!(settled(&mut pair.client), []);
    assert_eq!(pair.client.stats().late_replies, 1);
    assert_eq!(pair.client.pending_calls(), 0);
}

#[test]
fn a_cancelled_call_settles_once() {
    let mut pair = pair(Dialect::SenteLite, Carrier::Lines);
    let call = pair
        .client
        .call(pair.now, event("[:q/a 1]"), seconds(1))
        .unwrap();
    assert!(pair.client.cancel(call));
    assert!(!pair.client.cancel(call));
    pair.advance(seconds(2));
    assert_eq!(settled(&mut pair.client), [Err(CallError::Cancelled)]);
}

#[test]
fn a_call_settles_when_its_link_dies() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(60))
            .unwrap();
        pair.drive();
        pair.client
            .handle_input(pair.now, Input::Failed("connection reset".into()));
        assert_eq!(
            settled(&mut pair.client),
            [Err(CallError::Closed)],
            "{dialect:?} {carrier:?}"
        );
        assert_eq!(pair.client.state(), State::Closed);
        assert!(pair.client.is_finished());
    }
}

#[test]
fn a_failing_handler_settles_its_caller() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier);
        pair.client
            .call(pair.now, event("[:q/a 1]"), seconds(60))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        pair.server.reply_error(pair.now, token).unwrap();
        pair.drive();
        assert_eq!(
            settled(&mut pair.client),
            [Err(CallError::Peer)],
            "{dialect:?} {carrier:?}"
        );
    }
}

#[test]
fn a_full_send_queue_refuses_and_gives_the_event_back_and_says_when_there_is_room() {
    let mut limits = Limits::default();
    limits.max_send_messages = 3;
    let mut pair = pair_with(Dialect::SenteLite, Carrier::Lines, limits);
    for n in 0..3 {
        pair.client
            .send(pair.now, event(&format!("[:a/n {n}]")))
            .unwrap();
    }
    match pair.client.send(pair.now, event("[:a/n 3]")) {
        Err(SendError::Full {
            event, messages, ..
        }) => {
            assert_eq!(event.to_value().unwrap(), edn("[:a/n 3]"));
            assert_eq!(messages, 3);
        }
        other => panic!("{other:?}"),
    }
    let told = events(&mut pair.client);
    assert!(
        matches!(told[..], [ConnectionEvent::HighWater(_)]),
        "{told:?}"
    );
    pair.drive();
    let ready = events(&mut pair.client)
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::SendReady))
        .count();
    assert_eq!(ready, 1);
    assert_eq!(messages(&mut pair.server).len(), 3);
}

#[test]
fn a_full_receive_queue_stops_the_reading_and_loses_nothing() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 4;
    let mut pair = pair_with(Dialect::SenteLite, Carrier::Lines, limits);
    for n in 0..100 {
        pair.client
            .send(pair.now, event(&format!("[:a/n {n}]")))
            .unwrap();
    }
    pair.drive();
    assert!(!pair.server.wants_read());
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let before = seen.len();
        let mut event = pair.server.poll_event();
        if matches!(event, Some(ConnectionEvent::RecvPressure(_))) {
            event = pair.server.poll_event();
        }
        if let Some(ConnectionEvent::Message(message)) = event {
            seen.push(text(&message));
        }
        pair.drive();
        assert!(seen.len() > before, "stuck at {before}");
    }
    assert_eq!(
        seen,
        (0..100).map(|n| format!("[:a/n {n}]")).collect::<Vec<_>>()
    );
    assert!(pair.server.wants_read());
}

#[test]
fn a_peer_that_calls_and_never_reads_is_not_read_from_for_ever() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 2_000;
    let mut pair = pair_with(Dialect::SenteLite, Carrier::Lines, limits);
    let payload = "x".repeat(900);
    for _ in 0..3 {
        let mut bytes =
            bytes::BytesMut::from(format!("[[:q/a \"{payload}\"] \"cb\"]\n").as_bytes());
        pair.server.handle_input(pair.now, Input::Bytes(&mut bytes));
    }
    for message in messages(&mut pair.server) {
        let data = message.event.data.unwrap();
        pair.server
            .reply(pair.now, message.reply.unwrap(), data)
            .unwrap();
    }
    assert!(!pair.server.wants_read());
    pair.drive();
    assert!(pair.server.wants_read());
}

#[test]
fn an_event_over_the_frame_limit_is_refused_and_given_back() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 100;
    let mut pair = pair_with(Dialect::Sente, Carrier::WebSocket, limits);
    // `[[:a/s "…"] nil]` is 15 bytes around the text.
    let fits = "x".repeat(85);
    pair.client
        .send(pair.now, event(&format!("[:a/s \"{fits}\"]")))
        .unwrap();
    match pair
        .client
        .send(pair.now, event(&format!("[:a/s \"{fits}y\"]")))
    {
        Err(SendError::TooLarge { size, limit, .. }) => assert_eq!((size, limit), (101, 100)),
        other => panic!("{other:?}"),
    }
    pair.drive();
    assert_eq!(messages(&mut pair.server).len(), 1);
}

#[test]
fn pushes_are_batched_and_bounded_exactly() {
    let mut limits = Limits::default();
    limits.max_batch_events = 3;
    limits.max_batch_bytes = 60;
    let mut pair = pair_with(Dialect::Sente, Carrier::WebSocket, limits);
    let before = pair.server.stats().frames_sent;
    for n in 0..7 {
        pair.server
            .send(pair.now, event(&format!("[:a/n {n}]")))
            .unwrap();
    }
    pair.drive();
    assert_eq!(pair.server.stats().frames_sent - before, 3);
    assert_eq!(messages(&mut pair.client).len(), 7);
    let long = "y".repeat(40);
    let before = pair.server.stats().frames_sent;
    for _ in 0..2 {
        pair.server
            .send(pair.now, event(&format!("[:a/n \"{long}\"]")))
            .unwrap();
    }
    pair.drive();
    assert_eq!(pair.server.stats().frames_sent - before, 2);
}

#[test]
fn a_flush_settles_when_everything_before_it_was_written() {
    let mut pair = pair(Dialect::SenteLite, Carrier::Lines);
    pair.client.send(pair.now, event("[:a/b 1]")).unwrap();
    let flush = pair.client.flush(pair.now);
    assert!(events(&mut pair.client).is_empty());
    let mut out = TransmitBuf::new();
    assert!(pair.client.poll_transmit(&mut out).is_some());
    assert!(events(&mut pair.client).is_empty());
    pair.client.handle_transmitted(pair.now);
    let settled = events(&mut pair.client);
    assert!(matches!(settled[..], [ConnectionEvent::Flushed(id)] if id == flush));
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
    server.accept(Instant::EPOCH, sente_core::Accept::new("u"));
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
fn a_bare_script_is_never_killed_for_its_silence() {
    let config = config(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let mut server = Connection::new(config, [1; 32], Instant::EPOCH);
    server.accept(Instant::EPOCH, sente_core::Accept::new("u"));
    assert_eq!(server.poll_timeout(), None);
    // A hello makes it a peer that is pinged.
    let mut hello = bytes::BytesMut::from("[:sente-lite/hello {:client-id \"c\"}]\n");
    server.handle_input(Instant::EPOCH, Input::Bytes(&mut hello));
    assert_eq!(server.poll_timeout(), Some(Instant::from_millis(30_000)));
}

#[test]
fn a_script_that_echoes_the_handshake_does_no_harm() {
    let config = config(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let mut server = Connection::new(config, [1; 32], Instant::EPOCH);
    server.accept(Instant::EPOCH, sente_core::Accept::new("u"));
    events(&mut server);
    let mut bytes =
        bytes::BytesMut::from("[:chsk/handshake [\"u\" nil nil true]]\n[:chsk/state 1]\n[:a/b]\n");
    server.handle_input(Instant::EPOCH, Input::Bytes(&mut bytes));
    let seen: Vec<_> = messages(&mut server).iter().map(text).collect();
    assert_eq!(seen, ["[:a/b]"]);
    assert_eq!(server.stats().ignored, 2);
}

#[test]
fn a_stray_line_costs_one_reported_frame() {
    let mut pair = pair(Dialect::SenteLite, Carrier::Lines);
    let mut bytes = bytes::BytesMut::from("Loading libraries...\n[:a/b 1]\n");
    pair.client.handle_input(pair.now, Input::Bytes(&mut bytes));
    let told = events(&mut pair.client);
    match &told[..] {
        [ConnectionEvent::BadEvent(bad), ConnectionEvent::Message(_)] => {
            assert_eq!(&bad.excerpt[..], b"Loading libraries...");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flood_of_bad_frames_is_counted_and_reported_together() {
    let mut pair = pair(Dialect::SenteLite, Carrier::Lines);
    for _ in 0..1_000 {
        let mut bytes = bytes::BytesMut::from("garbage\n");
        pair.server.handle_input(pair.now, Input::Bytes(&mut bytes));
    }
    pair.advance(seconds(2));
    let told = events(&mut pair.server);
    let reported = told
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::BadEvent(_)))
        .count();
    assert_eq!(reported, 16);
    assert!(matches!(
        told.last(),
        Some(ConnectionEvent::BadEventsSuppressed(984))
    ));
    assert_eq!(pair.server.stats().bad_events, 1_000);
    assert_eq!(pair.server.state(), State::Open);
}

#[test]
fn a_frame_over_the_limit_never_runs_and_one_near_it_warns() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 1_000;
    limits.warn_frame_bytes = 500;
    let mut pair = pair_with(Dialect::SenteLite, Carrier::Lines, limits);
    for size in [400, 600, 2_000] {
        let line = format!("[:a/s \"{}\"]\n", "x".repeat(size));
        let mut bytes = bytes::BytesMut::from(line.as_bytes());
        pair.server.handle_input(pair.now, Input::Bytes(&mut bytes));
    }
    let told = events(&mut pair.server);
    match &told[..] {
        [
            ConnectionEvent::Message(_),
            ConnectionEvent::LargeFrame {
                size: 609,
                received: true,
            },
            ConnectionEvent::Message(_),
            ConnectionEvent::BadEvent(bad),
        ] => assert!(
            bad.reason.to_string().contains("over the limit of 1000"),
            "{}",
            bad.reason
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(pair.server.state(), State::Open);
}

#[test]
fn lost_length_framing_closes_at_once_and_says_what_was_seen() {
    let mut pair = pair(Dialect::SenteLite, Carrier::LengthPrefixed);
    let mut bytes = bytes::BytesMut::from("Hello");
    pair.server.handle_input(pair.now, Input::Bytes(&mut bytes));
    let told = events(&mut pair.server);
    match told.last() {
        Some(ConnectionEvent::Closed(CloseReason::LostFraming(error))) => {
            assert!(error.to_string().contains("0x48"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_relayed_payload_with_a_line_break_is_rewritten_for_lines() {
    let mut source = pair(Dialect::SenteLite, Carrier::WebSocket);
    let mut peer = sente_tests::RawPeer::new(Role::Client);
    let config = config(Role::Server, Dialect::SenteLite, Carrier::WebSocket);
    source.server = Connection::new(config, [1; 32], source.now);
    source
        .server
        .accept(source.now, sente_core::Accept::new("u"));
    peer.say(&mut source.server, source.now, "[:a/b {:k\n\"a\nb\"}]");
    let message = messages(&mut source.server).remove(0);
    let mut sink = pair(Dialect::SenteLite, Carrier::Lines);
    sink.server.send(sink.now, message.event).unwrap();
    sink.drive();
    let got = messages(&mut sink.client);
    assert_eq!(text(&got[0]), r#"[:a/b {:k "a\nb"}]"#);
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
