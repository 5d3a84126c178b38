//! Documents with every kind of form in them, most of them valid.

// Another crate's tests use it as well.
#[path = "../../../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::atoms::{self, atom};
use crate::random::Random;

/// A document; at times with more behind its first form.
pub(crate) fn document(random: &mut Random) -> String {
    if random.one_in(8) {
        return printed_value(random);
    }
    let depth = random.below(5);
    let mut text = String::new();
    if random.one_in(6) {
        text.push_str(&separator(random, "", ""));
    }
    let first = form(random, depth);
    text.push_str(&first);
    if random.one_in(6) {
        let more = atom(random);
        text.push_str(&separator(random, &first, &more));
        text.push_str(&more);
    }
    text
}

/// A value of the property tests of `sente-edn`, as it prints.
fn printed_value(random: &mut Random) -> String {
    let seed: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let value = random_values::value().new_tree(&mut runner);
    value.map_or_else(|_| "nil".to_owned(), |value| value.current().to_string())
}

fn form(random: &mut Random, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else {
        return atom(random);
    };
    match random.below(20) {
        0..=3 => atom(random),
        4..=5 => enclosed(random, "(", ")", depth, 1),
        6..=8 => enclosed(random, "[", "]", depth, 1),
        9..=10 => enclosed(random, "#{", "}", depth, 1),
        11..=13 => enclosed(random, "{", "}", depth, 2),
        14 => namespaced_map(random, depth),
        15 => tagged(random, depth),
        16 => with_metadata(random, depth),
        17 => twins(random),
        _ => enclosed(random, "[", "]", depth, 1),
    }
}

fn enclosed(random: &mut Random, open: &str, close: &str, depth: usize, step: usize) -> String {
    let most = if random.one_in(6) { 24 } else { 5 };
    let mut count = random.below(most) * step;
    if random.one_in(100) {
        count += 1;
    }
    let items: Vec<String> = (0..count).map(|_| form(random, depth)).collect();
    format!("{open}{}{close}", separated(random, &items))
}

fn separated(random: &mut Random, items: &[String]) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 || random.one_in(12) {
            let before = index
                .checked_sub(1)
                .map_or("(", |before| items[before].as_str());
            text.push_str(&separator(random, before, item));
        }
        text.push_str(item);
    }
    if random.one_in(12) {
        text.push_str(&separator(
            random,
            items.last().map_or("", String::as_str),
            "a",
        ));
    }
    text
}

/// What can stand between two forms: at times nothing.
fn separator(random: &mut Random, before: &str, after: &str) -> String {
    let closed = before.ends_with([')', ']', '}', '"']) || after.starts_with(['(', '[', '{', '"']);
    match random.below(40) {
        0..=20 => " ".to_owned(),
        21..=23 => ", ".to_owned(),
        24 => ",".to_owned(),
        25 => "\n".to_owned(),
        26 => "\r\n\t".to_owned(),
        27 => random
            .pick(&[
                "\u{2028}",
                "\u{3000}",
                "\u{1c}",
                "\u{b}",
                "\u{c}",
                "\u{1680}",
                " \u{2003}",
            ])
            .to_owned(),
        28 => format!(" ;{}\n", random.pick(&["", " (", " \"", "é", "; c", "#_"])),
        29 if random.one_in(12) => " #!c\n".to_owned(),
        30..=32 => {
            let depth = random.below(3);
            format!(
                " #_{}{} ",
                random.pick(&["", " ", ";c\n"]),
                form(random, depth)
            )
        }
        33 => format!(" #_#_{} {} ", atom(random), atom(random)),
        34..=38 if closed => String::new(),
        39 if random.one_in(12) => String::new(),
        _ => " ".to_owned(),
    }
}

fn namespaced_map(random: &mut Random, depth: usize) -> String {
    let namespace = match random.below(12) {
        0 if random.one_in(3) => random
            .pick(&["a/b", ":a", "1", "nil", "", "\"a\"", "a.b", "_", "true"])
            .to_owned(),
        1 if random.one_in(3) => atoms::name(random),
        _ => atoms::plain_name(random),
    };
    let mut items = Vec::new();
    for _ in 0..random.below(5) {
        let key = match random.below(12) {
            0..=3 => format!(":{}", atoms::plain_name(random)),
            4..=5 => format!(":_/{}", atoms::plain_name(random)),
            6 => format!("_/{}", atoms::plain_name(random)),
            7 => atoms::plain_name(random),
            8 => format!(":{}", atoms::name(random)),
            9 => format!(":{namespace}/{}", atoms::plain_name(random)),
            10 => atom(random),
            _ => form(random, depth),
        };
        items.extend([key, form(random, depth)]);
    }
    let blank = random.pick(&["", "", "", "", " ", ",\n"]);
    format!("#:{namespace}{blank}{{{}}}", separated(random, &items))
}

fn tagged(random: &mut Random, depth: usize) -> String {
    let tag = match random.below(10) {
        0 if random.one_in(4) => random
            .pick(&[
                "1", ":a", "(a)", "\"a\"", "nil", "true", "_a", "ß", "é/a", "λ", "+a", "A",
            ])
            .to_owned(),
        1 if random.one_in(4) => atoms::name(random),
        2 if random.one_in(4) => random.pick(&["inst", "uuid"]).to_owned(),
        3..=5 => format!(
            "t{}/{}",
            atoms::plain_name(random),
            atoms::plain_name(random)
        ),
        _ => format!("t{}", atoms::plain_name(random)),
    };
    let blank = if random.one_in(60) { " " } else { "" };
    let value = form(random, depth);
    format!("#{blank}{tag}{}{value}", separator(random, &tag, &value))
}

fn with_metadata(random: &mut Random, depth: usize) -> String {
    let sign = random.pick(&["^", "^", "^ ", "#^"]);
    let metadata = match random.below(6) {
        0 => format!(":{}", atoms::name(random)),
        1 => atoms::plain_name(random),
        2 => atoms::string(random),
        3 if random.one_in(3) => atom(random),
        _ => enclosed(random, "{", "}", depth, 2),
    };
    let target = match random.below(6) {
        0 => form(random, depth),
        1..=2 => atoms::plain_name(random),
        3 => enclosed(random, "(", ")", depth, 1),
        4 => enclosed(random, "#{", "}", depth, 1),
        _ => enclosed(random, "[", "]", depth, 1),
    };
    format!(
        "{sign}{metadata}{}{target}",
        separator(random, &metadata, &target)
    )
}

/// Forms in pairs of which Clojure says that they are equal, or nearly so.
const TWINS: &[(&str, &str)] = &[
    ("1", "1N"),
    ("1", "1.0"),
    ("1", "1M"),
    ("1", "0x1"),
    ("1", "3/3"),
    ("1N", "1.0M"),
    ("-1", "-1N"),
    ("9223372036854775807", "9223372036854775807N"),
    ("9223372036854775808", "9223372036854775808N"),
    ("1.0M", "1.00M"),
    ("0M", "0.0M"),
    ("1e2M", "100M"),
    ("1.0", "1.0M"),
    ("0.0", "-0.0"),
    ("0", "-0"),
    ("0", "0.0"),
    ("##NaN", "##NaN"),
    ("##Inf", "##-Inf"),
    ("1/2", "2/4"),
    ("1/2", "0.5"),
    ("nil", "false"),
    ("nil", "()"),
    ("()", "[]"),
    ("{}", "#{}"),
    ("\\a", "\\u0061"),
    ("\\a", "\"a\""),
    ("\"a\"", "\"\\141\""),
    (":a", "a"),
    (":a/b", ":a/b"),
    ("^:x a", "a"),
    ("^{:x 1} [1]", "[1]"),
    ("[1 2]", "(1 2)"),
    ("[1 2]", "(1N 2.0)"),
    ("#{1 2}", "#{2 1N}"),
    ("#{1 2}", "#{1 2.0}"),
    ("#{1.0M}", "#{1.00M}"),
    ("{1 2}", "{1N 2N}"),
    ("{:a [1]}", "{:a (1N)}"),
    ("#:a{:b 1}", "{:a/b 1}"),
    ("#t 1", "#t 1"),
    ("#t 1", "#t 1N"),
    ("#t 1.0M", "#t 1.00M"),
    ("#t 0.0", "#t -0.0"),
    ("#t ##NaN", "#t ##NaN"),
    ("#t 1/2", "#t 2/4"),
    ("#t [1]", "#t (1)"),
    ("#t [1]", "#t [1N]"),
    ("#t #{1}", "#t #{1N}"),
    ("#t #{1.0M}", "#t #{1.00M}"),
    ("#t #{-1}", "#t #{-1N}"),
    ("#t {1 2}", "#t {1N 2}"),
    ("#t {1 2}", "#t {1 2N}"),
    ("#t {[1] 2}", "#t {(1) 2}"),
    ("#t #{[1]}", "#t #{[1N]}"),
    ("#t #{0.0}", "#t #{-0.0}"),
    ("#t #t 1", "#t #t 1"),
    ("#t 1", "#u 1"),
    ("#t \"a\"", "#t \"a\""),
    ("#inst \"2020\"", "#inst \"2020-01-01T00:00Z\""),
    ("#inst \"2020\"", "#inst \"2020-01-01T01:00+01:00\""),
    (
        "#inst \"2020-01-01T00:00:00.0001Z\"",
        "#inst \"2020-01-01T00:00:00.0009Z\"",
    ),
    (
        "#uuid \"1-2-3-4-5\"",
        "#uuid \"00000001-0002-0003-0004-000000000005\"",
    ),
];

/// Two forms that may be equal, both deep in the same, as elements or keys among others.
fn twins(random: &mut Random) -> String {
    let (first, second) = TWINS[random.below(TWINS.len())];
    let (mut first, mut second) = (first.to_owned(), second.to_owned());
    for _ in 0..random.below(3) {
        let (before, after) = [
            ("[", "]"),
            ("(", ")"),
            ("#{", "}"),
            ("{:k ", "}"),
            ("{", " 1}"),
            ("{", " 1N :b 2}"),
            ("#{:z ", " 3}"),
            ("#t ", ""),
            ("#t/u ", ""),
            ("[1 ", " {}]"),
            ("{1 2 ", " #{}}"),
        ][random.below(11)];
        first = format!("{before}{first}{after}");
        second = format!("{before}{second}{after}");
    }
    // Clojure's maps change their kind at nine entries.
    let most = if random.one_in(3) { 20 } else { 6 };
    let others = random.below(most);
    let mut items: Vec<String> = (0..others).map(|n| format!(":k{n}")).collect();
    let at = random.below(items.len() + 1);
    items.insert(at, first);
    let at = random.below(items.len() + 1);
    items.insert(at, second);
    if random.one_in(2) {
        return format!("#{{{}}}", separated(random, &items));
    }
    let entries: Vec<String> = items
        .into_iter()
        .flat_map(|key| [key, "0".to_owned()])
        .collect();
    format!("{{{}}}", separated(random, &entries))
}
