//! `sente bench`, against our own server and those of others.

mod support;

use serde_json::Value;
use support::{Server, run};

/// As short as it gets.
const SHORT: [&str; 5] = ["bench", "--duration", "50ms", "--warm-up", "1ms"];

fn json(args: &[&str]) -> Value {
    let all = [&SHORT[..], &["--json"], args].concat();
    let ran = run(&all, b"");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(0), ""),
        "{args:?}: {}",
        ran.err
    );
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn calls_are_measured_over_every_transport() {
    let server = Server::start(&[]);
    let chsk = server.ws("chsk");
    for url in [chsk.as_str(), server.tcp(), server.unix()] {
        let report = json(&["--window", "4", "--connections", "3", "--size", "64", url]);
        assert!(report["answered"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["url"], url);
        for (key, value) in [("window", 4), ("connections", 3), ("size", 64)] {
            assert_eq!(report[key], value, "{report}");
        }
        assert_eq!(
            (&report["errors"], &report["timeouts"]),
            (&0.into(), &0.into())
        );
        let latency = |name: &str| report["latency_ns"][name].as_u64().unwrap();
        assert!(
            latency("p50") > 0 && latency("p50") <= latency("p99"),
            "{report}"
        );
        assert!(latency("p99") <= latency("most"), "{report}");
        // Each call carries its text there and back.
        let bytes = 64 * report["answered"].as_u64().unwrap();
        assert!(report["bytes_sent"].as_u64().unwrap() > bytes, "{report}");
        assert!(
            report["bytes_received"].as_u64().unwrap() > bytes,
            "{report}"
        );
    }
    let dialect = |url: &str| json(&[url])["dialect"].clone();
    assert_eq!(dialect(&chsk), "sente");
    assert_eq!(dialect(server.tcp()), "sente-lite");
}

#[test]
fn the_packer_is_the_one_asked_for() {
    let server = Server::start(&["--packer", "msgpack"]);
    let (bare, _) = server.urls[0].split_once('?').unwrap();
    let url = format!("{bare}chsk");
    assert_eq!(json(&["--packer", "msgpack", &url])["packer"], "msgpack");
}

#[test]
fn a_child_is_measured_and_people_can_read_it() {
    let child = "exec:python3 tests/peers/echo.py";
    let all = [&SHORT[..], &[child]].concat();
    let ran = run(&all, b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    let [server, load, answered, bytes, latency] = lines[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(server, format!("server    {child} (sente-lite, edn)"));
    assert_eq!(
        load,
        "load      1 connection, 1 call of :test/echo with 100 B under way"
    );
    assert!(answered.starts_with("answered  ") && answered.ends_with(" a second"));
    assert!(bytes.starts_with("bytes     ") && bytes.ends_with(" received, warm-up included"));
    assert!(latency.starts_with("latency   p50 ") && latency.contains("  p99 "));
}

#[test]
fn events_that_are_answered_by_events_are_measured() {
    let server = Server::start(&[]);
    let url = server.ws("");
    let report = json(&[
        "--event",
        "any/thing",
        "--answer",
        ":sente-lite/echo",
        "--window",
        "8",
        &url,
    ]);
    assert!(report["answered"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(
        (&report["dialect"], &report["event"]),
        (&"sente-lite".into(), &"any/thing".into())
    );
}

#[test]
fn what_is_never_answered_is_said() {
    let server = Server::start(&[]);
    let url = server.ws("chsk");
    let more = ["--timeout", "300ms", "--answer", "no/thing", &url];
    let ran = run(&[&SHORT[..], &more].concat(), b"");
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(
        ran.err.contains("nothing was answered") && ran.err.contains("--event"),
        "{}",
        ran.err
    );
    assert_eq!(ran.out, "");
}

#[test]
fn what_was_measured_before_the_server_ended_is_printed() {
    let child = "exec:python3 -c \"import sys; sys.path.append('tests/peers'); import echo; \
                 left = iter(range(500)); \
                 echo.main(lambda line: sys.exit(3) if next(left, None) is None else echo.echo(line))\"";
    let ran = run(
        &["bench", "--warm-up", "0ms", "--duration", "1m", child],
        b"",
    );
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("ended under the load"), "{}", ran.err);
    assert!(ran.out.contains("\nanswered  "), "{}", ran.out);
}

#[test]
fn a_server_that_is_not_there_is_code_4() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let ran = run(&["bench", &format!("tcp://127.0.0.1:{port}")], b"");
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("cannot connect"), "{}", ran.err);
}

#[test]
fn flags_that_make_no_sense_are_wrong_usage() {
    let url = "tcp://127.0.0.1:1";
    for (args, part) in [
        (&["bench", "stdio:"][..], "exec:COMMAND"),
        (&["bench", "--event", "nothing", url], "names no event"),
        (&["bench", "--answer", "chsk/ping", url], "reserved"),
        (&["bench", "--window", "0", url], "--window"),
        (&["bench", "--connections", "0", url], "--connections"),
        (&["bench", "--duration", "5", url], "5s"),
        (&["bench"], "URL"),
    ] {
        let ran = run(args, b"");
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
    }
}
