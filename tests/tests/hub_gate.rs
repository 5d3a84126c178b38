//! What a client may send: the application's guard, and rates per connection and per user.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hub_support::{conn, received};
use sente_core::{
    Action, Denied, Event, EventGate, EventRefusal, Guard, Instant, Peer, Rate, RateOf, RecvRates,
    UserRates,
};
use sente_tests::{event, seconds};

fn peer(n: u8, user: &str) -> Peer {
    Peer::of_user(conn(n), user)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn no_admins(from: &Peer, action: &Action<'_>) -> Result<(), Denied> {
    match action {
        Action::Event(event) if event.id.namespace() == "admin" => match from.user.as_deref() {
            Some("root") => Ok(()),
            _ => Err(Denied::new("not-an-admin")),
        },
        _ => Ok(()),
    }
}

#[test]
fn a_guard_sees_who_sends_what_with_which_payload() {
    let guard = |from: &Peer, action: &Action<'_>| match action {
        Action::Event(event) => {
            no_admins(from, action)?;
            let data = event.data.as_ref().map(|data| data.to_value().unwrap());
            match data.and_then(|data| data.as_i64()) {
                Some(number) if number > 100 => Err(Denied::new("too-much")),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    };
    let mut gate = EventGate::new(&RecvRates::default(), Some(Arc::new(guard)));
    let mut check = |user: &str, text: &str| gate.check(at(0), &peer(1, user), &event(text), None);
    assert_eq!(check("ada", "[:shop/buy 5]"), Ok(()));
    assert_eq!(
        check("ada", "[:shop/buy 500]"),
        Err(EventRefusal::Denied(Denied::new("too-much")))
    );
    assert_eq!(
        check("ada", "[:admin/stop]"),
        Err(EventRefusal::Denied(Denied::new("not-an-admin")))
    );
    assert_eq!(check("root", "[:admin/stop]"), Ok(()));
    assert_eq!(gate.refused(), 2);
}

#[test]
fn a_connection_is_held_to_its_rate_of_messages() {
    let mut rates = RecvRates::default();
    rates.connection_messages = Some(Rate::new(10, seconds(1), 3));
    let mut gate = EventGate::new(&rates, None);
    let mut passes = |millis| gate.check(at(millis), &peer(1, "ada"), &event("[:a/b]"), None);
    assert!((0..3).all(|_| passes(0).is_ok()));
    assert_eq!(
        passes(0),
        Err(EventRefusal::OverRate {
            of: RateOf::Connection,
            retry_at: at(100)
        })
    );
    assert!(passes(99).is_err());
    assert!(passes(100).is_ok());
    assert!(passes(100).is_err());
}

#[test]
fn a_connection_is_held_to_its_rate_of_bytes_in_the_long_run() {
    let mut rates = RecvRates::default();
    rates.connection_bytes = Some(Rate::new(100, seconds(1), 100));
    let mut gate = EventGate::new(&rates, None);
    let large = received(&format!("[:a/b {:?}]", "x".repeat(195))).event;
    // Id and data are 200 bytes: it passes as a whole, and the debt has to pass.
    let mut passes = |millis, event: &Event| gate.check(at(millis), &peer(1, "ada"), event, None);
    assert!(passes(0, &large).is_ok());
    assert!(passes(1_009, &event("[:a/b]")).is_err());
    assert!(passes(1_010, &event("[:a/b]")).is_ok());
}

#[test]
fn the_connections_of_a_user_are_held_to_one_rate_together() {
    let mut rates = RecvRates::default();
    rates.user_messages = Some(Rate::new(1, seconds(1), 2));
    let mut users = UserRates::new(&rates);
    let mut gates: Vec<_> = (0..3).map(|_| EventGate::new(&rates, None)).collect();
    let mut passes = |gate: usize, user: &str| {
        let from = peer(u8::try_from(gate).unwrap(), user);
        gates[gate].check(at(0), &from, &event("[:a/b]"), Some(&mut users))
    };
    assert!(passes(0, "ada").is_ok());
    assert!(passes(1, "ada").is_ok());
    assert_eq!(
        passes(0, "ada"),
        Err(EventRefusal::OverRate {
            of: RateOf::User,
            retry_at: at(1_000)
        })
    );
    assert!(passes(2, "bob").is_ok());
}

#[test]
fn what_is_refused_uses_up_nothing() {
    let mut rates = RecvRates::default();
    rates.connection_messages = Some(Rate::new(1, seconds(1), 1));
    rates.user_messages = Some(Rate::new(1, seconds(1), 1));
    let mut users = UserRates::new(&rates);
    let mut gate = EventGate::new(&rates, Some(Arc::new(no_admins)));
    let mut passes = |text: &str| {
        gate.check(at(0), &peer(1, "ada"), &event(text), Some(&mut users))
            .is_ok()
    };
    assert!((0..5).all(|_| !passes("[:admin/stop]")));
    assert!(passes("[:a/b]"));
    assert!(!passes("[:a/b]"));
}

#[test]
fn the_guard_is_not_asked_for_what_is_over_a_rate() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let guard = |_: &Peer, _: &Action<'_>| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let mut rates = RecvRates::default();
    rates.connection_messages = Some(Rate::new(1, seconds(1), 1));
    let mut gate = EventGate::new(&rates, Some(Arc::new(guard)));
    for _ in 0..5 {
        let _ = gate.check(at(0), &peer(1, "ada"), &event("[:a/b]"), None);
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}

#[test]
fn refusals_are_reported_together_once_a_second() {
    let mut rates = RecvRates::default();
    rates.connection_messages = Some(Rate::new(0, seconds(1), 1));
    let mut gate = EventGate::new(&rates, None);
    let mut refuse = |millis: u64, times: usize| {
        for _ in 0..times {
            let refused = gate.check(at(millis), &peer(1, "ada"), &event("[:a/b]"), None);
            assert!(refused.is_err());
        }
        gate.report(at(millis))
    };
    assert_eq!(refuse(0, 1), Some(1));
    assert_eq!(refuse(10, 3), None);
    assert_eq!(refuse(1_000, 1), Some(4));
    assert_eq!(refuse(2_000, 0), None);
    assert_eq!(gate.refused(), 5);
}

#[test]
fn the_rates_of_many_users_that_come_and_go_are_forgotten() {
    let mut rates = RecvRates::default();
    rates.user_messages = Some(Rate::new(1_000, seconds(1), 1));
    let mut users = UserRates::new(&rates);
    let mut gate = EventGate::new(&rates, None);
    for n in 0..5_000u64 {
        let from = peer(1, &format!("user-{n}"));
        gate.check(at(n * 2), &from, &event("[:a/b]"), Some(&mut users))
            .unwrap();
    }
    // One that has just sent is still held to its rate.
    let from = peer(1, "user-4999");
    let again = gate.check(at(9_998), &from, &event("[:a/b]"), Some(&mut users));
    assert!(again.is_err());
    assert!(users.len() <= 1_024, "{}", users.len());
}

#[test]
fn a_guard_can_be_a_type_of_its_own() {
    struct Closed;
    impl Guard for Closed {
        fn check(&self, _: &Peer, _: &Action<'_>) -> Result<(), Denied> {
            Err(Denied::new("closed"))
        }
    }
    let mut gate = EventGate::new(&RecvRates::default(), Some(Arc::new(Closed)));
    let refused = gate.check(at(0), &peer(1, "ada"), &event("[:a/b]"), None);
    assert_eq!(refused.unwrap_err().to_string(), "denied: closed");
}
