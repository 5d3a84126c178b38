//! Both dialects in both roles with the JSON packer, against literal JSON and against each other.
#![allow(missing_docs)]

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use sente_core::packer::Json;
use sente_core::{
    Accept, CallError, Carrier, Client, ClientConfig, Connection, ConnectionConfig,
    ConnectionConfigBuilder, ConnectionEvent, Dialect, Event, Extensions, Hello, Input, Instant,
    Message, Opened, Role, TransmitBuf,
};
use sente_edn::Value;
use sente_tests::vectors::load;
use sente_tests::{Pair, RawPeer, edn, event, events, messages, seconds, text};

const EPOCH: Instant = Instant::EPOCH;

const LINKS: [(Dialect, Carrier); 5] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::Lines),
    (Dialect::Sente, Carrier::Lines),
    (Dialect::Sente, Carrier::LengthPrefixed),
];

fn builder(role: Role, dialect: Dialect, carrier: Carrier) -> ConnectionConfigBuilder {
    let config = ConnectionConfig::builder(role, dialect, carrier).packer(Arc::new(Json::new()));
    match (role, carrier) {
        (_, Carrier::WebSocket) => config,
        // A byte stream begins with sente-lite's dialect, and the client asks for another.
        (Role::Server, _) => ConnectionConfig::builder(role, Dialect::SenteLite, carrier)
            .packer(Arc::new(Json::new())),
        (Role::Client, _) => {
            let mut hello = Hello::new();
            hello.client_id = Some("client-1".into());
            hello.dialect = Some(dialect);
            config.hello(hello)
        }
    }
}

fn connection(role: Role, dialect: Dialect, carrier: Carrier) -> Connection {
    let config = builder(role, dialect, carrier).build().unwrap();
    Connection::new(config, [1; 32], EPOCH)
}

/// A server that has said its handshake, and a client that says what the test does.
fn server(dialect: Dialect) -> (Connection, RawPeer, Vec<String>) {
    let mut server = connection(Role::Server, dialect, Carrier::WebSocket);
    let mut peer = RawPeer::new(Role::Client);
    let mut accept = Accept::new("ada");
    accept.data = edn("{:v 1}");
    server.accept(EPOCH, accept);
    let said = peer.texts(&mut server, EPOCH);
    events(&mut server);
    (server, peer, said)
}

/// An open client, and a server that says what the test does.
fn client(dialect: Dialect) -> (Connection, RawPeer) {
    let mut client = connection(Role::Client, dialect, Carrier::WebSocket);
    let mut peer = RawPeer::new(Role::Server);
    let handshake = match dialect {
        Dialect::Sente => r#"[["chsk/handshake",["ada",null,{"v":1}]],null]"#,
        Dialect::SenteLite => r#"["chsk/handshake",["ada","csrf",{"v":1},true]]"#,
    };
    peer.say(&mut client, EPOCH, handshake);
    let opened = opened(events(&mut client));
    let value = |payload: &sente_core::Payload| payload.to_value().unwrap();
    assert_eq!(value(opened.uid.as_ref().unwrap()), Value::from("ada"));
    assert_eq!(value(opened.data.as_ref().unwrap()), edn("{:v 1}"));
    (client, peer)
}

fn opened(told: Vec<ConnectionEvent>) -> Opened {
    told.into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Opened(opened) => Some(*opened),
            _ => None,
        })
        .next_back()
        .unwrap()
}

fn settled(told: Vec<ConnectionEvent>) -> Vec<Result<String, CallError>> {
    told.into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { result, .. } => {
                Some(result.map(|payload| payload.to_value().unwrap().to_string()))
            }
            _ => None,
        })
        .collect()
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

#[test]
fn a_sente_server_speaks_json() {
    let (mut server, mut peer, handshake) = server(Dialect::Sente);
    assert_eq!(
        handshake,
        [r#"[["chsk/handshake",["ada",null,{"v":1}]],null]"#]
    );

    for (frame, expected) in [
        (
            r#"[["chat/say",{"text":"hi"}],null]"#,
            r#"[:chat/say {:text "hi"}]"#,
        ),
        (r#"[["chat/say"]]"#, "[:chat/say]"),
        (
            r#" [ [ ":chat/say" , [ 1 , "a/b" ] ] , null ] "#,
            r#"[:chat/say [1 "a/b"]]"#,
        ),
        (r#"[["user/1",null],false]"#, "[:user/1 nil]"),
    ] {
        peer.say(&mut server, EPOCH, frame);
        let seen = messages(&mut server);
        assert_eq!(
            seen.iter().map(text).collect::<Vec<_>>(),
            [expected],
            "{frame}"
        );
        assert!(seen[0].reply.is_none());
    }

    peer.say(&mut server, EPOCH, r#"[["chat/ask",1],"cb-7"]"#);
    let [Message { reply, .. }] = messages(&mut server).try_into().unwrap();
    server
        .reply(EPOCH, reply.unwrap(), edn("{:ok #{1}}"))
        .unwrap();
    assert_eq!(peer.texts(&mut server, EPOCH), [r#"[{"ok":[1]},"cb-7"]"#]);

    peer.say(&mut server, EPOCH, r#"[["chsk/ws-ping"],"cb-8"]"#);
    assert_eq!(peer.texts(&mut server, EPOCH), [r#"["pong","cb-8"]"#]);

    for n in 0..2 {
        server.send(EPOCH, event(&format!("[:srv/n {n}]"))).unwrap();
    }
    server.handle_timeout(EPOCH + seconds(1));
    assert_eq!(
        peer.texts(&mut server, EPOCH + seconds(1)),
        [r#"[[["srv/n",0],["srv/n",1]],null]"#]
    );
}

#[test]
fn a_sente_client_speaks_json() {
    let (mut client, mut peer) = client(Dialect::Sente);
    client.send(EPOCH, event("[:a/b {:k :c/d}]")).unwrap();
    assert_eq!(
        peer.texts(&mut client, EPOCH),
        [r#"[["a/b",{"k":"c/d"}],null]"#]
    );

    peer.say(&mut client, EPOCH, r#"["chsk/ws-ping",null]"#);
    assert_eq!(
        peer.texts(&mut client, EPOCH),
        [r#"[["chsk/ws-pong"],null]"#]
    );

    peer.say(
        &mut client,
        EPOCH,
        r#"[[["a/b",1],["c/d"],["x",1],"e/f"],null]"#,
    );
    let told = events(&mut client);
    let bad = |event: &ConnectionEvent| matches!(event, ConnectionEvent::BadEvent(_));
    assert_eq!(told.iter().filter(|event| bad(event)).count(), 2);
    let seen: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::Message(message) => Some(text(message)),
            _ => None,
        })
        .collect();
    assert_eq!(seen, ["[:a/b 1]", "[:c/d]"]);

    // Whatever the answer looks like, it is one.
    for (answer, expected) in [
        ("1", Ok("1")),
        (r#""pong""#, Ok("\"pong\"")),
        (r#""x/y""#, Ok("\"x/y\"")),
        (r#"["x/y",1]"#, Ok("[\"x/y\" 1]")),
        ("null", Ok("nil")),
        (r#""chsk/error""#, Err(CallError::Peer)),
    ] {
        client.call(EPOCH, event("[:q/q]"), seconds(5)).unwrap();
        let [frame] = peer.texts(&mut client, EPOCH).try_into().unwrap();
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame[0], serde_json::json!(["q/q"]));
        peer.say(&mut client, EPOCH, &format!("[{answer}, {}]", frame[1]));
        let expected = expected.map(String::from);
        assert_eq!(settled(events(&mut client)), [expected], "{answer}");
    }
}

#[test]
fn a_sente_client_pings_in_json() {
    let (mut client, mut peer) = client(Dialect::Sente);
    let due = client.poll_timeout().unwrap();
    client.handle_timeout(due);
    let [frame] = peer.texts(&mut client, due).try_into().unwrap();
    let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
    assert_eq!(frame[0], serde_json::json!(["chsk/ws-ping"]));
    peer.say(&mut client, due, &format!(r#"["pong",{}]"#, frame[1]));
    assert!(
        events(&mut client).is_empty(),
        "a pong is nobody else's affair"
    );
}

#[test]
fn a_sente_lite_server_speaks_json() {
    let (mut server, mut peer, handshake) = server(Dialect::SenteLite);
    assert_eq!(
        handshake,
        [r#"["chsk/handshake",["ada",null,{"v":1},true]]"#]
    );

    peer.say(
        &mut server,
        EPOCH,
        r#"["chat/say",{"text":"hi"},"ignored"]"#,
    );
    peer.say(
        &mut server,
        EPOCH,
        r#"["batch/events",[["a/b",1],["c/d"]]]"#,
    );
    let seen = messages(&mut server);
    assert_eq!(
        seen.iter().map(text).collect::<Vec<_>>(),
        [r#"[:chat/say {:text "hi"}]"#, "[:a/b 1]", "[:c/d]"]
    );

    peer.say(&mut server, EPOCH, r#"["chsk/ws-ping"]"#);
    assert_eq!(peer.texts(&mut server, EPOCH), [r#"["chsk/ws-pong"]"#]);

    peer.say(&mut server, EPOCH, r#"[["chat/ask",1],"cb-7"]"#);
    let [Message { reply, .. }] = messages(&mut server).try_into().unwrap();
    server.reply(EPOCH, reply.unwrap(), edn("[:yes]")).unwrap();
    assert_eq!(
        peer.texts(&mut server, EPOCH),
        [r#"["chsk/reply",{"cb-uuid":"cb-7","data":["yes"]}]"#]
    );
}

#[test]
fn a_sente_lite_client_speaks_json() {
    let (mut client, mut peer) = client(Dialect::SenteLite);
    client.send(EPOCH, event("[:a/b]")).unwrap();
    assert_eq!(peer.texts(&mut client, EPOCH), [r#"["a/b"]"#]);

    peer.say(&mut client, EPOCH, r#"["chsk/recv",["a/b",1]]"#);
    let seen = messages(&mut client);
    assert_eq!(seen.iter().map(text).collect::<Vec<_>>(), ["[:a/b 1]"]);

    // The map of a reply may have its keys in any order, and with colons.
    for (before, after) in [
        (r#"{"cb-uuid":"#, r#","data":[1,2]}"#),
        (r#"{"data":0,"more":{},":data":[1,2],":cb-uuid":"#, "}"),
    ] {
        client
            .call(EPOCH, event("[:q/q {:n 1}]"), seconds(5))
            .unwrap();
        let [frame] = peer.texts(&mut client, EPOCH).try_into().unwrap();
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame[0], serde_json::json!(["q/q", {"n": 1}]));
        let reply = format!(r#"["chsk/reply",{before}{}{after}]"#, frame[1]);
        peer.say(&mut client, EPOCH, &reply);
        assert_eq!(
            settled(events(&mut client)),
            [Ok("[1 2]".to_owned())],
            "{reply}"
        );
    }
}

#[test]
fn what_is_no_event_is_a_bad_one_and_the_link_lives_on() {
    for dialect in [Dialect::Sente, Dialect::SenteLite] {
        for frame in [
            "",
            "{}",
            "[]",
            "null",
            "7",
            "\"a/b\"",
            "[:a/b 1]",
            r#"["a",1]"#,
            r#"[["a",1],null]"#,
            r#"["chsk/handshake",[]]"#,
            r#"[["chsk/state",1],null]"#,
            r#"[["a/b",1],null"#,
            r#"["a/b",1"#,
            r#"["a /b",1]"#,
            r#"["a/b ;",1]"#,
            r#"["/b",1]"#,
            r#"["a/",1]"#,
        ] {
            let (mut server, mut peer, _) = server(dialect);
            peer.say(&mut server, EPOCH, frame);
            let told = events(&mut server);
            assert!(
                matches!(told[..], [ConnectionEvent::BadEvent(_)]),
                "{dialect:?} {frame}: {told:?}"
            );
            peer.say(&mut server, EPOCH, r#"["chsk/ws-ping"]"#);
            assert!(server.state() == sente_core::State::Open, "{frame}");
        }
    }
}

#[test]
fn two_of_ours_talk_json_in_every_dialect_over_every_carrier() {
    for (dialect, carrier) in LINKS {
        for offer in [None, Some(Extensions::ALL)] {
            let mut client = builder(Role::Client, dialect, carrier);
            if let Some(offer) = offer {
                client = client.offer(offer);
            }
            let server = builder(Role::Server, dialect, carrier).grant(Extensions::ALL);
            let mut accept = Accept::new("u");
            accept.offered = offer.filter(|_| carrier == Carrier::WebSocket);
            let mut pair = Pair::accepted(client.build().unwrap(), server.build().unwrap(), accept);
            assert_eq!(pair.client.dialect(), dialect);

            for n in 0..20 {
                let event = |side: &str| event(&format!("[:{side}/n {{:n {n}, :k [\"a/b\"]}}]"));
                pair.client.send(pair.now, event("up")).unwrap();
                pair.server.send(pair.now, event("down")).unwrap();
            }
            pair.advance(seconds(1));
            for (seen, side) in [
                (messages(&mut pair.server), "up"),
                (messages(&mut pair.client), "down"),
            ] {
                let expected: Vec<_> = (0..20)
                    .map(|n| format!("[:{side}/n {{:n {n}, :k [\"a/b\"]}}]"))
                    .collect();
                assert_eq!(seen.iter().map(text).collect::<Vec<_>>(), expected);
            }

            pair.client
                .call(pair.now, event("[:q/up 1]"), seconds(5))
                .unwrap();
            let calls_back = pair.server.call(pair.now, event("[:q/down 2]"), seconds(5));
            pair.drive();
            for side in [&mut pair.client, &mut pair.server] {
                for message in messages(side) {
                    let answer = message.event.data.clone().unwrap();
                    side.reply(EPOCH, message.reply.unwrap(), answer).unwrap();
                }
            }
            pair.drive();
            assert_eq!(settled(events(&mut pair.client)), [Ok("1".to_owned())]);
            if calls_back.is_ok() {
                assert_eq!(settled(events(&mut pair.server)), [Ok("2".to_owned())]);
            }
            pair.advance(seconds(120));
            assert!(pair.client.stats().bad_events + pair.server.stats().bad_events == 0);
            assert_eq!(
                pair.server.state(),
                sente_core::State::Open,
                "{dialect:?} {carrier:?}"
            );
        }
    }
}

#[test]
fn a_script_says_hello_in_json_lines() {
    let mut server = connection(Role::Server, Dialect::SenteLite, Carrier::Lines);
    server.accept(EPOCH, Accept::new("u"));
    assert_eq!(
        said(&mut server),
        "[\"chsk/handshake\",[\"u\",null,null,true]]\n"
    );
    let lines = "[\"sente-lite/hello\", {\"client-id\": \"c1\", \"token\": \"t\", \
                 \"dialect\": \"sente-lite\", \"ext\": {\"batch\": true, \"calls\": false}}]\r\n\
                 [\"a/b\", {\"n\": 1}]\n";
    server.handle_input(EPOCH, Input::Bytes(&mut BytesMut::from(lines)));
    assert_eq!(
        said(&mut server),
        "[\"chsk/handshake\",[\"u\",null,{\"ext\":{\"batch\":true}},true]]\n"
    );
    let told = events(&mut server);
    let hello = told
        .iter()
        .find_map(|event| match event {
            ConnectionEvent::Hello(hello) => Some(hello),
            _ => None,
        })
        .unwrap();
    assert_eq!(hello.client_id.as_deref(), Some("c1"));
    assert_eq!(hello.token.as_deref(), Some("t"));
    assert_eq!(hello.dialect, Some(Dialect::SenteLite));
    assert_eq!(hello.offered, Some(Extensions::NONE.with_batch()));
}

#[test]
fn pretty_printed_json_is_relayed_on_one_line() {
    let (mut server, mut peer, _) = server(Dialect::SenteLite);
    let frame = "[\n  \"a/b\",\n  {\n    \"n\": 1\n  }\n]\n";
    peer.say(&mut server, EPOCH, frame);
    let [message] = messages(&mut server).try_into().unwrap();
    let mut script = connection(Role::Server, Dialect::SenteLite, Carrier::Lines);
    script.accept(EPOCH, Accept::new("u"));
    said(&mut script);
    script.send(EPOCH, message.event).unwrap();
    assert_eq!(said(&mut script), "[\"a/b\",{\"n\":1}]\n");
}

#[test]
fn a_request_id_is_found_in_json() {
    let (mut server, mut peer, _) = server(Dialect::SenteLite);
    peer.say(
        &mut server,
        EPOCH,
        r#"["a/b",{"x":1,"request-id":"req-1"}]"#,
    );
    let [message] = messages(&mut server).try_into().unwrap();
    assert_eq!(message.event.request_id(), Some("req-1".into()));
}

#[test]
fn an_event_of_one_packer_is_sent_on_through_another() {
    let (mut server, mut peer, _) = server(Dialect::SenteLite);
    peer.say(&mut server, EPOCH, r#"["a/b",{"x":[1.5,null]}]"#);
    let [message] = messages(&mut server).try_into().unwrap();
    let mut edn_side = Pair::open(Dialect::SenteLite, Carrier::WebSocket);
    edn_side.server.send(EPOCH, message.event).unwrap();
    edn_side.drive();
    let [message] = messages(&mut edn_side.client).try_into().unwrap();
    assert_eq!(text(&message), "[:a/b {:x [1.5 nil]}]");
    let back: Event = message.event;
    server.send(EPOCH, back).unwrap();
    assert_eq!(
        peer.texts(&mut server, EPOCH),
        [r#"["a/b",{"x":[1.5,null]}]"#]
    );
}

#[test]
fn a_client_that_comes_back_speaks_json_again() {
    let link = builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .build()
        .unwrap();
    let config: Arc<ClientConfig> = ClientConfig::builder(link).build().unwrap();
    let mut client = Client::new(config, [5; 32], EPOCH);
    client.connect(EPOCH);
    for round in 0..2 {
        let now = EPOCH + seconds(60 * round);
        client.handle_timeout(now);
        let attempt = client.poll_connect().unwrap().attempt;
        client.handle_connected(now, attempt);
        let mut server = Connection::new(
            builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
                .build()
                .unwrap(),
            [9; 32],
            now,
        );
        server.accept(now, Accept::new("u"));
        let mut out = TransmitBuf::new();
        while server.poll_transmit(&mut out).is_some() {
            let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
            server.handle_transmitted(now);
            client.handle_input(now, attempt, Input::Bytes(&mut bytes));
        }
        assert!(client.state().is_open());
        client.handle_input(now, attempt, Input::Failed("cut".into()));
    }
}

#[test]
fn what_sente_lites_json_server_says_is_understood() {
    for name in ["probe-bbserver-json", "probe-bbserver-json-push"] {
        let session = load(&format!("sente-lite/{name}.json"));
        let mut client = connection(Role::Client, Dialect::SenteLite, Carrier::WebSocket);
        let mut peer = RawPeer::new(Role::Server);
        let mut texts = 0;
        for frame in session["vectors"].as_array().unwrap() {
            if frame["direction"] == "server->client" && frame["frame_type"] == "text" {
                peer.say(&mut client, EPOCH, frame["payload"].as_str().unwrap());
                texts += 1;
            }
        }
        let told = events(&mut client);
        assert_eq!(client.stats().bad_events, 0);
        assert_eq!(client.stats().frames_received, texts);
        let pushed: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                ConnectionEvent::Message(message) => Some(text(message)),
                _ => None,
            })
            .collect();
        match name {
            "probe-bbserver-json" => assert!(pushed.is_empty()),
            _ => assert_eq!(
                pushed,
                ["[:srv/announce {:n 1, :k \"a/b\", :s [1], :inst \"2025-01-02T03:04:05Z\"}]"]
            ),
        }
        opened(told);
    }
}
