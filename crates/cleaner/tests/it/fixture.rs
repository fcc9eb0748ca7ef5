//! An installation with its Cleaners, and events that are older than they look.

use std::time::Duration;

use baton_cleaner::{CleanResult, Cleaner, CleanerSettings, Keep, SERVICE, request_clean};
use baton_domain::{CallStatus, EventId, EventStatus, Execution, ExecutionId, GenerationNumber, HandlerId, NewEvent, ObjectId};
use baton_handler_cache::HandlerCache;
use baton_storage::{Finished, Instance, Record, RunState, ServiceRun, Store, StoreSettings};
use baton_testkit::{TestDatabase, eventually, within};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Timestamp, Uuid};

/// How long what happens in the background may take at most.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Runs each test of a module on PostgreSQL and on SQLite.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::fixture::Site::postgres().await).await;
                }
            )*
        }
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::fixture::Site::sqlite().await).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// An installation. The stores go first, so that the database can be dropped.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) cache: HandlerCache,
    dispatcher: Uuid,
    database: TestDatabase,
}

impl Site {
    pub(crate) async fn postgres() -> Self {
        Self::on(TestDatabase::postgres().await).await
    }

    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    async fn on(database: TestDatabase) -> Self {
        let store = Store::connect(&StoreSettings { url: database.url().to_owned(), max_connections: 6 }).await.unwrap();
        store.migrate().await.unwrap();
        let (dispatcher, now) = (Uuid::now_v7(), Utc::now());
        store.register_instance(dispatcher, "dispatcher", "test", now, now + TimeDelta::hours(1)).await.unwrap();
        assert_eq!(store.claim_partitions(dispatcher, now, 64).await.unwrap().len(), 64);
        let cache = HandlerCache::local(store.clone());
        Self { store, cache, dispatcher, database }
    }

    /// Starts a Cleaner.
    pub(crate) fn cleaner(&self, settings: CleanerSettings) -> Running {
        let stop = CancellationToken::new();
        let cleaner = Cleaner::new(self.store.clone(), &self.cache, settings);
        let work = tokio::spawn(cleaner.run(stop.clone()));
        Running { stop, work: Some(work) }
    }

    pub(crate) async fn ask(&self) -> ServiceRun {
        request_clean(&self.store, self.cache.hints(), Utc::now()).await.unwrap()
    }

    /// Waits for a run to end.
    pub(crate) async fn ended(&self, id: i64) -> ServiceRun {
        eventually(SOON, "the run to end", async || {
            let run = self.store.run(id).await.unwrap().unwrap();
            matches!(run.state, RunState::Done | RunState::Failed).then_some(run)
        })
        .await
    }

    /// Waits for a run to be done; what it did.
    pub(crate) async fn done(&self, id: i64) -> CleanResult {
        let run = self.ended(id).await;
        assert_eq!(run.state, RunState::Done, "{run:?}");
        serde_json::from_value(run.result.unwrap()).unwrap()
    }

    /// Waits until the run is being done.
    pub(crate) async fn running(&self, id: i64) -> ServiceRun {
        eventually(SOON, "the run to begin", async || {
            let run = self.store.run(id).await.unwrap().unwrap();
            (run.state == RunState::Running).then_some(run)
        })
        .await
    }

    pub(crate) async fn instances(&self) -> Vec<Instance> {
        self.store.instances(Some(SERVICE)).await.unwrap()
    }

    /// Keeps every sweep of a PostgreSQL waiting at the events.
    pub(crate) async fn hold(&self) -> Hold {
        let mut connection = PgConnection::connect(self.database.url()).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE results IN ACCESS EXCLUSIVE MODE").execute(&mut connection).await.unwrap();
        Hold(connection)
    }

    /// Publishes events that came in so long ago and were delivered at once, each with one call.
    pub(crate) async fn delivered(&self, count: i64, age: TimeDelta) {
        let at = Utc::now() - age;
        let events: Vec<_> = (0..count).map(|n| event(n, at)).collect();
        for events in events.chunks(1000) {
            let appended = self.store.append_events(events, at).await.unwrap();
            let seqs: Vec<_> = appended.iter().map(|a| a.seq).collect();
            let fed = self.store.load_dispatches(&seqs).await.unwrap();
            let record = Record {
                executions: fed.iter().map(|d| call(d, at)).collect(),
                finished: fed.iter().map(|d| finished(d, at)).collect(),
                partitions: fed.iter().map(|d| d.partition).collect(),
                ..Record::default()
            };
            self.store.record(self.dispatcher, &record).await.unwrap();
        }
    }

    /// How many events are stored, at most 200.
    pub(crate) async fn stored(&self) -> usize {
        let page = baton_storage::Page { limit: 200, cursor: None };
        self.store.search_events(&Default::default(), &page).await.unwrap().items.len()
    }

    /// How many executions are stored, at most 200.
    pub(crate) async fn calls(&self) -> usize {
        let page = baton_storage::Page { limit: 200, cursor: None };
        self.store.search_executions(&Default::default(), &page).await.unwrap().items.len()
    }
}

/// While it lives, no sweep of events comes to an end.
pub(crate) struct Hold(PgConnection);

impl Hold {
    pub(crate) async fn release(self) {
        self.0.close().await.unwrap();
    }
}

/// A Cleaner that runs.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    work: Option<JoinHandle<()>>,
}

impl Running {
    /// Ends it in good order.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        within(SOON, "the Cleaner to stop", self.work.take().unwrap()).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Keeps events for 90 days and executions for 30, and runs only when it is asked to.
pub(crate) fn on_demand(name: &str) -> CleanerSettings {
    let keep = Keep {
        events: Some(TimeDelta::days(90)),
        executions: Some(TimeDelta::days(30)),
        generations: Some(TimeDelta::days(365)),
        statistics: Some(TimeDelta::days(7)),
    };
    CleanerSettings { name: name.into(), keep, every: None, first_after: TimeDelta::zero() }
}

fn id_of(at: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(NoContext, at.timestamp().try_into().unwrap(), at.timestamp_subsec_nanos()))
}

fn event(client: i64, at: DateTime<Utc>) -> NewEvent {
    NewEvent {
        id: EventId(id_of(at)),
        events_id: "clients.create".into(),
        object_id: ObjectId::from_json(&client.to_string()).unwrap(),
        ordering_key: format!("client/{client}"),
        dt: "2026-03-04T09:15:27+00:00".into(),
        data: "{}".into(),
        idempotency_key: Some(format!("{client} at {at}")),
        received_at: at,
    }
}

fn call(of: &baton_storage::FedDispatch, at: DateTime<Utc>) -> Execution {
    Execution {
        id: ExecutionId(id_of(at)),
        event_id: of.event_id,
        seq: of.seq,
        events_id: of.events_id.clone(),
        object_id: of.object_id.clone(),
        handler_id: HandlerId(1),
        handler_name: "CRM".into(),
        priority: 100,
        generation: GenerationNumber(1),
        attempt: 1,
        status: CallStatus::Success,
        started_at: at,
        duration_ms: 12,
        error: None,
        response: None,
        retry_at: None,
    }
}

fn finished(of: &baton_storage::FedDispatch, at: DateTime<Utc>) -> Finished {
    Finished {
        seq: of.seq,
        event_id: of.event_id,
        partition: of.partition,
        events_id: of.events_id.clone(),
        status: EventStatus::Delivered,
        generation: Some(GenerationNumber(1)),
        finished_at: at,
    }
}
