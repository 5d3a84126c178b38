//! What we pack as JSON is what JavaScript reads, and what JavaScript writes is what we unpack.
#![allow(missing_docs)]

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sente_core::Limits;
use sente_core::packer::{Json, Packer};
use sente_edn::{Map, Value};
use sente_tests::edn;

/// What Node makes of each text: the text it writes for the value, or nothing.
fn ask_node(texts: &[String]) -> Vec<Option<String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/json_oracle.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut input = node.stdin.take().unwrap();
    let lines: String = texts
        .iter()
        .map(|text| format!("{}\n", serde_json::to_string(text).unwrap()))
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .split_terminator('\n')
        .map(|line| line.strip_prefix('=').map(str::to_owned))
        .collect();
    assert_eq!(answers.len(), texts.len());
    answers
}

fn unpack(text: &str) -> Value {
    Json::new()
        .unpack(text.as_bytes(), &Limits::default())
        .unwrap()
}

fn pack(value: &Value) -> String {
    let mut out = Vec::new();
    Json::new().pack(value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Whether a text is one JSON value to us, and nothing behind it.
fn is_json(text: &str) -> bool {
    let mut end = 0;
    let walked = Json::new().walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
        end = cursor.skip()?.end;
        Ok(())
    });
    let blank = |byte: &u8| b" \n\r\t".contains(byte);
    walked.is_ok() && text.as_bytes()[end..].iter().all(blank)
}

/// Whether two values are one to JavaScript, to which all numbers are of one kind.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Vector(ours), Value::Vector(theirs)) => {
            ours.as_slice().len() == theirs.as_slice().len()
                && ours.into_iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Value::Map(ours), Value::Map(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .all(|(key, value)| theirs.get(key).is_some_and(|other| same(value, other)))
        }
        // JavaScript writes infinities, which it reads from 1e400, as null.
        (Value::Float(ours), Value::Nil) => ours.is_infinite(),
        _ => match (ours.as_f64(), theirs.as_f64()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => ours == theirs,
        },
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i16>().prop_map(|value| Value::Int(value.into())),
        "[1-9][0-9]{19,40}".prop_map(|digits| edn(&format!("{digits}N"))),
        any::<f64>().prop_map(Value::Float),
        any::<String>().prop_map(Value::String),
        "[a-z]{1,4}/[a-z]{1,4}".prop_map(|name| Value::keyword(&name).unwrap()),
    ];
    let key = prop_oneof!["[a-z_0-9]{1,4}", "\\PC{0,4}"].prop_map(Value::String);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key.clone(), inner), 0..6)
                .prop_map(|entries| Value::Map(entries.into_iter().collect::<Map>())),
        ]
    })
}

fn sample<T>(count: usize, strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

#[test]
fn javascript_reads_what_we_pack_and_we_read_what_it_writes() {
    let texts: Vec<_> = sample(2000, &document()).iter().map(pack).collect();
    for (text, answer) in texts.iter().zip(ask_node(&texts)) {
        let answer = answer.unwrap_or_else(|| panic!("JavaScript refuses {text}"));
        let (ours, theirs) = (unpack(text), unpack(&answer));
        assert!(same(&ours, &theirs), "{text} became {answer}");
    }
}

#[test]
fn javascript_takes_and_refuses_the_same_texts() {
    let changed = (
        document(),
        any::<prop::sample::Index>(),
        0..3_usize,
        "[\\[\\]{}:,\"\\\\ 0-9tfu.eE+\n\\-\u{1}\u{a0}\u{feff}]{0,2}",
    );
    let texts: Vec<_> = sample(4000, &changed)
        .into_iter()
        .map(|(value, at, cut, with)| {
            let mut text: Vec<char> = pack(&value).chars().collect();
            let at = at.index(text.len());
            let end = text.len().min(at + cut);
            text.splice(at..end, with.chars());
            text.into_iter().collect::<String>()
        })
        .collect();
    let mut taken = 0;
    for (text, answer) in texts.iter().zip(ask_node(&texts)) {
        assert_eq!(is_json(text), answer.is_some(), "{text:?}");
        if let Some(answer) = answer {
            taken += 1;
            let (ours, theirs) = (unpack(text), unpack(&answer));
            assert!(same(&ours, &theirs), "{text} became {answer}");
        }
    }
    assert!((500..3500).contains(&taken), "{taken} of {}", texts.len());
}

#[test]
fn javascript_agrees_on_what_is_rare() {
    for (text, written) in [
        (r#""\ud83d""#, r#""\ud83d""#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"__proto__":1}"#, r#"{"__proto__":1}"#),
        ("-0", "0"),
        ("1e400", "null"),
        ("9007199254740993", "9007199254740992"),
        (" [ 1 ] \n", "[1]"),
        ("\"\u{2028}\u{7f}\"", "\"\u{2028}\u{7f}\""),
        (r#""\u0000\u001f\b\/""#, r#""\u0000\u001f\b/""#),
    ] {
        let [answer] = ask_node(&[text.to_owned()]).try_into().unwrap();
        assert_eq!(answer.as_deref(), Some(written), "{text}");
        assert!(same(&unpack(text), &unpack(written)), "{text}");
        // What it writes we write alike, where there is one way to write it.
        if unpack(written)
            .as_str()
            .is_some_and(|text| !text.contains('\u{fffd}'))
        {
            assert_eq!(pack(&unpack(written)), written);
        }
    }
}
