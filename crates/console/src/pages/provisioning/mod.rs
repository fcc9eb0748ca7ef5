//! Provisioning: what is configured, and what of it is live.

mod actions;
mod form;
mod last_runs;
mod list;
mod model;
mod order;
mod pending;
mod table;

use axum::Router;
use axum::routing::{get, post};

use crate::state::Console;

/// Where the list is.
pub(crate) const PATH: &str = "/console/provisioning";

pub(crate) fn router() -> Router<Console> {
    form::router()
        .route("/console/provisioning", get(list::list))
        .route("/console/provisioning/restart", post(pending::restart))
        .route("/console/provisioning/{id}/toggle", post(actions::toggle))
        .route("/console/provisioning/{id}/priority", post(actions::set_priority))
        .route("/console/provisioning/{id}/move", post(actions::move_to))
        .route("/console/provisioning/{id}/delete", post(actions::delete))
}
