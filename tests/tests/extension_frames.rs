//! Which frames travel where extensions hold, and that nobody else gets or may send them.
#![allow(missing_docs)]

use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionConfigBuilder, ConnectionEvent,
    Dialect, Extensions, Hello, Instant, Keepalive, Limits, Role, SendError,
};
use sente_edn::Value;
use sente_tests::{Pair, RawPeer, config, edn, event, events, messages, seconds, text};

const EPOCH: Instant = Instant::EPOCH;

const LINKS: [(Dialect, Carrier); 5] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::Lines),
    (Dialect::Sente, Carrier::Lines),
    (Dialect::Sente, Carrier::LengthPrefixed),
];

/// A pair whose client offers and whose server grants these.
fn pair(dialect: Dialect, carrier: Carrier, offer: Option<Extensions>, grant: Extensions) -> Pair {
    let mut client = client(dialect, carrier);
    if let Some(offer) = offer {
        client = client.offer(offer);
    }
    let server = server(dialect, carrier).grant(grant);
    let mut accept = Accept::new("u");
    accept.offered = offer.filter(|_| carrier == Carrier::WebSocket);
    Pair::accepted(client.build().unwrap(), server.build().unwrap(), accept)
}

/// A client that ends up with this dialect on this carrier.
fn client(dialect: Dialect, carrier: Carrier) -> ConnectionConfigBuilder {
    let client = ConnectionConfig::builder(Role::Client, dialect, carrier);
    if carrier == Carrier::WebSocket {
        return client;
    }
    let mut hello = Hello::new();
    hello.dialect = Some(dialect);
    client.hello(hello)
}

/// Its server, which begins with sente-lite's dialect on a byte stream.
fn server(dialect: Dialect, carrier: Carrier) -> ConnectionConfigBuilder {
    let dialect = match carrier {
        Carrier::WebSocket => dialect,
        _ => Dialect::SenteLite,
    };
    ConnectionConfig::builder(Role::Server, dialect, carrier)
}

fn handshake(dialect: Dialect, offered: Option<Extensions>, data: Value) -> String {
    let mut server = Connection::new(
        config(Role::Server, dialect, Carrier::WebSocket),
        [1; 32],
        EPOCH,
    );
    let mut accept = Accept::new("u");
    accept.data = data;
    accept.offered = offered;
    server.accept(EPOCH, accept);
    RawPeer::new(Role::Client)
        .texts(&mut server, EPOCH)
        .remove(0)
}

#[test]
fn events_wait_together_and_leave_in_one_message_where_batches_hold() {
    for (dialect, carrier) in LINKS {
        for (offer, both_ways) in [(Some(Extensions::ALL), true), (None, false)] {
            let mut pair = pair(dialect, carrier, offer, Extensions::ALL);
            for n in 0..300 {
                let up = event(&format!("[:up/n {n}]"));
                let down = event(&format!("[:down/n {n}]"));
                pair.client.send(pair.now, up).unwrap();
                pair.server.send(pair.now, down).unwrap();
            }
            let frames = [
                pair.client.stats().frames_sent,
                pair.server.stats().frames_sent,
            ];
            pair.drive();
            let up = pair.client.stats().frames_sent - frames[0];
            let down = pair.server.stats().frames_sent - frames[1];
            let (one_by_one, together) = (300, 2);
            let stock_push = if dialect == Dialect::Sente {
                together
            } else {
                one_by_one
            };
            assert_eq!(
                (up, down),
                if both_ways {
                    (together, together)
                } else {
                    (one_by_one, stock_push)
                },
                "{dialect:?} {carrier:?}"
            );
            let seen: Vec<String> = messages(&mut pair.server).iter().map(text).collect();
            let expected: Vec<String> = (0..300).map(|n| format!("[:up/n {n}]")).collect();
            assert_eq!(seen, expected, "{dialect:?} {carrier:?}");
            assert_eq!(messages(&mut pair.client).len(), 300);
        }
    }
}

#[test]
fn a_batch_to_the_server_keeps_to_its_limit_exactly() {
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        let mut limits = Limits::default();
        limits.max_batch_bytes = 100;
        let client = ConnectionConfig::builder(Role::Client, dialect, Carrier::WebSocket)
            .offer(Extensions::ALL)
            .limits(limits)
            .build()
            .unwrap();
        let mut client = Connection::new(client, [1; 32], EPOCH);
        let mut peer = RawPeer::new(Role::Server);
        let answer = handshake(dialect, Some(Extensions::ALL), Value::Nil);
        peer.say(&mut client, EPOCH, &answer);
        // Seven bytes each, one between two, and what stands around them.
        for _ in 0..40 {
            client.send(EPOCH, event("[:a/bc]")).unwrap();
        }
        let frames = peer.texts(&mut client, EPOCH);
        let around = match dialect {
            Dialect::Sente => "[[] nil]".len(),
            Dialect::SenteLite => "[:batch/events []]".len(),
        };
        let most = (100 - around + 1) / 8;
        assert_eq!(frames[0].len(), around + most * 8 - 1, "{}", frames[0]);
        assert!(frames.iter().all(|frame| frame.len() <= 100));
        assert_eq!(frames.len(), 40usize.div_ceil(most));
    }
}

#[test]
fn a_batch_to_a_server_that_did_not_grant_it_is_a_bad_event() {
    let mut pair = pair(
        Dialect::Sente,
        Carrier::WebSocket,
        Some(Extensions::ALL),
        Extensions::NONE,
    );
    let mut peer = RawPeer::new(Role::Client);
    peer.say(&mut pair.server, EPOCH, "[[[:a/b 1] [:a/b 2]] nil]");
    let told = events(&mut pair.server);
    assert!(
        matches!(told[..], [ConnectionEvent::BadEvent(_)]),
        "{told:?}"
    );
}

/// Answers the one call among what waits with `reply`; the outcome of its own call, if it is known.
fn answer(connection: &mut Connection, reply: &Value) -> Option<Value> {
    let mut outcome = None;
    let mut calls = 0;
    let mut plain = 0;
    for event in events(connection) {
        match event {
            ConnectionEvent::Message(message) => match message.reply {
                Some(token) => {
                    calls += 1;
                    connection.reply(EPOCH, token, reply.clone()).unwrap();
                }
                None => plain += 1,
            },
            ConnectionEvent::Settled { result, .. } => {
                outcome = Some(result.unwrap().to_value().unwrap());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((calls, plain), (1, 1));
    outcome
}

#[test]
fn both_sides_call_at_once_and_nothing_is_taken_for_something_else() {
    for (dialect, carrier) in LINKS {
        let mut pair = pair(dialect, carrier, Some(Extensions::ALL), Extensions::ALL);
        let (client, server) = (&mut pair.client, &mut pair.server);
        client
            .call(EPOCH, event("[:up/q \"x\"]"), seconds(5))
            .unwrap();
        server
            .call(EPOCH, event("[:down/q \"x\"]"), seconds(5))
            .unwrap();
        client.send(EPOCH, event("[:up/a 1]")).unwrap();
        server.send(EPOCH, event("[:down/a 1]")).unwrap();
        pair.drive();
        // Replies that look like a call.
        let reply = edn("[[:looks/like \"a\"] \"call\"]");
        assert_eq!(answer(&mut pair.server, &reply), None);
        pair.drive();
        assert_eq!(
            answer(&mut pair.client, &reply),
            Some(reply.clone()),
            "{dialect:?} {carrier:?}"
        );
        pair.drive();
        let told = events(&mut pair.server);
        assert!(
            matches!(
                &told[..],
                [ConnectionEvent::Settled { result: Ok(payload), .. }]
                    if payload.to_value().unwrap() == reply
            ),
            "{dialect:?} {carrier:?} {told:?}"
        );
        for side in [&pair.client, &pair.server] {
            assert_eq!(side.stats().bad_events, 0);
            assert_eq!(side.stats().late_replies, 0);
        }
    }
}

#[test]
fn a_sente_server_calls_its_client_in_these_frames() {
    let server = config(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut server = Connection::new(server, [1; 32], EPOCH);
    let mut accept = Accept::new("u");
    accept.offered = Some(Extensions::NONE.with_calls());
    server.accept(EPOCH, accept);
    let mut peer = RawPeer::new(Role::Client);
    peer.texts(&mut server, EPOCH);
    events(&mut server);
    let call = server.call(EPOCH, event("[:q/a 1]"), seconds(5)).unwrap();
    let asked = peer.texts(&mut server, EPOCH).remove(0);
    let callback = asked
        .strip_prefix("[[:q/a 1] \"")
        .and_then(|rest| rest.strip_suffix("\"]"))
        .unwrap();
    peer.say(
        &mut server,
        EPOCH,
        &format!("[[:chsk/reply {{:cb-uuid \"{callback}\", :data 7}}] nil]"),
    );
    assert!(matches!(
        events(&mut server)[..],
        [ConnectionEvent::Settled { call: settled, result: Ok(_) }] if settled == call
    ));
    // The client's own calls are answered in the same form, and pings without one.
    peer.say(&mut server, EPOCH, "[[:q/b] \"cb\"]");
    let token = messages(&mut server).remove(0).reply.unwrap();
    server.reply(EPOCH, token, edn("8")).unwrap();
    peer.say(&mut server, EPOCH, "[[:chsk/ws-ping] \"ping\"]");
    assert_eq!(
        peer.texts(&mut server, EPOCH),
        [
            "[[:chsk/ws-pong] nil]",
            "[[:chsk/reply {:cb-uuid \"cb\", :data 8}] nil]"
        ]
    );
    // A push is a batch as before.
    server.send(EPOCH, event("[:a/b]")).unwrap();
    assert_eq!(peer.texts(&mut server, EPOCH), ["[[[:a/b]] nil]"]);
}

#[test]
fn a_stock_sente_client_cannot_be_called() {
    let mut pair = Pair::open(Dialect::Sente, Carrier::WebSocket);
    let now = pair.now;
    assert!(matches!(
        pair.server.call(now, event("[:q/a 1]"), seconds(1)),
        Err(SendError::CallsUnsupported(_))
    ));
}

#[test]
fn a_negotiated_link_is_kept_alive_from_both_sides() {
    for (dialect, carrier) in LINKS {
        for side in ["client", "server"] {
            let mut client = client(dialect, carrier)
                .offer(Extensions::ALL)
                .keepalive(None);
            let mut server = server(dialect, carrier).keepalive(None);
            let keepalive = Some(Keepalive::new(seconds(10), seconds(5)));
            if side == "client" {
                client = client.keepalive(keepalive);
            } else {
                server = server.keepalive(keepalive);
            }
            let mut accept = Accept::new("u");
            accept.offered = (carrier == Carrier::WebSocket).then_some(Extensions::ALL);
            let mut pair = Pair::accepted(client.build().unwrap(), server.build().unwrap(), accept);
            pair.advance(seconds(1_000));
            let pings = pair.client.stats().pings_sent + pair.server.stats().pings_sent;
            assert!(pings > 50, "{dialect:?} {carrier:?} {side}: {pings}");
            assert_eq!(
                pair.client.close_reason(),
                None,
                "{dialect:?} {carrier:?} {side}"
            );
            assert_eq!(
                pair.server.close_reason(),
                None,
                "{dialect:?} {carrier:?} {side}"
            );
            assert_eq!(
                pair.server.stats().bad_events + pair.client.stats().bad_events,
                0
            );
        }
    }
}
