//! What is done with PostgreSQL around a measurement.

use anyhow::Result;
use baton_testkit::Servers;

use super::Database;

/// Servers with statement statistics, where the extension is installed; they cost a little.
pub(crate) async fn with_statistics() -> Result<Servers> {
    let mut servers = Servers::start().await;
    if Database::connect(&servers.postgres.url()).await?.has_statements_extension().await? {
        servers.postgres.configure("shared_preload_libraries", "pg_stat_statements").await;
        servers.postgres.restart().await;
    }
    Ok(servers)
}

/// Writes down what earlier measurements have left behind, so that it does not fall to the next one.
pub(crate) async fn settle(servers: &Servers) -> Result<()> {
    Database::connect(&servers.postgres.url()).await?.execute("CHECKPOINT").await
}
