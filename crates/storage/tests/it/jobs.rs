//! Jobs: replays of many dead letters, recoveries of handlers.

use std::collections::BTreeSet;

use baton_domain::{CallStatus, Changes, EventId, EventStatus, GenerationNumber, HandlerId, Seq};
use baton_storage::{
    DeadLetterSearch, DeliveryState, FedDispatch, GenerationCause, JOB_BATCH, Job, JobParams, JobState, NewGeneration, Page,
    Record, Recovery, StorageError, Store,
};
use uuid::Uuid;

use crate::fixture::{Fixture, after, delivery, dies, ends, event, execution, finished, on_both, page};
use crate::generations::snapshot;

on_both!(
    three_thousand_letters_survive_a_runner_that_goes_away,
    a_runner_that_was_taken_over_does_nothing,
    a_job_is_cancelled_between_two_batches,
    a_letter_that_dies_again_is_not_sent_again,
    a_search_chooses_and_others_letters_stay,
    jobs_of_one_runner_take_turns,
    a_job_that_cannot_be_done_fails,
    jobs_are_listed_newest_first,
    a_handler_gets_what_it_has_not_had,
    a_recovery_keeps_to_its_time,
    a_recovery_walks_many_events,
);

const LETTERS: usize = 3_000;

fn replay_all() -> JobParams {
    JobParams::ReplayDeadLetters(DeadLetterSearch { to: Some(after(60)), ..DeadLetterSearch::default() })
}

fn recover(handler: i64, since: i64, until: i64) -> JobParams {
    JobParams::RecoverHandler(Recovery {
        handler_id: HandlerId(handler),
        events_id: "clients.create".into(),
        since: after(since),
        until: after(until),
    })
}

async fn ask(f: &Fixture, params: &JobParams) -> Uuid {
    let id = Uuid::now_v7();
    let job = f.store.create_job(id, params, after(60)).await.unwrap();
    assert_eq!((job.id, job.state, job.done, job.total), (id, JobState::Queued, 0, None));
    id
}

async fn claim(store: &Store, runner: Uuid, at: i64) -> Option<Job> {
    store.claim_job(runner, after(at), after(at + 15)).await.unwrap()
}

async fn step(store: &Store, job: &Job, runner: Uuid, at: i64) -> Result<Job, StorageError> {
    store.advance_job(job, runner, after(at), after(at + 15)).await
}

/// Does all jobs that there are; how often each was gone on with.
async fn work(store: &Store, runner: Uuid, at: i64) -> usize {
    let mut batches = 0;
    while let Some(job) = claim(store, runner, at).await {
        step(store, &job, runner, at).await.unwrap();
        batches += 1;
    }
    batches
}

async fn ended(f: &Fixture, id: Uuid) -> (JobState, u64, Option<u64>) {
    let job = f.store.job(id).await.unwrap().unwrap();
    assert_eq!(job.state.has_ended(), job.finished_at.is_some());
    (job.state, job.done, job.total)
}

/// So many events, each dead at handler 7.
async fn letters(f: &Fixture, owner: Uuid, count: usize) -> Vec<FedDispatch> {
    let mut all = Vec::new();
    for chunk in (0..count as i64).collect::<Vec<_>>().chunks(500) {
        let fed = f.dispatches(chunk).await;
        let record = Record {
            retries: fed.iter().map(|d| delivery(d, 7, DeliveryState::Dead, 1)).collect(),
            ..ends(&fed, EventStatus::Failed)
        };
        f.store.record(owner, &record).await.unwrap();
        all.extend(fed);
    }
    all
}

async fn three_thousand_letters_survive_a_runner_that_goes_away(f: Fixture) {
    let owner = f.owner().await;
    let fed = letters(&f, owner, LETTERS).await;
    let id = ask(&f, &replay_all()).await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    // Dropped wherever it is, once it has done something.
    let store = f.other_store().await;
    let working = tokio::spawn(async move { work(&store, first, 100).await });
    let some = async || f.store.job(id).await.unwrap().filter(|job| job.done >= u64::from(JOB_BATCH));
    baton_testkit::eventually(std::time::Duration::from_secs(60), "a batch", some).await;
    working.abort();
    // It was dropped on its way, or after its last batch and before it said so, or it was faster than the abort.
    let was_done = working.await.is_ok();
    assert!(claim(&f.store, second, 101).await.is_none(), "its lease has not run out");
    let batches = work(&f.store, second, 200).await;
    assert!(batches == 0 || !was_done, "{batches} batches after the end");

    assert_eq!(ended(&f, id).await, (JobState::Done, LETTERS as u64, Some(LETTERS as u64)));
    let again = f.unfinished().await;
    let ids = |all: &[FedDispatch]| all.iter().map(|d| d.event_id).collect::<Vec<EventId>>();
    assert_eq!(ids(&again), ids(&fed), "each once, in the order of the events");
    assert!(again.iter().all(|d| d.handler_id == Some(HandlerId(7))));
    assert_eq!(f.sums().await, [LETTERS as i64, 0, 0, 0, LETTERS as i64, 0]);
    assert!(f.store.search_dead_letters(&DeadLetterSearch::default(), &page(1)).await.unwrap().items.is_empty());
}

async fn a_runner_that_was_taken_over_does_nothing(f: Fixture) {
    let owner = f.owner().await;
    letters(&f, owner, 600).await;
    let id = ask(&f, &replay_all()).await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let zombie = claim(&f.store, first, 100).await.unwrap();
    assert!(claim(&f.store, second, 115).await.is_none());
    let taken = claim(&f.store, second, 116).await.unwrap();
    assert_eq!((taken.id, taken.started_at), (id, Some(after(100))));
    assert!(matches!(step(&f.store, &zombie, first, 117).await, Err(StorageError::Fenced)));
    assert!(!f.store.fail_job(id, first, after(117), "x").await.unwrap());
    let next = step(&f.store, &taken, second, 117).await.unwrap();
    assert_eq!((next.state, next.done, next.total), (JobState::Running, 500, Some(600)));
    // What stands where it no longer is does nothing either, even the runner's own.
    assert!(matches!(step(&f.store, &taken, second, 117).await, Err(StorageError::Fenced)));
    // One that is left goes on at once elsewhere.
    f.store.release_jobs(second, after(118)).await.unwrap();
    let third = Uuid::now_v7();
    assert_eq!(work(&f.store, third, 118).await, 1);
    assert_eq!(ended(&f, id).await, (JobState::Done, 600, Some(600)));
    assert_eq!(f.unfinished().await.len(), 600);
}

async fn a_job_is_cancelled_between_two_batches(f: Fixture) {
    let owner = f.owner().await;
    letters(&f, owner, 1100).await;
    let (early, late) = (ask(&f, &replay_all()).await, ask(&f, &replay_all()).await);
    let cancelled = f.store.request_cancel(early, after(90)).await.unwrap();
    assert_eq!((cancelled.state, cancelled.started_at, cancelled.finished_at), (JobState::Cancelled, None, Some(after(90))));
    let runner = Uuid::now_v7();
    let job = claim(&f.store, runner, 100).await.unwrap();
    assert_eq!(job.id, late);
    let job = step(&f.store, &job, runner, 101).await.unwrap();
    let asked = f.store.request_cancel(late, after(102)).await.unwrap();
    assert_eq!((asked.state, asked.cancel_requested, asked.finished_at), (JobState::Running, true, None));
    assert_eq!(f.store.request_cancel(late, after(103)).await.unwrap().state, JobState::Running);
    let job = step(&f.store, &job, runner, 104).await.unwrap();
    assert_eq!((job.state, job.done, job.finished_at), (JobState::Cancelled, 500, Some(after(104))));
    assert!(claim(&f.store, runner, 200).await.is_none());
    for (id, conflict) in [(late, true), (early, true), (Uuid::now_v7(), false)] {
        let error = f.store.request_cancel(id, after(201)).await.unwrap_err();
        assert_eq!(matches!(error, StorageError::Conflict), conflict, "{error}");
        assert_eq!(matches!(error, StorageError::NotFound), !conflict, "{error}");
    }
    assert_eq!(f.unfinished().await.len(), 500);
    let left = f.store.replay_dead_letters(&DeadLetterSearch::default(), 2000, after(300)).await.unwrap();
    assert_eq!(left, 600, "what was not sent is a dead letter still");
}

async fn a_letter_that_dies_again_is_not_sent_again(f: Fixture) {
    let owner = f.owner().await;
    letters(&f, owner, 501).await;
    let id = ask(&f, &replay_all()).await;
    letters(&f, owner, 1).await;
    let runner = Uuid::now_v7();
    let job = claim(&f.store, runner, 100).await.unwrap();
    step(&f.store, &job, runner, 100).await.unwrap();
    // They die again at once, by a clock that is behind.
    let again = f.unfinished().await;
    let record = Record {
        retries: again.iter().map(|d| delivery(d, 7, DeliveryState::Dead, 1)).collect(),
        ..ends(&again, EventStatus::Failed)
    };
    f.store.record(owner, &record).await.unwrap();
    work(&f.store, runner, 100).await;
    assert_eq!(ended(&f, id).await, (JobState::Done, 501, Some(501)));
    assert_eq!(f.unfinished().await.len(), 1);
    assert_eq!(f.sums().await, [502, 0, 501, 0, 1, 0]);
}

async fn a_search_chooses_and_others_letters_stay(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3, 4]).await;
    for d in &fed[..3] {
        f.store.record(owner, &dies(d, &[7, 8])).await.unwrap();
    }
    // Of the fourth, one has died while the other is retried.
    let half = Record {
        retries: vec![delivery(&fed[3], 7, DeliveryState::Dead, 1), delivery(&fed[3], 8, DeliveryState::Retrying, 1)],
        started: vec![(fed[3].seq, GenerationNumber(3))],
        partitions: vec![fed[3].partition],
        ..Record::default()
    };
    f.store.record(owner, &half).await.unwrap();
    let search = DeadLetterSearch { handler_id: Some(HandlerId(7)), error: Some("ANSWER".into()), ..DeadLetterSearch::default() };
    let id = ask(&f, &JobParams::ReplayDeadLetters(search)).await;
    // Another is faster with one of them.
    let one = DeadLetterSearch { ids: vec![(fed[1].event_id, HandlerId(7))], ..DeadLetterSearch::default() };
    assert_eq!(f.store.replay_dead_letters(&one, 10, after(70)).await.unwrap(), 1);
    work(&f.store, Uuid::now_v7(), 100).await;
    assert_eq!(ended(&f, id).await, (JobState::Done, 3, Some(3)));
    let replays: Vec<_> = f.unfinished().await.into_iter().filter(|d| d.handler_id.is_some()).collect();
    let events: Vec<_> = replays.iter().map(|d| d.event_id).collect();
    assert_eq!(events, [fed[1].event_id, fed[0].event_id, fed[2].event_id, fed[3].event_id]);
    let left = f.store.search_dead_letters(&DeadLetterSearch::default(), &page(10)).await.unwrap().items;
    assert_eq!(left.iter().map(|v| v.handler_id.0).collect::<Vec<_>>(), [8, 8, 8]);
    let nothing = DeadLetterSearch { object_id: Some("99".into()), ..DeadLetterSearch::default() };
    let none = ask(&f, &JobParams::ReplayDeadLetters(nothing)).await;
    work(&f.store, Uuid::now_v7(), 200).await;
    assert_eq!(ended(&f, none).await, (JobState::Done, 0, Some(0)));
}

async fn jobs_of_one_runner_take_turns(f: Fixture) {
    let owner = f.owner().await;
    letters(&f, owner, 1600).await;
    let (large, small) = (ask(&f, &replay_all()).await, ask(&f, &recover(9, 0, 60)).await);
    let runner = Uuid::now_v7();
    let mut order = Vec::new();
    for at in 100..104 {
        let job = claim(&f.store, runner, at).await.unwrap();
        order.push(job.id);
        step(&f.store, &job, runner, at).await.unwrap();
    }
    assert_eq!(order, [large, small, large, small]);
    assert!(f.store.job(large).await.unwrap().unwrap().started_at == Some(after(100)));
}

async fn a_job_that_cannot_be_done_fails(f: Fixture) {
    let id = ask(&f, &replay_all()).await;
    let runner = Uuid::now_v7();
    claim(&f.store, runner, 100).await.unwrap();
    assert!(f.store.fail_job(id, runner, after(101), "why\0").await.unwrap());
    let job = f.store.job(id).await.unwrap().unwrap();
    assert_eq!((job.state, job.error.as_deref(), job.finished_at), (JobState::Failed, Some("why\u{fffd}"), Some(after(101))));
    assert!(claim(&f.store, runner, 200).await.is_none());
}

async fn jobs_are_listed_newest_first(f: Fixture) {
    let mut ids = Vec::new();
    for handler in 1..=5 {
        ids.push(ask(&f, &recover(handler, 0, 60)).await);
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut next = Page { limit: 2, cursor: None };
    loop {
        let paged = f.store.list_jobs(&next).await.unwrap();
        seen.extend(paged.items.iter().map(|job| job.id));
        match paged.next_cursor {
            Some(cursor) => next.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    assert!(f.store.job(Uuid::now_v7()).await.unwrap().is_none());
}

/// A generation with handler 7 in it, or without.
async fn generation(f: &Fixture, number: i64, with: bool) {
    let snapshot = snapshot(number, if with { 7 } else { 0 });
    let (changes, cause) = (Changes::default(), GenerationCause::Restart);
    let new = NewGeneration { snapshot: &snapshot, changes: &changes, took_ms: 1, cause, rolled_back_to: None };
    assert!(f.store.insert_generation(&new).await.unwrap());
}

async fn a_handler_gets_what_it_has_not_had(f: Fixture) {
    generation(&f, 1, false).await;
    generation(&f, 2, true).await;
    let owner = f.owner().await;
    let fed = f.dispatches(&(0..10).collect::<Vec<_>>()).await;
    let part = |n: usize| Record { partitions: vec![fed[n].partition], ..Record::default() };
    let called = |n: usize, status| vec![execution(&fed[n], 7, 1, status)];
    let end = |n: usize, status| ends(&fed[n..=n], status);
    let records = [
        // Had it; died; skipped; unmatched; only another had it.
        Record { executions: called(0, CallStatus::Success), ..end(0, EventStatus::Delivered) },
        dies(&fed[1], &[7, 8]),
        Record { executions: called(2, CallStatus::Skipped), ..end(2, EventStatus::Delivered) },
        end(3, EventStatus::Unmatched),
        Record { executions: vec![execution(&fed[4], 8, 1, CallStatus::Success)], ..end(4, EventStatus::Delivered) },
        // Under way without the handler, and with it: not yet called, dead there, succeeded there.
        Record { started: vec![(fed[5].seq, GenerationNumber(1))], ..part(5) },
        Record { started: vec![(fed[6].seq, GenerationNumber(2))], ..part(6) },
        Record {
            started: vec![(fed[7].seq, GenerationNumber(2))],
            retries: vec![delivery(&fed[7], 7, DeliveryState::Dead, 1)],
            ..part(7)
        },
        Record { started: vec![(fed[8].seq, GenerationNumber(2))], executions: called(8, CallStatus::Success), ..part(8) },
        // The last waits for its turn.
    ];
    for record in &records {
        f.store.record(owner, record).await.unwrap();
    }
    let id = ask(&f, &recover(7, 0, 60)).await;
    work(&f.store, Uuid::now_v7(), 100).await;
    assert_eq!(ended(&f, id).await, (JobState::Done, 6, None));
    let again: Vec<_> = f.unfinished().await.into_iter().filter(|d| d.handler_id == Some(HandlerId(7))).collect();
    let events: Vec<_> = again.iter().map(|d| d.event_id).collect();
    assert_eq!(events, [1, 2, 3, 4, 5, 7].map(|n: usize| fed[n].event_id));
    assert_eq!(f.sums().await, [10, 1, 0, 0, 5, 4]);
    let dead = f.store.search_dead_letters(&DeadLetterSearch::default(), &page(10)).await.unwrap().items;
    assert_eq!(dead.iter().map(|v| (v.seq, v.handler_id.0)).collect::<Vec<_>>(), [(fed[1].seq, 8)]);

    // Once more: everything is on its way.
    let id = ask(&f, &recover(7, 0, 60)).await;
    work(&f.store, Uuid::now_v7(), 200).await;
    assert_eq!(ended(&f, id).await, (JobState::Done, 0, None));
    for d in &again {
        let had = Record {
            executions: vec![execution(d, 7, 1, CallStatus::Success)],
            ..ends(std::slice::from_ref(d), EventStatus::Delivered)
        };
        f.store.record(owner, &had).await.unwrap();
    }
    let rest = [5, 6, 7, 8, 9].map(|n: usize| finished(&fed[n], EventStatus::Delivered));
    let rest = Record { partitions: rest.iter().map(|d| d.partition).collect(), finished: rest.into(), ..Record::default() };
    f.store.record(owner, &rest).await.unwrap();
    assert_eq!(f.sums().await, [10, 9, 1, 0, 0, 0]);
}

async fn a_recovery_keeps_to_its_time(f: Fixture) {
    let at = |seconds: i64| {
        let mut event = event(seconds);
        event.received_at = after(seconds);
        event
    };
    // A day, an hour apart, two of them a minute out of order; one of another type; one after the job was asked for.
    let mut events: Vec<_> = (0..24).map(|hour| at(hour * 3600)).collect();
    events.push(at(6 * 3600 - 60));
    let mut other = at(7 * 3600);
    other.events_id = "clients.update".into();
    events.push(other);
    for event in &events {
        f.store.append_events(std::slice::from_ref(event), event.received_at).await.unwrap();
    }
    let owner = f.owner().await;
    let fed = f.unfinished().await;
    f.store.record(owner, &ends(&fed, EventStatus::Unmatched)).await.unwrap();
    let id = ask(&f, &recover(7, 6 * 3600, 8 * 3600)).await;
    f.store.append_events(&[at(6 * 3600 + 1)], after(0)).await.unwrap();
    work(&f.store, Uuid::now_v7(), 100).await;
    assert_eq!(ended(&f, id).await, (JobState::Done, 2, None));
    let again: Vec<_> = f.unfinished().await.into_iter().filter(|d| d.handler_id.is_some()).map(|d| d.event_id).collect();
    assert_eq!(again, [events[6].id, events[7].id]);
    // An hour that nothing falls into, and one before everything.
    for (since, until) in [(9 * 3600 + 1, 9 * 3600 + 2), (-9000, -8000)] {
        let id = ask(&f, &recover(7, since, until)).await;
        work(&f.store, Uuid::now_v7(), 200).await;
        assert_eq!(ended(&f, id).await, (JobState::Done, 0, None));
    }
}

async fn a_recovery_walks_many_events(f: Fixture) {
    let owner = f.owner().await;
    let mut fed = Vec::new();
    for chunk in (0..1_700).collect::<Vec<i64>>().chunks(500) {
        fed.extend(f.dispatches(chunk).await);
    }
    let every_other: Vec<_> = fed.iter().step_by(2).map(|d| execution(d, 7, 1, CallStatus::Success)).collect();
    f.store.record(owner, &Record { executions: every_other, ..ends(&fed, EventStatus::Delivered) }).await.unwrap();
    let id = ask(&f, &recover(7, 0, 60)).await;
    // A new runner for every batch.
    let mut at: i64 = 100;
    while let Some(job) = claim(&f.store, Uuid::now_v7(), at).await {
        let runner = Uuid::now_v7();
        assert!(matches!(step(&f.store, &job, runner, at).await, Err(StorageError::Fenced)));
        at += 20;
        let job = claim(&f.store, runner, at).await.unwrap();
        let job = step(&f.store, &job, runner, at).await.unwrap();
        if job.state == JobState::Running {
            f.store.release_jobs(runner, after(at)).await.unwrap();
        }
    }
    assert_eq!(ended(&f, id).await, (JobState::Done, 850, None));
    let again = f.unfinished().await;
    let places: BTreeSet<Seq> = again.iter().map(|d| d.seq).collect();
    assert_eq!(places.len(), 850);
    let events: Vec<_> = again.iter().map(|d| d.event_id).collect();
    assert_eq!(events, fed.iter().skip(1).step_by(2).map(|d| d.event_id).collect::<Vec<_>>());
    assert_eq!(f.sums().await, [1_700, 850, 0, 0, 850, 0]);
}
