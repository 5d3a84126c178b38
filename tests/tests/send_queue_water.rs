//! What is said of a send queue that fills and empties, and of what it can never hold.
#![allow(missing_docs)]

use sente_core::{
    Connection, ConnectionEvent, Instant, PackedEvent, PackedSendError, SendError, SendOptions,
    Sent,
};
use sente_tests::lines::{client, drop_oldest, latest, numbered, said, taken, volatile, written};
use sente_tests::{event, events, millis};

const NOW: Instant = Instant::EPOCH;

/// `HighWater` and `SendReady` as they are told.
fn water(connection: &mut Connection) -> Vec<&'static str> {
    events(connection)
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::HighWater(_) => Some("high"),
            ConnectionEvent::SendReady => Some("ready"),
            _ => None,
        })
        .collect()
}

#[test]
fn high_water_is_told_once_and_ready_at_low_water() {
    let mut client = client(|limits| {
        limits.max_send_messages = 8;
        limits.max_transmit_bytes = 1;
    });
    for n in 0..6 {
        client.send(NOW, numbered(n)).unwrap();
    }
    assert!(water(&mut client).is_empty(), "six of eight are 75 %");
    client.send(NOW, numbered(6)).unwrap();
    assert!(client.send_capacity().above_high_water);
    client.send(NOW, numbered(7)).unwrap();
    assert_eq!(water(&mut client), ["high"]);
    let mut told = Vec::new();
    for left in (0..8).rev() {
        assert_eq!(taken(&mut client).len(), 1);
        client.handle_transmitted(NOW);
        told.extend(water(&mut client).into_iter().map(|_| left));
    }
    assert_eq!(told, [4], "once, at half");
    assert!(!client.send_capacity().above_high_water);
}

#[test]
fn ready_is_told_while_draining_too() {
    let mut client = client(|limits| limits.max_send_messages = 2);
    client.send(NOW, numbered(0)).unwrap();
    client.send(NOW, numbered(1)).unwrap();
    assert!(client.send(NOW, numbered(2)).is_err());
    assert_eq!(water(&mut client), ["high"]);
    client.drain(NOW, NOW + millis(1_000));
    assert!(water(&mut client).is_empty(), "nothing has left");
    assert_eq!(written(&mut client, NOW).len(), 3, "two and the end");
    assert_eq!(water(&mut client), ["ready"]);
    assert!(!client.send_capacity().above_high_water);
    assert!(matches!(
        client.send(NOW, numbered(2)),
        Err(SendError::NotOpen(_))
    ));
}

#[test]
fn ready_is_told_at_once_where_only_reservations_stood_before_a_drain() {
    let mut client = client(|limits| limits.max_send_messages = 1);
    let ticket = client.reserve(NOW, 10, None).unwrap();
    assert!(client.send(NOW, numbered(0)).is_err());
    client.drain(NOW, NOW + millis(1_000));
    assert_eq!(water(&mut client), ["ready"]);
    assert!(!client.release(NOW, ticket));
}

#[test]
fn a_send_ready_is_told_in_its_order_and_ahead_of_the_messages() {
    for ahead in [false, true] {
        let mut client = client(|limits| {
            limits.max_send_messages = 1;
            limits.send_high_water = 100;
        });
        client.send(NOW, numbered(0)).unwrap();
        assert!(client.send(NOW, numbered(1)).is_err());
        let before = client.flush(NOW);
        said(&mut client, NOW, "[:a/b]\n");
        assert_eq!(written(&mut client, NOW).len(), 1);
        let after = client.flush(NOW);
        let told: Vec<String> = std::iter::from_fn(|| match ahead {
            true => client.poll_answer(),
            false => client.poll_event(),
        })
        .map(|event| match event {
            ConnectionEvent::Flushed(id) if id == before => "before".into(),
            ConnectionEvent::Flushed(id) if id == after => "after".into(),
            ConnectionEvent::Message(_) => "message".into(),
            other => format!("{other:?}"),
        })
        .collect();
        let expected = ["message", "SendReady", "before", "after"];
        assert_eq!(told, expected[usize::from(ahead)..]);
    }
}

#[test]
fn a_send_ready_nobody_took_is_taken_back_by_the_next_refusal() {
    let mut client = client(|limits| limits.max_send_messages = 2);
    for round in 0..3 {
        client.send(NOW, numbered(0)).unwrap();
        client.send(NOW, numbered(1)).unwrap();
        assert!(client.send(NOW, numbered(2)).is_err());
        if round < 2 {
            assert_eq!(written(&mut client, NOW).len(), 2);
        }
    }
    assert_eq!(water(&mut client), ["high"]);
    assert_eq!(written(&mut client, NOW).len(), 2);
    assert_eq!(water(&mut client), ["ready"]);
}

#[test]
fn an_event_that_an_empty_queue_could_not_hold_is_too_large() {
    let mut client = client(|limits| limits.max_send_bytes = 20);
    let big = || event("[:a/big \"0123456789\"]");
    for options in [SendOptions::new(), drop_oldest(), latest("x")] {
        let sent = client.send_with(NOW, big(), options);
        let too_large = matches!(
            sent,
            Err(SendError::TooLarge {
                size: 21,
                limit: 20,
                ..
            })
        );
        assert!(too_large, "{sent:?}");
    }
    let called = client.call(NOW, event("[:q/a \"01234\"]"), millis(1));
    assert!(
        matches!(called, Err(SendError::TooLarge { .. })),
        "with its callback id"
    );
    let packed = PackedEvent::pack(&big(), &sente_core::packer::Edn).unwrap();
    let sent = client.send_packed(NOW, &packed);
    assert_eq!(sent, Err(PackedSendError::TooLarge));
    let ticket = client.reserve(NOW, 10, None).unwrap();
    let sent = client.send_reserved(NOW, ticket, big());
    assert!(matches!(sent, Err(SendError::TooLarge { .. })));
    assert!(client.release(NOW, ticket), "it stays");
    // Nobody waits for room that there will never be.
    assert!(water(&mut client).is_empty());
    assert_eq!(client.stats().sends_refused, 6);
    assert_eq!(client.pending_calls(), 0);
}

#[test]
fn a_volatile_event_is_never_refused_as_full() {
    let mut client = client(|limits| limits.max_send_bytes = 20);
    let big = event("[:a/big \"0123456789\"]");
    let sent = client.send_with(NOW, big, volatile()).unwrap();
    assert_eq!(sent, Sent::Dropped);
    assert!(water(&mut client).is_empty());
}
