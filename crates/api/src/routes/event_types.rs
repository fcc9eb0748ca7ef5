//! `/v1/event-types`: the catalogue, and the schemas of what its events carry.

mod schema;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use baton_domain::{Catalogue, EventType as Known};
use baton_storage::{Paged, StorageError};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::schema::EventSchema;
use super::events::sample;
use crate::page::page;
use crate::problem::Problem;
use crate::request::{Body, EventTypeName, Id, NoParams, QueryString, no_such, paging};
use crate::state::ApiState;

const TAG: &str = "Event types";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_event_types, create_event_type))
        .routes(routes!(schema::put_event_type_schema, schema::delete_event_type_schema))
        .routes(routes!(get_sample))
}

/// An entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventType {
    /// What travels on the wire.
    #[schema(example = "clients.create")]
    id: String,
    #[schema(example = "Clients")]
    group: String,
    #[schema(example = "create")]
    action: String,
    #[schema(example = "Clients: create")]
    title: String,
    /// The first half of the ordering key.
    #[schema(example = "client")]
    object_kind: String,
    /// Older spellings, accepted wherever an id is given.
    aliases: Vec<String>,
    /// Whether an operator added it.
    custom: bool,
    /// What `data` has to look like; null when nothing is said of it.
    #[schema(required)]
    schema: Option<EventSchema>,
}

page! {
    /// A page of the catalogue.
    EventTypePage of EventType
}

impl EventType {
    fn new(known: Known, schema: Option<EventSchema>) -> Self {
        let Known { id, group, action, title, object_kind, aliases, custom } = known;
        Self { id, group, action, title, object_kind, aliases, custom, schema }
    }
}

/// An event type of an operator's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventTypeInput {
    /// Lower-case words joined by dots.
    #[schema(example = "orders.paid", pattern = r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", max_length = 128)]
    id: String,
    #[schema(example = "Orders", min_length = 1, max_length = 200)]
    group: String,
    /// The first half of the ordering key: a word.
    #[schema(example = "order", pattern = "^[a-z0-9_]+$", max_length = 64)]
    object_kind: String,
    /// The last word of the id when it is left out.
    #[schema(example = "paid", max_length = 200)]
    action: Option<String>,
    /// Group and action when it is left out.
    #[schema(example = "Orders: paid", max_length = 200)]
    title: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventTypeQuery {
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the catalogue: the built-in event types, then the operators' own.
#[utoipa::path(get, path = "/v1/event-types", tag = TAG, params(EventTypeQuery),
    responses((status = 200, body = EventTypePage, description = "The catalogue")))]
async fn list_event_types(
    State(state): State<ApiState>,
    QueryString(query): QueryString<EventTypeQuery>,
) -> Result<Json<EventTypePage>, Problem> {
    let page = paging(query.limit.as_deref(), query.cursor)?;
    let start = match &page.cursor {
        None => 0,
        Some(cursor) => place(cursor).ok_or(StorageError::BadCursor)?,
    };
    let catalogue = state.catalogue.fresh().await?;
    let mut schemas = schema::by_type(&state).await?;
    let types = part(&catalogue, start, page.limit.into());
    Ok(Json(EventTypePage::of(types, |known| {
        let schema = schemas.remove(&known.id);
        EventType::new(known, schema)
    })))
}

/// Types are only ever added at the end, so that a place in the list stays what it is.
fn part(catalogue: &Catalogue, start: usize, limit: usize) -> Paged<Known> {
    let rest = catalogue.types().get(start..).unwrap_or_default();
    let next = start + limit;
    Paged { items: rest.iter().take(limit).cloned().collect(), next_cursor: (rest.len() > limit).then(|| cursor(next)) }
}

fn cursor(place: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("event-types:{place}"))
}

fn place(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix("event-types:")?.parse().ok()
}

/// Adds an event type of your own.
#[utoipa::path(post, path = "/v1/event-types", tag = TAG, request_body = EventTypeInput,
    responses((status = 201, body = EventType, description = "Added; it can be published at once")))]
async fn create_event_type(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    Body(input): Body<EventTypeInput>,
) -> Result<(StatusCode, Json<EventType>), Problem> {
    let EventTypeInput { id, group, object_kind, action, title } = input;
    let catalogue = state.catalogue.fresh().await?;
    let new =
        Known::custom(&catalogue, &id, &group, action.as_deref(), title.as_deref(), &object_kind).map_err(Problem::invalid)?;
    match state.store.create_event_type(&new, Utc::now()).await {
        Ok(()) => Ok((StatusCode::CREATED, Json(EventType::new(new, None)))),
        Err(StorageError::Conflict) => Err(Problem::field("id", format!("'{id}' is in the catalogue already"))),
        Err(error) => Err(error.into()),
    }
}

/// An event of this type as it might be published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sample {
    event: SampleHead,
    #[schema(schema_with = crate::openapi::data)]
    data: Box<RawValue>,
}

/// What happened, to what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SampleHead {
    #[schema(example = "clients.create")]
    events_id: String,
    #[schema(schema_with = crate::openapi::object_id)]
    object_id: Box<RawValue>,
}

/// Shows a sample of an event type, as test calls send it. Operators' own types have no data.
#[utoipa::path(get, path = "/v1/event-types/{id}/sample", tag = TAG,
    params(("id" = String, Path, description = "An id or an older spelling of the catalogue", example = "clients.create")),
    responses((status = 200, body = Sample, description = "A sample; it can be published as it is")))]
async fn get_sample(
    State(state): State<ApiState>,
    Id(EventTypeName(id)): Id<EventTypeName>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<Sample>, Problem> {
    let catalogue = state.catalogue.with([id.as_str()]).await?;
    let Ok((head, data)) = sample::of(&id, &catalogue) else {
        return Err(no_such::<EventTypeName>(id));
    };
    Ok(Json(Sample { event: SampleHead { events_id: head.events_id, object_id: head.object_id }, data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_paged_whole() {
        let catalogue = Catalogue::default();
        let (mut ids, mut start) = (Vec::new(), 0);
        loop {
            let page = part(&catalogue, start, 4);
            ids.extend(page.items.into_iter().map(|t| t.id));
            match page.next_cursor {
                Some(next) => start = place(&next).unwrap(),
                None => break,
            }
        }
        assert_eq!(ids, catalogue.types().iter().map(|t| t.id.clone()).collect::<Vec<_>>());
        assert_eq!(part(&catalogue, usize::MAX - 300, 200).items.len(), 0);
        for bad in ["", "x", "ZXZlbnQ", &BASE64_URL_SAFE_NO_PAD.encode("event-types:-1")] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
