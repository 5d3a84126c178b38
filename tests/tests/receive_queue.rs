//! What waits for the application: how much at most, in what order, and what is said of it.
#![allow(missing_docs)]

use bytes::BytesMut;
use proptest::prelude::*;
use sente_core::{
    Accept, Carrier, CloseReason, Connection, ConnectionConfig, ConnectionEvent, Dialect,
    Extensions, Hello, Input, Instant, Keepalive, Limits, RecvPolicy, RecvStatus, Role, State,
    TransmitBuf,
};
use sente_tests::{Pair, RawPeer, config, event, events, messages, millis, seconds, text};

const EPOCH: Instant = Instant::EPOCH;

fn limits(messages: usize, bytes: usize) -> Limits {
    let mut limits = Limits::default();
    limits.max_recv_messages = messages;
    limits.max_recv_bytes = bytes;
    limits
}

fn open(dialect: Dialect, carrier: Carrier, limits: Limits, policy: RecvPolicy) -> Connection {
    let config = ConnectionConfig::builder(Role::Server, dialect, carrier)
        .limits(limits)
        .on_recv_full(policy)
        .build()
        .unwrap();
    let mut server = Connection::new(config, [5; 32], EPOCH);
    server.accept(EPOCH, Accept::new("u"));
    say(&mut server);
    events(&mut server);
    server
}

fn lines(limits: Limits) -> Connection {
    open(
        Dialect::SenteLite,
        Carrier::Lines,
        limits,
        RecvPolicy::Backpressure,
    )
}

fn shedding(limits: Limits) -> Connection {
    open(
        Dialect::SenteLite,
        Carrier::Lines,
        limits,
        RecvPolicy::DropOldest,
    )
}

fn feed(connection: &mut Connection, text: &str) {
    connection.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(text)));
}

/// What the connection writes now.
fn say(connection: &mut Connection) -> String {
    let mut out = TransmitBuf::new();
    let mut all = Vec::new();
    while connection.poll_transmit(&mut out).is_some() {
        use bytes::Buf;
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        connection.handle_transmitted(EPOCH);
    }
    String::from_utf8(all).unwrap()
}

fn batch(range: std::ops::Range<usize>) -> String {
    let events: Vec<String> = range.map(|n| format!("[:a/n {n}]")).collect();
    format!("[:batch/events [{}]]\n", events.join(" "))
}

fn pressures(events: &[ConnectionEvent]) -> Vec<RecvStatus> {
    events
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::RecvPressure(status) => Some(*status),
            _ => None,
        })
        .collect()
}

#[test]
fn a_batch_larger_than_the_room_comes_in_order_and_never_passes_the_limit() {
    for total in [3, 4, 5, 255, 256, 257, 1_000] {
        for room in [1, 3, 300] {
            let mut server = lines(limits(room, 1 << 20));
            feed(&mut server, &batch(0..total));
            feed(&mut server, "[:a/last]\n");
            let mut seen = Vec::new();
            loop {
                assert!(server.recv_capacity().messages <= room, "{total} {room}");
                match server.poll_event() {
                    Some(ConnectionEvent::Message(message)) => seen.push(text(&message)),
                    Some(_) => {}
                    None => break,
                }
            }
            let mut expected: Vec<String> = (0..total).map(|n| format!("[:a/n {n}]")).collect();
            expected.push("[:a/last]".into());
            assert_eq!(seen, expected, "{total} {room}");
            assert!(server.wants_read());
        }
    }
}

#[test]
fn a_push_of_sentes_server_is_handed_out_as_there_is_room() {
    let config = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .limits(limits(2, 1 << 20))
        .build()
        .unwrap();
    let mut client = Connection::new(config, [5; 32], EPOCH);
    let mut peer = RawPeer::new(Role::Server);
    peer.say(
        &mut client,
        EPOCH,
        "[[:chsk/handshake [\"u\" nil nil]] nil]",
    );
    events(&mut client);
    peer.say(
        &mut client,
        EPOCH,
        "[[[:a/n 0] [:a/n 1] [:a/n 2] 17 [:chsk/bad 1] [:a/n {:x [5]}] [:a/bare]] nil]",
    );
    assert_eq!(client.recv_capacity().messages, 2);
    assert!(!client.wants_read());
    let told = events(&mut client);
    let seen: Vec<String> = told
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::Message(message) => Some(text(message)),
            ConnectionEvent::BadEvent(bad) => Some(bad.reason.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert_eq!(seen[2], "[:a/n 2]");
    assert!(seen[3].contains("a number"), "{seen:?}");
    assert!(seen[4].contains("chsk/bad"), "{seen:?}");
    assert_eq!(&seen[5..], ["[:a/n {:x [5]}]", "[:a/bare]"]);
}

proptest! {
    #[test]
    fn little_room_says_the_same_as_much(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..30),
        room in 1..4usize,
        dialect in prop::sample::select(vec![Dialect::Sente, Dialect::SenteLite]),
        role in prop::sample::select(vec![Role::Client, Role::Server]),
        extended in any::<bool>(),
    ) {
        let told = |room: usize| {
            let mut builder = ConnectionConfig::builder(role, dialect, Carrier::WebSocket)
                .limits(limits(room, 1 << 20));
            if extended && role == Role::Client {
                builder = builder.offer(Extensions::ALL);
            }
            let mut connection = Connection::new(builder.build().unwrap(), [5; 32], EPOCH);
            let mut peer = RawPeer::new(match role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            });
            let mut accept = Accept::new("u");
            accept.offered = extended.then_some(Extensions::ALL);
            connection.accept(EPOCH, accept);
            if role == Role::Client {
                peer.say(&mut connection, EPOCH, match dialect {
                    Dialect::Sente => {
                        "[[:chsk/handshake [1 nil nil {:ext {:batch true :calls true}}]] nil]"
                    }
                    Dialect::SenteLite => {
                        "[:chsk/handshake [1 nil {:ext {:batch true :calls true}}]]"
                    }
                });
            }
            for piece in &pieces {
                peer.say(&mut connection, EPOCH, piece);
            }
            // What is said of the connection itself, a token's mark, is the same by its seed.
            let told: Vec<String> = events(&mut connection)
                .iter()
                .filter(|event| !matches!(event, ConnectionEvent::RecvPressure(_)))
                .map(|event| format!("{event:?}"))
                .collect();
            (told, connection.stats())
        };
        let (little, much) = (told(room), told(5_000));
        prop_assert_eq!(little.0, much.0);
        prop_assert_eq!(little.1, much.1);
    }
}

const PIECES: [&str; 12] = [
    "[[[:a/b 1] [:a/c {:x \"é\"}] [:a/d]] nil]",
    "[[[:a/b 1] 17 [:chsk/ws-ping] [] [:nons 1] [:a/b 1 2]] nil]",
    "[:batch/events [[:a/b 1] [:a/c {:x \"é\"}] [:chsk/ws-pong] 5 [:chsk/x 1]]]",
    "[:batch/events ([:a/b 1] [:a/c #inst \"2020-01-01T00:00:00Z\"])]",
    "[:batch/events []]",
    "[[:a/b 1] nil]",
    "[[:a/b 1] \"cb\"]",
    "[:a/b 1]",
    "[[[:a/b 1] [:a/c 1]] \"cb\"]",
    "[[:chsk/reply {:cb-uuid \"cb\" :data 1}] nil]",
    "[:chsk/ws-ping nil]",
    "[[[:a/b 1] #]] nil]",
];

#[test]
fn the_rest_of_a_batch_comes_before_the_end_of_the_stream() {
    let mut server = lines(limits(2, 1 << 20));
    feed(&mut server, &batch(0..10));
    server.handle_input(EPOCH, Input::Eof);
    let told = events(&mut server);
    assert!(
        matches!(told.last(), Some(ConnectionEvent::PeerFinished)),
        "{told:?}"
    );
    let seen = told
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::Message(_)))
        .count();
    assert_eq!(seen, 10);
}

#[test]
fn the_rest_of_a_batch_is_dropped_when_the_connection_is_closed() {
    let mut server = lines(limits(2, 1 << 20));
    feed(&mut server, &batch(0..10));
    server.close(EPOCH);
    let told = events(&mut server);
    assert!(matches!(told.last(), Some(ConnectionEvent::Closed(_))));
    let seen = told
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::Message(_)))
        .count();
    assert_eq!(seen, 2);
}

#[test]
fn a_batch_that_cannot_be_read_to_its_end_says_nothing() {
    let mut server = lines(limits(2, 1 << 20));
    feed(
        &mut server,
        "[:batch/events [[:a/b 1] [:a/b 2] [:a/b 3] #]]\n",
    );
    let told = events(&mut server);
    assert!(
        matches!(told[..], [ConnectionEvent::BadEvent(_)]),
        "{told:?}"
    );
}

#[test]
fn large_frames_that_say_nothing_do_not_pile_up_warnings() {
    let mut bounds = limits(4, 1 << 20);
    bounds.warn_frame_bytes = 20;
    let mut server = lines(bounds);
    for _ in 0..100 {
        feed(
            &mut server,
            "[:chsk/ws-pong \"long enough for a warning\"]\n",
        );
    }
    assert!(!server.wants_read());
    assert_eq!(server.recv_capacity().messages, 4);
}

#[test]
fn the_status_is_told_when_it_changes_and_ahead_of_the_messages() {
    let mut bounds = limits(10, 1 << 20);
    bounds.recv_slow_messages = 4;
    let mut server = lines(bounds);
    for n in 0..4 {
        feed(&mut server, &format!("[:a/n {n}]\n"));
    }
    assert_eq!(server.recv_capacity().status, RecvStatus::Ok);
    feed(&mut server, "[:a/n 4]\n");
    assert_eq!(server.recv_capacity().status, RecvStatus::Slow);
    assert!(matches!(
        server.poll_event(),
        Some(ConnectionEvent::RecvPressure(RecvStatus::Slow))
    ));
    for n in 5..20 {
        feed(&mut server, &format!("[:a/n {n}]\n"));
    }
    assert_eq!(server.recv_capacity().status, RecvStatus::Full);
    assert_eq!(server.recv_capacity().messages, 10);
    let told = events(&mut server);
    assert_eq!(
        pressures(&told),
        [RecvStatus::Full, RecvStatus::Slow, RecvStatus::Ok]
    );
    assert!(matches!(told[0], ConnectionEvent::RecvPressure(_)));
    assert_eq!(told.len(), 20 + 3);
    assert!(!server.has_event());
}

#[test]
fn a_status_that_came_and_went_between_two_polls_is_not_told() {
    let mut bounds = limits(10, 1 << 20);
    bounds.recv_slow_messages = 4;
    let mut server = lines(bounds);
    for _ in 0..5 {
        feed(&mut server, "[:a/b]\n");
    }
    let token = server.poll_event();
    assert!(matches!(token, Some(ConnectionEvent::RecvPressure(_))));
    // Around the threshold the status stays: it is left at half of it only.
    for _ in 0..20 {
        assert!(matches!(
            server.poll_event(),
            Some(ConnectionEvent::Message(_))
        ));
        feed(&mut server, "[:a/b]\n");
    }
    assert_eq!(server.recv_capacity().status, RecvStatus::Slow);
}

#[test]
fn shedding_keeps_the_newest_counts_the_rest_and_never_stops_reading() {
    let mut server = shedding(limits(10, 1 << 20));
    for n in 0..1_000 {
        feed(&mut server, &format!("[:a/n {n}]\n"));
        assert!(server.wants_read());
        assert!(server.recv_capacity().messages <= 10);
    }
    let told = events(&mut server);
    assert!(
        matches!(
            told[0],
            ConnectionEvent::Shed {
                count: 990,
                bytes: 1..
            }
        ),
        "{:?}",
        told[0]
    );
    let seen: Vec<String> = told
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::Message(message) => Some(text(message)),
            _ => None,
        })
        .collect();
    let newest: Vec<String> = (990..1_000).map(|n| format!("[:a/n {n}]")).collect();
    assert_eq!(seen, newest);
    assert_eq!(server.stats().shed, 990);
    assert_eq!(
        told.iter()
            .filter(|event| matches!(event, ConnectionEvent::Shed { .. }))
            .count(),
        1
    );
}

#[test]
fn shedding_keeps_to_the_bytes_and_takes_whole_batches() {
    let mut server = shedding(limits(100, 1_000));
    let filler = "x".repeat(300);
    for _ in 0..50 {
        feed(&mut server, &format!("[:a/b \"{filler}\"]\n"));
        assert!(server.recv_capacity().bytes < 1_000 + 400);
    }
    feed(&mut server, &batch(0..5_000));
    assert!(server.wants_read());
    let told = messages(&mut server);
    assert_eq!(text(told.last().unwrap()), "[:a/n 4999]");
    assert!(told.len() <= 100);
}

#[test]
fn shedding_drops_events_before_calls_and_answers_the_calls_it_drops() {
    let mut server = shedding(limits(4, 1 << 20));
    feed(
        &mut server,
        "[[:q/a 1] \"one\"]\n[:a/b 1]\n[[:q/a 2] \"two\"]\n[:a/b 2]\n",
    );
    feed(&mut server, "[[:q/a 3] \"three\"]\n[[:q/a 4] \"four\"]\n");
    assert_eq!(say(&mut server), "", "the two events went");
    feed(&mut server, "[:a/b 3]\n");
    assert_eq!(
        say(&mut server),
        "[:chsk/reply {:cb-uuid \"one\", :data :chsk/error}]\n"
    );
    let told = messages(&mut server);
    let seen: Vec<String> = told.iter().map(text).collect();
    assert_eq!(seen, ["[:q/a 2]", "[:q/a 3]", "[:q/a 4]", "[:a/b 3]"]);
    assert_eq!(server.stats().shed, 3);
    for message in told {
        if let Some(token) = message.reply {
            server.reply_error(EPOCH, token).unwrap();
        }
    }
    // The dropped call is owed nothing more, so a drain ends.
    server.drain(EPOCH, EPOCH + seconds(60));
    say(&mut server);
    server.handle_input(EPOCH, Input::Eof);
    events(&mut server);
    assert_eq!(server.state(), State::Closed);
}

#[test]
fn shedding_never_drops_the_reply_to_our_own_call() {
    let mut server = shedding(limits(2, 1 << 20));
    let call = server.call(EPOCH, event("[:q/a 1]"), seconds(60)).unwrap();
    let asked = say(&mut server);
    let callback = asked.split('"').nth(1).unwrap();
    feed(
        &mut server,
        &format!("[:chsk/reply {{:cb-uuid \"{callback}\", :data 7}}]\n"),
    );
    for _ in 0..100 {
        feed(&mut server, "[:a/b]\n");
    }
    let told = events(&mut server);
    assert!(told.iter().any(
        |event| matches!(event, ConnectionEvent::Settled { call: settled, result: Ok(_) } if *settled == call)
    ));
}

#[test]
fn a_peer_that_takes_no_answers_is_not_shed_for_ever() {
    let mut bounds = limits(1, 1 << 20);
    bounds.max_send_bytes = 10_000;
    let mut server = shedding(bounds);
    let mut said = 0;
    while server.wants_read() && said < 100_000 {
        feed(&mut server, "[[:q/a 1] \"cb\"]\n");
        said += 1;
    }
    assert!(said < 1_000, "{said}");
}

/// A server whose peer is silent because the server does not read it.
fn stopped_server(bounds: Limits) -> Pair {
    let keepalive = Some(Keepalive::new(seconds(10), seconds(5)));
    let server = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::WebSocket)
        .limits(bounds)
        .keepalive(keepalive)
        .build()
        .unwrap();
    let client = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::WebSocket)
        .keepalive(None)
        .build()
        .unwrap();
    Pair::with(client, server)
}

#[test]
fn a_peer_whose_bytes_we_chose_not_to_read_is_never_given_up() {
    let mut pair = stopped_server(limits(2, 1 << 20));
    for n in 0..10 {
        let now = pair.now;
        pair.client
            .send(now, event(&format!("[:a/n {n}]")))
            .unwrap();
    }
    pair.advance(seconds(1_000));
    assert_eq!(pair.server.state(), State::Open);
    assert_eq!(pair.server.stats().pings_sent, 0);
}

#[test]
fn a_peer_is_not_given_up_in_the_moment_there_is_room_again() {
    let mut pair = stopped_server(Limits::default());
    let at = pair.now + seconds(10);
    pair.server.handle_timeout(at);
    assert_eq!(pair.server.stats().pings_sent, 1);
    // The ping is out. What comes now is not read until just before the time is up.
    pair.server.set_recv_allowance(at + millis(1), 0);
    pair.server
        .set_recv_allowance(at + millis(4_999), usize::MAX);
    assert!(pair.server.wants_read());
    pair.server.handle_timeout(at + seconds(5));
    assert_eq!(pair.server.state(), State::Open);
    // From here on silence counts again.
    pair.server.handle_timeout(at + seconds(15));
    assert_eq!(pair.server.stats().pings_sent, 2);
    pair.server.handle_timeout(at + seconds(20));
    assert_eq!(pair.server.close_reason(), Some(&CloseReason::PingTimeout));
}

#[test]
fn an_allowance_of_nothing_stops_the_reading_and_keeps_the_peer() {
    let mut pair = stopped_server(Limits::default());
    let now = pair.now;
    pair.server.set_recv_allowance(now, 0);
    assert!(!pair.server.wants_read());
    assert_eq!(pair.server.recv_capacity().max_bytes, 0);
    pair.client.send(now, event("[:a/b]")).unwrap();
    pair.advance(seconds(1_000));
    assert_eq!(pair.server.state(), State::Open);
    assert_eq!(pair.server.stats().pings_sent, 0);
    let now = pair.now;
    pair.server.set_recv_allowance(now, 1_000);
    pair.drive();
    assert_eq!(messages(&mut pair.server).len(), 1);
}

#[test]
fn the_end_of_a_peer_is_seen_without_an_allowance() {
    for carrier in [Carrier::WebSocket, Carrier::Lines] {
        let mut server = Connection::new(
            config(Role::Server, Dialect::SenteLite, carrier),
            [5; 32],
            EPOCH,
        );
        server.accept(EPOCH, Accept::new("u"));
        server.set_recv_allowance(EPOCH, 0);
        server.handle_input(EPOCH, Input::Failed("gone".into()));
        server.set_recv_allowance(EPOCH, 0);
        let told = events(&mut server);
        assert!(
            matches!(told.last(), Some(ConnectionEvent::Closed(_))),
            "{carrier:?} {told:?}"
        );
    }
}

#[test]
fn the_end_of_the_transport_behind_closed_says_nothing_more() {
    let mut client = Connection::new(
        config(Role::Client, Dialect::Sente, Carrier::WebSocket),
        [5; 32],
        EPOCH,
    );
    client.set_recv_allowance(EPOCH, 0);
    client.handle_timeout(EPOCH + seconds(3_600));
    let told = events(&mut client);
    assert!(
        matches!(told[..], [.., ConnectionEvent::Closed(_)]),
        "{told:?}"
    );
    client.handle_input(EPOCH + seconds(3_600), Input::Eof);
    assert!(events(&mut client).is_empty());
}

#[test]
fn a_call_that_is_shed_before_the_client_is_open_is_answered_then() {
    let mut hello = Hello::new();
    hello.dialect = Some(Dialect::Sente);
    let config = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::Lines)
        .hello(hello)
        .limits(limits(1, 10_000))
        .on_recv_full(RecvPolicy::DropOldest)
        .build()
        .unwrap();
    let mut client = Connection::new(config, [5; 32], EPOCH);
    say(&mut client);
    feed(&mut client, "[:chsk/handshake [\"u\" nil nil true]]\n");
    feed(&mut client, "[[:a/who] \"c1\"]\n[[:a/who] \"c2\"]\n");
    assert_eq!(say(&mut client), "");
    feed(&mut client, "[[:chsk/handshake [\"u\" nil nil]] nil]\n");
    let said = say(&mut client);
    assert!(said.contains("\"c1\", :data :chsk/error"), "{said}");
    assert_eq!(client.stats().shed, said.lines().count() as u64);
}
