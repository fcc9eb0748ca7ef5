//! The list of executions and its search.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};

use super::model::Execution;
use super::{PATH, table, tail};
use crate::client::{ApiClient, ApiError, Paged, Result};
use crate::components::event_types::EventTypes;
use crate::components::field::{Errors, Text, select};
use crate::components::log_search::LogSearch;
use crate::components::{empty, pager, query, search};
use crate::failure::Failure;
use crate::form;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How many executions are on a page: so many that their markup stays under 150 KB.
pub(super) const PAGE: &str = "50";

/// `GET /console/executions`
pub(super) async fn list(
    State(console): State<Console>,
    RawQuery(raw): RawQuery,
    shell: Shell,
) -> std::result::Result<Response, Failure> {
    let search: LogSearch = form::parse(raw.unwrap_or_default().as_bytes())?;
    let event_types = EventTypes::read(&console.api).await?;
    let (page, errors) = found(&console.api, "/v1/executions", PAGE, &search).await?;
    let is_live = search.is_filter() && errors.is_empty();
    let content = html! {
        div.head {
            h1 { "Execution Logs" }
            span.grow {}
            @if is_live { (tail::switch(&search, &page.items)) }
            a.btn href=(search.at(PATH, "")) { "Refresh" }
            (exports(&search, &errors))
        }
        section.panel {
            (search::advanced_search(search.is_any(), PATH, PATH, &fields(&search, &event_types, &errors)))
            @if page.items.is_empty() { (nothing(&search, &errors, page.next_cursor.as_deref())) } @else { (table::table(&page.items)) }
        }
        @if !page.items.is_empty() || page.next_cursor.is_none() {
            (pager::pager(search.cursor.is_empty(), &search.at(PATH, ""),
                page.next_cursor.as_ref().map(|next| search.at(PATH, next)).as_deref()))
        }
    };
    Ok(shell.page(Section::Executions, "Execution Logs", &content))
}

/// A page of what a search finds; what is wrong with the search stands in place of it.
///
/// # Errors
/// What the API refuses with, but for fields.
pub(crate) async fn found<T: serde::de::DeserializeOwned>(
    api: &ApiClient,
    path: &str,
    limit: &str,
    search: &LogSearch,
) -> Result<(Paged<T>, Errors)> {
    let refused = |errors| Ok((Paged { items: Vec::new(), next_cursor: None }, Errors::new(errors)));
    let asked = match search.asked(api).await? {
        Ok(asked) => asked,
        Err(error) => return refused(vec![error]),
    };
    let paging = [("limit", limit), ("cursor", search.cursor.as_str())];
    let path = query::address(path, asked.iter().map(|(name, value)| (*name, value.as_str())).chain(paging));
    match api.get(&path).await {
        Ok(page) => Ok((page, Errors::default())),
        Err(ApiError::Refused(problem)) if !problem.errors.is_empty() => refused(problem.errors),
        Err(error) => Err(error),
    }
}

const STATUSES: &[(&str, &str)] = &[("", "any"), ("success", "success"), ("fail", "fail"), ("skipped", "skipped")];

fn fields(search: &LogSearch, event_types: &EventTypes, errors: &Errors) -> Markup {
    html! {
        (select("status", "Status", search.status.trim(), STATUSES, errors.of("status").as_deref()))
        (search.fields(event_types, errors))
        (Text::new("event_id", "ID of one event", &search.event_id).placeholder("any").shown(errors.of("event_id").as_deref()))
        (LogSearch::other_errors(errors))
    }
}

fn exports(search: &LogSearch, errors: &Errors) -> Markup {
    let of = |name: &str| search.at(&format!("{PATH}/{name}"), "");
    html! {
        @if errors.is_empty() {
            details.menu data-closes {
                summary.btn { "Export" }
                div.pop {
                    p { "All that the search matches, the newest first, at most " (super::export::ROWS_MAX / 1000) ",000." }
                    a.btn href=(of("export.csv")) download { "CSV" }
                    a.btn href=(of("export.jsonl")) download { "JSON lines, with answers" }
                }
            }
        }
    }
}

fn nothing(search: &LogSearch, errors: &Errors, next: Option<&str>) -> Markup {
    if !errors.is_empty() {
        return empty::empty("This cannot be searched for", "See what is said beside the fields.", &html! {});
    }
    if let Some(next) = next {
        let what = "A text is searched for in 10,000 executions at a time, the newest first: those that the other fields leave. None of these has it.";
        let further = html! {
            a.btn.primary rel="next" href=(search.at(PATH, next)) { "Search further back" }
            @if !search.cursor.is_empty() { a.btn href=(search.at(PATH, "")) { "First page" } }
        };
        return empty::empty("Nothing found yet", what, &further);
    }
    if search.is_any() || !search.cursor.is_empty() {
        let all = html! { a.btn href=(PATH) { "Show all executions" } };
        return empty::empty("No execution matches", "Search for less, or look at all of them.", &all);
    }
    let what = "Every call of a handler is kept here: when it was, what was sent, what was answered and how long it took. Make a handler, \
                restart the Cache Manager, and publish an event of its type.";
    empty::empty("Nothing has run yet", what, &html! { a.btn href="/console/provisioning" { "To Provisioning" } })
}

/// The search alone, for what is not a page.
///
/// # Errors
/// When it cannot be read.
pub(super) fn search_of(raw: Option<&str>) -> std::result::Result<LogSearch, Failure> {
    form::parse(raw.unwrap_or_default().as_bytes())
}

/// The rows of the newest page, as the tail asks for them.
pub(super) type Rows = Vec<Execution>;
