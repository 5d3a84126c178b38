//! Latencies in a fixed room: each counts in a bucket that is at most 1 % wide.

use std::time::Duration;

/// How often each latency was measured.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    most: u64,
}

/// Buckets for each doubling, as a power of two.
const FINE: u32 = 7;

/// Buckets for all nanoseconds that 64 bits can count.
const BUCKETS: usize = (64 - FINE as usize + 1) << FINE;

impl Histogram {
    /// Nothing measured yet.
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            count: 0,
            sum: 0,
            most: 0,
        }
    }

    /// Counts one.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += u128::from(nanos);
        self.most = self.most.max(nanos);
    }

    /// Takes in what another one counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.most = self.most.max(other.most);
    }

    /// How many were counted.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub(crate) const fn most(&self) -> Duration {
        Duration::from_nanos(self.most)
    }

    /// The mean, exactly; zero of nothing.
    pub(crate) fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count));
        Duration::from_nanos(mean.and_then(|mean| mean.try_into().ok()).unwrap_or(0))
    }

    /// The latency that so many of a thousand do not exceed: never less than it was, and at most 1 %
    /// more. Zero of nothing.
    pub(crate) fn permille(&self, permille: u64) -> Duration {
        let wanted = u128::from(self.count) * u128::from(permille);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if *count > 0 && seen * 1000 >= wanted {
                return Duration::from_nanos(end(bucket).min(self.most));
            }
        }
        self.most()
    }
}

/// Below 256 each number has its own; above, each doubling has 128.
fn bucket(nanos: u64) -> usize {
    let doublings = u64::BITS.saturating_sub(nanos.leading_zeros() + FINE + 1);
    let fine = nanos >> doublings;
    let bucket = (u64::from(doublings) << FINE) + fine;
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The largest number of a bucket.
fn end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket >> FINE).saturating_sub(1);
    let fine = bucket - (doublings << FINE);
    let next = u128::from(fine + 1) << doublings;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_in_its_bucket_and_less_than_one_percent_from_its_end() {
        let mut numbers: Vec<u64> = (0..5000).collect();
        for power in 12..64 {
            numbers.extend([
                (1 << power) - 1,
                1 << power,
                (1 << power) + (1 << (power - 2)),
            ]);
        }
        numbers.push(u64::MAX);
        for number in numbers {
            let end = end(bucket(number));
            assert!(end >= number, "{number}: {end}");
            assert!(
                (end - number) as f64 <= number as f64 / 100.0,
                "{number}: {end}"
            );
            assert!(bucket(number) < BUCKETS, "{number}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::new();
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let near = |found: Duration, millis: u64| {
            let wanted = Duration::from_millis(millis);
            found >= wanted && found <= wanted + wanted / 100
        };
        assert!(near(histogram.permille(500), 50));
        assert!(near(histogram.permille(990), 99));
        assert_eq!(histogram.permille(1000), Duration::from_millis(100));
        assert_eq!(histogram.most(), Duration::from_millis(100));
        assert_eq!(histogram.mean(), Duration::from_micros(50_500));
    }

    #[test]
    fn nothing_recorded_is_zero() {
        let empty = Histogram::new();
        assert_eq!(empty.permille(990), Duration::ZERO);
        assert_eq!(empty.mean(), Duration::ZERO);
    }

    #[test]
    fn what_several_counted_is_one() {
        let (mut one, mut other) = (Histogram::new(), Histogram::new());
        one.record(Duration::from_millis(1));
        other.record(Duration::from_millis(9));
        one.add(&other);
        assert_eq!(one.count(), 2);
        assert_eq!(one.permille(1000), Duration::from_millis(9));
    }
}
