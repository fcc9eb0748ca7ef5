//! `/v1/jobs`: long work with its progress; and the calls that ask for it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use baton_domain::HandlerId;
use baton_handler_cache::Hint;
use baton_storage::{DeadLetterSearch, JobParams, JobState, Recovery, StorageError};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::jobs::wait_for_job;
use crate::page::page;
use crate::problem::{Code, Problem};
use crate::request::{Body, Id, JobId, NoBody, NoParams, Params, QueryString, no_such, paging};
use crate::state::ApiState;
use crate::words::JobStatus;

const TAG: &str = "Jobs";
/// How long an answer waits for the end of a job where the call says nothing else, in seconds.
const WAIT_DEFAULT: u64 = 10;
/// The longest wait, in seconds.
const WAIT_MAX: i64 = 60;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs))
        .routes(routes!(get_job))
        .routes(routes!(cancel_job))
        .routes(routes!(recover_handler))
}

/// What a job does.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobKind {
    ReplayDeadLetters,
    RecoverHandler,
}

/// Long work, done in batches. It goes on where it was after a restart, in another process too.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    id: Uuid,
    kind: JobKind,
    /// What was asked for.
    #[schema(value_type = Object, example = json!({"search": {"handler_id": 7}}))]
    params: Value,
    state: JobStatus,
    /// How many deliveries are on their way again.
    #[schema(minimum = 0)]
    done: u64,
    /// How many there were to send when it began; null before, and for a recovery, which cannot know beforehand.
    #[schema(required, minimum = 0)]
    total: Option<u64>,
    /// Whether it ends after the batch that is under way.
    cancel_requested: bool,
    asked_at: DateTime<Utc>,
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// Why it failed.
    #[schema(required)]
    error: Option<String>,
}

page! {
    /// A page of jobs.
    JobPage of Job
}

impl From<baton_storage::Job> for Job {
    fn from(stored: baton_storage::Job) -> Self {
        let (kind, params) = match &stored.params {
            JobParams::ReplayDeadLetters(search) => (JobKind::ReplayDeadLetters, json!({"search": shown(search)})),
            JobParams::RecoverHandler(recovery) => (JobKind::RecoverHandler, json!(recovery)),
        };
        Self {
            id: stored.id,
            kind,
            params,
            state: stored.state.into(),
            done: stored.done,
            total: stored.total,
            cancel_requested: stored.cancel_requested,
            asked_at: stored.asked_at,
            started_at: stored.started_at,
            finished_at: stored.finished_at,
            error: stored.error,
        }
    }
}

/// What restricts a search.
fn shown(search: &DeadLetterSearch) -> Value {
    let DeadLetterSearch { handler_id, events_id, object_id, data, error, from, to, ids: _ } = search;
    let all = json!({
        "handler_id": handler_id, "events_id": events_id, "object_id": object_id, "data": data, "error": error, "from": from, "to": to,
    });
    let given = all.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// How many deliveries are on their way again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replay {
    /// So far, where the job has not ended.
    #[schema(minimum = 0)]
    pub(super) replayed: u64,
    /// The job that does it; not there for dead letters that are named one by one, which are sent at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) job: Option<Job>,
}

/// How long to wait.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobWaitQuery {
    /// How many seconds to wait for the end of the job.
    #[param(value_type = Option<u16>, minimum = 0, maximum = 60, default = 10)]
    wait: Option<String>,
}

impl JobWaitQuery {
    /// How long to wait.
    ///
    /// # Errors
    /// When it is no number of seconds, or too many.
    pub(super) fn wait(&self) -> Result<Duration, Problem> {
        let mut params = Params::default();
        let seconds = params.number("wait", self.wait.as_deref(), 0..=WAIT_MAX);
        let seconds = params.or(seconds)?.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Duration::from_secs(seconds.unwrap_or(WAIT_DEFAULT)))
    }
}

/// Asks for a job, waits for its end, and answers: 200 when it has ended, 202 while it has not.
///
/// # Errors
/// When it could not be asked for, or failed.
pub(super) async fn asked(state: &ApiState, params: &JobParams, now: DateTime<Utc>, wait: Duration) -> Result<Response, Problem> {
    let hints = state.cache.hints();
    let job = state.store.create_job(Uuid::now_v7(), params, now).await?;
    hints.send(Hint::RunRequested);
    let job = wait_for_job(&state.store, hints, job, wait).await;
    let status = match job.state {
        JobState::Failed => {
            let reason = job.error.as_deref().unwrap_or("the log says why");
            let detail = format!("The job {} failed after it had sent {}: {reason}.", job.id, job.done);
            return Err(Problem::new(Code::Internal, detail));
        }
        JobState::Queued | JobState::Running => StatusCode::ACCEPTED,
        JobState::Done | JobState::Cancelled => StatusCode::OK,
    };
    Ok((status, Json(Replay { replayed: job.done, job: Some(job.into()) })).into_response())
}

/// Which jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JobQuery {
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists jobs, the newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = TAG, params(JobQuery), responses((status = 200, body = JobPage, description = "The jobs")))]
async fn list_jobs(State(state): State<ApiState>, QueryString(query): QueryString<JobQuery>) -> Result<Json<JobPage>, Problem> {
    let page = paging(query.limit.as_deref(), query.cursor)?;
    Ok(Json(JobPage::of(state.store.list_jobs(&page).await?, Into::into)))
}

/// A job and how far it has come.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = TAG, params(("id" = Uuid, Path, description = "The job's id")),
    responses((status = 200, body = Job, description = "The job")))]
async fn get_job(
    State(state): State<ApiState>,
    Id(JobId(id)): Id<JobId>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<Job>, Problem> {
    let job = state.store.job(id).await?.ok_or_else(|| no_such::<JobId>(id))?;
    Ok(Json(job.into()))
}

/// Ends a job before it is done.
///
/// One that is under way ends after its batch of at most 500, within moments. What is on its way again stays so.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = TAG, params(("id" = Uuid, Path, description = "The job's id")),
    responses((status = 200, body = Job, description = "The job; `cancel_requested` is set")))]
async fn cancel_job(
    State(state): State<ApiState>,
    Id(JobId(id)): Id<JobId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<Job>, Problem> {
    match state.store.request_cancel(id, Utc::now()).await {
        Ok(job) => {
            state.cache.hints().send(if job.state.has_ended() { Hint::RunFinished } else { Hint::RunRequested });
            Ok(Json(job.into()))
        }
        Err(StorageError::NotFound) => Err(no_such::<JobId>(id)),
        Err(StorageError::Conflict) => Err(Problem::new(Code::JobEnded, "The job has ended; nothing is left to cancel.")),
        Err(error) => Err(error.into()),
    }
}

/// Since when a handler is to get what it has not had.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoveryInput {
    /// Events received at this instant or later.
    #[schema(value_type = DateTime<Utc>)]
    since: String,
    /// Events received before this instant; now without.
    #[schema(value_type = Option<DateTime<Utc>>, nullable = false)]
    until: Option<String>,
}

/// Sends a handler the events of its type that it has not had.
///
/// Those that were received within the time, for which the log has no successful call of it and nothing is under way to it: because it
/// was not there yet, was off, failed for good or was skipped. It gets them as it is live, in their order, each behind what is under way
/// of its object; no other handler gets them.
#[utoipa::path(post, path = "/v1/handlers/{id}/recover", tag = TAG, request_body = RecoveryInput,
    params(("id" = i64, Path, description = "The handler's id"), JobWaitQuery),
    responses((status = 200, body = Replay, description = "Done, within the time to wait"),
        (status = 202, body = Replay, description = "Queued or under way")))]
async fn recover_handler(
    State(state): State<ApiState>,
    Id(handler_id): Id<HandlerId>,
    QueryString(query): QueryString<JobWaitQuery>,
    Body(input): Body<RecoveryInput>,
) -> Result<Response, Problem> {
    let (wait, now) = (query.wait()?, Utc::now());
    let mut params = Params::default();
    let since = params.instant("since", Some(input.since)).unwrap_or(now);
    let until = params.instant("until", input.until).map_or(now, |until| until.min(now));
    let (since, until) = params.or((since, until))?;
    if since >= until {
        return Err(Problem::field("since", "must be before 'until', and in the past"));
    }
    let live = state.cache.refresh().await?;
    let Some(handler) = live.as_deref().and_then(|snapshot| snapshot.handler(handler_id)) else {
        return Err(match state.store.handler(handler_id).await? {
            Some(_) => Problem::field("id", format!("the handler {handler_id} is not live, so every event would be skipped")),
            None => no_such::<HandlerId>(handler_id),
        });
    };
    let recovery = Recovery { handler_id, events_id: handler.event.clone(), since, until };
    asked(&state, &JobParams::RecoverHandler(recovery), now, wait).await
}
