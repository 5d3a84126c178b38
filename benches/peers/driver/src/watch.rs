//! When other programs had the processor that server and driver share: what was under way then tells
//! of them, not of the server.

use std::time::{Duration, Instant};

use peer_shapes::system::{cpu_ns, idle_ns, thread_cpu_ns};

/// How long is looked at together.
const WINDOW: Duration = Duration::from_millis(10);

/// A window is disturbed when others had more than this share of it, in percent.
const ALLOWED: u64 = 5;

/// So short a window, the last of a round, is not looked at: it would be mostly the looking.
const SHORTEST: Duration = Duration::from_millis(1);

/// Looks at the processor every ten milliseconds.
///
/// What neither server nor driver had of it, nobody had (the server has them wait) or another. That
/// nobody had it is the server's doing, and no disturbance.
#[derive(Debug)]
pub(crate) struct Watch {
    server: u32,
    processor: usize,
    begun: Instant,
    /// Of the window that has begun.
    first: Look,
    disturbed: Disturbed,
    /// The driver's processor time that looking took.
    pub(crate) spent: u64,
}

/// What was read at a time, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Since the round began.
    at: u64,
    ours: u64,
    idle: u64,
}

impl Watch {
    /// For a round that has begun then. `None` where the system does not tell how long a processor was
    /// idle.
    pub(crate) fn new(server: u32, processor: usize, begun: Instant) -> Option<Self> {
        let first = Look::now(server, processor, begun)?;
        Some(Self {
            server,
            processor,
            begun,
            first,
            disturbed: Disturbed::default(),
            spent: 0,
        })
    }

    /// At a time of the round: closes the window where it is over.
    pub(crate) fn at(&mut self, now: u64) {
        if now - self.first.at >= WINDOW.as_nanos() as u64 {
            self.close();
        }
    }

    fn close(&mut self) {
        let before = thread_cpu_ns();
        if let Some(look) = Look::now(self.server, self.processor, self.begun) {
            self.disturbed.window(self.first, look);
            self.first = look;
        }
        self.spent += thread_cpu_ns() - before;
    }

    /// How much of the round was not disturbed by then.
    pub(crate) fn left(&self, now: u64) -> u64 {
        now.saturating_sub(self.disturbed.time)
    }

    /// At the end of the round: when it was disturbed.
    pub(crate) fn end(mut self, now: u64) -> Disturbed {
        if now - self.first.at >= SHORTEST.as_nanos() as u64 {
            self.close();
        }
        self.disturbed
    }
}

impl Look {
    fn now(server: u32, processor: usize, begun: Instant) -> Option<Self> {
        Some(Self {
            idle: idle_ns(processor)?,
            ours: cpu_ns(server) + thread_cpu_ns(),
            at: begun.elapsed().as_nanos() as u64,
        })
    }
}

/// Times of a round, in their order.
#[derive(Debug, Default)]
pub(crate) struct Disturbed {
    /// Their beginnings and ends, in nanoseconds of the round.
    windows: Vec<(u64, u64)>,
    /// Their sum.
    pub(crate) time: u64,
}

impl Disturbed {
    fn window(&mut self, from: Look, to: Look) {
        let length = to.at - from.at;
        // A thread that has ended takes its time with it.
        let known = to.ours.saturating_sub(from.ours) + (to.idle - from.idle);
        if length.saturating_sub(known) * 100 <= length * ALLOWED {
            return;
        }
        self.time += length;
        match self.windows.last_mut() {
            Some((_, end)) if *end == from.at => *end = to.at,
            _ => self.windows.push((from.at, to.at)),
        }
    }

    /// Whether any of it was between these times.
    pub(crate) fn touches(&self, from: u64, to: u64) -> bool {
        let after = self.windows.partition_point(|(_, end)| *end <= from);
        let next = self.windows.get(after);
        next.is_some_and(|(begin, _)| *begin < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: u64, ours: u64, idle: u64) -> Look {
        Look { at, ours, idle }
    }

    #[test]
    fn a_window_is_disturbed_by_what_neither_we_nor_nobody_had() {
        let mut disturbed = Disturbed::default();
        disturbed.window(look(0, 0, 0), look(100, 95, 0));
        disturbed.window(look(100, 95, 0), look(200, 155, 40));
        assert_eq!(disturbed.time, 0);
        disturbed.window(look(200, 155, 40), look(300, 249, 40));
        assert_eq!(
            (disturbed.time, &disturbed.windows[..]),
            (100, &[(200, 300)][..])
        );
    }

    #[test]
    fn what_was_under_way_meanwhile_is_touched() {
        let mut disturbed = Disturbed::default();
        for (from, to) in [(100, 200), (200, 300), (500, 600)] {
            disturbed.window(look(from, 0, 0), look(to, 0, 0));
        }
        assert_eq!(disturbed.windows, [(100, 300), (500, 600)]);
        for (from, to) in [(50, 101), (150, 160), (299, 400), (90, 700), (450, 501)] {
            assert!(disturbed.touches(from, to), "{from} {to}");
        }
        for (from, to) in [(0, 100), (300, 500), (600, 601)] {
            assert!(!disturbed.touches(from, to), "{from} {to}");
        }
    }
}
