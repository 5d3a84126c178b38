//! Every captured text means to this crate what it means to real `clojure.edn`.
#![allow(missing_docs)]

mod support;

use sente_edn::{Limits, Value, from_str, read_first};

#[test]
fn every_captured_text_reads_as_clojure_reads_it() {
    let text = include_str!("../../../tests/vectors/edn/clojure-edn.json");
    let rows = support::vectors(text);
    let mut wrong = Vec::new();
    for row in &rows {
        let (name, input) = (&row["name"], row["input"].as_str().unwrap());
        let ours = read_first(input.as_bytes(), &Limits::default());
        match (row["clojure_reads"].as_str(), &ours) {
            (Some(reads), Ok(Some((value, _)))) => {
                let theirs: Value = from_str(reads).unwrap();
                if !value.identical(&theirs) {
                    wrong.push(format!("{name} {input:?}: {value} instead of {reads}"));
                }
            }
            (None, Err(_) | Ok(None)) => {}
            (reads, ours) => wrong.push(format!(
                "{name} {input:?}: {ours:?} instead of {reads:?} {}",
                row["clojure_rejects"]
            )),
        }
    }
    assert!(rows.len() > 4000);
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
