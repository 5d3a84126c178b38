//! What a connection does, told by two of them over a virtual wire.
#![allow(missing_docs)]

use sente_core::{
    Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect, Hello, Input,
    Instant, Limits, Role, SendError, State, TransmitBuf,
};
use sente_tests::{Pair, config, edn, event, events, messages, seconds, text};

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
