//! One batch of a job, and how far it got: one transaction.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Job, JobParams, JobRead, JobState, Position, job_columns, recover, replay};
use crate::Store;
use crate::conn::Tx;
use crate::error::{Result, StorageError};
use crate::sql::{json, parsed, statements, values};

statements! {
    /// That the job is still this runner's, and stays so until the commit.
    LOCK_JOB = {
        postgres: "SELECT position, cancel_requested FROM jobs WHERE id = $1 AND runner = $2 AND state = 'running' FOR UPDATE",
        sqlite: "SELECT position, cancel_requested FROM jobs WHERE id = $1 AND runner = $2 AND state = 'running'",
    };
    MOVE_ON = { both: concat!(
        "UPDATE jobs SET done = done + $2, total = coalesce(total, $3), position = $4, lease_until = $5, state = $6, finished_at = $7
         WHERE id = $1 RETURNING ", job_columns!()
    ) };
}

/// What a batch is about, read before anything is locked.
enum Batch {
    Letters(replay::Letters),
    Events(recover::Events),
}

/// What a batch did.
pub(super) struct Step {
    /// How many deliveries it sent on their way.
    pub(super) sent: i64,
    /// Where the next one begins.
    pub(super) position: Position,
    /// Whether there is no next one.
    pub(super) over: bool,
}

impl Store {
    /// Does the next batch of a job, all or nothing, and says how the job stands then. `job` is what [`Self::claim_job`] or the batch
    /// before answered with. A job that is to be cancelled ends instead.
    ///
    /// # Errors
    /// `Fenced` when it is no longer this runner's or is further on than `job` says; nothing is done then. After `Unavailable` it is not
    /// known whether the batch was done: claim the job again.
    pub async fn advance_job(&self, job: &Job, runner: Uuid, now: DateTime<Utc>, lease_until: DateTime<Utc>) -> Result<Job> {
        let batch = self.batch_of(job).await?;
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        let held: Option<(String, bool)> = tx.fetch_optional(LOCK_JOB, values![job.id, runner]).await?;
        let Some((position, cancelled)) = held else {
            tx.rollback().await?;
            return Err(StorageError::Fenced);
        };
        if parsed::<Position>("a job's position", &position)? != job.position {
            tx.rollback().await?;
            return Err(StorageError::Fenced);
        }
        let (total, step) = match batch {
            _ if cancelled => (None, Step { sent: 0, position: job.position, over: true }),
            Some(Batch::Letters(letters)) => (letters.total, letters.replay(&mut tx, job.position, now).await?),
            Some(Batch::Events(events)) => (None, events.recover(&mut tx, now).await?),
            None => (None, Step { sent: 0, position: job.position, over: false }),
        };
        let state = match (cancelled, step.over) {
            (true, _) => JobState::Cancelled,
            (false, true) => JobState::Done,
            (false, false) => JobState::Running,
        };
        let moved = move_on(&mut tx, job.id, &step, total, state, now, lease_until).await?;
        tx.commit().await?;
        moved.try_into()
    }

    async fn batch_of(&self, job: &Job) -> Result<Option<Batch>> {
        if job.cancel_requested {
            return Ok(None);
        }
        Ok(Some(match &job.params {
            JobParams::ReplayDeadLetters(search) => Batch::Letters(replay::look(self, search, job.position).await?),
            JobParams::RecoverHandler(recovery) => Batch::Events(recover::look(self, recovery, job.position).await?),
        }))
    }
}

async fn move_on(
    tx: &mut Tx<'_>,
    id: Uuid,
    step: &Step,
    total: Option<i64>,
    state: JobState,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<JobRead> {
    let finished_at = state.has_ended().then_some(now);
    let values = values![id, step.sent, total, json(&step.position)?, lease_until, state.as_str(), finished_at];
    let moved: Option<JobRead> = tx.fetch_optional(MOVE_ON, values).await?;
    moved.ok_or(StorageError::Fenced)
}
