//! What was dropped on the sending side, told once and in one report.

use crate::connection::Dropped;
use crate::packed::PackedEvent;
use crate::packer::Format;

use super::{Outgoing, WAITING_OVERHEAD};

/// Why an event that was handed in is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Oldest,
    Replaced,
    Volatile,
}

/// What was dropped since the last report was taken.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    report: Dropped,
    /// What the events in the report hold, their administration included.
    held: usize,
}

impl Drops {
    /// Nothing was dropped.
    pub(crate) const NONE: Self = Self {
        report: Dropped::NONE,
        held: 0,
    };

    /// Notes a drop; the event itself while those in the report hold no more than `keep` bytes.
    /// Whether it is the first of a new report, which is to be announced then.
    pub(crate) fn note(&mut self, item: Outgoing, format: &str, keep: usize) -> bool {
        let first = self.report.count == 0;
        let len = item.len();
        self.report.count = self.report.count.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(len as u64);
        let held = self
            .held
            .saturating_add(len.saturating_add(WAITING_OVERHEAD));
        if let Outgoing::Event {
            packed,
            sealed,
            portable,
            ..
        } = item
            && held <= keep
        {
            self.held = held;
            self.report.events.push(PackedEvent {
                bytes: packed,
                format: Format::new(format),
                sealed,
                portable,
                traceparent: None,
                queued_as: None,
            });
        }
        first
    }

    /// The report. The next drop begins another.
    pub(crate) fn take(&mut self) -> Dropped {
        self.held = 0;
        core::mem::take(&mut self.report)
    }
}
