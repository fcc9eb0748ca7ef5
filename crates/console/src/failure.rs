//! Pages that say what went wrong.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use crate::client::ApiError;
use crate::{HOME, layout};

/// Why there is no page; shown as one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// There is nothing there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request may not come from there.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// An error of Baton's own; the reason goes to the log.
    pub(crate) fn internal(reason: &str) -> Self {
        tracing::error!(reason, "the console cannot show a page");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Baton could not show this page; its log says why.")
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match &error {
            ApiError::Refused(problem) => Self::new(error.status(), problem.detail.clone()),
            ApiError::Unreadable(reason) => Self::internal(reason),
        }
    }
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::SERVICE_UNAVAILABLE => "Baton does not answer at the moment",
        _ if status.is_server_error() => "Something went wrong",
        _ => "That did not work",
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let title = title(self.status);
        let body = html! {
            main.alone #main {
                (layout::logo())
                h1 { (title) }
                p { (self.message) }
                p { a.btn href=(HOME) { "To the Overview" } }
            }
        };
        (self.status, layout::document(title, &body)).into_response()
    }
}
