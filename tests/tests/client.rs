//! What a reconnecting client does, told in virtual time.
#![allow(missing_docs)]

use std::sync::Arc;

use bytes::BytesMut;
use sente_core::state::ClientPhase;
use sente_core::{
    CallError, Carrier, ClientConfig, ClientEvent, ClientState, CloseReason, ConfigError,
    ConnectFailure, ConnectionConfig, ConnectionEvent, Dialect, Input, Instant, OnOffline, Rate,
    Role, SendError,
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
