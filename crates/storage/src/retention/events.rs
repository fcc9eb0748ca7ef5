//! Events that have ended, with all that belongs to them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Ages, At, BATCH_ROWS, Place, Removed, Swept, behind, lightly, look};
use crate::Store;
use crate::append::LOCK_POSITION;
use crate::by_time::first_id_of;
use crate::conn::Tx;
use crate::delivered::write_down;
use crate::error::Result;
use crate::events::has_ended;
use crate::sql::{Column, statements, values};

/// How many events a batch looks at: of each go its row, its result and its idempotency key.
const PAGE: usize = BATCH_ROWS / 3;

/// Whether an event may go: no dispatch of it is left, something says how it ended, that was before the first instant (or its last call began
/// then), it has no delivery but letters that died before that instant, and its idempotency key is not from later than the second. Counted, since that is planned by index whatever the planner believes
/// about the tables. An event that ended before a key is forgotten cannot have a key that is remembered.
macro_rules! is_old {
    ($before:literal, $keys_since:literal) => {
        concat!(
            has_ended!(), "
              AND (SELECT count(*) FROM results r WHERE r.event_id = e.id AND r.finished_at >= ", $before, ") = 0
              AND (SELECT count(*) FROM executions x WHERE x.event_id = e.id AND x.started_at >= ", $before, ") = 0
              AND (SELECT count(*) FROM deliveries v WHERE v.event_id = e.id AND (v.state || '' <> 'dead' OR v.updated_at >= ",
            $before,
            ")) = 0 AND (",
            $before,
            " <= ",
            $keys_since,
            " OR (SELECT count(*) FROM idempotency_keys k WHERE k.key = e.idempotency_key AND k.event_id = e.id AND k.created_at > ",
            $keys_since,
            ") = 0)"
        )
    };
}

statements! {
    /// The next events, and whether they may go.
    OLD_EVENTS = { both: concat!(
        "SELECT e.id, e.seq, CAST(CASE WHEN ", is_old!("$1", "$2"), " THEN 1 ELSE 0 END AS bigint) AS old
         FROM events e WHERE e.id > $3 AND e.id < $4 ORDER BY e.id LIMIT 333"
    ) };
    /// Those of the events that still may go: one may have been sent on its way again, and may have ended since.
    STILL_OLD = {
        postgres: concat!(
            "SELECT e.id, e.seq, CAST(1 AS bigint) AS old FROM unnest($3::uuid[]) AS o (id)
             CROSS JOIN LATERAL (SELECT * FROM events WHERE id = o.id OFFSET 0) AS e WHERE ", is_old!("$1", "$2")
        ),
        sqlite: concat!(
            "SELECT e.id, e.seq, CAST(1 AS bigint) AS old
             FROM json_each($3) AS j CROSS JOIN events e ON e.id = unhex(j.value) WHERE ", is_old!("$1", "$2")
        ),
    };
    EXECUTIONS_OF = {
        postgres: "
            SELECT x.id FROM unnest($1::uuid[]) AS o (event_id)
            CROSS JOIN LATERAL (SELECT id FROM executions WHERE event_id = o.event_id OFFSET 0) AS x LIMIT 1000",
        sqlite: "
            SELECT x.id FROM json_each($1) AS j CROSS JOIN executions x ON x.event_id = unhex(j.value) LIMIT 1000",
    };
    FORGET_EXECUTIONS = {
        postgres: "DELETE FROM executions WHERE id = ANY($1)",
        sqlite: "DELETE FROM executions WHERE id IN (SELECT unhex(value) FROM json_each($1))",
    };
    DEAD_LETTERS_OF = {
        postgres: "
            SELECT v.seq, v.handler_id FROM unnest($1::uuid[]) AS o (event_id)
            CROSS JOIN LATERAL (SELECT seq, handler_id FROM deliveries WHERE event_id = o.event_id OFFSET 0) AS v LIMIT 1000",
        sqlite: "
            SELECT v.seq, v.handler_id FROM json_each($1) AS j CROSS JOIN deliveries v ON v.event_id = unhex(j.value) LIMIT 1000",
    };
    FORGET_DEAD_LETTERS = {
        postgres: "
            DELETE FROM deliveries v USING unnest($1::bigint[], $2::bigint[]) AS o (seq, handler_id)
            WHERE v.seq = o.seq AND v.handler_id = o.handler_id",
        sqlite: "DELETE FROM deliveries WHERE (seq, handler_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))",
    };
    /// Not a key that was given to another event in the meantime.
    FORGET_KEYS_OF = {
        postgres: "
            DELETE FROM idempotency_keys k USING events e
            WHERE e.seq = ANY($1) AND k.key = e.idempotency_key AND k.event_id = e.id AND k.created_at <= $2",
        sqlite: "
            DELETE FROM idempotency_keys WHERE (key, event_id) IN (
                SELECT e.idempotency_key, e.id FROM json_each($1) AS j CROSS JOIN events e ON e.seq = j.value
                WHERE e.idempotency_key IS NOT NULL
            ) AND created_at <= $2",
    };
    FORGET_RESULTS = {
        postgres: "DELETE FROM results WHERE event_id = ANY($1)",
        sqlite: "DELETE FROM results WHERE event_id IN (SELECT unhex(value) FROM json_each($1))",
    };
    FORGET_EVENTS = {
        postgres: "DELETE FROM events WHERE seq = ANY($1)",
        sqlite: "DELETE FROM events WHERE seq IN (SELECT value FROM json_each($1))",
    };
}

#[derive(sqlx::FromRow)]
struct Looked {
    id: Uuid,
    seq: i64,
    old: i64,
}

/// First the executions of a page's old events go, as many batches as that takes, then their dead letters, then the events themselves.
pub(super) async fn events(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let (before, bound) = (ages.before, first_id_of(ages.before));
    let mut reader = store.reader().await?;
    let page: Vec<Looked> = reader.fetch_all(OLD_EVENTS, values![before, ages.keys_since, place.id(), bound]).await?;
    let old = || Column::uuids(page.iter().filter(|event| event.old == 1).map(|event| event.id));
    let next = behind(&page, PAGE, |event| At::Id(event.id));
    if page.iter().all(|event| event.old != 1) {
        return Ok(Swept { removed: Removed::default(), next });
    }
    let executions: Vec<(Uuid,)> = look(store, EXECUTIONS_OF, values![old()]).await?;
    if !executions.is_empty() {
        let executions = forget_executions(store, executions.into_iter().map(|(id,)| id).collect()).await?;
        return Ok(Swept { removed: Removed { executions, ..Removed::default() }, next: Some(place) });
    }
    let mut conn = store.writer().await?;
    let mut tx = conn.begin().await?;
    lightly(&mut tx).await?;
    // Who sends an event on its way again holds this lock from before its look at the event to the commit.
    let _: Option<(i64,)> = tx.fetch_optional(LOCK_POSITION, vec![]).await?;
    let page: Vec<Looked> = tx.fetch_all(STILL_OLD, values![before, ages.keys_since, old()]).await?;
    let dead_letters = forget_dead_letters(&mut tx, &page).await?;
    if dead_letters > 0 {
        tx.commit().await?;
        return Ok(Swept { removed: Removed { dead_letters, ..Removed::default() }, next: Some(place) });
    }
    let removed = forget(&mut tx, &page).await?;
    tx.commit().await?;
    Ok(Swept { removed, next })
}

/// Removes executions in a transaction of their own, after what they alone say of their events is written down.
pub(super) async fn forget_executions(store: &Store, ids: Vec<Uuid>) -> Result<u64> {
    write_down(store, &ids).await?;
    let mut conn = store.writer().await?;
    let mut tx = conn.begin().await?;
    lightly(&mut tx).await?;
    let removed = tx.execute(FORGET_EXECUTIONS, values![Column::uuids(ids)]).await?;
    tx.commit().await?;
    Ok(removed)
}

async fn forget_dead_letters(tx: &mut Tx<'_>, events: &[Looked]) -> Result<u64> {
    let of = Column::uuids(events.iter().map(|event| event.id));
    let letters: Vec<(i64, i64)> = tx.fetch_all(DEAD_LETTERS_OF, values![of]).await?;
    if letters.is_empty() {
        return Ok(0);
    }
    let (seqs, handlers): (Vec<_>, Vec<_>) = letters.into_iter().unzip();
    tx.execute(FORGET_DEAD_LETTERS, values![vec![Column::ints(seqs), Column::ints(handlers)]]).await
}

async fn forget(tx: &mut Tx<'_>, events: &[Looked]) -> Result<Removed> {
    let seqs = || Column::ints(events.iter().map(|event| event.seq));
    let idempotency_keys = forget_keys(tx, seqs(), DateTime::<Utc>::MAX_UTC).await?;
    tx.execute(FORGET_RESULTS, values![Column::uuids(events.iter().map(|event| event.id))]).await?;
    let events = tx.execute(FORGET_EVENTS, values![seqs()]).await?;
    Ok(Removed { events, idempotency_keys, ..Removed::default() })
}

/// Removes the idempotency keys that stand for these events, those from this instant or before.
pub(super) async fn forget_keys(tx: &mut Tx<'_>, event_seqs: Column<'_>, up_to: DateTime<Utc>) -> Result<u64> {
    tx.execute(FORGET_KEYS_OF, values![event_seqs, up_to]).await
}
