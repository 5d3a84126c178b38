//! Every row that was recorded of the real Sente server over WebSocket
//! (`ws-raw-server-behaviour.json`), asked of ours: malformed messages in every packer, routing,
//! grace, batching and keepalive. Where ours does otherwise, the difference stands in a table with
//! its reason. (The refused upgrades among them are in `ajax_vectors.rs`, with the admission.)
#![allow(missing_docs)]

mod recorded_support;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use recorded_support::Rig;
use sente_core::framing::Kind;
use sente_core::framing::upgrade::{ServerUpgrade, UpgradeLimits};
use sente_core::{Instant, Keepalive, Limits, TransmitBuf, packer};
use sente_tests::vectors::{field, load};
use sente_tests::{Said, millis, seconds};
use serde_json::Value as Json;

/// What ours says where it says otherwise, and why: packer, description, what it says instead.
const DIFFERENCES: &[(&str, &str, &[&str], &str)] = &[
    (
        "edn",
        "malformed: unknown tag",
        &["[#foo 1 \"abc123\"]"],
        "a tag that nobody registered is data: Sente drops the whole message",
    ),
    (
        "edn",
        "handler throws",
        &["[:chsk/error \"abc123\"]"],
        "the caller is told that it failed, and does not wait for its timeout",
    ),
    (
        "edn",
        "server reply #object",
        &["[\"#object\" \"abc123\"]"],
        "there are no values here that no reader can read; the application said a text instead",
    ),
    (
        "edn",
        "multi reply",
        &["[:first \"abc123\"]"],
        "a call is answered once: clients log and drop the second reply",
    ),
    (
        "edn",
        "same, client answers [[:chsk/ws-pong] nil]",
        &["1000", "2000", "3000", "4000", "5000"],
        "a quiet client is pinged after each interval; Sente waits the ping timeout out first",
    ),
    (
        "edn",
        "send-buf-ms-ws 300, 4 pushes 50ms apart: one batch",
        &[
            "[{:pushed 4} \"psh001\"]",
            "[[[:test/pushed {:i 0, :data nil}]] nil]",
            "[[[:test/pushed {:i 1, :data nil}] [:test/pushed {:i 2, :data nil}] [:test/pushed {:i 3, :data nil}]] nil]",
        ],
        "a reply does not wait for the window, and what is queued with it leaves with it",
    ),
];

/// What ours says instead, if it does.
fn difference(packer: &str, description: &str) -> Option<&'static [&'static str]> {
    let mut differences = DIFFERENCES.iter();
    differences
        .find(|(of, name, ..)| *of == packer && *name == description)
        .map(|(_, _, ours, _)| *ours)
}

fn edn_rig() -> Rig {
    Rig::new(packer::named("edn").unwrap())
}

fn rows() -> Vec<Json> {
    let file = load("sente/ws-raw-server-behaviour.json");
    file.as_array().unwrap().clone()
}

/// The row of this description.
fn row(description: &str) -> Json {
    let rows = rows();
    let mut found = rows
        .iter()
        .filter(|row| field(row, "description").unwrap().starts_with(description));
    let row = found.next().unwrap_or_else(|| panic!("{description}"));
    assert!(found.next().is_none(), "{description} is ambiguous");
    row.clone()
}

/// What the recorded server said.
fn recorded(row: &Json) -> Vec<String> {
    let sent = row["server_sends"].as_array().unwrap().iter();
    sent.filter_map(|sent| field(sent, "payload").map(str::to_owned))
        .collect()
}

fn frame(sent: &Json) -> (Kind, Vec<u8>) {
    match (field(sent, "payload"), field(sent, "payload_b64")) {
        (Some(text), _) => (Kind::Text, text.as_bytes().to_vec()),
        (_, Some(bytes)) => (Kind::Binary, BASE64_STANDARD.decode(bytes).unwrap()),
        _ => panic!("{sent}"),
    }
}

/// The connection that is open when every row of one frame exchange begins.
fn exchange(row: &Json) {
    let name = field(row, "description").unwrap();
    let packer_name = field(row, "packer").unwrap();
    let packer = packer::named(packer_name).unwrap();
    let mut rig = Rig::new(packer.clone());
    let id = rig.connect("u", "c");
    rig.said(id);
    for sent in row["client_sends"].as_array().unwrap() {
        let (kind, message) = frame(sent);
        rig.say(id, kind, &message);
    }
    assert!(rig.is_open(id), "{packer_name}: {name}");
    let said: Vec<(Kind, Bytes)> = rig
        .said(id)
        .into_iter()
        .map(|said| match said {
            Said::Text(text) => (Kind::Text, Bytes::from(text)),
            Said::Binary(bytes) => (Kind::Binary, Bytes::from(bytes)),
            other => panic!("{packer_name}: {name}: {other:?}"),
        })
        .collect();
    let expected: Vec<(Kind, Bytes)> = match difference(packer_name, name) {
        Some(texts) => texts
            .iter()
            .map(|text| (Kind::Text, Bytes::from_static(text.as_bytes())))
            .collect(),
        None => row["server_sends"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sent| {
                let (kind, bytes) = frame(sent);
                (kind, Bytes::from(bytes))
            })
            .collect(),
    };
    assert_eq!(
        said.len(),
        expected.len(),
        "{packer_name}: {name}: {said:?}"
    );
    let read = |bytes: &Bytes| packer.unpack_message(bytes, &Limits::default()).unwrap();
    for ((kind, ours), (their_kind, theirs)) in said.iter().zip(&expected) {
        assert_eq!(kind, their_kind, "{packer_name}: {name}");
        let (ours, theirs) = (read(ours), read(theirs));
        assert!(
            ours.identical(&theirs),
            "{packer_name}: {name}: {ours} for {theirs}"
        );
    }
    // What Sente only logs, the application is told.
    let unreadable = ["garbage", "empty", "truncated", "BINARY frame", "bad_event"];
    if packer_name != "edn" {
        let bad = unreadable.iter().any(|word| name.contains(word));
        assert_eq!(rig.bad, usize::from(bad), "{packer_name}: {name}");
    }
}

#[test]
fn every_recorded_exchange_of_frames_is_ours_in_every_packer() {
    let mut count = BTreeMap::<String, usize>::new();
    let rows = rows();
    let rows = rows
        .iter()
        .filter(|row| row.get("conn_alive_after").is_some());
    for row in rows {
        assert_eq!(row["conn_alive_after"], Json::Bool(true));
        exchange(row);
        let packer = field(row, "packer").unwrap().to_owned();
        *count.entry(packer).or_default() += 1;
    }
    assert_eq!(count.values().sum::<usize>(), 98, "{count:?}");
    assert_eq!(count.len(), 5, "{count:?}");
}

#[test]
fn a_message_that_is_too_long_closes_with_1009() {
    let row = row("message > http-kit :max-ws (4MB)");
    assert_eq!(row["server_sends"][0]["code"], Json::from(1009));
    let mut rig = edn_rig();
    let id = rig.connect("u", "c");
    rig.said(id);
    let long = format!("[[:test/echo {:?}] nil]", "x".repeat(4 * 1024 * 1024));
    rig.say(id, Kind::Text, long.as_bytes());
    assert!(rig.said(id).contains(&Said::Close(Some(1009))));
}

#[test]
fn pings_fragments_and_closes_of_the_websocket_are_answered_as_recorded() {
    let mut rig = edn_rig();
    let id = rig.connect("u", "c");
    rig.said(id);
    assert_eq!(recorded(&row("RFC6455 ping 'xyz'")), ["<pong ok>"]);
    rig.raw(id, b"\x89\x83\0\0\0\0xyz");
    assert_eq!(rig.said(id), [Said::Pong(b"xyz".to_vec())]);

    let echo = recorded(&row("fragmented text message"));
    for (head, part) in [(1, "[[:test/ech"), (0, "o 1] \"abc"), (0x80, "123\"]")] {
        let mut frame = vec![head, 0x80 | u8::try_from(part.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(part.as_bytes());
        rig.raw(id, &frame);
    }
    assert_eq!(rig.texts(id), echo);

    let close = row("client close 1001 'bye' => echoed close");
    assert_eq!(close["server_sends"][0]["code"], Json::from(1001));
    rig.raw(id, b"\x88\x85\0\0\0\0\x03\xe9bye");
    let said = rig.said(id);
    assert_eq!(said.first(), Some(&Said::Close(Some(1001))), "{said:?}");
}

#[test]
fn an_offer_of_deflate_is_passed_over_unless_the_server_wants_it() {
    let row = row("permessage-deflate offered by client; extensions negotiated: []");
    assert_eq!(recorded(&row).len(), 1);
    let request = "GET /chsk?client-id=pmd HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut upgrade = ServerUpgrade::new(UpgradeLimits::default());
    let mut bytes = BytesMut::from(request);
    upgrade.handle_input(&mut bytes);
    let request = upgrade.poll_request().unwrap().unwrap();
    let mut out = TransmitBuf::new();
    upgrade.accept(&request, &[], &mut out).unwrap();
    let head = String::from_utf8(out.copy_to_bytes(out.remaining()).to_vec());
    assert!(!head.unwrap().to_lowercase().contains("extensions"));
    assert!(edn_rig().config.deflate().is_none());
}

#[test]
fn pushes_go_to_every_client_of_a_user_and_to_the_newest_socket_of_each() {
    let mut rig = edn_rig();
    let old = rig.connect("m", "c1");
    let second = rig.connect("m", "c2");
    let handshake = ["[[:chsk/handshake [\"m\" nil nil]] nil]"];
    assert_eq!(rig.texts(old), handshake);
    assert_eq!(rig.texts(second), handshake);

    let reaches = row("2 clients, same uid: push reaches c1");
    let (kind, push) = frame(&reaches["client_sends"][0]);
    rig.say(old, kind, &push);
    assert_eq!(rig.texts(old), recorded(&reaches));
    assert_eq!(rig.texts(second), recorded(&row("... and c2")));

    let new = rig.connect("m", "c1");
    assert_eq!(rig.texts(new), handshake);
    rig.push("m", "\"dup\"");
    let reconnected =
        row("same uid+client-id reconnected while old socket open: NEW socket gets push");
    assert_eq!(rig.texts(new), recorded(&reconnected));
    assert_eq!(
        rig.texts(old),
        recorded(&row("... OLD socket gets nothing"))
    );

    let replies = row("... OLD socket still gets callback replies");
    let (kind, echo) = frame(&replies["client_sends"][0]);
    rig.say(old, kind, &echo);
    assert_eq!(rig.texts(old), recorded(&replies));

    rig.raw(old, b"\x88\x82\0\0\0\0\x03\xe8");
    rig.advance(seconds(10));
    rig.push("m", "\"after\"");
    let closing = row("... closing OLD does not unregister NEW");
    assert_eq!(rig.texts(new), recorded(&closing));

    let close = row("send-fn uid [:chsk/close]: closes all of uid's sockets (c2)");
    let (kind, message) = frame(&close["client_sends"][0]);
    rig.say(second, kind, &message);
    let said = rig.said(second);
    let mut expected: Vec<Said> = recorded(&close).into_iter().map(Said::Text).collect();
    expected.push(Said::Close(Some(1000)));
    assert_eq!(said[..3], expected);
    assert_eq!(
        row("... and c1")["server_sends"][0]["code"],
        Json::from(1000)
    );
    assert_eq!(rig.said(new).first(), Some(&Said::Close(Some(1000))));
}

#[test]
fn a_push_before_the_end_of_a_connection_reaches_the_same_client_and_no_other() {
    for (client_id, description) in [
        ("c1", "push issued just before close, reconnect 0.5s later"),
        (
            "c2",
            "same but reconnect with a different client-id: NOT delivered",
        ),
    ] {
        let mut rig = edn_rig();
        let first = rig.connect("R", "c1");
        rig.raw(first, b"\x88\x82\0\0\0\0\x03\xe8");
        rig.push("R", "\"gap\"");
        rig.advance(millis(500));
        let second = rig.connect("R", client_id);
        assert_eq!(rig.texts(second), recorded(&row(description)));
    }
}

#[test]
fn pushes_within_the_window_leave_as_one_batch() {
    let row = row("send-buf-ms-ws 300, 4 pushes 50ms apart: one batch");
    let mut rig = Rig::with(|config| config.flush_window(Some(millis(300))));
    let id = rig.connect("u", "c");
    rig.said(id);
    let (kind, push) = frame(&row["client_sends"][0]);
    rig.say(id, kind, &push);
    rig.advance(seconds(1));
    let name = field(&row, "description").unwrap();
    assert_eq!(rig.texts(id), difference("edn", name).unwrap());

    // Without a reply between them all leave together.
    let text = String::from_utf8(push).unwrap();
    rig.say(id, kind, text.replace("\"psh001\"", "nil").as_bytes());
    rig.advance(seconds(1));
    assert_eq!(rig.texts(id), recorded(&row)[1..]);
}

/// The times at which a client is pinged, in milliseconds, and the code it is closed with.
fn pings(pongs: bool) -> Vec<String> {
    let keepalive = Keepalive::new(millis(1000), millis(1000));
    let mut rig = Rig::with(|config| config.keepalive(Some(keepalive)));
    let id = rig.connect("k", "c");
    rig.said(id);
    let mut told = Vec::new();
    while rig.now <= Instant::from_millis(5_500) {
        for said in rig.said(id) {
            let at = rig.now.as_millis().to_string();
            match said {
                Said::Text(text) if text == "[:chsk/ws-ping nil]" => {
                    told.push(at);
                    if pongs {
                        rig.say(id, Kind::Text, b"[[:chsk/ws-pong] nil]");
                    }
                }
                Said::Close(code) => {
                    told.push(code.unwrap().to_string());
                    told.push(at);
                }
                Said::Eof => {}
                other => panic!("{other:?}"),
            }
        }
        rig.advance(millis(1));
    }
    told
}

#[test]
fn a_client_is_pinged_and_given_up_in_time() {
    let silent = row("ws-kalive-ms 2000");
    assert_eq!(silent["server_sends"][1]["ms"], Json::from(1001));
    let recorded_close = &silent["server_sends"][2];
    assert_eq!(field(recorded_close, "payload"), Some("timeout"));
    // The time of the ping, Sente's code, and the time of the close.
    assert_eq!(pings(false), ["1000", "1000", "2000"]);

    let answers = row("same, client answers [[:chsk/ws-pong] nil]");
    let times = answers["server_sends"].as_array().unwrap().iter().skip(1);
    let theirs: Vec<i64> = times.map(|sent| sent["ms"].as_i64().unwrap()).collect();
    assert_eq!(theirs, [999, 3001, 5012]);
    let name = field(&answers, "description").unwrap();
    assert_eq!(pings(true), difference("edn", name).unwrap());
}

#[test]
fn every_row_has_its_test_and_every_difference_its_row() {
    let rows = rows();
    let mut left: Vec<&str> = rows
        .iter()
        .filter(|row| row.get("conn_alive_after").is_none())
        // `every_recorded_refusal_of_an_upgrade_is_ours_too`
        .filter(|row| row.get("upgrade_status").is_none())
        .map(|row| field(row, "description").unwrap())
        .collect();
    let source = include_str!("server_vectors.rs");
    left.retain(|description| {
        let words = description.split_inclusive(' ');
        let mut start = String::new();
        // Named by as many of its words as make it unique.
        let named = words.map(|word| {
            start.push_str(word);
            source.contains(&format!("\"{}\"", start.trim_end()))
        });
        !named.into_iter().any(|named| named)
    });
    assert!(left.is_empty(), "{left:?}");
    for (packer, description, _, reason) in DIFFERENCES {
        let known = rows.iter().any(|row| {
            field(row, "packer") == Some(packer) && field(row, "description") == Some(description)
        });
        assert!(known && !reason.is_empty(), "{packer}: {description}");
    }
}
