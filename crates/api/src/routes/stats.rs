//! `/v1/stats`: the account of every event, which balances at any moment, what waits, and what happened by the minute and at each handler.

mod backlog;
mod figures;
mod handlers;
mod minutes;

use axum::Json;
use axum::extract::State;
use baton_storage::StatRow;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::request::{NoParams, QueryString};
use crate::state::ApiState;

const TAG: &str = "Stats";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_stats))
        .routes(routes!(backlog::get_stat_backlog))
        .routes(routes!(minutes::get_stat_minutes))
        .routes(routes!(handlers::get_stat_handlers))
}

/// The account of all events: published = delivered + failed + unmatched + pending + retrying, in all and for each event type.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Stats {
    published: i64,
    delivered: i64,
    failed: i64,
    unmatched: i64,
    pending: i64,
    retrying: i64,
    /// Deliveries that wait in their lane.
    held: u64,
    /// The age of the oldest pending event; null when none is pending.
    #[schema(required, minimum = 0)]
    oldest_pending_seconds: Option<f64>,
    by_event: Vec<EventStats>,
}

/// The account of one event type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventStats {
    #[schema(example = "clients.create")]
    events_id: String,
    published: i64,
    delivered: i64,
    failed: i64,
    unmatched: i64,
    pending: i64,
    retrying: i64,
}

impl From<StatRow> for EventStats {
    fn from(row: StatRow) -> Self {
        let StatRow { events_id, published, delivered, failed, unmatched, pending, retrying } = row;
        Self { events_id, published, delivered, failed, unmatched, pending, retrying }
    }
}

/// Shows the account of all events, the backlog, and the age of the oldest pending event.
#[utoipa::path(get, path = "/v1/stats", tag = TAG, responses((status = 200, body = Stats, description = "The account")))]
async fn get_stats(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<Stats>, Problem> {
    let rows = state.store.stats().await?;
    let backlog = state.store.backlog().await?;
    let mut stats = Stats { held: backlog.held, oldest_pending_seconds: backlog.oldest_pending.map(age), ..Stats::default() };
    for row in &rows {
        stats.published += row.published;
        stats.delivered += row.delivered;
        stats.failed += row.failed;
        stats.unmatched += row.unmatched;
        stats.pending += row.pending;
        stats.retrying += row.retrying;
    }
    stats.by_event = rows.into_iter().map(Into::into).collect();
    Ok(Json(stats))
}

/// How long ago an instant was, in seconds.
fn age(since: DateTime<Utc>) -> f64 {
    (Utc::now() - since).num_milliseconds().max(0) as f64 / 1000.0
}
