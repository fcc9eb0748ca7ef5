//! When a handler would be tried again, as a list of times.

use axum::extract::RawQuery;
use baton_domain::RetryPolicy;
use maud::{Markup, html};
use std::time::Duration;

use super::input::Input;
use crate::components::time;
use crate::failure::Failure;
use crate::form;

/// How many times are listed.
const LISTED_MAX: u32 = 12;
/// The luck that moves a delay neither way.
const NO_JITTER: f64 = 0.5;

/// `GET /console/provisioning/retry`: the preview alone, for the script.
pub(super) async fn fragment(RawQuery(raw): RawQuery) -> Result<Markup, Failure> {
    Ok(preview(&form::parse::<Input>(raw.unwrap_or_default().as_bytes())?))
}

/// The times of the attempts from the first on; what is wrong with the numbers instead, where they are none.
pub(super) fn preview(input: &Input) -> Markup {
    let numbers = [&input.max_attempts, &input.first_delay_ms, &input.max_delay_ms].map(|typed| typed.trim().parse::<i64>());
    let [Ok(attempts), Ok(first), Ok(longest)] = numbers else {
        return html! { p.hint { "With three whole numbers, the times of the attempts are shown here." } };
    };
    let Ok(policy) = RetryPolicy::check(attempts, first, longest) else {
        return html! { p.hint { "With numbers that are within their limits, the times of the attempts are shown here." } };
    };
    if policy.max_attempts == 1 {
        return html! { p.hint { "One attempt; what fails once has failed for good." } };
    }
    let (times, last) = times(&policy);
    html! {
        p.hint { "Attempts after the first failure, each give or take 20 %:" }
        ol.attempts aria-label="Times of the attempts" {
            li { "at once" }
            @for at in &times { li { "+" (time::span(millis(*at))) } }
            @if policy.max_attempts > LISTED_MAX { li.muted { "… " (policy.max_attempts - LISTED_MAX) " more" } }
        }
        p.hint { "Given up after " b { (time::span(millis(last))) } ", " (policy.max_attempts) " attempts in all." }
    }
}

/// When the attempts that are listed are made, and when the last one is, from the first one on.
fn times(policy: &RetryPolicy) -> (Vec<Duration>, Duration) {
    let mut at = Duration::ZERO;
    let mut times = Vec::new();
    for attempt in 1..policy.max_attempts {
        at += policy.delay(attempt, NO_JITTER, None);
        if attempt < LISTED_MAX {
            times.push(at);
        }
    }
    (times, at)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let policy = RetryPolicy { max_attempts: 5, first_delay_ms: 1000, max_delay_ms: 3000 };
        let (times, last) = times(&policy);
        assert_eq!(times.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 3, 6, 9]);
        assert_eq!(last, Duration::from_secs(9));
        let shown = preview(&Input::fresh("")).into_string();
        assert!(shown.contains("<li>+1 s</li><li>+3 s</li><li>+7 s</li>"), "{shown}");
        assert!(shown.contains("Given up after <b>34 min 7 s</b>, 12 attempts in all."), "{shown}");
    }
}
