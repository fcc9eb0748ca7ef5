//! The list of handlers and its search.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::model::Handler;
use super::{PATH, pending, table};
use crate::client::{ApiError, Paged};
use crate::components::event_types::EventTypes;
use crate::components::field::{Errors, Text, select};
use crate::components::{empty, pager, query, search};
use crate::failure::Failure;
use crate::form;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How many handlers are on a page: so many that their markup stays under 150 KB.
const PAGE: &str = "40";

/// What is searched for, as it was typed.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    q: String,
    event: String,
    task_type: String,
    status: String,
    priority: String,
    cursor: String,
}

impl Search {
    fn pairs(&self) -> [(&str, &str); 5] {
        let of = [("q", &self.q), ("event", &self.event), ("task_type", &self.task_type), ("status", &self.status)];
        let [q, event, task_type, status] = of.map(|(name, value)| (name, value.trim()));
        [q, event, task_type, status, ("priority", self.priority.trim())]
    }

    /// Whether anything is searched for.
    fn is_any(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    fn at(&self, path: &str, cursor: &str, more: &[(&str, &str)]) -> String {
        query::address(path, self.pairs().into_iter().chain([("cursor", cursor)]).chain(more.iter().copied()))
    }
}

/// `GET /console/provisioning`
pub(super) async fn list(State(console): State<Console>, RawQuery(raw): RawQuery, shell: Shell) -> Result<Response, Failure> {
    let search: Search = form::parse(raw.unwrap_or_default().as_bytes())?;
    let api = &console.api;
    let event_types = EventTypes::read(api).await?;
    let path = search.at("/v1/handlers", &search.cursor, &[("order", "chain"), ("with", "last_execution"), ("limit", PAGE)]);
    let (page, errors) = match api.get::<Paged<Handler>>(&path).await {
        Ok(page) => (page, Errors::default()),
        Err(error) if !error.fields().is_empty() => (Paged { items: Vec::new(), next_cursor: None }, refused(&error)),
        Err(error) => return Err(error.into()),
    };
    let content = html! {
        div.head {
            h1 { "Provisioning" }
            span.grow {}
            a.btn.primary href="/console/provisioning/new" { "New Handler" }
        }
        (pending::bar(&shell, shell.address(), true))
        section.panel {
            (search::advanced_search(search.is_any(), PATH, PATH, &fields(&search, &event_types, &errors)))
            @if page.items.is_empty() {
                (nothing(&search, &errors))
            } @else {
                (table::table(&page.items, &event_types, &shell))
            }
        }
        (pager::pager(search.cursor.is_empty(), &search.at(PATH, "", &[]),
            page.next_cursor.as_ref().map(|next| search.at(PATH, next, &[])).as_deref()))
    };
    Ok(shell.page(Section::Provisioning, "Provisioning", &content))
}

fn refused(error: &ApiError) -> Errors {
    Errors::new(error.fields().to_vec())
}

const TASKS: &[(&str, &str)] = &[("", "any"), ("http", "HTTP"), ("script", "script")];
const STATUSES: &[(&str, &str)] =
    &[("", "not archived"), ("enabled", "enabled"), ("disabled", "disabled"), ("archived", "archived")];

fn fields(search: &Search, event_types: &EventTypes, errors: &Errors) -> Markup {
    html! {
        (Text { kind: "search", ..Text::new("q", "Name", &search.q).placeholder("any") }.shown(errors.of("q").as_deref()))
        (event_types.select("event", "Event", search.event.trim(), "any event", errors.of("event").as_deref()))
        (select("task_type", "Task", search.task_type.trim(), TASKS, errors.of("task_type").as_deref()))
        (select("status", "Status", search.status.trim(), STATUSES, errors.of("status").as_deref()))
        (Text::new("priority", "Priority", &search.priority).placeholder("any").numeric().shown(errors.of("priority").as_deref()))
        @for error in errors.beside(&["q", "event", "task_type", "status", "priority"]) {
            p.error role="alert" { (error.field) " " (error.message) }
        }
    }
}

fn nothing(search: &Search, errors: &Errors) -> Markup {
    if !errors.is_empty() {
        return empty::empty("This cannot be searched for", "See what is said beside the fields.", &html! {});
    }
    if search.is_any() || !search.cursor.is_empty() {
        let all = html! { a.btn href=(PATH) { "Show all handlers" } };
        return empty::empty(
            "No handler matches",
            "Search for less, or look at all of them. Archived handlers are found by their status.",
            &all,
        );
    }
    let first = html! { a.btn.primary href="/console/provisioning/new" { "New Handler" } };
    let what = "A handler says what is called when something happens: an HTTP endpoint or a script, for one event of the catalogue. \
                Make the first one, test it from its form, then restart the Cache Manager: from then on it runs.";
    empty::empty("No handlers yet", what, &first)
}
