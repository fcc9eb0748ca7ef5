//! The balance against the rows, seen by a process that only reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use baton_domain::{CallStatus, EventStatus, GenerationNumber, NewEvent};
use baton_storage::{DeliveryState, Imbalance, Place, Record, StorageError, StoredEnds, Sweep, audit};
use baton_testkit::TestDatabase;
use chrono::TimeDelta;

use crate::fixture::{Fixture, after, count, delivery, dies, ends, event, execution, finished, now, on_both};
use crate::retention::{KEEP, cleaning, old, received};

on_both!(it_shows_one_moment, it_holds_while_everything_is_under_way, what_is_lost_is_found);

async fn it_shows_one_moment(f: Fixture) {
    let url = f.database.url();
    assert_eq!(audit(url).await.unwrap(), baton_storage::Audit::default());
    let owner = f.owner().await;
    let fed = old(&f, 1..=6).await;
    f.append(&[NewEvent { events_id: "clients.update".into(), ..event(1) }]).await;
    f.store.record(owner, &ends(&fed[..2], EventStatus::Delivered)).await.unwrap();
    f.store.record(owner, &dies(&fed[2], &[1])).await.unwrap();
    f.store.record(owner, &ends(&fed[3..4], EventStatus::Unmatched)).await.unwrap();
    let retrying = Record {
        retries: vec![delivery(&fed[4], 1, DeliveryState::Retrying, 1)],
        started: vec![(fed[4].seq, GenerationNumber(3))],
        partitions: vec![fed[4].partition],
        ..Record::default()
    };
    f.store.record(owner, &retrying).await.unwrap();
    let shown = audit(url).await.unwrap();
    assert_eq!(shown.balance, f.store.stats().await.unwrap());
    assert_eq!(shown.stored, [("clients.create".to_owned(), 6), ("clients.update".to_owned(), 1)].into());
    assert_eq!(shown.ended, StoredEnds { delivered: 2, failed: 1, unmatched: 1 });
    assert_eq!(shown.oldest_pending, Some(now()));
    let total = shown.total();
    assert_eq!((total.published, total.ended(), total.under_way(), total.difference()), (7, 4, 3, 0));
    assert_eq!(shown.imbalances(), []);
    // After retention the counters know more than is stored.
    assert_eq!(f.store.sweep(Sweep::Events, KEEP, cleaning(), Place::default()).await.unwrap().removed.executions, 1);
    let after_sweep = audit(url).await.unwrap();
    assert_eq!((after_sweep.balance.clone(), after_sweep.imbalances()), (shown.balance, vec![]));
}

async fn it_holds_while_everything_is_under_way(f: Fixture) {
    let owner = f.owner().await;
    let done = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let store = f.other_store().await;
        async move {
            for n in 0..120 {
                let events: Vec<_> = (0..25).map(|i| received(event(n * 25 + i), now())).collect();
                store.append_events(&events, now()).await.unwrap();
            }
        }
    });
    let dispatching = tokio::spawn({
        let (store, done) = (f.other_store().await, Arc::clone(&done));
        async move {
            loop {
                let last = done.load(Ordering::Acquire);
                let fed = store.read_dispatches(&crate::fixture::everything()).await.unwrap();
                if fed.is_empty() && last {
                    return;
                }
                let mut record = ends(&fed, EventStatus::Delivered);
                record.finished.iter_mut().for_each(|end| end.finished_at = after(end.seq.0 % 2 * 3_000_000));
                store.record(owner, &record).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let removing = tokio::spawn({
        let (store, done) = (f.other_store().await, Arc::clone(&done));
        async move {
            let mut events = 0;
            while !done.load(Ordering::Acquire) {
                match store.sweep(Sweep::Events, KEEP, cleaning(), Place::default()).await {
                    Ok(swept) => events += swept.removed.events,
                    Err(StorageError::Unavailable(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            events
        }
    });
    let (mut looks, mut partly) = (0, 0);
    while !publishing.is_finished() || looks < 5 || partly == 0 {
        let shown = audit(f.database.url()).await.unwrap();
        assert_eq!(shown.imbalances(), [], "{shown:?}");
        looks += 1;
        let stored: i64 = shown.stored.values().sum();
        partly += usize::from(stored < shown.total().published);
    }
    publishing.await.unwrap();
    done.store(true, Ordering::Release);
    dispatching.await.unwrap();
    assert!(removing.await.unwrap() > 0, "{looks} looks, {partly} of them after something was removed");
    let shown = audit(f.database.url()).await.unwrap();
    assert_eq!((shown.imbalances(), shown.total().delivered), (vec![], 3000));
}

async fn what_is_lost_is_found(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=4).await;
    f.store.record(owner, &ends(&fed[..2], EventStatus::Delivered)).await.unwrap();
    // What no part of Baton does: a dispatch goes without a result.
    assert_eq!(count(&f, "DELETE FROM dispatches WHERE seq = 3 RETURNING seq").await, 3);
    let difference = Imbalance::Difference { events_id: "clients.create".into(), published: 4, known: 3 };
    let not_counted = Imbalance::NotCounted { events_id: "clients.create".into(), stored: 3, counted: 2 };
    let found = async || audit(f.database.url()).await.unwrap().imbalances();
    assert_eq!(found().await, [difference, not_counted.clone(), Imbalance::Lost(1)]);
    // Counters that were put right do not hide it.
    count(&f, "UPDATE tallies SET published = 3 WHERE shard = 0 RETURNING published").await;
    assert_eq!(found().await, [not_counted, Imbalance::Lost(1)]);
    count(&f, "UPDATE tallies SET published = 4, delivered = 1 WHERE shard = 0 RETURNING published").await;
    assert_eq!(found().await, [Imbalance::Lost(1)]);
    // One that was being retried: its calls have failed, and something of it was still to be done. Counters were put right as well.
    let retried = f.dispatches(&[5]).await.remove(0);
    let retrying = Record {
        executions: vec![execution(&retried, 1, 1, CallStatus::Fail)],
        retries: vec![delivery(&retried, 1, DeliveryState::Retrying, 1)],
        started: vec![(retried.seq, GenerationNumber(3))],
        partitions: vec![retried.partition],
        ..Record::default()
    };
    f.store.record(owner, &retrying).await.unwrap();
    count(&f, "DELETE FROM dispatches WHERE seq = 5 RETURNING seq").await;
    count(&f, "UPDATE tallies SET delivered = delivered + 1 WHERE shard = 0 RETURNING published").await;
    assert_eq!(found().await, [Imbalance::Lost(2)]);
    // A result of an event that is under way.
    let stray = "INSERT INTO results SELECT id, seq, 'failed', NULL, received_at FROM events WHERE seq = 4 RETURNING event_seq";
    assert_eq!(count(&f, stray).await, 4);
    assert!(found().await.contains(&Imbalance::Stray(1)));
    // It does not keep the event from ending.
    f.store.record(owner, &ends(&fed[3..4], EventStatus::Delivered)).await.unwrap();
    assert_eq!(f.status(fed[3].event_id).await, EventStatus::Delivered);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let fresh = TestDatabase::sqlite().await;
    assert!(matches!(audit(fresh.url()).await, Err(StorageError::Unavailable(_))));
    assert!(!fresh.file().unwrap().exists());
    let empty = TestDatabase::postgres().await;
    assert!(matches!(audit(empty.url()).await, Err(StorageError::Bug(_))));
    assert!(matches!(audit(&format!("{}_not", empty.url())).await, Err(StorageError::BadUrl(_))));
    assert!(matches!(audit("mysql://x").await, Err(StorageError::BadUrl(_))));
}

#[tokio::test]
async fn a_sqlite_database_is_only_read() {
    let f = Fixture::sqlite().await;
    let fed = f.dispatches(&[1]).await;
    f.store.close().await;
    let file = f.database.file().unwrap();
    let before = std::fs::read(&file).unwrap();
    assert_eq!(audit(f.database.url()).await.unwrap().total().pending, 1);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // And goes on as if nothing had been.
    let store = f.other_store().await;
    let owner = uuid::Uuid::now_v7();
    store.register_instance(owner, "dispatcher", "test", now(), now() + TimeDelta::seconds(60)).await.unwrap();
    assert_eq!(store.claim_partitions(owner, now(), 64).await.unwrap().len(), 64);
    let record = Record {
        finished: vec![finished(&fed[0], EventStatus::Delivered)],
        partitions: vec![fed[0].partition],
        ..Record::default()
    };
    store.record(owner, &record).await.unwrap();
    assert_eq!(audit(f.database.url()).await.unwrap().total().delivered, 1);
}
