//! Task Scheduler: the services and their runs, the generations and the way back to one, dispatchers, and what is paused.

mod actions;
mod generation;
mod instances;
mod list;
mod model;
mod pauses;
mod services;
mod undo;

use axum::Router;
use axum::routing::{get, post};

use crate::state::Console;

/// Where the page is.
pub(crate) const PATH: &str = "/console/scheduler";

pub(crate) fn router() -> Router<Console> {
    Router::new()
        .route("/console/scheduler", get(list::page))
        .route("/console/scheduler/restart", post(actions::restart))
        .route("/console/scheduler/clean", post(actions::clean))
        .route("/console/scheduler/generations/{id}", get(generation::page))
        .route("/console/scheduler/generations/{id}/rollback", post(actions::roll_back))
        .route("/console/scheduler/pause", post(pauses::pause))
        .route("/console/scheduler/resume", post(pauses::resume))
}
