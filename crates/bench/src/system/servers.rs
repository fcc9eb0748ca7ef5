//! PostgreSQL and Redis of a scenario's own.

use anyhow::Result;
use baton_testkit::{PostgresServer, RedisServer};

use super::Database;

/// Both, thrown away at the end. PostgreSQL waits for the disk, as in production.
pub(crate) struct Servers {
    pub postgres: PostgresServer,
    pub redis: RedisServer,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let (postgres, redis) = tokio::join!(PostgresServer::start(), RedisServer::start());
        Self { postgres, redis }
    }

    /// With statement statistics, where the extension is installed; they cost a little.
    pub(crate) async fn with_statistics() -> Result<Self> {
        let mut servers = Self::start().await;
        if Database::connect(&servers.postgres.url()).await?.has_statements_extension().await? {
            servers.postgres.configure("shared_preload_libraries", "pg_stat_statements").await;
            servers.postgres.restart().await;
        }
        Ok(servers)
    }

    /// Writes down what earlier measurements have left behind, so that it does not fall to the next one.
    pub(crate) async fn settle(&self) -> Result<()> {
        Database::connect(&self.postgres.url()).await?.execute("CHECKPOINT").await
    }
}
