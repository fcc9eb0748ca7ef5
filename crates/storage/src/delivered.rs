//! Events that were delivered in one go: nothing says so but that they have no dispatch left, and no row of results. Their executions, the last of
//! them written in the same transaction, say when they ended and under which generation; before those are removed, it is written down.

use std::collections::HashMap;

use baton_domain::EventStatus;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::Store;
use crate::append::LOCK_POSITION;
use crate::error::Result;
use crate::events::is_under_way;
use crate::retention::{lightly, look};
use crate::sql::{Column, statements, values};

/// Whether its calls say that an event `e` was delivered, and nothing else how it ended.
macro_rules! says_delivered {
    () => {
        "(SELECT count(*) FROM results r WHERE r.event_id = e.id) = 0
         AND (SELECT count(*) FROM executions c WHERE c.event_id = e.id AND c.status <> 'fail') > 0
         AND (SELECT count(*) FROM deliveries v WHERE v.event_id = e.id) = 0"
    };
}

statements! {
    /// The calls of events.
    CALLS_OF = {
        postgres: "
            SELECT x.event_id, x.seq, x.started_at, x.duration_ms, x.generation FROM unnest($1::uuid[]) AS o (event_id)
            CROSS JOIN LATERAL (SELECT * FROM executions WHERE event_id = o.event_id OFFSET 0) AS x",
        sqlite: "
            SELECT x.event_id, x.seq, x.started_at, x.duration_ms, x.generation
            FROM json_each($1) AS j CROSS JOIN executions x ON x.event_id = unhex(j.value)",
    };
    /// Of these executions' events those of which nothing else says how they ended.
    ENDED_BY_CALLS = {
        postgres: concat!(
            "SELECT e.id, e.seq FROM unnest($1::uuid[]) AS o (id)
             CROSS JOIN LATERAL (SELECT event_id FROM executions WHERE id = o.id OFFSET 0) AS x
             CROSS JOIN LATERAL (SELECT id, seq FROM events WHERE id = x.event_id OFFSET 0) AS e
             WHERE ", says_delivered!(), " AND NOT ", is_under_way!()
        ),
        sqlite: concat!(
            "SELECT e.id, e.seq FROM json_each($1) AS j CROSS JOIN executions x ON x.id = unhex(j.value)
             CROSS JOIN events e ON e.id = x.event_id
             WHERE ", says_delivered!(), " AND NOT ", is_under_way!()
        ),
    };
    WRITE_DOWN = {
        postgres: "
            INSERT INTO results (event_id, event_seq, status, generation, finished_at)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[])",
        sqlite: "
            INSERT INTO results (event_id, event_seq, status, generation, finished_at)
            SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each($1)",
    };
}

/// A call of an event.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Call {
    event_id: Uuid,
    seq: i64,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    generation: i64,
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The dispatch of its last call.
    seq: i64,
    /// When that call ended.
    pub at: DateTime<Utc>,
    /// The generation of that call.
    pub generation: i64,
}

/// How events ended, by their calls.
pub(crate) fn ends(calls: &[Call]) -> HashMap<Uuid, End> {
    let mut ends: HashMap<Uuid, End> = HashMap::new();
    for call in calls {
        let at = call.started_at.checked_add_signed(TimeDelta::milliseconds(call.duration_ms)).unwrap_or(call.started_at);
        let end = End { seq: call.seq, at, generation: call.generation };
        let last = ends.entry(call.event_id).or_insert(end);
        // By the order of dispatches first, since the clocks of two hosts may differ; of several at once the one of the newest generation.
        if (last.seq, last.at, last.generation) < (end.seq, end.at, end.generation) {
            *last = end;
        }
    }
    ends
}

/// Writes down how the events of these executions ended, of which nothing but their calls says so. Under the lock of those who append, in a
/// transaction of its own: nobody sends one of them on its way again meanwhile.
pub(crate) async fn write_down(store: &Store, executions: &[Uuid]) -> Result<()> {
    let executions = || Column::uuids(executions.iter().copied());
    // Nobody is kept from appending where all of them have their rows already.
    let unwritten: Vec<(Uuid, i64)> = look(store, ENDED_BY_CALLS, values![executions()]).await?;
    if unwritten.is_empty() {
        return Ok(());
    }
    let mut conn = store.writer().await?;
    let mut tx = conn.begin().await?;
    lightly(&mut tx).await?;
    let _: Option<(i64,)> = tx.fetch_optional(LOCK_POSITION, vec![]).await?;
    let unwritten: Vec<(Uuid, i64)> = tx.fetch_all(ENDED_BY_CALLS, values![executions()]).await?;
    let unwritten: HashMap<_, _> = unwritten.into_iter().collect();
    let calls: Vec<Call> = tx.fetch_all(CALLS_OF, values![Column::uuids(unwritten.keys().copied())]).await?;
    let ends = ends(&calls);
    let each = || unwritten.iter().filter_map(|(id, seq)| ends.get(id).map(|end| (*id, *seq, *end)));
    let columns = vec![
        Column::uuids(each().map(|(id, ..)| id)),
        Column::ints(each().map(|(_, seq, _)| seq)),
        Column::texts(each().map(|_| EventStatus::Delivered.as_str())),
        Column::ints(each().map(|(.., end)| end.generation)),
        Column::instants(each().map(|(.., end)| end.at)),
    ];
    tx.execute(WRITE_DOWN, values![columns]).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_says_how_an_event_ended() {
        let at = |seconds: i64| DateTime::from_timestamp(1_764_000_000 + seconds, 0).unwrap();
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let call = |event_id, seq, seconds, duration_ms, generation| Call {
            event_id,
            seq,
            started_at: at(seconds),
            duration_ms,
            generation,
        };
        let ends = ends(&[
            call(one, 1, 0, 5000, 3),
            call(one, 1, 2, 1000, 4),
            call(two, 2, 1, 0, 7),
            call(two, 2, 1, 0, 8),
            call(two, 2, 0, 1, 9),
            // A replay, by the clock of another host.
            call(three, 9, 0, 1000, 6),
            call(three, 3, 60, 0, 5),
        ]);
        assert_eq!(ends[&one], End { seq: 1, at: at(5), generation: 3 });
        assert_eq!(ends[&two], End { seq: 2, at: at(1), generation: 8 });
        assert_eq!(ends[&three], End { seq: 9, at: at(1), generation: 6 });
        assert_eq!(ends.len(), 3);
    }
}
