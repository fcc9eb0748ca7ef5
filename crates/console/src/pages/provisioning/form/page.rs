//! The page of one handler.

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::model::Handler;
use super::super::{PATH, actions, pending};
use super::chain::{self, Own};
use super::connection::Tried;
use super::input::Input;
use super::once;
use super::pause;
use super::sections::{self, Conflict};
use super::test_call::{self, Tested};
use crate::client::FieldError;
use crate::components::confirm::Confirm;
use crate::components::event_types::EventTypes;
use crate::components::field::Errors;
use crate::components::id::Id;
use crate::components::{status, time};
use crate::failure::Failure;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// What a page shows beside what is saved.
#[derive(Default)]
pub(super) struct Extras {
    /// What the API has refused.
    pub(super) errors: Errors,
    /// What it says that belongs to no field.
    pub(super) refused: Option<String>,
    /// Somebody else has saved the same handler.
    pub(super) conflict: Option<Conflict>,
    /// A signing secret that was just generated.
    pub(super) secret: Option<String>,
    /// What the filter said of an event.
    pub(super) tried: Option<Tried>,
    /// What came of a test call.
    pub(super) tested: Option<Tested>,
}

impl Extras {
    /// Whether the form shows what is typed and not saved: it comes back from something else than a save.
    pub(super) fn are_unsaved(&self, input: &Input) -> bool {
        !input.act.is_empty() || !self.errors.is_empty() || self.refused.is_some() || self.conflict.is_some()
    }
}

#[derive(Deserialize)]
pub(super) struct NewQuery {
    #[serde(default)]
    event: String,
}

/// `GET /console/provisioning/new`
pub(super) async fn new(
    State(console): State<Console>,
    Query(query): Query<NewQuery>,
    shell: Shell,
) -> Result<Response, Failure> {
    show(&console, shell, None, &Input::fresh(&query.event), Extras::default()).await
}

/// `GET /console/provisioning/{id}`
pub(super) async fn edit(
    State(console): State<Console>,
    Id(id): Id,
    headers: HeaderMap,
    shell: Shell,
) -> Result<Response, Failure> {
    let handler: Handler = console.api.get(&format!("/v1/handlers/{id}")).await?;
    let input = Input::of(&handler);
    let extras = Extras { secret: once::brought(&console.key, &headers, id), ..Extras::default() };
    let page = show(&console, shell, Some(&handler), &input, extras).await?;
    Ok(once::forgotten(&headers, id, page))
}

/// The page, of a new handler where nothing is `saved`, with the form as it was typed.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn show(
    console: &Console,
    shell: Shell,
    saved: Option<&Handler>,
    input: &Input,
    extras: Extras,
) -> Result<Response, Failure> {
    let event_types = EventTypes::read(&console.api).await?;
    let own = Own {
        id: saved.map(|handler| handler.id),
        event: input.event.clone(),
        name: input.name.clone(),
        priority: input.priority.clone(),
        status: input.status.clone(),
    };
    let drawn = chain::chain(&console.api, &own).await?;
    let test = match saved {
        Some(handler) => test_call::section(console, &shell, handler, extras.tested.as_ref(), extras.are_unsaved(input)).await?,
        None => html! { p.hint { "Save the handler first; then it can be called with a sample of its event, from here." } },
    };
    let title = saved.map_or("New Handler", |handler| handler.name.as_str());
    let content = html! {
        (head(&shell, saved, title))
        @if let Some(handler) = saved { (pause::notice(handler)) }
        @if let Some(handler) = saved { (pending::bar(&shell, &format!("{PATH}/{}", handler.id), false)) }
        @if let Some(secret) = &extras.secret { (once(secret)) }
        @if let (Some(handler), Some(conflict)) = (saved, &extras.conflict) { (conflict.shown(handler)) }
        (summary(&extras))
        div.formgrid {
            (sections::form(&shell, saved, input, &event_types, &extras))
            aside.beside {
                section.panel aria-labelledby="chain-title" {
                    div.cap { h2 #chain-title { "Its place in the chain" } }
                    div.in #chain aria-live="polite" { (drawn) }
                }
                section.panel.test #test aria-labelledby="test-title" {
                    div.cap { h2 #test-title { "Test" } }
                    div.in { (test) }
                }
                @if let Some(handler) = saved { (facts(handler)) }
            }
        }
    };
    Ok(shell.page(Section::Provisioning, title, &content))
}

fn head(shell: &Shell, saved: Option<&Handler>, title: &str) -> Markup {
    html! {
        div.head {
            div {
                div.crumb { a href=(PATH) { "Provisioning" } }
                h1 { (title) }
            }
            @if let Some(handler) = saved {
                (status::live(&handler.live))
                @if handler.status != "enabled" { (status::tag(status::Tone::Plain, &handler.status)) }
                @if handler.paused { (status::tag(status::Tone::Warn, "paused")) }
                span.grow {}
                a.btn href={ "/console/executions?handler_id=" (handler.id) } { "Execution Logs" }
                (pause::button(shell, handler))
                @if handler.status != "archived" { (archive(shell, handler)) }
                (delete(shell, handler))
            }
        }
    }
}

fn archive(shell: &Shell, handler: &Handler) -> Markup {
    let confirm = Confirm {
        opener: html! { "Archive" },
        label: "Archive this handler",
        about: None,
        question: html! { "Archive " b { (handler.name) } "? It leaves the list and the next generation, and can be brought back by its status." },
        action: &format!("{PATH}/{}/archive?version={}", handler.id, handler.version),
        fields: shell.csrf(),
        button: "Archive",
    };
    confirm.shown_as("btn")
}

fn delete(shell: &Shell, handler: &Handler) -> Markup {
    let confirm = Confirm {
        opener: html! { "Delete" },
        label: "Delete this handler",
        about: None,
        question: actions::deletion(handler),
        action: &format!("{PATH}/{}/delete?version={}", handler.id, handler.version),
        fields: html! { (shell.csrf()) },
        button: "Delete",
    };
    confirm.shown_as("btn")
}

fn once(secret: &str) -> Markup {
    html! {
        section.said.good role="status" {
            b { "The signing secret. It is shown now and never again: give it to the receiver." }
            "\n" code.secret #secret-once { (secret) } " "
            button.btn type="button" data-copy="secret-once" hidden { "Copy" }
        }
    }
}

fn facts(handler: &Handler) -> Markup {
    html! {
        section.panel aria-label="About it" {
            dl.facts {
                dt { "ID" } dd { (handler.id) }
                dt { "Version" } dd { (handler.version) }
                dt { "Saved" } dd { (time::at(handler.updated_at)) }
                dt { "Lane" } dd { code { (handler.lane) } }
                dt { "Signed" }
                dd {
                    @match handler.secrets_valid {
                        0 => { "no" }
                        1 => { "yes" }
                        valid => { "yes, " (valid) " secrets are valid while one takes the place of the other" }
                    }
                    @for key in &handler.public_keys { br; code { (key) } }
                }
            }
        }
    }
}

/// What is wrong, at the top, with a way to each field.
fn summary(extras: &Extras) -> Markup {
    if extras.errors.is_empty() && extras.refused.is_none() {
        return html! {};
    }
    html! {
        div.said.bad role="alert" tabindex="-1" id="errors" {
            b { "Nothing is saved yet." }
            @if let Some(refused) = &extras.refused { " " (refused) }
            @if !extras.errors.is_empty() {
                ul { @for FieldError { field, message } in extras.errors.all() {
                    li { a.inline href={ "#" (sections::place_of(field)) } { (sections::label_of(field)) } ": " (message) }
                } }
            }
        }
    }
}
