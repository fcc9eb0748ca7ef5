//! Runs of the Cache Manager: asked for, waited for, answered.

use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use baton_cache_manager::{RestartResult, SERVICE, request_restart, request_rollback, wait_for_run};
use baton_domain::GenerationNumber;
use baton_storage::{RunState, ServiceRun, StorageError};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::changes::Changes;
use crate::problem::{Code, Problem};
use crate::request::Params;
use crate::state::ApiState;
use crate::words::RunStatus;

/// The longest wait, in seconds.
const WAIT_MAX: i64 = 60;
/// How long something else in the queue is waited for when the caller does not wait for the result.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// How many seconds to wait for the result.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 60, example = 30)]
    wait: Option<String>,
}

impl WaitQuery {
    /// How long to wait, if at all.
    ///
    /// # Errors
    /// When it is no number of seconds, or too many.
    pub(super) fn wait(&self) -> Result<Option<Duration>, Problem> {
        let mut params = Params::default();
        let seconds = params.number("wait", self.wait.as_deref(), 1..=WAIT_MAX);
        params.or(seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs))
    }
}

/// What a restart did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Restart {
    /// The generation that is live now.
    generation: i64,
    /// How many handlers it has.
    handlers: usize,
    changes: Changes,
    /// How long it took, in milliseconds.
    took_ms: i64,
    /// The run that did it.
    run_id: i64,
}

/// A run that has not ended yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    id: i64,
    status: RunStatus,
    asked_at: DateTime<Utc>,
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
}

/// A run that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastRun {
    id: i64,
    asked_at: DateTime<Utc>,
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    status: RunStatus,
    /// What came of it: for the Cache Manager generation, handlers, changes and duration; for the Cleaner how many rows it removed.
    #[schema(required, value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it failed.
    #[schema(required)]
    error: Option<String>,
}

impl From<ServiceRun> for LastRun {
    fn from(run: ServiceRun) -> Self {
        Self {
            id: run.id,
            asked_at: run.asked_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            status: run.state.into(),
            result: run.result,
            error: run.error,
        }
    }
}

/// What a run of the Cache Manager is to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Restart,
    Rollback(GenerationNumber),
}

/// Asks for a run. Where something else waits in the queue, such as the very first build, that is let through first.
///
/// # Errors
/// `run_queued`, when something else still waits there at the end of `patience`.
pub(super) async fn asked(state: &ApiState, wanted: Wanted, patience: Duration) -> Result<ServiceRun, Problem> {
    let (store, hints) = (&state.store, state.cache.hints());
    let deadline = Instant::now() + patience;
    loop {
        let run = match wanted {
            Wanted::Restart => request_restart(store, hints, Utc::now()).await,
            Wanted::Rollback(to) => request_rollback(store, hints, to, Utc::now()).await,
        };
        match run {
            Err(StorageError::Conflict) => {}
            other => return Ok(other?),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let detail =
                "Another run of the Cache Manager is queued, which would do something else; try again when it has ended.";
            return Err(Problem::new(Code::RunQueued, detail));
        }
        // None, when it has just been taken.
        if let Some(queued) = store.last_runs(SERVICE).await?.queued {
            wait_for_run(store, hints, queued.id, left).await?;
        }
    }
}

/// The answer while a run has not ended.
pub(super) fn under_way(run: &ServiceRun) -> Response {
    let run = Run { id: run.id, status: run.state.into(), asked_at: run.asked_at, started_at: run.started_at };
    (StatusCode::ACCEPTED, Json(run)).into_response()
}

/// Waits for a run and answers: 200 with what it did, 202 while it has not ended.
///
/// # Errors
/// `restart_failed`.
pub(super) async fn answer(state: &ApiState, run: ServiceRun, wait: Option<Duration>) -> Result<Response, Problem> {
    let run = match wait {
        Some(wait) => wait_for_run(&state.store, state.cache.hints(), run.id, wait).await?,
        None => run,
    };
    match run.state {
        RunState::Queued | RunState::Running => Ok(under_way(&run)),
        RunState::Failed => {
            let reason = run.error.unwrap_or_else(|| "the log of the Cache Manager says why".into());
            Err(Problem::new(Code::RestartFailed, format!("The restart failed, and what was live still is: {reason}")))
        }
        RunState::Done => {
            let result = run.result.unwrap_or_default();
            let result: RestartResult = serde_json::from_value(result).map_err(|error| crate::failure::internal(&error))?;
            // What this process serves next is what the run made live.
            state.cache.refresh().await?;
            Ok(Json(Restart {
                generation: result.generation.0,
                handlers: result.handlers,
                changes: result.changes.into(),
                took_ms: result.took_ms,
                run_id: run.id,
            })
            .into_response())
        }
    }
}
