//! `sente recode`, line by line.

mod support;

use support::{Ran, run};

fn edn(input: &[u8]) -> Ran {
    run(&["recode", "--from", "edn", "--to", "edn"], input)
}

fn jsonl(input: &[u8]) -> Ran {
    run(
        &["recode", "--from", "edn", "--to", "edn", "--jsonl"],
        input,
    )
}

#[test]
fn each_line_is_one_message() {
    let ran = edn(b"{:b 1,:a [1.0 017]}\n#:ns{:a #{}}\n\"a\\u00e9\"\n");
    assert_eq!(ran.out, "{:b 1, :a [1.0 15]}\n{:ns/a #{}}\n\"aé\"\n");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn only_the_first_form_of_a_line_is_read() {
    let ran = edn(b"1 2\n[:a] ]]] \xff\n#_x :y ; z\n");
    assert_eq!(ran.out, "1\n[:a]\n:y\n");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_blank_line_stays_a_blank_line() {
    let ran = edn(b"\n1\n \t,\n\r\n2");
    assert_eq!(ran.out, "\n1\n\n\n2\n");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let ran = jsonl(b"\n\"1\"\n\n");
    assert_eq!(ran.out, "\n\"1\"\n\n");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn an_unreadable_line_leaves_an_empty_one() {
    let ran = edn(b":a\n[1 2\n:b\n\"\xff\"\n[1 1a]\n; only words\n:c\n");
    assert_eq!(ran.out, ":a\n\n:b\n\n\n\n:c\n");
    assert_eq!(ran.code, Some(1));
    let lines: Vec<&str> = ran.err.lines().collect();
    for (line, start, end) in [
        (0, "line 2: ", "at byte 0"),
        (1, "line 4: ", "at byte 1"),
        (2, "line 5: ", "at byte 3"),
        (3, "line 6: ", "at byte 12"),
    ] {
        assert!(lines[line].starts_with(start), "{}", ran.err);
        assert!(lines[line].ends_with(end), "{}", ran.err);
    }
    assert_eq!(lines.len(), 4);
}

#[test]
fn json_strings_carry_any_text() {
    let ran = jsonl(b"\"[1\\n;x\\n2]\"\n\"\\\"\\u00e9\\\\n\\\"\"\n\"[\"\n[1]\n\"\"\n\"1\" 2\n");
    assert_eq!(ran.out, "\"[1 2]\"\n\"\\\"é\\\\n\\\"\"\n\n\n\n\n");
    assert_eq!(ran.code, Some(1));
    let numbers: Vec<&str> = ran
        .err
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(numbers, ["line 3", "line 4", "line 5", "line 6"]);
    assert!(ran.err.lines().all(|line| line.contains("at byte ")));
}

#[test]
fn a_line_over_the_limit_costs_only_itself() {
    let args = ["recode", "--from", "edn", "--to", "edn", "--max-line", "4"];
    let ran = run(&args, b"12345\n1234\r\n");
    assert_eq!(ran.out, "\n1234\n");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("line 1: "), "{}", ran.err);
}

#[test]
fn a_million_brackets_are_one_unreadable_line() {
    let mut input = vec![b'['; 1_000_000];
    input.extend_from_slice(b"\n:next\n");
    let ran = edn(&input);
    assert_eq!(ran.out, "\n:next\n");
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_message_of_many_megabytes_passes() {
    let mut input = b"[".to_vec();
    for _ in 0..2_000_000 {
        input.extend_from_slice(b"1 ");
    }
    input.extend_from_slice(b"]\n");
    let ran = edn(&input);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out.len(), input.len() - 1);
}

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

#[test]
fn a_message_goes_from_any_packer_to_any_other() {
    // What all of them can carry; JSON makes keywords of values into strings.
    let message = "[[:a/b {:c [1 \"x\" nil true]}] \"cb\"]\n";
    for from in ALL {
        let there = ["recode", "--from", "edn", "--to", from, "--base64"];
        let packed = run(&there, message.as_bytes());
        assert_eq!(packed.code, Some(0), "{from}: {}", packed.err);
        for to in ALL {
            let on = ["recode", "--from", from, "--to", to, "--base64"];
            let other = run(&on, packed.out.as_bytes());
            let back = ["recode", "--from", to, "--to", "edn", "--base64"];
            let back = run(&back, other.out.as_bytes());
            assert_eq!(back.out, message, "{from} to {to}: {}", other.err);
        }
    }
}

#[test]
fn messages_are_the_real_peers_bytes() {
    let message = b"[[:a/b 1] \"abc123\"]\n";
    for (packer, packed) in [
        ("transit-json", "[[\"~:a/b\",1],\"abc123\"]\n"),
        ("transit-json-bencode", "[[\"~:a/b\",1],\"abc123\"]\n"),
        ("json", "[[\"a/b\",1],\"abc123\"]\n"),
        // 92 92 c7 03 00 "a/b" 01 a6 "abc123"
        ("msgpack", "kpLHAwBhL2IBpmFiYzEyMw==\n"),
    ] {
        let args = ["recode", "--from", "edn", "--to", packer, "--base64"];
        assert_eq!(run(&args, message).out, packed, "{packer}");
    }
}

#[test]
fn what_is_no_message_of_the_packer_is_an_empty_line_and_says_where() {
    for (packer, line) in [
        ("msgpack", "not base64!"),
        ("msgpack", "wQ=="),
        ("gzip-edn", "AQID"),
        ("json", "[1,"),
        ("transit-json", "[1,"),
    ] {
        let args = ["recode", "--from", packer, "--to", "edn", "--base64"];
        let ran = run(&args, format!("{line}\n").as_bytes());
        assert_eq!((ran.out.as_str(), ran.code), ("\n", Some(1)), "{packer}");
        assert!(ran.err.starts_with("line 1: "), "{}", ran.err);
        assert!(
            ran.err.contains(" at byte ") || ran.err.contains("offset"),
            "{}",
            ran.err
        );
    }
}
