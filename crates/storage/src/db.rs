//! Where the database is, and the connections to it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, SqlitePool};
use tokio::time::timeout;

use crate::conn::{CONNECT_LIMIT, Conn, FRESH, Held, Lane};
use crate::error::{Result, StorageError};
use crate::minutes::Counting;
use crate::sql::statements;
use crate::tail::Tail;

/// How long a writer of SQLite waits for another process.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// How many prepared statements a connection keeps; searches come in many shapes.
const STATEMENTS_KEPT: usize = 256;

/// For every connection to PostgreSQL. It compiles statements that it takes for expensive, which costs more than any statement here. And a
/// process that is stopped within a transaction must not hold its locks for ever, since others wait for them to take over its work: no
/// transaction of ours is ever idle for longer than a round trip.
const PLAIN: [(&str, &str); 2] = [("jit", "off"), ("idle_in_transaction_session_timeout", "5s")];
/// How many appends PostgreSQL may have at once: while one is committed, the next waits in the server for its turn.
const APPENDS_AT_ONCE: usize = 2;
/// How PostgreSQL plans the hot statements: by index only. What it knows of the queues, which fill and empty all the time, is always out
/// of date, and after a quiet night it would sort a whole backlog to read its first hundred rows. Since that leaves little to choose, a
/// statement is planned once and not for its values.
pub(crate) const BY_INDEX: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");

statements! {
    PING = "SELECT CAST(1 AS bigint)";
    /// sqlx's own table: the migrations that are applied.
    MIGRATIONS_TABLE = {
        postgres: "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'",
        sqlite: "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'",
    };
}

/// Only where the table exists, so it cannot be prepared before the first migration.
const APPLIED: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";

/// For the connection of a migration.
const PATIENT: &str = "SET idle_in_transaction_session_timeout = 0";

/// Where the database is.
#[derive(Clone)]
pub struct StoreSettings {
    /// `postgres://…` or `sqlite:<path>`.
    pub url: String,
    /// The most connections to PostgreSQL, or readers of SQLite, at once; 0 counts as 1. Up to four more are kept for the hot statements.
    pub max_connections: u32,
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("StoreSettings").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

/// The database. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
    tail: Arc<Tail>,
    counting: Arc<Counting>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("is_sqlite", &self.is_sqlite()).finish_non_exhaustive()
    }
}

enum Db {
    Postgres {
        pool: PgPool,
        append: Box<[Lane<PgConnection>; APPENDS_AT_ONCE]>,
        record: Box<Lane<PgConnection>>,
        feed: Box<Lane<PgConnection>>,
    },
    Sqlite {
        /// All that writes: SQLite has one writer at a time.
        write: Box<Lane<SqliteConnection>>,
        read: SqlitePool,
    },
}

impl Store {
    /// Connects. On SQLite the file is created when it is missing; its directory has to be there.
    ///
    /// # Errors
    /// `BadUrl` for a URL that is of neither kind or that the server refuses, `Unavailable` when there is no answer.
    pub async fn connect(settings: &StoreSettings) -> Result<Self> {
        let bad_url = |e: sqlx::Error| StorageError::BadUrl(e.to_string());
        let most = settings.max_connections.max(1);
        let scheme = settings.url.split(':').next().unwrap_or_default();
        let db = match scheme {
            "postgres" | "postgresql" => {
                connect_postgres(PgConnectOptions::from_str(&settings.url).map_err(bad_url)?, most).await?
            }
            "sqlite" => connect_sqlite(SqliteConnectOptions::from_str(&settings.url).map_err(bad_url)?, most).await?,
            _ => return Err(StorageError::BadUrl("it must begin with postgres:// or sqlite:".into())),
        };
        let store = Self { db: Arc::new(db), tail: Arc::default(), counting: Arc::default() };
        store.ping().await?;
        Ok(store)
    }

    /// Whether it is SQLite: then this process is the only one that writes.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(*self.db, Db::Sqlite { .. })
    }

    /// Applies the migrations that are missing. Safe when several do it at once.
    ///
    /// # Errors
    /// `Migration` when an applied one is unknown or differs.
    pub async fn migrate(&self) -> Result<()> {
        match &*self.db {
            Db::Postgres { pool, .. } => {
                // A migration may take its time, so its connection has no limit, and is not used for anything else.
                let mut conn = pool.acquire().await?.detach();
                sqlx::query(PATIENT).execute(&mut conn).await?;
                POSTGRES.run(&mut conn).await.map_err(migration)?;
                conn.close().await?;
            }
            Db::Sqlite { read, .. } => {
                // sqlx's lock does nothing on SQLite: a transaction around the whole takes its place.
                let mut tx = read.begin_with("BEGIN IMMEDIATE").await?;
                SQLITE.run(&mut *tx).await.map_err(migration)?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// The migrations that [`Self::migrate`] would apply, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        let migrator = if self.is_sqlite() { &SQLITE } else { &POSTGRES };
        let mut conn = self.reader().await?;
        let table: Option<(i64,)> = conn.fetch_optional(MIGRATIONS_TABLE, vec![]).await?;
        let applied: Vec<(i64,)> = match table {
            Some((1..,)) => conn.fetch_all(crate::sql::Text::Built(APPLIED.into()), vec![]).await?,
            _ => Vec::new(),
        };
        let missing = migrator.iter().filter(|m| !applied.contains(&(m.version,)));
        Ok(missing.map(|m| format!("{:04}_{}", m.version, m.description.replace(' ', "_"))).collect())
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<()> {
        let _: Option<(i64,)> = self.reader().await?.fetch_optional(PING, vec![]).await?;
        Ok(())
    }

    /// Closes every connection, after what is under way. On SQLite the log is folded into the file.
    pub async fn close(&self) {
        match &*self.db {
            Db::Postgres { pool, append, record, feed } => {
                for lane in append.iter().chain([&**record, &**feed]) {
                    lane.close().await;
                }
                pool.close().await;
            }
            Db::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// How many appends may be under way at once: what is appended second waits within the database, for the first to be committed.
    #[must_use]
    pub fn appends_at_once(&self) -> usize {
        if self.is_sqlite() { 1 } else { APPENDS_AT_ONCE }
    }

    /// What this process has appended last.
    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// What this process has counted.
    pub(crate) fn counting(&self) -> &Counting {
        &self.counting
    }

    /// A connection that reads.
    pub(crate) async fn reader(&self) -> Result<Conn<'_>> {
        let held = match &*self.db {
            Db::Postgres { pool, .. } => Held::PostgresPool(pool.acquire().await?),
            Db::Sqlite { read, .. } => Held::SqlitePool(read.acquire().await?),
        };
        Ok(held.into())
    }

    /// A connection that writes now and then.
    pub(crate) async fn writer(&self) -> Result<Conn<'_>> {
        let held = match &*self.db {
            Db::Postgres { pool, .. } => Held::PostgresPool(pool.acquire().await?),
            Db::Sqlite { write, .. } => Held::SqliteLane(write.lock().await?),
        };
        Ok(held.into())
    }

    /// The connection that appends events.
    pub(crate) async fn appender(&self) -> Result<Conn<'_>> {
        let held = match &*self.db {
            Db::Postgres { append, .. } => Held::PostgresLane(Lane::lock_one_of(append.as_slice()).await?),
            Db::Sqlite { write, .. } => Held::SqliteLane(write.lock().await?),
        };
        Ok(held.into())
    }

    /// The connection that records results.
    pub(crate) async fn recorder(&self) -> Result<Conn<'_>> {
        let held = match &*self.db {
            Db::Postgres { record, .. } => Held::PostgresLane(record.lock().await?),
            Db::Sqlite { write, .. } => Held::SqliteLane(write.lock().await?),
        };
        Ok(held.into())
    }

    /// The connection that reads what dispatchers need.
    pub(crate) async fn feeder(&self) -> Result<Conn<'_>> {
        let held = match &*self.db {
            Db::Postgres { feed, .. } => Held::PostgresLane(feed.lock().await?),
            Db::Sqlite { read, .. } => Held::SqlitePool(read.acquire().await?),
        };
        Ok(held.into())
    }
}

async fn connect_postgres(options: PgConnectOptions, most: u32) -> Result<Db> {
    let options = options.application_name("baton").statement_cache_capacity(STATEMENTS_KEPT).options(PLAIN);
    // One connection by itself first: it says why it cannot be had, which a pool does not.
    let first = timeout(CONNECT_LIMIT, PgConnection::connect_with(&options)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    first.map_err(refused)?.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(CONNECT_LIMIT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| Box::pin(async move { Ok(meta.idle_for < FRESH || connection.ping().await.is_ok()) }))
        .connect_lazy_with(options.clone());
    let hot = options.options(BY_INDEX);
    // Results are committed like events, for good: a dispatcher forgets what it has recorded, so that a dispatch which a crash of the
    // database brought back would wait for the next owner of its partition.
    let lane = || Lane::new(hot.clone());
    let append = Box::new(std::array::from_fn(|_| lane()));
    Ok(Db::Postgres { pool, append, record: Box::new(lane()), feed: Box::new(lane()) })
}

/// A server that answers, but not to this user, password or database name.
fn refused(error: sqlx::Error) -> StorageError {
    match error.into() {
        StorageError::Bug(error) => StorageError::BadUrl(error.to_string()),
        other => other,
    }
}

async fn connect_sqlite(options: SqliteConnectOptions, most: u32) -> Result<Db> {
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_LIMIT)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS_KEPT);
    let read = SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(CONNECT_LIMIT)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    Ok(Db::Sqlite { write: Box::new(Lane::new(options)), read })
}

fn migration(error: sqlx::migrate::MigrateError) -> StorageError {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => error.into(),
        other => StorageError::Migration(other),
    }
}
