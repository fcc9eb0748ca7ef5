//! Circuit breakers that are open: handlers whose deliveries are held because they keep failing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use crate::client::{ApiClient, Result};
use crate::components::cut::short;
use crate::components::{handler_names, time};

/// How many are shown by name.
const SHOWN: usize = 8;
/// How much of a name a row shows, in characters.
const NAME_MAX: usize = 80;

/// A handler with an open breaker, since the first dispatcher opened it.
pub(super) struct Open {
    handler_id: i64,
    name: String,
    since: DateTime<Utc>,
}

/// The open breakers with the names of their handlers, the oldest first, and how many there are beyond those.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn named(api: &ApiClient, since: &BTreeMap<i64, DateTime<Utc>>) -> Result<(Vec<Open>, usize)> {
    let mut all: Vec<_> = since.iter().map(|(handler, since)| (*handler, *since)).collect();
    all.sort_by_key(|(_, since)| *since);
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let mut names = handler_names::of(api, all.iter().map(|(handler, _)| *handler)).await?;
    let open = all.into_iter().map(|(handler_id, since)| {
        // It may have been deleted, and be live still.
        let name = names.remove(&handler_id).unwrap_or_else(|| format!("handler {handler_id}"));
        Open { handler_id, name, since }
    });
    Ok((open.collect(), more))
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
