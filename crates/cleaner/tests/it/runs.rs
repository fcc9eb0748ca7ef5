//! What a run removes, and what it says.

use baton_cleaner::{CleanerSettings, Keep};
use baton_storage::Removed;
use chrono::TimeDelta;
use serde_json::json;

use crate::fixture::{Site, on_both, on_demand};

on_both!(a_run_removes_what_is_old_and_says_how_much, what_is_off_is_kept_for_ever, runs_that_follow_miss_nothing);

async fn a_run_removes_what_is_old_and_says_how_much(site: Site) {
    site.delivered(1, TimeDelta::days(1)).await;
    site.delivered(3, TimeDelta::days(31)).await;
    site.delivered(700, TimeDelta::days(91)).await;
    let before = site.store.stats().await.unwrap();
    let _cleaner = site.cleaner(on_demand("one"));
    let run = site.ask().await;
    let result = site.done(run.id).await;
    let expected = Removed { events: 700, executions: 703, idempotency_keys: 704, ..Removed::default() };
    // The key of what came in a day ago is forgotten as well, by a moment.
    assert_eq!(result.removed, expected);
    assert_eq!((site.stored().await, site.calls().await), (4, 1));
    assert_eq!(site.store.stats().await.unwrap(), before, "the balance does not notice");
    let shown = site.ended(run.id).await.result.unwrap();
    let took_ms = result.took_ms;
    let counts = json!({"events": 700, "executions": 703, "dead_letters": 0, "idempotency_keys": 704, "generations": 0, "service_runs": 0, "jobs": 0, "minutes": 0,
        "took_ms": took_ms});
    assert_eq!(shown, counts);
    assert!((0..20_000).contains(&took_ms));
}

async fn what_is_off_is_kept_for_ever(site: Site) {
    site.delivered(5, TimeDelta::days(5000)).await;
    let _cleaner = site.cleaner(CleanerSettings { keep: Keep::default(), ..on_demand("one") });
    let result = site.done(site.ask().await.id).await;
    assert_eq!(result.removed, Removed { idempotency_keys: 5, ..Removed::default() });
    assert_eq!((site.stored().await, site.calls().await), (5, 5));
}

async fn runs_that_follow_miss_nothing(site: Site) {
    let _cleaner = site.cleaner(on_demand("one"));
    let hours = TimeDelta::hours;
    site.delivered(2, hours(23) + TimeDelta::minutes(59)).await;
    assert_eq!(site.done(site.ask().await.id).await.removed.rows(), 0);
    // What comes to its end between two runs; the first of them was a moment ago.
    site.delivered(3, hours(24) + TimeDelta::minutes(1)).await;
    assert_eq!(site.done(site.ask().await.id).await.removed, Removed { idempotency_keys: 3, ..Removed::default() });
    assert_eq!(site.done(site.ask().await.id).await.removed.rows(), 0);
}
