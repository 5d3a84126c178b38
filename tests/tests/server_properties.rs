//! A server under whatever happens to its clients: nothing twice, nothing out of order, nothing to
//! who is gone, and an end to everything.
#![allow(missing_docs)]

mod server_support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use sente_core::{
    Carrier, ConnId, ConnectionConfig, Dialect, Keepalive, Limits, PublishOptions, Role,
    ServerAccept, SlowPolicy, Target,
};
use sente_edn::Value;
use sente_tests::{edn, event, millis, seconds};
use server_support::ServerRig;

#[derive(Clone, Debug)]
enum Op {
    Connect { user: u8, label: u8, lite: bool },
    Cut(usize),
    Leave(usize),
    Stall(usize),
    Resume(usize),
    Push(u8),
    All,
    Subscribe(usize),
    Publish(usize),
    PublishAll,
    Advance(u64),
    Disconnect(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..6usize;
    prop_oneof![
        4 => (0..2u8, 0..2u8, any::<bool>())
            .prop_map(|(user, label, lite)| Op::Connect { user, label, lite }),
        2 => at.clone().prop_map(Op::Cut),
        1 => at.clone().prop_map(Op::Leave),
        2 => at.clone().prop_map(Op::Stall),
        2 => at.clone().prop_map(Op::Resume),
        8 => (0..2u8).prop_map(Op::Push),
        4 => Just(Op::All),
        2 => at.clone().prop_map(Op::Subscribe),
        4 => at.prop_map(Op::Publish),
        2 => Just(Op::PublishAll),
        3 => prop_oneof![0..200u64, 0..4_000u64].prop_map(Op::Advance),
        1 => (0..2u8).prop_map(Op::Disconnect),
    ]
}

/// What every client got, by the number that each message has.
#[derive(Default)]
struct Seen {
    pushes: BTreeMap<ConnId, Vec<u64>>,
    messages: BTreeMap<ConnId, Vec<u64>>,
}

impl Seen {
    fn look(&mut self, rig: &mut ServerRig) {
        let ids: Vec<ConnId> = rig.clients.keys().copied().collect();
        for id in ids {
            for text in rig.got(id) {
                let value = edn(&text);
                let slots = value.as_sequence().unwrap();
                let number = |value: &Value| u64::try_from(value.as_i64().unwrap()).unwrap();
                match slots[0].as_keyword().unwrap().as_str() {
                    "n/w" => self.pushes.entry(id).or_default().push(number(&slots[1])),
                    "sente-lite/channel-msg" => {
                        let data = slots[1].get_keyword("data").unwrap();
                        self.messages.entry(id).or_default().push(number(data));
                    }
                    "sente-lite/subscribed" => {}
                    other => panic!("{other}"),
                }
            }
        }
    }
}

fn run(ops: Vec<Op>, close_slow: bool) {
    let mut rig = ServerRig::with(|config| {
        config.inbox.max_messages = 6;
        config.hub.limits.kept.max_messages = 4;
        if close_slow {
            config.inbox.slow = SlowPolicy::Close {
                after: seconds(1),
                code: 1008,
                reason: "too slow".into(),
            };
        }
        config.hub.channels.new_channels = config.hub.channels.new_channels.retain(2);
    });
    let mut limits = Limits::default();
    limits.max_send_messages = 3;
    let narrow = |dialect| {
        ConnectionConfig::builder(Role::Server, dialect, Carrier::WebSocket)
            .limits(limits.clone())
            .keepalive(Some(Keepalive::new(seconds(3), seconds(2))))
            .build()
            .unwrap()
    };
    let (sente, lite) = (narrow(Dialect::Sente), narrow(Dialect::SenteLite));
    let mut alive: Vec<ConnId> = Vec::new();
    let mut seen = Seen::default();
    let mut number = 0;
    let room = edn(":room");
    for op in ops {
        alive.retain(|id| rig.server.connection(*id).is_some() && rig.clients.contains_key(id));
        let at = |at: usize| alive.get(at % alive.len().max(1)).copied();
        match op {
            Op::Connect {
                user,
                label,
                lite: is_lite,
            } => {
                let config = if is_lite { &lite } else { &sente };
                let admission = ServerAccept::new()
                    .user(format!("user-{user}"))
                    .client_id(format!("label-{label}"));
                let id = rig.connect_with(config.clone(), admission);
                alive.push(id);
            }
            Op::Cut(n) => {
                if let Some(id) = at(n) {
                    rig.cut(id);
                }
            }
            Op::Leave(n) => {
                if let Some(id) = at(n) {
                    let client = rig.clients.get_mut(&id).unwrap();
                    client.close(rig.now);
                }
            }
            Op::Stall(n) => rig.stalled.extend(at(n)),
            Op::Resume(n) => {
                if let Some(id) = at(n) {
                    rig.stalled.remove(&id);
                    rig.server.with_connection(rig.now, id, |_, _| {});
                }
            }
            Op::Push(user) => {
                number += 1;
                let target = Target::User(format!("user-{user}").into());
                let news = event(&format!("[:n/w {number}]"));
                rig.server.fan_out(rig.now, &target, &news).unwrap();
            }
            Op::All => {
                number += 1;
                let news = event(&format!("[:n/w {number}]"));
                rig.server.fan_out(rig.now, &Target::All, &news).unwrap();
            }
            Op::Subscribe(n) => {
                if let Some(id) = at(n) {
                    let client = rig.clients.get_mut(&id).unwrap();
                    let _ = client.send(
                        rig.now,
                        event("[:sente-lite/subscribe {:channel-id :room}]"),
                    );
                }
            }
            Op::Publish(n) => {
                number += 1;
                if let Some(id) = at(n) {
                    let client = rig.clients.get_mut(&id).unwrap();
                    let text =
                        format!("[:sente-lite/publish {{:channel-id :room :data {number}}}]");
                    let _ = client.send(rig.now, event(&text));
                }
            }
            Op::PublishAll => {
                number += 1;
                let now = rig.now;
                rig.server.with_hub(now, |hub, now| {
                    let _ = hub.publish(now, &room, number, PublishOptions::new());
                });
            }
            Op::Advance(by) => rig.advance(millis(by)),
            Op::Disconnect(user) => {
                let target = Target::User(format!("user-{user}").into());
                rig.server
                    .with_hub(rig.now, |hub, now| hub.disconnect(now, &target, 1000, ""));
            }
        }
        rig.drive();
        seen.look(&mut rig);
        for id in rig.server.connections() {
            assert!(rig.server.inbox(id).unwrap().len() <= 6);
        }
        for (id, numbers) in &seen.pushes {
            assert!(numbers.is_sorted_by(|a, b| a < b), "{id}: {numbers:?}");
        }
        for (id, numbers) in &seen.messages {
            assert!(numbers.is_sorted_by(|a, b| a < b), "{id}: {numbers:?}");
        }
    }
    // In the end everything ends.
    rig.stalled.clear();
    for id in rig.server.connections().collect::<Vec<_>>() {
        rig.server.with_connection(rig.now, id, |_, _| {});
    }
    rig.server.drain(rig.now, rig.now + seconds(2));
    rig.advance(seconds(60));
    assert_eq!(rig.server.stats().connections, 0);
    assert!(rig.server.hub().is_empty());
    assert_eq!(rig.server.hub().kept_bytes(), 0);
    assert_eq!(rig.server.hub().users().count(), 0);
    assert_eq!(rig.server.hub().channel_stats().subscriptions, 0);
    assert_eq!(rig.server.poll_timeout(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_server_keeps_order_and_bounds_and_comes_to_an_end(
        ops in proptest::collection::vec(op(), 1..60),
        close_slow in any::<bool>(),
    ) {
        run(ops, close_slow);
    }
}
