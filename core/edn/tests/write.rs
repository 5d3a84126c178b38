//! How values are written with options: on lines, sorted, and for peers that lack a form.
#![allow(missing_docs)]

mod random_values;

use std::collections::BTreeSet;
use std::fmt;

use proptest::prelude::*;
use random_values::value;
use sente_edn::{
    Lacking, Limits, List, Map, Peer, Set, Value, WriteErrorKind, WriteOptions, from_slice_with,
    from_str, to_string, to_vec, write, write_fmt,
};

fn read(text: &str) -> Value {
    from_str(text).unwrap()
}

fn written(options: WriteOptions, text: &str) -> String {
    options.to_string(&read(text)).unwrap()
}

/// The kind of error, and where it is.
fn refused(options: WriteOptions, text: &str) -> (WriteErrorKind, String) {
    let error = options.to_string(&read(text)).unwrap_err();
    (error.kind(), error.path().to_owned())
}

fn sorted() -> WriteOptions {
    WriteOptions::new().sort_keys(true)
}

fn script() -> WriteOptions {
    WriteOptions::new().for_peer(Peer::ClojureScript)
}

fn strict() -> WriteOptions {
    script()
        .chars(Lacking::Refuse)
        .numbers(Lacking::Refuse)
        .ratios(Lacking::Refuse)
}

#[test]
fn pretty_is_what_clojure_pprint_prints() {
    let mut compared = 0;
    for line in include_str!("data/pprint.jsonl").lines() {
        let row: Vec<String> = serde_json::from_str(line).unwrap();
        let value = read(&row[0]);
        assert_eq!(to_string(&value), row[0]);
        for (margin, expected) in [20, 40, 72, 100].into_iter().zip(&row[1..]) {
            let printed = WriteOptions::new().pretty(margin).to_string(&value);
            assert_eq!(printed.as_ref(), Ok(expected), "{value} within {margin}");
            compared += 1;
        }
    }
    assert!(compared >= 4000, "{compared}");
}

#[test]
fn the_alternate_form_is_pretty() {
    let text = format!(
        "{{:name {:?}, :items [1 2 3], :text {:?}}}",
        "a".repeat(30),
        "b".repeat(30)
    );
    let value = read(&text);
    let lines = format!(
        "{{:name {:?},\n :items [1 2 3],\n :text {:?}}}",
        "a".repeat(30),
        "b".repeat(30)
    );
    assert_eq!(format!("{value:#}"), lines);
    assert_eq!(format!("{value:#?}"), lines);
    assert_eq!(format!("{value}"), text);
    let map = value.as_map().unwrap();
    assert_eq!(format!("{map:#}"), lines);
    assert_eq!(format!("{map}"), text);
    let items: List = std::iter::repeat_n(1234, 20).collect();
    assert_eq!(
        format!("{items:#}"),
        format!("{:#}", Value::from(items.clone()))
    );
    assert!(format!("{items:#}").contains("\n 1234\n"));
}

#[test]
fn what_is_behind_a_tag_stays_on_one_line() {
    let text = "#my/tag {:a [1 2 3], :b {:c #x/y (4 5)}}";
    assert_eq!(written(WriteOptions::new().pretty(1), text), text);
    assert_eq!(
        written(WriteOptions::new().pretty(8), &format!("[{text} [1 2]]")),
        format!("[{text}\n [1 2]]")
    );
}

#[test]
fn a_quote_keeps_its_list() {
    // `pprint` prints `'x` here, which EDN reads as a symbol.
    assert_eq!(
        written(WriteOptions::new().pretty(72), "(quote x)"),
        "(quote x)"
    );
}

#[test]
fn widths_are_counted_as_java_does() {
    // An emoji has two units of UTF-16: the line is as long as with two letters, and a unit longer
    // than with one.
    let options = WriteOptions::new().pretty(10);
    assert_eq!(written(options, "[aaaa aax]"), "[aaaa aax]");
    assert_eq!(written(options, "[aaaa aé]"), "[aaaa aé]");
    assert_eq!(written(options, "[aaaa a😀x]"), "[aaaa\n a😀x]");
}

#[test]
fn a_million_levels_are_pretty_in_linear_time_and_space() {
    let deep = (0..1_000_000).fold(Value::from(0), |inner, _| Value::from(vec![inner]));
    let options = WriteOptions::new().pretty(72);
    assert_eq!(options.to_vec(&deep).unwrap().len(), 2_000_001);
    assert_eq!(
        options.sort_keys(true).to_vec(&deep).unwrap().len(),
        2_000_001
    );
    assert!(script().to_vec(&deep).is_ok());
}

#[test]
fn lines_of_a_deep_value_begin_a_bounded_way_in() {
    let depth = 10_000;
    let deep = (0..depth).fold(Value::from(0), |inner, _| {
        Value::from(vec![Value::from(1), inner])
    });
    let text = WriteOptions::new().pretty(72).to_string(&deep).unwrap();
    let indent = |line: &str| line.len() - line.trim_start().len();
    assert_eq!(text.lines().map(indent).max(), Some(72 + 128));
    assert!(text.len() < depth * 210);
    let again = from_slice_with(text.as_bytes(), &Limits::unlimited());
    assert_eq!(again.as_ref(), Ok(&deep));
}

#[test]
fn sorted_keys_go_by_kind_and_then_by_value() {
    let set = "#{#b/a 1 #a/b 2 #a/b 1 {:b 1} {:a 2} {:a 1} {} #{2} #{1 3} [2] [1 5] [1] (3) \
               #uuid \"2-0-0-0-0\" #uuid \"1-0-0-0-0\" #inst \"2021\" #inst \"2020\" b a :b/a :b :a/b \"b\" \
               \"B\" \"\" \\b \\a 1/3 1/2 -2/3 2.5M 10M -1M ##NaN ##Inf 1.5 -1.5 ##-Inf 0.0 \
               99999999999999999999N 10 9 2N -5 -99999999999999999999N true false nil}";
    assert_eq!(
        written(sorted(), set),
        "#{nil false true -99999999999999999999N -5 2N 9 10 99999999999999999999N ##-Inf -1.5 0.0 \
         1.5 ##Inf ##NaN -1M 2.5M 10M -2/3 1/2 1/3 \\a \\b \"\" \"B\" \"b\" :a/b :b :b/a a b \
         #inst \"2020-01-01T00:00:00.000-00:00\" #inst \"2021-01-01T00:00:00.000-00:00\" \
         #uuid \"00000001-0000-0000-0000-000000000000\" \
         #uuid \"00000002-0000-0000-0000-000000000000\" (3) [1] [1 5] [2] #{1 3} #{2} {} {:a 1} \
         {:a 2} {:b 1} #a/b 1 #a/b 2 #b/a 1}"
    );
}

#[test]
fn keys_are_sorted_at_every_level() {
    assert_eq!(
        written(
            sorted(),
            "{:z [{:b 1, :a 2}], #{3 1 2} #t {2 1, 1 2}, {9 0, 8 0} nil}"
        ),
        "{:z [{:a 2, :b 1}], #{1 2 3} #t {1 2, 2 1}, {8 0, 9 0} nil}"
    );
    assert_eq!(
        written(sorted().pretty(13), "{:bb [4 5 6], :aa #{1}}"),
        "{:aa #{1},\n :bb [4 5 6]}"
    );
}

#[test]
fn clojure_script_gets_what_it_has() {
    assert_eq!(
        written(
            script(),
            r"[1/4 -7/2 \a \newline 7N 1.50M 0.1M 9007199254740992 9007199254740993 1.0 ##NaN]"
        ),
        "[0.25 -3.5 \"a\" \"\\n\" 7 1.5 0.1 9007199254740992 9.007199254740992E15 1.0 ##NaN]"
    );
    assert_eq!(
        written(
            script(),
            "{:a #t (12345678901234567890N 0.10000000000000000001M)}"
        ),
        "{:a #t (1.2345678901234567E19 0.1)}"
    );
}

#[test]
fn a_form_that_is_refused_is_named_with_its_place() {
    let place = |text: &str| refused(strict(), text);
    assert_eq!(place("1/3"), (WriteErrorKind::Ratio, "[]".to_owned()));
    assert_eq!(
        place(r"{:a 1, :user/scores [0 {nil #t (\a)}]}"),
        (WriteErrorKind::Char, "[:user/scores 1 nil 0]".to_owned())
    );
    assert_eq!(
        place("[{9007199254740993 1}]"),
        (WriteErrorKind::Number, "[0 9007199254740993]".to_owned())
    );
    assert_eq!(
        place("#{1 0.10000000000000000001M}"),
        (
            WriteErrorKind::Number,
            "[0.10000000000000000001M]".to_owned()
        )
    );
    assert_eq!(
        place(&format!("{{[1] {}1/3{}}}", "[".repeat(20), "]".repeat(20))),
        (WriteErrorKind::Ratio, format!("[…{} …]", " 0".repeat(15)))
    );
    let error = strict().to_string(&read("[1/3]")).unwrap_err();
    assert_eq!(error.to_string(), "a ratio is nothing the peer has, at [0]");
    // What survives is written, if under another name.
    assert_eq!(
        written(strict(), "[7N 1.50M -9007199254740992]"),
        "[7 1.5 -9007199254740992]"
    );
}

#[test]
fn each_form_is_chosen_for_itself() {
    let chars = WriteOptions::new().chars(Lacking::Substitute);
    assert_eq!(written(chars, r"[\a 1/3 7N]"), "[\"a\" 1/3 7N]");
    let kept = script().numbers(Lacking::Keep).ratios(Lacking::Keep);
    assert_eq!(written(kept, r"[\a 1/3 7N]"), "[\"a\" 1/3 7N]");
    let back = script().for_peer(Peer::Clojure);
    assert_eq!(back, WriteOptions::default());
}

#[test]
fn what_is_too_large_to_substitute_is_refused() {
    let large = "9".repeat(400);
    for (text, kind) in [
        (format!("[{large}N]"), WriteErrorKind::Number),
        ("[1e400M]".to_owned(), WriteErrorKind::Number),
        (format!("[{large}/7]"), WriteErrorKind::Ratio),
        (format!("[{large}/{large}7]"), WriteErrorKind::Ratio),
    ] {
        assert_eq!(refused(script(), &text), (kind, "[0]".to_owned()), "{text}");
    }
}

#[test]
fn keys_that_clojure_script_takes_for_equal_are_refused() {
    for text in [
        r#"#{\a "a"}"#,
        "{1 :a, 1.0 :b}",
        "#{1/2 0.5}",
        "#{1 1.0M}",
        "#{9007199254740992 9007199254740993}",
        "{[1 {2 3}] 1, [1.0 {2.0 3.0}] 2}",
        "#{#{1 2} #{2.0 1.0}}",
    ] {
        let nested = format!("[0 {{:k {text}}}]");
        let expected = (WriteErrorKind::DuplicateKey, "[1 :k]".to_owned());
        assert_eq!(refused(script(), &nested), expected, "{text}");
        assert_eq!(to_string(&read(text)), text);
    }
    assert_eq!(
        written(script(), "#{1 1.5 \"1\" :1 ##NaN}"),
        "#{1 1.5 \"1\" :1 ##NaN}"
    );
}

#[test]
fn a_refused_value_leaves_the_buffer_as_it_was() {
    let mut out = b"before ".to_vec();
    let value = read("[1 2 3 1/3]");
    assert!(strict().write(&value, &mut out).is_err());
    assert_eq!(out, b"before ");
    assert_eq!(
        script().pretty(72).sort_keys(true).write(&value, &mut out),
        Ok(())
    );
    assert_eq!(out, b"before [1 2 3 0.3333333333333333]");
}

#[test]
fn an_output_that_fails_is_an_error() {
    struct Full;
    impl fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    let value = read("[1 2]");
    for options in [WriteOptions::new(), sorted(), WriteOptions::new().pretty(1)] {
        let error = options.write_fmt(&value, &mut Full).unwrap_err();
        assert_eq!((error.kind(), error.path()), (WriteErrorKind::Output, "[]"));
        assert_eq!(error.to_string(), "the output took no more");
    }
    assert!(write_fmt(&value, &mut Full).is_err());
}

#[test]
fn strings_of_any_length_are_escaped_everywhere() {
    let escapes = [
        ('"', "\\\""),
        ('\\', "\\\\"),
        ('\n', "\\n"),
        ('\t', "\\t"),
        ('\r', "\\r"),
        ('\u{8}', "\\b"),
        ('\u{c}', "\\f"),
        ('\0', "\\u0000"),
        ('\u{1f}', "\\u001f"),
        ('\u{7f}', "\\u007f"),
    ];
    for plain in [
        'a', ' ', '!', '#', '[', ']', '~', 'é', '✓', '😀', '\u{80}', '\u{ff}',
    ] {
        for length in 0..40 {
            let around = plain.to_string().repeat(length);
            assert_eq!(
                to_string(&Value::from(around.as_str())),
                format!("\"{around}\"")
            );
            for at in 0..=length {
                let (before, after) = (
                    plain.to_string().repeat(at),
                    plain.to_string().repeat(length - at),
                );
                let (c, escaped) = escapes[(at + length) % escapes.len()];
                let value = Value::from(format!("{before}{c}{after}"));
                assert_eq!(to_string(&value), format!("\"{before}{escaped}{after}\""));
            }
        }
    }
}

#[test]
fn floats_are_laid_out_as_java_does() {
    for (value, text) in [
        (0.0, "0.0"),
        (1e-3, "0.001"),
        (9.999e-4, "9.999E-4"),
        (0.000_12, "1.2E-4"),
        (1e-5, "1.0E-5"),
        (1.25e-7, "1.25E-7"),
        (5e-324, "5.0E-324"),
        (9_999_999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (12_345_678.25, "1.234567825E7"),
        (1e15, "1.0E15"),
        (1e16, "1.0E16"),
        (1.5e16, "1.5E16"),
        (123_456_789_012_345_680.0, "1.2345678901234568E17"),
        (1e22, "1.0E22"),
        (f64::MAX, "1.7976931348623157E308"),
    ] {
        assert_eq!(to_string(&Value::from(value)), text);
        assert_eq!(to_string(&Value::from(-value)), format!("-{text}"));
    }
}

#[cfg(feature = "bytes")]
#[test]
fn bytes_take_what_a_vec_takes() {
    let value = read(r#"{:a [1 2.5 "x\ny" #inst "2020" #uuid "1-2-3-4-5" 1/3 \a nil]}"#);
    let mut out = bytes::BytesMut::from(&b"before "[..]);
    sente_edn::write_bytes(&value, &mut out);
    assert_eq!(out, format!("before {value}"));
    out.clear();
    assert_eq!(script().write_bytes(&value, &mut out), Ok(()));
    assert_eq!(out, script().to_string(&value).unwrap());
    assert!(strict().write_bytes(&value, &mut out).is_err());
}

/// The same value with the entries of its outermost maps and sets the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut entries: Vec<(Value, Value)> = map.clone().into_iter().collect();
            entries.reverse();
            let turned = entries
                .into_iter()
                .map(|(key, value)| (reversed(&key), reversed(&value)));
            Value::from(turned.collect::<Map>())
        }
        Value::Set(set) => {
            let mut items: Vec<Value> = set.iter().map(reversed).collect();
            items.reverse();
            Value::from(items.into_iter().collect::<Set>())
        }
        Value::Vector(items) => items.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pretty_values_are_read_back(value in value(), width in 0..120_usize) {
        let text = WriteOptions::new().pretty(width).to_string(&value).unwrap();
        prop_assert!(read(&text).identical(&value), "{}", text);
        let compact = to_string(&value);
        // Only a space may become a line break, and only between forms.
        let broken = text.split('\n').map(str::trim_start).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(broken, compact);
    }

    #[test]
    fn without_a_margin_pretty_is_one_line(value in value()) {
        let text = WriteOptions::new().pretty(usize::MAX).to_vec(&value).unwrap();
        prop_assert_eq!(text, to_vec(&value));
    }

    #[test]
    fn every_way_out_takes_the_same_text(value in value()) {
        let text = to_string(&value);
        let mut bytes = b"x".to_vec();
        write(&value, &mut bytes);
        prop_assert_eq!(&bytes[1..], text.as_bytes());
        let mut other = String::new();
        write_fmt(&value, &mut other).unwrap();
        prop_assert_eq!(&other, &text);
        prop_assert_eq!(WriteOptions::new().to_string(&value).unwrap(), text.clone());
        let mut lines = String::new();
        let options = WriteOptions::new().pretty(30).sort_keys(true);
        options.write_fmt(&value, &mut lines).unwrap();
        prop_assert_eq!(lines, options.to_string(&value).unwrap());
    }

    #[test]
    fn sorted_values_are_read_back_and_do_not_depend_on_order(value in value()) {
        let text = sorted().to_string(&value).unwrap();
        prop_assert!(read(&text).identical(&value), "{}", text);
        prop_assert_eq!(sorted().to_string(&reversed(&value)).unwrap(), text.clone());
        prop_assert_eq!(sorted().to_string(&read(&text)).unwrap(), text);
    }

    #[test]
    fn what_is_written_for_clojure_script_is_in_its_terms(value in value()) {
        // Whatever can be written by substituting has no form left that could be refused.
        if let Ok(text) = script().to_string(&value) {
            let again = read(&text);
            prop_assert_eq!(strict().to_string(&again), Ok(text));
        }
    }

    #[test]
    fn integers_sort_by_value(numbers in proptest::collection::btree_set(any::<i128>(), 0..30)) {
        let numbers: BTreeSet<i128> = numbers.into_iter().flat_map(|n| [n, n >> 40, n >> 100]).collect();
        let texts = |numbers: &mut dyn Iterator<Item = &i128>| {
            let forms = numbers.map(|n| read(&n.to_string()));
            Value::from(forms.collect::<Set>())
        };
        let backward = texts(&mut numbers.iter().rev());
        prop_assert_eq!(
            sorted().to_string(&backward).unwrap(),
            to_string(&texts(&mut numbers.iter()))
        );
    }
}
