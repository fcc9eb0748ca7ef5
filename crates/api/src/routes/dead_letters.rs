//! `/v1/dead-letters`: deliveries that failed for good, and their replay.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use baton_domain::{EventId, HandlerId};
use baton_handler_cache::Hint;
use baton_storage::{DeadLetterSearch, JobParams, StoredDelivery};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::jobs::{JobWaitQuery, Replay, asked};
use crate::failure::internal;
use crate::page::page;
use crate::problem::Problem;
use crate::raw::object_id;
use crate::request::{Body, Params, QueryString, optional_object, optional_objects};
use crate::state::ApiState;

const TAG: &str = "Dead letters";
/// How many dead letters one transaction sends on their way again.
const BATCH: u32 = 500;
/// The most dead letters that one request names by their ids.
const IDS_MAX: usize = 1000;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_dead_letters)).routes(routes!(replay_dead_letters))
}

/// A delivery whose retries are used up, or that failed for good.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetter {
    event_id: Uuid,
    #[schema(example = "clients.create")]
    events_id: String,
    /// As it was published.
    #[schema(schema_with = crate::openapi::object_id)]
    object_id: Box<RawValue>,
    handler_id: i64,
    /// The handler's name at the time.
    handler_name: String,
    /// The generation of the last attempt.
    generation: i64,
    attempts: u32,
    /// Why the last attempt failed.
    #[schema(required)]
    error: Option<String>,
    dead_at: DateTime<Utc>,
}

page! {
    /// A page of dead letters.
    DeadLetterPage of DeadLetter
}

impl From<StoredDelivery> for DeadLetter {
    fn from(stored: StoredDelivery) -> Self {
        Self {
            event_id: stored.event_id.0,
            events_id: stored.events_id,
            object_id: object_id(&stored.object_id),
            handler_id: stored.handler_id.0,
            handler_name: stored.handler_name,
            generation: stored.generation.0,
            attempts: stored.attempts,
            error: stored.last_error,
            dead_at: stored.updated_at,
        }
    }
}

/// Which dead letters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadLetterQuery {
    #[param(value_type = Option<i64>, minimum = 1)]
    handler_id: Option<String>,
    /// An id or an older spelling of the catalogue.
    #[param(example = "clients.create")]
    events_id: Option<String>,
    /// The text of the object's id; finds the number and the string.
    #[param(example = "4107")]
    object_id: Option<String>,
    /// Part of the event's data, in any case of its letters.
    data: Option<String>,
    /// Part of the error, in any case of its letters.
    error: Option<String>,
    /// Dead since this instant or later.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<String>,
    /// Dead since before this instant.
    #[param(value_type = Option<DateTime<Utc>>)]
    to: Option<String>,
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists dead letters, the newest first.
#[utoipa::path(get, path = "/v1/dead-letters", tag = TAG, params(DeadLetterQuery),
    responses((status = 200, body = DeadLetterPage, description = "The dead letters that match")))]
async fn list_dead_letters(
    State(state): State<ApiState>,
    QueryString(query): QueryString<DeadLetterQuery>,
) -> Result<Json<DeadLetterPage>, Problem> {
    let mut params = Params::default();
    let page = params.page(query.limit.as_deref(), query.cursor);
    let search = DeadLetterSearch {
        handler_id: params.number("handler_id", query.handler_id.as_deref(), 1..=i64::MAX).map(HandlerId),
        events_id: state.known_event(&mut params, "events_id", query.events_id).await?,
        object_id: params.text("object_id", query.object_id),
        data: params.text("data", query.data),
        error: params.text("error", query.error),
        from: params.instant("from", query.from),
        to: params.instant("to", query.to),
        ids: Vec::new(),
    };
    let (search, page) = params.or((search, page))?;
    let found = state.store.search_dead_letters(&search, &page).await?;
    Ok(Json(DeadLetterPage::of(found, Into::into)))
}

/// Which dead letters to send again: those that are named, or all that a search matches. One of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLetterReplayInput {
    #[serde(default, deserialize_with = "optional_objects")]
    #[schema(nullable = false, min_items = 1, max_items = 1000)]
    ids: Option<Vec<DeadLetterId>>,
    #[serde(default, deserialize_with = "optional_object")]
    #[schema(nullable = false)]
    search: Option<DeadLetterReplaySearch>,
}

/// A dead letter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLetterId {
    event_id: Uuid,
    handler_id: i64,
}

/// Which dead letters; `{}` means all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLetterReplaySearch {
    handler_id: Option<i64>,
    /// An id or an older spelling of the catalogue.
    events_id: Option<String>,
    /// The text of the object's id; finds the number and the string.
    object_id: Option<String>,
    /// Part of the event's data, in any case of its letters.
    data: Option<String>,
    /// Part of the error, in any case of its letters.
    error: Option<String>,
    /// Dead since this instant or later.
    #[schema(value_type = Option<DateTime<Utc>>)]
    from: Option<String>,
    /// Dead since before this instant.
    #[schema(value_type = Option<DateTime<Utc>>)]
    to: Option<String>,
}

/// Sends dead letters on their way again, each to its handler, those of the oldest events first.
///
/// Those that are named are sent at once. A search is a job: all that match and have died by now are sent, each once, however many they
/// are; the answer waits for its end as long as `wait` says.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = TAG, params(JobWaitQuery), request_body = DeadLetterReplayInput,
    responses((status = 200, body = Replay, description = "All that match are on their way again"),
        (status = 202, body = Replay, description = "Those that were named are on their way again, or the job has not ended yet")))]
async fn replay_dead_letters(
    State(state): State<ApiState>,
    QueryString(query): QueryString<JobWaitQuery>,
    Body(input): Body<DeadLetterReplayInput>,
) -> Result<Response, Problem> {
    let wait = query.wait()?;
    let mut search = asked_for(&state, input).await?;
    let now = Utc::now();
    // What dies again while this goes on is not sent again.
    search.to = Some(search.to.map_or(now, |to| to.min(now)));
    if search.ids.is_empty() {
        return asked(&state, &JobParams::ReplayDeadLetters(search), now, wait).await;
    }
    // A task of its own: a client that goes away in the middle does not leave a part behind.
    let replaying = tokio::spawn(async move { replay_all(&state, &search).await });
    let replayed = replaying.await.map_err(|error| internal(&error))??;
    Ok((StatusCode::ACCEPTED, Json(Replay { replayed, job: None })).into_response())
}

async fn asked_for(state: &ApiState, input: DeadLetterReplayInput) -> Result<DeadLetterSearch, Problem> {
    match (input.ids, input.search) {
        (Some(ids), None) if (1..=IDS_MAX).contains(&ids.len()) => {
            let ids = ids.into_iter().map(|id| (EventId(id.event_id), HandlerId(id.handler_id))).collect();
            Ok(DeadLetterSearch { ids, ..DeadLetterSearch::default() })
        }
        (Some(ids), None) => Err(Problem::field("ids", format!("must be 1 to {IDS_MAX} dead letters, not {}", ids.len()))),
        (None, Some(search)) => search_of(state, search).await,
        (None, None) => Err(Problem::field("body", "must name dead letters by 'ids' or by 'search'; {\"search\":{}} means all")),
        (Some(_), Some(_)) => Err(Problem::field("search", "must not stand beside 'ids'")),
    }
}

async fn search_of(state: &ApiState, search: DeadLetterReplaySearch) -> Result<DeadLetterSearch, Problem> {
    let mut params = Params::under("search.");
    let found = DeadLetterSearch {
        handler_id: search.handler_id.map(HandlerId),
        events_id: state.known_event(&mut params, "events_id", search.events_id).await?,
        object_id: params.text("object_id", search.object_id),
        data: params.text("data", search.data),
        error: params.text("error", search.error),
        from: params.instant("from", search.from),
        to: params.instant("to", search.to),
        ids: Vec::new(),
    };
    params.or(found)
}

async fn replay_all(state: &ApiState, search: &DeadLetterSearch) -> Result<u64, Problem> {
    let mut replayed = 0;
    loop {
        match state.store.replay_dead_letters(search, BATCH, Utc::now()).await {
            Ok(sent) => {
                replayed += sent;
                if sent > 0 {
                    state.cache.hints().send(Hint::Appended);
                }
                if sent < u64::from(BATCH) {
                    return Ok(replayed);
                }
            }
            Err(error) => {
                let problem = Problem::from(error);
                return Err(problem.but(format!("{replayed} are on their way again; the same request sends the rest.")));
            }
        }
    }
}
