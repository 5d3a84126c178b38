//! What holds for every text and every value, tried on random ones.
#![allow(missing_docs)]

mod colliding;
mod random_values;
mod support;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use colliding::TWINS;
use proptest::prelude::*;
use random_values::value;
use sente_edn::{
    BigInt, Cursor, Dialect, Error, Limits, List, Map, Set, Shape, Tree, Value, from_slice,
    from_slice_with, read_first, to_vec,
};

/// Pieces of texts, so that random ones come near to being valid.
fn nearly_edn() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "#{",
        "#_",
        "^",
        "#^",
        "##NaN",
        "##",
        "#:a{",
        "#:a ",
        "#a ",
        "#inst \"2020\"",
        "#uuid \"1-2-3-4-5\"",
        "#inst ",
        "\"",
        "\"a\\n\"",
        "\\",
        "\\a",
        "\\u00e9",
        "\\newline",
        "; c\n",
        "#!",
        "\n",
        " ",
        " ",
        " ",
        ",",
        "\u{2028}",
        "\u{85}",
        "nil",
        "true",
        "a",
        "a/b",
        "/",
        ":",
        ":a",
        ":a/b",
        "::",
        "_",
        ":_/a",
        "'",
        "#",
        "1",
        "0",
        "-",
        "+1",
        "1N",
        "1.0",
        "1M",
        "2/4",
        "0x1F",
        "08",
        "1e9",
        "@",
        "é",
        "😀",
        "٣",
        "1 1N",
        "[] ()",
        "9223372036854775808",
    ];
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(String::from),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A captured text with a few bytes changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let rows = support::vectors(include_str!("../../../tests/vectors/edn/clojure-edn.json"));
    let texts = rows
        .iter()
        .map(|row| row["input"].as_str().unwrap().as_bytes().to_vec());
    let text = proptest::sample::select(texts.collect::<Vec<_>>());
    let change = (
        any::<prop::sample::Index>(),
        proptest::option::of(any::<u8>()),
        any::<bool>(),
    );
    (text, proptest::collection::vec(change, 1..5)).prop_map(|(mut text, changes)| {
        for (at, byte, insert) in changes {
            let at = at.index(text.len() + 1);
            match byte {
                Some(byte) if insert || at == text.len() => text.insert(at, byte),
                Some(byte) => text[at] = byte,
                None => text.truncate(at),
            }
        }
        text
    })
}

/// Everything that must hold for a text, whatever it is.
fn check_text(text: &[u8]) {
    for dialect in [Dialect::Clojure, Dialect::Either] {
        let limits = Limits::default().dialect(dialect);
        let first = read_first(text, &limits);
        let mut cursor = Cursor::new(text, &limits);
        let shape = cursor.peek();
        let skipped = match shape {
            Ok(None) => Ok(None),
            _ => cursor.skip().map(Some),
        };
        match (&first, &skipped) {
            (Ok(None), Ok(None)) => {}
            (Ok(Some((value, end))), Ok(Some(form))) => {
                assert_eq!((form.end(), form.shape()), (*end, shape_of(value)));
                assert_eq!(shape, Ok(Some(form.shape())));
                assert_eq!(form.text(), &text[form.start()..form.end()]);
                let again = from_slice_with(form.text(), &limits).unwrap();
                assert!(again.identical(value) && again == *value);
                check_value(value, &limits);
                assert_eq!(
                    value_by_cursor(form.text(), &limits),
                    Ok(end - form.start())
                );
            }
            (Err(a), Err(b)) => {
                assert_eq!(a, b);
                assert!(!a.to_string().is_empty() && a.offset() <= text.len());
                let (line, column) = a.line_column(text);
                assert!(line > 0 && column > 0);
            }
            _ => panic!("{first:?} but {skipped:?} of {text:?}"),
        }
        let whole = from_slice_with(text, &limits);
        if let (Ok(whole), Ok(Some((first, _)))) = (&whole, &first) {
            assert!(whole.identical(first));
        }
        match (&whole, Tree::parse_with(text, &limits)) {
            (Ok(value), Ok(tree)) => check_tree(&tree, value, text),
            (Err(a), Err(b)) => assert_eq!(*a, b),
            (value, tree) => panic!("{value:?} but {tree:?} of {text:?}"),
        }
        let _ = step_by_step(text, &limits);
    }
}

/// A tree says what the value says.
fn check_tree(tree: &Tree<'_>, value: &Value, text: &[u8]) {
    assert!(tree.root().to_value().identical(value));
    let mut pairs = vec![(tree.root(), value)];
    let mut forms = 0;
    while let Some((node, value)) = pairs.pop() {
        forms += 1;
        assert_eq!(node.shape(), shape_of(value));
        assert_eq!(node.text().as_bytes(), &text[node.start()..node.end()]);
        assert_eq!(node.is_nil(), value.is_nil());
        assert_eq!(node.as_bool(), value.as_bool());
        assert_eq!(node.as_i64(), value.as_i64());
        assert_eq!(
            node.as_f64().map(f64::to_bits),
            value.as_f64().map(f64::to_bits)
        );
        assert_eq!(node.as_char(), value.as_char());
        assert_eq!(node.as_str().as_deref(), value.as_str());
        assert_eq!(node.as_keyword(), value.as_keyword().map(AsRef::as_ref));
        assert_eq!(node.as_symbol(), value.as_symbol().map(AsRef::as_ref));
        assert_eq!(node.as_inst(), value.as_inst());
        assert_eq!(node.as_uuid(), value.as_uuid());
        let items = value.as_sequence().map(<[_]>::iter).into_iter().flatten();
        let items = items.chain(value.as_set().into_iter().flatten());
        let before = pairs.len();
        pairs.extend(node.items().zip(items));
        assert_eq!(pairs.len() - before, node.items().count());
        let entries = value.as_map().into_iter().flatten();
        for ((key, inner), (theirs, their_inner)) in node.entries().zip(entries) {
            pairs.extend([(key, theirs), (inner, their_inner)]);
        }
        if value.as_map().is_some() {
            assert_eq!(pairs.len() - before, 2 * node.len());
        } else {
            assert_eq!(node.len(), node.items().len());
        }
        assert_eq!(node.as_tagged().is_some(), value.as_tagged().is_some());
        if let (Some((tag, inner)), Some(tagged)) = (node.as_tagged(), value.as_tagged()) {
            assert_eq!(tag, tagged.tag().as_str());
            pairs.push((inner, tagged.value()));
        }
    }
    assert_eq!(forms, tree.form_count());
}

/// Everything that must hold for a value, whatever it is.
fn check_value(value: &Value, limits: &Limits) {
    let text = to_vec(value);
    assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
    let again = from_slice_with(&text, limits).unwrap();
    assert!(
        again.identical(value) && again == *value,
        "{value} reads as {again}"
    );
    assert_eq!(to_vec(&again), text);
    let copy = value.clone();
    assert!(copy.identical(value) && copy == *value);
}

fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Nil => Shape::Nil,
        Value::Bool(_) => Shape::Bool,
        Value::Char(_) => Shape::Char,
        Value::String(_) => Shape::String,
        Value::Keyword(_) => Shape::Keyword,
        Value::Symbol(_) => Shape::Symbol,
        Value::List(_) => Shape::List,
        Value::Vector(_) => Shape::Vector,
        Value::Set(_) => Shape::Set,
        Value::Map(_) => Shape::Map,
        Value::Inst(_) | Value::Uuid(_) | Value::Tagged(_) => Shape::Tagged,
        _ => Shape::Number,
    }
}

/// Enters everything that can be entered, and says where the first form ends.
fn value_by_cursor(text: &[u8], limits: &Limits) -> Result<usize, Error> {
    let mut cursor = Cursor::new(text, limits);
    let mut depth = 0;
    loop {
        match cursor.peek()? {
            Some(Shape::List | Shape::Vector) => {
                cursor.enter()?;
                depth += 1;
            }
            Some(Shape::Keyword) => drop(cursor.keyword()?),
            Some(_) => drop(cursor.skip()?),
            None => {
                cursor.leave()?;
                depth -= 1;
            }
        }
        if depth == 0 {
            return Ok(cursor.offset());
        }
    }
}

/// Asks for everything in turn, valid or not.
fn step_by_step(text: &[u8], limits: &Limits) -> Result<(), Error> {
    let mut cursor = Cursor::new(text, limits);
    for step in 0..text.len() + 4 {
        match step % 5 {
            0 => drop(cursor.enter()),
            1 => drop(cursor.keyword()),
            2 => drop(cursor.peek()),
            3 => drop(cursor.skip()),
            _ => drop(cursor.leave()),
        }
        assert!(cursor.offset() <= text.len());
    }
    Ok(())
}

/// Values of which many are equal or share a fingerprint, and some are anything.
fn repeated() -> impl Strategy<Value = Value> {
    let twin = || proptest::sample::select(&TWINS).prop_map(Value::from);
    let sequence = proptest::collection::vec(twin(), 0..4);
    let small = prop_oneof![
        (0..20_i64).prop_map(Value::from),
        (0..20_i64).prop_map(|number| Value::from(BigInt::from(number))),
        twin(),
        sequence.clone().prop_map(Value::from),
        sequence.prop_map(|items| Value::from(List::from(items))),
    ];
    let deep = small.clone().prop_recursive(3, 20, 4, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..4);
        let entries = proptest::collection::vec((inner.clone(), inner), 0..3);
        prop_oneof![
            items
                .clone()
                .prop_map(|items| Value::from(items.into_iter().collect::<Set>())),
            items.prop_map(Value::from),
            entries.prop_map(|entries| Value::from(entries.into_iter().collect::<Map>())),
        ]
    });
    prop_oneof![4 => small, 4 => deep, 1 => value()]
}

proptest! {
    // More with `PROPTEST_CASES=20000`.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_are_printed_and_read_back(value in value()) {
        check_value(&value, &Limits::default());
    }

    #[test]
    fn printed_values_are_read_alike_by_the_cursor(value in value()) {
        check_text(&to_vec(&value));
    }

    #[test]
    fn random_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        check_text(&bytes);
    }

    #[test]
    fn texts_that_are_nearly_edn_are_read_or_refused(text in nearly_edn()) {
        check_text(text.as_bytes());
    }

    #[test]
    fn mutated_texts_are_read_or_refused(text in mutated()) {
        check_text(&text);
    }

    #[test]
    fn order_does_not_matter_to_maps_and_sets(items in proptest::collection::vec(value(), 0..25)) {
        let set: Set = items.iter().cloned().collect();
        let reversed: Set = items.iter().rev().cloned().collect();
        prop_assert_eq!(&Value::from(set.clone()), &Value::from(reversed));
        let map: Map = items.iter().cloned().map(|item| (item, 1)).collect();
        let reversed: Map = items.iter().rev().cloned().map(|item| (item, 1)).collect();
        prop_assert_eq!(map.len(), set.len());
        prop_assert_eq!(&Value::from(map), &Value::from(reversed));
        prop_assert!(from_slice(&to_vec(&Value::from(set))).is_ok());
    }

    #[test]
    fn maps_do_what_a_list_of_pairs_does(
        steps in proptest::collection::vec((0..40_i64, 0..3_u8, any::<bool>()), 0..120)
    ) {
        let mut map = Map::new();
        let mut model: Vec<(Value, Value)> = Vec::new();
        for (number, step, nest) in steps {
            let key = if nest { Value::from(vec![Value::from(number)]) } else { Value::from(number) };
            let at = model.iter().position(|(known, _)| *known == key);
            if step == 0 {
                let removed = at.map(|at| model.remove(at).1);
                prop_assert_eq!(map.remove(&key), removed);
            } else {
                let before = at.map(|at| model[at].1.clone());
                prop_assert_eq!(map.get(&key).cloned(), before.clone());
                prop_assert_eq!(map.insert(key.clone(), i64::from(step)), before);
                match at {
                    Some(at) => model[at].1 = Value::from(step),
                    None => model.push((key, Value::from(step))),
                }
            }
        }
        let entries: Vec<(Value, Value)> = map.into_iter().collect();
        prop_assert_eq!(entries, model);
    }

    #[test]
    fn what_is_collected_is_what_is_inserted_one_by_one(
        items in proptest::collection::vec(repeated(), 0..90),
        split in any::<prop::sample::Index>(),
    ) {
        let (first, second) = items.split_at(split.index(items.len() + 1));
        let mut inserted = Set::new();
        for item in &items {
            inserted.insert(item.clone());
        }
        let collected: Set = items.iter().cloned().collect();
        let mut extended: Set = first.iter().cloned().collect();
        extended.extend(second.iter().cloned());
        let inserted = Value::from(inserted);
        // The text tells in which order, and which of the equal ones.
        prop_assert_eq!(to_vec(&inserted), to_vec(&Value::from(collected.clone())));
        prop_assert_eq!(to_vec(&inserted), to_vec(&Value::from(extended)));

        let number = |at: usize| i64::try_from(at).unwrap();
        let entries = || items.iter().cloned().enumerate().map(|(at, key)| (key, number(at)));
        let mut inserted = Map::new();
        for (key, value) in entries() {
            inserted.insert(key, value);
        }
        let collected: Map = entries().collect();
        let mut extended: Map = entries().take(first.len()).collect();
        extended.extend(entries().skip(first.len()));
        let inserted = Value::from(inserted);
        prop_assert_eq!(to_vec(&inserted), to_vec(&Value::from(collected.clone())));
        prop_assert_eq!(to_vec(&inserted), to_vec(&Value::from(extended)));
        // And all of them are found.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        prop_assert_eq!(hasher.hash_one(&inserted), hasher.hash_one(Value::from(collected.clone())));
        let mut rest = collected.clone();
        for item in &items {
            prop_assert!(rest.contains_key(item) == rest.remove(item).is_some());
            prop_assert!(collected.contains_key(item));
        }
        prop_assert!(rest.is_empty());
    }
}
