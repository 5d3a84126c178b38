//! What was weighed and counted, as a page of Markdown.

use std::collections::HashMap;
use std::fmt::{self, Display};

use super::cases::Case;
use super::shapes::Size;
use super::sizes::{self, Message, Named};
use crate::measure::Times;

/// The page. Without counts it has the sizes only.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Page<'a> {
    /// Every case, by work.
    pub cases: &'a [Case],
    /// Instructions of one operation, by the names of cases.
    pub instructions: &'a HashMap<String, u64>,
    /// Allocations of one operation, by the names of cases.
    pub allocations: &'a HashMap<String, u64>,
    /// What one operation took, by the names of cases.
    pub times: &'a HashMap<String, Times>,
    /// What the figures depend on: machine, versions.
    pub environment: &'a [(String, String)],
}

/// The ratio to the plain library that is allowed.
const MUST: f64 = 1.5;

/// What is held to [`MUST`]: in words, the work, ours and the plain library.
const GOALS: &[(&str, &str, &str, &str)] = &[
    (
        "`PackedEvent::pack_typed`",
        "pack-event",
        "msgpack",
        "rmp-serde",
    ),
    ("`Payload::typed`", "pack-typed", "msgpack", "rmp-serde"),
    (
        "`msgpack::to_vec`",
        "pack-typed",
        "msgpack::to_vec",
        "rmp-serde",
    ),
    (
        "`Payload::deserialize`",
        "unpack-typed",
        "msgpack",
        "rmp-serde",
    ),
    (
        "`msgpack::from_slice`",
        "unpack-typed",
        "msgpack::from_slice",
        "rmp-serde",
    ),
    (
        "`PackedEvent::pack_typed`",
        "pack-event",
        "json",
        "serde_json",
    ),
    ("`Payload::typed`", "pack-typed", "json", "serde_json"),
    (
        "`Payload::deserialize`",
        "unpack-typed",
        "json",
        "serde_json",
    ),
];

/// The works, and what a page says of them.
const WORKS: &[(&str, &str)] = &[
    (
        "pack-event",
        "Pack an event with typed data: `PackedEvent::pack_typed`; the libraries write a pair of id and data",
    ),
    (
        "pack-typed",
        "Pack typed data: `Payload::typed`, `msgpack::to_vec`",
    ),
    (
        "unpack-typed",
        "Unpack typed data: `Payload::deserialize`, `msgpack::from_slice`",
    ),
    (
        "pack-value",
        "Pack an event that is a value: `Packer::pack`",
    ),
    (
        "unpack-value",
        "Unpack an event as a value: `Packer::unpack`",
    ),
    (
        "gzip",
        "Compress the MessagePack of the event: `Gzip::seal`, without its threshold",
    ),
    ("gunzip", "Inflate it: `Gzip::open`"),
    (
        "route",
        "Read a WebSocket frame of the event into an event whose data stay packed, and find its handler: `Connection::handle_input`, `Registry::dispatch`",
    ),
    (
        "queue",
        "Queue an event that is packed, and write it: `Connection::send_packed`, `poll_transmit`",
    ),
    (
        "batch",
        "Pack 20 events with typed data, and write them at once: `Connection::send_typed`, `poll_transmit`; all 20",
    ),
];

/// What every packer does with a message, and how the overview names it.
const OVERVIEW: &[(&str, &str)] = &[
    ("pack", "pack-typed"),
    ("unpack", "unpack-typed"),
    ("dispatch", "route"),
    ("queue", "queue"),
    ("batch of 20", "batch"),
];

const INTRODUCTION: &str = "\
# The packers beside each other

Made by `cargo xtask bench packers --write`; do not edit.

The messages are events `[:chat/msg {…}]` with a few numbers, rows and words, which as compact JSON
have 100 bytes, 1 KB and 64 KB, and vectors of 20 such events. The smallest has no rows. The events
of a batch differ in ids, times, users, and in where their words begin, but otherwise are alike, so
what gzip makes of a batch is about the best it can do. Envelopes are not in the figures: around a
batch Sente's takes 6 bytes more in EDN and 2 in MessagePack.
";

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INTRODUCTION}\n## Measured with\n")?;
        for (what, which) in self.environment {
            writeln!(f, "- {what}: {which}")?;
        }
        Weights::new().fmt(f)?;
        if !self.instructions.is_empty() {
            self.goals(f)?;
            self.overview(f)?;
            self.costs(f)?;
        }
        Ok(())
    }
}

/// The bytes of every message with every packer.
struct Weights {
    messages: Vec<Message>,
    names: Vec<&'static str>,
    plain: Vec<Vec<usize>>,
    gzipped: Vec<Vec<usize>>,
}

impl Weights {
    fn new() -> Self {
        let messages = sizes::messages();
        let weigh = |packers: Vec<Named>| -> Vec<Vec<usize>> {
            let of = |message: &Message| {
                let packers = packers.iter();
                packers
                    .map(|(_, packer)| sizes::weigh(&**packer, &message.value))
                    .collect()
            };
            messages.iter().map(of).collect()
        };
        Self {
            names: sizes::plain().into_iter().map(|(name, _)| name).collect(),
            plain: weigh(sizes::plain()),
            gzipped: weigh(sizes::gzipped()),
            messages,
        }
    }

    fn table(
        &self,
        f: &mut fmt::Formatter<'_>,
        cell: impl Fn(usize, usize) -> String,
    ) -> fmt::Result {
        writeln!(f, "| message | {} |", self.names.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.names.len()))?;
        for (row, message) in self.messages.iter().enumerate() {
            let cells = (0..self.names.len()).map(|column| cell(row, column));
            let cells: Vec<_> = cells.collect();
            writeln!(f, "| {} | {} |", message.label, cells.join(" | "))?;
        }
        Ok(())
    }

    /// By how much less than EDN text it is.
    fn saved(&self, row: usize, bytes: usize) -> i64 {
        saved(self.plain[row][0], bytes)
    }

    /// A claim of the requirements, and what is true.
    fn claim(
        &self,
        f: &mut fmt::Formatter<'_>,
        claim: &str,
        range: std::ops::RangeInclusive<i64>,
        of: impl Fn(usize) -> usize,
    ) -> fmt::Result {
        writeln!(f, "\n{claim}:\n")?;
        let mut holds = Vec::new();
        for (row, message) in self.messages.iter().enumerate() {
            let saved = self.saved(row, of(row));
            let verdict = if range.contains(&saved) {
                "as claimed"
            } else if saved < *range.start() {
                "less than claimed"
            } else {
                "more than claimed"
            };
            if saved >= *range.start() {
                holds.push(message.label.as_str());
            }
            writeln!(f, "- {}: {saved} %, {verdict}", message.label)?;
        }
        match (holds.len(), self.messages.len()) {
            (0, _) => writeln!(f, "\nThe claim is true of none of these messages."),
            (some, all) if some == all => writeln!(f, "\nThe claim is true of all of them."),
            _ => writeln!(f, "\nThe claim is true only of {}.", holds.join(", ")),
        }
    }

    fn column(&self, name: &str) -> usize {
        self.names
            .iter()
            .position(|known| *known == name)
            .expect("a packer")
    }
}

impl Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n## Sizes\n\nIn bytes, as they travel. “cache” is with `key_cache(true)`, as Sente's own \
             packers write: keys\nthat came before are named by number.\n"
        )?;
        self.table(f, |row, column| self.plain[row][column].to_string())?;
        writeln!(
            f,
            "\nWith gzip around it (`Gzip`, level 6, messages of less than 1,024 bytes left as they \
             are, one\nbyte of flag):\n"
        )?;
        self.table(f, |row, column| self.gzipped[row][column].to_string())?;
        writeln!(
            f,
            "\nBy how many percent shorter than EDN text, and with gzip:\n"
        )?;
        self.table(f, |row, column| {
            let plain = self.saved(row, self.plain[row][column]);
            let gzipped = self.saved(row, self.gzipped[row][column]);
            format!("{plain} / {gzipped}")
        })?;
        writeln!(f, "\n## What was claimed, and what is true")?;
        let (plain, cached) = (self.column("msgpack"), self.column("msgpack, cache"));
        let claim = "“MessagePack is 50–70 % smaller than EDN text”";
        self.claim(f, claim, 50..=70, |row| self.plain[row][plain])?;
        let claim = "The same with the key cache, as Sente writes it";
        self.claim(f, claim, 50..=70, |row| self.plain[row][cached])?;
        let claim = "“A binary packer plus gzip saves 70–90 % of EDN text”";
        self.claim(f, claim, 70..=90, |row| self.gzipped[row][plain])?;
        let claim =
            "The same with `threshold(1)`, so that the shorter messages are compressed as well";
        let gzip = sizes::always_gzipped();
        self.claim(f, claim, 70..=90, |row| {
            sizes::weigh(&gzip, &self.messages[row].value)
        })?;
        let worth = (0..self.messages.len())
            .map(|row| saved(self.gzipped[row][0], self.gzipped[row][plain]));
        let worth: Vec<_> = worth.map(|percent| format!("{percent} %")).collect();
        writeln!(
            f,
            "\nUnder gzip the packer hardly matters: MessagePack then saves {} of\nwhat EDN takes, \
             message by message as above. What the key cache saves, gzip saves as well.",
            worth.join(", ")
        )
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a percentage")]
#[expect(clippy::cast_precision_loss, reason = "messages are short")]
fn saved(whole: usize, part: usize) -> i64 {
    (100.0 * (1.0 - part as f64 / whole as f64)).round() as i64
}

impl Page<'_> {
    fn count(&self, work: &str, size: Size, codec: &str) -> Option<u64> {
        let name = format!("{work}/{}/{codec}", size.name());
        self.instructions.get(&name).copied()
    }

    /// What is known of a case: instructions, time, allocations.
    fn cell(&self, name: &str) -> String {
        let instructions = self.instructions.get(name).map(u64::to_string);
        let time = self.times.get(name);
        let time = time.map(|time| format!("{:.0} ns", time.median));
        let allocations = self.allocations.get(name).map(u64::to_string);
        let known = [instructions, time, allocations].into_iter().flatten();
        known.collect::<Vec<_>>().join(" · ")
    }

    fn goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n## Goals\n\nTyped work costs at most {MUST} times what the plain library takes for the \
             same data, in instructions.\n"
        )?;
        let sizes = Size::ALL.map(Size::label).join(" | ");
        writeln!(f, "| packer | work | against | {sizes} | verdict |")?;
        writeln!(f, "|---|---|---|{}---|", "---:|".repeat(Size::ALL.len()))?;
        for (label, work, ours, peer) in GOALS {
            let ratio = |size: Size| {
                let (ours, peer) = (self.count(work, size, ours)?, self.count(work, size, peer)?);
                Some(ratio(ours, peer))
            };
            let ratios = Size::ALL.map(ratio);
            let shown =
                ratios.map(|ratio| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
            let verdict = if ratios.iter().any(Option::is_none) {
                "not measured"
            } else if ratios.iter().flatten().any(|ratio| *ratio > MUST) {
                "**missed**"
            } else {
                "met"
            };
            let packer = ours.split("::").next().unwrap_or_default();
            writeln!(
                f,
                "| {packer} | {label} | `{peer}` | {} | {verdict} |",
                shown.join(" | ")
            )?;
        }
        Ok(())
    }

    /// The times alone, packer by packer.
    fn overview(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n## Processor time of each step\n\nNanoseconds of the thread's processor time. The data \
             are a Rust type where they are packed, unpacked and\nbatched. What exactly is done, and \
             what else it takes, is below."
        )?;
        let headings: Vec<_> = OVERVIEW.iter().map(|(heading, _)| *heading).collect();
        for size in Size::ALL {
            writeln!(f, "\n| {} | {} |", size.label(), headings.join(" | "))?;
            writeln!(f, "|---|{}", "---:|".repeat(headings.len()))?;
            let routed = |case: &&Case| case.work == "route" && case.size == size;
            for Case { codec, .. } in self.cases.iter().filter(routed) {
                let cells = OVERVIEW.iter().map(|(_, work)| {
                    let name = format!("{work}/{}/{codec}", size.name());
                    let time = self.times.get(&name);
                    time.map_or_else(String::new, |time| format!("{:.0}", time.median))
                });
                let cells: Vec<_> = cells.collect();
                writeln!(f, "| {codec} | {} |", cells.join(" | "))?;
            }
        }
        Ok(())
    }

    fn costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n## Instructions, time and allocations per message\n\nInstructions, nanoseconds of the \
             thread's processor time, and allocations from the heap. Instructions\nare counted by \
             callgrind, as the difference of two numbers of repetitions; times are the medians \
             of\nrounds in which all codecs take turns; allocations are counted by `dhat`, and a block \
             that grows is\nanother. What is read is dropped\nwithin. The plain libraries write names as strings; \
             ours are keywords wherever the format has\nthem. `rmp-serde` writes maps with names \
             (`to_vec_named`), as ours does. A value of ours knows\nkeywords, and refuses a key that \
             repeats; those of the libraries do neither."
        )?;
        for (work, title) in WORKS {
            writeln!(f, "\n### {title}\n")?;
            let sizes = Size::ALL.map(Size::label).join(" | ");
            writeln!(f, "| codec | {sizes} |")?;
            writeln!(f, "|---|{}", "---:|".repeat(Size::ALL.len()))?;
            let mut codecs: Vec<&str> = Vec::new();
            for case in self.cases.iter().filter(|case| case.work == *work) {
                if !codecs.contains(&case.codec) {
                    codecs.push(case.codec);
                }
            }
            for codec in codecs {
                let counts =
                    Size::ALL.map(|size| self.cell(&format!("{work}/{}/{codec}", size.name())));
                writeln!(f, "| {codec} | {} |", counts.join(" | "))?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(ours: u64, peer: u64) -> f64 {
    ours as f64 / peer as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packers::cases;

    #[test]
    fn every_goal_compares_cases_that_there_are() {
        let cases = cases::all();
        for (_, work, ours, peer) in GOALS {
            for codec in [ours, peer] {
                let known = cases
                    .iter()
                    .any(|case| case.work == *work && case.codec == *codec);
                // The other codecs are behind a feature.
                assert!(known || !cfg!(feature = "peers"), "{work} {codec}");
            }
        }
    }

    #[test]
    fn the_overview_has_every_step_of_every_packer_at_every_size() {
        let cases = cases::all();
        let routed = cases.iter().filter(|case| case.work == "route");
        for Case { size, codec, .. } in routed {
            for (_, work) in OVERVIEW {
                let name = format!("{work}/{}/{codec}", size.name());
                assert!(cases.iter().any(|case| case.name() == name), "{name}");
            }
        }
    }

    #[test]
    fn every_work_is_on_the_page() {
        for case in cases::all() {
            assert!(WORKS.iter().any(|(work, _)| *work == case.work), "{case:?}");
        }
    }
}
