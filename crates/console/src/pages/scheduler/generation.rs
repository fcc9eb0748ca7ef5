//! One generation: what it changed, and what rolling back to it would.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::PATH;
use super::model::Generation;
use super::undo::undone;
use crate::client::{ApiClient, Paged};
use crate::components::changes::Changes;
use crate::components::confirm::Confirm;
use crate::components::id::Id;
use crate::components::{query, time};
use crate::failure::Failure;
use crate::layout::{Section, Shell, count};
use crate::state::Console;

/// How many generations are looked through for one, from the live one on.
const SEARCHED_MAX: usize = 2000;

/// `GET /console/scheduler/generations/{id}`
pub(super) async fn page(State(console): State<Console>, Id(number): Id, shell: Shell) -> Result<Response, Failure> {
    let found = found(&console.api, number).await?;
    let Some((generation, later)) = found.split_last() else {
        return Err(Failure::not_found(format!("Generation {number} is not kept.")));
    };
    let title = format!("Generation {number}");
    let content = html! {
        div.head {
            div { div.crumb { a href=(PATH) { "Task Scheduler" } } h1 { (title) } }
            span.grow {}
            @if let Some(live) = later.first() { (confirmed(generation, live, later, &shell)) }
        }
        @if later.is_empty() { div.said.good { "This generation is live." } }
        @if let Some(live) = later.first() { (rolling_back(generation, live, later)) }
        section.panel #differences {
            div.cap { h2 { "What it changed" } span.muted { (generation.changes.summary()) } }
            div.in { (differences(&generation.changes, "Nothing differs from the generation before.")) }
            dl.facts {
                dt { "Built" } dd { (time::at(generation.built_at)) ", took " (time::took(generation.took_ms)) }
                dt { "Cause" } dd { (generation.cause()) }
                dt { "Handlers" } dd { (generation.handlers) }
                dt { "Checksum" } dd { code { (generation.checksum) } }
            }
        }
    };
    Ok(shell.page(Section::Scheduler, &title, &content))
}

/// The generations from the live one to this one; none where it is not kept.
async fn found(api: &ApiClient, number: i64) -> Result<Vec<Generation>, Failure> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Paged<Generation> =
            api.get(&query::address("/v1/cache/generations", [("limit", "200"), ("cursor", cursor.as_str())])).await?;
        for generation in page.items {
            let here = generation.generation;
            if here < number {
                return Ok(Vec::new());
            }
            all.push(generation);
            if here == number {
                return Ok(all);
            }
        }
        match page.next_cursor {
            Some(next) if all.len() < SEARCHED_MAX => cursor = next,
            _ => return Ok(Vec::new()),
        }
    }
}

fn rolling_back(to: &Generation, live: &Generation, later: &[Generation]) -> Markup {
    let changes = undone(later.iter().map(|of| &of.changes));
    html! {
        section.panel #rollback {
            div.cap { h2 { "Rolling back to it would change" } span.muted { "live → then" } }
            div.in {
                @if to.checksum == live.checksum { p { "Nothing: generation " (live.generation) ", which is live, does the same." } }
                @else { (differences(&changes, "Nothing that is known.")) }
            }
        }
    }
}

fn differences(changes: &Changes, none: &str) -> Markup {
    html! { @if changes.len() == 0 { p.muted { (none) } } @else { (changes.listed()) } }
}

fn confirmed(to: &Generation, live: &Generation, later: &[Generation], shell: &Shell) -> Markup {
    let changes = undone(later.iter().map(|of| &of.changes));
    let question = html! {
        "Make a new generation with the " (count(to.handlers, "handler")) " of generation " (to.generation) "? Against generation "
        (live.generation) ", which is live: " b { (if to.checksum == live.checksum { "nothing changed".to_owned() } else { changes.summary() }) }
        ". Saved handlers stay as they are; the next restart makes them live again."
    };
    let fields = html! { (shell.csrf()) input type="hidden" name="live" value=(live.generation); };
    let action = format!("{}/rollback", to.address());
    Confirm {
        opener: html! { "Roll back" },
        label: "Roll back to this generation",
        about: None,
        question,
        action: &action,
        fields,
        button: "Roll back now",
    }
    .shown_as("btn")
}
