//! When it runs by itself.

use std::time::Duration;

use baton_cleaner::{CleanerSettings, SERVICE, schedule};
use baton_storage::RunState;
use baton_testkit::eventually;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{SOON, Site, on_both, on_demand};

on_both!(it_runs_by_itself_and_again, one_that_ran_a_moment_ago_is_not_due, a_run_that_was_lost_is_done_again);

fn every(name: &str, every: TimeDelta) -> CleanerSettings {
    CleanerSettings { every: Some(every), ..on_demand(name) }
}

async fn it_runs_by_itself_and_again(site: Site) {
    site.delivered(2, TimeDelta::days(91)).await;
    let begun = Utc::now();
    let first_after = TimeDelta::milliseconds(500);
    // Two share one schedule.
    let cleaners = ["one", "two"].map(|name| site.cleaner(CleanerSettings { first_after, ..every(name, TimeDelta::seconds(3)) }));
    let last = async |but: i64| {
        eventually(SOON, "a run by itself", async || {
            site.store.last_runs(SERVICE).await.unwrap().last.filter(|run| run.id != but)
        })
        .await
    };
    let first = last(0).await;
    assert_eq!(site.done(first.id).await.removed.events, 2);
    assert!(first.started_at.unwrap() - begun >= first_after);
    let second = last(first.id).await;
    let between = second.started_at.unwrap() - first.started_at.unwrap();
    assert!(between >= TimeDelta::seconds(3), "{between}");
    // Neither was done twice.
    assert!((second.id - first.id, first.id) == (1, 1) || !site.store.is_sqlite(), "{first:?} {second:?}");
    for cleaner in cleaners {
        cleaner.end().await;
    }
}

async fn one_that_ran_a_moment_ago_is_not_due(site: Site) {
    let cleaner = site.cleaner(on_demand("one"));
    let run = site.ask().await;
    site.done(run.id).await;
    cleaner.end().await;
    // Another process, started now, sees that.
    let _other = site.cleaner(every("two", TimeDelta::hours(1)));
    let first = eventually(SOON, "it to be there", async || site.instances().await.pop()).await;
    eventually(SOON, "two more looks", async || {
        let looked = site.instances().await[0].lease_until - first.lease_until;
        (looked > TimeDelta::seconds(3)).then_some(())
    })
    .await;
    let runs = site.store.last_runs(SERVICE).await.unwrap();
    assert_eq!((runs.queued, runs.running, runs.last.unwrap().id), (None, None, run.id));
}

async fn a_run_that_was_lost_is_done_again(site: Site) {
    site.delivered(2, TimeDelta::days(91)).await;
    // Somebody began, and was never heard of again.
    let (lost, long_ago) = (Uuid::now_v7(), Utc::now() - TimeDelta::minutes(10));
    let asked = site.store.request_run(SERVICE, &json!({}), long_ago).await.unwrap();
    site.store.claim_run(SERVICE, lost, long_ago, long_ago + TimeDelta::seconds(15)).await.unwrap().unwrap();
    let _cleaner = site.cleaner(every("one", TimeDelta::seconds(1)));
    let left = site.ended(asked.id).await;
    assert_eq!(left.state, RunState::Failed);
    let next = eventually(SOON, "another run", async || {
        site.store.last_runs(SERVICE).await.unwrap().last.filter(|run| run.id != asked.id)
    });
    assert_eq!(site.done(next.await.id).await.removed.events, 2);
}

#[test]
fn the_schedule_is_told_in_words() {
    for (setting, told) in [("1h", "every 1h"), ("90m", "every 1h 30m"), ("off", "on demand")] {
        assert_eq!(schedule(setting.parse().unwrap()), told);
    }
    assert_eq!(Duration::from_secs(3600), "1h".parse::<baton_runtime::settings::Age>().unwrap().get().unwrap());
}
