//! A job that replays: how far it has come, and its end.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::PATH;
use crate::client::{ApiClient, Paged, Result};
use crate::components::cut::{beginning, short};
use crate::components::refusal::said;
use crate::components::status::{self, Tone};
use crate::components::time;
use crate::components::uuid_id::UuidId;
use crate::failure::Failure;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::{Section, Shell};
use crate::state::Console;

/// How many jobs the list of dead letters shows.
const RECENT: &str = "5";
/// How much of what was searched for is shown, in characters.
const SEARCH_MAX: usize = 200;
/// How much of an error is shown, in bytes of markup.
const ERROR_MAX: usize = 4096;

/// Long work with its progress.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    id: Uuid,
    /// `replay_dead_letters`, `recover_handler`.
    kind: String,
    params: Map<String, Value>,
    /// `queued`, `running`, `done`, `failed`, `cancelled`.
    state: String,
    done: u64,
    /// Not known before it begins.
    total: Option<u64>,
    cancel_requested: bool,
    asked_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

impl Job {
    /// Its page.
    pub(super) fn address(&self) -> String {
        format!("{PATH}/jobs/{}", self.id)
    }

    fn has_ended(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "running")
    }

    fn title(&self) -> &'static str {
        if self.kind == "recover_handler" { "Recovery of a handler" } else { "Replay of dead letters" }
    }

    /// What it was asked for.
    fn asked(&self) -> String {
        let of = self.params.get("search").and_then(Value::as_object).unwrap_or(&self.params);
        let said: Vec<_> =
            of.iter().filter(|(name, value)| !self.is_its_own(name, value)).map(|(name, value)| said_of(name, value)).collect();
        if said.is_empty() { "all of them".into() } else { short(&said.join(", "), SEARCH_MAX) }
    }

    /// Whether it is the end of the time that every search is given: what dies after it is asked for is not sent again.
    fn is_its_own(&self, name: &str, value: &Value) -> bool {
        let until: Option<DateTime<Utc>> = value.as_str().filter(|_| name == "to").and_then(|text| text.parse().ok());
        until.is_some_and(|until| (self.asked_at - until).num_seconds() == 0)
    }

    fn tag(&self) -> Markup {
        match self.state.as_str() {
            "done" => status::tag(Tone::Good, "done"),
            "failed" => status::tag(Tone::Bad, "failed"),
            "running" | "queued" if self.cancel_requested => status::tag(Tone::Warn, "being cancelled"),
            "cancelled" => status::tag(Tone::Warn, "cancelled"),
            other => status::tag(Tone::Plain, other),
        }
    }

    fn count(&self) -> String {
        match self.total {
            Some(total) => format!("{} of {total} on their way again", self.done),
            None => format!("{} on their way again", self.done),
        }
    }
}

fn said_of(name: &str, value: &Value) -> String {
    let label = match name {
        "events_id" => "event",
        "object_id" => "object",
        "handler_id" => "handler",
        other => other,
    };
    format!("{label} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// The last jobs.
///
/// # Errors
/// What the API refuses with.
pub(super) async fn last(api: &ApiClient) -> Result<Vec<Job>> {
    Ok(api.get::<Paged<Job>>(&format!("/v1/jobs?limit={RECENT}")).await?.items)
}

/// They as the list of dead letters shows them.
pub(super) fn recent(jobs: &[Job]) -> Markup {
    html! {
        @if !jobs.is_empty() {
            section.panel aria-labelledby="jobs-title" {
                div.cap { h2 #jobs-title { "Last replays" } }
                table.rows {
                    caption.unseen { "Jobs, the newest first" }
                    thead { tr { th scope="col" { "Asked" } th scope="col" { "State" } th scope="col" { "What" } th scope="col" { "Progress" } } }
                    tbody {
                        @for job in jobs {
                            tr {
                                td.date { a.inline href=(job.address()) { (time::at(job.asked_at)) } }
                                td.state { (job.tag()) }
                                td.name { (job.title()) ": " (job.asked()) }
                                td.when { (job.count()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn read(console: &Console, id: Uuid) -> Result<Job> {
    console.api.get(&format!("/v1/jobs/{id}")).await
}

/// `GET /console/dead-letters/jobs/{id}`
pub(super) async fn page(
    State(console): State<Console>,
    UuidId(id): UuidId,
    shell: Shell,
) -> std::result::Result<Response, Failure> {
    let job = read(&console, id).await?;
    let title = job.title();
    let content = html! {
        div.head {
            div { div.crumb { a href=(PATH) { "Dead letters" } } h1 { (title) } }
            span.grow {}
            @if !job.has_ended() {
                a.btn.while-running href=(job.address()) { "Refresh" }
                @if !job.cancel_requested {
                    form.while-running method="post" action={ (job.address()) "/cancel" } { (shell.csrf()) button.btn { "Cancel" } }
                }
            }
        }
        section.panel aria-labelledby="progress-title" {
            div.cap { h2 #progress-title { "Progress" } }
            div data-progress={ (job.address()) "/progress" } { (shown(&job)) }
        }
        p { a.btn href=(PATH) { "To the dead letters" } }
    };
    Ok(shell.page(Section::DeadLetters, title, &content))
}

/// `GET /console/dead-letters/jobs/{id}/progress`: the part of the page that changes.
pub(super) async fn progress(State(console): State<Console>, UuidId(id): UuidId) -> std::result::Result<Markup, Failure> {
    Ok(shown(&read(&console, id).await?))
}

fn shown(job: &Job) -> Markup {
    let total = job.total.filter(|total| *total > 0);
    html! {
        div.in data-ended[job.has_ended()] {
            div role="status" { (job.tag()) " " (job.count()) }
            @if job.has_ended() {
                // Full, however many were counted at its beginning.
                progress aria-label="Progress" max="1" value=(u8::from(job.state == "done")) {}
            } @else if let Some(total) = total {
                progress aria-label="Progress" max=(total) value=(job.done.min(total)) {}
            } @else {
                progress aria-label="Progress" {}
            }
            @if job.state == "cancelled" && job.kind == "replay_dead_letters" { p.muted { "The rest are dead letters still." } }
            @if let Some(error) = &job.error { p.error-text { (beginning(error, ERROR_MAX)) } }
        }
        dl.facts {
            dt { "What" } dd { (job.asked()) }
            dt { "Asked" } dd { (time::at(job.asked_at)) }
            @if let Some(at) = job.started_at { dt { "Started" } dd { (time::at(at)) } }
            @if let Some(at) = job.finished_at { dt { "Finished" } dd { (time::at(at)) } }
        }
    }
}

/// The form has nothing but its token.
#[derive(Deserialize)]
pub(super) struct Nothing {}

/// `POST /console/dead-letters/jobs/{id}/cancel`
pub(super) async fn cancel(State(console): State<Console>, UuidId(id): UuidId, Form(Nothing {}): Form<Nothing>) -> Response {
    let flash = match console.api.order::<IgnoredAny>(&format!("/v1/jobs/{id}/cancel"), None).await {
        Ok(_) => Flash::good("The job ends after the batch that is under way. What is on its way again stays so."),
        Err(error) => Flash::bad(said(&error)),
    };
    flash.and_go(&console.key, &format!("{PATH}/jobs/{id}"))
}
