//! What a client does with what is sent while no link is open, and what becomes of it on the next.
#![allow(missing_docs)]

use std::sync::Arc;

use bytes::BytesMut;
use sente_core::{
    Carrier, Client, ClientConfig, ClientEvent, ConnectionConfig, ConnectionEvent, Dialect, Input,
    Instant, Limits, OnOffline, Policy, Priority, Rate, Role, SendError, SendOptions, Sent,
};
use sente_tests::{Dial, Rig, client_config, config, event, messages, millis, seconds, text};

const WEBSOCKET: (Dialect, Carrier) = (Dialect::Sente, Carrier::WebSocket);

fn builder() -> sente_core::ClientConfigBuilder {
    ClientConfig::builder(config(Role::Client, WEBSOCKET.0, WEBSOCKET.1))
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

fn offline_config(change: impl FnOnce(&mut Limits), rate: Option<Rate>) -> Arc<ClientConfig> {
    let mut limits = Limits::default();
    change(&mut limits);
    let link = ConnectionConfig::builder(Role::Client, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .send_rate(rate)
        .build()
        .unwrap();
    let client = ClientConfig::builder(link).on_offline(OnOffline::buffer());
    client.build().unwrap()
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
fn what_never_fits_a_link_comes_back_and_the_rest_leaves() {
    let mut rig = Rig::new(offline_config(|limits| limits.max_send_bytes = 40, None));
    rig.client.connect(rig.now);
    let large = event(&format!("[:a/large {:?}]", "x".repeat(100)));
    rig.client.send(rig.now, large).unwrap();
    rig.client.send(rig.now, event("[:a/small 1]")).unwrap();
    rig.drive();
    let came_back: usize = rig
        .events()
        .iter()
        .map(|event| match event {
            ClientEvent::Link(ConnectionEvent::Undelivered(events)) => events.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(came_back, 1);
    rig.drive();
    let arrived: Vec<_> = messages(rig.server()).iter().map(text).collect();
    assert_eq!(arrived, ["[:a/small 1]"]);
}

#[test]
fn a_client_that_leaves_a_link_does_not_wake_for_its_rate() {
    let mut rig = Rig::new(offline_config(|_| {}, Some(Rate::new(1, millis(50), 1))));
    rig.client.connect(rig.now);
    for _ in 0..3 {
        rig.client.send(rig.now, event("[:a/b]")).unwrap();
    }
    rig.drive();
    rig.events();
    assert!(
        rig.client
            .poll_timeout()
            .is_some_and(|at| at <= rig.now + millis(50))
    );
    // The goodbye takes its time; what is kept waits for the next link.
    rig.client.reconnect(rig.now);
    let later = rig.now + millis(60);
    rig.client.handle_timeout(later);
    let next = rig.client.poll_timeout();
    assert!(next.is_some_and(|at| at > later), "{next:?} at {later:?}");
    assert!(next.is_some_and(|at| at <= later + seconds(1)));
}
