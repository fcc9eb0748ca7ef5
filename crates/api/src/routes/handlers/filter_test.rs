//! A try of a filter on a sample event, before it is saved.

use axum::Json;
use axum::extract::State;
use baton_domain::event;
use baton_domain::filter::Filter;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::TAG;
use crate::problem::{Code, Problem};
use crate::raw::raw;
use crate::request::{Body, NoParams, QueryString, object};
use crate::routes::events::sample::{self, DryRunHead, SampleHead, SampleInput};
use crate::state::ApiState;

/// A filter and an event to try it with. What is left out of the event comes from the built-in sample of its type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterTestInput {
    /// An expression of the Common Expression Language on `event` and `data`.
    #[schema(example = "has(data.credit) && data.credit > 100", max_length = 2000)]
    filter: String,
    #[serde(deserialize_with = "object")]
    event: DryRunHead,
    #[schema(schema_with = crate::openapi::data, required = false)]
    data: Option<Box<RawValue>>,
}

/// What a filter says of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FilterVerdict {
    /// Whether the handler would be called; null where the filter cannot be asked of this event, in which case its delivery is a dead
    /// letter.
    #[schema(required)]
    wanted: Option<bool>,
    /// Why it cannot be asked.
    #[schema(required, example = "the event has no 'balance'; has(…) asks whether a field is there")]
    error: Option<String>,
    /// The body that the handler would get, which is what the filter was asked of.
    #[schema(schema_with = crate::openapi::data)]
    body: Box<RawValue>,
}

/// Tries a filter on an event. Nothing is stored or called.
#[utoipa::path(post, path = "/v1/filters/test", tag = TAG, request_body = FilterTestInput,
    responses((status = 200, body = FilterVerdict, description = "Whether a handler with this filter would be called")))]
pub(super) async fn test_filter(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    Body(input): Body<FilterTestInput>,
) -> Result<Json<FilterVerdict>, Problem> {
    let filter = Filter::compile(&input.filter).map_err(|reason| Problem::field("filter", reason))?;
    let DryRunHead { events_id, object_id, dt } = input.event;
    let head = SampleHead { events_id: None, object_id, dt };
    let event = sample::event(&state, &events_id, SampleInput { event: Some(head), data: input.data }).await?;
    let body = event::body(&event.events_id, &event.object_id, &event.dt, &event.data);
    // Of a large event it takes a while.
    let asking = tokio::task::spawn_blocking(move || (filter.wants(body.as_bytes()), body));
    let (verdict, body) = asking.await.map_err(|_| Problem::new(Code::Internal, "Baton is stopping."))?;
    Ok(Json(FilterVerdict { wanted: verdict.as_ref().ok().copied(), error: verdict.err(), body: raw(body) }))
}
