//! A fresh store, and events to put into it.

use std::sync::atomic::{AtomicU64, Ordering};

use baton_domain::{
    CallStatus, EventId, EventStatus, Execution, ExecutionId, GenerationNumber, HandlerId, NewEvent, ObjectId, PartitionId, Seq,
};
use baton_storage::{Appended, DeliveryRow, DeliveryState, FedDispatch, FeedQuery, Finished, Page, Record, Store, StoreSettings};
use baton_testkit::TestDatabase;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Runs each test of a module on PostgreSQL and on SQLite.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::fixture::Fixture::postgres().await).await;
                }
            )*
        }
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::fixture::Fixture::sqlite().await).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// A migrated database of its own. The store goes first, so that the database can be dropped.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn postgres() -> Self {
        Self::on(TestDatabase::postgres().await).await
    }

    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    pub(crate) async fn on(database: TestDatabase) -> Self {
        let store = connect(database.url()).await;
        store.migrate().await.unwrap();
        Self { store, database }
    }

    /// Another process on the same database, as far as the database can tell.
    pub(crate) async fn other_store(&self) -> Store {
        connect(self.database.url()).await
    }

    /// A dispatcher that owns every partition.
    pub(crate) async fn owner(&self) -> Uuid {
        let id = self.dispatcher().await;
        assert_eq!(self.store.claim_partitions(id, now(), 64).await.unwrap().len(), 64);
        id
    }

    /// A dispatcher that owns nothing, alive for a minute.
    pub(crate) async fn dispatcher(&self) -> Uuid {
        let id = Uuid::now_v7();
        self.store.register_instance(id, "dispatcher", "test", now(), after(60)).await.unwrap();
        id
    }

    pub(crate) async fn append(&self, events: &[NewEvent]) -> Vec<Appended> {
        self.store.append_events(events, now()).await.unwrap()
    }

    /// Appends one event for each of these objects and answers with their dispatches.
    pub(crate) async fn dispatches(&self, objects: &[i64]) -> Vec<FedDispatch> {
        let events: Vec<_> = objects.iter().map(|n| event(*n)).collect();
        let seqs: Vec<_> = self.append(&events).await.iter().map(|a| a.seq).collect();
        self.store.load_dispatches(&seqs).await.unwrap()
    }

    /// Every unfinished dispatch.
    pub(crate) async fn unfinished(&self) -> Vec<FedDispatch> {
        self.store.read_dispatches(&everything()).await.unwrap()
    }

    pub(crate) async fn status(&self, id: EventId) -> EventStatus {
        self.store.event(id).await.unwrap().unwrap().status
    }

    /// The sums of all event types: published, delivered, failed, unmatched, pending, retrying.
    pub(crate) async fn sums(&self) -> [i64; 6] {
        let rows = self.store.stats().await.unwrap();
        rows.iter().fold([0; 6], |sums, r| {
            let row = [r.published, r.delivered, r.failed, r.unmatched, r.pending, r.retrying];
            std::array::from_fn(|i| sums[i] + row[i])
        })
    }
}

async fn connect(url: &str) -> Store {
    Store::connect(&StoreSettings { url: url.to_owned(), max_connections: 8 }).await.unwrap()
}

/// The instant of these tests.
pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-24T10:00:00.000000Z".parse().unwrap()
}

/// So many seconds after it.
pub(crate) fn after(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

/// An id as it would have been made at this instant, behind all that were made at it before.
pub(crate) fn id_made_at(instant: DateTime<Utc>) -> Uuid {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&MADE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(instant.timestamp_millis().unsigned_abs(), &rest).into_uuid()
}

/// An event of this client.
pub(crate) fn event(client: i64) -> NewEvent {
    NewEvent {
        id: EventId(id_made_at(now())),
        events_id: "clients.create".into(),
        object_id: ObjectId::from_json(&client.to_string()).unwrap(),
        ordering_key: format!("client/{client}"),
        dt: "2026-03-04T09:15:27+00:00".into(),
        data: format!(r#"{{"id":{client},"name":"Northwind"}}"#),
        idempotency_key: None,
        received_at: now(),
    }
}

pub(crate) fn keyed(client: i64, key: &str) -> NewEvent {
    NewEvent { idempotency_key: Some(key.into()), ..event(client) }
}

/// Everything there is to read.
pub(crate) fn everything() -> FeedQuery {
    FeedQuery {
        partitions: PartitionId::all().collect(),
        after: Seq(0),
        up_to: None,
        except_keys: Vec::new(),
        limit: 100_000,
        bytes_max: usize::MAX,
    }
}

pub(crate) fn page(limit: u16) -> Page {
    Page { limit, cursor: None }
}

/// A call of the handler for the dispatch.
pub(crate) fn execution(of: &FedDispatch, handler: i64, attempt: u32, status: CallStatus) -> Execution {
    Execution {
        id: ExecutionId(id_made_at(now())),
        event_id: of.event_id,
        seq: of.seq,
        events_id: of.events_id.clone(),
        object_id: of.object_id.clone(),
        handler_id: HandlerId(handler),
        handler_name: format!("handler {handler}"),
        priority: 100,
        generation: GenerationNumber(3),
        attempt,
        status,
        started_at: now(),
        duration_ms: 12,
        error: (status == CallStatus::Fail).then(|| "no answer".into()),
        response: None,
        retry_at: None,
    }
}

/// A delivery that is to be tried again, or dead.
pub(crate) fn delivery(of: &FedDispatch, handler: i64, state: DeliveryState, attempts: u32) -> DeliveryRow {
    DeliveryRow {
        seq: of.seq,
        handler_id: HandlerId(handler),
        event_id: of.event_id,
        events_id: of.events_id.clone(),
        object_id: of.object_id.clone(),
        handler_name: format!("handler {handler}"),
        generation: GenerationNumber(3),
        state,
        attempts,
        next_attempt_at: (state == DeliveryState::Retrying).then(|| after(30)),
        last_error: Some("no answer".into()),
        updated_at: now(),
    }
}

pub(crate) fn finished(of: &FedDispatch, status: EventStatus) -> Finished {
    Finished {
        seq: of.seq,
        event_id: of.event_id,
        partition: of.partition,
        events_id: of.events_id.clone(),
        status,
        generation: Some(GenerationNumber(3)),
        finished_at: after(1),
    }
}

/// A record that only ends dispatches.
pub(crate) fn ends(of: &[FedDispatch], status: EventStatus) -> Record {
    Record {
        finished: of.iter().map(|d| finished(d, status)).collect(),
        partitions: of.iter().map(|d| d.partition).collect(),
        ..Record::default()
    }
}

/// A record in which a handler takes each of them at once: nothing but these calls says how they ended.
pub(crate) fn delivers(of: &[FedDispatch]) -> Record {
    let executions = of.iter().map(|d| execution(d, 1, 1, CallStatus::Success)).collect();
    Record { executions, ..ends(of, EventStatus::Delivered) }
}

/// A record in which handlers die and the dispatch fails.
pub(crate) fn dies(of: &FedDispatch, handlers: &[i64]) -> Record {
    Record {
        executions: handlers.iter().map(|h| execution(of, *h, 1, CallStatus::Fail)).collect(),
        retries: handlers.iter().map(|h| delivery(of, *h, DeliveryState::Dead, 1)).collect(),
        ..ends(std::slice::from_ref(of), EventStatus::Failed)
    }
}

/// What a SELECT count(*) says, on a connection of its own.
pub(crate) async fn count(f: &Fixture, sql: &'static str) -> i64 {
    use sqlx::Connection;
    if f.store.is_sqlite() {
        let mut connection = sqlx::SqliteConnection::connect(f.database.url()).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    } else {
        let mut connection = sqlx::PgConnection::connect(f.database.url()).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }
}
