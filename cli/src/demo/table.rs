//! The table of a demo: who said what to whom, over what, and how long it took.

use std::fmt;
use std::time::Duration;

use crate::output::shorten;

/// One thing that was said.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Who said it.
    pub(crate) from: String,
    /// Who heard it.
    pub(crate) to: String,
    /// Over which transport.
    pub(crate) transport: &'static str,
    /// In which dialect.
    pub(crate) dialect: &'static str,
    /// Call, event, push or broadcast.
    pub(crate) what: String,
    /// What was said.
    pub(crate) said: String,
    /// What came back.
    pub(crate) answer: String,
    /// How long that took; `None` where nothing could come back.
    pub(crate) took: Option<Duration>,
}

/// All of it, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds what was said last.
    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// What took how long.
    pub(crate) fn times(&self) -> impl Iterator<Item = Duration> + '_ {
        self.rows.iter().filter_map(|row| row.took)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let rows: Vec<[String; 8]> = self.rows.iter().map(cells).collect();
        let widths: [usize; 8] = std::array::from_fn(|column| {
            let all = std::iter::once(&head).chain(&rows);
            all.filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        });
        let rule = widths.map(|width| "─".repeat(width));
        let mut last_what = None;
        line(f, &head, &widths)?;
        for row in &rows {
            let what = row.get(WHAT);
            if last_what != what {
                line(f, &rule, &widths)?;
                last_what = what;
            }
            line(f, row, &widths)?;
        }
        Ok(())
    }
}

fn cells(row: &Row) -> [String; 8] {
    [
        row.from.clone(),
        row.to.clone(),
        row.transport.to_owned(),
        row.dialect.to_owned(),
        row.what.clone(),
        shorten(&row.said, WIDEST),
        shorten(&row.answer, WIDEST),
        row.took.map_or_else(|| "-".to_owned(), show_time),
    ]
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; 8], widths: &[usize; 8]) -> fmt::Result {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if column > 0 {
            text.push_str("  ");
        }
        if column == TIME {
            text.push_str(&format!("{cell:>width$}"));
        } else {
            text.push_str(&format!("{cell:<width$}"));
        }
    }
    writeln!(f, "{}", text.trim_end())
}

/// A time as people read it: microseconds below ten milliseconds.
pub(crate) fn show_time(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 10_000 {
        format!("{micros} µs")
    } else {
        format!("{} ms", time.as_millis())
    }
}

const HEAD: [&str; 8] = [
    "FROM",
    "TO",
    "OVER",
    "DIALECT",
    "WHAT",
    "SAID",
    "ANSWER",
    "ROUND TRIP",
];
const WHAT: usize = 4;
const TIME: usize = 7;
/// How wide an event or an answer may be, in characters.
const WIDEST: usize = 34;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Row, Table, show_time};

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::default();
        for (from, micros) in [("ada", 7), ("hub", 12_345)] {
            table.push(Row {
                from: from.to_owned(),
                to: "x".to_owned(),
                transport: "TCP",
                dialect: "sente-lite",
                what: "call".to_owned(),
                said: "[:a/b \"é\"]".to_owned(),
                answer: "1".to_owned(),
                took: Some(Duration::from_micros(micros)),
            });
        }
        let text = table.to_string();
        let ends: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{text}");
    }

    #[test]
    fn a_time_has_its_unit() {
        assert_eq!(show_time(Duration::from_micros(950)), "950 µs");
        assert_eq!(show_time(Duration::from_millis(12)), "12 ms");
    }
}
