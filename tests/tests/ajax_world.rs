//! A client's links and a server's sessions over a network that delays and loses, in virtual time:
//! every event and every call has one fate, whatever happens in between.
#![allow(missing_docs)]

mod ajax_support;

use ajax_support::world::{Network, Step, World};
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..600u64).prop_map(|millis| Step::Pause { millis }),
        1 => (3_000..9_000u64).prop_map(|millis| Step::Pause { millis }),
        4 => Just(Step::ClientSend),
        3 => (1..8_000u64).prop_map(|timeout| Step::Call { timeout }),
        1 => Just(Step::Cancel),
        6 => Just(Step::Push),
        1 => Just(Step::LaterReply),
        1 => Just(Step::ServerReads),
    ]
}

fn network() -> impl Strategy<Value = Network> {
    let lost = prop_oneof![Just(0), Just(3), Just(25)];
    let delay = prop_oneof![Just(1u64), Just(40), Just(900)];
    (delay, lost, any::<bool>()).prop_map(|(delay, lost, silent)| Network {
        delay,
        lost,
        silent: silent && lost > 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_event_and_call_has_one_fate_over_a_network_that_delays_and_loses(
        network in network(),
        seed in any::<u64>(),
        window in any::<bool>(),
        batches in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(network, seed, window, batches);
        for step in steps {
            world.step(step);
        }
        world.finish();
        world.check();
    }
}

#[test]
fn over_a_good_network_nothing_is_lost_and_nothing_waits() {
    let network = Network {
        delay: 20,
        lost: 0,
        silent: false,
    };
    let mut world = World::new(network, 7, false, false);
    world.step(Step::Pause { millis: 200 });
    for _ in 0..50 {
        world.step(Step::ClientSend);
        world.step(Step::Push);
        world.step(Step::Call { timeout: 5_000 });
        world.step(Step::Pause { millis: 300 });
    }
    assert_eq!((world.links.len(), world.sessions.len()), (1, 1));
    assert_eq!(world.pushed.len(), 50);
    assert_eq!(world.order.len(), 100);
    world.finish();
    assert!(world.links[0].undelivered.is_empty());
    assert_eq!(world.links[0].client.stats().ignored, 0);
    world.check();
}
