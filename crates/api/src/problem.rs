//! Errors as `application/problem+json` (RFC 9457) with a stable code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_domain::{FieldError, FieldErrors};
use serde::Serialize;
use utoipa::ToSchema;

/// The most field errors that one answer names.
pub(crate) const ERRORS_MAX: usize = 100;
/// The most characters of a `detail` that sums up field errors.
const DETAIL_MAX: usize = 1000;
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong, as a word that stays the same from version to version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProblemCode)]
pub enum Code {
    /// The body is not JSON.
    BadJson,
    /// The request cannot be read.
    BadRequest,
    /// There is no token, or not the right one.
    Unauthorized,
    /// There is nothing under this path.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// An archived handler is not switched on or off.
    HandlerArchived,
    /// Somebody else edits the same at the same time.
    EditConflict,
    /// The Cache Manager could not build the generation.
    RestartFailed,
    /// A service could not do its run.
    RunFailed,
    /// Another run is queued already, with other parameters.
    RunQueued,
    /// The event never ran under a generation that still exists.
    NoOriginal,
    /// The job has ended.
    JobEnded,
    /// What was edited is not what is stored now.
    VersionMismatch,
    /// The body is larger than the path takes.
    BodyTooLarge,
    /// One event is larger than an event may be.
    EventTooLarge,
    /// The body is of another type than the path takes.
    UnsupportedMediaType,
    /// A field or parameter is refused.
    ValidationFailed,
    /// An error of Baton's own.
    Internal,
    /// More is coming in than can be stored.
    Overloaded,
    /// There are more unfinished events than are allowed.
    BacklogFull,
    /// The database does not answer.
    Unavailable,
}

impl Code {
    /// Every code, with its status and what it means; the table of the documentation.
    pub const TABLE: [(Self, StatusCode, &'static str); 22] = [
        (Self::BadJson, StatusCode::BAD_REQUEST, "The body is not JSON; `detail` names line and column."),
        (Self::BadRequest, StatusCode::BAD_REQUEST, "The request cannot be read."),
        (Self::Unauthorized, StatusCode::UNAUTHORIZED, "The bearer token is missing or wrong."),
        (Self::NotFound, StatusCode::NOT_FOUND, "There is nothing under this path or id."),
        (Self::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED, "The path takes other methods; `Allow` lists them."),
        (Self::RequestTimeout, StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time."),
        (Self::HandlerArchived, StatusCode::CONFLICT, "An archived handler cannot be toggled; edit its status."),
        (Self::EditConflict, StatusCode::CONFLICT, "Others kept editing the same handler; try again."),
        (
            Self::RestartFailed,
            StatusCode::CONFLICT,
            "The Cache Manager could not build the generation; the live one still serves.",
        ),
        (Self::RunFailed, StatusCode::CONFLICT, "The service could not do its run; `detail` says why. Ask again."),
        (Self::RunQueued, StatusCode::CONFLICT, "A run with other parameters is queued; try again when it has ended."),
        (Self::NoOriginal, StatusCode::CONFLICT, "The event never ran, or its generation was removed; replay it under `live`."),
        (Self::JobEnded, StatusCode::CONFLICT, "The job has ended; nothing is left to cancel."),
        (
            Self::VersionMismatch,
            StatusCode::PRECONDITION_FAILED,
            "`If-Match` or `version` does not name the stored version: read again, edit again.",
        ),
        (Self::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than this path takes."),
        (Self::EventTooLarge, StatusCode::PAYLOAD_TOO_LARGE, "An event has more than 1 MiB of data."),
        (Self::UnsupportedMediaType, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be `application/json`."),
        (Self::ValidationFailed, StatusCode::UNPROCESSABLE_ENTITY, "Fields or parameters are refused; `errors` names each."),
        (Self::Internal, StatusCode::INTERNAL_SERVER_ERROR, "An error of Baton's own; its log says more."),
        (
            Self::Overloaded,
            StatusCode::SERVICE_UNAVAILABLE,
            "More comes in than can be stored; nothing was stored. Try again after `Retry-After`.",
        ),
        (
            Self::BacklogFull,
            StatusCode::SERVICE_UNAVAILABLE,
            "More events are unfinished than `BATON_BACKLOG_MAX` allows; nothing was stored. Try again after `Retry-After`.",
        ),
        (Self::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "The database does not answer. Try again after `Retry-After`."),
    ];

    /// The status that it comes with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        Self::TABLE.iter().find(|(code, ..)| *code == self).map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status, _)| *status)
    }

    /// The code as it is written: `validation_failed`.
    #[must_use]
    pub fn word(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// An answer that says what went wrong.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u32>,
}

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: `code` says what kind of problem it is.
    #[schema(example = "about:blank")]
    r#type: &'a str,
    /// The phrase of the HTTP status.
    #[schema(example = "Unprocessable Content")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// A sentence for a person.
    #[schema(example = "priority: must be 1 to 65535")]
    detail: &'a str,
    code: Code,
    /// Every field or parameter that is refused; only with the status 422, and with 412 where several things are edited at once.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Option<Vec<RefusedField>>, nullable = false)]
    errors: &'a [FieldError],
}

/// A field or parameter that is refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusedField {
    /// Its path in the body, or the parameter's name.
    #[schema(example = "priority")]
    field: String,
    /// What is wrong, and what would be right.
    #[schema(example = "must be 1 to 65535")]
    message: String,
}

impl Problem {
    /// A problem of this kind; `detail` is a sentence for a person.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// Fields or parameters that are refused.
    pub fn invalid(errors: FieldErrors) -> Self {
        Self::of(Code::ValidationFailed, errors)
    }

    /// A problem of this kind with the fields that it is about.
    pub(crate) fn of(code: Code, errors: FieldErrors) -> Self {
        let mut errors = errors.0;
        let more = errors.len().saturating_sub(ERRORS_MAX);
        errors.truncate(ERRORS_MAX);
        let mut detail = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; ");
        if let Some((cut, _)) = detail.char_indices().nth(DETAIL_MAX) {
            detail.truncate(cut);
            detail.push('…');
        }
        if more > 0 {
            detail = format!("{more} more are refused beside the {ERRORS_MAX} that are named. {detail}");
        }
        Self { code, detail, errors, retry_after: None }
    }

    /// One field or parameter that is refused.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(FieldErrors::one(field, message))
    }

    /// There is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no {what}."))
    }

    /// The same, with the advice to try again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same, with another sentence after its own.
    pub(crate) fn but(mut self, sentence: impl AsRef<str>) -> Self {
        self.detail = format!("{} {}", self.detail, sentence.as_ref());
        self
    }

    /// The same, with another sentence before its own.
    pub(crate) fn because(mut self, sentence: &str) -> Self {
        self.detail = format!("{sentence} {}", self.detail);
        self
    }

    /// What kind of problem it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

/// The phrase of a status: RFC 9110's, where the `http` crate still has an older one.
pub(crate) fn phrase(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = ProblemBody {
            r#type: "about:blank",
            title: phrase(status),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errors: &self.errors,
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_line_in_the_table() {
        let words: std::collections::BTreeSet<_> = Code::TABLE.iter().map(|(code, ..)| code.word()).collect();
        assert_eq!(words.len(), Code::TABLE.len());
        assert!(words.iter().all(|word| !word.is_empty()));
        // A code that is left out would be answered as 500.
        let errors: Vec<_> = Code::TABLE.iter().filter(|(_, status, _)| status.as_u16() == 500).collect();
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let page = include_str!("../../../docs/api.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5")).collect();
        let expected =
            Code::TABLE.map(|(code, status, meaning)| format!("| {} | `{}` | {meaning} |", status.as_u16(), code.word()));
        assert_eq!(rows, expected);
    }

    #[test]
    fn many_errors_are_cut_and_said_to_be() {
        let many = FieldErrors((0..150).map(|n| FieldError { field: format!("events[{n}]"), message: "é".repeat(50) }).collect());
        let problem = Problem::invalid(many);
        assert_eq!(problem.errors.len(), ERRORS_MAX);
        assert!(problem.detail.starts_with("50 more"), "{}", problem.detail);
    }
}
