//! The balance: nothing is lost, shown in numbers.

use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::Result;
use crate::sql::{statements, values};

/// The balance of one event type: `published = delivered + failed + unmatched + pending + retrying`, at every moment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StatRow {
    /// The event type.
    pub events_id: String,
    /// Events that were accepted.
    pub published: i64,
    /// Events that ended as delivered.
    pub delivered: i64,
    /// Events that ended as failed.
    pub failed: i64,
    /// Events that ended as unmatched.
    pub unmatched: i64,
    /// Events under way of which nothing has failed.
    pub pending: i64,
    /// Events under way of which something is being retried.
    pub retrying: i64,
}

/// The most dead letters that [`Store::dead_letters_up_to_some`] counts.
pub const DEAD_LETTERS_COUNTED: u64 = 1000;

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// When the oldest pending dispatch was appended; `None` when none is pending.
    pub oldest_pending: Option<DateTime<Utc>>,
    /// How many deliveries wait in the lanes of the live dispatchers.
    pub held: u64,
}

statements! {
    /// Events under way are counted, not derived: that the balance holds is then worth something. The first dispatch of an event has its
    /// place, so that nearly all can be counted without grouping them; what replays add is few.
    BALANCE = "
        WITH replays AS (
            SELECT event_id, event_seq, events_id, max(state) AS state FROM dispatches WHERE seq <> event_seq
            GROUP BY event_id, event_seq, events_id
        ), under_way AS (
            SELECT events_id, count(*) AS events, sum(CASE WHEN state = 'retrying' THEN 1 ELSE 0 END) AS retrying
            FROM dispatches WHERE seq = event_seq GROUP BY events_id
            UNION ALL
            SELECT r.events_id, CASE WHEN f.seq IS NULL THEN 1 ELSE 0 END,
                CASE WHEN r.state = 'retrying' AND (f.state IS NULL OR f.state = 'pending') THEN 1 ELSE 0 END
            FROM replays r LEFT JOIN dispatches f ON f.seq = r.event_seq
        ), unfinished AS (
            SELECT events_id, sum(events) AS events, sum(retrying) AS retrying FROM under_way GROUP BY events_id
        )
        SELECT t.events_id, CAST(sum(t.published) AS bigint) AS published, CAST(sum(t.delivered) AS bigint) AS delivered,
            CAST(sum(t.failed) AS bigint) AS failed, CAST(sum(t.unmatched) AS bigint) AS unmatched,
            CAST(coalesce(max(u.events) - max(u.retrying), 0) AS bigint) AS pending,
            CAST(coalesce(max(u.retrying), 0) AS bigint) AS retrying
        FROM tallies t LEFT JOIN unfinished u ON u.events_id = t.events_id GROUP BY t.events_id ORDER BY t.events_id";
    UNFINISHED = "SELECT CAST(coalesce(sum(published - delivered - failed - unmatched), 0) AS bigint) FROM tallies";
    OLDEST_PENDING = "SELECT received_at FROM dispatches WHERE state = 'pending' ORDER BY seq LIMIT 1";
    SOME_DEAD = "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE state = 'dead' AND replayed_at IS NULL LIMIT $1) AS dead";
    HELD = "SELECT CAST(coalesce(sum(held), 0) AS bigint) FROM instances WHERE service = 'dispatcher' AND NOT fenced";
}

impl Store {
    /// The balance of every event type that was ever published, by its id. One snapshot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stats(&self) -> Result<Vec<StatRow>> {
        self.reader().await?.fetch_all(BALANCE, vec![]).await
    }

    /// How many events are under way, by the tallies: the cost is that of a few rows, however many there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unfinished_events(&self) -> Result<u64> {
        let sum: Option<(i64,)> = self.reader().await?.fetch_optional(UNFINISHED, vec![]).await?;
        Ok(sum.map_or(0, |(sum,)| u64::try_from(sum).unwrap_or(0)))
    }

    /// How many dead letters there are, counted up to [`DEAD_LETTERS_COUNTED`]: enough to say that there are many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dead_letters_up_to_some(&self) -> Result<u64> {
        let most = i64::try_from(DEAD_LETTERS_COUNTED).unwrap_or(i64::MAX);
        let count: Option<(i64,)> = self.reader().await?.fetch_optional(SOME_DEAD, values![most]).await?;
        Ok(count.map_or(0, |(count,)| count.unsigned_abs()))
    }

    /// What waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self) -> Result<Backlog> {
        let mut conn = self.reader().await?;
        let oldest: Option<(DateTime<Utc>,)> = conn.fetch_optional(OLDEST_PENDING, vec![]).await?;
        let held: Option<(i64,)> = conn.fetch_optional(HELD, vec![]).await?;
        Ok(Backlog { oldest_pending: oldest.map(|(at,)| at), held: held.map_or(0, |(held,)| held.unsigned_abs()) })
    }
}
