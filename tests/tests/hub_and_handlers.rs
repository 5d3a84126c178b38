//! Whom an event is for: the hub's targets and the registry's handlers.
#![allow(missing_docs)]

use std::sync::Arc;

use sente_core::packer::Edn;
use sente_core::{
    Carrier, ConnId, Dialect, Gone, Hub, Instant, PackedSendError, Pattern, Registry, Target,
};
use sente_tests::{Pair, event, id, messages, text};

fn conn(n: u8) -> ConnId {
    ConnId::new(1_700_000_000_000 + u64::from(n), &[n; 10])
}

#[test]
fn connection_ids_sort_by_time_and_print_as_uuid_v7() {
    assert!(conn(1) < conn(2));
    let text = conn(1).to_string();
    assert_eq!(text.len(), 36);
    assert_eq!(text.as_bytes()[14], b'7');
}

#[test]
fn a_broadcast_packs_once_and_shares_the_bytes() {
    let mut hub = Hub::new();
    for n in 0..100 {
        hub.join(conn(n), format!("user-{}", n % 10), Arc::new(Edn));
    }
    let fanout = hub
        .fan_out(&Target::All, &event("[:news/flash {:n 1}]"))
        .unwrap();
    assert_eq!(fanout.packings, 1);
    assert_eq!(fanout.deliveries.len(), 100);
    let first = fanout.deliveries[0].1.bytes().as_ptr();
    assert!(
        fanout
            .deliveries
            .iter()
            .all(|(_, packed)| packed.bytes().as_ptr() == first)
    );
}

#[test]
fn targets_mean_the_connections_they_say() {
    let mut hub = Hub::new();
    assert!(hub.join(conn(1), "ada", Arc::new(Edn)));
    assert!(!hub.join(conn(2), "ada", Arc::new(Edn)));
    assert!(hub.join(conn(3), "bob", Arc::new(Edn)));
    assert_eq!(hub.resolve(&Target::User("ada".into())), [conn(1), conn(2)]);
    assert_eq!(hub.resolve(&Target::AllBut(conn(2))), [conn(1), conn(3)]);
    assert_eq!(hub.resolve(&Target::Connection(conn(3))), [conn(3)]);
    assert_eq!(hub.resolve(&Target::Connection(conn(9))), []);
    assert_eq!(hub.users().collect::<Vec<_>>(), ["ada", "bob"]);
    assert_eq!(hub.leave(conn(1)), None);
    assert_eq!(hub.leave(conn(2)).as_deref(), Some("ada"));
    assert_eq!(hub.leave(conn(2)), None);
    assert_eq!(hub.len(), 1);
    assert_eq!(hub.user_of(conn(3)), Some("bob"));
    // Joining again under another name moves it.
    hub.join(conn(3), "eve", Arc::new(Edn));
    assert_eq!(hub.resolve(&Target::User("bob".into())), []);
}

#[test]
fn a_packed_event_crosses_both_dialects() {
    let mut hub = Hub::new();
    hub.join(conn(1), "ada", Arc::new(Edn));
    let fanout = hub
        .fan_out(&Target::All, &event("[:news/flash {:n 1}]"))
        .unwrap();
    let packed = &fanout.deliveries[0].1;
    for (dialect, carrier) in [
        (Dialect::Sente, Carrier::WebSocket),
        (Dialect::SenteLite, Carrier::WebSocket),
        (Dialect::SenteLite, Carrier::Lines),
    ] {
        let mut pair = Pair::open(dialect, carrier);
        pair.server.send_packed(pair.now, packed).unwrap();
        pair.drive();
        let got: Vec<_> = messages(&mut pair.client).iter().map(text).collect();
        assert_eq!(got, ["[:news/flash {:n 1}]"]);
        pair.server.close(pair.now);
        assert_eq!(
            pair.server.send_packed(pair.now, packed),
            Err(PackedSendError::NotOpen)
        );
    }
}

#[test]
fn every_matching_handler_sees_an_event_in_the_order_of_registration() {
    let mut registry = Registry::new();
    registry.on(Pattern::Any, 1);
    registry.on(Pattern::Id(id("a/b")), 2);
    registry.on(Pattern::Namespace("a".into()), 3);
    registry.on(Pattern::Namespace("b".into()), 4);
    registry.on(Pattern::When(Box::new(|event| event.data.is_some())), 5);
    let mut seen = Vec::new();
    registry.dispatch(&event("[:a/b 1]"), |_, handler| seen.push(*handler));
    assert_eq!(seen, [1, 2, 3, 5]);
}

#[test]
fn a_waiter_sees_one_event_and_a_handler_taken_off_none() {
    let mut registry = Registry::new();
    registry.take(Pattern::Any, None, "once");
    let off = registry.on(Pattern::Any, "off");
    assert!(registry.off(off));
    assert!(!registry.off(off));
    assert_eq!(registry.dispatch(&event("[:a/b]"), |_, _| {}), 1);
    assert_eq!(registry.dispatch(&event("[:a/b]"), |_, _| {}), 0);
}

#[test]
fn waiters_are_told_of_their_deadline_and_of_the_close_and_handlers_stay() {
    let mut registry = Registry::new();
    registry.on(Pattern::Any, "stays");
    registry.take(Pattern::Any, Some(Instant::from_millis(5)), "late");
    registry.take(Pattern::Any, None, "waits");
    assert_eq!(registry.poll_timeout(), Some(Instant::from_millis(5)));
    let mut gone = Vec::new();
    registry.handle_timeout(Instant::from_millis(4), |_, handler, why| {
        gone.push((handler, why))
    });
    assert!(gone.is_empty());
    registry.handle_timeout(Instant::from_millis(5), |_, handler, why| {
        gone.push((handler, why))
    });
    registry.handle_closed(|_, handler, why| gone.push((handler, why)));
    assert_eq!(gone, [("late", Gone::Timeout), ("waits", Gone::Closed)]);
    assert_eq!(registry.count(), 1);
    assert_eq!(registry.poll_timeout(), None);
}

#[test]
fn reserved_and_unqualified_ids_cannot_be_made() {
    for (text, why) in [
        ("chsk/ws-ping", "reserved"),
        ("plain", "no namespace"),
        ("a b/c", "not a keyword"),
        ("", "not a keyword"),
    ] {
        let error = sente_core::EventId::new(text).unwrap_err();
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
    assert_eq!(id(":a.b/c").namespace(), "a.b");
    assert_eq!(id(":a.b/c").name(), "c");
}
