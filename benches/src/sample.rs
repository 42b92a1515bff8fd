//! Durations of one thing, and what they say.

use std::time::{Duration, Instant};

/// Seconds that something took, time after time. Seconds may be negative where
/// one event is dated relative to another.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds one measurement.
    pub fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64());
    }

    /// Adds one measurement in seconds.
    pub fn add_seconds(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    /// Times `work` and adds it.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.add(began.elapsed());
        result
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The measurement below which a share `q` (0 to 1) of them lies: the
    /// nearest rank. NaN if there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The ratios of this sample's measurements to those of `other`, round by
    /// round: both of a round were taken one after the other.
    #[must_use]
    pub fn ratios(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, two)| one / two).collect())
    }

    /// The same with every measurement divided by `count`.
    #[must_use]
    pub fn per(&self, count: usize) -> Self {
        Self(self.0.iter().map(|one| one / count as f64).collect())
    }

    /// Median of a ratio, and between what eight of ten rounds are, as text.
    #[must_use]
    pub fn spread(&self) -> String {
        format!("{:.2} ({:.2} to {:.2})", self.median(), self.quantile(0.1), self.quantile(0.9))
    }
}

/// Seconds, in the unit that a person would choose.
#[must_use]
pub fn seconds(value: f64) -> String {
    let size = value.abs();
    if size >= 1.0 {
        format!("{value:.2} s")
    } else if size >= 1e-3 {
        format!("{:.2} ms", value * 1e3)
    } else {
        format!("{:.1} µs", value * 1e6)
    }
}

/// How often a second.
#[must_use]
pub fn rate(seconds: f64) -> String {
    format!("{:.0}", 1.0 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let mut sample = Sample::default();
        assert!(sample.is_empty() && sample.median().is_nan());
        for seconds in [4.0, 1.0, 3.0, 2.0] {
            sample.add_seconds(seconds);
        }
        assert_eq!((sample.median(), sample.quantile(0.0)), (2.0, 1.0));
        assert_eq!((sample.quantile(0.99), sample.quantile(1.0)), (4.0, 4.0));
        assert_eq!(sample.ratios(&sample.per(2)).spread(), "2.00 (2.00 to 2.00)");
        assert_eq!(seconds(-0.0025), "-2.50 ms");
    }
}
