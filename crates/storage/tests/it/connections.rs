//! Connections that break, and work that is given up half way.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use baton_domain::{EventStatus, PartitionId};
use baton_storage::{Result, StorageError};
use baton_testkit::{PostgresServer, Shutdown, eventually, within};
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::{Fixture, after, dies, ends, event, everything, keyed, now, on_both};

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

/// Two connections from outside: one that holds records up short of their commit, one that looks.
struct Outside {
    holding: PgConnection,
    looking: PgConnection,
}

impl Outside {
    async fn hold_results(f: &Fixture) -> Self {
        let mut holding = PgConnection::connect(f.database.url()).await.unwrap();
        holding.execute("BEGIN; LOCK TABLE results IN SHARE MODE").await.unwrap();
        Self { holding, looking: PgConnection::connect(f.database.url()).await.unwrap() }
    }

    async fn let_go(&mut self) {
        self.holding.execute("ROLLBACK").await.unwrap();
    }

    /// How many connections of the store are `active` and waiting for a lock, or `idle in transaction`.
    async fn count(&mut self, state: &str) -> i64 {
        let counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'baton'
            AND state = $1 AND (state <> 'active' OR wait_event_type = 'Lock')";
        sqlx::query_scalar(counted).bind(state).fetch_one(&mut self.looking).await.unwrap()
    }

    /// Lets a record go on until it is held up.
    async fn run_into_it<F: Future>(&mut self, recording: &mut Pin<&mut F>) {
        eventually(SOON, "the record to be held up", async || {
            assert!(recording.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            (self.count("active").await == 1).then_some(())
        })
        .await;
    }
}

/// A dispatcher is stopped (as by SIGSTOP) in the midst of a record: it must not keep its partitions from the others for ever, and what
/// it was about to write is not written once they are taken.
#[tokio::test]
async fn a_process_that_is_stopped_within_a_record_is_taken_over() {
    let f = Fixture::postgres().await;
    let (stopped, next) = (f.owner().await, f.dispatcher().await);
    assert!(f.store.renew_instance(next, after(500), &baton_storage::Work::default()).await.unwrap());
    let fed = f.dispatches(&[1]).await;
    // One that takes several round trips; where all went well, the record is one statement.
    let record = dies(&fed[0], &[1]);
    let mut outside = Outside::hold_results(&f).await;
    let mut recording = pin!(f.store.record(stopped, &record));
    outside.run_into_it(&mut recording).await;
    // From here on nobody asks for its answers.
    outside.let_go().await;
    eventually(SOON, "the record to stand still", async || (outside.count("idle in transaction").await == 1).then_some(())).await;
    let other = f.other_store().await;
    let taken = within(SOON, "the partitions", other.claim_partitions(next, after(61), 64)).await.unwrap();
    assert_eq!(taken.len(), 64);
    // It wakes up and finds that it has written nothing.
    let woken = recording.await;
    assert!(matches!(woken, Err(StorageError::Unavailable(_))), "{woken:?}");
    assert!(matches!(f.store.record(stopped, &record).await, Err(StorageError::Fenced)));
    assert_eq!(f.sums().await, [1, 0, 0, 0, 1, 0]);
    other.record(next, &record).await.unwrap();
}

/// A partition is given up while a record about it is under way: the record is committed first, so that the next owner sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_waits_for_the_record_that_is_under_way() {
    let f = Fixture::postgres().await;
    let owner = f.owner().await;
    let fed = f.dispatches(&[1]).await;
    let record = ends(&fed, EventStatus::Delivered);
    let mut outside = Outside::hold_results(&f).await;
    let mut recording = pin!(f.store.record(owner, &record));
    outside.run_into_it(&mut recording).await;
    let store = f.store.clone();
    let releasing = tokio::spawn(async move { store.release_partitions(owner, &PartitionId::all().collect::<Vec<_>>()).await });
    eventually(SOON, "the release to wait", async || (outside.count("active").await == 2).then_some(())).await;
    outside.let_go().await;
    recording.await.unwrap();
    releasing.await.unwrap().unwrap();
    assert!(f.store.owned_partitions(owner).await.unwrap().is_empty());
    assert!(f.unfinished().await.is_empty());
    assert!(matches!(f.store.record(owner, &record).await, Err(StorageError::Fenced)));
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

/// With the log of PostgreSQL written as late as it allows, so that a commit that does not wait for the disk is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_and_recorded_survives_a_crash_of_the_database() {
    let mut server = PostgresServer::start().await;
    server.configure("wal_writer_delay", "10s").await;
    server.configure("wal_writer_flush_after", "1GB").await;
    let f = Fixture::on(server.database().await).await;
    let owner = f.owner().await;
    let fed = f.dispatches(&[1, 2]).await;
    f.store.record(owner, &ends(&fed, EventStatus::Delivered)).await.unwrap();
    let crash = async |server: &mut PostgresServer| {
        server.stop(Shutdown::Immediate).await;
        server.restart().await;
        eventually(SOON, "a read", async || passed(f.store.read_dispatches(&everything()).await)).await
    };
    assert!(crash(&mut server).await.is_empty());
    // The connection that appends may still be one of before.
    let events = [event(3), event(4)];
    let appended = eventually(SOON, "an append", async || passed(f.store.append_events(&events, now()).await)).await;
    let unfinished = crash(&mut server).await;
    assert_eq!(unfinished.iter().map(|d| d.event_id).collect::<Vec<_>>(), appended.iter().map(|a| a.id).collect::<Vec<_>>());
    eventually(SOON, "the balance", async || passed(f.store.stats().await)).await;
    assert_eq!(f.sums().await, [4, 2, 0, 0, 2, 0]);
}
