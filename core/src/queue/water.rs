//! How full a send queue is at its high and low water.

use crate::limits::Limits;

use super::SendQueue;

/// The marks of a send queue, worked out once for all connections of a configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaterMarks {
    /// Above it `HighWater` is told.
    pub(crate) high: Mark,
    /// The same, or a limit that is lower: up to it there is room, and nothing to tell.
    pub(crate) calm: Mark,
    /// At it, or below, `SendReady` is.
    pub(crate) low: Mark,
}

/// So many messages, and so many bytes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    messages: usize,
    bytes: usize,
}

impl WaterMarks {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            high: Mark::new(limits, limits.send_high_water),
            calm: Mark::new(limits, limits.send_high_water.min(100)),
            low: Mark::new(limits, limits.send_low_water.min(limits.send_high_water)),
        }
    }
}

impl Mark {
    /// So many percent of either limit.
    fn new(limits: &Limits, percent: u8) -> Self {
        let part = |limit: usize| {
            let part = (limit as u128).saturating_mul(percent.into()) / 100;
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        Self {
            messages: part(limits.max_send_messages),
            bytes: part(limits.max_send_bytes),
        }
    }

    /// Whether the queue holds no more of either.
    #[inline]
    pub(crate) fn covers(self, queue: &SendQueue) -> bool {
        queue.len() <= self.messages && queue.bytes() <= self.bytes
    }

    /// Whether it would with one more message of `len` bytes.
    #[inline]
    pub(crate) fn covers_also(self, queue: &SendQueue, len: usize) -> bool {
        queue.len() < self.messages && queue.bytes().saturating_add(len) <= self.bytes
    }
}
