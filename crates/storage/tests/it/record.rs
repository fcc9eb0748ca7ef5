//! Recording results.

use std::collections::BTreeMap;

use baton_domain::{CallStatus, EventStatus, GenerationNumber, HandlerId, Response};
use baton_storage::{DeliveryState, EventSearch, Record, audit};
use chrono::TimeDelta;

use crate::fixture::{Fixture, after, count, delivers, delivery, dies, ends, execution, finished, now, on_both, page};

on_both!(
    an_event_goes_its_way,
    calls_alone_say_that_an_event_was_delivered,
    what_handlers_answered_is_kept,
    a_record_repeated_after_a_lost_answer_changes_nothing,
    a_repeated_record_does_not_bring_back_a_replayed_letter,
    every_final_status_is_counted,
    a_big_batch_is_written_whole,
);

async fn an_event_goes_its_way(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    let event = fed.event_id;
    assert_eq!(f.status(event).await, EventStatus::Pending);
    let of = vec![fed.partition];
    let retry = Record {
        executions: vec![execution(&fed, 1, 1, CallStatus::Fail)],
        retries: vec![delivery(&fed, 1, DeliveryState::Retrying, 1)],
        started: vec![(fed.seq, GenerationNumber(3))],
        partitions: of.clone(),
        ..Record::default()
    };
    f.store.record(owner, &retry).await.unwrap();
    let stored = f.store.event(event).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.generation), (EventStatus::Retrying, Some(GenerationNumber(3))));
    assert_eq!(f.sums().await, [1, 0, 0, 0, 0, 1]);
    let deliveries = f.store.event_deliveries(event).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(
        (deliveries[0].attempts, deliveries[0].next_attempt_at, deliveries[0].state),
        (1, Some(after(30)), DeliveryState::Retrying)
    );

    let success = Record {
        executions: vec![execution(&fed, 1, 2, CallStatus::Success)],
        settled: vec![(fed.seq, HandlerId(1))],
        finished: vec![finished(&fed, EventStatus::Delivered)],
        partitions: of,
        ..Record::default()
    };
    f.store.record(owner, &success).await.unwrap();
    let stored = f.store.event(event).await.unwrap().unwrap();
    assert_eq!(
        (stored.status, stored.finished_at, stored.generation),
        (EventStatus::Delivered, Some(now() + TimeDelta::milliseconds(12)), Some(GenerationNumber(3))),
        "as the last call says"
    );
    assert!(f.store.event_deliveries(event).await.unwrap().is_empty());
    assert!(f.unfinished().await.is_empty());
    assert_eq!(f.sums().await, [1, 1, 0, 0, 0, 0]);
    let attempts: Vec<_> = f.store.event_executions(event).await.unwrap().iter().map(|x| (x.attempt, x.status)).collect();
    assert_eq!(attempts, [(1, CallStatus::Fail), (2, CallStatus::Success)]);
}

async fn calls_alone_say_that_an_event_was_delivered(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3, 4]).await;
    f.store.record(owner, &delivers(&fed[..1])).await.unwrap();
    // The second ended with a call of another generation, the third with none in this record.
    let mut second = delivers(&fed[1..2]);
    second.executions[0].generation = GenerationNumber(4);
    f.store.record(owner, &second).await.unwrap();
    f.store.record(owner, &ends(&fed[2..3], EventStatus::Delivered)).await.unwrap();
    // Both kinds in one batch that goes the long way, since something of it has died.
    let mut mixed = delivers(&fed[3..]);
    let dead = f.dispatches(&[5]).await.remove(0);
    let dies = dies(&dead, &[1]);
    mixed.executions.extend(dies.executions);
    mixed.retries = dies.retries;
    mixed.finished.extend(dies.finished);
    mixed.partitions.push(dead.partition);
    f.store.record(owner, &mixed).await.unwrap();
    f.store.record(owner, &mixed).await.unwrap();

    assert_eq!(count(&f, "SELECT count(*) FROM results WHERE event_seq IN (2, 3, 5)").await, 3);
    assert_eq!(count(&f, "SELECT count(*) FROM results").await, 3);
    assert_eq!(f.sums().await, [5, 4, 1, 0, 0, 0]);
    let ended = async |of: usize| {
        let event = f.store.event(fed[of].event_id).await.unwrap().unwrap();
        (event.status, event.finished_at, event.generation)
    };
    let by_calls = (EventStatus::Delivered, Some(now() + TimeDelta::milliseconds(12)), Some(GenerationNumber(3)));
    let by_result = (EventStatus::Delivered, Some(after(1)), Some(GenerationNumber(3)));
    assert_eq!([ended(0).await, ended(1).await, ended(2).await, ended(3).await], [by_calls, by_result, by_result, by_calls]);
    // In a list as well.
    let listed = f.store.search_events(&EventSearch::default(), &page(10)).await.unwrap().items;
    let listed: Vec<_> = listed.iter().rev().map(|event| (event.status, event.finished_at, event.generation)).collect();
    let failed = (EventStatus::Failed, Some(after(1)), Some(GenerationNumber(3)));
    assert_eq!(listed, [by_calls, by_result, by_result, by_calls, failed]);
    assert_eq!(audit(f.database.url()).await.unwrap().imbalances(), []);
}

async fn what_handlers_answered_is_kept(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await.remove(0);
    let http = Response::Http {
        status: 503,
        headers: BTreeMap::from([("retry-after".into(), "7".into())]),
        body: "a\0b – \"<b>\"".into(),
        truncated: true,
    };
    let script = Response::Script {
        exit_code: None,
        signal: Some("SIGKILL".into()),
        stdout: "\0".into(),
        stderr: String::new(),
        truncated: false,
    };
    let mut one = execution(&fed, 1, 1, CallStatus::Fail);
    (one.response, one.error, one.retry_at) = (Some(http), Some("it said \0 that".into()), Some(after(7)));
    let mut two = execution(&fed, 2, 1, CallStatus::Fail);
    (two.response, two.priority, two.duration_ms) = (Some(script), u16::MAX, i64::MAX);
    let mut dead = delivery(&fed, 1, DeliveryState::Dead, 1);
    dead.last_error = Some("it said \0 that".into());
    let record = Record {
        executions: vec![one.clone(), two.clone()],
        retries: vec![dead],
        partitions: vec![fed.partition],
        ..Record::default()
    };
    f.store.record(owner, &record).await.unwrap();

    let kept = f.store.execution(one.id).await.unwrap().unwrap();
    assert_eq!(kept.error.as_deref(), Some("it said \u{fffd} that"));
    assert_eq!((kept.response, kept.retry_at, kept.started_at), (one.response, one.retry_at, now()));
    assert_eq!((kept.handler_name, kept.object_id, kept.events_id), (one.handler_name, one.object_id, one.events_id));
    let kept = f.store.execution(two.id).await.unwrap().unwrap();
    assert_eq!((kept.response, kept.priority, kept.duration_ms), (two.response, u16::MAX, i64::MAX));
    let letters = f.store.search_dead_letters(&Default::default(), &page(10)).await.unwrap();
    assert_eq!(letters.items[0].last_error.as_deref(), Some("it said \u{fffd} that"));
}

async fn a_record_repeated_after_a_lost_answer_changes_nothing(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3]).await;
    let record = Record {
        executions: vec![
            execution(&fed[0], 1, 1, CallStatus::Success),
            execution(&fed[1], 1, 1, CallStatus::Fail),
            execution(&fed[2], 1, 1, CallStatus::Fail),
        ],
        retries: vec![delivery(&fed[1], 1, DeliveryState::Dead, 1), delivery(&fed[2], 1, DeliveryState::Retrying, 1)],
        started: vec![(fed[2].seq, GenerationNumber(3))],
        finished: vec![finished(&fed[0], EventStatus::Delivered), finished(&fed[1], EventStatus::Failed)],
        partitions: fed.iter().map(|d| d.partition).collect(),
        ..Record::default()
    };
    for _ in 0..3 {
        f.store.record(owner, &record).await.unwrap();
        assert_eq!(f.sums().await, [3, 1, 1, 0, 0, 1]);
        assert_eq!(f.unfinished().await.len(), 1);
        assert_eq!(f.store.search_executions(&Default::default(), &page(10)).await.unwrap().items.len(), 3);
        assert_eq!(f.store.search_dead_letters(&Default::default(), &page(10)).await.unwrap().items.len(), 1);
        assert_eq!(f.store.event_deliveries(fed[2].event_id).await.unwrap().len(), 1);
    }
}

async fn a_repeated_record_does_not_bring_back_a_replayed_letter(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await;
    let record = dies(&fed[0], &[1]);
    f.store.record(owner, &record).await.unwrap();
    assert_eq!(f.store.replay_dead_letters(&Default::default(), 10, after(5)).await.unwrap(), 1);
    f.store.record(owner, &record).await.unwrap();
    assert!(f.store.search_dead_letters(&Default::default(), &page(10)).await.unwrap().items.is_empty());
    assert_eq!(f.sums().await, [1, 0, 0, 0, 1, 0]);
    let again = f.unfinished().await;
    f.store.record(owner, &ends(&again, EventStatus::Delivered)).await.unwrap();
    assert_eq!(f.status(fed[0].event_id).await, EventStatus::Delivered);
}

async fn every_final_status_is_counted(f: Fixture) {
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2, 3, 4, 5, 6]).await;
    f.store.record(owner, &ends(&fed[..3], EventStatus::Delivered)).await.unwrap();
    f.store.record(owner, &ends(&fed[3..5], EventStatus::Unmatched)).await.unwrap();
    f.store.record(owner, &dies(&fed[5], &[1, 2])).await.unwrap();
    assert_eq!(f.sums().await, [6, 3, 1, 2, 0, 0]);
    let rows = f.store.stats().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].events_id.as_str(), rows[0].published), ("clients.create", 6));
    assert_eq!(f.store.backlog().await.unwrap().oldest_pending, None);
}

async fn a_big_batch_is_written_whole(f: Fixture) {
    let owner = f.owner().await;
    let objects: Vec<_> = (0..1000).collect();
    let fed = f.dispatches(&objects).await;
    let record = Record {
        executions: fed.iter().map(|d| execution(d, 1, 1, CallStatus::Success)).collect(),
        ..ends(&fed, EventStatus::Delivered)
    };
    f.store.record(owner, &record).await.unwrap();
    assert_eq!(f.sums().await, [1000, 1000, 0, 0, 0, 0]);
    assert_eq!(count(&f, "SELECT count(*) FROM executions").await, 1000);
}
