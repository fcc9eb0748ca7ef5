//! The page: services, what is paused, generations, dispatchers and Cache Managers.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::model::{Generation, Service};
use super::pauses::{self, Pause};
use super::{PATH, instances, services};
use crate::client::Paged;
use crate::components::event_types::EventTypes;
use crate::components::{empty, pager, query, status, time};
use crate::failure::Failure;
use crate::form;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How many generations are on a page.
const PAGE: &str = "10";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    cursor: String,
}

/// `GET /console/scheduler`
pub(super) async fn page(State(console): State<Console>, RawQuery(raw): RawQuery, shell: Shell) -> Result<Response, Failure> {
    let Place { cursor } = form::parse(raw.unwrap_or_default().as_bytes())?;
    let api = &console.api;
    let services: Paged<Service> = api.get("/v1/services").await?;
    let path = query::address("/v1/cache/generations", [("limit", PAGE), ("cursor", cursor.as_str())]);
    let generations: Paged<Generation> = api.get(&path).await?;
    let paused: Paged<Pause> = api.get("/v1/pauses").await?;
    let names = pauses::names(api, &paused.items).await?;
    let event_types = EventTypes::read(api).await?;
    let content = html! {
        div.head {
            h1 { "Task Scheduler" }
            span.grow {}
            a.btn href=(PATH) { "Refresh" }
        }
        (services::panel(&services.items, &shell))
        (pauses::panel(&paused.items, &names, &event_types, &shell))
        (listed(&generations.items, shell.cache.generation))
        (pager::pager(cursor.is_empty(), PATH,
            generations.next_cursor.as_ref().map(|next| query::address(PATH, [("cursor", next.as_str())])).as_deref()))
        @for service in &services.items {
            @if service.name == "dispatcher" || service.name == "cache-manager" { (instances::panel(service)) }
        }
    };
    Ok(shell.page(Section::Scheduler, "Task Scheduler", &content))
}

fn listed(generations: &[Generation], live: Option<i64>) -> Markup {
    html! {
        section.panel #generations aria-labelledby="generations-title" {
            div.cap { h2 #generations-title { "Generations" } span.muted { "what handlers ran as, and the way back" } }
            @if generations.is_empty() {
                (empty::empty("No generation yet", "The first start of a Cache Manager builds one. Restart it to build the next.", &html! {}))
            } @else {
                div.across tabindex="0" {
                    table.sheet {
                        caption.unseen { "Generations, the newest first" }
                        thead {
                            tr {
                                th scope="col" { "Number" }
                                th scope="col" { "Built at" }
                                th scope="col" { "Cause" }
                                th.num scope="col" { "Handlers" }
                                th scope="col" { "Changes" }
                                th.num scope="col" { "Took" }
                                th scope="col" { span.unseen { "Differences and roll back" } }
                            }
                        }
                        tbody { @for generation in generations { (row(generation, live)) } }
                    }
                }
            }
        }
    }
}

fn row(generation: &Generation, live: Option<i64>) -> Markup {
    let is_live = live == Some(generation.generation);
    let number = generation.generation;
    html! {
        tr id={ "g" (number) } {
            td.key { a.inline href=(generation.address()) { (number) } @if is_live { " " (status::tag(status::Tone::Good, "live")) } }
            td.date data-label="Built at" { (time::at(generation.built_at)) }
            td data-label="Cause" { (generation.cause()) }
            td.num data-label="Handlers" { (generation.handlers) }
            td data-label="Changes" { (generation.changes.summary()) }
            td.num.took data-label="Took" { (time::took(generation.took_ms)) }
            td.acts {
                a.btn href=(generation.address()) aria-label={ (if is_live { "Differences of" } else { "Roll back to" }) " generation " (number) } {
                    (if is_live { "Differences" } else { "Roll back" })
                }
            }
        }
    }
}
