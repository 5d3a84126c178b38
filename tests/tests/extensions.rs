//! What two of our peers agree on beyond the stock dialects, and that nobody else sees any of it.
#![allow(missing_docs)]

use bytes::{Buf, BytesMut};
use sente_adapters::{Address, ConnectOptions, ListenOptions, Listener, Url, connect};
use sente_core::{
    Accept, Carrier, ConfigError, Connection, ConnectionConfig, ConnectionConfigBuilder,
    ConnectionEvent, Dialect, Extensions, Hello, Input, Instant, Keepalive, Limits, Opened, Role,
    SendError, TransmitBuf,
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

/// Everything `connection` writes now, as text.
fn said(connection: &mut Connection) -> String {
    let mut out = TransmitBuf::new();
    let mut all = Vec::new();
    while connection.poll_transmit(&mut out).is_some() {
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        connection.handle_transmitted(EPOCH);
    }
    String::from_utf8_lossy(&all).into()
}

fn opened(connection: &mut Connection) -> Opened {
    events(connection)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Opened(opened) => Some(opened),
            _ => None,
        })
        .next_back()
        .unwrap()
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
fn an_offer_is_written_and_read_as_a_parameter() {
    assert_eq!(Extensions::ALL.to_string(), "1.batch.calls.trace");
    assert_eq!(Extensions::NONE.to_string(), "1");
    for known in [
        Extensions::NONE,
        Extensions::NONE.with_batch(),
        Extensions::NONE.with_calls(),
        Extensions::NONE.with_trace(),
        Extensions::ALL,
    ] {
        assert_eq!(known.to_string().parse(), Ok(known));
    }
    assert_eq!(
        "1.streams.calls..batch2".parse(),
        Ok(Extensions::NONE.with_calls())
    );
    for wrong in ["", "2.batch", "batch", "11.batch", "1batch"] {
        assert!(wrong.parse::<Extensions>().is_err(), "{wrong}");
    }
}

#[test]
fn only_an_offer_is_answered_in_the_handshake() {
    let lite_data = edn("{:sente-lite-version \"2.0.0\"}");
    for (dialect, offered, data, expected) in [
        (
            Dialect::Sente,
            None,
            edn("{:a 1}"),
            "[[:chsk/handshake [\"u\" nil {:a 1}]] nil]",
        ),
        (
            Dialect::Sente,
            Some(Extensions::ALL),
            edn("{:a 1}"),
            "[[:chsk/handshake [\"u\" nil {:a 1} {:ext {:batch true, :calls true, :trace true}}]] nil]",
        ),
        (
            Dialect::Sente,
            Some(Extensions::NONE),
            Value::Nil,
            "[[:chsk/handshake [\"u\" nil nil {:ext {}}]] nil]",
        ),
        (
            Dialect::SenteLite,
            None,
            lite_data.clone(),
            "[:chsk/handshake [\"u\" nil {:sente-lite-version \"2.0.0\"} true]]",
        ),
        (
            Dialect::SenteLite,
            Some(Extensions::NONE.with_batch()),
            lite_data,
            "[:chsk/handshake [\"u\" nil {:sente-lite-version \"2.0.0\", :ext {:batch true}} true]]",
        ),
        (
            Dialect::SenteLite,
            Some(Extensions::ALL),
            Value::Nil,
            "[:chsk/handshake [\"u\" nil {:ext {:batch true, :calls true, :trace true}} true]]",
        ),
        (
            Dialect::SenteLite,
            Some(Extensions::ALL),
            edn("17"),
            "[:chsk/handshake [\"u\" nil 17 true]]",
        ),
    ] {
        assert_eq!(handshake(dialect, offered, data), expected);
    }
}

#[test]
fn a_hello_carries_the_offer_and_a_hello_without_one_gets_no_answer() {
    let client = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .offer(Extensions::ALL)
        .build()
        .unwrap();
    let mut client = Connection::new(client, [1; 32], EPOCH);
    assert_eq!(
        said(&mut client),
        "[:sente-lite/hello {:ext {:batch true, :calls true, :trace true}}]\n"
    );
    for (hello, answer) in [
        ("{}", "nil"),
        ("{:ext {}}", "{:ext {}}"),
        (
            "{:ext {:batch true :calls false :later 1}}",
            "{:ext {:batch true}}",
        ),
        ("{:ext {:batch nil}}", "{:ext {}}"),
        ("{:ext 17}", "{:ext {}}"),
    ] {
        let mut server = Connection::new(
            config(Role::Server, Dialect::SenteLite, Carrier::Lines),
            [1; 32],
            EPOCH,
        );
        server.accept(EPOCH, Accept::new("u"));
        assert_eq!(
            said(&mut server),
            "[:chsk/handshake [\"u\" nil nil true]]\n"
        );
        let line = format!("[:sente-lite/hello {hello}]\n");
        server.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(&*line)));
        assert_eq!(
            said(&mut server),
            format!("[:chsk/handshake [\"u\" nil {answer} true]]\n"),
            "{hello}"
        );
    }
}

#[test]
fn what_holds_is_what_was_offered_and_granted() {
    let some = [
        Extensions::NONE,
        Extensions::NONE.with_batch(),
        Extensions::NONE.with_calls(),
        Extensions::ALL,
    ];
    for (dialect, carrier) in LINKS {
        for offer in some {
            for grant in some {
                let client = client(dialect, carrier).offer(offer).build().unwrap();
                let server = server(dialect, carrier).grant(grant).build().unwrap();
                let mut client = Connection::new(client, [1; 32], EPOCH);
                let mut server = Connection::new(server, [2; 32], EPOCH);
                let mut accept = Accept::new("u");
                accept.offered = (carrier == Carrier::WebSocket).then_some(offer);
                server.accept(EPOCH, accept);
                for _ in 0..3 {
                    pass(&mut client, &mut server);
                    pass(&mut server, &mut client);
                }
                let holds = offer.and(grant);
                assert_eq!(
                    opened(&mut server).extensions,
                    holds,
                    "{dialect:?} {carrier:?}"
                );
                assert_eq!(
                    opened(&mut client).extensions,
                    holds,
                    "{dialect:?} {carrier:?}"
                );
            }
        }
    }
}

fn pass(from: &mut Connection, to: &mut Connection) {
    let mut out = TransmitBuf::new();
    while from.poll_transmit(&mut out).is_some() {
        let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
        from.handle_transmitted(EPOCH);
        to.handle_input(EPOCH, Input::Bytes(&mut bytes));
    }
}

#[test]
fn an_answer_nobody_asked_for_changes_nothing() {
    let mut client = Connection::new(
        config(Role::Client, Dialect::Sente, Carrier::WebSocket),
        [1; 32],
        EPOCH,
    );
    let mut peer = RawPeer::new(Role::Server);
    peer.say(
        &mut client,
        EPOCH,
        "[[:chsk/handshake [\"u\" nil nil {:ext {:batch true :calls true}}]] nil]",
    );
    assert_eq!(opened(&mut client).extensions, Extensions::NONE);
    for n in 0..2 {
        client.send(EPOCH, event(&format!("[:a/n {n}]"))).unwrap();
    }
    assert_eq!(
        peer.texts(&mut client, EPOCH),
        ["[[:a/n 0] nil]", "[[:a/n 1] nil]"]
    );
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

#[test]
fn a_server_does_not_offer_and_a_client_does_not_grant() {
    let server = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .offer(Extensions::ALL)
        .build();
    assert_eq!(server.unwrap_err(), ConfigError::MisplacedExtensions);
    let client = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .grant(Extensions::ALL)
        .build();
    assert_eq!(client.unwrap_err(), ConfigError::MisplacedExtensions);
}

#[tokio::test]
async fn an_offer_in_the_url_or_the_options_crosses_a_real_transport() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", folder.path().join("s").display());
    for (address, asks) in [
        ("ws://127.0.0.1:0/chsk", "options"),
        ("ws://127.0.0.1:0/chsk", "url"),
        ("ws://127.0.0.1:0/lite", "options"),
        (unix.as_str(), "options"),
        ("ws://127.0.0.1:0/chsk", "nothing"),
    ] {
        let url: Url = address.parse().unwrap();
        let mut listener = Listener::bind(&url, ListenOptions::default())
            .await
            .unwrap();
        let mut url = listener.url().clone();
        let mut options = ConnectOptions::default();
        if let (Address::Ws(url), "url") = (&mut url.address, asks) {
            url.query = "sente-ext=1.batch.calls.trace".into();
        }
        if asks == "options" {
            options.extensions = Some(Extensions::ALL);
        }
        let serve = async {
            let incoming = listener.accept().await.unwrap().unwrap();
            let (handle, mut events) = incoming.accept(Accept::new("u")).await.unwrap();
            loop {
                match events.next().await {
                    Some(ConnectionEvent::Message(_)) => break,
                    Some(_) => {}
                    None => panic!("ended"),
                }
            }
            let holds = handle.opened().unwrap().extensions;
            let answer = handle.call(event("[:q/a 1]"), seconds(20)).await;
            (holds, answer)
        };
        let dial = async {
            let (handle, mut events) = connect(&url, &options).await.unwrap();
            handle.send(event("[:a/b]")).await.unwrap();
            while let Some(event) = events.next().await {
                match event {
                    ConnectionEvent::Message(message) => {
                        if let Some(token) = message.reply {
                            handle.reply(token, 7).unwrap();
                        }
                    }
                    ConnectionEvent::PeerFinished => break,
                    _ => {}
                }
            }
        };
        let ((holds, answer), ()) = tokio::join!(serve, dial);
        if asks == "nothing" {
            assert_eq!(holds, Extensions::NONE);
            assert!(answer.is_err());
        } else {
            assert_eq!(holds, Extensions::ALL, "{address} {asks}");
            assert_eq!(answer.unwrap().to_value().unwrap(), edn("7"));
        }
    }
}

#[test]
fn a_client_that_closes_before_the_handshake_reads_on_by_its_terms() {
    let (dialect, carrier) = (Dialect::Sente, Carrier::WebSocket);
    let offer = Extensions::NONE.with_calls();
    let mut client = Connection::new(
        client(dialect, carrier).offer(offer).build().unwrap(),
        [1; 32],
        EPOCH,
    );
    let mut server = Connection::new(server(dialect, carrier).build().unwrap(), [2; 32], EPOCH);
    let mut accept = Accept::new("u");
    accept.offered = Some(offer);
    server.accept(EPOCH, accept);
    server.call(EPOCH, event("[:a/who]"), seconds(5)).unwrap();
    client.close(EPOCH);
    pass(&mut server, &mut client);
    let asked = messages(&mut client);
    assert!(asked[0].reply.is_some(), "{asked:?}");
    assert_eq!(client.stats().late_replies, 0);
}
