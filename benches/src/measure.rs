//! Time, taken so that a busy machine disturbs it little: the processor time of this thread, in
//! interleaved rounds, of which the median counts.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::cases::{Case, Operation};

/// How long one batch should take: far longer than reading the clock.
const BATCH: Duration = Duration::from_millis(2);

/// What one operation of a case took.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the benchmarks' own")]
pub struct Times {
    /// Of all rounds the one in the middle, in nanoseconds.
    pub median: f64,
    /// The quickest round.
    pub least: f64,
    /// The slowest round.
    pub most: f64,
}

/// Measures cases beside each other: in each round every case does one batch of operations.
///
/// The times are in the order of the cases.
#[must_use]
pub fn interleaved(cases: &[&Case], rounds: usize) -> Vec<Times> {
    in_turn(cases.iter().map(|case| case.prepare()), rounds)
}

/// The same of operations that are ready.
#[must_use]
pub fn in_turn(operations: impl Iterator<Item = Operation>, rounds: usize) -> Vec<Times> {
    let mut running: Vec<Running> = operations.map(Running::new).collect();
    for round in 0..rounds {
        // Who comes after whom changes, so that no case always finds the caches of the same one.
        for index in 0..running.len() {
            let at = (index * stride(round, running.len()) + round) % running.len();
            running[at].batch();
        }
    }
    running.into_iter().map(Running::times).collect()
}

/// A step that visits all of `len` places: one without a common divisor.
fn stride(round: usize, len: usize) -> usize {
    let steps = (1..len.max(2)).filter(|step| gcd(*step, len) == 1);
    let steps: Vec<_> = steps.collect();
    steps.get(round % steps.len().max(1)).copied().unwrap_or(1)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

struct Running {
    operation: Operation,
    /// Operations a batch.
    size: u32,
    times: Vec<f64>,
}

impl Running {
    fn new(mut operation: Operation) -> Self {
        // The first operations warm up; then a batch is made long enough.
        operation();
        let mut size = 1;
        while size < 1 << 24 && batch(&mut operation, size) < BATCH {
            size *= 2;
        }
        Self {
            operation,
            size,
            times: Vec::new(),
        }
    }

    fn batch(&mut self) {
        let took = batch(&mut self.operation, self.size);
        self.times
            .push(took.as_secs_f64() * 1e9 / f64::from(self.size));
    }

    fn times(mut self) -> Times {
        self.times.sort_by(f64::total_cmp);
        let at = |index: usize| self.times.get(index).copied().unwrap_or(f64::NAN);
        Times {
            median: at(self.times.len() / 2),
            least: at(0),
            most: at(self.times.len().saturating_sub(1)),
        }
    }
}

/// The processor time that so many operations take.
fn batch(operation: &mut Operation, size: u32) -> Duration {
    let start = now();
    for _ in 0..size {
        operation();
    }
    now().saturating_sub(start)
}

/// The processor time of this thread. Other threads and processes do not move it.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("the clock began at zero");
    let nanoseconds = u32::try_from(time.tv_nsec).expect("below a second");
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_visits_every_case_once() {
        for len in 1..30 {
            for round in 0..40 {
                let mut seen: Vec<_> = (0..len)
                    .map(|index| (index * stride(round, len) + round) % len)
                    .collect();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..len), "{len} {round}");
            }
        }
    }
}
