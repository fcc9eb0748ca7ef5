//! The names of handlers that are known by their ids.

use std::collections::HashMap;

use serde::Deserialize;

use crate::client::{ApiClient, Paged, Result};
use crate::components::query;

/// The most that are asked for at once.
pub(crate) const NAMES_MAX: usize = 200;

#[derive(Deserialize)]
struct Named {
    id: i64,
    name: String,
}

/// The names of these handlers, archived ones included; those that are deleted have none. No more than [`NAMES_MAX`] are looked for.
///
/// # Errors
/// What the API refuses with.
pub(crate) async fn of(api: &ApiClient, ids: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, String>> {
    let ids: Vec<_> = ids.into_iter().take(NAMES_MAX).map(|id| id.to_string()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let status = ["enabled", "disabled", "archived"].map(|status| ("status", status));
    let asked = ids.iter().map(|id| ("id", id.as_str())).chain(status).chain([("limit", "200")]);
    let found: Paged<Named> = api.get(&query::address("/v1/handlers", asked)).await?;
    Ok(found.items.into_iter().map(|handler| (handler.id, handler.name)).collect())
}
