//! What a reconnecting client does, told in virtual time.
#![allow(missing_docs)]

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::BytesMut;
use sente_core::state::ClientPhase;
use sente_core::{
    Backoff, CallError, Carrier, Client, ClientConfig, ClientEvent, ClientState, CloseReason,
    ConfigError, ConnectFailure, ConnectionConfig, ConnectionEvent, Dialect, Input, Instant,
    Limits, OnOffline, Policy, Priority, Rate, Role, SendError, SendOptions, Sent,
};
use sente_tests::{Dial, Rig, client_config, config, event, messages, millis, seconds, text};

const WEBSOCKET: (Dialect, Carrier) = (Dialect::Sente, Carrier::WebSocket);

fn builder() -> sente_core::ClientConfigBuilder {
    ClientConfig::builder(config(Role::Client, WEBSOCKET.0, WEBSOCKET.1))
}

fn refused() -> Dial {
    Dial::Fails(ConnectFailure::Retry("connection refused".into()))
}

/// The phases that the state changes among `events` lead to.
fn phases(events: &[ClientEvent]) -> Vec<ClientPhase> {
    events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::StateChanged(change) => Some(change.new.phase()),
            _ => None,
        })
        .collect()
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

fn undelivered(events: &[ClientEvent]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Undelivered(events)) => Some(events),
            _ => None,
        })
        .flatten()
        .map(|event| String::from_utf8(event.bytes().to_vec()).unwrap())
        .collect()
}

fn received(rig: &mut Rig) -> Vec<String> {
    messages(rig.server()).iter().map(text).collect()
}

#[test]
fn the_first_link_opens_and_later_ones_reopen() {
    use ClientPhase::{Connecting, Handshaking, Open, Waiting};
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.client.connect(rig.now);
    rig.drive();
    let events = rig.events();
    assert_eq!(phases(&events), [Connecting, Handshaking, Open]);
    assert_eq!(names(&events), ["opened"]);

    rig.cut();
    rig.drive();
    let events = rig.events();
    assert_eq!(phases(&events), [Waiting, Connecting, Handshaking, Open]);
    assert_eq!(names(&events), ["closed", "reopened"]);
    let stats = rig.client.stats();
    assert_eq!((stats.attempts, stats.opened, stats.reconnects), (2, 2, 1));
}

#[test]
fn a_state_change_tells_both_states_and_why_the_last_link_ended() {
    let mut rig = Rig::open();
    rig.dial = Dial::Hangs;
    rig.cut();
    let events = rig.events();
    let change = events
        .iter()
        .find_map(|event| match event {
            ClientEvent::StateChanged(change) => Some(change),
            _ => None,
        })
        .unwrap();
    assert!(matches!(change.old, ClientState::Open { .. }));
    assert!(matches!(
        change.new,
        ClientState::Waiting { failures: 1, .. }
    ));
    let failed = CloseReason::Failed("the network is down".into());
    assert_eq!(change.reason.as_ref(), Some(&failed));
    rig.drive();
    let connect_reason = rig.client.state().phase();
    assert_eq!(connect_reason, ClientPhase::Connecting);
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
fn disconnect_says_goodbye_and_stays_closed() {
    let mut rig = Rig::open();
    rig.client.disconnect(rig.now);
    assert_eq!(rig.client.state().phase(), ClientPhase::Draining);
    rig.drive();
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::Requested)
    );
    assert_eq!(names(&rig.events()), ["closed"]);
    rig.advance(seconds(120));
    assert_eq!(rig.dialled.len(), 1);
    assert!(rig.server.is_none(), "the transport was let go");
}

#[test]
fn disconnect_gives_up_an_attempt_under_way() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = Dial::Hangs;
    rig.client.connect(rig.now);
    rig.drive();
    let attempt = rig.hanging.unwrap();
    assert!(rig.client.is_wanted(attempt));
    rig.client.disconnect(rig.now);
    assert!(!rig.client.is_wanted(attempt));
    assert!(!rig.client.handle_connected(rig.now, attempt));
    assert_eq!(rig.client.stats().stale_inputs, 1);
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::Requested)
    );
}

#[test]
fn disconnect_while_waiting_ends_the_waiting() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = refused();
    rig.client.connect(rig.now);
    rig.drive();
    rig.events();
    rig.drive();
    assert_eq!(rig.client.state().phase(), ClientPhase::Waiting);
    rig.client.disconnect(rig.now);
    rig.advance(seconds(60));
    assert_eq!(rig.dialled.len(), 2);
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::Requested)
    );
}

#[test]
fn connect_does_not_wait_for_the_time_of_the_next_attempt() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = refused();
    rig.client.connect(rig.now);
    rig.drive();
    rig.events();
    rig.drive();
    rig.events();
    assert_eq!(rig.client.state().phase(), ClientPhase::Waiting);
    rig.dial = Dial::Answered;
    rig.client.connect(rig.now);
    rig.drive();
    assert!(rig.client.state().is_open());
}

#[test]
fn reconnect_leaves_the_link_in_order_and_takes_a_fresh_one() {
    for (dialect, carrier) in [WEBSOCKET, (Dialect::SenteLite, Carrier::Lines)] {
        let mut rig = Rig::open_with(client_config(dialect, carrier));
        rig.client.reconnect(rig.now);
        assert_eq!(rig.client.state().phase(), ClientPhase::Connecting);
        rig.drive();
        assert!(rig.client.state().is_open());
        assert_eq!(rig.dialled, [rig.now, rig.now]);
        let events = rig.events();
        assert_eq!(names(&events), ["closed", "reopened"], "{carrier:?}");
        assert!(
            events
                .iter()
                .any(|event| matches!(event, ClientEvent::Closed(CloseReason::Requested)))
        );
    }
}

#[test]
fn reconnect_waits_for_a_dead_peer_no_longer_than_the_goodbye_may_take() {
    let mut rig = Rig::open();
    rig.carries = false;
    rig.client.reconnect(rig.now);
    rig.advance(millis(999));
    assert_eq!(rig.dialled.len(), 1);
    rig.carries = true;
    rig.server = None;
    rig.advance(millis(1));
    assert!(rig.client.state().is_open());
    assert_eq!(names(&rig.events()), ["closed", "reopened"]);
}

#[test]
fn reconnect_gives_up_an_attempt_under_way_for_a_new_one() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = Dial::Hangs;
    rig.client.connect(rig.now);
    rig.drive();
    let old = rig.hanging.unwrap();
    rig.dial = Dial::Answered;
    rig.client.reconnect(rig.now);
    assert!(!rig.client.is_wanted(old));
    rig.drive();
    assert!(rig.client.state().is_open());
    let failure = ConnectFailure::Retry("too late".into());
    rig.client.handle_connect_failed(rig.now, old, failure);
    assert!(rig.client.state().is_open());
}

#[test]
fn input_of_an_old_attempt_is_ignored_and_counted() {
    let mut rig = Rig::open();
    let old = rig.server.as_ref().unwrap().0;
    rig.cut();
    rig.drive();
    rig.events();
    let mut bytes = BytesMut::from(&b"\x81\x03xyz"[..]);
    rig.client
        .handle_input(rig.now, old, Input::Bytes(&mut bytes));
    rig.client
        .handle_input(rig.now, old, Input::Failed("again".into()));
    rig.client.handle_transmitted(rig.now, old);
    assert!(bytes.is_empty());
    assert!(rig.client.state().is_open());
    assert_eq!(rig.client.stats().stale_inputs, 3);
    assert_eq!(names(&rig.events()), [""; 0]);
}

#[test]
fn offline_sends_are_refused_and_given_back() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    let refused = rig.client.send(rig.now, event("[:a/b 1]")).unwrap_err();
    assert!(matches!(&refused, SendError::NotOpen(_)));
    assert_eq!(
        refused.into_event().to_value().unwrap().to_string(),
        "[:a/b 1]"
    );
    let call = rig.client.call(rig.now, event("[:a/b]"), seconds(1));
    assert!(matches!(call, Err(SendError::NotOpen(_))));
    assert_eq!(rig.client.stats().refused_offline, 2);
}

#[test]
fn buffered_events_leave_in_order_ahead_of_later_ones() {
    let config = builder().on_offline(OnOffline::buffer()).build().unwrap();
    let mut rig = Rig::new(config);
    let early = rig.client.send(rig.now, event("[:a/early]"));
    assert!(
        matches!(early, Err(SendError::NotOpen(_))),
        "nobody tries to connect"
    );
    rig.client.connect(rig.now);
    for n in 0..3 {
        let sent = event(&format!("[:a/n {n}]"));
        rig.client.send(rig.now, sent).unwrap();
    }
    assert_eq!(rig.client.send_capacity().messages, 3);
    rig.drive();
    rig.client.send(rig.now, event("[:a/n 3]")).unwrap();
    rig.drive();
    assert_eq!(
        received(&mut rig),
        ["[:a/n 0]", "[:a/n 1]", "[:a/n 2]", "[:a/n 3]"]
    );
}

#[test]
fn a_full_buffer_refuses_and_says_when_there_is_room() {
    let mut policy = OnOffline::buffer();
    if let OnOffline::Buffer { max_messages, .. } = &mut policy {
        *max_messages = 2;
    }
    let mut rig = Rig::new(builder().on_offline(policy).build().unwrap());
    rig.client.connect(rig.now);
    rig.client.send(rig.now, event("[:a/n 0]")).unwrap();
    rig.client.send(rig.now, event("[:a/n 1]")).unwrap();
    let full = rig.client.send(rig.now, event("[:a/n 2]"));
    assert!(matches!(full, Err(SendError::Full { messages: 2, .. })));
    rig.drive();
    assert_eq!(names(&rig.events()), ["send-ready", "opened"]);
    assert_eq!(received(&mut rig), ["[:a/n 0]", "[:a/n 1]"]);
}

#[test]
fn buffered_events_come_back_when_the_client_closes_first() {
    let config = builder().on_offline(OnOffline::buffer()).build().unwrap();
    let mut rig = Rig::new(config);
    rig.dial = Dial::Hangs;
    rig.client.connect(rig.now);
    rig.client.send(rig.now, event("[:a/n 0]")).unwrap();
    rig.client.disconnect(rig.now);
    let events = rig.events();
    assert_eq!(undelivered(&events), ["[:a/n 0]"]);
}

#[test]
fn what_was_queued_on_a_lost_link_comes_back_and_is_not_sent_again() {
    let config = builder().on_offline(OnOffline::buffer()).build().unwrap();
    let mut rig = Rig::open_with(config);
    rig.carries = false;
    rig.client.send(rig.now, event("[:a/lost]")).unwrap();
    rig.cut();
    rig.client.send(rig.now, event("[:a/kept]")).unwrap();
    rig.carries = true;
    rig.drive();
    let events = rig.events();
    assert_eq!(names(&events), ["undelivered", "closed", "reopened"]);
    assert_eq!(undelivered(&events), ["[:a/lost]"]);
    assert_eq!(received(&mut rig), ["[:a/kept]"]);
}

#[test]
fn calls_settle_as_closed_the_moment_their_link_is_lost() {
    let mut rig = Rig::open();
    let call = rig
        .client
        .call(rig.now, event("[:a/ask]"), seconds(60))
        .unwrap();
    rig.drive();
    rig.cut();
    let settled = rig.client.poll_answer();
    assert!(
        matches!(
            settled,
            Some(ClientEvent::Link(ConnectionEvent::Settled {
                call: settled,
                result: Err(CallError::Closed)
            })) if settled == call
        ),
        "{settled:?}"
    );
    rig.drive();
    let later = rig
        .client
        .call(rig.now, event("[:a/ask]"), seconds(60))
        .unwrap();
    assert_ne!(call, later, "an id is never used twice");
    let flush = rig.client.flush(rig.now);
    rig.cut();
    assert_ne!(flush, rig.client.flush(rig.now));
}

#[test]
fn a_flush_without_a_link_fails_at_once() {
    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.client.flush(rig.now);
    assert_eq!(names(&rig.events()), ["flush-failed"]);
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
fn a_peer_that_ends_its_stream_is_written_to_and_connected_to_again() {
    let mut rig = Rig::open_with(client_config(Dialect::SenteLite, Carrier::Lines));
    rig.client.send(rig.now, event("[:a/last]")).unwrap();
    let deadline = rig.now + seconds(5);
    let now = rig.now;
    rig.server().drain(now, deadline);
    // The server half-closes before it has heard the last event.
    let attempt = rig.server.as_ref().unwrap().0;
    rig.client.handle_input(rig.now, attempt, Input::Eof);
    assert_eq!(rig.client.state().phase(), ClientPhase::Draining);
    let mut out = sente_core::TransmitBuf::new();
    assert_eq!(
        rig.client.poll_transmit(&mut out),
        Some(sente_core::Transmit::Data)
    );
    rig.client.handle_transmitted(rig.now, attempt);
    rig.server = None;
    let mut out = sente_core::TransmitBuf::new();
    assert_eq!(
        rig.client.poll_transmit(&mut out),
        Some(sente_core::Transmit::Shutdown)
    );
    assert!(!rig.client.is_wanted(attempt));
    rig.drive();
    assert!(rig.client.state().is_open());
    let events = rig.events();
    assert_eq!(names(&events), ["peer-finished", "closed", "reopened"]);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, ClientEvent::Closed(CloseReason::Eof)))
    );
}

#[test]
fn the_end_of_a_link_is_told_behind_its_messages_however_late_they_are_read() {
    let mut rig = Rig::open();
    let now = rig.now;
    for n in 0..3 {
        let sent = event(&format!("[:a/n {n}]"));
        rig.server().send(now, sent).unwrap();
    }
    rig.drive();
    rig.cut();
    rig.drive();
    let now = rig.now;
    rig.server().send(now, event("[:a/n 3]")).unwrap();
    rig.drive();
    assert!(rig.client.state().is_open());
    let events = rig.events();
    assert_eq!(
        names(&events),
        [
            "message", "message", "message", "closed", "reopened", "message"
        ]
    );
}

#[test]
fn an_application_that_does_not_look_is_not_reconnected_for_ever() {
    let mut rig = Rig::open();
    for _ in 0..20 {
        rig.advance(seconds(10));
        rig.cut();
    }
    rig.advance(seconds(60));
    assert_eq!(rig.dialled.len(), 2);
    rig.events();
    rig.drive();
    assert!(rig.client.state().is_open());
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
fn a_silent_peer_is_left_and_connected_to_again() {
    let mut rig = Rig::open();
    rig.carries = false;
    let mut told = Vec::new();
    for _ in 0..40 {
        rig.advance(seconds(1));
        told.extend(rig.events());
    }
    assert!(
        told.iter()
            .any(|event| matches!(event, ClientEvent::Closed(CloseReason::PingTimeout))),
        "{told:?}"
    );
    assert!(rig.dialled.len() > 1);
}

#[test]
fn a_link_can_be_broken_on_purpose() {
    let mut rig = Rig::open();
    rig.client.break_connection(rig.now);
    rig.drive();
    assert!(rig.client.state().is_open());
    assert_eq!(names(&rig.events()), ["closed", "reopened"]);
}

#[test]
fn drain_writes_what_is_queued_and_closes() {
    let mut rig = Rig::open();
    rig.client.send(rig.now, event("[:a/last]")).unwrap();
    rig.client.drain(rig.now, rig.now + seconds(5));
    let refused = rig.client.send(rig.now, event("[:a/late]"));
    assert!(matches!(refused, Err(SendError::NotOpen(_))));
    let (_, mut server) = rig.server.take().unwrap();
    let mut heard = Vec::new();
    let mut out = sente_core::TransmitBuf::new();
    while rig.client.poll_transmit(&mut out) == Some(sente_core::Transmit::Data) {
        use bytes::Buf;
        let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
        let attempt = match rig.client.state() {
            ClientState::Draining { attempt } => *attempt,
            other => panic!("{other:?}"),
        };
        rig.client.handle_transmitted(rig.now, attempt);
        server.handle_input(rig.now, Input::Bytes(&mut bytes));
        heard.extend(messages(&mut server).iter().map(text));
    }
    assert_eq!(heard, ["[:a/last]"]);
    rig.advance(seconds(6));
    assert_eq!(
        *rig.client.state(),
        ClientState::Closed(CloseReason::Requested)
    );
    assert_eq!(rig.dialled.len(), 1);
}

#[test]
fn replies_to_calls_of_a_lost_link_are_refused() {
    let mut rig = Rig::open_with(client_config(Dialect::SenteLite, Carrier::Lines));
    let now = rig.now;
    rig.server()
        .call(now, event("[:a/ask]"), seconds(60))
        .unwrap();
    rig.drive();
    let token = rig
        .events()
        .into_iter()
        .find_map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Message(message)) => message.reply,
            _ => None,
        })
        .unwrap();
    rig.cut();
    rig.drive();
    assert!(rig.client.state().is_open());
    assert!(rig.client.reply(rig.now, token, 1).is_err());
}

#[test]
fn a_servers_links_are_no_clients() {
    let server = config(Role::Server, WEBSOCKET.0, WEBSOCKET.1);
    let refused = ClientConfig::builder(Arc::clone(&server)).build();
    assert_eq!(refused.err(), Some(ConfigError::NotAClient));

    let mut rig = Rig::new(client_config(WEBSOCKET.0, WEBSOCKET.1));
    rig.dial = Dial::Hangs;
    rig.client.connect(rig.now);
    rig.drive();
    let attempt = rig.hanging.unwrap();
    assert!(!rig.client.handle_connected_with(rig.now, attempt, server));
    assert_eq!(rig.client.state().phase(), ClientPhase::Closed);
}

#[test]
fn buffered_events_leave_at_the_rate_of_the_link_and_with_their_options() {
    let link = ConnectionConfig::builder(Role::Client, WEBSOCKET.0, WEBSOCKET.1)
        .send_rate(Some(Rate::new(1, seconds(1), 1)))
        .build()
        .unwrap();
    let config_ = ClientConfig::builder(link)
        .on_offline(OnOffline::buffer())
        .build()
        .unwrap();
    let mut rig = Rig::new(config_);
    rig.client.connect(rig.now);
    let volatile = SendOptions::new().policy(Policy::Volatile);
    let dropped = rig
        .client
        .send_with(rig.now, event("[:a/volatile]"), volatile);
    assert!(matches!(dropped, Ok(Sent::Dropped)));
    let low = SendOptions::new().priority(Priority::Low);
    for n in 0..3 {
        let sent = event(&format!("[:a/n {n}]"));
        rig.client.send_with(rig.now, sent, low.clone()).unwrap();
    }
    rig.drive();
    rig.events();
    assert_eq!(received(&mut rig), ["[:a/n 0]"]);
    let call = rig.client.call(rig.now, event("[:a/ask]"), seconds(1));
    assert!(
        matches!(call, Err(SendError::Full { messages: 2, .. })),
        "it would overtake what waits"
    );
    rig.advance(seconds(2));
    assert_eq!(received(&mut rig), ["[:a/n 1]", "[:a/n 2]"]);
    assert_eq!(names(&rig.events()), ["send-ready"]);
}

#[test]
fn a_reservation_ends_with_its_link_and_its_ticket_is_never_used_twice() {
    let mut rig = Rig::open();
    let ticket = rig.client.reserve(rig.now, 100, None).unwrap();
    assert!(matches!(
        rig.client.poll_answer(),
        Some(ClientEvent::Link(ConnectionEvent::Granted(granted))) if granted == ticket
    ));
    rig.cut();
    let late = rig
        .client
        .send_reserved(rig.now, ticket, event("[:a/late]"));
    assert!(matches!(late, Err(SendError::NotOpen(_))));
    rig.drive();
    rig.events();
    let next = rig.client.reserve(rig.now, 100, None).unwrap();
    assert_ne!(ticket, next);
    assert!(!rig.client.release(rig.now, ticket));
    rig.client
        .send_reserved(rig.now, next, event("[:a/in-time]"))
        .unwrap();
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/in-time]"]);
}

#[test]
fn an_attempt_may_use_another_dialect_and_what_was_kept_still_leaves() {
    let config_ = builder().on_offline(OnOffline::buffer()).build().unwrap();
    let mut client = Client::new(config_, [1; 32], Instant::EPOCH);
    let now = Instant::EPOCH;
    client.connect(now);
    client.send(now, event("[:a/kept]")).unwrap();
    let connect = client.poll_connect().unwrap();
    let lines = config(Role::Client, Dialect::SenteLite, Carrier::Lines);
    assert!(client.handle_connected_with(now, connect.attempt, lines));
    let mut bytes = BytesMut::from(&b"[:chsk/handshake [\"u\" nil nil true]]\n"[..]);
    client.handle_input(now, connect.attempt, Input::Bytes(&mut bytes));
    let mut out = sente_core::TransmitBuf::new();
    assert!(client.poll_transmit(&mut out).is_some());
    use bytes::Buf;
    assert_eq!(&*out.copy_to_bytes(out.remaining()), b"[:a/kept]\n");
}

#[test]
fn what_waits_for_the_send_rate_keeps_no_timer_while_the_client_drains() {
    let link = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .send_rate(Some(Rate::new(1, seconds(1), 1)));
    let config = ClientConfig::builder(link.build().unwrap()).on_offline(OnOffline::buffer());
    let mut rig = Rig::new(config.build().unwrap());
    rig.client.connect(rig.now);
    for n in 0..3 {
        let kept = rig.client.send(rig.now, event(&format!("[:a/n {n}]")));
        kept.unwrap();
    }
    rig.drive();
    // The link cannot end before its deadline, since nothing is carried any more.
    rig.carries = false;
    let deadline = rig.now + seconds(30);
    rig.client.drain(rig.now, deadline);
    rig.advance(seconds(31));
    assert_eq!(undelivered(&rig.events()), ["[:a/n 1]", "[:a/n 2]"]);
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

#[test]
fn what_was_kept_offline_drops_nothing_of_itself_on_a_smaller_link() {
    let mut limits = Limits::default();
    limits.max_send_messages = 2;
    let link = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines);
    let link = link.limits(limits).build().unwrap();
    let config = ClientConfig::builder(link).on_offline(OnOffline::buffer());
    let mut rig = Rig::new(config.build().unwrap());
    rig.client.connect(rig.now);
    for n in 0..10 {
        let options = SendOptions::new().policy(Policy::DropOldest);
        let event = event(&format!("[:a/n {n}]"));
        rig.client.send_with(rig.now, event, options).unwrap();
    }
    rig.drive();
    assert_eq!(received(&mut rig).len(), 10);
    let links = rig.client.stats().links;
    assert_eq!((links.dropped_oldest, links.sends_refused), (0, 0));
}

#[test]
fn what_never_fits_on_the_link_comes_back_and_blocks_nothing_behind_it() {
    let mut limits = Limits::default();
    limits.max_send_bytes = 20;
    let link = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines);
    let link = link.limits(limits).build().unwrap();
    let config = ClientConfig::builder(link).on_offline(OnOffline::buffer());
    let mut rig = Rig::new(config.build().unwrap());
    rig.client.connect(rig.now);
    for text in ["[:a/large \"twenty bytes and more\"]", "[:a/small]"] {
        rig.client.send(rig.now, event(text)).unwrap();
    }
    rig.drive();
    assert_eq!(received(&mut rig), ["[:a/small]"]);
    assert_eq!(undelivered(&rig.events()).len(), 1);
}

#[test]
fn a_reconnect_does_not_free_another_burst_of_the_send_rate() {
    let link = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines)
        .send_rate(Some(Rate::new(1, seconds(60), 1)));
    let config = ClientConfig::builder(link.build().unwrap()).build();
    let mut rig = Rig::open_with(config.unwrap());
    rig.client.send(rig.now, event("[:a/n 0]")).unwrap();
    rig.drive();
    rig.cut();
    rig.events();
    rig.drive();
    assert!(rig.client.state().is_open());
    let due = Instant::EPOCH + seconds(60);
    let refused = rig.client.send(rig.now, event("[:a/n 1]"));
    assert!(matches!(refused, Err(SendError::RateLimited { retry_at, .. }) if retry_at == due));
}
