//! Connections and transactions, in one form for both databases.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, FromRow, Postgres, Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use crate::error::{Result, StorageError};
use crate::sql::{Text, Value, postgres_arguments, sqlite_arguments};

/// How long to wait for a connection.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long one statement may take before the connection counts as dead. Far more than any statement needs.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);
/// A connection that did something this recently is not asked whether it is still there.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// A row that can be read from either database.
pub(crate) trait Readable: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin> Readable for T {}

/// A connection of its own for hot statements: a pool asks a connection whether it is there each time it comes back, which costs as
/// much as the statement.
pub(crate) struct Lane<C: Connection> {
    options: C::Options,
    kept: Mutex<Kept<C>>,
}

/// What is kept of a lane between two uses.
pub(crate) struct Kept<C> {
    connection: Option<C>,
    used_at: Instant,
}

impl<C: Connection> Lane<C> {
    pub(crate) fn new(options: C::Options) -> Self {
        Self { options, kept: Mutex::new(Kept { connection: None, used_at: Instant::now() }) }
    }

    /// The connection, alone, after those who asked before.
    pub(crate) async fn lock(&self) -> Result<MutexGuard<'_, Kept<C>>> {
        self.connected(self.kept.lock().await).await
    }

    /// The connection of the first of these that nobody has; where all are in use, of the first when it is free.
    pub(crate) async fn lock_one_of(lanes: &[Self]) -> Result<MutexGuard<'_, Kept<C>>> {
        for lane in lanes {
            if let Ok(kept) = lane.kept.try_lock() {
                return lane.connected(kept).await;
            }
        }
        match lanes.first() {
            Some(lane) => lane.lock().await,
            None => Err(StorageError::Unavailable(sqlx::Error::PoolClosed)),
        }
    }

    async fn connected<'a>(&self, mut kept: MutexGuard<'a, Kept<C>>) -> Result<MutexGuard<'a, Kept<C>>> {
        if kept.used_at.elapsed() >= FRESH
            && let Some(connection) = &mut kept.connection
            && !matches!(timeout(CONNECT_LIMIT, connection.ping()).await, Ok(Ok(())))
        {
            kept.connection = None;
        }
        if kept.connection.is_none() {
            let connecting = timeout(CONNECT_LIMIT, C::connect_with(&self.options)).await;
            kept.connection = Some(connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut))?);
        }
        Ok(kept)
    }

    /// Closes the connection; the next use opens another.
    pub(crate) async fn close(&self) {
        let connection = self.kept.lock().await.connection.take();
        if let Some(connection) = connection {
            // A connection that cannot say goodbye is gone all the same.
            let _ = connection.close().await;
        }
    }
}

/// A connection for the time of one method. One that failed or was given up half way is thrown away: it may be broken, or, where the
/// caller went away while a transaction was being begun, within a transaction that nobody will end.
pub(crate) struct Conn<'a> {
    held: Held<'a>,
    /// Whether all that was begun with it has ended well.
    good: bool,
}

pub(crate) enum Held<'a> {
    PostgresPool(PoolConnection<Postgres>),
    PostgresLane(MutexGuard<'a, Kept<PgConnection>>),
    SqlitePool(PoolConnection<Sqlite>),
    SqliteLane(MutexGuard<'a, Kept<SqliteConnection>>),
}

impl<'a> From<Held<'a>> for Conn<'a> {
    fn from(held: Held<'a>) -> Self {
        Self { held, good: true }
    }
}

impl Drop for Conn<'_> {
    fn drop(&mut self) {
        fn leave<C>(kept: &mut Kept<C>, good: bool) {
            kept.used_at = Instant::now();
            if !good {
                kept.connection = None;
            }
        }
        match &mut self.held {
            Held::PostgresLane(kept) => leave(kept, self.good),
            Held::SqliteLane(kept) => leave(kept, self.good),
            Held::PostgresPool(connection) if !self.good => connection.close_on_drop(),
            Held::SqlitePool(connection) if !self.good => connection.close_on_drop(),
            Held::PostgresPool(_) | Held::SqlitePool(_) => {}
        }
    }
}

enum Link<'c> {
    Postgres(&'c mut PgConnection),
    Sqlite(&'c mut SqliteConnection),
}

impl Conn<'_> {
    /// The connection and its mark, which is taken from it until what is begun has ended.
    fn usage(&mut self) -> Result<(Link<'_>, &mut bool)> {
        let gone = || StorageError::Unavailable(sqlx::Error::PoolClosed);
        self.good = false;
        let link = match &mut self.held {
            Held::PostgresPool(connection) => Link::Postgres(connection),
            Held::SqlitePool(connection) => Link::Sqlite(connection),
            Held::PostgresLane(kept) => Link::Postgres(kept.connection.as_mut().ok_or_else(gone)?),
            Held::SqliteLane(kept) => Link::Sqlite(kept.connection.as_mut().ok_or_else(gone)?),
        };
        Ok((link, &mut self.good))
    }

    /// Whether texts and values of SQLite are needed.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.held, Held::SqlitePool(_) | Held::SqliteLane(_))
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&mut self) -> Result<Tx<'_>> {
        let (link, good) = self.usage()?;
        let begun = match link {
            Link::Postgres(connection) => Begun::Postgres(limited(connection.begin()).await?),
            // A plain BEGIN takes the lock with the first write and fails when another has written since the first read.
            Link::Sqlite(connection) => Begun::Sqlite(limited(connection.begin_with("BEGIN IMMEDIATE")).await?),
        };
        Ok(Tx { begun, good })
    }

    /// All rows of one statement outside a transaction.
    pub(crate) async fn fetch_all<T: Readable>(&mut self, text: impl Into<Text>, values: Vec<Value<'_>>) -> Result<Vec<T>> {
        let (link, good) = self.usage()?;
        let rows = link.fetch_all(text.into(), values).await?;
        *good = true;
        Ok(rows)
    }

    /// The first row of one statement outside a transaction.
    pub(crate) async fn fetch_optional<T: Readable>(
        &mut self,
        text: impl Into<Text>,
        values: Vec<Value<'_>>,
    ) -> Result<Option<T>> {
        let (link, good) = self.usage()?;
        let row = link.fetch_optional(text.into(), values).await?;
        *good = true;
        Ok(row)
    }

    /// Runs one statement outside a transaction; says how many rows it changed.
    pub(crate) async fn execute(&mut self, text: impl Into<Text>, values: Vec<Value<'_>>) -> Result<u64> {
        let (link, good) = self.usage()?;
        let changed = link.execute(text.into(), values).await?;
        *good = true;
        Ok(changed)
    }
}

/// A transaction. Dropped without [`Tx::commit`] it changes nothing.
pub(crate) struct Tx<'c> {
    begun: Begun<'c>,
    good: &'c mut bool,
}

enum Begun<'c> {
    Postgres(Transaction<'c, Postgres>),
    Sqlite(Transaction<'c, Sqlite>),
}

impl Tx<'_> {
    /// Whether texts and values of SQLite are needed.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.begun, Begun::Sqlite(_))
    }

    fn link(&mut self) -> Link<'_> {
        match &mut self.begun {
            Begun::Postgres(tx) => Link::Postgres(tx),
            Begun::Sqlite(tx) => Link::Sqlite(tx),
        }
    }

    /// All rows.
    pub(crate) async fn fetch_all<T: Readable>(&mut self, text: impl Into<Text>, values: Vec<Value<'_>>) -> Result<Vec<T>> {
        self.link().fetch_all(text.into(), values).await
    }

    /// The first row.
    pub(crate) async fn fetch_optional<T: Readable>(
        &mut self,
        text: impl Into<Text>,
        values: Vec<Value<'_>>,
    ) -> Result<Option<T>> {
        self.link().fetch_optional(text.into(), values).await
    }

    /// How many rows it changed.
    pub(crate) async fn execute(&mut self, text: impl Into<Text>, values: Vec<Value<'_>>) -> Result<u64> {
        self.link().execute(text.into(), values).await
    }

    /// Makes it last.
    pub(crate) async fn commit(self) -> Result<()> {
        match self.begun {
            Begun::Postgres(tx) => limited(tx.commit()).await?,
            Begun::Sqlite(tx) => limited(tx.commit()).await?,
        }
        *self.good = true;
        Ok(())
    }

    /// Gives it up in good order, where nothing was changed.
    pub(crate) async fn rollback(self) -> Result<()> {
        match self.begun {
            Begun::Postgres(tx) => limited(tx.rollback()).await?,
            Begun::Sqlite(tx) => limited(tx.rollback()).await?,
        }
        *self.good = true;
        Ok(())
    }
}

impl Link<'_> {
    async fn fetch_all<T: Readable>(self, text: Text, values: Vec<Value<'_>>) -> Result<Vec<T>> {
        match self {
            Self::Postgres(connection) => {
                let arguments = postgres_arguments(values).map_err(sqlx::Error::Encode)?;
                limited(sqlx::query_as_with(text.postgres(), arguments).fetch_all(connection)).await
            }
            Self::Sqlite(connection) => {
                let arguments = sqlite_arguments(values).map_err(sqlx::Error::Encode)?;
                limited(sqlx::query_as_with(text.sqlite(), arguments).fetch_all(connection)).await
            }
        }
    }

    async fn fetch_optional<T: Readable>(self, text: Text, values: Vec<Value<'_>>) -> Result<Option<T>> {
        match self {
            Self::Postgres(connection) => {
                let arguments = postgres_arguments(values).map_err(sqlx::Error::Encode)?;
                limited(sqlx::query_as_with(text.postgres(), arguments).fetch_optional(connection)).await
            }
            Self::Sqlite(connection) => {
                let arguments = sqlite_arguments(values).map_err(sqlx::Error::Encode)?;
                limited(sqlx::query_as_with(text.sqlite(), arguments).fetch_optional(connection)).await
            }
        }
    }

    async fn execute(self, text: Text, values: Vec<Value<'_>>) -> Result<u64> {
        match self {
            Self::Postgres(connection) => {
                let arguments = postgres_arguments(values).map_err(sqlx::Error::Encode)?;
                Ok(limited(sqlx::query_with(text.postgres(), arguments).execute(connection)).await?.rows_affected())
            }
            Self::Sqlite(connection) => {
                let arguments = sqlite_arguments(values).map_err(sqlx::Error::Encode)?;
                Ok(limited(sqlx::query_with(text.sqlite(), arguments).execute(connection)).await?.rows_affected())
            }
        }
    }
}

async fn limited<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    Ok(timeout(STATEMENT_LIMIT, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
}
