//! The REST API, called within the process: the same routes, the same checks, the same answers as from outside.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

use crate::ConsoleError;

/// Calls the API with the admin token. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiClient {
    api: Router,
    authorization: HeaderValue,
}

/// What the API said instead of an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// It refused.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// It answered something that the console does not understand; the sentence says what.
    #[error("{0}")]
    Unreadable(String),
}

/// A problem (RFC 9457) as far as the console reads it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    /// Stays the same from version to version: `version_mismatch`.
    pub(crate) code: String,
    /// A sentence for a person.
    pub(crate) detail: String,
    /// The fields that are refused.
    pub(crate) errors: Vec<FieldError>,
}

/// A field that is refused, named by its path: `task.url`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// The longest path with its query, in bytes; what is longer is no address any more.
const PATH_MAX: usize = 60_000;

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Paged<T> {
    pub(crate) items: Vec<T>,
    /// The cursor of the next page.
    pub(crate) next_cursor: Option<String>,
}

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    /// Whether the API refused with this code.
    pub(crate) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    /// The fields that are refused; none where it is about something else.
    pub(crate) fn fields(&self) -> &[FieldError] {
        match self {
            Self::Refused(problem) => &problem.errors,
            Self::Unreadable(_) => &[],
        }
    }

    /// The status of a page that can only say this.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Refused(problem) => StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY),
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl ApiClient {
    /// A client of this API.
    ///
    /// # Errors
    /// When the token cannot stand in a header.
    pub(crate) fn new(api: Router, token: &str) -> std::result::Result<Self, ConsoleError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConsoleError::BadToken)?;
        authorization.set_sensitive(true);
        Ok(Self { api, authorization })
    }

    /// `GET`; `path` with its query.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(&self.call(Method::GET, path, None, None).await?)
    }

    /// Every item of a list, page by page, up to `most`. `path` without a query of its own, or ending in `&`.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<Vec<T>> {
        let mark = if path.contains('?') { "" } else { "?" };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page: Paged<T> = self.get(&format!("{path}{mark}limit=200{cursor}")).await?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) if items.len() < most => cursor = format!("&cursor={next}"),
                _ => return Ok(items),
            }
        }
    }

    /// A call that changes something. `version` is that of the thing that was edited, for `If-Match`.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        version: Option<i64>,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_string(body).map_err(|error| ApiError::Unreadable(format!("no body for '{path}': {error}")))?;
        read(&self.call(method, path, version, Some(body)).await?)
    }

    /// A call that changes something and needs no body.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn order<T: DeserializeOwned>(&self, path: &str, version: Option<i64>) -> Result<T> {
        read(&self.call(Method::POST, path, version, None).await?)
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// What the API refuses with.
    pub(crate) async fn delete(&self, path: &str, version: Option<i64>) -> Result<()> {
        self.call(Method::DELETE, path, version, None).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, version: Option<i64>, body: Option<String>) -> Result<Bytes> {
        if path.len() > PATH_MAX {
            let detail =
                format!("What was entered is too long: at most {} KB can be searched or looked up with.", PATH_MAX / 1000);
            let status = StatusCode::URI_TOO_LONG.as_u16();
            return Err(ApiError::Refused(Problem { status, detail, ..Problem::default() }));
        }
        let mut request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, &self.authorization);
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)),
            None => request.body(Body::empty()),
        };
        let request = request.map_err(|error| ApiError::Unreadable(format!("'{path}' is no path of the API: {error}")))?;
        let Ok(response) = self.api.clone().oneshot(request).await;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| ApiError::Unreadable(format!("the API's answer broke off: {error}")))?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::Unreadable(format!("the console cannot read the API's answer: {error}")))
}

fn refused(status: StatusCode, body: &[u8]) -> ApiError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ApiError::Refused(Problem { status: status.as_u16(), ..problem }),
        Err(_) => ApiError::Unreadable(format!("the API answered {status}")),
    }
}
