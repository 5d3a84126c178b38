//! Modules and their outboxes, shown with the clock of `core/examples`: one machine on both sides.
#![allow(missing_docs)]

#[path = "../../core/examples/clock/module.rs"]
mod clock;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, ClockEvent};
use sente_core::packer::Edn;
use sente_core::{
    Accept, CallError, Carrier, CloseReason, ConnId, Connection, ConnectionEvent, ConnectionOutbox,
    Dialect, Hub, HubConfig, Instant, Member, Module, Outbox, PackedSendError, Payload, Peer,
    PeerChange, Policy, ReplyError, Role, SendError, SendOptions, Sent, ServerOutbox, Target,
};
use sente_tests::{Pair, config, event, events, id, messages, millis, seconds, text};

const EVERY: Duration = Duration::from_secs(10);

fn conn(n: u8) -> ConnId {
    ConnId::new(7, &[n; 10])
}

fn pair() -> Pair {
    Pair::open(Dialect::Sente, Carrier::WebSocket)
}

/// Shows the module what the connection gave out; what it gives back.
fn show(
    module: &mut dyn Module<Event = ClockEvent>,
    connection: &mut Connection,
    peer: &Peer,
    now: Instant,
) -> Vec<ConnectionEvent> {
    let mut back = Vec::new();
    while let Some(event) = connection.poll_event() {
        let mut out = ConnectionOutbox::new(connection, peer, now);
        back.extend(module.handle_event(now, peer, event, &mut out));
    }
    back
}

fn told(module: &mut Clock) -> Vec<ClockEvent> {
    std::iter::from_fn(|| module.poll_event()).collect()
}

fn peer_changed(
    module: &mut Clock,
    connection: &mut Connection,
    peer: &Peer,
    now: Instant,
    change: PeerChange,
) {
    let mut out = ConnectionOutbox::new(connection, peer, now);
    module.handle_peer(now, peer, change, &mut out);
}

/// A pair whose client has a clock that asks, and has asked.
fn asking() -> (Pair, Clock, Peer) {
    let mut pair = pair();
    let mut clock = Clock::new(Some(EVERY)).unwrap();
    let server = Peer::new(conn(1));
    let now = pair.now;
    peer_changed(
        &mut clock,
        &mut pair.client,
        &server,
        now,
        PeerChange::Opened,
    );
    (pair, clock, server)
}

#[test]
fn one_module_asks_on_a_client_and_answers_on_a_server() {
    let (mut pair, mut asks, server) = asking();
    let mut answers = Clock::new(None).unwrap();
    let ada = Peer::of_user(conn(2), "ada");
    pair.drive();
    // The server's clock is an hour ahead, and the wire takes 30 ms in all.
    let theirs = pair.now + seconds(3600) + millis(15);
    assert!(show(&mut answers, &mut pair.server, &ada, theirs).is_empty());
    pair.drive();
    let now = pair.now + millis(30);
    assert!(show(&mut asks, &mut pair.client, &server, now).is_empty());
    assert_eq!(
        told(&mut asks),
        [ClockEvent::Read {
            peer: conn(1),
            ahead: 3_600_000_000_000,
            round_trip: millis(30),
        }]
    );
    assert_eq!(asks.poll_timeout(), Some(now + EVERY));
    assert_eq!(answers.poll_timeout(), None);
    assert_eq!(told(&mut answers), []);
}

#[test]
fn a_module_comes_back_at_the_time_it_names_and_not_before() {
    let (mut pair, mut asks, server) = asking();
    let mut answers = Clock::new(None).unwrap();
    let ada = Peer::of_user(conn(2), "ada");
    for round in 1..=3 {
        pair.drive();
        show(&mut answers, &mut pair.server, &ada, pair.now);
        pair.drive();
        show(&mut asks, &mut pair.client, &server, pair.now);
        assert_eq!(told(&mut asks).len(), 1, "round {round}");
        let at = asks.poll_timeout().unwrap();
        assert_eq!(at, pair.now + EVERY);
        let early = Instant::from_nanos(at.as_nanos() - 1);
        let mut out = ConnectionOutbox::new(&mut pair.client, &server, early);
        asks.handle_timeout(early, &mut out);
        assert_eq!(asks.poll_timeout(), Some(at));
        pair.now = at;
        let mut out = ConnectionOutbox::new(&mut pair.client, &server, at);
        asks.handle_timeout(at, &mut out);
        assert_eq!(asks.poll_timeout(), None, "the question is out");
        assert_eq!(pair.client.pending_calls(), 1);
    }
}

#[test]
fn a_module_gets_what_is_its_own_and_gives_back_the_rest() {
    let (mut pair, mut asks, server) = asking();
    let others = pair
        .client
        .call(pair.now, event("[:chat/ask]"), seconds(5))
        .unwrap();
    for text in ["[:chat/hi 1]", "[:clock/tick]", "[:clocks/now]"] {
        pair.server.send(pair.now, event(text)).unwrap();
    }
    pair.drive();
    for message in messages(&mut pair.server) {
        let token = message.reply.unwrap();
        pair.server.reply(pair.now, token, 5).unwrap();
    }
    pair.drive();
    let mut seen = Vec::new();
    for event in show(&mut asks, &mut pair.client, &server, pair.now) {
        match event {
            ConnectionEvent::Message(message) => seen.push(text(&message)),
            ConnectionEvent::Settled { call, .. } => {
                assert_eq!(call, others);
                seen.push("settled".into());
            }
            other => panic!("{other:?}"),
        }
    }
    seen.sort();
    assert_eq!(seen, ["[:chat/hi 1]", "[:clocks/now]", "settled"]);
    assert!(matches!(told(&mut asks)[..], [ClockEvent::Read { .. }]));
}

#[test]
fn a_module_is_told_of_the_first_handshake_and_of_the_end() {
    let mut pair = pair();
    let config = |role| config(role, Dialect::Sente, Carrier::WebSocket);
    pair.client = Connection::new(config(Role::Client), [1; 32], pair.now);
    pair.server = Connection::new(config(Role::Server), [2; 32], pair.now);
    let mut clock = Clock::new(Some(EVERY)).unwrap();
    let server = Peer::new(conn(1));
    pair.server.accept(pair.now, Accept::new("ada"));
    pair.drive();
    let back = show(&mut clock, &mut pair.client, &server, pair.now);
    assert!(
        matches!(back[..], [ConnectionEvent::Opened(_)]),
        "others want to know, too: {back:?}"
    );
    assert_eq!(pair.client.pending_calls(), 1, "it asked at once");

    pair.server.close(pair.now);
    pair.drive();
    let back = show(&mut clock, &mut pair.client, &server, pair.now);
    assert!(
        back.iter()
            .any(|event| matches!(event, ConnectionEvent::Closed(_))),
        "{back:?}"
    );
    assert_eq!(
        told(&mut clock),
        [ClockEvent::Failed {
            peer: conn(1),
            error: CallError::Closed
        }]
    );
    assert_eq!(clock.poll_timeout(), None, "a closed peer is not asked");
}

#[test]
fn a_module_asks_again_when_the_peer_is_back() {
    let (mut pair, mut clock, server) = asking();
    let now = pair.now;
    let closed = PeerChange::Closed(CloseReason::Eof);
    peer_changed(&mut clock, &mut pair.client, &server, now, closed);
    assert_eq!(clock.poll_timeout(), None);
    let back = Peer::new(conn(9));
    peer_changed(
        &mut clock,
        &mut pair.client,
        &back,
        now,
        PeerChange::Reopened,
    );
    assert_eq!(pair.client.pending_calls(), 2);
}

#[test]
fn a_call_of_the_namespace_that_the_module_does_not_know_is_refused() {
    let mut pair = pair();
    let call = pair
        .client
        .call(pair.now, event("[:clock/wind-up]"), seconds(5))
        .unwrap();
    pair.drive();
    let mut clock = Clock::new(None).unwrap();
    show(&mut clock, &mut pair.server, &Peer::new(conn(2)), pair.now);
    pair.drive();
    let results: Vec<_> = events(&mut pair.client)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { call: of, result } if of == call => Some(result.err()),
            _ => None,
        })
        .collect();
    assert_eq!(results, [Some(CallError::Peer)]);
}

#[test]
fn a_module_learns_that_a_peer_cannot_be_called() {
    let mut pair = pair();
    let mut clock = Clock::new(Some(EVERY)).unwrap();
    let browser = Peer::of_user(conn(2), "ada");
    let now = pair.now;
    peer_changed(
        &mut clock,
        &mut pair.server,
        &browser,
        now,
        PeerChange::Opened,
    );
    assert_eq!(
        told(&mut clock),
        [ClockEvent::CannotAnswer { peer: conn(2) }]
    );
    assert_eq!(clock.poll_timeout(), None);
}

#[test]
fn an_outbox_over_one_connection_reaches_its_peer_and_nobody_else() {
    let mut pair = pair();
    let ada = Peer::of_user(conn(1), "ada");
    let news = event("[:news/flash 1]");
    let mut out = ConnectionOutbox::new(&mut pair.server, &ada, pair.now);
    for (target, queued) in [
        (Target::All, 1),
        (Target::AllBut(conn(1)), 0),
        (Target::AllBut(conn(2)), 1),
        (Target::Connection(conn(1)), 1),
        (Target::Connection(conn(2)), 0),
        (Target::User("ada".into()), 1),
        (Target::User("bob".into()), 0),
    ] {
        let published = out.publish(&target, &news).unwrap();
        assert_eq!(published.queued, queued, "{target:?}");
        assert_eq!(published.refused, [], "{target:?}");
    }
    out.send(conn(1), event("[:news/flash 2]")).unwrap();
    let refused = out.send(conn(2), event("[:news/flash 3]")).unwrap_err();
    assert!(matches!(refused, SendError::NotOpen(_)));
    assert_eq!(refused.into_event().id, id("news/flash"));
    assert!(matches!(
        out.call(conn(2), news.clone(), seconds(1)),
        Err(SendError::NotOpen(_))
    ));
    pair.drive();
    assert_eq!(messages(&mut pair.client).len(), 5);
}

#[test]
fn an_outbox_answers_refuses_and_forgets_calls_and_cancels_its_own() {
    let mut pair = pair();
    let server = Peer::new(conn(1));
    let ada = Peer::of_user(conn(2), "ada");
    for n in 0..4 {
        let question = event(&format!("[:chat/ask {n}]"));
        let mut out = ConnectionOutbox::new(&mut pair.client, &server, pair.now);
        let call = out.call(conn(1), question, seconds(5)).unwrap();
        if n == 3 {
            assert!(!out.cancel(conn(9), call));
            assert!(out.cancel(conn(1), call));
            assert!(!out.cancel(conn(1), call));
        }
    }
    pair.drive();
    let mut tokens: Vec<_> = messages(&mut pair.server)
        .into_iter()
        .filter_map(|message| message.reply)
        .collect();
    assert_eq!(tokens.len(), 4);
    let mut out = ConnectionOutbox::new(&mut pair.server, &ada, pair.now);
    out.reply(conn(2), tokens.remove(0), Payload::from(1))
        .unwrap();
    out.reply_error(conn(2), tokens.remove(0)).unwrap();
    let elsewhere = out.reply(conn(9), tokens.remove(0), Payload::from(3));
    assert!(matches!(elsewhere, Err(ReplyError::NotOpen(_))));
    out.forget(conn(2), tokens.remove(0));
    pair.drive();
    pair.advance(seconds(6));
    let mut results: Vec<_> = events(&mut pair.client)
        .into_iter()
        .filter_map(|event| match event {
            ConnectionEvent::Settled { result, .. } => Some(result.err()),
            _ => None,
        })
        .collect();
    results.sort_by_key(|error| format!("{error:?}"));
    assert_eq!(
        results,
        [
            None,
            Some(CallError::Cancelled),
            Some(CallError::Peer),
            Some(CallError::Timeout),
        ]
    );
}

#[test]
fn an_outbox_over_a_server_reaches_all_that_are_meant_and_names_who_refused() {
    let mut hub = Hub::new(HubConfig::default(), [0; 32]);
    let mut connections = BTreeMap::new();
    let mut clients = BTreeMap::new();
    let mut now = Instant::EPOCH;
    for n in 1..=3 {
        let pair = pair();
        now = pair.now;
        let user = if n == 3 { "bob" } else { "ada" };
        hub.join(now, conn(n), Member::new(Arc::new(Edn)).user(user))
            .unwrap();
        connections.insert(conn(n), pair.server);
        clients.insert(conn(n), pair.client);
    }
    connections.get_mut(&conn(2)).unwrap().close(now);
    // In the hub, but not there: as a connection that ended between two steps.
    hub.join(now, conn(4), Member::new(Arc::new(Edn)).user("ada"))
        .unwrap();

    let mut out = ServerOutbox::new(&mut hub, &mut connections, now);
    let all = out
        .publish(&Target::All, &event("[:news/flash 1]"))
        .unwrap();
    assert_eq!(all.queued, 2);
    assert_eq!(
        all.refused,
        [
            (conn(2), PackedSendError::NotOpen),
            (conn(4), PackedSendError::NotOpen)
        ]
    );
    let bob = out
        .publish(&Target::User("bob".into()), &event("[:news/flash 2]"))
        .unwrap();
    assert_eq!((bob.queued, bob.refused.len()), (1, 0));
    out.send(conn(1), event("[:news/flash 3]")).unwrap();
    assert!(matches!(
        out.send(conn(4), event("[:news/flash 4]")),
        Err(SendError::NotOpen(_))
    ));

    for (n, expected) in [
        (1, vec!["[:news/flash 1]", "[:news/flash 3]"]),
        (3, vec!["[:news/flash 1]", "[:news/flash 2]"]),
    ] {
        let mut pair = pair();
        pair.server = connections.remove(&conn(n)).unwrap();
        pair.client = clients.remove(&conn(n)).unwrap();
        pair.drive();
        let got: Vec<_> = messages(&mut pair.client).iter().map(text).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn what_a_module_publishes_may_be_replaced_or_dropped_where_it_would_wait() {
    let mut pair = pair();
    let ada = Peer::of_user(conn(1), "ada");
    let mut out = ConnectionOutbox::new(&mut pair.server, &ada, pair.now);
    let latest = SendOptions::new().policy(Policy::Latest("cursor".into()));
    let volatile = SendOptions::new().policy(Policy::Volatile);
    for n in 1..=2 {
        let at = event(&format!("[:cursor/at {n}]"));
        let published = out.publish_with(&Target::All, &at, &latest).unwrap();
        assert_eq!((published.queued, published.dropped), (1, 0));
    }
    let blink = event("[:cursor/blink]");
    let published = out.publish_with(&Target::All, &blink, &volatile).unwrap();
    assert_eq!((published.queued, published.dropped), (0, 1));
    assert_eq!(
        out.send_with(conn(1), blink, volatile).unwrap(),
        Sent::Dropped
    );
    let at = event("[:cursor/at 3]");
    assert_eq!(out.send_with(conn(1), at, latest).unwrap(), Sent::Replaced);
    pair.drive();
    let got: Vec<_> = messages(&mut pair.client).iter().map(text).collect();
    assert_eq!(got, ["[:cursor/at 3]"]);
}

#[test]
fn a_module_answers_over_a_servers_outbox_as_over_one_connection() {
    let (mut pair, mut asks, server) = asking();
    pair.drive();
    let ada = Peer::of_user(conn(2), "ada");
    let question = messages(&mut pair.server).remove(0);
    let mut hub = Hub::new(HubConfig::default(), [0; 32]);
    let mut connections = BTreeMap::from([(conn(2), pair.server)]);
    let mut answers = Clock::new(None).unwrap();
    let mut out = ServerOutbox::new(&mut hub, &mut connections, pair.now);
    answers.handle_message(pair.now, &ada, question, &mut out);
    pair.server = connections.remove(&conn(2)).unwrap();
    pair.drive();
    show(&mut asks, &mut pair.client, &server, pair.now);
    assert!(matches!(
        told(&mut asks)[..],
        [ClockEvent::Read { ahead: 0, .. }]
    ));
}
