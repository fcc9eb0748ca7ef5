//! What every program of an installation opens first: its database, its key, and what carries generations and hints.

use std::cell::RefCell;
use std::time::Duration;

use baton_runtime::settings::{DatabaseArgs, RedisArgs, Secret, SecretKeyArgs};
use baton_runtime::start::when_possible;
use baton_storage::{StorageError, Store, StoreSettings, Vault, VaultError};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::carrier::RedisSettings;
use crate::error::CacheError;
use crate::live::HandlerCache;

/// How long one attempt to reach the database may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The settings that the programs of an installation share.
#[derive(Debug, Clone, Args)]
pub struct InstallationArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// The key.
    #[command(flatten)]
    pub secret_key: SecretKeyArgs,
}

/// An installation, opened.
#[derive(Clone)]
pub struct Installation {
    /// Its database, with all migrations applied.
    pub store: Store,
    /// Its live generation and its hints. Not kept up to date until [`HandlerCache::run`].
    pub cache: HandlerCache,
    /// What seals and opens secrets.
    pub vault: Vault,
}

/// Why an installation could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting that is needed is not there.
    #[error("{setting} is not set: {why}")]
    Missing {
        /// Its name.
        setting: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// A SQLite database cannot be shared by services.
    #[error(
        "BATON_DATABASE_URL must be postgres:… for a service; SQLite is for `baton serve`, which does everything in one process"
    )]
    NotShared,
    /// `BATON_SECRET_KEY`, or one of the keys before, is not a key.
    #[error("{setting} cannot be used: {source}")]
    BadKey {
        /// Its name.
        setting: &'static str,
        /// Why not.
        source: VaultError,
    },
    /// The Redis URL.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The database URL.
    #[error("BATON_DATABASE_URL cannot be used: {0}")]
    BadDatabase(#[source] StorageError),
    /// The program was asked to stop while it waited.
    #[error("stopped while waiting for the database: {0}")]
    Stopped(String),
}

impl InstallationArgs {
    /// Checks the settings of a service and opens the installation. Waits for a database that is not there yet or not migrated yet.
    ///
    /// # Errors
    /// A setting that is missing or cannot be used, before anything is waited for; `Stopped` when `stop` came first.
    pub async fn open(&self, stop: &CancellationToken) -> Result<Installation, OpenError> {
        let url = self.database.database_url.as_ref().ok_or(OpenError::Missing {
            setting: "BATON_DATABASE_URL",
            why: "services share a PostgreSQL database, postgres://user:password@host:port/database",
        })?;
        if !url.is_postgres() {
            return Err(OpenError::NotShared);
        }
        let redis = self.redis.redis_url.as_ref().ok_or(OpenError::Missing {
            setting: "BATON_REDIS_URL",
            why: "services share a Redis, redis://host:port/database",
        })?;
        let key = self.secret_key.secret_key.as_ref().ok_or(OpenError::Missing {
            setting: "BATON_SECRET_KEY",
            why: "it opens the secrets of handlers; every program of an installation has the same 32 random bytes in base64",
        })?;
        let vault = vault(key, &self.secret_key.secret_keys_before.0)?;
        let settings = StoreSettings { url: url.expose().to_owned(), max_connections: self.database.database_connections };
        let redis = RedisSettings { url: redis.expose().to_owned(), prefix: self.redis.redis_prefix.clone() };
        let store = wait_for_store(&settings, stop).await?;
        let cache = HandlerCache::redis(store.clone(), &redis)?;
        Ok(Installation { store, cache, vault })
    }
}

/// What seals with a key, and opens what was sealed with it or with one of those before.
///
/// # Errors
/// `BadKey`.
pub fn vault(key: &Secret, before: &[Secret]) -> Result<Vault, OpenError> {
    let bad = |setting| move |source| OpenError::BadKey { setting, source };
    let vault = Vault::new(key.expose()).map_err(bad("BATON_SECRET_KEY"))?;
    vault.opening_also(before.iter().map(Secret::expose)).map_err(bad("BATON_SECRET_KEYS_BEFORE"))
}

/// Why the database cannot be used yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error("{0}: {source}", source = std::error::Error::source(.0).map(ToString::to_string).unwrap_or_default())]
    Unreachable(#[source] StorageError),
    #[error("no answer")]
    NoAnswer,
    #[error("it is to be migrated first; run: baton migrate")]
    Unmigrated,
}

/// Connects to a database, waiting for it to be there and migrated.
///
/// # Errors
/// `BadDatabase` when the URL cannot be used, `Stopped` when `stop` came first.
pub async fn wait_for_store(settings: &StoreSettings, stop: &CancellationToken) -> Result<Store, OpenError> {
    let last = RefCell::new(String::from("it was not asked yet"));
    let attempt = async || try_store(settings).await.inspect_err(|reason| *last.borrow_mut() = reason.to_string());
    let opened = when_possible("the database", stop, attempt).await;
    opened.ok_or_else(|| OpenError::Stopped(last.take()))?.map_err(OpenError::BadDatabase)
}

/// Connects to a database that is there and migrated. What no waiting can mend is an inner error.
async fn try_store(settings: &StoreSettings) -> Result<Result<Store, StorageError>, NotYet> {
    let store = match tokio::time::timeout(CONNECT_WITHIN, Store::connect(settings)).await {
        Err(_) => return Err(NotYet::NoAnswer),
        Ok(Err(error @ StorageError::BadUrl(_))) => return Ok(Err(error)),
        Ok(Err(error)) => return Err(NotYet::Unreachable(error)),
        Ok(Ok(store)) => store,
    };
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => Ok(Ok(store)),
        Ok(_) => Err(NotYet::Unmigrated),
        Err(error) => Err(NotYet::Unreachable(error)),
    }
}
