//! Whatever clients say about channels: every call is answered once, and every frame reads.
#![allow(missing_docs)]

mod hub_support;

use hub_support::{HubRig, called, conn, join_lite, received};
use proptest::prelude::*;
use sente_tests::{edn, seconds};

const IDS: [&str; 5] = ["publish", "rpc", "subscribe", "unsubscribe", "echo"];

const KEYS: [&str; 9] = [
    ":channel-id",
    ":data",
    ":request-id",
    ":type",
    ":timeout-ms",
    ":exclude-sender?",
    ":error?",
    "\"channel-id\"",
    ":other/channel-id",
];

const VALUES: [&str; 16] = [
    "nil",
    "false",
    "\"room\"",
    ":room",
    "-1",
    "0",
    "99999999999999999999999N",
    "##NaN",
    "1e400M",
    ":rpc-response",
    "\"req-00000000000000000000000000000000\"",
    "{:type :rpc-response, :request-id nil}",
    "[[[[[[]]]]]]",
    "#some/tag {:a #{1 2}}",
    "\"a line\nbreak\"",
    "sym",
];

/// What may stand where a map with a channel id should.
fn data() -> impl Strategy<Value = String> {
    let entries = proptest::collection::btree_map(
        proptest::sample::select(&KEYS[..]),
        proptest::sample::select(&VALUES[..]),
        0..6,
    );
    let map = entries.prop_map(|entries| {
        let entries = entries.iter().map(|(key, value)| format!("{key} {value}"));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
    });
    prop_oneof![
        8 => map.clone(),
        1 => proptest::sample::select(&VALUES[..]).prop_map(str::to_owned),
        1 => map.prop_map(|map| format!("[{map}]")),
    ]
}

fn message() -> impl Strategy<Value = (u8, bool, String)> {
    let id = proptest::sample::select(&IDS[..]);
    (0..3u8, any::<bool>(), id, proptest::option::of(data())).prop_map(|(from, calls, id, data)| {
        let data = data.unwrap_or_default();
        (from, calls, format!("[:sente-lite/{id} {data}]"))
    })
}

proptest! {
    #[test]
    fn every_call_is_answered_once_and_every_frame_reads(
        messages in proptest::collection::vec(message(), 1..30),
    ) {
        let mut rig = HubRig::new();
        for n in 0..3 {
            join_lite(&mut rig, n);
            rig.say(n, "[:sente-lite/subscribe {:channel-id \"room\"}]");
        }
        let (mut taken, mut given_back) = (0, 0);
        for (from, calls, text) in messages {
            let message = if calls { called(&text) } else { received(&text) };
            let left = rig.hub.handle_message(rig.now, conn(from), message);
            match (calls, left) {
                (true, None) => taken += 1,
                (_, Some(message)) => {
                    prop_assert_eq!(message.reply.is_some(), calls);
                    given_back += 1;
                }
                (false, None) => {}
            }
            rig.carry_out();
            prop_assert!(rig.replies.len() <= taken);
        }
        rig.advance(seconds(60));
        prop_assert_eq!(rig.replies.len(), taken, "{} were given back", given_back);
        prop_assert_eq!(rig.hub.channel_stats().requests, 0);
        prop_assert_eq!(rig.hub.poll_timeout(), None);
        for frame in rig.got.values().flatten() {
            let value = edn(frame);
            let id = value.as_sequence().unwrap()[0].as_keyword().unwrap().clone();
            prop_assert_eq!(id.namespace(), Some("sente-lite"));
        }
    }
}
