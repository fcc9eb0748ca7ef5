//! What is already recorded of dispatches that are under way.

use std::collections::BTreeMap;

use baton_domain::{CallStatus, EventId, GenerationNumber, HandlerId, PartitionId, Seq};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::conn::Conn;
use crate::dead_letters::DeliveryState;
use crate::error::{Result, StorageError};
use crate::events::StoredEvent;
use crate::sql::{Column, statements, values};

/// How far a delivery of an unfinished dispatch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressState {
    /// It succeeded: not to be called again.
    Succeeded,
    /// It was skipped.
    Skipped,
    /// Its retries are used up, or it failed for good.
    Dead,
    /// It failed and is to be tried again.
    Retrying {
        /// When.
        next_attempt_at: DateTime<Utc>,
    },
}

/// What is recorded of one handler's part in a dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The dispatch.
    pub seq: Seq,
    /// The handler.
    pub handler_id: HandlerId,
    /// How far.
    pub state: ProgressState,
    /// How often it was tried.
    pub attempts: u32,
    /// The generation of the last attempt.
    pub generation: GenerationNumber,
}

statements! {
    /// Calls that ended well or were skipped.
    ENDED_CALLS = {
        postgres: "
            SELECT x.seq, x.handler_id, x.status, x.attempt, x.generation
            FROM unnest($1::bigint[], $2::uuid[]) AS d (seq, event_id) CROSS JOIN LATERAL (
                SELECT seq, handler_id, status, attempt, generation FROM executions
                WHERE event_id = d.event_id AND seq = d.seq AND status <> 'fail' OFFSET 0
            ) AS x",
        sqlite: "
            SELECT x.seq, x.handler_id, x.status, x.attempt, x.generation
            FROM json_each($1) AS d CROSS JOIN executions x ON x.event_id = unhex(d.value ->> 1) AND x.seq = d.value ->> 0
            WHERE x.status <> 'fail'",
    };
    OPEN_DELIVERIES = {
        postgres: "
            SELECT seq, handler_id, state, attempts, next_attempt_at, generation FROM deliveries WHERE seq = ANY($1)",
        sqlite: "
            SELECT seq, handler_id, state, attempts, next_attempt_at, generation FROM deliveries
            WHERE seq IN (SELECT value FROM json_each($1))",
    };
    /// In front of the last dispatch of an event: its own, or a replay.
    EARLIER = "
        SELECT seq, event_id, events_id, handler_id, generation FROM dispatches
        WHERE partition = $1 AND ordering_key = $2 AND seq > $3 AND event_id <> $5 AND seq < (
            SELECT max(u.seq) FROM (
                SELECT d.seq FROM dispatches d WHERE d.seq = $4
                UNION ALL SELECT d.seq FROM dispatches d WHERE d.event_id = $5 AND d.seq <> d.event_seq
            ) AS u
        )
        ORDER BY seq LIMIT $6";
}

/// An unfinished dispatch of an ordering key, without the payload of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierDispatch {
    /// Its place in the order.
    pub seq: Seq,
    /// The event.
    pub event_id: EventId,
    /// The event's type.
    pub events_id: String,
    /// The only handler that it is for, when it replays to one.
    pub handler_id: Option<HandlerId>,
    /// The generation that its chain runs under; `None` for the one that is live when its turn comes.
    pub generation: Option<GenerationNumber>,
}

impl Store {
    /// What is already written for these dispatches, by place and handler: after a takeover, or a start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recorded_progress(&self, of: &[(Seq, EventId)]) -> Result<Vec<Progress>> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        recorded(&mut self.feeder().await?, of).await
    }

    /// The unfinished dispatches of an event's ordering key that are in front of the event's own, the oldest first, behind `after`, at most
    /// `limit`; and what is written of them. None where the event has no dispatch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn earlier_dispatches(
        &self,
        of: &StoredEvent,
        after: Seq,
        limit: u16,
    ) -> Result<(Vec<EarlierDispatch>, Vec<Progress>)> {
        let partition = PartitionId::of(&of.ordering_key);
        let values = values![i64::from(partition.0), of.ordering_key.as_str(), after.0, of.seq.0, of.id.0, i64::from(limit)];
        let mut conn = self.reader().await?;
        let rows: Vec<EarlierRead> = conn.fetch_all(EARLIER, values).await?;
        let earlier: Vec<EarlierDispatch> = rows.into_iter().map(Into::into).collect();
        if earlier.is_empty() {
            return Ok((earlier, Vec::new()));
        }
        let places: Vec<_> = earlier.iter().map(|dispatch| (dispatch.seq, dispatch.event_id)).collect();
        let progress = recorded(&mut conn, &places).await?;
        Ok((earlier, progress))
    }
}

/// What is written for these dispatches, by place and handler.
async fn recorded(conn: &mut Conn<'_>, of: &[(Seq, EventId)]) -> Result<Vec<Progress>> {
    let seqs = || Column::ints(of.iter().map(|(seq, _)| seq.0));
    let pairs = vec![seqs(), Column::uuids(of.iter().map(|(_, event)| event.0))];
    let calls: Vec<CallRead> = conn.fetch_all(ENDED_CALLS, values![pairs]).await?;
    let deliveries: Vec<OpenRead> = conn.fetch_all(OPEN_DELIVERIES, values![seqs()]).await?;
    // A success outweighs everything, a delivery that is open outweighs a skip.
    let (succeeded, skipped): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.status == CallStatus::Success.as_str());
    let mut progress: BTreeMap<_, _> = skipped.iter().map(|c| (c.key(), c.progress(ProgressState::Skipped))).collect();
    for open in deliveries {
        progress.insert((open.seq, open.handler_id), open.progress()?);
    }
    progress.extend(succeeded.iter().map(|c| (c.key(), c.progress(ProgressState::Succeeded))));
    Ok(progress.into_values().collect())
}

#[derive(sqlx::FromRow)]
struct EarlierRead {
    seq: i64,
    event_id: Uuid,
    events_id: String,
    handler_id: Option<i64>,
    generation: Option<i64>,
}

impl From<EarlierRead> for EarlierDispatch {
    fn from(row: EarlierRead) -> Self {
        Self {
            seq: Seq(row.seq),
            event_id: EventId(row.event_id),
            events_id: row.events_id,
            handler_id: row.handler_id.map(HandlerId),
            generation: row.generation.map(GenerationNumber),
        }
    }
}

#[derive(sqlx::FromRow)]
struct CallRead {
    seq: i64,
    handler_id: i64,
    status: String,
    attempt: i32,
    generation: i64,
}

impl CallRead {
    fn key(&self) -> (i64, i64) {
        (self.seq, self.handler_id)
    }

    fn progress(&self, state: ProgressState) -> Progress {
        Progress {
            seq: Seq(self.seq),
            handler_id: HandlerId(self.handler_id),
            state,
            attempts: self.attempt.unsigned_abs(),
            generation: GenerationNumber(self.generation),
        }
    }
}

#[derive(sqlx::FromRow)]
struct OpenRead {
    seq: i64,
    handler_id: i64,
    state: String,
    attempts: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    generation: i64,
}

impl OpenRead {
    fn progress(&self) -> Result<Progress> {
        let state = match (DeliveryState::parse(&self.state), self.next_attempt_at) {
            (Some(DeliveryState::Dead), _) => ProgressState::Dead,
            (Some(DeliveryState::Retrying), Some(next_attempt_at)) => ProgressState::Retrying { next_attempt_at },
            _ => return Err(StorageError::corrupt(format!("delivery {}/{}: state", self.seq, self.handler_id))),
        };
        Ok(Progress {
            seq: Seq(self.seq),
            handler_id: HandlerId(self.handler_id),
            state,
            attempts: self.attempts.unsigned_abs(),
            generation: GenerationNumber(self.generation),
        })
    }
}
