//! What `sente-edn` is held to: a ratio to another codec's cost for the same work on the same data.

use crate::cases::OURS;
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
    /// How many allocations it may make, where that is part of the goal.
    pub allocations: Option<u64>,
}

impl Goal {
    /// The name of the case that is measured.
    #[must_use]
    pub fn case(&self) -> String {
        format!("{}/{}/{OURS}", self.ours, self.document.name())
    }

    /// The names of the cases it is compared with.
    pub fn peer_cases(&self) -> impl Iterator<Item = String> {
        let document = self.document.name();
        let peers = self.peers.iter();
        peers.map(move |(work, codec)| format!("{work}/{document}/{codec}"))
    }
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
        allocations: Some(0),
    },
    Goal {
        label: "1 KB scan: syntax, atoms, duplicates",
        ours: "scan",
        document: Document::Medium,
        peers: &[("scan", "serde_json")],
        must: 1.8,
        stretch: 1.2,
        allocations: None,
    },
    Goal {
        label: "1 KB borrowed tree with duplicate check",
        ours: "tree",
        document: Document::Medium,
        peers: &[("value", "serde_json")],
        must: 0.85,
        stretch: 0.5,
        allocations: None,
    },
    Goal {
        label: "1 KB typed struct by serde",
        ours: "typed",
        document: Document::Medium,
        peers: &[("typed", "serde_json")],
        must: 1.2,
        stretch: 1.0,
        allocations: None,
    },
    Goal {
        label: "1 KB print into a reused buffer",
        ours: "print",
        document: Document::Medium,
        peers: &[("print", "serde_json")],
        must: 1.0,
        stretch: 0.8,
        allocations: None,
    },
    Goal {
        label: "1 KB scan against the fastest other EDN crate",
        ours: "scan",
        document: Document::Medium,
        peers: OTHER_EDN,
        must: 0.20,
        stretch: 0.12,
        allocations: None,
    },
    Goal {
        label: "1 KB tree against the fastest other EDN crate",
        ours: "tree",
        document: Document::Medium,
        peers: OTHER_EDN,
        must: 0.35,
        stretch: 0.20,
        allocations: None,
    },
];
