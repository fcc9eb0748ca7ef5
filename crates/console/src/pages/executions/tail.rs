//! The log as it grows: new rows by server-sent events, for as long as somebody looks at them.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use maud::{Markup, html};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::list::{PAGE, Rows, search_of};
use super::model::Execution;
use super::{PATH, table};
use crate::client::{ApiClient, Paged};
use crate::components::log_search::LogSearch;
use crate::components::query;
use crate::failure::Failure;
use crate::session::Session;
use crate::state::Console;

/// How many tails are open at once, over all browsers.
pub(crate) const TAILS_MAX: usize = 32;
/// How often the log is looked at for each.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one stays open: then the browser asks anew, and the session is looked at again.
const OPEN_MAX: Duration = Duration::from_secs(600);
/// How often a tail without news says that it is there.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Asks a proxy to pass on each event at once.
const NO_GATHERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a page shows of its tail; a script opens it.
pub(super) fn switch(search: &LogSearch, shown: &[Execution]) -> Markup {
    let after = shown.first().map(|newest| newest.id.to_string()).unwrap_or_default();
    html! {
        span.live-tail data-tail=(search.at(&format!("{PATH}/tail"), "")) data-after=(after) hidden {
            span.muted role="status" {}
            button.btn.quiet type="button" { "Pause" }
        }
    }
}

/// `GET /console/executions/tail`: events `rows` with the markup of new rows, the newest first, and `gap` before them where some that ran
/// in between are not among them.
pub(super) async fn tail(
    State(console): State<Console>,
    session: Session,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let search = search_of(raw.as_deref())?;
    if !search.is_filter() {
        return Err(Failure::bad_request("A search in texts or in the past is not followed live."));
    }
    let asked = search.asked(&console.api).await?;
    let asked = asked.map_err(|error| Failure::bad_request(format!("{}: {}", error.field, error.message)))?;
    let Ok(place) = console.tails.clone().try_acquire_owned() else {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, "Too many browsers follow the log already.").into_response());
    };
    let asked = asked.iter().map(|(name, value)| (*name, value.as_str())).chain([("limit", PAGE)]);
    let path = query::address("/v1/executions", asked);
    // What the page shows already, or what came last over a connection that broke.
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or_else(|| after(raw.as_deref()));
    let seen = after.and_then(|id| id.parse().ok()).into_iter().collect();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tail = Tail { api: console.api.clone(), path, seen, ticks, _place: place };
    let ends = console.stop.clone().cancelled_owned();
    let open = OPEN_MAX.min(session.left());
    let events = stream::unfold(tail, |mut tail| async { tail.next().await.map(|events| (events, tail)) });
    let events = events.flat_map(|events| stream::iter(events.into_iter().map(Ok::<_, Infallible>)));
    let events = Box::pin(events.take_until(ends).take_until(sleep(open)));
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE_EVERY));
    Ok(([(NO_GATHERING, "no")], stream).into_response())
}

fn after(raw: Option<&str>) -> Option<String> {
    let pairs: Vec<(String, String)> = crate::form::parse(raw?.as_bytes()).ok()?;
    pairs.into_iter().find(|(name, _)| name == "after").map(|(_, id)| id)
}

/// One that is open.
struct Tail {
    api: ApiClient,
    path: String,
    /// What the last look has shown: an execution that took long comes in below those that were faster.
    seen: HashSet<Uuid>,
    ticks: Interval,
    _place: OwnedSemaphorePermit,
}

impl Tail {
    /// Waits for news. `None` when the API does not answer: the browser comes back by itself.
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            self.ticks.tick().await;
            let page: Paged<Execution> = match self.api.get(&self.path).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be followed");
                    return None;
                }
            };
            let events = self.news(page.items, page.next_cursor.is_some());
            if !events.is_empty() {
                return Some(events);
            }
        }
    }

    /// What is new of a page; `has_more`: there is another one behind it.
    fn news(&mut self, page: Rows, has_more: bool) -> Vec<Event> {
        let ids: HashSet<_> = page.iter().map(|execution| execution.id).collect();
        let is_apart = has_more && !self.seen.is_empty() && self.seen.is_disjoint(&ids);
        let new: Vec<_> = page.into_iter().filter(|execution| !self.seen.contains(&execution.id)).collect();
        self.seen = ids;
        let Some(newest) = new.first() else { return Vec::new() };
        let rows = Event::default().event("rows").id(newest.id.to_string()).data(table::rows(&new).into_string());
        let gap = is_apart.then(|| Event::default().event("gap").data("more"));
        gap.into_iter().chain([rows]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::sync::Semaphore;

    use super::*;

    fn rows(numbers: &[u128]) -> Rows {
        let row = |number: &u128| {
            json!({
                "id": Uuid::from_u128(*number), "event_id": Uuid::nil(), "events_id": "clients.create", "object_id": 1, "handler_id": 7,
                "handler_name": "CRM", "priority": 1, "generation": 3, "attempt": 1, "status": "success",
                "started_at": "2026-03-04T11:02:33Z", "duration_ms": 18, "error": null, "response": null, "retry_at": null,
            })
        };
        numbers.iter().map(|number| serde_json::from_str(&row(number).to_string()).unwrap()).collect()
    }

    #[tokio::test]
    async fn news_are_told_once_and_a_gap_is_said() {
        let places = Arc::new(Semaphore::new(1));
        let mut tail = Tail {
            api: ApiClient::new(axum::Router::new(), "token").unwrap(),
            path: String::new(),
            seen: HashSet::from([Uuid::from_u128(3)]),
            ticks: interval(LOOK_EVERY),
            _place: Arc::clone(&places).try_acquire_owned().unwrap(),
        };
        assert_eq!(tail.news(rows(&[3, 2]), true).len(), 1, "2 was slower than 3 and is new");
        assert_eq!(tail.news(rows(&[3, 2]), true).len(), 0);
        assert_eq!(tail.news(rows(&[5, 3]), true).len(), 1);
        assert_eq!(tail.news(rows(&[9, 8]), true).len(), 2, "a gap and the rows");
        assert_eq!(tail.news(rows(&[11, 10]), false).len(), 1, "nothing is behind them, so nothing is left out");
        assert!(places.try_acquire().is_err());
        drop(tail);
        assert!(places.try_acquire().is_ok(), "the place is free again");
    }
}
