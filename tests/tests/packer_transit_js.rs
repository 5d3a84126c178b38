//! Transit against another implementation, the npm package `transit-js`: it reads what we write and
//! we read what it writes, over generated values, in both texts.
#![allow(missing_docs)]

#[path = "../../core/edn/tests/random_values/mod.rs"]
mod random_values;

mod packer_transit_support;

use std::io::Write;
use std::process::{Command, Stdio};

use packer_transit_support::{message, packed, read, value};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use sente_core::packer::{Packer, TransitJson, TransitJsonVerbose};
use sente_edn::{BigInt, Inst, Keyword, List, Map, Ratio, Set, Symbol, Tagged, Uuid, Value};
use serde_json::{Value as Json, json};

/// What transit-js answers to each question; `tests/peers/transit_oracle.mjs` says what that is.
fn ask(questions: &[Json]) -> Vec<Json> {
    let packages = std::env::var("SENTE_TEST_NODE_PATH").unwrap_or_default();
    assert!(
        std::path::Path::new(&packages).join("transit-js").exists(),
        "transit-js is not at {packages:?}: run `cargo xtask test --only peers` once"
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/transit_oracle.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node runs");
    let mut input = node.stdin.take().unwrap();
    let lines: String = questions.iter().map(|line| format!("{line}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers: Vec<Json> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

/// The value as JavaScript has it, or nothing if it cannot: its numbers are of one kind, a character
/// is a string, and where that makes two keys one, there is no such map.
fn in_javascript(value: &Value) -> Option<Value> {
    let all = |items: &[Value]| -> Option<Vec<Value>> { items.iter().map(in_javascript).collect() };
    Some(match value {
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small")]
            Value::Int(*number as i64)
        }
        // JavaScript writes these as integers, too.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e21 => return None,
        Value::Char(character) => Value::from(character.to_string()),
        Value::Vector(items) => all(items)?.into(),
        Value::List(items) => List::from(all(items)?).into(),
        Value::Set(items) => {
            let mapped: Set = all(&items.iter().cloned().collect::<Vec<_>>())?
                .into_iter()
                .collect();
            (mapped.len() == items.len()).then_some(mapped.into())?
        }
        Value::Map(map) => {
            let entries: Option<Vec<_>> = map
                .iter()
                .map(|(key, value)| Some((in_javascript(key)?, in_javascript(value)?)))
                .collect();
            let mapped: Map = entries?.into_iter().collect();
            (mapped.len() == map.len()).then_some(mapped.into())?
        }
        Value::Tagged(tagged) => {
            let tag = tagged.tag().clone();
            let rep = in_javascript(tagged.value())?;
            // transit-js writes such a tag before a string only.
            let is_letter = tag.as_str().encode_utf16().count() == 1;
            if is_letter && !matches!(rep, Value::String(_)) {
                return None;
            }
            Tagged::new(tag, rep).ok()?.into()
        }
        other => other.clone(),
    })
}

/// The value in the oracle's plain JSON.
fn describe(value: &Value) -> Json {
    let all = |items: &[Value]| items.iter().map(describe).collect::<Vec<_>>();
    match value {
        Value::Nil => json!(["nil"]),
        Value::Bool(value) => json!(["bool", value]),
        Value::Int(value) => json!(["int", value.to_string()]),
        Value::Float(value) if value.is_nan() => json!(["float", "NaN"]),
        Value::Float(value) if value.is_infinite() => {
            json!([
                "float",
                if *value > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                }
            ])
        }
        Value::Float(value) => json!(["float", format!("{value:e}")]),
        Value::BigInt(value) => json!(["tagged", "n", ["string", value.as_str()]]),
        Value::Decimal(value) => json!(["tagged", "f", ["string", value.to_string()]]),
        Value::Ratio(ratio) => {
            let half = |half: &BigInt| json!(["tagged", "n", ["string", half.as_str()]]);
            let halves = [half(ratio.numerator()), half(ratio.denominator())];
            json!(["tagged", "ratio", ["vector", halves]])
        }
        Value::String(value) => json!(["string", value]),
        Value::Keyword(name) => json!(["keyword", name.as_str()]),
        Value::Symbol(name) => json!(["symbol", name.as_str()]),
        Value::Inst(inst) => json!(["inst", inst.as_millis().to_string()]),
        Value::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
        Value::Vector(items) => json!(["vector", all(items)]),
        Value::List(items) => json!(["list", all(items)]),
        Value::Set(items) => json!(["set", items.iter().map(describe).collect::<Vec<_>>()]),
        Value::Map(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| [describe(key), describe(value)]);
            json!(["map", entries.collect::<Vec<_>>()])
        }
        Value::Tagged(tagged) => match (tagged.tag().as_str(), tagged.value()) {
            ("bytes/b64", Value::String(text)) => json!(["bytes", text]),
            ("r", Value::String(text)) => json!(["uri", text]),
            (tag, rep) => json!(["tagged", tag, describe(rep)]),
        },
        other => panic!("{other}"),
    }
}

/// The value that the oracle's plain JSON is of.
fn undescribe(json: &Json) -> Value {
    let text = || json[1].as_str().unwrap();
    let all = || {
        json[1]
            .as_array()
            .unwrap()
            .iter()
            .map(undescribe)
            .collect::<Vec<_>>()
    };
    let tagged = |tag: &str, rep: Value| -> Value {
        Tagged::new(Symbol::new(tag).unwrap(), rep).unwrap().into()
    };
    match json[0].as_str().unwrap() {
        "nil" => Value::Nil,
        "bool" => Value::Bool(json[1].as_bool().unwrap()),
        "int" => Value::Int(text().parse().unwrap()),
        "float" => Value::Float(text().parse().unwrap()),
        "string" => text().into(),
        "keyword" => Keyword::new(text()).unwrap().into(),
        "symbol" => Symbol::new(text()).unwrap().into(),
        "inst" => Inst::from_millis(text().parse().unwrap()).unwrap().into(),
        "uuid" => Uuid::parse(text()).unwrap().into(),
        "uri" => tagged("r", text().into()),
        "bytes" => tagged("bytes/b64", text().into()),
        "vector" => all().into(),
        "list" => List::from(all()).into(),
        "set" => all().into_iter().collect::<Set>().into(),
        "map" => {
            let entries = json[1].as_array().unwrap().iter();
            let entries = entries.map(|entry| (undescribe(&entry[0]), undescribe(&entry[1])));
            entries.collect::<Map>().into()
        }
        "tagged" => {
            let rep = undescribe(&json[2]);
            match (text(), rep.as_str(), rep.as_sequence()) {
                ("n", Some(digits), _) => BigInt::new(digits).unwrap().into(),
                ("f", Some(digits), _) => value(&format!("{digits}M")),
                ("ratio", _, Some([Value::BigInt(above), Value::BigInt(below)])) => {
                    Ratio::divide(above, below).unwrap()
                }
                (tag, ..) => tagged(tag, rep),
            }
        }
        other => panic!("{other}"),
    }
}

/// Values that JavaScript can have, as it has them.
fn values(count: usize) -> Vec<Value> {
    let strategy = random_values::value();
    let mut runner = TestRunner::deterministic();
    let mut values = Vec::new();
    while values.len() < count {
        let value = strategy.new_tree(&mut runner).unwrap().current();
        let packs = TransitJson::new().pack(&value, &mut Vec::new()).is_ok();
        if packs && let Some(value) = in_javascript(&value) {
            values.push(value);
        }
    }
    // What these do not have.
    for text in [
        "#bytes/b64 \"AAECf4D/\"",
        "#r \"http://a/b?c=d\"",
        "#link {\"href\" #r \"http://a\", \"rel\" \"b\"}",
        "[#inst \"9999-12-31T23:59:59.999Z\" #inst \"1000-01-01T00:00:00.000-00:00\"]",
        "{#bytes/b64 \"AQI=\" 1, nil 2, true 3, 1.5 4, 5 6, #r \"x\" 7}",
    ] {
        values.push(value(text));
    }
    // Every other one twice over, so that there is something to refer to.
    for value in values.iter_mut().step_by(2) {
        *value = vec![value.clone(), value.clone()].into();
    }
    values
}

fn in_both(answer: &Json) -> [Value; 2] {
    let written = |name: &str| {
        let text = answer[name].as_str().unwrap_or_else(|| panic!("{answer}"));
        let by_compact = read(&TransitJson::new(), text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let by_verbose = read(&TransitJsonVerbose::new(), text).unwrap();
        assert!(by_compact.identical(&by_verbose), "{text}");
        in_javascript(&by_compact).unwrap()
    };
    [written("json"), written("verbose")]
}

#[test]
fn transit_js_reads_what_we_write_and_we_read_what_it_writes_again() {
    let values = values(500);
    let compact = TransitJson::new();
    let verbose = TransitJsonVerbose::new();
    let ways: [&dyn Fn(&Value) -> String; 4] = [
        &|value| message(&compact, value),
        &|value| message(&verbose, value),
        // As a piece of a message, without the cache.
        &|value| packed(&compact, value),
        &|value| packed(&verbose, value),
    ];
    for way in ways {
        let texts: Vec<String> = values.iter().map(way).collect();
        let questions: Vec<Json> = texts.iter().map(|text| json!({ "text": text })).collect();
        for ((value, text), answer) in values.iter().zip(&texts).zip(ask(&questions)) {
            assert!(answer["error"].is_null(), "{text}: {answer}");
            let is = undescribe(&answer["is"]);
            assert!(
                is.identical(value),
                "{text} is {is} for transit-js, not {value}"
            );
            for again in in_both(&answer) {
                assert!(again.identical(value), "{value} became {again} by {answer}");
            }
        }
    }
}

#[test]
fn we_read_the_values_that_transit_js_makes_and_writes() {
    let values = values(500);
    let questions: Vec<Json> = values
        .iter()
        .map(|value| json!({ "is": describe(value) }))
        .collect();
    let mut shortened = 0;
    for (value, answer) in values.iter().zip(ask(&questions)) {
        for ours in in_both(&answer) {
            assert!(ours.identical(value), "{value} became {ours} by {answer}");
        }
        // Where transit-js leaves no choice, its text is ours.
        let text = answer["json"].as_str().unwrap();
        shortened += usize::from(text.contains("\"^0\""));
    }
    assert!(
        shortened > 20,
        "{shortened} of {} use the cache",
        values.len()
    );
}

#[test]
fn transit_js_and_we_agree_on_the_cache_when_it_is_full() {
    let names = |count: usize| (0..count).map(|n| Value::keyword(&format!("name{n}")).unwrap());
    for count in [43, 44, 45, 1935, 1936, 1937, 1980, 4000] {
        let value: Value = names(count).chain(names(count)).collect();
        let text = message(&TransitJson::new(), &value);
        let [answer] = ask(&[json!({ "text": text })]).try_into().unwrap();
        assert!(undescribe(&answer["is"]).identical(&value), "{count}");
        let [by_json, by_verbose] = in_both(&answer);
        assert!(
            by_json.identical(&value) && by_verbose.identical(&value),
            "{count}"
        );
        // transit-js starts a full cache anew also before a name it knows; else we write alike.
        if count != 1936 {
            assert_eq!(answer["json"].as_str(), Some(&*text), "{count}");
        }
    }
}
