//! Texts that a page shows the beginning of, as files.

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::model::Execution;
use crate::components::handler_call::Answer;
use crate::failure::Failure;
use crate::state::Console;

/// `GET /console/executions/{id}/{part}`: `sent`, `body`, `stdout` or `stderr`.
pub(super) async fn download(
    State(console): State<Console>,
    Path((id, part)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let missing = || Failure::not_found(format!("There is no '{part}' of the execution '{id}'."));
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let execution: Execution<Answer> = console.api.get(&format!("/v1/executions/{id}")).await?;
    let text = match (part.as_str(), execution.response, execution.request) {
        ("sent", _, Some(sent)) => sent.body.get().to_owned(),
        ("body", Some(Answer::Http { body, .. }), _) => body,
        ("stdout", Some(Answer::Script { stdout, .. }), _) => stdout,
        ("stderr", Some(Answer::Script { stderr, .. }), _) => stderr,
        _ => return Err(missing()),
    };
    Ok(file(&format!("{part}-{id}.txt"), text))
}

/// A text that is saved, never shown as anything else: what stands in it is others'. `name` is of letters, digits, dots and dashes.
pub(crate) fn file(name: &str, text: String) -> Response {
    (headers("text/plain; charset=utf-8", name), text).into_response()
}

/// The headers of a file.
pub(crate) fn headers(kind: &'static str, name: &str) -> [(HeaderName, String); 2] {
    [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))]
}
