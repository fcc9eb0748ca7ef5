//! What is recorded, column by column.

use baton_domain::Execution;

use super::DeliveryRow;
use crate::error::Result;
use crate::sql::{Column, json, without_nul};

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
