//! What `sente-edn` is held to: a ratio to another codec's cost for the same work on the same data.

use crate::documents::Document;

/// One line of the table of goals.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Goal {
    /// The work, in words.
    pub label: &'static str,
    /// What is measured: a case's work.
    pub ours: &'static str,
    /// Of which document.
    pub document: Document,
    /// What it is compared with: the work and the codec, and the cheapest where there are several.
    pub peers: &'static [(&'static str, &'static str)],
    /// The ratio that must be reached.
    pub must: f64,
    /// The ratio that would be good.
    pub stretch: f64,
}

const OTHER_EDN: &[(&str, &str)] = &[
    ("value", "clojure-reader"),
    ("value", "edn-format"),
    ("value", "edn-rs"),
];

/// All of them.
pub const GOALS: &[Goal] = &[
    Goal {
        label: "small frame: event id and scanned payload, duplicates checked",
        ours: "frame",
        document: Document::Small,
        peers: &[("value", "serde_json")],
        must: 0.45,
        stretch: 0.25,
    },
    Goal {
        label: "1 KB scan: syntax, atoms, duplicates",
        ours: "scan",
        document: Document::Medium,
        peers: &[("scan", "serde_json")],
        must: 1.8,
        stretch: 1.2,
    },
    Goal {
        label: "1 KB borrowed tree with duplicate check",
        ours: "tree",
        document: Document::Medium,
        peers: &[("value", "serde_json")],
        must: 0.85,
        stretch: 0.5,
    },
    Goal {
        label: "1 KB typed struct by serde",
        ours: "typed",
        document: Document::Medium,
        peers: &[("typed", "serde_json")],
        must: 1.2,
        stretch: 1.0,
    },
    Goal {
        label: "1 KB print into a reused buffer",
        ours: "print",
        document: Document::Medium,
        peers: &[("print", "serde_json")],
        must: 1.0,
        stretch: 0.8,
    },
    Goal {
        label: "1 KB scan against the fastest other EDN crate",
        ours: "scan",
        document: Document::Medium,
        peers: OTHER_EDN,
        must: 0.20,
        stretch: 0.12,
    },
    Goal {
        label: "1 KB tree against the fastest other EDN crate",
        ours: "tree",
        document: Document::Medium,
        peers: OTHER_EDN,
        must: 0.35,
        stretch: 0.20,
    },
];
