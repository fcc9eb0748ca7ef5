//! `/v1/stats/handlers`: which handlers fail, which are slow.

use axum::Json;
use axum::extract::State;
use baton_storage::{HandlerCounts, HandlerRank, Span};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TAG;
use super::figures::{Figures, stretch};
use crate::problem::Problem;
use crate::request::{Params, QueryString};
use crate::state::ApiState;
use crate::words::{HandlerStatsOrder, list};

/// The longest stretch of time.
const MOST: TimeDelta = TimeDelta::days(7);
/// Up to here minutes are added up, beyond it hours: there are sixty times fewer of them.
const BY_MINUTE: TimeDelta = TimeDelta::hours(2);
const LIMIT_DEFAULT: u16 = 50;

/// Which stretch of time, and which handlers of it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HandlersQuery {
    /// From the minute that holds this instant on, or from its hour when `to` is more than two hours later; an hour before `to` when it is
    /// left out, at most seven days.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<String>,
    /// Minutes or hours that begin before this instant; now when it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    to: Option<String>,
    /// Which come first: those with the most attempts that failed, which is the default, whose attempts took longest on average, or with the
    /// most attempts. Of several orders the first of each are shown, no handler twice, which costs hardly more than one.
    #[serde(default)]
    #[param(inline, value_type = Option<Vec<HandlerStatsOrder>>)]
    order: Vec<String>,
    /// The most items of each order.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
}

/// What was counted of handlers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatHandlers {
    /// The beginning of the first minute or hour that is counted.
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    items: Vec<HandlerStats>,
    /// Always null: there are no more pages.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What was counted of a handler.
#[derive(Debug, Serialize, ToSchema)]
struct HandlerStats {
    handler_id: i64,
    /// As it is saved now; null when it has been deleted.
    #[schema(required)]
    name: Option<String>,
    #[serde(flatten)]
    figures: Figures,
}

impl From<HandlerCounts> for HandlerStats {
    fn from(HandlerCounts { handler_id, name, counts }: HandlerCounts) -> Self {
        Self { handler_id: handler_id.0, name, figures: (&counts).into() }
    }
}

/// Shows how handlers did: executions, failures, and how long they took.
///
/// Handlers that had nothing to do are not shown. It is counted in memory and written every five seconds, so the last seconds are missing,
/// and those before a process was killed.
#[utoipa::path(get, path = "/v1/stats/handlers", tag = TAG, params(HandlersQuery),
    responses((status = 200, body = StatHandlers, description = "The handlers that did something")))]
pub(super) async fn get_stat_handlers(
    State(state): State<ApiState>,
    QueryString(query): QueryString<HandlersQuery>,
) -> Result<Json<StatHandlers>, Problem> {
    let mut params = Params::default();
    let (from, to) = stretch(&mut params, (query.from, query.to), MOST);
    let mut orders: Vec<HandlerRank> = Vec::new();
    for word in &query.order {
        let order = params.word("order", word, list::HANDLER_STATS_ORDER, HandlerStatsOrder::parse).map(Into::into);
        orders.extend(order.filter(|order| !orders.contains(order)));
    }
    if orders.is_empty() {
        orders.push(HandlerRank::default());
    }
    let limit = params.number("limit", query.limit.as_deref(), 1..=200).and_then(|limit| u16::try_from(limit).ok());
    let span = if to - from > BY_MINUTE { Span::Hour } else { Span::Minute };
    let from = params.or(span.beginning(from))?;
    let counted = state.store.handler_counts(span, from, to, &orders, limit.unwrap_or(LIMIT_DEFAULT)).await?;
    Ok(Json(StatHandlers { from, to, items: counted.into_iter().map(Into::into).collect(), next_cursor: None }))
}
