//! When a failed call is tried again.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::field_error::FieldErrors;

/// The longest delay that a policy or a `Retry-After` header can ask for.
pub const DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most attempts that a policy can ask for.
pub const ATTEMPTS_MAX: u32 = 1000;
/// How far jitter moves a delay, to either side.
const JITTER: f64 = 0.2;

/// Exponential back-off: the delay doubles from the first to the longest, with ±20 % jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// How often a delivery is tried in all, 1 to [`ATTEMPTS_MAX`].
    pub max_attempts: u32,
    /// The delay after the first failure, in milliseconds.
    pub first_delay_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_delay_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 12, first_delay_ms: 1000, max_delay_ms: 3_600_000 }
    }
}

impl RetryPolicy {
    /// A policy within its limits.
    ///
    /// # Errors
    /// Every field that is out of range, named as in `retry.max_attempts`.
    pub fn check(max_attempts: i64, first_delay_ms: i64, max_delay_ms: i64) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let longest = DELAY_MAX.as_millis() as i64;
        let mut within = |field: &str, value: i64, least: i64, most: i64| {
            if !(least..=most).contains(&value) {
                errors.push(field, format!("must be {least} to {most}"));
            }
            value.clamp(least, most).unsigned_abs()
        };
        let policy = Self {
            max_attempts: within("retry.max_attempts", max_attempts, 1, i64::from(ATTEMPTS_MAX)) as u32,
            first_delay_ms: within("retry.first_delay_ms", first_delay_ms, 1, longest),
            max_delay_ms: within("retry.max_delay_ms", max_delay_ms, 1, longest),
        };
        if errors.0.is_empty() && policy.max_delay_ms < policy.first_delay_ms {
            errors.push("retry.max_delay_ms", "must not be less than retry.first_delay_ms");
        }
        errors.or(policy)
    }

    /// How long to wait after the failed attempt number `attempt` (1 for the first). `luck` in 0..1 places the delay within the
    /// jitter. What the receiver asked for by `Retry-After` takes the place of the back-off, but is never sooner than the first delay.
    #[must_use]
    pub fn delay(&self, attempt: u32, luck: f64, retry_after: Option<Duration>) -> Duration {
        if let Some(asked) = retry_after {
            return asked.clamp(Duration::from_millis(self.first_delay_ms).min(DELAY_MAX), DELAY_MAX);
        }
        let doublings = attempt.saturating_sub(1).min(63);
        let plain = self.first_delay_ms.saturating_mul(1 << doublings).min(self.max_delay_ms);
        let factor = 1.0 - JITTER + 2.0 * JITTER * luck.clamp(0.0, 1.0);
        Duration::from_millis((plain as f64 * factor) as u64).min(DELAY_MAX)
    }
}

/// The delay that a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, section 10.2.3). `None` for what is neither.
#[must_use]
pub fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)).min(DELAY_MAX));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(SystemTime::from(now)).unwrap_or_default().min(DELAY_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        let plain = |attempt| policy.delay(attempt, 0.5, None).as_millis();
        assert_eq!(
            [plain(1), plain(2), plain(3), plain(12), plain(13), plain(500)],
            [1000, 2000, 4000, 2_048_000, 3_600_000, 3_600_000]
        );
        assert_eq!(policy.delay(1, 0.0, None).as_millis(), 800);
        assert_eq!(policy.delay(1, 1.0, None).as_millis(), 1200);
    }

    #[test]
    fn retry_after_is_obeyed_in_both_forms() {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("Tue, 24 Nov 2026 10:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(parse_retry_after("Tue, 24 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("99999999999999999999999", now), Some(DELAY_MAX));
        for neither in ["", "soon", "-1", "1.5", "Tue, 99 Nov 2026"] {
            assert_eq!(parse_retry_after(neither, now), None, "{neither}");
        }
        assert_eq!(RetryPolicy::default().delay(9, 0.5, Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(RetryPolicy::default().delay(1, 0.5, Some(Duration::ZERO)), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn no_policy_and_no_attempt_overflows(first in 1_u64.., max in 1_u64.., attempt: u32, luck in 0.0..1.0_f64) {
            let policy = RetryPolicy { max_attempts: 1, first_delay_ms: first, max_delay_ms: max };
            prop_assert!(policy.delay(attempt, luck, None) <= DELAY_MAX);
        }

        #[test]
        fn any_retry_after_is_read_or_ignored(value in ".{0,64}") {
            if let Some(delay) = parse_retry_after(&value, DateTime::UNIX_EPOCH) {
                prop_assert!(delay <= DELAY_MAX);
            }
        }
    }
}
