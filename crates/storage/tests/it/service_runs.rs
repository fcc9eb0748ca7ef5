//! The queue of service runs.

use std::collections::HashSet;

use baton_storage::{LastRuns, RunState, StorageError};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, after, now, on_both};

on_both!(
    a_run_is_asked_for_done_and_remembered,
    a_run_asked_for_twice_is_queued_once,
    one_runs_and_one_waits,
    a_runner_that_went_away_is_replaced,
    services_do_not_wait_for_each_other,
    asking_and_claiming_at_once_keeps_the_rules,
);

const SERVICE: &str = "cache-manager";

async fn a_run_is_asked_for_done_and_remembered(f: Fixture) {
    assert_eq!(f.store.last_runs(SERVICE).await.unwrap(), LastRuns::default());
    let runner = Uuid::now_v7();
    assert_eq!(f.store.claim_run(SERVICE, runner, now(), after(30)).await.unwrap(), None);
    let asked = f.store.request_run(SERVICE, &json!({"rollback_to": 3}), now()).await.unwrap();
    assert_eq!((asked.state, asked.asked_at, asked.started_at), (RunState::Queued, now(), None));
    assert_eq!(f.store.last_runs(SERVICE).await.unwrap().queued.as_ref(), Some(&asked));

    let running = f.store.claim_run(SERVICE, runner, after(1), after(31)).await.unwrap().unwrap();
    assert_eq!((running.id, running.state, running.started_at), (asked.id, RunState::Running, Some(after(1))));
    assert_eq!(
        (running.runner, running.lease_until, &running.params),
        (Some(runner), Some(after(31)), &json!({"rollback_to": 3}))
    );
    assert!(f.store.renew_run(asked.id, runner, after(60)).await.unwrap());
    assert!(!f.store.renew_run(asked.id, Uuid::now_v7(), after(60)).await.unwrap());

    let stranger = f.store.finish_run(asked.id, Uuid::now_v7(), after(2), Ok(json!(1))).await;
    assert!(matches!(stranger, Err(StorageError::Fenced)));
    let done = f.store.finish_run(asked.id, runner, after(2), Ok(json!({"generation": 4}))).await.unwrap();
    assert_eq!((done.state, done.finished_at, &done.result), (RunState::Done, Some(after(2)), &Some(json!({"generation": 4}))));
    assert!(matches!(f.store.finish_run(asked.id, runner, after(3), Ok(json!(1))).await, Err(StorageError::Fenced)));
    assert!(!f.store.renew_run(asked.id, runner, after(60)).await.unwrap());
    assert_eq!(f.store.run(asked.id).await.unwrap().as_ref(), Some(&done));
    assert_eq!(f.store.run(asked.id + 1).await.unwrap(), None);
    assert_eq!(f.store.last_runs(SERVICE).await.unwrap(), LastRuns { last: Some(done), ..LastRuns::default() });
}

async fn a_run_asked_for_twice_is_queued_once(f: Fixture) {
    let first = f.store.request_run(SERVICE, &json!({}), now()).await.unwrap();
    assert_eq!(f.store.request_run(SERVICE, &json!({}), after(1)).await.unwrap(), first);
    let other = f.store.request_run(SERVICE, &json!({"rollback_to": 1}), after(1)).await;
    assert!(matches!(other, Err(StorageError::Conflict)));
}

async fn one_runs_and_one_waits(f: Fixture) {
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let first = f.store.request_run(SERVICE, &json!({}), now()).await.unwrap();
    f.store.claim_run(SERVICE, one, now(), after(30)).await.unwrap().unwrap();
    let second = f.store.request_run(SERVICE, &json!({}), after(1)).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(f.store.claim_run(SERVICE, two, after(2), after(32)).await.unwrap(), None);
    let failed = f.store.finish_run(first.id, one, after(3), Err("no \0 luck".into())).await.unwrap();
    assert_eq!((failed.state, failed.error.as_deref(), &failed.result), (RunState::Failed, Some("no \u{fffd} luck"), &None));
    let claimed = f.store.claim_run(SERVICE, two, after(4), after(34)).await.unwrap().unwrap();
    assert_eq!(claimed.id, second.id);
    let runs = f.store.last_runs(SERVICE).await.unwrap();
    assert_eq!((runs.queued, runs.running.map(|r| r.id), runs.last.map(|r| r.id)), (None, Some(second.id), Some(first.id)));
}

async fn a_runner_that_went_away_is_replaced(f: Fixture) {
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let first = f.store.request_run(SERVICE, &json!({}), now()).await.unwrap();
    f.store.claim_run(SERVICE, one, now(), after(30)).await.unwrap().unwrap();
    let second = f.store.request_run(SERVICE, &json!({}), after(1)).await.unwrap();
    assert_eq!(f.store.claim_run(SERVICE, two, after(30), after(60)).await.unwrap(), None);
    assert_eq!(f.store.claim_run(SERVICE, two, after(31), after(61)).await.unwrap().unwrap().id, second.id);
    let left = f.store.run(first.id).await.unwrap().unwrap();
    assert_eq!((left.state, left.finished_at), (RunState::Failed, Some(after(31))));
    assert!(left.error.unwrap().contains("went away"));
    assert!(!f.store.renew_run(first.id, one, after(90)).await.unwrap());
    assert!(matches!(f.store.finish_run(first.id, one, after(32), Ok(json!(1))).await, Err(StorageError::Fenced)));
}

async fn services_do_not_wait_for_each_other(f: Fixture) {
    let runner = Uuid::now_v7();
    let one = f.store.request_run(SERVICE, &json!({}), now()).await.unwrap();
    let two = f.store.request_run("retention", &json!({"days": 3}), now()).await.unwrap();
    assert_eq!(f.store.claim_run("retention", runner, now(), after(30)).await.unwrap().unwrap().id, two.id);
    assert_eq!(f.store.claim_run(SERVICE, runner, now(), after(30)).await.unwrap().unwrap().id, one.id);
}

async fn asking_and_claiming_at_once_keeps_the_rules(f: Fixture) {
    const ROUNDS: usize = 25;
    let askers = [f.store.clone(), f.other_store().await].map(|store| {
        tokio::spawn(async move {
            let mut asked = HashSet::new();
            for _ in 0..ROUNDS {
                asked.insert(store.request_run(SERVICE, &json!({}), now()).await.unwrap().id);
            }
            asked
        })
    });
    let runners = [f.other_store().await, f.other_store().await].map(|store| {
        tokio::spawn(async move {
            let (id, mut done, mut idle) = (Uuid::now_v7(), Vec::new(), 0);
            while idle < 200 {
                match store.claim_run(SERVICE, id, now(), after(30)).await.unwrap() {
                    Some(run) => {
                        store.finish_run(run.id, id, after(1), Ok(json!(null))).await.unwrap();
                        done.push(run.id);
                        idle = 0;
                    }
                    None => idle += 1,
                }
            }
            done
        })
    });
    let mut asked = HashSet::new();
    for asker in askers {
        asked.extend(asker.await.unwrap());
    }
    let mut done = Vec::new();
    for runner in runners {
        done.extend(runner.await.unwrap());
    }
    // What is queued still, when both runners gave up early, is done here.
    let id = Uuid::now_v7();
    while let Some(run) = f.store.claim_run(SERVICE, id, now(), after(30)).await.unwrap() {
        f.store.finish_run(run.id, id, after(1), Ok(json!(null))).await.unwrap();
        done.push(run.id);
    }
    let unique: HashSet<_> = done.iter().copied().collect();
    assert_eq!(unique.len(), done.len(), "a run was done twice");
    assert_eq!(unique, asked);
}
