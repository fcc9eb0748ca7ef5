//! The services on PostgreSQL and Redis.

use std::time::Duration;

use baton_testkit::{Process, Program, TestDatabase, TestRedis, eventually};
use reqwest::Method;

use super::{Api, SOON};

const TOKEN: &str = "a-token-of-the-end-to-end-tests";
const SECRET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Several programs of several tests share one server.
const CONNECTIONS: &str = "5";

/// What the programs of an installation share: its database and its settings.
pub(crate) struct Installation {
    database: TestDatabase,
    redis: (String, String),
    variables: Vec<(String, String)>,
}

impl Installation {
    /// A fresh, migrated database and a corner of the shared Redis.
    pub(crate) async fn new() -> Self {
        let redis = TestRedis::shared();
        Self::on_redis(redis.url(), redis.prefix().trim_end_matches(':')).await
    }

    /// The same with a Redis of the test's own.
    pub(crate) async fn on_redis(url: &str, prefix: &str) -> Self {
        let database = TestDatabase::postgres().await;
        let installation = Self { database, redis: (url.to_owned(), prefix.to_owned()), variables: Vec::new() };
        let migrated = installation.program("baton").args(["migrate"]).run(Duration::from_secs(30)).await;
        assert!(migrated.status.success(), "{}", migrated.stderr);
        installation
    }

    /// The same with one more setting, or another value of one.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Where its database is, for a look from outside.
    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// A program with every setting of the installation.
    pub(crate) fn program(&self, name: &str) -> Program {
        let (redis, prefix) = &self.redis;
        let program = Program::named(name)
            .env("BATON_DATABASE_URL", self.database.url())
            .env("BATON_DATABASE_CONNECTIONS", CONNECTIONS)
            .env("BATON_REDIS_URL", redis)
            .env("BATON_REDIS_PREFIX", prefix)
            .env("BATON_SECRET_KEY", SECRET_KEY)
            .env("BATON_ADMIN_TOKEN", TOKEN);
        self.variables.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Starts a program.
    pub(crate) async fn start(&self, name: &str) -> Process {
        self.program(name).start().await
    }

    /// A client of one of its APIs.
    pub(crate) fn api(&self, process: &Process) -> Api {
        Api::new(process.url(""), TOKEN)
    }
}

/// One API, one Cache Manager, and dispatchers.
pub(crate) struct Services {
    // Processes end before their database goes away.
    pub api: Api,
    pub api_process: Process,
    pub cache_manager: Process,
    pub dispatchers: Vec<Process>,
    pub installation: Installation,
}

impl Services {
    /// All of them, ready.
    pub(crate) async fn start(installation: Installation, dispatchers: usize) -> Self {
        let cache_manager = installation.start("baton-cache-manager").await;
        let api_process = installation.start("baton-api").await;
        let api = installation.api(&api_process);
        api.first_generation().await;
        let mut running = Vec::new();
        for _ in 0..dispatchers {
            running.push(installation.start("baton-dispatcher").await);
        }
        Self { api, api_process, cache_manager, dispatchers: running, installation }
    }

    /// Waits until every dispatcher uses the live generation: what is published before may still run under the one before.
    pub(crate) async fn live_everywhere(&self) {
        let line = format!("baton_generation {}", self.api.cache().await["generation"]);
        for dispatcher in &self.dispatchers {
            let api = Api::new(dispatcher.url(""), "");
            eventually(SOON, "a dispatcher to use the live generation", async || {
                let metrics = api.try_send(api.anonymous(Method::GET, "/metrics")).await.ok()?.text;
                metrics.lines().any(|said| said == line).then_some(())
            })
            .await;
        }
    }

    /// Every process, each with its name.
    pub(crate) fn processes(&mut self) -> Vec<&mut Process> {
        let all = [&mut self.api_process, &mut self.cache_manager];
        all.into_iter().chain(&mut self.dispatchers).collect()
    }
}
