//! Everything that was measured, as a page of Markdown.

use std::collections::HashMap;
use std::fmt::{self, Display};

use crate::cases::Case;
use crate::documents::Document;
use crate::goals::{GOALS, Goal};
use crate::measure::Times;

/// What a case takes from the heap.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Heap {
    /// How often it asks for a block, or for a larger one.
    pub allocations: u64,
    /// How many bytes it has at most, the document not counted.
    pub peak: u64,
}

/// What was measured, by the names of cases. What is missing is left empty on the page.
#[derive(Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Measured {
    /// Processor time.
    pub times: HashMap<String, Times>,
    /// Instructions of one operation.
    pub instructions: HashMap<String, u64>,
    /// Heap.
    pub heap: HashMap<String, Heap>,
}

/// The page.
#[derive(Debug)]
pub struct Page<'a> {
    measured: &'a Measured,
    cases: &'a [Case],
    environment: &'a [(String, String)],
}

impl<'a> Page<'a> {
    /// A page about these cases. The environment is what the figures depend on: machine, versions.
    #[must_use]
    pub const fn new(
        measured: &'a Measured,
        cases: &'a [Case],
        environment: &'a [(String, String)],
    ) -> Self {
        Self {
            measured,
            cases,
            environment,
        }
    }
}

const INTRODUCTION: &str = "\
# EDN beside other codecs

Made by `cargo xtask bench edn --write`; do not edit.

Instructions are counted by callgrind, on average over a few operations, and come out the same on a
busy machine; the goals are ratios of them. Times are the median of interleaved rounds, in processor
time of the one thread that works, with the quickest and the slowest round behind; a ratio of times
is there to check the other one. A block that grows counts as another allocation, and the peak is
without the document. Everything that reads includes dropping what was made.

What is compared is the same data in each codec's own format, so a JSON codec reads a JSON text of
about the same length. JSON has no keywords, UUIDs, instants and sets: it has strings and arrays
there, and nothing checks them. Nor does `serde_json` refuse a key that repeats. The other codecs
have their released defaults; `simd-json` has to copy its input first, and that is counted.
";

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INTRODUCTION}\n## Measured with\n")?;
        for (what, which) in self.environment {
            writeln!(f, "- {what}: {which}")?;
        }
        self.goals(f)?;
        for document in Document::ALL {
            self.document(f, document)?;
        }
        Ok(())
    }
}

impl Page<'_> {
    fn goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## Goals\n")?;
        writeln!(
            f,
            "| `sente-edn` | against | must | stretch | instructions | time | allocations | verdict |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---|")?;
        for goal in GOALS {
            let (instructions, time) = (self.instructions(goal), self.time(goal));
            let ratio = instructions.as_ref().or(time.as_ref());
            let against = ratio.map_or("", |(_, peer)| peer);
            let show = |ratio: &Option<(f64, String)>| {
                let ratio = ratio.as_ref();
                ratio.map_or_else(String::new, |(ratio, _)| format!("{ratio:.2}"))
            };
            let allocations = self.allocations(&goal.case());
            let bound = goal.allocations;
            let bound = bound.map_or_else(String::new, |bound| format!(", {bound} allocations"));
            writeln!(
                f,
                "| {} | {against} | {:.2}{bound} | {:.2} | {} | {} | {} | {} |",
                goal.label,
                goal.must,
                goal.stretch,
                show(&instructions),
                show(&time),
                optional(allocations),
                verdict(goal, ratio.map(|(ratio, _)| *ratio), allocations),
            )?;
        }
        Ok(())
    }

    fn instructions(&self, goal: &Goal) -> Option<(f64, String)> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        ratio(goal, |name| {
            self.measured
                .instructions
                .get(name)
                .map(|&count| count as f64)
        })
    }

    fn time(&self, goal: &Goal) -> Option<(f64, String)> {
        ratio(goal, |name| {
            self.measured.times.get(name).map(|times| times.median)
        })
    }

    fn allocations(&self, name: &str) -> Option<u64> {
        let heap = self.measured.heap.get(name);
        heap.map(|heap| heap.allocations)
    }

    fn document(&self, f: &mut fmt::Formatter<'_>, document: Document) -> fmt::Result {
        let mut cases: Vec<&Case> = self.cases.iter().collect();
        cases.retain(|case| case.document == document);
        // Cases come by codec; a page is read by work.
        let mut order: Vec<&str> = Vec::new();
        for case in &cases {
            if !order.contains(&case.work) {
                order.push(case.work);
            }
        }
        cases.sort_by_key(|case| order.iter().position(|work| *work == case.work));
        writeln!(f, "\n## Document: {}\n", document.name())?;
        let large = document == Document::Large;
        let (unit, divisor) = if large { ("ms", 1e6) } else { ("ns", 1.0) };
        writeln!(
            f,
            "| work | codec | bytes | instructions | {unit} (least–most) | MB/s | allocations | peak bytes |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---:|")?;
        for case in cases {
            let name = case.name();
            let bytes = document.bytes(case.format).len();
            write!(f, "| {} | {} | {bytes} | ", case.work, case.codec)?;
            let instructions = self.measured.instructions.get(&name);
            write!(f, "{} | ", optional(instructions))?;
            match self.measured.times.get(&name) {
                None => write!(f, " | | ")?,
                Some(times) => {
                    let [median, least, most] =
                        [times.median, times.least, times.most].map(|time| time / divisor);
                    let digits = if large { 2 } else { 0 };
                    #[expect(clippy::cast_precision_loss, reason = "documents are small")]
                    let speed = bytes as f64 / times.median * 1e3;
                    write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$}) | ")?;
                    write!(f, "{speed:.0} | ")?;
                }
            }
            let heap = self.measured.heap.get(&name);
            let (allocations, peak) = heap.map(|heap| (heap.allocations, heap.peak)).unzip();
            writeln!(f, "{} | {} |", optional(allocations), optional(peak))?;
        }
        Ok(())
    }
}

fn optional<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Our cost by that of the cheapest peer, and who that is.
fn ratio(goal: &Goal, cost: impl Fn(&str) -> Option<f64>) -> Option<(f64, String)> {
    let ours = cost(&goal.case())?;
    let peers = goal.peers.iter().zip(goal.peer_cases());
    let costs = peers.filter_map(|((work, codec), case)| Some((cost(&case)?, work, codec)));
    let (least, work, codec) = costs.min_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
    Some((ours / least, format!("`{codec}` {work}")))
}

fn verdict(goal: &Goal, ratio: Option<f64>, allocations: Option<u64>) -> &'static str {
    let Some(ratio) = ratio else {
        return "not measured";
    };
    let too_many = |bound| allocations.is_some_and(|allocations| allocations > bound);
    if ratio > goal.must || goal.allocations.is_some_and(too_many) {
        "**missed**"
    } else if ratio > goal.stretch {
        "must"
    } else {
        "stretch"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> &'static Goal {
        let goal = GOALS.iter().find(|goal| goal.ours == "frame");
        goal.unwrap()
    }

    #[test]
    fn a_verdict_says_which_goal_was_reached() {
        let verdict = |ratio| verdict(frame(), Some(ratio), Some(0));
        assert_eq!(verdict(0.45), "must");
        assert_eq!(verdict(0.25), "stretch");
        assert_eq!(verdict(0.46), "**missed**");
    }

    #[test]
    fn an_allocation_too_many_misses_the_goal() {
        assert_eq!(verdict(frame(), Some(0.1), Some(1)), "**missed**");
    }

    #[test]
    fn every_goal_compares_cases_that_there_are() {
        let names: Vec<_> = crate::cases::all().iter().map(Case::name).collect();
        for goal in GOALS {
            assert!(names.contains(&goal.case()), "{}", goal.case());
            for peer in goal.peer_cases() {
                // The other codecs are behind a feature.
                assert!(names.contains(&peer) || !cfg!(feature = "peers"), "{peer}");
            }
        }
    }

    #[test]
    fn a_ratio_is_to_the_cheapest_peer() {
        let goal = GOALS.iter().find(|goal| goal.peers.len() > 1).unwrap();
        let cost = |name: &str| match name {
            "scan/medium/sente-edn" => Some(10.0),
            "value/medium/edn-rs" => Some(20.0),
            "value/medium/edn-format" => Some(40.0),
            _ => None,
        };
        assert_eq!(ratio(goal, cost), Some((0.5, "`edn-rs` value".to_owned())));
    }
}
