//! `/v1/event-types/{id}/schema`: what the data of an event type has to look like.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use baton_storage::EventSchema as Stored;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::pauses::known_type;
use super::TAG;
use crate::failure::internal;
use crate::problem::Problem;
use crate::request::{Body, EventTypeName, Id, NoParams, QueryString};
use crate::schemas::{CompiledSchema, SCHEMA_BYTES_MAX};
use crate::state::ApiState;
use crate::words::SchemaUse;

/// What the data of an event type has to look like.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventSchema {
    /// The JSON Schema of `data`, as it was saved.
    #[schema(value_type = Object)]
    schema: Box<RawValue>,
    validate: SchemaUse,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Stored> for EventSchema {
    type Error = Problem;

    fn try_from(stored: Stored) -> Result<Self, Problem> {
        let schema = RawValue::from_string(stored.schema).map_err(|error| internal(&error))?;
        Ok(Self { schema, validate: stored.validate.into(), updated_at: stored.updated_at })
    }
}

/// What the data of an event type is to look like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventSchemaInput {
    /// A JSON Schema of `data`, of 2020-12 or as its `$schema` says (2019-09, draft-07, draft-06): at most 64 KiB. Its references lead to parts of
    /// itself, and never in a circle.
    #[schema(value_type = Object)]
    schema: Box<RawValue>,
    validate: SchemaUse,
}

/// The schemas of all event types that have one.
pub(super) async fn by_type(state: &ApiState) -> Result<HashMap<String, EventSchema>, Problem> {
    let stored = state.store.event_schemas().await?;
    stored.into_iter().map(|schema| Ok((schema.events_id.clone(), schema.try_into()?))).collect()
}

/// Says what the data of an event type has to look like, and whether that is checked when events are published.
///
/// It takes the place of the schema before. All API processes go by it within a second or two. What is published already is not looked at again.
#[utoipa::path(put, path = "/v1/event-types/{id}/schema", tag = TAG, request_body = EventSchemaInput,
    params(("id" = String, Path, description = "An id or an older spelling of the catalogue", example = "clients.create")),
    responses((status = 200, body = EventSchema, description = "The schema as it is saved")))]
pub(super) async fn put_event_type_schema(
    State(state): State<ApiState>,
    Id(name): Id<EventTypeName>,
    QueryString(NoParams {}): QueryString<NoParams>,
    Body(input): Body<EventSchemaInput>,
) -> Result<Json<EventSchema>, Problem> {
    let id = known_type(&state, name).await?;
    let EventSchemaInput { schema, validate } = input;
    let text = schema.get().to_owned();
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(Problem::field("schema", format!("has {} bytes; a schema may have {SCHEMA_BYTES_MAX}", text.len())));
    }
    // Patterns take their time to compile.
    let (text, compiled) = tokio::task::spawn_blocking(move || {
        let compiled = CompiledSchema::new(&text);
        (text, compiled)
    })
    .await
    .map_err(|error| internal(&error))?;
    compiled.map_err(|reason| Problem::field("schema", reason))?;
    let saved = state.store.put_event_schema(&id, &text, validate.into(), Utc::now()).await?;
    state.schemas.refresh().await?;
    tracing::info!(events_id = id, validate = saved.validate.as_str(), "the schema of an event type was saved");
    Ok(Json(saved.try_into()?))
}

/// Removes the schema of an event type: its events are accepted whatever their data is.
#[utoipa::path(delete, path = "/v1/event-types/{id}/schema", tag = TAG,
    params(("id" = String, Path, description = "An id or an older spelling of the catalogue", example = "clients.create")),
    responses((status = 204, description = "It has none any more")))]
pub(super) async fn delete_event_type_schema(
    State(state): State<ApiState>,
    Id(name): Id<EventTypeName>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<StatusCode, Problem> {
    let id = known_type(&state, name).await?;
    if !state.store.remove_event_schema(&id).await? {
        return Err(Problem::not_found(format_args!("schema of event type '{id}'")));
    }
    state.schemas.refresh().await?;
    tracing::info!(events_id = id, "the schema of an event type was removed");
    Ok(StatusCode::NO_CONTENT)
}
