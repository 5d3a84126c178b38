//! A link that is asked for while the one before it still ends.
#![allow(missing_docs)]

use sente_core::state::ClientPhase;
use sente_core::{
    CallError, Carrier, ClientConfig, ClientEvent, CloseReason, ConnectionEvent, Dialect,
    OnOffline, Role,
};
use sente_tests::{Rig, client_config, config, event, messages, millis, seconds, text};

const LINKS: [(Dialect, Carrier); 3] = [
    (Dialect::Sente, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::WebSocket),
    (Dialect::SenteLite, Carrier::Lines),
];

/// What came of the links, in order.
fn lives(events: &[ClientEvent]) -> Vec<String> {
    let lives = events.iter().filter_map(|event| match event {
        ClientEvent::Closed(reason) => Some(format!("closed: {reason:?}")),
        ClientEvent::Opened(_) => Some("opened".into()),
        ClientEvent::Reopened(_) => Some("reopened".into()),
        _ => None,
    });
    lives.collect()
}

#[test]
fn connect_while_a_link_says_goodbye_is_heeded_behind_the_goodbye() {
    for (dialect, carrier) in LINKS {
        let mut rig = Rig::open_with(client_config(dialect, carrier));
        rig.client.disconnect(rig.now);
        rig.client.connect(rig.now);
        assert_eq!(rig.client.state().phase(), ClientPhase::Connecting);
        rig.drive();
        assert!(rig.client.state().is_open(), "{dialect:?} {carrier:?}");
        assert_eq!(rig.dialled, [rig.now, rig.now]);
        assert_eq!(lives(&rig.events()), ["closed: Requested", "reopened"]);
        rig.advance(seconds(60));
        assert!(rig.client.state().is_open(), "it stays");
    }
}

#[test]
fn connect_waits_for_the_goodbye_of_a_dead_peer_no_longer_than_that_may_take() {
    let mut rig = Rig::open();
    rig.carries = false;
    rig.client.disconnect(rig.now);
    rig.advance(millis(300));
    rig.client.connect(rig.now);
    rig.advance(millis(999));
    assert_eq!(rig.dialled.len(), 1);
    rig.carries = true;
    rig.server = None;
    rig.advance(millis(1));
    assert!(rig.client.state().is_open());
}

#[test]
fn connect_while_a_link_drains_lets_it_drain_first() {
    let mut rig = Rig::open_with(client_config(Dialect::SenteLite, Carrier::Lines));
    let now = rig.now;
    rig.client.send(now, event("[:a/last]")).unwrap();
    rig.carries = false;
    rig.client.drain(now, now + seconds(60));
    rig.client.connect(now);
    // Longer than a goodbye may take: the application said how long this may.
    rig.advance(seconds(20));
    assert_eq!(rig.client.state().phase(), ClientPhase::Connecting);
    assert_eq!(rig.dialled.len(), 1);
    rig.carries = true;
    rig.drive();
    let heard = messages(rig.server()).iter().map(text).collect::<Vec<_>>();
    assert_eq!(heard, ["[:a/last]"]);
    let (now, later) = (rig.now, rig.now + seconds(1));
    rig.server().drain(now, later);
    rig.drive();
    assert!(rig.client.state().is_open());
    assert_eq!(rig.dialled.len(), 2);
    assert_eq!(lives(&rig.events()), ["closed: Requested", "reopened"]);
}

#[test]
fn the_calls_of_a_link_that_drains_are_answered_after_connect() {
    let mut rig = Rig::open();
    let now = rig.now;
    let call = rig.client.call(now, event("[:q/a]"), seconds(30)).unwrap();
    rig.drive();
    let token = messages(rig.server()).remove(0).reply.unwrap();
    rig.client.drain(now, now + seconds(60));
    rig.client.connect(now);
    rig.advance(seconds(5));
    let now = rig.now;
    rig.server().reply(now, token, 7).unwrap();
    rig.drive();
    let events = rig.events();
    let answered = events.iter().any(|event| {
        matches!(event, ClientEvent::Link(ConnectionEvent::Settled { call: settled, result: Ok(_) })
            if *settled == call)
    });
    assert!(answered, "{events:?}");
    assert!(rig.client.state().is_open());
}

#[test]
fn a_peer_that_finished_is_connected_to_again_at_once_where_that_is_asked_for() {
    let mut rig = Rig::open_with(client_config(Dialect::SenteLite, Carrier::Lines));
    let now = rig.now;
    // It cannot be written to, so that the link lasts for the whole time of a goodbye.
    rig.client.send(now, event("[:a/stuck]")).unwrap();
    let (attempt, server) = rig.server.take().unwrap();
    rig.client
        .handle_input(now, attempt, sente_core::Input::Eof);
    assert_eq!(rig.client.state().phase(), ClientPhase::Draining);
    rig.server = Some((attempt, server));
    rig.carries = false;
    rig.client.connect(now);
    assert_eq!(rig.client.state().phase(), ClientPhase::Connecting);
    rig.advance(millis(500));
    rig.carries = true;
    rig.server = None;
    rig.advance(seconds(2));
    assert!(rig.client.state().is_open());
    let told = lives(&rig.events());
    assert_eq!(
        told.first().unwrap(),
        "closed: Eof",
        "and no waiting for a turn"
    );
    assert_eq!(rig.client.stats().attempts, 2);
}

#[test]
fn disconnect_takes_a_connect_back_and_ends_the_link_that_drains() {
    let mut rig = Rig::open();
    let now = rig.now;
    let call = rig.client.call(now, event("[:q/a]"), seconds(30)).unwrap();
    rig.client.drain(now, now + seconds(60));
    rig.client.connect(now);
    rig.client.disconnect(now);
    assert_eq!(rig.client.state().phase(), ClientPhase::Closed);
    rig.advance(seconds(120));
    assert_eq!(rig.dialled.len(), 1);
    let events = rig.events();
    let settled = events.iter().any(|event| {
        matches!(event, ClientEvent::Link(ConnectionEvent::Settled { call: settled, result: Err(CallError::Closed) })
            if *settled == call)
    });
    assert!(settled, "{events:?}");
    assert!(matches!(
        events.last(),
        Some(ClientEvent::Closed(CloseReason::Requested))
    ));
    assert!(rig.server.is_none(), "the transport was let go");
}

#[test]
fn what_is_sent_behind_connect_is_kept_for_the_link_that_was_asked_for() {
    let link = config(Role::Client, Dialect::Sente, Carrier::WebSocket);
    let client = ClientConfig::builder(link).on_offline(OnOffline::buffer());
    let mut rig = Rig::open_with(client.build().unwrap());
    let now = rig.now;
    rig.client.disconnect(now);
    assert!(rig.client.send(now, event("[:a/refused]")).is_err());
    rig.client.connect(now);
    rig.client.send(now, event("[:a/kept]")).unwrap();
    rig.drive();
    let heard = messages(rig.server()).iter().map(text).collect::<Vec<_>>();
    assert_eq!(heard, ["[:a/kept]"]);
}

#[test]
fn the_attempt_asked_for_behind_a_disconnect_is_the_first_of_its_row() {
    let mut rig = Rig::open();
    rig.client.break_connection(rig.now);
    rig.events();
    rig.drive();
    assert!(rig.client.state().is_open());
    rig.client.disconnect(rig.now);
    rig.client.connect(rig.now);
    let state = rig.client.state().clone();
    assert!(
        matches!(state, sente_core::ClientState::Connecting { number: 1, .. }),
        "{state:?}"
    );
}
