//! Who is connected: users, clients, grace, takeover.
#![allow(missing_docs)]

mod hub_support;

use std::sync::Arc;

use hub_support::{HubRig, conn, member};
use sente_core::packer::Edn;
use sente_core::{
    ConnIds, Dialect, Grace, HubEvent, Instant, JoinError, Member, Nobody, NotKept, Takeover,
    Target, TransportKind, UserId,
};
use sente_tests::{edn, millis, seconds};

const WS: TransportKind = TransportKind::WebSocket;

#[test]
fn connection_ids_sort_by_time_and_print_as_uuid_v7() {
    assert!(conn(1) < conn(2));
    let text = conn(1).to_string();
    assert_eq!(text.len(), 36);
    assert_eq!(text.as_bytes()[14], b'7');
    assert_eq!(conn(1).unix_millis(), 1_700_000_000_001);
}

#[test]
fn generated_ids_grow_within_a_millisecond_and_when_the_clock_is_set_back() {
    let mut ids = ConnIds::new(1_700_000_000_000, [3; 32]);
    let times = [5, 5, 5, 4, 0, 5, 6, 6].map(Instant::from_millis);
    let made = times.map(|at| ids.generate(at));
    assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
    assert_eq!(made[0].unix_millis(), 1_700_000_000_005);
    assert_eq!(made[7].unix_millis(), 1_700_000_000_006);
    for id in made {
        let bytes = id.as_bytes();
        assert_eq!((bytes[6] >> 4, bytes[8] >> 6), (7, 2), "{id}");
    }
    let mut other = ConnIds::new(1_700_000_000_000, [4; 32]);
    assert_ne!(other.generate(Instant::from_millis(5)), made[0]);
}

#[test]
fn ten_thousand_ids_of_one_millisecond_are_all_different_and_in_order() {
    let mut ids = ConnIds::new(0, [9; 32]);
    let made: Vec<_> = (0..10_000).map(|_| ids.generate(Instant::EPOCH)).collect();
    assert!(made.is_sorted_by(|a, b| a < b));
    assert_eq!(made[9_999].unix_millis(), 0);
}

#[test]
fn a_user_is_there_from_the_first_connection_to_the_end_of_the_last_ones_grace() {
    let mut rig = HubRig::new();
    assert!(rig.join_user(1, "ada", "phone").opened);
    assert!(!rig.join_user(2, "ada", "laptop").opened);
    assert_eq!(rig.uidports(), ["+ada"]);
    assert_eq!(
        rig.leave(1).unwrap().grace_until,
        Some(rig.now + millis(2500))
    );
    rig.advance(seconds(10));
    assert_eq!(rig.any(), ["ada"]);
    rig.leave(2);
    rig.advance(millis(2499));
    assert_eq!(rig.any(), ["ada"]);
    assert!(rig.uidports().is_empty());
    rig.advance(millis(1));
    assert!(rig.any().is_empty());
    assert_eq!(rig.uidports(), ["-ada"]);
    assert_eq!(rig.hub.poll_timeout(), None);
}

#[test]
fn a_client_that_comes_back_in_time_was_never_gone() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "phone");
    rig.leave(1);
    rig.advance(millis(2400));
    let joined = rig.join_user(2, "ada", "phone");
    assert!(joined.returned && !joined.opened);
    rig.advance(seconds(60));
    assert_eq!(rig.any(), ["ada"]);
    assert_eq!(rig.uidports(), ["+ada"]);
}

#[test]
fn another_client_of_the_user_does_not_end_the_grace_of_the_first() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "phone");
    rig.leave(1);
    let joined = rig.join_user(2, "ada", "laptop");
    assert!(!joined.returned && !joined.opened);
    assert_eq!(rig.hub.away(), 1);
    rig.advance(millis(2500));
    assert_eq!(rig.hub.away(), 0);
    assert_eq!(rig.any(), ["ada"]);
}

#[test]
fn each_transport_has_its_own_grace_and_its_own_set_of_users() {
    let mut rig = HubRig::new();
    rig.join(1, member("ada", Some("tab")));
    rig.join(2, member("ada", Some("tab")).transport(TransportKind::Ajax));
    rig.join(3, member("bob", None).transport(TransportKind::Stream));
    assert_eq!(rig.uids(WS), ["ada"]);
    assert_eq!(rig.uids(TransportKind::Ajax), ["ada"]);
    assert_eq!(rig.uids(TransportKind::Stream), ["bob"]);
    assert_eq!(rig.any(), ["ada", "bob"]);
    assert_eq!(
        rig.hub.connected_uids().to_value(),
        edn(r#"{:ws #{"ada"} :ajax #{"ada"} :stream #{"bob"} :any #{"ada" "bob"}}"#)
    );
    rig.told();
    let version = rig.hub.connected_uids().version();
    rig.leave(1);
    rig.leave(2);
    rig.advance(millis(2500));
    assert!(rig.uids(WS).is_empty());
    assert_eq!(rig.uids(TransportKind::Ajax), ["ada"]);
    rig.advance(millis(2500));
    assert_eq!(rig.any(), ["bob"]);
    let changes: Vec<_> = rig
        .told()
        .into_iter()
        .map(|event| match event {
            HubEvent::UidsChanged {
                version,
                user,
                transport,
                connected,
            } => format!("{version} {user} {transport:?} {connected}"),
            HubEvent::UidportClose(user) => format!("close {user}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        changes,
        [
            format!("{} ada WebSocket false", version + 1),
            format!("{} ada Ajax false", version + 2),
            "close ada".to_owned(),
        ]
    );
    assert_eq!(rig.hub.connected_uids().version(), version + 2);
}

#[test]
fn where_nobody_is_named_sentes_clients_share_the_nil_uid_and_sente_lites_are_themselves() {
    let mut rig = HubRig::new();
    let sente = || Member::new(Arc::new(Edn));
    let lite = || sente().dialect(Dialect::SenteLite);
    assert_eq!(rig.join(1, sente().client_id("a")).user, UserId::NOBODY);
    assert_eq!(rig.join(2, sente().client_id("b")).user, UserId::NOBODY);
    assert_eq!(&*rig.join(3, lite()).user, conn(3).to_string());
    let reached = rig.send(&Target::User(UserId::ALL_WITHOUT_UID), "[:news/flash 1]");
    assert_eq!(reached.connections, 3);
    let reached = rig.send(&Target::User(UserId::NOBODY), "[:news/flash 2]");
    assert_eq!(reached.connections, 2);
    assert_eq!(
        UserId::NOBODY.to_value(),
        edn(":sente/nil-uid"),
        "as the handshake carries it"
    );

    for (nobody, expected) in [
        (Nobody::NilUid, ":sente/nil-uid".to_owned()),
        (Nobody::Connection, conn(1).to_string()),
    ] {
        let mut rig = HubRig::with(|config| config.nobody = nobody);
        assert_eq!(&*rig.join(1, sente()).user, expected);
        assert_eq!(
            rig.join(2, lite()).user == UserId::NOBODY,
            nobody == Nobody::NilUid
        );
    }
}

#[test]
fn a_connection_that_is_its_own_user_is_gone_at_once() {
    let mut rig = HubRig::new();
    rig.join(1, Member::new(Arc::new(Edn)).dialect(Dialect::SenteLite));
    rig.told();
    let left = rig.leave(1).unwrap();
    assert!(left.closed);
    assert_eq!(left.grace_until, None);
    assert_eq!(rig.uidports(), [format!("-{}", conn(1))]);
    assert_eq!(rig.leave(1), None);
}

#[test]
fn user_ids_of_any_kind_are_told_apart() {
    let mut rig = HubRig::new();
    let users = ["7", "\"7\"", ":seven", "{:b 1, :a 2}", "[7]"];
    for (n, user) in users.iter().enumerate() {
        let user = UserId::from(&edn(user));
        rig.join(u8::try_from(n).unwrap(), member("", None).user(user));
    }
    assert_eq!(rig.any().len(), 5);
    let reordered = UserId::from(&edn("{:a 2, :b 1}"));
    let fanout = rig.send(&Target::User(reordered.clone()), "[:a/b]");
    assert_eq!(fanout.connections, 1);
    assert_eq!(reordered.to_value(), edn("{:a 2, :b 1}"));
    assert_eq!(rig.push("7", "[:a/b]").connections, 1);
}

#[test]
fn the_newest_connection_of_a_client_receives_and_the_older_one_stays_open() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    rig.join_user(2, "ada", "tab");
    assert!(matches!(
        rig.told()[..],
        [
            HubEvent::UidsChanged { .. },
            HubEvent::UidportOpen(_),
            HubEvent::TakenOver { connection, by, .. }
        ] if connection == conn(1) && by == conn(2)
    ));
    assert_eq!(rig.push("ada", "[:n/w 1]").connections, 1);
    rig.send(&Target::All, "[:n/w 2]");
    rig.send(&Target::Connection(conn(1)), "[:n/w 3]");
    assert_eq!(rig.got(2), ["[:n/w 1]", "[:n/w 2]"]);
    assert_eq!(rig.got(1), ["[:n/w 3]"]);
    assert!(rig.closed.is_empty());
    // Its end does not end the newer one.
    assert_eq!(rig.leave(1).unwrap().grace_until, None);
    rig.advance(seconds(60));
    assert_eq!(rig.push("ada", "[:n/w 4]").connections, 1);
    assert_eq!(rig.uidports(), <[&str; 0]>::default());
}

#[test]
fn when_the_newest_connection_of_a_client_ends_an_older_one_that_is_open_takes_its_place() {
    let mut rig = HubRig::new();
    for n in 1..=3 {
        rig.join_user(n, "ada", "tab");
    }
    rig.leave(3);
    assert_eq!(rig.push("ada", "[:n/w 1]").connections, 1);
    assert_eq!(rig.got(2), ["[:n/w 1]"]);
    rig.leave(2);
    rig.push("ada", "[:n/w 2]");
    assert_eq!(rig.got(1), ["[:n/w 2]"]);
    assert!(rig.leave(1).unwrap().grace_until.is_some());
}

#[test]
fn a_takeover_may_close_the_older_connection_or_leave_all_receiving() {
    let mut rig = HubRig::with(|config| config.takeover = Takeover::NewestClosesOthers);
    rig.join_user(1, "ada", "tab");
    rig.join_user(2, "ada", "tab");
    assert_eq!(rig.closed, [(conn(1), 1000, "taken over".to_owned())]);

    let mut rig = HubRig::with(|config| config.takeover = Takeover::All);
    rig.join_user(1, "ada", "tab");
    rig.join_user(2, "ada", "tab");
    assert_eq!(rig.push("ada", "[:n/w 1]").connections, 2);
    assert!(rig.closed.is_empty());
}

#[test]
fn the_same_client_by_two_transports_is_no_takeover() {
    let mut rig = HubRig::new();
    rig.join(1, member("ada", Some("tab")));
    rig.join(2, member("ada", Some("tab")).transport(TransportKind::Ajax));
    assert_eq!(rig.push("ada", "[:n/w 1]").connections, 2);
}

#[test]
fn without_client_ids_whoever_of_the_user_comes_back_first_is_the_one_that_was_lost_first() {
    let mut rig = HubRig::new();
    for n in 1..=2 {
        rig.join(n, member("ada", None));
    }
    rig.leave(1);
    rig.push("ada", "[:n/w 1]");
    rig.leave(2);
    rig.push("ada", "[:n/w 2]");
    rig.got(2);
    assert!(rig.join(3, member("ada", None)).returned);
    assert_eq!(rig.got(3), ["[:n/w 1]", "[:n/w 2]"]);
    assert!(rig.join(4, member("ada", None)).returned);
    assert_eq!(rig.got(4), ["[:n/w 2]"]);
    assert!(!rig.join(5, member("ada", None)).returned);
    assert!(!rig.join(6, member("bob", None)).returned);
}

#[test]
fn who_leaves_at_once_has_no_grace() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    assert!(rig.hub.leave_at_once(rig.now, conn(1)).unwrap().closed);
    assert_eq!(rig.uidports(), ["+ada", "-ada"]);
    assert_eq!(rig.hub.away(), 0);
}

#[test]
fn a_suspended_connection_stays_in_until_its_grace_ends() {
    let mut rig = HubRig::new();
    let ajax = || member("ada", Some("tab")).transport(TransportKind::Ajax);
    rig.join(1, ajax());
    rig.say(1, "[:sente-lite/subscribe {:channel-id \"room\"}]");
    rig.got(1);
    assert!(rig.hub.suspend(rig.now, conn(1)));
    rig.advance(millis(4999));
    rig.push("ada", "[:n/w 1]");
    assert_eq!(rig.got(1), ["[:n/w 1]"]);
    assert!(rig.hub.resume(rig.now, conn(1)));
    assert!(!rig.hub.resume(rig.now, conn(1)));
    rig.advance(seconds(60));
    assert_eq!(rig.hub.subscriptions(conn(1)), [edn("\"room\"")]);
    rig.told();
    rig.hub.suspend(rig.now, conn(1));
    rig.advance(seconds(5));
    assert!(rig.hub.is_empty());
    assert!(matches!(
        rig.told()[..],
        [
            HubEvent::UidsChanged { .. },
            HubEvent::UidportClose(_),
            HubEvent::Expired { connection, .. }
        ] if connection == conn(1)
    ));
    assert_eq!(rig.closed.len(), 1);
    assert!(!rig.hub.suspend(rig.now, conn(1)));
}

#[test]
fn a_user_and_a_connection_can_be_disconnected_with_code_and_reason() {
    let mut rig = HubRig::new();
    rig.join_user(1, "ada", "tab");
    rig.join_user(2, "ada", "tab");
    rig.join_user(3, "bob", "tab");
    let ada = Target::User("ada".into());
    // Those that were taken over, too.
    assert_eq!(rig.hub.disconnect(rig.now, &ada, 1000, ""), 2);
    rig.carry_out();
    let closed = std::mem::take(&mut rig.closed);
    assert_eq!(
        closed,
        [
            (conn(1), 1000, String::new()),
            (conn(2), 1000, String::new())
        ]
    );
    let bob = Target::Connection(conn(3));
    assert_eq!(rig.hub.disconnect(rig.now, &bob, 4001, "go away"), 1);
    rig.carry_out();
    assert_eq!(rig.closed, [(conn(3), 4001, "go away".to_owned())]);
    assert_eq!(rig.hub.len(), 3, "they leave when they have ended");
}

#[test]
fn connections_are_listed_newest_first() {
    let mut rig = HubRig::new();
    for n in [3, 1, 2] {
        rig.join(n, member("ada", Some(&format!("c{n}"))));
        rig.advance(millis(10));
    }
    let listed: Vec<_> = rig.hub.connections().collect();
    let order: Vec<_> = listed.iter().map(|info| info.connection).collect();
    assert_eq!(order, [conn(2), conn(1), conn(3)]);
    assert_eq!(listed[0].client_id.as_deref(), Some("c2"));
    assert_eq!(listed[0].since, Instant::from_millis(20));
    assert_eq!(&*listed[0].user, "ada");
    assert!(listed[0].receives && !listed[0].suspended);
    assert_eq!(rig.hub.connection(conn(9)), None);
}

#[test]
fn joining_is_bounded_and_what_does_not_fit_is_refused() {
    let mut rig = HubRig::with(|config| {
        config.limits.max_connections = 3;
        config.limits.max_user_connections = 2;
        config.limits.max_client_id_bytes = 4;
    });
    rig.join_user(1, "ada", "a");
    rig.join_user(2, "ada", "b");
    let mut join = |n, member| rig.hub.join(Instant::EPOCH, conn(n), member);
    assert_eq!(
        join(3, member("ada", Some("c"))),
        Err(JoinError::UserFull { limit: 2 })
    );
    assert_eq!(
        join(3, member("bob", Some("c23456"))),
        Err(JoinError::ClientIdTooLong { bytes: 6, limit: 4 })
    );
    assert!(join(3, member("bob", Some("c"))).is_ok());
    assert_eq!(
        join(4, member("eve", Some("c"))),
        Err(JoinError::Full { limit: 3 })
    );
    // One that is in may join again, as its own or as another's.
    assert!(join(1, member("ada", Some("a"))).is_ok());
    assert!(join(1, member("eve", Some("a"))).is_ok());
    assert_eq!(rig.hub.stats().refused_joins, 3);
    assert_eq!(rig.hub.len(), 3);
}

#[test]
fn a_connection_that_joins_again_under_another_name_moves() {
    let mut rig = HubRig::new();
    rig.join_user(1, "guest", "tab");
    rig.say(1, "[:sente-lite/subscribe {:channel-id 1}]");
    rig.join_user(1, "ada", "tab");
    assert_eq!(rig.uidports(), ["+guest", "-guest", "+ada"]);
    assert_eq!(rig.hub.user_of(conn(1)), Some(&"ada".into()));
    assert!(rig.hub.subscriptions(conn(1)).is_empty());
    assert_eq!(rig.hub.channel_stats().subscriptions, 0);
}

#[test]
fn clients_in_their_grace_are_bounded_and_the_first_to_end_gives_way() {
    let mut rig = HubRig::with(|config| config.limits.max_away = 2);
    for n in 1..=3 {
        rig.join_user(n, "ada", &format!("c{n}"));
        rig.leave(n);
        rig.push("ada", &format!("[:n/w {n}]"));
        rig.advance(millis(1));
    }
    assert_eq!(rig.hub.away(), 2);
    assert!(!rig.join_user(4, "ada", "c1").returned);
    assert!(rig.join_user(5, "ada", "c3").returned);
    assert_eq!(rig.got(5), ["[:n/w 3]"]);
    let lost: Vec<_> = rig
        .told()
        .into_iter()
        .filter_map(|event| match event {
            HubEvent::Undelivered {
                client_id,
                events,
                why,
                ..
            } => Some((client_id.unwrap().to_string(), events.len(), why)),
            _ => None,
        })
        .collect();
    assert_eq!(lost, [("c1".to_owned(), 2, NotKept::TimeIsUp)]);
}

#[test]
fn without_grace_a_user_is_gone_with_the_last_connection() {
    let mut rig = HubRig::with(|config| config.grace = Grace::NONE);
    rig.join_user(1, "ada", "tab");
    assert!(rig.leave(1).unwrap().closed);
    assert_eq!(rig.uidports(), ["+ada", "-ada"]);
    assert_eq!(rig.hub.poll_timeout(), None);
    rig.join_user(2, "ada", "tab");
    assert!(!rig.hub.suspend(rig.now, conn(2)));
}

#[test]
fn events_nobody_takes_are_bounded_and_counted() {
    let mut rig = HubRig::with(|config| {
        config.limits.max_events = 4;
        config.grace = Grace::NONE;
    });
    for n in 0..10 {
        rig.join_user(n, &format!("user-{n}"), "tab");
    }
    let told = rig.told();
    assert_eq!(told.len(), 5);
    assert!(matches!(told[4], HubEvent::Missed(16)));
    assert!(!rig.hub.has_event());
    rig.leave(1);
    assert_eq!(rig.uidports(), ["-user-1"]);
    assert_eq!(rig.hub.connected_uids().version(), 11);
}
