//! What the programs `baton` and `baton-api` have in common: how they answer requests.

use std::sync::Arc;

use baton_api::{ApiParts, ApiState};
use baton_console::{ConsoleSettings, Router};
use baton_runtime::{metrics, ops};
use baton_storage::Store;
use tokio_util::sync::CancellationToken;

/// Everything that is served: the API, the console, and the endpoints of operation beside them. To be called within a runtime.
///
/// # Errors
/// When the metrics of this process are installed already.
pub fn front(parts: ApiParts, stop: CancellationToken) -> anyhow::Result<Router> {
    let settings = ConsoleSettings { admin_token: parts.admin_token.clone(), stop: stop.clone() };
    let beside = ops::router(metrics::install(stop)?, ready(parts.store.clone()));
    let api = baton_api::router_beside(ApiState::new(parts), beside);
    Ok(baton_console::router(api, &settings)?)
}

/// Ready while the database answers.
fn ready(store: Store) -> ops::Ready {
    Arc::new(move || {
        let store = store.clone();
        Box::pin(async move { store.ping().await.map_err(|error| error.to_string()) })
    })
}
