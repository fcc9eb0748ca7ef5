//! A call of the saved handler with a sample of its event: what is sent, what is answered, how long it took.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::PATH;
use super::super::model::{Handler, Task};
use super::input::Input;
use super::page::{Extras, show};
use crate::client::{ApiClient, ApiError, Result};
use crate::components::id::Id;
use crate::components::{json, status, time};
use crate::failure::Failure;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

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
    /// The body that was sent, and how it went; or why nothing was sent.
    outcome: std::result::Result<(String, Called), Vec<String>>,
}

/// The execution of a test call.
#[derive(Debug, Deserialize)]
struct Called {
    status: String,
    duration_ms: i64,
    error: Option<String>,
    response: Option<Answer>,
}

/// What the handler answered.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Http { status: u16, headers: BTreeMap<String, String>, body: String, truncated: bool },
    Script { exit_code: Option<i32>, signal: Option<String>, stdout: String, stderr: String, truncated: bool },
}

/// A sample of an event type.
#[derive(Deserialize)]
struct Sample {
    event: SampleHead,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct SampleHead {
    object_id: Box<RawValue>,
}

/// What the API is asked to send: every part of the body, so that it is known.
#[derive(Serialize)]
struct Request {
    event: Head,
    data: Box<RawValue>,
}

/// In the order in which handlers get it.
#[derive(Serialize)]
struct Head {
    dt: String,
    events_id: String,
    object_id: Box<RawValue>,
}

/// The section of the page: the sample to send, and what came of the last call.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn section(console: &Console, shell: &Shell, handler: &Handler, tested: Option<&Tested>) -> Result<Markup> {
    let typed = match tested {
        Some(tested) => tested.typed.clone(),
        None => sample(&console.api, &handler.event).await?,
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
            button.btn { "Test" }
        }
        div.outcome aria-live="polite" { @if let Some(tested) = tested { (outcome(handler, tested)) } }
    })
}

async fn sample(api: &ApiClient, event: &str) -> Result<Typed> {
    match api.get::<Sample>(&format!("/v1/event-types/{event}/sample")).await {
        Ok(Sample { event, data }) => Ok(Typed { object_id: event.object_id.get().to_owned(), data: json::indented(data.get()) }),
        Err(error) if error.is("not_found") => Ok(Typed { object_id: "1".into(), data: "{}".into() }),
        Err(error) => Err(error),
    }
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

async fn called(api: &ApiClient, handler: &Handler, typed: &Typed) -> std::result::Result<(String, Called), Vec<String>> {
    let request = request(handler, typed)?;
    let said = |error: ApiError| match error.fields() {
        [] => vec![error.to_string()],
        fields => fields.iter().map(|error| format!("{}: {}", error.field, error.message)).collect(),
    };
    let path = format!("/v1/handlers/{}/test", handler.id);
    let called = api.send(Method::POST, &path, None, &request).await.map_err(said)?;
    Ok((serde_json::to_string(&request).unwrap_or_default(), called))
}

/// What is sent for what was typed. An object's id that is no JSON is taken as a text.
fn request(handler: &Handler, typed: &Typed) -> std::result::Result<Request, Vec<String>> {
    let object_id = typed.object_id.trim();
    let object_id = RawValue::from_string(object_id.to_owned())
        .or_else(|_| serde_json::value::to_raw_value(object_id))
        .map_err(|error| vec![format!("Object: {error}")])?;
    let data = if typed.data.trim().is_empty() { "{}" } else { typed.data.trim() };
    let data = RawValue::from_string(data.to_owned()).map_err(|error| vec![format!("Data is no JSON: {error}")])?;
    let dt = Utc::now().format("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    Ok(Request { event: Head { dt, events_id: handler.event.clone(), object_id }, data })
}

fn outcome(handler: &Handler, tested: &Tested) -> Markup {
    match &tested.outcome {
        Err(reasons) => {
            html! { div.said.bad role="alert" { b { "Nothing was sent." } @for reason in reasons { "\n" (reason) } } }
        }
        Ok((body, called)) => html! {
            div.result {
                (status::execution(&called.status)) " after " (time::took(called.duration_ms))
                @if let Some(error) = &called.error { p.error { (error) } }
            }
            h3 { "Sent" }
            (sent(handler))
            (json::text(body))
            h3 { "Answer" }
            @match &called.response { Some(answer) => { (answered(answer)) } None => { p.hint { "There was none." } } }
        },
    }
}

fn sent(handler: &Handler) -> Markup {
    let signed = if handler.secrets_valid > 0 { "webhook-signature: (signed)" } else { "" };
    match &handler.task {
        Task::Http { url } => html! {
            pre.wire {
                "POST " (url) "\ncontent-type: application/json\nbaton-test: 1\nbaton-handler: " (handler.id) "\nbaton-attempt: 1"
                @if !signed.is_empty() { "\n" (signed) }
                @for name in handler.headers.keys() { "\n" (name) ": ••••••" }
            }
        },
        Task::Script { path, args } => html! { pre.wire { (path) @for arg in args { " " (arg) } "\non its standard input:" } },
    }
}

fn answered(answer: &Answer) -> Markup {
    let cut = |truncated: bool| html! { @if truncated { p.hint { "There was more; the first 64 KiB are shown." } } };
    match answer {
        Answer::Http { status, headers, body, truncated } => html! {
            pre.wire { (status) @for (name, value) in headers { "\n" (name) ": " (value) } }
            @if !body.is_empty() { (json::text(body)) }
            (cut(*truncated))
        },
        Answer::Script { exit_code, signal, stdout, stderr, truncated } => html! {
            pre.wire {
                @match (exit_code, signal) {
                    (Some(code), _) => { "exit code " (code) }
                    (None, Some(signal)) => { "ended by " (signal) }
                    (None, None) => { "did not run to its end" }
                }
            }
            @for (name, text) in [("standard output", stdout), ("standard error", stderr)] {
                @if !text.is_empty() { p.label { (name) } (json::text(text)) }
            }
            (cut(*truncated))
        },
    }
}
