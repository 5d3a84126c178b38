//! `--packer` and `?packer=` on `serve`, `call`, `send` and `connect`.

mod support;

use support::{Server, run};

const ALL: [&str; 10] = [
    "edn",
    "json",
    "transit-json",
    "transit-json-verbose",
    "msgpack",
    "gzip-edn",
    "gzip-json",
    "gzip-transit-json",
    "gzip-transit-json-verbose",
    "gzip-msgpack",
];

fn echo(args: &[&str], what: &str) {
    let all: Vec<&str> = ["call"].iter().chain(args).copied().collect();
    let ran = run(&all, b"");
    assert_eq!(ran.out, "{:a [1 \"é\"]}\n", "{what}: {}", ran.err);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{what}");
}

#[test]
fn a_call_is_answered_over_every_transport_in_every_packer() {
    let event = "[:test/echo {:a [1 \"é\"]}]";
    for packer in ALL {
        let server = Server::start(&["--packer", packer]);
        for url in &server.urls {
            assert!(url.ends_with(&format!("?packer={packer}")), "{url}");
            echo(&[url, event], url);
            let (bare, _) = url.split_once('?').unwrap();
            echo(&["--packer", packer, bare, event], url);
        }
        let sente = env!("CARGO_BIN_EXE_sente");
        let child = format!("exec:?packer={packer} '{sente}' serve --stdio --packer {packer}");
        echo(&[&child, event], &child);
        assert_eq!(server.stop("TERM").code, Some(0));
    }
}

#[test]
fn a_talk_in_a_binary_packer_prints_edn() {
    let server = Server::start(&["--packer", "gzip-msgpack"]);
    for url in &server.urls {
        let ran = run(&["connect", url], b"[:a/b #{1}]\n");
        let start = "[:sente-lite/echo {:original-event-id :a/b, :original-data #{1}, :conn-id \"";
        assert!(ran.out.starts_with(start), "{url}: {} {}", ran.out, ran.err);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{url}");
        let ran = run(&["send", url, "[:a/b 1]"], b"");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{url}");
    }
}

#[test]
fn a_path_has_a_packer_of_its_own() {
    let more = ["--packer", "json", "--packer", "/chsk=msgpack"];
    let server = Server::start(&more);
    let event = "[:test/echo {:a [1 \"é\"]}]";
    let (root, _) = server.urls[0].split_once('?').unwrap();
    for (path, packer) in [("", "json"), ("other", "json"), ("chsk", "msgpack")] {
        echo(&["--packer", packer, &format!("{root}{path}"), event], path);
    }
    echo(&[server.tcp(), event], "tcp");
}

#[test]
fn a_client_of_another_packer_is_told_so() {
    let server = Server::start(&["--packer", "msgpack"]);
    for url in &server.urls[..2] {
        let (bare, _) = url.split_once('?').unwrap();
        let ran = run(&["call", "--timeout", "1s", bare, "[:a/b 1]"], b"");
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        assert!(
            ran.err.contains("no handshake in time") && ran.err.contains("another packer"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn packers_that_make_no_sense_are_wrong_usage() {
    let ws = "127.0.0.1:0";
    let cases: &[(&[&str], &str)] = &[
        (
            &["serve", "--tcp", ws, "--packer", "/a=json"],
            "only WebSockets have paths",
        ),
        (
            &["serve", "--ws", ws, "--packer", "json", "--packer", "edn"],
            "there are two",
        ),
        (
            &[
                "serve", "--ws", ws, "--packer", "/a=json", "--packer", "/a=edn",
            ],
            "there are two for /a",
        ),
        (&["serve", "--ws", ws, "--packer", "a=json"], "/PATH=PACKER"),
        (&["serve", "--ws", ws, "--packer", "/a=x"], "no such packer"),
        (
            &["call", "--packer", "x", "tcp://127.0.0.1:1", "[:a/b 1]"],
            "no such packer",
        ),
        (
            &["call", "tcp://127.0.0.1:1?packer=x", "[:a/b 1]"],
            "no packer \"x\"",
        ),
    ];
    for (args, part) in cases {
        let ran = run(args, b"");
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
    }
}
