//! What a client kept while offline does not stand in its own way.
#![allow(missing_docs)]

use std::sync::Arc;

use sente_core::{
    Carrier, ClientConfig, ClientEvent, ConnectionConfig, ConnectionEvent, Dialect, Limits,
    OnOffline, Rate, Role,
};
use sente_tests::{Rig, event, messages, millis, seconds, text};

fn config(change: impl FnOnce(&mut Limits), rate: Option<Rate>) -> Arc<ClientConfig> {
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
fn what_never_fits_a_link_comes_back_and_the_rest_leaves() {
    let mut rig = Rig::new(config(|limits| limits.max_send_bytes = 40, None));
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
    let mut rig = Rig::new(config(|_| {}, Some(Rate::new(1, millis(50), 1))));
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
