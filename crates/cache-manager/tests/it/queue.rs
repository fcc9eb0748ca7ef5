//! Restarts that are asked for while others wait or run.

use std::time::Duration;

use baton_cache_manager::{SERVICE, request_restart, request_rollback};
use baton_domain::GenerationNumber;
use baton_storage::{RunState, StorageError};
use baton_testkit::eventually;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{SOON, Site, handler, on_both, result_of};

on_both!(a_restart_joins_one_that_waits, something_else_does_not_join, a_rollback_joins_the_same_rollback,);

async fn a_restart_joins_one_that_waits(site: Site) {
    let first = site.ask().await;
    let second = site.ask().await;
    assert_eq!(first, second);
    assert_eq!(first.state, RunState::Queued);
    site.create(handler("saved before it runs", 10)).await;
    let _manager = site.manager("late").await;
    let (_, result) = site.done(first.id).await;
    assert_eq!((result.generation.0, result.handlers), (1, 1), "what was saved before it ran is in it");
}

#[tokio::test]
async fn a_restart_asked_for_while_one_runs_runs_after_it() {
    let site = Site::sqlite().await;
    site.started().await.end().await;
    // One that another Cache Manager does, and takes its time.
    let (other, now) = (Uuid::now_v7(), Utc::now());
    site.ask().await;
    let running = site.store.claim_run(SERVICE, other, now, now + TimeDelta::seconds(60)).await.unwrap().unwrap();
    let _manager = site.manager("idle").await;
    let next = site.ask().await;
    assert_ne!(next.id, running.id);
    assert_eq!(site.ask().await.id, next.id, "one waits, however often it is asked for");
    eventually(SOON, "it to be there", async || (!site.instances().await.is_empty()).then_some(())).await;
    site.another_look().await;
    assert_eq!(site.store.run(next.id).await.unwrap().unwrap().state, RunState::Queued, "one at a time");
    site.store.finish_run(running.id, other, Utc::now(), Ok(json!({}))).await.unwrap();
    let (_, result) = site.done(next.id).await;
    assert_eq!(result.generation.0, 2);
}

async fn something_else_does_not_join(site: Site) {
    let restart = site.ask().await;
    let (store, hints) = (&site.store, site.cache.hints());
    let rollback = request_rollback(store, hints, GenerationNumber(1), Utc::now()).await;
    assert!(matches!(rollback, Err(StorageError::Conflict)), "{rollback:?}");
    let _manager = site.manager("late").await;
    site.done(restart.id).await;
    let rollback = request_rollback(store, hints, GenerationNumber(1), Utc::now()).await.unwrap();
    site.done(rollback.id).await;
}

async fn a_rollback_joins_the_same_rollback(site: Site) {
    let (store, hints) = (&site.store, site.cache.hints());
    let first = request_rollback(store, hints, GenerationNumber(1), Utc::now()).await.unwrap();
    let second = request_rollback(store, hints, GenerationNumber(1), Utc::now()).await.unwrap();
    assert_eq!(first, second);
    let other = request_rollback(store, hints, GenerationNumber(2), Utc::now()).await;
    assert!(matches!(other, Err(StorageError::Conflict)), "{other:?}");
    let restart = request_restart(store, hints, Utc::now()).await;
    assert!(matches!(restart, Err(StorageError::Conflict)), "{restart:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_build_takes_its_time_the_next_one_waits_and_the_last_one_serves() {
    let site = Site::postgres().await;
    site.create(handler("a", 10)).await;
    let _manager = site.started().await;
    let hold = site.hold().await;
    let first = site.ask().await;
    site.running(first.id).await;
    let second = site.ask().await;
    assert_ne!(second.id, first.id);
    assert_eq!(site.ask().await.id, second.id);
    assert_eq!(site.cache.refresh().await.unwrap().unwrap().number.0, 1, "what was live serves");
    hold.release().await;
    let (first, result) = site.done(first.id).await;
    assert_eq!(result.generation.0, 2);
    let (second, result) = site.done(second.id).await;
    assert_eq!(result.generation.0, 3);
    assert!(second.started_at >= first.finished_at && second.started_at >= Some(second.asked_at));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_takes_long_keeps_its_run_and_its_place() {
    let site = Site::postgres().await;
    let _manager = site.started().await;
    let hold = site.hold().await;
    let run = site.ask().await;
    let begun = site.running(run.id).await;
    let lease = begun.lease_until.unwrap();
    eventually(Duration::from_secs(12), "signs of life", async || {
        let run = site.store.run(run.id).await.unwrap().unwrap();
        let instance = &site.instances().await[0];
        (run.lease_until > Some(lease) && instance.lease_until > lease).then_some(())
    })
    .await;
    hold.release().await;
    let (run, result) = site.done(run.id).await;
    assert_eq!(run.runner, begun.runner);
    assert_eq!(result_of(&run), result);
}
