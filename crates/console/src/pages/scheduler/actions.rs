//! What the buttons do: restart, roll back, clean.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::PATH;
use crate::client::ApiError;
use crate::components::id::Id;
use crate::components::restart::{self, Restart, WAIT, under_way};
use crate::components::time;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::Cache;
use crate::state::Console;

/// A form without fields of its own.
#[derive(Deserialize)]
pub(super) struct Nothing {}

/// What the Cleaner removed, or how far it has come.
#[derive(Deserialize)]
#[serde(untagged)]
enum Clean {
    Done { events: u64, executions: u64, dead_letters: u64, generations: u64, took_ms: i64 },
    UnderWay { status: String },
}

/// `POST /console/scheduler/restart`
pub(super) async fn restart(State(console): State<Console>, Form(Nothing {}): Form<Nothing>) -> Response {
    let done = console.api.order::<Restart>(&format!("/v1/services/cache-manager/restart?wait={WAIT}"), None).await;
    restart::said(done).and_go(&console.key, PATH)
}

/// The generation that was live when the operator was asked.
#[derive(Deserialize)]
pub(super) struct Seen {
    live: Option<i64>,
}

/// `POST /console/scheduler/generations/{id}/rollback`
pub(super) async fn roll_back(State(console): State<Console>, Id(to): Id, Form(seen): Form<Seen>) -> Response {
    match console.api.get::<Cache>("/v1/cache").await {
        Err(error) => Flash::bad(error.to_string()).and_go(&console.key, PATH),
        // What would change was shown against that one.
        Ok(cache) if cache.generation != seen.live => {
            let now = cache.generation.map_or("none".to_owned(), |live| live.to_string());
            let text = format!("Another generation, {now}, has gone live in the meantime. Nothing was rolled back: look again.");
            Flash::bad(text).and_go(&console.key, &format!("{PATH}/generations/{to}"))
        }
        Ok(_) => {
            let path = format!("/v1/cache/rollback?wait={WAIT}");
            let done = console.api.send::<Restart>(Method::POST, &path, None, &json!({"generation": to})).await;
            restart::said(done).and_go(&console.key, PATH)
        }
    }
}

/// `POST /console/scheduler/clean`
pub(super) async fn clean(State(console): State<Console>, Form(Nothing {}): Form<Nothing>) -> Response {
    let done = console.api.order::<Clean>(&format!("/v1/services/cleaner/run?wait={WAIT}"), None).await;
    cleaned(done).and_go(&console.key, PATH)
}

fn cleaned(done: Result<Clean, ApiError>) -> Flash {
    match done {
        Ok(Clean::Done { events, executions, dead_letters, generations, took_ms }) => Flash::good(format!(
            "The Cleaner removed {events} events, {executions} executions, {dead_letters} dead letters and {generations} generations. It took {}.",
            time::took(took_ms)
        )),
        Ok(Clean::UnderWay { status }) => Flash::good(under_way(&status)),
        Err(error) => Flash::bad(error.to_string()),
    }
}
