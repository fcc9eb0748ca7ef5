//! What a dispatcher writes: results, in batches.

mod columns;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use baton_domain::{CallStatus, EventId, EventStatus, Execution, GenerationNumber, HandlerId, ObjectId, PartitionId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use self::columns::RecordedCall;
use self::columns::{delivery_columns, execution_columns, recorded_calls};
use crate::Store;
use crate::conn::Tx;
use crate::dead_letters::DeliveryState;
use crate::error::{Result, StorageError};
use crate::sql::{Column, Value, statements, values};
use crate::tallies::shard_of;

/// A delivery that did not succeed at once, as it is now.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// The dispatch.
    pub seq: Seq,
    /// The handler.
    pub handler_id: HandlerId,
    /// The event.
    pub event_id: EventId,
    /// The event's type.
    pub events_id: String,
    /// What it happened to.
    pub object_id: ObjectId,
    /// The handler's name at the time.
    pub handler_name: String,
    /// The generation of the last attempt.
    pub generation: GenerationNumber,
    /// To be tried again, or dead.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; `None` when dead.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the last attempt ended.
    pub updated_at: DateTime<Utc>,
}

/// A dispatch whose deliveries have all ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The dispatch.
    pub seq: Seq,
    /// The event.
    pub event_id: EventId,
    /// Where it belongs.
    pub partition: PartitionId,
    /// The event's type.
    pub events_id: String,
    /// `Delivered`, `Failed` or `Unmatched`. `Failed` wants its dead deliveries among [`Record::retries`] of this or an earlier record.
    pub status: EventStatus,
    /// The generation that the chain ran under.
    pub generation: Option<GenerationNumber>,
    /// When.
    pub finished_at: DateTime<Utc>,
}

/// A batch of results, written in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Calls that were made or skipped. One whose id is stored already is left as it is.
    pub executions: Vec<Execution>,
    /// Deliveries that are to be tried again or are dead: what is stored of them is replaced. At most one for a pair of dispatch and
    /// handler: of several the last counts.
    pub retries: Vec<DeliveryRow>,
    /// Deliveries that succeeded or were skipped after a retry.
    pub settled: Vec<(Seq, HandlerId)>,
    /// Dispatches of which something has failed and will be tried again, with the generation that their chain runs under.
    pub started: Vec<(Seq, GenerationNumber)>,
    /// Dispatches that have ended.
    pub finished: Vec<Finished>,
    /// Every partition that the batch touches.
    pub partitions: Vec<PartitionId>,
}

impl Record {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.executions.is_empty()
            && self.retries.is_empty()
            && self.settled.is_empty()
            && self.started.is_empty()
            && self.finished.is_empty()
    }

    fn touched(&self) -> BTreeSet<i64> {
        let named = self.partitions.iter().chain(self.finished.iter().map(|f| &f.partition));
        named.map(|p| i64::from(p.0)).collect()
    }
}

/// On SQLite: that the dispatcher ($1) has not been fenced and owns all of the partitions ($2).
macro_rules! holds {
    () => {
        "(SELECT count(*) FROM instances WHERE id = $1 AND NOT fenced) = 1
         AND (SELECT count(*) FROM partitions WHERE owner = $1 AND partition IN (SELECT value FROM json_each($2)))
            = json_array_length($2)"
    };
}

/// The dispatches that have ended ($5) and are there still.
macro_rules! ending {
    () => {
        "(SELECT value ->> 0 AS seq, value ->> 1 AS status, value ->> 2 AS generation, value ->> 3 AS finished_at, value ->> 4 AS is_kept
            FROM jsonb_each($5)) AS f
         CROSS JOIN dispatches d ON d.seq = f.seq"
    };
}

/// On SQLite: the events that end with the dispatches that have ended, as long as those are there. Of several of one event the last one's
/// status counts, and none where another stays. A dead letter makes an event failed; a dispatch that failed by dead letters which have all been
/// replayed since did not fail it.
macro_rules! ended_events {
    () => {
        concat!(
            "(SELECT d.event_id, d.event_seq, d.events_id,
                CASE
                    WHEN (SELECT count(*) FILTER (WHERE v.replayed_at IS NULL) FROM deliveries v
                        WHERE v.event_id = d.event_id AND v.state = 'dead') > 0 THEN 'failed'
                    WHEN f.status = 'failed' AND (SELECT count(*) FROM deliveries v
                        WHERE v.event_id = d.event_id AND v.state = 'dead') > 0 THEN 'delivered'
                    ELSE f.status
                END AS status,
                f.generation, f.finished_at, f.is_kept
            FROM ", ending!(), " WHERE ", holds!(), "
                AND (SELECT count(*) FROM dispatches o WHERE o.event_id = d.event_id AND o.seq <> o.event_seq AND o.seq <> d.seq
                    AND (o.seq > d.seq OR o.seq NOT IN (SELECT value ->> 0 FROM jsonb_each($5)))) = 0
                AND (d.seq = d.event_seq OR (SELECT count(*) FROM dispatches o WHERE o.seq = d.event_seq
                    AND o.seq NOT IN (SELECT value ->> 0 FROM jsonb_each($5))) = 0))"
        )
    };
}

/// What SQLite does for calls ($4) and ended dispatches ($5), statement by statement, sent at once: each of them sent alone would wake two
/// threads, with the one lock for writing held. Nothing is written where the dispatcher does not hold what it writes about; the answer says
/// whether it does. $3 is its shard of the tallies, $6 whether one of the dispatches has failed.
///
/// The final states come first, while the dispatches are still there: what is there has not been recorded before.
macro_rules! record_rows {
    () => {
        concat!(
            "INSERT INTO executions (id, event_id, seq, events_id, object_id, handler_id, handler_name, priority, generation, attempt,
                status, started_at, duration_ms, error, response, retry_at)
            SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15
            FROM jsonb_each($4) WHERE ", holds!(), "
            ON CONFLICT (id) DO NOTHING;
            INSERT INTO results (event_id, event_seq, status, generation, finished_at)
            SELECT event_id, event_seq, status, generation, finished_at FROM ", ended_events!(), "
            WHERE is_kept OR status <> 'delivered'
            ON CONFLICT (event_id) DO UPDATE SET
                status = excluded.status, generation = excluded.generation, finished_at = excluded.finished_at;
            INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
            SELECT events_id, $3, 0, sum(status = 'delivered'), sum(status = 'failed'), sum(status = 'unmatched')
            FROM ", ended_events!(), " WHERE true GROUP BY events_id
            ON CONFLICT (events_id, shard) DO UPDATE SET
                delivered = tallies.delivered + excluded.delivered, failed = tallies.failed + excluded.failed,
                unmatched = tallies.unmatched + excluded.unmatched;
            DELETE FROM deliveries
            WHERE $6 AND ", holds!(), " AND replayed_at IS NOT NULL AND seq IN (SELECT d.seq FROM ", ending!(), ");
            DELETE FROM dispatches WHERE ", holds!(), " AND seq IN (SELECT value ->> 0 FROM jsonb_each($5));
            SELECT ", holds!()
        )
    };
}

statements! {
    /// That the dispatcher has not been fenced; and nobody can fence it, take its partitions or record in its name before the commit.
    FENCE = {
        postgres: "SELECT CAST(1 AS bigint) FROM instances WHERE id = $1 AND NOT fenced FOR NO KEY UPDATE",
        sqlite: "",
    };
    /// A statement of its own: it has to see what was committed while the one above waited.
    COUNT_OWNED = {
        postgres: "SELECT count(*) FROM partitions WHERE owner = $1 AND partition = ANY($2)",
        sqlite: "",
    };
    /// Both at once, since each statement that is sent alone wakes two threads.
    HOLDS = { postgres: "", sqlite: concat!("SELECT ", holds!()) };
    /// Which dispatches are unfinished; they stay so until the commit.
    LOCK_DISPATCHES = {
        postgres: "SELECT seq, event_seq FROM dispatches WHERE seq = ANY($1) ORDER BY seq FOR NO KEY UPDATE",
        sqlite: "SELECT seq, event_seq FROM dispatches WHERE seq IN (SELECT value FROM json_each($1)) ORDER BY seq",
    };
    START = {
        postgres: "
            UPDATE dispatches d SET state = 'retrying', generation = r.generation
            FROM unnest($1::bigint[], $2::bigint[]) AS r (seq, generation) WHERE d.seq = r.seq",
        sqlite: "
            UPDATE dispatches SET state = 'retrying', generation = r.value ->> 1
            FROM jsonb_each($1) AS r WHERE dispatches.seq = r.value ->> 0",
    };
    /// All that follows from calls and needs nothing before it, in one round trip; on PostgreSQL a function of the schema. Answers whether
    /// the dispatcher holds what it writes about; nothing is written where it does not.
    RECORD_BATCH = {
        postgres: "
            SELECT record_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        sqlite: concat!("BEGIN IMMEDIATE; ", record_rows!(), "; COMMIT"),
    };
    /// The same within a transaction.
    RECORD_ROWS = { postgres: "", sqlite: record_rows!() };
    PUT_DELIVERIES = {
        postgres: "
            INSERT INTO deliveries (seq, handler_id, event_id, event_seq, events_id, object_id, object_text, handler_name, generation,
                state, attempts, next_attempt_at, last_error, updated_at)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::bigint[], $10::text[], $11::bigint[], $12::timestamptz[], $13::text[], $14::timestamptz[])
            ON CONFLICT (seq, handler_id) DO UPDATE SET
                handler_name = excluded.handler_name, generation = excluded.generation, state = excluded.state,
                attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error,
                updated_at = excluded.updated_at,
                replayed_at = CASE WHEN excluded.state = 'dead' THEN deliveries.replayed_at END",
        sqlite: "
            INSERT INTO deliveries (seq, handler_id, event_id, event_seq, events_id, object_id, object_text, handler_name, generation,
                state, attempts, next_attempt_at, last_error, updated_at)
            SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13
            FROM jsonb_each($1) WHERE true
            ON CONFLICT (seq, handler_id) DO UPDATE SET
                handler_name = excluded.handler_name, generation = excluded.generation, state = excluded.state,
                attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error,
                updated_at = excluded.updated_at,
                replayed_at = CASE WHEN excluded.state = 'dead' THEN deliveries.replayed_at END",
    };
    SETTLE = {
        postgres: "
            DELETE FROM deliveries v USING unnest($1::bigint[], $2::bigint[]) AS r (seq, handler_id)
            WHERE v.seq = r.seq AND v.handler_id = r.handler_id",
        sqlite: "
            DELETE FROM deliveries
            WHERE (seq, handler_id) IN (SELECT value ->> 0, value ->> 1 FROM jsonb_each($1))",
    };
}

impl Store {
    /// Writes a batch of results, all or nothing. Repeating one whose answer was lost changes nothing.
    ///
    /// An event ends when none of its dispatches is left: as `Failed` when it has a dead letter, otherwise with the status of the dispatch that
    /// ended last. A row of results says so, but for an event that was delivered by calls of this very record, under one generation: they say
    /// it.
    ///
    /// # Errors
    /// `Fenced` when `dispatcher` has been fenced or removed, or does not own one of the partitions: nothing is written then.
    pub async fn record(&self, dispatcher: Uuid, record: &Record) -> Result<()> {
        if record.is_empty() {
            return Ok(());
        }
        match self.record_once(dispatcher, record, false).await {
            // Some of it is stored already: the answer to an earlier call was lost.
            Err(error) if error.is_unique_violation() => self.record_once(dispatcher, record, true).await,
            other => other,
        }
    }

    async fn record_once(&self, dispatcher: Uuid, record: &Record, repeated: bool) -> Result<()> {
        let mut conn = self.recorder().await?;
        let only_results = record.retries.is_empty() && record.settled.is_empty() && record.started.is_empty();
        let results = results(dispatcher, record, repeated, conn.is_sqlite())?;
        if only_results {
            let held: Vec<(bool,)> = conn.fetch_all(RECORD_BATCH, results).await?;
            return if held == [(true,)] { Ok(()) } else { Err(StorageError::Fenced) };
        }
        let mut tx = conn.begin().await?;
        if !holds(&mut tx, dispatcher, record).await? {
            tx.rollback().await?;
            return Err(StorageError::Fenced);
        }
        put_deliveries(&mut tx, &record.retries).await?;
        if !record.settled.is_empty() {
            let (seqs, handlers): (Vec<_>, Vec<_>) = record.settled.iter().map(|(seq, handler)| (seq.0, handler.0)).unzip();
            tx.execute(SETTLE, values![vec![Column::ints(seqs), Column::ints(handlers)]]).await?;
        }
        if !record.started.is_empty() {
            let (seqs, generations): (Vec<_>, Vec<_>) = record.started.iter().map(|(seq, number)| (seq.0, number.0)).unzip();
            tx.execute(START, values![vec![Column::ints(seqs), Column::ints(generations)]]).await?;
        }
        let text = if tx.is_sqlite() { RECORD_ROWS } else { RECORD_BATCH };
        let _: Vec<(bool,)> = tx.fetch_all(text, results).await?;
        tx.commit().await
    }
}

/// The values of [`RECORD_BATCH`] and [`RECORD_ROWS`].
fn results(dispatcher: Uuid, record: &Record, repeated: bool, is_sqlite: bool) -> Result<Vec<Value<'_>>> {
    let finished: BTreeMap<_, _> = record.finished.iter().map(|f| (f.seq.0, f)).collect();
    let each = || finished.values();
    let (partitions, shard) = (Column::ints(record.touched()), shard_of(dispatcher));
    let seqs = Column::ints(finished.keys().copied());
    let statuses = Column::texts(each().map(|f| f.status.as_str()));
    let generations = Column::ints(each().map(|f| f.generation.map(|number| number.0)));
    let instants = Column::instants(each().map(|f| f.finished_at));
    let told = told_by_calls(record);
    let kept = Column::bools(each().map(|f| !told.contains(&f.seq)));
    if is_sqlite {
        let has_failed = each().any(|f| f.status == EventStatus::Failed);
        let finished = vec![seqs, statuses, generations, instants, kept];
        return Ok(values![dispatcher, partitions, shard, execution_columns(&record.executions)?, finished, has_failed]);
    }
    let ids = Column::uuids(each().map(|f| f.event_id.0));
    let types = Column::texts(each().map(|f| f.events_id.as_str()));
    let finished = vec![seqs, ids, types, statuses, generations, instants, kept];
    Ok(values![dispatcher, partitions, shard, repeated, recorded_calls(&record.executions)?, finished])
}

/// The ended dispatches of which the calls of this record say all that a row of results would.
fn told_by_calls(record: &Record) -> HashSet<Seq> {
    let delivered = record.finished.iter().filter(|f| f.status == EventStatus::Delivered);
    let generations: HashMap<_, _> = delivered.map(|f| (f.seq, f.generation)).collect();
    let of_another = |x: &&Execution| generations.get(&x.seq).is_some_and(|generation| *generation != Some(x.generation));
    let other: HashSet<_> = record.executions.iter().filter(of_another).map(|x| x.seq).collect();
    let called = record.executions.iter().filter(|x| x.status != CallStatus::Fail).map(|x| x.seq);
    called.filter(|seq| generations.contains_key(seq) && !other.contains(seq)).collect()
}

/// Whether the dispatcher may write about these partitions.
async fn holds(tx: &mut Tx<'_>, dispatcher: Uuid, record: &Record) -> Result<bool> {
    let partitions = record.touched();
    let wanted = partitions.len() as i64;
    if tx.is_sqlite() {
        let held: Vec<(bool,)> = tx.fetch_all(HOLDS, values![dispatcher, Column::ints(partitions)]).await?;
        return Ok(held == [(true,)]);
    }
    let alive: Option<(i64,)> = tx.fetch_optional(FENCE, values![dispatcher]).await?;
    if alive.is_none() {
        return Ok(false);
    }
    let owned: Option<(i64,)> = tx.fetch_optional(COUNT_OWNED, values![dispatcher, Column::ints(partitions)]).await?;
    Ok(owned == Some((wanted,)))
}

async fn put_deliveries(tx: &mut Tx<'_>, rows: &[DeliveryRow]) -> Result<()> {
    // Of several rows of a pair the last counts; sorted, so that locks are taken in one order.
    let rows: BTreeMap<_, _> = rows.iter().map(|row| ((row.seq, row.handler_id), row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // A dispatch that has ended was recorded before by this very batch: its dead letters may have been replayed since.
    let seqs: BTreeSet<_> = rows.keys().map(|(seq, _)| seq.0).collect();
    let unfinished: Vec<(i64, i64)> = tx.fetch_all(LOCK_DISPATCHES, values![Column::ints(seqs)]).await?;
    let event_seqs: HashMap<_, _> = unfinished.into_iter().collect();
    let rows: Vec<_> = rows.into_values().filter_map(|row| event_seqs.get(&row.seq.0).map(|seq| (row, *seq))).collect();
    if !rows.is_empty() {
        tx.execute(PUT_DELIVERIES, values![delivery_columns(&rows)]).await?;
    }
    Ok(())
}
