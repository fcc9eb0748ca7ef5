//! Retention while events are sent on their way again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use baton_domain::{CallStatus, EventStatus, GenerationNumber};
use baton_storage::{Place, Removed, StorageError, Sweep};
use baton_testkit::{eventually, within};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{DAY, KEEP, cleaning, ends_late, old};
use crate::fixture::{Fixture, after, count, delivers, dies, ends, now, on_both};

on_both!(an_event_is_removed_or_replayed_but_never_both);

const SOON: Duration = Duration::from_secs(20);

async fn an_event_is_removed_or_replayed_but_never_both(f: Fixture) {
    let owner = f.owner().await;
    let fed = old(&f, 1..=600).await;
    for d in fed.chunks(2) {
        f.store.record(owner, &delivers(&d[..1])).await.unwrap();
        f.store.record(owner, &dies(&d[1], &[1])).await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let cleaner = f.other_store().await;
    let cleaning_up = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut removed = Removed::default();
            while !done.load(Ordering::Acquire) {
                // From the other end in small steps, so that both meet in the middle.
                let mut place = Place::default();
                loop {
                    match cleaner.sweep(Sweep::Events, KEEP, cleaning(), place).await {
                        Ok(swept) => {
                            removed += swept.removed;
                            match swept.next {
                                Some(next) => place = next,
                                None => break,
                            }
                        }
                        Err(StorageError::Unavailable(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
            removed
        }
    });
    let (mut replayed, mut gone) = (0, 0);
    for d in fed.iter().rev() {
        match f.store.replay_event(d.event_id, None, cleaning()).await {
            Ok(_) => replayed += 1,
            // It went before the look at it, or right after.
            Err(StorageError::NotFound | StorageError::Corrupt { .. }) => gone += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    done.store(true, Ordering::Release);
    let removed = cleaning_up.await.unwrap();
    assert_eq!((replayed + gone, removed.events), (600, gone));
    assert_eq!(count(&f, "SELECT count(*) FROM dispatches WHERE event_seq NOT IN (SELECT seq FROM events)").await, 0);
    assert_eq!(count(&f, "SELECT count(*) FROM dispatches").await, replayed as i64);
    for d in f.unfinished().await {
        f.store.record(owner, &ends_late(&d)).await.unwrap();
    }
    let [published, delivered, failed, unmatched, pending, retrying] = f.sums().await;
    assert_eq!((published, unmatched, pending, retrying), (600, 0, 0, 0));
    assert_eq!(delivered + failed, 600);
    assert_eq!(count(&f, "SELECT count(*) FROM results").await, replayed as i64);
}

/// The moment that matters: the replay has looked at the event and not committed yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_under_way_is_waited_for() {
    let f = Fixture::postgres().await;
    let owner = f.owner().await;
    let fed = old(&f, 1..=2).await;
    f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    let mut replay = PgConnection::connect(f.database.url()).await.unwrap();
    replay.execute("BEGIN; SELECT seq FROM append_position WHERE id = 1 FOR UPDATE").await.unwrap();
    let store = f.other_store().await;
    let sweep = tokio::spawn(async move { store.sweep(Sweep::Events, KEEP, cleaning(), Place::default()).await.unwrap() });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually(SOON, "the sweep to wait", async || (count(&f, waiting).await == 1).then_some(())).await;
    let again = format!(
        "DELETE FROM results WHERE event_seq = {seq};
         INSERT INTO dispatches SELECT 1000, 0, seq, id, events_id, ordering_key, 1, 'pending', NULL, NULL, received_at FROM events WHERE seq = {seq};
         COMMIT",
        seq = fed[0].seq.0
    );
    replay.execute(AssertSqlSafe(again)).await.unwrap();
    let swept = within(SOON, "the sweep", sweep).await.unwrap();
    assert_eq!(swept.removed, Removed { events: 1, ..Removed::default() });
    assert!(f.store.event(fed[0].event_id).await.unwrap().is_some());
    assert!(f.store.event(fed[1].event_id).await.unwrap().is_none());
}

/// The same where executions go before their events: what a replay has sent on its way has not been delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_replayed_is_not_written_down_as_delivered() {
    let f = Fixture::postgres().await;
    let owner = f.owner().await;
    let fed = old(&f, 1..=2).await;
    let mut record = delivers(&fed);
    record.executions = fed.iter().map(|d| super::called(d, CallStatus::Success, now())).collect();
    f.store.record(owner, &record).await.unwrap();
    let mut replay = PgConnection::connect(f.database.url()).await.unwrap();
    replay.execute("BEGIN; SELECT seq FROM append_position WHERE id = 1 FOR UPDATE").await.unwrap();
    let store = f.other_store().await;
    let sweep = tokio::spawn(async move { store.sweep(Sweep::Executions, KEEP, cleaning(), Place::default()).await.unwrap() });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually(SOON, "the sweep to wait", async || (count(&f, waiting).await == 1).then_some(())).await;
    let again = format!(
        "INSERT INTO dispatches SELECT 1000, 0, seq, id, events_id, ordering_key, 1, 'pending', NULL, NULL, received_at FROM events WHERE seq = {};
         UPDATE tallies SET delivered = 1 WHERE delivered = 2; COMMIT",
        fed[0].seq.0
    );
    replay.execute(AssertSqlSafe(again)).await.unwrap();
    let swept = within(SOON, "the sweep", sweep).await.unwrap();
    assert_eq!(swept.removed.executions, 2);
    assert_eq!(
        (f.status(fed[0].event_id).await, f.status(fed[1].event_id).await),
        (EventStatus::Pending, EventStatus::Delivered)
    );
    assert_eq!(count(&f, "SELECT event_seq FROM results").await, fed[1].seq.0);
    f.store.record(owner, &delivers(&f.unfinished().await)).await.unwrap();
    assert_eq!(f.status(fed[0].event_id).await, EventStatus::Delivered);
    assert_eq!((count(&f, "SELECT count(*) FROM results").await, count(&f, "SELECT count(*) FROM executions").await), (1, 1));
}

/// The same for a generation that a replay is being bound to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_a_replay_is_being_bound_to_is_waited_for() {
    let f = Fixture::postgres().await;
    let owner = f.owner().await;
    super::history::generations(&f, 1..=30).await;
    let fed = old(&f, [1]).await;
    f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    let mut replay = PgConnection::connect(f.database.url()).await.unwrap();
    replay.execute("BEGIN; SELECT number FROM generations WHERE number = 5 FOR KEY SHARE").await.unwrap();
    let store = f.other_store().await;
    let sweep =
        tokio::spawn(async move { store.sweep(Sweep::Generations, KEEP, after(999 * DAY), Place::default()).await.unwrap() });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually(SOON, "the sweep to wait", async || (count(&f, waiting).await == 1).then_some(())).await;
    replay
        .execute("INSERT INTO dispatches SELECT 1000, 0, seq, id, events_id, ordering_key, 1, 'pending', 5, NULL, received_at FROM events; COMMIT")
        .await
        .unwrap();
    let swept = within(SOON, "the sweep", sweep).await.unwrap();
    // Of ten: all but this one, and the one that the result of the event names.
    assert_eq!(swept.removed, Removed { generations: 8, ..Removed::default() });
    assert!(f.store.generation(GenerationNumber(5)).await.unwrap().is_some());
}
