//! `sente demo`.

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use support::{run, sente, signal, wait};

#[test]
fn the_demo_shows_every_transport() {
    let ran = run(&["demo"], b"");
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    for part in ["WebSocket", "TCP", "Unix socket", "child stdio"] {
        for what in ["call", "event", "push", "broadcast"] {
            let mut rows = ran.out.lines();
            assert!(
                rows.any(|row| row.contains(part) && row.contains(what)),
                "{what} over {part}: {}",
                ran.out
            );
        }
    }
    assert!(
        ran.out.contains("packed once for 5 connections"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains('\x1b'));
    assert_eq!(ran.err, "");
}

#[test]
fn a_demo_that_serves_can_be_talked_to() {
    let mut child = sente()
        .args(["demo", "--serve"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut calls = Vec::new();
    while !calls
        .last()
        .is_some_and(|line: &String| line.contains("sente send"))
    {
        let line = lines.next().unwrap().unwrap();
        if line.trim_start().starts_with("sente ") {
            calls.push(line);
        }
    }
    for line in calls.iter().filter(|line| line.contains("test/echo")) {
        let url = line.split_whitespace().nth(2).unwrap();
        let ran = run(&["call", url, "[:test/echo {:a 1}]"], b"");
        assert_eq!(ran.out, "{:a 1}\n", "{line}: {}", ran.err);
    }
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child), Some(0));
}

#[test]
fn a_demo_without_time_says_what_it_was_at() {
    let ran = run(&["demo", "--timeout", "0s"], b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("demo failed: "), "{}", ran.err);
}
