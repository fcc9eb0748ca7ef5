//! `/v1/executions`: the log of every call.

mod sent;
mod shape;

use axum::Json;
use axum::extract::State;
use baton_domain::{CallStatus, EventId, ExecutionId, HandlerId};
use baton_storage::ExecutionSearch;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::sent::Sent;
pub(crate) use self::shape::Execution;
use self::shape::ExecutionPage;
use crate::problem::Problem;
use crate::request::{Id, NoParams, Params, QueryString, no_such};
use crate::state::ApiState;
use crate::words::{ExecutionStatus, list};

const TAG: &str = "Executions";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_executions)).routes(routes!(get_execution))
}

/// Which executions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExecutionQuery {
    #[param(value_type = Option<i64>, minimum = 1)]
    handler_id: Option<String>,
    /// Of this event.
    #[param(value_type = Option<uuid::Uuid>)]
    event_id: Option<String>,
    /// An id or an older spelling of the catalogue.
    #[param(example = "clients.create")]
    events_id: Option<String>,
    /// The text of the object's id; finds the number and the string.
    #[param(example = "4107")]
    object_id: Option<String>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<ExecutionStatus>>)]
    status: Vec<String>,
    /// Part of the event's data, in any case of its letters. A page looks at 10,000 executions: one with few or no items may lead on.
    data: Option<String>,
    /// Part of the error, in any case of its letters. A page looks at 10,000 executions, as with `data`.
    error: Option<String>,
    /// Begun at this instant or later.
    #[param(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    from: Option<String>,
    /// Begun before this instant.
    #[param(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    to: Option<String>,
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists executions, the newest first.
#[utoipa::path(get, path = "/v1/executions", tag = TAG, params(ExecutionQuery),
    responses((status = 200, body = ExecutionPage, description = "The executions that match")))]
async fn list_executions(
    State(state): State<ApiState>,
    QueryString(query): QueryString<ExecutionQuery>,
) -> Result<Json<ExecutionPage>, Problem> {
    let mut params = Params::default();
    let page = params.page(query.limit.as_deref(), query.cursor);
    let status_of = |params: &mut Params, word: &String| params.word("status", word, list::EXECUTION_STATUS, CallStatus::parse);
    let search = ExecutionSearch {
        handler_id: params.number("handler_id", query.handler_id.as_deref(), 1..=i64::MAX).map(HandlerId),
        event_id: params.uuid("event_id", query.event_id.as_deref()).map(EventId),
        events_id: state.known_event(&mut params, "events_id", query.events_id).await?,
        object_id: params.text("object_id", query.object_id),
        status: query.status.iter().filter_map(|word| status_of(&mut params, word)).collect(),
        data: params.text("data", query.data),
        error: params.text("error", query.error),
        from: params.instant("from", query.from),
        to: params.instant("to", query.to),
    };
    let (search, page) = params.or((search, page))?;
    let found = state.store.search_executions(&search, &page).await?;
    Ok(Json(ExecutionPage::of(found, Into::into)))
}

/// Shows an execution with what was sent.
#[utoipa::path(get, path = "/v1/executions/{id}", tag = TAG, params(("id" = uuid::Uuid, Path, description = "The execution's id")),
    responses((status = 200, body = Execution, description = "The execution")))]
async fn get_execution(
    State(state): State<ApiState>,
    Id(id): Id<ExecutionId>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<Execution>, Problem> {
    let stored = state.store.execution(id).await?.ok_or_else(|| no_such::<ExecutionId>(id))?;
    let sent = sent::sent(&state, &stored).await?;
    Ok(Json(Execution::from(stored).with(sent)))
}
