//! Events: what was published, what became of it, and what would become of what is not published yet.

mod chain;
mod explain;
mod list;
mod model;
mod page;
mod replay;
mod timeline;
mod waits;

use axum::Router;
use axum::routing::{get, post};

use crate::state::Console;

/// Where the list is.
pub(crate) const PATH: &str = "/console/events";

pub(crate) fn router() -> Router<Console> {
    Router::new()
        .route("/console/events", get(list::list))
        .route("/console/events/explain", get(explain::ask).post(explain::explain))
        .route("/console/events/{id}", get(page::page))
        .route("/console/events/{id}/data", get(page::data))
        .route("/console/events/{id}/replay", post(replay::replay))
}
