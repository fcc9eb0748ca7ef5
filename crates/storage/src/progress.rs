//! What is already recorded of dispatches that are under way.

use std::collections::BTreeMap;

use baton_domain::{CallStatus, EventId, GenerationNumber, HandlerId, Seq};
use chrono::{DateTime, Utc};

use crate::Store;
use crate::dead_letters::DeliveryState;
use crate::error::{Result, StorageError};
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
        let seqs = || Column::ints(of.iter().map(|(seq, _)| seq.0));
        let mut conn = self.feeder().await?;
        let pairs = vec![seqs(), Column::uuids(of.iter().map(|(_, event)| event.0))];
        let calls: Vec<CallRead> = conn.fetch_all(ENDED_CALLS, values![pairs]).await?;
        let deliveries: Vec<OpenRead> = conn.fetch_all(OPEN_DELIVERIES, values![seqs()]).await?;
        // A success outweighs everything, a delivery that is open outweighs a skip.
        let (succeeded, skipped): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| call.status == CallStatus::Success.as_str());
        let mut progress: BTreeMap<_, _> = skipped.iter().map(|c| (c.key(), c.progress(ProgressState::Skipped))).collect();
        for open in deliveries {
            progress.insert((open.seq, open.handler_id), open.progress()?);
        }
        progress.extend(succeeded.iter().map(|c| (c.key(), c.progress(ProgressState::Succeeded))));
        Ok(progress.into_values().collect())
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
