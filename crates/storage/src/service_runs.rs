//! Runs of services that are asked for: the Task Scheduler's queue.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::Store;
use crate::error::{Result, StorageError};
use crate::sql::{json, parsed, statements, values, without_nul};

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Asked for.
    Queued,
    /// Being done.
    Running,
    /// Done.
    Done,
    /// Not done; `error` says why.
    Failed,
}

impl RunState {
    /// The word that the API and the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Done, Self::Failed].into_iter().find(|s| s.as_str() == word)
    }
}

/// A run of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceRun {
    /// Its id.
    pub id: i64,
    /// The service, such as `cache-manager`.
    pub service: String,
    /// How far it has come.
    pub state: RunState,
    /// What was asked for, such as `{"rollback_to":3}`.
    pub params: Value,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Who does it or did it.
    pub runner: Option<Uuid>,
    /// Until when its runner counts as alive.
    pub lease_until: Option<DateTime<Utc>>,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What a service is doing and did last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LastRuns {
    /// The run that is asked for.
    pub queued: Option<ServiceRun>,
    /// The run that is being done.
    pub running: Option<ServiceRun>,
    /// The last one that ended.
    pub last: Option<ServiceRun>,
}

/// How often [`Store::request_run`] looks again.
const ATTEMPTS: u32 = 5;
/// What is said of a run whose runner went away.
const LEFT_BEHIND: &str = "the process that did it went away before it was done";

macro_rules! run_columns {
    () => {
        "id, service, state, params, asked_at, started_at, finished_at, runner, lease_until, result, error"
    };
}

macro_rules! select_run {
    ($condition:literal) => {
        concat!("SELECT ", run_columns!(), " FROM service_runs WHERE ", $condition)
    };
}

statements! {
    ASK = { both: concat!(
        "INSERT INTO service_runs (service, state, params, asked_at) VALUES ($1, 'queued', $2, $3)
         ON CONFLICT (service) WHERE state = 'queued' DO NOTHING RETURNING ", run_columns!()
    ) };
    QUEUED = { both: select_run!("service = $1 AND state = 'queued'") };
    FAIL_EXPIRED = "
        UPDATE service_runs SET state = 'failed', finished_at = $2, error = $3
        WHERE service = $1 AND state = 'running' AND lease_until < $2";
    /// Where one is running, there is nothing to claim; two who see none are told apart by the unique index.
    CLAIM = { both: concat!(
        "UPDATE service_runs SET state = 'running', runner = $2, lease_until = $4,
            started_at = CASE WHEN $3 > asked_at THEN $3 ELSE asked_at END
         WHERE service = $1 AND state = 'queued'
            AND NOT EXISTS (SELECT 1 FROM service_runs r WHERE r.service = $1 AND r.state = 'running')
         RETURNING ", run_columns!()
    ) };
    RENEW_RUN = "UPDATE service_runs SET lease_until = $3 WHERE id = $1 AND runner = $2 AND state = 'running'";
    FINISH_RUN = { both: concat!(
        "UPDATE service_runs SET state = $3, finished_at = $4, result = $5, error = $6
         WHERE id = $1 AND runner = $2 AND state = 'running' RETURNING ", run_columns!()
    ) };
    RUN = { both: select_run!("id = $1") };
    LAST_RUNS = { both: select_run!(
        "service = $1 AND (state IN ('queued', 'running')
         OR id = (SELECT max(r.id) FROM service_runs r WHERE r.service = $1 AND r.state IN ('done', 'failed')))"
    ) };
}

#[derive(sqlx::FromRow)]
struct RunRead {
    id: i64,
    service: String,
    state: String,
    params: String,
    asked_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    runner: Option<Uuid>,
    lease_until: Option<DateTime<Utc>>,
    result: Option<String>,
    error: Option<String>,
}

impl TryFrom<RunRead> for ServiceRun {
    type Error = StorageError;

    fn try_from(row: RunRead) -> Result<Self> {
        let state = RunState::parse(&row.state);
        Ok(Self {
            id: row.id,
            state: state.ok_or_else(|| StorageError::corrupt(format!("service run {}: state", row.id)))?,
            params: parsed("a service run's parameters", &row.params)?,
            result: row.result.map(|result| parsed("a service run's result", &result)).transpose()?,
            service: row.service,
            asked_at: row.asked_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            runner: row.runner,
            lease_until: row.lease_until,
            error: row.error,
        })
    }
}

impl Store {
    /// Asks for a run. Where one with the same parameters is queued already, that one is the answer.
    ///
    /// # Errors
    /// `Conflict` when one with other parameters is queued.
    pub async fn request_run(&self, service: &str, params: &Value, now: DateTime<Utc>) -> Result<ServiceRun> {
        let mut conn = self.writer().await?;
        let text = json(params)?;
        // Between the two statements another may ask, or a runner may take what is queued: then look again.
        for _ in 0..ATTEMPTS {
            let asked: Option<RunRead> = conn.fetch_optional(ASK, values![service, text.as_str(), now]).await?;
            if let Some(row) = asked {
                return row.try_into();
            }
            let queued: Option<RunRead> = conn.fetch_optional(QUEUED, values![service]).await?;
            if let Some(row) = queued {
                let queued = ServiceRun::try_from(row)?;
                return if queued.params == *params { Ok(queued) } else { Err(StorageError::Conflict) };
            }
        }
        Err(StorageError::Conflict)
    }

    /// Takes the queued run. A running one whose lease ran out before `now` is marked as failed first. `None` when nothing is queued or
    /// one is running.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_run(
        &self,
        service: &str,
        runner: Uuid,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
    ) -> Result<Option<ServiceRun>> {
        let mut conn = self.writer().await?;
        conn.execute(FAIL_EXPIRED, values![service, now, LEFT_BEHIND]).await?;
        match conn.fetch_optional::<RunRead>(CLAIM, values![service, runner, now, lease_until]).await {
            // Another was faster, and has one running.
            Err(error) if error.is_unique_violation() => Ok(None),
            claimed => claimed?.map(TryInto::try_into).transpose(),
        }
    }

    /// Prolongs the lease of a running run. `false` when it is no longer this runner's: it has to stop.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_run(&self, id: i64, runner: Uuid, lease_until: DateTime<Utc>) -> Result<bool> {
        Ok(self.writer().await?.execute(RENEW_RUN, values![id, runner, lease_until]).await? > 0)
    }

    /// Ends a run: done with its result, or failed with the reason.
    ///
    /// # Errors
    /// `Fenced` when it is no longer this runner's.
    pub async fn finish_run(
        &self,
        id: i64,
        runner: Uuid,
        now: DateTime<Utc>,
        outcome: std::result::Result<Value, String>,
    ) -> Result<ServiceRun> {
        let (state, result, error) = match &outcome {
            Ok(result) => (RunState::Done, Some(json(result)?), None),
            Err(reason) => (RunState::Failed, None, Some(without_nul(reason).into_owned())),
        };
        let values = values![id, runner, state.as_str(), now, result.as_deref(), error.as_deref()];
        let ended: Option<RunRead> = self.writer().await?.fetch_optional(FINISH_RUN, values).await?;
        ended.ok_or(StorageError::Fenced)?.try_into()
    }

    /// The run with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, id: i64) -> Result<Option<ServiceRun>> {
        let row: Option<RunRead> = self.reader().await?.fetch_optional(RUN, values![id]).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// What a service is doing and did last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_runs(&self, service: &str) -> Result<LastRuns> {
        let rows: Vec<RunRead> = self.reader().await?.fetch_all(LAST_RUNS, values![service]).await?;
        let mut runs = LastRuns::default();
        for row in rows {
            let run = ServiceRun::try_from(row)?;
            match run.state {
                RunState::Queued => runs.queued = Some(run),
                RunState::Running => runs.running = Some(run),
                RunState::Done | RunState::Failed => runs.last = Some(run),
            }
        }
        Ok(runs)
    }
}
