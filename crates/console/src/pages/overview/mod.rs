//! Overview: what happened in the last hours, and what needs a look.

mod breakers;
mod handlers;
mod model;
mod page;
mod plot;
mod plots;
mod scale;

use axum::Router;
use axum::routing::get;

use crate::state::Console;

/// Where the page is.
pub(crate) const PATH: &str = "/console/";

pub(crate) fn router() -> Router<Console> {
    Router::new().route("/console/", get(page::page))
}
