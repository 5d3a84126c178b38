//! What we call portable is read by ClojureScript's EDN reader, the one of Sente's clients: asked in
//! nbb, of texts of all kinds and of the frames that our server writes.
#![allow(missing_docs)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sente_core::packer::{Edn, Packer};
use sente_core::{Accept, Carrier, Connection, ConnectionConfig, Dialect, Instant, Limits, Role};
use sente_tests::{RawPeer, messages};

/// Whether nbb reads each text; why not, if not.
fn ask(texts: &[String]) -> Vec<Result<(), String>> {
    let modules = std::env::var("SENTE_TEST_NODE_PATH").unwrap_or_default();
    assert!(
        Path::new(&modules).exists(),
        "the packages of the test peers are not at {modules:?}: run `cargo xtask test --only peers` \
         once"
    );
    let lines: String = texts
        .iter()
        .map(|text| BASE64_STANDARD.encode(text) + "\n")
        .collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    let output = Command::new("node")
        .env("NODE_PATH", &modules)
        .arg(format!("{modules}/nbb/cli.js"))
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/cljs/read_frames.cljs"
        ))
        .arg(file.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = answers
        .split_terminator('\n')
        .map(|line| match line.strip_prefix("- ") {
            Some(why) => Err(why.to_owned()),
            None => Ok(()),
        })
        .collect();
    assert_eq!(answers.len(), texts.len());
    answers
}

fn is_portable(text: &str) -> Option<bool> {
    let mut portable = None;
    let read = Edn.walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
        portable = Some(cursor.skip()?.portable);
        Ok(())
    });
    read.ok().and(portable)
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        "[:]?[a-z1+.#'*!$%&=<>-]{1,3}(/[a-z1+.#'*-]{1,3}){0,2}",
        "[:]?[a-z/1:.+#-]{1,6}",
        "[+-]?[0-9]{1,3}([.][0-9]{0,2})?(e[0-9]{1,2}|[NM])?",
        "[+-]?[0-9]{1,2}/[0-9]{1,2}",
        "[0-9]{1,2}[rx][0-9a-f]{1,2}",
        r#""[a-z \\"nrtu0-9]{0,4}""#,
        r"\\(newline|space|tab|return|u00e[0-9]|o1[0-7]|[a-z#/1\\])",
        "#(inst|uuid|_|foo|foo/bar|js|queue) \"[0-9-]{0,10}\"",
        Just("#inst \"2026-01-01\"".to_owned()),
        Just("##NaN".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => atom(),
        1 => proptest::collection::vec(atom(), 0..3).prop_map(|items| format!("[{}]", items.join(" "))),
        1 => proptest::collection::vec(atom(), 0..3).prop_map(|items| format!("#{{{}}}", items.join(" "))),
        1 => (atom(), atom()).prop_map(|(key, value)| format!("{{{key} {value}}}")),
        1 => (atom(), atom()).prop_map(|(key, value)| format!("#:a{{{key} {value}}}")),
        1 => (atom(), atom()).prop_map(|(meta, value)| format!("[^{meta} {value}]")),
    ]
}

/// Texts of all kinds that ours reads, out of so many.
fn texts(count: usize) -> Vec<String> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count)
        .map(|_| text().new_tree(&mut runner).unwrap().current())
        .filter(|text| {
            // In ClojureScript a set with NaN in it counts wrongly now and then.
            is_portable(text).is_some() && !(text.contains("#{") && text.contains("##NaN"))
        })
        .collect()
}

#[test]
fn every_text_that_is_portable_is_read() {
    let texts: Vec<String> = texts(20_000)
        .into_iter()
        .filter(|text| is_portable(text) == Some(true))
        .collect();
    assert!(texts.len() > 5_000, "{}", texts.len());
    for (text, answer) in texts.iter().zip(ask(&texts)) {
        assert_eq!(answer, Ok(()), "{text}");
    }
}

#[test]
fn what_cannot_be_read_costs_no_other_event_of_the_servers_pushes() {
    let config = ConnectionConfig::builder(Role::Server, Dialect::Sente, Carrier::WebSocket);
    let now = Instant::EPOCH;
    let mut server = Connection::new(config.build().unwrap(), [1; 32], now);
    server.accept(now, Accept::new("u"));
    let mut peer = RawPeer::new(Role::Client);
    peer.hear(&mut server, now);
    let (mut frames, mut sent, mut alone) = (Vec::new(), 0, 0);
    for some in texts(4_000).chunks(50) {
        // As a relay: what a peer sent goes out as it came.
        for text in some {
            peer.say(&mut server, now, &format!("[[:a/b {text}] nil]"));
        }
        for message in messages(&mut server) {
            let portable = message.event.data.as_ref().unwrap().is_portable();
            (sent, alone) = (sent + 1, alone + usize::from(!portable));
            server.send(now, message.event).unwrap();
        }
        frames.extend(peer.texts(&mut server, now));
    }
    assert!(alone > 100 && sent > 2 * alone, "{alone} of {sent}");
    let answers = ask(&frames);
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(
        refused > 0 && refused <= alone,
        "{refused} frames of {alone}"
    );
    for (frame, answer) in frames.iter().zip(answers) {
        let alone = frame.matches("[:a/b ").count() == 1;
        assert!(alone || answer.is_ok(), "{answer:?}: {frame}");
    }
}
