//! Which handlers an event is for, and which ids an event may have.
#![allow(missing_docs)]

use sente_core::{Gone, Instant, Pattern, Registry};
use sente_tests::{event, id};

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
