//! Whom an event reaches, in which bytes, and how fast.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;

use hub_support::{HubRig, Other, conn, member};
use sente_core::packer::Edn;
use sente_core::{
    Carrier, Dialect, FanoutError, Hub, HubConfig, HubEvent, HubOutput, Instant, Member,
    PackedEvent, PackedSendError, Rate, Target, UserId,
};
use sente_tests::{Pair, event, messages, millis, seconds, text};

#[test]
fn a_broadcast_packs_once_and_shares_the_bytes() {
    let mut hub = Hub::new(HubConfig::default(), [0; 32]);
    let now = Instant::EPOCH;
    for n in 0..100 {
        let packer: Arc<dyn sente_core::packer::Packer> = match n % 2 {
            0 => Arc::new(Edn),
            _ => Arc::new(Other),
        };
        let user = format!("user-{}", n % 10);
        hub.join(now, conn(n), Member::new(packer).user(user))
            .unwrap();
    }
    let fanout = hub
        .fan_out(now, &Target::All, &event("[:news/flash {:n 1}]"))
        .unwrap();
    assert_eq!((fanout.packings, fanout.connections), (2, 100));
    let mut reached = Vec::new();
    for _ in 0..2 {
        let Some(HubOutput::Deliver(delivery)) = hub.poll_output() else {
            panic!("one delivery for each format");
        };
        assert_eq!(delivery.event.bytes(), "[:news/flash {:n 1}]");
        reached.extend(delivery.to);
    }
    assert!(hub.poll_output().is_none());
    reached.sort();
    assert_eq!(reached, (0..100).map(conn).collect::<Vec<_>>());
}

#[test]
fn targets_mean_the_connections_they_say() {
    let mut rig = HubRig::new();
    for (n, user) in [(1, "ada"), (2, "ada"), (3, "bob"), (4, "eve")] {
        rig.join_user(n, user, &format!("c{n}"));
    }
    rig.say(3, "[:sente-lite/subscribe {:channel-id :room}]");
    let user = |name: &str| UserId::from(name);
    for (target, meant) in [
        (Target::All, vec![1, 2, 3, 4]),
        (Target::AllBut(conn(2)), vec![1, 3, 4]),
        (Target::AllButUser(user("ada")), vec![3, 4]),
        (Target::Connection(conn(3)), vec![3]),
        (Target::Connection(conn(9)), vec![]),
        (Target::User(user("ada")), vec![1, 2]),
        (Target::User(user("nobody")), vec![]),
        (
            Target::Users(vec![user("eve"), user("ada"), user("eve")]),
            vec![1, 2, 4],
        ),
        (Target::Channel(sente_tests::edn(":room")), vec![3]),
    ] {
        let meant: Vec<_> = meant.into_iter().map(conn).collect();
        assert_eq!(rig.hub.resolve(&target), meant, "{target:?}");
        rig.got.clear();
        let fanout = rig.send(&target, "[:a/b]");
        assert_eq!(fanout.connections, meant.len(), "{target:?}");
        assert_eq!(rig.got.keys().copied().collect::<Vec<_>>(), meant);
    }
    let missing = Target::Channel(sente_tests::edn(":elsewhere"));
    assert_eq!(
        rig.hub.fan_out(rig.now, &missing, &event("[:a/b]")),
        Err(FanoutError::NoChannel)
    );
}

#[test]
fn an_event_that_one_packer_cannot_express_reaches_nobody() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "a");
    rig.join(2, Member::new(Arc::new(Other)).user("bob"));
    let refused = rig.hub.fan_out(rig.now, &Target::All, &event("[:a/b sym]"));
    assert!(matches!(refused, Err(FanoutError::Pack(_))));
    assert!(rig.hub.poll_output().is_none());
}

#[test]
fn a_packed_event_crosses_both_dialects() {
    let packed = PackedEvent::pack(&event("[:news/flash {:n 1}]"), &Edn).unwrap();
    for (dialect, carrier) in [
        (Dialect::Sente, Carrier::WebSocket),
        (Dialect::SenteLite, Carrier::WebSocket),
        (Dialect::SenteLite, Carrier::Lines),
    ] {
        let mut pair = Pair::open(dialect, carrier);
        pair.server.send_packed(pair.now, &packed).unwrap();
        pair.drive();
        let got: Vec<_> = messages(&mut pair.client).iter().map(text).collect();
        assert_eq!(got, ["[:news/flash {:n 1}]"]);
        pair.server.close(pair.now);
        assert_eq!(
            pair.server.send_packed(pair.now, &packed),
            Err(PackedSendError::NotOpen)
        );
    }
}

#[test]
fn only_broadcasts_and_channel_messages_are_wrapped_and_only_for_sente_lite() {
    let mut rig = HubRig::with(|config| config.wrap_pushes = true);
    rig.join(1, member("ada", None).dialect(Dialect::SenteLite));
    rig.join(2, member("bob", None));
    rig.send(&Target::All, "[:srv/announce {:n 1}]");
    rig.send(&Target::Connection(conn(1)), "[:srv/hello]");
    rig.push("ada", "[:srv/hello]");
    rig.say(1, "[:sente-lite/subscribe {:channel-id 1}]");
    rig.say(2, "[:sente-lite/subscribe {:channel-id 1}]");
    rig.say(2, "[:sente-lite/publish {:channel-id 1 :data 2}]");
    let from = conn(2);
    assert_eq!(
        rig.got(1),
        [
            "[:chsk/recv [:srv/announce {:n 1}]]".to_owned(),
            "[:srv/hello]".to_owned(),
            "[:srv/hello]".to_owned(),
            "[:sente-lite/subscribed {:channel-id 1, :success true}]".to_owned(),
            format!(
                "[:chsk/recv [:sente-lite/channel-msg {{:channel-id 1, :data 2, :from \"{from}\"}}]]"
            ),
        ]
    );
    assert_eq!(rig.got(2)[0], "[:srv/announce {:n 1}]");
}

#[test]
fn broadcasts_are_held_to_their_rate_and_keep_their_order() {
    let mut rig = HubRig::with(|config| {
        config.broadcast.deliveries = Some(Rate::new(10, seconds(1), 1));
    });
    for n in 1..=2 {
        rig.join_user(n, &format!("user-{n}"), "tab");
    }
    assert!(!rig.send(&Target::All, "[:n/w 1]").waits);
    for n in 2..=3 {
        let fanout = rig.send(&Target::All, &format!("[:n/w {n}]"));
        assert_eq!((fanout.waits, fanout.connections), (true, 0));
    }
    // A push waits for no broadcast.
    rig.push("user-1", "[:push/me]");
    assert_eq!(rig.got(1), ["[:n/w 1]", "[:push/me]"]);
    assert_eq!(rig.hub.waiting_broadcasts(), 2);
    // Two deliveries are two tenths of a second.
    rig.advance(millis(199));
    assert!(rig.got(1).is_empty());
    rig.advance(millis(1));
    assert_eq!(rig.got(1), ["[:n/w 2]"]);
    // Whoever leaves meanwhile gets nothing, and whoever comes does.
    rig.leave(2);
    rig.got(2);
    rig.join_user(3, "user-3", "tab");
    rig.advance(millis(200));
    assert_eq!(rig.got(1), ["[:n/w 3]"]);
    assert_eq!(rig.got(3), ["[:n/w 3]"]);
    assert!(rig.got(2).is_empty());
    assert_eq!(rig.hub.waiting_broadcasts(), 0);
}

#[test]
fn broadcasts_are_held_to_bytes_and_too_many_are_refused() {
    let mut rig = HubRig::with(|config| {
        config.broadcast.bytes = Some(Rate::new(100, seconds(1), 1));
        config.limits.max_waiting_broadcasts = 2;
        config.limits.max_waiting_broadcast_bytes = 150;
    });
    rig.join_user(1, "ada", "tab");
    let large = format!("[:n/w {:?}]", "x".repeat(91));
    rig.send(&Target::All, &large);
    assert!(rig.send(&Target::All, &large).waits);
    let refused =
        |rig: &mut HubRig, text: &str| rig.hub.fan_out(rig.now, &Target::All, &event(text));
    assert_eq!(
        refused(&mut rig, &large),
        Err(FanoutError::TooManyWaiting {
            retry_at: Instant::from_millis(1_000)
        })
    );
    rig.send(&Target::All, "[:n/w 1]");
    assert!(matches!(
        refused(&mut rig, "[:n/w 2]"),
        Err(FanoutError::TooManyWaiting { .. })
    ));
    rig.got(1);
    rig.advance(seconds(1));
    assert_eq!(rig.got(1), [large]);
    rig.advance(seconds(1));
    assert_eq!(rig.got(1), ["[:n/w 1]"]);
}

#[test]
fn a_broadcast_that_cannot_be_packed_when_its_time_comes_is_told() {
    let mut rig = HubRig::with(|config| {
        config.broadcast.deliveries = Some(Rate::new(1, seconds(1), 1));
    });
    rig.join_user(1, "ada", "tab");
    rig.send(&Target::All, "[:n/w 1]");
    rig.send(&Target::All, "[:n/w sym]");
    rig.join(2, Member::new(Arc::new(Other)).user("bob"));
    rig.told();
    rig.got(1);
    rig.advance(seconds(1));
    assert!(rig.got(1).is_empty());
    assert!(matches!(rig.told()[..], [HubEvent::BroadcastFailed(_)]));
}
