//! A dry run: which handlers would run for an event, live and as saved, and why others would not.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use baton_domain::filter::Filter;
use baton_domain::handler::HandlerSpec;
use baton_domain::{Changes, FieldErrors, Handler as Saved, HandlerStatus, ObjectId, Snapshot, event};
use baton_storage::{HandlerSearch, Page, Store};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::TAG;
use super::sample::{self, DryRunHead, SampleHead, SampleInput};
use crate::problem::Problem;
use crate::request::{Body, NoParams, QueryString, object};
use crate::routes::handlers::Task;
use crate::state::ApiState;

/// How many handlers are read at once.
const READ_AT_ONCE: u16 = 200;

/// An event as it would be published. Filters are asked only where `data` is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainInput {
    #[serde(deserialize_with = "object")]
    event: DryRunHead,
    #[schema(schema_with = crate::openapi::data, required = false)]
    data: Option<Box<RawValue>>,
    ordering_key: Option<String>,
}

/// Which handlers would run, in which order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The live generation; null before the first.
    #[schema(required)]
    generation: Option<i64>,
    /// What would run now, stage by stage.
    live: Vec<ExplainedStage>,
    /// What would run after a restart of the Cache Manager.
    saved: Vec<ExplainedStage>,
    /// Handlers that are not live as they are saved, and why.
    not_live: Vec<NotLive>,
    /// Handlers, live or saved, that would not be called because of their filter, and why.
    unwanted: Vec<NotLive>,
}

/// Handlers of equal priority, which run side by side.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedStage {
    priority: u16,
    handlers: Vec<ExplainedHandler>,
}

/// A handler of a stage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedHandler {
    id: i64,
    name: String,
    task: Task,
    /// Its filter, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    filter: Option<String>,
}

/// A handler that would not be called, or not as it is saved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotLive {
    id: i64,
    name: String,
    /// A sentence.
    #[schema(example = "new: saved but not live; restart the Cache Manager")]
    reason: String,
}

/// Says which handlers would run for an event, live and as saved, and why others would not.
#[utoipa::path(post, path = "/v1/events/explain", tag = TAG, request_body = ExplainInput,
    responses((status = 200, body = Explanation, description = "What would happen; nothing is stored or called")))]
pub(super) async fn explain_event(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    Body(input): Body<ExplainInput>,
) -> Result<Json<Explanation>, Problem> {
    let (events_id, body) = checked(&state, &input).await?;
    let live = state.cache.refresh().await?;
    let saved = all_saved(&state.store, &events_id).await?;
    let live_chain = live.as_deref().map_or(&[][..], |snapshot| snapshot.chain(&events_id));
    let mut enabled: Vec<_> = saved.iter().filter(|h| h.status == HandlerStatus::Enabled).map(|h| &h.spec).collect();
    enabled.sort_by_key(|h| (h.priority, h.id));
    let mut not_live: Vec<_> = saved.iter().filter_map(|handler| not_live(handler, live.as_deref())).collect();
    for gone in live_chain.iter().filter(|live| !saved.iter().any(|saved| saved.spec.id == live.id)) {
        let reason = match state.store.handler(gone.id).await? {
            None => "deleted, but live until the Cache Manager is restarted".into(),
            Some(moved) => format!(
                "saved for the event {} now, but live for this one until the Cache Manager is restarted",
                moved.spec.event
            ),
        };
        not_live.push(NotLive { id: gone.id.0, name: gone.name.clone(), reason });
    }
    not_live.sort_by_key(|handler| handler.id);
    let mut unwanted: Vec<NotLive> = Vec::new();
    let mut wants = |spec: &HandlerSpec, of: &str| match body.as_deref().and_then(|body| declined(spec, body)) {
        None => true,
        Some(reason) => {
            unwanted.push(NotLive { id: spec.id.0, name: spec.name.clone(), reason: format!("{of}: {reason}") });
            false
        }
    };
    let live_stages = stages(live_chain.iter().map(AsRef::as_ref).filter(|spec| wants(spec, "live")));
    let saved_stages = stages(enabled.into_iter().filter(|spec| wants(spec, "saved")));
    unwanted.sort_by_key(|handler| handler.id);
    let generation = live.as_deref().map(|snapshot| snapshot.number.0);
    Ok(Json(Explanation { generation, live: live_stages, saved: saved_stages, not_live, unwanted }))
}

/// The id of the event type, and the body that handlers would get, where there is data.
async fn checked(state: &ApiState, input: &ExplainInput) -> Result<(String, Option<String>), Problem> {
    let DryRunHead { events_id, object_id, dt } = &input.event;
    let mut errors = FieldErrors::default();
    let catalogue = state.catalogue.with([events_id.as_str()]).await?;
    let found = catalogue.resolve(events_id).map(|t| t.id.clone()).map_err(|e| errors.push("event.events_id", e));
    if let Some(Err(reason)) = object_id.as_ref().map(|id| ObjectId::from_json(id.get())) {
        errors.push("event.object_id", reason);
    }
    if dt.as_ref().is_some_and(|dt| chrono::DateTime::parse_from_rfc3339(dt).is_err()) {
        errors.push("event.dt", "must be ISO 8601 with an offset, such as 2026-03-04T09:15:27+00:00");
    }
    if input.data.as_ref().is_some_and(|data| !data.get().starts_with('{')) {
        errors.push("data", "must be an object");
    }
    if input.ordering_key.as_ref().is_some_and(String::is_empty) {
        errors.push("ordering_key", "must not be empty");
    }
    let events_id = errors.or(found.unwrap_or_default()).map_err(Problem::invalid)?;
    let Some(data) = &input.data else { return Ok((events_id, None)) };
    let head = SampleHead { events_id: None, object_id: object_id.clone(), dt: dt.clone() };
    let event = sample::event(state, &events_id, SampleInput { event: Some(head), data: Some(data.clone()) }).await?;
    let body = event::body(&event.events_id, &event.object_id, &event.dt, &event.data);
    Ok((events_id, Some(body)))
}

/// Why a handler would not be called for an event with this body.
fn declined(spec: &HandlerSpec, body: &str) -> Option<String> {
    let text = spec.filter.as_deref()?;
    match Filter::compile(text).and_then(|filter| filter.wants(body.as_bytes())) {
        Ok(true) => None,
        Ok(false) => Some(format!("its filter does not want this event ({text})")),
        Err(reason) => Some(format!("its filter cannot be asked of this event, which would be a dead letter: {reason}")),
    }
}

/// Every handler that is saved for the event, whatever its status.
async fn all_saved(store: &Store, events_id: &str) -> Result<Vec<Saved>, Problem> {
    let status = vec![HandlerStatus::Enabled, HandlerStatus::Disabled, HandlerStatus::Archived];
    let search = HandlerSearch { event: Some(events_id.to_owned()), status, ..HandlerSearch::default() };
    let mut page = Page { limit: READ_AT_ONCE, cursor: None };
    let mut all = Vec::new();
    loop {
        let found = store.search_handlers(&search, &page).await?;
        all.extend(found.items);
        page.cursor = found.next_cursor;
        if page.cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Why a handler is not live as it is saved; `None` when it is.
fn not_live(saved: &Saved, live: Option<&Snapshot>) -> Option<NotLive> {
    let live = live.and_then(|snapshot| snapshot.handler(saved.spec.id));
    let reason = match (saved.status, live) {
        (HandlerStatus::Enabled, None) => "new: saved but not live; restart the Cache Manager".into(),
        (HandlerStatus::Enabled, Some(live)) if **live == saved.spec => return None,
        (HandlerStatus::Enabled, Some(live)) => format!("changed: {}; restart the Cache Manager", differences(live, &saved.spec)),
        (off, None) => off.as_str().into(),
        (off, Some(_)) => format!("{}, but live until the Cache Manager is restarted", off.as_str()),
    };
    Some(NotLive { id: saved.spec.id.0, name: saved.spec.name.clone(), reason })
}

/// Field by field: `priority 100 → 5`.
fn differences(live: &HandlerSpec, saved: &HandlerSpec) -> String {
    let changes = Changes::between([live], [saved]);
    let fields = changes.changed.iter().flat_map(|handler| &handler.fields);
    fields.map(|change| format!("{} {} → {}", change.field, change.live, change.saved)).collect::<Vec<_>>().join(", ")
}

/// Handlers that are sorted by priority, then id, in stages.
fn stages<'a>(handlers: impl IntoIterator<Item = &'a HandlerSpec>) -> Vec<ExplainedStage> {
    let mut stages: BTreeMap<u16, Vec<ExplainedHandler>> = BTreeMap::new();
    for handler in handlers {
        let explained = ExplainedHandler {
            id: handler.id.0,
            name: handler.name.clone(),
            task: (&handler.task).into(),
            filter: handler.filter.clone(),
        };
        stages.entry(handler.priority).or_default().push(explained);
    }
    stages.into_iter().map(|(priority, handlers)| ExplainedStage { priority, handlers }).collect()
}
