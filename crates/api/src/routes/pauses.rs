//! `/v1/pauses`, and the calls that pause and resume: one handler, one event type, or everything.

use axum::Json;
use axum::extract::State;
use baton_domain::{HandlerId, PauseScope};
use baton_handler_cache::Hint;
use baton_storage::Pause as Stored;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::request::{EventTypeName, Id, NoBody, NoParams, QueryString, no_such};
use crate::state::ApiState;

const TAG: &str = "Pauses";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_pauses))
        .routes(routes!(pause_everything))
        .routes(routes!(resume_everything))
        .routes(routes!(pause_handler))
        .routes(routes!(resume_handler))
        .routes(routes!(pause_event_type))
        .routes(routes!(resume_event_type))
}

/// What a pause is about.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PauseKind {
    Everything,
    EventType,
    Handler,
}

/// The id of what is paused: an event type's is a string, a handler's an integer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PausedId {
    EventType(String),
    Handler(i64),
}

/// A pause that is in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pause {
    scope: PauseKind,
    /// Not there where everything is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<PausedId>,
    paused_at: DateTime<Utc>,
}

impl From<Stored> for Pause {
    fn from(stored: Stored) -> Self {
        let (scope, id) = match stored.scope {
            PauseScope::Everything => (PauseKind::Everything, None),
            PauseScope::EventType(id) => (PauseKind::EventType, Some(PausedId::EventType(id))),
            PauseScope::Handler(id) => (PauseKind::Handler, Some(PausedId::Handler(id.0))),
        };
        Self { scope, id, paused_at: stored.paused_at }
    }
}

/// Every pause that is in force, on one page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PauseList {
    items: Vec<Pause>,
    /// Always null.
    next_cursor: Option<String>,
}

/// What a call has come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PauseChange {
    /// Whether this pause is in force now. Another one may hold the same handler.
    paused: bool,
    /// Whether that is new: `false` for a repetition.
    changed: bool,
}

/// Lists the pauses that are in force.
#[utoipa::path(get, path = "/v1/pauses", tag = TAG, responses((status = 200, body = PauseList, description = "The pauses")))]
async fn list_pauses(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<PauseList>, Problem> {
    let items = state.store.pauses().await?.into_iter().map(Into::into).collect();
    Ok(Json(PauseList { items, next_cursor: None }))
}

/// Pauses everything: no handler is called until the resume.
///
/// Events are taken in as ever and held in their order. Calls under way end as they would.
#[utoipa::path(post, path = "/v1/pause", tag = TAG,
    responses((status = 200, body = PauseChange, description = "It is paused; dispatchers know within a second")))]
async fn pause_everything(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<PauseChange>, Problem> {
    pause(&state, PauseScope::Everything).await
}

/// Ends the pause of everything. Handlers and event types that are paused by themselves stay so.
#[utoipa::path(post, path = "/v1/resume", tag = TAG,
    responses((status = 200, body = PauseChange, description = "It is resumed; what was held drains in its order")))]
async fn resume_everything(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<PauseChange>, Problem> {
    resume(&state, &PauseScope::Everything).await.map(Json)
}

/// Pauses a handler: its deliveries are held in their order, those of others go on.
#[utoipa::path(post, path = "/v1/handlers/{id}/pause", tag = TAG, params(("id" = i64, Path, description = "The handler's id")),
    responses((status = 200, body = PauseChange, description = "It is paused; dispatchers know within a second")))]
async fn pause_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<PauseChange>, Problem> {
    check_handler(&state, id).await?;
    pause(&state, PauseScope::Handler(id)).await
}

/// Ends a handler's own pause.
#[utoipa::path(post, path = "/v1/handlers/{id}/resume", tag = TAG, params(("id" = i64, Path, description = "The handler's id")),
    responses((status = 200, body = PauseChange, description = "It is resumed; what was held drains in its order")))]
async fn resume_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<PauseChange>, Problem> {
    let change = resume(&state, &PauseScope::Handler(id)).await?;
    if !change.changed {
        // The pause of a handler that is gone can still be ended.
        check_handler(&state, id).await?;
    }
    Ok(Json(change))
}

/// Pauses the handlers of an event type.
#[utoipa::path(post, path = "/v1/event-types/{id}/pause", tag = TAG,
    params(("id" = String, Path, description = "An id or an older spelling of the catalogue", example = "clients.create")),
    responses((status = 200, body = PauseChange, description = "It is paused; dispatchers know within a second")))]
async fn pause_event_type(
    State(state): State<ApiState>,
    Id(name): Id<EventTypeName>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<PauseChange>, Problem> {
    let id = known_type(&state, name).await?;
    pause(&state, PauseScope::EventType(id)).await
}

/// Ends the pause of an event type. Its handlers that are paused by themselves stay so.
#[utoipa::path(post, path = "/v1/event-types/{id}/resume", tag = TAG,
    params(("id" = String, Path, description = "An id or an older spelling of the catalogue", example = "clients.create")),
    responses((status = 200, body = PauseChange, description = "It is resumed; what was held drains in its order")))]
async fn resume_event_type(
    State(state): State<ApiState>,
    Id(name): Id<EventTypeName>,
    QueryString(NoParams {}): QueryString<NoParams>,
    NoBody: NoBody,
) -> Result<Json<PauseChange>, Problem> {
    let id = known_type(&state, name).await?;
    resume(&state, &PauseScope::EventType(id)).await.map(Json)
}

async fn pause(state: &ApiState, scope: PauseScope) -> Result<Json<PauseChange>, Problem> {
    let changed = state.store.pause(&scope, Utc::now()).await?;
    // Sent for a repetition too: the first hint may have been lost.
    state.cache.hints().send(Hint::Pauses);
    if changed {
        tracing::info!(%scope, "paused");
    }
    Ok(Json(PauseChange { paused: true, changed }))
}

async fn resume(state: &ApiState, scope: &PauseScope) -> Result<PauseChange, Problem> {
    let changed = state.store.resume(scope).await?;
    state.cache.hints().send(Hint::Pauses);
    if changed {
        tracing::info!(%scope, "resumed");
    }
    Ok(PauseChange { paused: false, changed })
}

/// One that is saved, or deleted but still called until the next restart of the Cache Manager.
async fn check_handler(state: &ApiState, id: HandlerId) -> Result<(), Problem> {
    if state.store.handler(id).await?.is_some() {
        return Ok(());
    }
    let live = state.cache.refresh().await?;
    let is_live = live.is_some_and(|snapshot| snapshot.handler(id).is_some());
    if is_live { Ok(()) } else { Err(no_such::<HandlerId>(id)) }
}

pub(super) async fn known_type(state: &ApiState, EventTypeName(name): EventTypeName) -> Result<String, Problem> {
    let catalogue = state.catalogue.with([name.as_str()]).await?;
    catalogue.find(&name).map(|found| found.id.clone()).ok_or_else(|| no_such::<EventTypeName>(name))
}
