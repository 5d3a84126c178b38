//! `--record` and `sente replay`.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Live, Server, root, run};

/// Records a session with a child that echoes.
fn record(file: &Path) {
    let echo = format!("exec:python3 {}/tests/peers/echo.py", root().display());
    let args = [
        "connect",
        "--linger",
        "30s",
        "--record",
        file.to_str().unwrap(),
        &echo,
    ];
    let ran = run(&args, b"[:test/echo {:a 1}]\n[:test/echo \"\xc3\xa9\"]\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("[:test/echo {:a 1}]"), "{}", ran.out);
}

#[test]
fn what_was_recorded_is_shown_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.edn");
    record(&file);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let name = file.to_str().unwrap();
    let all = run(&["replay", name], b"");
    assert_eq!((all.code, all.err.as_str()), (Some(0), ""));
    let lines = all.out.lines().count();
    assert_eq!(
        lines + 1,
        fs::read_to_string(&file).unwrap().lines().count()
    );
    assert!(
        all.out.contains(":transmit \"[:test/echo {:a 1}]"),
        "{}",
        all.out
    );
    let events = run(&["replay", "--events", name], b"");
    assert!(events.out.lines().count() < lines);
    assert!(
        events
            .out
            .lines()
            .all(|line| line.contains(":event ") || line.contains(":answer ")),
        "{}",
        events.out
    );
    assert!(events.out.contains(r#"data: Some("é")"#), "{}", events.out);
}

#[test]
fn what_a_server_recorded_of_its_connections_is_shown_again() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = directory.path().join("recordings");
    let server = Server::start(&["--record", recordings.to_str().unwrap()]);
    let urls = [
        server.ws("chsk"),
        server.ws(""),
        server.tcp().to_owned(),
        server.unix().to_owned(),
    ];
    for url in &urls {
        let ran = run(&["call", url, &format!("[:test/echo {url:?}]")], b"");
        assert_eq!(ran.code, Some(0), "{url}: {}", ran.err);
    }
    let ended = server.stop("TERM");
    let said = format!("recorded 4 connections in {}; ", recordings.display());
    assert!(ended.err.contains(&said), "{}", ended.err);
    assert!(
        ended
            .err
            .contains("not recorded: 0 connections, and 0 lines of others"),
        "{}",
        ended.err
    );
    let entries = fs::read_dir(&recordings).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), urls.len());
    for (file, url) in files.iter().zip(&urls) {
        let ran = run(&["replay", file.to_str().unwrap()], b"");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{url}");
        assert!(ran.out.contains(url), "{}", ran.out);
    }
}

#[test]
fn a_listener_keeps_messages_small_for_clients_that_lose_large_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let text = "[[listen]]\nurl = \"ws://127.0.0.1:0/\"\nsmall-frames = 16000\n\
                [[listen]]\nurl = \"tcp://127.0.0.1:0\"\nsmall-frames = \"8KiB\"\n\
                [record]\ndir = \"recordings\"\n";
    fs::write(path("serve.toml"), text).unwrap();
    let file = path("serve.toml");
    let live = Live::start(&["--config", file.to_str().unwrap()]);
    let mut headers = Vec::new();
    for _ in 0..2 {
        let ran = run(&["call", &live.url(), "[:test/echo 1]"], b"");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    live.signal("TERM");
    let (code, said) = live.end();
    assert_eq!(code, Some(0), "{said}");
    for entry in fs::read_dir(path("recordings")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        headers.push(text.lines().next().unwrap().to_owned());
    }
    assert_eq!(headers.len(), 2);
    for size in [":small-frames 16000", ":small-frames 8192"] {
        let found = headers.iter().any(|header| header.contains(size));
        assert!(found, "{size} in {headers:?}");
    }
}

#[test]
fn a_server_says_what_it_did_not_record() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [
        "--record",
        directory.path().to_str().unwrap(),
        "--set",
        "record.max-connections=2",
    ];
    let server = Server::start(&flags);
    for url in [server.ws("chsk"), server.ws(""), server.tcp().to_owned()] {
        let ran = run(&["call", &url, "[:test/echo 1]"], b"");
        assert_eq!(ran.code, Some(0), "{url}: {}", ran.err);
    }
    let ended = server.stop("TERM");
    assert!(
        ended.err.contains("not recorded: 1 connections"),
        "{}",
        ended.err
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn a_directory_that_cannot_be_made_is_a_usage_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = file.path().to_str().unwrap();
    let ran = run(&["serve", "--ws", "127.0.0.1:0", "--record", name], b"");
    assert_eq!(ran.code, Some(2));
    let said = format!("cannot record in {name}: ");
    assert!(ran.err.contains(&said), "{}", ran.err);
}

#[test]
fn a_recording_of_another_course_is_refused_at_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.edn");
    record(&file);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("{:a 1}", "{:a 2}", 1)).unwrap();
    let ran = run(&["replay", file.to_str().unwrap()], b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(" when it was recorded, "), "{}", ran.err);
}

#[test]
fn a_recording_that_was_cut_off_plays_to_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.edn");
    record(&file);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() - 5]).unwrap();
    let ran = run(&["replay", file.to_str().unwrap()], b"");
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.contains("the last line, "), "{}", ran.err);
    assert!(ran.err.contains("is not whole"), "{}", ran.err);
}

#[test]
fn what_is_no_recording_is_a_usage_error() {
    let ran = run(&["replay", "no-such-file"], b"");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("cannot read no-such-file"), "{}", ran.err);
    let directory = tempfile::tempdir().unwrap();
    let ran = run(&["replay", directory.path().to_str().unwrap()], b"");
    assert_eq!(ran.code, Some(2));
    let said = "is a directory: name one of the recordings in it";
    assert!(ran.err.contains(said), "{}", ran.err);
    let file = directory.path().join("empty");
    fs::write(&file, "").unwrap();
    let ran = run(&["replay", file.to_str().unwrap()], b"");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("line 1 is no line of a recording"),
        "{}",
        ran.err
    );
    let ran = run(
        &[
            "send",
            "--record",
            "/no/such/place",
            "tcp://127.0.0.1:1",
            "[:a/b]",
        ],
        b"",
    );
    assert_ne!(ran.code, Some(0));
}
