//! An installation, its processes, and generations to publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_domain::handler::HandlerSpec;
use baton_domain::{Changes, GenerationNumber, HandlerId, OnFailure, RetryPolicy, Snapshot, Task};
use baton_handler_cache::{HandlerCache, RedisSettings};
use baton_storage::{GenerationCause, NewGeneration, Store, StoreSettings};
use baton_testkit::{TestDatabase, eventually, within};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How late a generation may go live in another process: a second, and what a machine with much else to do adds.
pub(crate) const LATE: Duration = Duration::from_millis(1500);
/// How late Redis may be filled again.
pub(crate) const REFILL: Duration = Duration::from_secs(6);
/// How long what happens in the background may take at most.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A database and the Redis beside it.
pub(crate) struct Site {
    redis: RedisSettings,
    database: TestDatabase,
}

impl Site {
    /// A PostgreSQL, and the part of this Redis under the prefix.
    pub(crate) async fn new(redis_url: impl Into<String>, prefix: &str) -> Self {
        Self::on(TestDatabase::postgres().await, redis_url, prefix).await
    }

    /// The same on SQLite, for what hardly touches the database: it is there much sooner.
    pub(crate) async fn small(redis_url: impl Into<String>, prefix: &str) -> Self {
        Self::on(TestDatabase::sqlite().await, redis_url, prefix).await
    }

    async fn on(database: TestDatabase, redis_url: impl Into<String>, prefix: &str) -> Self {
        connect(&database).await.migrate().await.unwrap();
        Self { redis: RedisSettings { url: redis_url.into(), prefix: prefix.to_owned() }, database }
    }

    /// What a program of this installation holds before it keeps it up to date.
    pub(crate) async fn cache(&self) -> (HandlerCache, Store) {
        self.cache_by(&self.redis.url).await
    }

    async fn cache_by(&self, redis_url: &str) -> (HandlerCache, Store) {
        let store = connect(&self.database).await;
        let settings = RedisSettings { url: redis_url.to_owned(), ..self.redis.clone() };
        (HandlerCache::redis(store.clone(), &settings).unwrap(), store)
    }

    /// A program of this installation, up to date and subscribed.
    pub(crate) async fn process(&self) -> Process {
        self.process_by(&self.redis.url).await
    }

    /// One that reaches Redis by another address.
    pub(crate) async fn process_by(&self, redis_url: &str) -> Process {
        let (cache, store) = self.cache_by(redis_url).await;
        Process::start(cache, store)
    }

    /// A connection of the test to Redis.
    pub(crate) async fn redis(&self) -> MultiplexedConnection {
        redis::Client::open(self.redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) fn pointer(&self) -> String {
        format!("{}:live", self.redis.prefix)
    }

    pub(crate) fn key(&self, number: i64) -> String {
        format!("{}:generation:{number}", self.redis.prefix)
    }

    pub(crate) fn channel(&self) -> String {
        format!("{}:hints", self.redis.prefix)
    }

    pub(crate) fn appends_channel(&self) -> String {
        format!("{}:appends", self.redis.prefix)
    }

    /// How many messages were ever published in this Redis.
    pub(crate) async fn published(&self) -> u64 {
        let calls: redis::InfoDict = redis::cmd("INFO").arg("commandstats").query_async(&mut self.redis().await).await.unwrap();
        let publish: Option<String> = calls.get("cmdstat_publish");
        publish.and_then(|text| text.strip_prefix("calls=")?.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    /// The number that Redis points to.
    pub(crate) async fn pointed_to(&self) -> Option<i64> {
        self.redis().await.get(self.pointer()).await.unwrap()
    }

    /// Waits until Redis holds the generation, pointed to and there to stay.
    pub(crate) async fn filled(&self, number: i64) {
        eventually(REFILL, "Redis to be filled again", async || {
            let mut redis = redis::Client::open(self.redis.url.as_str()).ok()?.get_multiplexed_async_connection().await.ok()?;
            let pointer: Option<i64> = redis.get(self.pointer()).await.ok()?;
            let stays: i64 = redis.ttl(self.key(number)).await.ok()?;
            (pointer == Some(number) && stays == -1).then_some(())
        })
        .await;
    }

    /// Waits until so many processes are subscribed to the hints.
    pub(crate) async fn subscribed(&self, processes: i64) {
        eventually(SOON, "the subscriptions", async || {
            let mut redis = self.redis().await;
            let count: BTreeMap<String, i64> =
                redis::cmd("PUBSUB").arg("NUMSUB").arg(self.channel()).query_async(&mut redis).await.ok()?;
            (count.get(&self.channel()) == Some(&processes)).then_some(())
        })
        .await;
    }
}

async fn connect(database: &TestDatabase) -> Store {
    Store::connect(&StoreSettings { url: database.url().to_owned(), max_connections: 4 }).await.unwrap()
}

/// A cache that is kept up to date, as a program of its own would.
pub(crate) struct Process {
    pub(crate) cache: HandlerCache,
    pub(crate) store: Store,
    stop: CancellationToken,
    work: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(cache: HandlerCache, store: Store) -> Self {
        let stop = CancellationToken::new();
        let work = tokio::spawn(cache.clone().run(stop.clone()));
        Self { cache, store, stop, work: Some(work) }
    }

    /// What the Cache Manager does with a new generation: the database first, then everybody else.
    pub(crate) async fn publish(&self, number: i64) -> Arc<Snapshot> {
        let snapshot = store_generation(&self.store, number).await;
        self.cache.publish(Arc::clone(&snapshot)).await;
        snapshot
    }

    pub(crate) fn number(&self) -> Option<i64> {
        self.cache.live().map(|snapshot| snapshot.number.0)
    }

    /// Waits until the generation is live here, at most so long.
    pub(crate) async fn live(&self, number: i64, limit: Duration) -> Arc<Snapshot> {
        let mut changes = self.cache.changes();
        let what = format!("generation {number} to be live; live is {:?}", self.number());
        within(limit, &what, changes.wait_for(|live| *live == Some(GenerationNumber(number)))).await.unwrap();
        self.cache.live().unwrap()
    }

    /// Ends it and waits until it has.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        within(SOON, "the cache to stop", self.work.take().unwrap()).await.unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Generation `number` with one handler, whose name says what it is.
pub(crate) fn snapshot(number: i64, name: &str) -> Arc<Snapshot> {
    let handler = HandlerSpec {
        id: HandlerId(1),
        name: name.to_owned(),
        event: "clients.create".into(),
        task: Task::Http { url: "http://crm.example/clients".into() },
        priority: 1,
        on_failure: OnFailure::Continue,
        timeout_ms: 1000,
        retry: RetryPolicy::default(),
        lane: None,
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        filter: None,
        limits: Default::default(),
        auth: None,
        tls: None,
    };
    Arc::new(Snapshot::new(GenerationNumber(number), "2026-11-24T10:00:00Z".parse().unwrap(), [handler]))
}

/// The name that tells generations apart.
pub(crate) fn name_of(snapshot: &Snapshot) -> &str {
    &snapshot.handlers()[0].name
}

/// Makes generation `number` live in the database, and tells nobody.
pub(crate) async fn store_generation(store: &Store, number: i64) -> Arc<Snapshot> {
    store_as(store, number, &format!("of generation {number}")).await
}

/// Makes a generation with a handler of this name live in the database, and tells nobody.
pub(crate) async fn store_as(store: &Store, number: i64, name: &str) -> Arc<Snapshot> {
    let snapshot = snapshot(number, name);
    let new = NewGeneration {
        snapshot: &snapshot,
        changes: &Changes::default(),
        took_ms: 1,
        cause: GenerationCause::Restart,
        rolled_back_to: None,
    };
    assert!(store.insert_generation(&new).await.unwrap());
    snapshot
}

/// How Redis keeps a generation.
pub(crate) fn as_kept(snapshot: &Snapshot) -> String {
    format!("{}\n{}", snapshot.checksum(), serde_json::to_string(snapshot).unwrap())
}
