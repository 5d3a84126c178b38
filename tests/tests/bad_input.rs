//! What the real Sente was fed to see what it does: ours does at least as well, and each
//! difference is listed here with its reason.
#![allow(missing_docs)]

use sente_core::framing::Kind;
use sente_core::{Accept, Carrier, Connection, ConnectionEvent, Dialect, Instant, Role, State};
use sente_edn::Value;
use sente_tests::vectors::{field, load};
use sente_tests::{RawPeer, Said, config, edn, events};

fn server() -> (Connection, RawPeer) {
    let config = config(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut server = Connection::new(config, [5; 32], Instant::EPOCH);
    let mut client = RawPeer::new(Role::Client);
    server.accept(Instant::EPOCH, Accept::new("u"));
    client.hear(&mut server, Instant::EPOCH);
    events(&mut server);
    (server, client)
}

fn client() -> (Connection, RawPeer) {
    let config = config(Role::Client, Dialect::Sente, Carrier::WebSocket);
    let mut client = Connection::new(config, [5; 32], Instant::EPOCH);
    let mut server = RawPeer::new(Role::Server);
    server.say(
        &mut client,
        Instant::EPOCH,
        "[[:chsk/handshake [\"u\" nil nil]] nil]",
    );
    events(&mut client);
    (client, server)
}

/// Answers `:test/echo` as the recording's server did, and says what the application saw.
fn serve(server: &mut Connection) -> Vec<String> {
    let mut seen = Vec::new();
    for event in events(server) {
        match event {
            ConnectionEvent::Message(message) => {
                let value = message.event.to_value().unwrap();
                seen.push(value.to_string());
                if let Some(token) = message.reply {
                    let data = message.event.data.unwrap_or_else(|| Value::Nil.into());
                    if message.event.id.as_str() == "test/echo" {
                        server.reply(Instant::EPOCH, token, data).unwrap();
                    } else {
                        server.forget(token);
                    }
                }
            }
            ConnectionEvent::BadEvent(bad) => {
                seen.push(format!("bad: {}", bad.reason));
                if let Some(token) = bad.reply {
                    server.forget(token);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    seen
}

/// Cases that need the recording's own handlers or more than one connection, by their first words.
const NOT_A_FRAME_MATTER: [&str; 4] = [
    "handler throws",
    "server reply not packable?",
    "server reply #object",
    "multi reply",
];

/// Where ours does something else than Sente, and why that is better.
const DIFFERENT: [(&str, &str); 1] = [(
    "malformed: unknown tag",
    "Sente drops the whole message because nothing reads the tag; ours keeps it as a tagged value",
)];

#[test]
fn malformed_messages_to_a_server_are_reported_and_survived() {
    let rows = load("sente/ws-raw-server-behaviour.json");
    let mut checked = 0;
    for row in rows.as_array().unwrap() {
        let name = field(row, "description").unwrap();
        if field(row, "packer") != Some("edn")
            || row["conn_alive_after"] != true
            || NOT_A_FRAME_MATTER
                .iter()
                .any(|other| name.starts_with(other))
        {
            continue;
        }
        let (mut server, mut client) = server();
        for sent in row["client_sends"].as_array().unwrap() {
            match field(sent, "payload") {
                Some(text) => client.say(&mut server, Instant::EPOCH, text),
                None => {
                    client.say_frame(&mut server, Instant::EPOCH, Kind::Binary, b"[[:a/b] nil]")
                }
            }
        }
        let seen = serve(&mut server);
        let said = client.texts(&mut server, Instant::EPOCH);
        assert_eq!(server.state(), State::Open, "{name}");
        checked += 1;
        if DIFFERENT.iter().any(|(other, _)| name.starts_with(other)) {
            assert_eq!(seen.len(), 1, "{name}");
            assert!(!seen[0].starts_with("bad"), "{name}: {seen:?}");
            continue;
        }
        let expected: Vec<String> = row["server_sends"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sent| field(sent, "payload").unwrap().to_owned())
            .collect();
        assert_eq!(said, expected, "{name}");
        // What Sente logged or wrapped as :chsk/bad-event, the application is told with a reason.
        let bad = name.starts_with("bad:")
            || name.starts_with("malformed:")
            || name.starts_with("reserved")
            || name.starts_with("legacy")
            || name.contains("bad-event")
            || name.contains("empty text")
            || name.contains("whitespace text")
            || name.contains("no envelope")
            || name.contains("NOT recognised")
            || name.contains("binary frame");
        assert_eq!(
            seen.iter().any(|seen| seen.starts_with("bad: ")),
            bad,
            "{name}: {seen:?}"
        );
    }
    assert!(checked >= 48, "{checked} cases");
}

#[test]
fn old_formats_are_named_in_the_report() {
    let (mut server, mut client) = server();
    for (frame, named) in [
        ("+[[:test/echo 1] \"abc123\"]", "up to 1.17"),
        ("-[:test/echo 1]", "up to 1.17"),
        ("{:type :ping}", "v1"),
    ] {
        client.say(&mut server, Instant::EPOCH, frame);
        let seen = serve(&mut server);
        assert_eq!(seen.len(), 1, "{frame}");
        assert!(seen[0].contains(named), "{frame}: {seen:?}");
    }
}

#[test]
fn malformed_messages_to_a_client_are_reported_and_survived_and_no_good_event_is_lost() {
    let rows = load("sente/ws-raw-client-behaviour.json");
    let mut checked = 0;
    for row in rows.as_array().unwrap() {
        let name = field(row, "description").unwrap();
        let Some(sent) = field(row, "server_sends") else {
            continue;
        };
        if field(row, "packer") != Some("edn") || sent.starts_with('<') {
            continue;
        }
        let (mut client, mut server) = client();
        server.say(&mut client, Instant::EPOCH, sent);
        let told = events(&mut client);
        assert_eq!(client.state(), State::Open, "{name}: {told:?}");
        let seen: Vec<String> = told
            .iter()
            .filter_map(|event| match event {
                ConnectionEvent::Message(message) => {
                    Some(message.event.to_value().unwrap().to_string())
                }
                _ => None,
            })
            .collect();
        let reactions: Vec<&str> = row["client_local_reaction"]
            .as_array()
            .map(|all| all.iter().filter_map(|one| one.as_str()).collect())
            .unwrap_or_default();
        // Every event Sente's application saw, ours sees.
        for reaction in &reactions {
            if let Some(event) = reaction.strip_prefix("app-event ")
                && !event.starts_with("[:chsk/")
            {
                assert!(
                    seen.contains(&event.to_owned()),
                    "{name}: {event} not in {seen:?}"
                );
            }
        }
        // Where Sente only logs, ours tells the application too.
        let failed = reactions
            .iter()
            .any(|reaction| reaction.starts_with(":error"));
        let told_bad = told
            .iter()
            .any(|event| matches!(event, ConnectionEvent::BadEvent(_)));
        if failed && !sent.contains('#') {
            assert!(told_bad, "{name}: {sent}: {told:?}");
        }
        checked += 1;
    }
    assert!(checked >= 25, "{checked} cases");
}

#[test]
fn the_events_around_a_bad_one_in_a_batch_arrive() {
    let (mut client, mut server) = client();
    let batch = "[[[:a/b 1] [:plain 2] 3 [:chsk/close] [:a/c 4]] nil]";
    server.say(&mut client, Instant::EPOCH, batch);
    let told = events(&mut client);
    let kinds: Vec<bool> = told
        .iter()
        .map(|event| matches!(event, ConnectionEvent::Message(_)))
        .collect();
    assert_eq!(kinds, [true, false, false, false, true]);
}

#[test]
fn a_message_over_four_mebibytes_closes_with_1009() {
    let (mut server, mut client) = server();
    let text = format!("[[:a/s \"{}\"] nil]", "x".repeat(4 * 1024 * 1024));
    client.say(&mut server, Instant::EPOCH, &text);
    let said = client.hear(&mut server, Instant::EPOCH);
    assert!(said.contains(&Said::Close(Some(1009))), "{said:?}");
    let told = events(&mut server);
    match told.last() {
        Some(ConnectionEvent::Closed(reason)) => {
            assert!(reason.to_string().contains("over the limit"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_answers_only_on_its_own_connection() {
    let (mut first, mut peer) = server();
    peer.say(&mut first, Instant::EPOCH, "[[:a/q] \"cb\"]");
    let token = events(&mut first)
        .into_iter()
        .find_map(|event| match event {
            ConnectionEvent::Message(message) => message.reply,
            _ => None,
        })
        .unwrap();
    let config = config(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let mut second = Connection::new(config, [6; 32], Instant::EPOCH);
    second.accept(Instant::EPOCH, Accept::new("v"));
    assert!(second.reply(Instant::EPOCH, token, edn("1")).is_err());
}

#[test]
fn a_bad_call_that_is_not_reported_is_answered_with_an_error() {
    let (mut server, mut client) = server();
    for n in 0..20 {
        client.say(
            &mut server,
            Instant::EPOCH,
            &format!("[[:plain {n}] \"cb-{n}\"]"),
        );
    }
    let said = client.texts(&mut server, Instant::EPOCH);
    let expected: Vec<_> = (16..20)
        .map(|n| format!("[:chsk/error \"cb-{n}\"]"))
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn a_reserved_call_on_a_byte_stream_is_a_bad_event_with_its_callback() {
    let config = config(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let mut server = Connection::new(config, [5; 32], Instant::EPOCH);
    server.accept(Instant::EPOCH, Accept::new("u"));
    let mut line = bytes::BytesMut::from("[[:chsk/bad 1] \"cb\"]\n");
    server.handle_input(Instant::EPOCH, sente_core::Input::Bytes(&mut line));
    let bad = events(&mut server)
        .into_iter()
        .find_map(|event| match event {
            ConnectionEvent::BadEvent(bad) => Some(bad),
            _ => None,
        });
    assert!(bad.unwrap().reply.is_some());
}
