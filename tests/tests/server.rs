//! A server without locks: connections and their hub as one machine, in virtual time.
#![allow(missing_docs)]

mod server_support;

use std::sync::Arc;

use sente_core::{
    AcceptError, Action, Carrier, CloseReason, ConnectionConfig, ConnectionEvent, Denied, Dialect,
    EventRefusal, HubEvent, JoinError, Limits, Outbox, Peer, PublishOptions, Rate, Role, SendError,
    ServerAccept, ServerEvent, SlowPolicy, State, Target,
};
use sente_edn::Value;
use sente_tests::{config, edn, event, millis, seconds};
use server_support::ServerRig;

fn user(name: &str) -> Target {
    Target::User(name.into())
}

#[test]
fn a_handshake_says_who_somebody_is_and_pushes_follow_it() {
    let mut rig = ServerRig::new();
    let ada = rig.connect_user("ada", "tab");
    assert_eq!(rig.uid(ada), Value::from("ada"));
    let nobody = rig.connect(Dialect::Sente, ServerAccept::new().client_id("tab"));
    assert_eq!(rig.uid(nobody), edn(":sente/nil-uid"));
    let lite = rig.connect_lite();
    assert_eq!(rig.uid(lite), Value::from(lite.to_string()));
    assert_eq!(
        rig.uidports(),
        [
            "+ada".to_owned(),
            "+:sente/nil-uid".to_owned(),
            format!("+{lite}")
        ]
    );
}

#[test]
fn a_push_reaches_every_connection_of_a_user_in_both_dialects() {
    let mut rig = ServerRig::new();
    let phone = rig.connect_user("ada", "phone");
    let laptop = rig.connect(Dialect::SenteLite, ServerAccept::new().user("ada"));
    let bob = rig.connect_user("bob", "tab");
    for n in 1..=3 {
        let news = event(&format!("[:n/w {n}]"));
        let fanout = rig.server.fan_out(rig.now, &user("ada"), &news).unwrap();
        assert_eq!((fanout.connections, fanout.packings), (2, 1));
    }
    rig.drive();
    for id in [phone, laptop] {
        assert_eq!(rig.got(id), ["[:n/w 1]", "[:n/w 2]", "[:n/w 3]"]);
    }
    assert!(rig.got(bob).is_empty());
}

#[test]
fn clients_talk_on_channels_and_the_application_hears_the_rest() {
    let mut rig = ServerRig::new();
    let (one, two) = (rig.connect_lite(), rig.connect_lite());
    for id in [one, two] {
        rig.say(id, "[:sente-lite/subscribe {:channel-id \"room\"}]");
    }
    rig.say(
        one,
        "[:sente-lite/publish {:channel-id \"room\" :data \"hi\" :exclude-sender? true}]",
    );
    rig.say(one, "[:chat/other 1]");
    let subscribed = "[:sente-lite/subscribed {:channel-id \"room\", :success true}]";
    assert_eq!(rig.got(one), [subscribed]);
    assert_eq!(
        rig.got(two),
        [
            subscribed.to_owned(),
            format!(
                "[:sente-lite/channel-msg {{:channel-id \"room\", :data \"hi\", :from \"{one}\"}}]"
            )
        ]
    );
    assert_eq!(rig.heard, [(one, "[:chat/other 1]".to_owned())]);
    let published = rig.server.with_hub(rig.now, |hub, now| {
        hub.publish(now, &edn("\"room\""), 7, PublishOptions::new())
    });
    assert_eq!(published.unwrap().connections, 2);
    rig.drive();
    assert_eq!(rig.got(one).len(), 1);
}

#[test]
fn a_sente_client_calls_to_subscribe_and_is_answered() {
    let mut rig = ServerRig::new();
    let ada = rig.connect_user("ada", "tab");
    let client = rig.clients.get_mut(&ada).unwrap();
    let question = event("[:sente-lite/subscribe {:channel-id 1}]");
    client.call(rig.now, question, seconds(5)).unwrap();
    rig.drive();
    let client = rig.clients.get_mut(&ada).unwrap();
    let reply = std::iter::from_fn(|| client.poll_event()).find_map(|event| match event {
        ConnectionEvent::Settled { result, .. } => Some(result.unwrap().to_value().unwrap()),
        _ => None,
    });
    assert_eq!(reply, Some(edn("{:channel-id 1 :success true}")));
}

#[test]
fn a_publish_before_goodbye_is_delivered() {
    let mut rig = ServerRig::new();
    let (one, two) = (rig.connect_lite(), rig.connect_lite());
    rig.say(two, "[:sente-lite/subscribe {:channel-id 1}]");
    rig.got(two);
    let client = rig.clients.get_mut(&one).unwrap();
    client
        .send(
            rig.now,
            event("[:sente-lite/publish {:channel-id 1 :data 2}]"),
        )
        .unwrap();
    client.drain(rig.now, rig.now + seconds(1));
    rig.drive();
    assert_eq!(rig.got(two).len(), 1);
    assert_eq!(rig.server.hub().len(), 1);
}

#[test]
fn what_is_pushed_while_a_client_is_gone_arrives_in_order_when_it_is_back() {
    let mut rig = ServerRig::new();
    let ada = rig.connect_user("ada", "tab");
    rig.uidports();
    rig.cut(ada);
    for n in 1..=3 {
        let news = event(&format!("[:n/w {n}]"));
        let fanout = rig.server.fan_out(rig.now, &user("ada"), &news).unwrap();
        assert_eq!(fanout.kept, 1);
    }
    rig.advance(seconds(1));
    let back = rig.connect_user("ada", "tab");
    rig.server
        .fan_out(rig.now, &user("ada"), &event("[:n/w 4]"))
        .unwrap();
    rig.drive();
    assert_eq!(
        rig.got(back),
        ["[:n/w 1]", "[:n/w 2]", "[:n/w 3]", "[:n/w 4]"]
    );
    assert!(rig.uidports().is_empty(), "never gone");
    rig.cut(back);
    rig.advance(seconds(3));
    assert_eq!(rig.uidports(), ["-ada"]);
}

#[test]
fn what_waited_in_the_inbox_of_a_lost_connection_is_delivered_when_the_client_is_back() {
    let mut limits = Limits::default();
    limits.max_send_messages = 1;
    let narrow = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .build()
        .unwrap();
    let mut rig = ServerRig::new();
    let admission = || ServerAccept::new().user("ada").client_id("tab");
    let ada = rig.connect_with(Arc::clone(&narrow), admission());
    rig.stalled.insert(ada);
    for n in 1..=4 {
        let news = event(&format!("[:n/w {n}]"));
        rig.server.fan_out(rig.now, &user("ada"), &news).unwrap();
    }
    assert_eq!(rig.server.inbox(ada).unwrap().len(), 3);
    rig.cut(ada);
    // The one in the connection's own send queue comes back to the application.
    let undelivered = rig.told.iter().find_map(|event| match event {
        ServerEvent::Connection {
            event: ConnectionEvent::Undelivered(events),
            ..
        } => Some(events.len()),
        _ => None,
    });
    assert_eq!(undelivered, Some(1));
    let back = rig.connect_with(narrow, admission());
    assert_eq!(rig.got(back), ["[:n/w 2]", "[:n/w 3]", "[:n/w 4]"]);
}

#[test]
fn an_event_to_one_connection_does_not_overtake_what_waits_for_it() {
    let mut limits = Limits::default();
    limits.max_send_messages = 2;
    let narrow = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .build()
        .unwrap();
    let mut rig = ServerRig::new();
    let ada = rig.connect_with(narrow, ServerAccept::new().user("ada"));
    rig.stalled.insert(ada);
    for n in 1..=3 {
        let news = event(&format!("[:n/w {n}]"));
        rig.server.fan_out(rig.now, &user("ada"), &news).unwrap();
    }
    let refused = rig.server.send(rig.now, ada, event("[:direct/one]"));
    assert!(matches!(refused, Err(SendError::Full { .. })));
    rig.stalled.clear();
    rig.server.handle_timeout(rig.now);
    rig.server.with_connection(rig.now, ada, |_, _| {});
    rig.drive();
    rig.server
        .send(rig.now, ada, event("[:direct/one]"))
        .unwrap();
    rig.drive();
    assert_eq!(
        rig.got(ada),
        ["[:n/w 1]", "[:n/w 2]", "[:n/w 3]", "[:direct/one]"]
    );
}

#[test]
fn a_slow_consumer_is_named_and_keeps_nobody_else_waiting() {
    let mut limits = Limits::default();
    limits.max_send_messages = 2;
    let narrow = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .build()
        .unwrap();
    let mut rig = ServerRig::with(|config| {
        config.inbox.max_messages = 4;
        config.inbox.slow = SlowPolicy::Close {
            after: seconds(10),
            code: 1008,
            reason: "too slow".into(),
        };
    });
    let slow = rig.connect_with(narrow, ServerAccept::new().user("slow"));
    let quick = rig.connect_user("quick", "tab");
    rig.uidports();
    rig.stalled.insert(slow);
    for n in 0..20 {
        let news = event(&format!("[:n/w {n}]"));
        rig.server.fan_out(rig.now, &Target::All, &news).unwrap();
        rig.drive();
    }
    assert_eq!(rig.got(quick).len(), 20);
    let reports = |rig: &mut ServerRig| -> Vec<(String, u64, bool)> {
        let told = rig.told.drain(..);
        told.filter_map(|event| match event {
            ServerEvent::Hub(HubEvent::SlowConsumer {
                user, lost, closed, ..
            }) => Some((user.to_string(), lost.count, closed)),
            _ => None,
        })
        .collect()
    };
    let first = reports(&mut rig);
    assert_eq!(first, [("slow".to_owned(), 1, false)]);
    rig.advance(seconds(1));
    // One went to the connection, which is 75 % of two, and four wait.
    assert_eq!(reports(&mut rig), [("slow".to_owned(), 14, false)]);
    // It pongs, but never reads what is for it.
    rig.advance(seconds(8));
    assert!(reports(&mut rig).is_empty());
    rig.advance(seconds(1));
    assert_eq!(reports(&mut rig), [("slow".to_owned(), 0, true)]);
    let closing = rig.server.connection(slow).map(|it| it.state());
    assert_eq!(closing, Some(State::Closing));
    rig.advance(seconds(30));
    assert!(rig.server.connection(slow).is_none());
    assert_eq!(rig.server.hub().len(), 1);
}

#[test]
fn a_user_is_disconnected_with_a_code_and_a_reason() {
    let mut rig = ServerRig::new();
    let (phone, laptop) = (
        rig.connect_user("ada", "phone"),
        rig.connect_user("ada", "laptop"),
    );
    let bob = rig.connect_user("bob", "tab");
    let closed = rig.server.with_hub(rig.now, |hub, now| {
        hub.disconnect(now, &user("ada"), 4001, "banned")
    });
    assert_eq!(closed, 2);
    rig.drive();
    for id in [phone, laptop] {
        let reason = rig.clients[&id].close_reason().cloned();
        assert_eq!(
            reason,
            Some(CloseReason::PeerClosed {
                code: Some(4001),
                reason: "banned".to_owned()
            })
        );
    }
    assert_eq!(rig.clients[&bob].state(), State::Open);
    rig.advance(seconds(10));
    assert_eq!(rig.server.connections().collect::<Vec<_>>(), [bob]);
}

#[test]
fn a_server_that_is_full_closes_without_a_handshake() {
    let mut rig = ServerRig::with(|config| config.hub.limits.max_connections = 1);
    rig.connect_lite();
    let id = rig.open(config(Role::Server, Dialect::SenteLite, Carrier::WebSocket));
    let refused = rig.server.accept(rig.now, id, ServerAccept::new());
    assert_eq!(
        refused,
        Err(AcceptError::Join(JoinError::Full { limit: 1 }))
    );
    rig.drive();
    let client = rig.clients.get_mut(&id).unwrap();
    let closed = CloseReason::PeerClosed {
        code: Some(1000),
        reason: String::new(),
    };
    assert_eq!(client.close_reason(), Some(&closed));
    let opened = std::iter::from_fn(|| client.poll_event())
        .any(|event| matches!(event, ConnectionEvent::Opened(_)));
    assert!(!opened);
    let again = rig.server.accept(rig.now, id, ServerAccept::new());
    assert_eq!(again, Err(AcceptError::NotWaiting));
    assert_eq!(rig.server.stats().rejected, 1);
}

#[test]
fn a_guard_and_rates_stand_before_everything_that_is_received() {
    let guard = |from: &Peer, action: &Action<'_>| match action {
        Action::Event(event) if event.id.namespace() == "admin" => match from.user.as_deref() {
            Some("root") => Ok(()),
            _ => Err(Denied::new("not-an-admin")),
        },
        _ => Ok(()),
    };
    let mut rig = ServerRig::with(|config| {
        config.hub.guard = Some(Arc::new(guard));
        config.rates.user_messages = Some(Rate::new(1, seconds(1), 3));
    });
    let ada = rig.connect_user("ada", "tab");
    let root = rig.connect_user("root", "tab");
    rig.say(ada, "[:admin/stop]");
    rig.say(root, "[:admin/stop]");
    assert_eq!(rig.heard, [(root, "[:admin/stop]".to_owned())]);
    let refused = rig.told.iter().find_map(|event| match event {
        ServerEvent::Refused {
            peer,
            id,
            why,
            count,
        } => Some((peer.connection, id.to_string(), why.clone(), *count)),
        _ => None,
    });
    let why = EventRefusal::Denied(Denied::new("not-an-admin"));
    assert_eq!(refused, Some((ada, ":admin/stop".to_owned(), why, 1)));
    rig.heard.clear();
    for n in 0..5 {
        rig.say(ada, &format!("[:chat/say {n}]"));
    }
    assert_eq!(rig.heard.len(), 3);
    // A caller is not left to its timeout.
    let client = rig.clients.get_mut(&ada).unwrap();
    client
        .call(rig.now, event("[:chat/ask 1]"), seconds(60))
        .unwrap();
    rig.drive();
    let client = rig.clients.get_mut(&ada).unwrap();
    let failed = std::iter::from_fn(|| client.poll_event())
        .any(|event| matches!(event, ConnectionEvent::Settled { result: Err(_), .. }));
    assert!(failed);
    assert_eq!(rig.server.stats().refused_events, 4);
}

#[test]
fn an_application_that_does_not_listen_holds_its_clients_up() {
    let mut limits = Limits::default();
    limits.max_recv_messages = 2;
    let server = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .build()
        .unwrap();
    let mut rig = ServerRig::new();
    let ada = rig.connect_with(server, ServerAccept::new().user("ada"));
    rig.listens = false;
    for n in 0..10 {
        rig.say(ada, &format!("[:a/b {n}]"));
    }
    assert!(!rig.server.wants_read(ada));
    rig.listens = true;
    rig.drive();
    let heard: Vec<_> = rig.heard.iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(
        heard,
        (0..10).map(|n| format!("[:a/b {n}]")).collect::<Vec<_>>()
    );
}

#[test]
fn one_client_that_says_much_does_not_keep_the_others_waiting() {
    let mut rig = ServerRig::new();
    let (much, little) = (rig.connect_user("a", "1"), rig.connect_user("b", "1"));
    rig.listens = false;
    for n in 0..50 {
        rig.say(much, &format!("[:a/b {n}]"));
    }
    rig.say(little, "[:a/b :little]");
    rig.listens = true;
    rig.drive();
    let place = rig.heard.iter().position(|(from, _)| *from == little);
    assert!(place.unwrap() <= 1, "{place:?}");
}

#[test]
fn somebody_may_say_who_they_are_later() {
    let mut rig = ServerRig::new();
    let lines = config(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let id = rig.connect_with(lines, ServerAccept::new());
    rig.uidports();
    rig.server
        .identify(rig.now, id, "ada", Some("script"))
        .unwrap();
    rig.drive();
    assert_eq!(rig.uidports(), [format!("-{id}"), "+ada".to_owned()]);
    rig.server
        .fan_out(rig.now, &user("ada"), &event("[:n/w 1]"))
        .unwrap();
    rig.drive();
    assert_eq!(rig.got(id), ["[:n/w 1]"]);
    rig.say(id, "[:a/b 1]");
    assert_eq!(rig.heard.len(), 1);
}

#[test]
fn calls_go_both_ways_and_modules_speak_through_the_server() {
    let mut rig = ServerRig::new();
    let lite = rig.connect_lite();
    let call = rig
        .server
        .call(rig.now, lite, event("[:a/ask 1]"), seconds(5))
        .unwrap();
    rig.drive();
    let client = rig.clients.get_mut(&lite).unwrap();
    let token = std::iter::from_fn(|| client.poll_event()).find_map(|event| match event {
        ConnectionEvent::Message(message) => message.reply,
        _ => None,
    });
    client.reply(rig.now, token.unwrap(), 2).unwrap();
    rig.drive();
    let settled = rig.told.iter().any(|event| {
        matches!(event, ServerEvent::Connection {
            event: ConnectionEvent::Settled { call: of, result: Ok(_) }, ..
        } if *of == call)
    });
    assert!(settled);
    let out: &mut dyn Outbox = &mut rig.server;
    let published = out.publish(&Target::All, &event("[:n/w 1]")).unwrap();
    assert_eq!(published.queued, 1);
    out.send(lite, event("[:n/w 2]")).unwrap();
    rig.drive();
    assert_eq!(rig.got(lite), ["[:n/w 1]", "[:n/w 2]"]);
}

#[test]
fn draining_ends_every_connection_in_order_and_leaves_nothing() {
    let mut rig = ServerRig::new();
    let ids = [rig.connect_user("a", "1"), rig.connect_lite()];
    rig.server
        .fan_out(rig.now, &Target::All, &event("[:n/w 1]"))
        .unwrap();
    rig.server.drain(rig.now, rig.now + seconds(5));
    rig.drive();
    for id in ids {
        assert_eq!(rig.got(id), ["[:n/w 1]"]);
        let reason = rig.clients[&id].close_reason().unwrap();
        assert!(reason.is_clean(), "{reason}");
    }
    rig.advance(seconds(20));
    let stats = rig.server.stats();
    assert_eq!((stats.connections, stats.opened), (0, 2));
    assert!(stats.traffic.frames_sent >= 4);
    assert!(rig.server.hub().is_empty());
    assert_eq!(rig.server.poll_timeout(), None);
}

#[test]
fn keepalives_of_all_connections_run_on_the_servers_clock() {
    let mut rig = ServerRig::new();
    let quiet = rig.connect_user("ada", "tab");
    rig.stalled.insert(quiet);
    // The client hears no ping, and its own go nowhere.
    rig.clients.remove(&quiet);
    rig.advance(millis(12_500 + 10_000));
    assert!(rig.server.hub().is_empty());
    assert_eq!(rig.server.hub().away(), 1);
    rig.advance(seconds(60));
    assert_eq!(rig.server.stats().connections, 0);
    assert_eq!(rig.server.poll_timeout(), None);
}

#[test]
fn what_is_told_of_a_slow_consumer_on_the_way_lets_nothing_overtake() {
    let mut limits = Limits::default();
    limits.max_send_messages = 1;
    let narrow = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .build()
        .unwrap();
    let mut rig = ServerRig::with(|config| config.inbox.max_messages = 1);
    let slow = rig.connect_with(narrow, ServerAccept::new().user("slow"));
    let quick = rig.connect_user("quick", "tab");
    assert!(slow < quick);
    rig.stalled.insert(slow);
    for n in 1..=2 {
        let news = event(&format!("[:n/w {n}]"));
        rig.server.fan_out(rig.now, &user("slow"), &news).unwrap();
    }
    // The first one that is lost is told at once, in the middle of handing out the first event.
    rig.server.with_hub(rig.now, |hub, now| {
        for n in 3..=4 {
            let news = event(&format!("[:n/w {n}]"));
            hub.fan_out(now, &Target::All, &news).unwrap();
        }
    });
    rig.drive();
    assert_eq!(rig.got(quick), ["[:n/w 3]", "[:n/w 4]"]);
    let told = rig.told.iter();
    let slow =
        |event: &&ServerEvent| matches!(event, ServerEvent::Hub(HubEvent::SlowConsumer { .. }));
    assert_eq!(told.filter(slow).count(), 1);
}

#[test]
fn what_was_for_a_lost_connection_only_comes_back_before_its_end_is_told() {
    let mut limits = Limits::default();
    limits.max_send_messages = 1;
    let narrow = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket)
        .limits(limits)
        .build()
        .unwrap();
    let mut rig = ServerRig::new();
    let ada = rig.connect_with(narrow, ServerAccept::new().user("ada"));
    rig.stalled.insert(ada);
    for n in 1..=3 {
        let news = event(&format!("[:n/w {n}]"));
        let target = Target::Connection(ada);
        rig.server.fan_out(rig.now, &target, &news).unwrap();
    }
    rig.listens = false;
    rig.cut(ada);
    let told: Vec<_> = std::iter::from_fn(|| rig.server.poll_event())
        .filter_map(|event| match event {
            ServerEvent::Connection { event, .. } => Some(event),
            _ => None,
        })
        .collect();
    let [
        ..,
        ConnectionEvent::Undelivered(first),
        ConnectionEvent::Undelivered(rest),
        ConnectionEvent::Closed(_),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((first.len(), rest.len()), (1, 2));
    assert!(rig.server.is_finished(ada));
    assert!(rig.server.connection(ada).is_none());
}
