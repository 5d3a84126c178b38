//! Each rule of Clojure's reader, with the texts at its edges and what real `clojure.edn` makes of
//! them. `data/clojure_rules.json` was printed by Clojure 1.11.1 on Java 17.
#![allow(missing_docs)]

mod support;

use sente_edn::{Cursor, Limits, from_str, read_first};

fn check(rule: &str) {
    let rows = support::vectors(include_str!("data/clojure_rules.json"));
    let rows: Vec<_> = rows.iter().filter(|row| row["rule"] == rule).collect();
    assert!(!rows.is_empty(), "no texts for {rule}");
    for row in rows {
        let text = row["text"].as_str().unwrap();
        let ours = read_first(text.as_bytes(), &Limits::default());
        let mut cursor = Cursor::new(text.as_bytes(), &Limits::default());
        let skipped = cursor.skip();
        match row["clojure_reads"].as_str() {
            Some(reads) => {
                let theirs = from_str(reads).unwrap();
                let (value, end) = ours.unwrap().unwrap();
                assert!(
                    value.identical(&theirs),
                    "{text:?} reads as {value}, not {theirs}"
                );
                let printed = from_str(&value.to_string()).unwrap();
                assert!(printed.identical(&value), "{value} prints as {printed}");
                assert_eq!(
                    skipped
                        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
                        .end(),
                    end,
                    "{text:?}"
                );
            }
            None => {
                assert!(
                    matches!(ours, Err(_) | Ok(None)),
                    "{text:?} reads as {ours:?}"
                );
                assert!(skipped.is_err(), "{text:?}");
            }
        }
    }
}

macro_rules! rules {
    ($($rule:ident)*) => {$(
        #[test]
        fn $rule() {
            check(stringify!($rule));
        }
    )*};
}

rules! {
    names_may_hold_colons_slashes_and_quotes_where_clojures_pattern_lets_them
    names_are_refused_where_clojures_pattern_does_not_match
    numbers_follow_the_three_patterns_of_the_reader
    numbers_are_refused_where_no_pattern_matches
    characters_are_one_unit_a_name_or_a_code
    characters_are_refused_that_are_longer_or_no_code
    strings_know_eight_escapes_and_two_kinds_of_codes
    strings_are_refused_with_any_other_escape
    blanks_are_what_java_says_and_commas
    a_text_must_hold_a_form
    discarded_forms_must_be_complete_and_valid
    metadata_is_read_and_dropped
    metadata_is_refused_of_other_kinds_and_on_other_kinds
    tags_are_symbols_that_begin_with_a_letter_of_latin_1
    maps_with_a_namespace_give_it_to_their_keys
    repeated_keys_and_elements_are_refused_by_clojures_equality
    brackets_must_match
    dates_may_stop_early_and_must_exist
    uuids_are_five_numbers_of_any_length
}

#[test]
fn no_text_is_left_out() {
    let source = include_str!("clojure_rules.rs");
    for row in support::vectors(include_str!("data/clojure_rules.json")) {
        let rule = row["rule"].as_str().unwrap();
        assert!(source.lines().any(|line| line.trim() == rule), "{rule}");
    }
}
