//! Sending events on their way again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use baton_domain::{EventId, EventStatus, GenerationNumber, HandlerId, PartitionId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::append::{ADVANCE, LOCK_POSITION};
use crate::conn::Tx;
use crate::dead_letters::{DeadLetterSearch, DeliveryRead};
use crate::error::{Result, StorageError};
use crate::events::{StoredEvent, has_ended};
use crate::sql::{Column, statements, values};
use crate::tallies::{APPEND_SHARD, Counts};

statements! {
    /// What a dispatch of an event needs.
    REPLAYABLE = {
        postgres: "SELECT seq, id, events_id, ordering_key, octet_length(data) AS bytes FROM events WHERE seq = ANY($1)",
        sqlite: "
            SELECT seq, id, events_id, ordering_key, octet_length(data) AS bytes FROM events
            WHERE seq IN (SELECT value FROM json_each($1))",
    };
    PLACE_OF_EVENT = "SELECT seq FROM events WHERE id = $1";
    /// The unfinished dispatches of events: whoever records their end waits, or has committed it.
    LOCK_UNFINISHED = {
        postgres: "
            SELECT seq FROM dispatches WHERE seq = ANY($1) OR (event_id = ANY($2) AND seq <> event_seq) ORDER BY seq FOR UPDATE",
        sqlite: "
            SELECT seq FROM dispatches WHERE seq IN (SELECT value FROM json_each($1))
            UNION SELECT seq FROM dispatches WHERE event_id IN (SELECT unhex(value) FROM json_each($2)) AND seq <> event_seq",
    };
    /// Takes dead letters whose dispatch has ended. Where another replay was faster, there is nothing to take. `|| ''` keeps PostgreSQL from
    /// reading the whole index of dead letters where it believes that there are few.
    TAKE_DEAD = {
        postgres: "
            DELETE FROM deliveries v USING unnest($1::bigint[], $2::bigint[]) AS r (seq, handler_id)
            WHERE v.seq = r.seq AND v.handler_id = r.handler_id AND v.state || '' = 'dead' AND v.replayed_at IS NULL
            RETURNING v.seq, v.handler_id",
        sqlite: "
            DELETE FROM deliveries
            WHERE (seq, handler_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1)) AND state = 'dead' AND replayed_at IS NULL
            RETURNING seq, handler_id",
    };
    /// Takes dead letters whose dispatch is under way: what is known of it has to stay for the next owner of its partition.
    MARK_DEAD = {
        postgres: "
            UPDATE deliveries v SET replayed_at = $1 FROM unnest($2::bigint[], $3::bigint[]) AS r (seq, handler_id)
            WHERE v.seq = r.seq AND v.handler_id = r.handler_id AND v.state || '' = 'dead' AND v.replayed_at IS NULL
            RETURNING v.seq, v.handler_id",
        sqlite: "
            UPDATE deliveries SET replayed_at = $1
            WHERE (seq, handler_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($2)) AND state = 'dead' AND replayed_at IS NULL
            RETURNING seq, handler_id",
    };
    /// The dead letters of an event, of all handlers or of one.
    DEAD_OF_EVENT = "
        SELECT seq, handler_id FROM deliveries
        WHERE event_id = $1 AND state || '' = 'dead' AND replayed_at IS NULL AND (CAST($2 AS bigint) IS NULL OR handler_id = $2)";
    /// The generation that an event's chain began under first. A retry may have run under a later one.
    FIRST_GENERATION = "SELECT min(generation) FROM executions WHERE event_id = $1 AND seq = $2";
    KEEP_GENERATION = {
        postgres: "SELECT number FROM generations WHERE number = $1 FOR KEY SHARE",
        sqlite: "SELECT number FROM generations WHERE number = $1",
    };
    PIN = "UPDATE dispatches SET generation = $1 WHERE seq = $2";
    /// Of these events those that have ended, as a result or an execution says. The caller has locked what is under way of them.
    ENDED = {
        postgres: concat!("SELECT e.id FROM events e WHERE e.seq = ANY($1) AND ", has_ended!()),
        sqlite: concat!("SELECT e.id FROM json_each($1) AS j CROSS JOIN events e ON e.seq = j.value WHERE ", has_ended!()),
    };
    /// Takes the results of events that ended otherwise than by being delivered in one go.
    REOPEN = {
        postgres: "DELETE FROM results WHERE event_id = ANY($1) RETURNING event_id, status",
        sqlite: "DELETE FROM results WHERE event_id IN (SELECT unhex(value) FROM json_each($1)) RETURNING event_id, status",
    };
    DISPATCH_AGAIN = {
        postgres: "
            INSERT INTO dispatches (seq, partition, event_seq, event_id, events_id, ordering_key, bytes, state, handler_id, received_at)
            SELECT $1 + r.number, r.partition, r.event_seq, r.event_id, r.events_id, r.ordering_key, r.bytes, 'pending', r.handler_id, $2
            FROM unnest($3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::text[], $8::bigint[], $9::bigint[]) WITH ORDINALITY
                AS r (partition, event_seq, event_id, events_id, ordering_key, bytes, handler_id, number)",
        sqlite: "
            INSERT INTO dispatches (seq, partition, event_seq, event_id, events_id, ordering_key, bytes, state, handler_id, received_at)
            SELECT $1 + r.key + 1, r.value ->> 0, r.value ->> 1, unhex(r.value ->> 2), r.value ->> 3, r.value ->> 4, r.value ->> 5,
                'pending', r.value ->> 6, $2
            FROM json_each($3) AS r",
    };
}

#[derive(sqlx::FromRow)]
struct Replayable {
    seq: i64,
    id: Uuid,
    events_id: String,
    ordering_key: String,
    bytes: i32,
}

impl Store {
    /// Sends up to `limit` of the dead letters that match on their way again, those of the oldest events first, each to its handler.
    /// Says how many; 0 when none matches. A letter that dies again matches again: bound a loop by [`DeadLetterSearch::to`].
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn replay_dead_letters(&self, search: &DeadLetterSearch, limit: u32, now: DateTime<Utc>) -> Result<u64> {
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        lock_append(&mut tx).await?;
        let query = search.query(tx.is_sqlite());
        let order = "v.event_seq, v.handler_id, v.seq";
        let letters: Vec<DeliveryRead> = query.fetch_in(&mut tx, order, i64::from(limit)).await?;
        let events: BTreeMap<_, _> = letters.iter().map(|v| (v.event_seq, EventId(v.event_id))).collect();
        let unfinished = lock_unfinished(&mut tx, &events).await?;
        let pairs: Vec<_> = letters.iter().map(|v| (v.seq, v.handler_id)).collect();
        let taken = take_dead(&mut tx, &pairs, &unfinished, now).await?;
        let taken = letters.iter().filter(|v| taken.contains(&(v.seq, v.handler_id)));
        // An event that died twice at a handler goes to it once.
        let again: BTreeSet<_> = taken.map(|v| (v.event_seq, Some(v.handler_id))).collect();
        let again: Vec<_> = again.into_iter().collect();
        dispatch_again(&mut tx, &again, now).await?;
        tx.commit().await?;
        Ok(again.len() as u64)
    }

    /// Sends an event on its way again, to all handlers or to one, under the generation that is live when its chain starts. Its dead
    /// letters, or that of the one handler, are replaced by it.
    ///
    /// # Errors
    /// `NotFound` when there is no such event. Whether the handler exists is not looked at.
    pub async fn replay_event(&self, id: EventId, handler_id: Option<HandlerId>, now: DateTime<Utc>) -> Result<Seq> {
        self.replay_event_under(id, handler_id, None, now).await
    }

    /// The same under a generation that need not be live.
    ///
    /// # Errors
    /// `NotFound` when there is no such event, `Conflict` when the generation was removed.
    pub async fn replay_event_under(
        &self,
        id: EventId,
        handler_id: Option<HandlerId>,
        generation: Option<GenerationNumber>,
        now: DateTime<Utc>,
    ) -> Result<Seq> {
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        let handler_id = handler_id.map(|id| id.0);
        // First the lock: whoever removes events holds it too, so that what is found stays.
        lock_append(&mut tx).await?;
        let place: Option<(i64,)> = tx.fetch_optional(PLACE_OF_EVENT, values![id.0]).await?;
        let Some((event_seq,)) = place else {
            tx.rollback().await?;
            return Err(StorageError::NotFound);
        };
        let unfinished = lock_unfinished(&mut tx, &BTreeMap::from([(event_seq, id)])).await?;
        let dead: Vec<(i64, i64)> = tx.fetch_all(DEAD_OF_EVENT, values![id.0, handler_id]).await?;
        take_dead(&mut tx, &dead, &unfinished, now).await?;
        let seq = dispatch_again(&mut tx, &[(event_seq, handler_id)], now).await? + 1;
        if let Some(GenerationNumber(number)) = generation {
            let stands: Option<(i64,)> = tx.fetch_optional(KEEP_GENERATION, values![number]).await?;
            if stands.is_none() {
                tx.rollback().await?;
                return Err(StorageError::Conflict);
            }
            tx.execute(PIN, values![number, seq]).await?;
        }
        tx.commit().await?;
        Ok(Seq(seq))
    }

    /// The generation that an event first ran under, as its executions say, or where they were removed its last result. `None` when it
    /// has not run, or had no handler.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn original_generation(&self, event: &StoredEvent) -> Result<Option<GenerationNumber>> {
        let first: Option<(Option<i64>,)> =
            self.reader().await?.fetch_optional(FIRST_GENERATION, values![event.id.0, event.seq.0]).await?;
        Ok(first.and_then(|(number,)| number).map(GenerationNumber).or(event.generation))
    }
}

/// The lock of those who append, so that two replays cannot take the same.
pub(crate) async fn lock_append(tx: &mut Tx<'_>) -> Result<()> {
    let _: Option<(i64,)> = tx.fetch_optional(LOCK_POSITION, vec![]).await?;
    Ok(())
}

/// The unfinished dispatches of these events, which nobody can finish before the commit.
pub(crate) async fn lock_unfinished(tx: &mut Tx<'_>, events: &BTreeMap<i64, EventId>) -> Result<HashSet<i64>> {
    let ids = Column::uuids(events.values().map(|id| id.0));
    let rows: Vec<(i64,)> = tx.fetch_all(LOCK_UNFINISHED, values![Column::ints(events.keys().copied()), ids]).await?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

/// Takes dead letters and says which; those of an unfinished dispatch leave a mark.
pub(crate) async fn take_dead(
    tx: &mut Tx<'_>,
    pairs: &[(i64, i64)],
    unfinished: &HashSet<i64>,
    now: DateTime<Utc>,
) -> Result<HashSet<(i64, i64)>> {
    let (under_way, ended): (Vec<_>, Vec<_>) = pairs.iter().copied().partition(|(seq, _)| unfinished.contains(seq));
    let columns = |pairs: Vec<(i64, i64)>| {
        let (seqs, handlers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        vec![Column::ints(seqs), Column::ints(handlers)]
    };
    let mut taken = HashSet::new();
    if !ended.is_empty() {
        let rows: Vec<(i64, i64)> = tx.fetch_all(TAKE_DEAD, values![columns(ended)]).await?;
        taken.extend(rows);
    }
    if !under_way.is_empty() {
        let rows: Vec<(i64, i64)> = tx.fetch_all(MARK_DEAD, values![now, columns(under_way)]).await?;
        taken.extend(rows);
    }
    Ok(taken)
}

/// Appends a dispatch for each pair of an event's place and a handler, in this order. What was final of the events no longer is. Answers
/// with the place before the first.
pub(crate) async fn dispatch_again(tx: &mut Tx<'_>, again: &[(i64, Option<i64>)], now: DateTime<Utc>) -> Result<i64> {
    let places: BTreeSet<_> = again.iter().map(|(event_seq, _)| *event_seq).collect();
    let events: Vec<Replayable> = tx.fetch_all(REPLAYABLE, values![Column::ints(places)]).await?;
    let events: HashMap<_, _> = events.into_iter().map(|event| (event.seq, event)).collect();
    let types: HashMap<_, _> = events.values().map(|event| (event.id, event.events_id.as_str())).collect();
    let ended: Vec<(Uuid,)> = tx.fetch_all(ENDED, values![Column::ints(events.keys().copied())]).await?;
    let reopened: Vec<(Uuid, String)> = tx.fetch_all(REOPEN, values![Column::uuids(types.keys().copied())]).await?;
    let reopened: HashMap<_, _> = reopened.into_iter().collect();
    let mut counts = Counts::default();
    for (id,) in &ended {
        let status = reopened.get(id).map_or(EventStatus::Delivered.as_str(), String::as_str);
        counts.add(types.get(id).copied().unwrap_or_default(), status, -1);
    }
    counts.write(tx, APPEND_SHARD).await?;

    let found = again.iter().map(|(event_seq, handler)| events.get(event_seq).map(|event| (event, *handler)));
    let rows: Option<Vec<_>> = found.collect();
    let rows = rows.ok_or_else(|| StorageError::corrupt("a delivery's event is not stored"))?;
    let place: Option<(i64,)> = tx.fetch_optional(ADVANCE, values![rows.len() as i64]).await?;
    let (base,) = place.ok_or_else(|| StorageError::corrupt("append_position has no row"))?;
    let each = || rows.iter().map(|(event, _)| *event);
    let columns = vec![
        Column::ints(each().map(|e| i64::from(PartitionId::of(&e.ordering_key).0))),
        Column::ints(each().map(|e| e.seq)),
        Column::uuids(each().map(|e| e.id)),
        Column::texts(each().map(|e| e.events_id.as_str())),
        Column::texts(each().map(|e| e.ordering_key.as_str())),
        Column::ints(each().map(|e| i64::from(e.bytes))),
        Column::ints(rows.iter().map(|(_, handler)| *handler)),
    ];
    tx.execute(DISPATCH_AGAIN, values![base, now, columns]).await?;
    Ok(base)
}
