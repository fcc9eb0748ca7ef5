//! Saving what the form sends.

use axum::extract::{Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::PATH;
use super::super::actions::{self, Back, Version, when};
use super::super::model::Handler;
use super::connection::Tried;
use super::input::Input;
use super::once;
use super::page::{Extras, show};
use super::sections::Conflict;
use crate::client::{ApiError, FieldError};
use crate::components::field::Errors;
use crate::components::id::Id;
use crate::failure::Failure;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::Shell;
use crate::state::Console;

/// The words of the buttons that save nothing.
const PREVIEW: &str = "preview";
const TRY: &str = "try";

/// `POST /console/provisioning/new`
pub(super) async fn create(State(console): State<Console>, shell: Shell, Form(input): Form<Input>) -> Result<Response, Failure> {
    if input.act == PREVIEW {
        return show(&console, shell, None, &input, Extras::default()).await;
    } else if input.act == TRY {
        return tried(&console, shell, None, &input).await;
    }
    if let Some(extras) = contradiction(&input) {
        return show(&console, shell, None, &input, extras).await;
    }
    match console.api.send::<Handler>(Method::POST, "/v1/handlers", None, &input.body(None)).await {
        Ok(saved) => Ok(done(&console, &shell, &saved)),
        Err(error) => refused(&console, shell, None, &input, error).await,
    }
}

/// `POST /console/provisioning/{id}`
pub(super) async fn update(
    State(console): State<Console>,
    Id(id): Id,
    shell: Shell,
    Form(input): Form<Input>,
) -> Result<Response, Failure> {
    let path = format!("/v1/handlers/{id}");
    let stored: Handler = console.api.get(&path).await?;
    if input.act == PREVIEW {
        return show(&console, shell, Some(&stored), &input, Extras::default()).await;
    } else if input.act == TRY {
        return tried(&console, shell, Some(&stored), &input).await;
    }
    if let Some(extras) = contradiction(&input) {
        return show(&console, shell, Some(&stored), &input, extras).await;
    }
    // A merge, so that fields which the form does not have stay as they are.
    match console.api.send::<Handler>(Method::PATCH, &path, input.over.or(input.version), &input.body(Some(&stored))).await {
        Ok(saved) => Ok(done(&console, &shell, &saved)),
        Err(error) => refused(&console, shell, Some(&stored), &input, error).await,
    }
}

/// `POST /console/provisioning/{id}/archive?version=3`
pub(super) async fn archive(
    State(console): State<Console>,
    Id(id): Id,
    Query(Version { version }): Query<Version>,
    Form(_): Form<Back>,
) -> Response {
    let patch = json!({"status": "archived"});
    let path = format!("/v1/handlers/{id}");
    let flash = match console.api.send::<Handler>(Method::PATCH, &path, version, &patch).await {
        Ok(saved) => Flash::good(format!("{} is archived. {}", saved.name, when(&saved))),
        Err(error) => Flash::bad(actions::reason(&error)),
    };
    flash.and_go(&console.key, &format!("{PATH}/{id}"))
}

fn done(console: &Console, shell: &Shell, saved: &Handler) -> Response {
    let flash = Flash::good(format!("{} is saved. {}", saved.name, when(saved)));
    let answer = flash.and_go(&console.key, &format!("{PATH}/{}", saved.id));
    match &saved.secret {
        Some(secret) => once::carried(&console.key, &shell.session, saved.id, secret, answer),
        None => answer,
    }
}

/// What is wrong with the form by itself, which the API would not see.
fn contradiction(input: &Input) -> Option<Extras> {
    let error = FieldError { field: "task.url".into(), message: input.scheme_error()? };
    Some(Extras { errors: Errors::new(vec![error]), ..Extras::default() })
}

/// What the API says of a filter.
#[derive(Deserialize)]
struct Verdict {
    wanted: Option<bool>,
    error: Option<String>,
}

/// The form again, with what the filter says of the event that was typed, or of the sample.
async fn tried(console: &Console, shell: Shell, stored: Option<&Handler>, input: &Input) -> Result<Response, Failure> {
    let mut extras = Extras::default();
    let mut ask = json!({"filter": input.filter.replace("\r\n", "\n"), "event": {"events_id": input.event}});
    match serde_json::from_str::<Box<RawValue>>(&input.filter_data) {
        _ if input.filter_data.trim().is_empty() => {}
        Ok(data) => ask["data"] = json!(data),
        Err(error) => {
            let message = format!("is not JSON: {error}");
            extras.errors = Errors::new(vec![FieldError { field: "data".into(), message }]);
            return show(console, shell, stored, input, extras).await;
        }
    }
    match console.api.send::<Verdict>(Method::POST, "/v1/filters/test", None, &ask).await {
        Ok(Verdict { wanted, error }) => extras.tried = Some(Tried { wanted, error }),
        Err(error) if error.fields().is_empty() => extras.refused = Some(error.to_string()),
        Err(error) => extras.errors = Errors::new(error.fields().to_vec()),
    }
    show(console, shell, stored, input, extras).await
}

/// The form again as it was typed, with what is wrong with it.
async fn refused(
    console: &Console,
    shell: Shell,
    stored: Option<&Handler>,
    input: &Input,
    error: ApiError,
) -> Result<Response, Failure> {
    let status = error.status();
    let mut extras = Extras::default();
    let mut now = None;
    if let (true, Some(stored)) = (error.is("version_mismatch"), stored) {
        // What was read before the edit can be older than what refused it.
        let saved: Handler = console.api.get(&format!("/v1/handlers/{}", stored.id)).await?;
        extras.conflict = Some(Conflict::between(&saved, input));
        now = Some(saved);
    } else if error.fields().is_empty() {
        extras.refused = Some(error.to_string());
    } else {
        extras.errors = Errors::new(error.fields().to_vec());
    }
    let page = show(console, shell, now.as_ref().or(stored), input, extras).await?;
    Ok((status, page).into_response())
}
