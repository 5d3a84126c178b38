//! What was measured, as it is kept and shown.

use std::collections::BTreeMap;

use peer_shapes::stats::{Summary, summary};
use serde::{Deserialize, Serialize};

/// Everything of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// What the figures depend on: machine, versions.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) works: Vec<Measured>,
}

/// One piece of work, done by several servers in turn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// What `--only` calls it.
    pub(crate) name: String,
    pub(crate) title: String,
    /// The server that the others are compared with.
    pub(crate) against: String,
    /// How many processes wanted to run when it began.
    pub(crate) load: f64,
    /// When it was done, in words.
    #[serde(default)]
    pub(crate) at: String,
    /// How many seconds it took.
    #[serde(default)]
    pub(crate) took: f64,
    pub(crate) rows: Vec<Row>,
}

/// What one server did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) server: String,
    /// By figure, one number for each round.
    pub(crate) figures: BTreeMap<Figure, Vec<f64>>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Figure {
    /// Messages answered in a second.
    Rate,
    /// The same in a second of processor time, the server's and the driver's together: what the rate
    /// would be if the two had one processor to themselves.
    Throughput,
    /// Round trip, microseconds.
    P50,
    P99,
    /// The same while one reader has stopped.
    P99Slowed,
    /// Processor time of the server for each message or delivery, nanoseconds.
    Cpu,
    /// Context switches of the server for each message.
    Switches,
    /// Bytes both ways for each message, framing included.
    Wire,
    /// Of the driver's processor, how much of its time the driver took, in percent.
    Driver,
    /// Of the time of the round, how much is left out of the latencies, in percent: other programs had
    /// the processor.
    LeftOut,
    /// Until half of all deliveries, milliseconds.
    Half,
    /// Until the last delivery, milliseconds.
    Last,
    /// Of the server for each connection, KiB.
    Memory,
    /// The same after traffic.
    MemoryAfter,
}

impl Figure {
    /// The head of its column.
    pub(crate) const fn head(self) -> &'static str {
        match self {
            Self::Rate => "1/s",
            Self::Throughput => "1/s of CPU",
            Self::P50 => "p50 µs",
            Self::P99 => "p99 µs",
            Self::P99Slowed => "p99 µs, one stopped",
            Self::Cpu => "server CPU ns",
            Self::Switches => "switches",
            Self::Wire => "bytes",
            Self::Driver => "driver %",
            Self::LeftOut => "left out %",
            Self::Half => "half ms",
            Self::Last => "last ms",
            Self::Memory => "KiB, idle",
            Self::MemoryAfter => "KiB, after",
        }
    }

    /// How a number of it is written.
    pub(crate) fn show(self, number: f64) -> String {
        match self {
            Self::Rate | Self::Throughput | Self::Cpu | Self::Wire => grouped(number),
            Self::P50 | Self::P99 | Self::P99Slowed | Self::Driver | Self::LeftOut => {
                format!("{number:.1}")
            }
            Self::Switches => format!("{number:.3}"),
            _ => format!("{number:.2}"),
        }
    }
}

impl Figure {
    /// How a round number of its scale is written.
    pub(crate) fn tick(self, number: f64) -> String {
        if number.fract() == 0.0 {
            grouped(number)
        } else {
            self.show(number)
        }
    }
}

impl Results {
    /// Puts a work in the place of what was known of it, and all in the order that `names` gives.
    /// What none of them names is not measured any more, and left out.
    pub(crate) fn keep(&mut self, measured: Measured, names: &[&str]) {
        self.works.retain(|work| work.name != measured.name);
        self.works.push(measured);
        let place = |work: &Measured| names.iter().position(|name| *name == work.name);
        self.works.retain(|work| place(work).is_some());
        self.works.sort_by_key(place);
    }

    /// As they are kept: a line for each server, with no more digits than tell anything.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub(crate) fn to_text(&self) -> Result<String, String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let text = text.replace("{\"name\":", "\n{\"name\":");
        Ok(text.replace("{\"server\":", "\n{\"server\":") + "\n")
    }

    pub(crate) fn work(&self, name: &str) -> Option<&Measured> {
        self.works.iter().find(|work| work.name == name)
    }
}

impl Measured {
    pub(crate) fn row(&self, server: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.server == server)
    }

    /// The figure of one server over that of another, round by round.
    pub(crate) fn ratio(&self, figure: Figure, server: &str, against: &str) -> Option<Summary> {
        let (one, other) = (self.row(server)?, self.row(against)?);
        ratio(one.figures.get(&figure)?, other.figures.get(&figure)?)
    }
}

impl Row {
    pub(crate) fn summary(&self, figure: Figure) -> Option<Summary> {
        self.figures.get(&figure).map(|rounds| summary(rounds))
    }
}

/// Of rounds that were done in turn.
pub(crate) fn ratio(one: &[f64], other: &[f64]) -> Option<Summary> {
    let pairs = one.iter().zip(other);
    let ratios: Vec<f64> = pairs
        .filter(|(_, other)| **other > 0.0)
        .map(|(one, other)| one / other)
        .collect();
    (!ratios.is_empty()).then(|| summary(&ratios))
}

/// A whole number with a comma for every thousand.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_each_round() {
        let ratio = ratio(&[10.0, 30.0, 8.0], &[10.0, 10.0, 4.0]).unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (2.0, 1.0, 3.0));
    }

    #[test]
    fn a_work_that_is_measured_again_takes_its_place() {
        let measured = |name: &str, load| Measured {
            name: name.to_owned(),
            load,
            ..Measured::default()
        };
        let mut results = Results::default();
        for (name, load) in [("b", 1.0), ("gone", 1.0), ("a", 1.0), ("b", 2.0)] {
            results.keep(measured(name, load), &["a", "b"]);
        }
        let kept = results.works.iter().map(|work| (&*work.name, work.load));
        assert!(kept.eq([("a", 1.0), ("b", 2.0)]));
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(grouped(1_234_567.4), "1,234,567");
        assert_eq!(grouped(999.0), "999");
    }
}
