//! The form of one handler: new, edited, tested.

mod chain;
mod connection;
mod input;
mod once;
mod page;
mod pause;
mod preview;
mod save;
mod secrets;
mod sections;
mod test_call;

use axum::Router;
use axum::routing::{get, post};

use crate::state::Console;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/console/provisioning/new", get(page::new).post(save::create))
        .route("/console/provisioning/chain", get(chain::fragment))
        .route("/console/provisioning/retry", get(preview::fragment))
        .route("/console/provisioning/{id}", get(page::edit).post(save::update))
        .route("/console/provisioning/{id}/archive", post(save::archive))
        .route("/console/provisioning/{id}/pause", post(pause::pause))
        .route("/console/provisioning/{id}/resume", post(pause::resume))
        .route("/console/provisioning/{id}/test", get(test_call::leave).post(test_call::test))
}
