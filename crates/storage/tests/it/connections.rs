//! Connections that break, and work that is given up half way.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use baton_domain::EventStatus;
use baton_storage::{Result, StorageError};
use baton_testkit::{eventually, within};
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::{Fixture, after, ends, event, everything, keyed, now, on_both};

const SOON: Duration = Duration::from_secs(20);

/// What came of it, unless it was an error that passes.
fn passed<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(StorageError::Unavailable(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

on_both!(what_is_given_up_half_way_leaves_nothing_behind);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_replaced() {
    let f = Fixture::postgres().await;
    let owner = f.owner().await;
    let mut outside = PgConnection::connect(f.database.url()).await.unwrap();
    for round in 0..3 {
        // Use every kind of connection, so that each has one to lose.
        let fed = f.dispatches(&[round]).await;
        f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
        f.store.ping().await.unwrap();
        outside
            .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'baton' AND datname = current_database()")
            .await
            .unwrap();
        // Each may fail until its broken connection is found out, and then only as something that passes.
        let again = [event(100 + round)];
        let appended = eventually(SOON, "an append", async || passed(f.store.append_events(&again, now()).await)).await;
        assert_eq!(appended[0].id, again[0].id);
        let fed = eventually(SOON, "a read", async || passed(f.store.read_dispatches(&everything()).await)).await;
        assert_eq!(fed.len(), 1);
        let record = ends(&fed, EventStatus::Delivered);
        eventually(SOON, "a record", async || passed(f.store.record(owner, &record).await)).await;
        eventually(SOON, "the balance", async || passed(f.store.stats().await)).await;
    }
    assert_eq!(f.sums().await, [6, 6, 0, 0, 0, 0]);
}

/// A dispatcher is stopped (as by SIGSTOP) in the midst of a record: it must not keep its partitions from the others for ever.
#[tokio::test]
async fn a_process_that_is_stopped_within_a_record_is_taken_over() {
    let f = Fixture::postgres().await;
    let (stopped, next) = (f.owner().await, f.dispatcher().await);
    assert!(f.store.renew_instance(next, after(500), 0).await.unwrap());
    let fed = f.dispatches(&[1, 2]).await;
    // A first record prepares the statements, so that the next one sends them only to run them.
    f.store.record(stopped, &ends(&fed[1..], EventStatus::Delivered)).await.unwrap();
    let record = ends(&fed[..1], EventStatus::Delivered);
    let mut recording = pin!(f.store.record(stopped, &record));
    let mut outside = PgConnection::connect(f.database.url()).await.unwrap();
    let holding = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction' AND query LIKE '%FOR NO KEY UPDATE%'";
    // The work stands still between two looks: once it has the lock, it keeps it.
    eventually(SOON, "the record to have its lock", async || {
        let held = sqlx::query_scalar::<_, i64>(holding).fetch_one(&mut outside).await.unwrap();
        if held == 0 {
            assert!(recording.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        (held == 1).then_some(())
    })
    .await;
    let other = f.other_store().await;
    let taken = within(SOON, "the partitions", other.claim_partitions(next, after(61), 64)).await.unwrap();
    assert_eq!(taken.len(), 64);
    // It wakes up and finds that it has written nothing.
    let woken = recording.await;
    assert!(matches!(woken, Err(StorageError::Unavailable(_))), "{woken:?}");
    assert!(matches!(f.store.record(stopped, &record).await, Err(StorageError::Fenced)));
    assert_eq!(f.sums().await, [2, 1, 0, 0, 1, 0]);
    other.record(next, &record).await.unwrap();
}

/// Lets the work go on so many steps, then drops it.
async fn abandon<F: Future>(work: F, steps: u32) -> bool {
    let mut work = pin!(work);
    for _ in 0..steps {
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

async fn what_is_given_up_half_way_leaves_nothing_behind(f: Fixture) {
    let owner = f.owner().await;
    let mut abandoned = 0;
    for steps in 0..60 {
        let events = [event(1), keyed(2, &format!("key {steps}"))];
        abandoned += i64::from(abandon(f.store.append_events(&events, now()), steps).await);
        let fed = f.dispatches(&[3]).await;
        abandon(f.store.record(owner, &ends(&fed, EventStatus::Delivered)), steps).await;
        abandon(f.store.replay_event(fed[0].event_id, None, now()), steps).await;
        // Whatever happened happened whole, and the next one works.
        f.append(&[event(4)]).await;
        let [published, delivered, failed, unmatched, pending, retrying] = f.sums().await;
        assert_eq!(published, delivered + failed + unmatched + pending + retrying);
    }
    assert!(abandoned > 5, "{abandoned}");
    let [published, ..] = f.sums().await;
    assert_eq!(published, crate::fixture::count(&f, "SELECT count(*) FROM events").await);
    let unfinished = f.unfinished().await;
    f.store.record(owner, &ends(&unfinished, EventStatus::Delivered)).await.unwrap();
    assert_eq!(f.sums().await, [published, published, 0, 0, 0, 0]);
}

#[tokio::test]
async fn abandoning_is_what_it_says() {
    assert!(abandon(std::future::pending::<()>(), 3).await);
    assert!(!abandon(async {}, 3).await);
}
