//! How durations are spread, in little room and so that what several processes have counted can be added up.
//!
//! The bounds of the buckets are fixed: 0.1 ms, and from there on a quarter of a doubling each, up to four days. Two histograms are
//! added bucket by bucket. A quantile is the geometric middle of its bucket, so it is off by [`ERROR`] at most, or by 0.1 ms where it is
//! below that.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The upper bound of the first bucket, in microseconds.
const FIRST_US: f64 = 100.0;
/// How many buckets there are from a duration to its double.
const BY_DOUBLING: f64 = 4.0;
/// The last bucket, which holds everything longer too.
const LAST: u8 = 127;

/// The most by which a quantile differs from the true one, as a share of it: half a bucket.
pub const ERROR: f64 = 0.091;

/// How many durations fell into each bucket. As JSON an object of the buckets that are not empty: `{"17":3,"18":1}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u8, u64>);

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        self.add_many(bucket(duration), 1);
    }

    /// Counts so many durations of a bucket, as it stands in the JSON of a histogram.
    pub fn add_many(&mut self, bucket: u8, count: u64) {
        let counted = self.0.entry(bucket.min(LAST)).or_default();
        *counted = counted.saturating_add(count);
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            self.add_many(*bucket, *count);
        }
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration that the share `q` (0 to 1) of all durations does not exceed, give or take [`ERROR`]; `None` when there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        // Counts are far from where an f64 cannot tell them apart.
        let rank = ((q * self.count() as f64).ceil() as u64).max(1);
        let mut seen = 0_u64;
        for (bucket, count) in &self.0 {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return Some(middle(*bucket));
            }
        }
        None
    }
}

fn bucket(duration: Duration) -> u8 {
    let above_first = (duration.as_micros() as f64 / FIRST_US).log2() * BY_DOUBLING;
    // A cast from f64 keeps to the range of its type; the logarithm of 0 is below it.
    (above_first.ceil() as u8).min(LAST)
}

fn middle(bucket: u8) -> Duration {
    let us = FIRST_US * ((f64::from(bucket) - 0.5) / BY_DOUBLING).exp2();
    Duration::from_nanos((us * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|us| histogram.add(Duration::from_micros(*us)));
        histogram
    }

    #[test]
    fn buckets_are_a_quarter_of_a_doubling() {
        for (us, expected) in [
            (0, 0),
            (1, 0),
            (100, 0),
            (101, 1),
            (118, 1),
            (119, 2),
            (200, 4),
            (201, 5),
            (1_000_000, 54),
            (86_400_000_000, 119),
            (4 * 86_400_000_000, 127),
            (u64::MAX, 127),
        ] {
            assert_eq!(bucket(Duration::from_micros(us)), expected, "{us}");
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_one_is_every_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        let one = of(&[10_000]);
        assert_eq!(one.quantile(0.0), one.quantile(1.0));
        assert_eq!(one.count(), 1);
    }

    #[test]
    fn it_is_written_as_an_object_of_its_buckets() {
        let json = serde_json::to_string(&of(&[100, 200, 200])).unwrap();
        assert_eq!(json, r#"{"0":1,"4":2}"#);
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), of(&[100, 200, 200]));
        let mut beyond = Histogram::default();
        beyond.add_many(200, 3);
        beyond.add_many(127, u64::MAX);
        assert_eq!(beyond.count(), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_quantile_is_off_by_half_a_bucket_at_most(
            mut durations in prop::collection::vec(1_u64..100_000_000_000, 1..200),
            q in 0.0..=1.0_f64,
        ) {
            let found = of(&durations).quantile(q).unwrap().as_secs_f64() * 1e6;
            durations.sort_unstable();
            let rank = ((q * durations.len() as f64).ceil() as usize).max(1);
            let exact = durations[rank - 1] as f64;
            prop_assert!((found - exact).abs() <= (exact * ERROR).max(FIRST_US), "{found} for {exact}");
        }

        #[test]
        fn what_two_have_counted_is_what_one_would_have(
            a in prop::collection::vec(0_u64..10_000_000, 0..50),
            b in prop::collection::vec(0_u64..10_000_000, 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }
}
