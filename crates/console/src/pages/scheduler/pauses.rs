//! What is paused, and the forms that pause and resume.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::PATH;
use crate::client::{ApiClient, Result};
use crate::components::confirm::Confirm;
use crate::components::cut::short;
use crate::components::event_types::EventTypes;
use crate::components::{handler_names, time};
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

/// The most pauses that are listed; the others are counted.
const LISTED_MAX: usize = 100;
/// How much of a name a row shows, in characters.
const NAME_MAX: usize = 80;

/// A pause of `GET /v1/pauses`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pause {
    scope: String,
    /// A handler's number or an event type's name; nothing where everything is paused.
    #[serde(default)]
    id: Value,
    paused_at: DateTime<Utc>,
}

impl Pause {
    fn handler(&self) -> Option<i64> {
        self.id.as_i64()
    }

    fn id(&self) -> String {
        self.id.as_str().map_or_else(|| self.id.as_i64().map(|id| id.to_string()).unwrap_or_default(), str::to_owned)
    }
}

/// The names of the handlers that are listed as paused.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn names(api: &ApiClient, pauses: &[Pause]) -> Result<HashMap<i64, String>> {
    handler_names::of(api, pauses.iter().take(LISTED_MAX).filter_map(Pause::handler)).await
}

/// What a form is about.
#[derive(Debug, Deserialize)]
pub(super) struct Scope {
    #[serde(default)]
    scope: String,
    #[serde(default)]
    id: String,
}

impl Scope {
    /// The path of the API's call, and what it is about in words.
    fn call(&self, verb: &str) -> std::result::Result<(String, String), &'static str> {
        let id = self.id.trim();
        let is_name = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        match self.scope.as_str() {
            "everything" => Ok((format!("/v1/{verb}"), "Everything".into())),
            "event_type" if is_name => Ok((format!("/v1/event-types/{id}/{verb}"), format!("The event {id}"))),
            "event_type" => Err("Choose the event that is to be paused."),
            "handler" if id.parse::<i64>().is_ok() => Ok((format!("/v1/handlers/{id}/{verb}"), format!("Handler {id}"))),
            _ => Err("There is nothing of that kind to pause."),
        }
    }
}

#[derive(Deserialize)]
struct PauseChange {
    changed: bool,
}

/// `POST /console/scheduler/pause`
pub(super) async fn pause(State(console): State<Console>, Form(scope): Form<Scope>) -> Response {
    changed(&console, &scope, "pause", ("is paused: its events wait", "was paused already")).await
}

/// `POST /console/scheduler/resume`
pub(super) async fn resume(State(console): State<Console>, Form(scope): Form<Scope>) -> Response {
    changed(&console, &scope, "resume", ("goes on", "was not paused")).await
}

async fn changed(console: &Console, scope: &Scope, verb: &str, (new, old): (&str, &str)) -> Response {
    let flash = match scope.call(verb) {
        Err(why) => Flash::bad(why),
        Ok((path, what)) => {
            let done: Result<PauseChange> = console.api.order(&path, None).await;
            done.map_or_else(
                |error| Flash::bad(error.to_string()),
                |done| Flash::good(format!("{what} {}.", if done.changed { new } else { old })),
            )
        }
    };
    flash.and_go(&console.key, PATH)
}

/// What is paused, with Resume, and the forms that pause.
pub(super) fn panel(pauses: &[Pause], names: &HashMap<i64, String>, event_types: &EventTypes, shell: &Shell) -> Markup {
    let everything = pauses.iter().any(|pause| pause.scope == "everything");
    html! {
        section.panel #pauses aria-labelledby="pauses-title" {
            div.cap {
                h2 #pauses-title { "Pauses" }
                @if !everything { (pause_everything(shell)) }
            }
            @if pauses.is_empty() { div.in { p.muted { "Nothing is paused." } } }
            @else { (table(pauses, names, event_types, shell)) }
            form.pausing method="post" action={ (PATH) "/pause" } {
                (shell.csrf())
                input type="hidden" name="scope" value="event_type";
                (event_types.select("id", "Pause the handlers of an event", "", "Choose an event", None))
                button.btn { "Pause event" }
            }
        }
    }
}

fn pause_everything(shell: &Shell) -> Markup {
    let fields = html! { (shell.csrf()) input type="hidden" name="scope" value="everything"; };
    let question =
        html! { "Pause " b { "every handler" } "? No call is started until it is resumed; events are accepted and wait." };
    let action = format!("{PATH}/pause");
    Confirm {
        opener: html! { "Pause everything" },
        label: "Pause everything",
        about: None,
        question,
        action: &action,
        fields,
        button: "Pause now",
    }
    .shown_as("btn")
}

fn table(pauses: &[Pause], names: &HashMap<i64, String>, event_types: &EventTypes, shell: &Shell) -> Markup {
    html! {
        div.across tabindex="0" {
            table.sheet {
                caption.unseen { "What is paused" }
                thead { tr { th scope="col" { "Paused" } th scope="col" { "Since" } th scope="col" { span.unseen { "Resume" } } } }
                tbody {
                    @for pause in pauses.iter().take(LISTED_MAX) { (row(pause, names, event_types, shell)) }
                    @if pauses.len() > LISTED_MAX { tr { td colspan="3" { "and " (pauses.len() - LISTED_MAX) " more" } } }
                }
            }
        }
    }
}

fn row(pause: &Pause, names: &HashMap<i64, String>, event_types: &EventTypes, shell: &Shell) -> Markup {
    let id = pause.id();
    let what = match pause.scope.as_str() {
        "everything" => html! { b { "Everything" } },
        "event_type" => html! { "Event " b { (event_types.title(&id)) } " " code.muted { (id) } },
        _ => match pause.handler().and_then(|handler| names.get(&handler)) {
            Some(name) => {
                html! { "Handler " a.inline href={ "/console/provisioning/" (id) } { (short(name, NAME_MAX)) } " " code.muted { (id) } }
            }
            None => html! { "Handler " code { (id) } ", which is deleted" },
        },
    };
    html! {
        tr {
            td.name { (what) }
            td.when data-label="Since" { (time::ago(pause.paused_at)) }
            td.acts {
                form method="post" action={ (PATH) "/resume" } {
                    (shell.csrf())
                    input type="hidden" name="scope" value=(pause.scope);
                    input type="hidden" name="id" value=(id);
                    button.btn aria-label={ "Resume " (pause.scope.replace('_', " ")) " " (id) } { "Resume" }
                }
            }
        }
    }
}
