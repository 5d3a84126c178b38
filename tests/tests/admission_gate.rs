//! How many are let in, how often, and for how long an identity holds.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sente_core::admission::{
    Gate, GateLimits, IdentityDue, IdentityTimer, Pass, Refusal, RefusalReason,
};
use sente_core::{Instant, Rate};

const NOW: Instant = Instant::EPOCH;

const fn millis(count: u64) -> Instant {
    Instant::from_millis(count)
}

const fn seconds(count: u64) -> Instant {
    Instant::from_millis(count * 1000)
}

fn gate(change: impl FnOnce(&mut GateLimits)) -> Gate {
    let mut limits = GateLimits::default();
    change(&mut limits);
    Gate::new(limits)
}

fn header<'a>(refusal: &'a Refusal, name: &str) -> Option<&'a str> {
    let found = refusal.headers.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_full_server_says_so_until_somebody_leaves() {
    let mut gate = gate(|limits| limits.max_connections = Some(2));
    let first = gate.enter(NOW, None).unwrap();
    let second = gate.enter(NOW, Some("192.0.2.7")).unwrap();
    let refusal = gate.enter(NOW, None).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.status),
        (RefusalReason::ServerFull, 503)
    );
    assert_eq!(header(&refusal, "Retry-After"), Some("5"));
    gate.leave(second);
    let third = gate.enter(NOW, None).unwrap();
    assert_eq!(gate.connections(), 2);
    gate.leave(first);
    gate.leave(third);
    assert_eq!((gate.connections(), gate.addresses()), (0, 0));
}

#[test]
fn one_address_may_have_so_many_and_others_their_own() {
    let mut gate = gate(|limits| limits.max_per_address = Some(2));
    let passes: Vec<Pass> = ["192.0.2.7", "192.0.2.7", "192.0.2.8"]
        .map(|address| gate.enter(NOW, Some(address)).unwrap())
        .into();
    let refusal = gate.enter(NOW, Some("192.0.2.7")).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.status),
        (RefusalReason::PerAddress, 429)
    );
    // The same address in other clothes.
    assert!(gate.enter(NOW, Some("::ffff:192.0.2.7")).is_err());
    assert_eq!(gate.connections_of_address("192.0.2.7"), 2);
    assert_eq!(gate.connections(), 3);
    for pass in passes {
        gate.leave(pass);
    }
    assert_eq!(gate.addresses(), 0);
}

#[test]
fn a_network_of_ipv6_counts_as_one_address() {
    let mut gate = gate(|limits| limits.max_per_address = Some(1));
    let _pass = gate.enter(NOW, Some("2001:db8:1:2::1")).unwrap();
    assert!(gate.enter(NOW, Some("2001:db8:1:2:3:4:5:6")).is_err());
    let _other = gate.enter(NOW, Some("2001:db8:1:3::1")).unwrap();
}

#[test]
fn what_is_no_ip_address_counts_by_its_text() {
    let mut gate = gate(|limits| limits.max_per_address = Some(1));
    let long = "é".repeat(10_000);
    let _pass = gate.enter(NOW, Some(&long)).unwrap();
    assert!(gate.enter(NOW, Some(&long)).is_err());
    let _other = gate.enter(NOW, Some("unix:/run/a.sock")).unwrap();
}

#[test]
fn one_user_may_have_so_many_and_a_refused_pass_is_given_back() {
    let mut gate = gate(|limits| limits.max_per_user = Some(1));
    let mut first = gate.enter(NOW, None).unwrap();
    gate.name_user(&mut first, "ada").unwrap();
    // Naming again changes nothing.
    gate.name_user(&mut first, "ada").unwrap();
    let mut second = gate.enter(NOW, None).unwrap();
    let refusal = gate.name_user(&mut second, "ada").unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.status),
        (RefusalReason::PerUser, 429)
    );
    gate.leave(second);
    assert_eq!(
        (gate.connections(), gate.connections_of_user("ada")),
        (1, 1)
    );
    // Who becomes another user makes room.
    gate.name_user(&mut first, "bob").unwrap();
    assert_eq!(
        (
            gate.connections_of_user("ada"),
            gate.connections_of_user("bob")
        ),
        (0, 1)
    );
    gate.leave(first);
    assert_eq!(gate.connections_of_user("bob"), 0);
}

#[test]
fn an_address_that_connects_too_often_is_told_when_to_come_back() {
    let rate = Rate::new(1, Duration::from_secs(10), 2);
    let mut gate = gate(|limits| limits.connect_rate = Some(rate));
    let enter = |gate: &mut Gate, now| {
        gate.enter(now, Some("192.0.2.7"))
            .map(|pass| gate.leave(pass))
    };
    assert!(enter(&mut gate, millis(0)).is_ok());
    assert!(enter(&mut gate, millis(0)).is_ok());
    let refusal = enter(&mut gate, millis(500)).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.status),
        (RefusalReason::RateLimited, 429)
    );
    assert_eq!(header(&refusal, "Retry-After"), Some("10"));
    // Others are not held to it, and trying does not make it worse.
    assert!(gate.enter(millis(500), Some("192.0.2.8")).is_ok());
    for at in 1..10 {
        assert!(enter(&mut gate, seconds(at)).is_err());
    }
    assert!(enter(&mut gate, seconds(10)).is_ok());
    assert!(enter(&mut gate, seconds(10)).is_err());
}

#[test]
fn of_addresses_that_left_only_so_many_are_remembered_and_those_that_keep_trying_are() {
    let rate = Rate::new(1, Duration::from_secs(3600), 1);
    let mut gate = gate(|limits| {
        limits.connect_rate = Some(rate);
        limits.max_idle_addresses = 10;
    });
    let address = |number: u64| format!("10.0.{}.{}", number / 256, number % 256);
    let mut stubborn = gate
        .enter(NOW, Some("192.0.2.7"))
        .map(|pass| gate.leave(pass));
    assert!(stubborn.is_ok());
    for number in 0..5_000 {
        let now = millis(number);
        let pass = gate.enter(now, Some(&address(number))).unwrap();
        gate.leave(pass);
        assert!(gate.addresses() <= 11);
        stubborn = gate
            .enter(now, Some("192.0.2.7"))
            .map(|pass| gate.leave(pass));
        assert!(stubborn.is_err(), "forgotten after {number}");
    }
    // The first of the others is long forgotten, the last is not.
    assert!(gate.enter(millis(5_000), Some(&address(4_999))).is_err());
    assert!(gate.enter(millis(5_000), Some(&address(0))).is_ok());
}

#[test]
fn other_limits_hold_for_those_who_come_later() {
    let rate = |times| Some(Rate::new(times, Duration::from_secs(60), times));
    let mut gate = gate(|limits| limits.connect_rate = rate(2));
    let enter = |gate: &mut Gate| gate.enter(seconds(0), Some("192.0.2.7"));
    let first = enter(&mut gate).unwrap();
    let second = enter(&mut gate).unwrap();
    assert_eq!(enter(&mut gate).unwrap_err().status, 429);
    let limits = |change: &dyn Fn(&mut GateLimits)| {
        let mut limits = GateLimits::default();
        change(&mut limits);
        limits
    };
    // The same rate goes on where it was.
    gate.set_limits(limits(&|limits| limits.connect_rate = rate(2)));
    assert_eq!(enter(&mut gate).unwrap_err().status, 429);
    // Another one begins anew.
    gate.set_limits(limits(&|limits| limits.connect_rate = rate(1)));
    let third = enter(&mut gate).unwrap();
    assert_eq!(enter(&mut gate).unwrap_err().status, 429);
    // Who is there stays, and counts.
    gate.set_limits(limits(&|limits| limits.max_per_address = Some(2)));
    assert_eq!(gate.connections(), 3);
    assert_eq!(enter(&mut gate).unwrap_err().status, 429);
    gate.leave(first);
    assert_eq!(enter(&mut gate).unwrap_err().status, 429);
    gate.leave(second);
    let fourth = enter(&mut gate).unwrap();
    gate.leave(third);
    gate.leave(fourth);
    assert_eq!((gate.connections(), gate.addresses()), (0, 0));
}

#[test]
fn with_less_room_for_them_addresses_are_forgotten() {
    let rate = Some(Rate::new(1, Duration::from_secs(60), 1));
    let mut gate = gate(|limits| limits.connect_rate = rate);
    for last in 1..=5 {
        let pass = gate
            .enter(seconds(last), Some(&format!("192.0.2.{last}")))
            .unwrap();
        gate.leave(pass);
    }
    assert_eq!(gate.addresses(), 5);
    let mut limits = GateLimits::default();
    limits.connect_rate = rate;
    limits.max_idle_addresses = 2;
    gate.set_limits(limits);
    assert_eq!(gate.addresses(), 2);
    gate.set_limits(GateLimits::default());
    assert_eq!(
        gate.addresses(),
        0,
        "without a rate there is nothing to remember"
    );
}

#[test]
fn a_limit_of_none_lets_nobody_in() {
    assert!(
        gate(|limits| limits.max_connections = Some(0))
            .enter(NOW, None)
            .is_err()
    );
    let mut gate = gate(|limits| limits.max_per_address = Some(0));
    assert!(gate.enter(NOW, Some("192.0.2.7")).is_err());
    assert_eq!(gate.addresses(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Enter { address: u8, wait: u64 },
    Leave { which: usize },
    Name { which: usize, user: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6u8, 0..400u64).prop_map(|(address, wait)| Step::Enter { address, wait }),
        2 => (0..64usize).prop_map(|which| Step::Leave { which }),
        1 => (0..64usize, 0..3u8).prop_map(|(which, user)| Step::Name { which, user }),
    ]
}

proptest! {
    #[test]
    fn the_counts_are_those_of_the_passes_and_never_over_a_limit(
        steps in prop::collection::vec(step(), 1..200),
        rated in any::<bool>(),
    ) {
        let mut gate = gate(|limits| {
            limits.max_connections = Some(12);
            limits.max_per_address = Some(4);
            limits.max_per_user = Some(3);
            limits.max_idle_addresses = 2;
            if rated {
                limits.connect_rate = Some(Rate::new(1, Duration::from_secs(1), 2));
            }
        });
        let mut held: Vec<(Pass, u8, Option<u8>)> = Vec::new();
        let mut now = NOW;
        for step in steps {
            match step {
                Step::Enter { address, wait } => {
                    now = now + Duration::from_millis(wait);
                    let text = format!("10.0.0.{address}");
                    let of_address = held.iter().filter(|held| held.1 == address).count();
                    match gate.enter(now, Some(&text)) {
                        Ok(pass) => {
                            prop_assert!(of_address < 4 && held.len() < 12);
                            held.push((pass, address, None));
                        }
                        Err(refusal) => {
                            let expected = match refusal.reason {
                                RefusalReason::ServerFull => held.len() == 12,
                                RefusalReason::PerAddress => of_address == 4,
                                reason => reason == RefusalReason::RateLimited && rated,
                            };
                            prop_assert!(expected, "{:?}", refusal);
                        }
                    }
                }
                Step::Leave { which } if which < held.len() => {
                    gate.leave(held.swap_remove(which).0);
                }
                Step::Name { which, user } if which < held.len() => {
                    let of_user = held.iter().filter(|held| held.2 == Some(user)).count();
                    let entry = &mut held[which];
                    let named = gate.name_user(&mut entry.0, &user.to_string());
                    prop_assert_eq!(named.is_ok(), of_user < 3 || entry.2 == Some(user));
                    if named.is_ok() {
                        entry.2 = Some(user);
                    }
                }
                _ => {}
            }
            let mut addresses: BTreeMap<u8, usize> = BTreeMap::new();
            for (_, address, _) in &held {
                *addresses.entry(*address).or_default() += 1;
            }
            prop_assert_eq!(gate.connections(), held.len());
            prop_assert!(gate.addresses() <= addresses.len() + 2);
            for (address, count) in addresses {
                let text = format!("10.0.0.{address}");
                prop_assert_eq!(gate.connections_of_address(&text), count);
            }
        }
        for (pass, _, _) in held {
            gate.leave(pass);
        }
        prop_assert_eq!(gate.connections(), 0);
        prop_assert!(gate.addresses() <= 2);
        prop_assert_eq!(gate.connections_of_user("0"), 0);
    }
}

/// What the timer says when it is driven for so long, and when.
fn driven(timer: &mut IdentityTimer, until: Instant) -> Vec<(u64, IdentityDue)> {
    let mut said = Vec::new();
    while let Some(at) = timer.poll_timeout().filter(|at| *at <= until) {
        if let Some(due) = timer.handle_timeout(at) {
            said.push((at.as_millis(), due));
        }
    }
    said
}

#[test]
fn an_identity_that_ends_is_said_to_be_over_once() {
    let mut timer = IdentityTimer::new(NOW, Some(seconds(60)));
    assert_eq!(timer.handle_timeout(seconds(59)), None);
    let said = driven(&mut timer, seconds(1_000));
    assert_eq!(said, [(60_000, IdentityDue::Expired)]);
    assert_eq!(timer.poll_timeout(), None);
    assert_eq!(timer.handle_timeout(seconds(2_000)), None);
}

#[test]
fn an_identity_is_asked_about_again_and_again_and_ahead_of_its_end() {
    let mut timer = IdentityTimer::new(NOW, Some(seconds(60)))
        .ask_every(Duration::from_secs(25))
        .ask_before_end(Duration::from_secs(5));
    let said = driven(&mut timer, seconds(100));
    use IdentityDue::{Expired, Recheck};
    assert_eq!(
        said,
        [
            (25_000, Recheck),
            (50_000, Recheck),
            (55_000, Recheck),
            (60_000, Expired)
        ]
    );
}

#[test]
fn a_renewed_identity_goes_on() {
    let mut timer =
        IdentityTimer::new(NOW, Some(seconds(60))).ask_before_end(Duration::from_secs(10));
    assert_eq!(
        timer.handle_timeout(seconds(50)),
        Some(IdentityDue::Recheck)
    );
    timer.renew(seconds(52), Some(seconds(120)));
    let said = driven(&mut timer, seconds(200));
    assert_eq!(
        said,
        [
            (110_000, IdentityDue::Recheck),
            (120_000, IdentityDue::Expired)
        ]
    );
    let mut timer = IdentityTimer::new(NOW, Some(seconds(60)));
    timer.renew(NOW, None);
    assert_eq!(timer.poll_timeout(), None);
}

#[test]
fn a_period_of_nothing_does_not_spin() {
    let mut timer = IdentityTimer::new(NOW, None).ask_every(Duration::ZERO);
    assert_eq!(driven(&mut timer, millis(3)).len(), 3);
    let mut far = IdentityTimer::new(NOW, Some(seconds(1))).ask_before_end(Duration::MAX);
    assert_eq!(
        driven(&mut far, seconds(5)),
        [(1_000, IdentityDue::Expired)]
    );
}
