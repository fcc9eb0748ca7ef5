//! Baton's programs, in the ways in which they can be run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_testkit::{Process, Program, Servers, TestDatabase};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::servers::settle;
use super::{Api, Database, usage};
use crate::load::{EVENT, Target};

const TOKEN: &str = "token-of-a-measurement";
const SECRET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const MIGRATED_WITHIN: Duration = Duration::from_secs(60);
/// How long dispatchers may take to share the partitions.
const SHARED_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetUp {
    /// `baton serve` as it comes.
    Sqlite,
    /// `baton serve` on PostgreSQL and Redis.
    OneProcess,
    /// API, Cache Manager and so many dispatchers, on PostgreSQL and Redis.
    Services(usize),
}

/// Settings beside those that every set-up has.
pub(crate) type Settings<'a> = &'a [(&'a str, String)];

/// Baton, ready. Processes end before their database goes away.
pub(crate) struct Baton {
    pub api: Api,
    pub processes: Vec<(&'static str, Process)>,
    database: Option<TestDatabase>,
}

impl SetUp {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite, one process",
            Self::OneProcess => "PostgreSQL, one process",
            Self::Services(1) => "PostgreSQL, services",
            Self::Services(_) => "PostgreSQL, services, 2 dispatchers",
        }
    }

    fn programs(self) -> Vec<(&'static str, Program)> {
        let named = |name: &'static str| (name, Program::named(name));
        match self {
            Self::Sqlite | Self::OneProcess => vec![("baton", Program::named("baton").args(["serve"]))],
            Self::Services(dispatchers) => {
                let mut programs = vec![named("baton-api"), named("baton-cache-manager")];
                programs.extend((0..dispatchers).map(|_| named("baton-dispatcher")));
                programs
            }
        }
    }
}

impl Baton {
    /// Starts the programs on a database of their own, and waits until they are ready and share the work.
    pub(crate) async fn start(servers: &Servers, set_up: SetUp, settings: Settings<'_>) -> Result<Self> {
        settle(servers).await?;
        let database = match set_up {
            SetUp::Sqlite => None,
            SetUp::OneProcess | SetUp::Services(_) => Some(servers.postgres.database().await),
        };
        let with_settings = |program: Program| {
            let own = [("BATON_ADMIN_TOKEN", TOKEN.to_owned()), ("BATON_SECRET_KEY", SECRET_KEY.to_owned())];
            let stands_on = database.iter().flat_map(|database| {
                let (_, name) = database.url().rsplit_once('/').unwrap_or_default();
                let redis = [("BATON_REDIS_URL", servers.redis.url()), ("BATON_REDIS_PREFIX", name.to_owned())];
                [("BATON_DATABASE_URL", database.url().to_owned())].into_iter().chain(redis)
            });
            let given = settings.iter().map(|(name, value)| (*name, value.clone()));
            own.into_iter().chain(stands_on).chain(given).fold(program, |program, (name, value)| program.env(name, value))
        };
        if database.is_some() {
            let migrated = with_settings(Program::named("baton")).args(["migrate"]).run(MIGRATED_WITHIN).await;
            ensure!(migrated.status.success(), "baton migrate failed: {}", migrated.stderr);
        }
        let started = set_up.programs().into_iter().map(|(name, program)| {
            let program = with_settings(program);
            async move { (name, program.start().await) }
        });
        let processes = join_all(started).await;
        let api = Api { target: Target::api(processes[0].1.address(), Some(TOKEN)) };
        let baton = Self { api, processes, database };
        baton.wait_until_shared(if let SetUp::Services(dispatchers) = set_up { dispatchers } else { 1 }).await?;
        Ok(baton)
    }

    async fn wait_until_shared(&self, dispatchers: usize) -> Result<()> {
        if self.database.is_none() {
            return Ok(());
        }
        let (mut database, end) = (self.database().await?, Instant::now() + SHARED_WITHIN);
        while database.owners().await? != Some(dispatchers) {
            ensure!(Instant::now() < end, "{dispatchers} dispatchers did not share the partitions in {SHARED_WITHIN:?}");
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// A connection to its PostgreSQL.
    pub(crate) async fn database(&self) -> Result<Database> {
        Database::connect(self.database.as_ref().context("it is not on PostgreSQL")?.url()).await
    }

    /// Saves these handlers and makes them live.
    pub(crate) async fn configure(&self, handlers: &[Value]) -> Result<()> {
        for handler in handlers {
            self.api.post("/v1/handlers", Some(handler)).await?;
        }
        self.api.restart().await.map(drop)
    }

    /// The process of the dispatcher.
    pub(crate) fn dispatcher(&self) -> &Process {
        let named = self.processes.iter().find(|(name, _)| *name == "baton-dispatcher");
        &named.unwrap_or(&self.processes[0]).1
    }

    /// The most memory that the dispatcher has had at once, in bytes.
    pub(crate) fn dispatcher_peak(&self) -> Result<u64> {
        usage::peak_memory(self.dispatcher().pid())
    }
}

/// `baton serve` as it comes, not started.
pub(crate) fn embedded() -> Program {
    Program::named("baton").args(["serve"]).env("BATON_ADMIN_TOKEN", TOKEN)
}

/// An HTTP handler as it is saved.
pub(crate) fn handler(name: &str, url: &str, priority: usize) -> Value {
    json!({"name": name, "event": EVENT, "task": {"type": "http", "url": url}, "priority": priority})
}
