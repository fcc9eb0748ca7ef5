//! The page of one event.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::model::Event;
use super::waits::Around;
use super::{PATH, chain, replay};
use crate::components::cut::{self, short};
use crate::components::uuid_id::UuidId;
use crate::components::{status, time};
use crate::failure::Failure;
use crate::layout::{Section, Shell};
use crate::pages::executions::download::file;
use crate::pages::executions::model::Execution;
use crate::state::Console;

/// How many attempts the page lists, the last ones.
const ATTEMPTS_MAX: usize = 30;
/// How much of a text is shown, in characters.
const NAME_MAX: usize = 80;
const ERROR_MAX: usize = 160;

/// `GET /console/events/{id}`
pub(super) async fn page(State(console): State<Console>, UuidId(id): UuidId, shell: Shell) -> Result<Response, Failure> {
    let event: Event = console.api.get(&format!("/v1/events/{id}")).await?;
    let around = if event.is_open() { Around::of(&console.api, &shell).await? } else { Around::default() };
    let title = format!("{} · {}", event.events_id, event.object());
    let content = html! {
        div.head {
            div { div.crumb { a href=(PATH) { "Events" } } h1 { (title) } }
            span.grow {}
            (status::event(&event.status))
            @if event.is_open() { a.btn href={ (PATH) "/" (event.id) } { "Refresh" } }
            (replay::ask(&event, &shell))
        }
        (chain::chain(&event, &around))
        div.split {
            (attempts(&event))
            div {
                section.panel aria-labelledby="data-title" {
                    div.cap { h2 #data-title { "Data" } }
                    div.in { (cut::boxed(event.data.get(), Some(&format!("{PATH}/{id}/data")))) }
                }
                section.panel aria-labelledby="facts-title" {
                    div.cap { h2 #facts-title { "Facts" } }
                    (facts(&event))
                }
            }
        }
    };
    Ok(shell.page(Section::Events, &title, &content))
}

/// `GET /console/events/{id}/data`: the data as a file, masked as on the page.
pub(super) async fn data(State(console): State<Console>, UuidId(id): UuidId) -> Result<Response, Failure> {
    let event: Event = console.api.get(&format!("/v1/events/{id}")).await?;
    Ok(file(&format!("data-{id}.txt"), event.data.get().to_owned()))
}

fn facts(event: &Event) -> Markup {
    html! {
        dl.facts {
            dt { "Event" } dd { code { (event.events_id) } }
            dt { "Object" } dd { code { (short(event.object_id.get(), 200)) } }
            dt { "Ordering key" } dd { code { (short(&event.ordering_key, 300)) } }
            dt { "dt" } dd { code { (event.dt) } }
            dt { "Received" } dd { (time::at(event.received_at)) }
            dt { "Finished" } dd { @match event.finished_at { Some(at) => { (time::at(at)) } None => { "not yet" } } }
            dt { "ID" } dd { code { (event.id) } }
        }
    }
}

fn attempts(event: &Event) -> Markup {
    let all = &event.executions;
    let shown = all.iter().rev().take(ATTEMPTS_MAX);
    html! {
        section.panel aria-labelledby="attempts-title" {
            div.cap {
                h2 #attempts-title { "Attempts" }
                a.inline href={ "/console/executions?event_id=" (event.id) } { "In the Execution Logs" }
            }
            @if all.is_empty() {
                div.in { p.muted { "Nothing was called yet." } }
            } @else {
                table.rows {
                    caption.unseen { "Attempts, the newest first" }
                    thead {
                        tr {
                            th scope="col" { "Date" }
                            th scope="col" { "Status" }
                            th scope="col" { "Handler" }
                            th.num scope="col" { "Attempt" }
                            th.num scope="col" { "Duration" }
                            th scope="col" { "Error" }
                        }
                    }
                    tbody { @for execution in shown { (attempt(execution)) } }
                }
                @if all.len() > ATTEMPTS_MAX { div.in { p.muted { "The last " (ATTEMPTS_MAX) " of " (all.len()) @if all.len() >= 1000 { " or more" } "." } } }
            }
        }
    }
}

fn attempt(execution: &Execution) -> Markup {
    html! {
        tr {
            td.date { a.inline href=(execution.address()) { (time::at(execution.started_at)) } }
            td.status { (status::execution(&execution.status)) }
            td.name { (short(&execution.handler_name, NAME_MAX)) }
            td.num.attempt { (execution.attempt) }
            td.num.took { @if execution.status != "skipped" { (time::took(execution.duration_ms)) } }
            td.why { @if let Some(error) = &execution.error { (short(error, ERROR_MAX)) } }
        }
    }
}
