//! Connections that speak MessagePack with each other: events, batches, calls and Rust types.
#![allow(missing_docs)]

mod packer_msgpack_support;

use std::sync::Arc;

use packer_msgpack_support::pack;
use sente_core::packer::msgpack::Endian;
use sente_core::packer::{MsgPack, Packer};
use sente_core::{Carrier, ConnectionConfig, ConnectionEvent, Dialect, PackedEvent, Payload, Role};
use sente_edn::{Inst, Keyword, Value};
use sente_tests::{Pair, edn, event, events, id, messages, seconds};
use serde::{Deserialize, Serialize};

fn config(role: Role, dialect: Dialect, carrier: Carrier) -> Arc<ConnectionConfig> {
    ConnectionConfig::builder(role, dialect, carrier)
        .packer(Arc::new(MsgPack::new()))
        .build()
        .unwrap()
}

fn pairs() -> Vec<Pair> {
    let kinds = [
        (Dialect::Sente, Carrier::WebSocket),
        (Dialect::SenteLite, Carrier::WebSocket),
        (Dialect::Sente, Carrier::LengthPrefixed),
        (Dialect::SenteLite, Carrier::LengthPrefixed),
    ];
    let pair = |(dialect, carrier)| {
        Pair::with(
            config(Role::Client, dialect, carrier),
            config(Role::Server, dialect, carrier),
        )
    };
    kinds.map(pair).into()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Say {
    text: String,
    #[serde(rename = "chat/to")]
    to: Vec<u32>,
    kind: Keyword,
    at: Inst,
}

fn say(text: &str) -> Say {
    Say {
        text: text.to_owned(),
        to: vec![1, 70_000],
        kind: Keyword::new("chat/loud").unwrap(),
        at: Inst::from_millis(1_767_323_045_678).unwrap(),
    }
}

#[test]
fn events_and_batches_arrive_as_they_were_sent() {
    for mut pair in pairs() {
        let sent: Vec<Value> = (0..20)
            .map(|n| {
                edn(&format!(
                    "[:chat/say {{:n {n} :set #{{{n} :a}} :text \"é\"}}]"
                ))
            })
            .collect();
        for value in &sent {
            let event = event(&value.to_string());
            pair.server.send(pair.now, event.clone()).unwrap();
            pair.client.send(pair.now, event).unwrap();
        }
        pair.drive();
        for side in [&mut pair.client, &mut pair.server] {
            let got = messages(side).into_iter();
            let got: Vec<Value> = got
                .map(|message| message.event.to_value().unwrap())
                .collect();
            assert_eq!(got, sent);
        }
    }
}

#[test]
fn calls_settle_with_the_reply_or_the_error() {
    let mut pair = Pair::with(
        config(Role::Client, Dialect::Sente, Carrier::WebSocket),
        config(Role::Server, Dialect::Sente, Carrier::WebSocket),
    );
    for reply in ["{:answer 42}", "nil", ":chsk/error"] {
        let call = pair
            .client
            .call(pair.now, event("[:chat/ask {:a 1}]"), seconds(5))
            .unwrap();
        pair.drive();
        let token = messages(&mut pair.server).remove(0).reply.unwrap();
        pair.server.reply(pair.now, token, edn(reply)).unwrap();
        pair.drive();
        let told = events(&mut pair.client);
        let [
            ConnectionEvent::Settled {
                call: settled,
                result,
            },
        ] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!(*settled, call);
        match result {
            Ok(payload) => assert_eq!(payload.to_value().unwrap(), edn(reply)),
            Err(_) => assert_eq!(reply, ":chsk/error"),
        }
    }
}

#[test]
fn rust_types_are_sent_and_received_without_a_value_between() {
    for mut pair in pairs() {
        let packed = PackedEvent::pack_typed(&id("chat/say"), &say("hi"), &MsgPack::new()).unwrap();
        let value = sente_edn::serde::to_value(&say("hi")).unwrap();
        let whole = [edn(":chat/say"), value].into_iter().collect();
        assert_eq!(packed.bytes(), &pack(&whole));
        pair.server.send_packed(pair.now, &packed).unwrap();
        pair.drive();
        let got = messages(&mut pair.client).remove(0);
        let payload: Payload = got.event.data.unwrap();
        assert_eq!(payload.deserialize::<Say>().unwrap(), say("hi"));
        let error = payload.deserialize::<Vec<u8>>().unwrap_err();
        assert_eq!((error.packer.as_str(), error.offset), ("msgpack", Some(0)));
    }
    let error = PackedEvent::pack_typed(&id("a/b"), &u64::MAX, &MsgPack::new()).unwrap_err();
    assert!(error.message.contains("64 bits"), "{error}");
}

#[test]
fn packers_that_mean_other_values_by_the_same_bytes_do_not_share_them() {
    let little = MsgPack::new().typed_arrays(Endian::Little);
    let packed =
        |packer: &MsgPack| PackedEvent::pack(&event("[:a/b #array/int [1]]"), packer).unwrap();
    assert_ne!(packed(&little).format(), packed(&MsgPack::new()).format());
    assert_ne!(packed(&little).bytes(), packed(&MsgPack::new()).bytes());
    // By a Rust type as well: of 64 bits for a browser, by way of a value.
    let safe = MsgPack::new().safe_integers(true);
    assert!(PackedEvent::pack_typed(&id("a/b"), &(1_u64 << 53), &safe).is_err());
    let event = PackedEvent::pack_typed(&id("a/b"), &[1, 2], &safe).unwrap();
    assert_eq!(event.format(), safe.format());
}

/// The key cache is the sender's own business: the receiver reads what comes.
#[test]
fn a_sender_with_a_key_cache_is_understood() {
    let packer = |on| Arc::new(MsgPack::new().key_cache(on));
    let built = |role, on| {
        ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
            .packer(packer(on))
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(built(Role::Client, true), built(Role::Server, true));
    let text = "[:chat/list [{:id 1 :name \"a\"} {:id 2 :name \"b\"} #{{:id 3}}]]";
    for _ in 0..3 {
        pair.server.send(pair.now, event(text)).unwrap();
        pair.client.send(pair.now, event(text)).unwrap();
    }
    pair.drive();
    for side in [&mut pair.client, &mut pair.server] {
        let got = messages(side);
        assert_eq!(got.len(), 3);
        for message in got {
            let value = message.event.to_value().unwrap();
            assert_eq!(value, edn(text));
            // What was received can be passed on: it refers to nothing.
            let raw = message.event.data.unwrap().raw().unwrap().clone();
            assert!(
                MsgPack::new()
                    .unpack(&raw, &sente_core::Limits::default())
                    .is_ok()
            );
        }
    }
}
