//! A dispatcher on a database of its own, and the small words in which tests speak to it.

use std::time::Duration;

use baton_dispatcher::call::{Caller, CallerSettings, Confinement};
use baton_dispatcher::{Dispatcher, DispatcherSettings};
use baton_domain::address::AddressPolicy;
use baton_domain::event::Publication;
use baton_domain::handler::HandlerSpec;
use baton_domain::{
    CallStatus, Catalogue, Changes, EventId, EventStatus, Execution, GenerationNumber, HandlerId, NewEvent, OnFailure,
    PauseScope, RetryPolicy, Snapshot, Task,
};
use baton_handler_cache::{HandlerCache, Hint};
use baton_storage::{GenerationCause, NewGeneration, Store, StoreSettings, Vault};
use baton_testkit::{TestDatabase, eventually, within};
use chrono::Utc;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a story on both databases.
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* $name:ident)*) => {
        mod on_sqlite {
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
                super::$name(crate::rig::Rig::on(baton_testkit::TestDatabase::sqlite().await).await).await;
            })*
        }
        mod on_postgres {
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
                super::$name(crate::rig::Rig::on(baton_testkit::TestDatabase::postgres().await).await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;

/// A database with everything that works on it.
pub(crate) struct Rig {
    pub store: Store,
    pub cache: HandlerCache,
    vault: Vault,
    next_generation: i64,
    /// Few enough that a test can have more.
    pub events_in_memory: usize,
    dispatchers: Vec<Running>,
    stop: CancellationToken,
    database: TestDatabase,
}

/// A dispatcher at work.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops it as a signal would, and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        within(PATIENCE, "the dispatcher to stop", self.task).await.unwrap();
    }
}

impl Rig {
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let store = connect(&database).await;
        store.migrate().await.unwrap();
        let cache = HandlerCache::local(store.clone());
        let stop = CancellationToken::new();
        tokio::spawn(cache.clone().run(stop.clone()));
        let vault = Vault::new(&Vault::generate_key()).unwrap();
        Self { store, cache, vault, next_generation: 1, events_in_memory: 20_000, dispatchers: Vec::new(), stop, database }
    }

    /// Starts a dispatcher that runs until the rig is gone.
    pub(crate) fn start(&mut self) {
        let running = self.dispatcher("only");
        self.dispatchers.push(running);
    }

    /// Starts a dispatcher.
    pub(crate) fn dispatcher(&self, name: &str) -> Running {
        self.dispatcher_on(self.store.clone(), name)
    }

    /// Starts a dispatcher that knows of appends no more than another process would.
    pub(crate) async fn dispatcher_elsewhere(&self, name: &str) -> Running {
        self.dispatcher_on(connect(&self.database).await, name)
    }

    fn dispatcher_on(&self, store: Store, name: &str) -> Running {
        let settings = CallerSettings {
            policy: AddressPolicy::new([], true),
            script_root: None,
            scripts_max: 4,
            confinement: Confinement::default(),
            user_agent: "Baton/test".into(),
        };
        let limits = DispatcherSettings {
            name: name.into(),
            calls_max: 64,
            handler_calls_max: 32,
            scripts_max: 4,
            events_in_memory: self.events_in_memory,
            alone: false,
        };
        let caller = Caller::new(settings).unwrap();
        let dispatcher = Dispatcher::new(store, self.cache.clone(), caller, self.vault.clone(), limits);
        let stop = self.stop.child_token();
        Running { task: tokio::spawn(dispatcher.run(stop.clone())), stop }
    }

    /// Makes these handlers live.
    pub(crate) async fn go_live(&mut self, handlers: impl IntoIterator<Item = HandlerSpec>) {
        let snapshot = Snapshot::new(GenerationNumber(self.next_generation), Utc::now(), handlers);
        self.next_generation += 1;
        let new = NewGeneration {
            snapshot: &snapshot,
            changes: &Changes::default(),
            took_ms: 0,
            cause: GenerationCause::Restart,
            rolled_back_to: None,
        };
        assert!(self.store.insert_generation(&new).await.unwrap());
        self.cache.publish(std::sync::Arc::new(snapshot)).await;
    }

    /// Publishes events, `("clients.create", 7)` or the like, in one transaction each.
    pub(crate) async fn publish(&self, events: &[(&str, u64)]) -> Vec<EventId> {
        let mut ids = Vec::new();
        for (events_id, object_id) in events {
            ids.push(self.store.append_events(&[event(events_id, *object_id)], Utc::now()).await.unwrap()[0].id);
        }
        self.cache.hints().send(Hint::Appended);
        ids
    }

    /// Publishes many events in one transaction.
    pub(crate) async fn publish_batch(&self, events: &[(&str, u64)]) -> Vec<EventId> {
        let new: Vec<_> = events.iter().map(|(events_id, object_id)| event(events_id, *object_id)).collect();
        let appended = self.store.append_events(&new, Utc::now()).await.unwrap();
        self.cache.hints().send(Hint::Appended);
        appended.into_iter().map(|event| event.id).collect()
    }

    /// Pauses, and waits until that is known.
    pub(crate) async fn pause(&self, scope: PauseScope) {
        let mut pauses = self.cache.pauses();
        assert!(self.store.pause(&scope, Utc::now()).await.unwrap());
        self.cache.hints().send(Hint::Pauses);
        within(Duration::from_secs(5), "the pause to be known", pauses.wait_for(|p| p.contains(&scope))).await.unwrap();
    }

    /// Resumes.
    pub(crate) async fn resume(&self, scope: PauseScope) {
        assert!(self.store.resume(&scope).await.unwrap());
        self.cache.hints().send(Hint::Pauses);
    }

    /// Waits until an event has this status.
    pub(crate) async fn wait_for_status(&self, id: EventId, status: EventStatus) {
        let what = format!("event {id} to be {}", status.as_str());
        eventually(PATIENCE, &what, async || (self.store.event(id).await.unwrap()?.status == status).then_some(())).await;
    }

    /// Waits until so many deliveries are held.
    pub(crate) async fn wait_for_held(&self, count: u64) {
        eventually(PATIENCE, "deliveries to be held", async || (self.store.backlog().await.unwrap().held == count).then_some(()))
            .await;
    }

    /// The executions of an event as `(handler, attempt, status)`, oldest first.
    pub(crate) async fn executions(&self, id: EventId) -> Vec<(i64, u32, CallStatus)> {
        let brief = |e: Execution| (e.handler_id.0, e.attempt, e.status);
        self.store.event_executions(id).await.unwrap().into_iter().map(brief).collect()
    }

    /// Waits until no event is open, then checks the balance: every published event is in exactly one final state.
    pub(crate) async fn assert_balance(&self, published: i64) {
        let rows = eventually(PATIENCE, "every event to end", async || {
            let rows = self.store.stats().await.unwrap();
            rows.iter().all(|row| row.pending + row.retrying == 0).then_some(rows)
        })
        .await;
        let sum = |of: fn(&baton_storage::StatRow) -> i64| rows.iter().map(of).sum::<i64>();
        assert_eq!(sum(|r| r.published), published, "{rows:?}");
        assert_eq!(sum(|r| r.delivered) + sum(|r| r.failed) + sum(|r| r.unmatched), published, "{rows:?}");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn connect(database: &TestDatabase) -> Store {
    Store::connect(&StoreSettings { url: database.url().into(), max_connections: 8 }).await.unwrap()
}

fn event(events_id: &str, object_id: u64) -> NewEvent {
    let json = json!({"event": {"events_id": events_id, "object_id": object_id}, "data": {"n": 1.50}}).to_string();
    serde_json::from_str::<Publication>(&json).unwrap().check(&Catalogue::default(), None, Utc::now()).unwrap()
}

/// An HTTP handler that retries at once, three times in all.
pub(crate) fn handler(id: i64, event: &str, priority: u16, url: String) -> HandlerSpec {
    HandlerSpec {
        id: HandlerId(id),
        name: format!("handler {id}"),
        event: event.into(),
        task: Task::Http { url },
        priority,
        on_failure: OnFailure::Continue,
        timeout_ms: 5000,
        retry: RetryPolicy { max_attempts: 3, first_delay_ms: 20, max_delay_ms: 40 },
        lane: None,
        headers: Default::default(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    }
}
