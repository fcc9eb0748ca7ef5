//! What would become of an event that is not published: who would be called, live and as saved, and who would not.

use axum::extract::{RawQuery, State};
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::PATH;
use crate::client::{ApiClient, FieldError};
use crate::components::cut::short;
use crate::components::event_types::EventTypes;
use crate::components::field::{Errors, Text, described, field};
use crate::components::handler_call::Called;
use crate::components::sample;
use crate::failure::Failure;
use crate::form::{self, Form};
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How much is shown of a name or a target, in characters; how many handlers, and reasons.
const NAME_MAX: usize = 80;
const TARGET_MAX: usize = 120;
const REASON_MAX: usize = 300;
const HANDLERS_MAX: usize = 100;

/// The event, as it was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    events_id: String,
    object_id: String,
    data: String,
    /// Given where a sample is asked for in place of what was typed.
    sample: String,
}

/// What the API says.
#[derive(Debug, Deserialize)]
struct Explanation {
    generation: Option<i64>,
    live: Vec<Stage>,
    saved: Vec<Stage>,
    not_live: Vec<NotLive>,
}

#[derive(Debug, Deserialize)]
struct Stage {
    priority: u16,
    handlers: Vec<Handler>,
}

#[derive(Debug, Deserialize)]
struct Handler {
    id: i64,
    name: String,
    task: Called,
}

#[derive(Debug, Deserialize)]
struct NotLive {
    id: i64,
    name: String,
    reason: String,
}

#[derive(Serialize)]
struct Request {
    event: Head,
    data: Box<RawValue>,
}

#[derive(Serialize)]
struct Head {
    events_id: String,
    object_id: Box<RawValue>,
}

/// `GET /console/events/explain?events_id=clients.create`: with a sample of this type.
pub(super) async fn ask(State(console): State<Console>, RawQuery(raw): RawQuery, shell: Shell) -> Result<Response, Failure> {
    let mut typed: Typed = form::parse(raw.unwrap_or_default().as_bytes())?;
    let event_types = EventTypes::read(&console.api).await?;
    if typed.events_id.is_empty() {
        event_types.first().unwrap_or_default().clone_into(&mut typed.events_id);
    }
    let typed = sampled(&console.api, typed).await?;
    Ok(page(shell, &event_types, &typed, &Errors::default(), None))
}

/// `POST /console/events/explain`
pub(super) async fn explain(State(console): State<Console>, shell: Shell, Form(typed): Form<Typed>) -> Result<Response, Failure> {
    let event_types = EventTypes::read(&console.api).await?;
    if !typed.sample.is_empty() {
        let typed = sampled(&console.api, typed).await?;
        return Ok(page(shell, &event_types, &typed, &Errors::default(), None));
    }
    let (explanation, errors) = match request(&typed) {
        Err(error) => (None, vec![error]),
        Ok(request) => match console.api.send(Method::POST, "/v1/events/explain", None, &request).await {
            Ok(explanation) => (Some(explanation), Vec::new()),
            Err(error) if !error.fields().is_empty() => (None, error.fields().to_vec()),
            Err(error) => return Err(error.into()),
        },
    };
    Ok(page(shell, &event_types, &typed, &Errors::new(errors), explanation.as_ref()))
}

/// A sample of the type; as it was typed where there is none.
async fn sampled(api: &ApiClient, typed: Typed) -> Result<Typed, Failure> {
    let is_id = !typed.events_id.is_empty()
        && typed.events_id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
    if !is_id {
        return Ok(typed);
    }
    Ok(match sample::read(api, &typed.events_id).await? {
        Some((object_id, data)) => Typed { object_id, data, ..typed },
        None => typed,
    })
}

/// What is asked for what was typed.
fn request(typed: &Typed) -> Result<Request, FieldError> {
    let wrong = |field: &str, message: String| FieldError { field: field.into(), message };
    let object_id = sample::object_id(&typed.object_id).map_err(|error| wrong("event.object_id", error.to_string()))?;
    let data = sample::data(&typed.data).map_err(|error| wrong("data", format!("is no JSON: {error}")))?;
    Ok(Request { event: Head { events_id: typed.events_id.trim().to_owned(), object_id }, data })
}

fn page(shell: Shell, event_types: &EventTypes, typed: &Typed, errors: &Errors, explanation: Option<&Explanation>) -> Response {
    let content = html! {
        div.head { div { div.crumb { a href=(PATH) { "Events" } } h1 { "Explain" } } }
        section.panel aria-label="The event" {
            form.explain method="post" action={ (PATH) "/explain#answer" } {
                (shell.csrf())
                p.hint { "An event as it might be published. Nothing is stored and nothing is called." }
                div.pair {
                    (event_types.select("events_id", "Event", typed.events_id.trim(), "choose one", errors.of("event.events_id").as_deref()))
                    (Text::new("object_id", "Object", &typed.object_id).shown(errors.of("event.object_id").as_deref()))
                }
                (data(typed, errors.of("data").as_deref()))
                @for error in errors.beside(&["event.events_id", "event.object_id", "data"]) { p.error role="alert" { (error.field) " " (error.message) } }
                div.acts {
                    button.btn.primary { "Explain" }
                    button.btn name="sample" value="1" { "Fill in a sample" }
                }
            }
        }
        div #answer aria-live="polite" { @if let Some(explanation) = explanation { (answer(explanation)) } }
    };
    shell.page(Section::Events, "Explain", &content)
}

fn data(typed: &Typed, error: Option<&str>) -> Markup {
    let input = html! {
        textarea.code #data name="data" rows="8" spellcheck="false" aria-invalid=[error.map(|_| "true")]
            aria-describedby=[described("data", false, error.is_some())] { "\n" (typed.data) }
    };
    field("data", "Data", &input, None, error)
}

fn answer(explanation: &Explanation) -> Markup {
    let is_same = explanation.not_live.iter().all(|handler| handler.reason == "disabled" || handler.reason == "archived");
    html! {
        div.explained {
            section.panel aria-labelledby="live-title" {
                div.cap {
                    h2 #live-title { "Live" }
                    span.muted { @match explanation.generation { Some(number) => { "generation " (number) } None => { "no generation yet" } } }
                }
                div.in { (stages(&explanation.live, "No handler would be called: the event would end as unmatched.")) }
            }
            section.panel aria-labelledby="saved-title" {
                div.cap {
                    h2 #saved-title { "As saved" }
                    span.muted { @if is_same { "the same" } @else { "after a restart of the Cache Manager" } }
                }
                div.in { (stages(&explanation.saved, "No enabled handler is saved for this event.")) }
            }
        }
        @if !explanation.not_live.is_empty() {
            section.panel aria-labelledby="reasons-title" {
                div.cap { h2 #reasons-title { "Not live as saved" } }
                ul.reasons {
                    @for handler in explanation.not_live.iter().take(HANDLERS_MAX) {
                        li {
                            span.muted { "#" (handler.id) " " }
                            a.inline href={ "/console/provisioning/" (handler.id) } { (short(&handler.name, NAME_MAX)) }
                            ": " (short(&handler.reason, REASON_MAX))
                        }
                    }
                    @if explanation.not_live.len() > HANDLERS_MAX { li.muted { "and " (explanation.not_live.len() - HANDLERS_MAX) " more" } }
                }
            }
        }
    }
}

fn stages(stages: &[Stage], none: &str) -> Markup {
    let mut left = HANDLERS_MAX;
    html! {
        @if stages.is_empty() { p { (none) } } @else {
            ol.chain {
                @for stage in stages {
                    @let shown = stage.handlers.len().min(left);
                    @let () = left -= shown;
                    @if shown > 0 {
                        li.stage {
                            span.number title="priority" { (stage.priority) }
                            ul {
                                @for handler in stage.handlers.iter().take(shown) {
                                    li {
                                        a href={ "/console/provisioning/" (handler.id) } { (short(&handler.name, NAME_MAX)) } " "
                                        code.muted { (short(&handler.task.line(), TARGET_MAX)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @let all: usize = stages.iter().map(|stage| stage.handlers.len()).sum();
            @if all > HANDLERS_MAX { p { "and " (all - HANDLERS_MAX) " more" } }
        }
    }
}
