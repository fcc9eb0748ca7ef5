//! Cache Managers that die in the middle of a run, or are taken for dead.

use baton_cache_manager::SERVICE;
use baton_storage::RunState;
use baton_testkit::eventually;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::fixture::{SOON, Site, handler, on_both};

on_both!(a_run_of_a_dead_one_does_not_block_the_queue, a_run_is_left_to_its_runner_while_that_is_alive);

/// A run that somebody began who is never heard of again.
async fn begun_by_another(site: &Site, alive_for: TimeDelta) -> i64 {
    let now = Utc::now();
    site.store.request_run(SERVICE, &json!({"do": "restart"}), now).await.unwrap();
    site.store.claim_run(SERVICE, Uuid::now_v7(), now, now + alive_for).await.unwrap().unwrap().id
}

async fn a_run_of_a_dead_one_does_not_block_the_queue(site: Site) {
    site.create(handler("a", 10)).await;
    let dead = begun_by_another(&site, TimeDelta::seconds(-1)).await;
    let next = site.ask().await;
    assert_ne!(next.id, dead, "what was asked for after it began is not that");
    let _manager = site.manager("alive").await;
    let (_, result) = site.done(next.id).await;
    assert_eq!(result.generation.0, 1);
    let dead = site.store.run(dead).await.unwrap().unwrap();
    assert_eq!((dead.state, &dead.result), (RunState::Failed, &None));
    assert!(dead.error.unwrap().contains("went away"));
    assert!(dead.finished_at.is_some());
}

async fn a_run_is_left_to_its_runner_while_that_is_alive(site: Site) {
    let alive_for = TimeDelta::milliseconds(800);
    let lease_until = Utc::now() + alive_for;
    let other = begun_by_another(&site, alive_for).await;
    let _manager = site.manager("patient").await;
    let next = site.ask().await;
    let (next, _) = site.done(next.id).await;
    assert!(next.started_at.unwrap() >= lease_until);
    assert_eq!(site.store.run(other).await.unwrap().unwrap().state, RunState::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_given_up_for_dead_builds_nothing_and_works_on() {
    let site = Site::postgres().await;
    let _manager = site.started().await;
    let hold = site.hold().await;
    let run = site.ask().await;
    site.running(run.id).await;
    // Another finds it dead, as it would after a long silence.
    let later = Utc::now() + TimeDelta::hours(1);
    assert_eq!(site.store.claim_run(SERVICE, Uuid::now_v7(), later, later).await.unwrap(), None);
    assert!(site.failed(run.id).await.contains("went away"));
    // It notices, and is there for what comes next, which waits for the handlers as well.
    let next = site.ask().await;
    site.running(next.id).await;
    assert_eq!(site.generations().await.len(), 1);
    hold.release().await;
    let (_, result) = site.done(next.id).await;
    assert_eq!(result.generation.0, 2);
    assert_eq!(site.store.run(run.id).await.unwrap().unwrap().state, RunState::Failed);
}

/// Cuts the connection that waits to write down the end of a run.
async fn cut_who_ends_a_run(connection: &mut PgConnection) -> Option<()> {
    let cut = "
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%service_runs SET state = $3%'";
    let cut: Vec<bool> = sqlx::query_scalar(cut).fetch_all(connection).await.unwrap();
    (cut == [true]).then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_end_could_not_be_written_down_at_once_is_done_all_the_same() {
    let site = Site::postgres().await;
    let _manager = site.started().await;
    let hold = site.hold().await;
    let run = site.ask().await;
    site.running(run.id).await;
    let mut other = PgConnection::connect(site.database_url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE service_runs IN ACCESS EXCLUSIVE MODE").execute(&mut other).await.unwrap();
    hold.release().await;
    site.live(2).await;
    eventually(SOON, "the end of the run", async || cut_who_ends_a_run(&mut other).await).await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    let (_, result) = site.done(run.id).await;
    assert_eq!(result.generation.0, 2);
}
