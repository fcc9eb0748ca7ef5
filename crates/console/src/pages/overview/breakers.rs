//! Circuit breakers that are open: handlers whose deliveries are held because they keep failing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use crate::client::ApiClient;
use crate::components::cut::short;
use crate::components::time;

/// How many are shown by name.
const SHOWN: usize = 8;
/// How much of a name a row shows, in characters.
const NAME_MAX: usize = 80;

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

/// The open breakers with the names of their handlers, the oldest first, and how many there are beyond those.
pub(super) async fn named(api: &ApiClient, since: &BTreeMap<i64, DateTime<Utc>>) -> (Vec<Open>, usize) {
    let mut all: Vec<_> = since.iter().map(|(handler, since)| (*handler, *since)).collect();
    all.sort_by_key(|(_, since)| *since);
    let more = all.len().saturating_sub(SHOWN);
    let mut open = Vec::new();
    for (handler_id, since) in all.into_iter().take(SHOWN) {
        // It may have been deleted, and be live still.
        let named = api.get::<Named>(&format!("/v1/handlers/{handler_id}")).await;
        let name = named.map_or_else(|_| format!("handler {handler_id}"), |named| named.name);
        open.push(Open { handler_id, name, since });
    }
    (open, more)
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
