//! `/v1/stats/minutes`: how much, how well and how fast, minute by minute.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use baton_domain::HandlerId;
use baton_storage::{Counts, Span};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TAG;
use super::figures::{Figures, stretch};
use crate::problem::Problem;
use crate::request::{Params, QueryString};
use crate::state::ApiState;

/// The most items of an answer: a day of minutes.
const ITEMS_MAX: i32 = 1440;

/// Which stretch of time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MinutesQuery {
    /// From the step that holds this instant on; an hour before `to` when it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<String>,
    /// Steps that begin before this instant; now when it is left out.
    #[param(value_type = Option<DateTime<Utc>>)]
    to: Option<String>,
    /// How long the time of one item is. At most 1440 steps are shown: a day of minutes, five days of `5m`, sixty of `1h`.
    #[param(value_type = Option<Step>)]
    step: Option<String>,
    /// The executions of this handler alone.
    #[param(value_type = Option<i64>, minimum = 1)]
    handler_id: Option<String>,
}

/// How long the time of one item is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
enum Step {
    #[default]
    #[serde(rename = "1m")]
    Minute,
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "1h")]
    Hour,
}

impl Step {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "1m" => Some(Self::Minute),
            "5m" => Some(Self::FiveMinutes),
            "1h" => Some(Self::Hour),
            _ => None,
        }
    }

    fn length(self) -> TimeDelta {
        match self {
            Self::Minute => TimeDelta::minutes(1),
            Self::FiveMinutes => TimeDelta::minutes(5),
            Self::Hour => TimeDelta::hours(1),
        }
    }

    /// What is stored that it is put together from.
    fn span(self) -> Span {
        match self {
            Self::Minute | Self::FiveMinutes => Span::Minute,
            Self::Hour => Span::Hour,
        }
    }

    fn beginning(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = instant.timestamp();
        DateTime::from_timestamp(seconds - seconds.rem_euclid(self.length().num_seconds()), 0).unwrap_or(instant)
    }
}

/// What happened, step by step.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatMinutes {
    /// The beginning of the first step.
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    step: Step,
    /// The handler that it is about; null when it is about all of them.
    #[schema(required)]
    handler_id: Option<i64>,
    /// Of all steps together.
    total: StatStep,
    /// Every step, also those in which nothing happened. The last one may not be over.
    items: Vec<StatStep>,
}

/// What happened in one step.
#[derive(Debug, Serialize, ToSchema)]
struct StatStep {
    /// Its beginning.
    at: DateTime<Utc>,
    /// Events that were accepted; null when it is about one handler.
    #[schema(required)]
    published: Option<u64>,
    #[serde(flatten)]
    figures: Figures,
}

impl StatStep {
    fn new(at: DateTime<Utc>, handler: Option<HandlerId>, counts: &Counts) -> Self {
        Self { at, published: handler.is_none().then_some(counts.published), figures: counts.into() }
    }
}

/// Shows what happened by the minute: events published, executions, the share of success, and how long things took.
///
/// It is counted in memory and written every five seconds, so the last seconds are missing, and those before a process was killed.
/// `GET /v1/stats` is exact.
#[utoipa::path(get, path = "/v1/stats/minutes", tag = TAG, params(MinutesQuery),
    responses((status = 200, body = StatMinutes, description = "What happened, step by step")))]
pub(super) async fn get_stat_minutes(
    State(state): State<ApiState>,
    QueryString(query): QueryString<MinutesQuery>,
) -> Result<Json<StatMinutes>, Problem> {
    let mut params = Params::default();
    let step = query.step.and_then(|word| params.word("step", &word, &["1m", "5m", "1h"], Step::parse)).unwrap_or_default();
    let handler = params.number("handler_id", query.handler_id.as_deref(), 1..=i64::MAX).map(HandlerId);
    let (from, to) = stretch(&mut params, (query.from, query.to), step.length() * ITEMS_MAX);
    let (from, to) = params.or((step.beginning(from), to))?;
    let stored = state.store.minutes(step.span(), handler, from, to).await?;
    let (mut total, mut steps) = (Counts::default(), BTreeMap::<_, Counts>::new());
    for (begins_at, counts) in &stored {
        total.merge(counts);
        steps.entry(step.beginning(*begins_at)).or_default().merge(counts);
    }
    let nothing = Counts::default();
    let every = std::iter::successors(Some(from), |at| at.checked_add_signed(step.length())).take_while(|at| *at < to);
    let items = every.map(|at| StatStep::new(at, handler, steps.get(&at).unwrap_or(&nothing))).collect();
    let total = StatStep::new(from, handler, &total);
    Ok(Json(StatMinutes { from, to, step, handler_id: handler.map(|id| id.0), total, items }))
}
