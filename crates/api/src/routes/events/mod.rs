//! `/v1/events`: what is published, and what became of it.

mod chain;
mod explain;
mod lanes;
mod publish;
mod replay;
pub(crate) mod sample;
mod shape;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use baton_domain::{EventId, EventStatus as Status, Snapshot};
use baton_storage::{EventSearch, Page, Paged, StorageError, Store, StoredEvent};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::shape::{Event, EventPage};
use crate::problem::Problem;
use crate::request::{Id, NoParams, Params, QueryString, no_such};
use crate::state::ApiState;
use crate::words::{EventStatus, list};

const TAG: &str = "Events";
/// How many events are read at once for a page.
const READ_AT_ONCE: u16 = 50;
/// A page of so many bytes of data has no more events, even if more were asked for.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_events, publish::publish_event))
        .routes(routes!(publish::publish_batch))
        .routes(routes!(explain::explain_event))
        .routes(routes!(get_event))
        .routes(routes!(replay::replay_event))
}

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// An id or an older spelling of the catalogue.
    #[param(example = "clients.create")]
    events_id: Option<String>,
    /// The text of the object's id; finds the number and the string.
    #[param(example = "4107")]
    object_id: Option<String>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<EventStatus>>)]
    status: Vec<String>,
    /// Received at this instant or later.
    #[param(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    from: Option<String>,
    /// Received before this instant.
    #[param(value_type = Option<chrono::DateTime<chrono::Utc>>)]
    to: Option<String>,
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists events, the newest first, without their chains and executions.
#[utoipa::path(get, path = "/v1/events", tag = TAG, params(EventQuery), responses((status = 200, body = EventPage, description = "The events that match")))]
async fn list_events(
    State(state): State<ApiState>,
    QueryString(query): QueryString<EventQuery>,
) -> Result<Json<EventPage>, Problem> {
    let mut params = Params::default();
    let page = params.page(query.limit.as_deref(), query.cursor);
    let search = EventSearch {
        events_id: state.known_event(&mut params, "events_id", query.events_id).await?,
        object_id: params.text("object_id", query.object_id),
        status: query.status.iter().filter_map(|word| params.word("status", word, list::EVENT_STATUS, Status::parse)).collect(),
        from: params.instant("from", query.from),
        to: params.instant("to", query.to),
    };
    let (search, page) = params.or((search, page))?;
    let found = in_bounds(&state.store, &search, page).await?;
    Ok(Json(EventPage::of(found, Into::into)))
}

/// A page that may be shorter than asked for, when its events are large.
async fn in_bounds(store: &Store, search: &EventSearch, mut page: Page) -> Result<Paged<StoredEvent>, StorageError> {
    let mut all = Paged { items: Vec::new(), next_cursor: None };
    let (mut left, mut bytes) = (page.limit, 0);
    loop {
        page.limit = left.min(READ_AT_ONCE);
        let found = store.search_events(search, &page).await?;
        left -= page.limit;
        bytes += found.items.iter().map(|event| event.data.len()).sum::<usize>();
        all.items.extend(found.items);
        all.next_cursor = found.next_cursor;
        if left == 0 || bytes >= PAGE_BYTES || all.next_cursor.is_none() {
            return Ok(all);
        }
        page.cursor.clone_from(&all.next_cursor);
    }
}

/// Shows an event with its chain and executions.
#[utoipa::path(get, path = "/v1/events/{id}", tag = TAG, params(("id" = uuid::Uuid, Path, description = "The event's id")),
    responses((status = 200, body = Event, description = "The event")))]
async fn get_event(
    State(state): State<ApiState>,
    Id(id): Id<EventId>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<Event>, Problem> {
    let stored = state.store.event(id).await?.ok_or_else(|| no_such::<EventId>(id))?;
    let deliveries = state.store.event_deliveries(id).await?;
    let executions = state.store.event_executions(id).await?;
    let snapshot = snapshot_of(&state, &stored).await?;
    let mut chain = chain::chain(&stored, snapshot.as_deref(), &deliveries, &executions);
    lanes::note_holders(&state, &stored, &mut chain).await?;
    let executions = executions.into_iter().map(Into::into).collect();
    Ok(Json(Event::from(stored).with(chain, executions)))
}

/// The generation that the event ran under, or the live one while it has not begun. `None` when it was removed.
async fn snapshot_of(state: &ApiState, event: &StoredEvent) -> Result<Option<Arc<Snapshot>>, Problem> {
    match event.generation {
        None => Ok(state.cache.live()),
        Some(number) => Ok(state.generation(number).await?),
    }
}
