//! `baton migrate`: applies the migrations of the database.

use anyhow::Context;
use baton_runtime::telemetry;
use baton_storage::{Store, StoreSettings};

use crate::MigrateArgs;
use crate::data_dir::{DataDir, database_url};

/// One connection applies, one may be pinged.
const CONNECTIONS: u32 = 2;

pub(crate) async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    telemetry::init(&args.log)?;
    let (url, _lock) = match &args.database.database_url {
        Some(url) => (url.expose().to_owned(), None),
        None => (database_url(&args.data_dir.data_dir), Some(DataDir::open(&args.data_dir.data_dir)?)),
    };
    let settings = StoreSettings { url, max_connections: CONNECTIONS };
    let store = Store::connect(&settings).await.context("cannot connect to the database (BATON_DATABASE_URL)")?;
    let pending = store.pending_migrations().await?;
    store.migrate().await?;
    match pending.as_slice() {
        [] => println!("The database is up to date."),
        applied => println!("Applied {}: {}.", applied.len(), applied.join(", ")),
    }
    Ok(())
}
