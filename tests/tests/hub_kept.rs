//! What is pushed to a client in its grace: kept, delivered in order, or reported.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;

use hub_support::{HubRig, Other, conn};
use sente_core::packer::Edn;
use sente_core::{
    Grace, HubEvent, HubOutput, Inbox, InboxLimits, Member, NotKept, PackedEvent, Policy,
    SendOptions, Target,
};
use sente_tests::{event, millis, seconds};

#[test]
fn what_is_pushed_to_a_user_in_its_grace_arrives_in_order_when_the_client_is_back() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "phone");
    rig.leave(1);
    for n in 1..=3 {
        let fanout = rig.push("ada", &format!("[:n/w {n}]"));
        assert_eq!((fanout.connections, fanout.kept), (0, 1));
        rig.advance(millis(100));
    }
    assert_eq!(rig.send(&Target::All, "[:n/w 4]").kept, 1);
    assert!(rig.hub.kept_bytes() > 0);
    rig.join_user(2, "ada", "phone");
    rig.push("ada", "[:n/w 5]");
    assert_eq!(
        rig.got(2),
        ["[:n/w 1]", "[:n/w 2]", "[:n/w 3]", "[:n/w 4]", "[:n/w 5]"]
    );
    assert_eq!(rig.hub.kept_bytes(), 0);
}

#[test]
fn the_clients_of_a_user_that_are_here_get_a_push_at_once_and_those_away_when_they_are_back() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "phone");
    rig.join_user(2, "ada", "laptop");
    rig.leave(1);
    let fanout = rig.push("ada", "[:n/w 1]");
    assert_eq!(
        (fanout.connections, fanout.kept, fanout.packings),
        (1, 1, 1)
    );
    assert_eq!(rig.got(2), ["[:n/w 1]"]);
    // Another client id is another client.
    rig.join_user(3, "ada", "tablet");
    assert!(rig.got(3).is_empty());
    rig.join_user(4, "ada", "phone");
    assert_eq!(rig.got(4), ["[:n/w 1]"]);
}

#[test]
fn what_was_kept_for_a_client_that_did_not_come_back_is_reported() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "phone");
    rig.leave(1);
    rig.push("ada", "[:n/w 1]");
    rig.push("ada", "[:n/w 2]");
    rig.told();
    rig.advance(millis(2500));
    let told = rig.told();
    let [
        HubEvent::Undelivered {
            user, events, why, ..
        },
        ..,
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((&**user, *why), ("ada", NotKept::TimeIsUp));
    let texts: Vec<_> = events.iter().map(|event| event.bytes().clone()).collect();
    assert_eq!(texts, ["[:n/w 1]", "[:n/w 2]"]);
    assert!(matches!(told.last(), Some(HubEvent::UidportClose(_))));
    assert_eq!(rig.hub.stats().undelivered, 2);
    assert_eq!(rig.push("ada", "[:n/w 3]").kept, 0);
}

#[test]
fn what_is_kept_is_bounded_by_messages_by_bytes_and_over_all_clients() {
    let mut rig = HubRig::with(|config| {
        config.limits.kept.max_messages = 2;
        config.limits.kept.max_bytes = 40;
        config.limits.max_kept_bytes = 60;
    });
    for (n, user) in [(1, "ada"), (2, "bob"), (3, "eve")] {
        rig.join_user(n, user, "tab");
        rig.leave(n);
    }
    rig.told();
    let mut told = Vec::new();
    for (user, text) in [
        ("ada", "[:n/w 1]".to_owned()),
        ("ada", "[:n/w 2]".to_owned()),
        ("ada", "[:n/w 3]".to_owned()),
        ("bob", format!("[:n/w {:?}]", "x".repeat(40))),
        ("bob", format!("[:n/w {:?}]", "x".repeat(25))),
        ("eve", format!("[:n/w {:?}]", "x".repeat(25))),
    ] {
        rig.push(user, &text);
        told.extend(rig.told());
    }
    let lost: Vec<_> = told
        .into_iter()
        .map(|event| match event {
            HubEvent::Undelivered {
                user, events, why, ..
            } => {
                assert_eq!(events.len(), 1);
                (user.to_string(), why)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        lost,
        [
            ("ada".to_owned(), NotKept::Full),
            ("bob".to_owned(), NotKept::Full),
            ("eve".to_owned(), NotKept::Full)
        ]
    );
    assert!(rig.hub.kept_bytes() <= 60);
    rig.join_user(4, "ada", "tab");
    assert_eq!(rig.got(4), ["[:n/w 1]", "[:n/w 2]"]);
}

#[test]
fn what_is_reported_as_undelivered_counts_until_it_is_taken() {
    let mut rig = HubRig::with(|config| config.limits.max_kept_bytes = 20);
    rig.join_user(1, "ada", "tab");
    rig.leave(1);
    rig.push("ada", "[:n/w 1234]");
    rig.advance(seconds(3));
    assert_eq!(rig.hub.kept_bytes(), 11);
    rig.told();
    assert_eq!(rig.hub.kept_bytes(), 0);
}

#[test]
fn undelivered_events_that_nobody_takes_are_counted_but_not_held_without_end() {
    let mut rig = HubRig::with(|config| {
        config.limits.max_kept_bytes = 20;
        config.limits.kept.max_messages = 0;
    });
    rig.join_user(1, "ada", "tab");
    rig.leave(1);
    rig.told();
    for n in 0..10 {
        rig.push("ada", &format!("[:n/w {n}]"));
    }
    assert_eq!(rig.hub.kept_bytes(), 24);
    let held: Vec<_> = rig
        .told()
        .into_iter()
        .map(|event| match event {
            HubEvent::Undelivered { events, count, .. } => (events.len(), count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(held[..4], [(1, 1), (1, 1), (1, 1), (0, 1)]);
    assert_eq!(held.len(), 10);
    assert_eq!(rig.hub.kept_bytes(), 0);
}

#[test]
fn what_is_kept_has_a_time_limit_of_its_own() {
    let mut rig = HubRig::with(|config| {
        config.grace.web_socket = seconds(60);
        config.limits.keep_for = seconds(5);
    });
    rig.join_user(1, "ada", "tab");
    rig.leave(1);
    rig.push("ada", "[:n/w 1]");
    rig.told();
    rig.advance(seconds(5));
    assert!(matches!(
        rig.told()[..],
        [HubEvent::Undelivered {
            why: NotKept::TimeIsUp,
            ..
        }]
    ));
    assert_eq!(rig.push("ada", "[:n/w 2]").not_kept, 1);
    assert_eq!(rig.told().len(), 1);
    assert!(rig.join_user(2, "ada", "tab").returned);
    assert!(rig.got(2).is_empty());
    assert_eq!(rig.hub.poll_timeout(), None);
}

#[test]
fn policies_hold_for_what_is_kept() {
    let mut rig = HubRig::with(|config| config.limits.kept.max_messages = 2);
    rig.join_user(1, "ada", "tab");
    rig.leave(1);
    let ada = Target::User("ada".into());
    let mut send = |text: &str, options: SendOptions| {
        rig.hub
            .fan_out_with(rig.now, &ada, &event(text), &options)
            .unwrap()
    };
    let latest = SendOptions::new().policy(Policy::Latest("cursor".into()));
    send("[:cursor/at 1]", latest.clone());
    send("[:cursor/at 2]", latest);
    let volatile = send("[:blink/now]", SendOptions::new().policy(Policy::Volatile));
    assert_eq!((volatile.kept, volatile.not_kept), (0, 1));
    let droppable = SendOptions::new().policy(Policy::DropOldest);
    send("[:log/line 1]", droppable.clone());
    send("[:log/line 2]", droppable);
    rig.join_user(2, "ada", "tab");
    assert_eq!(rig.got(2), ["[:log/line 1]", "[:log/line 2]"]);
}

#[test]
fn what_is_kept_is_repacked_for_a_client_that_is_back_with_another_packer() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    rig.leave(1);
    rig.push("ada", "[:n/w {:a 1}]");
    rig.push("ada", "[:n/w sym]");
    rig.told();
    let other = Member::new(Arc::new(Other)).user("ada").client_id("tab");
    rig.join(2, other);
    assert_eq!(rig.got(2), ["[:n/w {:a 1}]"]);
    assert!(matches!(
        rig.told()[..],
        [HubEvent::Undelivered {
            why: NotKept::Unpackable,
            count: 1,
            ..
        }]
    ));
}

#[test]
fn what_came_back_from_a_lost_connection_comes_first() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    let ada = Target::User("ada".into());
    let mut inbox = Inbox::new(InboxLimits::default());
    for n in 1..=2 {
        let pushed = event(&format!("[:n/w {n}]"));
        rig.hub.fan_out(rig.now, &ada, &pushed).unwrap();
    }
    let direct = event("[:direct/one]");
    let target = Target::Connection(conn(1));
    rig.hub.fan_out(rig.now, &target, &direct).unwrap();
    while let Some(HubOutput::Deliver(delivery)) = rig.hub.poll_output() {
        inbox.push_delivery(rig.now, &delivery).unwrap();
    }
    // What was for the connection ends with it.
    let (unsent, rest) = inbox.take_unsent();
    assert_eq!((unsent.len(), rest.len()), (2, 1));
    assert!(inbox.is_empty());
    rig.hub.leave_with(rig.now, conn(1), unsent);
    rig.push("ada", "[:n/w 3]");
    rig.join_user(2, "ada", "tab");
    assert_eq!(rig.got(2), ["[:n/w 1]", "[:n/w 2]", "[:n/w 3]"]);
}

#[test]
fn what_came_back_goes_to_the_connection_that_takes_the_place_of_the_lost_one() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    rig.join_user(2, "ada", "tab");
    let pushed = |n: u8| PackedEvent::pack(&event(&format!("[:n/w {n}]")), &Edn).unwrap();
    // The older one, which the pushes do not go to any more.
    rig.told();
    rig.hub.leave_with(rig.now, conn(1), vec![pushed(1)]);
    assert!(matches!(
        rig.told()[..],
        [HubEvent::Undelivered {
            why: NotKept::TakenOver,
            count: 1,
            ..
        }]
    ));
    rig.join_user(3, "ada", "tab");
    rig.hub
        .leave_with(rig.now, conn(3), vec![pushed(2), pushed(3)]);
    rig.carry_out();
    rig.push("ada", "[:n/w 4]");
    assert_eq!(rig.got(2), ["[:n/w 2]", "[:n/w 3]", "[:n/w 4]"]);
}

#[test]
fn what_came_back_from_somebody_who_has_no_grace_is_told() {
    let mut rig = HubRig::with(|config| config.grace = Grace::NONE);
    rig.join_user(1, "ada", "tab");
    rig.told();
    let unsent = PackedEvent::pack(&event("[:n/w 1]"), &Edn).unwrap();
    rig.hub.leave_with(rig.now, conn(1), vec![unsent]);
    assert!(matches!(
        rig.told()[0],
        HubEvent::Undelivered {
            why: NotKept::TimeIsUp,
            count: 1,
            ..
        }
    ));
}
