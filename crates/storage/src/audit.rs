//! The balance beside the rows that it is about: evidence that the counters tell the truth.
//!
//! For a look from outside, by a process that only reads: it has a connection of its own, changes nothing, makes no database that is not
//! there, and can run beside everything else, on SQLite too.

mod imbalance;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use baton_domain::EventStatus;
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, SqlSafeStr};
use tokio::time::timeout;

pub use self::imbalance::Imbalance;
use crate::conn::{CONNECT_LIMIT, Readable};
use crate::error::{Result, StorageError};
use crate::sql::{Statement, statements};
use crate::stats::{BALANCE, OLDEST_PENDING, StatRow};

/// How long to wait for a process that mends the database after a crash.
const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// What one snapshot of the database shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// The balance of every event type: finished events as they were counted, unfinished ones by their dispatches.
    pub balance: Vec<StatRow>,
    /// How many events are stored, by type. Retention makes it fewer than were published.
    pub stored: BTreeMap<String, i64>,
    /// How those of the stored events ended that have.
    pub ended: StoredEnds,
    /// Events that are stored and of which nothing says how they ended or that they are under way: no dispatch, no result, and no executions
    /// that say that they were delivered.
    pub without_trace: i64,
    /// Results of events that are not stored, or under way.
    pub strays: i64,
    /// When the oldest pending dispatch was appended; `None` when none is pending.
    pub oldest_pending: Option<DateTime<Utc>>,
}

/// Stored events by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredEnds {
    /// Delivered: the rest.
    pub delivered: i64,
    /// Failed: rows of results.
    pub failed: i64,
    /// Unmatched: rows of results.
    pub unmatched: i64,
}

statements! {
    BEGIN_LOOK = {
        postgres: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        sqlite: "BEGIN",
    };
    STORED_EVENTS = "SELECT events_id, count(*) FROM events GROUP BY events_id";
    RARE_ENDS = "SELECT status, count(*) FROM results WHERE status <> 'delivered' GROUP BY status";
    WITHOUT_TRACE = "
        SELECT count(*) FROM events e
        WHERE NOT EXISTS (SELECT 1 FROM dispatches d WHERE d.seq = e.seq)
            AND NOT EXISTS (SELECT 1 FROM dispatches d WHERE d.event_id = e.id AND d.seq <> d.event_seq)
            AND NOT EXISTS (SELECT 1 FROM results r WHERE r.event_id = e.id)
            AND (NOT EXISTS (SELECT 1 FROM executions x WHERE x.event_id = e.id AND x.status <> 'fail')
                OR EXISTS (SELECT 1 FROM deliveries v WHERE v.event_id = e.id))";
    STRAYS = "
        SELECT count(*) FROM results r
        WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = r.event_id)
            OR EXISTS (SELECT 1 FROM dispatches d WHERE d.seq = r.event_seq)
            OR EXISTS (SELECT 1 FROM dispatches d WHERE d.event_id = r.event_id AND d.seq <> d.event_seq)";
}

/// Looks at the database of this URL. Each event that is stored is looked for in the other tables, so it takes its
/// time where there are many millions.
///
/// # Errors
/// `BadUrl` for a URL that is of neither kind, that the server refuses, or where there is no database; `Unavailable` when there is no
/// answer; `Bug` for a database that has not been migrated.
pub async fn audit(url: &str) -> Result<Audit> {
    let mut look = Look::at(url).await?;
    look.begin().await?;
    let balance: Vec<StatRow> = look.all(BALANCE).await?;
    let stored: Vec<(String, i64)> = look.all(STORED_EVENTS).await?;
    let by_status: Vec<(String, i64)> = look.all(RARE_ENDS).await?;
    let without_trace = look.count(WITHOUT_TRACE).await?;
    let strays = look.count(STRAYS).await?;
    let oldest: Vec<(DateTime<Utc>,)> = look.all(OLDEST_PENDING).await?;
    look.close().await;
    let rows = |status: EventStatus| by_status.iter().find(|(word, _)| word == status.as_str()).map_or(0, |(_, rows)| *rows);
    let (failed, unmatched) = (rows(EventStatus::Failed), rows(EventStatus::Unmatched));
    let events: i64 = stored.iter().map(|(_, events)| events).sum();
    let under_way: i64 = balance.iter().map(StatRow::under_way).sum();
    let ended = StoredEnds { delivered: events - under_way - without_trace - failed - unmatched, failed, unmatched };
    let oldest_pending = oldest.first().map(|(at,)| *at);
    Ok(Audit { balance, stored: stored.into_iter().collect(), ended, without_trace, strays, oldest_pending })
}

/// A server that answers, but not to this user, password or database name.
fn refused(error: sqlx::Error) -> StorageError {
    match error.into() {
        StorageError::Bug(error) => StorageError::BadUrl(error.to_string()),
        other => other,
    }
}

/// A connection that reads. Its statements may take longer than those of a [`crate::Store`].
enum Look {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

impl Look {
    async fn at(url: &str) -> Result<Self> {
        let bad_url = |error: sqlx::Error| StorageError::BadUrl(error.to_string());
        match url.split(':').next().unwrap_or_default() {
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(url).map_err(bad_url)?.application_name("baton audit");
                let connecting = timeout(CONNECT_LIMIT, PgConnection::connect_with(&options)).await;
                let connection = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(refused)?;
                Ok(Self::Postgres(Box::new(connection)))
            }
            "sqlite" => {
                let options = SqliteConnectOptions::from_str(url).map_err(bad_url)?;
                let options = options.create_if_missing(false).read_only(true).busy_timeout(BUSY_LIMIT);
                Ok(Self::Sqlite(Box::new(SqliteConnection::connect_with(&options).await?)))
            }
            _ => Err(StorageError::BadUrl("it must begin with postgres:// or sqlite:".into())),
        }
    }

    /// From here on all that is read is of one moment.
    async fn begin(&mut self) -> Result<()> {
        match self {
            Self::Postgres(connection) => {
                sqlx::query(BEGIN_LOOK.postgres.into_sql_str()).execute(&mut **connection).await?;
            }
            Self::Sqlite(connection) => {
                sqlx::query(BEGIN_LOOK.sqlite.into_sql_str()).execute(&mut **connection).await?;
            }
        }
        Ok(())
    }

    async fn all<T: Readable>(&mut self, statement: Statement) -> Result<Vec<T>> {
        Ok(match self {
            Self::Postgres(connection) => sqlx::query_as(statement.postgres.into_sql_str()).fetch_all(&mut **connection).await?,
            Self::Sqlite(connection) => sqlx::query_as(statement.sqlite.into_sql_str()).fetch_all(&mut **connection).await?,
        })
    }

    async fn count(&mut self, statement: Statement) -> Result<i64> {
        let rows: Vec<(i64,)> = self.all(statement).await?;
        Ok(rows.first().map_or(0, |(count,)| *count))
    }

    async fn close(self) {
        // What was to be read has been read.
        let _ = match self {
            Self::Postgres(connection) => connection.close().await,
            Self::Sqlite(connection) => connection.close().await,
        };
    }
}
