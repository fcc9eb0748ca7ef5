//! Baton as it runs in production: services on PostgreSQL and Redis.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use baton_testkit::{PostgresServer, Process, Program, RedisServer, Servers};
use futures_util::future::join_all;

use crate::api::Api;

pub(crate) const TOKEN: &str = "the-token-of-the-fault-suite";
const SECRET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const MIGRATED_WITHIN: Duration = Duration::from_secs(60);

/// Which services there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    pub apis: usize,
    pub dispatchers: usize,
    /// The database as the first dispatcher gets to it; the database's own address when it is left out.
    pub first_database: Option<String>,
    pub script_root: Option<PathBuf>,
}

/// The services, each a process of its own. Processes end before what they stand on goes away.
pub(crate) struct Services {
    pub apis: Vec<Process>,
    pub dispatchers: Vec<Process>,
    pub cache_manager: Process,
    pub postgres: PostgresServer,
    pub redis: RedisServer,
}

impl Services {
    /// Two APIs, so many dispatchers and a Cache Manager on servers of their own.
    pub(crate) async fn start(dispatchers: usize) -> Result<Self> {
        let layout = Layout { apis: 2, dispatchers, ..Layout::default() };
        Self::start_on(Servers::start().await, layout).await
    }

    /// The services of this layout, ready.
    pub(crate) async fn start_on(servers: Servers, layout: Layout) -> Result<Self> {
        let Servers { postgres, redis } = servers;
        let program = |name: &str| settings(Program::named(name), &postgres.url(), &redis.url());
        let migrated = program("baton").args(["migrate"]).run(MIGRATED_WITHIN).await;
        ensure!(migrated.status.success(), "baton migrate failed: {}", migrated.stderr);
        let cache_manager = program("baton-cache-manager").env("BATON_NAME", "cache-manager");
        let apis = (0..layout.apis).map(|n| with_scripts(program("baton-api"), &layout).env("BATON_NAME", format!("api-{n}")));
        let dispatchers = (0..layout.dispatchers).map(|n| {
            let program = with_scripts(program("baton-dispatcher"), &layout).env("BATON_NAME", format!("dispatcher-{n}"));
            match &layout.first_database {
                Some(url) if n == 0 => program.env("BATON_DATABASE_URL", url),
                _ => program,
            }
        });
        let started =
            tokio::join!(cache_manager.start(), join_all(apis.map(Program::start)), join_all(dispatchers.map(Program::start)));
        let (cache_manager, apis, dispatchers) = started;
        Ok(Self { apis, dispatchers, cache_manager, postgres, redis })
    }

    /// A client of all the APIs.
    pub(crate) fn api(&self) -> Result<Api> {
        Api::new(self.apis.iter().map(|api| api.url("")).collect(), TOKEN)
    }

    /// Every process with its name.
    pub(crate) fn processes(&mut self) -> Vec<(String, &mut Process)> {
        let apis = self.apis.iter_mut().enumerate().map(|(n, process)| (format!("api-{n}"), process));
        let dispatchers = self.dispatchers.iter_mut().enumerate().map(|(n, process)| (format!("dispatcher-{n}"), process));
        apis.chain(dispatchers).chain([("cache-manager".to_owned(), &mut self.cache_manager)]).collect()
    }
}

fn settings(program: Program, database: &str, redis: &str) -> Program {
    program
        .env("BATON_DATABASE_URL", database)
        .env("BATON_REDIS_URL", redis)
        .env("BATON_SECRET_KEY", SECRET_KEY)
        .env("BATON_ADMIN_TOKEN", TOKEN)
}

fn with_scripts(program: Program, layout: &Layout) -> Program {
    match &layout.script_root {
        Some(root) => program.env("BATON_SCRIPT_ROOT", root),
        None => program,
    }
}
