//! The shapes of what differs between two generations.

use baton_domain::Changes as Found;
use baton_domain::generation::{FieldChange as FoundField, HandlerChange as FoundHandler, HandlerName as FoundName};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What differs, each list by id.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// Handlers that were not there.
    added: Vec<HandlerName>,
    /// Handlers that are no longer there.
    removed: Vec<HandlerName>,
    /// Handlers that differ.
    changed: Vec<HandlerChange>,
}

/// A handler by its id and name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandlerName {
    id: i64,
    name: String,
}

/// A handler that differs, field by field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandlerChange {
    id: i64,
    /// As it is saved.
    name: String,
    fields: Vec<FieldChange>,
}

/// A field that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldChange {
    #[schema(example = "priority")]
    field: String,
    /// What is live. Secrets and header values are not shown.
    #[schema(value_type = Value, example = 100)]
    live: Value,
    /// What is saved.
    #[schema(value_type = Value, example = 5)]
    saved: Value,
}

impl From<Found> for Changes {
    fn from(found: Found) -> Self {
        Self {
            added: found.added.into_iter().map(Into::into).collect(),
            removed: found.removed.into_iter().map(Into::into).collect(),
            changed: found.changed.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<FoundName> for HandlerName {
    fn from(FoundName { id, name }: FoundName) -> Self {
        Self { id: id.0, name }
    }
}

impl From<FoundHandler> for HandlerChange {
    fn from(FoundHandler { id, name, fields }: FoundHandler) -> Self {
        let field = |FoundField { field, live, saved }: FoundField| FieldChange { field, live, saved };
        Self { id: id.0, name, fields: fields.into_iter().map(field).collect() }
    }
}
