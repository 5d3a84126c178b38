//! The client's side of Ajax beside what real clients asked and a real server answered.
#![allow(missing_docs)]

mod ajax_support;

use std::collections::BTreeMap;

use ajax_support::link::{HANDSHAKE, answer, asks, events, new, opened, sent, settled};
use ajax_support::{NOW, second};
use bytes::Bytes;
use sente_core::admission::Request;
use sente_core::ajax::{AjaxClient, AjaxClientConfig};
use sente_core::{CallError, ConnectionEvent};
use sente_tests::vectors::{field, load};
use sente_tests::{edn, event};

#[test]
fn our_requests_say_what_the_recorded_ones_say() {
    let file = load("sente/ajax-all.json");
    let row = |description: &str| {
        let rows = file.as_array().unwrap().iter();
        let mut rows = rows.filter(|row| field(row, "description") == Some(description));
        rows.next().unwrap()["request"].clone()
    };
    let recorded = |description: &str| {
        let row = row(description);
        let mut request = Request::new(field(&row, "method").unwrap(), field(&row, "url").unwrap());
        for (name, value) in row["headers"].as_object().unwrap() {
            request = request.with_header(name, value.as_str().unwrap());
        }
        request.with_body(Bytes::from(
            field(&row, "body_text").unwrap_or_default().to_owned(),
        ))
    };
    let mut client = AjaxClient::new(
        AjaxClientConfig::builder("/chsk")
            .param("uid", "ajax-edn")
            .build()
            .unwrap(),
        "ajax-edn",
        [1; 32],
        NOW,
    );
    let handshake = sent(&mut client);
    same(
        &handshake.request,
        &recorded("handshake poll (handshake?=1)"),
    );
    answer(&mut client, NOW, handshake.exchange, HANDSHAKE);
    same(
        &sent(&mut client).request,
        &recorded("long-poll answered by a server push (batch)"),
    );
    client.send(NOW, event("[:test/plain {:a 1}]")).unwrap();
    let post = sent(&mut client);
    same(&post.request, &recorded("send without callback"));
    answer(&mut client, NOW, post.exchange, "[:chsk/dummy-cb-200 nil]");
    let call = event("[:test/echo {:x [1 \"two\" :three]}]");
    client.call(NOW, call, second(9)).unwrap();
    same(
        &sent(&mut client).request,
        &recorded("send with callback, replied"),
    );
}

/// Whether both ask the same: the same parameters with the same values, but for `udt`, which every
/// request has another of. In posts we name the application's parameters too, where Sente does not.
fn same(ours: &Request, theirs: &Request) {
    assert_eq!(
        (ours.method(), ours.path()),
        (theirs.method(), theirs.path())
    );
    assert_eq!(asks(ours), asks(theirs));
    assert_eq!(ours.header("content-type"), theirs.header("content-type"));
    let names = [
        "uid",
        "udt",
        "client-id",
        "handshake?",
        "csrf-token",
        "ppstr",
        "binary?",
    ];
    for name in names {
        let (here, there) = (ours.param(name), theirs.param(name));
        match name {
            "udt" => assert!(here.is_some() && there.is_some()),
            "uid" if ours.method() == "POST" => assert!(here.is_some() && there.is_none()),
            _ => assert_eq!(here, there, "{name}"),
        }
    }
}

#[test]
fn every_recorded_answer_in_edn_is_read() {
    let file = load("sente/ajax-all.json");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for row in file.as_array().unwrap() {
        let response = &row["response"];
        let edn_ok =
            field(row, "packer") == Some("edn") && response["status"].as_u64() == Some(200);
        let Some(body) = field(response, "body_text").filter(|_| edn_ok) else {
            continue;
        };
        let method = field(&row["request"], "method").unwrap();
        let recorded = edn(body);
        let first = recorded.as_sequence().unwrap()[0].clone();
        if method == "POST" {
            let (mut client, _) = opened(|config| config);
            client.call(NOW, event("[:a/ask]"), second(9)).unwrap();
            let post = sent(&mut client);
            answer(&mut client, NOW, post.exchange, body);
            let told = events(&mut client);
            match settled(&told)[..] {
                [Ok(payload)] => assert_eq!(payload.to_value().unwrap(), first),
                [Err(error)] => {
                    assert_eq!((error, body), (CallError::Timeout, "[:chsk/timeout nil]"));
                }
                _ => panic!("{told:?}"),
            }
            *seen.entry("reply").or_default() += 1;
            continue;
        }
        let mut client = new(|config| config);
        let handshake = sent(&mut client);
        if body.starts_with("[[:chsk/handshake") {
            answer(&mut client, NOW, handshake.exchange, body);
            let told = events(&mut client);
            assert!(matches!(told[..], [ConnectionEvent::Opened(_)]), "{body}");
            *seen.entry("handshake").or_default() += 1;
            continue;
        }
        let (mut client, poll) = opened(|config| config);
        answer(&mut client, NOW, poll, body);
        let told = events(&mut client);
        if body == "[:chsk/timeout nil]" {
            assert!(told.is_empty());
            *seen.entry("timeout").or_default() += 1;
            continue;
        }
        let values: Vec<_> = told
            .iter()
            .map(|event| match event {
                ConnectionEvent::Message(message) => message.event.to_value().unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, first.as_sequence().unwrap(), "{body}");
        *seen.entry("push").or_default() += 1;
    }
    let expected = BTreeMap::from([
        ("handshake", 16),
        ("push", 4),
        ("reply", 20),
        ("timeout", 2),
    ]);
    assert_eq!(seen, expected);
}
