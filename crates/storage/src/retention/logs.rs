//! What goes by its own age: executions, idempotency keys, runs of services, jobs.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::events::{forget_executions, forget_keys};
use super::{Ages, At, BATCH_ROWS, Place, Removed, Swept, behind, lightly, look};
use crate::Store;
use crate::append::LOCK_POSITION;
use crate::by_time::first_id_of;
use crate::error::Result;
use crate::sql::{Column, statements, values};

statements! {
    /// The next executions, and whether they may go: their event is not under way any more, or is gone itself.
    OLDEST_EXECUTIONS = "
        SELECT x.id, CAST(CASE WHEN x.started_at < $1
            AND (SELECT count(*) FROM dispatches d WHERE d.seq = (SELECT e.seq FROM events e WHERE e.id = x.event_id)) = 0
            AND (SELECT count(*) FROM dispatches d WHERE d.event_id = x.event_id AND d.seq <> d.event_seq) = 0
        THEN 1 ELSE 0 END AS bigint) AS old
        FROM executions x WHERE x.id > $2 AND x.id < $3 ORDER BY x.id LIMIT 1000";
    /// The next events, and whether they were published with an idempotency key. Keys are found by their events, which are in order
    /// anyway: an index of their own would cost every publication with a key a fifth of what remembering it costs.
    OLDEST_EVENTS = "
        SELECT e.id, e.seq, CAST(CASE WHEN e.idempotency_key IS NULL THEN 0 ELSE 1 END AS bigint) AS keyed
        FROM events e WHERE e.id > $1 AND e.id < $2 ORDER BY e.id LIMIT 1000";
    OLDEST_RUNS = "
        SELECT s.id, s.asked_at, CAST(CASE WHEN s.state IN ('done', 'failed') AND s.finished_at < $1 AND s.id <> (
            SELECT max(l.id) FROM service_runs l WHERE l.service = s.service AND l.state IN ('done', 'failed')
        ) THEN 1 ELSE 0 END AS bigint) AS old
        FROM service_runs s WHERE s.id > $2 ORDER BY s.id LIMIT 1000";
    OLDEST_JOBS = "
        SELECT j.id, CAST(CASE WHEN j.finished_at < $1 THEN 1 ELSE 0 END AS bigint) AS old
        FROM jobs j WHERE j.id > $2 AND j.id < $3 ORDER BY j.id LIMIT 1000";
    FORGET_JOBS = {
        postgres: "DELETE FROM jobs WHERE id = ANY($1)",
        sqlite: "DELETE FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each($1))",
    };
    FORGET_RUNS = {
        postgres: "DELETE FROM service_runs WHERE id = ANY($1)",
        sqlite: "DELETE FROM service_runs WHERE id IN (SELECT value FROM json_each($1))",
    };
}

pub(super) async fn executions(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let values = values![ages.before, place.id(), first_id_of(ages.before)];
    let page: Vec<(Uuid, i64)> = look(store, OLDEST_EXECUTIONS, values).await?;
    let old: Vec<_> = page.iter().filter(|(_, old)| *old == 1).map(|(id, _)| *id).collect();
    let next = behind(&page, BATCH_ROWS, |(id, _)| At::Id(*id));
    let executions = if old.is_empty() { 0 } else { forget_executions(store, old).await? };
    Ok(Swept { removed: Removed { executions, ..Removed::default() }, next })
}

#[derive(sqlx::FromRow)]
struct Published {
    id: Uuid,
    seq: i64,
    keyed: i64,
}

pub(super) async fn idempotency_keys(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let page: Vec<Published> = look(store, OLDEST_EVENTS, values![place.id(), first_id_of(ages.before)]).await?;
    let next = behind(&page, BATCH_ROWS, |event| At::Id(event.id));
    let keyed: Vec<_> = page.iter().filter(|event| event.keyed == 1).map(|event| event.seq).collect();
    if keyed.is_empty() {
        return Ok(Swept { removed: Removed::default(), next });
    }
    let mut conn = store.writer().await?;
    let mut tx = conn.begin().await?;
    lightly(&mut tx).await?;
    // Publishers that use keys again change their rows in an order of their own.
    let _: Option<(i64,)> = tx.fetch_optional(LOCK_POSITION, vec![]).await?;
    let idempotency_keys = forget_keys(&mut tx, Column::ints(keyed), ages.before).await?;
    tx.commit().await?;
    Ok(Swept { removed: Removed { idempotency_keys, ..Removed::default() }, next })
}

#[derive(sqlx::FromRow)]
struct Run {
    id: i64,
    asked_at: DateTime<Utc>,
    old: i64,
}

pub(super) async fn service_runs(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let page: Vec<Run> = look(store, OLDEST_RUNS, values![ages.before, place.number()]).await?;
    // What was asked for later cannot have ended before.
    let next = behind(&page, BATCH_ROWS, |run| At::Number(run.id));
    let next = next.filter(|_| page.last().is_some_and(|run| run.asked_at < ages.before));
    let old: Vec<_> = page.iter().filter(|run| run.old == 1).map(|run| run.id).collect();
    let service_runs =
        if old.is_empty() { 0 } else { store.writer().await?.execute(FORGET_RUNS, values![Column::ints(old)]).await? };
    Ok(Swept { removed: Removed { service_runs, ..Removed::default() }, next })
}

/// Jobs that have ended have an instant at which they did.
pub(super) async fn jobs(store: &Store, ages: Ages, place: Place) -> Result<Swept> {
    let values = values![ages.before, place.id(), first_id_of(ages.before)];
    let page: Vec<(Uuid, i64)> = look(store, OLDEST_JOBS, values).await?;
    let next = behind(&page, BATCH_ROWS, |(id, _)| At::Id(*id));
    let old: Vec<_> = page.iter().filter(|(_, old)| *old == 1).map(|(id, _)| *id).collect();
    let jobs = if old.is_empty() { 0 } else { store.writer().await?.execute(FORGET_JOBS, values![Column::uuids(old)]).await? };
    Ok(Swept { removed: Removed { jobs, ..Removed::default() }, next })
}
