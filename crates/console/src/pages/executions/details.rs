//! One execution: what was sent, what was answered.

use axum::extract::State;
use axum::response::Response;
use chrono::Utc;
use maud::{Markup, html};

use super::PATH;
use super::model::Execution;
use crate::components::cut::{beginning, short};
use crate::components::handler_call::Answer;
use crate::components::uuid_id::UuidId;
use crate::components::{status, time};
use crate::failure::Failure;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How much of an error the page shows, in bytes of markup.
const ERROR_MAX: usize = 4096;

/// `GET /console/executions/{id}`
pub(super) async fn details(State(console): State<Console>, UuidId(id): UuidId, shell: Shell) -> Result<Response, Failure> {
    let execution: Execution<Answer> = console.api.get(&format!("/v1/executions/{id}")).await?;
    let title = format!("Attempt {} · {}", execution.attempt, execution.handler_name);
    let content = html! {
        div.head {
            div { div.crumb { a href=(PATH) { "Execution Logs" } } h1 { (title) } }
            span.grow {}
            (status::execution(&execution.status))
        }
        div.split {
            section.panel aria-labelledby="answer-title" {
                div.cap { h2 #answer-title { "How it went" } }
                (facts(&execution))
                div.in { (answer(&execution)) }
            }
            section.panel aria-labelledby="sent-title" {
                div.cap {
                    h2 #sent-title { "What was sent" }
                    @if execution.request.as_ref().is_some_and(|sent| sent.curl().is_some()) {
                        button.btn.quiet type="button" data-copy="curl" hidden { "Copy as curl" }
                    }
                }
                div.in { (sent(&execution)) }
            }
        }
    };
    Ok(shell.page(Section::Executions, &title, &content))
}

fn facts(execution: &Execution<Answer>) -> Markup {
    let Execution { event_id, handler_id, generation, .. } = execution;
    html! {
        dl.facts {
            @if let Some(sent) = &execution.request {
                @let line = sent.task.line();
                dt { "Called" } dd { code { (beginning(&line, ERROR_MAX)) } }
            }
            @if execution.status != "skipped" {
                dt { "Answer" }
                dd {
                    @match &execution.response { Some(answer) => { (answer.summary()) } None => { "none" } }
                    " after " (time::took(execution.duration_ms))
                }
            }
            @if let Some(error) = &execution.error {
                dt { @if execution.status == "skipped" { "Skipped" } @else { "Error" } }
                dd.error-text { (beginning(error, ERROR_MAX)) }
            }
            @if execution.status == "fail" {
                dt { "Decision" }
                dd { @match execution.retry_at { Some(at) if at > Utc::now() => { "tried again " (time::ago(at)) } Some(at) => { "to be tried again at " (time::at(at)) } None => { "not tried again" } } }
            }
            dt { "Date" } dd { (time::at(execution.started_at)) }
            dt { "Event" } dd { a.inline href={ "/console/events/" (event_id) } { code { (execution.events_id) } } }
            dt { "Object" } dd { code { (short(execution.object_id.get(), 200)) } }
            dt { "Handler" } dd { a.inline href={ "/console/provisioning/" (handler_id) } { (execution.handler_name) } " " span.muted { "#" (handler_id) ", priority " (execution.priority) } }
            dt { "Generation" } dd { @match generation { Some(number) => { (number) } None => { "none" } } }
            dt { "Execution" } dd { code { (execution.id) } }
        }
    }
}

fn answer(execution: &Execution<Answer>) -> Markup {
    html! {
        @match &execution.response {
            Some(answer) => { (answer.shown(execution)) }
            None if execution.status == "skipped" => { p.hint { "The handler was not called." } }
            None => { p.hint { "There was no answer." } }
        }
    }
}

fn sent(execution: &Execution<Answer>) -> Markup {
    html! {
        @match &execution.request {
            Some(sent) => {
                (sent.shown(execution))
                @if let Some(curl) = sent.curl() { pre #curl hidden { (curl) } }
            }
            None if execution.status == "skipped" => { p.hint { "Nothing was sent." } }
            None => { p.hint { "Not known any more: the event, or the generation that the handler was taken from, is not kept." } }
        }
    }
}
