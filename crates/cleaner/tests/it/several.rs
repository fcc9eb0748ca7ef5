//! Several Cleaners: each run is done once.

use std::collections::BTreeSet;

use baton_storage::RunState;
use baton_testkit::eventually;
use chrono::TimeDelta;

use crate::fixture::{SOON, Site, on_both, on_demand};

on_both!(each_run_is_done_once, one_asked_for_while_another_waits_is_that_one);

async fn each_run_is_done_once(site: Site) {
    let cleaners = ["one", "two", "three"].map(|name| site.cleaner(on_demand(name)));
    eventually(SOON, "all to be there", async || (site.instances().await.len() == 3).then_some(())).await;
    let ids: BTreeSet<_> = site.instances().await.into_iter().map(|instance| instance.id).collect();
    for round in 1..=8 {
        site.delivered(round, TimeDelta::days(91)).await;
        let run = site.ended(site.ask().await.id).await;
        assert_eq!(run.state, RunState::Done, "{run:?}");
        assert_eq!(run.result.unwrap()["events"], round);
        assert!(ids.contains(&run.runner.unwrap()));
    }
    for cleaner in cleaners {
        cleaner.end().await;
    }
    assert!(site.instances().await.is_empty(), "all said goodbye");
}

async fn one_asked_for_while_another_waits_is_that_one(site: Site) {
    let first = site.ask().await;
    assert_eq!(site.ask().await, first);
    let _cleaner = site.cleaner(on_demand("late"));
    site.done(first.id).await;
    assert_ne!(site.ask().await.id, first.id);
}
