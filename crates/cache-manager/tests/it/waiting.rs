//! Waiting for a run.

use std::time::Duration;

use baton_cache_manager::{SERVICE, wait_for_run};
use baton_handler_cache::Hint;
use baton_storage::{RunState, StorageError};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::fixture::{Site, on_both};

on_both!(the_end_of_the_run_ends_the_wait,);

const LONG: Duration = Duration::from_secs(60);
/// How late the answer may come, on a machine with much to do.
const LATE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_end_of_the_wait_answers_with_the_run_as_it_is() {
    let site = Site::sqlite().await;
    let asked = site.ask().await;
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let began = Instant::now();
        let run = wait_for_run(&site.store, site.cache.hints(), asked.id, wait).await.unwrap();
        assert_eq!(run, asked);
        assert!(began.elapsed() >= wait && began.elapsed() < wait + LATE, "{:?}", began.elapsed());
    }
    let now = Utc::now();
    site.store.claim_run(SERVICE, Uuid::now_v7(), now, now + TimeDelta::seconds(60)).await.unwrap().unwrap();
    let run = wait_for_run(&site.store, site.cache.hints(), asked.id, Duration::from_millis(300)).await.unwrap();
    assert_eq!(run.state, RunState::Running);
}

/// Ends a run while it is waited for. `hinted`: with a word to those who wait.
async fn ends_while_it_is_waited_for(site: &Site, outcome: Result<serde_json::Value, String>, hinted: bool) -> RunState {
    let (runner, now) = (Uuid::now_v7(), Utc::now());
    let asked = site.ask().await;
    site.store.claim_run(SERVICE, runner, now, now + TimeDelta::seconds(60)).await.unwrap().unwrap();
    let waiting = wait_for_run(&site.store, site.cache.hints(), asked.id, LONG);
    let ending = async {
        site.store.finish_run(asked.id, runner, Utc::now(), outcome).await.unwrap();
        if hinted {
            site.cache.hints().send(Hint::RunFinished);
        }
        Instant::now()
    };
    let (run, ended) = tokio::join!(waiting, ending);
    assert!(ended.elapsed() < LATE, "{:?} after its end", ended.elapsed());
    run.unwrap().state
}

async fn the_end_of_the_run_ends_the_wait(site: Site) {
    for hinted in [true, false] {
        assert_eq!(ends_while_it_is_waited_for(&site, Ok(json!({})), hinted).await, RunState::Done);
        assert_eq!(ends_while_it_is_waited_for(&site, Err("broken".into()), hinted).await, RunState::Failed);
    }
}

#[tokio::test]
async fn a_run_that_has_ended_is_not_waited_for() {
    let site = Site::sqlite().await;
    let _manager = site.started().await;
    let asked = site.ask().await;
    site.done(asked.id).await;
    let began = Instant::now();
    let run = wait_for_run(&site.store, site.cache.hints(), asked.id, LONG).await.unwrap();
    assert!(began.elapsed() < LATE);
    assert_eq!(run.state, RunState::Done);
}

#[tokio::test]
async fn a_run_that_is_not_there_is_not_waited_for() {
    let site = Site::sqlite().await;
    let missing = wait_for_run(&site.store, site.cache.hints(), 12_345, LONG).await;
    assert!(matches!(missing, Err(StorageError::NotFound)), "{missing:?}");
}
