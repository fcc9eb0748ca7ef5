//! `/v1/cache`: the live generation, what is saved but not live, the history.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use baton_domain::GenerationNumber;
use baton_storage::GenerationSummary;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::changes::Changes;
use super::runs::{Restart, Run, WaitQuery, Wanted, answer, asked};
use crate::page::page;
use crate::problem::Problem;
use crate::request::{Body, NoParams, QueryString, paging};
use crate::state::ApiState;
use crate::words::GenerationCause;

const TAG: &str = "Cache";
/// How long a rollback is waited for when the caller does not say.
const ROLLBACK_WAIT: Duration = Duration::from_secs(30);

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_cache)).routes(routes!(list_generations)).routes(routes!(rollback_cache))
}

/// The live generation, and what is saved but not live.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cache {
    /// Its number; null before the first.
    #[schema(required)]
    generation: Option<i64>,
    #[schema(required)]
    built_at: Option<DateTime<Utc>>,
    /// How many handlers it has.
    handlers: usize,
    /// Equal for generations that do the same.
    #[schema(required)]
    checksum: Option<String>,
    /// What a restart of the Cache Manager would make live.
    pending: Changes,
    /// How many handlers that are.
    pending_count: usize,
}

/// Shows the live generation, and what is saved but not live.
#[utoipa::path(get, path = "/v1/cache", tag = TAG, responses((status = 200, body = Cache, description = "The live generation")))]
async fn get_cache(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<Cache>, Problem> {
    let live = state.cache.refresh().await?;
    let live = live.as_deref();
    let pending = state.pending.beside(&state.store, live).await?;
    Ok(Json(Cache {
        generation: live.map(|snapshot| snapshot.number.0),
        built_at: live.map(|snapshot| snapshot.built_at),
        handlers: live.map_or(0, |snapshot| snapshot.handlers().len()),
        checksum: live.map(baton_domain::Snapshot::checksum),
        pending_count: pending.count(),
        pending: pending.changes.clone().into(),
    }))
}

/// A generation without its handlers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Generation {
    /// Its number.
    generation: i64,
    built_at: DateTime<Utc>,
    checksum: String,
    /// How many handlers it has.
    handlers: u32,
    /// What differs from the generation before.
    changes: Changes,
    /// How long the build took, in milliseconds.
    took_ms: i64,
    cause: GenerationCause,
    /// The generation whose content it has again, after a rollback.
    #[schema(required)]
    rolled_back_to: Option<i64>,
}

page! {
    /// A page of generations.
    GenerationPage of Generation
}

impl From<GenerationSummary> for Generation {
    fn from(summary: GenerationSummary) -> Self {
        Self {
            generation: summary.number.0,
            built_at: summary.built_at,
            checksum: summary.checksum,
            handlers: summary.handlers,
            changes: summary.changes.into(),
            took_ms: summary.took_ms,
            cause: summary.cause.into(),
            rolled_back_to: summary.rolled_back_to.map(|number| number.0),
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GenerationQuery {
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists generations, the newest, which is the live one, first.
#[utoipa::path(get, path = "/v1/cache/generations", tag = TAG, params(GenerationQuery),
    responses((status = 200, body = GenerationPage, description = "The generations")))]
async fn list_generations(
    State(state): State<ApiState>,
    QueryString(query): QueryString<GenerationQuery>,
) -> Result<Json<GenerationPage>, Problem> {
    let page = paging(query.limit.as_deref(), query.cursor)?;
    let found = state.store.list_generations(&page).await?;
    Ok(Json(GenerationPage::of(found, Into::into)))
}

/// Which generation to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackInput {
    /// Its number.
    #[schema(example = 3, minimum = 1)]
    generation: i64,
}

/// Makes a new generation with the content of an older one. Saved handlers stay as they are.
///
/// Waits up to 30 seconds for the result, unless `wait` says otherwise.
#[utoipa::path(post, path = "/v1/cache/rollback", tag = TAG, params(WaitQuery), request_body = RollbackInput,
    responses((status = 200, body = Restart, description = "Done, within the time to wait"), (status = 202, body = Run, description = "Queued or under way")))]
async fn rollback_cache(
    State(state): State<ApiState>,
    QueryString(query): QueryString<WaitQuery>,
    Body(input): Body<RollbackInput>,
) -> Result<Response, Problem> {
    let wait = query.wait()?.unwrap_or(ROLLBACK_WAIT);
    let to = GenerationNumber(input.generation);
    if state.store.generation(to).await?.is_none() {
        return Err(Problem::not_found(format_args!("generation {to}")));
    }
    let run = asked(&state, Wanted::Rollback(to), wait).await?;
    answer(&state, run, Some(wait)).await
}
