//! The table of executions.

use chrono::Utc;
use maud::{Markup, html};

use super::model::Execution;
use crate::components::cut::short;
use crate::components::uuid_id::ending;
use crate::components::{status, time};

/// How much of a text a row shows, in characters.
const NAME_MAX: usize = 80;
const OBJECT_MAX: usize = 60;
const ERROR_MAX: usize = 160;

/// The table.
pub(super) fn table(executions: &[Execution]) -> Markup {
    html! {
        table.rows.log #log {
            caption.unseen { "Executions, the newest first" }
            thead {
                tr {
                    th scope="col" { "ID" }
                    th scope="col" { "Date" }
                    th scope="col" { "Event" }
                    th scope="col" { "Status" }
                    th scope="col" { "Handler" }
                    th scope="col" { "Object" }
                    th.num scope="col" { "Attempt" }
                    th.num scope="col" { "Duration" }
                    th scope="col" { "Error" }
                }
            }
            tbody { (rows(executions)) }
        }
    }
}

/// Its rows.
pub(super) fn rows(executions: &[Execution]) -> Markup {
    html! { @for execution in executions { (row(execution)) } }
}

fn row(execution: &Execution) -> Markup {
    let Execution { id, handler_id, .. } = execution;
    html! {
        tr data-id=(id) {
            td.key { a.inline href=(execution.address()) title=(id) { code { (ending(*id)) } span.unseen { " Details" } } }
            td.date { (time::at(execution.started_at)) }
            td.event { a href={ "/console/events/" (execution.event_id) } { code { (execution.events_id) } } }
            td.status { (status::execution(&execution.status)) }
            td.name { a href={ "/console/provisioning/" (handler_id) } title={ "Handler " (handler_id) } { (short(&execution.handler_name, NAME_MAX)) } }
            td.object { code { (short(execution.object_id.get(), OBJECT_MAX)) } }
            td.num.attempt { (execution.attempt) }
            td.num.took { @if execution.status != "skipped" { (time::took(execution.duration_ms)) } }
            td.why {
                @if let Some(error) = &execution.error { (short(error, ERROR_MAX)) }
                @match execution.retry_at {
                    Some(at) if at > Utc::now() => { " " span.muted { "retry " (time::next(at)) } }
                    None if execution.status == "fail" => { " " span.muted { "not tried again" } }
                    _ => {}
                }
            }
        }
    }
}
