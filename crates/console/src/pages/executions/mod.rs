//! Execution Logs: every call of every handler, what was sent and what was answered.

mod csv;
mod details;
pub(crate) mod download;
mod export;
pub(crate) mod list;
pub(crate) mod model;
mod table;
mod tail;

pub(crate) use self::tail::TAILS_MAX;

use axum::Router;
use axum::routing::get;

use crate::state::Console;

/// Where the list is.
pub(crate) const PATH: &str = "/console/executions";

pub(crate) fn router() -> Router<Console> {
    Router::new()
        .route("/console/executions", get(list::list))
        .route("/console/executions/tail", get(tail::tail))
        .route("/console/executions/export.csv", get(export::csv))
        .route("/console/executions/export.jsonl", get(export::json_lines))
        .route("/console/executions/{id}", get(details::details))
        .route("/console/executions/{id}/{part}", get(download::download))
}
