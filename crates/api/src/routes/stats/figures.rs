//! What was counted, as an operator reads it.

use std::time::Duration;

use baton_domain::Histogram;
use baton_storage::Counts;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request::Params;

/// Executions of a stretch of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Figures {
    /// All executions, those included that were skipped.
    executions: u64,
    success: u64,
    /// Attempts that failed, whether or not they are tried again.
    fail: u64,
    skipped: u64,
    /// Of the attempts; null when there was none.
    #[schema(required, minimum = 0, maximum = 1)]
    success_share: Option<f64>,
    /// How long an attempt took; null when there was none.
    #[schema(required)]
    duration_ms: Option<Durations>,
    /// From the publication of an event, or its replay, to its first attempt; null when there was none.
    #[schema(required)]
    first_call_ms: Option<Quantiles>,
}

/// Milliseconds. The quantiles are off by 9.1 % at most, or by 0.1 ms.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Durations {
    #[schema(minimum = 0)]
    mean: f64,
    #[schema(minimum = 0)]
    p50: f64,
    #[schema(minimum = 0)]
    p99: f64,
}

/// Milliseconds, off by 9.1 % at most, or by 0.1 ms.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quantiles {
    #[schema(minimum = 0)]
    p50: f64,
    #[schema(minimum = 0)]
    p99: f64,
}

impl From<&Counts> for Figures {
    fn from(counts: &Counts) -> Self {
        let attempts = counts.attempts();
        let mean = counts.duration_us as f64 / attempts as f64 / 1000.0;
        Self {
            executions: attempts + counts.skipped,
            success: counts.succeeded,
            fail: counts.failed,
            skipped: counts.skipped,
            success_share: (attempts > 0).then(|| counts.succeeded as f64 / attempts as f64),
            duration_ms: quantiles(&counts.durations).map(|Quantiles { p50, p99 }| Durations { mean: rounded(mean), p50, p99 }),
            first_call_ms: quantiles(&counts.first_calls),
        }
    }
}

fn quantiles(histogram: &Histogram) -> Option<Quantiles> {
    let of = |q| histogram.quantile(q).map(ms);
    Some(Quantiles { p50: of(0.5)?, p99: of(0.99)? })
}

fn ms(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1000.0)
}

/// To microseconds, which is more than is known.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// The stretch of time that is asked for: the last hour unless said otherwise, and not longer than `most`.
pub(super) fn stretch(
    params: &mut Params,
    (from, to): (Option<String>, Option<String>),
    most: TimeDelta,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let to = params.instant("to", to).unwrap_or_else(Utc::now);
    let an_hour_before = to.checked_sub_signed(TimeDelta::hours(1)).unwrap_or(to);
    let from = params.instant("from", from).unwrap_or(an_hour_before);
    if from >= to {
        params.refuse("to", "must be later than from");
    } else if to - from > most {
        params.refuse("from", format!("must be at most {} hours before to", most.num_hours()));
    }
    (from, to)
}
