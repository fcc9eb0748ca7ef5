//! What an installation remembers of itself: generations, runs of services, jobs.

use baton_domain::{CallStatus, Changes, EventStatus, Execution, GenerationNumber, Snapshot};
use baton_storage::{
    DeadLetterSearch, DeliveryState, FedDispatch, GENERATIONS_KEPT, GenerationCause, JobParams, NewGeneration, Record, Removed,
    StorageError, Store, Sweep,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{DAY, KEEP, cleaning, id_of, old, sweep, sweep_at};
use crate::fixture::{Fixture, after, count, delivery, dies, ends, execution, now, on_both};

on_both!(
    generations_go_when_nothing_names_them,
    generations_of_days_with_many_events_stay,
    a_generation_stays_while_a_replay_is_bound_to_it,
    jobs_go_when_they_have_ended,
    runs_go_but_for_the_last_of_each_service,
    those_who_keep_one_schedule_ask_for_one_run,
);

/// Stores generations, each live for a day.
pub(super) async fn generations(f: &Fixture, numbers: std::ops::RangeInclusive<i64>) {
    for number in numbers {
        let snapshot = Snapshot::new(GenerationNumber(number), after(number * DAY), Vec::new());
        let (changes, cause) = (Changes::default(), GenerationCause::Restart);
        let new = NewGeneration { snapshot: &snapshot, changes: &changes, took_ms: 1, cause, rolled_back_to: None };
        assert!(f.store.insert_generation(&new).await.unwrap());
    }
}

async fn generations_go_when_nothing_names_them(f: Fixture) {
    let owner = f.owner().await;
    generations(&f, 1..=60).await;
    let keep = TimeDelta::days(10);
    // The newest, were they a hundred years old.
    let stored = async || count(&f, "SELECT count(*) FROM generations").await;
    // One is named by a result, one by a dispatch under way, one by a delivery, one by a dead letter, one by an execution.
    let fed = old(&f, 1..=4).await;
    let mut record = ends(&fed[..1], EventStatus::Delivered);
    record.finished[0].generation = Some(GenerationNumber(2));
    f.store.record(owner, &record).await.unwrap();
    let mut dead = dies(&fed[1], &[1]);
    dead.finished[0].generation = None;
    dead.retries[0].generation = GenerationNumber(4);
    dead.executions.clear();
    f.store.record(owner, &dead).await.unwrap();
    let mut retrying = delivery(&fed[2], 1, DeliveryState::Retrying, 1);
    retrying.generation = GenerationNumber(7);
    let under_way = Record {
        retries: vec![retrying],
        started: vec![(fed[2].seq, GenerationNumber(5))],
        partitions: vec![fed[2].partition],
        ..Record::default()
    };
    f.store.record(owner, &under_way).await.unwrap();
    let mut called = ends(&fed[3..], EventStatus::Delivered);
    called.finished[0].generation = Some(GenerationNumber(9));
    let call = execution(&fed[3], 1, 1, CallStatus::Success);
    called.executions = vec![Execution { generation: GenerationNumber(9), ..call }];
    f.store.record(owner, &called).await.unwrap();
    // Generation 12 went out of use on day 13.
    let (removed, _) = sweep_at(&f.store, Sweep::Generations, keep, after(23 * DAY)).await;
    assert_eq!((removed, stored().await), (Removed { generations: 6, ..Removed::default() }, 54));
    let (removed, _) = sweep_at(&f.store, Sweep::Generations, keep, after(23 * DAY + 1)).await;
    assert_eq!(removed.generations, 1);
    for (number, there) in [
        (1, false),
        (2, true),
        (3, false),
        (4, true),
        (5, true),
        (6, false),
        (7, true),
        (8, false),
        (9, true),
        (12, false),
        (13, true),
    ] {
        let generation = f.store.generation(GenerationNumber(number)).await.unwrap();
        assert_eq!(generation.is_some(), there, "{number}");
    }
    let (removed, _) = sweep_at(&f.store, Sweep::Generations, keep, after(9999 * DAY)).await;
    assert_eq!((removed.generations, stored().await), (28, 5 + GENERATIONS_KEPT as i64));
    assert_eq!(f.store.live_generation_number().await.unwrap(), Some(GenerationNumber(60)));
}

async fn generations_of_days_with_many_events_stay(f: Fixture) {
    let owner = f.owner().await;
    generations(&f, 1..=30).await;
    let fed = old(&f, 1..=1001).await;
    f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    let keep = TimeDelta::days(10);
    assert_eq!(sweep_at(&f.store, Sweep::Generations, keep, cleaning()).await, (Removed::default(), 1));
    let (removed, _) = sweep_at(&f.store, Sweep::Events, KEEP, cleaning()).await;
    assert_eq!(removed.events, 1001);
    let (removed, _) = sweep_at(&f.store, Sweep::Generations, keep, cleaning()).await;
    assert_eq!(removed.generations, 10);
}

async fn a_generation_stays_while_a_replay_is_bound_to_it(f: Fixture) {
    let owner = f.owner().await;
    generations(&f, 1..=40).await;
    let fed = old(&f, 1..=2).await;
    f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    // Sent on their way again long after: one pending still, one being retried.
    let late = after(200 * DAY);
    let again = async |of: &FedDispatch, number: i64| {
        let seq = f.store.replay_event_under(of.event_id, None, Some(GenerationNumber(number)), late).await.unwrap();
        f.store.load_dispatches(&[seq]).await.unwrap().remove(0)
    };
    again(&fed[0], 5).await;
    let second = again(&fed[1], 6).await;
    let mut retrying = delivery(&second, 1, DeliveryState::Retrying, 1);
    retrying.generation = GenerationNumber(7);
    let record = Record { retries: vec![retrying], partitions: vec![second.partition], ..Record::default() };
    f.store.record(owner, &record).await.unwrap();
    let (removed, _) = sweep_at(&f.store, Sweep::Generations, TimeDelta::days(10), after(300 * DAY)).await;
    assert_eq!(removed.generations, 20 - 3);
    for number in [5, 6, 7] {
        assert!(f.store.generation(GenerationNumber(number)).await.unwrap().is_some(), "{number}");
    }
    let gone = f.store.replay_event_under(fed[0].event_id, None, Some(GenerationNumber(4)), late).await;
    assert!(matches!(gone, Err(StorageError::Conflict)), "{gone:?}");
}

async fn jobs_go_when_they_have_ended(f: Fixture) {
    let create = async |at: DateTime<Utc>| {
        let params = JobParams::ReplayDeadLetters(DeadLetterSearch::default());
        f.store.create_job(id_of(at), &params, at).await.unwrap().id
    };
    let (ended, waiting, young) = (create(now()).await, create(now()).await, create(after(20 * DAY)).await);
    for id in [ended, young] {
        f.store.request_cancel(id, after(1)).await.unwrap();
    }
    assert_eq!(sweep(&f, Sweep::Jobs).await, Removed { jobs: 1, ..Removed::default() });
    assert!(f.store.job(ended).await.unwrap().is_none());
    for id in [waiting, young] {
        assert!(f.store.job(id).await.unwrap().is_some());
    }
}

async fn runs_go_but_for_the_last_of_each_service(f: Fixture) {
    let runner = Uuid::now_v7();
    let run = async |service: &str, at: DateTime<Utc>| {
        let asked = f.store.request_run(service, &json!({}), at).await.unwrap();
        f.store.claim_run(service, runner, at, at + TimeDelta::seconds(30)).await.unwrap().unwrap();
        f.store.finish_run(asked.id, runner, at + TimeDelta::seconds(1), Ok(json!({}))).await.unwrap();
        asked.id
    };
    assert_eq!(f.store.last_done("cleaner").await.unwrap(), None);
    let rare = [run("cache-manager", now()).await, run("cache-manager", after(1)).await];
    let mut often = Vec::new();
    for day in 0..100 {
        often.push(run("cleaner", after(day * DAY)).await);
    }
    assert_eq!(f.store.last_done("cleaner").await.unwrap(), Some(after(99 * DAY)));
    // Asked for long ago, and not done yet.
    let waiting = f.store.request_run("patience", &json!({}), after(2)).await.unwrap();
    assert_eq!(sweep(&f, Sweep::ServiceRuns).await, Removed { service_runs: 1 + 10, ..Removed::default() });
    assert_eq!(f.store.run(rare[0]).await.unwrap(), None);
    assert_eq!(f.store.last_runs("cache-manager").await.unwrap().last.unwrap().id, rare[1]);
    assert_eq!(f.store.last_runs("patience").await.unwrap().queued, Some(waiting));
    assert!(f.store.run(often[9]).await.unwrap().is_none() && f.store.run(often[10]).await.unwrap().is_some());
}

async fn those_who_keep_one_schedule_ask_for_one_run(f: Fixture) {
    let (store, other, runner) = (f.store.clone(), f.other_store().await, Uuid::now_v7());
    let ask = async |store: &Store, last: i64| store.request_run_after(last, "cleaner", &json!({}), now()).await.unwrap();
    assert!(ask(&store, 0).await);
    assert!(!ask(&other, 0).await, "it waits");
    let run = store.claim_run("cleaner", runner, now(), after(30)).await.unwrap().unwrap();
    assert!(!ask(&other, 0).await, "it runs");
    store.finish_run(run.id, runner, after(1), Ok(json!({}))).await.unwrap();
    assert!(!ask(&other, 0).await, "it has ended, which the other has not seen");
    f.store.request_run("cache-manager", &json!({}), now()).await.unwrap();
    assert!(ask(&other, run.id).await);
    assert_eq!(f.store.last_runs("cleaner").await.unwrap().queued.unwrap().asked_at, now());
}
