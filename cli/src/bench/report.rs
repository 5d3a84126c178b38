//! What `sente bench` prints, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::histogram::Histogram;

/// What was asked for, and what came of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) url: String,
    pub(crate) dialect: &'static str,
    pub(crate) packer: String,
    pub(crate) event: String,
    /// The event that answers it, where it is no call.
    pub(crate) answer: Option<String>,
    pub(crate) size: usize,
    pub(crate) connections: usize,
    pub(crate) window: usize,
    /// How long was measured.
    pub(crate) took: Duration,
    /// Of the calls that were answered.
    pub(crate) latency: Histogram,
    /// Calls that were answered with an error, or not in time.
    pub(crate) errors: u64,
    pub(crate) timeouts: u64,
    /// Bytes of all connections since they began, framing included.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// What is said of latencies: a name, and how many of a thousand do not exceed it.
const SHARES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

impl Report {
    fn per_second(&self) -> f64 {
        let seconds = self.took.as_secs_f64().max(1e-9);
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let count = self.latency.count() as f64;
        count / seconds
    }

    /// A line for each thing that is said.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "server    {} ({}, {})",
            self.url, self.dialect, self.packer
        );
        let (connections, window) = (self.connections, self.window);
        let each = if connections == 1 { "" } else { " on each" };
        let _ = write!(
            text,
            "load      {connections} connection{}, {window} ",
            plural(connections)
        );
        let _ = match &self.answer {
            None => writeln!(
                text,
                "call{} of :{} with {} B under way{each}",
                plural(window),
                self.event,
                self.size
            ),
            Some(answer) => writeln!(
                text,
                "event{} :{} with {} B under way{each}, answered by :{answer}",
                plural(window),
                self.event,
                self.size
            ),
        };
        let _ = writeln!(
            text,
            "answered  {} in {}, {:.0} a second",
            self.latency.count(),
            shown(self.took),
            self.per_second(),
        );
        let _ = writeln!(
            text,
            "bytes     {} sent, {} received, warm-up included",
            self.sent, self.received
        );
        let _ = write!(text, "latency ");
        for (name, permille) in SHARES {
            let latency = self.latency.permille(permille);
            let _ = write!(text, "  {name} {}", shown(latency));
        }
        let _ = writeln!(text, "  most {}", shown(self.latency.most()));
        if self.errors + self.timeouts > 0 {
            let _ = writeln!(
                text,
                "failed    {} answered with an error, {} not answered in time",
                self.errors, self.timeouts
            );
        }
        text
    }

    /// One object on one line. Times are in nanoseconds.
    pub(crate) fn json(&self) -> String {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let share = |permille| nanos(self.latency.permille(permille));
        let object = json!({
            "url": self.url,
            "dialect": self.dialect,
            "packer": self.packer,
            "event": self.event,
            "size": self.size,
            "connections": self.connections,
            "window": self.window,
            "duration_ns": nanos(self.took),
            "answered": self.latency.count(),
            "per_second": self.per_second(),
            "errors": self.errors,
            "timeouts": self.timeouts,
            "bytes_sent": self.sent,
            "bytes_received": self.received,
            "latency_ns": {
                "mean": nanos(self.latency.mean()),
                "p50": share(500),
                "p90": share(900),
                "p99": share(990),
                "p999": share(999),
                "most": nanos(self.latency.most()),
            },
        });
        format!("{object}\n")
    }
}

/// A time with three digits or so: `12.3 µs`.
fn shown(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    let (number, unit) = match nanos {
        short if short < 1e3 => (short, "ns"),
        short if short < 1e6 => (short / 1e3, "µs"),
        short if short < 1e9 => (short / 1e6, "ms"),
        long => (long / 1e9, "s"),
    };
    let digits = match number {
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    format!("{number:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut latency = Histogram::new();
        latency.record(Duration::from_micros(20));
        latency.record(Duration::from_micros(40));
        Report {
            url: "tcp://127.0.0.1:1".to_owned(),
            dialect: "sente-lite",
            packer: "edn".to_owned(),
            event: "test/echo".to_owned(),
            answer: None,
            size: 100,
            connections: 1,
            window: 2,
            took: Duration::from_millis(500),
            latency,
            errors: 1,
            timeouts: 0,
            sent: 10,
            received: 20,
        }
    }

    #[test]
    fn a_report_is_a_few_lines() {
        assert_eq!(
            report().text(),
            "server    tcp://127.0.0.1:1 (sente-lite, edn)\n\
             load      1 connection, 2 calls of :test/echo with 100 B under way\n\
             answered  2 in 500 ms, 4 a second\n\
             bytes     10 sent, 20 received, warm-up included\n\
             latency   p50 20.1 µs  p90 40.0 µs  p99 40.0 µs  p99.9 40.0 µs  most 40.0 µs\n\
             failed    1 answered with an error, 0 not answered in time\n"
        );
    }

    #[test]
    fn events_are_no_calls_and_many_connections_have_as_many_each() {
        let mut report = report();
        report.answer = Some("sente-lite/echo".to_owned());
        report.connections = 3;
        let text = report.text();
        assert!(
            text.contains(
                "3 connections, 2 events :test/echo with 100 B under way on each, \
                 answered by :sente-lite/echo\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_report_is_one_object() {
        let json = report().json();
        assert_eq!(json.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["answered"], 2);
        assert_eq!(value["latency_ns"]["most"], 40_000);
        assert_eq!(value["per_second"], 4.0);
    }

    #[test]
    fn times_have_three_digits() {
        let shown = |nanos| shown(Duration::from_nanos(nanos));
        assert_eq!(shown(7), "7.00 ns");
        assert_eq!(shown(12_345), "12.3 µs");
        assert_eq!(shown(123_456_789), "123 ms");
        assert_eq!(shown(61_000_000_000), "61.0 s");
    }
}
