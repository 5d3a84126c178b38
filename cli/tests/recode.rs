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
