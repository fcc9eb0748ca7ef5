//! What happened by the minute and by the hour, for the eye of an operator: how much, how well, how fast.
//!
//! It is counted in memory ([`counting`]) and written now and then, so that it costs the way of an event no statement. What a process has
//! counted and not written when it is killed is missing here; nothing depends on it.

mod counting;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use baton_domain::{HandlerId, Histogram};
use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use self::counting::Counting;
pub use self::counting::{COUNTS_WRITTEN_EVERY, CountedCall};
use crate::Store;
use crate::error::Result;
use crate::sql::{Column, parsed, statements, values};

/// The id under which is kept what is counted over all handlers.
const ALL: HandlerId = HandlerId(0);

/// How long a stretch of time is that is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Span {
    pub(crate) const EACH: [Self; 2] = [Self::Minute, Self::Hour];

    /// How long it is.
    #[must_use]
    pub fn length(self) -> TimeDelta {
        TimeDelta::minutes(self.minutes())
    }

    /// The beginning of the one that holds this instant.
    #[must_use]
    pub fn beginning(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = instant.timestamp();
        DateTime::from_timestamp(seconds - seconds.rem_euclid(self.minutes() * 60), 0).unwrap_or(instant)
    }

    pub(crate) fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
        }
    }
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were accepted, without repetitions; only where it is about all handlers.
    pub published: u64,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, whether or not they are tried again.
    pub failed: u64,
    /// Deliveries that were given up without being tried again.
    pub skipped: u64,
    /// How long the attempts took together, in microseconds.
    pub duration_us: u64,
    /// How long the attempts took.
    pub durations: Histogram,
    /// From the publication of an event, or its replay, to its first attempt: at the handler, or at whichever was the first where it is
    /// about all handlers.
    pub first_calls: Histogram,
}

impl Counts {
    /// Attempts, whatever came of them.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.published += other.published;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.duration_us += other.duration_us;
        self.durations.merge(&other.durations);
        self.first_calls.merge(&other.first_calls);
    }
}

/// What was counted of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerCounts {
    /// The handler.
    pub handler_id: HandlerId,
    /// Its name as it is saved now; `None` when it has been deleted.
    pub name: Option<String>,
    /// What was counted.
    pub counts: Counts,
}

/// Which handlers come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandlerRank {
    /// Those with the most failed attempts.
    #[default]
    Failures,
    /// Those whose attempts took longest on average.
    Duration,
    /// Those with the most attempts.
    Attempts,
}

impl HandlerRank {
    /// What a handler comes the earlier for, the more of it there is; as `FIRST_HANDLERS` has it.
    fn weight(self, counts: &Counts) -> u64 {
        match self {
            Self::Failures => counts.failed,
            Self::Duration => counts.duration_us.checked_div(counts.attempts()).unwrap_or_default(),
            Self::Attempts => counts.attempts(),
        }
    }
}

statements! {
    PUT_MINUTES = {
        postgres: "
            INSERT INTO minutes (minutes, handler_id, begins_at, id, published, succeeded, failed, skipped, duration_us, durations,
                first_calls)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::text[], $11::text[])
            ON CONFLICT (minutes, handler_id, begins_at, id) DO UPDATE SET
                published = excluded.published, succeeded = excluded.succeeded, failed = excluded.failed, skipped = excluded.skipped,
                duration_us = excluded.duration_us, durations = excluded.durations, first_calls = excluded.first_calls",
        sqlite: "
            INSERT INTO minutes (minutes, handler_id, begins_at, id, published, succeeded, failed, skipped, duration_us, durations,
                first_calls)
            SELECT value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                value ->> 8, value ->> 9, value ->> 10
            FROM jsonb_each($1) WHERE true
            ON CONFLICT (minutes, handler_id, begins_at, id) DO UPDATE SET
                published = excluded.published, succeeded = excluded.succeeded, failed = excluded.failed, skipped = excluded.skipped,
                duration_us = excluded.duration_us, durations = excluded.durations, first_calls = excluded.first_calls",
    };
    MINUTES = "
        SELECT begins_at, published, succeeded, failed, skipped, duration_us, durations, first_calls FROM minutes
        WHERE minutes = $1 AND handler_id = $2 AND begins_at >= $3 AND begins_at < $4 ORDER BY begins_at";
    /// The first of each order out of one look at the rows, of which a day of many handlers has many. An order that is not wanted has limit 0.
    FIRST_HANDLERS = "
        WITH counted AS MATERIALIZED (
            SELECT m.handler_id, CAST(sum(m.succeeded) AS bigint) AS succeeded, CAST(sum(m.failed) AS bigint) AS failed,
                CAST(sum(m.skipped) AS bigint) AS skipped, CAST(sum(m.duration_us) AS bigint) AS duration_us
            FROM minutes m WHERE m.minutes = $1 AND m.begins_at >= $2 AND m.begins_at < $3 AND m.handler_id > 0 GROUP BY m.handler_id
        ), firsts AS (
            SELECT f.handler_id FROM (SELECT c.handler_id FROM counted c ORDER BY c.failed DESC, c.handler_id LIMIT $4) AS f
            UNION
            SELECT d.handler_id FROM (
                SELECT c.handler_id FROM counted c
                ORDER BY CASE WHEN c.succeeded + c.failed = 0 THEN 0 ELSE c.duration_us / (c.succeeded + c.failed) END DESC, c.handler_id
                LIMIT $5
            ) AS d
            UNION
            SELECT a.handler_id FROM (SELECT c.handler_id FROM counted c ORDER BY c.succeeded + c.failed DESC, c.handler_id LIMIT $6) AS a
        )
        SELECT c.handler_id, (SELECT h.name FROM handlers h WHERE h.id = c.handler_id) AS name, c.succeeded, c.failed, c.skipped,
            c.duration_us
        FROM counted c WHERE c.handler_id IN (SELECT f.handler_id FROM firsts f)";
    /// Added up where they lie: a day of many handlers has many rows. On PostgreSQL they are read first: it thinks that what comes of the JSON is
    /// a hundred times as much, and starts workers for it, which takes longer than all the rest.
    SPREADS = {
        postgres: "
            WITH spans AS MATERIALIZED (
                SELECT m.handler_id, m.durations, m.first_calls FROM minutes m
                WHERE m.minutes = $1 AND m.begins_at >= $2 AND m.begins_at < $3 AND m.handler_id = ANY($4)
            )
            SELECT s.handler_id, CAST(0 AS bigint) AS of, CAST(b.key AS bigint) AS bucket, CAST(sum(CAST(b.value AS bigint)) AS bigint) AS counted
            FROM spans s CROSS JOIN LATERAL json_each_text(CAST(s.durations AS json)) AS b GROUP BY s.handler_id, b.key
            UNION ALL
            SELECT s.handler_id, CAST(1 AS bigint), CAST(b.key AS bigint), CAST(sum(CAST(b.value AS bigint)) AS bigint)
            FROM spans s CROSS JOIN LATERAL json_each_text(CAST(s.first_calls AS json)) AS b GROUP BY s.handler_id, b.key",
        sqlite: "
            SELECT m.handler_id, 0 AS of, CAST(b.key AS bigint) AS bucket, CAST(sum(b.value) AS bigint) AS counted
            FROM minutes m CROSS JOIN json_each(m.durations) AS b
            WHERE m.minutes = $1 AND m.begins_at >= $2 AND m.begins_at < $3 AND m.handler_id IN (SELECT value FROM json_each($4))
            GROUP BY m.handler_id, b.key
            UNION ALL
            SELECT m.handler_id, 1, CAST(b.key AS bigint), CAST(sum(b.value) AS bigint)
            FROM minutes m CROSS JOIN json_each(m.first_calls) AS b
            WHERE m.minutes = $1 AND m.begins_at >= $2 AND m.begins_at < $3 AND m.handler_id IN (SELECT value FROM json_each($4))
            GROUP BY m.handler_id, b.key",
    };
}

#[derive(sqlx::FromRow)]
struct MinuteRead {
    begins_at: DateTime<Utc>,
    published: i64,
    succeeded: i64,
    failed: i64,
    skipped: i64,
    duration_us: i64,
    durations: String,
    first_calls: String,
}

#[derive(sqlx::FromRow)]
struct HandlerRead {
    handler_id: i64,
    name: Option<String>,
    succeeded: i64,
    failed: i64,
    skipped: i64,
    duration_us: i64,
}

#[derive(sqlx::FromRow)]
struct SpreadRead {
    handler_id: i64,
    of: i64,
    bucket: i64,
    counted: i64,
}

/// Counts are never below zero.
fn count(stored: i64) -> u64 {
    stored.unsigned_abs()
}

impl Store {
    /// What was counted of a handler, or over all of them and of what was published, in each span that begins in `from..to` and in which
    /// anything was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn minutes(
        &self,
        span: Span,
        handler: Option<HandlerId>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<BTreeMap<DateTime<Utc>, Counts>> {
        let values = values![span.minutes(), handler.unwrap_or(ALL).0, from, to];
        let rows: Vec<MinuteRead> = self.reader().await?.fetch_all(MINUTES, values).await?;
        let mut spans: BTreeMap<_, Counts> = BTreeMap::new();
        for row in rows {
            let counts = Counts {
                published: count(row.published),
                succeeded: count(row.succeeded),
                failed: count(row.failed),
                skipped: count(row.skipped),
                duration_us: count(row.duration_us),
                durations: parsed("durations of a minute", &row.durations)?,
                first_calls: parsed("first calls of a minute", &row.first_calls)?,
            };
            spans.entry(row.begins_at).or_default().merge(&counts);
        }
        Ok(spans)
    }

    /// What was counted of the first `most` handlers by each of these orders, in the spans that begin in `from..to`: those of the first
    /// order, then those of the next that are not among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn handler_counts(
        &self,
        span: Span,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        ranks: &[HandlerRank],
        most: u16,
    ) -> Result<Vec<HandlerCounts>> {
        let mut conn = self.reader().await?;
        let of = |rank| if ranks.contains(&rank) { i64::from(most) } else { 0 };
        let limits = [HandlerRank::Failures, HandlerRank::Duration, HandlerRank::Attempts].map(of);
        let values = values![span.minutes(), from, to, limits[0], limits[1], limits[2]];
        let rows: Vec<HandlerRead> = conn.fetch_all(FIRST_HANDLERS, values).await?;
        let ids = Column::ints(rows.iter().map(|row| row.handler_id));
        let spreads: Vec<SpreadRead> = conn.fetch_all(SPREADS, values![span.minutes(), from, to, ids]).await?;
        let mut by_handler: HashMap<i64, [Histogram; 2]> = HashMap::new();
        for SpreadRead { handler_id, of, bucket, counted } in spreads {
            let histogram = &mut by_handler.entry(handler_id).or_default()[usize::from(of != 0)];
            histogram.add_many(u8::try_from(bucket).unwrap_or(u8::MAX), count(counted));
        }
        let counted = rows.into_iter().map(|row| {
            let [durations, first_calls] = by_handler.remove(&row.handler_id).unwrap_or_default();
            let counts = Counts {
                published: 0,
                succeeded: count(row.succeeded),
                failed: count(row.failed),
                skipped: count(row.skipped),
                duration_us: count(row.duration_us),
                durations,
                first_calls,
            };
            HandlerCounts { handler_id: HandlerId(row.handler_id), name: row.name, counts }
        });
        Ok(in_order(counted.collect(), ranks, most))
    }
}

/// The first `most` by each order, none twice.
fn in_order(found: Vec<HandlerCounts>, ranks: &[HandlerRank], most: u16) -> Vec<HandlerCounts> {
    let (mut places, mut taken) = (Vec::new(), HashSet::new());
    for rank in ranks {
        let mut sorted: Vec<_> = (0..found.len()).collect();
        sorted.sort_by_key(|at| (Reverse(rank.weight(&found[*at].counts)), found[*at].handler_id));
        places.extend(sorted.into_iter().take(usize::from(most)).filter(|at| taken.insert(*at)));
    }
    let mut found: Vec<_> = found.into_iter().map(Some).collect();
    places.into_iter().filter_map(|at| found[at].take()).collect()
}
