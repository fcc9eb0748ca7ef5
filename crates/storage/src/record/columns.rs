//! What is recorded, column by column or row by row.

use std::borrow::Cow;

use baton_domain::Execution;
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgHasArrayType, PgTypeInfo};
use sqlx::{Postgres, Type};
use uuid::Uuid;

use super::DeliveryRow;
use crate::error::Result;
use crate::sql::{Column, json, stored, without_nul};

/// Deliveries, each with the place of its event.
pub(super) fn delivery_columns<'a>(rows: &[(&'a DeliveryRow, i64)]) -> Vec<Column<'a>> {
    let each = || rows.iter().map(|(row, _)| *row);
    vec![
        Column::ints(each().map(|r| r.seq.0)),
        Column::ints(each().map(|r| r.handler_id.0)),
        Column::uuids(each().map(|r| r.event_id.0)),
        Column::ints(rows.iter().map(|(_, event_seq)| *event_seq)),
        Column::texts(each().map(|r| r.events_id.as_str())),
        Column::texts(each().map(|r| r.object_id.as_json())),
        Column::texts(each().map(|r| r.object_id.text())),
        Column::texts(each().map(|r| r.handler_name.as_str())),
        Column::ints(each().map(|r| r.generation.0)),
        Column::texts(each().map(|r| r.state.as_str())),
        Column::ints(each().map(|r| i64::from(r.attempts))),
        Column::instants(each().map(|r| r.next_attempt_at)),
        Column::optional_texts(each().map(|r| r.last_error.as_deref().map(without_nul))),
        Column::instants(each().map(|r| r.updated_at)),
    ]
}

/// Calls.
pub(super) fn execution_columns(executions: &[Execution]) -> Result<Vec<Column<'_>>> {
    let each = || executions.iter();
    let responses: Vec<_> = each().map(|x| x.response.as_ref().map(json).transpose()).collect::<Result<_>>()?;
    Ok(vec![
        Column::uuids(each().map(|x| x.id.0)),
        Column::uuids(each().map(|x| x.event_id.0)),
        Column::ints(each().map(|x| x.seq.0)),
        Column::texts(each().map(|x| x.events_id.as_str())),
        Column::texts(each().map(|x| x.object_id.as_json())),
        Column::ints(each().map(|x| x.handler_id.0)),
        Column::texts(each().map(|x| x.handler_name.as_str())),
        Column::ints(each().map(|x| i64::from(x.priority))),
        Column::ints(each().map(|x| x.generation.0)),
        Column::ints(each().map(|x| i64::from(x.attempt))),
        Column::texts(each().map(|x| x.status.as_str())),
        Column::instants(each().map(|x| x.started_at)),
        Column::ints(each().map(|x| x.duration_ms)),
        Column::optional_texts(each().map(|x| x.error.as_deref().map(without_nul))),
        // JSON text escapes U+0000.
        Column::optional_texts(responses),
        Column::instants(each().map(|x| x.retry_at)),
    ])
}

/// A call, as a row of PostgreSQL's type of this name. A row at a time it costs PostgreSQL a fifth of what arrays of columns do, which it has
/// to put beside each other.
#[derive(Debug, Clone, sqlx::Encode)]
pub(crate) struct RecordedCall<'a> {
    id: Uuid,
    event_id: Uuid,
    seq: i64,
    events_id: &'a str,
    object_id: &'a str,
    handler_id: i64,
    handler_name: &'a str,
    priority: i64,
    generation: i64,
    attempt: i64,
    status: &'a str,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    error: Option<Cow<'a, str>>,
    response: Option<String>,
    retry_at: Option<DateTime<Utc>>,
}

impl Type<Postgres> for RecordedCall<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("recorded_call")
    }
}

impl PgHasArrayType for RecordedCall<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("recorded_call")
    }
}

impl<'a> RecordedCall<'a> {
    fn of(execution: &'a Execution) -> Result<Self> {
        Ok(Self {
            id: execution.id.0,
            event_id: execution.event_id.0,
            seq: execution.seq.0,
            events_id: &execution.events_id,
            object_id: execution.object_id.as_json(),
            handler_id: execution.handler_id.0,
            handler_name: &execution.handler_name,
            priority: execution.priority.into(),
            generation: execution.generation.0,
            attempt: execution.attempt.into(),
            status: execution.status.as_str(),
            started_at: stored(execution.started_at),
            duration_ms: execution.duration_ms,
            error: execution.error.as_deref().map(without_nul),
            // JSON text escapes U+0000.
            response: execution.response.as_ref().map(json).transpose()?,
            retry_at: execution.retry_at.map(stored),
        })
    }
}

/// Calls, row by row.
pub(super) fn recorded_calls(executions: &[Execution]) -> Result<Vec<RecordedCall<'_>>> {
    executions.iter().map(RecordedCall::of).collect()
}
