//! What waits, at the same cost however much it is.

use axum::Json;
use axum::extract::State;
use baton_domain::PauseScope;
use serde::Serialize;
use utoipa::ToSchema;

use super::{TAG, age};
use crate::problem::Problem;
use crate::request::{NoParams, QueryString};
use crate::state::ApiState;

/// What waits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatBacklog {
    /// Events that have not ended: pending and retrying.
    unfinished: u64,
    /// Deliveries that wait in their lane.
    held: u64,
    /// Dead letters that have not been replayed; 1000 stands for that many or more.
    #[schema(maximum = 1000)]
    dead_letters: u64,
    /// Whether everything is paused.
    paused: bool,
    /// The age of the oldest pending event; null when none is pending.
    #[schema(required, minimum = 0)]
    oldest_pending_seconds: Option<f64>,
}

/// Shows what waits.
///
/// It is taken from counters that change with what they count, and costs the same with millions of unfinished events; `GET /v1/stats` counts
/// those one by one.
#[utoipa::path(get, path = "/v1/stats/backlog", tag = TAG,
    responses((status = 200, body = StatBacklog, description = "What waits")))]
pub(super) async fn get_stat_backlog(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<StatBacklog>, Problem> {
    let unfinished = state.store.unfinished_events().await?;
    let backlog = state.store.backlog().await?;
    let dead_letters = state.store.dead_letters_up_to_some().await?;
    let paused = state.store.is_paused(&PauseScope::Everything).await?;
    let oldest_pending_seconds = backlog.oldest_pending.map(age);
    Ok(Json(StatBacklog { unfinished, held: backlog.held, dead_letters, paused, oldest_pending_seconds }))
}
