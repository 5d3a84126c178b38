//! What a connection does at its edges: a hostile peer, a stalled transport, a limit reached.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use sente_core::{
    Accept, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect, Hello,
    Input, Instant, Keepalive, Limits, RecvStatus, Role, State, Transmit, TransmitBuf,
};
use sente_tests::{Pair, RawPeer, config, edn, event, events, messages, millis};

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
fn what_waits_in_the_framing_stops_the_reading_until_the_application_has_taken_it() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 4;
    let mut server = server_with(Dialect::SenteLite, Carrier::Lines, limits);
    feed(&mut server, EPOCH, &"[:a/b 1]\n".repeat(100));
    assert!(matches!(
        server.poll_event(),
        Some(ConnectionEvent::RecvPressure(RecvStatus::Full))
    ));
    for left in (0..100).rev() {
        assert!(!server.wants_read(), "{left} left");
        assert!(matches!(
            server.poll_event(),
            Some(ConnectionEvent::Message(_))
        ));
        if left < 4 {
            break;
        }
    }
    assert!(server.wants_read());
    assert_eq!(messages(&mut server).len(), 3);
}

#[test]
fn a_giant_id_or_callback_or_ignored_rest_counts_for_the_receive_queue() {
    let filler = "x".repeat(100_000);
    for (dialect, line) in [
        (Dialect::SenteLite, format!("[:a/{filler}]\n")),
        (Dialect::SenteLite, format!("[[:a/b] \"{filler}\"]\n")),
        (Dialect::SenteLite, format!("[:{filler} 1]\n")),
    ] {
        let mut limits = Limits::default();
        limits.max_recv_bytes = 250_000;
        limits.max_bad_frames_reported = 100;
        let mut server = server_with(dialect, Carrier::Lines, limits);
        for _ in 0..20 {
            feed(&mut server, EPOCH, &line);
        }
        let told = events(&mut server);
        let held: usize = told
            .iter()
            .map(|event| format!("{event:?}").len())
            .sum::<usize>();
        // Either few were held at a time, or what was held is small.
        assert!(held < 100_000 * 25, "{held}");
    }
    // The queue itself: nothing taken, the reading stops.
    let mut limits = Limits::default();
    limits.max_recv_bytes = 250_000;
    let mut server = server_with(Dialect::SenteLite, Carrier::Lines, limits);
    for _ in 0..3 {
        feed(&mut server, EPOCH, &format!("[:a/{filler}]\n"));
    }
    assert!(!server.wants_read());
}

#[test]
fn a_small_payload_does_not_keep_its_giant_frame_alive() {
    let mut server = server(Dialect::SenteLite, Carrier::Lines);
    let line = format!("[:a/b 17 \"{}\"]\n", "x".repeat(100_000));
    let mut input = BytesMut::from(line.as_str());
    server.handle_input(EPOCH, Input::Bytes(&mut input));
    let message = messages(&mut server).remove(0);
    let raw = message.event.data.unwrap().raw().unwrap().clone();
    assert_eq!(&raw[..], b"17");
    drop(server);
    // Alone in its allocation, so the frame is gone.
    assert!(raw.is_unique());
    assert!(raw.try_into_mut().unwrap().capacity() < 1_000);
}

#[test]
fn handshakes_without_end_stop_the_reading() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 10;
    let config = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .limits(limits)
        .build()
        .unwrap();
    let mut client = Connection::new(config, [5; 32], EPOCH);
    feed(
        &mut client,
        EPOCH,
        &"[:chsk/handshake [\"u\" nil nil true]]\n".repeat(100),
    );
    assert!(!client.wants_read());
}

#[test]
fn a_second_hello_is_ignored() {
    let mut server = server(Dialect::SenteLite, Carrier::Lines);
    feed(
        &mut server,
        EPOCH,
        "[:sente-lite/hello {:dialect :sente}]\n[[:sente-lite/hello {:dialect :sente-lite}] nil]\n",
    );
    assert_eq!(server.dialect(), Dialect::Sente);
    let (text, _) = written(&mut server, EPOCH);
    assert_eq!(text.matches("chsk/handshake").count(), 1);
    assert_eq!(server.stats().ignored, 1);
}

#[test]
fn many_pings_with_different_callbacks_take_linear_time_and_bounded_memory() {
    let mut server = server(Dialect::Sente, Carrier::WebSocket);
    let mut peer = RawPeer::new(Role::Client);
    let mut said = 0;
    while server.wants_read() && said < 200_000 {
        peer.say(&mut server, EPOCH, &format!("[[:chsk/ws-ping] \"{said}\"]"));
        said += 1;
    }
    assert!(said < 200_000, "the pongs are not bounded");
    let texts = peer.texts(&mut server, EPOCH);
    assert_eq!(texts.len(), said);
    assert_eq!(texts[1], "[\"pong\" \"1\"]");
    assert!(server.wants_read());
}

#[test]
fn two_peers_with_full_send_queues_still_read_each_other() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 1_000;
    let mut server = server_with(Dialect::SenteLite, Carrier::Lines, limits);
    feed(&mut server, EPOCH, "[[:q/a 1] \"cb\"]\n");
    let token = messages(&mut server).remove(0).reply.unwrap();
    let filler = "x".repeat(980);
    server
        .send(EPOCH, event(&format!("[:a/b \"{filler}\"]")))
        .unwrap();
    server.reply(EPOCH, token, edn("\"a reply\"")).unwrap();
    assert!(server.wants_read());
}

#[test]
fn a_peer_that_reads_no_replies_is_given_up_by_the_keepalive() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 100;
    let mut server = server_with(Dialect::Sente, Carrier::WebSocket, limits);
    let mut peer = RawPeer::new(Role::Client);
    let mut stalled = TransmitBuf::new();
    for _ in 0..3 {
        peer.say(&mut server, EPOCH, "[[:q/a 1] \"cb\"]");
        let token = messages(&mut server).remove(0).reply.unwrap();
        server
            .reply(EPOCH, token, edn("\"a reply of some length, that waits\""))
            .unwrap();
    }
    assert!(!server.wants_read());
    assert!(server.poll_transmit(&mut stalled).is_some());
    // More than the limit again, behind the write that never ends.
    for _ in 0..3 {
        peer.say(&mut server, EPOCH, "[[:q/a 1] \"cb\"]");
        let token = messages(&mut server).remove(0).reply.unwrap();
        server
            .reply(EPOCH, token, edn("\"a reply of some length, that waits\""))
            .unwrap();
    }
    assert!(!server.wants_read());
    pass_time(&mut server, Instant::from_millis(60_000));
    assert_eq!(server.close_reason(), Some(&CloseReason::PingTimeout));
    assert!(server.is_finished());
}

#[test]
fn what_comes_before_accept_is_answered_after_the_handshake() {
    for carrier in [Carrier::Lines, Carrier::WebSocket] {
        let config = config(Role::Server, Dialect::SenteLite, carrier);
        let mut server = Connection::new(config, [5; 32], EPOCH);
        let mut peer = RawPeer::new(Role::Client);
        if carrier == Carrier::Lines {
            feed(&mut server, EPOCH, "[:chsk/ws-ping]\n[:a/b 1]\n");
        } else {
            peer.say(&mut server, EPOCH, "[:chsk/ws-ping]");
            peer.say(&mut server, EPOCH, "[:a/b 1]");
        }
        assert!(events(&mut server).is_empty());
        server.accept(EPOCH, Accept::new("u"));
        let told = events(&mut server);
        assert!(
            matches!(
                told[..],
                [ConnectionEvent::Opened(_), ConnectionEvent::Message(_)]
            ),
            "{told:?}"
        );
        let (text, _) = written(&mut server, EPOCH);
        let handshake = text.find("chsk/handshake").unwrap();
        let pong = text.find("chsk/ws-pong").unwrap();
        assert!(handshake < pong);
    }
}

#[test]
fn keepalives_of_zero_and_time_that_runs_backwards_do_not_spin() {
    for carrier in CARRIERS {
        let config = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, carrier)
            .keepalive(Some(Keepalive::new(millis(0), millis(0))))
            .close_timeout(millis(0))
            .build()
            .unwrap();
        let mut server = Connection::new(config, [5; 32], EPOCH);
        server.accept(Instant::from_millis(1_000), Accept::new("u"));
        written(&mut server, EPOCH);
        if carrier == Carrier::Lines {
            feed(
                &mut server,
                Instant::from_millis(500),
                "[:sente-lite/hello {}]\n",
            );
        }
        pass_time(&mut server, Instant::from_millis(5_000));
        server.close(EPOCH);
        written(&mut server, EPOCH);
        pass_time(&mut server, Instant::from_millis(5_000));
        assert!(server.is_finished(), "{carrier:?}");
    }
}

#[test]
fn a_hello_reaches_a_server_that_begins_in_sentes_dialect() {
    for asked in [None, Some(Dialect::Sente), Some(Dialect::SenteLite)] {
        let mut hello = Hello::new();
        hello.client_id = Some("c-1".into());
        hello.dialect = asked;
        let client = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::Lines)
            .hello(hello)
            .build()
            .unwrap();
        let server = config(Role::Server, Dialect::Sente, Carrier::Lines);
        let mut pair = Pair::with(client, server);
        assert_eq!(pair.client.state(), State::Open, "{asked:?}");
        assert_eq!(pair.client.dialect(), pair.server.dialect(), "{asked:?}");
        assert_eq!(pair.client.dialect(), asked.unwrap_or(Dialect::Sente));
        assert_eq!(pair.server.stats().bad_events, 0, "{asked:?}");
        pair.client.send(pair.now, event("[:a/b 1]")).unwrap();
        pair.server.send(pair.now, event("[:c/d 1]")).unwrap();
        pair.drive();
        assert_eq!(messages(&mut pair.server).len(), 1, "{asked:?}");
        assert_eq!(messages(&mut pair.client).len(), 1, "{asked:?}");
    }
}

#[test]
fn a_client_of_sentes_dialect_takes_the_handshake_of_a_sente_lite_stream() {
    let mut pair = Pair::with(
        config(Role::Client, Dialect::Sente, Carrier::Lines),
        config(Role::Server, Dialect::SenteLite, Carrier::Lines),
    );
    assert_eq!(pair.client.state(), State::Open);
    pair.client.send(pair.now, event("[:a/b 1]")).unwrap();
    pair.drive();
    assert_eq!(messages(&mut pair.server).len(), 1);
}

#[test]
fn a_sente_client_names_a_sente_lite_server_over_websocket() {
    let config = config(Role::Client, Dialect::Sente, Carrier::WebSocket);
    let mut client = Connection::new(config, [5; 32], EPOCH);
    let mut peer = RawPeer::new(Role::Server);
    peer.say(&mut client, EPOCH, "[:chsk/handshake [\"u\" nil nil true]]");
    match &events(&mut client)[..] {
        [ConnectionEvent::BadEvent(bad)] => {
            assert!(
                bad.reason.to_string().contains("sente-lite"),
                "{}",
                bad.reason
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn send_ready_waits_until_the_refused_event_fits() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 100;
    let build = |role| {
        ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::Lines)
            .limits(limits.clone())
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(build(Role::Client), build(Role::Server));
    let small = event("[:a/s \"0123456789012345678901234\"]");
    let large = event(&format!("[:a/l \"{}\"]", "x".repeat(80)));
    pair.client.send(pair.now, small).unwrap();
    assert!(pair.client.send(pair.now, large.clone()).is_err());
    // Less than half is queued, and still the large one does not fit.
    assert!(pair.client.send_capacity().bytes < 50);
    assert!(
        !events(&mut pair.client)
            .iter()
            .any(|event| matches!(event, ConnectionEvent::SendReady))
    );
    pair.drive();
    assert!(
        events(&mut pair.client)
            .iter()
            .any(|event| matches!(event, ConnectionEvent::SendReady))
    );
    pair.client.send(pair.now, large).unwrap();
}
