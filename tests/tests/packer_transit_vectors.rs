//! What Sente's Transit packers write and read means the same to ours, but for the differences in
//! `packer_transit_support/differences.rs`, each with its reason.
#![allow(missing_docs)]

mod packer_transit_support;

use packer_transit_support::differences::{
    Difference, INPUTS, PACKED, REFUSED, REWRITTEN, UNPACKED,
};
use packer_transit_support::{edn, message, read, rows};
use sente_core::packer::{Packer, TransitJson, TransitJsonVerbose};
use serde_json::Value as Json;

fn packers() -> [Box<dyn Packer>; 2] {
    [
        Box::new(TransitJson::new()),
        Box::new(TransitJsonVerbose::new()),
    ]
}

fn captured(packer: &dyn Packer, wrapped: bool) -> Vec<Json> {
    let mut rows = rows(&format!("packer-{}.json", packer.name()));
    rows.retain(|row| row["wrapped"] == wrapped);
    assert!(rows.len() >= 227, "{}", rows.len());
    rows
}

fn text<'r>(row: &'r Json, field: &str) -> &'r str {
    row[field].as_str().unwrap_or_else(|| panic!("{row}"))
}

/// What stands in a row alone, given what stands in its wrapped twin.
fn alone(wrapped: &str) -> &str {
    let inside = wrapped.strip_prefix('[').unwrap();
    inside.strip_suffix(" nil]").unwrap()
}

#[test]
fn every_wrapped_vector_unpacks_to_its_value_and_packs_to_its_text() {
    for packer in packers() {
        let (mut all, mut bytes, mut values, mut differences) = (0, 0, 0, 0);
        for row in captured(&*packer, true) {
            let Some(payload) = row["payload"].as_str() else {
                continue;
            };
            all += 1;
            let name = text(&row, "description");
            let ours = read(&*packer, payload).unwrap_or_else(|error| panic!("{name}: {error}"));
            let again = message(&*packer, &ours);
            if let Some(known) = PACKED.iter().find(|known| known.row == name) {
                assert_eq!(Ok(&*ours.to_string()), known.read, "{}", known.reason);
                assert_eq!(again == payload, known.rewritten, "{}", known.reason);
                differences += 1;
                continue;
            }
            let theirs = edn(text(&row, "unpacked_edn")).unwrap_or_else(|| panic!("{name}"));
            assert!(ours.identical(&theirs), "{name}: {ours}, not {theirs}");
            if again == payload {
                bytes += 1;
            } else {
                assert!(REWRITTEN.iter().any(|(row, _)| *row == name), "{again}");
                assert!(read(&*packer, &again).unwrap().identical(&theirs));
                values += 1;
            }
        }
        eprintln!(
            "{}: {all} wrapped, {bytes} bytes equal, {values} values equal, {differences} \
             differences",
            packer.name()
        );
        assert_eq!(all, bytes + values + differences);
        assert_eq!((values, differences), (REWRITTEN.len(), PACKED.len()));
        assert!(all >= 213, "{all}");
    }
}

#[test]
fn a_value_alone_is_quoted_as_the_real_packer_does() {
    for packer in packers() {
        let mut quoted = 0;
        for row in captured(&*packer, false) {
            let Some(payload) = row["payload"].as_str() else {
                continue;
            };
            let name = text(&row, "description");
            let ours = read(&*packer, payload).unwrap_or_else(|error| panic!("{name}: {error}"));
            let again = message(&*packer, &ours);
            let known = PACKED.iter().find(|known| known.row == name);
            if let Some(known) = known {
                let expected = alone(known.read.unwrap());
                assert_eq!(ours.to_string(), expected, "{}", known.reason);
                assert_eq!(again == payload, known.rewritten, "{}", known.reason);
                continue;
            }
            let theirs = edn(text(&row, "unpacked_edn")).unwrap_or_else(|| panic!("{name}"));
            assert!(ours.identical(&theirs), "{name}: {ours}, not {theirs}");
            if !REWRITTEN.iter().any(|(row, _)| *row == name) {
                assert_eq!(again, payload, "{name}");
            }
            quoted += usize::from(payload.contains("~#'"));
        }
        assert!(quoted > 100, "{quoted}");
    }
}

#[test]
fn every_input_packs_to_the_text_of_the_real_packer() {
    for packer in packers() {
        let mut equal = 0;
        for row in captured(&*packer, true) {
            let name = text(&row, "description");
            let Some(payload) = row["payload"].as_str() else {
                assert!(
                    row["pack_error"].is_string() && REFUSED.contains(&name),
                    "{name}"
                );
                continue;
            };
            let ours = edn(text(&row, "input_edn")).map(|input| message(&*packer, &input));
            if INPUTS.iter().any(|(row, _)| *row == name) {
                assert_ne!(ours.as_deref(), Some(payload), "{name}");
            } else {
                assert_eq!(ours.as_deref(), Some(payload), "{name}");
                equal += 1;
            }
        }
        assert!(equal >= 198, "{equal}");
    }
}

#[test]
fn every_reader_case_gives_the_real_readers_value_or_an_error_where_it_errs() {
    let packer = TransitJson::new();
    let (mut values, mut errors, mut differences) = (0, 0, 0);
    for row in rows("unpack-transit-json.json") {
        let payload = text(&row, "payload");
        let ours = read(&packer, payload);
        if let Some(known) = UNPACKED.iter().find(|known| known.row == payload) {
            differences += 1;
            check(known, payload, &ours);
        } else if let Some(theirs) = row["unpacked_edn"].as_str() {
            let theirs = edn(theirs).unwrap_or_else(|| panic!("{payload}"));
            let ours = ours.unwrap_or_else(|error| panic!("{payload}: {error}"));
            assert!(ours.identical(&theirs), "{payload}: {ours}, not {theirs}");
            values += 1;
        } else {
            assert!(ours.is_err(), "{payload}: {ours:?}");
            errors += 1;
        }
    }
    eprintln!(
        "unpack-transit-json: {values} values equal, {errors} errors in both, {differences} \
         differences"
    );
    assert_eq!(differences, UNPACKED.len());
    assert!(values + errors + differences >= 92, "{values} {errors}");
}

fn check<E: std::fmt::Display>(
    known: &Difference,
    payload: &str,
    ours: &Result<sente_edn::Value, E>,
) {
    match (ours, known.read) {
        (Ok(ours), Ok(expected)) => {
            assert_eq!(ours.to_string(), expected, "{}", known.reason);
            let again = message(&TransitJson::new(), ours);
            let quoted = format!("[\"~#'\",{payload}]");
            assert_eq!(
                again == payload || again == quoted,
                known.rewritten,
                "{}",
                known.reason
            );
        }
        (Err(error), Err(expected)) => {
            assert!(error.to_string().contains(expected), "{payload}: {error}");
        }
        _ => panic!("{payload}"),
    }
}
