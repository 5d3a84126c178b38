//! Which of several endpoints a client goes to, and what becomes of what it had queued, told in
//! virtual time.
#![allow(missing_docs)]

use std::num::NonZeroU32;

use proptest::prelude::*;
use sente_core::state::ClientPhase;
use sente_core::{
    Backoff, Carrier, ClientConfig, ClientConfigBuilder, ClientEvent, ClientState, CloseReason,
    ConnectFailure, ConnectionEvent, Dialect, EndpointChange, Endpoints, OnOffline, Policy,
    Priority, Role, SendOptions, Sent,
};
use sente_tests::{Dial, Rig, config, event, messages, millis, seconds, text};

const NAMES: [&str; 3] = ["ws://a", "tcp://b", "unix:c"];

fn builder(dialect: Dialect, carrier: Carrier) -> ClientConfigBuilder {
    ClientConfig::builder(config(Role::Client, dialect, carrier)).endpoints(Endpoints::new(NAMES))
}

fn rig(change: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder) -> Rig {
    let builder = builder(Dialect::SenteLite, Carrier::Lines);
    Rig::new(change(builder).build().unwrap())
}

fn refused(endpoint: usize) -> Dial {
    let name = NAMES[endpoint];
    Dial::Fails(ConnectFailure::Retry(format!("{name}: refused")))
}

fn all_refuse() -> Vec<Dial> {
    (0..NAMES.len()).map(refused).collect()
}

fn changes(events: &[ClientEvent]) -> Vec<EndpointChange> {
    events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::EndpointChanged(change) => Some((**change).clone()),
            _ => None,
        })
        .collect()
}

/// Lets the application look as often as it has to for all attempts to be made.
fn run(rig: &mut Rig, steps: usize) -> Vec<ClientEvent> {
    let mut told = Vec::new();
    for _ in 0..steps {
        rig.drive();
        told.extend(rig.events());
    }
    told
}

#[test]
fn the_first_endpoint_that_answers_is_used() {
    let mut rig = rig(|builder| builder);
    rig.dials = vec![refused(0), refused(1), Dial::Answered];
    rig.client.connect(rig.now);
    let told = run(&mut rig, 5);
    assert_eq!(rig.asked, [0, 1, 2]);
    assert!(rig.client.state().is_open());
    assert_eq!(rig.client.endpoint(), 2);
    // All without a wait: one attempt after the other.
    assert!(rig.dialled.iter().all(|at| *at == rig.now));
    let changes = changes(&told);
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.old, &*change.new_name, change.reason.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (0, "tcp://b", Some("ws://a: refused")),
            (1, "unix:c", Some("tcp://b: refused")),
        ]
    );
    assert_eq!(rig.client.stats().endpoint_changes, 2);
    let known = rig.client.endpoints();
    assert_eq!(known[0].last_failure.as_deref(), Some("ws://a: refused"));
    assert_eq!((known[2].attempts, known[2].opened), (1, 1));
}

#[test]
fn the_wait_comes_when_every_endpoint_has_had_its_turn() {
    let mut rig = rig(|builder| builder);
    rig.client
        .set_backoff(Some(Box::new(|rounds, _| seconds(u64::from(rounds)))));
    rig.dials = all_refuse();
    rig.client.connect(rig.now);
    let begun = rig.now;
    for _ in 0..55 {
        run(&mut rig, 5);
        rig.advance(millis(100));
    }
    let at: Vec<_> = rig.dialled.iter().map(|at| *at - begun).collect();
    assert_eq!(rig.asked, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    let round = |at| [seconds(at); 3];
    assert_eq!(at, [round(0), round(1), round(3)].concat());
}

#[test]
fn each_has_as_many_attempts_in_a_row_as_were_asked_for() {
    let mut endpoints = Endpoints::new(NAMES);
    endpoints.attempts = NonZeroU32::new(2).unwrap();
    let mut rig = rig(|builder| builder.endpoints(endpoints));
    rig.dials = all_refuse();
    rig.client.connect(rig.now);
    run(&mut rig, 20);
    rig.advance(seconds(1));
    run(&mut rig, 20);
    assert_eq!(rig.asked[..9], [0, 0, 1, 1, 2, 2, 0, 0, 1]);
}

#[test]
fn a_stable_link_that_is_lost_is_tried_for_again_before_the_others() {
    let mut rig = rig(|builder| builder);
    rig.dials = vec![refused(0), Dial::Answered, refused(2)];
    rig.client.connect(rig.now);
    run(&mut rig, 5);
    rig.advance(seconds(10));
    rig.cut();
    run(&mut rig, 5);
    assert_eq!(rig.asked, [0, 1, 1]);
    assert!(rig.client.state().is_open());
    rig.advance(seconds(10));
    rig.dials[1] = refused(1);
    rig.dials[2] = Dial::Answered;
    rig.cut();
    run(&mut rig, 8);
    // Its own, then the others, those to be preferred first.
    assert_eq!(rig.asked, [0, 1, 1, 1, 0, 2]);
    assert_eq!(rig.client.endpoint(), 2);
}

#[test]
fn an_endpoint_that_shakes_hands_and_drops_is_left_for_the_next() {
    let mut rig = rig(|builder| builder);
    rig.client.connect(rig.now);
    run(&mut rig, 5);
    rig.advance(seconds(1));
    rig.cut();
    let told = run(&mut rig, 5);
    assert_eq!(rig.asked, [0, 1]);
    let changes = changes(&told);
    let reason = changes[0].reason.as_deref();
    assert_eq!(reason, Some("the transport failed: the network is down"));
}

#[test]
fn when_all_are_given_up_the_reason_names_what_failed_at_each() {
    let mut backoff = Backoff::default();
    backoff.max_attempts = NonZeroU32::new(1);
    let mut rig = rig(|builder| builder.backoff(backoff));
    rig.dials = all_refuse();
    rig.client.connect(rig.now);
    let told = run(&mut rig, 8);
    assert_eq!(rig.asked, [0, 1, 2]);
    let gave_up = |event: &ClientEvent| matches!(event, ClientEvent::GaveUp { attempts: 3 });
    assert!(told.iter().any(gave_up));
    let reason = "ws://a: refused; tcp://b: refused; unix:c: refused";
    let reason = CloseReason::ConnectFailed(reason.into());
    assert_eq!(*rig.client.state(), ClientState::Closed(reason));

    // Asked again, it begins with the first.
    rig.dials = vec![Dial::Answered];
    rig.client.connect(rig.now);
    let told = run(&mut rig, 5);
    assert_eq!(rig.asked, [0, 1, 2, 0]);
    assert_eq!(changes(&told)[0].reason, None);
}

#[test]
fn an_endpoint_that_fails_for_good_has_no_further_turn() {
    let mut rig = rig(|builder| builder);
    rig.dials = all_refuse();
    rig.dials[1] = Dial::Fails(ConnectFailure::Final("tcp://b: 401".into()));
    rig.client.connect(rig.now);
    for _ in 0..20 {
        run(&mut rig, 5);
        rig.advance(millis(100));
    }
    assert_eq!(rig.asked[..7], [0, 1, 2, 0, 2, 0, 2]);
    assert!(rig.client.endpoints()[1].is_given_up);
    rig.dials[0] = Dial::Fails(ConnectFailure::Final("ws://a: 401".into()));
    rig.dials[2] = Dial::Fails(ConnectFailure::Final("unix:c: 401".into()));
    for _ in 0..60 {
        run(&mut rig, 5);
        rig.advance(seconds(1));
    }
    let reason = "ws://a: 401; tcp://b: 401; unix:c: 401";
    let reason = CloseReason::ConnectFailed(reason.into());
    assert_eq!(*rig.client.state(), ClientState::Closed(reason));
}

#[test]
fn a_preferred_endpoint_that_was_found_is_moved_to_without_losing_what_is_queued() {
    let mut rig = rig(|builder| builder.on_offline(OnOffline::buffer()));
    rig.dials = vec![refused(0), Dial::Answered];
    rig.client.connect(rig.now);
    run(&mut rig, 5);
    assert_eq!(rig.client.endpoint(), 1);
    rig.client.send(rig.now, event("[:a/n 1]")).unwrap();
    let until = rig.now + seconds(5);
    assert!(!rig.client.move_to_endpoint(rig.now, 3, until));
    assert!(rig.client.move_to_endpoint(rig.now, 0, until));
    assert!(!rig.client.move_to_endpoint(rig.now, 0, until));
    rig.client.send(rig.now, event("[:a/n 2]")).unwrap();
    // What was queued is written before the link ends.
    rig.drive();
    let old: Vec<_> = messages(rig.server()).iter().map(text).collect();
    assert_eq!(old, ["[:a/n 1]"]);
    rig.dials[0] = Dial::Answered;
    let now = rig.now;
    rig.server().drain(now, until);
    let told = run(&mut rig, 5);
    assert_eq!(rig.asked, [0, 1, 0]);
    let new: Vec<_> = messages(rig.server()).iter().map(text).collect();
    assert_eq!(new, ["[:a/n 2]"]);
    let changes = changes(&told);
    assert_eq!((changes[0].new, changes[0].reason.as_deref()), (0, None));
}

#[test]
fn what_a_lost_link_had_queued_leaves_on_the_next_in_its_order() {
    let mut rig = rig(|builder| {
        builder
            .on_offline(OnOffline::buffer())
            .keep_undelivered(true)
    });
    rig.client.connect(rig.now);
    run(&mut rig, 5);
    rig.carries = false;
    for n in 1..=3 {
        let said = event(&format!("[:a/n {n}]"));
        rig.client.send(rig.now, said).unwrap();
    }
    rig.dials = vec![refused(0), Dial::Hangs];
    rig.cut();
    rig.client.send(rig.now, event("[:a/n 4]")).unwrap();
    let told = run(&mut rig, 5);
    let undelivered =
        |event: &ClientEvent| matches!(event, ClientEvent::Link(ConnectionEvent::Undelivered(_)));
    assert!(!told.iter().any(undelivered));
    assert_eq!(rig.client.send_capacity().messages, 4);
    rig.carries = true;
    let failure = ConnectFailure::Retry("tcp://b: too late".into());
    let hanging = rig.hanging.take().unwrap();
    rig.client.handle_connect_failed(rig.now, hanging, failure);
    run(&mut rig, 5);
    assert_eq!(rig.client.endpoint(), 2);
    let arrived: Vec<_> = messages(rig.server()).iter().map(text).collect();
    assert_eq!(arrived, ["[:a/n 1]", "[:a/n 2]", "[:a/n 3]", "[:a/n 4]"]);
}

#[test]
fn what_a_lost_link_had_queued_keeps_its_policy_and_its_priority() {
    let latest = SendOptions::new().policy(Policy::Latest("at".into()));
    let low = SendOptions::new().priority(Priority::Low);
    let normal = SendOptions::new();
    let narrow = OnOffline::Buffer {
        max_messages: 4,
        max_bytes: 1000,
    };
    let mut rig = rig(|builder| builder.on_offline(narrow).keep_undelivered(true));
    rig.client.connect(rig.now);
    run(&mut rig, 5);
    rig.carries = false;
    for (said, options) in [
        ("[:a/log 1]", &low),
        ("[:a/at 1]", &latest),
        ("[:a/n 1]", &normal),
    ] {
        let sent = rig.client.send_with(rig.now, event(said), options.clone());
        assert_eq!(sent.unwrap(), Sent::Queued);
    }
    rig.dials = vec![refused(0), Dial::Hangs];
    rig.cut();
    for (said, options) in [("[:a/n 2]", &normal), ("[:a/at 2]", &latest)] {
        let sent = rig.client.send_with(rig.now, event(said), options.clone());
        assert!(sent.is_ok(), "{said}");
    }
    run(&mut rig, 5);
    assert_eq!(
        rig.client.send_capacity().messages,
        4,
        "the old one is gone"
    );
    // As on a link, the newest takes the place of the one before it.
    let newest = rig.client.send_with(rig.now, event("[:a/at 3]"), latest);
    assert_eq!(newest.unwrap(), Sent::Replaced);
    assert_eq!(rig.client.stats().replaced_offline, 2);
    rig.carries = true;
    let failure = ConnectFailure::Retry("tcp://b: too late".into());
    let hanging = rig.hanging.take().unwrap();
    rig.client.handle_connect_failed(rig.now, hanging, failure);
    run(&mut rig, 5);
    let arrived: Vec<_> = messages(rig.server()).iter().map(text).collect();
    assert_eq!(arrived, ["[:a/at 3]", "[:a/n 1]", "[:a/n 2]", "[:a/log 1]"]);
}

#[test]
fn what_has_no_place_comes_back_and_so_does_all_when_the_client_closes() {
    let narrow = OnOffline::Buffer {
        max_messages: 2,
        max_bytes: 1000,
    };
    let mut rig = rig(|builder| builder.on_offline(narrow).keep_undelivered(true));
    rig.client.connect(rig.now);
    run(&mut rig, 5);
    rig.carries = false;
    for n in 1..=3 {
        let said = event(&format!("[:a/n {n}]"));
        rig.client.send(rig.now, said).unwrap();
    }
    rig.dials = vec![Dial::Hangs, Dial::Hangs];
    rig.cut();
    rig.client.disconnect(rig.now);
    let back: Vec<_> = run(&mut rig, 5)
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Undelivered(events)) => Some(events.clone()),
            _ => None,
        })
        .flatten()
        .map(|event| String::from_utf8(event.bytes().to_vec()).unwrap())
        .collect();
    assert_eq!(back, ["[:a/n 3]", "[:a/n 1]", "[:a/n 2]"]);
    assert_eq!(rig.client.state().phase(), ClientPhase::Closed);
}

proptest! {
    /// Whatever fails when: every event that was accepted arrives once and in order, comes back once,
    /// or had left on a link that was lost.
    #[test]
    fn no_event_is_sent_twice_whatever_endpoints_do(
        steps in prop::collection::vec((0_u8..6, 0_usize..3), 1..60),
    ) {
        let mut rig = rig(|builder| builder.on_offline(OnOffline::buffer()).keep_undelivered(true));
        rig.dials = vec![Dial::Answered; 3];
        rig.client.connect(rig.now);
        let mut sent = 0;
        let mut seen = Vec::new();
        let mut back = Vec::new();
        // In the end the network is whole, and every server answers.
        let end = [(6, 0)].repeat(60);
        for (step, endpoint) in steps.into_iter().chain(end) {
            match step {
                0 | 1 => {
                    sent += 1;
                    let said = event(&format!("[:a/n {sent}]"));
                    prop_assert!(rig.client.send(rig.now, said).is_ok());
                }
                2 => rig.cut(),
                3 => rig.carries = !rig.carries,
                4 => rig.dials[endpoint] = match rig.dials[endpoint] {
                    Dial::Answered => refused(endpoint),
                    _ => Dial::Answered,
                },
                6 => {
                    rig.carries = true;
                    rig.dials = vec![Dial::Answered; 3];
                }
                _ => {
                    let until = rig.now + seconds(5);
                    rig.client.move_to_endpoint(rig.now, endpoint, until);
                }
            }
            rig.advance(seconds(2));
            for told in rig.events() {
                if let ClientEvent::Link(ConnectionEvent::Undelivered(events)) = told {
                    back.extend(events.iter().map(number_of));
                }
            }
            let present = rig.server.iter_mut().map(|(_, server)| server);
            for end in rig.former.iter_mut().chain(present) {
                seen.extend(messages(end).iter().map(|message| {
                    message.event.data.as_ref().unwrap().to_value().unwrap().as_i64().unwrap()
                }));
            }
        }
        prop_assert!(back.is_empty());
        prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        prop_assert!(seen.iter().all(|n| *n <= sent));
        // The rig hands over at once all that leaves a link, so that nothing is lost on its way.
        prop_assert_eq!(seen.len(), usize::try_from(sent).unwrap());
    }
}

fn number_of(event: &sente_core::PackedEvent) -> i64 {
    let text = String::from_utf8(event.bytes().to_vec()).unwrap();
    let number = text.trim_start_matches("[:a/n ").trim_end_matches(']');
    number.parse().unwrap()
}
