//! An installation with its Cache Managers, seen from a program that asks for restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_cache_manager::{CacheManager, RestartResult, SERVICE, request_restart, wait_for_run};
use baton_domain::{GenerationNumber, Handler, HandlerStatus, OnFailure, RetryPolicy, Task};
use baton_handler_cache::{HandlerCache, RedisSettings};
use baton_storage::{
    GenerationSummary, Instance, NewHandler, Page, RunState, ServiceRun, StorageError, Store, StoreSettings, Vault,
};
use baton_testkit::{TestDatabase, TestRedis, eventually, within};
use chrono::Utc;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long what happens in the background may take at most.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// How late a generation may go live after the answer to a restart: a second, and what a machine with much else to do adds.
pub(crate) const LATE: Duration = Duration::from_millis(1500);

/// Runs each test of a module on PostgreSQL with Redis, where every Cache Manager is as good as a process of its own, and on SQLite, where
/// everything is one process.
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

/// An installation. `store` and `cache` are those of the program that asks.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) cache: HandlerCache,
    pub(crate) vault: Vault,
    redis: Option<TestRedis>,
    stop: CancellationToken,
    database: TestDatabase,
}

impl Site {
    pub(crate) async fn postgres() -> Self {
        Self::on(TestDatabase::postgres().await, Some(TestRedis::shared())).await
    }

    pub(crate) async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite().await, None).await
    }

    async fn on(database: TestDatabase, redis: Option<TestRedis>) -> Self {
        let store = connect(&database).await;
        store.migrate().await.unwrap();
        let cache = match &redis {
            Some(redis) => HandlerCache::redis(store.clone(), &settings(redis)).unwrap(),
            None => HandlerCache::local(store.clone()),
        };
        let (stop, vault) = (CancellationToken::new(), Vault::new(&Vault::generate_key()).unwrap());
        tokio::spawn(cache.clone().run(stop.clone()));
        Self { store, cache, vault, redis, stop, database }
    }

    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// Starts a Cache Manager, with an own connection to the database where it would be an own process.
    pub(crate) async fn manager(&self, name: &str) -> Manager {
        self.manager_with(name, self.vault.clone()).await
    }

    /// Starts one with another key.
    pub(crate) async fn manager_with(&self, name: &str, vault: Vault) -> Manager {
        let stop = CancellationToken::new();
        let (store, cache) = match &self.redis {
            None => (self.store.clone(), self.cache.clone()),
            Some(redis) => {
                let store = connect(&self.database).await;
                let cache = HandlerCache::redis(store.clone(), &settings(redis)).unwrap();
                tokio::spawn(cache.clone().run(stop.clone()));
                (store, cache)
            }
        };
        let manager = CacheManager::new(name.to_owned(), store, cache.clone(), vault);
        let work = tokio::spawn(manager.run(stop.clone()));
        Manager { cache, stop, work: Some(work) }
    }

    /// Starts one and waits until the first generation is live.
    pub(crate) async fn started(&self) -> Manager {
        let manager = self.manager("first").await;
        self.live(1).await;
        manager
    }

    /// Waits until this generation is live for the program that asks.
    pub(crate) async fn live(&self, number: i64) {
        self.live_within(number, SOON).await;
    }

    pub(crate) async fn live_within(&self, number: i64, limit: Duration) {
        let what = format!("generation {number}");
        let mut changes = self.cache.changes();
        within(limit, &what, changes.wait_for(|live| *live == Some(GenerationNumber(number)))).await.unwrap();
    }

    /// Asks for a restart, after what else may wait in the queue: of several that start at once, all but one ask for a first build in vain.
    pub(crate) async fn ask(&self) -> ServiceRun {
        eventually(SOON, "a place in the queue", async || {
            match request_restart(&self.store, self.cache.hints(), Utc::now()).await {
                Err(StorageError::Conflict) => None,
                asked => Some(asked.unwrap()),
            }
        })
        .await
    }

    /// Waits for a run to end.
    pub(crate) async fn ended(&self, id: i64) -> ServiceRun {
        let run = wait_for_run(&self.store, self.cache.hints(), id, SOON).await.unwrap();
        assert!(matches!(run.state, RunState::Done | RunState::Failed), "{run:?}");
        run
    }

    /// Waits for a run to be done: it as it stands then, and its result.
    pub(crate) async fn done(&self, id: i64) -> (ServiceRun, RestartResult) {
        let run = self.ended(id).await;
        assert_eq!(run.state, RunState::Done, "{run:?}");
        let result = result_of(&run);
        (run, result)
    }

    /// Waits for a run to fail: why it did.
    pub(crate) async fn failed(&self, id: i64) -> String {
        let run = self.ended(id).await;
        assert_eq!((run.state, &run.result), (RunState::Failed, &None), "{run:?}");
        run.error.unwrap()
    }

    /// A restart from the question to the answer.
    pub(crate) async fn restart(&self) -> RestartResult {
        self.done(self.ask().await.id).await.1
    }

    pub(crate) async fn create(&self, handler: NewHandler) -> Handler {
        self.store.create_handler(&handler, Utc::now()).await.unwrap()
    }

    pub(crate) async fn update(&self, handler: &Handler) -> Handler {
        self.store.update_handler(handler, handler.version, Utc::now()).await.unwrap()
    }

    /// All generations, the newest first.
    pub(crate) async fn generations(&self) -> Vec<GenerationSummary> {
        self.store.list_generations(&Page { limit: 200, cursor: None }).await.unwrap().items
    }

    /// The names of the handlers of the live generation, as the database has it, in their order.
    pub(crate) async fn live_names(&self) -> Vec<String> {
        let live = self.store.live_generation().await.unwrap().unwrap();
        live.handlers().iter().map(|handler| handler.name.clone()).collect()
    }

    pub(crate) async fn instances(&self) -> Vec<Instance> {
        self.store.instances(Some(SERVICE)).await.unwrap()
    }

    /// Waits until every Cache Manager has looked again, counted by its signs of life.
    pub(crate) async fn another_look(&self) {
        let before = self.instances().await;
        assert!(!before.is_empty());
        eventually(SOON, "a sign of life of everybody", async || {
            let now = self.instances().await;
            let later = |was: &Instance| now.iter().any(|is| is.id == was.id && is.lease_until > was.lease_until);
            before.iter().all(later).then_some(())
        })
        .await;
    }

    /// Keeps every build of a PostgreSQL waiting before it has read a handler.
    pub(crate) async fn hold(&self) -> Hold {
        let mut connection = PgConnection::connect(self.database_url()).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE handlers IN ACCESS EXCLUSIVE MODE").execute(&mut connection).await.unwrap();
        Hold(connection)
    }

    /// Waits until the run is being done.
    pub(crate) async fn running(&self, id: i64) -> ServiceRun {
        eventually(SOON, "the run to begin", async || {
            let run = self.store.run(id).await.unwrap().unwrap();
            (run.state == RunState::Running).then_some(run)
        })
        .await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// While it lives, no build comes to an end.
pub(crate) struct Hold(PgConnection);

impl Hold {
    pub(crate) async fn release(self) {
        self.0.close().await.unwrap();
    }
}

/// A Cache Manager that runs.
pub(crate) struct Manager {
    pub(crate) cache: HandlerCache,
    stop: CancellationToken,
    work: Option<JoinHandle<()>>,
}

impl Manager {
    /// Ends it in good order.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        within(SOON, "the Cache Manager to stop", self.work.take().unwrap()).await.unwrap();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn settings(redis: &TestRedis) -> RedisSettings {
    RedisSettings { url: redis.url().to_owned(), prefix: redis.prefix().to_owned() }
}

async fn connect(database: &TestDatabase) -> Store {
    Store::connect(&StoreSettings { url: database.url().to_owned(), max_connections: 6 }).await.unwrap()
}

pub(crate) fn result_of(run: &ServiceRun) -> RestartResult {
    serde_json::from_value(run.result.clone().unwrap()).unwrap()
}

/// An enabled handler with this name and priority.
pub(crate) fn handler(name: &str, priority: u16) -> NewHandler {
    NewHandler {
        name: name.to_owned(),
        event: "clients.create".into(),
        task: Task::Http { url: format!("http://crm.example/{name}") },
        status: HandlerStatus::Enabled,
        priority,
        on_failure: OnFailure::Continue,
        timeout_ms: 10_000,
        retry: RetryPolicy::default(),
        lane: None,
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
        notes: String::new(),
    }
}
