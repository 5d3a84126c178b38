//! What real Sente's EDN packer writes and reads means the same to this crate, but for the
//! differences listed here, each with its reason.
#![allow(missing_docs)]

mod support;

use sente_edn::{Cursor, Dialect, Limits, Value, from_slice_with, read_first};

const UNPACK: &str = include_str!("../../../tests/vectors/sente/unpack-edn.json");
const PACKER: &str = include_str!("../../../tests/vectors/sente/packer-edn.json");

/// Texts that real Sente reads and this crate does not, whatever the dialect.
const REFUSED: &[(&str, &str)] = &[
    (
        "#{##NaN ##NaN}",
        "`clojure.edn` refuses it: its two NaN are one object",
    ),
    (
        "#::foo{:a 1}",
        "nobody prints it, and nobody reads `::foo/a` back",
    ),
];

/// Texts that real Sente reads and `clojure.edn` refuses, and so does `Dialect::Clojure`.
const REFUSED_BY_CLOJURE: &[&str] = &[
    "#!shebang\n1",
    ":a/1",
    "a/1",
    "a::b",
    "# inst \"2020\"",
    "[:a/1 nil]",
];

/// Where this crate prints another text than the packer, and why that is no loss.
const PRINTED: &[(&str, &str, &str)] = &[
    (
        "[18446744073709551615 nil]",
        "[18446744073709551615N nil]",
        "a BigInteger reads as BigInt",
    ),
    (
        "[1180591620717411303424 nil]",
        "[1180591620717411303424N nil]",
        "a BigInteger, again",
    ),
    (
        "[9.999999999999999E22 nil]",
        "[1.0E23 nil]",
        "the same number; JDK 17 is not shortest",
    ),
    (
        "[\\\0 nil]",
        "[\\u0000 nil]",
        "control characters are escaped",
    ),
    (
        "[\\\u{1} nil]",
        "[\\u0001 nil]",
        "control characters are escaped",
    ),
    (
        "[\\\u{7f} nil]",
        "[\\u007f nil]",
        "control characters are escaped",
    ),
    (
        "[\\\u{2028} nil]",
        "[\\u2028 nil]",
        "blanks without a name are escaped",
    ),
    (
        "[\"a\0b\" nil]",
        "[\"a\\u0000b\" nil]",
        "control characters are escaped",
    ),
    (
        "[\"\u{7f}\" nil]",
        "[\"\\u007f\" nil]",
        "control characters are escaped",
    ),
    (
        "[#inst \"2020-01-02T03:04:05.123456789-00:00\" nil]",
        "[#inst \"2020-01-02T03:04:05.123-00:00\" nil]",
        "Clojure keeps milliseconds, too, when it reads the nanoseconds of a Timestamp",
    ),
    (
        "[#:foo{:a 1, :b 2} nil]",
        "[{:foo/a 1, :foo/b 2} nil]",
        "the packer's other way of printing the same map",
    ),
];

fn limits(dialect: Dialect) -> Limits {
    Limits::default().dialect(dialect)
}

fn first(text: &str, dialect: Dialect) -> Option<Value> {
    let read = read_first(text.as_bytes(), &limits(dialect));
    read.ok().flatten().map(|(value, _)| value)
}

#[test]
fn what_sentes_reader_reads_reads_the_same() {
    let mut rows = support::vectors(UNPACK);
    rows.extend(support::vectors(PACKER));
    let mut read = 0;
    for row in &rows {
        let (Some(text), Some(theirs)) = (row["payload"].as_str(), row["unpacked_edn"].as_str())
        else {
            continue;
        };
        // An empty text is `nil` for Sente, and no form for this crate.
        if text.is_empty() || REFUSED.iter().any(|(refused, _)| *refused == text) {
            assert_eq!(first(text, Dialect::Either), None, "{text:?}");
            continue;
        }
        let ours = first(text, Dialect::Either).unwrap_or_else(|| panic!("{text:?} is refused"));
        let theirs = from_slice_with(theirs.as_bytes(), &limits(Dialect::Either)).unwrap();
        assert!(
            ours.identical(&theirs),
            "{text:?} reads as {ours}, not {theirs}"
        );
        let strict = first(text, Dialect::Clojure);
        if REFUSED_BY_CLOJURE.contains(&text) {
            assert_eq!(strict, None, "{text:?}");
        } else {
            assert!(strict.unwrap().identical(&theirs), "{text:?}");
        }
        read += 1;
    }
    assert!(read >= 544, "only {read} of {}", rows.len());
}

#[test]
fn what_sentes_reader_refuses_is_refused_or_known_not_to_be_portable() {
    let mut rows = support::vectors(UNPACK);
    rows.extend(support::vectors(PACKER));
    let mut refused = 0;
    for row in &rows {
        let Some(text) = row["payload"].as_str() else {
            continue;
        };
        if row["unpacked_edn"].is_string() || row["pack_error"].is_string() {
            continue;
        }
        for dialect in [Dialect::Clojure, Dialect::Either] {
            let mut cursor = Cursor::new(text.as_bytes(), &limits(dialect));
            // Unknown tags are kept here; and `:a/b/c` is a keyword for `clojure.edn`.
            assert!(
                cursor.skip().is_ok_and(|form| !form.is_portable())
                    || first(text, dialect).is_none(),
                "{text:?}"
            );
        }
        refused += 1;
    }
    assert!(refused >= 124, "only {refused} of {}", rows.len());
}

#[test]
fn what_sentes_packer_writes_is_printed_the_same() {
    let mut printed = 0;
    for row in support::vectors(PACKER) {
        let (Some(text), Some(_)) = (row["payload"].as_str(), row["unpacked_edn"].as_str()) else {
            continue;
        };
        if row["wrapped"] != true {
            continue;
        }
        let ours = first(text, Dialect::Either).unwrap().to_string();
        let known = PRINTED.iter().find(|(theirs, _, _)| *theirs == text);
        assert_eq!(ours, known.map_or(text, |(_, ours, _)| ours));
        printed += 1;
    }
    assert!(printed >= 200, "only {printed}");
}
