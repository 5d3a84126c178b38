//! Channels: what clients and the application say on them, and who may.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;

use hub_support::{HubRig, Other, called, conn, join_lite, member, message, received, room};
use sente_core::{
    Action, Denied, FanoutError, HubEvent, Member, Peer, PublishOptions, Rate, SubscribeError,
    Target,
};
use sente_edn::Value;
use sente_tests::{edn, seconds};

#[test]
fn the_frames_are_sente_lites() {
    let mut rig = room();
    assert!(
        rig.say(1, "[:sente-lite/publish {:channel-id \"room\" :data {:msg \"hi\"} :exclude-sender? false}]")
            .is_none()
    );
    rig.say(1, "[:sente-lite/unsubscribe {:channel-id \"room\"}]");
    rig.say(1, "[:sente-lite/unsubscribe {:channel-id \"elsewhere\"}]");
    assert_eq!(
        rig.got(1),
        [
            message("\"room\"", "{:msg \"hi\"}", 1),
            "[:sente-lite/subscribed {:channel-id \"room\", :success true}]".to_owned(),
            "[:sente-lite/subscribed {:channel-id \"elsewhere\", :success nil, :error :not-subscribed}]"
                .to_owned(),
        ]
    );
    assert_eq!(rig.got(2), [message("\"room\"", "{:msg \"hi\"}", 1)]);
}

#[test]
fn any_value_is_a_channel_id_and_any_value_is_data() {
    for id in [
        "nil",
        "\"\"",
        ":kw/room",
        "7",
        "-1.5",
        "1/3",
        "\\a",
        "sym",
        "(1 2)",
        "[[] {}]",
        "#{1 :a}",
        "{:a [1 2], \"b\" nil}",
        "#inst \"2026-01-02T03:04:05.678-00:00\"",
        "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        "#my/tag [1]",
        "12345678901234567890N",
    ] {
        let mut rig = HubRig::new();
        join_lite(&mut rig, 1);
        rig.say(1, &format!("[:sente-lite/subscribe {{:channel-id {id}}}]"));
        rig.say(
            1,
            &format!("[:sente-lite/publish {{:channel-id {id} :data {id}}}]"),
        );
        assert_eq!(
            rig.got(1),
            [
                format!("[:sente-lite/subscribed {{:channel-id {id}, :success true}}]"),
                message(id, id, 1)
            ]
        );
    }
}

#[test]
fn equal_ids_name_one_channel_however_they_are_written() {
    for (one, same) in [
        ("[1 2]", "(1 2)"),
        ("{:a 1 :b 2}", "{:b 2, :a 1}"),
        ("#{[1] 2}", "#{2 (1)}"),
        ("7", "7N"),
        ("1.0M", "1.00M"),
        ("100M", "1E2M"),
        ("0.0", "-0.0"),
        ("#a/b [1]", "#a/b (1)"),
        ("[[[]]]", "(((  )))"),
    ] {
        let mut rig = HubRig::new();
        join_lite(&mut rig, 1);
        rig.hub.subscribe(rig.now, conn(1), &edn(one)).unwrap();
        assert_eq!(
            rig.hub.subscribe(rig.now, conn(1), &edn(same)),
            Ok(false),
            "{one}"
        );
        assert_eq!(rig.hub.channels().count(), 1, "{one}");
    }
    for (one, other) in [
        ("1", "1.0"),
        ("1", "\"1\""),
        (":a", "\"a\""),
        ("a", ":a"),
        ("[]", "{}"),
        ("#{}", "[]"),
        ("nil", "[]"),
        ("[[1] 2]", "[1 [2]]"),
        ("[\"a\" \"b\"]", "[\"a\\\" \\\"b\"]"),
        ("#a/b 1", "#a/c 1"),
        ("1M", "10M"),
        ("1.5M", "1.5"),
    ] {
        let mut rig = HubRig::new();
        join_lite(&mut rig, 1);
        rig.hub.subscribe(rig.now, conn(1), &edn(one)).unwrap();
        assert_eq!(
            rig.hub.subscribe(rig.now, conn(1), &edn(other)),
            Ok(true),
            "{one} {other}"
        );
    }
}

#[test]
fn a_request_without_a_channel_id_means_the_channel_nil() {
    let mut rig = HubRig::new();
    join_lite(&mut rig, 1);
    for request in [
        "[:sente-lite/subscribe]",
        "[:sente-lite/subscribe {}]",
        "[:sente-lite/subscribe \"text\"]",
    ] {
        rig.say(1, request);
        assert_eq!(
            rig.got(1),
            ["[:sente-lite/subscribed {:channel-id nil, :success true}]"]
        );
    }
    assert_eq!(rig.hub.subscriptions(conn(1)), [Value::Nil]);
}

#[test]
fn the_sender_is_excluded_where_it_asks_for_that() {
    let mut rig = room();
    for exclude in ["true", "1", "false", "nil"] {
        rig.say(
            1,
            &format!(
                "[:sente-lite/publish {{:channel-id \"room\" :data 1 :exclude-sender? {exclude}}}]"
            ),
        );
    }
    assert_eq!(rig.got(1).len(), 2);
    assert_eq!(rig.got(2).len(), 4);
}

#[test]
fn publishing_needs_no_subscription_and_where_there_is_no_channel_nothing_happens() {
    let mut rig = room();
    join_lite(&mut rig, 3);
    rig.told();
    rig.say(3, "[:sente-lite/publish {:channel-id \"room\" :data 1}]");
    rig.say(3, "[:sente-lite/publish {:channel-id \"nowhere\" :data 1}]");
    assert!(rig.got(3).is_empty());
    assert_eq!(rig.got(1), [message("\"room\"", "1", 3)]);
    assert!(rig.told().is_empty());
    assert_eq!(rig.hub.channel_stats().refused_publishes, 1);
    assert_eq!(rig.hub.channels().count(), 1);
}

#[test]
fn calls_are_answered_with_what_an_acknowledgement_says() {
    let mut rig = room();
    for question in [
        "[:sente-lite/subscribe {:channel-id 1}]",
        "[:sente-lite/publish {:channel-id 1 :data 2}]",
        "[:sente-lite/publish {:channel-id 9 :data 2}]",
        "[:sente-lite/unsubscribe {:channel-id 9}]",
    ] {
        let left = rig.hub.handle_message(rig.now, conn(1), called(question));
        assert!(left.is_none());
        rig.carry_out();
    }
    let replies: Vec<_> = rig
        .replies
        .drain(..)
        .map(|(_, reply)| reply.unwrap())
        .collect();
    assert_eq!(
        replies,
        [
            "{:channel-id 1, :success true}",
            "{:channel-id 1, :success true}",
            "{:channel-id 9, :success false, :error :channel-not-found}",
            "{:channel-id 9, :success nil, :error :not-subscribed}",
        ]
    );
    assert_eq!(rig.got(1), [message("1", "2", 1)]);
}

#[test]
fn other_events_and_those_of_strangers_are_for_the_application() {
    let mut rig = room();
    for text in [
        "[:chat/say 1]",
        "[:sente-lite/echo {}]",
        "[:sente-lite/message {:a 1}]",
        "[:sente-lite/rpc {:method \"x\" :params [] :id 1}]",
        "[:other/subscribe {:channel-id 1}]",
    ] {
        assert!(rig.say(1, text).is_some(), "{text}");
    }
    assert!(
        rig.say(9, "[:sente-lite/subscribe {:channel-id 1}]")
            .is_some()
    );
    let mut off = HubRig::with(|config| config.channels.enabled = false);
    join_lite(&mut off, 1);
    assert!(
        off.say(1, "[:sente-lite/subscribe {:channel-id 1}]")
            .is_some()
    );
}

#[test]
fn nothing_is_delivered_after_unsubscribing_or_leaving() {
    let mut rig = room();
    rig.say(1, "[:sente-lite/unsubscribe {:channel-id \"room\"}]");
    rig.got(1);
    let publish = "[:sente-lite/publish {:channel-id \"room\" :data 1}]";
    rig.say(1, publish);
    assert!(rig.got(1).is_empty());
    assert_eq!(rig.got(2).len(), 1);
    rig.leave(2);
    rig.say(1, publish);
    assert!(rig.got(2).is_empty());
    assert_eq!(rig.hub.channel_stats().subscriptions, 0);
    // A subscription does not come back by itself.
    rig.join_user(3, "ada", "tab");
    rig.say(3, "[:sente-lite/subscribe {:channel-id \"room\"}]");
    rig.leave(3);
    rig.say(1, publish);
    rig.got(3);
    assert!(rig.join_user(4, "ada", "tab").returned);
    assert!(rig.got(4).is_empty());
}

#[test]
fn the_application_subscribes_publishes_and_administers() {
    let mut rig = room();
    let (now, id) = (rig.now, edn("\"room\""));
    join_lite(&mut rig, 3);
    assert_eq!(rig.hub.subscribe(now, conn(3), &id), Ok(true));
    assert_eq!(rig.hub.subscribe(now, conn(3), &id), Ok(false));
    assert_eq!(
        rig.hub.subscribe(now, conn(9), &id),
        Err(SubscribeError::NotJoined)
    );
    let options = PublishOptions::new().from("the server").except(conn(1));
    let fanout = rig.hub.publish(now, &id, edn("{:n 1}"), options).unwrap();
    rig.carry_out();
    assert_eq!((fanout.connections, fanout.packings), (2, 1));
    assert!(rig.got(1).is_empty());
    assert_eq!(
        rig.got(3),
        ["[:sente-lite/channel-msg {:channel-id \"room\", :data {:n 1}, :from \"the server\"}]"]
    );
    assert_eq!(
        rig.hub.publish(now, &edn(":no"), 1, PublishOptions::new()),
        Err(FanoutError::NoChannel)
    );
    rig.send(&Target::Channel(id.clone()), "[:any/event 1]");
    assert_eq!(rig.got(1), ["[:any/event 1]"]);
    let subscribers: Vec<_> = rig.hub.subscribers(&id).collect();
    assert_eq!(subscribers, [conn(1), conn(2), conn(3)]);
    assert_eq!(rig.hub.unsubscribe_all(now, conn(3)), 1);
    assert_eq!(rig.hub.unsubscribe(now, conn(3), &id), Ok(()));
    rig.told();
    assert!(rig.hub.delete_channel(now, &id));
    assert!(!rig.hub.delete_channel(now, &id));
    assert!(rig.hub.subscriptions(conn(1)).is_empty());
    let told: Vec<_> = rig
        .told()
        .into_iter()
        .map(|event| match event {
            HubEvent::Unsubscribed { connection, .. } => connection,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [conn(1), conn(2)]);
    assert_eq!(rig.hub.channel(&id), None);
}

#[test]
fn a_guard_decides_who_may_subscribe_publish_and_ask() {
    let guard = |from: &Peer, action: &Action<'_>| match action {
        Action::Subscribe { channel } if channel.as_str() == Some("staff") => {
            match from.user.as_deref() {
                Some("ada") => Ok(()),
                _ => Err(Denied::new("not-staff")),
            }
        }
        Action::Publish { data, .. } if data.to_value().unwrap() == Value::Nil => {
            Err(Denied::new("no word"))
        }
        Action::Request { .. } => Err(Denied::new("ask-nobody")),
        _ => Ok(()),
    };
    let mut rig = HubRig::with(|config| config.guard = Some(Arc::new(guard)));
    rig.join(1, member("ada", None));
    rig.join(2, member("bob", None));
    for n in 1..=2 {
        rig.say(n, "[:sente-lite/subscribe {:channel-id \"staff\"}]");
    }
    assert_eq!(
        rig.got(1),
        ["[:sente-lite/subscribed {:channel-id \"staff\", :success true}]"]
    );
    assert_eq!(
        rig.got(2),
        ["[:sente-lite/subscribed {:channel-id \"staff\", :success false, :error :not-staff}]"]
    );
    rig.told();
    rig.say(2, "[:sente-lite/publish {:channel-id \"staff\"}]");
    let told = rig.told();
    let [
        HubEvent::PublishRefused {
            connection,
            channel,
            why,
        },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(
        (*connection, channel.as_str(), why.as_str()),
        (conn(2), Some("staff"), "no word")
    );
    let call = called("[:sente-lite/publish {:channel-id \"staff\"}]");
    assert!(rig.hub.handle_message(rig.now, conn(2), call).is_none());
    rig.carry_out();
    // A reason that is no word.
    assert_eq!(
        rig.replies.pop().unwrap().1.unwrap(),
        "{:channel-id \"staff\", :success false, :error :not-permitted}"
    );
    rig.say(
        2,
        "[:sente-lite/rpc {:channel-id \"staff\" :data 1 :request-id 5}]",
    );
    assert_eq!(
        rig.got(2),
        ["[:sente-lite/channel-msg {:channel-id \"staff\", \
          :data {:type :rpc-response, :request-id 5, :data :ask-nobody, :error? true}, :from nil}]"]
    );
}

#[test]
fn a_publish_over_the_rate_of_broadcasts_waits_or_is_refused() {
    let mut rig = HubRig::with(|config| {
        config.broadcast.deliveries = Some(Rate::new(1, seconds(1), 1));
        config.limits.max_waiting_broadcasts = 1;
    });
    join_lite(&mut rig, 1);
    rig.say(1, "[:sente-lite/subscribe {:channel-id 1}]");
    rig.got(1);
    rig.told();
    for n in 1..=3 {
        rig.say(
            1,
            &format!("[:sente-lite/publish {{:channel-id 1 :data {n}}}]"),
        );
    }
    assert_eq!(rig.got(1), [message("1", "1", 1)]);
    assert!(matches!(
        &rig.told()[..],
        [HubEvent::PublishRefused { why, .. }] if why == "too-many-waiting"
    ));
    rig.advance(seconds(1));
    assert_eq!(rig.got(1), [message("1", "2", 1)]);
}

#[test]
fn a_subscriber_whose_packer_cannot_express_a_message_keeps_nobody_else_from_it() {
    let mut rig = room();
    rig.join(3, Member::new(Arc::new(Other)).user("eve"));
    rig.say(3, "[:sente-lite/subscribe {:channel-id \"room\"}]");
    rig.got(3);
    rig.say(1, "[:sente-lite/publish {:channel-id \"room\" :data sym}]");
    assert_eq!(rig.got(2), [message("\"room\"", "sym", 1)]);
    assert!(rig.got(3).is_empty());
}

#[test]
fn many_subscribers_share_one_packing() {
    let mut rig = HubRig::new();
    for n in 0..200 {
        join_lite(&mut rig, n);
        rig.hub.subscribe(rig.now, conn(n), &Value::Nil).unwrap();
    }
    rig.say(7, "[:sente-lite/publish {:data 1}]");
    assert_eq!(rig.deliveries, 1);
    assert_eq!(rig.got.len(), 200);
}

#[test]
fn messages_that_were_not_packed_are_understood_as_well() {
    let mut rig = room();
    let mut message = received("[:sente-lite/publish {}]");
    message.event = sente_tests::event("[:sente-lite/publish {:channel-id \"room\" :data [1 2]}]");
    assert!(rig.hub.handle_message(rig.now, conn(1), message).is_none());
    rig.carry_out();
    assert_eq!(rig.got(2), [self::message("\"room\"", "[1 2]", 1)]);
}
