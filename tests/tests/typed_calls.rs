//! Calls with data of a Rust type: the same frames as those of an event, and the same refusals.
#![allow(missing_docs)]

use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, Limits, PackedEvent, PackedSendError, Payload, Role, TransmitBuf, TypedSendError,
};

const NOW: Instant = Instant::EPOCH;
const SOON: Duration = Duration::from_secs(5);

fn open(limits: Limits) -> Connection {
    let config = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .limits(limits)
        .build()
        .unwrap();
    let mut connection = Connection::new(config, [1; 32], NOW);
    let mut handshake = BytesMut::from("[:chsk/handshake [\"u\" nil nil true]]\n");
    connection.handle_input(NOW, Input::Bytes(&mut handshake));
    while connection.poll_event().is_some() {}
    connection
}

fn id() -> EventId {
    EventId::new("clock/ask").unwrap()
}

fn written(connection: &mut Connection) -> String {
    let mut out = TransmitBuf::new();
    let mut text = Vec::new();
    while connection.poll_transmit(&mut out).is_some() {
        while out.has_remaining() {
            let chunk = out.chunk().to_vec();
            out.advance(chunk.len());
            text.extend(chunk);
        }
        connection.handle_transmitted(NOW);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_typed_call_leaves_as_the_call_of_its_event() {
    let (mut typed, mut plain) = (open(Limits::default()), open(Limits::default()));
    for data in [vec![1, 2], vec![], (0..3_000).collect()] {
        let call = typed.call_typed(NOW, &id(), &data, SOON).unwrap();
        let event = Event::new(id(), Payload::from_typed(&data).unwrap());
        assert_eq!(plain.call(NOW, event, SOON).unwrap(), call);
    }
    let frames = written(&mut typed);
    assert!(frames.starts_with("[[:clock/ask [1 2]] \""), "{frames}");
    assert_eq!(frames, written(&mut plain));
}

#[test]
fn a_typed_call_settles_with_its_answer() {
    let mut connection = open(Limits::default());
    let call = connection.call_typed(NOW, &id(), &7, SOON).unwrap();
    let frame = written(&mut connection);
    let name = frame.trim_end().trim_end_matches(']').rsplit(' ').next();
    let answer = format!("[:chsk/reply {{:cb-uuid {}, :data 8}}]\n", name.unwrap());
    connection.handle_input(NOW, Input::Bytes(&mut BytesMut::from(answer.as_str())));
    let Some(ConnectionEvent::Settled { call: of, result }) = connection.poll_event() else {
        panic!("not settled")
    };
    assert_eq!(of, call);
    assert_eq!(result.unwrap().deserialize::<u8>().unwrap(), 8);
}

#[test]
fn a_typed_call_is_refused_as_a_call_is() {
    let mut limits = Limits::default();
    limits.max_pending_calls = 1;
    let mut connection = open(limits);
    connection.call_typed(NOW, &id(), &7, SOON).unwrap();
    let refused = connection.call_typed(NOW, &id(), &7, SOON).unwrap_err();
    let many = PackedSendError::TooManyCalls { limit: 1 };
    assert_eq!(refused, TypedSendError::Refused(many));
    assert_eq!(connection.stats().sends_refused, 1);
    connection.close(NOW);
    let refused = connection.call_typed(NOW, &id(), &7, SOON).unwrap_err();
    assert_eq!(refused, TypedSendError::Refused(PackedSendError::NotOpen));
}

#[test]
fn what_was_framed_already_comes_back_when_the_connection_ends_before_it_left() {
    let mut connection = open(Limits::default());
    connection.send_typed(NOW, &id(), &1).unwrap();
    connection.call_typed(NOW, &id(), &2, SOON).unwrap();
    connection.send(NOW, Event::new(id(), 3)).unwrap();
    assert_eq!(connection.send_capacity().messages, 3);
    connection.close(NOW);
    let mut undelivered = Vec::new();
    while let Some(event) = connection.poll_event() {
        if let ConnectionEvent::Undelivered(events) = event {
            undelivered.extend(events);
        }
    }
    let bytes: Vec<_> = undelivered.iter().map(PackedEvent::bytes).collect();
    assert_eq!(bytes, ["[:clock/ask 1]", "[:clock/ask 3]"]);
    assert_eq!(connection.send_capacity().messages, 0);
    assert_eq!(written(&mut connection), "");
}
