//! PostgreSQL and Redis of a run's own.

use crate::{PostgresServer, RedisServer};

/// Both, thrown away at the end. PostgreSQL waits for the disk, as in production.
pub struct Servers {
    /// Empty.
    pub postgres: PostgresServer,
    /// Empty.
    pub redis: RedisServer,
}

impl Servers {
    /// Starts both.
    ///
    /// # Panics
    /// When either does not start.
    pub async fn start() -> Self {
        let (postgres, redis) = tokio::join!(PostgresServer::start(), RedisServer::start());
        Self { postgres, redis }
    }
}
