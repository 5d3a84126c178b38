//! Channels: their limits, and what they retain.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;

use hub_support::{HubRig, Other, conn, join_lite, message};
use sente_core::{ChannelOptions, Member, SubscribeError};
use sente_edn::Value;
use sente_tests::edn;

#[test]
fn subscriptions_and_subscribers_are_limited_in_sente_lites_words() {
    let mut rig = HubRig::with(|config| {
        config.channels.max_subscriptions = 2;
        config.channels.new_channels = ChannelOptions::default().max_subscribers(1);
        config.channels.max_channels = 3;
        config.channels.max_id_bytes = 8;
    });
    for n in 1..=3 {
        join_lite(&mut rig, n);
    }
    let long = "\"0123456789\"";
    for (n, id) in [
        (1, "1"),
        (1, "2"),
        (1, "3"),
        (2, "1"),
        (2, "4"),
        (3, "5"),
        (3, long),
    ] {
        rig.say(n, &format!("[:sente-lite/subscribe {{:channel-id {id}}}]"));
    }
    let refused = |id: &str, why: &str| {
        format!("[:sente-lite/subscribed {{:channel-id {id}, :success false, :error {why}}}]")
    };
    assert_eq!(rig.got(1)[2], refused("3", ":max-subscriptions-per-conn"));
    assert_eq!(rig.got(2)[0], refused("1", ":max-subscribers-reached"));
    assert_eq!(
        rig.got(3),
        [
            refused("5", ":max-channels-reached"),
            refused(long, ":channel-id-too-long")
        ]
    );
    assert_eq!(rig.hub.channel_stats().refused_subscribes, 3);
}

#[test]
fn a_channel_that_nobody_uses_gives_way_and_one_that_was_made_on_purpose_does_not() {
    let mut rig = HubRig::with(|config| config.channels.max_channels = 2);
    join_lite(&mut rig, 1);
    let (now, made) = (rig.now, edn(":made"));
    rig.hub
        .create_channel(now, &made, ChannelOptions::default())
        .unwrap();
    for id in 1..=3 {
        rig.say(1, &format!("[:sente-lite/subscribe {{:channel-id {id}}}]"));
        rig.say(
            1,
            &format!("[:sente-lite/unsubscribe {{:channel-id {id}}}]"),
        );
        // As in sente-lite, it is still there.
        rig.say(
            1,
            &format!("[:sente-lite/unsubscribe {{:channel-id {id}}}]"),
        );
    }
    assert!(
        rig.got(1)
            .iter()
            .all(|ack| ack.ends_with(":success true}]"))
    );
    let ids: Vec<_> = rig.hub.channels().map(|channel| channel.id).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&made) && ids.contains(&Value::from(3)));
    rig.hub.subscribe(now, conn(1), &Value::from(3)).unwrap();
    assert_eq!(
        rig.hub
            .create_channel(now, &edn(":more"), ChannelOptions::default()),
        Err(SubscribeError::TooManyChannels { limit: 2 })
    );
}

#[test]
fn without_auto_create_only_the_application_makes_channels() {
    let mut rig = HubRig::with(|config| config.channels.auto_create = false);
    join_lite(&mut rig, 1);
    rig.say(1, "[:sente-lite/subscribe {:channel-id \"a\"}]");
    let now = rig.now;
    rig.hub
        .create_channel(now, &edn("\"a\""), ChannelOptions::default())
        .unwrap();
    rig.say(1, "[:sente-lite/subscribe {:channel-id \"a\"}]");
    assert_eq!(
        rig.got(1),
        [
            "[:sente-lite/subscribed {:channel-id \"a\", :success false, :error :channel-not-found}]",
            "[:sente-lite/subscribed {:channel-id \"a\", :success true}]",
        ]
    );
}

#[test]
fn the_last_messages_are_delivered_to_a_new_subscriber_behind_the_acknowledgement() {
    let mut rig = HubRig::with(|config| {
        config.channels.new_channels = ChannelOptions::default().retain(2);
    });
    for n in 1..=3 {
        join_lite(&mut rig, n);
    }
    rig.say(1, "[:sente-lite/subscribe {:channel-id :r}]");
    for n in 1..=3 {
        rig.say(
            1,
            &format!("[:sente-lite/publish {{:channel-id :r :data {n} :exclude-sender? true}}]"),
        );
    }
    rig.say(2, "[:sente-lite/subscribe {:channel-id :r}]");
    // Not new any more.
    rig.say(2, "[:sente-lite/subscribe {:channel-id :r}]");
    rig.say(1, "[:sente-lite/publish {:channel-id :r :data 4}]");
    let subscribed = "[:sente-lite/subscribed {:channel-id :r, :success true}]".to_owned();
    assert_eq!(
        rig.got(2),
        [
            subscribed.clone(),
            message(":r", "2", 1),
            message(":r", "3", 1),
            subscribed,
            message(":r", "4", 1)
        ]
    );
    // To a client with another packer, too.
    rig.join(3, Member::new(Arc::new(Other)).user("eve"));
    rig.say(3, "[:sente-lite/subscribe {:channel-id :r}]");
    assert_eq!(
        rig.got(3)[1..],
        [message(":r", "3", 1), message(":r", "4", 1)]
    );
    let info = rig.hub.channel(&edn(":r")).unwrap();
    assert_eq!((info.published, info.delivered, info.retained), (4, 2, 2));
}

#[test]
fn what_channels_retain_is_bounded_in_bytes_each_and_together() {
    let mut rig = HubRig::with(|config| {
        config.channels.new_channels = ChannelOptions::default().retain(10);
        config.channels.new_channels.retain_bytes = 200;
        config.channels.max_retained_bytes = 250;
    });
    join_lite(&mut rig, 1);
    let publish = |rig: &mut HubRig, id: &str, data: &str| {
        rig.say(
            1,
            &format!("[:sente-lite/publish {{:channel-id {id} :data {data}}}]"),
        );
        rig.got(1);
    };
    for id in [":a", ":b"] {
        rig.say(1, &format!("[:sente-lite/subscribe {{:channel-id {id}}}]"));
    }
    for n in 0..5 {
        publish(&mut rig, ":a", &n.to_string());
    }
    let retained = |rig: &HubRig, id: &str| rig.hub.channel(&edn(id)).unwrap().retained;
    assert_eq!(retained(&rig, ":a"), 2);
    publish(&mut rig, ":b", "1");
    assert_eq!(
        (retained(&rig, ":b"), rig.hub.channel_stats().not_retained),
        (0, 1)
    );
    // One that is too large leaves no hole: what came before it is not the last any more.
    publish(&mut rig, ":a", &format!("{:?}", "x".repeat(300)));
    assert_eq!(retained(&rig, ":a"), 0);
    assert_eq!(rig.hub.channel_stats().retained_bytes, 0);
    publish(&mut rig, ":b", "1");
    assert_eq!(retained(&rig, ":b"), 1);
}
