//! Circuit breakers that are open: handlers whose deliveries are held because they keep failing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use crate::client::{ApiClient, ApiError, Paged};
use crate::components::cut::short;
use crate::components::time;

/// How many are shown by name.
const SHOWN: usize = 8;
/// How much of a name a row shows, in characters.
const NAME_MAX: usize = 80;

/// A service of `GET /v1/services`, as far as its breakers go.
#[derive(Deserialize)]
struct Service {
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    alive: bool,
    breakers: Vec<Breaker>,
}

#[derive(Deserialize)]
struct Breaker {
    handler_id: i64,
    since: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// A handler with an open breaker, since the first dispatcher opened it.
pub(super) struct Open {
    handler_id: i64,
    name: String,
    since: DateTime<Utc>,
}

/// The open breakers, the oldest first, and how many there are beyond those.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn read(api: &ApiClient) -> Result<(Vec<Open>, usize), ApiError> {
    let services: Paged<Service> = api.get("/v1/services").await?;
    let alive = services.items.into_iter().flat_map(|service| service.instances).filter(|instance| instance.alive);
    let mut since = BTreeMap::new();
    for Breaker { handler_id, since: opened } in alive.flat_map(|instance| instance.breakers) {
        let first = since.entry(handler_id).or_insert(opened);
        *first = opened.min(*first);
    }
    let mut all: Vec<_> = since.into_iter().collect();
    all.sort_by_key(|(_, since)| *since);
    let more = all.len().saturating_sub(SHOWN);
    let mut open = Vec::new();
    for (handler_id, since) in all.into_iter().take(SHOWN) {
        // It may have been deleted, and be live still.
        let named = api.get::<Named>(&format!("/v1/handlers/{handler_id}")).await;
        let name = named.map_or_else(|_| format!("handler {handler_id}"), |named| named.name);
        open.push(Open { handler_id, name, since });
    }
    Ok((open, more))
}

/// Says which they are; nothing where there is none.
pub(super) fn panel(open: &[Open], more: usize) -> Markup {
    html! {
        @if !open.is_empty() {
            div.said.bad #breakers role="status" {
                b { "Handlers that keep failing are held, and one probe at a time goes out." }
                ul.changes {
                    @for one in open {
                        li {
                            a.inline href={ "/console/executions?handler_id=" (one.handler_id) } { (short(&one.name, NAME_MAX)) }
                            " since " (time::at(one.since))
                        }
                    }
                    @if more > 0 { li { "and " (more) " more" } }
                }
            }
        }
    }
}
