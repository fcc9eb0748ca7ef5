//! What PostgreSQL says about itself.

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

/// A connection of the bench's own.
pub(crate) struct Database(PgConnection);

/// What the database did between two looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// Statements sent to it, each a round trip; `None` where they are not counted.
    pub statements: Option<f64>,
    pub commits: f64,
    /// Rows inserted, updated and deleted.
    pub rows: f64,
    /// Bytes of write-ahead log.
    pub wal: f64,
}

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(Self(PgConnection::connect(url).await.context("cannot connect to PostgreSQL")?))
    }

    /// Statements without parameters or results.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await.with_context(|| sql.to_owned())?;
        Ok(())
    }

    /// The texts of a query with one column.
    pub(crate) async fn texts(&mut self, sql: &str) -> Result<Vec<String>> {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.0).await.with_context(|| sql.to_owned())
    }

    /// How many dispatchers own partitions; `None` while one has no owner.
    pub(crate) async fn owners(&mut self) -> Result<Option<usize>> {
        let sql = "SELECT count(DISTINCT owner), count(*) FILTER (WHERE owner IS NULL) FROM partitions";
        let (owners, without): (i64, i64) = sqlx::query_as(sql).fetch_one(&mut self.0).await?;
        Ok(if without == 0 { usize::try_from(owners).ok() } else { None })
    }

    /// Whether statement statistics can be had.
    pub(crate) async fn has_statements_extension(&mut self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements')";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.0).await?)
    }

    /// Begins to count statements, where that is possible.
    pub(crate) async fn count_statements(&mut self) -> Result<()> {
        if self.counts_statements().await? {
            self.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
        }
        Ok(())
    }

    async fn counts_statements(&mut self) -> Result<bool> {
        let sql = "SELECT coalesce(current_setting('shared_preload_libraries', true), '') LIKE '%pg_stat_statements%'";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.0).await?)
    }

    /// Everything done so far. Rows are exact only when the programs have ended: connections tell theirs late.
    pub(crate) async fn work(&mut self) -> Result<Work> {
        let sql = "SELECT xact_commit::float8, (tup_inserted + tup_updated + tup_deleted)::float8, \
                   pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 \
                   FROM pg_stat_database WHERE datname = current_database()";
        let (commits, rows, wal) = sqlx::query_as(sql).fetch_one(&mut self.0).await?;
        let statements = match self.counts_statements().await? {
            false => None,
            true => {
                let sql = "SELECT coalesce(sum(s.calls), 0)::float8 FROM pg_stat_statements s \
                           JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = current_database()";
                Some(sqlx::query_scalar(sql).fetch_one(&mut self.0).await?)
            }
        };
        Ok(Work { statements, commits, rows, wal })
    }

    /// The most frequent statements, with how often they ran, for who wants to see where round trips go.
    pub(crate) async fn frequent_statements(&mut self) -> Result<Vec<(i64, f64, String)>> {
        let sql = "SELECT s.calls, s.total_exec_time, left(regexp_replace(s.query, '\\s+', ' ', 'g'), 110) \
                   FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
                   WHERE d.datname = current_database() ORDER BY s.total_exec_time DESC LIMIT 12";
        Ok(sqlx::query_as(sql).fetch_all(&mut self.0).await?)
    }
}

impl Work {
    /// What was done since an earlier look.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            statements: self.statements.zip(before.statements).map(|(after, before)| after - before),
            commits: self.commits - before.commits,
            rows: self.rows - before.rows,
            wal: self.wal - before.wal,
        }
    }
}
