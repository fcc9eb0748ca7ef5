//! Pausing one handler, and resuming it.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::model::Handler;
use super::super::{PATH, actions};
use crate::client::{ApiClient, ApiError};
use crate::components::confirm::Confirm;
use crate::components::id::Id;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

/// The button that pauses, or the one that resumes.
pub(super) fn button(shell: &Shell, handler: &Handler) -> Markup {
    if handler.paused {
        return html! {
            form method="post" action={ (PATH) "/" (handler.id) "/resume" } {
                (shell.csrf())
                button.btn title="Its calls go on, and those that were held drain in their order" { "Resume" }
            }
        };
    }
    let confirm = Confirm {
        opener: html! { "Pause" },
        label: "Pause this handler",
        about: None,
        question: html! {
            "Pause " b { (handler.name) } "? Its calls are held in order from now on, without a restart, and drain when it is resumed. "
            "Other handlers go on."
        },
        action: &format!("{PATH}/{}/pause", handler.id),
        fields: shell.csrf(),
        button: "Pause now",
    };
    confirm.shown_as("btn")
}

/// What it means that the handler is paused, above its form.
pub(super) fn notice(handler: &Handler) -> Markup {
    if !handler.paused {
        return html! {};
    }
    html! { p.said.warn { b { "This handler is paused." } " Its calls are held in order and drain when it is resumed." } }
}

#[derive(Deserialize)]
struct Change {
    changed: bool,
}

/// `POST /console/provisioning/{id}/pause`
pub(super) async fn pause(State(console): State<Console>, Id(id): Id, Form(_): Form<actions::Back>) -> Response {
    let texts = ("is paused: its calls are held in order and drain when it is resumed.", "was paused already.");
    answered(&console, id, "pause", texts).await
}

/// `POST /console/provisioning/{id}/resume`
pub(super) async fn resume(State(console): State<Console>, Id(id): Id, Form(_): Form<actions::Back>) -> Response {
    answered(&console, id, "resume", ("goes on: what was held drains in its order.", "was not paused.")).await
}

async fn answered(console: &Console, id: i64, verb: &str, texts: (&str, &str)) -> Response {
    let flash = changed(&console.api, id, verb, texts).await.unwrap_or_else(|error| Flash::bad(error.to_string()));
    flash.and_go(&console.key, &format!("{PATH}/{id}"))
}

async fn changed(api: &ApiClient, id: i64, verb: &str, (new, old): (&str, &str)) -> Result<Flash, ApiError> {
    let path = format!("/v1/handlers/{id}");
    let handler: Handler = api.get(&path).await?;
    let done: Change = api.order(&format!("{path}/{verb}"), None).await?;
    Ok(Flash::good(format!("{} {}", handler.name, if done.changed { new } else { old })))
}
