//! MessagePack against a library that is not ours: npm's `@msgpack/msgpack`, with Sente's extension
//! types registered. It reads what we pack, and we unpack what it writes.
#![allow(missing_docs)]

mod packer_msgpack_support;
#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use packer_msgpack_support::{base64, edn, pack, read};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use random_values::value;
use sente_edn::{Inst, Map, Ratio, Set, Tagged, Value};

/// What the package reads from each packed value, as EDN, and what it writes for that.
fn ask_node(packed: &[Vec<u8>]) -> Vec<Option<(String, Vec<u8>)>> {
    let modules = std::env::var("SENTE_TEST_NODE_PATH").unwrap_or_default();
    assert!(
        Path::new(&modules).exists(),
        "the packages of the test peers are not at {modules:?}: run `cargo xtask test --only peers` \
         once"
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/msgpack_oracle.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut input = node.stdin.take().unwrap();
    let lines: String = packed
        .iter()
        .map(|packed| STANDARD.encode(packed) + "\n")
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = answers
        .split_terminator('\n')
        .map(|line| match line.strip_prefix("! ") {
            Some(why) => {
                eprintln!("refused: {why}");
                None
            }
            None => line
                .rsplit_once(' ')
                .map(|(text, written)| (text.to_owned(), base64(written))),
        })
        .collect();
    assert_eq!(answers.len(), packed.len());
    answers
}

/// A value that MessagePack can carry and JavaScript can tell from others: to it all numbers are
/// of one kind, so floats have a fraction here.
fn plain(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Vector(items) => items.iter().map(plain).collect(),
        Value::Set(items) => Value::Set(items.iter().map(plain).collect::<Set>()),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| (plain(key), plain(value)))
            .collect::<Map>()
            .into(),
        Value::Float(value) if value.fract() == 0.0 => Value::Float(0.5),
        Value::BigInt(value) => Value::from(value.to_i64()),
        Value::Decimal(value) => plain(&Value::Float(value.to_f64())),
        Value::Ratio(ratio) if !fits(ratio) => Value::Nil,
        Value::Tagged(tagged) => plain(tagged.value()),
        other => other.clone(),
    }
}

fn fits(ratio: &Ratio) -> bool {
    ratio.numerator().to_i64().is_some() && ratio.denominator().to_i64().is_some()
}

/// The value that is meant by what the script prints, or by what it writes, where keys are strings.
fn meant(value: &Value, keys: Keys) -> Value {
    let meant = |value: &Value| meant(value, keys);
    match value {
        Value::Vector(items) => items.iter().map(meant).collect(),
        Value::Set(items) => Value::Set(items.iter().map(meant).collect::<Set>()),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let key = match keys {
                    Keys::AsTheyAre => meant(key),
                    // Within a key there are none that were written as strings.
                    Keys::InEdn => printed(key.as_str().unwrap()),
                };
                (key, meant(value))
            });
            entries.collect::<Map>().into()
        }
        Value::Tagged(tagged) => own(tagged),
        other => other.clone(),
    }
}

#[derive(Clone, Copy)]
enum Keys {
    AsTheyAre,
    InEdn,
}

fn own(tagged: &Tagged) -> Value {
    match tagged.tag().as_str() {
        "date/ms" => Inst::from_millis(tagged.value().as_i64().unwrap())
            .unwrap()
            .into(),
        "char" => tagged
            .value()
            .as_str()
            .unwrap()
            .chars()
            .next()
            .unwrap()
            .into(),
        _ => Value::Tagged(tagged.clone()),
    }
}

fn printed(text: &str) -> Value {
    let value = edn(text).unwrap_or_else(|| panic!("not EDN: {text}"));
    meant(&value, Keys::AsTheyAre)
}

#[track_caller]
fn agrees(value: &Value, answer: Option<&(String, Vec<u8>)>) {
    let (text, written) = answer.unwrap_or_else(|| panic!("{value} is refused"));
    assert_eq!(&printed(text), value, "read as {text}");
    let back = read(written).unwrap();
    assert_eq!(&meant(&back, Keys::InEdn), value, "written as {back}");
}

#[test]
fn another_library_reads_what_we_pack_and_we_unpack_what_it_writes() {
    let mut runner = TestRunner::deterministic();
    let random = (0..2_000).map(|_| value().new_tree(&mut runner).unwrap().current());
    let values: Vec<Value> = random.map(|value| plain(&value)).collect();
    let packed: Vec<Vec<u8>> = values.iter().map(pack).collect();
    let answers = ask_node(&packed);
    for (value, answer) in values.iter().zip(&answers) {
        agrees(value, answer.as_ref());
    }
    eprintln!("msgpack: {} values there and back", values.len());
}

#[test]
fn another_library_reads_each_kind_of_value_and_its_sizes() {
    let mut texts: Vec<String> = [
        "nil",
        "true",
        "[0 127 128 255 256 65535 65536 4294967295 4294967296 9223372036854775807]",
        "[-1 -32 -33 -128 -129 -32768 -32769 -2147483648 -2147483649 -9223372036854775808]",
        "[1.5 -0.1 ##NaN ##Inf ##-Inf 1e-300]",
        "[1/3 -22/7]",
        "[\\a \\é \\u0000 \\uffff]",
        "[:a :a/b :abcd :abcdefgh :abcdefghijklmnop]",
        "[a a/b]",
        "#{} ",
        "#{1 #{2 :a} {3 #{}}}",
        "{:a 1, \"a\" 2, a 3, nil 4, 5 6, [7] {:b #{}}, true 8, 1.5 9}",
        "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        "#bytes/b64 \"\"",
        "#bytes/b64 \"AAECf4D/\"",
        "#array/int [1 -1 65536]",
        "#array/float [1.5 -0.25]",
        "#array/double [1.5 -0.1]",
        "#msgpack/ext [99 \"AAE=\"]",
    ]
    .map(str::to_owned)
    .into();
    // Java's `#inst` has another calendar before 1582, so the text says the milliseconds.
    for date in [
        "1970",
        "1969-12-31T23:59:59.999",
        "1600",
        "2026-01-02T03:04:05.678",
        "2106-02-07T06:28:16",
        "9999",
    ] {
        texts.push(format!("#inst \"{date}\""));
    }
    for length in [31, 32, 255, 256, 65_535, 65_536] {
        texts.push(format!("\"{}\"", "x".repeat(length)));
        texts.push(format!(":{}", "k".repeat(length)));
        texts.push(format!("#{{[{}]}}", "1 ".repeat(length)));
    }
    for entries in [15, 16, 65_536] {
        let entries: Vec<String> = (0..entries).map(|n| format!("{n} {n}")).collect();
        texts.push(format!("{{{}}}", entries.join(" ")));
    }
    let values: Vec<Value> = texts.iter().map(|text| edn(text).unwrap()).collect();
    let packed: Vec<Vec<u8>> = values.iter().map(pack).collect();
    let answers = ask_node(&packed);
    for (value, answer) in values.iter().zip(&answers) {
        agrees(value, answer.as_ref());
    }
}

#[test]
fn another_library_refuses_what_we_refuse() {
    // Its reader has no extension 8, and no opinion on what is in the others.
    let frames: [&[u8]; 8] = [
        &[0xc1],
        &[],
        &[0xa3, b'a'],
        &[0x92, 1],
        &[0x81, 0xa1, b'a'],
        &[0xcd, 0],
        &[0xc4, 2, 0],
        &[0xd5, 0x32, 0],
    ];
    let answers = ask_node(&frames.map(<[u8]>::to_vec));
    for (frame, answer) in frames.iter().zip(&answers) {
        assert!(answer.is_none() && read(frame).is_err(), "{frame:?}");
    }
}
