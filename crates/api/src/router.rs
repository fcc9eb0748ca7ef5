//! Every route, and what is the same for all of them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::auth::with_token;
use crate::problem::{Code, Problem};
use crate::state::ApiState;
use crate::{docs, openapi, routes};

/// What is under here wants the token.
const GUARDED: &str = "/v1/";

/// The routes of the API: `/v1`, `/openapi.json`, `/docs`, and problems for everything else.
///
/// Has a fallback, so that a router that is merged with it must have none.
pub fn router(state: ApiState) -> Router {
    router_beside(state, Router::new())
}

/// The same with other routes beside, which then answer panics and wrong methods with problems too.
pub fn router_beside(state: ApiState, beside: Router) -> Router {
    let (v1, described) = v1().split_for_parts();
    let text: Arc<str> = json(&openapi::document(described)).into();
    let around = from_fn_with_state(state.clone(), around);
    v1.with_state(state)
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.to_string())),
        )
        .merge(docs::router())
        .merge(beside)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        // One layer for all that is around a request: each of its own costs every request a copy of what is within.
        .layer(around)
}

/// The OpenAPI document of all routes. Needs no database.
#[must_use]
pub fn openapi_document() -> OpenApi {
    openapi::document(v1().into_openapi())
}

/// The OpenAPI document as the JSON text that is checked in under `openapi/openapi.json`.
#[must_use]
pub fn openapi_json() -> String {
    json(&openapi_document())
}

fn json(document: &OpenApi) -> String {
    // The document is made of plain structs with string keys, which always serialise.
    document.to_pretty_json().unwrap_or_default() + "\n"
}

fn v1() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .merge(routes::handlers::router())
        .merge(routes::event_types::router())
        .merge(routes::events::router())
        .merge(routes::executions::router())
        .merge(routes::dead_letters::router())
        .merge(routes::jobs::router())
        .merge(routes::pauses::router())
        .merge(routes::services::router())
        .merge(routes::cleaner::router())
        .merge(routes::cache::router())
        .merge(routes::stats::router())
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format_args!("path '{}'; /docs lists all", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("'{}' does not take {method}; the header Allow lists what it takes.", uri.path()),
    )
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = said.unwrap_or("without a message"), "a request panicked");
    Problem::new(Code::Internal, "Baton could not do this; its log says why.").into_response()
}

/// What is the same for every request: the token, an answer even to a panic, and the count by route, method and status.
async fn around(State(state): State<ApiState>, path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let has_body = request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || request.headers().contains_key(header::TRANSFER_ENCODING);
    let answering = async {
        if route.starts_with(GUARDED) {
            let request = with_token(&state, request).await?;
            Ok(next.run(request).await)
        } else {
            Ok(next.run(request).await)
        }
    };
    let mut response = match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(Ok(response) | Err(response)) => response,
        Err(panic) => panicked(&*panic),
    };
    // Nobody has read the body, so nothing can come after it on this connection: the client is to know.
    if has_body && matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let (status, took) = (response.status(), begun.elapsed());
    // What fails is logged where its reason is known.
    tracing::debug!(route, %method, status = status.as_u16(), ms = took.as_millis(), "answered");
    state.answers.count(route, &method, status, took);
    response
}
