//! Jobs: long work that is asked for and done in batches, by whichever process takes it, with its progress in the database.
//!
//! A batch and how far it got are committed together, so that a job goes on exactly where it was, whoever goes on with it.

mod advance;
mod recover;
mod replay;

use baton_domain::HandlerId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Store;
use crate::dead_letters::DeadLetterSearch;
use crate::error::{Result, StorageError};
use crate::paging::{Page, Paged};
use crate::search::Search;
use crate::sql::{Statement, json, parsed, statements, values, without_nul};

/// How many dead letters, or events, one batch looks at. It sends at most so many on their way.
pub const JOB_BATCH: u32 = 500;

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Asked for.
    Queued,
    /// Being done.
    Running,
    /// Done.
    Done,
    /// Ended before it was done; `error` says why.
    Failed,
    /// Ended before it was done, because that was asked for.
    Cancelled,
}

impl JobState {
    /// The word that the API and the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled].into_iter().find(|s| s.as_str() == word)
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What a job is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobParams {
    /// Sends every dead letter that matches to its handler again, each once, those of the oldest events first. Only letters of dispatches
    /// that had their place when the job was asked for; [`DeadLetterSearch::ids`] is left out of account.
    ReplayDeadLetters(DeadLetterSearch),
    /// Sends events to a handler that has not had them.
    RecoverHandler(Recovery),
}

impl JobParams {
    /// The kind's word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ReplayDeadLetters(_) => "replay_dead_letters",
            Self::RecoverHandler(_) => "recover_handler",
        }
    }
}

/// Which events go to a handler: those of its type, received within the time, with no successful call of it in the log and no unfinished
/// delivery to it. An event whose chain is under way counts as unfinished, unless it is known to run without the handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The handler.
    pub handler_id: HandlerId,
    /// The handler's type of events, as it is live.
    pub events_id: String,
    /// Received at this instant or later.
    pub since: DateTime<Utc>,
    /// Received before this instant.
    pub until: DateTime<Utc>,
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// What it is to do.
    pub params: JobParams,
    /// How far it has come.
    pub state: JobState,
    /// How many deliveries it has sent on their way.
    pub done: u64,
    /// How many it found at its start; `None` before, and where that cannot be counted beforehand.
    pub total: Option<u64>,
    /// Whether it ends before its next batch.
    pub cancel_requested: bool,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
    position: Position,
}

/// Where the next batch begins: behind this event, or behind this dead letter of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    event_seq: i64,
    handler_id: i64,
    seq: i64,
    /// The last place that counts: what was given out when the job was asked for.
    up_to: i64,
    /// Whether a batch has been done.
    begun: bool,
}

macro_rules! job_columns {
    () => {
        "id, params, state, done, total, position, cancel_requested, asked_at, started_at, finished_at, error"
    };
}

use job_columns;

macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "UPDATE jobs SET state = 'running', runner = $1, lease_until = $3,
                started_at = coalesce(started_at, CASE WHEN $2 > asked_at THEN $2 ELSE asked_at END)
             WHERE id = (
                SELECT id FROM jobs WHERE state IN ('queued', 'running') AND (state = 'queued' OR lease_until < $2 OR runner = $1)
                ORDER BY lease_until NULLS FIRST, id LIMIT 1 ",
            $lock,
            ") RETURNING ",
            job_columns!()
        )
    };
}

statements! {
    LAST_PLACE = "SELECT seq FROM append_position WHERE id = 1";
    CREATE = { both: concat!(
        "INSERT INTO jobs (id, kind, params, state, done, position, cancel_requested, asked_at)
         VALUES ($1, $2, $3, 'queued', 0, $4, false, $5) RETURNING ", job_columns!()
    ) };
    JOB = { both: concat!("SELECT ", job_columns!(), " FROM jobs WHERE id = $1") };
    /// The one that has waited longest, so that one runner's jobs take turns.
    CLAIM_JOB = { postgres: claim!("FOR UPDATE SKIP LOCKED"), sqlite: claim!("") };
    RELEASE_JOBS = "UPDATE jobs SET lease_until = $2 WHERE runner = $1 AND state = 'running'";
    FAIL_JOB = "UPDATE jobs SET state = 'failed', finished_at = $3, error = $4 WHERE id = $1 AND runner = $2 AND state = 'running'";
    /// One that has not begun ends at once.
    REQUEST_CANCEL = { both: concat!(
        "UPDATE jobs SET cancel_requested = true,
            finished_at = CASE WHEN state = 'queued' THEN $2 ELSE finished_at END,
            state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
         WHERE id = $1 AND state IN ('queued', 'running') RETURNING ", job_columns!()
    ) };
}

/// Every statement of this module and those below.
pub(crate) fn all_statements() -> Vec<Statement> {
    [STATEMENTS, advance::STATEMENTS, recover::STATEMENTS].concat()
}

#[derive(sqlx::FromRow)]
struct JobRead {
    id: Uuid,
    params: String,
    state: String,
    done: i64,
    total: Option<i64>,
    position: String,
    cancel_requested: bool,
    asked_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

impl TryFrom<JobRead> for Job {
    type Error = StorageError;

    fn try_from(row: JobRead) -> Result<Self> {
        let corrupt = |what| StorageError::corrupt(format!("job {}: {what}", row.id));
        Ok(Self {
            id: row.id,
            params: parsed("a job's parameters", &row.params)?,
            state: JobState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            done: row.done.try_into().map_err(|_| corrupt("done"))?,
            total: row.total.map(u64::try_from).transpose().map_err(|_| corrupt("total"))?,
            position: parsed("a job's position", &row.position)?,
            cancel_requested: row.cancel_requested,
            asked_at: row.asked_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            error: row.error,
        })
    }
}

impl Store {
    /// Asks for a job under an id of the caller's. What it is about is settled here: events and dead letters that come later are not
    /// its.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_job(&self, id: Uuid, params: &JobParams, now: DateTime<Utc>) -> Result<Job> {
        let mut conn = self.writer().await?;
        let place: Option<(i64,)> = conn.fetch_optional(LAST_PLACE, vec![]).await?;
        let (up_to,) = place.ok_or_else(|| StorageError::corrupt("append_position has no row"))?;
        let position = Position { event_seq: 0, handler_id: 0, seq: 0, up_to, begun: false };
        let values = values![id, params.kind(), json(params)?, json(&position)?, now];
        let row: Option<JobRead> = conn.fetch_optional(CREATE, values).await?;
        row.ok_or_else(|| StorageError::corrupt("a job was not stored"))?.try_into()
    }

    /// The job with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&self, id: Uuid) -> Result<Option<Job>> {
        let row: Option<JobRead> = self.reader().await?.fetch_optional(JOB, values![id]).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// `BadCursor`.
    pub async fn list_jobs(&self, page: &Page) -> Result<Paged<Job>> {
        let mut conn = self.reader().await?;
        let mut query = Search::new(concat!("SELECT ", job_columns!(), " FROM jobs"), conn.is_sqlite());
        query.and_if("id < ?", page.cursor::<Uuid>("jobs")?);
        let rows = query.fetch::<JobRead>(&mut conn, "id DESC", page).await?;
        page.cut("jobs", rows, |row| row.id).try_map(TryInto::try_into)
    }

    /// Takes a job: one that is queued, one whose runner's lease ran out before `now`, or one of this runner's own; of several the one
    /// that has waited longest. `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_job(&self, runner: Uuid, now: DateTime<Utc>, lease_until: DateTime<Utc>) -> Result<Option<Job>> {
        let row: Option<JobRead> = self.writer().await?.fetch_optional(CLAIM_JOB, values![runner, now, lease_until]).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Leaves a runner's jobs to others at once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_jobs(&self, runner: Uuid, now: DateTime<Utc>) -> Result<()> {
        self.writer().await?.execute(RELEASE_JOBS, values![runner, now - chrono::TimeDelta::microseconds(1)]).await?;
        Ok(())
    }

    /// Gives a job up for good. `false` when it is no longer this runner's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fail_job(&self, id: Uuid, runner: Uuid, now: DateTime<Utc>, reason: &str) -> Result<bool> {
        let reason = without_nul(reason).into_owned();
        Ok(self.writer().await?.execute(FAIL_JOB, values![id, runner, now, reason]).await? > 0)
    }

    /// Has a job end before its next batch; one that has not begun ends at once. What it has sent on its way stays so.
    ///
    /// # Errors
    /// `NotFound` when there is no such job, `Conflict` when it has ended.
    pub async fn request_cancel(&self, id: Uuid, now: DateTime<Utc>) -> Result<Job> {
        let mut conn = self.writer().await?;
        let row: Option<JobRead> = conn.fetch_optional(REQUEST_CANCEL, values![id, now]).await?;
        if let Some(row) = row {
            return row.try_into();
        }
        let ended: Option<JobRead> = conn.fetch_optional(JOB, values![id]).await?;
        Err(if ended.is_some() { StorageError::Conflict } else { StorageError::NotFound })
    }
}
