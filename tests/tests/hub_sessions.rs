//! What is said on channels against the recorded sessions of sente-lite's servers.
#![allow(missing_docs)]

mod hub_support;

use hub_support::{HubRig, join_lite};
use sente_core::ChannelOptions;
use sente_tests::vectors::{field, load};

/// The frames that our server does not send as a recorded one did: what they contain, and why.
const DIFFERENCES: [(&str, &str); 8] = [
    (
        "pub-excl",
        "an excluded sender gets nothing: the stock servers ignore the flag",
    ),
    (
        ":data {:m 2}",
        "the same in the probes; and retained, which the BB server only stores",
    ),
    (
        "\"string payload\"",
        "data that is no map is delivered: the BB server throws",
    ),
    (":data [1", "the same"),
    (":data \"s\"", "the same"),
    (
        ":data {:m 3}",
        "retained messages are delivered: the BB server only stores them",
    ),
    (
        "\"not-there\"",
        "unsubscribing where there is no channel fails as with BB: nbb says true",
    ),
    ("\"nope\"", "the same"),
];

/// The frames of a session about channels, with `:from` blanked; those that differ left out.
fn frames(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts
        .filter(|text| text.contains(":sente-lite/subscribed") || text.contains("/channel-msg"))
        .map(|text| match text.split_once(":from \"") {
            Some((head, _)) => format!("{head}:from ..."),
            None => text,
        })
        .filter(|text| !DIFFERENCES.iter().any(|(part, _)| text.contains(part)))
        .collect()
}

#[test]
fn our_answers_are_those_of_the_recorded_servers() {
    let mut compared = 0;
    for (name, auto_create) in [
        ("autocreate-off-bbserver", false),
        ("bbserver-bbclient-edn", true),
        ("bbserver-scittleclient", false),
        ("bbserver-wraprecv-nbbclient", true),
        ("limits-bbserver", true),
        ("nbbserver-bbclient", true),
        ("nbbserver-nbbclient", true),
        ("nbbserver-nbbclient-heartbeat", true),
        ("onmessage-bbserver", true),
        ("probe-bbserver-edn", true),
        ("probe-nbbserver-edn", true),
    ] {
        let limits = name == "limits-bbserver";
        let mut rig = HubRig::with(|config| {
            config.channels.auto_create = auto_create;
            config.wrap_pushes = name == "bbserver-wraprecv-nbbclient";
            if limits {
                config.channels.max_subscriptions = 2;
                config.channels.new_channels = ChannelOptions::default().retain(2);
            }
        });
        join_lite(&mut rig, 1);
        let session = load(&format!("sente-lite/{name}.json"));
        let rows = session["vectors"].as_array().unwrap();
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for row in rows
            .iter()
            .filter(|row| field(row, "frame_type") == Some("text"))
        {
            let Some(text) = field(row, "payload") else {
                continue;
            };
            if field(row, "direction") == Some("server->client") {
                theirs.push(text.to_owned());
            } else if text.starts_with("[:sente-lite/") {
                rig.say(1, text);
                ours.extend(rig.got(1));
            }
        }
        let (ours, theirs) = (frames(ours.into_iter()), frames(theirs.into_iter()));
        assert_eq!(ours, theirs, "{name}");
        compared += theirs.len();
    }
    assert!(compared >= 45, "{compared} frames");
}
