//! `/v1/services/cleaner/run`: the Cleaner, run by hand.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use baton_cache_manager::wait_for_run;
use baton_cleaner::{CleanResult, request_clean};
use baton_storage::{RunState, ServiceRun};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runs::{Run, WaitQuery, under_way};
use crate::problem::{Code, Problem};
use crate::request::{NoBody, QueryString};
use crate::state::ApiState;

const TAG: &str = "Services";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(run_cleaner))
}

/// What a run of the Cleaner removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cleaned {
    /// Events that had ended, with their results.
    events: u64,
    /// Executions: by their own age, or with their events.
    executions: u64,
    /// Dead letters, with their events.
    dead_letters: u64,
    idempotency_keys: u64,
    generations: u64,
    /// Old runs of services.
    service_runs: u64,
    jobs: u64,
    /// Rows of statistics by minute and by hour.
    minutes: u64,
    /// How long it took, in milliseconds.
    took_ms: i64,
    /// The run that did it.
    run_id: i64,
}

/// Runs the Cleaner: what is older than it is to be kept is removed.
///
/// A run that is asked for while one waits in the queue is that one.
#[utoipa::path(post, path = "/v1/services/cleaner/run", tag = TAG, params(WaitQuery),
    responses((status = 200, body = Cleaned, description = "Done, within the time to wait"), (status = 202, body = Run, description = "Queued or under way")))]
async fn run_cleaner(
    State(state): State<ApiState>,
    QueryString(query): QueryString<WaitQuery>,
    NoBody: NoBody,
) -> Result<Response, Problem> {
    let wait = query.wait()?;
    let run = request_clean(&state.store, state.cache.hints(), Utc::now()).await?;
    answer(&state, run, wait).await
}

/// Waits for a run and answers: 200 with what it did, 202 while it has not ended.
async fn answer(state: &ApiState, run: ServiceRun, wait: Option<Duration>) -> Result<Response, Problem> {
    let run = match wait {
        Some(wait) => wait_for_run(&state.store, state.cache.hints(), run.id, wait).await?,
        None => run,
    };
    match run.state {
        RunState::Queued | RunState::Running => Ok(under_way(&run)),
        RunState::Failed => {
            let reason = run.error.unwrap_or_else(|| "the log of the Cleaner says why".into());
            Err(Problem::new(Code::RunFailed, format!("The run was not done; the next one goes on with the rest: {reason}")))
        }
        RunState::Done => {
            let result: CleanResult =
                serde_json::from_value(run.result.unwrap_or_default()).map_err(|e| crate::failure::internal(&e))?;
            let CleanResult { removed, took_ms } = result;
            Ok(Json(Cleaned {
                events: removed.events,
                executions: removed.executions,
                dead_letters: removed.dead_letters,
                idempotency_keys: removed.idempotency_keys,
                generations: removed.generations,
                service_runs: removed.service_runs,
                jobs: removed.jobs,
                minutes: removed.minutes,
                took_ms,
                run_id: run.id,
            })
            .into_response())
        }
    }
}
