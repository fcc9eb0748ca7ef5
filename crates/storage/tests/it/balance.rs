//! published = delivered + failed + unmatched + retrying + pending, whatever happens at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_domain::{CallStatus, EventStatus, GenerationNumber, HandlerId, PartitionId};
use baton_storage::{DeliveryState, FeedQuery, Record, StorageError, Store};
use uuid::Uuid;

use crate::fixture::{Fixture, after, delivery, dies, event, everything, execution, finished, now, on_both};

on_both!(the_balance_holds_under_everything_at_once);

const EVENT_TYPES: [&str; 3] = ["clients.create", "accounts.create", "clients.update"];

/// Publishes, of three types, small batches and large ones.
async fn publish(store: Store, rounds: i64) {
    for n in 0..rounds {
        let events: Vec<_> = (0..1 + n % 9)
            .map(|i| baton_domain::NewEvent { events_id: EVENT_TYPES[(n + i) as usize % 3].into(), ..event(i) })
            .collect();
        store.append_events(&events, now()).await.unwrap();
    }
}

/// Does what a dispatcher does with the partitions it owns, in a fixed mixture of outcomes, until there is nothing left and `done`.
async fn dispatch(store: Store, id: Uuid, partitions: Vec<PartitionId>, done: Arc<AtomicBool>) {
    loop {
        let stop = done.load(Ordering::Acquire);
        let fed = store.read_dispatches(&FeedQuery { partitions: partitions.clone(), limit: 40, ..everything() }).await.unwrap();
        if fed.is_empty() {
            if stop {
                return;
            }
            tokio::task::yield_now().await;
            continue;
        }
        let mut record = Record { partitions: partitions.clone(), ..Record::default() };
        for d in &fed {
            match d.seq.0 % 7 {
                0 if d.generation.is_none() => {
                    record.executions.push(execution(d, 1, 1, CallStatus::Fail));
                    record.retries.push(delivery(d, 1, DeliveryState::Retrying, 1));
                    record.started.push((d.seq, GenerationNumber(3)));
                }
                0 => {
                    record.settled.push((d.seq, HandlerId(1)));
                    record.finished.push(finished(d, EventStatus::Delivered));
                }
                1 => {
                    let one = dies(d, &[1, 2]);
                    record.executions.extend(one.executions);
                    record.retries.extend(one.retries);
                    record.finished.extend(one.finished);
                }
                2 => record.finished.push(finished(d, EventStatus::Unmatched)),
                3 | 4 => {
                    record.executions.push(execution(d, 1, 1, CallStatus::Success));
                    record.finished.push(finished(d, EventStatus::Delivered));
                }
                _ => record.finished.push(finished(d, EventStatus::Delivered)),
            }
        }
        match store.record(id, &record).await {
            Ok(()) => {}
            // Gave way to a replay.
            Err(StorageError::Unavailable(_)) => continue,
            Err(error) => panic!("{error:?}"),
        }
        if fed[0].seq.0 % 5 == 0 {
            // As after a lost answer.
            match store.record(id, &record).await {
                Ok(()) | Err(StorageError::Unavailable(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// Replays dead letters, and events in whatever state they are.
async fn replay(store: Store, rounds: usize) {
    for n in 0..rounds {
        match store.replay_dead_letters(&Default::default(), 5, after(9)).await {
            Ok(_) | Err(StorageError::Unavailable(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        let page = baton_storage::Page { limit: 20, cursor: None };
        let events = store.search_events(&Default::default(), &page).await.unwrap().items;
        if let Some(event) = events.get(n % 20) {
            let handler = (n % 2 == 0).then_some(HandlerId(1));
            match store.replay_event(event.id, handler, after(9)).await {
                Ok(_) | Err(StorageError::Unavailable(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

async fn the_balance_holds_under_everything_at_once(f: Fixture) {
    let (a, b) = (f.dispatcher().await, f.dispatcher().await);
    let half = |id| {
        let store = f.store.clone();
        async move { store.claim_partitions(id, now(), 32).await.unwrap().into_iter().map(|(p, _)| p).collect::<Vec<_>>() }
    };
    let (of_a, of_b) = (half(a).await, half(b).await);
    let done = Arc::new(AtomicBool::new(false));
    let dispatchers = [
        tokio::spawn(dispatch(f.other_store().await, a, of_a, Arc::clone(&done))),
        tokio::spawn(dispatch(f.other_store().await, b, of_b, Arc::clone(&done))),
    ];
    let work = [
        tokio::spawn(publish(f.other_store().await, 80)),
        tokio::spawn(publish(f.store.clone(), 80)),
        tokio::spawn(replay(f.store.clone(), 60)),
    ];
    let mut looks = 0;
    while !work.iter().all(tokio::task::JoinHandle::is_finished) {
        for row in f.store.stats().await.unwrap() {
            let rest = row.delivered + row.failed + row.unmatched + row.pending + row.retrying;
            assert_eq!(row.published, rest, "{row:?}");
            assert!(row.pending >= 0 && row.retrying >= 0 && row.delivered >= 0, "{row:?}");
        }
        looks += 1;
    }
    for task in work {
        task.await.unwrap();
    }
    done.store(true, Ordering::Release);
    for dispatcher in dispatchers {
        dispatcher.await.unwrap();
    }
    assert!(looks > 5, "looked {looks} times");
    // Now against the rows themselves.
    let [published, delivered, failed, unmatched, pending, retrying] = f.sums().await;
    assert_eq!(published, 2 * (0..80).map(|n| 1 + n % 9).sum::<i64>());
    assert_eq!((pending, retrying), (0, 0));
    for (status, sum) in [
        ("SELECT count(*) FROM events WHERE id NOT IN (SELECT event_id FROM results WHERE status <> 'delivered')", delivered),
        ("SELECT count(*) FROM results WHERE status = 'failed'", failed),
        ("SELECT count(*) FROM results WHERE status = 'unmatched'", unmatched),
        ("SELECT count(*) FROM events", published),
        ("SELECT count(*) FROM events WHERE id NOT IN (SELECT event_id FROM results UNION SELECT event_id FROM executions)", 0),
        (
            "SELECT count(*) FROM events WHERE id NOT IN (SELECT event_id FROM results) AND id IN (SELECT event_id FROM deliveries)",
            0,
        ),
        ("SELECT count(*) FROM dispatches", 0),
        ("SELECT count(*) FROM deliveries WHERE replayed_at IS NOT NULL OR state = 'retrying'", 0),
        ("SELECT count(*) FROM results r WHERE status <> 'failed' AND event_id IN (SELECT event_id FROM deliveries)", 0),
        ("SELECT count(*) FROM results r WHERE status = 'failed' AND event_id NOT IN (SELECT event_id FROM deliveries)", 0),
    ] {
        assert_eq!(crate::fixture::count(&f, status).await, sum, "{status}");
    }
}
