//! What a dispatcher reads: unfinished dispatches in their order.

use std::collections::{BTreeSet, HashMap};

use baton_domain::partition::PARTITIONS;
use baton_domain::{EventId, EventStatus, GenerationNumber, HandlerId, ObjectId, PartitionId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::error::{Result, StorageError};
use crate::events::object_id;
use crate::sql::{Column, statements, values};

/// An unfinished dispatch with the payload of its event.
#[derive(Debug, Clone)]
pub struct FedDispatch {
    /// Its place in the order.
    pub seq: Seq,
    /// Where its ordering key belongs.
    pub partition: PartitionId,
    /// The event.
    pub event_id: EventId,
    /// The event's type.
    pub events_id: String,
    /// What it happened to.
    pub object_id: ObjectId,
    /// What "the same object" means for its order.
    pub ordering_key: String,
    /// When it happened, as published.
    pub dt: String,
    /// The JSON text of an object, as published.
    pub data: String,
    /// The only handler that this dispatch is for, when it replays to one.
    pub handler_id: Option<HandlerId>,
    /// The generation that its chain began under, once that is recorded, or that it is to run under, when it replays an event as it was.
    pub generation: Option<GenerationNumber>,
    /// Whether it is recorded that something of it is to be tried again.
    pub retrying: bool,
    /// When the dispatch was appended.
    pub received_at: DateTime<Utc>,
}

/// Which dispatches to read.
#[derive(Debug, Clone)]
pub struct FeedQuery {
    /// Of these partitions.
    pub partitions: Vec<PartitionId>,
    /// Behind this place; `Seq(0)` for all.
    pub after: Seq,
    /// Up to this place, itself included.
    pub up_to: Option<Seq>,
    /// Not of these ordering keys.
    pub except_keys: Vec<String>,
    /// At most so many.
    pub limit: u32,
    /// Stops with the dispatch that makes the payloads reach so many bytes.
    pub bytes_max: usize,
}

impl FeedQuery {
    /// How many dispatches of one partition are read at most.
    fn of_each(&self) -> i64 {
        let (limit, partitions) = (i64::from(self.limit), self.partitions.len().max(1) as i64);
        // The owner of all reads along the primary key, whatever partition comes next.
        if partitions == i64::from(PARTITIONS) { limit } else { (limit * 2 / partitions + 16).min(limit) }
    }

    /// Whether what the query brought is certainly all that there was. `false` means that there may be more: the answer may have been cut
    /// by number, by size, or because one partition has much more than the others.
    #[must_use]
    pub fn exhausted_by(&self, rows: &[FedDispatch]) -> bool {
        let cut_by_size =
            rows.len() >= self.limit as usize || rows.iter().map(|row| row.data.len()).sum::<usize>() >= self.bytes_max;
        let mut of_each: HashMap<PartitionId, i64> = HashMap::new();
        rows.iter().for_each(|row| *of_each.entry(row.partition).or_default() += 1);
        !cut_by_size && of_each.values().all(|count| *count < self.of_each())
    }
}

macro_rules! fed_columns {
    () => {
        "SELECT d.seq, d.partition, d.event_id, d.events_id, e.object_id, d.ordering_key, e.dt, e.data, d.handler_id, d.generation, \
         d.state, d.received_at"
    };
}

/// The payload of each dispatch `d`. LIMIT keeps PostgreSQL from joining in another way: its estimates of this table, which fills and
/// empties all the time, can be far off, and then it would read all events.
macro_rules! with_payload {
    () => {
        " CROSS JOIN LATERAL (SELECT object_id, dt, data FROM events WHERE seq = d.event_seq LIMIT 1) AS e "
    };
}

/// Adds to each dispatch of `w` the bytes of those before it.
macro_rules! with_bytes_before {
    ($rows:expr) => {
        concat!(" FROM (SELECT w.*, sum(w.bytes) OVER (ORDER BY w.seq) - w.bytes AS earlier FROM (", $rows, ") AS w) AS d ")
    };
}

statements! {
    /// For the owner of every partition: along the primary key.
    READ_ALL = {
        postgres: concat!(
            fed_columns!(),
            with_bytes_before!(
                "SELECT * FROM dispatches WHERE seq > $1 AND seq <= $2 AND ordering_key <> ALL($3) ORDER BY seq LIMIT $4"
            ),
            with_payload!(),
            "WHERE d.earlier < $5 ORDER BY d.seq"
        ),
        sqlite: concat!(
            fed_columns!(),
            with_bytes_before!(
                "SELECT * FROM dispatches WHERE seq > $1 AND seq <= $2 AND ordering_key NOT IN (SELECT value FROM json_each($3))
                 ORDER BY seq LIMIT $4"
            ),
            "CROSS JOIN events e ON e.seq = d.event_seq WHERE d.earlier < $5 ORDER BY d.seq"
        ),
    };
    /// For the owner of some partitions. On PostgreSQL at most $7 of each partition, so that neither the backlog of others nor that of
    /// one partition is read; where a partition may have more, what lies behind its last one is left for the next time. SQLite has one
    /// owner but for the moments of a start.
    READ_SOME = {
        postgres: concat!(
            "WITH near AS MATERIALIZED (
                SELECT d.* FROM unnest($6::bigint[]) AS p (partition) CROSS JOIN LATERAL (
                    SELECT * FROM dispatches
                    WHERE partition = p.partition AND seq > $1 AND seq <= $2 AND ordering_key <> ALL($3)
                    ORDER BY seq LIMIT $7
                ) AS d
            ), edge AS (
                SELECT min(full_.last) AS seq
                FROM (SELECT max(seq) AS last FROM near GROUP BY partition HAVING count(*) >= $7) AS full_
            ) ",
            fed_columns!(),
            with_bytes_before!(
                "SELECT near.* FROM near CROSS JOIN edge WHERE edge.seq IS NULL OR near.seq <= edge.seq ORDER BY near.seq LIMIT $4"
            ),
            with_payload!(),
            "WHERE d.earlier < $5 ORDER BY d.seq"
        ),
        sqlite: concat!(
            fed_columns!(),
            with_bytes_before!(
                "SELECT * FROM dispatches WHERE seq > $1 AND seq <= $2 AND ordering_key NOT IN (SELECT value FROM json_each($3))
                    AND +partition IN (SELECT value FROM json_each($6)) AND $7 > 0
                 ORDER BY seq LIMIT $4"
            ),
            "CROSS JOIN events e ON e.seq = d.event_seq WHERE d.earlier < $5 ORDER BY d.seq"
        ),
    };
    POSITION = "SELECT seq FROM append_position WHERE id = 1";
    READ_KEY = {
        postgres: concat!(
            fed_columns!(),
            " FROM (
                SELECT * FROM dispatches WHERE partition = $1 AND ordering_key = $2 AND seq > $3 AND seq <= $4 ORDER BY seq LIMIT $5
            ) AS d",
            with_payload!(),
            "ORDER BY d.seq"
        ),
        sqlite: concat!(
            fed_columns!(),
            " FROM (
                SELECT * FROM dispatches WHERE partition = $1 AND ordering_key = $2 AND seq > $3 AND seq <= $4 ORDER BY seq LIMIT $5
            ) AS d CROSS JOIN events e ON e.seq = d.event_seq ORDER BY d.seq"
        ),
    };
    LOAD = {
        postgres: concat!(
            fed_columns!(),
            " FROM dispatches d", with_payload!(), "WHERE d.seq = ANY($1) ORDER BY d.seq"
        ),
        sqlite: concat!(
            fed_columns!(),
            " FROM dispatches d CROSS JOIN events e ON e.seq = d.event_seq
             WHERE d.seq IN (SELECT value FROM json_each($1)) ORDER BY d.seq"
        ),
    };
}

#[derive(sqlx::FromRow)]
struct FedRead {
    seq: i64,
    partition: i16,
    event_id: Uuid,
    events_id: String,
    object_id: String,
    ordering_key: String,
    dt: String,
    data: String,
    handler_id: Option<i64>,
    generation: Option<i64>,
    state: String,
    received_at: DateTime<Utc>,
}

impl TryFrom<FedRead> for FedDispatch {
    type Error = StorageError;

    fn try_from(row: FedRead) -> Result<Self> {
        Ok(Self {
            seq: Seq(row.seq),
            partition: PartitionId(row.partition),
            event_id: EventId(row.event_id),
            events_id: row.events_id,
            object_id: object_id(&row.object_id)?,
            ordering_key: row.ordering_key,
            dt: row.dt,
            data: row.data,
            handler_id: row.handler_id.map(HandlerId),
            generation: row.generation.map(GenerationNumber),
            retrying: row.state == EventStatus::Retrying.as_str(),
            received_at: row.received_at,
        })
    }
}

fn fed(rows: Vec<FedRead>) -> Result<Vec<FedDispatch>> {
    rows.into_iter().map(TryInto::try_into).collect()
}

impl Store {
    /// Unfinished dispatches by their place. An empty answer means that there is none; a short one does not mean that there are no
    /// more: [`FeedQuery::exhausted_by`] says so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_dispatches(&self, query: &FeedQuery) -> Result<Vec<FedDispatch>> {
        let partitions: BTreeSet<_> = query.partitions.iter().map(|p| p.0).collect();
        if partitions.is_empty() || query.limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::from(query.limit);
        let bytes = i64::try_from(query.bytes_max).unwrap_or(i64::MAX).max(1);
        let except = Column::texts(query.except_keys.iter().map(String::as_str));
        let mut values = values![query.after.0, query.up_to.map_or(i64::MAX, |seq| seq.0), except, limit, bytes];
        let mut conn = self.feeder().await?;
        let rows = if partitions.len() == usize::from(PARTITIONS.unsigned_abs()) {
            conn.fetch_all(READ_ALL, values).await?
        } else {
            values.extend(values![Column::ints(partitions.into_iter().map(i64::from)), query.of_each()]);
            conn.fetch_all(READ_SOME, values).await?
        };
        fed(rows)
    }

    /// The last place that has been given out: whatever has it or a smaller one is there for every later read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn append_position(&self) -> Result<Seq> {
        let position: Option<(i64,)> = self.feeder().await?.fetch_optional(POSITION, vec![]).await?;
        position.map(|(seq,)| Seq(seq)).ok_or_else(|| StorageError::corrupt("append_position has no row"))
    }

    /// Unfinished dispatches of one ordering key by their place, behind `after`, up to `up_to` included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_key_backlog(
        &self,
        partition: PartitionId,
        ordering_key: &str,
        after: Seq,
        up_to: Seq,
        limit: u32,
    ) -> Result<Vec<FedDispatch>> {
        let values = values![i64::from(partition.0), ordering_key, after.0, up_to.0, i64::from(limit)];
        fed(self.feeder().await?.fetch_all(READ_KEY, values).await?)
    }

    /// The unfinished ones among these dispatches, by their place. The caller bounds the size by what it asks for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load_dispatches(&self, seqs: &[Seq]) -> Result<Vec<FedDispatch>> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        fed(self.feeder().await?.fetch_all(LOAD, values![Column::ints(seqs.iter().map(|seq| seq.0))]).await?)
    }
}
