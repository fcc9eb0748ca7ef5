//! Appending events: the way in, and hot.

use std::collections::{BTreeMap, HashMap, HashSet};

use baton_domain::limits::IDEMPOTENCY_HOURS;
use baton_domain::{EventId, EventStatus, NewEvent, Seq};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::Store;
use crate::conn::Tx;
use crate::error::{Result, StorageError};
use crate::events::standings;
use crate::sql::{Column, Value, statements, values};

/// The most bytes of payload that one statement carries.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// What became of a [`NewEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its id; for a duplicate that of the first.
    pub id: EventId,
    /// Its place in the order of acknowledged publication; for a duplicate that of the first.
    pub seq: Seq,
    /// `Pending`; for a duplicate the present status of the first.
    pub status: EventStatus,
    /// Whether an event with the same idempotency key was there already.
    pub duplicate: bool,
}

/// What SQLite does for an append, statement by statement, sent at once: each of them sent alone would wake two threads. $1 says how many,
/// $2 has the events, $3 their partitions, $4 how many of each type. Answers with the place before the first.
macro_rules! append_rows {
    () => {
        "UPDATE append_position SET seq = seq + $1 WHERE id = 1;
        INSERT INTO events (seq, id, events_id, object_id, object_text, ordering_key, dt, data, idempotency_key, received_at)
            SELECT (SELECT seq - $1 FROM append_position WHERE id = 1) + j.key + 1, unhex(j.value ->> 0), j.value ->> 1, j.value ->> 2,
                j.value ->> 3, j.value ->> 4, j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8
            FROM jsonb_each($2) AS j;
        INSERT INTO dispatches (seq, partition, event_seq, event_id, events_id, ordering_key, bytes, state, received_at)
            SELECT e.seq, j.value, e.seq, e.id, e.events_id, e.ordering_key, octet_length(e.data), 'pending', e.received_at
            FROM json_each($3) AS j CROSS JOIN events e ON e.seq = (SELECT seq - $1 FROM append_position WHERE id = 1) + j.key + 1;
        INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
            SELECT j.value ->> 0, 0, j.value ->> 1, 0, 0, 0 FROM jsonb_each($4) AS j WHERE true
            ON CONFLICT (events_id, shard) DO UPDATE SET published = tallies.published + excluded.published;
        SELECT seq - $1 FROM append_position WHERE id = 1"
    };
}

statements! {
    /// The lock that whoever appends takes first and holds until the commit.
    LOCK_POSITION = {
        postgres: "SELECT seq FROM append_position WHERE id = 1 FOR UPDATE",
        sqlite: "SELECT seq FROM append_position WHERE id = 1",
    };
    /// Gives out places; answers with the one before the first.
    ADVANCE = "UPDATE append_position SET seq = seq + $1 WHERE id = 1 RETURNING seq - $1";
    /// Everything that an append without idempotency keys does, in one round trip. Nothing is written before `place` has the lock: all
    /// parts read from it.
    APPEND = {
        postgres: "
            WITH place AS (
                UPDATE append_position SET seq = seq + $1 WHERE id = 1 RETURNING seq - $1 AS base
            ), stored AS (
                INSERT INTO events
                    (seq, id, events_id, object_id, object_text, ordering_key, dt, data, idempotency_key, received_at)
                SELECT place.base + r.number, r.id, r.events_id, r.object_id, r.object_text, r.ordering_key, r.dt, r.data,
                    r.idempotency_key, r.received_at
                FROM place CROSS JOIN unnest(
                    $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[]
                ) WITH ORDINALITY AS r (
                    id, events_id, object_id, object_text, ordering_key, dt, data, idempotency_key, received_at, number
                )
            ), dispatched AS (
                INSERT INTO dispatches (seq, partition, event_seq, event_id, events_id, ordering_key, bytes, state, received_at)
                SELECT place.base + r.number, r.partition, place.base + r.number, r.id, r.events_id, r.ordering_key, r.bytes, 'pending',
                    r.received_at
                FROM place CROSS JOIN unnest($2::uuid[], $3::text[], $6::text[], $10::timestamptz[], $11::bigint[], $12::bigint[])
                    WITH ORDINALITY AS r (id, events_id, ordering_key, received_at, partition, bytes, number)
            ), counted AS (
                INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
                SELECT t.events_id, 0, t.published, 0, 0, 0
                FROM place CROSS JOIN unnest($13::text[], $14::bigint[]) AS t (events_id, published)
                ON CONFLICT (events_id, shard) DO UPDATE SET published = tallies.published + excluded.published
            )
            SELECT base FROM place",
        sqlite: concat!("BEGIN IMMEDIATE; ", append_rows!(), "; COMMIT"),
    };
    /// The same within a transaction.
    APPEND_ROWS = { postgres: "", sqlite: append_rows!() };
    /// Which keys are remembered, and the events they stand for.
    KNOWN_KEYS = {
        postgres: "SELECT key, event_id FROM idempotency_keys WHERE key = ANY($1) AND created_at > $2",
        sqlite: "
            SELECT k.key, k.event_id FROM json_each($1) AS j JOIN idempotency_keys k ON k.key = j.value WHERE k.created_at > $2",
    };
    REMEMBER_KEYS = {
        postgres: "
            INSERT INTO idempotency_keys (key, event_id, created_at)
            SELECT r.key, r.event_id, $1 FROM unnest($2::text[], $3::uuid[]) AS r (key, event_id)
            ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, created_at = excluded.created_at",
        sqlite: "
            INSERT INTO idempotency_keys (key, event_id, created_at)
            SELECT j.value ->> 0, unhex(j.value ->> 1), $1 FROM jsonb_each($2) AS j WHERE true
            ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, created_at = excluded.created_at",
    };
}

impl Store {
    /// Stores events with a pending dispatch each, in the order given, all or none. Durable when it returns. Events with the idempotency
    /// key of an earlier one, of this call or of the last 24 hours, are not stored. Repeating a call whose answer was lost is safe: an
    /// event whose id is stored already is answered for as it stands.
    ///
    /// Answers are in the order of `events`. The caller bounds how many events and bytes come at once.
    ///
    /// # Errors
    /// `Unavailable`: nothing is known to be stored.
    pub async fn append_events(&self, events: &[NewEvent], now: DateTime<Utc>) -> Result<Vec<Appended>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let appended = if events.iter().any(|e| e.idempotency_key.is_some()) {
            self.append_checked(events, now, false).await
        } else {
            self.append_plain(events).await
        };
        match appended {
            // One of the ids is stored already: the answer to an earlier call was lost.
            Err(error) if error.is_unique_violation() => self.append_checked(events, now, true).await,
            other => other,
        }
    }

    async fn append_plain(&self, events: &[NewEvent]) -> Result<Vec<Appended>> {
        let events: Vec<_> = events.iter().collect();
        let mut conn = self.appender().await?;
        let chunks = chunks(&events);
        let mut appended = Vec::with_capacity(events.len());
        match chunks.as_slice() {
            [chunk] => {
                let place: Vec<(i64,)> = conn.fetch_all(APPEND, append_values(chunk, conn.is_sqlite())).await?;
                appended.extend(fresh(chunk, base(&place)?));
            }
            _ => {
                let mut tx = conn.begin().await?;
                append_chunks(&mut tx, &chunks, &mut appended).await?;
                tx.commit().await?;
            }
        }
        self.tail().keep(events.into_iter().zip(&appended));
        Ok(appended)
    }

    /// Like [`Self::append_plain`], after a look at which events are there already: by their keys, and by their ids where `ids` says so.
    async fn append_checked(&self, events: &[NewEvent], now: DateTime<Utc>, ids: bool) -> Result<Vec<Appended>> {
        let mut conn = self.appender().await?;
        let mut tx = conn.begin().await?;
        // First the lock, so that what is looked at cannot change before the commit.
        let _: Option<(i64,)> = tx.fetch_optional(LOCK_POSITION, vec![]).await?;
        let all: Vec<_> = events.iter().map(|e| e.id).collect();
        let stored = if ids { standings(&mut tx, &all).await?.into_iter().map(|(id, ..)| id).collect() } else { HashSet::new() };
        let keys = known_keys(&mut tx, events, now).await?;
        let fates = fates(events, stored, keys);
        let new: Vec<_> = events.iter().zip(&fates).filter(|(_, fate)| matches!(fate, Fate::New)).map(|(e, _)| e).collect();
        let mut appended = Vec::with_capacity(new.len());
        append_chunks(&mut tx, &chunks(&new), &mut appended).await?;
        remember_keys(&mut tx, &new, now).await?;
        let answers = answers(&mut tx, &fates, &appended).await?;
        tx.commit().await?;
        self.tail().keep(new.into_iter().zip(&appended));
        Ok(answers)
    }
}

/// What becomes of an event of a checked append.
enum Fate {
    New,
    /// It stands for another, or is stored already itself.
    Known {
        of: EventId,
        duplicate: bool,
    },
}

fn fates(events: &[NewEvent], mut stored: HashSet<EventId>, mut keys: HashMap<String, EventId>) -> Vec<Fate> {
    let mut fate = |event: &NewEvent| {
        if stored.contains(&event.id) {
            return Fate::Known { of: event.id, duplicate: false };
        }
        if let Some(key) = &event.idempotency_key {
            if let Some(&of) = keys.get(key) {
                return Fate::Known { of, duplicate: of != event.id };
            }
            keys.insert(key.clone(), event.id);
        }
        stored.insert(event.id);
        Fate::New
    };
    events.iter().map(&mut fate).collect()
}

async fn answers(tx: &mut Tx<'_>, fates: &[Fate], appended: &[Appended]) -> Result<Vec<Appended>> {
    let known = fates.iter().filter_map(|fate| if let Fate::Known { of, .. } = fate { Some(*of) } else { None });
    let known: Vec<_> = known.collect::<HashSet<_>>().into_iter().collect();
    let standings = if known.is_empty() { Vec::new() } else { standings(tx, &known).await? };
    let standings: HashMap<_, _> = standings.into_iter().map(|(id, seq, status)| (id, (seq, status))).collect();
    let mut appended = appended.iter().cloned();
    let answer = |fate: &Fate| match *fate {
        Fate::New => appended.next(),
        Fate::Known { of, duplicate } => standings.get(&of).map(|&(seq, status)| Appended { id: of, seq, status, duplicate }),
    };
    let answers: Option<Vec<_>> = fates.iter().map(answer).collect();
    answers.ok_or_else(|| StorageError::corrupt("an idempotency key stands for an event that is not stored"))
}

async fn known_keys(tx: &mut Tx<'_>, events: &[NewEvent], now: DateTime<Utc>) -> Result<HashMap<String, EventId>> {
    let keys: Vec<_> = events.iter().filter_map(|e| e.idempotency_key.as_deref()).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let since = now - TimeDelta::hours(IDEMPOTENCY_HOURS);
    let rows: Vec<(String, Uuid)> = tx.fetch_all(KNOWN_KEYS, values![Column::texts(keys), since]).await?;
    Ok(rows.into_iter().map(|(key, id)| (key, EventId(id))).collect())
}

async fn remember_keys(tx: &mut Tx<'_>, events: &[&NewEvent], now: DateTime<Utc>) -> Result<()> {
    let keyed = events.iter().filter_map(|e| e.idempotency_key.as_deref().map(|key| (key, e.id.0)));
    let (keys, ids): (Vec<_>, Vec<_>) = keyed.unzip();
    if !keys.is_empty() {
        tx.execute(REMEMBER_KEYS, values![now, vec![Column::texts(keys), Column::uuids(ids)]]).await?;
    }
    Ok(())
}

/// Parts that one statement can carry, in order.
fn chunks<'a, 'e>(events: &'a [&'e NewEvent]) -> Vec<&'a [&'e NewEvent]> {
    let mut bytes = events.first().map_or(0, |e| e.data.len());
    let same_chunk = |_: &&NewEvent, next: &&NewEvent| {
        bytes += next.data.len();
        let fits = bytes < CHUNK_BYTES;
        if !fits {
            bytes = next.data.len();
        }
        fits
    };
    events.chunk_by(same_chunk).collect()
}

async fn append_chunks(tx: &mut Tx<'_>, chunks: &[&[&NewEvent]], appended: &mut Vec<Appended>) -> Result<()> {
    for chunk in chunks {
        let statement = if tx.is_sqlite() { APPEND_ROWS } else { APPEND };
        let place: Vec<(i64,)> = tx.fetch_all(statement, append_values(chunk, tx.is_sqlite())).await?;
        let place = base(&place)?;
        appended.extend(fresh(chunk, place));
    }
    Ok(())
}

fn base(place: &[(i64,)]) -> Result<i64> {
    place.first().map(|(base,)| *base).ok_or_else(|| StorageError::corrupt("append_position has no row"))
}

fn fresh(events: &[&NewEvent], base: i64) -> impl Iterator<Item = Appended> {
    let appended = |(seq, event): (i64, &&NewEvent)| Appended {
        id: event.id,
        seq: Seq(seq),
        status: EventStatus::Pending,
        duplicate: false,
    };
    (base + 1..).zip(events).map(appended)
}

/// The values of [`APPEND`] and [`APPEND_ROWS`].
fn append_values<'a>(events: &[&'a NewEvent], sqlite: bool) -> Vec<Value<'a>> {
    let (count, mut columns, (ids, counts)) = (events.len() as i64, event_columns(events), published(events));
    if sqlite {
        return values![count, columns, partitions(events), vec![ids, counts]];
    }
    let bytes = Column::ints(events.iter().map(|e| e.data.len() as i64));
    columns.extend([partitions(events), bytes, ids, counts]);
    values![count, columns]
}

/// The columns of `events`, without the place.
fn event_columns<'a>(events: &[&'a NewEvent]) -> Vec<Column<'a>> {
    vec![
        Column::uuids(events.iter().map(|e| e.id.0)),
        Column::texts(events.iter().map(|e| e.events_id.as_str())),
        Column::texts(events.iter().map(|e| e.object_id.as_json())),
        Column::texts(events.iter().map(|e| e.object_id.text())),
        Column::texts(events.iter().map(|e| e.ordering_key.as_str())),
        Column::texts(events.iter().map(|e| e.dt.as_str())),
        Column::texts(events.iter().map(|e| e.data.as_str())),
        Column::optional_texts(events.iter().map(|e| e.idempotency_key.as_deref())),
        Column::instants(events.iter().map(|e| e.received_at)),
    ]
}

fn partitions(events: &[&NewEvent]) -> Column<'static> {
    Column::ints(events.iter().map(|e| i64::from(e.partition().0)))
}

/// How many of each type, by type: always in the same order, so that two who count cannot wait for each other.
fn published<'a>(events: &[&'a NewEvent]) -> (Column<'a>, Column<'a>) {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events {
        *counts.entry(&event.events_id).or_default() += 1;
    }
    (Column::texts(counts.keys().copied()), Column::ints(counts.into_values()))
}
