//! The queue between a hub and a connection, and what becomes of a slow consumer.
#![allow(missing_docs)]

mod hub_support;

use hub_support::{HubRig, conn};
use proptest::prelude::*;
use sente_core::packer::Edn;
use sente_core::{
    Carrier, ConnectionEvent, Dialect, HubEvent, Inbox, InboxLimits, Instant, PackedEvent, Policy,
    Priority, SendOptions, Sent, SlowPolicy,
};
use sente_tests::{Pair, event, messages, seconds, text};

fn packed(text: &str) -> PackedEvent {
    PackedEvent::pack(&event(text), &Edn).unwrap()
}

fn push(inbox: &mut Inbox, at: u64, text: &str, policy: Policy) -> Option<Sent> {
    let options = SendOptions::new().policy(policy);
    inbox
        .push(Instant::from_millis(at), packed(text), &options)
        .ok()
}

fn pop_all(inbox: &mut Inbox) -> Vec<String> {
    std::iter::from_fn(|| inbox.pop())
        .map(|(event, _)| String::from_utf8(event.bytes().to_vec()).unwrap())
        .collect()
}

fn small(messages: usize) -> Inbox {
    let mut limits = InboxLimits::default();
    limits.max_messages = messages;
    Inbox::new(limits)
}

#[test]
fn an_inbox_does_with_an_event_what_its_policy_says() {
    let mut inbox = small(3);
    let latest = || Policy::Latest("k".into());
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 1]", Policy::Volatile),
        Some(Sent::Queued)
    );
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 2]", Policy::Volatile),
        Some(Sent::Dropped)
    );
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 3]", latest()),
        Some(Sent::Queued)
    );
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 44]", latest()),
        Some(Sent::Replaced)
    );
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 5]", Policy::Reject),
        Some(Sent::Queued)
    );
    assert_eq!(push(&mut inbox, 0, "[:a/a 6]", Policy::Reject), None);
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 7]", Policy::DropOldest),
        Some(Sent::Queued)
    );
    assert_eq!((inbox.len(), inbox.bytes()), (3, 9 + 8 + 8));
    assert_eq!(pop_all(&mut inbox), ["[:a/a 44]", "[:a/a 5]", "[:a/a 7]"]);
    // Dropped, replaced, refused, dropped for another.
    assert_eq!(inbox.lost().count, 4);
    assert_eq!(inbox.bytes(), 0);
}

#[test]
fn an_inbox_is_bounded_in_bytes_and_drops_nothing_in_vain() {
    let mut limits = InboxLimits::default();
    limits.max_bytes = 20;
    let mut inbox = Inbox::new(limits);
    push(&mut inbox, 0, "[:a/a 1]", Policy::DropOldest);
    push(&mut inbox, 0, "[:a/a 2]", Policy::Reject);
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 123456]", Policy::DropOldest),
        None
    );
    assert_eq!(inbox.len(), 2);
    assert_eq!(
        push(&mut inbox, 0, "[:a/a 1234]", Policy::DropOldest),
        Some(Sent::Queued)
    );
    assert_eq!(pop_all(&mut inbox), ["[:a/a 2]", "[:a/a 1234]"]);
}

#[test]
fn events_of_low_priority_leave_last_but_never_starve() {
    let mut inbox = small(100);
    let low = SendOptions::new().priority(Priority::Low);
    inbox
        .push(Instant::EPOCH, packed("[:low/one]"), &low)
        .unwrap();
    for n in 0..40 {
        push(&mut inbox, 0, &format!("[:n/w {n}]"), Policy::Reject);
    }
    let order = pop_all(&mut inbox);
    assert_eq!(order.iter().position(|text| text == "[:low/one]"), Some(15));
    let normal: Vec<_> = order
        .into_iter()
        .filter(|text| text != "[:low/one]")
        .collect();
    assert_eq!(
        normal,
        (0..40).map(|n| format!("[:n/w {n}]")).collect::<Vec<_>>()
    );
}

#[test]
fn an_inbox_moves_to_the_connection_what_that_has_room_for() {
    let mut limits = sente_core::Limits::default();
    limits.max_send_messages = 2;
    limits.send_high_water = 100;
    let build = |role| {
        sente_core::ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::WebSocket)
            .limits(limits.clone())
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(
        build(sente_core::Role::Client),
        build(sente_core::Role::Server),
    );
    let mut inbox = small(10);
    for n in 1..=5 {
        push(&mut inbox, 0, &format!("[:n/w {n}]"), Policy::Reject);
    }
    assert_eq!(inbox.deliver_to(pair.now, &mut pair.server), None);
    assert_eq!(inbox.len(), 3);
    // The connection was not asked in vain: nothing was refused, nobody is owed a `SendReady`.
    assert_eq!(pair.server.stats().sends_refused, 0);
    let mut got = Vec::new();
    for _ in 0..3 {
        pair.drive();
        inbox.deliver_to(pair.now, &mut pair.server);
        got.extend(messages(&mut pair.client).iter().map(text));
    }
    assert_eq!(
        got,
        (1..=5).map(|n| format!("[:n/w {n}]")).collect::<Vec<_>>()
    );
    assert!(inbox.is_empty());
    assert_eq!(inbox.lost().count, 0);
    assert!(pair.server.poll_event().is_none());
}

/// A sente-lite pair whose server queues so many messages, with its default water marks.
fn pair_of(max_send_messages: usize) -> Pair {
    let build = |role| {
        let mut limits = sente_core::Limits::default();
        limits.max_send_messages = max_send_messages;
        limits.max_transmit_bytes = 1;
        sente_core::ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::WebSocket)
            .limits(limits)
            .build()
            .unwrap()
    };
    let mut pair = Pair::with(
        build(sente_core::Role::Client),
        build(sente_core::Role::Server),
    );
    while pair.server.poll_event().is_some() {}
    pair
}

/// `HighWater` and `SendReady` as the server tells them.
fn water(pair: &mut Pair) -> Vec<&'static str> {
    sente_tests::events(&mut pair.server)
        .iter()
        .map(|event| match event {
            ConnectionEvent::HighWater(_) => "high",
            ConnectionEvent::SendReady => "ready",
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Writes one frame of the server's, and lets the inbox fill its place.
fn write_one(pair: &mut Pair, inbox: &mut Inbox) {
    let mut out = sente_core::TransmitBuf::new();
    if pair.server.poll_transmit(&mut out).is_some() {
        pair.server.handle_transmitted(pair.now);
    }
    inbox.deliver_to(pair.now, &mut pair.server);
}

#[test]
fn a_connection_behind_an_inbox_does_not_tell_of_high_water_again_and_again() {
    let mut pair = pair_of(8);
    let mut inbox = small(100);
    for n in 0..60 {
        push(&mut inbox, 0, &format!("[:n/w {n}]"), Policy::Reject);
    }
    inbox.deliver_to(pair.now, &mut pair.server);
    assert_eq!(pair.server.send_capacity().messages, 6, "75 % of eight");
    for _ in 0..60 {
        write_one(&mut pair, &mut inbox);
    }
    assert!(inbox.is_empty());
    assert_eq!(pair.server.send_capacity().messages, 0);
    assert!(water(&mut pair).is_empty());
}

#[test]
fn high_water_of_other_sends_is_told_once_a_crossing_while_an_inbox_waits() {
    let mut pair = pair_of(8);
    let mut inbox = small(100);
    for n in 0..20 {
        push(&mut inbox, 0, &format!("[:n/w {n}]"), Policy::Reject);
    }
    for round in 0..3 {
        while !pair.server.send_capacity().above_high_water {
            pair.server.send(pair.now, event("[:own/send]")).unwrap();
        }
        assert_eq!(water(&mut pair), ["high"], "round {round}");
        // Nothing moves until low water: else that would never come.
        let waiting = inbox.len();
        let mut queued = Vec::new();
        while pair.server.send_capacity().above_high_water {
            assert_eq!(inbox.len(), waiting);
            write_one(&mut pair, &mut inbox);
            queued.push(pair.server.send_capacity().messages);
        }
        assert_eq!(water(&mut pair), ["ready"], "round {round}");
        assert_eq!(queued, [6, 5, 6], "at half, and then filled to 75 %");
        assert!(inbox.len() < waiting);
    }
}

#[test]
fn an_event_larger_than_high_water_leaves_an_inbox_when_its_turn_comes() {
    let mut pair = pair_of(8);
    let mut inbox = Inbox::new(InboxLimits::default());
    let large = format!("[:n/large {:?}]", "x".repeat(900_000));
    for _ in 0..8 {
        push(&mut inbox, 0, &large, Policy::Reject);
    }
    push(&mut inbox, 0, "[:n/last]", Policy::Reject);
    inbox.deliver_to(pair.now, &mut pair.server);
    for _ in 0..9 {
        write_one(&mut pair, &mut inbox);
    }
    assert!(inbox.is_empty());
    assert_eq!(inbox.lost().count, 0);
    assert_eq!(pair.server.stats().events_queued, 9);
}

#[test]
fn the_latest_of_a_key_replaces_the_queued_one_also_above_high_water() {
    let mut pair = pair_of(4);
    let mut inbox = small(10);
    let key = || Policy::Latest("k".into());
    push(&mut inbox, 0, "[:at/x 1]", key());
    inbox.deliver_to(pair.now, &mut pair.server);
    for _ in 0..3 {
        pair.server.send(pair.now, event("[:own/send]")).unwrap();
    }
    assert!(pair.server.send_capacity().above_high_water);
    push(&mut inbox, 0, "[:at/x 2]", key());
    inbox.deliver_to(pair.now, &mut pair.server);
    assert!(inbox.is_empty());
    assert_eq!(pair.server.stats().replaced, 1);
    // A volatile one is dropped rather than kept for later.
    push(&mut inbox, 0, "[:at/once]", Policy::Volatile);
    inbox.deliver_to(pair.now, &mut pair.server);
    assert!(inbox.is_empty());
    assert_eq!(pair.server.stats().dropped_volatile, 1);
}

#[test]
fn what_never_fits_a_connection_is_lost_and_blocks_nothing() {
    let mut limits = sente_core::Limits::default();
    limits.max_send_bytes = 64;
    let server = sente_core::ConnectionConfig::builder(
        sente_core::Role::Server,
        Dialect::SenteLite,
        Carrier::WebSocket,
    )
    .limits(limits)
    .build()
    .unwrap();
    let client = sente_tests::config(
        sente_core::Role::Client,
        Dialect::SenteLite,
        Carrier::WebSocket,
    );
    let mut pair = Pair::with(client, server);
    let mut inbox = small(10);
    push(
        &mut inbox,
        0,
        &format!("[:n/w {:?}]", "x".repeat(100)),
        Policy::Reject,
    );
    push(&mut inbox, 0, "[:n/w 1]", Policy::Reject);
    inbox.deliver_to(pair.now, &mut pair.server);
    pair.drive();
    assert_eq!(messages(&mut pair.client).len(), 1);
    assert_eq!(inbox.lost().count, 1);
}

#[test]
fn a_slow_consumer_is_reported_at_most_once_a_second() {
    let mut inbox = small(2);
    for n in 0..5 {
        push(&mut inbox, 0, &format!("[:n/w {n}]"), Policy::Reject);
    }
    let report = inbox.take_report(Instant::EPOCH).unwrap();
    assert_eq!((report.lost.count, report.messages), (3, 2));
    assert_eq!(report.close, None);
    push(&mut inbox, 10, "[:n/w 9]", Policy::Reject);
    assert_eq!(inbox.take_report(Instant::from_millis(10)), None);
    assert_eq!(inbox.poll_timeout(), Some(Instant::from_millis(1_000)));
    let report = inbox.take_report(Instant::from_millis(1_000)).unwrap();
    assert_eq!(report.lost.count, 1);
    assert_eq!(inbox.poll_timeout(), None);
}

#[test]
fn a_consumer_that_stays_above_high_water_is_to_be_closed_once() {
    let mut limits = InboxLimits::default();
    limits.max_messages = 4;
    limits.slow = SlowPolicy::Close {
        after: seconds(5),
        code: 1008,
        reason: "too slow".into(),
    };
    let mut inbox = Inbox::new(limits);
    for n in 0..4 {
        push(&mut inbox, 100, &format!("[:n/w {n}]"), Policy::Reject);
    }
    assert_eq!(
        inbox.above_high_water_since(),
        Some(Instant::from_millis(100))
    );
    assert_eq!(inbox.poll_timeout(), Some(Instant::from_millis(5_100)));
    // Falling to low water forgives everything.
    inbox.pop();
    assert!(inbox.above_high_water_since().is_some());
    inbox.pop();
    assert_eq!(inbox.poll_timeout(), None);
    for n in 0..2 {
        push(&mut inbox, 200, &format!("[:n/w {n}]"), Policy::Reject);
    }
    assert_eq!(inbox.take_report(Instant::from_millis(5_199)), None);
    let report = inbox.take_report(Instant::from_millis(5_200)).unwrap();
    assert_eq!(report.close, Some((1008, "too slow".into())));
    assert_eq!(inbox.poll_timeout(), None);

    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    rig.told();
    rig.hub.handle_slow(rig.now, conn(1), report);
    rig.carry_out();
    assert_eq!(rig.closed, [(conn(1), 1008, "too slow".to_owned())]);
    let told = rig.told();
    let [
        HubEvent::SlowConsumer {
            connection,
            user,
            closed,
            messages,
            ..
        },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((*connection, &**user), (conn(1), "ada"));
    assert_eq!((*closed, *messages), (true, 4));
    assert_eq!(rig.hub.stats().slow_closed, 1);
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        3 => Just(Policy::Reject),
        2 => Just(Policy::DropOldest),
        1 => Just(Policy::Volatile),
        2 => (0..2u8).prop_map(|key| Policy::Latest(key.to_string().into())),
    ]
}

proptest! {
    /// Whatever is pushed and popped, the bounds hold, every event has one fate, and those of one
    /// priority leave in order.
    #[test]
    fn an_inbox_keeps_its_bounds_and_its_order(
        ops in proptest::collection::vec(
            proptest::option::weighted(0.7, (policy(), any::<bool>(), 0..30usize)),
            1..100
        ),
    ) {
        const MESSAGES: usize = 5;
        const BYTES: usize = 120;
        let mut limits = InboxLimits::default();
        limits.max_messages = MESSAGES;
        limits.max_bytes = BYTES;
        let mut inbox = Inbox::new(limits);
        let (mut pushed, mut replaced) = (0, 0);
        let out = |inbox: &mut Inbox| {
            let (event, options) = inbox.pop()?;
            let text = String::from_utf8(event.bytes().to_vec()).unwrap();
            let number: usize = text.split(['[', ' ']).nth(3).unwrap().parse().unwrap();
            Some((number, options))
        };
        let mut left: Vec<(usize, SendOptions)> = Vec::new();
        for op in ops {
            if let Some((policy, low, size)) = op {
                let priority = if low { Priority::Low } else { Priority::Normal };
                let options = SendOptions::new().policy(policy).priority(priority);
                let event = packed(&format!("[:n/w [{pushed} {:?}]]", "x".repeat(size)));
                pushed += 1;
                if inbox.push(Instant::EPOCH, event, &options) == Ok(Sent::Replaced) {
                    replaced += 1;
                }
            } else {
                left.extend(out(&mut inbox));
            }
            prop_assert!(inbox.len() <= MESSAGES && inbox.bytes() <= BYTES);
        }
        while let Some(popped) = out(&mut inbox) {
            left.push(popped);
        }
        prop_assert_eq!(inbox.bytes(), 0);
        prop_assert_eq!(left.len() as u64 + inbox.lost().count, pushed as u64);
        prop_assert!(replaced as u64 <= inbox.lost().count);
        for priority in [Priority::Low, Priority::Normal] {
            // One that replaced another stands where that stood.
            let in_order: Vec<usize> = left
                .iter()
                .filter(|(_, options)| options.priority == priority)
                .filter(|(_, options)| !matches!(options.policy, Policy::Latest(_)))
                .map(|(number, _)| *number)
                .collect();
            prop_assert!(in_order.is_sorted(), "{:?}", in_order);
        }
    }
}
