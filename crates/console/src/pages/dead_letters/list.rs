//! The list of dead letters and its search.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{PATH, job};
use crate::client::Paged;
use crate::components::confirm::Confirm;
use crate::components::cut::short;
use crate::components::event_types::EventTypes;
use crate::components::field::Errors;
use crate::components::log_search::LogSearch;
use crate::components::uuid_id::ending;
use crate::components::{empty, pager, search, time};
use crate::failure::Failure;
use crate::form;
use crate::layout::{Section, Shell};
use crate::pages::executions::list::found;
use crate::state::Console;

/// How many dead letters are on a page: so many that their markup stays under 150 KB.
const PAGE: &str = "50";
/// How much of a text a row shows, in characters.
const NAME_MAX: usize = 80;
const OBJECT_MAX: usize = 60;
const ERROR_MAX: usize = 160;
/// The longest way back that the form carries, in bytes.
const BACK_MAX: usize = 2000;
/// The form that the boxes and buttons of all rows belong to.
const PICKED: &str = "picked";

/// A delivery that failed for good.
#[derive(Debug, Deserialize)]
struct DeadLetter {
    event_id: Uuid,
    events_id: String,
    /// As it was published.
    object_id: Box<RawValue>,
    handler_id: i64,
    handler_name: String,
    attempts: u32,
    error: Option<String>,
    dead_at: DateTime<Utc>,
}

/// `GET /console/dead-letters`
pub(super) async fn list(State(console): State<Console>, RawQuery(raw): RawQuery, shell: Shell) -> Result<Response, Failure> {
    let search: LogSearch = form::parse(raw.unwrap_or_default().as_bytes())?;
    // What only executions are searched by.
    let search = LogSearch { status: String::new(), event_id: String::new(), ..search };
    let event_types = EventTypes::read(&console.api).await?;
    let (page, errors): (Paged<DeadLetter>, _) = found(&console.api, "/v1/dead-letters", PAGE, &search).await?;
    let jobs = job::last(&console.api).await?;
    let content = html! {
        div.head {
            h1 { "Dead letters" }
            span.grow {}
            a.btn href=(search.at(PATH, "")) { "Refresh" }
            @if !page.items.is_empty() { (replay_all(&search, &shell)) }
        }
        section.panel {
            (search::advanced_search(search.is_any(), PATH, PATH, &fields(&search, &event_types, &errors)))
            @if page.items.is_empty() { (nothing(&search, &errors)) } @else { (table(&page.items, &shell)) }
        }
        (pager::pager(search.cursor.is_empty(), &search.at(PATH, ""),
            page.next_cursor.as_ref().map(|next| search.at(PATH, next)).as_deref()))
        (job::recent(&jobs))
    };
    Ok(shell.page(Section::DeadLetters, "Dead letters", &content))
}

fn fields(search: &LogSearch, event_types: &EventTypes, errors: &Errors) -> Markup {
    html! { (search.fields(event_types, errors)) (LogSearch::other_errors(errors)) }
}

fn replay_all(search: &LogSearch, shell: &Shell) -> Markup {
    let which = if search.is_any() { "all that the search matches" } else { "all of them" };
    let confirm = Confirm {
        opener: html! { "Replay all…" },
        label: "Replay all that match",
        about: None,
        question: html! {
            "Replay " b { (which) } ", on every page? Each goes to its handler once more, those of the oldest events first. \
            It can be cancelled; what is on its way again by then stays so."
        },
        action: &format!("{PATH}/replay-all"),
        fields: html! {
            (shell.csrf())
            @for (name, value) in search.pairs() { input type="hidden" name=(name) value=(value); }
        },
        button: "Replay all",
    };
    confirm.shown_as("btn")
}

fn table(letters: &[DeadLetter], shell: &Shell) -> Markup {
    let back = Some(shell.address()).filter(|address| address.len() <= BACK_MAX).unwrap_or(PATH);
    html! {
        form.bar id=(PICKED) method="post" action={ (PATH) "/replay" } {
            (shell.csrf())
            input type="hidden" name="back" value=(back);
            button.btn { "Replay selected" }
        }
        table.rows.dead {
            caption.unseen { "Dead letters, the newest first" }
            thead {
                tr {
                    th scope="col" { input type="checkbox" data-all aria-label="All on this page" hidden; }
                    th scope="col" { "Event" }
                    th scope="col" { "Dead since" }
                    th scope="col" { "Handler" }
                    th scope="col" { "Object" }
                    th.num scope="col" { "Attempts" }
                    th scope="col" { "Error" }
                    th scope="col" { span.unseen { "Replay" } }
                }
            }
            tbody { @for letter in letters { (row(letter)) } }
        }
    }
}

fn row(letter: &DeadLetter) -> Markup {
    let DeadLetter { event_id, handler_id, .. } = letter;
    let name = short(&letter.handler_name, NAME_MAX);
    let label = format!("{} for {name}", ending(*event_id));
    html! {
        tr {
            td.pick { input type="checkbox" name="pick" value={ (event_id) "/" (handler_id) } form=(PICKED) aria-label=(label); }
            td.event { a.inline href={ "/console/events/" (event_id) } title=(event_id) { code { (letter.events_id) } } }
            td.date { (time::at(letter.dead_at)) }
            td.name { a href={ "/console/executions?event_id=" (event_id) "&handler_id=" (handler_id) } title="Execution Logs" { (name) } }
            td.object { code { (short(letter.object_id.get(), OBJECT_MAX)) } }
            td.num.tries { (letter.attempts) }
            td.why { @if let Some(error) = &letter.error { (short(error, ERROR_MAX)) } }
            td.acts { button.btn name="one" value={ (event_id) "/" (handler_id) } form=(PICKED) aria-label={ "Replay " (label) } { "Replay" } }
        }
    }
}

fn nothing(search: &LogSearch, errors: &Errors) -> Markup {
    if !errors.is_empty() {
        return empty::empty("This cannot be searched for", "See what is said beside the fields.", &html! {});
    }
    if search.is_any() || !search.cursor.is_empty() {
        let all = html! { a.btn href=(PATH) { "Show all dead letters" } };
        return empty::empty("No dead letter matches", "Search for less, or look at all of them.", &all);
    }
    let what = "What a handler has not taken after all its attempts, or has refused for good, is kept here until it is replayed. \
                There is nothing to do.";
    empty::empty("No dead letters", what, &html! {})
}
