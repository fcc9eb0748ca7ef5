//! Batches of "recover a handler": events that it has not had.

use std::collections::{HashMap, HashSet};

use baton_domain::{CallStatus, HandlerId, Snapshot};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::advance::Step;
use super::{JOB_BATCH, Position, Recovery};
use crate::Store;
use crate::conn::{Conn, Tx};
use crate::error::Result;
use crate::replay::{dispatch_again, lock_append, take_dead};
use crate::sql::{Column, Value, parsed, statements, values};

/// How far the order of places and the times of receipt may be apart, by clocks of several processes and by waiting for an append.
const SKEW: TimeDelta = TimeDelta::minutes(10);

statements! {
    NEXT_EVENT = "SELECT received_at FROM events WHERE seq > $1 ORDER BY seq LIMIT 1";
    /// Along the index of the type, whatever the planner believes of how common it is.
    NEXT_OF_TYPE = {
        postgres: "
            SELECT seq, id, received_at FROM events WHERE (events_id, seq) > ($1, $2) AND (events_id, seq) <= ($1, $3)
            ORDER BY events_id, seq LIMIT $4",
        sqlite: "
            SELECT seq, id, received_at FROM events INDEXED BY events_type WHERE events_id = $1 AND seq > $2 AND seq <= $3
            ORDER BY seq LIMIT $4",
    };
    /// The handler's calls that ended well or were skipped, of these events.
    ENDED_AT_HANDLER = {
        postgres: "
            SELECT x.event_id, x.seq, x.status FROM unnest($1::uuid[]) AS o (event_id) CROSS JOIN LATERAL (
                SELECT event_id, seq, status FROM executions
                WHERE event_id = o.event_id AND handler_id + 0 = $2 AND status <> 'fail' OFFSET 0
            ) AS x",
        sqlite: "
            SELECT x.event_id, x.seq, x.status FROM json_each($1) AS j CROSS JOIN executions x ON x.event_id = unhex(j.value)
            WHERE +x.handler_id = $2 AND x.status <> 'fail'",
    };
    /// The generations of what is under way of these events.
    GENERATIONS_UNDER_WAY = {
        postgres: "
            SELECT DISTINCT generation FROM dispatches
            WHERE (seq = ANY($1) OR (event_id = ANY($2) AND seq <> event_seq)) AND generation IS NOT NULL",
        sqlite: "
            SELECT generation FROM dispatches WHERE seq IN (SELECT value FROM json_each($1)) AND generation IS NOT NULL
            UNION SELECT generation FROM dispatches
            WHERE event_id IN (SELECT unhex(value) FROM json_each($2)) AND seq <> event_seq AND generation IS NOT NULL",
    };
    SNAPSHOTS = {
        postgres: "SELECT number, snapshot FROM generations WHERE number = ANY($1)",
        sqlite: "SELECT number, snapshot FROM generations WHERE number IN (SELECT value FROM json_each($1))",
    };
    STILL_STORED = {
        postgres: "SELECT seq FROM events WHERE seq = ANY($1)",
        sqlite: "SELECT seq FROM events WHERE seq IN (SELECT value FROM json_each($1))",
    };
    /// What is under way of these events: whoever records its end waits, or has committed it.
    LOCK_UNDER_WAY = {
        postgres: "
            SELECT seq, event_seq, handler_id, generation FROM dispatches
            WHERE seq = ANY($1) OR (event_id = ANY($2) AND seq <> event_seq) ORDER BY seq FOR UPDATE",
        sqlite: "
            SELECT seq, event_seq, handler_id, generation FROM dispatches WHERE seq IN (SELECT value FROM json_each($1))
            UNION SELECT seq, event_seq, handler_id, generation FROM dispatches
            WHERE event_id IN (SELECT unhex(value) FROM json_each($2)) AND seq <> event_seq",
    };
    /// The handler's dead deliveries of these events, and whether they are dead letters still.
    DEAD_AT_HANDLER = {
        postgres: "
            SELECT seq, event_seq, replayed_at IS NULL FROM deliveries
            WHERE event_id = ANY($1) AND handler_id + 0 = $2 AND state || '' = 'dead'",
        sqlite: "
            SELECT seq, event_seq, replayed_at IS NULL FROM deliveries
            WHERE event_id IN (SELECT unhex(value) FROM json_each($1)) AND +handler_id = $2 AND state || '' = 'dead'",
    };
}

#[derive(sqlx::FromRow)]
struct EventRead {
    seq: i64,
    id: Uuid,
    received_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct UnderWay {
    seq: i64,
    event_seq: i64,
    handler_id: Option<i64>,
    generation: Option<i64>,
}

/// The events of a batch that the handler seems not to have had.
pub(super) struct Events {
    handler_id: i64,
    events: Vec<EventRead>,
    /// Whether a generation under which something is under way has the handler.
    generations: HashMap<i64, bool>,
    next: Position,
    over: bool,
}

/// Looks at the next events of the type.
pub(super) async fn look(store: &Store, recovery: &Recovery, position: Position) -> Result<Events> {
    let mut conn = store.reader().await?;
    let position = if position.begun { position } else { bounds(&mut conn, recovery, position).await? };
    let values = values![recovery.events_id.as_str(), position.event_seq, position.up_to, i64::from(JOB_BATCH)];
    let mut events: Vec<EventRead> = conn.fetch_all(NEXT_OF_TYPE, values).await?;
    let over = events.len() < JOB_BATCH as usize;
    let next = Position { event_seq: events.last().map_or(position.event_seq, |event| event.seq), ..position };
    events.retain(|event| recovery.since <= event.received_at && event.received_at < recovery.until);
    let handler_id = recovery.handler_id.0;
    let ended: Vec<(Uuid, i64, String)> = conn.fetch_all(ENDED_AT_HANDLER, values![ids(&events), handler_id]).await?;
    drop_succeeded(&mut events, &ended);
    let generations = generations(&mut conn, &events, recovery.handler_id).await?;
    Ok(Events { handler_id, events, generations, next, over })
}

/// Between which places events of the recovery's time can be.
async fn bounds(conn: &mut Conn<'_>, recovery: &Recovery, position: Position) -> Result<Position> {
    let event_seq = place_before(conn, recovery.since - SKEW, position.up_to).await?;
    let up_to = place_before(conn, recovery.until + SKEW, position.up_to).await?;
    Ok(Position { event_seq, up_to, begun: true, ..position })
}

/// The last place up to which events were received before this instant, by halves.
async fn place_before(conn: &mut Conn<'_>, instant: DateTime<Utc>, up_to: i64) -> Result<i64> {
    let (mut low, mut high) = (0, up_to);
    while low < high {
        let middle = low + (high - low) / 2;
        let next: Option<(DateTime<Utc>,)> = conn.fetch_optional(NEXT_EVENT, values![middle]).await?;
        if next.is_some_and(|(received_at,)| received_at < instant) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

async fn generations(conn: &mut Conn<'_>, events: &[EventRead], handler_id: HandlerId) -> Result<HashMap<i64, bool>> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let numbers: Vec<(i64,)> = conn.fetch_all(GENERATIONS_UNDER_WAY, places(events)).await?;
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let numbers = Column::ints(numbers.into_iter().map(|(number,)| number));
    let snapshots: Vec<(i64, String)> = conn.fetch_all(SNAPSHOTS, values![numbers]).await?;
    let has = |(number, text): (i64, String)| {
        let snapshot: Snapshot = parsed("a generation's snapshot", &text)?;
        Ok((number, snapshot.handler(handler_id).is_some()))
    };
    snapshots.into_iter().map(has).collect()
}

fn ids(events: &[EventRead]) -> Column<'static> {
    Column::uuids(events.iter().map(|event| event.id))
}

fn places(events: &[EventRead]) -> Vec<Value<'static>> {
    values![Column::ints(events.iter().map(|event| event.seq)), ids(events)]
}

fn drop_succeeded(events: &mut Vec<EventRead>, ended: &[(Uuid, i64, String)]) {
    let succeeded: HashSet<_> =
        ended.iter().filter(|(.., status)| status == CallStatus::Success.as_str()).map(|(id, ..)| *id).collect();
    events.retain(|event| !succeeded.contains(&event.id));
}

impl Events {
    /// Sends the events to the handler that still have to go there.
    pub(super) async fn recover(mut self, tx: &mut Tx<'_>, now: DateTime<Utc>) -> Result<Step> {
        let (position, over) = (self.next, self.over);
        if self.events.is_empty() {
            return Ok(Step { sent: 0, position, over });
        }
        lock_append(tx).await?;
        let stored: Vec<(i64,)> =
            tx.fetch_all(STILL_STORED, values![Column::ints(self.events.iter().map(|event| event.seq))]).await?;
        let stored: HashSet<_> = stored.into_iter().map(|(seq,)| seq).collect();
        self.events.retain(|event| stored.contains(&event.seq));
        let under_way: Vec<UnderWay> = tx.fetch_all(LOCK_UNDER_WAY, places(&self.events)).await?;
        let ended: Vec<(Uuid, i64, String)> = tx.fetch_all(ENDED_AT_HANDLER, values![ids(&self.events), self.handler_id]).await?;
        drop_succeeded(&mut self.events, &ended);
        let dead: Vec<(i64, i64, bool)> = tx.fetch_all(DEAD_AT_HANDLER, values![ids(&self.events), self.handler_id]).await?;
        let ended: HashSet<_> = ended.iter().map(|(_, seq, _)| *seq).chain(dead.iter().map(|(seq, ..)| *seq)).collect();
        let busy: HashSet<_> =
            under_way.iter().filter(|d| self.is_unfinished(d, &ended)).map(|dispatch| dispatch.event_seq).collect();
        let again: Vec<_> = self.events.iter().map(|event| event.seq).filter(|seq| !busy.contains(seq)).collect();
        let letters = dead.iter().filter(|(_, event_seq, letter)| *letter && again.binary_search(event_seq).is_ok());
        let letters: Vec<_> = letters.map(|(seq, ..)| (*seq, self.handler_id)).collect();
        let unfinished = under_way.iter().map(|dispatch| dispatch.seq).collect();
        take_dead(tx, &letters, &unfinished, now).await?;
        let again: Vec<_> = again.into_iter().map(|seq| (seq, Some(self.handler_id))).collect();
        if !again.is_empty() {
            dispatch_again(tx, &again, now).await?;
        }
        Ok(Step { sent: again.len() as i64, position, over })
    }

    /// Whether the dispatch may still bring its event to the handler; `ended` are those in which the handler's part has ended.
    fn is_unfinished(&self, dispatch: &UnderWay, ended: &HashSet<i64>) -> bool {
        match (dispatch.handler_id, dispatch.generation) {
            (Some(other), _) if other != self.handler_id => false,
            _ if ended.contains(&dispatch.seq) => false,
            (None, Some(generation)) => self.generations.get(&generation).copied().unwrap_or(true),
            _ => true,
        }
    }
}
