//! Connections that break, and work that is given up half way.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use baton_domain::EventStatus;
use baton_storage::{Result, StorageError};
use baton_testkit::eventually;
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::{Fixture, ends, event, everything, keyed, now, on_both};

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
