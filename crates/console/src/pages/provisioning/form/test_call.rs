//! A call of the saved handler with a sample of its event: what is sent, what is answered, how long it took.

use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::PATH;
use super::super::model::Handler;
use super::input::Input;
use super::page::{Extras, show};
use crate::client::{ApiClient, ApiError, Result};
use crate::components::cut::short;
use crate::components::handler_call::{Answer, Sent, Whole};
use crate::components::id::Id;
use crate::components::{sample, status, time};
use crate::failure::Failure;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

/// How much of what was called stands in its line, in characters.
const LINE_MAX: usize = 200;

/// What is sent, as it was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    object_id: String,
    data: String,
}

/// What came of a test call.
pub(super) struct Tested {
    typed: Typed,
    /// How it went; or why nothing was sent.
    outcome: std::result::Result<Called, Vec<String>>,
}

/// The execution of a test call.
#[derive(Debug, Deserialize)]
struct Called {
    status: String,
    duration_ms: i64,
    error: Option<String>,
    request: Option<Sent>,
    response: Option<Answer>,
}

/// Nothing of a test call is kept: there is no more than what the page shows.
impl Whole for Called {
    fn of(&self, _: &str) -> Option<String> {
        None
    }
}

/// What the API is asked to send.
#[derive(Serialize)]
struct Request {
    event: Head,
    data: Box<RawValue>,
}

#[derive(Serialize)]
struct Head {
    object_id: Box<RawValue>,
}

/// The section of the page: the sample to send, and what came of the last call. `unsaved`: the form beside it has edits that are not called.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn section(
    console: &Console,
    shell: &Shell,
    handler: &Handler,
    tested: Option<&Tested>,
    unsaved: bool,
) -> Result<Markup> {
    let typed = match tested {
        Some(tested) => tested.typed.clone(),
        None => sampled(&console.api, &handler.event).await?,
    };
    Ok(html! {
        form method="post" action={ (PATH) "/" (handler.id) "/test#test" } {
            (shell.csrf())
            p.hint { "Calls the handler as it is saved, once, with the header " code { "baton-test: 1" } ". The call is not kept in the log." }
            div.field.short {
                label for="test-object" { "Object" }
                input.code #test-object name="object_id" value=(typed.object_id) autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="test-data" { "Data" }
                textarea.code #test-data name="data" rows="7" spellcheck="false" { (typed.data) }
            }
            div.act {
                button.btn { "Test" }
                // The script shows it as soon as something is typed.
                p.unsaved #unsaved hidden[!unsaved] role="status" { "There are unsaved edits: what is tested is the handler as it is saved." }
            }
        }
        div.outcome aria-live="polite" { @if let Some(tested) = tested { (outcome(tested)) } }
    })
}

async fn sampled(api: &ApiClient, event: &str) -> Result<Typed> {
    let (object_id, data) = sample::read(api, event).await?.unwrap_or_else(|| ("1".into(), "{}".into()));
    Ok(Typed { object_id, data })
}

/// `POST /console/provisioning/{id}/test`
pub(super) async fn test(
    State(console): State<Console>,
    Id(id): Id,
    shell: Shell,
    Form(typed): Form<Typed>,
) -> std::result::Result<Response, Failure> {
    let handler: Handler = console.api.get(&format!("/v1/handlers/{id}")).await?;
    let outcome = called(&console.api, &handler, &typed).await;
    let tested = Tested { typed, outcome };
    let extras = Extras { tested: Some(tested), ..Extras::default() };
    Ok(show(&console, shell, Some(&handler), &Input::of(&handler), extras).await?.into_response())
}

/// `GET /console/provisioning/{id}/test`: a result is not kept, so that its address leads back to the form.
pub(super) async fn leave(Id(id): Id) -> Redirect {
    Redirect::to(&format!("{PATH}/{id}"))
}

async fn called(api: &ApiClient, handler: &Handler, typed: &Typed) -> std::result::Result<Called, Vec<String>> {
    let object_id = sample::object_id(&typed.object_id).map_err(|error| vec![format!("Object: {error}")])?;
    let data = sample::data(&typed.data).map_err(|error| vec![format!("Data is no JSON: {error}")])?;
    let said = |error: ApiError| match error.fields() {
        [] => vec![error.to_string()],
        fields => fields.iter().map(|error| format!("{}: {}", error.field, error.message)).collect(),
    };
    let path = format!("/v1/handlers/{}/test", handler.id);
    api.send(Method::POST, &path, None, &Request { event: Head { object_id }, data }).await.map_err(said)
}

fn outcome(tested: &Tested) -> Markup {
    match &tested.outcome {
        Err(reasons) => {
            html! { div.said.bad role="alert" { b { "Nothing was sent." } @for reason in reasons { "\n" (reason) } } }
        }
        Ok(called) => html! {
            div.result {
                (status::execution(&called.status)) " after " (time::took(called.duration_ms))
                @if let Some(error) = &called.error { p.error { (error) } }
            }
            @match &called.request {
                Some(sent) => { p.label { "Sent: " (short(&sent.task.line(), LINE_MAX)) } (sent.shown(called)) }
                None => { p.hint { "Nothing was sent." } }
            }
            @match &called.response {
                Some(answer) => { p.label { "Answer: " (answer.summary()) } (answer.shown(called)) }
                None => { p.hint { "There was no answer." } }
            }
        },
    }
}
