//! When a client tries again, and when it does not, told in virtual time.
#![allow(missing_docs)]

use std::num::NonZeroU32;

use sente_core::state::ClientPhase;
use sente_core::{
    Backoff, Carrier, Client, ClientConfig, ClientEvent, ClientState, CloseReason, ConnectFailure,
    ConnectionEvent, Dialect, Instant, Role,
};
use sente_tests::{Dial, Rig, client_config, config, millis, seconds};

const WEBSOCKET: (Dialect, Carrier) = (Dialect::Sente, Carrier::WebSocket);

fn builder() -> sente_core::ClientConfigBuilder {
    ClientConfig::builder(config(Role::Client, WEBSOCKET.0, WEBSOCKET.1))
}

fn refused() -> Dial {
    Dial::Fails(ConnectFailure::Retry("connection refused".into()))
}

/// The names of all events but state changes.
fn names(events: &[ClientEvent]) -> Vec<&'static str> {
    events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::StateChanged(_) => None,
            ClientEvent::Opened(_) => Some("opened"),
            ClientEvent::Reopened(_) => Some("reopened"),
            ClientEvent::Closed(_) => Some("closed"),
            ClientEvent::ConnectFailed { .. } => Some("connect-failed"),
            ClientEvent::GaveUp { .. } => Some("gave-up"),
            ClientEvent::Link(ConnectionEvent::Message(_)) => Some("message"),
            ClientEvent::Link(ConnectionEvent::Undelivered(_)) => Some("undelivered"),
            ClientEvent::Link(ConnectionEvent::Settled { .. }) => Some("settled"),
            ClientEvent::Link(ConnectionEvent::SendReady) => Some("send-ready"),
            ClientEvent::Link(ConnectionEvent::FlushFailed(_)) => Some("flush-failed"),
            ClientEvent::Link(ConnectionEvent::PeerFinished) => Some("peer-finished"),
            _ => Some("other"),
        })
        .collect()
}

#[test]
fn the_first_retry_is_at_once_and_the_next_ones_wait_longer_and_longer() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = refused();
    rig.client.connect(rig.now);
    for _ in 0..600 {
        rig.advance(seconds(1));
        rig.events();
    }
    let waits: Vec<_> = rig
        .dialled
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert_eq!(waits[0], seconds(0));
    // The application of this test looks once a second.
    for (wait, ceiling) in waits[1..].iter().zip([500, 1000, 2000, 4000, 8000, 16000]) {
        assert!(*wait <= millis(ceiling + 1000), "{waits:?}");
    }
    assert!(waits.iter().all(|wait| *wait <= seconds(31)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > seconds(10)), "{waits:?}");
    assert!(waits.len() < 120, "hammers: {}", waits.len());
}

#[test]
fn the_time_of_the_next_attempt_can_be_seen() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = refused();
    rig.client.connect(rig.now);
    rig.drive();
    rig.events();
    rig.drive();
    let due = rig.client.next_attempt_at().unwrap();
    assert_eq!(rig.client.poll_timeout(), Some(due));
    assert_eq!(
        *rig.client.state(),
        ClientState::Waiting {
            until: due,
            failures: 2
        }
    );
    assert!(due > rig.now && due <= rig.now + millis(500));
}

#[test]
fn a_server_that_shakes_hands_and_drops_is_not_hammered() {
    let mut rig = Rig::open();
    for _ in 0..60 {
        if rig.client.state().is_open() {
            rig.cut();
        }
        rig.advance(seconds(1));
        rig.events();
    }
    let made = rig.dialled.len();
    assert!(made < 20, "{made} attempts in a minute");
}

#[test]
fn a_stable_link_makes_the_failures_before_it_forgotten() {
    let mut rig = Rig::open();
    for _ in 0..5 {
        rig.advance(seconds(6));
        rig.cut();
        rig.drive();
        rig.events();
        assert!(rig.client.state().is_open(), "the first retry is at once");
    }
    rig.advance(seconds(4));
    rig.cut();
    rig.drive();
    let failures = match rig.client.state() {
        ClientState::Waiting { failures, .. } => *failures,
        other => panic!("{other:?}"),
    };
    assert_eq!(failures, 2, "four seconds are not stable yet");
}

#[test]
fn attempts_can_be_bounded_and_the_client_says_that_it_gave_up() {
    let mut backoff = Backoff::default();
    backoff.max_attempts = NonZeroU32::new(3);
    let mut rig = Rig::new(builder().backoff(backoff).build().unwrap());
    rig.dial = refused();
    rig.client.connect(rig.now);
    let mut told = Vec::new();
    for _ in 0..60 {
        rig.advance(seconds(1));
        told.extend(rig.events());
    }
    assert_eq!(rig.dialled.len(), 3);
    let reason = CloseReason::ConnectFailed("connection refused".into());
    assert_eq!(*rig.client.state(), ClientState::Closed(reason));
    assert_eq!(
        names(&told),
        [
            "connect-failed",
            "connect-failed",
            "connect-failed",
            "gave-up"
        ]
    );
    assert_eq!(rig.client.poll_timeout(), None);

    rig.dial = Dial::Answered;
    rig.client.connect(rig.now);
    rig.drive();
    assert!(rig.client.state().is_open(), "asked again, it tries again");
}

#[test]
fn a_final_failure_closes_the_client() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = Dial::Fails(ConnectFailure::Final("401".into()));
    rig.client.connect(rig.now);
    rig.advance(seconds(60));
    assert_eq!(rig.dialled.len(), 1);
    let events = rig.events();
    assert_eq!(names(&events), ["connect-failed"]);
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::ConnectFailed("401".into()))
    );
}

#[test]
fn reconnecting_can_be_turned_off_and_on_while_running() {
    let mut rig = Rig::open();
    rig.client.set_auto_reconnect(rig.now, false);
    rig.cut();
    rig.advance(seconds(60));
    assert_eq!(rig.client.state().phase(), ClientPhase::Closed);
    rig.events();

    rig.client.set_auto_reconnect(rig.now, true);
    assert_eq!(rig.client.state().phase(), ClientPhase::Closed);
    rig.client.connect(rig.now);
    rig.drive();
    rig.events();
    rig.dial = refused();
    rig.cut();
    rig.drive();
    rig.events();
    assert_eq!(rig.client.state().phase(), ClientPhase::Waiting);
    rig.client.set_auto_reconnect(rig.now, false);
    assert_eq!(rig.client.state().phase(), ClientPhase::Closed);
    assert_eq!(rig.client.poll_timeout(), None);
}

#[test]
fn the_waits_can_be_replaced_while_running() {
    let mut rig = Rig::open();
    rig.dial = refused();
    rig.client
        .set_backoff(Some(Box::new(|failures, _| seconds(u64::from(failures)))));
    rig.cut();
    let start = rig.now;
    for _ in 0..60 {
        rig.advance(millis(100));
        rig.events();
    }
    let waited: Vec<_> = rig.dialled[1..].iter().map(|at| *at - start).collect();
    assert_eq!(waited, [seconds(1), seconds(3), seconds(6)]);
    rig.client.set_backoff(None);
    rig.advance(seconds(4));
    rig.events();
    let until = rig.client.next_attempt_at().unwrap();
    assert!(until <= rig.now + seconds(30));
}

#[test]
fn one_seed_gives_the_same_id_and_the_same_waits_and_the_id_stays() {
    let life = |seed: u8| {
        let config = client_config(WEBSOCKET.0, WEBSOCKET.1);
        let mut now = Instant::EPOCH;
        let mut client = Client::new(config, [seed; 32], now);
        client.connect(now);
        let mut waits = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..10 {
            if let Some(until) = client.next_attempt_at() {
                waits.push(until - now);
                now = until;
                client.handle_timeout(now);
            }
            let connect = client.poll_connect().unwrap();
            ids.push(connect.client_id);
            let failure = ConnectFailure::Retry("no".into());
            client.handle_connect_failed(now, connect.attempt, failure);
            while client.poll_event().is_some() {}
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "one id for all attempts");
        (ids, waits)
    };
    assert_eq!(life(1), life(1));
    assert_ne!(life(1).0, life(2).0);
    assert_ne!(life(1).1, life(2).1);
}

#[test]
fn a_server_that_never_shakes_hands_counts_as_a_failure() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.carries = false;
    rig.client.connect(rig.now);
    rig.advance(seconds(10));
    let events = rig.events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, ClientEvent::Closed(CloseReason::HandshakeTimeout))),
        "{events:?}"
    );
    assert_eq!(rig.client.stats().opened, 0);
}

#[test]
fn the_attempt_for_a_fresh_link_is_the_first_of_its_row() {
    let mut rig = Rig::open();
    rig.advance(seconds(6));
    rig.client.reconnect(rig.now);
    let state = rig.client.state().clone();
    assert!(matches!(state, ClientState::Connecting { number: 1, .. }));
    rig.dial = refused();
    let mut failed = || {
        rig.drive();
        rig.events().into_iter().find_map(|event| match event {
            ClientEvent::ConnectFailed { number, .. } => Some(number),
            _ => None,
        })
    };
    assert_eq!((failed(), failed()), (Some(1), Some(2)));
}
