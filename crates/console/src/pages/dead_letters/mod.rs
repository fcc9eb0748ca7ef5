//! Dead letters: what failed for good, and its way back.

mod job;
mod list;
mod replay;

use axum::Router;
use axum::routing::{get, post};

use crate::state::Console;

/// Where the list is.
pub(crate) const PATH: &str = "/console/dead-letters";

pub(crate) fn router() -> Router<Console> {
    Router::new()
        .route("/console/dead-letters", get(list::list))
        .route("/console/dead-letters/replay", post(replay::some))
        .route("/console/dead-letters/replay-all", post(replay::all))
        .route("/console/dead-letters/jobs/{id}", get(job::page))
        .route("/console/dead-letters/jobs/{id}/progress", get(job::progress))
        .route("/console/dead-letters/jobs/{id}/cancel", post(job::cancel))
}
