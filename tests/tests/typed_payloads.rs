//! Payloads as Rust types, whatever the packer, and Rust types as payloads.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Json, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, Input, Instant,
    Limits, PackedEvent, PackedSendError, Payload, ReplyError, Role, TransmitBuf, TypedSendError,
};
use sente_edn::serde::RawEdn;
use sente_edn::{Inst, Keyword, Value};
use sente_tests::{Pair, RawPeer, edn, events, id, messages, seconds};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Say {
    text: String,
    kind: Keyword,
    at: Option<Inst>,
    #[serde(rename = "chat/to")]
    to: Vec<u64>,
    more: BTreeMap<String, f64>,
}

fn say() -> Say {
    Say {
        text: "hi \"there\"\n😀".into(),
        kind: Keyword::new("chat/say").unwrap(),
        at: Some(Inst::from_millis(1_767_323_045_678).unwrap()),
        to: vec![1, u64::MAX],
        more: BTreeMap::from([("x".into(), 1.0), ("y z".into(), -0.5)]),
    }
}

/// A format that nothing here knows: EDN with a letter before each value.
#[derive(Debug)]
struct Lettered;

const LETTER: u8 = b'L';

impl Packer for Lettered {
    fn name(&self) -> &str {
        "lettered"
    }

    fn kind(&self) -> Kind {
        Kind::Binary
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        if matches!(value, Value::Float(value) if value.is_nan()) {
            return Err(PackError::new("lettered", "no NaN"));
        }
        out.push(LETTER);
        Edn.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        match packed.split_first() {
            Some((&LETTER, text)) => Edn.unpack(text, limits),
            _ => Err(UnpackError::Other {
                offset: 0,
                message: "no letter".into(),
            }),
        }
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        Edn.walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        Edn.entries(packed, limits, visit);
    }

    fn sequence(&self, len: usize) -> Tokens {
        Edn.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        Edn.map(len)
    }
}

fn config(role: Role, packer: Arc<dyn Packer>) -> Arc<ConnectionConfig> {
    ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::WebSocket)
        .packer(packer)
        .build()
        .unwrap()
}

/// The payload of an event that came in as this data.
fn received(packer: Arc<dyn Packer>, data: &str) -> Payload {
    let mut server = Connection::new(
        config(Role::Server, packer.clone()),
        [1; 32],
        Instant::EPOCH,
    );
    let mut peer = RawPeer::new(Role::Client);
    server.accept(Instant::EPOCH, Accept::new("u"));
    peer.hear(&mut server, Instant::EPOCH);
    let frame = match packer.format() {
        "json" => format!("[\"a/b\",{data}]"),
        _ => format!("[:a/b {data}]"),
    };
    peer.say(&mut server, Instant::EPOCH, &frame);
    let [message] = messages(&mut server).try_into().unwrap();
    message.event.data.unwrap()
}

#[test]
fn a_received_payload_becomes_a_rust_type() {
    let edn_text = r#"{:text "hi \"there\"\n😀" :kind :chat/say :at #inst "2026-01-02T03:04:05.678Z"
                       :chat/to (1 18446744073709551615N) :more {:x 1 "y z" -0.5}, :other nil}"#;
    let json_text = r#"{"text":"hi \"there\"\n\ud83d\ude00","kind":"chat/say",
                        "at":"2026-01-02T03:04:05.678Z", "chat/to":[1,18446744073709551615],
                        "more":{"x":1,"y z":-0.5},"other":null}"#;
    for payload in [
        received(Arc::new(Edn), edn_text),
        received(Arc::new(Json::new()), json_text),
        Payload::from(edn(edn_text)),
    ] {
        assert_eq!(payload.deserialize::<Say>().unwrap(), say());
    }
    assert_eq!(
        Payload::from(Value::Nil)
            .deserialize::<Option<u8>>()
            .unwrap(),
        None
    );
}

#[test]
fn errors_name_the_packer_and_the_place() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read into")]
    struct Named {
        name: Vec<u8>,
    }
    for (packer, text, offset, message) in [
        (
            Arc::new(Edn) as Arc<dyn Packer>,
            "{:name [1 :x]}",
            Some(10),
            "found keyword `:x`, expected u8 at byte 10 in [:name 1]",
        ),
        (
            Arc::new(Edn),
            "{}",
            Some(0),
            "missing field `name` at byte 0",
        ),
        (
            Arc::new(Json::new()),
            r#"{"name":[1,"x"]}"#,
            Some(13),
            "invalid type: string \"x\", expected u8 at byte 13",
        ),
        (
            Arc::new(Json::new()),
            "{\n\"name\":\n[1,300]}",
            Some(15),
            "invalid value: integer `300`, expected u8 at byte 15",
        ),
        (
            Arc::new(Json::new()),
            "{}",
            Some(1),
            "missing field `name` at byte 1",
        ),
        (
            Arc::new(Json::new()),
            "null",
            Some(3),
            "invalid type: null, expected struct Named at byte 3",
        ),
    ] {
        let error = received(packer.clone(), text)
            .deserialize::<Named>()
            .unwrap_err();
        assert_eq!(error.packer, packer.name());
        assert_eq!(
            (error.to_string().as_str(), error.offset),
            (message, offset),
            "{text}"
        );
    }
    let error = Payload::from(edn("[1]"))
        .deserialize::<String>()
        .unwrap_err();
    assert_eq!((error.packer.as_str(), error.offset), ("edn", None));
    assert_eq!(error.message, "found a vector, expected a string");
}

#[test]
fn nesting_beyond_what_types_may_have_is_an_error_and_no_crash() {
    #[derive(Debug, Deserialize)]
    struct Nested(#[expect(dead_code, reason = "it is only read into")] Vec<Self>);

    let text = format!("{}{}", "[".repeat(400), "]".repeat(400));
    for packer in [Arc::new(Edn) as Arc<dyn Packer>, Arc::new(Json::new())] {
        let payload = received(packer, &text);
        assert!(payload.to_value().is_ok());
        assert!(payload.deserialize::<Nested>().is_err());
    }
    assert!(Payload::from(edn(&text)).deserialize::<Nested>().is_err());
}

#[test]
fn a_packed_event_is_written_from_the_type() {
    let packed = |packer: &dyn Packer| PackedEvent::pack_typed(&id("chat/say"), &say(), packer);
    let event = packed(&Edn).unwrap();
    assert_eq!(event.format(), "edn");
    assert_eq!(
        event.bytes(),
        concat!(
            r#"[:chat/say {:text "hi \"there\"\n😀", :kind :chat/say, "#,
            r#":at #inst "2026-01-02T03:04:05.678-00:00", "#,
            r#":chat/to [1 18446744073709551615N], :more {"x" 1.0, "y z" -0.5}}]"#
        )
    );
    let event = packed(&Json::new()).unwrap();
    assert_eq!(event.format(), "json");
    assert_eq!(
        event.bytes(),
        concat!(
            r#"["chat/say",{"text":"hi \"there\"\n😀","kind":":chat/say","#,
            r#""at":"2026-01-02T03:04:05.678-00:00","#,
            r#""chat/to":[1,18446744073709551615],"more":{"x":1.0,"y z":-0.5}}]"#
        )
    );
    let event = packed(&Lettered).unwrap();
    assert_eq!(event.format(), "lettered");
    let text = String::from_utf8(event.bytes().to_vec()).unwrap();
    assert!(text.starts_with("[L:chat/say L{:text "), "{text}");
}

#[test]
fn what_cannot_be_packed_is_an_error_that_names_the_packer() {
    let map = BTreeMap::from([((1, 2), 3)]);
    for (packer, name) in [
        (&Json::new() as &dyn Packer, "json"),
        (&Lettered as &dyn Packer, "lettered"),
    ] {
        let error = match name {
            "json" => PackedEvent::pack_typed(&id("a/b"), &map, packer),
            _ => PackedEvent::pack_typed(&id("a/b"), &f64::NAN, packer),
        };
        let error = error.unwrap_err();
        assert_eq!(
            (error.packer.as_str(), error.offset),
            (name, None),
            "{error}"
        );
    }
    #[derive(Serialize)]
    struct Odd {
        #[serde(rename = "no keyword")]
        field: u8,
    }
    let odd = Odd { field: 1 };
    assert!(PackedEvent::pack_typed(&id("a/b"), &odd, &Edn).is_err());
    assert!(PackedEvent::pack_typed(&id("a/b"), &odd, &Json::new()).is_ok());
}

#[test]
fn raw_text_with_line_breaks_is_written_on_one_line() {
    let raw = RawEdn::new("[1\n ;; two\n 2]").unwrap();
    let event = PackedEvent::pack_typed(&id("a/b"), &raw, &Edn).unwrap();
    assert_eq!(event.bytes(), "[:a/b [1 2]]");
    let payload = Payload::typed(&raw, &config(Role::Client, Arc::new(Edn))).unwrap();
    assert_eq!(payload.raw(), Some(&Bytes::from("[1 2]")));
}

#[test]
fn typed_payloads_are_sent_called_and_replied_with() {
    for packer in [Arc::new(Edn) as Arc<dyn Packer>, Arc::new(Json::new())] {
        let mut pair = Pair::with(
            config(Role::Client, packer.clone()),
            config(Role::Server, packer.clone()),
        );
        let now = pair.now;
        let data = Payload::typed(&say(), pair.client.config()).unwrap();
        let ask = Event::new(id("chat/ask"), data);
        pair.client.send(now, ask.clone()).unwrap();
        pair.client.call(now, ask, seconds(5)).unwrap();
        pair.drive();
        let [said, asked] = messages(&mut pair.server).try_into().unwrap();
        for message in [&said, &asked] {
            let data = message.event.data.as_ref().unwrap();
            assert_eq!(data.deserialize::<Say>().unwrap(), say());
        }
        let answer = Payload::typed(&(7, "yes"), pair.server.config()).unwrap();
        pair.server
            .reply(now, asked.reply.unwrap(), answer)
            .unwrap();
        let push = PackedEvent::pack_typed(&id("chat/said"), &say(), &*packer).unwrap();
        pair.server.send_packed(now, &push).unwrap();
        pair.drive();
        let mut seen = 0;
        for event in events(&mut pair.client) {
            match event {
                ConnectionEvent::Settled { result, .. } => {
                    let answer: (u8, String) = result.unwrap().deserialize().unwrap();
                    assert_eq!(answer, (7, "yes".into()));
                    seen += 1;
                }
                ConnectionEvent::Message(message) => {
                    let data = message.event.data.unwrap();
                    assert_eq!(data.deserialize::<Say>().unwrap(), say());
                    seen += 1;
                }
                _ => {}
            }
        }
        assert_eq!(seen, 2);
    }
}

#[test]
fn a_typed_event_is_sent_as_its_payload_would_be() {
    let packers: [Arc<dyn Packer>; 3] = [Arc::new(Edn), Arc::new(Json::new()), Arc::new(Lettered)];
    for packer in packers {
        let config = config(Role::Server, packer);
        let [mut typed, mut payload] = [1, 2].map(|seed| {
            let mut connection = Connection::new(config.clone(), [seed; 32], Instant::EPOCH);
            let refused = connection.send_typed(Instant::EPOCH, &id("a/b"), &1);
            assert_eq!(refused, Err(PackedSendError::NotOpen.into()));
            connection.accept(Instant::EPOCH, Accept::new("u"));
            connection
        });
        for _ in 0..2 {
            let event = Event::new(id("chat/say"), Payload::typed(&say(), &config).unwrap());
            payload.send(Instant::EPOCH, event).unwrap();
            typed
                .send_typed(Instant::EPOCH, &id("chat/say"), &say())
                .unwrap();
        }
        let [by_typed, by_payload] = [typed, payload].map(|mut connection| {
            let mut out = TransmitBuf::new();
            let mut written = Vec::new();
            while connection.poll_transmit(&mut out).is_some() {
                written.extend_from_slice(&out.copy_to_bytes(out.remaining()));
                connection.handle_transmitted(Instant::EPOCH);
            }
            assert_eq!(connection.stats().events_queued, 2);
            assert_eq!(connection.stats().sends_refused, 1);
            written
        });
        assert_eq!(by_typed, by_payload);
    }
}

#[test]
fn what_no_frame_holds_and_what_cannot_be_packed_is_refused_when_it_is_typed() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 100;
    let builder = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let builder = builder.limits(limits);
    let mut connection = Connection::new(builder.build().unwrap(), [1; 32], Instant::EPOCH);
    connection.accept(Instant::EPOCH, Accept::new("u"));
    let long = connection.send_typed(Instant::EPOCH, &id("a/b"), &"x".repeat(100));
    assert_eq!(long, Err(PackedSendError::TooLarge.into()));
    let odd = BTreeMap::from([((), 1), ((), 2)]);
    let odd = connection.send_typed(Instant::EPOCH, &id("a/b"), &Failing(odd));
    assert!(matches!(odd, Err(TypedSendError::Unpackable(_))), "{odd:?}");
    assert_eq!(connection.stats().sends_refused, 2);
    assert_eq!(connection.stats().oversized_refused, 1);
    // Nothing of it is left for the next.
    connection
        .send_typed(Instant::EPOCH, &id("a/b"), &1)
        .unwrap();
    let mut out = TransmitBuf::new();
    assert!(connection.poll_transmit(&mut out).is_some());
    assert!(out.chunk().ends_with(b"\n[:a/b 1]\n"));
}

/// What says no when it is half written.
struct Failing(BTreeMap<(), i32>);

impl Serialize for Failing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeSeq};
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element(&self.0.len())?;
        Err(S::Error::custom("no more"))
    }
}

#[test]
fn a_reply_too_large_gives_the_payload_back_that_came() {
    let mut limits = Limits::default();
    limits.max_frame_bytes = 60;
    let builder = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let builder = builder.limits(limits);
    let mut connection = Connection::new(builder.build().unwrap(), [1; 32], Instant::EPOCH);
    connection.accept(Instant::EPOCH, Accept::new("u"));
    let call = b"[[:a/b {:text \"nearly all of a frame\"}] \"cb\"]\n";
    connection.handle_input(Instant::EPOCH, Input::Bytes(&mut call.as_slice().into()));
    let message = messages(&mut connection).pop().unwrap();
    let data = message.event.data.unwrap();
    let refused = connection.reply(Instant::EPOCH, message.reply.unwrap(), data);
    let Err(ReplyError::TooLarge { payload, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(payload.raw().unwrap(), "{:text \"nearly all of a frame\"}");
}

proptest! {
    #[test]
    fn any_type_comes_back_through_any_packer(
        text in any::<String>(),
        name in "[a-z]{1,5}(/[a-z]{1,5})?",
        at in prop::option::of(0..4_000_000_000_000_i64),
        to in prop::collection::vec(any::<u64>(), 0..4),
        more in prop::collection::btree_map(any::<String>(), -1e9..1e9, 0..4),
    ) {
        let say = Say {
            text,
            kind: Keyword::new(&name).unwrap(),
            at: at.map(|at| Inst::from_millis(at).unwrap()),
            to,
            more,
        };
        for packer in [
            Arc::new(Edn) as Arc<dyn Packer>,
            Arc::new(Json::new()),
        ] {
            let payload = Payload::typed(&say, &config(Role::Client, packer)).unwrap();
            prop_assert_eq!(payload.deserialize::<Say>().unwrap(), say.clone());
            // And what was typed is a value like any other.
            prop_assert!(payload.to_value().is_ok());
        }
        let event = PackedEvent::pack_typed(&id("a/b"), &say, &Lettered).unwrap();
        let bytes = event.bytes();
        let data = &bytes["[L:a/b ".len()..bytes.len() - 1];
        let value = Lettered.unpack(data, &Limits::default()).unwrap();
        prop_assert_eq!(Payload::from(value).deserialize::<Say>().unwrap(), say);
    }
}
