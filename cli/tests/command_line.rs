//! Help, versions, usage errors and exit codes.

mod support;

use support::run;

#[test]
fn help_shows_examples_and_exit_codes() {
    let ran = run(&["--help"], b"");
    assert_eq!(ran.code, Some(0));
    for part in ["Examples:", "sente demo", "Exit codes", "exec:COMMAND"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    for command in ["serve", "connect", "call", "send", "recode", "demo"] {
        let ran = run(&[command, "--help"], b"");
        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("Examples:"), "{command}");
        assert!(!ran.out.contains('\x1b'), "{command}");
    }
}

#[test]
fn the_long_help_says_what_the_short_one_leaves_out() {
    for (command, part) in [
        ("serve", "On SIGTERM it takes no new connections"),
        ("connect", "sees the end of its standard input"),
        ("call", "The reply is printed as EDN on one line"),
        ("send", "Written means that the system has taken"),
        ("bench", "A closed loop"),
        ("recode", "A blank line stays a blank line"),
        ("replay", "Nothing is sent anywhere"),
        ("demo", "Needs no network"),
    ] {
        let unwrapped = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let long = unwrapped(&run(&[command, "--help"], b"").out);
        assert!(long.contains(part), "{command}: {long}");
        let short = unwrapped(&run(&[command, "-h"], b"").out);
        assert!(!short.contains(part), "{command}: {short}");
    }
}

#[test]
fn the_version_is_the_package_s() {
    let ran = run(&["--version"], b"");
    assert_eq!(ran.out, concat!("sente ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_wrong_command_line_is_code_2_and_says_why() {
    let event = "[:a/b 1]";
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["serve"], "required"),
        (&["serve", "--ws", "8080"], "HOST:PORT"),
        (&["serve", "--tcp", "localhost:http"], "not a port"),
        (
            &["serve", "--tcp", "127.0.0.1:0", "--dialect", "x"],
            "sente-lite",
        ),
        (
            &["call", "tcp://127.0.0.1:1", event, "--timeout", "5"],
            "5s",
        ),
        (
            &["call", "tcp://127.0.0.1:1", event, "--timeout", "soon"],
            "2s",
        ),
        (&["call", "gopher://x", event], "gopher"),
        (&["call", "localhost", event], "no scheme"),
        (&["call", "ws:/localhost", event], "write ws://HOST:PORT"),
        (&["call", "ws://", event], "write ws://HOST:PORT"),
        (&["call", "tcp://127.0.0.1:1"], "EVENT"),
        (&["call", "tcp://127.0.0.1:1", "[:a/b 1"], "at byte 0"),
        (&["call", "tcp://127.0.0.1:1", "[:a/b 1a]"], "at byte 6"),
        (&["call", "tcp://127.0.0.1:1", "[:a/b 1] 2"], "at byte 9"),
        (&["call", "tcp://127.0.0.1:1", "{:a 1}"], "vector"),
        (&["call", "tcp://127.0.0.1:1", "[:a 1]"], "namespace"),
        (
            &["call", "tcp://127.0.0.1:1", "[:chsk/ws-ping]"],
            "reserved",
        ),
        (&["call", "tcp://127.0.0.1:1", " ; "], "empty"),
        (
            &["send", "tcp://127.0.0.1:1", "[:a/b 1]", "--header", "A: b"],
            "--header",
        ),
        (
            &["send", "exec:true", "[:a/b 1]", "--client-id", "x"],
            "--client-id",
        ),
        (
            &["send", "exec:true", "[:a/b 1]", "--param", "a=b"],
            "--param",
        ),
        (
            &["send", "tcp://127.0.0.1:1", "[:a/b 1]", "--csrf-token", "x"],
            "--csrf-token",
        ),
        (&["connect", "stdio:"], "stdio:"),
        (&["connect", "--reconnect", "exec:true"], "--reconnect"),
        (&["connect", "--reconnect", "stdio:"], "--reconnect"),
        (&["recode", "--from", "edn"], "--to"),
        (
            &["recode", "--from", "edn", "--to", "bencode"],
            "there are edn, json, transit-json, transit-json-verbose, msgpack",
        ),
        (&["recode", "--from", "edn", "--to", "gzip-edn"], "--base64"),
    ];
    for (args, part) in cases {
        let ran = run(args, b"");
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains(part),
            "{args:?} without {part}: {}",
            ran.err
        );
        assert_eq!(ran.out, "", "{args:?}");
    }
}

#[test]
fn a_caret_points_at_the_fault() {
    let ran = run(&["call", "tcp://127.0.0.1:1", "[:a/b 1a]"], b"");
    assert!(
        ran.err.contains("\n  [:a/b 1a]\n        ^\n"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_not_there_is_code_4() {
    // A port that was free a moment ago and is not listened on.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let tcp = format!("tcp://127.0.0.1:{port}");
    let ws = format!("ws://127.0.0.1:{port}/chsk");
    for url in [
        tcp.as_str(),
        ws.as_str(),
        "unix:/nowhere/at/all.sock",
        "exec:sente-test-no-such-program",
        "exec:true",
    ] {
        for command in ["call", "send"] {
            if (command, url) == ("send", "exec:true") {
                // It may have been written before the child was gone.
                continue;
            }
            let ran = run(&[command, url, "[:a/b 1]"], b"");
            assert_eq!(ran.code, Some(4), "{command} {url}: {}", ran.err);
            assert!(ran.err.starts_with("error: "), "{}", ran.err);
            assert_eq!(ran.out, "");
        }
    }
}

#[test]
fn an_address_in_use_is_said_to_be() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--ws", "--tcp"] {
        let ran = run(&["serve", flag, &address], b"");
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains(&address), "{}", ran.err);
        assert!(ran.err.contains("in use"), "{}", ran.err);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_silent_peer_is_code_3() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in [
        format!("tcp://127.0.0.1:{port}"),
        format!("ws://127.0.0.1:{port}/"),
        "exec:sleep 60".to_owned(),
    ] {
        let ran = run(&["call", &url, "[:a/b 1]", "--timeout", "200ms"], b"");
        assert_eq!(ran.code, Some(3), "{url}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
}
