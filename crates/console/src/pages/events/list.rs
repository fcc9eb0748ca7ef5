//! The list of events and its search.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::PATH;
use super::model::Listed;
use crate::client::{ApiError, Paged};
use crate::components::cut::short;
use crate::components::event_types::EventTypes;
use crate::components::field::{Errors, Text, select};
use crate::components::uuid_id::ending;
use crate::components::{empty, instant, pager, query, search, status, time};
use crate::failure::Failure;
use crate::form;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How many events are on a page.
const PAGE: &str = "50";
/// How much of an object's id a row shows, in characters.
const OBJECT_MAX: usize = 80;

/// What is searched for, as it was typed.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Search {
    events_id: String,
    object_id: String,
    status: String,
    from: String,
    to: String,
    cursor: String,
}

impl Search {
    fn pairs(&self) -> [(&'static str, &str); 5] {
        let all = [
            ("events_id", &self.events_id),
            ("object_id", &self.object_id),
            ("status", &self.status),
            ("from", &self.from),
            ("to", &self.to),
        ];
        all.map(|(name, value)| (name, value.trim()))
    }

    fn is_any(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    fn at(&self, cursor: &str) -> String {
        query::address(PATH, self.pairs().into_iter().chain([("cursor", cursor)]))
    }

    /// The call of the API.
    fn call(&self) -> String {
        let (from, to) = (instant::for_api(&self.from), instant::for_api(&self.to));
        let asked = self.pairs().map(|(name, value)| match name {
            "from" => (name, from.as_str()),
            "to" => (name, to.as_str()),
            _ => (name, value),
        });
        query::address("/v1/events", asked.into_iter().chain([("limit", PAGE), ("cursor", &self.cursor)]))
    }
}

/// `GET /console/events`
pub(super) async fn list(State(console): State<Console>, RawQuery(raw): RawQuery, shell: Shell) -> Result<Response, Failure> {
    let search: Search = form::parse(raw.unwrap_or_default().as_bytes())?;
    let event_types = EventTypes::read(&console.api).await?;
    let (page, errors): (Paged<Listed>, _) = match console.api.get(&search.call()).await {
        Ok(page) => (page, Errors::default()),
        Err(ApiError::Refused(problem)) if !problem.errors.is_empty() => {
            (Paged { items: Vec::new(), next_cursor: None }, Errors::new(problem.errors))
        }
        Err(error) => return Err(error.into()),
    };
    let content = html! {
        div.head {
            h1 { "Events" }
            span.grow {}
            a.btn href=(search.at("")) { "Refresh" }
            a.btn href="/console/events/explain" { "Explain" }
        }
        section.panel {
            (search::advanced_search(search.is_any(), PATH, PATH, &fields(&search, &event_types, &errors)))
            @if page.items.is_empty() { (nothing(&search, &errors)) } @else { (table(&page.items)) }
        }
        (pager::pager(search.cursor.is_empty(), &search.at(""),
            page.next_cursor.as_ref().map(|next| search.at(next)).as_deref()))
    };
    Ok(shell.page(Section::Events, "Events", &content))
}

const STATUSES: &[(&str, &str)] = &[
    ("", "any"),
    ("pending", "pending"),
    ("retrying", "retrying"),
    ("delivered", "delivered"),
    ("failed", "failed"),
    ("unmatched", "unmatched"),
];

fn fields(search: &Search, event_types: &EventTypes, errors: &Errors) -> Markup {
    let of = |name: &str| errors.of(name);
    html! {
        (event_types.select("events_id", "Event", search.events_id.trim(), "any event", of("events_id").as_deref()))
        (Text::new("object_id", "Object", &search.object_id).placeholder("any").shown(of("object_id").as_deref()))
        (select("status", "Status", search.status.trim(), STATUSES, of("status").as_deref()))
        (instant::shown("from", "From", &search.from, of("from").as_deref()))
        (instant::shown("to", "To", &search.to, of("to").as_deref()))
        @for error in errors.beside(&["events_id", "object_id", "status", "from", "to"]) {
            p.error role="alert" { (error.field) " " (error.message) }
        }
    }
}

fn table(events: &[Listed]) -> Markup {
    html! {
        table.rows {
            caption.unseen { "Events, the newest first" }
            thead {
                tr {
                    th scope="col" { "ID" }
                    th scope="col" { "Received" }
                    th scope="col" { "Event" }
                    th scope="col" { "Object" }
                    th scope="col" { "Status" }
                    th.num scope="col" { "Generation" }
                    th.num scope="col" { "Took" }
                }
            }
            tbody { @for event in events { (row(event)) } }
        }
    }
}

fn row(event: &Listed) -> Markup {
    let Listed { id, ordering_key, .. } = event;
    html! {
        tr data-id=(id) {
            td.key { a.inline href={ (PATH) "/" (id) } title=(id) { code { (ending(*id)) } } }
            td.date { (time::at(event.received_at)) }
            td.event { a href={ (PATH) "/" (id) } { code { (event.events_id) } } }
            td.object title=(short(ordering_key, OBJECT_MAX)) { code { (short(event.object_id.get(), OBJECT_MAX)) } }
            td.status { (status::event(&event.status)) }
            td.num.generation { @if let Some(number) = event.generation { (number) } }
            td.num.took { @if let Some(at) = event.finished_at { (time::took((at - event.received_at).num_milliseconds())) } }
        }
    }
}

fn nothing(search: &Search, errors: &Errors) -> Markup {
    if !errors.is_empty() {
        return empty::empty("This cannot be searched for", "See what is said beside the fields.", &html! {});
    }
    if search.is_any() || !search.cursor.is_empty() {
        return empty::empty(
            "No event matches",
            "Search for less, or look at all of them.",
            &html! { a.btn href=(PATH) { "Show all events" } },
        );
    }
    let what = "The platform publishes events to the API, and each is kept here with what its handlers made of it. Before there is one, \
                Explain shows which handlers an event would reach.";
    empty::empty("No events yet", what, &html! { a.btn.primary href="/console/events/explain" { "Explain" } })
}
